/* retry.c - when to try again. Pure. */
#include "queue/queue_int.h"

/* However old an entry seems: a clock that jumps ahead must not end all mail at once. */
#define TRIES_LEAST 3u

/* XMail's: T(i) = T(i-1) + T(i-1) / ratio (specification 2, section 2). */
static usec_t xmail_delay(const struct options *o, unsigned tries)
{
    usec_t delay = o->xmail_retry_s * USEC_S;
    for (unsigned i = 1; i < tries && o->xmail_retry_ratio > 0 && delay < 86400 * USEC_S; i++)
        delay += delay / o->xmail_retry_ratio;
    return delay;
}

static usec_t longest_delay(const struct options *o, unsigned tries)
{
    return o->xmail_retries ? xmail_delay(o, tries) : o->retry_longest + o->retry_longest / 10;
}

bool retry_is_due(const struct options *o, unsigned tries, usec_t next_try, usec_t now)
{
    return next_try <= now || next_try > now + longest_delay(o, tries) + USEC_S;
}

enum rc retry_next(const struct options *o, usec_t created, unsigned tries, usec_t now,
                   uint64_t seed, usec_t *out_at)
{
    if (o->xmail_retries) {
        *out_at = now + xmail_delay(o, tries);
        return (int64_t)tries > o->xmail_retry_max ? RC_PERM : RC_OK;
    }
    if (now - created > o->queue_lifetime && tries >= TRIES_LEAST)
        return RC_PERM;
    usec_t delay = o->retry_first;
    for (unsigned i = 1; i < tries && delay < o->retry_longest; i++)
        delay *= 2;
    delay = MIN(delay, o->retry_longest);
    uint64_t jitter = hash_text(str_from((const char *)&seed, sizeof(seed)), false, tries);
    *out_at = now + delay + (usec_t)(jitter % (uint64_t)MAX(delay / 10, (usec_t)1));
    return RC_OK;
}

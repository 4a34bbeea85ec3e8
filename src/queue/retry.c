/* retry.c - when to try again. Pure. */
#include "queue/queue_int.h"

#define FIRST_DELAY (300 * USEC_S)
#define LONGEST_DELAY (4 * 3600 * USEC_S)
#define LIFETIME (5 * 86400 * USEC_S)

enum rc retry_next(usec_t created, unsigned tries, usec_t now, uint64_t seed, usec_t *out_at)
{
    if (now - created > LIFETIME)
        return RC_PERM;
    usec_t delay = FIRST_DELAY;
    for (unsigned i = 1; i < tries && delay < LONGEST_DELAY; i++)
        delay *= 2;
    delay = MIN(delay, LONGEST_DELAY);
    uint64_t jitter = hash_text(str_from((const char *)&seed, sizeof(seed)), false, tries);
    *out_at = now + delay + (usec_t)(jitter % (uint64_t)(delay / 10));
    return RC_OK;
}

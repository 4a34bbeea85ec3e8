/* idle.c - connections that wait for their next message: a few seconds, then they are closed.
 */
#include "relay/relay_int.h"
#include "sys/lock.h"

#define IDLE_TIME (5 * USEC_S)
#define MESSAGES_MAX 100u
#define KEPT_MAX 500u

static struct lock idle_lock = LOCK_INIT(LOCK_LEAF);
static struct connection *kept; /* newest first */
static unsigned kept_count;

static bool same_target(const struct target *x, const struct target *y)
{
    return ip_eq(&x->ip, &y->ip) && x->port == y->port && x->options.tls == y->options.tls &&
           x->options.has_source == y->options.has_source &&
           (!x->options.has_source || ip_eq(&x->options.source, &y->options.source)) &&
           str_ieq(x->name, y->name);
}

struct connection *idle_take(const struct target *t)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&idle_lock);
    (void)held;
    for (struct connection **at = &kept; *at != NULL; at = &(*at)->next) {
        struct connection *c = *at;
        if (!same_target(&c->target, t) ||
            (conf()->ssl_want_verify && t->options.tls != TLS_NONE && !c->verified))
            continue;
        *at = c->next;
        c->next = NULL;
        kept_count--;
        return c;
    }
    return NULL;
}

void idle_keep(struct connection **connection)
{
    struct connection *c = *connection;
    if (c->messages >= MESSAGES_MAX || c->spent) {
        connection_close(connection, true);
        return;
    }
    *connection = NULL;
    c->idle_since = clock_mono();
    lock_take(&idle_lock);
    bool full = kept_count >= KEPT_MAX;
    if (!full) {
        c->next = kept;
        kept = c;
        kept_count++;
    }
    lock_drop(&idle_lock);
    if (full)
        connection_close(&c, true);
}

void idle_tick(void)
{
    struct connection *old = NULL;
    usec_t since = clock_mono() - IDLE_TIME;
    lock_take(&idle_lock);
    struct connection **at = &kept;
    while (*at != NULL && (*at)->idle_since >= since)
        at = &(*at)->next;
    old = *at; /* all behind it are older */
    *at = NULL;
    for (const struct connection *c = old; c != NULL; c = c->next)
        kept_count--;
    lock_drop(&idle_lock);
    while (old != NULL) {
        struct connection *next = old->next;
        connection_close(&old, true);
        old = next;
    }
}

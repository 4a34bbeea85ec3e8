/*
 * slots.c - how many connections there are to each server, from each of our addresses: many
 * domains may have the same one, and each domain's own limit says nothing of their sum.
 */
#include "relay/relay_int.h"
#include "sys/lock.h"

struct key {
    struct ip to, from;
    uint16_t port;
};
struct slot {
    struct key key; /* the map's, octet for octet */
    unsigned open;
};

static struct lock slots_lock = LOCK_INIT(LOCK_LEAF);
static struct map slots;

static void make_key(const struct target *t, struct key *key)
{
    memset(key, 0, sizeof(*key));
    key->to = t->ip;
    key->port = t->port;
    if (t->options.has_source)
        key->from = t->options.source;
}

bool slot_take(const struct target *t)
{
    struct key key;
    make_key(t, &key);
    struct lock *held AUTO_UNLOCK = lock_hold(&slots_lock);
    (void)held;
    struct slot *s = map_get(&slots, str_from((const char *)&key, sizeof(key)));
    if (s == NULL) {
        s = mem_new(sizeof(*s));
        s->key = key;
        (void)map_put(&slots, str_from((const char *)&s->key, sizeof(s->key)), s);
    }
    if (s->open >= (unsigned)conf()->max_per_destination)
        return false;
    s->open++;
    return true;
}

void slot_free(const struct target *t)
{
    struct key key;
    make_key(t, &key);
    struct lock *held AUTO_UNLOCK = lock_hold(&slots_lock);
    (void)held;
    struct slot *s = map_get(&slots, str_from((const char *)&key, sizeof(key)));
    if (s == NULL || --s->open > 0)
        return;
    (void)map_remove(&slots, str_from((const char *)&key, sizeof(key)));
    mem_free(&s);
}

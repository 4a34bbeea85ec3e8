/* map.c - open addressing, linear probing, at most 70 % full. */
#include "base/base.h"
#include <stdatomic.h>
#include <sys/random.h>

struct map_slot {
    struct str key; /* p NULL: never used */
    void *value;    /* NULL with a key: removed */
    uint64_t hash;
};

static char tombstone[1];

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 r = (unsigned __int128)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

uint64_t hash_text(struct str s, bool fold, uint64_t seed)
{
    uint64_t h = seed ^ 0x9e3779b97f4a7c15u;
    size_t i = 0;
    while (i < s.n) {
        unsigned char chunk[8] = { 0 };
        size_t n = MIN(s.n - i, sizeof(chunk));
        uint64_t word = 0;
        for (size_t k = 0; fold && k < n; k++)
            chunk[k] = (unsigned char)ascii_lower(s.p[i + k]);
        memcpy(&word, fold ? (const void *)chunk : s.p + i, n);
        h = mix(h ^ word, 0xa0761d6478bd642fu ^ seed);
        i += n;
    }
    return mix(h ^ s.n, 0xe7037ed1a0b428dbu);
}

uint64_t hash_seed(void)
{
    static _Atomic uint64_t seed;
    if (seed == 0) {
        uint64_t fresh = 0, none = 0;
        if (getrandom(&fresh, sizeof(fresh), 0) != (ssize_t)sizeof(fresh))
            fresh = (uint64_t)clock_mono();
        (void)atomic_compare_exchange_strong(&seed, &none, fresh | 1);
    }
    return seed;
}

static bool same(const struct map *m, const struct map_slot *slot, uint64_t hash,
                 struct str key)
{
    return slot->hash == hash && slot->value != NULL &&
           (m->fold ? str_ieq(slot->key, key) : str_eq(slot->key, key));
}

static struct map_slot *find(const struct map *m, uint64_t hash, struct str key)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        if (m->slots[i].key.p == NULL)
            return NULL;
        if (same(m, &m->slots[i], hash, key))
            return &m->slots[i];
    }
}

static void insert(struct map *m, uint64_t hash, struct str key, void *value)
{
    size_t i = hash & (m->cap - 1);
    while (m->slots[i].key.p != NULL)
        i = (i + 1) & (m->cap - 1);
    m->slots[i] = (struct map_slot){ .key = key, .value = value, .hash = hash };
    m->used++;
    m->live++;
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->cap = 16;
    while (m->cap < old.live * 3)
        m->cap *= 2;
    m->slots = mem_new(m->cap * sizeof(*m->slots));
    m->used = m->live = 0;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value != NULL)
            insert(m, old.slots[i].hash, old.slots[i].key, old.slots[i].value);
    mem_free(&old.slots);
}

void *map_get(const struct map *m, struct str key)
{
    struct map_slot *slot = find(m, hash_text(key, m->fold, hash_seed()), key);
    return slot == NULL ? NULL : slot->value;
}

void *map_put(struct map *m, struct str key, void *value)
{
    if (key.p == NULL)
        key = (struct str){ tombstone, 0 };
    uint64_t hash = hash_text(key, m->fold, hash_seed());
    struct map_slot *slot = find(m, hash, key);
    if (slot != NULL) {
        void *before = slot->value;
        slot->value = value;
        slot->key = key;
        return before;
    }
    if (m->cap == 0 || (m->used + 1) * 10 > m->cap * 7)
        grow(m);
    insert(m, hash, key, value);
    return NULL;
}

void *map_remove(struct map *m, struct str key)
{
    struct map_slot *slot = find(m, hash_text(key, m->fold, hash_seed()), key);
    if (slot == NULL)
        return NULL;
    void *before = slot->value;
    slot->key = (struct str){ tombstone, 0 };
    slot->value = NULL;
    m->live--;
    return before;
}

bool map_next(const struct map *m, size_t *at, struct str *out_key, void **out_value)
{
    while (*at < m->cap && m->slots[*at].value == NULL)
        (*at)++;
    if (*at >= m->cap)
        return false;
    *out_key = m->slots[*at].key;
    *out_value = m->slots[*at].value;
    (*at)++;
    return true;
}

void map_release(struct map *m)
{
    mem_free(&m->slots);
    m->cap = m->used = m->live = 0;
}

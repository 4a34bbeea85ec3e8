/* guard_int.h - the shared table of guard.c and limits.c, and its slots (guard.c says how they
 * are used). */
#ifndef HIKYAKU_USERS_GUARD_INT_H
#define HIKYAKU_USERS_GUARD_INT_H

#include "users/guard.h"
#include "users/limits.h"
#include <stdatomic.h>

#define GUARD_WAYS 8u /* slots of a bucket */
#define PAIR_SLOTS 16384u
#define ADDRESS_SLOTS 16384u
#define GOOD_SLOTS 32768u
#define COUNT_SLOTS 65536u
#define HELD_SLOTS 1024u

/* Who is over a limit; a version that is odd is being written (by a process that died: for
 * ever). */
struct held_slot {
    _Atomic uint64_t key; /* 0: free */
    _Atomic uint64_t version;
    _Atomic uint64_t words[sizeof(struct limit_held) / sizeof(uint64_t)];
};
_Static_assert(sizeof(struct limit_held) % sizeof(uint64_t) == 0, "limit_held is whole words");

struct guard_table {
    uint64_t magic, seed;
    _Atomic uint64_t pair[PAIR_SLOTS];
    _Atomic uint64_t address[ADDRESS_SLOTS];
    _Atomic uint64_t good[GOOD_SLOTS];
    /* limits.c */
    _Atomic uint64_t counts[COUNT_SLOTS];
    _Atomic uint64_t changes; /* of held, counted */
    struct held_slot held[HELD_SLOTS];
};
_Static_assert(sizeof(struct guard_table) <= (size_t)2 << 20, "the guard fits in 2 MB");

/* The table of this process. */
struct guard_table *guard_table(void);

/* Slots of one purpose. A slot is one word, from the highest bit: tag, delay in seconds, score,
 * second; the widths of the last two are the area's. */
struct area {
    _Atomic uint64_t *slots;
    uint32_t count;
    uint32_t full, drain_s; /* a full score drains in drain_s; 0: nothing drains */
    unsigned score_bits, second_bits;
};
struct slot {
    uint64_t tag;
    uint32_t second, score, delay_s;
};

/* What becomes of the slot of a key, given its drained state. */
typedef void slot_fn(struct slot *s, uint32_t value);
/* Changes the slot of key; returns its new state. second: clock_mono's. */
struct slot slot_update(const struct area *a, uint64_t key, usec_t now, slot_fn *fn,
                        uint32_t value);
void slot_drop(const struct area *a, uint64_t key);

#endif

/*
 * figures.c - see figures.h. A hash table of slots that are claimed once and never given up
 * before the server ends; when it is full (after SLOTS different domains), further domains
 * aren't counted. A slot's name is only a keyed hash: the sampler knows the names.
 *
 * INVARIANTS
 * 1. `count` only grows, by atomic additions.
 * 2. While a slot's sample is not above the one recorded last, `pending` is what was recorded.
 *    So a new sample's number is written before `pending` is.
 */
#include "users/figures.h"
#include "users/memfile.h"
#include "users/users.h"
#include <stdatomic.h>

#define FIGURES_MAGIC 0x4869466967753031u
#define SLOTS 32768u
#define TRIES 256u

struct figure_slot {
    _Atomic uint64_t key; /* 0: free */
    _Atomic uint64_t count[FIGURES];
    /* the sampler's */
    _Atomic uint64_t sample, pending[FIGURES], taken[FIGURES];
};
struct figure_table {
    uint64_t magic, seed;
    _Atomic uint64_t sample; /* the last one begun */
    struct figure_slot slots[SLOTS];
};

const char *const figure_names[FIGURES] = {
#define X(name) #name,
    FIGURES_EACH(X)
#undef X
};

static struct figure_table *_Atomic table;

enum rc figures_make(int *out_fd, struct err *e)
{
    void *base = NULL;
    int fd AUTO_CLOSE = -1;
    enum rc rc = memfile_make("hikyaku-figures", sizeof(struct figure_table), &fd, &base, e);
    if (rc != RC_OK)
        return rc;
    struct figure_table *t = base;
    t->magic = FIGURES_MAGIC;
    t->seed = hash_seed();
    memfile_unmap(base, sizeof(*t));
    rc = memfile_seal_size(fd, e);
    if (rc != RC_OK)
        return rc;
    *out_fd = fd;
    fd = -1;
    return RC_OK;
}

enum rc figures_use(int fd, struct err *e)
{
    int held AUTO_CLOSE = fd;
    void *base = NULL;
    size_t size = 0;
    enum rc rc = memfile_map(held, true, sizeof(struct figure_table), &base, &size, e);
    if (rc != RC_OK)
        return rc;
    struct figure_table *t = base;
    if (t->magic != FIGURES_MAGIC) {
        memfile_unmap(base, size);
        return err_temp(e, "4.3.0", "not a table of figures");
    }
    atomic_store(&table, t);
    return RC_OK;
}

/* The domain's slot; NULL: it has none, and there is no room or none is claimed. */
static struct figure_slot *slot_of(struct figure_table *t, struct str domain, bool claim)
{
    uint64_t hash = hash_text(domain, true, t->seed), key = hash == 0 ? 1 : hash;
    for (uint64_t i = 0; i < TRIES; i++) {
        struct figure_slot *slot = &t->slots[(key + i) % SLOTS];
        uint64_t is = atomic_load(&slot->key);
        if (is == 0 && !claim)
            return NULL;
        if (is == key || (is == 0 && atomic_compare_exchange_strong(&slot->key, &is, key)) ||
            is == key) /* claimed by another thread just now */
            return slot;
    }
    return NULL;
}

void figure_add(struct str domain, enum figure f, uint64_t n)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct figure_table *t = atomic_load(&table);
    struct str name;
    if (t == NULL || domain.n == 0 || !users_login_domain(STR(""), domain, &a, &name))
        return;
    struct figure_slot *slot = slot_of(t, name, true);
    if (slot != NULL)
        atomic_fetch_add_explicit(&slot->count[f], n, memory_order_relaxed);
}

uint64_t figures_begin(uint64_t kept)
{
    struct figure_table *t = atomic_load(&table);
    if (t == NULL)
        return kept;
    uint64_t sample = MAX(atomic_load(&t->sample), kept) + 1;
    atomic_store(&t->sample, sample);
    return sample;
}

bool figures_grown(struct str domain, uint64_t sample, uint64_t kept, uint64_t out[FIGURES])
{
    struct figure_table *t = atomic_load(&table);
    struct figure_slot *slot = t == NULL ? NULL : slot_of(t, domain, false);
    bool any = false;
    if (slot == NULL)
        return false;
    bool was_kept = atomic_load(&slot->sample) <= kept;
    for (size_t f = 0; was_kept && f < FIGURES; f++)
        atomic_store(&slot->taken[f], atomic_load(&slot->pending[f]));
    atomic_store(&slot->sample, sample);
    for (size_t f = 0; f < FIGURES; f++) {
        uint64_t now = atomic_load(&slot->count[f]);
        atomic_store(&slot->pending[f], now);
        out[f] = now - atomic_load(&slot->taken[f]);
        any = any || out[f] > 0;
    }
    return any;
}

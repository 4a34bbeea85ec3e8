/*
 * guard.c - bad logins, counted in one shared table without locks.
 *
 * Three areas of slots, each slot one 64-bit word that is read, decayed and replaced by one
 * compare-and-swap; a process that dies at any point leaves whole slots behind:
 *   pair     bad logins of (login name, client address)
 *   address  bad logins of a client address, whatever the name
 *   good     (login name, client address) that logged in well lately
 * An IPv6 client is its /64. Names and addresses are kept as keyed hashes only.
 *
 * A bad login adds one to its pair and its address; both drain evenly, a full limit in
 * FORGET_S seconds. Above PAIR_LIMIT or ADDRESS_LIMIT logins are refused unchecked until they
 * have drained below it again, which leaves an attacker about one guess in 30 s for a pair and
 * one in 6 s for an address. One who shares its address with honest users (NAT) can't lock them
 * out: a pair that logged in well lately is refused only for its own bad logins.
 *
 * A bucket that is full gives up its slot that was used longest ago. A stranger can't choose
 * the bucket of a slot, for the hash is keyed.
 */
#include "sys/io.h"
#include "sys/lock.h"
#include "users/guard_int.h"
#include "users/memfile.h"

#define GUARD_MAGIC 0x4869476172643032u

#define FORGET_S 600u      /* in which a full limit drains */
#define PAIR_LIMIT 20u     /* bad logins of a pair */
#define ADDRESS_LIMIT 100u /* bad logins of an address */
#define GOOD_S 604800u     /* how long a good login is remembered */
#define DELAY_MAX_S 60u
#define ADDRESS_DELAY_EVERY 4u /* bad logins of an address that double its delay once */
#define TRIES_MAX 16u          /* of a compare-and-swap; then this count is lost */

/* Of the areas here: tag 22, delay in seconds 6, score in sixteenths 12, second 24. 0 is a free
 * slot. The second wraps every 194 days: a slot that old is long free to take. */
#define SECOND_BITS 24u
#define SCORE_BITS 12u
#define SCORE_ONE 16u
#define TAG_SHIFT 42u
#define SCORE_MAX ((1u << SCORE_BITS) - 1)

static struct lock guard_lock = LOCK_INIT(LOCK_LEAF);
static struct guard_table *_Atomic guard;

static uint32_t second_of(const struct area *a, usec_t now)
{
    return (uint32_t)((uint64_t)(now / USEC_S) & ((1u << a->second_bits) - 1));
}

static struct slot slot_unpack(const struct area *a, uint64_t word)
{
    unsigned delay_at = a->second_bits + a->score_bits;
    return (struct slot){
        .tag = word >> TAG_SHIFT,
        .delay_s = (uint32_t)(word >> delay_at) & ((1u << (TAG_SHIFT - delay_at)) - 1),
        .score = (uint32_t)(word >> a->second_bits) & ((1u << a->score_bits) - 1),
        .second = (uint32_t)word & ((1u << a->second_bits) - 1),
    };
}

static uint64_t slot_pack(const struct area *a, const struct slot *s)
{
    unsigned delay_at = a->second_bits + a->score_bits;
    uint64_t delay = delay_at == TAG_SHIFT ? 0 : (uint64_t)s->delay_s << delay_at;
    return s->tag << TAG_SHIFT | delay | (uint64_t)s->score << a->second_bits | s->second;
}

/* Seconds since the slot was written; a little in the future (another processor) is now. */
static uint32_t slot_age(const struct area *a, const struct slot *s, uint32_t second)
{
    uint32_t mask = (1u << a->second_bits) - 1, age = (second - s->second) & mask;
    return age > mask - 60 ? 0 : age;
}

static uint32_t drained(const struct area *a, const struct slot *s, uint32_t second)
{
    uint64_t drain = a->full == 0 ? 0 : (uint64_t)slot_age(a, s, second) * a->full / a->drain_s;
    return drain >= s->score ? 0 : s->score - (uint32_t)drain;
}

/* --- the table --------------------------------------------------------------------------- */

static void table_init(struct guard_table *t)
{
    t->magic = GUARD_MAGIC;
    t->seed = hash_seed();
}

enum rc guard_make(int *out_fd, struct err *e)
{
    void *base = NULL;
    int fd AUTO_CLOSE = -1;
    enum rc rc = memfile_make("hikyaku-guard", sizeof(struct guard_table), &fd, &base, e);
    if (rc != RC_OK)
        return rc;
    table_init(base);
    memfile_unmap(base, sizeof(struct guard_table));
    rc = memfile_seal_size(fd, e);
    if (rc != RC_OK)
        return rc;
    *out_fd = fd;
    fd = -1;
    return RC_OK;
}

enum rc guard_use(int fd, struct err *e)
{
    int held AUTO_CLOSE = fd;
    void *base = NULL;
    size_t size = 0;
    enum rc rc = memfile_map(held, true, sizeof(struct guard_table), &base, &size, e);
    if (rc != RC_OK)
        return rc;
    struct guard_table *t = base;
    if (t->magic != GUARD_MAGIC) {
        memfile_unmap(base, size);
        return err_temp(e, "4.3.0", "not a table of bad logins");
    }
    /* A table used before stays mapped: another thread may still look at it. */
    atomic_store(&guard, t);
    return RC_OK;
}

struct guard_table *guard_table(void)
{
    struct guard_table *t = atomic_load(&guard);
    if (t != NULL)
        return t;
    struct lock *held AUTO_UNLOCK = lock_hold(&guard_lock);
    (void)held;
    t = atomic_load(&guard);
    if (t == NULL) {
        t = mem_new(sizeof(*t));
        table_init(t);
        atomic_store(&guard, t);
    }
    return t;
}

static struct area area_pair(struct guard_table *t)
{
    return (struct area){ t->pair,  PAIR_SLOTS, PAIR_LIMIT * SCORE_ONE,
                          FORGET_S, SCORE_BITS, SECOND_BITS };
}

static struct area area_address(struct guard_table *t)
{
    return (struct area){ t->address, ADDRESS_SLOTS, ADDRESS_LIMIT * SCORE_ONE,
                          FORGET_S,   SCORE_BITS,    SECOND_BITS };
}

static struct area area_good(struct guard_table *t)
{
    return (struct area){ t->good, GOOD_SLOTS, 0, 0, SCORE_BITS, SECOND_BITS };
}

/* --- keys -------------------------------------------------------------------------------- */

static uint64_t key_of_address(const struct guard_table *t, const struct ip *client)
{
    return hash_text(str_from((const char *)client->b, ip_is_v4(client) ? 16 : 8), false,
                     t->seed);
}

/* "user:domain" counts as "user@domain"; case doesn't matter. */
static uint64_t key_of_pair(const struct guard_table *t, const struct ip *client,
                            struct str login)
{
    uint64_t seed = key_of_address(t, client);
    size_t cut = str_rfind(login, '@');
    if (cut == SIZE_MAX)
        cut = str_rfind(login, ':');
    if (cut == SIZE_MAX)
        return hash_text(login, true, seed);
    return hash_text(str_skip(login, cut + 1), true,
                     hash_text(str_head(login, cut), true, seed) | 1);
}

static uint64_t tag_of(uint64_t key)
{
    uint64_t tag = key >> TAG_SHIFT;
    return tag == 0 ? 1 : tag;
}

/* --- slots ------------------------------------------------------------------------------- */

static _Atomic uint64_t *bucket_of(const struct area *a, uint64_t key)
{
    return a->slots + (key % (a->count / GUARD_WAYS)) * GUARD_WAYS;
}

/* The slot of key as it was at some moment of this call; false: there is none. */
static bool slot_find(const struct area *a, uint64_t key, struct slot *out)
{
    _Atomic uint64_t *bucket = bucket_of(a, key);
    for (uint32_t i = 0; i < GUARD_WAYS; i++) {
        uint64_t word = atomic_load_explicit(&bucket[i], memory_order_relaxed);
        struct slot s = slot_unpack(a, word);
        if (word != 0 && s.tag == tag_of(key)) {
            *out = s;
            return true;
        }
    }
    return false;
}

/* Where key is or should go: its own slot, else a free one, else the one used longest ago. */
static _Atomic uint64_t *slot_choose(const struct area *a, uint64_t key, uint32_t second,
                                     uint64_t *out_word)
{
    _Atomic uint64_t *bucket = bucket_of(a, key), *best = bucket;
    uint32_t best_age = 0;
    *out_word = atomic_load_explicit(best, memory_order_relaxed);
    for (uint32_t i = 0; i < GUARD_WAYS; i++) {
        uint64_t word = atomic_load_explicit(&bucket[i], memory_order_relaxed);
        struct slot s = slot_unpack(a, word);
        bool own = word != 0 && s.tag == tag_of(key);
        uint32_t age = word == 0 ? UINT32_MAX : slot_age(a, &s, second);
        if (own || age > best_age) {
            best = &bucket[i];
            best_age = age;
            *out_word = word;
        }
        if (own)
            break;
    }
    return best;
}

struct slot slot_update(const struct area *a, uint64_t key, usec_t now, slot_fn *fn,
                        uint32_t value)
{
    uint32_t second = second_of(a, now);
    struct slot s = { .tag = tag_of(key) };
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        uint64_t word = 0;
        _Atomic uint64_t *at = slot_choose(a, key, second, &word);
        s = slot_unpack(a, word);
        if (word == 0 || s.tag != tag_of(key))
            s = (struct slot){ .tag = tag_of(key), .second = second };
        s.score = drained(a, &s, second);
        s.second = second;
        fn(&s, value);
        if (atomic_compare_exchange_strong(at, &word, slot_pack(a, &s)))
            break;
    }
    return s;
}

void slot_drop(const struct area *a, uint64_t key)
{
    _Atomic uint64_t *bucket = bucket_of(a, key);
    for (uint32_t i = 0; i < GUARD_WAYS; i++) {
        uint64_t word = atomic_load(&bucket[i]);
        if (word != 0 && slot_unpack(a, word).tag == tag_of(key))
            (void)atomic_compare_exchange_strong(&bucket[i], &word, 0);
    }
}

/* --- what callers ask -------------------------------------------------------------------- */

/* base doubled `times` times, at most DELAY_MAX_S. */
static usec_t doubled(usec_t base, uint32_t times)
{
    usec_t most = (usec_t)DELAY_MAX_S * USEC_S;
    usec_t delay = MIN(MAX(base, 0), most);
    for (uint32_t i = 0; i < times && delay < most; i++)
        delay *= 2;
    return MIN(delay, most);
}

static void add_bad(struct slot *s, uint32_t value)
{
    (void)value;
    s->score = MIN(s->score + SCORE_ONE, SCORE_MAX);
}

static void set_delay(struct slot *s, uint32_t value)
{
    s->delay_s = value;
}

static void set_good(struct slot *s, uint32_t value)
{
    s->score = value;
}

/* Bad logins in a score, a part of one counting as one. */
static uint32_t score_count(uint32_t score)
{
    return (score + SCORE_ONE - 1) / SCORE_ONE;
}

static bool is_over(const struct area *a, uint64_t key, usec_t now)
{
    struct slot s;
    uint32_t second = second_of(a, now);
    return slot_find(a, key, &s) && drained(a, &s, second) >= a->full;
}

static bool was_good(const struct area *a, uint64_t key, usec_t now)
{
    struct slot s;
    uint32_t second = second_of(a, now);
    return slot_find(a, key, &s) && slot_age(a, &s, second) < GOOD_S;
}

usec_t guard_delay(const struct ip *client, struct str login, usec_t now)
{
    struct guard_table *t = guard_table();
    struct area pairs = area_pair(t), addresses = area_address(t), good = area_good(t);
    struct limit_held held;
    uint64_t pair = key_of_pair(t, client, login);
    if (is_over(&pairs, pair, now))
        return USEC_FOREVER;
    bool suspect =
        is_over(&addresses, key_of_address(t, client), now) ||
        limits_find_client(client, LIMIT_BAD_LOGINS, &held) ||
        (limits_find_account(login, LIMIT_BAD_LOGINS, &held) && held.what == LIMIT_BAD_LOGINS);
    if (suspect && !was_good(&good, pair, now))
        return USEC_FOREVER;
    struct slot s;
    if (!slot_find(&pairs, pair, &s))
        return 0;
    uint32_t age = slot_age(&pairs, &s, second_of(&pairs, now));
    return age >= s.delay_s ? 0 : (usec_t)(s.delay_s - age) * USEC_S;
}

usec_t guard_bad(const struct ip *client, struct str login, bool known, usec_t base_delay,
                 usec_t now)
{
    struct guard_table *t = guard_table();
    struct area pairs = area_pair(t), addresses = area_address(t);
    uint64_t pair = key_of_pair(t, client, login);
    struct slot by_pair = slot_update(&pairs, pair, now, add_bad, 0);
    struct slot by_address =
        slot_update(&addresses, key_of_address(t, client), now, add_bad, 0);
    uint32_t times = MAX(score_count(by_pair.score) - 1,
                         (score_count(by_address.score) - 1) / ADDRESS_DELAY_EVERY);
    usec_t delay = doubled(base_delay, times);
    (void)slot_update(&pairs, pair, now, set_delay, (uint32_t)(delay / USEC_S));
    limits_count_client(client, LIMIT_BAD_LOGINS);
    if (known)
        limits_count_account(login, LIMIT_BAD_LOGINS);
    return delay;
}

void guard_good(const struct ip *client, struct str login)
{
    struct guard_table *t = guard_table();
    struct area pairs = area_pair(t), good = area_good(t);
    uint64_t pair = key_of_pair(t, client, login);
    slot_drop(&pairs, pair);
    (void)slot_update(&good, pair, clock_mono(), set_good, SCORE_ONE);
}

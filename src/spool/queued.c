/* queued.c - see queued.h. One lock: who asks while another one looks at the disk waits. */
#include "spool/queued.h"
#include "sys/lock.h"
#include <stdlib.h>

#define ENTRIES_MAX ((size_t)500000)
#define FRESH_TIME (USEC_S / 2) /* a look isn't repeated within, nor within its own length */
#define IDLE_TIME (600 * USEC_S)

static struct lock queued_lock = LOCK_INIT(LOCK_USERS);
static struct map by_id; /* struct queued * */
static struct buf order; /* pointers to them, oldest first */
static usec_t looked, look_took, asked;
static unsigned turn;
static size_t left_out;
static bool changed;

void queued_init(void)
{
    buf_init(&order, (size_t)1 << 30);
}

/* With the lock held. */
static void forget_all(void)
{
    size_t at = 0;
    struct str key;
    void *value = NULL;
    while (map_next(&by_id, &at, &key, &value))
        mem_free(&value);
    map_release(&by_id);
    buf_release(&order);
    buf_init(&order, (size_t)1 << 30);
    looked = 0;
}

void queued_free(void)
{
    lock_take(&queued_lock);
    forget_all();
    lock_drop(&queued_lock);
}

void queued_tick(void)
{
    lock_take(&queued_lock);
    if (looked != 0 && clock_mono() - asked > IDLE_TIME)
        forget_all();
    lock_drop(&queued_lock);
}

void queued_changed(void)
{
    lock_take(&queued_lock);
    changed = true;
    lock_drop(&queued_lock);
}

/* --- one entry ---------------------------------------------------------------------------- */

/* "[192.0.2.7]:1234" is 192.0.2.7 */
static struct str client_address(struct str client)
{
    size_t end = str_find(client, ']');
    return str_starts(client, STR("[")) && end != SIZE_MAX ? str_from(client.p + 1, end - 1)
                                                           : client;
}

static struct str keep(char **at, struct str s)
{
    struct str kept = { *at, s.n };
    if (s.n > 0)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return kept;
}

static bool is_open(bool frozen, enum delivery_state state)
{
    return frozen ? state != DELIVERY_DONE : state == DELIVERY_PENDING;
}

bool queued_is_open(const struct queued *entry, const struct queued_rcpt *rcpt)
{
    return is_open(entry->frozen, rcpt->state);
}

/* One block: the summary, its recipients, their text. */
static struct queued *summary_of(const struct spool_entry *entry, bool frozen, struct arena *a)
{
    const struct envelope *env = &entry->env;
    size_t count = env->recipient_count;
    struct str *given = arena_new_array(a, struct str, count + 1);
    struct str from = address_print(&env->reverse_path, a);
    struct str client = client_address(env->client);
    size_t n = entry->id.n + from.n + env->auth_user.n + client.n + entry->via.n;
    for (size_t i = 0; i < count; i++) {
        given[i] = address_print(&env->recipients[i].address, a);
        n += given[i].n + env->recipients[i].resolved.domain.n + entry->reasons[i].n;
    }
    struct queued *q = mem_new(sizeof(*q) + count * sizeof(*q->rcpts) + n);
    q->rcpts = (struct queued_rcpt *)(void *)(q + 1);
    char *at = (char *)(q->rcpts + count);
    q->id = keep(&at, entry->id);
    q->from = keep(&at, from);
    q->auth = keep(&at, env->auth_user);
    q->client = keep(&at, client);
    q->via = keep(&at, entry->via);
    q->received_at = env->received_at;
    q->next_try = entry->next_try;
    q->octets = entry->wire_octets;
    q->tries = entry->tries;
    q->frozen = frozen;
    q->held = entry->held;
    q->rcpt_count = count;
    for (size_t i = 0; i < count; i++) {
        q->rcpts[i] = (struct queued_rcpt){ keep(&at, given[i]),
                                            keep(&at, env->recipients[i].resolved.domain),
                                            keep(&at, entry->reasons[i]), entry->states[i] };
        q->pending += is_open(frozen, entry->states[i]);
    }
    return q;
}

/* NULL: it is gone, or can't be read (the queue role will say so). */
static struct queued *read_entry(struct str id, bool frozen)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct spool_entry entry;
    struct err e;
    uint64_t stamp = spool_stamp(id, frozen); /* before: what is newer is read again */
    enum rc rc =
        frozen ? spool_open_frozen(id, &a, &entry, &e) : spool_open(id, &a, &entry, &e);
    if (rc != RC_OK)
        return NULL;
    struct queued *q = summary_of(&entry, frozen, &a);
    q->stamp = stamp;
    spool_close(&entry);
    return q;
}

/* --- all of them -------------------------------------------------------------------------- */

static void see(struct str id, bool frozen)
{
    struct queued *q = map_get(&by_id, id);
    if (q != NULL && (q->frozen != frozen || q->stamp != spool_stamp(id, frozen))) {
        (void)map_remove(&by_id, id);
        mem_free(&q);
    }
    if (q == NULL && by_id.live >= ENTRIES_MAX) {
        left_out++;
        return;
    }
    if (q == NULL) {
        q = read_entry(id, frozen);
        if (q == NULL)
            return;
        (void)map_put(&by_id, q->id, q);
    }
    q->seen = turn;
    buf_must(buf_add(&order, &q, sizeof(struct queued *)));
}

static bool see_waiting(void *ctx, struct str id)
{
    (void)ctx;
    see(id, false);
    return true;
}

static bool see_frozen(void *ctx, struct str id)
{
    (void)ctx;
    see(id, true);
    return true;
}

static void drop_unseen(void)
{
    size_t at = 0;
    struct str key;
    void *value = NULL;
    struct buf gone AUTO_RELEASE_BUF;
    buf_init(&gone, (size_t)1 << 30);
    while (map_next(&by_id, &at, &key, &value))
        if (((struct queued *)value)->seen != turn)
            buf_must(buf_add(&gone, &value, sizeof(value)));
    for (size_t i = 0; i < gone.n; i += sizeof(value)) {
        memcpy(&value, gone.p + i, sizeof(value));
        (void)map_remove(&by_id, ((struct queued *)value)->id);
        mem_free(&value);
    }
}

/* With the lock held. */
static enum rc look(struct err *e)
{
    usec_t now = clock_mono();
    asked = now;
    if (looked != 0 && !changed && now - looked < MAX(FRESH_TIME, look_took))
        return RC_OK;
    changed = false;
    turn++;
    left_out = 0;
    buf_reset(&order);
    enum rc rc = spool_scan(see_waiting, NULL, e);
    if (rc == RC_OK)
        rc = spool_scan_frozen(see_frozen, NULL, e);
    if (rc == RC_OK)
        drop_unseen();
    looked = rc == RC_OK ? clock_mono() : 0;
    look_took = clock_mono() - now;
    return rc;
}

/* --- which are meant ---------------------------------------------------------------------- */

bool queued_state_of(struct str text, enum queued_state *out)
{
    static const char *const names[] = { "", "waiting", "held", "frozen" };
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(text, str_from_c(names[i]))) {
            *out = (enum queued_state)i;
            return true;
        }
    return false;
}

static bool is_equal(struct str value, struct str wanted)
{
    return wanted.n == 0 || str_ieq(value, wanted);
}

static bool rcpt_is_meant(const struct queued_filter *f, const struct queued *q)
{
    if (f->to.n == 0 && f->domain.n == 0 && f->reason.n == 0)
        return true;
    for (size_t i = 0; i < q->rcpt_count; i++) {
        const struct queued_rcpt *r = &q->rcpts[i];
        if (queued_is_open(q, r) && is_equal(r->address, f->to) &&
            is_equal(r->domain, f->domain) &&
            (f->reason.n == 0 || str_ifind_str(r->reason, f->reason) != SIZE_MAX))
            return true;
    }
    return false;
}

static bool holds(const struct queued *q, struct str text)
{
    const struct str own[] = { q->id, q->from, q->auth, q->client, q->via };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (str_ifind_str(own[i], text) != SIZE_MAX)
            return true;
    for (size_t i = 0; i < q->rcpt_count; i++)
        if (str_ifind_str(q->rcpts[i].address, text) != SIZE_MAX ||
            str_ifind_str(q->rcpts[i].reason, text) != SIZE_MAX)
            return true;
    return false;
}

static bool is_meant(const struct queued_filter *f, const struct queued *q)
{
    enum queued_state state = q->frozen ? QUEUED_FROZEN
                              : q->held ? QUEUED_HELD
                                        : QUEUED_WAITING;
    return (f->state == QUEUED_ANY ? !q->frozen : state == f->state) &&
           is_equal(q->from, f->from) && is_equal(q->auth, f->auth) &&
           is_equal(q->client, f->client) && rcpt_is_meant(f, q) &&
           (f->search.n == 0 || holds(q, f->search));
}

enum rc queued_walk(const struct queued_filter *f,
                    bool (*fn)(void *ctx, const struct queued *entry), void *ctx,
                    size_t *out_left_out, struct err *e)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&queued_lock);
    (void)held;
    enum rc rc = look(e);
    if (rc != RC_OK)
        return rc;
    *out_left_out = left_out;
    for (size_t i = 0; i < order.n; i += sizeof(struct queued *)) {
        const struct queued *q = NULL;
        memcpy(&q, order.p + i, sizeof(q));
        if (is_meant(f, q) && !fn(ctx, q))
            break;
    }
    return RC_OK;
}

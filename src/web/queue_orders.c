/* queue_orders.c - orders to the queue from the pages: one entry at once, many as a job. The
 * control role carries them out, as those of `hikyaku queue`. */
#include "spool/queued.h"
#include "spool/spool.h"
#include "sys/lock.h"
#include "web/jobs.h"

#define SEEN_TIME (2 * USEC_S)
#define LOOK_TIME (20 * USEC_MS)
#define AFTER_MOST 3600

static const char *const orders[] = { "try", "hold", "release", "reroute", "delete" };

/* Of the jobs. */
static const char *const kinds[] = { "queue-try", "queue-hold", "queue-release",
                                     "queue-reroute", "queue-delete" };

/* The order's kind of job; NULL: it is none. */
static const char *kind_of(struct str order)
{
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (str_eq(order, str_from_c(orders[i])))
            return kinds[i];
    return NULL;
}

static bool is_order(struct str order)
{
    return kind_of(order) != NULL;
}

/* The order as a command; 0: it means nothing for a frozen entry. */
static size_t make_words(struct str order, struct str hosts, struct str id, bool frozen,
                         struct str words[4])
{
    bool tries = str_eq(order, STR("try")), deletes = str_eq(order, STR("delete"));
    if (frozen && !tries && !deletes)
        return 0;
    if (frozen) {
        words[0] = tries ? STR("frozsubmit") : STR("frozdel");
        words[1] = words[2] = STR("0");
        words[3] = id;
        return 4;
    }
    words[0] = STR("queueorder");
    words[1] = order;
    words[2] = id;
    words[3] = hosts;
    return str_eq(order, STR("reroute")) ? 4 : 3;
}

/* The queue role works by itself: until it shows, for a moment. */
static void wait_until_seen(struct str id, bool frozen, uint64_t stamp)
{
    usec_t until = clock_mono() + SEEN_TIME;
    while (clock_mono() < until && spool_stamp(id, frozen) == stamp &&
           (frozen ? spool_is_frozen(id) : spool_exists(id)))
        thread_pause(LOOK_TIME);
    queued_changed();
}

static void order_one(struct web *w, struct str order, struct str hosts)
{
    struct str words[4], id = w->params[0];
    struct control_answer answer;
    bool frozen = !spool_exists(id) && spool_is_frozen(id);
    if (!frozen && !spool_exists(id)) {
        web_fail(w, 404, "unknown", "there is no such message in the queue");
        return;
    }
    size_t count = make_words(order, hosts, id, frozen, words);
    uint64_t stamp = spool_stamp(id, frozen);
    if (count == 0) {
        web_fail(w, 422, "frozen", "a frozen message can be tried again or deleted");
        return;
    }
    if (!web_control(w, words, count, STR(""), &answer))
        return;
    buf_release(&answer.lines);
    if (frozen || !str_eq(order, STR("try")))
        wait_until_seen(id, frozen, stamp);
    else
        queued_changed();
    w->h.response.status = 204;
}

void api_queue_order(struct web *w)
{
    struct str order, hosts;
    if (!web_member(w, "order", &order) || !web_member_or_empty(w, "hosts", &hosts))
        return;
    if (!is_order(order) || str_eq(order, STR("delete"))) {
        web_fail(w, 422, "invalid", "order is try, hold, release or reroute");
        return;
    }
    order_one(w, order, hosts);
}

void api_queue_delete(struct web *w)
{
    order_one(w, STR("delete"), STR(""));
}

/* --- many --------------------------------------------------------------------------------- */

struct many {
    struct arena mem;
    struct str order, hosts;
    struct buf ids; /* struct wanted */
    bool only_held; /* what was released since isn't meant any more */
};
struct wanted {
    struct str id;
    bool frozen;
};

static bool want(void *ctx, const struct queued *q)
{
    struct many *m = ctx;
    struct wanted one = { arena_str(&m->mem, q->id), q->frozen };
    return buf_add(&m->ids, &one, sizeof(one)) == RC_OK;
}

static void free_many(void *ctx)
{
    struct many *m = ctx;
    buf_release(&m->ids);
    arena_release(&m->mem);
    mem_free(&m);
}

/* Is it still held, or frozen? */
static bool is_kept_back(const struct wanted *one)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct spool_entry entry;
    struct err e;
    if (one->frozen || spool_open(one->id, &a, &entry, &e) != RC_OK)
        return one->frozen;
    spool_close(&entry);
    return entry.held;
}

static json_t *run_many(struct job *job, void *ctx)
{
    struct many *m = ctx;
    json_int_t done = 0, failed = 0;
    for (size_t i = 0; i < m->ids.n; i += sizeof(struct wanted)) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct link_by by = job_by(job, &a);
        struct control_answer answer;
        struct str words[4];
        struct wanted one;
        struct err e;
        memcpy(&one, m->ids.p + i, sizeof(one));
        size_t count = m->only_held && !is_kept_back(&one)
                           ? 0
                           : make_words(m->order, m->hosts, one.id, one.frozen, words);
        bool ok = count > 0 && link_ask_by(&by, words, count, STR(""), &answer, &e) == RC_OK &&
                  answer.ok;
        if (count > 0)
            buf_release(&answer.lines);
        *(ok ? &done : &failed) += 1;
        if (!job_step(job))
            break;
    }
    queued_changed();
    return json_pack("{s:I, s:I}", "done", done, "failed", failed);
}

/* The ids named in the body; false: answered. */
static bool take_ids(struct web *w, const json_t *ids, struct many *m)
{
    size_t i = 0;
    json_t *value = NULL;
    json_array_foreach(ids, i, value)
    {
        struct str id = str_from(json_string_value(value), json_string_length(value));
        if (id.p == NULL || !spool_id_is_valid(id)) {
            web_fail(w, 422, "invalid", "ids must be those of messages");
            return false;
        }
        struct wanted one = { arena_str(&m->mem, id), !spool_exists(id) };
        buf_must(buf_add(&m->ids, &one, sizeof(one)));
    }
    return true;
}

static struct str member_of(const json_t *o, const char *name)
{
    const json_t *value = json_object_get(o, name);
    return json_is_string(value) ? str_from(json_string_value(value), json_string_length(value))
                                 : STR("");
}

/* All that the body's filter means; false: answered. */
static bool take_matching(struct web *w, const json_t *filter, struct many *m)
{
    struct queued_filter f = { .search = member_of(filter, "search"),
                               .from = member_of(filter, "from"),
                               .auth = member_of(filter, "auth"),
                               .to = member_of(filter, "to"),
                               .domain = member_of(filter, "domain"),
                               .client = member_of(filter, "client"),
                               .reason = member_of(filter, "reason") };
    struct err e;
    size_t left_out = 0;
    if (!queued_state_of(member_of(filter, "state"), &f.state)) {
        web_fail(w, 422, "invalid", "state is waiting, held or frozen");
        return false;
    }
    if (queued_walk(&f, want, m, &left_out, &e) == RC_OK)
        return true;
    web_trouble(w, &e);
    return false;
}

void api_queue_orders(struct web *w)
{
    struct str order, hosts;
    const json_t *ids = json_object_get(w->body, "ids");
    const json_t *filter = json_object_get(w->body, "filter");
    json_int_t after = json_integer_value(json_object_get(w->body, "after"));
    if (!web_member(w, "order", &order) || !web_member_or_empty(w, "hosts", &hosts))
        return;
    if (!is_order(order) || json_is_array(ids) == json_is_object(filter) || after < 0 ||
        after > AFTER_MOST) {
        web_fail(w, 422, "invalid",
                 "order is try, hold, release, reroute or delete; and ids or filter; after is "
                 "at most an hour");
        return;
    }
    if (str_eq(order, STR("delete")) && !web_is_confirmed(w))
        return;
    struct many *m = mem_new(sizeof(*m));
    buf_init(&m->ids, (size_t)1 << 30);
    m->order = arena_str(&m->mem, order);
    m->hosts = arena_str(&m->mem, hosts);
    if (!(ids != NULL ? take_ids(w, ids, m) : take_matching(w, filter, m))) {
        free_many(m);
        return;
    }
    m->only_held = after > 0;
    (void)job_start(w, &(struct job_work){ kind_of(order), run_many, free_many, m,
                                           m->ids.n / sizeof(struct wanted),
                                           member_of(filter, "auth"), (unsigned)after });
}

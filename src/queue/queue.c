/*
 * queue.c - the scheduler: an object of the pool that owns the heap of entries by due time,
 * starts jobs on workers, and hands groups of recipients to the relay role. Jobs and other
 * roles reach it through its inbox.
 *
 * An item is in the heap, or held, or active: a job works on it, or its groups are with the
 * relay role; then a job settles what came of them.
 */
#include "queue/queue_int.h"
#include "sys/lock.h"
#include <stdatomic.h>

#define JOBS_AT_ONCE 8u
#define TASKS_MOST ((size_t)20000) /* waiting for the relay role; then no further look */
#define CLOCK_STEP (2 * USEC_S)    /* less is drift */
#define CROWD_PAUSE (30 * USEC_S)

/* One entry known to the scheduler; in `known` by id. */
struct item {
    struct str id;
    usec_t due; /* wall clock */
    bool active, held;
    bool again;               /* notified while active */
    bool planned;             /* due is when an attempt said */
    size_t at;                /* in the heap */
    unsigned tasks;           /* groups with the relay role */
    struct outcome *outcomes; /* what came of them */
    struct order *orders;     /* to be carried out next */
    char *place;              /* where all of it goes, when that is one place; else NULL */
    char id_text[48];
};

struct order {
    struct order *next;
    enum queue_order order;
    char argument[];
};

enum letter_kind {
    LETTER_NOTICE,
    LETTER_JOB_DONE,
    LETTER_ORDER,
    LETTER_FLUSH,
    LETTER_READY,
    LETTER_RESULT,
    LETTER_RELAY_DONE,
};

/* A message to the scheduler, kept in a list. */
struct letter {
    struct letter *next;
    enum letter_kind kind;
    struct item *item; /* JOB_DONE */
    struct attempt_result result;
    struct outcome *outcomes; /* JOB_DONE: unrecorded */
    uint64_t job, rcpt;
    enum queue_outcome outcome;
    enum queue_order order;
    unsigned flags;
    char id[48];
    char *text, *rcpts;
};

struct job {
    struct queue *queue;
    struct item *item;
    struct order *order;      /* else NULL */
    struct outcome *outcomes; /* settling */
    bool settles, planned;
    pool_ticket ticket;
};

struct queue {
    struct pool *pool;
    pool_ticket ticket;
    queue_relay_fn *relay;
    bool relay_ready;
    struct map known;   /* scheduler only */
    struct item **heap; /* scheduler only: smallest due first */
    size_t heap_n, heap_cap;
    struct item **settling; /* scheduler only: whose groups are done */
    size_t settling_n, settling_cap;
    struct destinations destinations;
    struct map tasks; /* struct task by job, the octets of it */
    uint64_t last_job;
    unsigned active;
    usec_t clock_offset; /* wall clock less monotonic one */
    bool stopping;
    _Atomic bool rescan;
    _Atomic uint64_t waiting_now, active_now;
    struct lock lock;     /* protects inbox */
    struct letter *inbox; /* newest first */
};

/* --- the heap ---------------------------------------------------------------------------- */

static void heap_swap(struct queue *q, size_t i, size_t j)
{
    struct item *t = q->heap[i];
    q->heap[i] = q->heap[j];
    q->heap[j] = t;
    q->heap[i]->at = i;
    q->heap[j]->at = j;
}

static void heap_lift(struct queue *q, size_t i)
{
    for (; i > 0 && q->heap[i]->due < q->heap[(i - 1) / 2]->due; i = (i - 1) / 2)
        heap_swap(q, i, (i - 1) / 2);
}

static void grow(struct item ***list, size_t n, size_t *cap)
{
    if (n < *cap)
        return;
    size_t more = MAX(*cap * 2, (size_t)64);
    struct item **grown = mem_new(more * sizeof(struct item *));
    if (n > 0)
        memcpy(grown, *list, n * sizeof(struct item *));
    mem_free(list);
    *list = grown;
    *cap = more;
}

static void heap_push(struct queue *q, struct item *item)
{
    grow(&q->heap, q->heap_n, &q->heap_cap);
    item->at = q->heap_n++;
    q->heap[item->at] = item;
    heap_lift(q, item->at);
}

static void heap_sift(struct queue *q, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < q->heap_n; child++)
            if (q->heap[child]->due < q->heap[least]->due)
                least = child;
        if (least == i)
            return;
        heap_swap(q, i, least);
        i = least;
    }
}

static struct item *heap_pop(struct queue *q)
{
    struct item *top = q->heap[0];
    q->heap[0] = q->heap[--q->heap_n];
    q->heap[0]->at = 0;
    heap_sift(q, 0);
    return top;
}

static void item_free(struct item **item)
{
    outcomes_free(&(*item)->outcomes);
    while ((*item)->orders != NULL) {
        struct order *o = (*item)->orders;
        (*item)->orders = o->next;
        mem_free(&o);
    }
    mem_free(&(*item)->place);
    mem_free(item);
}

/* --- letters ----------------------------------------------------------------------------- */

static void post(struct queue *q, struct letter *letter)
{
    lock_take(&q->lock);
    letter->next = q->inbox;
    q->inbox = letter;
    lock_drop(&q->lock);
    pool_wake(q->pool, q->ticket);
}

static struct letter *letter_new(enum letter_kind kind, struct str id)
{
    struct letter *letter = mem_new(sizeof(*letter));
    letter->kind = kind;
    memcpy(letter->id, id.p, MIN(id.n, sizeof(letter->id) - 1));
    return letter;
}

static char *heap_text(struct str s)
{
    char *p = mem_new(s.n + 1);
    memcpy(p, s.p, s.n);
    return p;
}

void queue_notify(struct queue *q, struct str id)
{
    if (spool_id_is_valid(id))
        post(q, letter_new(LETTER_NOTICE, id));
}

void queue_order(struct queue *q, enum queue_order order, struct str id, struct str argument)
{
    if (!spool_id_is_valid(id))
        return;
    struct letter *letter = letter_new(LETTER_ORDER, id);
    letter->order = order;
    letter->text = heap_text(argument);
    post(q, letter);
}

void queue_flush(struct queue *q, struct str pattern)
{
    struct letter *letter = letter_new(LETTER_FLUSH, STR(""));
    letter->text = heap_text(pattern);
    post(q, letter);
}

void queue_relay_ready(struct queue *q)
{
    post(q, letter_new(LETTER_READY, STR("")));
}

void queue_relay_result(struct queue *q, uint64_t job, uint64_t recipient,
                        enum queue_outcome outcome, struct str reason)
{
    struct letter *letter = letter_new(LETTER_RESULT, STR(""));
    letter->job = job;
    letter->rcpt = recipient;
    letter->outcome = outcome;
    letter->text = heap_text(reason);
    post(q, letter);
}

void queue_relay_done(struct queue *q, uint64_t job, enum queue_outcome outcome, unsigned flags,
                      struct str reason, struct str id, struct str rcpts)
{
    struct letter *letter = letter_new(LETTER_RELAY_DONE, spool_id_is_valid(id) ? id : STR(""));
    letter->job = job;
    letter->outcome = outcome;
    letter->flags = flags;
    letter->text = heap_text(reason);
    letter->rcpts = heap_text(rcpts);
    post(q, letter);
}

void queue_rescan(struct queue *q)
{
    q->rescan = true;
    pool_wake(q->pool, q->ticket);
}

/* --- items ------------------------------------------------------------------------------- */

/* An item that waits is due now, before all others. */
static void hurry(struct queue *q, struct item *item)
{
    item->due = 0;
    item->planned = false;
    if (item->held) {
        item->held = false;
        heap_push(q, item);
    } else {
        heap_lift(q, item->at);
    }
}

/* The entry is to be looked at; urgent: now, else when it isn't waiting for a time of its own.
 */
static struct item *learn(struct queue *q, struct str id, bool urgent)
{
    struct item *item = map_get(&q->known, id);
    if (item != NULL) {
        item->again = item->active;
        if (urgent && !item->active && !item->held)
            hurry(q, item);
        return item;
    }
    item = mem_new(sizeof(*item));
    memcpy(item->id_text, id.p, MIN(id.n, sizeof(item->id_text) - 1));
    item->id = str_from_c(item->id_text);
    item->due = urgent ? 0 : clock_wall();
    (void)map_put(&q->known, item->id, item);
    heap_push(q, item);
    return item;
}

static void add_order(struct item *item, enum queue_order order, const char *argument)
{
    size_t n = strlen(argument);
    struct order *o = mem_new(sizeof(*o) + n + 1);
    o->order = order;
    memcpy(o->argument, argument, n);
    struct order **last = &item->orders;
    while (*last != NULL)
        last = &(*last)->next;
    *last = o;
    item->again = item->active;
}

static void take_order(struct queue *q, const struct letter *letter)
{
    struct item *item = learn(q, str_from_c(letter->id), true);
    add_order(item, letter->order, letter->text);
    if (!item->active)
        hurry(q, item);
}

static void flush(struct queue *q, struct str pattern)
{
    size_t n = 0;
    destinations_forget_trouble(&q->destinations, pattern);
    for (size_t i = 0; i < q->heap_n; i++) {
        struct item *item = q->heap[i];
        if (item->place != NULL && !str_matches(str_from_c(item->place), pattern))
            continue;
        if (item->orders == NULL)
            add_order(item, QUEUE_TRY, "");
        item->planned = false;
        item->due = 0;
        n++;
    }
    for (size_t i = q->heap_n / 2; i-- > 0;)
        heap_sift(q, i);
    log_info(EV("queue flushed"), KS("pattern", pattern), KU("entries", n));
}

/* The item's groups are on their way, or known to be in vain. */
static void settle_later(struct queue *q, struct item *item)
{
    grow(&q->settling, q->settling_n, &q->settling_cap);
    q->settling[q->settling_n++] = item;
}

/* All recipients of a group have the same outcome. */
static void outcome_for_all(struct item *item, const char *rcpts, enum queue_outcome outcome,
                            bool remote_dsn, struct str reason)
{
    struct str rest = str_from_c(rcpts), word;
    uint64_t i = 0;
    while (rest.n > 0 && str_cut(&rest, ' ', &word)) {
        bool known = false;
        if (!str_to_u64(word, &i))
            continue;
        for (const struct outcome *o = item->outcomes; o != NULL; o = o->next)
            known = known || o->rcpt == i;
        if (!known)
            item->outcomes =
                outcome_new((size_t)i, outcome, remote_dsn, reason, item->outcomes);
    }
}

static void send_groups(struct queue *q, struct item *item, struct group *groups)
{
    mem_free(&item->place);
    item->place = groups->next == NULL ? heap_text(str_from_c(groups->place)) : NULL;
    while (groups != NULL) {
        struct group *g = groups;
        struct str reason;
        groups = g->next;
        g->next = NULL;
        if (destination_is_down(&q->destinations, str_from_c(g->place), clock_mono(),
                                &reason)) {
            outcome_for_all(item, g->rcpts, OUTCOME_TEMP, false, reason);
            group_free(&g);
            continue;
        }
        struct task *t = mem_new(sizeof(*t));
        t->item = item;
        t->group = g;
        item->tasks++;
        destination_add(&q->destinations, t);
    }
    if (item->tasks == 0)
        settle_later(q, item);
}

static void job_finished(struct queue *q, struct item *item, struct attempt_result *result,
                         struct outcome *unrecorded)
{
    q->active--;
    if (unrecorded != NULL)
        item->outcomes = unrecorded;
    if (result->groups != NULL) {
        send_groups(q, item, result->groups);
        return;
    }
    item->active = false;
    if (!result->again && !item->again && item->orders == NULL) {
        (void)map_remove(&q->known, item->id);
        item_free(&item);
        return;
    }
    item->held = result->again && result->due == USEC_FOREVER && !item->again;
    item->planned = !item->again && item->orders == NULL;
    item->due = item->planned ? result->due : 0;
    item->again = false;
    if (!item->held)
        heap_push(q, item);
}

/* --- the relay role ---------------------------------------------------------------------- */

static struct task *task_of(struct queue *q, uint64_t job)
{
    return map_get(&q->tasks, str_from((const char *)&job, sizeof(job)));
}

static void task_over(struct queue *q, struct task *t)
{
    struct item *item = t->item;
    group_free(&t->group);
    mem_free(&t);
    if (--item->tasks == 0)
        settle_later(q, item);
}

/* The place is down: what waits for it need not wait for an attempt each. */
static void give_up_waiting(struct queue *q, struct destination *d, struct str reason)
{
    struct task *t = destination_drain(&q->destinations, d);
    while (t != NULL) {
        struct task *next = t->next;
        outcome_for_all(t->item, t->group->rcpts, OUTCOME_TEMP, false, reason);
        task_over(q, t);
        t = next;
    }
}

/* An attempt that the process before this one asked for. */
static void orphan_done(struct queue *q, const struct letter *letter)
{
    struct str id = str_from_c(letter->id);
    if (id.n == 0 || letter->outcome == OUTCOME_TEMP)
        return;
    struct item *item = learn(q, id, true);
    outcome_for_all(item, letter->rcpts, letter->outcome,
                    (letter->flags & QUEUE_REMOTE_DSN) != 0, str_from_c(letter->text));
}

static void relay_done(struct queue *q, const struct letter *letter)
{
    struct task *t = task_of(q, letter->job);
    struct str reason = str_from_c(letter->text), ignored;
    if (t == NULL) {
        orphan_done(q, letter);
        return;
    }
    struct destination *d = t->destination;
    if ((letter->flags & QUEUE_BUSY) != 0) {
        (void)map_remove(&q->tasks, str_from((const char *)&t->job, sizeof(t->job)));
        t->job = 0;
        destination_pause(&q->destinations, t, clock_mono());
        return;
    }
    char *place = heap_text(str_from_c(d->place));
    (void)map_remove(&q->tasks, str_from((const char *)&t->job, sizeof(t->job)));
    outcome_for_all(t->item, t->group->rcpts, letter->outcome,
                    (letter->flags & QUEUE_REMOTE_DSN) != 0, reason);
    bool reached = (letter->flags & QUEUE_UNREACHABLE) == 0;
    task_over(q, t);
    destination_done(&q->destinations, d, reached, reason, clock_mono());
    if (!reached &&
        destination_is_down(&q->destinations, str_from_c(place), clock_mono(), &ignored))
        give_up_waiting(q, d, reason);
    mem_free(&place);
}

static void relay_result(struct queue *q, const struct letter *letter)
{
    const struct task *t = task_of(q, letter->job);
    if (t != NULL)
        t->item->outcomes = outcome_new((size_t)letter->rcpt, letter->outcome, false,
                                        str_from_c(letter->text), t->item->outcomes);
}

/* The relay role has nothing under way: what it was asked for before is asked again. */
static void relay_ready(struct queue *q)
{
    struct str key;
    void *value = NULL;
    struct task *list = NULL;
    for (size_t at = 0; map_next(&q->tasks, &at, &key, &value);) {
        struct task *t = value;
        t->next = list;
        list = t;
    }
    map_release(&q->tasks);
    while (list != NULL) {
        struct task *t = list;
        list = t->next;
        t->job = 0;
        outcomes_free(&t->item->outcomes);
        destination_put_back(&q->destinations, t);
    }
    q->relay_ready = true;
}

static void start_tasks(struct queue *q)
{
    size_t most = (size_t)conf()->relay_threads;
    destinations_resume(&q->destinations, clock_mono());
    while (q->relay_ready && q->relay != NULL && q->destinations.active < most) {
        struct task *t = destination_next(&q->destinations);
        if (t == NULL)
            return;
        t->job = ++q->last_job;
        const struct queue_relay request = {
            .job = t->job,
            .id = t->item->id,
            .rcpts = str_from_c(t->group->rcpts),
            .via = t->group->via ? str_from_c(t->group->place) : STR(""),
        };
        if (!q->relay(&request)) {
            destination_put_back(&q->destinations, t);
            return;
        }
        (void)map_put(&q->tasks, str_from((const char *)&t->job, sizeof(t->job)), t);
    }
}

/* --- reading letters --------------------------------------------------------------------- */

static void read_letter(struct queue *q, struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_NOTICE:
        (void)learn(q, str_from_c(letter->id), true);
        break;
    case LETTER_JOB_DONE:
        job_finished(q, letter->item, &letter->result, letter->outcomes);
        break;
    case LETTER_ORDER:
        take_order(q, letter);
        break;
    case LETTER_FLUSH:
        flush(q, str_from_c(letter->text));
        break;
    case LETTER_READY:
        relay_ready(q);
        break;
    case LETTER_RESULT:
        relay_result(q, letter);
        break;
    case LETTER_RELAY_DONE:
        relay_done(q, letter);
        break;
    }
}

static void read_inbox(struct queue *q)
{
    lock_take(&q->lock);
    struct letter *newest = q->inbox, *oldest = NULL;
    q->inbox = NULL;
    lock_drop(&q->lock);
    while (newest != NULL) {
        struct letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct letter *letter = oldest;
        oldest = letter->next;
        read_letter(q, letter);
        mem_free(&letter->text);
        mem_free(&letter->rcpts);
        mem_free(&letter);
    }
}

/* --- jobs -------------------------------------------------------------------------------- */

static void new_entry(void *ctx, struct str id)
{
    queue_notify(ctx, id);
}

static void job_run(struct pool *pool, void *object, unsigned events)
{
    struct job *job = object;
    struct queue *q = job->queue;
    struct letter *letter = letter_new(LETTER_JOB_DONE, STR(""));
    usec_t now = clock_wall();
    (void)events;
    letter->item = job->item;
    if (job->settles)
        attempt_settle(job->item->id, job->outcomes, now, new_entry, q, &letter->result);
    else if (job->order != NULL)
        attempt_order(job->item->id, job->order->order, str_from_c(job->order->argument), now,
                      new_entry, q, &letter->result);
    else
        attempt_look(job->item->id, job->planned, now, new_entry, q, &letter->result);
    pool_forget(pool, job->ticket);
    if (letter->result.unrecorded) {
        letter->outcomes = job->outcomes;
        job->outcomes = NULL;
    }
    outcomes_free(&job->outcomes);
    mem_free(&job->order);
    mem_free(&job);
    post(q, letter);
}

/* Starts one job; false when the pool has no room. */
static bool start_job(struct queue *q, struct item *item, bool settles)
{
    struct err e;
    struct job *job = mem_new(sizeof(*job));
    job->queue = q;
    job->item = item;
    /* What an attempt of the process before led to is settled first. */
    job->settles = settles || item->outcomes != NULL;
    if (job->settles) {
        job->outcomes = item->outcomes;
        item->outcomes = NULL;
    } else if (item->orders != NULL) {
        job->order = item->orders;
        item->orders = job->order->next;
    }
    job->planned = item->planned;
    item->active = true;
    q->active++;
    if (pool_add(q->pool, job, job_run, -1, &job->ticket, &e) == RC_OK)
        return true; /* the job may be over already */
    log_error(EV("delivery not started"), KE(&e));
    q->active--;
    item->active = settles; /* as it was */
    if (job->settles)
        item->outcomes = job->outcomes;
    if (job->order != NULL) {
        job->order->next = item->orders;
        item->orders = job->order;
    }
    mem_free(&job);
    return false;
}

static bool scan_one(void *ctx, struct str id)
{
    (void)learn(ctx, id, false);
    return true;
}

static void scan(struct queue *q)
{
    struct err e;
    q->rescan = false;
    destinations_forget_old(&q->destinations, clock_mono());
    if (spool_scan(scan_one, q, &e) != RC_OK) {
        log_error(EV("queue can't be read"), KE(&e));
        q->rescan = true;
    }
}

/* An item whose place has enough to do already needn't be opened. */
static bool is_crowded(struct queue *q, struct item *item)
{
    if (item->place == NULL || item->orders != NULL ||
        !destination_is_crowded(&q->destinations, str_from_c(item->place)))
        return false;
    item->due = clock_wall() + CROWD_PAUSE +
                (usec_t)(hash_text(item->id, false, 3) % (uint64_t)CROWD_PAUSE);
    return true;
}

/* The wall clock was set: what waits keeps its pauses. */
static void follow_clock(struct queue *q)
{
    usec_t offset = clock_wall() - clock_mono(), moved = offset - q->clock_offset;
    if (moved > -CLOCK_STEP && moved < CLOCK_STEP)
        return;
    q->clock_offset = offset;
    for (size_t i = 0; i < q->heap_n; i++) /* all alike: it stays a heap */
        if (q->heap[i]->due > 0)
            q->heap[i]->due += moved;
    log_warn(EV("clock was set"), KI("seconds", moved / USEC_S));
}

static void schedule(struct queue *q)
{
    start_tasks(q);
    while (q->active < JOBS_AT_ONCE && q->settling_n > 0) {
        if (!start_job(q, q->settling[q->settling_n - 1], true))
            return;
        q->settling_n--;
    }
    while (q->active < JOBS_AT_ONCE && q->heap_n > 0 && q->heap[0]->due <= clock_wall() &&
           q->destinations.waiting < TASKS_MOST) {
        struct item *item = heap_pop(q);
        if (is_crowded(q, item)) {
            heap_push(q, item);
            continue;
        }
        if (!start_job(q, item, false)) {
            item->due = clock_wall() + USEC_S;
            heap_push(q, item);
            return;
        }
    }
}

static void scheduler_run(struct pool *pool, void *object, unsigned events)
{
    struct queue *q = object;
    follow_clock(q);
    read_inbox(q);
    q->stopping = q->stopping || (events & POOL_STOP) != 0;
    if (q->stopping && q->active == 0) {
        pool_forget(pool, q->ticket);
        return;
    }
    if (!q->stopping && q->rescan)
        scan(q);
    if (!q->stopping)
        schedule(q);
    q->waiting_now = q->known.live - q->active - q->destinations.active;
    q->active_now = q->active + q->destinations.active;
    usec_t next = clock_mono() + 60 * USEC_S;
    bool room = q->active < JOBS_AT_ONCE && q->destinations.waiting < TASKS_MOST;
    if (q->heap_n > 0 && room)
        next = MIN(next, clock_mono() + MAX(q->heap[0]->due - clock_wall(), (usec_t)0));
    if (q->destinations.waiting > 0 && q->relay_ready)
        next = MIN(next, clock_mono() + 100 * USEC_MS); /* the channel may have been full */
    pool_park(pool, q->ticket, 0, next);
}

enum rc queue_start(struct pool *pool, queue_relay_fn *relay, struct queue **out, struct err *e)
{
    struct queue *q = mem_new(sizeof(*q));
    q->pool = pool;
    q->relay = relay;
    q->rescan = true;
    q->clock_offset = clock_wall() - clock_mono();
    lock_init(&q->lock, LOCK_QUEUE);
    *out = q;
    enum rc rc = pool_add(pool, q, scheduler_run, -1, &q->ticket, e);
    if (rc != RC_OK)
        mem_free(out);
    return rc;
}

static void tasks_free(struct task *t)
{
    while (t != NULL) {
        struct task *next = t->next;
        group_free(&t->group);
        mem_free(&t);
        t = next;
    }
}

void queue_free(struct queue **queue)
{
    struct queue *q = *queue;
    struct str key;
    void *value = NULL;
    if (q == NULL)
        return;
    read_inbox(q);
    for (size_t at = 0; map_next(&q->tasks, &at, &key, &value);) {
        struct task *t = value;
        t->next = NULL;
        tasks_free(t);
    }
    for (size_t at = 0; map_next(&q->destinations.by_place, &at, &key, &value);)
        tasks_free(destination_drain(&q->destinations, value));
    for (size_t at = 0; map_next(&q->known, &at, &key, &value);) {
        struct item *item = value;
        item_free(&item);
    }
    destinations_free(&q->destinations);
    map_release(&q->tasks);
    map_release(&q->known);
    mem_free(&q->heap);
    mem_free(&q->settling);
    mem_free(queue);
}

void queue_take_local(struct queue *q)
{
    static usec_t next;
    usec_t now = clock_mono();
    if (conf()->lmail_off || now < next)
        return;
    next = now + conf()->lmail_s * USEC_S;
    lmail_take(new_entry, q);
}

void queue_stats_get(struct queue *q, struct queue_stats *out)
{
    *out = (struct queue_stats){ .waiting = q->waiting_now, .active = q->active_now };
}

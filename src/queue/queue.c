/*
 * queue.c - the scheduler: an object of the pool that owns the heap of entries by due time,
 * starts jobs on workers, and hands groups of recipients to the relay role. Jobs and other
 * roles reach it through its inbox.
 *
 * An item is in the heap, or held, or active: a job works on it, or its groups are with the
 * relay role; then a job settles what came of them.
 */
#include "queue/processing.h"
#include "queue/scheduler.h"

#define TASKS_MOST ((size_t)20000) /* waiting for the relay role; then no further look */
#define CLOCK_STEP (2 * USEC_S)    /* less is drift */
#define CROWD_PAUSE (30 * USEC_S)

struct job {
    struct queue *queue;
    struct item *item;
    struct order *order;      /* else NULL */
    struct outcome *outcomes; /* settling */
    bool settles, notes, planned;
    pool_ticket ticket;
};

struct inbox *queue_inbox(struct queue *q)
{
    return &q->inbox;
}

void queue_wake(struct queue *q)
{
    pool_wake(q->pool, q->ticket);
}

void queue_rescan(struct queue *q)
{
    q->rescan = true;
    queue_wake(q);
}

/* --- items ------------------------------------------------------------------------------- */

static void take_order(struct queue *q, const struct letter *letter)
{
    struct item *item = items_learn(&q->items, str_from_c(letter->id), true);
    item_add_order(item, letter->order, letter->text);
    if (!item->active)
        items_hurry(&q->items, item);
}

static void flush(struct queue *q, struct str pattern)
{
    destinations_forget_trouble(&q->destinations, pattern);
    size_t n = items_flush(&q->items, pattern);
    log_info(EV("queue flushed"), KS("pattern", pattern), KU("entries", n));
}

/* The item's groups are on their way, or known to be in vain. */
void queue_settle_later(struct queue *q, struct item *item)
{
    item->next = q->settling;
    q->settling = item;
}

void queue_send_groups(struct queue *q, struct item *item, struct group *groups)
{
    mem_free(&item->place);
    item->place =
        groups->next == NULL && !groups->programs ? heap_text(str_from_c(groups->place)) : NULL;
    while (groups != NULL) {
        struct group *g = groups;
        struct str reason;
        groups = g->next;
        g->next = NULL;
        if (g->programs) {
            tasks_add_programs(q, item, g);
            continue;
        }
        if (destination_is_down(&q->destinations, str_from_c(g->place), clock_mono(),
                                &reason)) {
            item_outcome_for_all(item, g->rcpts, OUTCOME_TEMP, false, reason);
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
        queue_settle_later(q, item);
}

static void job_finished(struct queue *q, struct item *item, struct attempt_result *result,
                         struct outcome *unrecorded)
{
    q->active--;
    if (unrecorded != NULL)
        item_take_outcomes(item, unrecorded);
    if (result->groups != NULL) {
        queue_send_groups(q, item, result->groups);
        return;
    }
    item->active = false;
    if (!result->again && !item->again && item->orders == NULL) {
        items_forget(&q->items, item);
        return;
    }
    item->held = result->again && result->due == USEC_FOREVER && !item->again;
    item->planned = !item->again && item->orders == NULL;
    item->due = item->planned ? result->due : 0;
    item->again = false;
    if (!item->held)
        items_wait(&q->items, item);
}

static void noted(struct queue *q, struct item *item)
{
    q->active--;
    item->noting = false;
    if (item->tasks == 0)
        queue_settle_later(q, item);
}

/* --- reading letters --------------------------------------------------------------------- */

static void read_letter(struct queue *q, struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_NOTICE:
        (void)items_learn(&q->items, str_from_c(letter->id), true);
        break;
    case LETTER_JOB_DONE:
        job_finished(q, letter->item, &letter->result, letter->outcomes);
        break;
    case LETTER_NOTED:
        noted(q, letter->item);
        break;
    case LETTER_ORDER:
        take_order(q, letter);
        break;
    case LETTER_FLUSH:
        flush(q, str_from_c(letter->text));
        break;
    case LETTER_READY:
        tasks_relay_ready(q);
        break;
    case LETTER_RESULT:
        tasks_relay_result(q, letter);
        break;
    case LETTER_RELAY_DONE:
        tasks_relay_done(q, letter);
        break;
    case LETTER_RUNNER:
        q->runner_ready = true;
        break;
    case LETTER_PROCESSED:
        tasks_processed(q, letter);
        break;
    }
}

static void read_inbox(struct queue *q)
{
    for (struct letter *letter = inbox_take(&q->inbox), *next = NULL; letter != NULL;
         letter = next) {
        next = letter->next;
        read_letter(q, letter);
        letter_free(&letter);
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
    struct letter *letter = letter_new(job->notes ? LETTER_NOTED : LETTER_JOB_DONE, STR(""));
    usec_t now = clock_wall();
    (void)events;
    letter->item = job->item;
    if (job->notes)
        attempt_note(job->item->id, job->outcomes);
    else if (job->settles)
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
    letter_post(q, letter);
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
        job->outcomes = item_give_outcomes(item);
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
        item_take_outcomes(item, job->outcomes);
    if (job->order != NULL) {
        job->order->next = item->orders;
        item->orders = job->order;
    }
    mem_free(&job);
    return false;
}

/* What is known of a large entry is recorded while the rest of it is under way: a crash repeats
 * little. */
void queue_start_noting(struct queue *q, struct item *item)
{
    struct err e;
    if (q->active >= JOBS_AT_ONCE)
        return; /* with the next group */
    struct job *job = mem_new(sizeof(*job));
    *job = (struct job){ .queue = q, .item = item, .notes = true };
    job->outcomes = item_copy_unnoted(item);
    item->noting = true;
    q->active++;
    if (pool_add(q->pool, job, job_run, -1, &job->ticket, &e) == RC_OK)
        return;
    log_error(EV("outcomes not recorded yet"), KE(&e));
    q->active--;
    item->noting = false;
    outcomes_free(&job->outcomes);
    mem_free(&job);
}

static bool scan_one(void *ctx, struct str id)
{
    struct queue *q = ctx;
    (void)items_learn(&q->items, id, false);
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
    items_shift(&q->items, moved);
    log_warn(EV("clock was set"), KI("seconds", moved / USEC_S));
}

static void schedule(struct queue *q)
{
    tasks_start(q);
    while (q->active < JOBS_AT_ONCE && q->settling != NULL) {
        struct item *item = q->settling;
        q->settling = item->next;
        if (!start_job(q, item, true)) {
            queue_settle_later(q, item);
            return;
        }
    }
    while (q->active < JOBS_AT_ONCE && items_due(&q->items) <= clock_wall() &&
           q->destinations.waiting + q->lanes.waiting < TASKS_MOST) {
        struct item *item = items_pop(&q->items);
        if (is_crowded(q, item)) {
            items_wait(&q->items, item);
            continue;
        }
        if (!start_job(q, item, false)) {
            item->due = clock_wall() + USEC_S;
            items_wait(&q->items, item);
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
    if (q->stopping)
        programs_stop();
    if (q->stopping && q->active + q->lanes.active == 0) {
        pool_forget(pool, q->ticket);
        return;
    }
    if (!q->stopping && q->rescan)
        scan(q);
    if (!q->stopping)
        schedule(q);
    unsigned active = q->active + q->lanes.active + (unsigned)q->destinations.active;
    q->waiting_now = q->items.known.live - MIN(q->items.known.live, active);
    q->active_now = active;
    usec_t next = clock_mono() + 60 * USEC_S;
    bool room =
        q->active < JOBS_AT_ONCE && q->destinations.waiting + q->lanes.waiting < TASKS_MOST;
    if (room && items_due(&q->items) != USEC_FOREVER)
        next = MIN(next, clock_mono() + MAX(items_due(&q->items) - clock_wall(), (usec_t)0));
    if (q->destinations.waiting > 0 && q->relay_ready)
        next = MIN(next, clock_mono() + 100 * USEC_MS); /* the channel may have been full */
    next = MIN(next, destinations_resume_at(&q->destinations));
    pool_park(pool, q->ticket, 0, next);
}

enum rc queue_start(struct pool *pool, queue_relay_fn *relay, struct queue **out, struct err *e)
{
    struct queue *q = mem_new(sizeof(*q));
    q->pool = pool;
    q->relay = relay;
    q->rescan = true;
    q->clock_offset = clock_wall() - clock_mono();
    lock_init(&q->inbox.lock, LOCK_QUEUE);
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
    for (struct task *t = NULL; (t = lanes_next(&q->lanes)) != NULL;)
        tasks_free(t);
    for (size_t at = 0; map_next(&q->destinations.by_place, &at, &key, &value);)
        tasks_free(destination_drain(&q->destinations, value));
    items_free(&q->items);
    destinations_free(&q->destinations);
    map_release(&q->tasks);
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

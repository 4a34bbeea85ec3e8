/*
 * tasks.c - groups of recipients that are under way: with the relay role, or on threads of
 * their own that wait for programs. Called by the scheduler (queue.c).
 */
#include "queue/processing.h"
#include "queue/scheduler.h"

#define NOTE_AT 100u /* recipients of an entry known and not yet recorded */

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
    if (--item->tasks == 0 && !item->noting)
        queue_settle_later(q, item);
    else if (item->tasks > 0 && !item->noting && item->unnoted >= NOTE_AT)
        queue_start_noting(q, item);
}

/* The place is down: what waits for it need not wait for an attempt each. */
static void give_up_waiting(struct queue *q, struct destination *d, struct str reason)
{
    struct task *t = destination_drain(&q->destinations, d);
    while (t != NULL) {
        struct task *next = t->next;
        item_outcome_for_all(t->item, t->group->rcpts, OUTCOME_TEMP, false, reason);
        task_over(q, t);
        t = next;
    }
}

/* What came of an attempt that the process before this one asked for. */
static void orphan_result(struct queue *q, const struct letter *letter)
{
    struct str id = str_from_c(letter->id);
    if (id.n == 0 || letter->outcome == OUTCOME_TEMP)
        return;
    struct item *item = items_learn(&q->items, id, true);
    item_outcome_for_all(item, letter->rcpts, letter->outcome,
                         (letter->flags & QUEUE_REMOTE_DSN) != 0, str_from_c(letter->text));
}

void tasks_relay_done(struct queue *q, const struct letter *letter)
{
    struct task *t = task_of(q, letter->job);
    struct str reason = str_from_c(letter->text), ignored;
    if (t == NULL) {
        orphan_result(q, letter);
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
    item_outcome_for_all(t->item, t->group->rcpts, letter->outcome,
                         (letter->flags & QUEUE_REMOTE_DSN) != 0, reason);
    bool reached = (letter->flags & QUEUE_UNREACHABLE) == 0;
    task_over(q, t);
    destination_done(&q->destinations, d, reached, reason, clock_mono());
    if (!reached &&
        destination_is_down(&q->destinations, str_from_c(place), clock_mono(), &ignored))
        give_up_waiting(q, d, reason);
    mem_free(&place);
}

void tasks_relay_result(struct queue *q, const struct letter *letter)
{
    const struct task *t = task_of(q, letter->job);
    if (t == NULL)
        orphan_result(q, letter);
    else
        item_outcome_for_all(t->item, letter->rcpts, letter->outcome,
                             (letter->flags & QUEUE_REMOTE_DSN) != 0, str_from_c(letter->text));
}

/* The relay role has nothing under way: what it was asked for before, and has told nothing of,
 * is asked again. */
void tasks_relay_ready(struct queue *q)
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
        destination_put_back(&q->destinations, t);
    }
    q->relay_ready = true;
}

static void start_relay(struct queue *q)
{
    size_t most = (size_t)conf()->relay_threads;
    destinations_resume(&q->destinations, clock_mono());
    while (q->relay_ready && q->relay != NULL && q->destinations.active < most) {
        struct task *t = destination_next(&q->destinations);
        if (t == NULL)
            return;
        if (!item_drop_known(t->item, t->group)) {
            destination_forget(&q->destinations, t);
            task_over(q, t);
            continue;
        }
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

/* --- programs ----------------------------------------------------------------------------- */

struct program_job {
    struct queue *queue;
    struct task *task;
    pool_ticket ticket;
};

void tasks_add_programs(struct queue *q, struct item *item, struct group *g)
{
    struct task *t = mem_new(sizeof(*t));
    t->item = item;
    t->group = g;
    item->tasks++;
    lanes_add(&q->lanes, t);
}

static void new_entry(void *ctx, struct str id)
{
    queue_notify(ctx, id);
}

static void program_job_run(struct pool *pool, void *object, unsigned events)
{
    struct program_job *job = object;
    struct queue *q = job->queue;
    struct letter *letter = letter_new(LETTER_PROCESSED, STR(""));
    (void)events;
    letter->task = job->task;
    attempt_process(job->task->item->id, job->task->group->rcpts, new_entry, q,
                    &letter->outcomes, &letter->groups);
    pool_forget(pool, job->ticket);
    mem_free(&job);
    letter_post(q, letter);
}

void tasks_processed(struct queue *q, struct letter *letter)
{
    struct task *t = letter->task;
    q->lanes.active--;
    item_add_outcomes(t->item, letter->outcomes);
    letter->outcomes = NULL;
    if (letter->groups != NULL)
        queue_send_groups(q, t->item, letter->groups);
    task_over(q, t);
}

static void start_programs(struct queue *q)
{
    unsigned most = MIN(QUEUE_PROGRAM_THREADS, (unsigned)conf()->max_programs);
    while (q->runner_ready && q->lanes.waiting > 0 && q->lanes.active < most) {
        struct err e;
        struct program_job *job = mem_new(sizeof(*job));
        *job = (struct program_job){ .queue = q, .task = lanes_next(&q->lanes) };
        if (pool_add(q->pool, job, program_job_run, -1, &job->ticket, &e) == RC_OK)
            continue;
        log_error(EV("programs not started"), KE(&e));
        lanes_add(&q->lanes, job->task);
        q->lanes.active--;
        mem_free(&job);
        return;
    }
}

void tasks_start(struct queue *q)
{
    start_relay(q);
    start_programs(q);
}

void queue_runner_ready(struct queue *q)
{
    programs_lost();
    letter_post(q, letter_new(LETTER_RUNNER, STR("")));
}

/*
 * queue.c - the scheduler: an object of the pool that owns the heap of entries by due time and
 * starts jobs, a few at a time. Jobs and other roles reach it through its inbox.
 */
#include "queue/queue_int.h"
#include "sys/lock.h"
#include <stdatomic.h>

#define JOBS_AT_ONCE 8u

/* One entry known to the scheduler; in `known` by id, and in the heap unless active. */
struct item {
    struct str id;
    usec_t due; /* wall clock */
    bool active;
    bool again; /* notified while active */
    char id_text[64];
};

/* A message to the scheduler, kept in a list. */
struct letter {
    struct letter *next;
    struct item *finished; /* a job's item, or NULL: a notice about `id` */
    struct attempt_result result;
    char id[64];
};

struct job {
    struct queue *queue;
    struct item *item;
    pool_ticket ticket;
};

struct queue {
    struct pool *pool;
    pool_ticket ticket;
    struct map known;   /* scheduler only */
    struct item **heap; /* scheduler only: smallest due first */
    size_t heap_n, heap_cap;
    unsigned active;
    bool stopping;
    _Atomic bool rescan;
    _Atomic uint64_t waiting_now, active_now;
    struct lock lock;     /* protects inbox */
    struct letter *inbox; /* newest first */
};

/* --- the heap
 * ---------------------------------------------------------------------------------- */

static void heap_swap(struct queue *q, size_t i, size_t j)
{
    struct item *t = q->heap[i];
    q->heap[i] = q->heap[j];
    q->heap[j] = t;
}

static void heap_push(struct queue *q, struct item *item)
{
    if (q->heap_n == q->heap_cap) {
        size_t cap = MAX(q->heap_cap * 2, (size_t)64);
        struct item **grown = mem_new(cap * sizeof(struct item *));
        if (q->heap_n > 0)
            memcpy(grown, q->heap, q->heap_n * sizeof(struct item *));
        mem_free(&q->heap);
        q->heap = grown;
        q->heap_cap = cap;
    }
    size_t i = q->heap_n++;
    q->heap[i] = item;
    for (; i > 0 && q->heap[i]->due < q->heap[(i - 1) / 2]->due; i = (i - 1) / 2)
        heap_swap(q, i, (i - 1) / 2);
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
    heap_sift(q, 0);
    return top;
}

/* --- letters
 * ----------------------------------------------------------------------------------- */

static void post(struct queue *q, struct letter *letter)
{
    lock_take(&q->lock);
    letter->next = q->inbox;
    q->inbox = letter;
    lock_drop(&q->lock);
    pool_wake(q->pool, q->ticket);
}

void queue_notify(struct queue *q, struct str id)
{
    if (!spool_id_is_valid(id))
        return;
    struct letter *letter = mem_new(sizeof(*letter));
    memcpy(letter->id, id.p, id.n);
    post(q, letter);
}

void queue_rescan(struct queue *q)
{
    q->rescan = true;
    pool_wake(q->pool, q->ticket);
}

static void learn(struct queue *q, struct str id, usec_t due)
{
    struct item *item = map_get(&q->known, id);
    if (item != NULL) {
        item->again = item->active;
        return;
    }
    item = mem_new(sizeof(*item));
    memcpy(item->id_text, id.p, MIN(id.n, sizeof(item->id_text) - 1));
    item->id = str_from_c(item->id_text);
    item->due = due;
    (void)map_put(&q->known, item->id, item);
    heap_push(q, item);
}

static void job_finished(struct queue *q, struct item *item,
                         const struct attempt_result *result)
{
    q->active--;
    item->active = false;
    if (!result->again && !item->again) {
        (void)map_remove(&q->known, item->id);
        mem_free(&item);
        return;
    }
    item->due = item->again ? clock_wall() : result->due;
    item->again = false;
    heap_push(q, item);
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
        if (letter->finished != NULL)
            job_finished(q, letter->finished, &letter->result);
        else
            learn(q, str_from_c(letter->id), clock_wall());
        mem_free(&letter);
    }
}

/* --- jobs
 * ---------------------------------------------------------------------------------------- */

static void job_run(struct pool *pool, void *object, unsigned events)
{
    struct job *job = object;
    (void)events;
    struct letter *letter = mem_new(sizeof(*letter));
    attempt_entry(job->item->id, clock_wall(), &letter->result);
    letter->finished = job->item;
    struct queue *q = job->queue;
    pool_forget(pool, job->ticket);
    mem_free(&job);
    post(q, letter);
}

/* Starts one job; false when the pool has no room. */
static bool start_job(struct queue *q, struct item *item)
{
    struct err e;
    struct job *job = mem_new(sizeof(*job));
    job->queue = q;
    job->item = item;
    item->active = true;
    if (pool_add(q->pool, job, job_run, -1, &job->ticket, &e) == RC_OK) {
        q->active++;
        return true;
    }
    log_error(EV("delivery not started"), KE(&e));
    item->active = false;
    mem_free(&job);
    return false;
}

static bool scan_one(void *ctx, struct str id)
{
    learn(ctx, id, clock_wall());
    return true;
}

static void scan(struct queue *q)
{
    struct err e;
    q->rescan = false;
    if (spool_scan(scan_one, q, &e) != RC_OK) {
        log_error(EV("queue can't be read"), KE(&e));
        q->rescan = true;
    }
}

static void schedule(struct queue *q)
{
    while (q->active < JOBS_AT_ONCE && q->heap_n > 0 && q->heap[0]->due <= clock_wall()) {
        struct item *item = heap_pop(q);
        if (!start_job(q, item)) {
            item->due = clock_wall() + USEC_S;
            heap_push(q, item);
            return;
        }
    }
}

static void scheduler_run(struct pool *pool, void *object, unsigned events)
{
    struct queue *q = object;
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
    q->waiting_now = q->heap_n;
    q->active_now = q->active;
    usec_t next = clock_mono() + 60 * USEC_S;
    if (q->heap_n > 0 && q->active < JOBS_AT_ONCE)
        next = MIN(next, clock_mono() + MAX(q->heap[0]->due - clock_wall(), (usec_t)0));
    pool_park(pool, q->ticket, 0, next);
}

enum rc queue_start(struct pool *pool, struct queue **out, struct err *e)
{
    struct queue *q = mem_new(sizeof(*q));
    q->pool = pool;
    q->rescan = true;
    lock_init(&q->lock, LOCK_QUEUE);
    *out = q;
    enum rc rc = pool_add(pool, q, scheduler_run, -1, &q->ticket, e);
    if (rc != RC_OK)
        mem_free(out);
    return rc;
}

void queue_free(struct queue **queue)
{
    struct queue *q = *queue;
    if (q == NULL)
        return;
    read_inbox(q);
    while (q->heap_n > 0) {
        struct item *item = heap_pop(q);
        mem_free(&item);
    }
    map_release(&q->known);
    mem_free(&q->heap);
    mem_free(queue);
}

void queue_stats_get(struct queue *q, struct queue_stats *out)
{
    *out = (struct queue_stats){
        .waiting = q->waiting_now,
        .active = q->active_now,
    };
}

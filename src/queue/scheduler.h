/* scheduler.h - the scheduler's state, and what queue.c and tasks.c call of each other. Only
 * the scheduler's own thread of the moment touches it, but for the inbox and what is atomic. */
#ifndef HIKYAKU_QUEUE_SCHEDULER_H
#define HIKYAKU_QUEUE_SCHEDULER_H

#include "queue/queue_int.h"
#include <stdatomic.h>

#define JOBS_AT_ONCE 8u

struct queue {
    struct pool *pool;
    pool_ticket ticket;
    queue_relay_fn *relay;
    bool relay_ready, runner_ready;
    struct items items;
    struct item *settling; /* whose groups are done; linked by next */
    struct destinations destinations;
    struct map tasks; /* struct task by job, the octets of it */
    struct lanes lanes;
    uint64_t last_job;
    unsigned active;
    usec_t clock_offset; /* wall clock less monotonic one */
    bool stopping;
    _Atomic bool rescan;
    _Atomic uint64_t waiting_now, active_now;
    struct inbox inbox;
};

/* --- queue.c ------------------------------------------------------------------------------ */

/* The item's groups are over, or known to be in vain. */
void queue_settle_later(struct queue *q, struct item *item);
void queue_send_groups(struct queue *q, struct item *item, struct group *groups);
/* What is known of a large entry is recorded while the rest of it is under way. */
void queue_start_noting(struct queue *q, struct item *item);

/* --- tasks.c ------------------------------------------------------------------------------ */

/* What the relay role said of a whole attempt. */
void tasks_relay_done(struct queue *q, const struct letter *letter);
/* The same of one recipient. */
void tasks_relay_result(struct queue *q, const struct letter *letter);
/* The relay role takes attempts, and has nothing under way. */
void tasks_relay_ready(struct queue *q);
/* The group waits for programs; it is the task's then. */
void tasks_add_programs(struct queue *q, struct item *item, struct group *g);
/* Programs have seen a group; what came of it. */
void tasks_processed(struct queue *q, struct letter *letter);
/* Starts what may start now. */
void tasks_start(struct queue *q);

#endif

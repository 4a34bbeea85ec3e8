/*
 * queue.h - the queue role: schedules the entries of MailRoot/queue and delivers them to local
 * mailboxes. One scheduler owns all scheduling state; jobs on the pool's workers do the file
 * work.
 */
#ifndef HIKYAKU_QUEUE_QUEUE_H
#define HIKYAKU_QUEUE_QUEUE_H

#include "base/base.h"
#include "sys/pool.h"

struct queue;

/* Starts the scheduler on the pool; every entry on disk is looked at once. After store_init and
 * spool_init. The queue lives until the pool has stopped; then queue_free. */
enum rc queue_start(struct pool *pool, struct queue **out, struct err *e) CHECK_RESULT;
/* A new entry, or one to try now. Any thread. */
void queue_notify(struct queue *q, struct str id);
/* All entries on disk again: after notices may have been lost. Any thread. */
void queue_rescan(struct queue *q);
void queue_free(struct queue **q);

struct queue_stats {
    uint64_t waiting, active;
};
/* Entries now waiting and being tried. Any thread. */
void queue_stats_get(struct queue *q, struct queue_stats *out);

#endif

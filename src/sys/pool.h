/*
 * pool.h - the worker threads of a role, the place where idle sessions are parked, and timers.
 *
 * A parkable object (a session, a listener, a note channel) has one owner at a time. Its `run`
 * function is called by some worker; when it returns, the object has been parked (pool_park),
 * queued again (pool_again) or freed (pool_forget) exactly once, as its last act. While it is
 * parked nobody touches it.
 */
#ifndef HIKYAKU_SYS_POOL_H
#define HIKYAKU_SYS_POOL_H

#include "base/base.h"

struct pool;

/* Why run is called. */
enum pool_event {
    POOL_READY = 1u << 0,   /* the descriptor is readable or writable, as asked (or broken) */
    POOL_TIMEOUT = 1u << 1, /* the deadline passed */
    POOL_QUEUED = 1u << 2,  /* pool_add or pool_again */
    POOL_STOP = 1u << 3,    /* the role is draining: finish soon */
    POOL_WOKEN = 1u << 4,   /* pool_wake */
};

enum pool_want { POOL_WANT_READ = 1u << 0, POOL_WANT_WRITE = 1u << 1 };

typedef void pool_run_fn(struct pool *pool, void *object, unsigned events);

/* A ticket names a parked object safely: stale tickets are recognised, never followed. */
typedef uint64_t pool_ticket;

/* max_workers threads at most (they start as they are needed); room for max_objects parked. */
enum rc pool_new(unsigned max_workers, size_t max_objects, struct pool **out,
                 struct err *e) CHECK_RESULT;
/* Gives a new object a ticket and queues it for its first run. RC_TEMP when full. fd -1: none.
 */
enum rc pool_add(struct pool *p, void *object, pool_run_fn *run, int fd, pool_ticket *out,
                 struct err *e) CHECK_RESULT;
/* Parks: run is called when fd is ready as wanted (0: never) or the deadline (clock_mono)
 * passes. */
void pool_park(struct pool *p, pool_ticket t, unsigned want, usec_t deadline);
/* To the end of the run queue: others first. */
void pool_again(struct pool *p, pool_ticket t);
/* The object is gone. Called by its owner before it frees it (and closes its descriptor). */
void pool_forget(struct pool *p, pool_ticket t);
/* From any thread: if the object of t is parked, run it with POOL_WOKEN; a running one is run
 * once more. */
void pool_wake(struct pool *p, pool_ticket t);

/* Runs workers until pool_stop has been called and all objects are forgotten (or grace passed).
 */
void pool_run(struct pool *p);
/* Wakes every parked object once with POOL_STOP; after grace workers end anyway. Any thread,
 * once. */
void pool_stop(struct pool *p, usec_t grace);
bool pool_is_stopping(const struct pool *p);
void pool_free(struct pool **p);

struct pool_stats {
    uint64_t parked, queued, running, workers, objects;
};
/* Objects by what they do just now. Any thread. */
void pool_stats_get(struct pool *p, struct pool_stats *out);

#endif

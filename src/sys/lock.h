/* lock.h - mutexes and conditions. A lock has a rank; debug builds check that ranks only
 * increase. */
#ifndef HIKYAKU_SYS_LOCK_H
#define HIKYAKU_SYS_LOCK_H

#include "base/base.h"
#include <pthread.h>

/* Every mutex of the program, outermost first. */
enum lock_rank {
    LOCK_FETCH = 1, /* fetch/: links and visits */
    LOCK_TABLES,    /* conf/: a cached table is being replaced */
    LOCK_USERS,     /* users/: the current index */
    LOCK_LIMITS,    /* wire/: sessions per address */
    LOCK_LISTS,     /* lists/: a post gets its number */
    LOCK_STORE,     /* store/ */
    LOCK_SPOOL,     /* spool/ */
    LOCK_QUEUE,     /* queue/: the scheduler's inbox */
    LOCK_COMMIT,    /* sys/commit.c */
    LOCK_TLS,       /* sys/tls.c: the current certificates */
    LOCK_NOTES,     /* sys/notes.c: one frame at a time */
    LOCK_POOL,      /* sys/pool.c: the run queue */
    LOCK_TIMERS,    /* sys/pool.c: the timer wheel */
    LOCK_LEAF,      /* small caches that call nothing */
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

#define LOCK_INIT(r)                                                                           \
    {                                                                                          \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (r)                                        \
    }

/* For locks that LOCK_INIT can't make. Taking one of a rank at or below a held one's
 * is a BUG (looked for in sanitizer builds). */
void lock_init(struct lock *l, enum lock_rank rank);
void lock_take(struct lock *l);
void lock_drop(struct lock *l);

/* AUTO_UNLOCK struct lock *held = lock_hold(&x->lock); dropped at the end of the scope. */
struct lock *lock_hold(struct lock *l) CHECK_RESULT;
void lock_drop_at(struct lock **l);
#define AUTO_UNLOCK __attribute__((cleanup(lock_drop_at), unused))

/* Waits on c with l held, until signalled or the deadline (clock_mono); false when it passed.
 */
bool lock_wait(struct lock *l, pthread_cond_t *c, usec_t deadline);
/* Wakes all that wait on it. */
void lock_wake(pthread_cond_t *c);
/* A condition whose waits use the monotonic clock. */
void lock_cond_init(pthread_cond_t *c);
/* Wakes one that waits. */
void lock_cond_signal(pthread_cond_t *c);
void lock_cond_release(pthread_cond_t *c);

/*
 * A one-time signal to one waiting thread, cheaper than a condition: the setter may free or
 * leave nothing behind, and the waiter may end the struct's life as soon as its wait returns.
 * A zeroed struct is not set. What the setter wrote before is seen by the waiter.
 */
struct lock_event {
    _Atomic uint32_t set;
};
void lock_event_set(struct lock_event *ev);
/* Waits without limit: only for what another thread of ours is sure to set. */
void lock_event_wait(struct lock_event *ev);

/* Starts a thread with a small stack and all signals blocked. RC_TEMP when there are too many.
 * out NULL: nobody waits for its end. */
enum rc thread_start(void *(*fn)(void *), void *arg, const char *name, pthread_t *out,
                     struct err *e) CHECK_RESULT;

/* Waits until the thread has ended, and frees it. */
void thread_join(pthread_t thread);

/* Waits that long. */
void thread_pause(usec_t time);

#endif

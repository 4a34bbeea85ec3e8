/* lock.c - mutexes with ranks, and threads. The rank check runs in sanitizer builds. */
#include "sys/lock.h"
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECK_RANKS 1
#else
#define CHECK_RANKS 0
#endif

#define THREAD_STACK_BYTES ((size_t)256 * 1024)

static _Thread_local enum lock_rank held_ranks[16];
static _Thread_local size_t held_count;

void lock_init(struct lock *l, enum lock_rank rank)
{
    (void)pthread_mutex_init(&l->mutex, NULL);
    l->rank = rank;
}

void lock_take(struct lock *l)
{
    if (CHECK_RANKS) {
        if (held_count > 0 && held_ranks[held_count - 1] >= l->rank)
            BUG("lock order");
        if (held_count == ARRAY_LEN(held_ranks))
            BUG("too many locks held");
        held_ranks[held_count++] = l->rank;
    }
    if (pthread_mutex_lock(&l->mutex) != 0)
        BUG("mutex");
}

void lock_drop(struct lock *l)
{
    if (CHECK_RANKS) {
        if (held_count == 0 || held_ranks[held_count - 1] != l->rank)
            BUG("unlock order");
        held_count--;
    }
    (void)pthread_mutex_unlock(&l->mutex);
}

struct lock *lock_hold(struct lock *l)
{
    lock_take(l);
    return l;
}

void lock_drop_at(struct lock **l)
{
    if (*l != NULL)
        lock_drop(*l);
}

void lock_cond_signal(pthread_cond_t *c)
{
    (void)pthread_cond_signal(c);
}

void lock_cond_release(pthread_cond_t *c)
{
    (void)pthread_cond_destroy(c);
}

void lock_wake(pthread_cond_t *c)
{
    if (pthread_cond_broadcast(c) != 0)
        BUG("pthread_cond_broadcast");
}

void lock_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &attr);
    (void)pthread_condattr_destroy(&attr);
}

bool lock_wait(struct lock *l, pthread_cond_t *c, usec_t deadline)
{
    if (deadline == USEC_FOREVER) {
        (void)pthread_cond_wait(c, &l->mutex);
        return true;
    }
    struct timespec ts = { .tv_sec = deadline / USEC_S, .tv_nsec = (deadline % USEC_S) * 1000 };
    return pthread_cond_timedwait(c, &l->mutex, &ts) == 0;
}

/*
 * After the store the waiter may already be gone and its memory be something else's: waking
 * touches no memory, and a futex waiter there has to stand a wake-up too many, as all must.
 */
void lock_event_set(struct lock_event *ev)
{
    atomic_store(&ev->set, 1);
    (void)syscall(SYS_futex, &ev->set, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void lock_event_wait(struct lock_event *ev)
{
    while (atomic_load(&ev->set) == 0)
        (void)syscall(SYS_futex, &ev->set, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

enum rc thread_start(void *(*fn)(void *), void *arg, const char *name, pthread_t *out,
                     struct err *e)
{
    pthread_attr_t attr;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_init(&attr);
    if (!CHECK_RANKS)
        (void)pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    pthread_t thread;
    errno = pthread_create(&thread, &attr, fn, arg);
    int failed = errno;
    (void)pthread_attr_destroy(&attr);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0)
        return err_sys(e, "start thread %s", name);
    (void)pthread_setname_np(thread, name);
    if (out != NULL)
        *out = thread;
    else
        (void)pthread_detach(thread);
    return RC_OK;
}

void thread_join(pthread_t thread)
{
    (void)pthread_join(thread, NULL);
}

void thread_pause(usec_t time)
{
    struct timespec pause = { .tv_sec = time / USEC_S, .tv_nsec = (time % USEC_S) * 1000 };
    (void)nanosleep(&pause, NULL);
}

/*
 * pool.c - workers, the parking place, timers. Called by wire/session.c and the roles.
 *
 * Every object has a slot; its ticket is the slot's index and generation, so an event that
 * arrives late for an object that is gone finds another generation and is dropped. The slot's
 * state word is changed by compare-and-exchange only: RUNNING -> PARKED (its owner parks it)
 * PARKED -> QUEUED (event, timer, wake) QUEUED -> RUNNING (a worker takes it)       RUNNING ->
 * FREE (its owner forgets it) Events that arrive while it is RUNNING or QUEUED are kept as bits
 * in the word and make the next parking a queueing.
 *
 * Deadlines lie in a wheel of 10 ms steps. They are lazy: a slot stays where it was put until
 * that step comes, and is then moved on if its deadline is later by now; parking with a later
 * deadline costs nothing.
 */
#include "sys/pool.h"
#include "sys/lock.h"
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#define NONE UINT32_MAX
#define WHEEL_STEPS 4096u
#define STEP_USEC (10 * USEC_MS)

enum slot_state { SLOT_FREE = 0, SLOT_RUNNING = 1, SLOT_PARKED = 2, SLOT_QUEUED = 3 };

/* state word: generation << 32 | events << 8 | enum slot_state */
#define WORD(gen, events, state) ((uint64_t)(gen) << 32 | (uint64_t)(events) << 8 | (state))
#define WORD_STATE(w) ((enum slot_state)((w)&0xff))
#define WORD_EVENTS(w) ((unsigned)((w) >> 8 & 0xffff))
#define WORD_GEN(w) ((uint32_t)((w) >> 32))

struct slot {
    _Atomic uint64_t word;
    void *object;
    pool_run_fn *run;
    int fd;
    uint32_t next_queued; /* run queue, or free list */
    _Atomic int64_t deadline;
    uint32_t wheel_prev, wheel_next; /* protected by timer_lock */
    _Atomic uint32_t wheel_step;     /* NONE: not in the wheel */
    _Atomic int64_t wheel_due;       /* when its step comes */
};

struct pool {
    int epoll_fd, wake_fd;
    size_t slot_count;
    struct slot *slots;
    unsigned max_workers;
    _Atomic unsigned workers, idle;
    _Atomic uint64_t objects, running;
    _Atomic bool stopping, ending;
    usec_t stop_deadline;

    struct lock queue_lock; /* protects the run queue, the free list and threads */
    uint32_t queue_head, queue_tail;
    _Atomic uint64_t queued;
    uint32_t free_head;
    pthread_t *threads;
    pthread_cond_t done;

    struct lock timer_lock; /* protects the wheel */
    pthread_cond_t timer_changed;
    pthread_t timer_thread;
    uint32_t wheel[WHEEL_STEPS];
    usec_t wheel_time; /* all steps before this time have been handled */
    usec_t timer_sleeps_until;
};

static void *worker_main(void *arg);

static struct slot *slot_of(struct pool *p, pool_ticket t)
{
    uint32_t index = (uint32_t)t;
    if (index >= p->slot_count)
        BUG("pool ticket");
    return &p->slots[index];
}

static uint32_t index_of(const struct pool *p, const struct slot *slot)
{
    return (uint32_t)(slot - p->slots);
}

enum rc pool_new(unsigned max_workers, size_t max_objects, struct pool **out, struct err *e)
{
    struct pool *p = mem_new(sizeof(*p));
    p->max_workers = MAX(max_workers, 1u);
    p->slot_count = MIN(MAX(max_objects, (size_t)16), (size_t)1 << 24);
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p->queue_head = p->queue_tail = NONE;
    p->threads = mem_new(p->max_workers * sizeof(*p->threads));
    lock_init(&p->queue_lock, LOCK_POOL);
    lock_init(&p->timer_lock, LOCK_TIMERS);
    lock_cond_init(&p->done);
    lock_cond_init(&p->timer_changed);
    /* Untouched slots cost no memory. */
    void *slots = mmap(NULL, p->slot_count * sizeof(*p->slots), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = UINT64_MAX };
    if (slots == MAP_FAILED || p->epoll_fd < 0 || p->wake_fd < 0 ||
        epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &ev) < 0) {
        enum rc rc = err_sys(e, "make worker pool");
        if (slots != MAP_FAILED)
            (void)munmap(slots, p->slot_count * sizeof(*p->slots));
        p->slots = NULL;
        pool_free(&p);
        return rc;
    }
    p->slots = slots;
    p->free_head = 0;
    for (uint32_t i = 0; i < WHEEL_STEPS; i++)
        p->wheel[i] = NONE;
    p->wheel_time = clock_mono() / STEP_USEC * STEP_USEC;
    *out = p;
    return RC_OK;
}

/* A free slot, or NULL when all are in use. next_queued of an untouched slot (0) means "the
 * next". */
static struct slot *slot_take(struct pool *p)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&p->queue_lock);
    if (p->free_head >= p->slot_count)
        return NULL;
    struct slot *slot = &p->slots[p->free_head];
    p->free_head = slot->next_queued == 0 ? p->free_head + 1 : slot->next_queued - 1;
    (void)held;
    return slot;
}

/* Each write is an edge, and an edge wakes one worker: nobody reads the counter. */
static void wake_one(struct pool *p)
{
    uint64_t one = 1;
    (void)!write(p->wake_fd, &one, sizeof(one));
}

static void queue_push(struct pool *p, struct slot *slot)
{
    lock_take(&p->queue_lock);
    slot->next_queued = NONE;
    uint32_t index = index_of(p, slot);
    if (p->queue_tail == NONE)
        p->queue_head = index;
    else
        p->slots[p->queue_tail].next_queued = index;
    p->queue_tail = index;
    p->queued++;
    lock_drop(&p->queue_lock);
    if (p->idle > 0)
        wake_one(p);
}

static struct slot *queue_pop(struct pool *p)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&p->queue_lock);
    (void)held;
    if (p->queue_head == NONE)
        return NULL;
    struct slot *slot = &p->slots[p->queue_head];
    p->queue_head = slot->next_queued;
    if (p->queue_head == NONE)
        p->queue_tail = NONE;
    p->queued--;
    return slot;
}

enum rc pool_add(struct pool *p, void *object, pool_run_fn *run, int fd, pool_ticket *out,
                 struct err *e)
{
    struct slot *slot = slot_take(p);
    if (slot == NULL)
        return err_temp(e, "4.3.2", "too many connections");
    uint32_t gen = WORD_GEN(slot->word) + 1;
    slot->object = object;
    slot->run = run;
    slot->fd = fd;
    slot->deadline = USEC_FOREVER;
    if (slot->wheel_due == 0)
        slot->wheel_step = NONE;
    pool_ticket t = (uint64_t)gen << 32 | index_of(p, slot);
    struct epoll_event ev = { .events = EPOLLONESHOT, .data.u64 = t };
    if (fd >= 0 && epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        enum rc rc = err_sys(e, "watch connection");
        lock_take(&p->queue_lock);
        slot->next_queued = p->free_head + 1;
        p->free_head = index_of(p, slot);
        lock_drop(&p->queue_lock);
        return rc;
    }
    p->objects++;
    *out = t;
    unsigned events = POOL_QUEUED | (p->stopping ? (unsigned)POOL_STOP : 0u);
    slot->word = WORD(gen, events, SLOT_QUEUED);
    queue_push(p, slot);
    return RC_OK;
}

/* --- the wheel --------------------------------------------------------------------------- */

static void wheel_unlink(struct pool *p, struct slot *slot)
{
    uint32_t step = slot->wheel_step;
    if (step == NONE)
        return;
    if (slot->wheel_prev == NONE)
        p->wheel[step] = slot->wheel_next;
    else
        p->slots[slot->wheel_prev].wheel_next = slot->wheel_next;
    if (slot->wheel_next != NONE)
        p->slots[slot->wheel_next].wheel_prev = slot->wheel_prev;
    slot->wheel_step = NONE;
}

/* Links the slot at time `at`, or at the wheel's far end when that is further off. */
static void wheel_link(struct pool *p, struct slot *slot, usec_t at)
{
    usec_t last = p->wheel_time + (WHEEL_STEPS - 2) * STEP_USEC;
    usec_t due = MIN(MAX(at, p->wheel_time), last) + STEP_USEC;
    uint32_t step = (uint32_t)(due / STEP_USEC) % WHEEL_STEPS;
    uint32_t index = index_of(p, slot);
    slot->wheel_due = due;
    slot->wheel_prev = NONE;
    slot->wheel_next = p->wheel[step];
    if (slot->wheel_next != NONE)
        p->slots[slot->wheel_next].wheel_prev = index;
    p->wheel[step] = index;
    slot->wheel_step = step;
    if (due < p->timer_sleeps_until)
        (void)pthread_cond_signal(&p->timer_changed);
}

/* Makes sure the wheel looks at the slot no later than its deadline. */
static void wheel_arm(struct pool *p, struct slot *slot, usec_t deadline)
{
    slot->deadline = deadline;
    if (deadline == USEC_FOREVER)
        return;
    if (slot->wheel_step != NONE && slot->wheel_due <= deadline + STEP_USEC)
        return;
    struct lock *held AUTO_UNLOCK = lock_hold(&p->timer_lock);
    (void)held;
    wheel_unlink(p, slot);
    wheel_link(p, slot, deadline);
}

/* --- events ------------------------------------------------------------------------------ */

/* Delivers events to the object: a parked one is taken over (true: the caller must run or queue
 * it), a running or queued one remembers them. */
static bool claim(struct slot *slot, uint32_t gen, unsigned events)
{
    uint64_t word = slot->word;
    for (;;) {
        if (WORD_GEN(word) != gen || WORD_STATE(word) == SLOT_FREE)
            return false;
        bool parked = WORD_STATE(word) == SLOT_PARKED;
        uint64_t next = WORD(gen, WORD_EVENTS(word) | events,
                             parked ? (unsigned)SLOT_QUEUED : (unsigned)WORD_STATE(word));
        if (atomic_compare_exchange_weak(&slot->word, &word, next))
            return parked;
    }
}

void pool_park(struct pool *p, pool_ticket t, unsigned want, usec_t deadline)
{
    struct slot *slot = slot_of(p, t);
    uint32_t gen = (uint32_t)(t >> 32);
    wheel_arm(p, slot, deadline);
    if (want != 0 && slot->fd >= 0) {
        struct epoll_event ev = { .events = EPOLLONESHOT, .data.u64 = t };
        if ((want & POOL_WANT_READ) != 0)
            ev.events |= EPOLLIN | EPOLLRDHUP;
        if ((want & POOL_WANT_WRITE) != 0)
            ev.events |= EPOLLOUT;
        if (epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, slot->fd, &ev) < 0)
            BUG("epoll_ctl");
    }
    uint64_t word = slot->word;
    for (;;) {
        if (WORD_GEN(word) != gen || WORD_STATE(word) != SLOT_RUNNING)
            BUG("pool_park by another than the owner");
        bool pending = WORD_EVENTS(word) != 0;
        uint64_t next = WORD(gen, WORD_EVENTS(word),
                             pending ? (unsigned)SLOT_QUEUED : (unsigned)SLOT_PARKED);
        if (atomic_compare_exchange_weak(&slot->word, &word, next)) {
            if (pending)
                queue_push(p, slot);
            return;
        }
    }
}

void pool_again(struct pool *p, pool_ticket t)
{
    struct slot *slot = slot_of(p, t);
    uint64_t word = slot->word;
    uint64_t next = 0;
    do
        next = WORD(t >> 32, WORD_EVENTS(word) | POOL_QUEUED, SLOT_QUEUED);
    while (!atomic_compare_exchange_weak(&slot->word, &word, next));
    queue_push(p, slot);
}

void pool_forget(struct pool *p, pool_ticket t)
{
    struct slot *slot = slot_of(p, t);
    lock_take(&p->timer_lock);
    wheel_unlink(p, slot);
    lock_drop(&p->timer_lock);
    if (slot->fd >= 0)
        (void)epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, slot->fd, NULL);
    slot->object = NULL;
    slot->word = WORD(t >> 32, 0, SLOT_FREE);
    lock_take(&p->queue_lock);
    slot->next_queued = p->free_head + 1;
    p->free_head = index_of(p, slot);
    p->objects--;
    if (p->stopping && p->objects == 0)
        (void)pthread_cond_broadcast(&p->done);
    lock_drop(&p->queue_lock);
}

void pool_wake(struct pool *p, pool_ticket t)
{
    struct slot *slot = slot_of(p, t);
    if (claim(slot, (uint32_t)(t >> 32), POOL_WOKEN))
        queue_push(p, slot);
}

/* --- threads ----------------------------------------------------------------------------- */

/* One more worker when all are busy, up to the maximum. Failing to start one only costs speed.
 */
static void grow(struct pool *p)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&p->queue_lock);
    (void)held;
    if (p->workers >= p->max_workers || p->ending)
        return;
    if (thread_start(worker_main, p, "worker", &p->threads[p->workers], NULL) == RC_OK)
        p->workers++;
}

/* Runs a slot that is QUEUED. */
static void run_slot(struct pool *p, struct slot *slot)
{
    uint64_t word = slot->word;
    while (!atomic_compare_exchange_weak(&slot->word, &word,
                                         WORD(WORD_GEN(word), 0, SLOT_RUNNING)))
        continue;
    if (p->idle == 0 && p->workers < p->max_workers)
        grow(p);
    p->running++;
    slot->run(p, slot->object, WORD_EVENTS(word));
    p->running--;
}

/* Waits for one event; runs its object. With work queued it only looks, so that neither side
 * starves. idle is raised before the queue is looked at: a pusher sees an idle worker, or the
 * worker its work. */
static void wait_event(struct pool *p)
{
    struct epoll_event ev;
    p->idle++;
    int n = epoll_wait(p->epoll_fd, &ev, 1, p->queued > 0 || p->ending ? 0 : -1);
    p->idle--;
    if (n <= 0)
        return;
    if (ev.data.u64 == UINT64_MAX)
        return;
    struct slot *slot = slot_of(p, ev.data.u64);
    if (claim(slot, (uint32_t)(ev.data.u64 >> 32), POOL_READY))
        run_slot(p, slot);
}

static void *worker_main(void *arg)
{
    struct pool *p = arg;
    while (!p->ending) {
        struct slot *slot = p->queued > 0 ? queue_pop(p) : NULL;
        if (slot != NULL && p->queued > 0 && p->idle > 0)
            wake_one(p); /* two edges may have been taken for one */
        if (slot != NULL)
            run_slot(p, slot);
        else
            wait_event(p);
        if (slot != NULL && p->queued > 0)
            wait_event(p);
    }
    wake_one(p); /* each that ends wakes the next */
    return NULL;
}

/*
 * Handles one step of the wheel: parked slots that are due are claimed and chained to *claimed,
 * later ones move on. A slot that its owner is about to park is looked at again in the next
 * step.
 */
static void handle_step(struct pool *p, uint32_t step, usec_t now, uint32_t *claimed)
{
    uint32_t index = p->wheel[step];
    while (index != NONE) {
        struct slot *slot = &p->slots[index];
        uint32_t next = slot->wheel_next;
        wheel_unlink(p, slot);
        uint64_t word = slot->word;
        usec_t deadline = slot->deadline;
        if (deadline != USEC_FOREVER && WORD_STATE(word) != SLOT_FREE) {
            if (deadline > now) {
                wheel_link(p, slot, deadline);
            } else if (WORD_STATE(word) != SLOT_PARKED) {
                wheel_link(p, slot, now + STEP_USEC);
            } else if (claim(slot, WORD_GEN(word), POOL_TIMEOUT)) {
                slot->next_queued = *claimed;
                *claimed = index;
            }
        }
        index = next;
    }
}

/* When the next occupied step comes. */
static usec_t next_due(const struct pool *p)
{
    for (uint32_t i = 0; i < WHEEL_STEPS; i++) {
        usec_t at = p->wheel_time + i * STEP_USEC;
        if (p->wheel[(uint32_t)(at / STEP_USEC) % WHEEL_STEPS] != NONE)
            return at + STEP_USEC;
    }
    return USEC_FOREVER;
}

static void *timer_main(void *arg)
{
    struct pool *p = arg;
    lock_take(&p->timer_lock);
    while (!p->ending) {
        usec_t now = clock_mono();
        uint32_t claimed = NONE;
        while (p->wheel_time + STEP_USEC <= now) {
            uint32_t step = (uint32_t)(p->wheel_time / STEP_USEC) % WHEEL_STEPS;
            handle_step(p, step, now, &claimed);
            p->wheel_time += STEP_USEC;
        }
        lock_drop(&p->timer_lock);
        while (claimed != NONE) {
            struct slot *slot = &p->slots[claimed];
            claimed = slot->next_queued;
            queue_push(p, slot);
        }
        lock_take(&p->timer_lock);
        p->timer_sleeps_until = next_due(p);
        if (!p->ending && p->timer_sleeps_until > clock_mono())
            (void)lock_wait(&p->timer_lock, &p->timer_changed, p->timer_sleeps_until);
        p->timer_sleeps_until = 0;
    }
    lock_drop(&p->timer_lock);
    return NULL;
}

static void end_threads(struct pool *p, bool with_timer)
{
    p->ending = true;
    lock_take(&p->timer_lock);
    (void)pthread_cond_broadcast(&p->timer_changed);
    lock_drop(&p->timer_lock);
    if (with_timer)
        (void)pthread_join(p->timer_thread, NULL);
    lock_take(&p->queue_lock);
    unsigned workers = p->workers;
    lock_drop(&p->queue_lock);
    wake_one(p);
    for (unsigned i = 0; i < workers; i++)
        (void)pthread_join(p->threads[i], NULL);
    p->workers = 0;
}

void pool_run(struct pool *p)
{
    struct err e;
    bool timer = thread_start(timer_main, p, "timer", &p->timer_thread, &e) == RC_OK;
    grow(p);
    if (!timer || p->workers == 0) {
        log_error(EV("threads can't be started"), KE(&e));
        end_threads(p, timer);
        return;
    }
    lock_take(&p->queue_lock);
    while (!p->stopping)
        (void)lock_wait(&p->queue_lock, &p->done, USEC_FOREVER);
    while (p->objects > 0 && lock_wait(&p->queue_lock, &p->done, p->stop_deadline))
        continue;
    lock_drop(&p->queue_lock);
    end_threads(p, true);
}

void pool_stop(struct pool *p, usec_t grace)
{
    lock_take(&p->queue_lock);
    p->stop_deadline = clock_mono() + grace;
    p->stopping = true;
    (void)pthread_cond_broadcast(&p->done);
    lock_drop(&p->queue_lock);
    for (size_t i = 0; i < p->slot_count; i++) {
        struct slot *slot = &p->slots[i];
        uint64_t word = slot->word;
        if (word != 0 && claim(slot, WORD_GEN(word), POOL_STOP))
            queue_push(p, slot);
    }
}

bool pool_is_stopping(const struct pool *p)
{
    return p->stopping;
}

void pool_free(struct pool **p)
{
    struct pool *gone = *p;
    if (gone == NULL)
        return;
    if (gone->epoll_fd >= 0)
        (void)close(gone->epoll_fd);
    if (gone->wake_fd >= 0)
        (void)close(gone->wake_fd);
    if (gone->slots != NULL)
        (void)munmap(gone->slots, gone->slot_count * sizeof(*gone->slots));
    mem_free(&gone->threads);
    mem_free(p);
}

void pool_stats_get(struct pool *p, struct pool_stats *out)
{
    *out = (struct pool_stats){
        .queued = p->queued,
        .running = p->running,
        .workers = p->workers,
        .objects = p->objects,
    };
    uint64_t busy = out->queued + out->running;
    out->parked = out->objects > busy ? out->objects - busy : 0;
}

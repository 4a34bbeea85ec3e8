/* lookup.c - see lookup.h. The asking thread waits; the answers come by notes. */
#include "web/lookup.h"
#include "sys/lock.h"

#define WAIT_TIME (10 * USEC_S)
#define LOOK_TIME (5 * USEC_MS)
#define PENDING_MAX 128u

static struct lock pending_lock = LOCK_INIT(LOCK_LEAF);
static struct lookup *pending[PENDING_MAX];
static uint64_t last_number;
static bool (*ask)(uint64_t number, bool is_gate, unsigned type, struct str name);

void lookup_init(const struct web_hooks *hooks)
{
    ask = hooks->look_up;
}

/* With the lock held. */
static struct lookup **find(const struct lookup *q, uint64_t number)
{
    for (size_t i = 0; i < PENDING_MAX; i++)
        if (pending[i] == q && (q == NULL || q->number == number))
            return &pending[i];
    return NULL;
}

void web_lookup_told(uint64_t number, unsigned state, struct str text)
{
    size_t n = MIN(text.n, (size_t)LOOKUP_TEXT);
    lock_take(&pending_lock);
    for (size_t i = 0; i < PENDING_MAX; i++) {
        struct lookup *q = pending[i];
        if (q == NULL || q->number != number)
            continue;
        memcpy(q->text, text.p == NULL ? "" : text.p, n);
        q->text[n] = '\0';
        q->state = state;
        q->known = true;
        pending[i] = NULL;
    }
    lock_drop(&pending_lock);
}

static bool note_pending(struct lookup *q)
{
    lock_take(&pending_lock);
    struct lookup **place = find(NULL, 0);
    q->number = ++last_number;
    q->known = false;
    q->state = 0;
    q->text[0] = '\0';
    if (place != NULL)
        *place = q;
    lock_drop(&pending_lock);
    return place != NULL;
}

/* Is one of them still awaited? */
static bool is_waiting(const struct lookup *questions, size_t count)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&pending_lock);
    (void)held;
    for (size_t i = 0; i < count; i++)
        if (find(&questions[i], questions[i].number) != NULL)
            return true;
    return false;
}

void lookup_all(struct lookup *questions, size_t count)
{
    usec_t deadline = clock_mono() + WAIT_TIME;
    bool sent = true;
    for (size_t i = 0; i < count && sent; i++) {
        struct lookup *q = &questions[i];
        sent = note_pending(q) && ask != NULL && ask(q->number, q->is_gate, q->type, q->name);
    }
    while (sent && is_waiting(questions, count) && clock_mono() < deadline)
        thread_pause(LOOK_TIME);
    lock_take(&pending_lock);
    for (size_t i = 0; i < count; i++) {
        struct lookup **place = find(&questions[i], questions[i].number);
        if (place != NULL)
            *place = NULL;
    }
    lock_drop(&pending_lock);
}

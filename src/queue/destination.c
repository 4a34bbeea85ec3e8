/*
 * destination.c - places that mail goes to: how much at a time, whose first, and which are
 * down.
 *
 * A place begins with a few connections; each success allows one more up to MaxPerDestination,
 * each failure halves them. After FAILURES_DOWN failures in a row it is down for a while that
 * doubles, and what is due for it meanwhile fails with the reason that is known; then a single
 * attempt probes it. Tasks wait in lanes by sender, so that one who sends a flood doesn't keep
 * others waiting; first tries go before further ones, but not always.
 */
#include "queue/queue_int.h"

#define WINDOW_FIRST 5u
#define FAILURES_DOWN 3u
#define DOWN_FIRST (60 * USEC_S)
#define DOWN_LONGEST (1800 * USEC_S)
#define TROUBLE_KEPT (3600 * USEC_S) /* how long a place is remembered that nobody sends to */
#define CROWD 2000u
#define BUSY_FIRST (10 * USEC_MS) /* doubled each time in a row */
#define BUSY_LONGEST (200 * USEC_MS)
#define GROWTH_PAUSE USEC_S /* after that it was busy */

static struct destination *get(struct destinations *all, struct str place)
{
    struct destination *d = map_get(&all->by_place, place);
    if (d != NULL)
        return d;
    d = mem_new(sizeof(*d));
    d->place = mem_new(place.n + 1);
    memcpy(d->place, place.p, place.n);
    d->window = WINDOW_FIRST;
    (void)map_put(&all->by_place, str_from(d->place, place.n), d);
    return d;
}

static void release(struct destinations *all, struct destination *d)
{
    (void)map_remove(&all->by_place, str_from_c(d->place));
    mem_free(&d->place);
    mem_free(&d->trouble);
    mem_free(&d);
}

/* --- the ring ---------------------------------------------------------------------------- */

static bool may_start(const struct destination *d)
{
    unsigned most = (unsigned)MIN((int64_t)d->window, conf()->max_per_destination);
    return d->waiting > 0 && d->active < MAX(most, 1u);
}

static void join_ring(struct destinations *all, struct destination *d)
{
    if (d->in_ring || d->paused || !may_start(d))
        return;
    d->in_ring = true;
    d->next = NULL;
    if (all->ring_last != NULL)
        all->ring_last->next = d;
    else
        all->ring_first = d;
    all->ring_last = d;
}

/* --- lanes ------------------------------------------------------------------------------- */

void destination_add(struct destinations *all, struct task *t)
{
    struct destination *d = get(all, str_from_c(t->group->place));
    unsigned kind = t->group->again, lane = (unsigned)(t->group->sender % LANES);
    t->destination = d;
    t->next = NULL;
    if (d->last[kind][lane] != NULL)
        d->last[kind][lane]->next = t;
    else
        d->first[kind][lane] = t;
    d->last[kind][lane] = t;
    d->waiting++;
    all->waiting++;
    join_ring(all, d);
}

static struct task *pop_lane(struct destination *d, unsigned kind)
{
    for (unsigned i = 0; i < LANES; i++) {
        unsigned lane = (d->lane[kind] + i) % LANES;
        struct task *t = d->first[kind][lane];
        if (t == NULL)
            continue;
        d->first[kind][lane] = t->next;
        if (t->next == NULL)
            d->last[kind][lane] = NULL;
        d->lane[kind] = lane + 1;
        t->next = NULL;
        return t;
    }
    return NULL;
}

static void release_if_idle(struct destinations *all, struct destination *d)
{
    if (d->active == 0 && d->waiting == 0 && d->failures == 0 && !d->in_ring && !d->paused)
        release(all, d);
}

static struct destination *leave_ring(struct destinations *all)
{
    struct destination *d = all->ring_first;
    if (d == NULL)
        return NULL;
    all->ring_first = d->next;
    if (all->ring_first == NULL)
        all->ring_last = NULL;
    d->in_ring = false;
    return d;
}

struct task *destination_next(struct destinations *all)
{
    struct destination *d = leave_ring(all);
    for (; d != NULL && (d->paused || !may_start(d)); d = leave_ring(all))
        release_if_idle(all, d); /* since it joined, its tasks were taken away, or it is busy */
    if (d == NULL)
        return NULL;
    unsigned first = ++d->turn % 4 == 0;
    struct task *t = pop_lane(d, first);
    if (t == NULL)
        t = pop_lane(d, 1 - first);
    d->waiting--;
    d->active++;
    all->waiting--;
    all->active++;
    join_ring(all, d);
    return t;
}

void destination_put_back(struct destinations *all, struct task *t)
{
    struct destination *d = t->destination;
    unsigned kind = t->group->again, lane = (unsigned)(t->group->sender % LANES);
    t->next = d->first[kind][lane];
    d->first[kind][lane] = t;
    if (t->next == NULL)
        d->last[kind][lane] = t;
    d->waiting++;
    d->active--;
    all->waiting++;
    all->active--;
    join_ring(all, d);
}

void destination_forget(struct destinations *all, struct task *t)
{
    struct destination *d = t->destination;
    d->active--;
    all->active--;
    join_ring(all, d);
    release_if_idle(all, d);
}

void destination_pause(struct destinations *all, struct task *t, usec_t now)
{
    struct destination *d = t->destination;
    bool paused = d->paused;
    d->window = MAX(d->active - 1, 1u); /* what the others leave it */
    d->grows_at = now + GROWTH_PAUSE;
    if (!paused) {
        d->busy_pause = MIN(MAX(2 * d->busy_pause, BUSY_FIRST), BUSY_LONGEST);
        d->paused = true;
        d->paused_until = now + d->busy_pause;
        d->next_paused = all->paused;
        all->paused = d;
    }
    destination_put_back(all, t);
}

void destinations_resume(struct destinations *all, usec_t now)
{
    struct destination **at = &all->paused;
    while (*at != NULL) {
        struct destination *d = *at;
        if (d->paused_until > now) {
            at = &d->next_paused;
            continue;
        }
        *at = d->next_paused;
        d->paused = false;
        join_ring(all, d);
        release_if_idle(all, d);
    }
}

usec_t destinations_resume_at(const struct destinations *all)
{
    usec_t first = USEC_FOREVER;
    for (const struct destination *d = all->paused; d != NULL; d = d->next_paused)
        first = MIN(first, d->paused_until);
    return first;
}

struct task *destination_drain(struct destinations *all, struct destination *d)
{
    struct task *list = NULL;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct task *t = NULL;
        while ((t = pop_lane(d, kind)) != NULL) {
            t->next = list;
            list = t;
            d->waiting--;
            all->waiting--;
        }
    }
    return list;
}

/* --- what is known of it ----------------------------------------------------------------- */

bool destination_is_down(struct destinations *all, struct str place, usec_t now,
                         struct str *out_reason)
{
    struct destination *d = map_get(&all->by_place, place);
    if (d == NULL || d->failures < FAILURES_DOWN)
        return false;
    *out_reason = str_from_c(d->trouble);
    /* One attempt under way is the probe. */
    return now < d->blocked_until || d->active + d->waiting > 0;
}

bool destination_is_crowded(struct destinations *all, struct str place)
{
    const struct destination *d = map_get(&all->by_place, place);
    return d != NULL && d->waiting >= CROWD;
}

/* Attempts that were under way when the place went down say nothing new by failing. Nor does it
 * rest for longer than an entry would. */
static void note_failure(struct destination *d, struct str reason, usec_t now)
{
    usec_t pause = MIN(DOWN_FIRST, conf()->retry_first);
    usec_t longest = MIN(DOWN_LONGEST, conf()->retry_longest);
    bool news = d->failures < FAILURES_DOWN || now >= d->blocked_until;
    d->failures += news;
    d->window = MAX(d->window / 2, 1u);
    for (unsigned i = FAILURES_DOWN; i < d->failures && pause < longest; i++)
        pause *= 2;
    if (news && d->failures >= FAILURES_DOWN)
        d->blocked_until = now + MIN(pause, longest);
    mem_free(&d->trouble);
    d->trouble = mem_new(reason.n + 1);
    memcpy(d->trouble, reason.p, reason.n);
    if (news && d->failures == FAILURES_DOWN)
        log_info(EV("destination is down"), KV("place", d->place), KS("reason", reason));
}

void destination_done(struct destinations *all, struct destination *d, bool reached,
                      struct str reason, usec_t now)
{
    d->active--;
    all->active--;
    if (reached) {
        if (d->failures >= FAILURES_DOWN)
            log_info(EV("destination is up again"), KV("place", d->place));
        d->failures = 0;
        d->blocked_until = 0;
        d->busy_pause = 0;
        if (now >= d->grows_at)
            d->window = MIN(d->window + 1, (unsigned)conf()->max_per_destination);
    } else {
        note_failure(d, reason, now);
    }
    join_ring(all, d);
    release_if_idle(all, d);
}

void destinations_forget_trouble(struct destinations *all, struct str pattern)
{
    struct str key;
    void *value = NULL;
    for (size_t at = 0; map_next(&all->by_place, &at, &key, &value);) {
        struct destination *d = value;
        if (str_matches(key, pattern))
            d->failures = 0;
    }
}

void destinations_forget_old(struct destinations *all, usec_t now)
{
    struct str key;
    void *value = NULL;
    struct destination *old = NULL; /* linked by next: they are in no ring */
    for (size_t at = 0; map_next(&all->by_place, &at, &key, &value);) {
        struct destination *d = value;
        if (d->active > 0 || d->waiting > 0 || d->in_ring || d->paused ||
            d->blocked_until + TROUBLE_KEPT > now)
            continue;
        d->next = old;
        old = d;
    }
    while (old != NULL) {
        struct destination *d = old;
        old = d->next;
        release(all, d);
    }
}

void destinations_free(struct destinations *all)
{
    struct str key;
    void *value = NULL;
    for (size_t at = 0; map_next(&all->by_place, &at, &key, &value);) {
        struct destination *d = value;
        mem_free(&d->place);
        mem_free(&d->trouble);
        mem_free(&d);
    }
    map_release(&all->by_place);
    *all = (struct destinations){ .waiting = 0 };
}

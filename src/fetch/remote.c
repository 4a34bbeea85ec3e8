/*
 * remote.c - visits in the relay role: each has a worker, which connects, talks (talk.c), and
 * waits for its home's answers with a limit. Called by the relay role's main.
 */
#include "fetch/talk.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "wire/connect.h"

#define LINK_FILE_MAX ((size_t)8 << 20)
#define ANSWER_TIME (600 * USEC_S)

/* A visit under way. */
struct guest {
    struct talk *talk;
    pool_ticket ticket;
    uint64_t home, visit;
    int link_fd;
    /* Under the lock. */
    bool aborted, has_wants, has_fates;
    int wants_fd;
    char fates[BATCH_MESSAGES];
    size_t fates_n;
    struct guest *next;
};

static struct {
    struct lock lock;
    pthread_cond_t answered;
    struct pool *pool;
    fetch_tls_fn *tls;
    fetch_tell_fn *tell;
    struct guest *first;
} here = { .lock = LOCK_INIT(LOCK_LEAF) };

void fetch_remote_init(struct pool *pool, fetch_tls_fn *tls, fetch_tell_fn *tell)
{
    lock_cond_init(&here.answered);
    here.pool = pool;
    here.tls = tls;
    here.tell = tell;
}

/* --- answers ----------------------------------------------------------------------------- */

/* Under the lock. */
static struct guest *find(uint64_t home, uint64_t visit)
{
    struct guest *g = here.first;
    while (g != NULL && (g->home != home || g->visit != visit))
        g = g->next;
    return g;
}

void fetch_remote_want(uint64_t home, uint64_t visit, int fd)
{
    lock_take(&here.lock);
    struct guest *g = find(home, visit);
    bool taken = g != NULL && !g->has_wants;
    if (taken) {
        g->wants_fd = fd;
        g->has_wants = true;
        lock_wake(&here.answered);
    }
    lock_drop(&here.lock);
    if (!taken && fd >= 0)
        (void)close(fd);
}

void fetch_remote_stored(uint64_t home, uint64_t visit, struct str fates)
{
    AUTO_UNLOCK struct lock *held = lock_hold(&here.lock);
    (void)held;
    struct guest *g = find(home, visit);
    if (g == NULL)
        return;
    g->fates_n = MIN(fates.n, sizeof(g->fates));
    memcpy(g->fates, fates.p, g->fates_n);
    g->has_fates = true;
    lock_wake(&here.answered);
}

void fetch_remote_abort(uint64_t home)
{
    AUTO_UNLOCK struct lock *held = lock_hold(&here.lock);
    (void)held;
    for (struct guest *g = here.first; g != NULL; g = g->next)
        g->aborted = g->aborted || g->home != home;
    lock_wake(&here.answered);
}

/* Waits until *flag is set, with the lock held. */
static enum rc await(struct guest *g, const bool *flag, struct err *e)
{
    usec_t until = clock_mono() + ANSWER_TIME;
    while (!*flag && !g->aborted)
        if (!lock_wait(&here.lock, &here.answered, until))
            return err_temp(e, "4.3.0", "the queue role doesn't answer");
    return g->aborted ? err_temp(e, "4.3.0", "the queue role was started anew") : RC_OK;
}

/* The guest of this worker's talk. */
static struct guest *guest_of(const struct talk *t)
{
    AUTO_UNLOCK struct lock *held = lock_hold(&here.lock);
    (void)held;
    struct guest *g = find(t->home, t->number);
    if (g == NULL)
        BUG("a talk without its guest");
    return g;
}

static enum rc hook_list(struct talk *t, int fd, struct str *out_wants, struct err *e)
{
    struct guest *g = guest_of(t);
    here.tell(t->home, t->number, FETCH_LIST, NULL, fd);
    lock_take(&here.lock);
    enum rc rc = await(g, &g->has_wants, e);
    int wants AUTO_CLOSE = g->wants_fd;
    g->wants_fd = -1;
    lock_drop(&here.lock);
    if (rc == RC_OK && wants < 0)
        return err_temp(e, "4.3.0", "the queue role gave up the visit");
    return rc == RC_OK ? file_read_open(wants, "what is wanted", LISTED_MAX, &t->mem, out_wants,
                                        NULL, e)
                       : rc;
}

static enum rc hook_send(struct talk *t, int fd, struct err *e)
{
    struct guest *g = guest_of(t);
    lock_take(&here.lock);
    g->has_fates = false;
    bool aborted = g->aborted;
    lock_drop(&here.lock);
    if (aborted)
        return err_temp(e, "4.3.0", "the queue role was started anew");
    here.tell(t->home, t->number, FETCH_BATCH, NULL, fd);
    return RC_OK;
}

static enum rc hook_fates(struct talk *t, struct str *out, struct err *e)
{
    struct guest *g = guest_of(t);
    AUTO_UNLOCK struct lock *held = lock_hold(&here.lock);
    (void)held;
    enum rc rc = await(g, &g->has_fates, e);
    *out = str_from(g->fates, rc == RC_OK ? g->fates_n : 0); /* no other comes meanwhile */
    return rc;
}

/* --- one visit --------------------------------------------------------------------------- */

static enum rc connect_to(struct talk *t, struct err *e)
{
    const struct fetch_link *l = &t->link;
    return connect_host(l->host, l->port, l->has_source ? &l->source : NULL,
                        conf()->fetch_timeout, &t->client, e);
}

/* The row of the table, and the limit behind it. */
static enum rc read_link(struct talk *t, int fd, struct err *e)
{
    struct tab tab;
    struct str text;
    enum rc rc = file_read_open(fd, "a link", LINK_FILE_MAX, &t->mem, &text, NULL, e);
    if (rc == RC_OK)
        rc = tab_read_str("a link", text, &t->mem, &tab, e);
    if (rc != RC_OK)
        return rc;
    if (tab.row_count != 1 || tab.rows[0].count != LINK_COLUMNS + 1 ||
        !str_to_u64(tab.rows[0].values[LINK_COLUMNS], &t->limit))
        return err_perm(e, "5.3.0", "the link isn't whole");
    return link_parse(tab.rows[0].values, LINK_COLUMNS, &t->mem, &t->link, e);
}

static enum rc make_visit(struct guest *g, struct err *e)
{
    static const struct talk_home hooks = { hook_list, hook_send, hook_fates };
    struct talk *t = g->talk;
    enum rc rc = read_link(t, g->link_fd, e);
    if (rc == RC_OK)
        rc = connect_to(t, e);
    if (rc != RC_OK)
        return rc;
    t->source = t->link.imap ? &source_imap : &source_pop3;
    return talk_run(t, &hooks, e);
}

static void guest_free(struct guest **at)
{
    struct guest *g = *at;
    io_close_at(&g->link_fd);
    io_close_at(&g->wants_fd);
    talk_free(&g->talk);
    mem_free(at);
}

static void unlink_guest(struct guest *g)
{
    AUTO_UNLOCK struct lock *held = lock_hold(&here.lock);
    (void)held;
    struct guest **at = &here.first;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
}

static void guest_run(struct pool *pool, void *object, unsigned events)
{
    struct guest *g = object;
    struct err e = { .text = "" };
    struct fetch_done done = { .rc = RC_OK };
    (void)events;
    done.rc = make_visit(g, &e);
    done.rc = done.rc == RC_GONE ? RC_TEMP : done.rc;
    done.text = done.rc == RC_OK ? STR("") : str_from_c(e.text);
    unlink_guest(g);
    here.tell(g->home, g->visit, FETCH_DONE, &done, -1);
    pool_forget(pool, g->ticket);
    guest_free(&g);
}

void fetch_remote_start(uint64_t home, uint64_t number, int fd)
{
    struct err e;
    struct guest *g = mem_new(sizeof(*g));
    *g = (struct guest){ .home = home, .visit = number, .link_fd = fd, .wants_fd = -1 };
    g->talk = talk_new(here.tls());
    g->talk->home = home;
    g->talk->number = number;
    lock_take(&here.lock);
    g->next = here.first;
    here.first = g;
    lock_drop(&here.lock);
    if (pool_add(here.pool, g, guest_run, -1, &g->ticket, &e) == RC_OK)
        return;
    const struct fetch_done done = { .rc = RC_TEMP, .text = str_from_c(e.text) };
    unlink_guest(g);
    here.tell(home, number, FETCH_DONE, &done, -1);
    guest_free(&g);
}

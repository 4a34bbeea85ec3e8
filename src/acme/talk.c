/* talk.c - orders in the relay role: one at a time, on a worker that waits for its home with a
 * limit. */
#include "acme/acme.h"
#include "acme/talk_int.h"
#include "sys/file.h"
#include "sys/lock.h"
#include <openssl/evp.h>

#define JOB_MAX ((size_t)256 * 1024)
#define ANSWER_MAX ((size_t)512 * 1024)
#define ORDER_TIME (1200 * USEC_S)

static struct {
    struct lock lock;
    pthread_cond_t answered;
    struct pool *pool;
    const struct acme_talk_hooks *hooks;
    /* Under the lock. */
    uint64_t home, number; /* of the order under way; 0: none */
    bool has_answer;
    char why[200];
} here = { .lock = LOCK_INIT(LOCK_LEAF) };

void acme_talk_init(struct pool *pool, const struct acme_talk_hooks *hooks)
{
    lock_cond_init(&here.answered);
    here.pool = pool;
    here.hooks = hooks;
}

void acme_talk_proved(uint64_t home, uint64_t number, struct str why)
{
    AUTO_UNLOCK struct lock *held = lock_hold(&here.lock);
    (void)held;
    if (here.home != home || here.number != number)
        return;
    here.has_answer = true;
    (void)snprintf(here.why, sizeof(here.why), "%.*s", STR_ARG(str_head(why, 190)));
    lock_wake(&here.answered);
}

/* Under the lock. */
static bool is_under_way(const struct acme_talk *t)
{
    return here.home == t->home && here.number == t->number;
}

static enum rc prove(struct acme_talk *t, struct str proofs, struct err *e)
{
    lock_take(&here.lock);
    here.has_answer = false;
    lock_drop(&here.lock);
    here.hooks->prove(t->home, t->number, proofs);
    AUTO_UNLOCK struct lock *held = lock_hold(&here.lock);
    (void)held;
    while (!here.has_answer && is_under_way(t))
        if (!lock_wait(&here.lock, &here.answered, t->deadline))
            return err_temp(e, "4.3.0", "the control role doesn't answer");
    if (!is_under_way(t))
        return err_temp(e, "4.3.0", "another order was begun");
    return here.why[0] == '\0' ? RC_OK : err_perm(e, "5.7.0", "%s", here.why);
}

/* --- one order ---------------------------------------------------------------------------- */

struct work {
    struct acme_talk talk;
    pool_ticket ticket;
    int fd;
};

static void work_free(struct work **at)
{
    struct work *w = *at;
    io_close_at(&w->fd);
    client_close(&w->talk.client);
    client_tls_ctx_put(&w->talk.tls);
    EVP_PKEY_free(w->talk.key);
    json_decref(w->talk.job);
    buf_release(&w->talk.body);
    arena_wipe(&w->talk.mem);
    mem_free(at);
}

static enum rc read_job(struct work *w, struct err *e)
{
    struct str text;
    enum rc rc = file_read_open(w->fd, "an order", JOB_MAX, &w->talk.mem, &text, NULL, e);
    if (rc != RC_OK)
        return rc;
    w->talk.job = json_loadb(text.p, text.n, 0, NULL);
    return w->talk.job != NULL ? RC_OK : err_perm(e, "5.3.0", "the order isn't whole");
}

static void run(struct pool *pool, void *object, unsigned events)
{
    struct work *w = object;
    struct err e = { .text = "" };
    struct str chain = STR("");
    (void)events;
    enum rc rc = read_job(w, &e);
    if (rc == RC_OK)
        rc = acme_run_order(&w->talk, &chain, &e);
    lock_take(&here.lock);
    if (is_under_way(&w->talk))
        here.home = here.number = 0;
    lock_drop(&here.lock);
    here.hooks->done(w->talk.home, w->talk.number, rc,
                     rc == RC_OK ? STR("") : str_from_c(e.text), chain);
    pool_forget(pool, w->ticket);
    work_free(&w);
}

void acme_talk_order(uint64_t home, uint64_t number, int fd)
{
    struct err e;
    struct work *w = mem_new(sizeof(*w));
    *w = (struct work){ .fd = fd };
    w->talk = (struct acme_talk){ .tls = here.hooks->tls(),
                                  .deadline = clock_mono() + ORDER_TIME,
                                  .home = home,
                                  .number = number,
                                  .prove = prove };
    buf_init(&w->talk.body, ANSWER_MAX);
    lock_take(&here.lock);
    here.home = home;
    here.number = number;
    here.has_answer = false;
    lock_drop(&here.lock);
    if (pool_add(here.pool, w, run, -1, &w->ticket, &e) == RC_OK)
        return;
    here.hooks->done(home, number, RC_TEMP, str_from_c(e.text), STR(""));
    work_free(&w);
}

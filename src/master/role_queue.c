/* role_queue.c - the main of the queue role. */
#include "conf/logfiles.h"
#include "conf/options.h"
#include "fetch/fetch.h"
#include "mail/charset.h"
#include "master/recover.h"
#include "master/roles.h"
#include "queue/queue.h"
#include "spool/spool.h"
#include "store/store.h"
#include "sys/commit.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "users/users.h"
#include <malloc.h>
#include <stdatomic.h>

static struct queue *queue;

static const struct role_env *my_env;
static _Atomic uint64_t relay_pid; /* the relay role's process that takes attempts */

/* --- the relay role ---------------------------------------------------------------------- */

static bool send_to_relay_with(const struct note *n, int fd)
{
    int channel = my_env->channels[role_number(ROLE_RELAY)];
    struct err e;
    return channel >= 0 && channel_send(channel, n, fd, &e) == RC_OK;
}

static bool send_to_relay(const struct note *n)
{
    return send_to_relay_with(n, -1);
}

static void say_hello(void)
{
    struct note n = { .type = NOTE_relay_hello, .u.relay_hello.pid = (uint64_t)getpid() };
    (void)send_to_relay(&n);
}

static bool ask_relay(const struct queue_relay *r)
{
    struct note n = { .type = NOTE_relay,
                      .u.relay = { (uint64_t)getpid(), relay_pid, r->job, r->id, r->rcpts,
                                   r->via } };
    return send_to_relay(&n);
}

/* An answer that didn't get through would keep a visit waiting. */
static bool ask_fetch(enum fetch_order order, uint64_t visit, struct str text, int fd)
{
    uint64_t me = (uint64_t)getpid();
    const struct note start = { .type = NOTE_fetch, .u.fetch = { me, relay_pid, visit } };
    const struct note want = { .type = NOTE_fetch_want, .u.fetch_want = { me, visit } };
    const struct note stored = { .type = NOTE_fetch_stored,
                                 .u.fetch_stored = { me, visit, text } };
    const struct note *n = order == FETCH_START  ? &start
                           : order == FETCH_WANT ? &want
                                                 : &stored;
    for (unsigned i = 0; i < 500; i++) {
        if (send_to_relay_with(n, fd))
            return true;
        thread_pause(10 * USEC_MS);
    }
    return false;
}

static void fetched_entry(struct str id)
{
    queue_notify(queue, id);
}

/* True: it was about fetching, and took fd. */
static bool take_fetch_note(const struct note *n, int fd)
{
    struct fetch_done done = { .rc = RC_TEMP };
    if (n->type == NOTE_fetch_list && n->u.fetch_list.queue == (uint64_t)getpid())
        fetch_home_told(n->u.fetch_list.visit, FETCH_LIST, NULL, fd);
    else if (n->type == NOTE_fetch_batch && n->u.fetch_batch.queue == (uint64_t)getpid())
        fetch_home_told(n->u.fetch_batch.visit, FETCH_BATCH, NULL, fd);
    else if (n->type == NOTE_fetch_done && n->u.fetch_done.queue == (uint64_t)getpid()) {
        done.rc = n->u.fetch_done.rc <= RC_GONE ? (enum rc)n->u.fetch_done.rc : RC_TEMP;
        done.text = n->u.fetch_done.text;
        fetch_home_told(n->u.fetch_done.visit, FETCH_DONE, &done, fd);
    } else
        return false;
    return true;
}

static void ask_policy(struct str domain)
{
    struct note n = { .type = NOTE_policy_ask, .u.policy_ask.domain = domain };
    (void)send_to_relay(&n);
}

static void on_relay_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (take_fetch_note(n, fd))
        return;
    if (fd >= 0)
        (void)close(fd);
    if (n->type == NOTE_relay_ready && n->u.relay_ready.pid == 0) {
        say_hello();
    } else if (n->type == NOTE_relay_ready) {
        /* One that answers this process, and not a second time: what it was asked for since
         * would be asked again. */
        if (n->u.relay_ready.queue != (uint64_t)getpid() || n->u.relay_ready.pid == relay_pid)
            return;
        relay_pid = n->u.relay_ready.pid;
        queue_relay_ready(queue);
        fetch_home_relay_ready();
    } else if (n->type == NOTE_relay_result && n->u.relay_result.state <= OUTCOME_PERM) {
        queue_relay_result(queue, n->u.relay_result.job, n->u.relay_result.rcpt,
                           (enum queue_outcome)n->u.relay_result.state,
                           (unsigned)n->u.relay_result.flags, n->u.relay_result.reason,
                           n->u.relay_result.id);
    } else if (n->type == NOTE_relay_done && n->u.relay_done.state <= OUTCOME_PERM) {
        queue_relay_done(queue, n->u.relay_done.job, (enum queue_outcome)n->u.relay_done.state,
                         (unsigned)n->u.relay_done.flags, n->u.relay_done.reason,
                         n->u.relay_done.id, n->u.relay_done.rcpts);
    } else if (n->type == NOTE_policy_told && n->u.policy_told.policy <= QUEUE_POLICY_STRICT) {
        queue_policy_told(n->u.policy_told.domain, (enum queue_policy)n->u.policy_told.policy);
    }
}

/* --- the runner role ---------------------------------------------------------------------- */

static _Atomic uint64_t runner_pid;

static bool ask_runner(const struct queue_run *r)
{
    int channel = my_env->channels[role_number(ROLE_RUNNER)];
    int fd AUTO_CLOSE = -1;
    struct err e;
    const struct note n = { .type = NOTE_run,
                            .u.run = { .runner = runner_pid,
                                       .process = (uint64_t)getpid(),
                                       .number = r->number,
                                       .table = r->table,
                                       .line = r->line,
                                       .sum = r->sum,
                                       .type = r->type,
                                       .about = r->about } };
    return channel >= 0 && file_in_memory(r->macros, &fd, &e) == RC_OK &&
           channel_send(channel, &n, fd, &e) == RC_OK;
}

static void on_runner_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (fd >= 0)
        (void)close(fd);
    if (n->type == NOTE_runner_ready && n->u.runner_ready.pid != runner_pid) {
        runner_pid = n->u.runner_ready.pid;
        queue_runner_ready(queue);
    } else if (n->type == NOTE_ran && n->u.ran.process == (uint64_t)getpid()) {
        queue_ran(n->u.ran.number, n->u.ran.code, n->u.ran.text);
    }
}

/* --- the others -------------------------------------------------------------------------- */

static void on_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (n->type == NOTE_queued)
        queue_notify(queue, n->u.queued.id);
    else if (n->type == NOTE_order && n->u.order.id.n == 0)
        queue_flush(queue, n->u.order.argument);
    else if (n->type == NOTE_order && n->u.order.order <= QUEUE_ORDER_LAST)
        queue_order(queue, (enum queue_order)n->u.order.order, n->u.order.id,
                    n->u.order.argument);
    else if (n->type == NOTE_fetch_now)
        fetch_home_now(n->u.fetch_now.domain, n->u.fetch_now.user, n->u.fetch_now.server,
                       n->u.fetch_now.remote);
    if (fd >= 0)
        (void)close(fd);
}

/* The channel of control also carries the index of accounts. */
static void on_control_note(void *ctx, const struct note *n, int fd)
{
    if (n->type == NOTE_index)
        role_use_index(n, fd);
    else
        on_note(ctx, n, fd);
}

static enum rc hear_others(struct pool *pool, struct err *e)
{
    static const struct {
        enum role_id from;
        note_fn *fn;
    } rows[] = { { ROLE_SMTPD, on_note },
                 { ROLE_CONTROL, on_control_note },
                 { ROLE_RELAY, on_relay_note },
                 { ROLE_RUNNER, on_runner_note } };
    enum rc rc = RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(rows) && rc == RC_OK; i++) {
        int channel = my_env->channels[role_number(rows[i].from)];
        if (channel >= 0)
            rc = channel_listen(pool, channel, rows[i].from, ROLE_QUEUE, rows[i].fn, NULL, e);
    }
    say_hello();
    const struct note hello = { .type = NOTE_runner_hello,
                                .u.runner_hello.pid = (uint64_t)getpid() };
    struct err lost;
    int runner = my_env->channels[role_number(ROLE_RUNNER)];
    if (runner >= 0 && channel_send(runner, &hello, -1, &lost) != RC_OK)
        log_warn(EV("the runner role isn't told of the queue"), KE(&lost));
    return rc;
}

static void every_second(void)
{
    static unsigned seconds;
    struct queue_stats stats;
    (void)options_refresh();
    /* Notes about new entries may have been lost (a full channel, a crash). */
    if (++seconds % 60 == 0)
        queue_rescan(queue);
    if (seconds % 3600 == 1) {
        logfile_trace_expire();
        queue_expire_files();
    }
    queue_take_local(queue);
    fetch_home_tick();
    queue_stats_get(queue, &stats);
    metric_set(METRIC_queue_waiting, stats.waiting);
    metric_set(METRIC_queue_active, stats.active);
    role_count_log();
}

static enum rc start(const struct role_env *env, struct pool **pool, struct commit **commit,
                     struct err *e)
{
    charsets_hold();
    enum rc rc = role_get_users(env, e);
    if (rc == RC_OK) /* what this role's process before may have left: deliveries to note */
        rc = commit_recover_log(this_role->name, recover_tag, NULL, NULL, e);
    if (rc == RC_OK)
        rc = commit_open(this_role->name, commit, e);
    if (rc == RC_OK)
        rc = pool_new(16 + QUEUE_PROGRAM_THREADS, 1024, pool, e);
    if (rc == RC_OK) {
        store_init(*commit);
        rc = spool_init(*commit, e);
    }
    if (rc == RC_OK)
        rc = role_watch_signals(*pool, NULL, e);
    if (rc == RC_OK)
        queue_set_policy_asker(ask_policy);
    if (rc == RC_OK) /* before the queue works on what was fetched */
        rc = fetch_home_init(*pool, ask_fetch, fetched_entry, e);
    if (rc == RC_OK)
        queue_set_runner(ask_runner);
    if (rc == RC_OK)
        rc = folder_make("hikyaku/filter", 0700, e);
    if (rc == RC_OK)
        rc = queue_start(*pool, ask_relay, &queue, e);
    if (rc == RC_OK)
        rc = hear_others(*pool, e);
    if (rc == RC_OK)
        rc = role_every(*pool, USEC_S, every_second, e);
    return rc == RC_OK ? role_seal(env, e) : rc;
}

int role_queue(const struct role_env *env)
{
    struct err e;
    struct pool *pool = NULL;
    struct commit *commit = NULL;
    my_env = env;
    (void)mallopt(M_ARENA_MAX, 2);
    if (start(env, &pool, &commit, &e) != RC_OK) {
        log_error(EV("role can't start"), KE(&e));
        return 1;
    }
    pool_run(pool);
    commit_close(&commit);
    queue_free(&queue);
    pool_free(&pool);
    users_close();
    return 0;
}

/* role_control.c - the main of the control role: the index of accounts goes out to the others
 * whenever a table has changed, and to a role that has started. */
#include "conf/options.h"
#include "control/control.h"
#include "master/roles.h"

static const struct role_env *my_env;
static int index_fd = -1;
static uint64_t generation;

static void send_index(enum role_id to)
{
    struct err e;
    int channel = my_env->channels[role_number(to)];
    struct note n = { .type = NOTE_index, .u.index.generation = generation };
    if (channel >= 0 && channel_send(channel, &n, index_fd, &e) != RC_OK)
        log_error(EV("index of accounts not sent"), KV("to", roles[role_number(to)].name),
                  KE(&e));
}

static void show(const struct users_report *report)
{
    struct board *b = role_whole_board();
    b->domains = report->domains;
    b->accounts = report->accounts;
    b->aliases = report->aliases;
    b->problems = report->problems;
    b->index_bytes = report->memory_bytes;
    b->index_generation = generation;
    log_info(EV("index of accounts"), KU("domains", report->domains),
             KU("accounts", report->accounts), KU("aliases", report->aliases),
             KU("problems", report->problems));
}

static enum rc build(struct err *e)
{
    struct users_report report;
    int fd = -1;
    enum rc rc = control_build_index(&fd, &report, e);
    if (rc != RC_OK)
        return rc;
    if (index_fd >= 0)
        (void)close(index_fd);
    index_fd = fd;
    generation++;
    show(&report);
    return RC_OK;
}

static void tick(void)
{
    struct err e;
    (void)options_refresh();
    if (!users_index_is_stale())
        return;
    if (build(&e) != RC_OK) {
        log_error(EV("index of accounts not built"), KE(&e));
        return;
    }
    send_index(ROLE_SMTPD);
    send_index(ROLE_ACCESS);
    send_index(ROLE_QUEUE);
}

static void on_note(void *ctx, const struct note *n, int fd)
{
    const enum role_id *from = ctx;
    struct err e;
    if (fd >= 0)
        (void)close(fd);
    if (n->type == NOTE_hello)
        send_index(*from);
    else if (n->type == NOTE_login_seen &&
             control_note_login(n->u.login_seen.domain, n->u.login_seen.user,
                                n->u.login_seen.address, &e) != RC_OK)
        log_warn(EV("last login not noted"), KS("user", n->u.login_seen.user), KE(&e));
}

static enum rc start(struct pool **pool, struct err *e)
{
    static enum role_id others[] = { ROLE_SMTPD, ROLE_ACCESS, ROLE_QUEUE };
    enum rc rc = build(e);
    if (rc == RC_OK)
        rc = pool_new(1, 64, pool, e); /* one worker: all its state has one owner */
    if (rc == RC_OK)
        rc = role_watch_signals(*pool, NULL, e);
    for (size_t i = 0; i < ARRAY_LEN(others) && rc == RC_OK; i++) {
        int channel = my_env->channels[role_number(others[i])];
        if (channel >= 0)
            rc =
                channel_listen(*pool, channel, others[i], ROLE_CONTROL, on_note, &others[i], e);
    }
    if (rc == RC_OK)
        rc = role_every(*pool, 100 * USEC_MS, tick, e);
    return rc == RC_OK ? role_seal(my_env, e) : rc;
}

int role_control(const struct role_env *env)
{
    struct err e;
    struct pool *pool = NULL;
    my_env = env;
    if (start(&pool, &e) != RC_OK) {
        log_error(EV("role can't start"), KE(&e));
        return 1;
    }
    pool_run(pool);
    pool_free(&pool);
    if (index_fd >= 0)
        (void)close(index_fd);
    users_close();
    return 0;
}

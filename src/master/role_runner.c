/* role_runner.c - the main of the runner role: the only one that executes programs. It parses
 * nothing that comes from outside; it is sealed against nothing but new privileges, because its
 * programs inherit its seals. */
#include "conf/options.h"
#include "master/roles.h"
#include "runner/runner.h"

static const struct role_env *my_env;

static void on_done(const struct runner_request *r, uint64_t code, struct str text)
{
    struct note n = { .type = NOTE_ran,
                      .u.ran = { r->process, r->session, r->number, code,
                                 str_head(text, 400) } };
    int channel = my_env->channels[role_number(ROLE_SMTPD)];
    struct err e;
    if (channel >= 0 && channel_send(channel, &n, -1, &e) != RC_OK)
        log_warn(EV("what came of a program is lost"), KE(&e)); /* the session waits in vain */
}

static void on_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (n->type == NOTE_run && fd >= 0) {
        const struct runner_request r = { n->u.run.process,
                                          n->u.run.session,
                                          n->u.run.number,
                                          n->u.run.table,
                                          n->u.run.line,
                                          n->u.run.sum,
                                          fd };
        runner_start(&r);
    } else if (fd >= 0) {
        (void)close(fd);
    }
}

static void every_second(void)
{
    (void)options_refresh();
    role_count_log();
}

static enum rc start(const struct role_env *env, struct pool **pool, struct err *e)
{
    int channel = env->channels[role_number(ROLE_SMTPD)];
    enum rc rc = pool_new(8, 4096, pool, e);
    if (rc == RC_OK)
        runner_init(*pool, on_done);
    if (rc == RC_OK)
        rc = role_watch_signals(*pool, NULL, e);
    if (rc == RC_OK)
        rc = role_every(*pool, USEC_S, every_second, e);
    if (rc == RC_OK)
        rc = role_seal(env, e);
    if (rc == RC_OK && channel >= 0)
        rc = channel_listen(*pool, channel, ROLE_SMTPD, ROLE_RUNNER, on_note, NULL, e);
    const struct note ready = { .type = NOTE_runner_ready,
                                .u.runner_ready.pid = (uint64_t)getpid() };
    struct err lost;
    if (rc == RC_OK && channel >= 0 && channel_send(channel, &ready, -1, &lost) != RC_OK)
        log_warn(EV("smtpd not told"), KE(&lost));
    return rc;
}

int role_runner(const struct role_env *env)
{
    struct err e;
    struct pool *pool = NULL;
    my_env = env;
    if (start(env, &pool, &e) != RC_OK) {
        log_error(EV("role can't start"), KE(&e));
        return 1;
    }
    pool_run(pool);
    pool_free(&pool);
    return 0;
}

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
    int channel = my_env->channels[r->role];
    struct err e;
    if (channel >= 0 && channel_send(channel, &n, -1, &e) != RC_OK)
        log_warn(EV("what came of a program is lost"), KE(&e)); /* the asker waits in vain */
}

static void say_ready(int channel)
{
    const struct note ready = { .type = NOTE_runner_ready,
                                .u.runner_ready.pid = (uint64_t)getpid() };
    struct err lost;
    if (channel_send(channel, &ready, -1, &lost) != RC_OK)
        log_warn(EV("a role isn't told of the runner"), KE(&lost));
}

static void on_note(void *ctx, const struct note *n, int fd)
{
    const enum role_id *from = ctx;
    bool is_mine =
        n->type == NOTE_run && (n->u.run.runner == 0 || n->u.run.runner == (uint64_t)getpid());
    if (n->type == NOTE_runner_hello)
        say_ready(my_env->channels[role_number(*from)]);
    if (is_mine && fd >= 0) {
        const struct runner_request r = { .role = role_number(*from),
                                          .process = n->u.run.process,
                                          .session = n->u.run.session,
                                          .number = n->u.run.number,
                                          .table = n->u.run.table,
                                          .line = n->u.run.line,
                                          .sum = n->u.run.sum,
                                          .type = n->u.run.type,
                                          .about = n->u.run.about,
                                          .is_message = *from == ROLE_QUEUE,
                                          .macros_fd = fd };
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

/* All roles that may ask for programs. */
static enum rc hear_askers(struct pool *pool, struct err *e)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < role_count && rc == RC_OK; i++) {
        static enum role_id askers[ROLE_COUNT];
        int channel = my_env->channels[i];
        if (channel < 0 || !note_is_allowed(NOTE_run, roles[i].id, ROLE_RUNNER))
            continue;
        askers[i] = roles[i].id;
        rc = channel_listen(pool, channel, roles[i].id, ROLE_RUNNER, on_note, &askers[i], e);
        if (rc == RC_OK)
            say_ready(channel);
    }
    return rc;
}

static enum rc start(const struct role_env *env, struct pool **pool, struct err *e)
{
    enum rc rc = pool_new(8, 4096, pool, e);
    if (rc == RC_OK)
        runner_init(*pool, on_done);
    if (rc == RC_OK)
        rc = role_watch_signals(*pool, NULL, e);
    if (rc == RC_OK)
        rc = role_every(*pool, USEC_S, every_second, e);
    if (rc == RC_OK)
        rc = role_seal(env, e);
    return rc == RC_OK ? hear_askers(*pool, e) : rc;
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
    /* The pool isn't freed: a conversation that is under way may still use it. */
    return 0;
}

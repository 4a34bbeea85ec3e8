/* role_web.c - the main of the web role: administration by HTTP. It changes nothing itself;
 * what is to be changed goes to the control role, over a connection that is made by a note. */
#include "conf/options.h"
#include "master/roles.h"
#include "users/users.h"
#include "web/web.h"
#include <malloc.h>
#include <sys/socket.h>

static struct engine *engine;
static const struct role_env *my_env;

static void on_hup(void)
{
    (void)options_refresh();
    role_load_certificate(engine);
}

static enum rc connect_control(int *out_fd, struct err *e)
{
    int ends[2];
    struct note n = { .type = NOTE_control_link, .u.control_link.pid = (uint64_t)getpid() };
    int channel = my_env->channels[role_number(ROLE_CONTROL)];
    if (channel < 0)
        return err_temp(e, "4.3.0", "there is no control role");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return err_sys(e, "make a pair of sockets");
    enum rc rc = channel_send(channel, &n, ends[1], e);
    (void)close(ends[1]);
    if (rc == RC_OK)
        *out_fd = ends[0];
    else
        (void)close(ends[0]);
    return rc;
}

/* Questions to the DNS, which the relay role asks. */
static bool look_up(uint64_t number, bool is_gate, unsigned question, struct str name)
{
    struct note n = { .type = NOTE_look_up,
                      .u.look_up = { (uint64_t)getpid(), number, is_gate, question, name } };
    int channel = my_env->channels[role_number(ROLE_RELAY)];
    struct err e;
    return channel >= 0 && channel_send(channel, &n, -1, &e) == RC_OK;
}

static void on_relay_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (fd >= 0)
        (void)close(fd);
    if (n->type == NOTE_looked_up && n->u.looked_up.process == (uint64_t)getpid())
        web_lookup_told(n->u.looked_up.number, (unsigned)n->u.looked_up.state,
                        n->u.looked_up.text);
}

static enum rc hear_relay(const struct role_env *env, struct err *e)
{
    int channel = env->channels[role_number(ROLE_RELAY)];
    return channel < 0 ? RC_OK
                       : channel_listen(engine_pool(engine), channel, ROLE_RELAY, ROLE_WEB,
                                        on_relay_note, NULL, e);
}

static void every_second(void)
{
    role_refresh(engine);
    role_board()->sessions = engine_sessions(engine);
    web_tick();
    role_count_log();
}

static enum rc start(const struct role_env *env, struct err *e)
{
    static const struct web_hooks hooks = { connect_control, look_up };
    const struct options *o = conf();
    struct engine_limits limits = {
        .max_sessions = (size_t)o->max_sessions,
        .max_per_address = (size_t)o->max_sessions_per_address,
        .max_workers = (unsigned)o->worker_threads,
    };
    enum rc rc = role_get_users(env, e);
    if (rc == RC_OK)
        rc = engine_new(&limits, &engine, e);
    if (rc == RC_OK)
        role_load_certificate(engine);
    if (rc == RC_OK)
        rc = web_init(&hooks, e);
    if (rc == RC_OK)
        rc = role_watch_signals(engine_pool(engine), on_hup, e);
    if (rc == RC_OK)
        rc = role_hear_control(engine_pool(engine), env, e);
    if (rc == RC_OK)
        rc = hear_relay(env, e);
    if (rc == RC_OK)
        rc = role_every(engine_pool(engine), USEC_S, every_second, e);
    if (rc == RC_OK)
        rc = role_seal(env, e);
    return rc == RC_OK ? role_listen(env, engine, e) : rc;
}

int role_web(const struct role_env *env)
{
    struct err e;
    my_env = env;
    (void)mallopt(M_ARENA_MAX, 2);
    if (start(env, &e) != RC_OK) {
        log_error(EV("role can't start"), KE(&e));
        return 1;
    }
    engine_run(engine);
    if (engine_sessions(engine) == 0)
        engine_free(&engine);
    web_free();
    users_close();
    return 0;
}

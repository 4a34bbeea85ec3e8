/*
 * role_net.c - the main of the roles that serve clients: smtpd and access. They differ in the
 * table of roles (which services, what they may write) and in what they set up.
 */
#include "auth/auth.h"
#include "conf/options.h"
#include "master/roles.h"
#include "pop3d/pop3d.h"
#include "smtpd/smtpd.h"
#include "spool/spool.h"
#include "store/store.h"
#include "sys/commit.h"
#include "sys/io.h"
#include "users/users.h"
#include "wire/session.h"
#include <malloc.h>
#include <stdlib.h>

static struct engine *engine;
static const struct role_env *my_env;

static void on_hup(void)
{
    log_info(EV("reading certificate and settings again"));
    (void)options_refresh();
    role_load_certificate(engine);
}

/* --- notes ------------------------------------------------------------------------------- */

static void notify_queue(struct str id)
{
    struct note n = { .type = NOTE_queued, .u.queued.id = id };
    int channel = my_env->channels[role_number(ROLE_QUEUE)];
    struct err e;
    /* A lost note is made good by the queue's own rescan. */
    if (channel >= 0 && channel_send(channel, &n, -1, &e) != RC_OK)
        log_warn(EV("queue not told"), KS("id", id), KE(&e));
}

static bool flush_queue(struct str domain)
{
    struct note n = { .type = NOTE_order, .u.order = { 0, STR(""), domain } };
    int channel = my_env->channels[role_number(ROLE_QUEUE)];
    struct err e;
    return channel >= 0 && channel_send(channel, &n, -1, &e) == RC_OK;
}

/* Questions of gates to the DNS, which the relay role asks. */
static bool ask_fact(struct question q, enum gate_question question, struct str name)
{
    struct note n = { .type = NOTE_fact_ask,
                      .u.fact_ask = { (uint64_t)getpid(), q.session, q.number,
                                      (uint64_t)question, name } };
    int channel = my_env->channels[role_number(ROLE_RELAY)];
    struct err e;
    return channel >= 0 && channel_send(channel, &n, -1, &e) == RC_OK;
}

static void on_relay_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (fd >= 0)
        (void)close(fd);
    if (n->type != NOTE_fact_told || n->u.fact_told.process != (uint64_t)getpid())
        return;
    const struct answer a = { n->u.fact_told.answer, n->u.fact_told.text };
    (void)engine_answer(engine,
                        (struct question){ n->u.fact_told.session, n->u.fact_told.number }, &a);
}

static enum rc hear_relay(const struct role_env *env, struct err *e)
{
    int channel = env->channels[role_number(ROLE_RELAY)];
    if (this_role->id != ROLE_SMTPD || channel < 0)
        return RC_OK;
    smtpd_set_fact_asker(ask_fact);
    return channel_listen(engine_pool(engine), channel, ROLE_RELAY, ROLE_SMTPD, on_relay_note,
                          NULL, e);
}

static void login_seen(const struct account *account, const struct ip *client)
{
    char text[IP_TEXT_BYTES];
    struct note n = {
        .type = NOTE_login_seen,
        .u.login_seen = { account->domain, account->name, str_from_c(ip_print(client, text)) },
    };
    int channel = my_env->channels[role_number(ROLE_CONTROL)];
    struct err e;
    if (channel >= 0 && channel_send(channel, &n, -1, &e) != RC_OK)
        log_debug(EV("last login not noted"), KE(&e));
}

static void weak_login(struct str login, const char *method)
{
    struct note n = { .type = NOTE_weak_login, .u.weak_login = { login, str_from_c(method) } };
    int channel = my_env->channels[role_number(ROLE_CONTROL)];
    struct err e;
    if (channel >= 0 && channel_send(channel, &n, -1, &e) != RC_OK)
        log_debug(EV("login method not noted"), KE(&e));
}

/* --- housekeeping ------------------------------------------------------------------------ */

static void every_second(void)
{
    struct board_role *b = role_board();
    role_refresh(engine);
    b->sessions = engine_sessions(engine);
    role_count_log();
}

/* --- programs on this machine ------------------------------------------------------------ */

static struct listener submit = {
    .protocol = &smtp_protocol, .service = "submit", .local = true, .fd = -1
};
static char submit_path[256];

/* sendmail's way in: below /run under systemd, else in the MailRoot. */
static enum rc serve_programs(struct err *e)
{
    const char *run = getenv("RUNTIME_DIRECTORY");
    (void)snprintf(submit_path, sizeof(submit_path), "%s/submit.sock",
                   run == NULL || run[0] == '\0' ? "hikyaku" : run);
    enum rc rc = listener_open_local(submit_path, 0666, &submit.fd, e);
    submit.opened = METRIC_sessions_submit;
    return rc == RC_OK ? engine_listen(engine, &submit, e) : rc;
}

/* --- starting ---------------------------------------------------------------------------- */

static enum rc set_up_protocol(struct commit *commit, struct err *e)
{
    users_on_weak_login(weak_login);
    auth_set_runner(role_run_program);
    if (this_role->id == ROLE_SMTPD) {
        engine_set_admit(engine, smtpd_admit);
        smtpd_set_program_runner(role_run_program);
        return smtpd_init(commit, notify_queue, flush_queue, e);
    }
    store_init(commit);
    engine_set_admit(engine, pop3d_admit);
    return pop3d_init(login_seen, e);
}

static enum rc start(const struct role_env *env, struct commit **commit, struct err *e)
{
    const struct options *o = conf();
    struct engine_limits limits = {
        .max_sessions = (size_t)o->max_sessions,
        .max_per_address = (size_t)o->max_sessions_per_address,
        .max_workers = (unsigned)o->worker_threads,
    };
    enum rc rc = role_get_users(env, e);
    if (rc == RC_OK)
        rc = commit_open(this_role->name, commit, e);
    if (rc == RC_OK)
        rc = engine_new(&limits, &engine, e);
    if (rc == RC_OK)
        role_load_certificate(engine);
    if (rc == RC_OK)
        rc = set_up_protocol(*commit, e);
    if (rc == RC_OK && this_role->id == ROLE_SMTPD && !env->alone)
        rc = serve_programs(e);
    if (rc == RC_OK)
        rc = role_watch_signals(engine_pool(engine), on_hup, e);
    if (rc == RC_OK)
        rc = role_hear_control(engine_pool(engine), env, e);
    if (rc == RC_OK)
        rc = hear_relay(env, e);
    if (rc == RC_OK)
        rc = role_hear_runner(env, engine, e);
    if (rc == RC_OK)
        rc = role_every(engine_pool(engine), USEC_S, every_second, e);
    if (rc == RC_OK)
        rc = role_seal(env, e);
    return rc == RC_OK ? role_listen(env, engine, e) : rc;
}

int role_network(const struct role_env *env)
{
    struct err e;
    struct commit *commit = NULL;
    my_env = env;
    /* Few heaps for many threads: sessions are small and move between workers. */
    (void)mallopt(M_ARENA_MAX, 2);
    if (start(env, &commit, &e) != RC_OK) {
        log_error(EV("role can't start"), KE(&e));
        return 1;
    }
    engine_run(engine);
    if (submit.fd >= 0)
        (void)io_unlink(submit_path);
    commit_close(&commit);
    bool clean = engine_sessions(engine) == 0;
    if (clean)
        engine_free(&engine);
    users_close();
    return 0;
}

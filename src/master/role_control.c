/*
 * role_control.c - the main of the control role: the control protocol, and the index of
 * accounts, which goes out to the others whenever a table has changed, and to a role that has
 * started. One worker: all that is changed has one owner.
 */
#include "acme/acme.h"
#include "admin/admin.h"
#include "auth/auth.h"
#include "conf/options.h"
#include "control/control.h"
#include "history/history.h"
#include "master/master.h"
#include "master/roles.h"
#include "store/store.h"
#include "sys/file.h"
#include "users/limits.h"
#include "wire/session.h"

#define SETTLE_EVERY (2 * USEC_S)
#define PURGE_EVERY (3600 * USEC_S)

const char master_control_socket[] = "hikyaku/control.sock";

static const struct role_env *my_env;
static struct engine *engine;
static struct listener local = {
    .protocol = &control_protocol, .service = "ctrl", .local = true, .fd = -1
};
static int index_fd = -1;
static uint64_t generation;
static enum role_id others[] = { ROLE_SMTPD, ROLE_ACCESS, ROLE_QUEUE, ROLE_WEB };
static uint64_t taken[ROLE_COUNT]; /* generation each role uses, by role_number */

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
    enum rc rc = admin_build_index(&fd, &report, e);
    if (rc != RC_OK)
        return rc;
    if (index_fd >= 0)
        (void)close(index_fd);
    index_fd = fd;
    generation++;
    show(&report);
    return RC_OK;
}

/* --- what a change needs ----------------------------------------------------------------- */

static void refresh(void)
{
    struct err e;
    if (build(&e) != RC_OK) {
        log_error(EV("index of accounts not built"), KE(&e));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        send_index(others[i]);
}

/* A role that doesn't run gets the index when it starts. */
static bool visible(void)
{
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        unsigned r = role_number(others[i]);
        bool runs = role_whole_board()->roles[r].state == BOARD_RUNNING;
        if (my_env->channels[r] >= 0 && runs && taken[r] < generation)
            return false;
    }
    return true;
}

/* --- housekeeping ------------------------------------------------------------------------ */

static bool tell_queue(const struct note *n)
{
    int channel = my_env->channels[role_number(ROLE_QUEUE)];
    struct err e;
    return channel >= 0 && channel_send(channel, n, -1, &e) == RC_OK;
}

static bool tell_fetch(const struct admin_link *link)
{
    struct note n = { .type = NOTE_fetch_now,
                      .u.fetch_now = { link->domain, link->user, link->server,
                                       link->remote_user } };
    return tell_queue(&n);
}

/* XMail's way to have all links visited at once. */
static void take_trigger(void)
{
    const struct admin_link all = { STR(""), STR(""), STR(""), STR("") };
    struct err e;
    if (file_exists(".psync-trigger") && tell_fetch(&all) &&
        file_remove(".psync-trigger", &e) != RC_OK)
        log_warn(EV("file can't be removed"), KV("file", ".psync-trigger"), KE(&e));
}

/* --- certificates from an authority --------------------------------------------------------
 */

static bool tell_relay(const struct note *n, int fd)
{
    int channel = my_env->channels[role_number(ROLE_RELAY)];
    struct err e;
    return channel >= 0 && channel_send(channel, n, fd, &e) == RC_OK;
}

static bool send_order(uint64_t number, struct str job)
{
    struct note n = { .type = NOTE_acme_order, .u.acme_order = { (uint64_t)getpid(), number } };
    int fd AUTO_CLOSE = -1;
    struct err e;
    return file_in_memory(job, &fd, &e) == RC_OK && tell_relay(&n, fd);
}

static bool send_proved(uint64_t number, struct str why)
{
    struct note n = { .type = NOTE_acme_proved,
                      .u.acme_proved = { (uint64_t)getpid(), number, str_head(why, 190) } };
    return tell_relay(&n, -1);
}

static bool run_for_dns(uint64_t number, const struct program_line *line, struct str macros)
{
    return role_run_program((struct question){ .number = number }, "acmedns.tab", line, macros,
                            STR("acme"));
}

static uint32_t relay_process(void)
{
    return role_whole_board()->roles[role_number(ROLE_RELAY)].pid;
}

static void on_relay_note(void *ctx, const struct note *n, int fd)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str text = STR("");
    struct err e = { .text = "" };
    int held AUTO_CLOSE = fd;
    (void)ctx;
    if (held >= 0 &&
        file_read_open(held, "relay's answer", (size_t)1 << 20, &a, &text, NULL, &e) != RC_OK)
        log_error(EV("relay not understood"), KE(&e));
    if (n->type == NOTE_acme_prove && n->u.acme_prove.control == (uint64_t)getpid())
        acme_home_prove(n->u.acme_prove.number, text);
    if (n->type == NOTE_acme_done && n->u.acme_done.control == (uint64_t)getpid())
        acme_home_done(n->u.acme_done.number, (enum rc)n->u.acme_done.rc, n->u.acme_done.text,
                       text);
}

/* Who has just changed the settings means the new ones. */
static enum admin_result order_now(struct err *e)
{
    role_refresh(engine);
    return acme_home_now(e);
}

static enum rc begin_acme(struct err *e)
{
    static const struct acme_home_hooks hooks = { send_order, send_proved, run_for_dns,
                                                  relay_process };
    int channel = my_env->channels[role_number(ROLE_RELAY)];
    acme_home_init(&hooks);
    role_when_ran(acme_home_ran);
    return channel < 0 ? RC_OK
                       : channel_listen(engine_pool(engine), channel, ROLE_RELAY, ROLE_CONTROL,
                                        on_relay_note, NULL, e);
}

static void tick(void)
{
    static usec_t settle_at, purge_at;
    struct board_role *b = role_board();
    usec_t now = clock_mono();
    role_refresh(engine);
    b->sessions = engine_sessions(engine);
    role_count_log();
    control_settle_limits();
    control_settle_history();
    if (admin_index_due() || users_index_is_stale())
        refresh();
    take_trigger();
    if (!my_env->alone) {
        acme_home_tick();
        control_settle_backup();
        control_settle_counts(role_whole_board());
        control_settle_weekly();
    }
    if (now >= settle_at) {
        admin_settle();
        settle_at = now + SETTLE_EVERY;
    }
    if (now >= purge_at && conf()->undelete_days > 0) {
        admin_removed_purge(conf()->undelete_days * 86400 * USEC_S);
        purge_at = now + PURGE_EVERY;
    }
}

static void weak_login_here(struct str login, const char *method)
{
    struct err e;
    if (admin_note_weak_login(login, str_from_c(method), &e) != RC_OK)
        log_warn(EV("login method not noted"), KE(&e));
}

static void on_note(void *ctx, const struct note *n, int fd)
{
    const enum role_id *from = ctx;
    struct err e;
    if (n->type == NOTE_control_link && fd >= 0) {
        engine_serve(engine, &local, fd);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    if (n->type == NOTE_hello)
        send_index(*from);
    else if (n->type == NOTE_index_taken)
        taken[role_number(*from)] = n->u.index_taken.generation;
    else if (n->type == NOTE_weak_login &&
             admin_note_weak_login(n->u.weak_login.login, n->u.weak_login.method, &e) != RC_OK)
        log_warn(EV("login method not noted"), KE(&e));
    else if (n->type == NOTE_login_seen &&
             admin_note_login(n->u.login_seen.domain, n->u.login_seen.user,
                              n->u.login_seen.address, &e) != RC_OK)
        log_warn(EV("last login not noted"), KS("user", n->u.login_seen.user), KE(&e));
}

static bool tell_queued(struct str id)
{
    struct note n = { .type = NOTE_queued, .u.queued.id = id };
    return tell_queue(&n);
}

static bool tell_order(unsigned order, struct str id, struct str argument)
{
    struct note n = { .type = NOTE_order, .u.order = { order, id, argument } };
    return tell_queue(&n);
}

static void on_hup(void)
{
    (void)options_refresh();
    role_load_certificate(engine);
}

/* --- starting ---------------------------------------------------------------------------- */

static enum rc hear_others(struct err *e)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(others) && rc == RC_OK; i++) {
        int channel = my_env->channels[role_number(others[i])];
        if (channel >= 0)
            rc = channel_listen(engine_pool(engine), channel, others[i], ROLE_CONTROL, on_note,
                                &others[i], e);
    }
    return rc;
}

/* Who may write the MailRoot's tables anyway needs no password. */
static enum rc serve_this_machine(struct err *e)
{
    enum rc rc = listener_open_local(master_control_socket, 0600, &local.fd, e);
    return rc == RC_OK ? engine_listen(engine, &local, e) : rc;
}

static enum rc start(struct err *e)
{
    static const struct control_hooks hooks = { refresh,    visible,    tell_queued,
                                                tell_order, tell_fetch, order_now };
    static const struct control_hooks alone = { refresh,    visible,    tell_queued,
                                                tell_order, tell_fetch, NULL };
    struct engine_limits limits = {
        .max_sessions = 200,
        .max_per_address = (size_t)conf()->max_sessions_per_address,
        .max_workers = 1,
    };
    enum rc rc = build(e);
    if (rc == RC_OK)
        rc = admin_mend(e);
    if (rc == RC_OK)
        rc = engine_new(&limits, &engine, e);
    if (rc != RC_OK)
        return rc;
    store_init(NULL);
    control_init(my_env->alone ? &alone : &hooks);
    limits_recall();
    struct err why;
    if (history_open(&why) != RC_OK)
        log_error(EV("changes of tables aren't recorded"), KE(&why));
    users_on_weak_login(weak_login_here);
    role_load_certificate(engine);
    if (!my_env->alone) {
        auth_set_runner(role_run_program);
        rc = role_hear_runner(my_env, engine, e);
    }
    if (rc == RC_OK && !my_env->alone)
        rc = begin_acme(e);
    if (rc == RC_OK && !my_env->alone)
        rc = serve_this_machine(e);
    if (rc == RC_OK)
        rc = role_watch_signals(engine_pool(engine), on_hup, e);
    if (rc == RC_OK)
        rc = hear_others(e);
    if (rc == RC_OK)
        rc = role_every(engine_pool(engine), 100 * USEC_MS, tick, e);
    if (rc == RC_OK)
        rc = role_seal(my_env, e);
    return rc == RC_OK ? role_listen(my_env, engine, e) : rc;
}

static void finish(void)
{
    control_end_weekly();
    if (!my_env->alone)
        history_count(role_whole_board());
    admin_settle();
    if (engine_sessions(engine) == 0)
        engine_free(&engine);
    if (index_fd >= 0)
        (void)close(index_fd);
    history_close();
    users_close();
}

static void end_with_the_session(void)
{
    if (engine_sessions(engine) == 0)
        pool_stop(engine_pool(engine), USEC_S);
}

int master_control_once(int fd)
{
    static struct role_env env = { .magic = ROLE_ENV_MAGIC,
                                   .board_fd = -1,
                                   .guard_fd = -1,
                                   .notices_fd = -1,
                                   .figures_fd = -1,
                                   .alone = true };
    struct err e;
    int lock = -1;
    for (size_t i = 0; i < ROLE_COUNT; i++)
        env.channels[i] = -1;
    my_env = &env;
    this_role = role_by_name("control");
    log_set_role("control");
    enum rc rc = file_lock("hikyaku/lock", false, &lock, &e);
    if (rc == RC_OK)
        rc = role_begin(my_env, &e);
    log_set_level(LOG_LEVEL_WARN);
    if (rc == RC_OK)
        rc = start(&e);
    if (rc == RC_OK) {
        engine_serve(engine, &local, fd);
        rc = role_every(engine_pool(engine), 10 * USEC_MS, end_with_the_session, &e);
    }
    if (rc != RC_OK) {
        log_error(EV("tables can't be changed"), KE(&e));
        return 1;
    }
    engine_run(engine);
    finish();
    return 0;
}

int role_control(const struct role_env *env)
{
    struct err e;
    my_env = env;
    if (start(&e) != RC_OK) {
        log_error(EV("role can't start"), KE(&e));
        return 1;
    }
    engine_run(engine);
    if (local.fd >= 0)
        (void)io_unlink(master_control_socket);
    finish();
    return 0;
}

/*
 * master.c - `hikyaku serve`: opens the listeners, runs the recovery, starts one process per
 * role, restarts what crashes, stops everything in order. It parses nothing that comes from
 * clients or from roles.
 */
#include "master/master.h"
#include "backup/work.h"
#include "conf/marker.h"
#include "conf/tab.h"
#include "conf/tables.h"
#include "master/recover.h"
#include "master/roles.h"
#include "process/process.h"
#include "store/store.h"
#include "sys/child.h"
#include "sys/file.h"
#include "sys/notify.h"
#include "sys/trace.h"
#include "users/figures.h"
#include "users/guard.h"
#include <sys/random.h>
#include <sys/wait.h>

#define PAUSE_FIRST USEC_S
#define PAUSE_LONGEST (60 * USEC_S)
#define STABLE_AFTER (60 * USEC_S)
#define STOP_GRACE (12 * USEC_S)

/* Orders that a process of its own carries out: the file, the process, and whether it runs as
 * the MailRoot's owner; else as the runner role does. */
static const struct {
    const char *order, *name;
    bool as_owner;
} works[] = { { BACKUP_ORDER_PATH, "backup", true },
              { FILTER_TEST_ORDER, "filtertest", false } };
#define WORKS ARRAY_LEN(works)

struct running {
    pid_t pid; /* 0: not running */
    usec_t started, restart_at, pause;
};

struct master {
    struct role_env env;
    struct board *board;
    int lock_fd;
    struct running running[ROLE_COUNT];
    pid_t work_pids[WORKS];               /* of the processes that carry out orders; 0: none */
    int channels[ROLE_COUNT][ROLE_COUNT]; /* [a][b]: a's end of the channel between a and b */
    bool stopping, clean;
    bool again; /* what is being stopped shall be started again */
    bool change_user;
    uid_t control_uid, mail_uid;
    gid_t control_gid, mail_gid;
    char pid_path[512];
};

/* --- starting roles ---------------------------------------------------------------------- */

/* The pause before the next start of a role that ended after living for `lived`. Pure. */
usec_t master_next_pause(usec_t before, usec_t lived)
{
    if (lived >= STABLE_AFTER || before == 0)
        return PAUSE_FIRST;
    return MIN(before * 2, PAUSE_LONGEST);
}

/* Starts `hikyaku role NAME` with the descriptors in env. */
static enum rc spawn(const struct master *m, const char *name, const struct role_env *env,
                     bool is_control, pid_t *out_pid, struct err *e)
{
    const struct role_user as = { m->change_user, is_control ? m->control_uid : m->mail_uid,
                                  is_control ? m->control_gid : m->mail_gid };
    return role_start(name, env, &as, out_pid, e);
}

/* What a role gets of the master's descriptors: its own listeners and channels. */
static struct role_env env_for(const struct master *m, size_t r)
{
    struct role_env env = m->env;
    env.listener_count = 0;
    for (size_t i = 0; i < m->env.listener_count; i++)
        if (role_serves(&roles[r], m->env.listeners[i].service))
            env.listeners[env.listener_count++] = m->env.listeners[i];
    for (size_t i = 0; i < ROLE_COUNT; i++)
        env.channels[i] = m->channels[r][i];
    return env;
}

static void start_role(struct master *m, size_t r)
{
    struct err e;
    struct role_env env = env_for(m, r);
    struct board_role *b = &m->board->roles[r];
    struct running *run = &m->running[r];
    (void)snprintf(b->name, sizeof(b->name), "%s", roles[r].name);
    if (spawn(m, roles[r].name, &env, roles[r].id == ROLE_CONTROL, &run->pid, &e) != RC_OK) {
        log_error(EV("role not started"), KV("role", roles[r].name), KE(&e));
        run->pid = 0;
        run->restart_at = clock_mono() + PAUSE_LONGEST;
        return;
    }
    run->started = clock_mono();
    b->state = BOARD_STARTING;
    b->pid = (uint32_t)run->pid;
    b->started = clock_wall();
}

static void role_ended(struct master *m, size_t r, int status)
{
    struct running *run = &m->running[r];
    struct board_role *b = &m->board->roles[r];
    run->pid = 0;
    b->pid = 0;
    b->sessions = 0;
    b->state = m->stopping ? BOARD_OFF : BOARD_WAITING;
    if (m->stopping) {
        /* One that TERM ends hadn't begun to watch its signals, so it hadn't begun to serve. */
        bool young = WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
        m->clean = m->clean && (young || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        return;
    }
    run->pause = master_next_pause(run->pause, clock_mono() - run->started);
    run->restart_at = clock_mono() + run->pause;
    b->restarts++;
    log_error(EV("role ended"), KV("role", roles[r].name),
              KI("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
              KI("exit", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
              KI("restart_in_ms", run->pause / USEC_MS));
}

/* No channel and no listener. */
static struct role_env env_of_none(const struct master *m)
{
    struct role_env none = m->env;
    none.listener_count = 0;
    for (size_t i = 0; i < ROLE_COUNT; i++)
        none.channels[i] = -1;
    return none;
}

/* The order stays until the process has ended, so that there is one at a time. */
static void start_works(struct master *m)
{
    struct role_env none = env_of_none(m);
    struct err e;
    for (size_t i = 0; i < WORKS; i++) {
        if (m->work_pids[i] != 0 || m->stopping || !file_exists(works[i].order) ||
            spawn(m, works[i].name, &none, works[i].as_owner, &m->work_pids[i], &e) == RC_OK)
            continue;
        log_error(EV("order not carried out"), KV("order", works[i].order), KE(&e));
        (void)io_unlink(works[i].order);
    }
}

static void reap(struct master *m)
{
    pid_t pid = 0;
    int status = 0;
    while (child_reap(&pid, &status)) {
        for (size_t i = 0; i < WORKS; i++)
            if (pid == m->work_pids[i]) {
                m->work_pids[i] = 0;
                (void)io_unlink(works[i].order);
            }
        for (size_t r = 0; r < role_count; r++)
            if (m->running[r].pid == pid)
                role_ended(m, r, status);
    }
}

/* --- preparing --------------------------------------------------------------------------- */

static enum rc take_lock(struct master *m, struct err *e)
{
    enum rc rc = folder_make("hikyaku", 0750, e);
    if (rc == RC_OK)
        rc = file_lock("hikyaku/lock", false, &m->lock_fd, e);
    if (rc == RC_TEMP && strcmp(e->dsn, "4.2.0") == 0)
        return err_temp(e, "4.2.0",
                        "another server is running on this MailRoot (it holds hikyaku/lock)");
    return rc;
}

/* hikyaku/run names this run; it stays the same over a clean stop, so that counters stay valid.
 */
static enum rc renew_run_id(struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    uint64_t id = 0;
    bool clean = file_exists("hikyaku/clean") && file_exists("hikyaku/run");
    if (clean) {
        if (io_unlink("hikyaku/clean") < 0)
            return err_sys(e, "remove hikyaku/clean");
        return folder_sync("hikyaku", e);
    }
    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
        return err_sys(e, "random number");
    return file_replace("hikyaku/run", arena_printf(&mem, "%016" PRIx64 "\n", id), 0640, e);
}

/* The first start on a MailRoot of XMail notes when: messages older than that lie in its form
 * (dot-stuffed) and are read so. One that a newer version works on is left alone; one of an
 * older format isn't for older programs any more. */
static enum rc mark_takeover(struct err *e)
{
    struct marker marker;
    enum rc rc = marker_read(&marker, e);
    if (rc != RC_OK || (marker.exists && marker.format == MARKER_FORMAT))
        return rc;
    if (marker.exists)
        return marker_raise(&marker, e);
    log_info(EV("taking over an XMail MailRoot"), KV("marker", MARKER_PATH));
    return marker_write(CONF_TAKEN_OVER, e);
}

/* Whom the files belong to decides who the roles run as. */
static enum rc choose_users(struct master *m, struct err *e)
{
    struct stat root, mail;
    if (io_stat(".", &root) < 0)
        return err_sys(e, "stat MailRoot");
    if (io_stat("queue", &mail) < 0)
        mail = root;
    m->control_uid = root.st_uid;
    m->control_gid = root.st_gid;
    m->mail_uid = mail.st_uid;
    m->mail_gid = mail.st_gid;
    m->change_user = geteuid() == 0 && root.st_uid != 0;
    if (geteuid() == 0 && root.st_uid == 0)
        log_warn(
            EV("the MailRoot belongs to root, so the roles run as root without its rights"),
            KV("advice", "give it to a user of its own: chown -R"));
    return RC_OK;
}

/* A master that is root makes files as their owner, so that the roles, and a later start
 * without root, can use them. */
static enum rc act_as_owner(const struct master *m, bool on, struct err *e)
{
    if (!m->change_user)
        return RC_OK;
    bool ok = on ? setegid(m->control_gid) == 0 && seteuid(m->control_uid) == 0
                 : seteuid(0) == 0 && setegid(0) == 0;
    return ok ? RC_OK : err_sys(e, "change to the owner of the MailRoot");
}

static void write_pid(struct master *m)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    const char *folder = getenv("XMAIL_PID_DIR");
    struct err e;
    (void)snprintf(m->pid_path, sizeof(m->pid_path), "%s/XMail.pid",
                   folder == NULL || folder[0] == '\0' ? "." : folder);
    if (file_replace(m->pid_path, arena_printf(&mem, "%d\n", (int)getpid()), 0644, &e) != RC_OK)
        log_warn(EV("pid file not written"), KE(&e));
}

static enum rc make_channels(struct master *m, struct err *e)
{
    for (size_t a = 0; a < ROLE_COUNT; a++)
        for (size_t b = 0; b < ROLE_COUNT; b++)
            m->channels[a][b] = -1;
    for (size_t a = 0; a < ROLE_COUNT; a++) {
        for (size_t b = a + 1; b < ROLE_COUNT; b++) {
            bool used = false;
            int ends[2];
            for (unsigned t = 0; t < NOTE_TYPES && !used; t++)
                used = note_is_allowed((enum note_type)t, roles[a].id, roles[b].id) ||
                       note_is_allowed((enum note_type)t, roles[b].id, roles[a].id);
            if (!used)
                continue;
            enum rc rc = channel_pair(ends, e);
            if (rc != RC_OK)
                return rc;
            m->channels[a][b] = ends[0];
            m->channels[b][a] = ends[1];
        }
    }
    return RC_OK;
}

static bool is_among(const struct open_listener *list, size_t count, int fd)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].fd == fd)
            return true;
    return false;
}

/* Those of `list` that aren't among `kept`. */
static void close_listeners(const struct open_listener *list, size_t count,
                            const struct open_listener *kept, size_t kept_count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].fd >= 0 && !is_among(kept, kept_count, list[i].fd))
            (void)close(list[i].fd);
}

/* sockets: open ones, used where they fit. When it fails, those of before stay. */
static enum rc open_listeners(struct master *m, const int *sockets, size_t socket_count,
                              struct err *e)
{
    struct open_listener list[LISTENERS_MAX];
    size_t count = 0, before = m->env.listener_count;
    bool tls = file_exists("server.cert") && file_exists("server.key");
    enum rc rc = listeners_open(sockets, socket_count, tls, list, &count, e);
    if (rc == RC_OK && count == 0)
        rc = err_perm(e, "5.3.0", "no service listens: all are off");
    if (rc != RC_OK) {
        close_listeners(list, count, m->env.listeners, before);
        return rc;
    }
    close_listeners(m->env.listeners, before, list, count);
    memcpy(m->env.listeners, list, count * sizeof(list[0]));
    m->env.listener_count = (uint32_t)count;
    m->board->listener_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct board_listener *b = &m->board->listeners[i];
        memcpy(b->service, list[i].service, sizeof(b->service));
        (void)ip_port_show(&list[i].ip, list[i].port, b->address);
    }
    return RC_OK;
}

static enum rc run_recovery(const struct master *m, struct err *e)
{
    struct role_env none = env_of_none(m);
    pid_t pid = 0;
    int status = 0;
    enum rc rc = spawn(m, "recover", &none, false, &pid, e);
    if (rc != RC_OK)
        return rc;
    if (!child_wait_for(pid, clock_mono() + 3600 * USEC_S, &status) || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0)
        return err_temp(e, "4.3.0", "recovery failed; nothing was started");
    return RC_OK;
}

/* The settings as they are at a start, so that a change that waits for the next one shows. */
static void keep_settings(void)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    struct str text;
    struct err e;
    enum rc rc = file_read("server.tab", TAB_FILE_MAX, &a, &text, NULL, &e);
    if (rc == RC_OK && io_stat("server.tab", &st) < 0)
        rc = err_sys(&e, "stat server.tab");
    if (rc == RC_OK)
        rc = file_replace(CONF_STARTED_PATH, text, st.st_mode & 0777, &e);
    if (rc != RC_OK)
        log_warn(EV("settings of this start not kept"), KE(&e));
}

/* What a start leaves in hikyaku/. */
static enum rc make_files(struct master *m, struct err *e)
{
    struct marker marker;
    enum rc rc = take_lock(m, e);
    if (rc == RC_OK)
        rc = marker_read(&marker, e);
    (void)io_unlink(".restart"); /* for a server that doesn't run any more */
    for (size_t i = 0; i < WORKS; i++)
        (void)io_unlink(works[i].order);
    if (rc == RC_OK)
        rc = options_load(e);
    if (rc == RC_OK)
        rc = folder_make("logs", 0770, e); /* the roles can't: they may write below it only */
    if (rc == RC_OK)
        rc = mark_takeover(e);
    if (rc == RC_OK)
        rc = renew_run_id(e);
    if (rc == RC_OK)
        keep_settings();
    return rc == RC_OK ? board_make(&m->board, &m->env.board_fd, e) : rc;
}

static enum rc prepare(struct master *m, struct err *e)
{
    int activated[LISTENERS_MAX];
    size_t activated_count = notify_take_sockets(activated, ARRAY_LEN(activated));
    enum rc rc = child_prepare(e);
    if (rc == RC_OK && !file_exists("server.tab"))
        rc = err_perm(e, "5.3.0",
                      "there is no server.tab: not a MailRoot (hikyaku init makes one)");
    if (rc == RC_OK)
        rc = choose_users(m, e);
    if (rc == RC_OK)
        rc = act_as_owner(m, true, e);
    if (rc == RC_OK)
        rc = make_files(m, e);
    if (rc == RC_OK)
        rc = act_as_owner(m, false, e);
    if (rc == RC_OK)
        rc = guard_make(&m->env.guard_fd, e);
    if (rc == RC_OK)
        rc = store_notices_make(&m->env.notices_fd, e);
    if (rc == RC_OK)
        rc = figures_make(&m->env.figures_fd, e);
    if (rc == RC_OK)
        rc = make_channels(m, e);
    if (rc == RC_OK)
        rc = open_listeners(m, activated, activated_count, e);
    if (rc == RC_OK)
        rc = run_recovery(m, e);
    return rc;
}

/* --- running ----------------------------------------------------------------------------- */

static void tell_roles(const struct master *m, int signal)
{
    for (size_t r = 0; r < role_count; r++)
        if (m->running[r].pid > 0)
            (void)kill(m->running[r].pid, signal);
}

static bool any_running(const struct master *m)
{
    for (size_t r = 0; r < role_count; r++)
        if (m->running[r].pid > 0)
            return true;
    return false;
}

/* again: to start once more, with the settings as they are then. */
static void begin_stop(struct master *m, const char *why, bool again)
{
    m->again = again && (m->again || !m->stopping);
    if (m->stopping)
        return;
    m->stopping = true;
    m->clean = true;
    log_info(EV("stopping"), KV("reason", why));
    if (!again)
        notify_send("STOPPING=1");
    tell_roles(m, SIGTERM);
}

/* An order is a file of that name in the MailRoot, where only its owner and the control role
 * may write. */
static bool take_order(const char *name)
{
    return file_exists(name) && io_unlink(name) == 0;
}

static void look_for_orders(struct master *m)
{
    if (take_order(".shutdown"))
        begin_stop(m, ".shutdown", false);
    if (take_order(".restart"))
        begin_stop(m, ".restart", true);
    if (take_order(".reload"))
        tell_roles(m, SIGHUP);
    start_works(m);
}

static void start_due_roles(struct master *m)
{
    for (size_t r = 0; r < role_count && !m->stopping; r++)
        if (m->running[r].pid == 0 && clock_mono() >= m->running[r].restart_at)
            start_role(m, r);
}

/* All roles have sealed themselves and serve: said once. */
static void announce(const struct master *m, bool *announced)
{
    if (*announced)
        return;
    for (size_t r = 0; r < role_count; r++)
        if (m->board->roles[r].state != BOARD_RUNNING)
            return;
    *announced = true;
    for (uint32_t i = 0; i < m->board->listener_count; i++)
        log_info(EV("listening"), KV("service", m->board->listeners[i].service),
                 KV("address", m->board->listeners[i].address));
    log_info(EV("ready"), KV("version", HIKYAKU_VERSION), KU("accounts", m->board->accounts));
    notify_send("READY=1");
}

static void handle_signal(struct master *m, int signal)
{
    static unsigned interrupts;
    if (signal == SIGHUP)
        tell_roles(m, SIGHUP);
    else if (signal == SIGINT && ++interrupts > 1)
        tell_roles(m, SIGKILL);
    else if (signal == SIGTERM || signal == SIGINT)
        begin_stop(m, signal == SIGTERM ? "SIGTERM" : "SIGINT", false);
}

static void run(struct master *m)
{
    bool announced = false;
    usec_t watchdog = notify_watchdog_period(), next_watchdog = clock_mono(),
           give_up = USEC_FOREVER;
    while (!m->stopping || any_running(m)) {
        start_due_roles(m);
        usec_t wake = clock_mono() + (announced ? 500 * USEC_MS : 10 * USEC_MS);
        handle_signal(m, child_wait_signal(wake));
        reap(m);
        announce(m, &announced);
        look_for_orders(m);
        if (m->stopping && give_up == USEC_FOREVER)
            give_up = clock_mono() + STOP_GRACE;
        if (clock_mono() > give_up) {
            log_warn(EV("roles don't stop, ending them"));
            m->clean = false;
            tell_roles(m, SIGKILL);
            give_up = clock_mono() + STOP_GRACE;
        }
        if (watchdog > 0 && clock_mono() >= next_watchdog) {
            notify_send("WATCHDOG=1");
            next_watchdog = clock_mono() + watchdog;
        }
    }
}

/* When all roles have ended: the settings and listening places as they are now. False: it can't
 * go on. */
static bool prepare_again(struct master *m)
{
    struct err e;
    int sockets[LISTENERS_MAX];
    size_t count = m->env.listener_count;
    for (size_t i = 0; i < count; i++)
        sockets[i] = m->env.listeners[i].fd;
    enum rc rc = act_as_owner(m, true, &e);
    if (rc == RC_OK && options_load(&e) != RC_OK)
        log_error(EV("settings not read, those before stay"), KE(&e));
    if (rc == RC_OK && !m->clean)
        rc = renew_run_id(&e);
    if (rc == RC_OK) {
        keep_settings();
        rc = act_as_owner(m, false, &e);
    }
    if (rc == RC_OK && open_listeners(m, sockets, count, &e) != RC_OK)
        log_error(EV("listening where it did before"), KE(&e));
    if (rc == RC_OK)
        rc = run_recovery(m, &e);
    if (rc != RC_OK) {
        log_error(EV("not started again"), KE(&e));
        m->clean = false;
        return false;
    }
    memset(m->running, 0, sizeof(m->running));
    m->board->started = clock_wall();
    m->stopping = m->again = false;
    return true;
}

static void finish(struct master *m)
{
    struct err e;
    (void)io_unlink(m->pid_path);
    m->board->master_pid = 0;
    if (m->clean && file_replace("hikyaku/clean", STR("stopped cleanly\n"), 0640, &e) != RC_OK)
        log_warn(EV("clean stop not noted"), KE(&e));
    log_info(EV("stopped"));
}

/* --- the command ------------------------------------------------------------------------- */

int master_serve(int argc, char **argv)
{
    struct master m = { .lock_fd = -1 };
    struct err e;
    const char *mailroot = NULL;
    m.env = (struct role_env){ .magic = ROLE_ENV_MAGIC,
                               .board_fd = -1,
                               .guard_fd = -1,
                               .notices_fd = -1,
                               .figures_fd = -1 };
    log_set_role("master");
    if (!role_own_options(&argc, argv, &mailroot)) {
        (void)fprintf(stderr,
                      "usage: hikyaku serve [--mailroot DIR] [switches, see hikyaku(8)]\n");
        return 2;
    }
    enum rc rc = options_command_line(argc, argv, &e);
    (void)unsetenv("MAIL_CMD_LINE"); /* its words are part of the command line now */
    if (mailroot == NULL)
        mailroot = options_mailroot();
    if (rc == RC_OK && chdir(mailroot) < 0)
        rc = err_sys(&e, "enter MailRoot %s", mailroot);
    if (rc == RC_OK)
        rc = prepare(&m, &e);
    if (rc != RC_OK) {
        log_error(EV("not started"), KE(&e));
        return 1;
    }
    write_pid(&m);
    do
        run(&m);
    while (m.again && prepare_again(&m));
    finish(&m);
    return m.clean ? 0 : 1;
}

/* role_common.c - what every role does alike: its surroundings, the seal, signals, timers, the
 * index. */
#include "conf/logfiles.h"
#include "conf/options.h"
#include "master/roles.h"
#include "store/store.h"
#include "sys/child.h"
#include "users/figures.h"
#include "users/guard.h"
#include "users/limits.h"
#include "users/users.h"
#include <sys/resource.h>
#include <sys/stat.h>

const struct role *this_role;

static struct board scratch_board;
static struct board *the_board = &scratch_board;

struct board *role_whole_board(void)
{
    return the_board;
}

struct board_role *role_board(void)
{
    return &the_board->roles[role_number(this_role->id)];
}

static int control_channel = -1;

enum rc role_begin(const struct role_env *env, struct err *e)
{
    control_channel = env->channels[role_number(ROLE_CONTROL)];
    struct rlimit most;
    if (getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur < most.rlim_max) {
        most.rlim_cur = most.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &most);
    }
    (void)umask(0077);
    tzset();
    enum rc rc = env->board_fd < 0 ? RC_OK : board_use(env->board_fd, &the_board, e);
    metrics_use(role_board()->metrics);
    if (rc == RC_OK && env->guard_fd >= 0)
        rc = guard_use(env->guard_fd, e);
    if (rc == RC_OK && env->notices_fd >= 0)
        rc = store_notices_use(env->notices_fd, e);
    if (rc == RC_OK && env->figures_fd >= 0)
        rc = figures_use(env->figures_fd, e);
    if (rc == RC_OK)
        rc = options_load(e);
    limits_init();
    logfile_trace_start();
    return rc;
}

void role_count_log(void)
{
    static uint64_t warnings, errors, lost;
    metric_add(METRIC_log_warnings, log_count(LOG_LEVEL_WARN) - warnings);
    metric_add(METRIC_log_errors, log_count(LOG_LEVEL_ERROR) - errors);
    metric_add(METRIC_log_lost, log_lost() - lost);
    warnings = log_count(LOG_LEVEL_WARN);
    errors = log_count(LOG_LEVEL_ERROR);
    lost = log_lost();
}

enum rc role_seal(const struct role_env *env, struct err *e)
{
    unsigned bits = 0;
    enum rc rc = env->alone ? RC_OK : seal_apply(&this_role->seal, &bits, e);
    struct board_role *b = role_board();
    b->seal = bits;
    b->uid = (uint32_t)getuid();
    b->state = BOARD_RUNNING;
    if (rc == RC_OK && (bits & SEAL_LANDLOCK) == 0 && !env->alone)
        log_info(EV("sealed without Landlock"), KU("bits", bits));
    return rc;
}

/* --- signals ----------------------------------------------------------------------------- */

struct listener_for_signals {
    pool_ticket ticket;
    int fd;
    void (*on_hup)(void);
};

static void signals_run(struct pool *pool, void *object, unsigned events)
{
    struct listener_for_signals *l = object;
    int n = 0;
    while ((n = child_signal_read(l->fd)) != 0) {
        if (n == SIGHUP && l->on_hup != NULL)
            l->on_hup();
        if ((n == SIGTERM || n == SIGINT) && !pool_is_stopping(pool)) {
            role_board()->state = BOARD_STOPPING;
            pool_stop(pool, 10 * USEC_S);
        }
    }
    if ((events & POOL_STOP) != 0 || pool_is_stopping(pool)) {
        pool_forget(pool, l->ticket);
        (void)close(l->fd);
        mem_free(&l);
        return;
    }
    pool_park(pool, l->ticket, POOL_WANT_READ, USEC_FOREVER);
}

enum rc role_watch_signals(struct pool *pool, void (*on_hup)(void), struct err *e)
{
    struct listener_for_signals *l = mem_new(sizeof(*l));
    l->on_hup = on_hup;
    enum rc rc = child_signal_fd(&l->fd, e);
    if (rc == RC_OK)
        rc = pool_add(pool, l, signals_run, l->fd, &l->ticket, e);
    if (rc != RC_OK)
        mem_free(&l);
    return rc;
}

/* --- timers ------------------------------------------------------------------------------ */

struct ticker {
    pool_ticket ticket;
    usec_t period;
    void (*tick)(void);
};

static void ticker_run(struct pool *pool, void *object, unsigned events)
{
    struct ticker *t = object;
    if ((events & POOL_STOP) != 0 || pool_is_stopping(pool)) {
        pool_forget(pool, t->ticket);
        mem_free(&t);
        return;
    }
    t->tick();
    pool_park(pool, t->ticket, 0, clock_mono() + t->period);
}

enum rc role_every(struct pool *pool, usec_t period, void (*tick)(void), struct err *e)
{
    struct ticker *t = mem_new(sizeof(*t));
    t->period = period;
    t->tick = tick;
    enum rc rc = pool_add(pool, t, ticker_run, -1, &t->ticket, e);
    if (rc != RC_OK)
        mem_free(&t);
    return rc;
}

/* --- the index --------------------------------------------------------------------------- */

void role_use_index(const struct note *n, int fd)
{
    struct err e;
    if (fd < 0 || users_index_use(fd, &e) != RC_OK) {
        log_error(EV("index of accounts not usable"), KU("generation", n->u.index.generation));
        return;
    }
    struct note taken = { .type = NOTE_index_taken,
                          .u.index_taken.generation = n->u.index.generation };
    if (channel_send(control_channel, &taken, -1, &e) != RC_OK)
        log_debug(EV("control not told"), KE(&e));
}

static void on_control_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (n->type == NOTE_index)
        role_use_index(n, fd);
    else if (fd >= 0)
        (void)close(fd);
}

enum rc role_hear_control(struct pool *pool, const struct role_env *env, struct err *e)
{
    int channel = env->channels[role_number(ROLE_CONTROL)];
    return channel < 0 ? RC_OK
                       : channel_listen(pool, channel, ROLE_CONTROL, this_role->id,
                                        on_control_note, NULL, e);
}

enum rc role_get_users(const struct role_env *env, struct err *e)
{
    int channel = env->channels[role_number(ROLE_CONTROL)];
    if (channel < 0) {
        int fd = -1;
        struct users_report report;
        enum rc rc = users_index_build(&fd, &report, e);
        return rc == RC_OK ? users_index_use(fd, e) : rc;
    }
    struct note hello = { .type = NOTE_hello, .u.hello.pid = (uint64_t)getpid() };
    enum rc rc = channel_send(channel, &hello, -1, e);
    usec_t deadline = clock_mono() + 60 * USEC_S;
    bool have = false;
    while (rc == RC_OK && !have) {
        struct note n;
        int fd = -1;
        char frame[NOTE_FRAME_MAX];
        rc = channel_wait(channel, deadline, frame, &n, &fd, e);
        if (rc == RC_OK && n.type == NOTE_index && fd >= 0) {
            rc = users_index_use(fd, e);
            have = true;
        }
    }
    return rc;
}

/* warnings.c - what an administrator should look at: see watch.h. */
#include "backup/work.h"
#include "conf/options.h"
#include "spool/queued.h"
#include "sys/board.h"
#include "sys/file.h"
#include "users/limits.h"
#include "users/users.h"
#include "watch/watch_int.h"
#include <sys/statvfs.h>

#define DAY (24 * 3600)
#define START_TIME (60 * USEC_S)
#define CERTIFICATE_DAYS 21
#define DISK_PERCENT 10u
#define NEARLY_FULL ((int64_t)10 << 20)

const struct warning_row warning_rows[WARNING_COUNT] = {
#define WARNING(ident, name, octets, en, ja, advice_en, advice_ja)                             \
    { name, octets, en, ja, advice_en, advice_ja },
#include "watch/warnings.def"
#undef WARNING
};

static void warn(const struct watcher *to, enum warning_kind kind, bool bad, struct str about,
                 int64_t n, int64_t of, int64_t when)
{
    watch_warn(to, &(struct warning){ kind, bad, about, n, of, when });
}

/* --- the server --------------------------------------------------------------------------- */

/* With the server, a moment ago: a letter that is due then must not complain. */
static bool just_starts(const struct board_role *r)
{
    return r->state == BOARD_STARTING && r->restarts == 0 &&
           clock_wall() - r->started < START_TIME;
}

static void look_at_board(const struct watcher *to)
{
    struct board *board AUTO_FREE = mem_new(sizeof(*board));
    struct err e;
    if (board_read(board, &e) != RC_OK)
        return;
    for (size_t i = 0; i < BOARD_ROLES; i++) {
        const struct board_role *r = &board->roles[i];
        if (r->name[0] != '\0' && r->state != BOARD_RUNNING && !just_starts(r))
            warn(to, WARNING_role, true, str_from_c(r->name), 0, 0, 0);
    }
    int64_t ends = board->certificate_expires / USEC_S, now = clock_wall() / USEC_S;
    if (ends != 0 && ends - now < (int64_t)CERTIFICATE_DAYS * DAY)
        warn(to, WARNING_certificate, ends <= now, STR(""), MAX(ends - now, (int64_t)0) / DAY,
             0, ends);
    if (board->problems > 0)
        warn(to, WARNING_tables, false, STR(""), (int64_t)board->problems, 0, 0);
}

static void look_at_disk(const struct watcher *to)
{
    struct statvfs v;
    if (statvfs(".", &v) != 0)
        return;
    uint64_t room = (uint64_t)v.f_bavail * v.f_frsize, all = (uint64_t)v.f_blocks * v.f_frsize;
    uint64_t least = (uint64_t)conf()->smtp_min_disk_space_kb * 1024;
    if (room < all / 100 * DISK_PERCENT || room < 2 * least)
        warn(to, WARNING_disk, room <= least, STR(""), (int64_t)room, (int64_t)all, 0);
    if (v.f_files > 0 && ((uint64_t)v.f_favail < (uint64_t)v.f_files / 100 * DISK_PERCENT ||
                          (uint64_t)v.f_favail < 2 * (uint64_t)conf()->min_free_inodes))
        warn(to, WARNING_inodes, (uint64_t)v.f_favail <= (uint64_t)conf()->min_free_inodes,
             STR(""), (int64_t)v.f_favail, (int64_t)v.f_files, 0);
}

/* Work on backups that went wrong (backup/work.h). */
static void look_at_backups(const struct watcher *to)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab tab;
    struct err e;
    int64_t seen = 0;
    if (tab_read(BACKUP_STATE_PATH, &a, &tab, &e) != RC_OK)
        return;
    struct str state = backup_told(&tab, "state");
    if (!str_to_i64(backup_told(&tab, "seen"), &seen))
        seen = 0;
    if (str_eq(state, STR("failed")) || str_eq(state, STR("damaged")))
        warn(to, WARNING_backup, true, backup_told(&tab, "why"), 0, 0, seen);
}

/* --- who is held, what waits -------------------------------------------------------------- */

struct held {
    const struct watcher *to;
    int64_t addresses;
};

static void look_at_one_held(void *ctx, const struct limit_held *held)
{
    struct held *h = ctx;
    bool stopped = held->action == LIMIT_STOP;
    if (!held->is_account)
        h->addresses++;
    else
        warn(h->to, stopped ? WARNING_stopped : WARNING_held, stopped, str_from_c(held->who), 0,
             0, held->since / USEC_S);
}

static void look_at_limits(const struct watcher *to)
{
    struct held h = { to, 0 };
    limits_each(look_at_one_held, &h);
    if (h.addresses > 0)
        warn(to, WARNING_addresses, false, STR(""), h.addresses, 0, 0);
}

struct waiting {
    usec_t old; /* received before it counts */
    int64_t old_count, frozen, held;
};

static bool count_waiting(void *ctx, const struct queued *q)
{
    struct waiting *n = ctx;
    n->frozen += q->frozen;
    n->held += !q->frozen && q->held;
    n->old_count += !q->frozen && !q->held && q->received_at < n->old;
    return true;
}

static void look_at_queue(const struct watcher *to)
{
    /* Half of the time for which delivery is tried. */
    usec_t age = (usec_t)conf()->queue_lifetime * USEC_S / 2;
    const struct queued_filter all = { .state = QUEUED_ANY },
                               frozen = { .state = QUEUED_FROZEN };
    struct waiting n = { .old = clock_wall() - age };
    struct err e;
    size_t left_out = 0;
    if (queued_walk(&all, count_waiting, &n, &left_out, &e) != RC_OK ||
        queued_walk(&frozen, count_waiting, &n, &left_out, &e) != RC_OK) {
        log_warn(EV("queue not looked at"), KE(&e));
        return;
    }
    if (n.old_count > 0)
        warn(to, WARNING_old, false, STR(""), n.old_count, 0, n.old / USEC_S);
    if (n.held > 0)
        warn(to, WARNING_kept, false, STR(""), n.held, 0, 0);
    if (n.frozen > 0)
        warn(to, WARNING_frozen, false, STR(""), n.frozen, 0, 0);
}

void watch_server(warning_fn *fn, void *ctx)
{
    const struct watcher to = { fn, ctx };
    look_at_board(&to);
    look_at_disk(&to);
    look_at_backups(&to);
    look_at_limits(&to);
    look_at_queue(&to);
    watch_logs(&to);
}

/* --- mailboxes ---------------------------------------------------------------------------- */

struct watch_accounts {
    struct arena mem;
    struct buf names; /* struct name */
};
struct name {
    struct str domain, name;
};

static bool take_account(void *ctx, struct str domain, struct str name, enum account_type type)
{
    struct watch_accounts *all = ctx;
    struct name one;
    if (type != ACCOUNT_USER)
        return true;
    one = (struct name){ arena_str(&all->mem, domain), arena_str(&all->mem, name) };
    return buf_add(&all->names, &one, sizeof(one)) == RC_OK;
}

struct watch_accounts *watch_accounts_new(void)
{
    struct watch_accounts *all = mem_new(sizeof(*all));
    buf_init(&all->names, (size_t)1 << 30);
    users_walk(take_account, all);
    return all;
}

void watch_accounts_free(struct watch_accounts **accounts)
{
    buf_release(&(*accounts)->names);
    arena_release(&(*accounts)->mem);
    mem_free(accounts);
}

size_t watch_accounts_count(const struct watch_accounts *accounts)
{
    return accounts->names.n / sizeof(struct name);
}

void watch_mailbox(const struct watch_accounts *accounts, size_t i, watch_octets_fn *octets,
                   warning_fn *fn, void *ctx)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    const struct watcher to = { fn, ctx };
    struct account account;
    struct user_options u;
    struct name one;
    struct err e;
    memcpy(&one, accounts->names.p + i * sizeof(one), sizeof(one));
    if (!users_account_find(one.domain, one.name, &a, &account) ||
        users_options(&account, &a, &u, &e) != RC_OK || u.max_mb_size == 0)
        return;
    int64_t most = (int64_t)u.max_mb_size * 1024, n = octets(ctx, one.domain, one.name);
    struct str address = arena_printf(&a, "%.*s@%.*s", STR_ARG(one.name), STR_ARG(one.domain));
    if (n >= most)
        warn(&to, WARNING_mailbox_full, true, address, n, most, 0);
    else if (n >= 0 && most - n < MIN(NEARLY_FULL, most / 10))
        warn(&to, WARNING_mailbox_nearly, false, address, n, most, 0);
}

/*
 * api_warnings.c - what an administrator should look at, all together: roles that don't run,
 * certificates that end, a disk that gets full, log files that grow, who is held, frozen and
 * old mail; and, as a job because it asks for each account, mailboxes that are full.
 */
#include "backup/work.h"
#include "conf/logfiles.h"
#include "conf/options.h"
#include "sys/board.h"
#include "sys/file.h"
#include "users/limits.h"
#include "users/users.h"
#include "web/jobs.h"
#include "web/queued.h"
#include <sys/statvfs.h>

#define DAY (24 * 3600)
#define CERTIFICATE_DAYS 21
#define DISK_PERCENT 10u
#define LOG_TIMES 5u
#define LOG_DAYS 10u
#define LOG_LEAST ((uint64_t)1 << 20) /* smaller files are no matter */
#define NEARLY_FULL ((int64_t)10 << 20)
#define MAILBOXES_MOST 1000u

/* Adds {kind, level, about, n, of, when}; what doesn't count is 0. */
static void warn(json_t *list, const char *kind, bool bad, struct str about, int64_t n,
                 int64_t of, int64_t when)
{
    (void)json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:I, s:I, s:I}", "kind", kind,
                                                "level", bad ? "bad" : "warn", "about",
                                                web_str(about), "n", (json_int_t)n, "of",
                                                (json_int_t)of, "when", (json_int_t)when));
}

/* --- the server --------------------------------------------------------------------------- */

static void look_at_board(json_t *list)
{
    struct board *board AUTO_FREE = mem_new(sizeof(*board));
    struct err e;
    if (board_read(board, &e) != RC_OK)
        return;
    for (size_t i = 0; i < BOARD_ROLES; i++)
        if (board->roles[i].name[0] != '\0' && board->roles[i].state != BOARD_RUNNING)
            warn(list, "role", true, str_from_c(board->roles[i].name), 0, 0, 0);
    int64_t ends = board->certificate_expires / USEC_S, now = clock_wall() / USEC_S;
    if (ends != 0 && ends - now < (int64_t)CERTIFICATE_DAYS * DAY)
        warn(list, "certificate", ends <= now, STR(""), MAX(ends - now, (int64_t)0) / DAY, 0,
             ends);
    if (board->problems > 0)
        warn(list, "tables", false, STR(""), (int64_t)board->problems, 0, 0);
}

static void look_at_disk(json_t *list)
{
    struct statvfs v;
    if (statvfs(".", &v) != 0)
        return;
    uint64_t room = (uint64_t)v.f_bavail * v.f_frsize, all = (uint64_t)v.f_blocks * v.f_frsize;
    uint64_t least = (uint64_t)conf()->smtp_min_disk_space_kb * 1024;
    if (room < all / 100 * DISK_PERCENT || room < 2 * least)
        warn(list, "disk", room <= least, STR(""), (int64_t)room, (int64_t)all, 0);
    if (v.f_files > 0 && ((uint64_t)v.f_favail < (uint64_t)v.f_files / 100 * DISK_PERCENT ||
                          (uint64_t)v.f_favail < 2 * (uint64_t)conf()->min_free_inodes))
        warn(list, "inodes", (uint64_t)v.f_favail <= (uint64_t)conf()->min_free_inodes, STR(""),
             (int64_t)v.f_favail, (int64_t)v.f_files, 0);
}

/* Work on backups that went wrong (backup/work.h). */
static void look_at_backups(json_t *list)
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
        warn(list, "backup", true, backup_told(&tab, "why"), 0, 0, seen);
}

/* --- log files ---------------------------------------------------------------------------- */

/* Octets of one kind of log by day, today first. */
struct log_days {
    struct str kind;
    uint64_t octets[LOG_DAYS + 1];
    unsigned days; /* of those before today, with a file */
};
struct log_kinds {
    struct log_days list[32];
    size_t count;
    struct str names[LOG_DAYS + 1]; /* "20261130" of each day */
    struct arena mem;
};

static struct log_days *kind_of(struct log_kinds *all, struct str kind)
{
    for (size_t i = 0; i < all->count; i++)
        if (str_eq(all->list[i].kind, kind))
            return &all->list[i];
    if (all->count == ARRAY_LEN(all->list))
        return NULL;
    struct log_days *k = &all->list[all->count++];
    *k = (struct log_days){ .kind = arena_str(&all->mem, kind) };
    return k;
}

/* "smtp-202611300000" is of that day */
static void add_file(struct log_kinds *all, struct str name)
{
    struct stat st;
    size_t dash = str_find(name, '-');
    struct str when = dash == SIZE_MAX ? STR("") : str_skip(name, dash + 1);
    struct str path = arena_printf(&all->mem, "logs/%.*s", STR_ARG(name));
    if (when.n != 12 || io_lstat(path.p, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    for (unsigned i = 0; i <= LOG_DAYS; i++) {
        struct log_days *k = NULL;
        if (!str_starts(when, all->names[i]))
            continue;
        k = kind_of(all, str_head(name, dash));
        if (k == NULL)
            return;
        k->days += i > 0 && k->octets[i] == 0 && st.st_size > 0;
        k->octets[i] += (uint64_t)st.st_size;
    }
}

static void look_at_logs(json_t *list)
{
    struct log_kinds all = { .count = 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    int64_t now = clock_wall() / USEC_S;
    for (unsigned i = 0; i <= LOG_DAYS; i++) {
        char period[16];
        all.names[i] = arena_str(
            &all.mem,
            str_head(str_from_c(logfile_period(now - (int64_t)i * DAY, 24, period)), 8));
    }
    if (folder_open("logs", &f, NULL) == RC_OK)
        while (folder_next(f, &name, &type))
            add_file(&all, name);
    folder_close(&f);
    for (size_t i = 0; i < all.count; i++) {
        const struct log_days *k = &all.list[i];
        uint64_t sum = 0;
        for (unsigned day = 1; day <= LOG_DAYS; day++)
            sum += k->octets[day];
        uint64_t average = k->days == 0 ? 0 : sum / k->days;
        if (average > 0 && k->octets[0] >= LOG_LEAST && k->octets[0] >= average * LOG_TIMES)
            warn(list, "log", false, k->kind, (int64_t)k->octets[0], (int64_t)average, 0);
    }
    arena_release(&all.mem);
}

/* --- who is held, what waits -------------------------------------------------------------- */

static void look_at_limits(struct web *w, json_t *list)
{
    struct control_answer answer;
    struct limit_held held;
    struct str rest, line;
    struct err e;
    int64_t addresses = 0;
    if (link_ask(w, WEB_WORDS(STR("limitlist")), STR(""), &answer, &e) == RC_OK && answer.ok) {
        rest = buf_str(&answer.lines);
        while (rest.n > 0 && str_cut(&rest, '\n', &line)) {
            if (!limits_parse(line, &held))
                continue;
            if (held.is_account)
                warn(list, held.action == LIMIT_STOP ? "stopped" : "held",
                     held.action == LIMIT_STOP, str_from_c(held.who), 0, 0,
                     held.since / USEC_S);
            else
                addresses++;
        }
    }
    buf_release(&answer.lines);
    if (addresses > 0)
        warn(list, "addresses", false, STR(""), addresses, 0, 0);
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

static void look_at_queue(json_t *list)
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
        warn(list, "old", false, STR(""), n.old_count, 0, n.old / USEC_S);
    if (n.held > 0)
        warn(list, "kept", false, STR(""), n.held, 0, 0);
    if (n.frozen > 0)
        warn(list, "frozen", false, STR(""), n.frozen, 0, 0);
}

void api_warnings(struct web *w)
{
    json_t *list = json_array();
    look_at_board(list);
    look_at_disk(list);
    look_at_backups(list);
    look_at_limits(w, list);
    look_at_queue(list);
    look_at_logs(list);
    web_json(w, 200, list);
}

/* --- mailboxes ---------------------------------------------------------------------------- */

struct mailboxes {
    struct arena mem;
    struct buf names; /* struct name */
};
struct name {
    struct str domain, name;
};

static bool take_account(void *ctx, struct str domain, struct str name, enum account_type type)
{
    struct mailboxes *m = ctx;
    struct name one;
    if (type != ACCOUNT_USER)
        return true;
    one = (struct name){ arena_str(&m->mem, domain), arena_str(&m->mem, name) };
    return buf_add(&m->names, &one, sizeof(one)) == RC_OK;
}

static void free_mailboxes(void *ctx)
{
    struct mailboxes *m = ctx;
    buf_release(&m->names);
    arena_release(&m->mem);
    mem_free(&m);
}

/* Octets in the account's mailbox; -1: not known. */
static int64_t octets_of(struct job *job, const struct name *one, struct arena *a)
{
    struct link_by by = job_by(job, a);
    struct control_answer answer;
    struct err e;
    int64_t octets = -1;
    const struct str words[] = { STR("userstat"), one->domain, one->name };
    if (link_ask_by(&by, words, ARRAY_LEN(words), STR(""), &answer, &e) == RC_OK && answer.ok) {
        json_t *pairs = web_pairs(buf_str(&answer.lines));
        struct str text = str_from_c(json_string_value(json_object_get(pairs, "MailboxSize")));
        if (!str_to_i64(text, &octets))
            octets = -1;
        json_decref(pairs);
    }
    buf_release(&answer.lines);
    return octets;
}

static void look_at_mailbox(struct job *job, const struct name *one, json_t *list)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    struct user_options u;
    struct err e;
    if (!users_account_find(one->domain, one->name, &a, &account) ||
        users_options(&account, &a, &u, &e) != RC_OK || u.max_mb_size == 0)
        return;
    int64_t most = (int64_t)u.max_mb_size * 1024, octets = octets_of(job, one, &a);
    struct str address =
        arena_printf(&a, "%.*s@%.*s", STR_ARG(one->name), STR_ARG(one->domain));
    if (octets >= most)
        warn(list, "mailbox-full", true, address, octets, most, 0);
    else if (octets >= 0 && most - octets < MIN(NEARLY_FULL, most / 10))
        warn(list, "mailbox-nearly", false, address, octets, most, 0);
}

static json_t *look_at_mailboxes(struct job *job, void *ctx)
{
    const struct mailboxes *m = ctx;
    json_t *list = json_array();
    for (size_t i = 0; i < m->names.n && json_array_size(list) < MAILBOXES_MOST;
         i += sizeof(struct name)) {
        struct name one;
        memcpy(&one, m->names.p + i, sizeof(one));
        look_at_mailbox(job, &one, list);
        if (!job_step(job))
            break;
    }
    return list;
}

void api_warnings_mailboxes(struct web *w)
{
    struct mailboxes *m = mem_new(sizeof(*m));
    buf_init(&m->names, (size_t)1 << 30);
    users_walk(take_account, m);
    (void)job_start(w, &(struct job_work){ "mailboxes", look_at_mailboxes, free_mailboxes, m,
                                           m->names.n / sizeof(struct name), STR(""), 0 });
}

/*
 * weekly.c - the weekly letter to the postmaster (watch/): sent once when it is due, shown and
 * sent when an administrator wants it. A thread makes it, because it looks at each entry of the
 * queue and at each mailbox; all else happens here, on the role's only worker.
 *
 * Sent once: the letter is written aside, then the mark says that this week has its letter,
 * then a rename sends it. What a crash left between the last two is sent at the next start.
 */
#include "base/day.h"
#include "conf/options.h"
#include "control/control_int.h"
#include "history/history.h"
#include "spool/queued.h"
#include "store/store.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "users/users.h"
#include "watch/watch.h"

#define MARK_PATH "hikyaku/weekly-letter"
#define LOOK_EVERY (2 * USEC_S)
#define TRY_EVERY (60 * USEC_S)
#define TIME_MOST (50 * USEC_S) /* who waits for the web role waits for a minute */
#define TEXT_MAX ((size_t)96 << 10)
#define LIST_MAX ((size_t)2000) /* warnings that are sorted */

/* What the thread makes; the worker doesn't look at it before `done`. */
static struct {
    pthread_t thread;
    bool running;
    _Atomic bool done, stop;
    uint64_t number; /* of the last one begun */
    struct arena mem;
    struct watch_week before, last;
    int64_t now;
    struct warning *list;
    size_t count;
    struct str subject;
    struct buf text;
} made;

/* --- the thread --------------------------------------------------------------------------- */

static void take_warning(void *ctx, const struct warning *w)
{
    (void)ctx;
    if (made.count == LIST_MAX)
        return;
    made.list[made.count] = *w;
    made.list[made.count++].about = arena_str(&made.mem, w->about);
}

static int64_t octets_of(void *ctx, struct str domain, struct str name)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    uint64_t octets = 0, messages = 0;
    struct err e;
    (void)ctx;
    if (!users_account_find(domain, name, &a, &account) ||
        store_usage(&account, &octets, &messages, &e) != RC_OK)
        return -1;
    return (int64_t)octets;
}

static bool in_japanese(void)
{
    struct str language = conf()->weekly_letter_language;
    return language.n > 0 ? str_ieq(language, STR("ja"))
                          : options_report_in_japanese(conf()->root_domain);
}

static void *make(void *arg)
{
    (void)arg;
    watch_server(take_warning, NULL);
    struct watch_accounts *accounts = watch_accounts_new();
    size_t count = watch_accounts_count(accounts);
    for (size_t i = 0; i < count && !atomic_load(&made.stop); i++)
        watch_mailbox(accounts, i, octets_of, take_warning, NULL);
    watch_accounts_free(&accounts);
    const struct watch_letter letter = { .japanese = in_japanese(),
                                         .now = made.now,
                                         .server = options_server_name(),
                                         .page = conf()->web_address,
                                         .list = made.list,
                                         .count = made.count,
                                         .before = &made.before,
                                         .last = &made.last };
    queued_free();
    made.subject = watch_letter_print(&letter, &made.mem, &made.text);
    atomic_store(&made.done, true);
    return NULL;
}

/* --- beginning and ending ----------------------------------------------------------------- */

static void count(void *ctx, int64_t begins, struct str name, int64_t n)
{
    const int64_t *ends = ctx;
    watch_count(begins < ends[1] ? &made.before : &made.last, name, n);
}

static void forget(void)
{
    arena_release(&made.mem);
    buf_release(&made.text);
    made.count = 0;
}

/* Begins one, when none is being made. */
static enum rc begin(struct err *e)
{
    int64_t ends[3];
    if (made.running)
        return RC_OK;
    forget();
    made.now = clock_wall() / USEC_S;
    made.before = made.last = (struct watch_week){ .n = { 0 } };
    made.list = arena_new_array(&made.mem, struct warning, LIST_MAX);
    buf_init(&made.text, TEXT_MAX);
    atomic_store(&made.done, false);
    watch_week_ends(made.now, ends);
    ctrl_count_now();
    struct err none;
    if (history_counts(true, ends[0], ends[2], count, ends, &none) != RC_OK)
        log_warn(EV("weekly letter without figures"), KE(&none));
    enum rc rc = thread_start(make, NULL, "letter", &made.thread, e);
    made.running = rc == RC_OK;
    made.number += made.running ? 1 : 0;
    return rc;
}

/* Is that one there? */
static bool is_made(uint64_t number)
{
    if (made.running && atomic_load(&made.done)) {
        thread_join(made.thread);
        made.running = false;
    }
    return !made.running && made.number >= number;
}

void control_end_weekly(void)
{
    atomic_store(&made.stop, true);
    if (made.running)
        thread_join(made.thread);
    made.running = false;
    forget();
}

/* --- each week ---------------------------------------------------------------------------- */

/* The letter of a mark ("2026-11-30 1 07"). */
static struct str name_of(struct str mark, struct arena *a)
{
    return arena_printf(a, "weekly-%.*s.letter", STR_ARG(str_head(mark, DAY_OCTETS)));
}

static enum rc send_weekly(struct str mark, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str name = name_of(mark, &a), to = letter_postmaster(&a);
    enum rc rc = letter_stage(name, to, made.subject, buf_str(&made.text), e);
    if (rc == RC_OK)
        rc = file_replace(MARK_PATH, mark, 0640, e);
    if (rc == RC_OK)
        rc = letter_send(name, e);
    if (rc == RC_OK)
        log_info(EV("weekly letter written"), KS("to", to));
    return rc;
}

/* What is to be done now: nothing, or a letter is due with that mark. */
static enum rc look(struct arena *a, bool *out_due, char mark[LETTER_MARK_BYTES], struct err *e)
{
    const struct options *o = conf();
    struct str kept = STR("");
    *out_due = false;
    if (file_read(MARK_PATH, 64, a, &kept, NULL, e) != RC_OK && e->sys != ENOENT)
        return RC_TEMP;
    if (day_is_good(str_head(kept, DAY_OCTETS)) && letter_is_staged(name_of(kept, a)))
        return letter_send(name_of(kept, a), e);
    if (o->weekly_letter == 0) /* switched on again, it waits for its day */
        return kept.n == 0 ? RC_OK : file_remove(MARK_PATH, e);
    enum letter_due due = letter_due(clock_wall() / USEC_S, (unsigned)o->weekly_letter,
                                     (unsigned)o->weekly_letter_hour, kept, mark);
    *out_due = due == LETTER_DUE;
    return due == LETTER_PASSED ? file_replace(MARK_PATH, str_from_c(mark), 0640, e) : RC_OK;
}

void control_settle_weekly(void)
{
    static usec_t next_at;
    static uint64_t awaited; /* being made for the postmaster; 0: none */
    static char mark[LETTER_MARK_BYTES];
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct err e = { .text = "" };
    bool due = false;
    enum rc rc = RC_OK;
    if (clock_mono() < next_at || (awaited > 0 && !is_made(awaited)))
        return;
    next_at = clock_mono() + LOOK_EVERY;
    if (awaited > 0) {
        awaited = 0;
        rc = send_weekly(str_from_c(mark), &e);
    } else {
        rc = look(&a, &due, mark, &e);
        if (rc == RC_OK && due)
            rc = begin(&e);
        if (rc == RC_OK && due)
            awaited = made.number;
    }
    if (rc == RC_OK)
        return;
    log_error(EV("weekly letter not written"), KE(&e));
    next_at = clock_mono() + TRY_EVERY;
}

/* --- "weeklyletter", "weeklysend" --------------------------------------------------------- */

/* Whom it is for and its subject, then its lines. */
static void tell(struct ctrl *c)
{
    const struct str head[] = { letter_postmaster(&c->line_mem), made.subject };
    buf_init(&c->text, TEXT_MAX + TAB_LINE_MAX);
    ctrl_text_row(c, head, ARRAY_LEN(head));
    buf_must(buf_add_str(&c->text, buf_str(&made.text)));
}

static bool told(struct ctrl *c, enum admin_result *result, struct err *e)
{
    (void)result;
    (void)e;
    if (!is_made(c->work))
        return false;
    tell(c);
    return true;
}

static bool sent(struct ctrl *c, enum admin_result *result, struct err *e)
{
    if (!is_made(c->work))
        return false;
    struct str to = letter_postmaster(&c->line_mem);
    if (letter_write(to, made.subject, buf_str(&made.text), e) != RC_OK)
        *result = ADMIN_CANT_WRITE;
    else
        tell(c);
    return true;
}

static enum admin_result start(struct ctrl *c, struct err *e)
{
    if (begin(e) != RC_OK)
        return ADMIN_CANT_OPEN;
    c->work = made.number;
    c->wait_until = clock_mono() + TIME_MOST;
    return ADMIN_OK;
}

enum admin_result ctrl_weeklyletter(struct ctrl *c, struct err *e)
{
    c->work_done = told;
    return start(c, e);
}

enum admin_result ctrl_weeklysend(struct ctrl *c, struct err *e)
{
    c->work_done = sent;
    return start(c, e);
}

/*
 * watch.h - what an administrator should look at, and the weekly letter that tells it. The web
 * role shows the warnings, the control role writes the letter; both read what all roles may.
 */
#ifndef HIKYAKU_WATCH_WATCH_H
#define HIKYAKU_WATCH_WATCH_H

#include "base/base.h"
#include "sys/metrics.h"

/* --- warnings (warnings.c) --------------------------------------------------------------- */

enum warning_kind {
#define WARNING(ident, name, octets, en, ja, advice_en, advice_ja) WARNING_##ident,
#include "watch/warnings.def"
#undef WARNING
    WARNING_COUNT
};

struct warning_row {
    const char *name;
    bool octets; /* n and of are */
    const char *en, *ja, *advice_en, *advice_ja;
};
extern const struct warning_row warning_rows[WARNING_COUNT];

/* What doesn't count is 0, or empty. */
struct warning {
    enum warning_kind kind;
    bool bad; /* act now */
    struct str about;
    int64_t n, of, when; /* when: seconds since 1970 */
};
/* w and its text are valid during the call. */
typedef void warning_fn(void *ctx, const struct warning *w);

/* Calls fn for all but mailboxes: roles that don't run, certificates that end, a disk that gets
 * full, log files that grow, who is held, frozen and old mail. It may wait for the disk. */
void watch_server(warning_fn *fn, void *ctx);

/* Accounts with mailboxes, as they are now: looking at each takes time. */
struct watch_accounts;
struct watch_accounts *watch_accounts_new(void);
void watch_accounts_free(struct watch_accounts **accounts);
size_t watch_accounts_count(const struct watch_accounts *accounts);
/* Octets in an account's mailbox; -1: not known. */
typedef int64_t watch_octets_fn(void *ctx, struct str domain, struct str name);
/* Is the mailbox of the account of that number full, or nearly? octets and fn get ctx. */
void watch_mailbox(const struct watch_accounts *accounts, size_t i, watch_octets_fn *octets,
                   warning_fn *fn, void *ctx);

/* --- the letter (letter.c) --------------------------------------------------------------- */

/* What was counted in a week, by enum metric. */
struct watch_week {
    int64_t n[METRIC_COUNT];
};
/* Adds to the counter of that name (sys/metrics.def). */
void watch_count(struct watch_week *week, struct str name, int64_t n);
/* Midnight of 14 days ago, of 7 days ago, and of the day in which now (seconds since 1970) is.
 */
void watch_week_ends(int64_t now, int64_t out[3]);

struct watch_letter {
    bool japanese;
    int64_t now;          /* seconds since 1970 */
    struct str server;    /* its name */
    struct str page;      /* the address of the pages; may be empty */
    struct warning *list; /* is sorted */
    size_t count;
    const struct watch_week *before, *last; /* the week before last week, and last week */
};
/* Its subject, in a; adds its text to out. */
struct str watch_letter_print(const struct watch_letter *letter, struct arena *a,
                              struct buf *out);

/* --- when it is due (due.c) -------------------------------------------------------------- */

#define LETTER_MARK_BYTES 24u
enum letter_due {
    LETTER_WAITS,
    LETTER_PASSED, /* it isn't to be sent any more: only the mark is to be kept */
    LETTER_DUE
};
/*
 * Is a letter due at `now` (seconds since 1970), which is written on that day of the week (1:
 * Monday ... 7: Sunday) in that hour? mark: what was kept for the last one; empty: there was
 * none. out_mark: what is to be kept when it is sent, or has passed.
 * A first letter waits for its day, also after a change of the settings; one that is late by
 * more than three days isn't sent. A clock that is set back brings none a second time.
 */
enum letter_due letter_due(int64_t now, unsigned day, unsigned hour, struct str mark,
                           char out_mark[LETTER_MARK_BYTES]);

#endif

/*
 * history.h - every change of a table (tables.def), with who made it, when, and the difference:
 * hikyaku/history/changes.db. Only the control role uses it, from one thread.
 *
 * A change is what one command did; it has a part for each file. What other programs changed is
 * found by looking, and is a change "by hand". The latest version of a table is known as a text
 * of some time ago and the parts since, so that a difference by hand can be told. After a crash
 * a change that wasn't recorded is found as one by hand; after a loss of power the last ones
 * may be, too. Trouble with the history never hinders a change.
 */
#ifndef HIKYAKU_HISTORY_HISTORY_H
#define HIKYAKU_HISTORY_HISTORY_H

#include "base/base.h"
#include "users/figures.h"

/* Opens the database, or makes it; a damaged one is put aside. Without it nothing is recorded.
 */
enum rc history_open(struct err *e) CHECK_RESULT;
void history_close(void);

/* --- recording (record.c) ---------------------------------------------------------------- */

struct history_author {
    struct str by, from; /* a name, an address */
    struct str via;      /* web, ctrl, local, server, hand */
    struct str act, what;
    uint64_t undoes;  /* the change that is taken back; 0: none */
    unsigned trial_s; /* goes back by itself after this time; 0: stays */
};
/* What is changed until history_end belongs together; *a and what it names live until then. */
void history_begin(const struct history_author *a);
/* The change's number; 0: nothing was changed. */
uint64_t history_end(void);
/* A tab_change_fn (conf/tab.h). */
void history_changed(const char *path, struct str before, struct str after);
/* Finds what was changed by hand in all tables but those in domains/; in one. */
void history_look(void);
void history_look_at(const char *path);
/* Drops changes that are older, or the oldest while there is more than that. */
void history_prune(unsigned days, uint64_t octets);

/* --- reading (read.c) -------------------------------------------------------------------- */

#define HISTORY_FILES_TOLD 5u
struct history_change {
    uint64_t id;
    int64_t time;              /* seconds since 1970 */
    struct history_author who; /* undoes: the change that this one took back */
    uint64_t undone;           /* by this change; 0: it isn't */
    int64_t until;             /* goes back by itself then; 0: it doesn't */
    uint64_t file_count;
    struct str files[HISTORY_FILES_TOLD]; /* the first of them */
};
struct history_filter {
    struct str file, by;  /* text in a path; a name; empty: all */
    uint64_t before;      /* only numbers below; 0: all */
    int64_t since, until; /* seconds since 1970; 0: all */
    uint64_t limit, id;   /* id: only this one */
    bool waiting;         /* only those on trial */
};
typedef void history_change_fn(void *ctx, const struct history_change *c);
/* Newest first. */
enum rc history_list(const struct history_filter *f, history_change_fn *fn, void *ctx,
                     struct err *e) CHECK_RESULT;

/* known: the difference is. hunks: for history_hunk_next. */
typedef void history_part_fn(void *ctx, const char *path, bool known, struct str hunks);
enum rc history_parts(uint64_t id, history_part_fn *fn, void *ctx, struct err *e) CHECK_RESULT;

/* Lines that were taken out at an octet of the text before, and those put there. */
struct hunk {
    uint64_t at, line; /* line: of the text before, from 1; 0: at its end */
    struct str removed, added;
};
bool history_hunk_next(struct str *rest, struct hunk *out);

/* --- figures (counts.c) ------------------------------------------------------------------ */

struct board;
/* Adds what the board's counters and the domains' figures grew by since the last call to the
 * present hour and day. A crash loses what came after it. */
void history_count(const struct board *b);
/* begins: of the hour or day, seconds since 1970; name: a member of sys/metrics.def. */
typedef void history_count_fn(void *ctx, int64_t begins, struct str name, int64_t n);
/* In order of time; since and until: seconds since 1970. Hours are kept 40 days, days 10
 * years. */
enum rc history_counts(bool days, int64_t since, int64_t until, history_count_fn *fn, void *ctx,
                       struct err *e) CHECK_RESULT;

/* Of one domain, as domains.tab writes it, in order of time; domain empty: the sums of all that
 * had some, by name. Hours are kept 8 days, days 400. */
typedef void history_figures_fn(void *ctx, int64_t begins, struct str domain,
                                const int64_t n[FIGURES]);
enum rc history_figures(struct str domain, bool days, int64_t since, int64_t until,
                        history_figures_fn *fn, void *ctx, struct err *e) CHECK_RESULT;

/* --- taking back (undo.c) ---------------------------------------------------------------- */

/* The texts of the files as they would be without the change, in a; RC_PERM: lines of it were
 * changed since, or its difference isn't known. */
struct history_text {
    const char *path;
    struct str text, now; /* now: what it is */
    struct history_text *next;
};
enum rc history_without(uint64_t id, struct arena *a, struct history_text **out,
                        struct err *e) CHECK_RESULT;
/* Ends the trial of a change; false: it has none. */
bool history_keep(uint64_t id);
/* The first change whose trial is over at `now` (seconds since 1970); 0: none. */
uint64_t history_due(int64_t now);

#endif

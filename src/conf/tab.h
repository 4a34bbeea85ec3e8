/*
 * tab.h - TAB tables: "value1"<TAB>"value2"... Reading, and changing without losing anything.
 * Specification: docs/tables.md. Encoding is octets; Shift_JIS is recognised for its trail byte
 * 0x5C.
 */
#ifndef HIKYAKU_CONF_TAB_H
#define HIKYAKU_CONF_TAB_H

#include "base/base.h"
#include "sys/file.h"

/* One line of values. */
struct tab_row {
    unsigned line;            /* of the file, from 1 */
    size_t count;             /* of values */
    const struct str *values; /* unquoted, unescaped */
};

/* A line that couldn't be understood: skipped, and reported once per load. */
struct tab_problem {
    unsigned line;
    struct str text; /* English reason */
};

/* A table as read; everything lives in the arena given to tab_read. */
struct tab {
    const char *path;
    bool missing;
    bool ends_open; /* the last line has no line end (an editor may still be writing) */
    struct file_id id;
    size_t row_count, problem_count;
    const struct tab_row *rows;
    const struct tab_problem *problems;
};

/* Largest table read (octets), longest line, most values on it. */
#define TAB_FILE_MAX ((size_t)256 << 20)
#define TAB_LINE_MAX ((size_t)1 << 20)
#define TAB_VALUES_MAX ((size_t)256)

/* Parses one line (no line end) into at most max values in a. Blank and comment lines: 0
 * values. RC_PERM with the reason for a malformed line. */
enum rc tab_parse_line(struct str line, struct arena *a, struct str *values, size_t max,
                       size_t *out_count, struct err *e) CHECK_RESULT;

/* Reads the table at path. A missing file is RC_OK with ->missing and no rows; unreadable:
 * RC_TEMP. */
enum rc tab_read(const char *path, struct arena *a, struct tab *out,
                 struct err *e) CHECK_RESULT;
/* The same from memory. */
enum rc tab_read_str(const char *path, struct str text, struct arena *a, struct tab *out,
                     struct err *e) CHECK_RESULT;
/* Value i of the row, or the empty slice. */
struct str tab_value(const struct tab_row *row, size_t i);
/* Says in the log that a line of the table means nothing. */
void tab_say_skipped(const char *path, unsigned line, struct str why);

/* Appends a line of quoted values (with `eol`) to b. RC_PERM: a value holds TAB, CR, LF or NUL,
 * or the line would not read back as these values. */
enum rc tab_print_row(struct buf *b, const struct str *values, size_t count, const char *eol,
                      struct err *e) CHECK_RESULT;

/* Nobody changes a table while *out_fd is open. Waits. */
enum rc tab_lock(int *out_fd, struct err *e) CHECK_RESULT;
/* Adds one row at the end of the table (made when missing): appended under the table's lock and
 * synced; a last line without a line end gets one first; the file's own kind of line end is
 * used. */
enum rc tab_append(const char *path, const struct str *values, size_t count,
                   struct err *e) CHECK_RESULT;

/*
 * Rewrites the table under its lock. For each row of the version on disk `edit` says what
 * becomes of it; untouched lines, comments and blank lines survive octet for octet. The new
 * file replaces the old atomically, and only if nobody else replaced it meanwhile (else the
 * edit is done again).
 */
enum tab_verdict { TAB_KEEP, TAB_DROP, TAB_REPLACE };
typedef enum tab_verdict tab_edit_fn(void *ctx, const struct tab_row *row, struct arena *a,
                                     const struct str **out_values, size_t *out_count);
enum rc tab_edit(const char *path, tab_edit_fn *edit, void *ctx, size_t *out_changed,
                 struct err *e) CHECK_RESULT;
/* The same, and the rows that `more` gives until it returns false follow at the end; the table
 * is made when missing. */
typedef bool tab_more_fn(void *ctx, const struct str **out_values, size_t *out_count);
enum rc tab_edit_more(const char *path, tab_edit_fn *edit, tab_more_fn *more, void *ctx,
                      size_t *out_changed, struct err *e) CHECK_RESULT;

/* Puts the text (with LF) in the place of a table or another file of lines, under the tables'
 * lock and with the line ends that the old one has. Empty text removes it. */
enum rc tab_replace(const char *path, struct str text, struct err *e) CHECK_RESULT;

/* Is called, under the tables' lock, after each change that this process makes by the functions
 * above: the text before (empty when a line was added at the end) and after. One a process. */
typedef void tab_change_fn(const char *path, struct str before, struct str after);
void tab_on_change(tab_change_fn *fn);

/* Removes new versions of tables in the folder ("x.tab.tmp-1-2") that a crash left behind. */
enum rc tab_sweep(const char *folder, struct err *e) CHECK_RESULT;

/*
 * Does another program's new version of a table count? When it has been still for 200 ms and
 * ends in a line end, or was left without one for a minute. w belongs to one thread and is for
 * one table; zeroed at first.
 */
struct tab_watch {
    struct file_id open; /* the version whose last line has no line end */
    usec_t since;
};
bool tab_is_settled(struct tab_watch *w, const char *path, const struct file_id *now);
/* Does the file's last line have no line end? One that can't be read counts as such. */
bool tab_ends_open(const char *path, const struct file_id *now);

/*
 * Cached tables: what hot paths use. Each call looks at the file's identity at most every 100
 * ms; a changed file counts once it has been still for 200 ms and ends in a line end. While a
 * table that was there is missing, unreadable or less than half its size (for less than 2 s),
 * the old version stays and *out_suspect is true: a miss in it must be answered with a
 * temporary failure. parse makes the value from the table (called rarely, under a lock); old
 * values are freed with `release` when the last reader has put them back.
 */
struct tab_cache;
struct tab_cached; /* a reference to one version */
typedef void *tab_parse_fn(const struct tab *tab, void *ctx);
typedef void tab_release_fn(void *value);
struct tab_cache *tab_cache_new(const char *path, tab_parse_fn *parse, tab_release_fn *release,
                                void *ctx);
/* The current version's value; give the reference back with tab_cache_put. Any thread. */
void *tab_cache_get(struct tab_cache *c, struct tab_cached **out_ref, bool *out_suspect);
void tab_cache_put(struct tab_cache *c, struct tab_cached **ref);
void tab_cache_free(struct tab_cache **c);

#endif

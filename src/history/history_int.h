/* history_int.h - inside history/. */
#ifndef HIKYAKU_HISTORY_HISTORY_INT_H
#define HIKYAKU_HISTORY_HISTORY_INT_H

#include "history/history.h"
#include <sqlite3.h>

#define HISTORY_TEXT_MAX ((size_t)256 << 20)

/* --- db.c --------------------------------------------------------------------------------- */

/* Was history_open successful? */
bool db_is_open(void);
/* A statement with its values, one letter each: i int64_t, s struct str (text), b struct str
 * (octets). NULL: it failed, which was logged. To be finalized. */
sqlite3_stmt *db_query(const char *sql, const char *kinds, ...);
/* The next row? An error is logged, and ends them. */
bool db_row(sqlite3_stmt *s);
/* Carries out a statement that has no rows. */
bool db_run(const char *sql, const char *kinds, ...);
/* The number in the first column of the first row; 0: there is none. */
int64_t db_number(const char *sql, const char *kinds, ...);
/* A column's text, in a. */
struct str db_text(sqlite3_stmt *s, int column, struct arena *a);
int64_t db_last_id(void);
/* Octets of a file into a column of a row, which has that size. */
bool db_fill(const char *table, const char *column, int64_t row, int fd, uint64_t size);
static inline void db_end(sqlite3_stmt **s)
{
    (void)sqlite3_finalize(*s);
    *s = NULL;
}
#define AUTO_END __attribute__((cleanup(db_end)))

/* --- diff.c ------------------------------------------------------------------------------- */

/* The hunks from one text to the other, whole lines. */
enum rc diff_texts(struct str before, struct str after, struct buf *out) CHECK_RESULT;
/* One hunk. */
enum rc hunk_print(const struct hunk *h, struct buf *out) CHECK_RESULT;
/* The text after the hunks; false: they are of another text. */
bool hunks_apply(struct str hunks, struct buf *text);

/* --- counts.c, figures.c ------------------------------------------------------------------ */

/* What a domain's figures grew by. */
struct grown {
    struct grown *next;
    struct str domain;
    uint64_t n[FIGURES];
};
/* The domains whose figures grew since the last sample that was recorded for the server's
 * start; in a. */
struct grown *figures_look(int64_t start, struct arena *a, uint64_t *out_sample);
/* Seconds since 1970: now, and when its hour and day began. */
struct count_time {
    int64_t now, hour, day;
};
/* Records that sample and drops what is too old. False: it failed, nothing counts. */
bool figures_take(const struct grown *list, int64_t start, uint64_t sample,
                  const struct count_time *now);

/* --- record.c ----------------------------------------------------------------------------- */

/* The last version recorded of a file; false: it can't be told. */
bool recorded_text(struct str path, struct buf *out);

#endif

/* read.c - what was recorded. */
#include "history/history_int.h"

static void tell(sqlite3_stmt *s, history_change_fn *fn, void *ctx)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct history_change c = {
        .id = (uint64_t)sqlite3_column_int64(s, 0),
        .time = sqlite3_column_int64(s, 1),
        .who = { .by = db_text(s, 2, &a),
                 .from = db_text(s, 3, &a),
                 .via = db_text(s, 4, &a),
                 .act = db_text(s, 5, &a),
                 .what = db_text(s, 6, &a),
                 .undoes = (uint64_t)sqlite3_column_int64(s, 7) },
        .undone = (uint64_t)sqlite3_column_int64(s, 8),
        .until = sqlite3_column_int64(s, 9),
    };
    sqlite3_stmt *p AUTO_END = db_query(
        "SELECT DISTINCT path FROM part WHERE change = ?1 ORDER BY id", "i", (int64_t)c.id);
    while (db_row(p)) {
        if (c.file_count < HISTORY_FILES_TOLD)
            c.files[c.file_count] = db_text(p, 0, &a);
        c.file_count++;
    }
    fn(ctx, &c);
}

enum rc history_list(const struct history_filter *f, history_change_fn *fn, void *ctx,
                     struct err *e)
{
    if (!db_is_open())
        return err_temp(e, "4.3.0", "the history can't be read");
    sqlite3_stmt *s AUTO_END = db_query(
        "SELECT c.id, c.time, c.author, c.address, c.via, c.act, c.what, c.undoes, c.undone,"
        " (SELECT t.until FROM trial t WHERE t.change = c.id) FROM change c"
        " WHERE (?1 = 0 OR c.id < ?1) AND (?2 = '' OR c.author = ?2 COLLATE NOCASE)"
        " AND c.time >= ?3 AND (?4 = 0 OR c.time < ?4) AND (?5 = 0 OR c.id = ?5)"
        " AND (?6 = '' OR c.id IN (SELECT p.change FROM part p WHERE instr(p.path, ?6) > 0))"
        " AND (?8 = 0 OR c.id IN (SELECT t.change FROM trial t))"
        " ORDER BY c.id DESC LIMIT ?7",
        "isiiisii", (int64_t)f->before, f->by, f->since, f->until, (int64_t)f->id, f->file,
        (int64_t)f->limit, (int64_t)f->waiting);
    if (s == NULL)
        return err_temp(e, "4.3.0", "the history can't be read");
    while (db_row(s))
        tell(s, fn, ctx);
    return RC_OK;
}

enum rc history_parts(uint64_t id, history_part_fn *fn, void *ctx, struct err *e)
{
    sqlite3_stmt *s AUTO_END =
        db_is_open() ? db_query("SELECT path, known, hunks FROM part WHERE change = ?1"
                                " ORDER BY id",
                                "i", (int64_t)id)
                     : NULL;
    if (s == NULL)
        return err_temp(e, "4.3.0", "the history can't be read");
    while (db_row(s)) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        const char *path = db_text(s, 0, &a).p;
        fn(ctx, path, sqlite3_column_int64(s, 1) != 0, db_text(s, 2, &a));
    }
    return RC_OK;
}

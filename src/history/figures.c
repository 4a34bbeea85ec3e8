/*
 * figures.c - what was counted for each domain (users/figures.h), by hour and day: one row for
 * each in which something was. Called by counts.c, in its transaction.
 */
#include "conf/tab.h"
#include "history/history_int.h"
#include "sys/board.h"

#define DAY ((int64_t)86400)
#define HOURS_KEPT (8 * DAY)
#define DAYS_KEPT (400 * DAY)

#define X(name) "," #name
#define COLUMNS FIGURES_EACH(X)
static const char add_sql[] = "INSERT INTO figures(unit, time, domain" COLUMNS ")"
                              " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
                              " ON CONFLICT(unit, time, domain) DO UPDATE SET"
                              " domain = domain"
#undef X
#define X(name) "," #name " = " #name " + excluded." #name
    FIGURES_EACH(X);
#undef X
_Static_assert(FIGURES == 8, "add_sql has a value for each figure");

#define KEPT_SQL "SELECT n FROM counted WHERE name = ' figures' AND start = ?1"

struct grown *figures_look(int64_t start, struct arena *a, uint64_t *out_sample)
{
    struct tab domains;
    struct err e;
    struct grown *list = NULL;
    uint64_t kept = (uint64_t)db_number(KEPT_SQL, "i", start), n[FIGURES];
    if (tab_read("domains.tab", a, &domains, &e) != RC_OK)
        return NULL;
    *out_sample = figures_begin(kept);
    for (size_t i = 0; i < domains.row_count; i++) {
        struct str domain = tab_value(&domains.rows[i], 0);
        if (!figures_grown(domain, *out_sample, kept, n))
            continue;
        struct grown *g = arena_new(a, sizeof(*g));
        *g = (struct grown){ .next = list, .domain = domain };
        memcpy(g->n, n, sizeof(n));
        list = g;
    }
    return list;
}

static bool add(sqlite3_stmt *s, const char *unit, int64_t begins, const struct grown *g)
{
    bool good = s != NULL && sqlite3_reset(s) == SQLITE_OK &&
                sqlite3_bind_text(s, 1, unit, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_bind_int64(s, 2, begins) == SQLITE_OK &&
                sqlite3_bind_text64(s, 3, g->domain.p, g->domain.n, SQLITE_STATIC,
                                    SQLITE_UTF8) == SQLITE_OK;
    for (int f = 0; good && f < FIGURES; f++)
        good = sqlite3_bind_int64(s, 4 + f, (int64_t)g->n[f]) == SQLITE_OK;
    return good && sqlite3_step(s) == SQLITE_DONE;
}

bool figures_take(const struct grown *list, int64_t start, uint64_t sample,
                  const struct count_time *now)
{
    sqlite3_stmt *s AUTO_END = list == NULL ? NULL : db_query(add_sql, "");
    for (const struct grown *g = list; g != NULL; g = g->next)
        if (!add(s, "hour", now->hour, g) || !add(s, "day", now->day, g))
            return false;
    return (list == NULL ||
            db_run("INSERT OR REPLACE INTO counted(name, start, n) VALUES(' figures', ?1, ?2)",
                   "ii", start, (int64_t)sample)) &&
           db_run("DELETE FROM figures WHERE unit = 'hour' AND time < ?1", "i",
                  now->now - HOURS_KEPT) &&
           db_run("DELETE FROM figures WHERE unit = 'day' AND time < ?1", "i",
                  now->now - DAYS_KEPT);
}

/* The key begins with the time, so that pieces of time are dropped and summed quickly; for one
 * domain the times are found one after the other (min), each by a step in the key. */
#define X(name) ", f." #name
static const char one_sql[] =
    "WITH RECURSIVE t(time) AS ("
    " SELECT min(time) FROM figures WHERE unit = ?1 AND time >= ?2 UNION ALL"
    " SELECT (SELECT min(time) FROM figures WHERE unit = ?1 AND time > t.time) FROM t"
    " WHERE t.time < ?3)"
    "SELECT t.time, f.domain" FIGURES_EACH(X) " FROM t CROSS JOIN figures f"
                                              " WHERE f.unit = ?1 AND f.time = t.time AND "
                                              "f.domain = ?4 AND t.time < ?3 ORDER BY t.time";
#undef X
#define X(name) ", sum(" #name ")"
static const char all_sql[] = "SELECT 0, domain" FIGURES_EACH(
    X) " FROM figures"
       " WHERE unit = ?1 AND time >= ?2 AND time < ?3 GROUP BY domain ORDER BY domain";
#undef X

enum rc history_figures(struct str domain, bool days, int64_t since, int64_t until,
                        history_figures_fn *fn, void *ctx, struct err *e)
{
    if (!db_is_open())
        return err_temp(e, "4.3.0", "the history can't be opened");
    struct str unit = str_from_c(days ? "day" : "hour");
    sqlite3_stmt *s AUTO_END = domain.n > 0
                                   ? db_query(one_sql, "siis", unit, since, until, domain)
                                   : db_query(all_sql, "sii", unit, since, until);
    while (db_row(s)) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        int64_t n[FIGURES];
        for (int f = 0; f < FIGURES; f++)
            n[f] = sqlite3_column_int64(s, 2 + f);
        fn(ctx, sqlite3_column_int64(s, 0), db_text(s, 1, &a), n);
    }
    return RC_OK;
}

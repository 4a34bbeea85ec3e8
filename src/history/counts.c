/*
 * counts.c - what the roles count (sys/metrics.def), by hour and day of the local time. The
 * board's counters begin anew with each start of the server, so the last totals are kept with
 * the start that they belong to, in the transaction that adds what came since.
 */
#include "history/history_int.h"
#include "sys/board.h"
#include <time.h>

#define DAY ((int64_t)86400)
#define HOURS_KEPT (40 * DAY)
#define DAYS_KEPT (3660 * DAY)

static const char *const names[METRIC_COUNT] = {
#define METRIC(member, kind, name, labels, help) #member,
#include "sys/metrics.def"
#undef METRIC
};

/* When the hour or day began in which `now` is. */
static int64_t beginning(int64_t now, bool day)
{
    struct tm t;
    time_t at = (time_t)now;
    if (localtime_r(&at, &t) == NULL)
        return now;
    t.tm_sec = t.tm_min = 0;
    if (day) {
        t.tm_hour = 0;
        t.tm_isdst = -1; /* midnight may be of the other half of the year */
    }
    return (int64_t)mktime(&t);
}

static bool add(const char *unit, int64_t begins, struct str name, int64_t n)
{
    return db_run("INSERT INTO counts(unit, time, name, n) VALUES(?1, ?2, ?3, ?4)"
                  " ON CONFLICT(unit, time, name) DO UPDATE SET n = n + excluded.n",
                  "sisi", str_from_c(unit), begins, name, n);
}

static bool take(const struct board *b, const int64_t *more, const struct count_time *now)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        struct str name = str_from_c(names[i]);
        if (more[i] == 0)
            continue;
        if (!add("hour", now->hour, name, more[i]) || !add("day", now->day, name, more[i]) ||
            !db_run("INSERT OR REPLACE INTO counted(name, start, n) VALUES(?1, ?2, ?3)", "sii",
                    name, b->started,
                    more[i] + db_number("SELECT n FROM counted WHERE name = ?1 AND start = ?2",
                                        "si", name, b->started)))
            return false;
    }
    return db_run("DELETE FROM counts WHERE unit = 'hour' AND time < ?1", "i",
                  now->now - HOURS_KEPT) &&
           db_run("DELETE FROM counts WHERE unit = 'day' AND time < ?1", "i",
                  now->now - DAYS_KEPT);
}

void history_count(const struct board *b)
{
    int64_t more[METRIC_COUNT] = { 0 };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    uint64_t sample = 0;
    bool any = false;
    if (!db_is_open())
        return;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        if (metric_rows[i].kind != METRIC_COUNTER)
            continue;
        int64_t total = (int64_t)board_total(b, (enum metric)i);
        int64_t seen = db_number("SELECT n FROM counted WHERE name = ?1 AND start = ?2", "si",
                                 str_from_c(names[i]), b->started);
        more[i] = MAX(total - seen, 0);
        any = any || more[i] > 0;
    }
    const struct grown *grown = figures_look(b->started, &a, &sample);
    /* What is counted can't be found again by looking: it is synced. */
    if ((!any && grown == NULL) || !db_run("PRAGMA synchronous = FULL", ""))
        return;
    if (db_run("BEGIN", "")) {
        struct count_time now = { .now = clock_wall() / USEC_S };
        now.hour = beginning(now.now, false);
        now.day = beginning(now.now, true);
        bool good = take(b, more, &now) && figures_take(grown, b->started, sample, &now);
        (void)db_run(good ? "COMMIT" : "ROLLBACK", "");
    }
    (void)db_run("PRAGMA synchronous = NORMAL", "");
}

enum rc history_counts(bool days, int64_t since, int64_t until, history_count_fn *fn, void *ctx,
                       struct err *e)
{
    if (!db_is_open())
        return err_temp(e, "4.3.0", "the history can't be opened");
    sqlite3_stmt *s AUTO_END = db_query("SELECT time, name, n FROM counts WHERE unit = ?1 AND"
                                        " time >= ?2 AND time < ?3 ORDER BY time, name",
                                        "sii", str_from_c(days ? "day" : "hour"), since, until);
    while (db_row(s)) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        fn(ctx, sqlite3_column_int64(s, 0), db_text(s, 1, &a), sqlite3_column_int64(s, 2));
    }
    return RC_OK;
}

/* due.c - when the weekly letter is due: see watch.h. */
#include "base/day.h"
#include "watch/watch.h"
#include <time.h>

#define LATE_MOST ((int64_t)3 * 86400)

/* The last time, not after now, when that hour began on that day of the week. */
static int64_t last_time(int64_t now, unsigned day, unsigned hour, struct tm *out)
{
    time_t at = (time_t)now;
    struct tm tm;
    (void)localtime_r(&at, &tm);
    int today = (tm.tm_wday + 6) % 7 + 1;
    int back = (today - (int)day + 7) % 7;
    for (;; back += 7) {
        /* Noon first: days are counted right where the hour is skipped or comes twice. */
        *out = (struct tm){ .tm_year = tm.tm_year,
                            .tm_mon = tm.tm_mon,
                            .tm_mday = tm.tm_mday - back,
                            .tm_hour = 12,
                            .tm_isdst = -1 };
        (void)mktime(out);
        struct tm begins = *out;
        begins.tm_hour = (int)hour;
        begins.tm_isdst = -1;
        time_t time = mktime(&begins);
        if ((int64_t)time <= now)
            return (int64_t)time;
    }
}

enum letter_due letter_due(int64_t now, unsigned day, unsigned hour, struct str mark,
                           char out_mark[LETTER_MARK_BYTES])
{
    struct tm tm;
    char settings[8];
    int64_t begins = last_time(now, day, hour, &tm);
    size_t n = strftime(out_mark, LETTER_MARK_BYTES, "%Y-%m-%d", &tm);
    (void)snprintf(settings, sizeof(settings), " %u %02u", day % 8, hour % 24);
    (void)snprintf(out_mark + n, LETTER_MARK_BYTES - n, "%s", settings);
    if (!day_is_good(str_head(mark, DAY_OCTETS)) ||
        !str_eq(str_skip(mark, DAY_OCTETS), str_from_c(settings)))
        return LETTER_PASSED;
    if (str_cmp(mark, str_from_c(out_mark)) >= 0)
        return LETTER_WAITS;
    return now - begins > LATE_MOST ? LETTER_PASSED : LETTER_DUE;
}

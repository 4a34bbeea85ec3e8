/* day.c - see day.h. */
#include "base/day.h"
#include "base/clock.h"

struct str day_of(int64_t wall, struct arena *a)
{
    char text[CLOCK_TEXT_BYTES];
    return arena_str(a, str_head(str_from_c(clock_print(wall, text)), DAY_OCTETS));
}

bool day_is_good(struct str day)
{
    static const unsigned days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    uint64_t year = 0, month = 0, n = 0;
    if (day.n != DAY_OCTETS || day.p[4] != '-' || day.p[7] != '-' ||
        !str_to_u64(str_head(day, 4), &year) || !str_to_u64(str_from(day.p + 5, 2), &month) ||
        !str_to_u64(str_skip(day, 8), &n) || month < 1 || month > 12)
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return n >= 1 && n <= days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

bool day_is_within(struct str day, struct str first, struct str last)
{
    return (first.n == 0 || str_cmp(day, first) >= 0) &&
           (last.n == 0 || str_cmp(day, last) <= 0);
}

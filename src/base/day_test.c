/* day_test.c - days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/day.h"

static void days_exist(void **state)
{
    (void)state;
    static const struct {
        const char *day;
        bool good;
    } rows[] = {
        { "2026-11-30", true },  { "2024-02-29", true },   { "2000-02-29", true },
        { "2026-02-29", false }, { "1900-02-29", false },  { "2026-11-31", false },
        { "2026-13-01", false }, { "2026-00-01", false },  { "2026-01-00", false },
        { "2026-1-01", false },  { "2026-11-30 ", false }, { "2026/11/30", false },
        { "", false },           { "-026-11-30", false },  { "9999-12-31", true },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (day_is_good(str_from_c(rows[i].day)) != rows[i].good)
            fail_msg("%s", rows[i].day);
}

static void open_ends_hold_all(void **state)
{
    (void)state;
    struct str day = STR("2026-11-30");
    assert_true(day_is_within(day, STR(""), STR("")));
    assert_true(day_is_within(day, day, day));
    assert_true(day_is_within(day, STR("2026-11-01"), STR("")));
    assert_false(day_is_within(day, STR("2026-12-01"), STR("")));
    assert_false(day_is_within(day, STR(""), STR("2026-11-29")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_exist),
        cmocka_unit_test(open_ends_hold_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

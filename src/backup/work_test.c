/* work_test.c - what orders and settings may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup/backup.h"
#include "backup/work.h"

static void test_time(void **state)
{
    unsigned minutes = 0;
    (void)state;
    assert_true(backup_time_parse(STR("03:30"), &minutes));
    assert_int_equal(minutes, 210);
    assert_true(backup_time_parse(STR("0:00"), &minutes));
    assert_int_equal(minutes, 0);
    assert_true(backup_time_parse(STR("23:59"), &minutes));
    static const char *const bad[] = { "",      "3",   "24:00", "12:60",  "12:5",
                                       "1:2:3", ":30", "-1:30", "03:30 ", "003:30" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(backup_time_parse(str_from_c(bad[i]), &minutes));
}

static void test_choice(void **state)
{
    struct backup_choice c;
    (void)state;
    assert_true(backup_choice_parse(STR("all"), &c) && c.domain.n == 0);
    assert_true(backup_choice_parse(STR("a.example"), &c));
    assert_true(str_eq(c.domain, STR("a.example")) && c.user.n == 0);
    assert_true(backup_choice_parse(STR("ann@a.example/Sent"), &c));
    assert_true(str_eq(c.user, STR("ann")) && str_eq(c.folder, STR("Sent")));
    static const char *const bad[] = { "",         "@",          "ann@",       "ann@a.example/",
                                       "a.x/Sent", "ann@a.x/..", "ann@a.x/a/b" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(backup_choice_parse(str_from_c(bad[i]), &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

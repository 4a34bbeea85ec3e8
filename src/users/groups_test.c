/* groups_test.c - which groups an account is in, and on which days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "users/test_root.h"

static int enter(void **state)
{
    (void)state;
    root_enter();
    root_put("groups.tab", "\"sales\"\t\"Sales\"\t\"2026-04-01\"\t\"2027-03-31\"\n"
                           "\"all\"\t\"\xe5\x85\xa8\xe5\x93\xa1\"\t\"\"\t\"\"\n"
                           "\"../etc\"\t\"bad\"\t\"\"\t\"\"\n");
    root_put("groupmembers.tab",
             "\"sales\"\t\"x.test\"\t\"Amy\"\n\"all\"\t\"X.test\"\t\"amy\"\n"
             "\"../etc\"\t\"x.test\"\t\"amy\"\n\"gone\"\t\"x.test\"\t\"amy\"\n"
             "\"all\"\t\"y.test\"\t\"amy\"\n");
    return 0;
}

static int leave(void **state)
{
    (void)state;
    root_leave();
    return 0;
}

static struct str groups_of(const char *name, const char *day, struct arena *a)
{
    struct account account = { .domain = STR("x.test"), .name = str_from_c(name) };
    struct str ids[USERS_GROUPS_MAX], all = STR("");
    size_t n = users_groups(&account, str_from_c(day), a, ids);
    for (size_t i = 0; i < n; i++)
        all = arena_printf(a, "%.*s %.*s", STR_ARG(all), STR_ARG(ids[i]));
    return all;
}

static void groups_have_their_days(void **state)
{
    (void)state;
    static const struct {
        const char *name, *day, *groups;
    } rows[] = {
        { "amy", "2026-04-01", " sales all" }, { "amy", "2027-03-31", " sales all" },
        { "amy", "2027-04-01", " all" },       { "AMY", "2026-03-31", " all" },
        { "ben", "2026-04-01", "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str got = groups_of(rows[i].name, rows[i].day, &a);
        if (!str_eq(got, str_from_c(rows[i].groups)))
            fail_msg("row %zu:%.*s", i, STR_ARG(got));
    }
}

static void tables_come_last(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct recipient who = { .kind = RECIPIENT_ACCOUNT,
                                   .account = { .domain = STR("x.test"),
                                                .name = STR("amy"),
                                                .folder = STR("domains/x.test/amy") } };
    struct str tables[USERS_COMMAND_TABLES];
    assert_true(users_command_tables(&who, &a, tables) >= 3);
    assert_true(str_eq(tables[1], STR("domains/x.test/amy/mailproc.tab")));
    assert_true(str_eq(tables[2], STR("groups/all.tab")) ||
                str_eq(tables[2], STR("groups/sales.tab")));
    assert_false(users_needs_processing(&who.account, &a));
    root_folder("groups");
    root_put("groups/all.tab", "\"messageid\"\n");
    assert_true(users_needs_processing(&who.account, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_have_their_days),
        cmocka_unit_test(tables_come_last),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}

/* index_write_test.c - changes put into the index while it is used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "users/index_int.h"
#include "users/test_root.h"

static int enter(void **state)
{
    struct err e;
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    root_enter();
    root_put("domains.tab", "\"x.test\"\n");
    root_put("mailusers.tab", "\"x.test\"\t\"amy\"\t\"00\"\t7\t\"amy\"\t\"U\"\n"
                              "\"x.test\"\t\"bob\"\t\"00\"\t2\t\"bob\"\t\"U\"\n"
                              "\"x.test\"\t\"cat\"\t\"00\"\t3\t\"cat\"\t\"U\"\n");
    root_put("aliases.tab", "\"x.test\"\t\"old\"\t\"amy\"\n");
    if (options_load(&e) != RC_OK)
        return -1;
    (void)root_index();
    return 0;
}

static int leave(void **state)
{
    (void)state;
    root_leave();
    return 0;
}

static bool find(const char *name, struct account *out, struct arena *a)
{
    return users_account_find(STR("x.test"), str_from_c(name), a, out);
}

static enum recipient_kind kind_of(const char *name)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct address to = { .local = str_from_c(name), .domain = STR("x.test") };
    struct recipient got;
    struct err e = { .text = "" };
    if (users_resolve(&to, &a, &got, &e) != RC_OK)
        fail_msg("%s: %s", name, e.text);
    return got.kind;
}

static void accounts_come_change_and_go(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    assert_int_equal(users_index_next_id(), 8);
    assert_int_equal(users_index_put_account(STR("X.Test"), STR("Dan"), STR("11"), 8,
                                             STR("Dan"), ACCOUNT_USER),
                     RC_OK);
    assert_int_equal(users_index_next_id(), 9);
    assert_true(find("dan", &account, &a));
    assert_true(str_eq(account.name, STR("Dan")));
    assert_true(str_eq(account.folder, STR("domains/x.test/Dan")));
    assert_int_equal(account.id, 8);
    assert_int_equal(users_index_put_account(STR("x.test"), STR("Dan"), STR("22"), 8,
                                             STR("else"), ACCOUNT_LIST),
                     RC_OK);
    assert_true(find("dan", &account, &a));
    assert_true(str_eq(account.password, STR("22")));
    assert_true(str_eq(account.folder, STR("domains/x.test/else")));
    assert_int_equal(account.type, ACCOUNT_LIST);
    assert_int_equal(users_index_drop_account(STR("x.test"), STR("DAN")), RC_OK);
    assert_false(find("dan", &account, &a));
    assert_int_equal(users_index_drop_account(STR("x.test"), STR("amy")), RC_OK);
    assert_int_equal(kind_of("amy"), RECIPIENT_UNKNOWN);
    assert_int_equal(kind_of("bob"), RECIPIENT_ACCOUNT);
}

static void aliases_come_and_go(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    assert_int_equal(users_index_put_alias(STR("x.test"), STR("new"), STR("bob")), RC_OK);
    assert_int_equal(kind_of("new"), RECIPIENT_ACCOUNT);
    assert_true(users_alias_find(STR("x.test"), STR("NEW"), &a));
    assert_int_equal(users_index_drop_alias(STR("x.test"), STR("old")), RC_OK);
    assert_int_equal(kind_of("old"), RECIPIENT_UNKNOWN);
    assert_int_equal(users_index_put_alias(STR("x.test"), STR("w*"), STR("bob")), RC_AGAIN);
    assert_int_equal(users_index_put_alias(STR("*"), STR("w"), STR("bob")), RC_AGAIN);
    assert_int_equal(users_index_put_alias(STR("y.test"), STR("w"), STR("bob")), RC_AGAIN);
}

static void a_new_domain_needs_a_new_index(void **state)
{
    (void)state;
    assert_int_equal(
        users_index_put_account(STR("y.test"), STR("d"), STR(""), 9, STR("d"), ACCOUNT_USER),
        RC_AGAIN);
    assert_int_equal(users_index_drop_account(STR("y.test"), STR("d")), RC_AGAIN);
}

/* Until there is no room; what was put before stays. */
static void room_ends(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    enum rc rc = RC_OK;
    unsigned n = 0;
    char name[32];
    for (; n < 1000000 && rc == RC_OK; n++) {
        (void)snprintf(name, sizeof(name), "user%u", n);
        rc = users_index_put_account(STR("x.test"), str_from_c(name), STR("0011223344"),
                                     100 + n, str_from_c(name), ACCOUNT_USER);
    }
    assert_int_equal(rc, RC_AGAIN);
    assert_true(n > 10000);
    assert_true(find("user0", &account, &a));
    assert_true(find("amy", &account, &a));
}

/* A table that control itself made shorter is no reason to doubt. */
static void own_changes_are_known(void **state)
{
    (void)state;
    struct err e;
    assert_false(users_index_differs(NULL));
    root_put("mailusers.tab", "\"x.test\"\t\"bob\"\t\"00\"\t2\t\"bob\"\t\"U\"\n");
    assert_true(users_index_differs(NULL));
    assert_int_equal(users_index_drop_account(STR("x.test"), STR("amy")), RC_OK);
    assert_int_equal(users_index_drop_account(STR("x.test"), STR("cat")), RC_OK);
    assert_int_equal(users_index_note_written("mailusers.tab", &e), RC_OK);
    assert_false(users_index_differs(NULL));
    clock_shift(3600 * USEC_S);
    assert_false(users_index_is_stale());
    assert_int_equal(kind_of("amy"), RECIPIENT_UNKNOWN);
    assert_int_equal(kind_of("bob"), RECIPIENT_ACCOUNT);
    clock_shift(-3600 * USEC_S);
}

#define IN_ROOT(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_ROOT(accounts_come_change_and_go),    IN_ROOT(aliases_come_and_go),
        IN_ROOT(a_new_domain_needs_a_new_index), IN_ROOT(room_ends),
        IN_ROOT(own_changes_are_known),
    };
    return cmocka_run_group_tests_name("index_write", tests, NULL, NULL);
}

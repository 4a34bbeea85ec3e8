/* settings_test.c - user.tab, and which accounts need processing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "users/test_root.h"

static struct account account_of(const char *name, const char *folder)
{
    return (struct account){ .domain = STR("x.test"),
                             .name = str_from_c(name),
                             .folder = str_from_c(folder),
                             .type = ACCOUNT_USER };
}

static void user_tab_is_read(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account amy = account_of("amy", "domains/x.test/amy");
    struct account bob = account_of("bob", "domains/x.test/bob");
    struct user_options o;
    assert_int_equal(users_options(&amy, &a, &o, NULL), RC_OK);
    assert_int_equal(o.max_mb_size, 10000);
    assert_false(o.pop_enable);
    assert_true(o.receive_enable);
    assert_true(str_eq(o.smtp_perms, STR("MRZ")));
    assert_int_equal(users_options(&bob, &a, &o, NULL), RC_OK);
    assert_int_equal(o.max_mb_size, 0);
    assert_true(o.pop_enable);
}

static void an_unreadable_user_tab_is_temporary(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account eve = account_of("eve", "domains/x.test/eve");
    struct user_options o;
    struct err e;
    root_folder("domains/x.test/eve/user.tab");
    assert_int_equal(users_options(&eve, &a, &o, &e), RC_TEMP);
}

static void processing_is_noticed(void **state)
{
    (void)state;
    static const struct {
        const char *name, *mailproc;
        bool needs;
    } rows[] = {
        { "none", NULL, false },
        { "empty", "", false },
        { "comment", "# nothing\n", false },
        { "mailbox", "\"mailbox\"\n", false },
        { "redirect", "\"redirect\"\t\"a@b.test\"\n", true },
        { "both", "\"mailbox\"\n\"redirect\"\t\"a@b.test\"\n", true },
        { "folder", "/", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct str folder = arena_printf(&a, "domains/x.test/%s", rows[i].name);
        struct str path = arena_printf(&a, "%s/mailproc.tab", folder.p);
        struct account account = account_of(rows[i].name, folder.p);
        print_message("%s\n", rows[i].name);
        root_folder(folder.p);
        if (rows[i].mailproc != NULL && rows[i].mailproc[0] == '/')
            root_folder(path.p);
        else if (rows[i].mailproc != NULL)
            root_put(path.p, rows[i].mailproc);
        assert_int_equal(users_needs_processing(&account, &a), rows[i].needs);
    }
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account none = account_of("none", "domains/x.test/none");
    root_put("domains/x.test/mailproc.tab", "\"external\"\t\"x\"\n");
    assert_true(users_needs_processing(&none, &a));
}

static int make_root(void **state)
{
    (void)state;
    struct err e;
    root_enter();
    root_folder("domains/x.test/amy");
    root_put("domains/x.test/amy/user.tab",
             "\"RealName\"\t\"Amy\"\n\"MaxMBSize\"\t\"10000\"\n\"popenable\"\t\"0\"\n"
             "\"SmtpPerms\"\t\"MRZ\"\n");
    return options_load(&e) == RC_OK ? 0 : -1;
}

static int drop_root(void **state)
{
    (void)state;
    root_leave();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_tab_is_read),
        cmocka_unit_test(an_unreadable_user_tab_is_temporary),
        cmocka_unit_test(processing_is_noticed),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}

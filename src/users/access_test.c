/* access_test.c - address tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "users/test_root.h"

static const char ipmap[] = "\"0.0.0.0\"\t\"0.0.0.0\"\t\"ALLOW\"\t1\n"
                            "# comment\n"
                            "\"192.0.2.0\"\t\"255.255.255.0\"\t\"DENY\"\t\"2\"\n"
                            "\"192.0.2.16/28\"\t\"allow\"\t\"3\"\n"
                            "\"192.0.2.17/32\"\t\"\"\t\"DENY\"\t4\n"
                            "\"2001:db8::/32\"\t\"DENY\"\t5\n"
                            "\"2001:db8:1::\"\t\"ffff:ffff:ffff::\"\t\"ALLOW\"\t6\n"
                            "\"198.51.100.1\"\t\"255.255.255.255\"\t\"ALLOW\"\t7\n"
                            "\"198.51.100.1\"\t\"255.255.255.255\"\t\"DENY\"\t7\n"
                            "\"198.51.100.2\"\t\"255.255.255.255\"\t\"PERHAPS\"\t9\n"
                            "\"nonsense\"\t\"255.255.255.255\"\t\"DENY\"\t9\n"
                            "\"198.51.100.3\"\t\"255.255.255.255\"\t\"DENY\"\tmany\n"
                            "\"198.51.100.4\"\n"
                            "\"203.0.113.0\"\t\"255.255.255.0\"\t\"DENY\"\t-1\n";

struct access_row {
    const char *client;
    bool allowed;
    unsigned line;
};

static const struct access_row rows[] = {
    { "10.0.0.1", true, 1 },          { "192.0.2.1", false, 3 },
    { "192.0.2.18", true, 4 },        { "192.0.2.17", false, 5 },
    { "2001:db8:2::1", false, 6 },    { "2001:db8:1::1", true, 7 },
    { "2001:db9::1", true, 1 },       { "198.51.100.1", false, 9 },
    { "198.51.100.2", true, 1 },      { "198.51.100.3", true, 1 },
    { "198.51.100.4", true, 1 },      { "203.0.113.9", true, 1 },
    { "::ffff:192.0.2.1", false, 3 },
};

static struct ip ip_of(const char *text)
{
    struct ip ip = { { 0 } };
    assert_true(ip_parse(str_from_c(text), &ip));
    return ip;
}

static void check(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip client = ip_of(rows[i].client);
        unsigned line = 99;
        print_message("%s: %s\n", path, rows[i].client);
        assert_int_equal(access_is_allowed(path, &client, &line), rows[i].allowed);
        assert_int_equal(line, rows[i].line);
    }
}

static void highest_precedence_decides(void **state)
{
    (void)state;
    check("smtp.ipmap.tab");
    check("domains/x.test/amy/pop3.ipmap.tab");
}

static void no_line_and_no_table_allow(void **state)
{
    (void)state;
    struct ip client = ip_of("10.0.0.1");
    unsigned line = 99;
    assert_true(access_is_allowed("pop3.ipmap.tab", &client, &line));
    assert_int_equal(line, 0);
    assert_true(access_is_allowed("domains/x.test/none/pop3.ipmap.tab", &client, &line));
    assert_true(access_is_allowed("one.ipmap.tab", &client, &line));
    assert_int_equal(line, 0);
}

static void an_unreadable_table_denies(void **state)
{
    (void)state;
    struct ip client = ip_of("10.0.0.1");
    unsigned line = 99;
    root_folder("folder.ipmap.tab");
    root_folder("domains/x.test/amy/folder.ipmap.tab");
    assert_false(access_is_allowed("folder.ipmap.tab", &client, &line));
    assert_false(access_is_allowed("domains/x.test/amy/folder.ipmap.tab", &client, &line));
}

static void relay_clients(void **state)
{
    (void)state;
    static const struct {
        const char *client;
        bool may;
    } relay[] = {
        { "10.1.2.3", true },   { "10.2.0.1", false },     { "192.0.2.5", true },
        { "192.0.2.9", false }, { "2001:db8::5", true },   { "2001:db9::5", false },
        { "127.0.0.1", false }, { "198.51.100.4", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(relay); i++) {
        struct ip client = ip_of(relay[i].client);
        unsigned line = 99;
        print_message("%s\n", relay[i].client);
        assert_int_equal(access_may_relay(&client, &line), relay[i].may);
    }
}

static int make_root(void **state)
{
    (void)state;
    struct err e;
    root_enter();
    root_folder("domains/x.test/amy");
    root_put("smtp.ipmap.tab", ipmap);
    root_put("domains/x.test/amy/pop3.ipmap.tab", ipmap);
    root_put("one.ipmap.tab", "\"192.0.2.0\"\t\"255.255.255.0\"\t\"DENY\"\t1\n");
    root_put("smtprelay.tab", "\"10.1.0.0\"\t\"255.255.0.0\"\n\"192.0.2.0/29\"\n"
                              "\"2001:db8::/32\"\n\"198.51.100.4\"\n");
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
        cmocka_unit_test(highest_precedence_decides),
        cmocka_unit_test(no_line_and_no_table_allow),
        cmocka_unit_test(an_unreadable_table_denies),
        cmocka_unit_test(relay_clients),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}

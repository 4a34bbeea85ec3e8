/* delegate_test.c - what administrators of some domains may: domains, values, when and from
 * where, how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "users/delegate.h"
#include "users/test_root.h"
#include <stdlib.h>
#include <time.h>

#define DAY_S INT64_C(86400)

static int fresh(void **state)
{
    (void)state;
    root_enter();
    root_put("domains.tab", "\"one.example\"\n\"two.example\"\n\"three.example\"\n");
    root_put("aliasdomain.tab", "");
    root_put("mailusers.tab", "\"one.example\"\t\"a\"\t\"x\"\t1\t\"a\"\t\"U\"\n"
                              "\"One.example\"\t\"b\"\t\"x\"\t2\t\"b\"\t\"U\"\n"
                              "\"two.example\"\t\"c\"\t\"x\"\t3\t\"c\"\t\"M\"\n"
                              "\"three.example\"\t\"d\"\t\"x\"\t4\t\"d\"\t\"U\"\n"
                              "\"*\"\t\"e\"\t\"x\"\t5\t\"e\"\t\"U\"\n");
    root_put("aliases.tab", "\"one.example\"\t\"x\"\t\"a\"\n\"three.example\"\t\"y\"\t\"d\"\n"
                            "\"*\"\t\"z\"\t\"a\"\n");
    root_put("webadmins.tab", "\"all\"\t\"x\"\t\"owner\"\n\"some\"\t\"x\"\t\"domain\"\n"
                              "\"none\"\t\"x\"\t\"Domain\"\n");
    root_put("webdelegates.tab",
             "\"some\"\t\"domains\"\t\"one.example  two.example\"\n"
             "\"SOME\"\t\"Max-Users\"\t\"3\"\n\"some\"\t\"max-lists\"\t\"0\"\n"
             "\"some\"\t\"max-aliases\"\t\"nonsense\"\n\"some\"\t\"max-members\"\t\"-5\"\n"
             "\"some\"\t\"forwarding\"\t\"1\"\n\"some\"\t\"external\"\t\"yes\"\n"
             "\"some\"\t\"colour\"\t\"red\"\n\"all\"\t\"domains\"\t\"one.example\"\n");
    (void)root_index();
    return 0;
}

static int leave(void **state)
{
    (void)state;
    root_leave();
    return 0;
}

static enum administrator find(const char *name, struct arena *a, struct delegate *out)
{
    enum administrator kind = ADMINISTRATOR_NONE;
    struct err e;
    assert_int_equal(delegate_find(str_from_c(name), a, &kind, out, &e), RC_OK);
    return kind;
}

static void who_is_one(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct delegate d;
    assert_int_equal(find("all", &a, &d), ADMINISTRATOR_ALL);
    assert_int_equal(find("nobody", &a, &d), ADMINISTRATOR_NONE);
    assert_int_equal(find("none", &a, &d), ADMINISTRATOR_DELEGATE);
    assert_int_equal(d.domains.n, 0);
    for (size_t i = 0; i < DELEGATE_LIMITS; i++)
        assert_int_equal(d.limits[i], NO_LIMIT);
    assert_int_equal(find("Some", &a, &d), ADMINISTRATOR_DELEGATE);
    assert_int_equal(d.limits[LIMIT_USERS], 3);
    assert_int_equal(d.limits[LIMIT_LISTS], 0);
    /* What means nothing forbids. */
    assert_int_equal(d.limits[LIMIT_ALIASES], 0);
    assert_int_equal(d.limits[LIMIT_MEMBERS], 0);
    assert_int_equal(d.limits[LIMIT_MAILBOX_KB], NO_LIMIT);
    assert_true(d.forwarding && !d.external && !d.stopped);
}

static void domains_and_counts(void **state)
{
    (void)state;
    static const struct {
        const char *domain;
        bool his;
    } rows[] = { { "one.example", true },
                 { "TWO.example", true },
                 { "three.example", false },
                 { "", false },
                 { "*", false },
                 { "*.example", false },
                 { "on?.example", false },
                 { "one.exampl", false },
                 { "x.one.example", false },
                 { "one.example ", false },
                 { "one.example two.example", false } };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct delegate d, nothing;
    struct delegate_counts n;
    struct err e;
    (void)find("some", &a, &d);
    (void)find("none", &a, &nothing);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s\n", rows[i].domain);
        assert_int_equal(delegate_has_domain(&d, str_from_c(rows[i].domain)), rows[i].his);
        assert_false(delegate_has_domain(&nothing, str_from_c(rows[i].domain)));
    }
    assert_int_equal(delegate_count(&d, &a, &n, &e), RC_OK);
    assert_true(n.users == 2 && n.lists == 1 && n.aliases == 1);
    assert_int_equal(delegate_count(&nothing, &a, &n, &e), RC_OK);
    assert_true(n.users == 0 && n.lists == 0 && n.aliases == 0);
}

static void variables(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        bool limited, free; /* may he, with a largest mailbox of 100 KB, and without? */
    } rows[] = {
        { "RealName", "x", true, true },         { "MaxMBSize", "100", true, true },
        { "maxmbsize", "1", true, true },        { "MaxMBSize", "101", false, true },
        { "MaxMBSize", "0", false, true },       { "MaxMBSize", "-1", false, true },
        { "MaxMBSize", "", false, true },        { "MaxMBSize", "1x", false, true },
        { "SmtpPerms", "MR", false, false },     { "smtpperms", "", false, false },
        { "MaxMessageSize", "1", false, false }, { "DisableEmitAuthUser", "1", false, false },
    };
    struct delegate limited = { .limits = { [LIMIT_MAILBOX_KB] = 100 } }, free_one = limited;
    free_one.limits[LIMIT_MAILBOX_KB] = NO_LIMIT;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str name = str_from_c(rows[i].name), value = str_from_c(rows[i].value);
        print_message("%s %s\n", rows[i].name, rows[i].value);
        assert_int_equal(delegate_may_set(&limited, name, value), rows[i].limited);
        assert_int_equal(delegate_may_set(&free_one, name, value), rows[i].free);
    }
}

/* Seconds since midnight UTC, on a day of its own. */
static void set_time(const char *time)
{
    int64_t now = clock_wall() / USEC_S;
    int64_t wanted = ((time[0] - '0') * 10 + time[1] - '0') * 3600 +
                     ((time[3] - '0') * 10 + time[4] - '0') * 60;
    clock_shift_wall((now / DAY_S * DAY_S + DAY_S + wanted - now) * USEC_S);
}

static void hours(void **state)
{
    (void)state;
    static const struct {
        const char *hours, *now;
        bool may;
    } rows[] = {
        { "", "03:00", true },
        { "08:00-18:30", "07:59", false },
        { "08:00-18:30", "08:00", true },
        { "08:00-18:30", "18:29", true },
        { "08:00-18:30", "18:30", false },
        { "00:00-24:00", "00:00", true },
        { "00:00-24:00", "23:59", true },
        { "22:00-06:00", "21:59", false },
        { "22:00-06:00", "22:00", true },
        { "22:00-06:00", "00:00", true },
        { "22:00-06:00", "05:59", true },
        { "22:00-06:00", "06:00", false },
        { "08:00 - 18:30", "12:00", true },
        { "08:00-08:00", "08:00", false }, /* nonsense lets nobody in */
        { "8-18", "12:00", false },
        { "24:01-06:00", "02:00", false },
    };
    struct ip client;
    assert_true(ip_parse(STR("192.0.2.1"), &client));
    assert_int_equal(setenv("TZ", "UTC0", 1), 0);
    tzset();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct delegate d = { .limits = { [LIMIT_SIGN_IN_MINUTES] = NO_LIMIT },
                              .hours = str_from_c(rows[i].hours) };
        print_message("%s at %s\n", rows[i].hours, rows[i].now);
        set_time(rows[i].now);
        const char *why = delegate_refusal(&d, &client, 0);
        assert_true(rows[i].may ? why == NULL : why != NULL && strcmp(why, "not-now") == 0);
    }
}

static void minutes_and_stop(void **state)
{
    (void)state;
    struct ip client;
    struct delegate d = { .limits = { [LIMIT_SIGN_IN_MINUTES] = 30 } };
    assert_true(ip_parse(STR("192.0.2.1"), &client));
    usec_t now = clock_wall(), minute = 60 * USEC_S;
    assert_null(delegate_refusal(&d, &client, 0));
    assert_null(delegate_refusal(&d, &client, now - 29 * minute));
    assert_string_equal(delegate_refusal(&d, &client, now - 30 * minute - 1), "not-now");
    d.limits[LIMIT_SIGN_IN_MINUTES] = NO_LIMIT;
    assert_null(delegate_refusal(&d, &client, now - 10000 * minute));
    d.stopped = true;
    assert_string_equal(delegate_refusal(&d, &client, 0), "stopped");
}

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *networks, *client;
        bool may;
    } rows[] = {
        { "", "203.0.113.9", true },
        { "192.0.2.7", "192.0.2.7", true },
        { "192.0.2.7", "192.0.2.8", false },
        { "192.0.2.0/25", "192.0.2.127", true },
        { "192.0.2.0/25", "192.0.2.128", false },
        { "192.0.2.0/31, 198.51.100.0/24", "198.51.100.255", true },
        { "192.0.2.7", "::ffff:192.0.2.7", true },
        { "192.0.2.0/24", "2001:db8::1", false },
        { "2001:db8::/32", "2001:db8:ffff::1", true },
        { "2001:db8::/32", "2001:db9::1", false },
        { "2001:DB8::1", "2001:db8:0:0::1", true },
        { "2001:db8::/127", "2001:db8::2", false },
        { "2001:db8::/32", "192.0.2.1", false },
        { "::/0", "2001:db8::1", true },
        { "nonsense", "192.0.2.1", false },
        { "nonsense, 192.0.2.1", "192.0.2.1", true },
        { ",", "192.0.2.1", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip client;
        struct delegate d = { .limits = { [LIMIT_SIGN_IN_MINUTES] = NO_LIMIT },
                              .networks = str_from_c(rows[i].networks) };
        print_message("%s from %s\n", rows[i].networks, rows[i].client);
        assert_true(ip_parse(str_from_c(rows[i].client), &client));
        const char *why = delegate_refusal(&d, &client, 0);
        assert_true(rows[i].may ? why == NULL : why != NULL && strcmp(why, "not-here") == 0);
    }
}

static void items(void **state)
{
    (void)state;
    static const struct {
        const char *item, *value;
        bool good;
    } rows[] = {
        { "domains", "one.example two.example", true },
        { "domains", "one.example far.example", false },
        { "domains", "*", false },
        { "max-users", "0", true },
        { "max-users", "1000000000", true },
        { "max-users", "1000000001", false },
        { "max-users", "-1", false },
        { "max-users", "1.5", false },
        { "stopped", "0", true },
        { "stopped", "yes", false },
        { "networks", "192.0.2.0/24, 2001:db8::/32", true },
        { "networks", "192.0.2.0/33", false },
        { "networks", "host.example", false },
        { "hours", "23:30-00:30", true },
        { "hours", "08:00", false },
        { "hours", "08:60-09:00", false },
        { "address", "1-2-3, 日本橋", true },
        { "colour", "", false },
    };
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        print_message("%s %s\n", rows[i].item, rows[i].value);
        assert_int_equal(delegate_item_check(str_from_c(rows[i].item),
                                             str_from_c(rows[i].value), &e) == RC_OK,
                         rows[i].good);
    }
    for (size_t i = 0; delegate_item(i) != NULL; i++) /* empty: taken away */
        assert_int_equal(delegate_item_check(str_from_c(delegate_item(i)), STR(""), &e), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_one),
        cmocka_unit_test(domains_and_counts),
        cmocka_unit_test(variables),
        cmocka_unit_test(hours),
        cmocka_unit_test(minutes_and_stop),
        cmocka_unit_test(addresses),
        cmocka_unit_test(items),
    };
    return cmocka_run_group_tests(tests, fresh, leave);
}

/* route_test.c - where mail goes by the tables and settings; what needs the DNS is tried end to
 * end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/relay_int.h"
#include "sys/file.h"
#include <sys/stat.h>

static char root[] = "/tmp/hikyaku-route-XXXXXX";

/* The targets as "ip:port tls" with blanks between, or the reason; in a. */
static struct str find(const char *domain, const char *via, struct arena *a)
{
    struct route r;
    struct err e = { .text = "" };
    struct str line = STR("");
    enum rc rc = route_find(str_from_c(domain), str_from_c(via), &r, &e);
    if (rc != RC_OK) {
        route_release(&r);
        return arena_printf(a, "%s %s", e.dsn, e.text);
    }
    if (r.source_route.n > 0)
        line = arena_printf(a, "%.*s ", STR_ARG(r.source_route));
    for (size_t i = 0; i < r.count; i++) {
        char ip[IP_PORT_TEXT_BYTES], from[IP_TEXT_BYTES];
        const struct target *t = &r.targets[i];
        line = arena_printf(a, "%.*s%s%s/%d", STR_ARG(line), i > 0 ? " " : "",
                            ip_port_print(&t->ip, t->port, ip), (int)t->options.tls);
        if (t->options.has_source)
            line =
                arena_printf(a, "%.*s<%s", STR_ARG(line), ip_print(&t->options.source, from));
    }
    route_release(&r);
    return line;
}

static const struct {
    const char *domain, *via, *wanted;
} rows[] = {
    /* smtpfwd.tab: the first line that fits, in its order, ports and options. */
    { "a.test", "", "[192.0.2.1]:25/1 [192.0.2.2]:26/1" },
    { "sub.a.test", "", "[192.0.2.3]:25/1" },
    { "tls.test", "", "[192.0.2.4]:25/2" },
    { "plain.test", "", "[192.0.2.4]:2525/0" },
    { "bound.test", "", "[192.0.2.4]:25/1<127.0.0.9" },
    { "six.test", "", "[2001:db8::1]:25/1 [2001:db8::2]:26/1" },
    { "mixed.test", "", "[192.0.2.4]:25/1<127.0.0.9" }, /* no IPv6 from an IPv4 address */
    { "A.TEST", "", "[192.0.2.1]:25/1 [192.0.2.2]:26/1" },
    { "badport.test", "", "5.3.5 \"192.0.2.1:99999\" has no good port" },
    { "badopt.test", "", "5.3.5 \"NeedTLS=7\" is no option of a host" },
    /* smtpgw.tab comes first; what is behind the first gateway stays in the path. */
    { "gw.test", "", "[192.0.2.7]:25/1" },
    { "gws.test", "", "@h2.test,@h3.test: [192.0.2.7]:25/1" },
    { "badgw.test", "", "5.3.5 smtpgw.tab: \"192.0.2.7\" is not @gateway" },
    /* The administrator's word for one message comes before all. */
    { "gw.test", "192.0.2.9:2500,NeedTLS=2", "[192.0.2.9]:2500/2" },
    { "a.test", ";", "5.3.5 an empty list of hosts" },
    /* Address literals. */
    { "[192.0.2.5]", "", "[192.0.2.5]:25/1" },
    { "[IPv6:2001:db8::5]", "", "[2001:db8::5]:25/1" },
    { "[192.0.2.500]", "", "5.1.2 [192.0.2.500] is no address" },
};

static void by_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str got = find(rows[i].domain, rows[i].via, &a);
        if (!str_eq(got, str_from_c(rows[i].wanted)))
            fail_msg("%s: %.*s", rows[i].domain, STR_ARG(got));
    }
}

/* "#": any order, but always all of them. */
static void shuffled(void **state)
{
    bool first_differs = false;
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str got = find("any.test", "", &a);
        assert_int_not_equal(str_find_str(got, STR("192.0.2.1]")), SIZE_MAX);
        assert_int_not_equal(str_find_str(got, STR("192.0.2.2]")), SIZE_MAX);
        first_differs = first_differs || str_starts(got, STR("[192.0.2.2]"));
    }
    assert_true(first_differs);
}

static void put(const char *path, const char *text)
{
    struct err e;
    if (file_replace(path, str_from_c(text), 0600, &e) != RC_OK)
        fail_msg("%s", e.text);
}

static void by_settings(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    (void)state;
    put("server.tab", "\"RootDomain\"\t\"x.test\"\n"
                      "\"DefaultSMTPGateways\"\t\"192.0.2.20;192.0.2.21:587,NeedTLS=2\"\n"
                      "\"SmtpGwConfig\"\t\"NeedTLS=0\"\n");
    assert_int_equal(options_load(&e), RC_OK);
    struct str got = find("elsewhere.test", "", &a);
    assert_string_equal(got.p, "[192.0.2.20]:25/0 [192.0.2.21]:587/2");
    assert_string_equal(find("a.test", "", &a).p, "[192.0.2.1]:25/0 [192.0.2.2]:26/0");
}

static int set_up(void **state)
{
    struct err e;
    (void)state;
    if (mkdtemp(root) == NULL || chdir(root) != 0)
        return -1;
    put("server.tab", "\"RootDomain\"\t\"x.test\"\n");
    put("smtpgw.tab",
        "\"gw.test\"\t\"@192.0.2.7\"\n\"gws.test\"\t\"@192.0.2.7,@h2.test,@h3.test\"\n"
        "\"badgw.test\"\t\"192.0.2.7\"\n");
    put("smtpfwd.tab",
        "\"a.test\"\t\"192.0.2.1;192.0.2.2:26\"\n"
        "\"*.a.test\"\t\"192.0.2.3\"\n"
        "\"a.test\"\t\"192.0.2.99\"\n"
        "\"gw.test\"\t\"192.0.2.99\"\n"
        "\"tls.test\"\t\"192.0.2.4,NeedTLS=2\"\n"
        "\"plain.test\"\t\"192.0.2.4:2525,NeedTLS=0\"\n"
        "\"bound.test\"\t\"192.0.2.4,OutBind=127.0.0.9\"\n"
        "\"six.test\"\t\"2001:db8::1;[2001:db8::2]:26\"\n"
        "\"mixed.test\"\t\"[2001:db8::1],OutBind=127.0.0.9;192.0.2.4,OutBind=127.0.0.9\"\n"
        "\"badport.test\"\t\"192.0.2.1:99999\"\n"
        "\"badopt.test\"\t\"192.0.2.1,NeedTLS=7\"\n"
        "\"any.test\"\t\"#192.0.2.1;192.0.2.2\"\n");
    if (options_load(&e) != RC_OK)
        return -1;
    route_init();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink("server.tab") != 0 || unlink("smtpgw.tab") != 0 ||
           unlink("smtpfwd.tab") != 0 || chdir("/") != 0 || rmdir(root) != 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_table),
        cmocka_unit_test(shuffled),
        cmocka_unit_test(by_settings),
    };
    return cmocka_run_group_tests_name("route", tests, set_up, tear_down);
}

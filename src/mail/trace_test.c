/* trace_test.c - the fields a server adds, and that nobody can write into them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/date.h"
#include "mail/trace.h"

#define WHEN ((usec_t)1785555296 * USEC_S) /* 2026-08-01 03:34:56 UTC */

static const struct address amy = { .local = { "amy", 3 }, .domain = { "x.test", 6 } };
static const struct address bob = { .local = { "bob", 3 }, .domain = { "y.test", 6 } };

static struct trace sample(void)
{
    struct trace t = { .helo = STR("client.test"),
                       .client_port = 4321,
                       .server_port = 25,
                       .server_domain = STR("mx.x.test"),
                       .id = STR("smtpd-1f3a"),
                       .is_esmtp = true,
                       .rcpt = &amy,
                       .sender = &bob,
                       .when = WHEN };
    assert_true(ip_parse(STR("192.0.2.7"), &t.client_ip));
    assert_true(ip_parse(STR("192.0.2.1"), &t.server_ip));
    return t;
}

static struct buf print(const struct trace *t)
{
    struct buf out;
    buf_init(&out, 10000);
    assert_int_equal(trace_print_received(t, &out), RC_OK);
    return out;
}

/* One field: each line but the first begins with a TAB, the last ends in LF. */
static void check_shape(struct str text)
{
    assert_true(str_starts(text, STR("Received: from ")));
    assert_true(str_ends(text, STR("\n")));
    struct str rest = str_head(text, text.n - 1), line;
    for (size_t i = 0; str_cut(&rest, '\n', &line); i++) {
        assert_int_equal(i > 0, str_starts(line, STR("\t")));
        assert_true(line.n > 1);
        for (size_t j = i > 0 ? 1 : 0; j < line.n; j++)
            assert_true((unsigned char)line.p[j] >= 0x20 && line.p[j] != 0x7f);
    }
}

static void test_received(void **state)
{
    (void)state;
    struct trace t = sample();
    struct buf out AUTO_RELEASE_BUF = print(&t);
    assert_string_equal(
        out.p, "Received: from client.test ([192.0.2.7]:4321) by mx.x.test with ESMTP\n"
               "\t(Hikyaku) id smtpd-1f3a for <amy@x.test>\n"
               "\t(envelope-from <bob@y.test>); Sat, 1 Aug 2026 12:34:56 +0900\n");
    check_shape(buf_str(&out));
}

static void test_protocols(void **state)
{
    (void)state;
    static const struct {
        bool esmtp, auth, tls, utf8;
        const char *want;
    } rows[] = {
        { false, false, false, false, "SMTP" },   { false, false, true, false, "SMTP" },
        { true, false, false, false, "ESMTP" },   { true, true, false, false, "ESMTPA" },
        { true, false, true, false, "ESMTPS" },   { true, true, true, false, "ESMTPSA" },
        { true, false, false, true, "UTF8SMTP" }, { true, true, false, true, "UTF8SMTPA" },
        { true, false, true, true, "UTF8SMTPS" }, { true, true, true, true, "UTF8SMTPSA" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct trace t = sample();
        t.is_esmtp = rows[i].esmtp;
        t.is_authenticated = rows[i].auth;
        t.is_utf8 = rows[i].utf8;
        t.tls_version = rows[i].tls ? STR("TLSv1.3") : STR("");
        t.tls_cipher = STR("TLS_AES_256_GCM_SHA384");
        assert_string_equal(trace_protocol(&t), rows[i].want);
        struct buf out AUTO_RELEASE_BUF = print(&t);
        check_shape(buf_str(&out));
        assert_int_equal(rows[i].tls,
                         strstr(out.p, "(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)") !=
                             NULL);
    }
}

static void test_addresses_shown(void **state)
{
    (void)state;
    static const struct {
        enum trace_addresses shows;
        bool auth, client, server;
    } rows[] = {
        { TRACE_CLIENT, false, true, false },
        { TRACE_CLIENT, true, true, false },
        { TRACE_CLIENT_AND_SERVER, false, true, true },
        { TRACE_CLIENT_AND_SERVER, true, true, true },
        { TRACE_NO_ADDRESS, false, false, false },
        { TRACE_CLIENT_UNLESS_AUTH, false, true, false },
        { TRACE_CLIENT_UNLESS_AUTH, true, false, false },
        { TRACE_CLIENT_AND_SERVER_UNLESS_AUTH, false, true, true },
        { TRACE_CLIENT_AND_SERVER_UNLESS_AUTH, true, false, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct trace t = sample();
        t.shows = rows[i].shows;
        t.is_authenticated = rows[i].auth;
        t.client_name = STR("host.client.test");
        struct buf out AUTO_RELEASE_BUF = print(&t);
        assert_int_equal(rows[i].client,
                         strstr(out.p, "(host.client.test [192.0.2.7]:4321)") != NULL);
        assert_int_equal(rows[i].client, strstr(out.p, "192.0.2.7") != NULL);
        assert_int_equal(rows[i].server, strstr(out.p, "192.0.2.1]:25") != NULL);
    }
}

static void test_several_recipients(void **state)
{
    (void)state;
    struct trace t = sample();
    t.rcpt = NULL;
    struct buf out AUTO_RELEASE_BUF = print(&t);
    assert_null(strstr(out.p, "for <"));
    assert_null(strstr(out.p, "amy"));
}

/* Whatever a client says, the field keeps its shape. */
static void test_injection(void **state)
{
    (void)state;
    char all[256];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    struct str nasty = str_from(all, sizeof(all));
    struct address quoted = { .local = STR("a)\r\nBcc: x\r\n(\\\"b"), .domain = STR("x.test") };
    struct trace t = sample();
    t.helo = STR("x\r\nBcc: y) (z\r\n\r\nbody");
    t.client_name = t.server_domain = t.id = t.tls_version = t.tls_cipher = nasty;
    t.rcpt = t.sender = &quoted;
    struct buf out AUTO_RELEASE_BUF = print(&t);
    check_shape(buf_str(&out));
    assert_null(strstr(out.p, "\nBcc"));
    assert_non_null(strstr(out.p, "from x??Bcc:?y???z????body"));

    buf_reset(&out);
    assert_int_equal(trace_print_auth_user(STR("amy\r\nBcc: x\0y"), &out), RC_OK);
    assert_string_equal(out.p, "X-AuthUser: amy??Bcc: x?y\n");
    buf_reset(&out);
    assert_int_equal(trace_print_delivered_to(STR("amy\n"), STR("x\r.test"), &out), RC_OK);
    assert_string_equal(out.p, "Delivered-To: amy?@x?.test\n");
    buf_reset(&out);
    assert_int_equal(trace_print_return_path(&quoted, &out), RC_OK);
    assert_string_equal(out.p, "Return-Path: <\"a)??Bcc: x?"
                               "?(\\\\\\\"b\"@x.test>\n");
}

static void test_small_fields(void **state)
{
    (void)state;
    struct address null = { .is_null = true };
    struct buf out AUTO_RELEASE_BUF = { 0 };
    buf_init(&out, 1000);
    assert_int_equal(trace_print_return_path(&null, &out), RC_OK);
    assert_int_equal(trace_print_return_path(&amy, &out), RC_OK);
    assert_int_equal(trace_print_delivered_to(STR("Amy"), STR("x.test"), &out), RC_OK);
    assert_string_equal(out.p, "Return-Path: <>\nReturn-Path: <amy@x.test>\n"
                               "Delivered-To: Amy@x.test\n");
}

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        int64_t seconds;
        const char *want;
    } rows[] = {
        { "JST-9", 1785555296, "Sat, 1 Aug 2026 12:34:56 +0900" },
        { "UTC0", 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
        { "NST3:30", 1785555296, "Sat, 1 Aug 2026 00:04:56 -0330" },
        { "EST5EDT,M3.2.0,M11.1.0", 1785555296, "Fri, 31 Jul 2026 23:34:56 -0400" },
        { "EST5EDT,M3.2.0,M11.1.0", 1767225600, "Wed, 31 Dec 2025 19:00:00 -0500" },
        { "UTC0", 1709164800, "Thu, 29 Feb 2024 00:00:00 +0000" },
        { "UTC0", 253402300800, "Sat, 1 Jan 10000 00:00:00 +0000" },
    };
    char text[DATE_TEXT_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(setenv("TZ", rows[i].zone, 1), 0);
        tzset();
        assert_string_equal(date_print(rows[i].seconds * USEC_S, text), rows[i].want);
    }
}

static void test_message_ids(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct map seen = { 0 };
    for (size_t i = 0; i < 10000; i++) {
        struct str id = message_id_new(STR("mx.x.test"), &a);
        assert_true(str_starts(id, STR("<")) && str_ends(id, STR("@mx.x.test>")));
        assert_null(map_put(&seen, id, &seen));
    }
    map_release(&seen);
    assert_true(str_ends(message_id_new(STR("a>\r\nB: <c"), &a), STR("@aBc>")));
    assert_true(str_ends(message_id_new(STR(""), &a), STR("@localhost>")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received),        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_addresses_shown), cmocka_unit_test(test_several_recipients),
        cmocka_unit_test(test_injection),       cmocka_unit_test(test_small_fields),
        cmocka_unit_test(test_dates),           cmocka_unit_test(test_message_ids),
    };
    if (setenv("TZ", "JST-9", 1) != 0)
        return 1;
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

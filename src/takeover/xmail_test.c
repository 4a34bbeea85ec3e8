/* xmail_test.c - the forms of XMail's files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "takeover/xmail_int.h"

static void test_heads(void **state)
{
    static const struct {
        const char *name, *text;
        int rcpts; /* -1: refused */
        const char *client, *sender;
    } rows[] = {
        { "whole",
          "[1.2.3.4]:5;[6.7.8.9]:25;Thu, 26 Nov 2026 12:54:28 +0900\r\nd\r\nid\r\n"
          "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n<<MAIL-DATA>>\r\nx",
          1, "[1.2.3.4]:5", "a@b.test" },
        { "LF, null sender, two recipients",
          "i\nd\nid\nMAIL FROM:<>\nRCPT TO:<c@d.test>\nRCPT TO:<e@d.test>\n<<MAIL-DATA>>\n", 2,
          "", "" },
        { "no line about the client",
          "d\nid\nMAIL FROM:<a@b.test>\nRCPT TO:<c@d.test>\n"
          "<<MAIL-DATA>>\n",
          1, "", "a@b.test" },
        { "more behind the address",
          "i\nd\nid\nmail from:<a@b.test> SIZE=1\n"
          "rcpt to:<c@d.test> {ra=e@d.test}\n<<MAIL-DATA>>\n",
          1, "", "a@b.test" },
        { "loose dots",
          "i\nd\nid\nMAIL FROM:<a..b.@b.test>\nRCPT TO:<c@d.test>\n<<MAIL-DATA>>\n", 1, "",
          "\"a..b.\"@b.test" },
        { "cut", "i\nd\nid\nMAIL FROM:<a@b.test>\nRCPT TO:<c@d.test>\n", -1, "", "" },
        { "no recipient", "i\nd\nid\nMAIL FROM:<a@b.test>\n<<MAIL-DATA>>\n", -1, "", "" },
        { "null recipient", "i\nd\nid\nMAIL FROM:<>\nRCPT TO:<>\n<<MAIL-DATA>>\n", -1, "", "" },
        { "no sender", "i\nd\nid\nRCPT TO:<c@d.test>\n<<MAIL-DATA>>\n", -1, "", "" },
        { "another file", "hello\nworld\n", -1, "", "" },
        { "empty", "", -1, "", "" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct xmail_head h;
        struct err e = { .text = "" };
        enum rc rc = xmail_head_parse(str_from_c(rows[i].text), &a, &h, &e);
        if ((rc == RC_OK) != (rows[i].rcpts >= 0))
            fail_msg("%s: %s", rows[i].name, e.text);
        if (rc != RC_OK)
            continue;
        assert_int_equal(h.count, rows[i].rcpts);
        assert_true(str_eq(h.client, str_from_c(rows[i].client)));
        if (!str_eq(address_print(&h.sender, &a), str_from_c(rows[i].sender)))
            fail_msg("%s: %s", rows[i].name, address_print(&h.sender, &a).p);
    }
}

static void test_times(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct xmail_head h;
    (void)state;
    assert_int_equal(xmail_head_parse(STR("x;y;Thu, 26 Nov 2026 09:00:00 +0900\nd\nid\n"
                                          "MAIL FROM:<>\nRCPT TO:<a@b.c>\n<<MAIL-DATA>>\n"),
                                      &a, &h, NULL),
                     RC_OK);
    assert_int_equal(h.written_at, INT64_C(1795651200) * USEC_S);
    assert_int_equal(xmail_name_time(STR("1764000000123.1.2.host")),
                     INT64_C(1764000000123) * USEC_MS);
    assert_int_equal(xmail_name_time(STR("17.1.2.host")), 0);
    assert_int_equal(xmail_name_time(STR("1764000000123")), 0);
    assert_int_equal(xmail_name_time(STR("99999999999999999999.a")), 0);
}

static void test_logs(void **state)
{
    static const struct {
        const char *name, *text;
        unsigned tries;
        int64_t last;
        const char *reason;
    } rows[] = {
        { "nothing", "", 0, 0, "" },
        { "blank", " \r\n\n", 0, 0, "" },
        { "blocks",
          "[PeekTime] 1764000000 : date\n<<\nErrCode = -1\nSMTP-Error = \"450 a\"\n>>\n"
          "[PeekTime] 1764000480 : date\n<<\nErrCode = -2\nErrString = b\n>>\n",
          2, 1764000480, "ErrString = b" },
        { "an answer counts more than what follows",
          "[PeekTime] 1764000000\nSMTP-Error = \"450 a\"\nErrCode = -1\nsomething\n", 1,
          1764000000, "SMTP-Error = \"450 a\"" },
        { "another form", "tried at noon\r\nno answer\r\n", 1, 0, "no answer" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct xmail_log log;
        xmail_log_parse(str_from_c(rows[i].text), &log);
        if (log.tries != rows[i].tries || log.last_try != rows[i].last * USEC_S ||
            !str_eq(log.reason, str_from_c(rows[i].reason)))
            fail_msg("%s: %u %" PRId64 " %.*s", rows[i].name, log.tries, log.last_try,
                     STR_ARG(log.reason));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_logs),
    };
    return cmocka_run_group_tests_name("takeover/xmail", tests, NULL, NULL);
}

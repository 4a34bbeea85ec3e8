/* reply_test.c - which messages are answered, and what answers look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/reply.h"

static struct address address_of(const char *text, struct arena *a)
{
    struct address out = { .is_null = true };
    if (*text != '\0')
        assert_int_equal(address_parse(str_from_c(text), 0, a, &out, NULL), RC_OK);
    return out;
}

static void only_people_are_answered(void **state)
{
    (void)state;
    static const struct {
        const char *sender, *header;
        bool answered;
    } rows[] = {
        { "a@far.test", "To: amy@x.test\n", true },
        { "a@far.test", "To: \"Amy, the first\" <AMY@X.TEST>\n", true },
        { "a@far.test", "From: a@far.test\nCC: b@y.test,\n\tamy@x.test\n", true },
        { "a@far.test", "To: amy@x.test\nAuto-Submitted: no\n", true },
        { "a@far.test", "To: amy@x.test\nAuto-Submitted: no; reason=x\n", true },
        { "a@far.test", "To: amy@x.test\nPrecedence: first-class\n", true },
        { "", "To: amy@x.test\n", false },
        { "amy@x.test", "To: amy@x.test\n", false },
        { "MAILER-DAEMON@far.test", "To: amy@x.test\n", false },
        { "noreply@far.test", "To: amy@x.test\n", false },
        { "owner-news@far.test", "To: amy@x.test\n", false },
        { "news-bounces@far.test", "To: amy@x.test\n", false },
        { "a@far.test", "To: all@x.test\n", false },
        { "a@far.test", "Subject: amy@x.test\n", false },
        { "a@far.test", "To: amy@x.test\nauto-submitted: auto-replied\n", false },
        { "a@far.test", "To: amy@x.test\nAuto-Submitted: nothing\n", false },
        { "a@far.test", "To: amy@x.test\nList-Id: <news>\n", false },
        { "a@far.test", "To: amy@x.test\nPrecedence: BULK\n", false },
        { "a@far.test", "To: amy@x.test\nX-Auto-Response-Suppress: DR, OOF\n", false },
        { "a@far.test", "To: amy@x.test\nX-Spam-Flag: YES\n", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        const struct address sender = address_of(rows[i].sender, &a);
        const struct address own[] = { address_of("amy@x.test", &a) };
        const char *why = reply_why_not(str_from_c(rows[i].header), &sender, own, 1);
        if ((why == NULL) != rows[i].answered)
            fail_msg("%s / %s: %s", rows[i].sender, rows[i].header, why == NULL ? "-" : why);
    }
}

static void print(const char *header, const char *subject, const char *line, struct buf *out)
{
    const struct str lines[] = { str_from_c(line) };
    const struct reply r = { .from = STR("amy@x.test"),
                             .to = STR("<a@far.test>"),
                             .message_id = STR("<1@x.test>"),
                             .date = STR("Sat, 1 Aug 2026 12:34:56 +0900"),
                             .header = str_from_c(header),
                             .subject = str_from_c(subject),
                             .lines = lines,
                             .count = 1 };
    assert_int_equal(reply_print(&r, out), RC_OK);
}

static void an_answer_is_one(void **state)
{
    (void)state;
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, 64 * 1024);
    print(
        "Subject: =?ISO-2022-JP?B?GyRC?=\n =?ISO-2022-JP?B?GyhC?=\nMessage-ID: <7@far.test>\n",
        "", "I am away.", &out);
    assert_string_equal(
        out.p, "Date: Sat, 1 Aug 2026 12:34:56 +0900\nFrom: <amy@x.test>\nTo: <a@far.test>\n"
               "Message-ID: <1@x.test>\nAuto-Submitted: auto-replied\n"
               "X-Auto-Response-Suppress: All\n"
               "Subject: Auto: =?ISO-2022-JP?B?GyRC?=\n =?ISO-2022-JP?B?GyhC?=\n"
               "In-Reply-To: <7@far.test>\nReferences: <7@far.test>\nMIME-Version: 1.0\n"
               "Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n\n"
               "I am away.\n");
}

static void japanese_travels_everywhere(void **state)
{
    (void)state;
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, 64 * 1024);
    print("Subject: \xff\nMessage-ID: <7 @far.test>\n", "\xe4\xb8\x8d\xe5\x9c\xa8",
          "\xe4\xb8\x8d\xe5\x9c\xa8\xe3\x81\xa7\xe3\x81\x99", &out);
    assert_true(str_is_ascii(buf_str(&out)));
    assert_non_null(strstr(out.p, "\nSubject: =?UTF-8?B?5LiN5Zyo?=\n"));
    assert_non_null(strstr(out.p, "\n\n5LiN5Zyo44Gn44GZDQo=\n"));
    assert_null(strstr(out.p, "References"));
}

static void notices_name_both(void **state)
{
    (void)state;
    struct buf out AUTO_RELEASE_BUF;
    const struct reply r = { .from = STR("amy@x.test"),
                             .to = STR("<phone@far.test>"),
                             .message_id = STR("<1@x.test>"),
                             .date = STR("today"),
                             .header = STR("Subject: hello\n") };
    buf_init(&out, 64 * 1024);
    assert_int_equal(notice_print(&r, STR("<a@far.test>"), false, &out), RC_OK);
    assert_non_null(strstr(out.p, "\nAuto-Submitted: auto-generated\n"));
    assert_non_null(strstr(out.p, "\nSubject: hello\n"));
    assert_non_null(
        strstr(out.p, "\n\nA message for amy@x.test has come.\n\nFrom: <a@far.test>\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_people_are_answered),
        cmocka_unit_test(an_answer_is_one),
        cmocka_unit_test(japanese_travels_everywhere),
        cmocka_unit_test(notices_name_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

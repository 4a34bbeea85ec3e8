/* dsn_test.c - reports: their parts and fields, both languages, UTF-8 addresses, and that
 * nothing foreign can forge a field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/dsn.h"

#define WHEN ((usec_t)1785555296 * USEC_S) /* 2026-08-01 03:34:56 UTC */

static struct dsn_recipient one = {
    .address = { "who@far.test", 12 },
    .final = { "who@mail.far.test", 17 },
    .orcpt = { "rfc822;w+2Bo@far.test", 21 },
    .action = DSN_FAILED,
    .reason = { { "5.1.1", 5 }, { "mx.far.test[192.0.2.1]", 22 }, { "550 5.1.1 unknown", 17 } },
};

static struct dsn sample(void)
{
    return (struct dsn){
        .server = STR("mail.x.test"),
        .from = STR("postmaster@x.test"),
        .to = STR("amy@x.test"),
        .envid = STR("a+2Bb"),
        .message_id = STR("<1@x.test>"),
        .queue_id = STR("abc1"),
        .arrived = WHEN,
        .now = WHEN + USEC_S,
        .give_up = WHEN + 100 * USEC_S,
        .recipients = &one,
        .recipient_count = 1,
        .log = STR(""),
        .original = STR("Subject: hello\n"),
    };
}

static const char *print(const struct dsn *d, struct arena *a)
{
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, (size_t)1 << 20);
    assert_int_equal(dsn_print(d, &out), RC_OK);
    return arena_c(a, buf_str(&out));
}

static void has(const char *text, const char *piece)
{
    if (strstr(text, piece) == NULL)
        fail_msg("no \"%s\" in:\n%s", piece, text);
}

static void hasnt(const char *text, const char *piece)
{
    if (strstr(text, piece) != NULL)
        fail_msg("\"%s\" in:\n%s", piece, text);
}

static void failure(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct dsn d = sample();
    const char *text = print(&d, &a);
    (void)state;
    has(text, "\nTo: <amy@x.test>\n");
    has(text, "\nAuto-Submitted: auto-replied\n");
    has(text, "\nContent-Type: multipart/report; report-type=delivery-status;\n");
    has(text, "\nSubject: Undelivered mail\n");
    has(text, "\nReporting-MTA: dns; mail.x.test\n");
    has(text, "\nOriginal-Envelope-Id: a+b\n");
    has(text, "\nOriginal-Recipient: rfc822; w+o@far.test\n");
    has(text, "\nFinal-Recipient: rfc822; who@mail.far.test\nAction: failed\nStatus: 5.1.1\n"
              "Remote-MTA: dns; mx.far.test\nDiagnostic-Code: smtp; 550 5.1.1 unknown\n");
    has(text, "\n[<00>] XMail bounce: Rcpt=[who@far.test];Error=[550 5.1.1 unknown]\n");
    has(text, "Content-Type: text/rfc822-headers\n\nSubject: hello\n");
    hasnt(text, "Will-Retry-Until");
    hasnt(text, "8bit");
}

static void delay_success_relayed(void **state)
{
    static const struct {
        enum dsn_action action;
        const char *pieces[3];
    } rows[] = {
        { DSN_DELAYED, { "Subject: Delayed mail", "Action: delayed", "\nWill-Retry-Until: " } },
        { DSN_DELIVERED, { "Subject: Mail delivered", "Action: delivered", "as you asked" } },
        { DSN_RELAYED, { "Subject: Mail relayed", "Action: relayed", "handed to a server" } },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct dsn_recipient r = one;
        struct dsn d = sample();
        r.action = rows[i].action;
        d.recipients = &r;
        const char *text = print(&d, &a);
        for (size_t k = 0; k < 3; k++)
            has(text, rows[i].pieces[k]);
        hasnt(text, "XMail bounce");
    }
}

static void in_japanese(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct dsn d = sample();
    (void)state;
    d.japanese = true;
    const char *text = print(&d, &a);
    has(text, "\nSubject: =?UTF-8?B?"
              "44Oh44O844Or44KS6YWN6YCB44Gn44GN44G+44Gb44KT44Gn44GX?=\n =?UTF-8?B?44Gf?=\n");
    has(text, "charset=utf-8\nContent-Transfer-Encoding: 8bit\n");
    has(text, "再送は行いません。");
    has(text, "\nStatus: 5.1.1\n");
}

static void utf8_addresses(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct dsn_recipient r = one;
    struct dsn d = sample();
    (void)state;
    r.final = STR("あ@far.test");
    d.recipients = &r;
    d.is_utf8 = true;
    const char *text = print(&d, &a);
    has(text, "report-type=global-delivery-status;");
    has(text, "Content-Type: message/global-delivery-status\n");
    has(text, "Final-Recipient: utf-8; あ@far.test\n");
    has(text, "Content-Type: message/global-headers\n");
}

static void whole_message(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct dsn d = sample();
    (void)state;
    d.is_whole = true;
    d.original = STR("Subject: x\n\nb\xc3\xb6 dy\n");
    has(print(&d, &a),
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: x\n");
}

static void nothing_is_forged(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct dsn d = sample();
    struct dsn_recipient r = { .address = STR("a\nAction: delivered"),
                               .final = STR("b\r\nAction: delivered"),
                               .orcpt = STR("x\nAction: delivered;y+0AAction: delivered"),
                               .reason = { STR("5.0.0"), STR("h\nAction: delivered"),
                                           STR("550 \n\nAction: delivered") } };
    (void)state;
    d.recipients = &r;
    d.envid = STR("e+0A+0D\nAction: delivered");
    hasnt(print(&d, &a), "\nAction: delivered");
}

static void too_large(void **state)
{
    struct buf out AUTO_RELEASE_BUF;
    struct dsn d = sample();
    (void)state;
    buf_init(&out, 500);
    assert_int_equal(dsn_print(&d, &out), RC_PERM);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure),       cmocka_unit_test(delay_success_relayed),
        cmocka_unit_test(in_japanese),   cmocka_unit_test(utf8_addresses),
        cmocka_unit_test(whole_message), cmocka_unit_test(nothing_is_forged),
        cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests_name("dsn", tests, NULL, NULL);
}

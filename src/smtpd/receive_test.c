/* receive_test.c - what is written of a message, and what isn't when things go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtpd/dialogue.h"

static struct str deliver(int door, const char *dialogue, struct arena *a)
{
    struct session *s = open_session(door, NULL);
    (void)talk(s, str_from_c(dialogue), SIZE_MAX, a);
    session_test_free(&s);
    return only_message("domains/example.org/alice/Maildir/new", a);
}

static void test_headers(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    scratch_options("");
    struct str text = deliver(SMTP, EHLO FROM "RCPT TO:<al@example.net>\r\nDATA\r\n" BODY, &a);
    assert_true(str_starts(text, STR("Return-Path: <a@far.test>\nDelivered-To: "
                                     "alice@example.org\nReceived: from c.test")));
    assert_has(text, "for <al@example.net>");
    assert_true(str_ends(text, STR("Subject: x\n\nhello\n")));
    assert_hasnt(text, "Message-ID");
    assert_hasnt(text, "\nDate:");
    assert_hasnt(text, "\r");

    text = deliver(SMTP, EHLO "MAIL FROM:<ally@far.test>\r\n" TO "DATA\r\n" BODY, &a);
    assert_true(str_starts(text, STR("Return-Path: <alice@example.org>\n")));
    assert_has(text, "Subject: x\nReply-To: alice@example.org\n\nhello\n");

    text = deliver(SUBMISSION,
                   EHLO ALICE "MAIL FROM:<alice@example.org>\r\n" TO "DATA\r\n" BODY, &a);
    assert_has(text, "\nX-AuthUser: alice@example.org\n");
    assert_has(text, "ESMTPA");
    assert_has(text, "\nDate: ");
    assert_has(text, "\nMessage-ID: <");

    text = deliver(SUBMISSION,
                   EHLO ALICE "MAIL FROM:<alice@example.org>\r\n" TO
                              "DATA\r\nDate: d\r\nMessage-Id: <m>\r\n\r\n.\r\n",
                   &a);
    assert_true(str_ends(text, STR("\nDate: d\nMessage-Id: <m>\n\n")));

    text = deliver(SMTP, EHLO ALICE FROM TO "DATA\r\n" BODY, &a);
    assert_hasnt(text, "Message-ID");

    text = deliver(SMTP, EHLO JUDY FROM TO "DATA\r\n" BODY, &a);
    assert_hasnt(text, "X-AuthUser");

    /* Who else got it may be a secret: no "for" with several recipients. */
    text = deliver(SMTP, EHLO FROM TO "RCPT TO:<al@example.org>\r\nDATA\r\n" BODY, &a);
    assert_hasnt(text, " for <");

    scratch_options("\"DisableEmitAuthUser\"\t\"1\"\n");
    text = deliver(SMTP, EHLO ALICE FROM TO "DATA\r\n" BODY, &a);
    assert_hasnt(text, "X-AuthUser");
}

static void test_recipient_limit(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf in AUTO_RELEASE_BUF;
    buf_init(&in, 65536);
    buf_addf(&in, EHLO FROM);
    for (int i = 0; i < 102; i++)
        buf_addf(&in, TO);
    buf_addf(&in, "DATA\r\n" BODY);
    scratch_options("");
    struct session *s = open_session(SMTP, NULL);
    struct str sent = talk(s, buf_str(&in), SIZE_MAX, &a);
    session_test_free(&s);
    unsigned good = 0, refused = 0;
    struct str rest = sent, line;
    while (str_cut(&rest, '\n', &line)) {
        good += str_starts(line, STR("250 2.1.5"));
        refused += str_starts(line, STR("452 4.5.3"));
    }
    assert_int_equal(good, 100);
    assert_int_equal(refused, 2);
    assert_int_equal(scratch_count("domains/example.org/alice/Maildir/new"), 1);
}

/* A client that goes away leaves nothing behind, wherever it stops. */
static void test_hang_up(void **state)
{
    (void)state;
    static const char text[] = EHLO ALICE FROM TO TO_BOB "BDAT 3\r\nabcBDAT 40 LAST\r\nabc";
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    scratch_options("");
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        struct session *s = open_session(SMTP, NULL);
        (void)talk(s, str_from(text, n), SIZE_MAX, &a);
        stream_mem_eof(&s->st);
        (void)session_test_step(s);
        session_test_free(&s);
    }
    assert_int_equal(scratch_count("domains/example.org/alice/Maildir/tmp"), 0);
    for (unsigned i = 0; i < 256; i++) {
        char path[24];
        (void)snprintf(path, sizeof(path), "queue/tmp/%02x", i);
        assert_int_equal(scratch_count(path), 0);
    }
}

/* One transaction during which the nth call that changes the disk fails: the client hears 4xx
 * or 250, and 250 is true. */
static void fail_once(unsigned nth, struct str message)
{
    static const int errors[] = { ENOSPC, EIO };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *s = open_session(SMTP, NULL);
    (void)talk(s, STR(EHLO FROM TO), SIZE_MAX, &a);
    io_fail_nth(nth, errors[nth % ARRAY_LEN(errors)]);
    struct str sent = talk(s, message, 16384, &a);
    io_fail_nth(0, 0);
    session_test_free(&s);
    bool good = str_find_str(sent, STR("250 2.0.0 Message")) != SIZE_MAX;
    unsigned arrived = scratch_count("domains/example.org/alice/Maildir/new");
    if (arrived != (good ? 1 : 0))
        fail_msg("call %u fails: %u arrived, the client heard %s", nth, arrived, sent.p);
    if (!good && str_find_str(sent, STR("\n45")) == SIZE_MAX && !str_starts(sent, STR("45")))
        fail_msg("call %u fails: the client heard %s", nth, sent.p);
    assert_true(str_ends(sent, STR("250 2.0.0 Ok\r\n"))); /* NOOP, behind the message */
    assert_int_equal(scratch_count("domains/example.org/alice/Maildir/tmp"), 0);
}

static void test_disk_faults(void **state)
{
    (void)state;
    struct buf large AUTO_RELEASE_BUF;
    buf_init(&large, 2 << 20);
    buf_addf(&large, "DATA\r\n\r\n");
    for (int i = 0; i < 12000; i++)
        buf_addf(&large, "%064d\r\n", i);
    buf_addf(&large, ".\r\nNOOP\r\n");
    scratch_options("\"LogLevel\"\t\"error\"\n");
    for (unsigned nth = 1; nth < 12; nth++) {
        fail_once(nth, STR("DATA\r\n" BODY "NOOP\r\n"));
        fail_once(nth, buf_str(&large));
    }
}

/* How long the session would wait for the next octet now. */
static usec_t patience(const struct session *s)
{
    return s->deadline - clock_mono();
}

static void assert_about(const char *name, usec_t got, usec_t want)
{
    if (got > want || got < want - 5 * USEC_S)
        fail_msg("%s: waits %" PRId64 " s, not %" PRId64, name, got / USEC_S, want / USEC_S);
}

/* Three bounds on the wait for more of a message, and the wait for a command. */
static void test_deadlines(void **state)
{
    (void)state;
    static const struct {
        const char *name, *options;
        size_t octets;
        usec_t wait_s;
    } cases[] = {
        { "idle", "\"SmtpTimeout\"\t\"20\"\n", 0, 20 },
        { "least rate, nothing yet", "\"SmtpMinRate\"\t\"100\"\n", 0, 60 },
        { "least rate", "\"SmtpMinRate\"\t\"100\"\n", 2000, 80 },
        { "no least rate", "\"SmtpMinRate\"\t\"0\"\n", 2000, 300 },
        { "longest", "\"SmtpDataTime\"\t\"70\"\n\"SmtpMinRate\"\t\"0\"\n", 2000, 70 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        char *filler = arena_new(&a, 2001);
        memset(filler, 'x', 2000);
        scratch_options(cases[i].options);
        struct session *s = open_session(SMTP, NULL);
        (void)talk(s, STR(EHLO FROM TO "DATA\r\n"), SIZE_MAX, &a);
        if (cases[i].octets > 0)
            (void)talk(s, str_from(filler, cases[i].octets), SIZE_MAX, &a);
        assert_about(cases[i].name, patience(s), cases[i].wait_s * USEC_S);
        session_test_free(&s);
    }
    scratch_options("\"SmtpTimeout\"\t\"33\"\n");
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *s = open_session(SMTP, NULL);
    (void)talk(s, STR(EHLO), SIZE_MAX, &a);
    assert_about("command", patience(s), 33 * USEC_S);
    session_test_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),   cmocka_unit_test(test_recipient_limit),
        cmocka_unit_test(test_hang_up),   cmocka_unit_test(test_disk_faults),
        cmocka_unit_test(test_deadlines),
    };
    return dialogue_run(tests, ARRAY_LEN(tests), "");
}

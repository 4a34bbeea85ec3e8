/* policy_access_test.c - what is offered, who comes in, and how long they wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtpd/dialogue.h"
#include "sys/issue.h"
#include "sys/tls.h"

static void test_ehlo_list(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    static const char *const lines[] = {
        "250-mx.example.org",      "250-SIZE 2048",  "250-8BITMIME", "250-SMTPUTF8",
        "250-ENHANCEDSTATUSCODES", "250-PIPELINING", "250-CHUNKING", "250-DSN",
        "250-LIMITS RCPTMAX=100",  "250 HELP"
    };
    static const char *const absent[] = { "STARTTLS", "BINARYMIME", "VRFY", "AUTH" };
    scratch_options("\"MaxMessageSize\"\t\"2\"\n\"SmtpNoTLSAuths\"\t\"\"\n");
    struct session *s = open_session(SMTP, NULL);
    struct str sent = talk(s, STR(EHLO), SIZE_MAX, &a);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (str_find_str(sent, arena_printf(&a, "%s\r\n", lines[i])) == SIZE_MAX)
            fail_msg("%s is missing", lines[i]);
    for (size_t i = 0; i < ARRAY_LEN(absent); i++)
        if (str_find_str(sent, str_from_c(absent[i])) != SIZE_MAX)
            fail_msg("%s is there", absent[i]);
    session_test_free(&s);
    scratch_options("");
    s = open_session(SMTP, NULL);
    sent = talk(s, STR(EHLO ALICE EHLO), SIZE_MAX, &a);
    size_t first = str_find_str(sent, STR("250-AUTH "));
    assert_true(first != SIZE_MAX);
    assert_true(str_find_str(str_skip(sent, first + 4), STR("250-AUTH ")) == SIZE_MAX);
    session_test_free(&s);
}

/* A slowed-down client waits after each command, by a timer. */
static void test_slow_client(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    scratch_options("\"SMTP-IpMapDropCode\"\t\"-3\"\n");
    struct session *s = open_session(SMTP, "10.0.0.9");
    (void)talk(s, STR(EHLO), SIZE_MAX, &a);
    usec_t before = clock_mono();
    assert_int_equal(cmd_noop(s, STR("")), STEP_DELAY);
    assert_null(s->more);
    assert_true(s->wake_at >= before + 3 * USEC_S && s->wake_at < before + 4 * USEC_S);
    session_test_free(&s);
}

/* The answer to a login, in microseconds from now, and its reply. */
static usec_t login(const char *client, const char *args, struct str *out_reply,
                    struct arena *a)
{
    struct session *s = open_session(SMTP, client);
    (void)talk(s, STR(EHLO), SIZE_MAX, a);
    usec_t before = clock_mono();
    assert_int_equal(cmd_auth(s, str_from_c(args)), STEP_DELAY);
    usec_t delay = s->wake_at - before;
    assert_int_equal(stream_pending(&s->st), 0); /* no answer before its time */
    (void)s->more(s);
    *out_reply = stream_mem_sent(&s->st, a);
    session_test_free(&s);
    return delay;
}

/* Bad logins are answered late, and later each time, known users or not. */
static void test_bad_logins(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    static const char *const attempts[][2] = {
        { "10.2.0.1", "PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHdyb25n" },
        { "10.2.0.2", "PLAIN AG5vYm9keUBleGFtcGxlLm9yZwBzZWNyZXQ=" },
    };
    struct str reply;
    scratch_options("\"LoginDelay\"\t\"3\"\n");
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        usec_t first = login(attempts[i][0], attempts[i][1], &reply, &a);
        assert_true(str_starts(reply, STR("535 5.7.8")));
        assert_true(first >= 3 * USEC_S);
        usec_t second = login(attempts[i][0], attempts[i][1], &reply, &a);
        assert_true(str_starts(reply, STR("535 5.7.8")));
        assert_true(second >= 2 * first - USEC_S / 2);
    }
    usec_t good = login("10.2.0.3", "PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==", &reply, &a);
    assert_true(str_starts(reply, STR("235 2.7.0")));
    assert_true(good < USEC_S);
    (void)login("10.2.0.4", attempts[0][1], &reply, &a);
    (void)login("10.2.0.4", "PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==", &reply, &a);
    assert_true(str_starts(reply, STR("235 2.7.0")));
    usec_t again = login("10.2.0.4", attempts[0][1], &reply, &a);
    assert_true(again < 6 * USEC_S); /* a good login forgives the bad one */
}

/* Nothing learnt in plain text survives STARTTLS (RFC 3207 4.2). */
static void test_starttls_forgets(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf cert AUTO_RELEASE_BUF, key AUTO_RELEASE_BUF;
    struct tls_ctx *ctx = NULL;
    struct err e;
    buf_init(&cert, 65536);
    buf_init(&key, 65536);
    scratch_options("");
    scratch_must(issue_self_signed(STR("mx.example.org"), 1, &cert, &key, &e), &e);
    scratch_write("server.cert", cert.p);
    scratch_write("server.key", key.p);
    scratch_must(tls_ctx_load("server.cert", "server.key", NULL, &ctx, &e), &e);
    engine_set_tls(engine, ctx);
    struct session *s = open_session(SMTP, NULL);
    struct str sent = talk(s, STR(EHLO ALICE), SIZE_MAX, &a);
    assert_has(sent, "250-STARTTLS\r\n");
    sent = talk(s, STR("STARTTLS\r\nEHLO evil\r\n"), SIZE_MAX, &a);
    assert_true(str_starts(sent, STR("503 5.5.1 ")));
    assert_int_equal(cmd_starttls(s, STR("x")), STEP_NEXT);
    assert_int_equal(cmd_starttls(s, STR("")), STEP_TLS);
    assert_has(stream_mem_sent(&s->st, &a), "220 2.0.0");
    assert_int_equal(s->state, SMTP_CONNECTED);
    assert_null(smtp_of(s)->login);
    assert_null(smtp_of(s)->helo);
    assert_null(smtp_of(s)->tx);
    session_test_free(&s);
    engine_set_tls(engine, NULL);
    s = open_session(SMTP, NULL);
    sent = talk(s, STR(EHLO "STARTTLS\r\n"), SIZE_MAX, &a);
    assert_hasnt(sent, "250-STARTTLS");
    assert_has(sent, "454 4.7.0");
    session_test_free(&s);
}

static void test_admit(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        bool admitted;
    } cases[] = {
        { "", true },
        { "\"SmtpMinDiskSpace\"\t\"1000000000000\"\n", false },
        { "\"SmtpMinVirtMemSpace\"\t\"1\"\n", true },
        { "\"SmtpMinVirtMemSpace\"\t\"1000000000000\"\n", false },
    };
    struct session *s = open_session(SMTP, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        scratch_options(cases[i].options);
        if (smtpd_admit(s) != cases[i].admitted)
            fail_msg("%s", cases[i].options);
    }
    session_test_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ehlo_list),  cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_bad_logins), cmocka_unit_test(test_starttls_forgets),
        cmocka_unit_test(test_admit),
    };
    return dialogue_run(tests, ARRAY_LEN(tests), "");
}

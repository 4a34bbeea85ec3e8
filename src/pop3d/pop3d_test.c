/*
 * pop3d_test.c - POP3 dialogues over memory streams, against a MailRoot in a scratch folder.
 * Each row is sent whole and octet by octet; the answers must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pop3d/scratch.h"

#define AMY "USER amy\r\nPASS secret\r\n"
#define BEN "USER ben@x.test\r\nPASS secret\r\n"
#define HI "+OK <*>*ready|"
#define IN HI "+OK send PASS|+OK 3 messages|"

/* want: every line that comes, "|" between; * stands for any text. */
struct row {
    const char *name, *in, *want;
    const char *client, *options;
};

static const struct row rows[] = {
    { .name = "login", .in = AMY "QUIT\r\n", .want = IN "+OK bye, 0 messages removed" },
    { .name = "login with domain, case and alias domain",
      .in = "USER AMY@Y.TEST\r\nPASS secret\r\nSTAT\r\n",
      .want = HI "+OK send PASS|+OK 3 messages|+OK 3 *" },
    { .name = "an alias is no login",
      .in = "USER al\r\nPASS secret\r\n",
      .want = HI "+OK send PASS|-ERR [AUTH] wrong user name or password" },
    { .name = "a list is no login",
      .in = "USER team\r\nPASS secret\r\n",
      .want = HI "+OK send PASS|-ERR [AUTH] wrong*" },
    { .name = "unknown user, the same words",
      .in = "USER zoe\r\nPASS secret\r\n",
      .want = HI "+OK send PASS|-ERR [AUTH] wrong user name or password" },
    { .name = "wrong password",
      .in = "USER amy\r\nPASS no\r\n",
      .want = HI "+OK send PASS|-ERR [AUTH] wrong user name or password" },
    { .name = "POP3 switched off",
      .in = "USER off\r\nPASS secret\r\n",
      .want = HI "+OK send PASS|-ERR [SYS/PERM]*" },
    { .name = "no passwords in the clear from elsewhere",
      .in = "USER amy\r\n",
      .want = HI "-ERR [AUTH] passwords are taken under TLS only*",
      .client = "192.0.2.7",
      .options = "\"SmtpNoTLSAuths\"\t\"\"\n" },
    { .name = "sequence",
      .in = "PASS x\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nUSER\r\nXYZ\r\n\r\n",
      .want = HI "-ERR USER first|-ERR not in this state|-ERR not in this state|"
                 "-ERR not in this state|-ERR syntax: USER name|-ERR unknown command|"
                 "-ERR unknown command" },
    { .name = "no second login",
      .in = AMY "USER amy\r\nAPOP amy x\r\n",
      .want = IN "-ERR not in this state|-ERR not in this state" },
    { .name = "lists",
      .in = AMY "STAT\r\nLIST\r\nLIST 2\r\nLIST 4\r\nLIST 0\r\nLIST x\r\n",
      .want = IN "+OK 3 90|+OK*|1 23|2 29|3 38|.|+OK 2 29|-ERR no such message|"
                 "-ERR no such message|-ERR no such message" },
    { .name = "unique ids are names",
      .in = AMY "UIDL\r\nUIDL 1\r\n",
      .want = IN "+OK*|1 1000.1.h,S=20,W=23|2 1001.2.h,S=24,W=29|3 1002.3.h|.|"
                 "+OK 1 1000.1.h,S=20,W=23" },
    { .name = "dots are stuffed, a last line gets its end",
      .in = AMY "RETR 2\r\nRETR 3\r\n",
      .want = IN "+OK*|Subject: two||..dot||...x|.|+OK*|Subject: three||l1|l2|l3|no end|." },
    { .name = "top",
      .in = AMY "TOP 3 2\r\nTOP 3 0\r\nTOP 3\r\nTOP 3 x\r\nTOP 9 1\r\n",
      .want = IN "+OK*|Subject: three||l1|l2|.|+OK*|Subject: three||.|-ERR syntax*|-ERR*|"
                 "-ERR no such message" },
    { .name = "mailbox folder",
      .in = BEN "STAT\r\nRETR 1\r\n",
      .want = HI "+OK send PASS|+OK 1 messages|+OK 1 23|+OK*|Subject: box||hello|." },
    { .name = "deleted is gone from lists until RSET",
      .in = AMY "DELE 1\r\nSTAT\r\nLIST 1\r\nRETR 1\r\nDELE 1\r\nLIST\r\nRSET\r\nSTAT\r\n",
      .want = IN
      "+OK message 1 marked deleted|+OK 2 67|-ERR message 1 is marked deleted|"
      "-ERR message 1 is marked deleted|-ERR message 1 is marked deleted|+OK*|2 29|3 38|.|"
      "+OK 3 messages|+OK 3 90" },
    { .name = "last",
      .in = AMY "LAST\r\nRETR 2\r\nLAST\r\nRSET\r\nLAST\r\n",
      .want = IN "+OK 0|+OK*|Subject: two||..dot||...x|.|+OK 2|+OK 3 messages|+OK 0" },
    { .name = "noop", .in = AMY "NOOP\r\n", .want = IN "+OK" },
    { .name = "sasl",
      .in = "AUTH PLAIN AGFteQBzZWNyZXQ=\r\nSTAT\r\n",
      .want = HI "+OK 3 messages|+OK 3 90" },
    { .name = "sasl in two lines",
      .in = "AUTH PLAIN\r\nAGFteQBzZWNyZXQ=\r\n",
      .want = HI "+ |+OK 3 messages" },
    { .name = "sasl aborted",
      .in = "AUTH PLAIN\r\n*\r\nAUTH NOPE\r\nAUTH PLAIN ====\r\n",
      .want = HI "+ |-ERR authentication aborted|-ERR*|-ERR*" },
    { .name = "login by two prompts",
      .in = "AUTH LOGIN\r\nYW15\r\nc2VjcmV0\r\n",
      .want = HI "+ VXNlcm5hbWU6|+ UGFzc3dvcmQ6|+OK 3 messages" },
    { .name = "a bare LF ends no command",
      .in = "NOOP\n" AMY "NOOP\n",
      .want = HI "-ERR unknown command|-ERR USER first" },
    { .name = "TLS is not there", .in = "STLS\r\n", .want = HI "-ERR TLS is not offered" },
    { .name = "address not allowed",
      .in = "USER amy\r\n",
      .want = "-ERR [SYS/PERM] access from your address is not allowed",
      .client = "10.9.9.9" },
};

static unsigned wrong;

static void complain(const struct row *row, const char *how, struct str line, struct str want)
{
    wrong++;
    print_error("%s (%s): \"%.*s\" where \"%.*s\" should be\n", row->name, how, STR_ARG(line),
                STR_ARG(want));
}

static void check_answers(const struct row *row, struct str sent, const char *how)
{
    struct str want = str_from_c(row->want), one, line = STR("");
    while (str_cut(&want, '|', &one)) {
        bool more = sent.n > 0 && str_cut(&sent, '\n', &line);
        if (!more || !str_matches(str_trim(line), str_trim(one))) {
            complain(row, how, more ? str_trim(line) : STR("nothing"), one);
            return;
        }
    }
    if (sent.n > 0)
        complain(row, how, sent, STR("the end"));
}

static void converse(const struct row *row, size_t n, const char *how)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str text = str_from_c(row->in);
    scratch_mail();
    scratch_options(row->options == NULL ? "" : row->options);
    struct session *s = scratch_session(row->client == NULL ? "127.0.0.1" : row->client);
    bool open = session_test_step(s);
    while (open && text.n > 0) {
        stream_mem_feed(&s->st, str_head(text, n));
        text = str_skip(text, n);
        open = session_test_step(s);
    }
    for (int i = 0; open && i < 100; i++)
        open = session_test_step(s);
    struct str sent = arena_str(&a, stream_mem_sent(&s->st, &a));
    session_test_free(&s);
    check_answers(row, sent, how);
}

static void dialogues(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        converse(&rows[i], SIZE_MAX, "whole");
        converse(&rows[i], 1, "octet by octet");
    }
    assert_int_equal(wrong, 0);
}

/* --- what lasts longer than an answer ---------------------------------------------------- */

static struct session *begin(void)
{
    scratch_mail();
    scratch_options("");
    struct session *s = scratch_session("127.0.0.1");
    assert_true(session_test_step(s));
    return s;
}

/* What the session answers to the text. */
static struct str say(struct session *s, const char *text, struct arena *a)
{
    stream_mem_feed(&s->st, str_from_c(text));
    (void)session_test_step(s);
    return stream_mem_sent(&s->st, a);
}

static void has(struct str text, const char *part)
{
    if (str_find_str(text, str_from_c(part)) == SIZE_MAX)
        fail_msg("no \"%s\" in: %.*s", part, STR_ARG(text));
}

static void deletions_only_at_quit(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *s = begin();
    has(say(s, AMY "DELE 1\r\n", &a), "marked deleted");
    session_test_free(&s); /* the connection breaks */
    assert_true(file_exists(MAILDIR "/1000.1.h,S=20,W=23"));
    s = begin();
    has(say(s, AMY "DELE 1\r\nQUIT\r\n", &a), "1 messages removed");
    session_test_free(&s);
    assert_false(file_exists(MAILDIR "/1000.1.h,S=20,W=23"));
    assert_true(file_exists(MAILDIR "/1001.2.h,S=24,W=29"));
}

static void the_list_is_stable(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *s = begin();
    has(say(s, AMY, &a), "+OK 3 messages");
    scratch_write(MAILDIR "/0999.0.h", "Subject: earlier\n\nx\n");
    assert_int_equal(io_unlink(MAILDIR "/1001.2.h,S=24,W=29"), 0);
    has(say(s, "UIDL 1\r\n", &a), "+OK 1 1000.1.h");
    has(say(s, "STAT\r\n", &a), "+OK 3 ");
    has(say(s, "RETR 2\r\n", &a), "-ERR the message was removed by another program");
    session_test_free(&s);
    (void)io_unlink(MAILDIR "/0999.0.h");
}

static void one_session_a_mailbox(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *one = begin(), *two = begin();
    has(say(one, AMY, &a), "+OK 3 messages");
    assert_true(file_exists("pop3locks/amy@x.test"));
    has(say(two, AMY, &a), "-ERR [IN-USE]");
    has(say(one, "QUIT\r\n", &a), "+OK bye");
    session_test_free(&one);
    has(say(two, AMY, &a), "+OK 3 messages");
    session_test_free(&two);
    assert_false(file_exists("pop3locks/amy@x.test"));
}

static void narrowed_mailbox(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    scratch_write("domains/x.test/amy/pop3.ipmap.tab",
                  "\"127.0.0.0\"\t\"255.0.0.0\"\t\"DENY\"\t\"1\"\n");
    struct session *s = begin();
    has(say(s, AMY, &a), "-ERR");
    session_test_free(&s);
    assert_int_equal(io_unlink("domains/x.test/amy/pop3.ipmap.tab"), 0);
}

static void long_lines_and_too_many_errors(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *s = begin();
    char *line = arena_new(&a, 5003);
    memset(line, 'a', 5000);
    memcpy(line + 5000, "\r\n", 3);
    has(say(s, line, &a), "-ERR line too long");
    has(say(s, AMY, &a), "+OK 3 messages");
    struct str last = STR("");
    for (int i = 0; i < 30 && str_find_str(last, STR("too many errors, closing")) == SIZE_MAX;
         i++)
        last = say(s, "XX\r\n", &a);
    has(last, "-ERR too many errors, closing");
    session_test_free(&s);
}

static void octets_nobody_expects(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    static const char odd[] = "USER a\0b\r\nPASS \xff\xfe\r\nUSER \xe3\x81\x82\r\n";
    struct session *s = begin();
    stream_mem_feed(&s->st, str_from(odd, sizeof(odd) - 1));
    (void)session_test_step(s);
    struct str sent = stream_mem_sent(&s->st, &a);
    assert_int_equal(str_find(sent, '\0'), SIZE_MAX);
    has(sent, "-ERR");
    session_test_free(&s);
}

static void apop(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *s = begin();
    has(stream_mem_sent(&s->st, &a), "+OK <");
    has(say(s, "APOP amy 00000000000000000000000000000000\r\n", &a), "-ERR [AUTH]");
    has(say(s, "APOP amy\r\n", &a), "-ERR syntax: APOP");
    session_test_free(&s);
}

static void capabilities(void **state)
{
    (void)state;
    static const char *const wanted[] = { "USER",          "TOP",  "UIDL",  "RESP-CODES",
                                          "PIPELINING",    "UTF8", "SASL ", "AUTH-RESP-CODE",
                                          "IMPLEMENTATION" };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *s = begin();
    struct str text = say(s, "CAPA\r\n", &a);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        has(text, wanted[i]);
    assert_int_equal(str_find_str(text, STR("STLS")), SIZE_MAX);
    session_test_free(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues),
        cmocka_unit_test(deletions_only_at_quit),
        cmocka_unit_test(the_list_is_stable),
        cmocka_unit_test(one_session_a_mailbox),
        cmocka_unit_test(narrowed_mailbox),
        cmocka_unit_test(long_lines_and_too_many_errors),
        cmocka_unit_test(octets_nobody_expects),
        cmocka_unit_test(apop),
        cmocka_unit_test(capabilities),
    };
    log_set_level(LOG_LEVEL_ERROR);
    scratch_make();
    scratch_write("pop3.ipmap.tab", "\"10.9.0.0\"\t\"255.255.0.0\"\t\"DENY\"\t\"1\"\n");
    int failed = cmocka_run_group_tests_name("pop3d", tests, NULL, NULL);
    engine_free(&engine);
    users_close();
    scratch_remove();
    return failed;
}

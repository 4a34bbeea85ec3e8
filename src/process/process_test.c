/* process_test.c - lines that name programs, and macros. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process/process.h"

static void lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good, aex, wlex;
        unsigned limit_s;
        const char *command;
    } rows[] = {
        { "\"/bin/a\"\t\"x\"", true, false, false, 0, "/bin/a" },
        { "\"!aex\"\t\"/bin/a\"", true, true, false, 0, "/bin/a" },
        { "\"!wlex, timeo=5,AEX\"\t\"/bin/a\"", true, true, true, 5, "/bin/a" },
        { "\"!\"\t\"a\"", true, false, false, 0, "a" },
        { "\"!aex\"", false, false, false, 0, NULL },
        { "\"\"\t\"x\"", false, false, false, 0, NULL },
        { "\"!timeo=0\"\t\"a\"", false, false, false, 0, NULL },
        { "\"!timeo=x\"\t\"a\"", false, false, false, 0, NULL },
        { "\"!persist,aex\"\t\"a\"", true, true, false, 0, "a" },
        { "\"!persist=64\"\t\"a\"", true, false, false, 0, "a" },
        { "\"!milter,timeo=5\"\t\"unix:/run/m\"", true, false, false, 5, "unix:/run/m" },
        { "\"!milter\"\t\"/run/m\"", false, false, false, 0, NULL },
        { "\"!persist=65\"\t\"a\"", false, false, false, 0, NULL },
        { "\"!persist=0\"\t\"a\"", false, false, false, 0, NULL },
        { "\"!odd\"\t\"a\"", false, false, false, 0, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct tab tab;
        struct err e;
        struct program_line l = { .count = 0 };
        assert_int_equal(tab_read_str("t", str_from_c(rows[i].text), &a, &tab, &e), RC_OK);
        bool good = program_line_parse(&tab.rows[0], &l) == NULL;
        if (good != rows[i].good ||
            (good && (l.not_for_logged_in != rows[i].aex ||
                      l.not_for_white_listed != rows[i].wlex || l.limit_s != rows[i].limit_s ||
                      !str_eq(l.words[0], str_from_c(rows[i].command)))))
            fail_msg("%s", rows[i].text);
    }
}

static void jobs(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t id, code;
        const char *reply;
    } rows[] = {
        { "{\"id\":7,\"code\":0}", true, 7, 0, "" },
        { "{\"code\":255,\"id\":1,\"reply\":\"550 no\",\"more\":[]}", true, 1, 255, "550 no" },
        { "{\"id\":7}", false, 0, 0, NULL },
        { "{\"code\":7}", false, 0, 0, NULL },
        { "{\"id\":-1,\"code\":0}", false, 0, 0, NULL },
        { "{\"id\":1,\"code\":256}", false, 0, 0, NULL },
        { "{\"id\":1,\"code\":1.5}", false, 0, 0, NULL },
        { "{\"id\":1,\"id\":2,\"code\":0}", false, 0, 0, NULL },
        { "{\"id\":1,\"code\":3,\"reply\":5}", false, 0, 0, NULL },
        { "{\"id\":1,\"code\":3,\"reply\":\"a\\nb\"}", false, 0, 0, NULL },
        { "[1,2]", false, 0, 0, NULL },
        { "", false, 0, 0, NULL },
    };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct verdict v = { .id = 0 };
        bool good = verdict_parse(str_from_c(rows[i].text), &a, &v) == NULL;
        if (good != rows[i].good || (good && (v.id != rows[i].id || v.code != rows[i].code ||
                                              !str_eq(v.reply, str_from_c(rows[i].reply)))))
            fail_msg("%s", rows[i].text);
    }
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, 1000);
    const struct macro macros[] = { { "FROM", { "\"a\nb\"@x", 7 } },
                                    { "RCPT", { "\xff", 1 } } };
    assert_int_equal(job_print(5, STR("t"), macros, 2, &out), RC_OK);
    assert_string_equal(out.p, "{\"id\":5,\"table\":\"t\",\"FROM\":\"\\\"a\\nb\\\"@x\","
                               "\"RCPT\":\"?\"}\n");
}

static void hooks(void **state)
{
    static const struct {
        const char *url, *host, *port, *path; /* host NULL: none */
        bool tls;
    } rows[] = {
        { "http://a.example", "a.example", "80", "/", false },
        { "HTTPS://a.example/x?y=z", "a.example", "443", "/x?y=z", true },
        { "http://127.0.0.1:8080/", "127.0.0.1", "8080", "/", false },
        { "http://[::1]:8080/", "::1", "8080", "/", false },
        { "https://[::1]/", "::1", "443", "/", true },
        { "http://", NULL, NULL, NULL, false },
        { "http:///x", NULL, NULL, NULL, false },
        { "http://u:p@h/", NULL, NULL, NULL, false },
        { "http://h:0/", NULL, NULL, NULL, false },
        { "http://h:x/", NULL, NULL, NULL, false },
        { "http://h/a b", NULL, NULL, NULL, false },
        { "http://h/\r\nX: y", NULL, NULL, NULL, false },
        { "http://h/#f", NULL, NULL, NULL, false },
        { "ftp://h/", NULL, NULL, NULL, false },
        { "", NULL, NULL, NULL, false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct hook_url u = { .tls = false };
        bool good = hook_url_parse(str_from_c(rows[i].url), &u) == NULL;
        if (good != (rows[i].host != NULL) ||
            (good && (u.tls != rows[i].tls || !str_eq(u.host, str_from_c(rows[i].host)) ||
                      !str_eq(u.port, str_from_c(rows[i].port)) ||
                      !str_eq(u.path, str_from_c(rows[i].path)))))
            fail_msg("%s", rows[i].url);
    }
}

static void commands(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        enum command_kind kind;
        bool waits;
        unsigned limit_s;
        int priority;
        size_t words;
    } rows[] = {
        { "\"external\"\t\"0\"\t\"5\"\t\"/bin/a\"\t\"@@FILE\"", true, COMMAND_EXTERNAL, true, 5,
          0, 2 },
        { "\"EXTERNAL\"\t\"-1\"\t\"0\"\t\"a\"", true, COMMAND_EXTERNAL, false, 3600, -1, 1 },
        { "\"filter\"\t\"+1\"\t\"0\"\t\"a\"", true, COMMAND_FILTER, true, 0, 1, 1 },
        { "\"filter\"\t\"2\"\t\"0\"\t\"a\"", false, COMMAND_FILTER, false, 0, 0, 0 },
        { "\"filter\"\t\"0\"\t\"soon\"\t\"a\"", false, COMMAND_FILTER, false, 0, 0, 0 },
        { "\"external\"\t\"0\"\t\"5\"", false, COMMAND_EXTERNAL, false, 0, 0, 0 },
        { "\"mailbox\"", true, COMMAND_MAILBOX, false, 0, 0, 0 },
        { "\"redirect\"\t\"a@b\"\t\"c\"", true, COMMAND_REDIRECT, false, 0, 0, 2 },
        { "\"redirect\"", false, COMMAND_REDIRECT, false, 0, 0, 0 },
        { "\"lredirect\"\t\"c\"", true, COMMAND_LREDIRECT, false, 0, 0, 1 },
        { "\"smtprelay\"\t\"#h:25,NeedTLS=1\"", true, COMMAND_SMTPRELAY, false, 0, 0, 1 },
        { "\"smtp\"", true, COMMAND_SMTP, false, 0, 0, 0 },
        { "\"messageid\"", true, COMMAND_MESSAGEID, false, 0, 0, 0 },
        { "\"copy\"", false, COMMAND_COPY, false, 0, 0, 0 },
        { "\"notice\"\t\"a@b\"", true, COMMAND_NOTICE, false, 0, 0, 1 },
        { "\"autoreply\"\t\"2026-08-01\"\t\"\"\t\"7\"\t\"s\"\t\"text\"", true,
          COMMAND_AUTOREPLY, false, 0, 0, 5 },
        { "\"autoreply\"\t\"2026-02-30\"\t\"\"\t\"7\"\t\"s\"\t\"text\"", false,
          COMMAND_AUTOREPLY, false, 0, 0, 0 },
        { "\"autoreply\"\t\"\"\t\"\"\t\"0\"\t\"s\"\t\"text\"", false, COMMAND_AUTOREPLY, false,
          0, 0, 0 },
        { "\"autoreply\"\t\"\"\t\"\"\t\"7\"\t\"s\"", false, COMMAND_AUTOREPLY, false, 0, 0, 0 },
        { "\"autoreply\"\t\"\"\t\"\"\t\"7\"\t\"s\"\t\"\xff\"", false, COMMAND_AUTOREPLY, false,
          0, 0, 0 },
        { "\"rm\"\t\"-rf\"", false, COMMAND_SMTP, false, 0, 0, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct tab tab;
        struct err e;
        struct proc_command c = { .waits = false };
        assert_int_equal(tab_read_str("t", str_from_c(rows[i].text), &a, &tab, &e), RC_OK);
        bool good = proc_command_parse(&tab.rows[0], &c) == NULL;
        if (good != rows[i].good ||
            (good &&
             (c.kind != rows[i].kind || c.waits != rows[i].waits ||
              c.program.limit_s != rows[i].limit_s || c.program.priority != rows[i].priority ||
              c.program.count != rows[i].words)))
            fail_msg("%s", rows[i].text);
    }
}

/* Only tables that hold programs are read: the sum doesn't matter for the others. */
static void places(void **state)
{
    (void)state;
    static const struct {
        const char *table;
        enum rc rc;
    } rows[] = {
        { "filters.pre-data.tab", RC_TEMP },
        { "filters/a/b.tab", RC_TEMP },
        { "domains/x.test/mailproc.tab", RC_TEMP },
        { "domains/x.test/amy/mailproc.tab", RC_TEMP },
        { "custdomains/.x.test.tab", RC_TEMP },
        { "cmdaliases/x.test/amy.tab", RC_TEMP },
        { "userauth/pop3/x.test.tab", RC_TEMP },
        { "userauth/pop3/.tab", RC_TEMP },
        { "smtpextauth.tab", RC_TEMP },
        { "userauth/pop3/a/b.tab", RC_PERM },
        { "userauth/pop3/../x.tab", RC_PERM },
        { "userauth/smtp/x.test.tab", RC_PERM },
        { "filters/../domains.tab", RC_PERM },
        { "filters/a/../b", RC_PERM },
        { "filters/", RC_PERM },
        { "filters", RC_PERM },
        { "/filters/a", RC_PERM },
        { "domains/x.test/amy/Maildir/mailproc.tab", RC_PERM },
        { "domains/../mailproc.tab", RC_PERM },
        { "domains/x.test/amy/Maildir/new/1.tab", RC_PERM },
        { "server.tab", RC_PERM },
        { "", RC_PERM },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct program_line l;
        struct err e;
        if (program_find(str_from_c(rows[i].table), 1, 1, &a, &l, &e) != rows[i].rc)
            fail_msg("%s: %s", rows[i].table, e.text);
    }
}

static void logins(void **state)
{
    (void)state;
    static const struct {
        const char *table, *text;
        const char *name, *challenge, *command; /* name NULL: refused */
    } rows[] = {
        { "userauth/pop3/.tab", "\"userauth\"\t\"a\"", "userauth", "", "a" },
        { "userauth/pop3/x.example.tab", "\"UserDel\"\t\"/a\"\t\"@@USER\"", "UserDel", "",
          "/a" },
        { "userauth/pop3/.tab", "\"userauth\"", NULL, NULL, NULL },
        { "userauth/pop3/.tab", "\"/bin/a\"\t\"b\"", NULL, NULL, NULL },
        { "smtpextauth.tab", "\"PLAIN\"\t\"/a\"\t\"/b\"", "PLAIN", "", "/a" },
        { "smtpextauth.tab", "\"PLAIN\"\t\"a\"\t\"$(USER)\"", "PLAIN", "", "a" },
        { "smtpextauth.tab", "\"RSA-AUTH\"\t\"base\"\t\"/a\"\t\"@@CHALL\"", "RSA-AUTH", "base",
          "/a" },
        { "smtpextauth.tab", "\"X\"\t\"c\"\t\"C:\\a.exe\"", "X", "c", "C:\\a.exe" },
        { "smtpextauth.tab", "\"PLAIN\"\t\"\"", NULL, NULL, NULL },
        { "smtpextauth.tab", "\"A B\"\t\"/a\"", NULL, NULL, NULL },
        { "smtpextauth.tab", "\"\"\t\"/a\"", NULL, NULL, NULL },
        { "smtpextauth.tab", "\"ABCDEFGHIJKLMNOPQRSTU\"\t\"/a\"", NULL, NULL, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct tab tab;
        struct err e;
        struct program_line l = { .count = 0 };
        assert_int_equal(tab_read_str("t", str_from_c(rows[i].text), &a, &tab, &e), RC_OK);
        bool good = program_parser(str_from_c(rows[i].table))(&tab.rows[0], &l) == NULL;
        if (good != (rows[i].name != NULL) ||
            (good && (!str_eq(l.name, str_from_c(rows[i].name)) || !l.is_login ||
                      !str_eq(l.challenge, str_from_c(rows[i].challenge)) ||
                      !str_eq(l.words[0], str_from_c(rows[i].command)))))
            fail_msg("%s: %s", rows[i].table, rows[i].text);
    }
}

static void used(void **state)
{
    (void)state;
    static const struct str words[] = {
        { "@@PASSWD", 8 }, { "@@USER", 6 }, { "a$(B)$(secrt)", 13 }, { "$(OPEN", 6 }
    };
    const struct program_line l = { .words = words, .count = ARRAY_LEN(words) };
    assert_true(macros_are_used(&l, STR("user")));
    assert_true(macros_are_used(&l, STR("SECRT")));
    assert_false(macros_are_used(&l, STR("PASSWD"))); /* the command */
    assert_false(macros_are_used(&l, STR("SEC")));
    assert_false(macros_are_used(&l, STR("OPEN")));
}

static void macros(void **state)
{
    (void)state;
    static const struct macro values[] = { { "FROM", { "a b;$(x)", 8 } },
                                           { "RCPT", { "", 0 } },
                                           { "FILE", { "-x", 2 } } };
    static const char *const rows[][2] = {
        { "@@FROM", "a b;$(x)" },
        { "@@from", "a b;$(x)" },
        { "@@NONE", "" },
        { "x@@FROM", "x@@FROM" },
        { "$(FROM)", "a b;$(x)" },
        { "[$(FILE)|$(FILE)]", "[-x|-x]" },
        { "$(NONE)y", "y" },
        { "$(FROM", "$(FROM" },
        { "$()", "" },
        { "", "" },
        { "$", "$" },
        { "$(RCPT)", "" },
    };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(
            macros_fill(str_from_c(rows[i][0]), values, ARRAY_LEN(values), &a).p, rows[i][1]);
    struct buf text AUTO_RELEASE_BUF;
    struct macro *back = NULL;
    struct err e;
    size_t count = 0;
    buf_init(&text, MACROS_MAX);
    assert_int_equal(macros_print(values, ARRAY_LEN(values), &text), RC_OK);
    assert_int_equal(macros_parse(buf_str(&text), &a, &back, &count, &e), RC_OK);
    assert_int_equal(count, 3);
    assert_string_equal(back[0].name, "FROM");
    assert_true(str_eq(back[0].value, values[0].value));
    assert_int_equal(macros_parse(STR("FROM=x"), &a, &back, &count, &e), RC_PERM);
    assert_int_equal(macros_parse(str_from("FROM\0", 5), &a, &back, &count, &e), RC_PERM);
    const struct macro nul = { "X", { "a\0b", 3 } };
    assert_int_equal(macros_print(&nul, 1, &text), RC_PERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(lines),  cmocka_unit_test(commands),
                                        cmocka_unit_test(places), cmocka_unit_test(logins),
                                        cmocka_unit_test(used),   cmocka_unit_test(macros),
                                        cmocka_unit_test(jobs),   cmocka_unit_test(hooks) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

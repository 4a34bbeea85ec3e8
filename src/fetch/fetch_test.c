/* fetch_test.c - rows of pop3links.tab, what a header says, message bodies, what is remembered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fetch/talk.h"
#include "spool/spool.h"
#include "sys/file.h"

/* --- links ------------------------------------------------------------------------------- */

static enum rc parse(const char *domain, const char *server, const char *options,
                     struct arena *a, struct fetch_link *l, struct err *e)
{
    const struct str values[] = { str_from_c(domain), STR("amy"),  str_from_c(server),
                                  STR("far"),         STR("1d08"), str_from_c(options) };
    return link_parse(values, ARRAY_LEN(values), a, l, e);
}

static void links(void **state)
{
    (void)state;
    static const struct {
        const char *domain, *server, *options;
        bool good;
        enum link_form form;
        const char *target, *host;
        unsigned port;
        enum link_login login;
        enum link_tls tls;
        bool leave;
    } rows[] = {
        { "x.test", "pop.y.test", "CLR", true, LINK_ACCOUNT, "x.test", "pop.y.test", 110,
          LOGIN_CLEAR, LINK_PLAIN, false },
        { "X.Test", "pop.y.test:1110", "", true, LINK_ACCOUNT, "x.test", "pop.y.test", 1110,
          LOGIN_CLEAR, LINK_PLAIN, false },
        { "@x.test", "[::1]:25", "APOP,STLS", true, LINK_ADDRESS, "x.test", "::1", 25,
          LOGIN_TRY_APOP, LINK_TRY_TLS, false },
        { "?x.test,a.test", "::1", "fapop, fstls ,LEAVE", true, LINK_MASK, "x.test", "::1", 110,
          LOGIN_MUST_APOP, LINK_MUST_TLS, true },
        { "&.local,a.test", "h", "POP3S,OutBind=127.0.0.1", true, LINK_SUFFIX, ".local", "h",
          995, LOGIN_CLEAR, LINK_IMPLICIT_TLS, false },
        { "?x.test", "h", "CLR", true, LINK_MASK, "x.test", "h", 110, LOGIN_CLEAR, LINK_PLAIN,
          false },
        { "&.local", "h", "CLR", false, LINK_ACCOUNT, "", "", 0, LOGIN_CLEAR, LINK_PLAIN,
          false },
        { "&local,a.test", "h", "CLR", false, LINK_ACCOUNT, "", "", 0, LOGIN_CLEAR, LINK_PLAIN,
          false },
        { "x.test,a.test", "h", "CLR", false, LINK_ACCOUNT, "", "", 0, LOGIN_CLEAR, LINK_PLAIN,
          false },
        { "x.test", "h:0", "CLR", false, LINK_ACCOUNT, "", "", 0, LOGIN_CLEAR, LINK_PLAIN,
          false },
        { "x.test", "h:70000", "CLR", false, LINK_ACCOUNT, "", "", 0, LOGIN_CLEAR, LINK_PLAIN,
          false },
        { "x.test", "../h", "CLR", false, LINK_ACCOUNT, "", "", 0, LOGIN_CLEAR, LINK_PLAIN,
          false },
        { "x.test", "", "CLR", false, LINK_ACCOUNT, "", "", 0, LOGIN_CLEAR, LINK_PLAIN, false },
        { "x.test", "h", "CLR,Left", false, LINK_ACCOUNT, "", "", 0, LOGIN_CLEAR, LINK_PLAIN,
          false },
        { "x.test", "h", "OutBind=h", false, LINK_ACCOUNT, "", "", 0, LOGIN_CLEAR, LINK_PLAIN,
          false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct fetch_link l = { .port = 0 };
        struct err e = { .text = "" };
        bool good = parse(rows[i].domain, rows[i].server, rows[i].options, &a, &l, &e) == RC_OK;
        if (good != rows[i].good)
            fail_msg("row %zu: %s", i, e.text);
        if (good &&
            (l.form != rows[i].form || !str_eq(l.target, str_from_c(rows[i].target)) ||
             !str_eq(l.host, str_from_c(rows[i].host)) || l.port != rows[i].port ||
             l.login != rows[i].login || l.tls != rows[i].tls || l.leave != rows[i].leave))
            fail_msg("row %zu is read as something else", i);
    }
}

static void bad_rows(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct fetch_link l;
    struct err e;
    const struct str good[] = { STR("x.test"), STR("amy"), STR("h"), STR("far"), STR("1d08") };
    assert_int_equal(link_parse(good, 5, &a, &l, &e), RC_OK);
    assert_true(str_eq(l.password, STR("xm")));
    assert_int_equal(link_parse(good, 4, &a, &l, &e), RC_PERM);
    const struct str bad[][5] = {
        { STR("x.test"), STR(""), STR("h"), STR("far"), STR("1d08") },
        { STR("x.test"), STR("amy"), STR("h"), STR("a/b"), STR("1d08") },
        { STR("x.test"), STR("amy"), STR("h"), STR(".."), STR("1d08") },
        { STR("x.test"), STR("amy"), STR("h"), STR("far"), STR("{SCRAM}") },
        { STR("x.test"), STR("amy"), STR("h"), STR("far"), STR("686f") }, /* CR LF */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(link_parse(bad[i], 5, &a, &l, &e), RC_PERM);
}

static void mapped(void **state)
{
    (void)state;
    static const struct {
        const char *domain, *address, *to;
    } rows[] = {
        { "?x.test,a.test,b.test", "Amy@A.test", "Amy@x.test" },
        { "?x.test,a.test,b.test", "amy@b.test", "amy@x.test" },
        { "?x.test,a.test,b.test", "amy@c.test", NULL },
        { "?x.test,a.test", "amy@sub.a.test", NULL },
        { "?x.test,*.a.test", "amy@sub.a.test", "amy@x.test" },
        { "?x.test", "amy@x.test", "amy@x.test" },
        { "?x.test", "amy@y.test", NULL },
        { "&.local,a.test,b.test", "amy@B.test", "amy@b.test.local" },
        { "&.local,a.test", "amy@b.test", NULL },
        { "&.local,a.test", "amy", NULL },
        { "&.local,a.test", "@a.test", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct fetch_link l;
        struct str to = STR("");
        struct err e;
        assert_int_equal(parse(rows[i].domain, "h", "CLR", &a, &l, &e), RC_OK);
        bool is = link_maps(&l, str_from_c(rows[i].address), &a, &to);
        if (is != (rows[i].to != NULL) || (is && !str_eq(to, str_from_c(rows[i].to))))
            fail_msg("row %zu: %.*s", i, STR_ARG(to));
    }
}

/* --- headers ----------------------------------------------------------------------------- */

static void headers(void **state)
{
    (void)state;
    static const struct {
        const char *header, *tags, *rcpts, *sender;
        unsigned received;
        bool loop;
    } rows[] = {
        { "From: A <a@f.test>\nTo: b@x.test,\n c@x.test\nCc: d@x.test\n", "To,Cc",
          "b@x.test c@x.test d@x.test", "a@f.test", 0, false },
        { "X-Deliver-To: e@x.test\nTo: b@x.test\n", "+X-Deliver-To,To,Cc", "e@x.test", "", 0,
          false },
        { "X-Deliver-To: (none)\nTo: b@x.test\n", "+X-Deliver-To,To,Cc", "b@x.test", "", 0,
          false },
        { "To: b@x.test\nTo: \"o, p\" <q@x.test>\n", "+To,Cc", "b@x.test q@x.test", "", 0,
          false },
        { "Return-Path: <>\nFrom: a@f.test\nReceived: x\nReceived: y\n", "To", "", "", 2,
          false },
        { "From: a@f.test\nReturn-Path: <r@f.test>\n", "To", "", "r@f.test", 0, false },
        { "From: not an address\n", "To", "", "", 0, false },
        { "Received: from h by x\n\twith POP3 (MARK)\n", "", "", "", 1, true },
        { "Subject: MARK\n", "", "", "", 0, false },
        { "", "+X-Deliver-To,To,Cc", "", "", 0, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct fetched_header h;
        struct buf rcpts AUTO_RELEASE_BUF;
        buf_init(&rcpts, 1000);
        fetch_read_header(str_from_c(rows[i].header), str_from_c(rows[i].tags), STR("MARK"), &a,
                          &h);
        for (size_t k = 0; k < h.rcpt_count; k++)
            buf_addf(&rcpts, "%s%.*s", k > 0 ? " " : "", STR_ARG(h.rcpts[k]));
        if (!str_eq(buf_str(&rcpts), str_from_c(rows[i].rcpts)) ||
            !str_eq(address_print(&h.sender, &a), str_from_c(rows[i].sender)) ||
            h.received != rows[i].received || h.is_loop != rows[i].loop)
            fail_msg("row %zu: %s", i, rcpts.p);
    }
}

/* --- bodies ------------------------------------------------------------------------------ */

static void bodies(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
        bool done;
    } rows[] = {
        { "a\r\n.\r\n", "a\n", true },
        { ".\r\n", "", true },
        { "a\r\n.\r\nrest", "a\n", true },
        { "..\r\n.\r\n", ".\n", true },
        { "..a\r\n.b\r\n.\r\n", ".a\nb\n", true },
        { "a\n.\nb\r\n.\r\n", "a\n.\nb\n", true },
        { "a\r\n.\nb\r\n.\r\n", "a\n.\nb\n", true },
        { "a\r.\r\n.\r\n", "a\n.\n", true },
        { "a\r\r\n.\r\n", "a\n\n", true },
        { "a\r\n.\rb\r\n.\r\n", "a\n\nb\n", true },
        { "a\n.\r\n", "a\n.\n", false },
        { "a\r\n", "a\n", false },
        { "a\r\n.", "a\n", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t piece = 1; piece < 4; piece++) {
            struct buf out AUTO_RELEASE_BUF;
            struct pop3_body b = { 0 };
            struct str in = str_from_c(rows[i].in);
            buf_init(&out, 1000);
            while (in.n > 0 && !b.done) {
                size_t used = 0;
                assert_int_equal(pop3_body_feed(&b, str_head(in, piece), &out, &used), RC_OK);
                in = str_skip(in, used);
            }
            if (b.done != rows[i].done || !str_eq(buf_str(&out), str_from_c(rows[i].out)))
                fail_msg("row %zu in pieces of %zu: [%s]", i, piece, out.p);
        }
}

/* --- what is remembered ------------------------------------------------------------------- */

#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define FOLDER "msgsync/h_110"
#define SEEN FOLDER "/far.seen"

static char root[] = "/tmp/hikyaku-fetch-XXXXXX";

static int setup(void **state)
{
    struct err e;
    (void)state;
    if (mkdtemp(root) == NULL || chdir(root) != 0 ||
        file_replace("server.tab", STR("\"RootDomain\"\t\"x.test\"\n"), 0600, &e) != RC_OK)
        return -1;
    return options_load(&e) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return chdir("/") == 0 && folder_remove(root, NULL) == RC_OK ? 0 : -1;
}

static void write_text(const char *path, const char *text)
{
    assert_int_equal(folder_make(FOLDER, 0700, NULL), RC_OK);
    assert_int_equal(file_replace(path, str_from_c(text), 0600, NULL), RC_OK);
}

static struct memory *open_memory(void)
{
    struct memory *m = NULL;
    struct err e;
    assert_int_equal(memory_open(STR(FOLDER), STR("far"), &m, &e), RC_OK);
    return m;
}

static void close_memory(struct memory *m)
{
    struct err e;
    assert_int_equal(memory_close(&m, &e), RC_OK);
}

static bool is_known(struct memory *m, const char *uidl, enum known_state state)
{
    const struct known *k = memory_find(m, str_from_c(uidl));
    return k != NULL && k->state == state;
}

static void remembered(void **state)
{
    (void)state;
    struct memory *m = open_memory();
    memory_intend(m, STR("u1"), STR(DIGEST_A), STR("12345678901234"));
    memory_note(m, STR("u1"), STR(DIGEST_A));
    memory_intend(m, STR("u2"), STR(DIGEST_B), STR("22345678901234"));
    close_memory(m);
    m = open_memory();
    assert_true(is_known(m, "u1", KNOWN_STORED) && is_known(m, "u2", KNOWN_INTENT));
    assert_null(memory_find_moved(m, STR(DIGEST_A)));
    memory_sweep(m, true); /* neither is listed */
    assert_true(is_known(m, "u1", KNOWN_GONE) && is_known(m, "u2", KNOWN_INTENT));
    close_memory(m);
    m = open_memory();
    assert_true(is_known(m, "u1", KNOWN_GONE));
    assert_non_null(memory_find_moved(m, STR(DIGEST_A)));
    memory_sweep(m, false);
    assert_null(memory_find(m, STR("u1")));
    close_memory(m);
    m = open_memory();
    assert_int_equal(memory_count(m), 1);
    close_memory(m);
    assert_int_equal(io_unlink(SEEN), 0);
}

static void torn(void **state)
{
    (void)state;
    struct err e;
    write_text(SEEN,
               "hikyaku fetched 1\n= u1 " DIGEST_A "\nrubbish\n= u3 short\n= u2 " DIGEST_B);
    struct memory *m = open_memory();
    assert_int_equal(memory_count(m), 1);
    assert_true(is_known(m, "u1", KNOWN_STORED));
    memory_note(m, STR("u4"), STR(DIGEST_B));
    close_memory(m);
    m = open_memory();
    assert_int_equal(memory_count(m), 2);
    close_memory(m);
    write_text(SEEN, "something else\n");
    assert_int_equal(memory_open(STR(FOLDER), STR("far"), &m, &e), RC_PERM);
    assert_int_equal(io_unlink(SEEN), 0);
}

static void of_xmail(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str text;
    struct err e;
    write_text(FOLDER "/far.uidb", "u1\r\nu2\n\n");
    struct memory *m = open_memory();
    assert_int_equal(memory_count(m), 2);
    memory_note(m, STR("u3"), STR(DIGEST_A));
    close_memory(m);
    write_text(FOLDER "/far.uidb", "u9\n"); /* ours counts now */
    m = open_memory();
    assert_int_equal(memory_count(m), 3);
    close_memory(m);
    memory_export();
    assert_false(file_exists(SEEN));
    assert_int_equal(file_read(FOLDER "/far.uidb", 1000, &a, &text, NULL, &e), RC_OK);
    assert_true(str_eq(text, STR("u1\nu2\nu3\n")));
    assert_int_equal(io_unlink(FOLDER "/far.uidb"), 0);
}

static void after_a_crash(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    enum rc rc = RC_OK;
    write_text(SEEN, "hikyaku fetched 1\n? u1 " DIGEST_A " 12345678901ab4\n"
                     "? u2 " DIGEST_B " 12345678901ab5\n"
                     "? u3 " DIGEST_B " domains/x.test/amy/1.F.hikyaku\n"
                     "? u4 " DIGEST_A " domains/x.test/amy/2.F.hikyaku\n");
    assert_int_equal(folder_make("queue/ab", 0700, NULL), RC_OK);
    assert_int_equal(folder_make("domains/x.test/amy/Maildir/new", 0700, NULL), RC_OK);
    assert_int_equal(file_replace("queue/ab/12345678901ab4", STR("x"), 0600, NULL), RC_OK);
    assert_int_equal(
        file_replace("domains/x.test/amy/Maildir/new/2.F.hikyaku,S=1", STR("x"), 0600, NULL),
        RC_OK);
    memory_settle();
    struct memory *m = open_memory();
    assert_true(is_known(m, "u1", KNOWN_STORED) && is_known(m, "u4", KNOWN_STORED));
    assert_true(is_known(m, "u2", KNOWN_INTENT) && is_known(m, "u3", KNOWN_INTENT));
    close_memory(m);
    /* The commit log knows of one whose line is missing. */
    struct str tag = memory_tag(STR(FOLDER), STR("far"), STR("u5"), STR(DIGEST_A), &a);
    assert_true(memory_take_tag(tag, &rc, &e));
    assert_int_equal(rc, RC_OK);
    m = open_memory();
    assert_true(is_known(m, "u5", KNOWN_STORED));
    close_memory(m);
    assert_false(memory_take_tag(STR("12345678901ab4 0"), &rc, &e));
    assert_int_equal(io_unlink(SEEN), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links),   cmocka_unit_test(bad_rows), cmocka_unit_test(mapped),
        cmocka_unit_test(headers), cmocka_unit_test(bodies),   cmocka_unit_test(remembered),
        cmocka_unit_test(torn),    cmocka_unit_test(of_xmail), cmocka_unit_test(after_a_crash),
    };
    return cmocka_run_group_tests_name("fetch", tests, setup, teardown);
}

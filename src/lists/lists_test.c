/* lists_test.c - the header that members get, and who may post. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lists/lists_int.h"
#include "users/test_root.h"

static struct list a_list(bool reply_to, struct str real_name)
{
    return (struct list){ .account = { .domain = STR("x.test"), .name = STR("team") },
                          .address = { .local = STR("team"), .domain = STR("x.test") },
                          .sender = { .is_null = true },
                          .options = { .use_reply_to = reply_to, .real_name = real_name } };
}

#define FRONT "Delivered-To: team@x.test\n"
#define ID "List-Id: <team.x.test>\nList-Post: <mailto:team@x.test>\n"

static void headers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in, *out;
        bool reply_to, loop;
    } rows[] = {
        { "nothing", "", FRONT ID, false, false },
        { "kept as it is", "From: a\nSubject: b\n c\n", FRONT "From: a\nSubject: b\n c\n" ID,
          false, false },
        { "reply-to replaced with its folds", "Reply-To: a,\n b\nSubject: x\nreply-TO : c\n",
          FRONT "Subject: x\nReply-To: team@x.test\n" ID, true, false },
        { "reply-to stays", "Reply-To: a,\n b\n", FRONT "Reply-To: a,\n b\n" ID, false, false },
        { "other lists' fields", "LIST-ID: <y>\nList-Unsubscribe: <z>,\n\t<w>\nX: 1\n",
          FRONT "X: 1\n" ID, false, false },
        { "own mark", "Delivered-To: TEAM@x.test\n", FRONT "Delivered-To: TEAM@x.test\n" ID,
          false, true },
        { "own mark, folded", "Delivered-To:\n team@x.test\n",
          FRONT "Delivered-To:\n team@x.test\n" ID, false, true },
        { "another's mark", "Delivered-To: team@y.test\n",
          FRONT "Delivered-To: team@y.test\n" ID, false, false },
        { "no line end", "Subject: x", FRONT "Subject: x\n" ID, false, false },
        { "a line that is no field", "From x\nSubject: y\n", FRONT "From x\nSubject: y\n" ID,
          false, false },
        { "a fold at the start", " odd\nList-Id: x\n", FRONT "odd\n" ID, false, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out AUTO_RELEASE_BUF;
        struct list l = a_list(rows[i].reply_to, STR("??"));
        bool loop = false;
        buf_init(&out, 4096);
        assert_int_equal(list_header(&l, str_from_c(rows[i].in), &out, &loop), RC_OK);
        if (!str_eq(buf_str(&out), str_from_c(rows[i].out)) || loop != rows[i].loop)
            fail_msg("%s: [%s] loop %d", rows[i].name, out.p, loop);
    }
}

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *real_name, *want;
    } rows[] = { { "The team", "List-Id: \"The team\" <team.x.test>\n" },
                 { "??", "List-Id: <team.x.test>\n" },
                 { "a \"b\"", "List-Id: <team.x.test>\n" },
                 { "a\nBcc: b", "List-Id: <team.x.test>\n" } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out AUTO_RELEASE_BUF;
        struct list l = a_list(false, str_from_c(rows[i].real_name));
        bool loop = false;
        buf_init(&out, 4096);
        assert_int_equal(list_header(&l, STR(""), &out, &loop), RC_OK);
        if (str_find_str(buf_str(&out), str_from_c(rows[i].want)) == SIZE_MAX)
            fail_msg("%s: [%s]", rows[i].real_name, out.p);
    }
    struct buf small AUTO_RELEASE_BUF;
    struct list l = a_list(false, STR(""));
    bool loop = false;
    buf_init(&small, 40);
    assert_int_equal(list_header(&l, STR("Subject: a rather long one\n"), &small, &loop),
                     RC_PERM);
}

/* --- rights ------------------------------------------------------------------------------ */

static void begin(void)
{
    struct err e;
    root_enter();
    root_put("server.tab", "\"RootDomain\"\t\"x.test\"\n\"LogLevel\"\t\"error\"\n");
    root_put("domains.tab", "\"x.test\"\n");
    root_put("mailusers.tab", "\"x.test\"\t\"amy\"\t\"\"\t1\t\"amy\"\t\"U\"\n"
                              "\"x.test\"\t\"bob\"\t\"\"\t2\t\"bob\"\t\"U\"\n"
                              "\"x.test\"\t\"team\"\t\"\"\t3\t\"team\"\t\"M\"\n");
    root_put("aliases.tab", "");
    root_put("aliasdomain.tab", "");
    root_folder("domains/x.test/team");
    root_put("domains/x.test/team/mlusers.tab", "\"amy@x.test\"\t\"RW\"\n"
                                                "nonsense\n\"no address\"\t\"RW\"\n"
                                                "\"<Bob@X.test>\"\t\"RA\"\n"
                                                "\"eve@far.test\"\t\"R\"\n"
                                                "\"old@far.test\"\n");
    assert_int_equal(options_load(&e), RC_OK);
    (void)root_index();
}

static void rights(void **state)
{
    (void)state;
    static const struct {
        const char *local, *domain, *login;
        bool closed;
        uint64_t moderation;
        enum list_post want;
    } rows[] = {
        { "amy", "x.test", "", true, 0, LIST_POST_YES },
        { "AMY", "X.TEST", "", true, 0, LIST_POST_YES },
        { "bob", "x.test", "", true, 0, LIST_POST_NO },
        { "bob", "x.test", "bob@x.test", true, 0, LIST_POST_YES },
        { "z", "far.test", "bob@x.test", true, 0, LIST_POST_YES },
        { "bob", "x.test", "amy@x.test", true, 0, LIST_POST_NO },
        { "eve", "far.test", "", true, 0, LIST_POST_NO },
        { "old", "far.test", "", true, 0, LIST_POST_YES },
        { "eve", "far.test", "", false, 0, LIST_POST_YES },
        { "eve", "far.test", "", false, 1, LIST_POST_YES },
        { "eve", "far.test", "", true, 1, LIST_POST_HELD },
        { "amy", "x.test", "", true, 2, LIST_POST_HELD },
        { "bob", "x.test", "", true, 2, LIST_POST_HELD },
        { "bob", "x.test", "bob@x.test", true, 2, LIST_POST_YES }, /* the moderator */
        { NULL, NULL, "", false, 0, LIST_POST_NO },
        { NULL, NULL, "bob@x.test", true, 2, LIST_POST_NO },
    };
    begin();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err e;
        struct list l = a_list(true, STR(""));
        enum list_post got = LIST_POST_NO;
        struct address from = { .local = str_from_c(rows[i].local),
                                .domain = str_from_c(rows[i].domain),
                                .is_null = rows[i].local == NULL };
        l.account.folder = STR("domains/x.test/team");
        l.options.closed_ml = rows[i].closed;
        l.options.list_moderation = rows[i].moderation;
        l.options.list_moderators = STR("nobody@far.test, <bob@x.test>");
        enum rc rc = list_may_post(&l, &from, str_from_c(rows[i].login), &got, &e);
        if (rc != RC_OK || got != rows[i].want)
            fail_msg("row %zu: rc %d, %d", i, (int)rc, (int)got);
    }
    root_leave();
}

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *local;
        bool is, approves;
    } rows[] = {
        { "team-ok-0123456789abcdef01234aabbccddeeff", true, true },
        { "Team-OK-0123456789ABCDEF01234AABBCCDDEEFF", true, true },
        { "team-no-0123456789abcdef01234aabbccddeeff", true, false },
        { "team-ok-0123456789abcdef01234aabbccddeef", false, false },
        { "team-ok-0123456789abcdef01234aabbccddeegg", false, false },
        { "team-ah-0123456789abcdef01234aabbccddeeff", false, false },
        { "amy-ok-0123456789abcdef01234aabbccddeeff", false, false },
        { "-ok-0123456789abcdef01234aabbccddeeff", false, false },
        { "ok-0123456789abcdef01234aabbccddeeff", false, false },
        { "team", false, false },
        { "-", false, false },
    };
    begin();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct list_decision d = { .approve = false };
        struct address to = { .local = str_from_c(rows[i].local), .domain = STR("x.test") };
        bool is = list_decision_parse(&to, &a, &d);
        if (is != rows[i].is || d.approve != rows[i].approves)
            fail_msg("%s", rows[i].local);
        if (is)
            assert_true(str_eq(d.id, STR("0123456789abcdef01234")) &&
                        str_eq(d.word, STR("aabbccddeeff")));
    }
    root_leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(names),
        cmocka_unit_test(rights),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

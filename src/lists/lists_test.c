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
        bool loop = list_header_loops(&l, str_from_c(rows[i].in));
        buf_init(&out, 4096);
        assert_int_equal(list_header(&l, str_from_c(rows[i].in), &out), RC_OK);
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
        buf_init(&out, 4096);
        assert_int_equal(list_header(&l, STR(""), &out), RC_OK);
        if (str_find_str(buf_str(&out), str_from_c(rows[i].want)) == SIZE_MAX)
            fail_msg("%s: [%s]", rows[i].real_name, out.p);
    }
    struct buf small AUTO_RELEASE_BUF;
    struct list l = a_list(false, STR(""));
    buf_init(&small, 40);
    assert_int_equal(list_header(&l, STR("Subject: a rather long one\n"), &small), RC_PERM);
}

/* ListTag with number 13. */
static const struct {
    const char *name, *tag, *in, *out;
} tag_rows[] = {
    { "put in front", "[t %d]", "Subject: x\n", "Subject: [t 13] x\n" },
    { "zeros", "[t:%05d]", "Subject: x\n", "Subject: [t:00013] x\n" },
    { "blanks", "[t:%5d]", "Subject: x\n", "Subject: [t:   13] x\n" },
    { "no number", "[t]", "Subject: [T] x\n", "Subject: [t] x\n" },
    { "a percent sign", "[5% %d %]", "Subject: x\n", "Subject: [5% 13 %] x\n" },
    { "no subject", "[t %d]", "", "Subject: [t 13]\n" },
    { "an empty one", "[t %d]", "Subject:\n", "Subject: [t 13]\n" },
    { "only the first field", "[t]", "Subject: x\nSubject: y\n",
      "Subject: [t] x\nSubject: y\n" },
    { "a reply", "[t %d]", "Subject: Re: [t 12] x\n", "Subject: [t 13] Re: x\n" },
    { "a reply to a reply", "[t %d]", "Subject: Re: [t 12] Re: x\n",
      "Subject: [t 13] Re: x\n" },
    { "marks of others", "[t %d]", "Subject: RE[3]: [t 12] AW: Fwd: x\n",
      "Subject: [t 13] RE[3]: Fwd: x\n" },
    { "twice", "[t %d]", "Subject: [t 9] Re: [t 12] x\n", "Subject: [t 13] Re: x\n" },
    { "behind another list's", "[t %d]", "Subject: [o 7] [t 12] x\n",
      "Subject: [t 13] [o 7] x\n" },
    { "not inside", "[t %d]", "Subject: about [t 12] x\n", "Subject: [t 13] about [t 12] x\n" },
    { "marks stay without a tag", "[t %d]", "Subject: Re: Re: x\n",
      "Subject: [t 13] Re: Re: x\n" },
    { "not the start of a word", "news", "Subject: newspaper\n", "Subject: news newspaper\n" },
    { "folded", "[t %d]", "Subject: Re: [t\n 12] x\n", "Subject: [t 13] Re: x\n" },
    { "words stay as they are", "[t %d]", "Subject: =?iso-2022-jp?Q?x?=\n",
      "Subject: [t 13] =?iso-2022-jp?Q?x?=\n" },
    { "unknown words stay", "[t %d]", "Subject: =?no-such?B?eA==?=\n",
      "Subject: [t 13] =?no-such?B?eA==?=\n" },
    { "inside an encoded word", "[t %d]", "Subject: =?utf-8?Q?Re:_[t_12]_=E6=97=A5?=\n",
      "Subject: [t 13] =?UTF-8?B?UmU6IOaXpQ==?=\n" },
    /* "Re: [t 12] " and a character of JIS, which comes back in JIS */
    { "in JIS", "[t %d]", "Subject: =?ISO-2022-JP?B?UmU6IFt0IDEyXSAbJEJGfBsoQg==?=\n",
      "Subject: [t 13] =?ISO-2022-JP?B?UmU6IBskQkZ8GyhC?=\n" },
    { "a tag of other letters", "[\xe6\x97\xa5 %d]", "Subject: x\n",
      "Subject: =?UTF-8?B?W+aXpSAxM10=?= x\n" },
    { "before words", "[\xe6\x97\xa5 %d]", "Subject: =?UTF-8?B?5pel?=\n",
      "Subject: =?UTF-8?B?W+aXpSAxM10g?= =?UTF-8?B?5pel?=\n" },
    { "of a reply in JIS", "[\xe6\x97\xa5 %d]",
      "Subject: =?ISO-2022-JP?B?UmU6IFsbJEJGfBsoQiAxMl0g?= "
      "=?ISO-2022-JP?B?GyRCRnwbKEI=?=\n",
      "Subject: =?ISO-2022-JP?B?WxskQkZ8GyhCIDEzXSBSZTogGyRCRnwbKEI=?=\n" },
    { "raw octets stay", "[t %d]", "Subject: \x93\xfa [t 12]\n",
      "Subject: [t 13] \x93\xfa [t 12]\n" },
    { "a long line is folded behind the tag", "[t %d]",
      "Subject: 345678901234567890123456789012345678901234567890123456789012345678901\n",
      "Subject: [t 13]\n "
      "345678901234567890123456789012345678901234567890123456789012345678901\n" },
};

static void tags(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(tag_rows); i++) {
        struct buf out AUTO_RELEASE_BUF;
        struct list l = a_list(false, STR(""));
        l.tag = str_from_c(tag_rows[i].tag);
        l.number = 13;
        buf_init(&out, 4096);
        assert_int_equal(list_header(&l, str_from_c(tag_rows[i].in), &out), RC_OK);
        struct str got = str_skip(buf_str(&out), strlen(FRONT));
        got = str_head(got, got.n - strlen(ID));
        if (!str_eq(got, str_from_c(tag_rows[i].out)))
            fail_msg("%s: [%.*s]", tag_rows[i].name, STR_ARG(got));
    }
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

/* Each post its own, each repetition the same; with many under way and none. */
static void numbers(void **state)
{
    (void)state;
    struct list l = a_list(false, STR(""));
    struct err e;
    uint64_t n = 0, again = 0;
    begin();
    l.account.folder = STR("domains/x.test/team");
    for (uint64_t i = 1; i <= 300; i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str id = arena_printf(&a, "%021" PRIx64, i);
        assert_int_equal(list_number(&l, id, 2, &n, &e), RC_OK);
        assert_int_equal(n, i);
        assert_int_equal(list_number(&l, id, 2, &again, &e), RC_OK);
        assert_int_equal(again, i);
    }
    struct str same = STR("00000000000000000012c");
    assert_int_equal(list_number(&l, same, 3, &n, &e), RC_OK);
    assert_int_equal(n, 301);
    root_put("domains/x.test/team/.posts", "1234\n");
    assert_int_equal(list_number(&l, same, 2, &n, &e), RC_OK);
    assert_int_equal(n, 1235);
    root_put("domains/x.test/team/.posts", "rubbish\n");
    assert_int_equal(list_number(&l, same, 2, &n, &e), RC_TEMP);
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
        cmocka_unit_test(headers), cmocka_unit_test(names),   cmocka_unit_test(tags),
        cmocka_unit_test(rights),  cmocka_unit_test(numbers), cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

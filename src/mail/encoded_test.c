/* encoded_test.c - base64 and encoded words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/encoded.h"

static void base64_is_rfc_4648s(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out AUTO_RELEASE_BUF;
        buf_init(&out, 1024);
        assert_int_equal(base64_print(str_from_c(rows[i][0]), &out), RC_OK);
        assert_string_equal(out.p, rows[i][1]);
    }
}

static void long_octets_become_lines(void **state)
{
    (void)state;
    char octets[58];
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, 1024);
    memset(octets, 'a', sizeof(octets));
    assert_int_equal(base64_print_lines(str_from(octets, sizeof(octets)), &out), RC_OK);
    assert_int_equal(str_find(buf_str(&out), '\n'), 76);
    assert_true(str_ends(buf_str(&out), STR("\nYQ==\n")));
}

static void words_keep_characters_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
    } rows[] = {
        { "plain words", " plain words" },
        { "a\nBcc: b", " a Bcc: b" },
        { "\xe6\x97\xa5", " =?UTF-8?B?5pel?=" },
        /* 46 octets: the last character begins at the 45th */
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa9",
          " =?UTF-8?B?YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=?=\n"
          " =?UTF-8?B?w6k=?=" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out AUTO_RELEASE_BUF;
        buf_init(&out, 1024);
        assert_int_equal(encoded_print(str_from_c(rows[i].text), &out), RC_OK);
        assert_string_equal(out.p, rows[i].printed);
    }
}

static void ascii_is_folded_at_blanks(void **state)
{
    (void)state;
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, 1024);
    assert_int_equal(buf_add_str(&out, STR("Received: x\nSubject:")), RC_OK);
    assert_int_equal(encoded_print(STR("1234567890 1234567890 1234567890 1234567890 1234567890 "
                                       "1234567890 1234567 x  =y"),
                                   &out),
                     RC_OK);
    assert_string_equal(out.p, "Received: x\nSubject: 1234567890 1234567890 1234567890 "
                               "1234567890 1234567890 1234567890\n 1234567 x  =y");
}

static void words_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: nobody can be sure */
        bool jis;
    } rows[] = {
        { "plain\n words ", "plain words", false },
        { "=?utf-8?Q?a_=E6=97=A5?=", "a \xe6\x97\xa5", false },
        { "=?utf-8*ja?b?5pel?= x", "\xe6\x97\xa5 x", false },
        { "a =?utf-8?B?5pel?=\n =?UTF-8?B?5pel?=\tb", "a \xe6\x97\xa5\xe6\x97\xa5 b", false },
        { "=?utf-8?B?5pc?= =?utf-8?B?pQ==?=", "\xe6\x97\xa5", false },
        { "=?ISO-2022-JP?B?GyRCRnwbKEI=?= =?utf-8?Q?x?=", "\xe6\x97\xa5x", true },
        { "=?Shift_JIS?B?k/o=?=", "\xe6\x97\xa5", false },
        { "=?EUC-JP?B?xvw=?=", "\xe6\x97\xa5", false },
        { "=?utf-8?B?5pel", "=?utf-8?B?5pel", false },
        { "\xe6\x97\xa5", "\xe6\x97\xa5", false },
        { "\x93\xfa", NULL, false },
        { "=?utf-8?B?k/o=?=", NULL, false },
        { "=?x-none?B?k/o=?=", NULL, false },
        { "=?utf-8?B?!!!?=", NULL, false },
        { "=?utf-8?B?Zm9vZ?=", NULL, false },
        { "=?utf-8?Q?=0A?=", NULL, false },
        { "=?utf-8?Q?=E?=", NULL, false },
        { "\x1b$BF|\x1b(B", NULL, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str out = STR("");
        bool jis = false, good = encoded_read(str_from_c(rows[i].in), &a, &out, &jis);
        if (good != (rows[i].out != NULL) ||
            (good && (!str_eq(out, str_from_c(rows[i].out)) || jis != rows[i].jis)))
            fail_msg("%s: %d [%.*s]", rows[i].in, good, STR_ARG(out));
    }
}

/* Long texts come back whole, in lines that RFC 2047 allows. */
static void words_read_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "=?utf-8?Q?x?= isn't a word",
        "日本語の長い件名は、何行かに分けて、文字の途中で切れないように送られます。abc "
        "と、混ざっていても同じです。",
        "ﾊﾝｶｸ と、ISO-2022-JP にない 🍣 の文字。",
    };
    for (size_t i = 0; i < 2 * ARRAY_LEN(texts); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct buf out AUTO_RELEASE_BUF;
        struct str text = str_from_c(texts[i / 2]), got, line;
        bool jis = false;
        buf_init(&out, 4096);
        assert_int_equal(buf_add_str(&out, STR("Subject:")), RC_OK);
        assert_int_equal(i % 2 == 0 ? encoded_print(text, &out) : encoded_print_jis(text, &out),
                         RC_OK);
        assert_true(encoded_read(str_skip(buf_str(&out), 8), &a, &got, &jis));
        assert_true(str_eq(got, text));
        assert_int_equal(jis, i == 1 || i == 3);
        for (struct str rest = buf_str(&out); rest.n > 0 && str_cut(&rest, '\n', &line);)
            assert_true(line.n <= 76);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_rfc_4648s),
        cmocka_unit_test(long_octets_become_lines),
        cmocka_unit_test(words_keep_characters_whole),
        cmocka_unit_test(ascii_is_folded_at_blanks),
        cmocka_unit_test(words_are_read),
        cmocka_unit_test(words_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

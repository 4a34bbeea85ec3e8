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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_rfc_4648s),
        cmocka_unit_test(long_octets_become_lines),
        cmocka_unit_test(words_keep_characters_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

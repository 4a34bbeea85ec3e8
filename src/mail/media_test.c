/* media_test.c - what a header says of its body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/media.h"

static void fields(void **state)
{
    (void)state;
    static const struct {
        const char *header, *type, *charset, *boundary; /* type NULL: not to be relied on */
        enum media_encoding encoding;
    } rows[] = {
        { "", "text/plain", "", "", MEDIA_7BIT },
        { "content-TYPE : Text/HTML;\n charset=\"utf-8\" ;\nContent-Transfer-Encoding: 8BIT\n",
          "Text/HTML", "utf-8", "", MEDIA_8BIT },
        { "Content-Type: multipart/mixed; boundary=\"a;\\\"=b\"; x=y\n", "multipart/mixed", "",
          "a;\"=b", MEDIA_7BIT },
        { "Content-Type: text/plain; charset = utf-8\n", "text/plain", "utf-8", "",
          MEDIA_7BIT },
        { "Content-Type: text/plain\nContent-Type: text/plain\n", NULL, "", "", 0 },
        { "Content-Type: text\n", NULL, "", "", 0 },
        { "Content-Type: text/plain charset=x\n", NULL, "", "", 0 },
        { "Content-Type: text/plain (a comment)\n", NULL, "", "", 0 },
        { "Content-Type: text/plain; charset=\n", NULL, "", "", 0 },
        { "Content-Type: text/plain; charset=\"x\n", NULL, "", "", 0 },
        { "Content-Type: text/plain; charset=\"x\" y\n", NULL, "", "", 0 },
        { "Content-Type: text/plain; charset=a; charset=b\n", NULL, "", "", 0 },
        { "Content-Type: multipart/mixed; boundary*0=a\n", NULL, "", "", 0 },
        { "Content-Transfer-Encoding: x-uue\n", NULL, "", "", 0 },
        { "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: 7bit\n", NULL, "", "",
          0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct media m;
        bool good = media_read(str_from_c(rows[i].header), &a, &m);
        if (good != (rows[i].type != NULL))
            fail_msg("row %zu: %d", i, good);
        if (!good)
            continue;
        struct str type = arena_printf(&a, "%.*s/%.*s", STR_ARG(m.type), STR_ARG(m.subtype));
        if (!str_eq(type, str_from_c(rows[i].type)) ||
            !str_eq(m.charset, str_from_c(rows[i].charset)) ||
            !str_eq(m.boundary, str_from_c(rows[i].boundary)) || m.encoding != rows[i].encoding)
            fail_msg("row %zu: %.*s %.*s %.*s", i, STR_ARG(type), STR_ARG(m.charset),
                     STR_ARG(m.boundary));
    }
}

static void what_is_shown(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct media m;
    assert_true(media_read(
        STR("Content-Type: text/plain; format=Flowed\nContent-Disposition: inline\n"), &a, &m));
    assert_true(m.is_flowed && !m.is_attached);
    assert_true(media_read(STR("Content-Disposition: attachment; filename=x\n"), &a, &m));
    assert_true(m.is_attached && !m.is_flowed);
    assert_true(media_is_field(STR("content-id")) && !media_is_field(STR("Contents")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(what_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* mbox_test.c - lines of mbox files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "import/import_int.h"

static void from_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *sender; /* NULL: none */
        int64_t time_s;
    } rows[] = {
        { "From amy@x Mon Nov 24 10:11:12 2025\n", "amy@x", 1763979072 },
        { "From amy@x Mon Nov 24 10:11:12 2025\r\n", "amy@x", 1763979072 },
        { "From amy@x  Mon Nov  4 10:11 2025", "amy@x", 1762251060 },
        { "From - Mon Nov 24 10:11:12 2025", "-", 1763979072 },
        { "From amy@x Mon Nov 24 10:11:12 +0900 2025", "amy@x", 1763946672 },
        { "From amy@x Mon Nov 24 10:11:12 2025 -0100", "amy@x", 1763982672 },
        { "From amy@x Mon Nov 24 10:11:12 JST 2025", "amy@x", 1763979072 },
        { "From \"a b\"@x Mon Nov 24 10:11:12 2025", "\"a", 1763979072 },
        { "From Mon Nov 24 10:11:12 2025", "", 1763979072 },
        { "From me to you", NULL, 0 },
        { "From amy@x", NULL, 0 },
        { "From ", NULL, 0 },
        { "From", NULL, 0 },
        { ">From amy@x Mon Nov 24 10:11:12 2025", NULL, 0 },
        { "From: amy@x Mon Nov 24 10:11:12 2025", NULL, 0 },
        { "From amy@x Mon Nov 24 25:11:12 2025", NULL, 0 },
        { "From amy@x Mon Nov 34 10:11:12 2025", NULL, 0 },
        { "From amy@x Mon Nox 24 10:11:12 2025", NULL, 0 },
        { "From amy@x Mon Nov 24 10:11:12 25", NULL, 0 },
        { "From a b c d e f g h i j k l m n o p q r s t", NULL, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str sender = STR("");
        usec_t time = 0;
        bool is = mbox_from_line(str_from_c(rows[i].line), &sender, &time);
        if (is != (rows[i].sender != NULL) ||
            (is &&
             (!str_eq(sender, str_from_c(rows[i].sender)) || time != rows[i].time_s * USEC_S)))
            fail_msg("%s: %d [%.*s] %lld", rows[i].line, is, STR_ARG(sender),
                     (long long)(time / USEC_S));
    }
}

static void quotes_and_flags(void **state)
{
    (void)state;
    char flags[8];
    assert_true(str_eq(mbox_unquote(STR(">From x")), STR("From x")));
    assert_true(str_eq(mbox_unquote(STR(">>From x")), STR(">From x")));
    assert_true(str_eq(mbox_unquote(STR("> From x")), STR("> From x")));
    assert_true(str_eq(mbox_unquote(STR(">")), STR(">")));
    assert_true(str_eq(mbox_unquote(STR("From x")), STR("From x")));
    assert_true(mbox_flags(STR("RO"), STR("ADFT"), flags));
    assert_string_equal(flags, "DFRST");
    assert_true(mbox_flags(STR("O"), STR(""), flags));
    assert_string_equal(flags, "");
    assert_false(mbox_flags(STR(""), STR(""), flags));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_lines),
        cmocka_unit_test(quotes_and_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

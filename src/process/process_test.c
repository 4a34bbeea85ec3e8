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
    const struct CMUnitTest tests[] = { cmocka_unit_test(lines), cmocka_unit_test(macros) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

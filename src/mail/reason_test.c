/* reason_test.c - reasons as text and back, and the status in a reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/reason.h"

static void there_and_back(void **state)
{
    static const char *const rows[][4] = {
        { "5.1.1", "mx.far.test[192.0.2.1]", "550 5.1.1 unknown",
          "5.1.1 mx.far.test[192.0.2.1] 550 5.1.1 unknown" },
        { "4.4.1", "", "no server could be reached", "4.4.1 - no server could be reached" },
        { "2.0.0", "", "", "2.0.0 -" },
        { "4.0.0", "h", "a\r\nb\tc", "4.0.0 h a  b c" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        const struct reason r = { str_from_c(rows[i][0]), str_from_c(rows[i][1]),
                                  str_from_c(rows[i][2]) };
        struct str line = reason_print(&r, &a);
        assert_string_equal(arena_c(&a, line), rows[i][3]);
        struct reason back = reason_parse(line, "9.9.9");
        assert_string_equal(arena_c(&a, back.status), rows[i][0]);
        assert_string_equal(arena_c(&a, back.host), rows[i][1]);
        if (i != 3)
            assert_string_equal(arena_c(&a, back.text), rows[i][2]);
    }
}

static void text_of_another_form(void **state)
{
    static const char *const rows[] = { "",         "hello",     "5.1 x y",   "5.1.1",
                                        "5..1 x y", "6.1.1 x y", "5.1.1. x y" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct reason r = reason_parse(str_from_c(rows[i]), "4.0.0");
        assert_string_equal(arena_c(&a, r.status), "4.0.0");
        assert_string_equal(arena_c(&a, r.text), rows[i]);
    }
}

static void length_is_bounded(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    char *text = arena_new(&a, 5000);
    (void)state;
    memset(text, 'x', 4999);
    const struct reason r = { STR("5.0.0"), STR("h"), str_from_c(text) };
    assert_int_equal(reason_print(&r, &a).n, REASON_MAX);
}

static void status_of_replies(void **state)
{
    static const struct {
        unsigned code;
        const char *text, *status;
    } rows[] = {
        { 550, "550 5.1.1 no", "5.1.1" },   { 550, "550 no", "5.0.0" },
        { 550, "550 4.1.1 lies", "5.0.0" }, { 451, "451 4.7.1 grey", "4.7.1" },
        { 421, "421 bye", "4.0.0" },        { 250, "250 2.6.0 ok", "2.6.0" },
        { 250, "250 ok", "2.0.0" },         { 354, "354 go", "4.0.0" },
        { 550, "550 see 5.1.1", "5.0.0" },  { 550, "550", "5.0.0" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str s = reason_status(rows[i].code, str_from_c(rows[i].text));
        assert_string_equal(arena_c(&a, s), rows[i].status);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(text_of_another_form),
        cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(status_of_replies),
    };
    return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}

/* Differences: told, applied, for texts of all kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "history/history_int.h"

static struct str text_of(unsigned bits, struct arena *a)
{
    struct str s = STR("");
    /* Few lines, often repeated, some missing, the last one open now and then. */
    for (unsigned i = 0; i < 6; i++)
        if ((bits >> (2 * i) & 3) != 0)
            s = arena_printf(a, "%.*s%u\n", STR_ARG(s), bits >> (2 * i) & 3);
    return str_head(s, s.n - ((bits & 4096) != 0 && s.n > 0 ? 1 : 0));
}

static void check(struct str before, struct str after)
{
    struct buf hunks AUTO_RELEASE_BUF, text AUTO_RELEASE_BUF;
    buf_init(&hunks, 1 << 20);
    buf_init(&text, 1 << 20);
    assert_int_equal(diff_texts(before, after, &hunks), RC_OK);
    assert_int_equal(buf_add_str(&text, before), RC_OK);
    assert_true(hunks_apply(buf_str(&hunks), &text));
    assert_true(str_eq(buf_str(&text), after));
    assert_int_equal(hunks.n == 0, str_eq(before, after));
}

static void test_there_and_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8192; i += 5)
        for (unsigned k = 0; k < 8192; k += 97) {
            struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
            check(text_of(i, &a), text_of(k, &a));
        }
}

static void test_hunks(void **state)
{
    (void)state;
    struct buf hunks AUTO_RELEASE_BUF;
    struct hunk h;
    buf_init(&hunks, 1 << 20);
    assert_int_equal(diff_texts(STR("a\nb\nc\nd\ne\n"), STR("a\nB\nc\nd\ne\nf\n"), &hunks),
                     RC_OK);
    struct str rest = buf_str(&hunks);
    assert_true(history_hunk_next(&rest, &h));
    assert_true(h.at == 2 && h.line == 2 && str_eq(h.removed, STR("b\n")) &&
                str_eq(h.added, STR("B\n")));
    assert_true(history_hunk_next(&rest, &h));
    assert_true(h.at == 10 && h.line == 6 && h.removed.n == 0 && str_eq(h.added, STR("f\n")));
    assert_false(history_hunk_next(&rest, &h));
}

static void test_of_another_text(void **state)
{
    (void)state;
    struct buf text AUTO_RELEASE_BUF;
    static const char *const bad[] = { "0 1 2 0\nb\n", "9 1 0 2\nb\n", "0 1 9 9\nb\n", "x",
                                       "0 1 2\nb\n",   "-1 1 0 2\nb\n" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        buf_init(&text, 1 << 20);
        assert_int_equal(buf_add_str(&text, STR("a\n")), RC_OK);
        assert_false(hunks_apply(str_from_c(bad[i]), &text));
        assert_true(str_eq(buf_str(&text), STR("a\n")));
        buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_hunks),
        cmocka_unit_test(test_of_another_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

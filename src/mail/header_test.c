/* header_test.c - addresses of lists of mailboxes, the end of a header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/header.h"

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *list, *out; /* a blank behind each address */
    } rows[] = {
        { "", "" },
        { "a@b", "a@b " },
        { " a@b ,c@d", "a@b c@d " },
        { "A <a@b>, \"x, y\" <c@d>", "a@b c@d " },
        { "a@b (one, two), (x) c@d", "a@b c@d " },
        { "a@b (one (deep) \\) still), c@d", "a@b c@d " },
        { "friends: a@b, c@d;, e@f", "a@b c@d e@f " },
        { "nobody:;", "" },
        { "\"q\\\"uote\"@d", "\"q\\\"uote\"@d " },
        { "<a@b> rest, c@d", "a@b c@d " },
        { "a@b\n c@d", "a@b c@d " },
        { "<a@b", "a@b " },
        { ",,;a@b", "a@b " },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct buf out AUTO_RELEASE_BUF;
        struct str list = str_from_c(rows[i].list), text;
        buf_init(&out, 1000);
        while (header_next_address(&list, &a, &text))
            buf_addf(&out, "%.*s ", STR_ARG(text));
        if (!str_eq(buf_str(&out), str_from_c(rows[i].out)))
            fail_msg("row %zu: [%s]", i, out.p);
    }
}

/* A list of one endless word gives one text of a bounded length, which is no address. */
static void endless(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    size_t n = 100000;
    char *p = arena_new(&a, n);
    struct str list = str_from(p, n), text;
    memset(p, 'x', n);
    assert_true(header_next_address(&list, &a, &text));
    assert_int_equal(text.n, 1024);
    assert_false(header_next_address(&list, &a, &text));
}

static void ends(void **state)
{
    (void)state;
    assert_int_equal(header_end(STR("a: b\n\nc")), 5);
    assert_int_equal(header_end(STR("\nc\n\n")), 0);
    assert_int_equal(header_end(STR("a: b\n")), 5);
    assert_int_equal(header_end(STR("")), 0);
    assert_true(str_eq(header_value(STR("a:  b\n c \n")), STR("b\n c")));
    assert_true(str_eq(header_value(STR("no field\n")), STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(addresses), cmocka_unit_test(endless),
                                        cmocka_unit_test(ends) };
    return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}

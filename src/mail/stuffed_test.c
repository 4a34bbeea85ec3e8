/* stuffed_test.c - doubled dots and line ends, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/data.h"
#include "mail/stuffed.h"

static void there(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "", "" },
        { "a\n\nb\n", "a\r\n\r\nb\r\n" },
        { ".\n..\na.\n.b\n", "..\r\n...\r\na.\r\n..b\r\n" },
        { "a\n.", "a\r\n..\r\n" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t step = 1; step < 4; step++) {
            struct buf out AUTO_RELEASE_BUF;
            struct str in = str_from_c(rows[i].text);
            struct stuffing s = { .in_line = false };
            buf_init(&out, 1000);
            for (size_t at = 0; at < in.n; at += step)
                assert_int_equal(stuff_feed(&s, str_head(str_skip(in, at), step), &out), RC_OK);
            assert_int_equal(stuff_end(&s, &out), RC_OK);
            assert_string_equal(out.p, rows[i].expected);
        }
}

static void back(void **state)
{
    static const struct {
        const char *name, *text, *expected;
        bool plain, bare_cr, lone_dot;
    } rows[] = {
        { "CRLF", "a\r\n\r\nb\r\n", "a\n\nb\n", false, false, false },
        { "mixed", "a\nb\r\nc\rd", "a\nb\nc\nd\n", false, true, false },
        { "CR at the end", "a\r", "a\n", false, true, false },
        { "stuffed", "..x\r\n..\r\na..\r\n", ".x\n.\na..\n", false, false, false },
        { "not stuffed", ".x\r\n..y\r\n", ".x\n..y\n", true, false, false },
        { "a lone dot", "a\r\n.\r\nb", "a\n.\nb\n", true, false, false },
        { "empty", "", "", false, false, false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out AUTO_RELEASE_BUF;
        struct str in = str_from_c(rows[i].text);
        struct dots dots = { .plain = false };
        buf_init(&out, 1000);
        dots_feed(&dots, in);
        struct unstuffing u = { .dotted = !dots.plain };
        assert_int_equal(unstuff_feed(&u, in, &out), RC_OK);
        assert_int_equal(unstuff_end(&u, &out), RC_OK);
        if (dots.plain != rows[i].plain || u.bare_cr != rows[i].bare_cr ||
            u.lone_dot != rows[i].lone_dot ||
            !str_eq(buf_str(&out), str_from_c(rows[i].expected)))
            fail_msg("%s: %s", rows[i].name, out.p);
        assert_int_equal(u.wire_octets, data_wire_octets(buf_str(&out)));
    }
}

/* What was seen of text whose dots must be doubled. */
static void seen(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        bool bare_cr, nul, lone_dot, in_line;
    } rows[] = {
        { "a\r\n", 3, false, false, false, false },
        { "a\n", 2, false, false, false, false },
        { "a\r\n.\r\n", 6, false, false, true, false },
        { ".\n", 2, false, false, true, false },
        { "..\r\n", 4, false, false, false, false },
        { ".x\r\n", 4, false, false, false, false },
        { "a\rb\r\n", 5, true, false, false, false },
        { "a\r\r\n", 4, true, false, false, false },
        { "a\0b\n", 4, false, true, false, false },
        { "a", 1, false, false, false, true },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t step = 1; step < 4; step++) {
            struct buf out AUTO_RELEASE_BUF;
            struct str in = str_from(rows[i].text, rows[i].n);
            struct unstuffing u = { .dotted = true };
            buf_init(&out, 1000);
            for (size_t at = 0; at < in.n; at += step)
                assert_int_equal(unstuff_feed(&u, str_head(str_skip(in, at), step), &out),
                                 RC_OK);
            if (u.bare_cr != rows[i].bare_cr || u.nul != rows[i].nul ||
                u.lone_dot != rows[i].lone_dot || u.in_line != rows[i].in_line)
                fail_msg("row %zu", i);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(there), cmocka_unit_test(back),
                                        cmocka_unit_test(seen) };
    return cmocka_run_group_tests_name("mail/stuffed", tests, NULL, NULL);
}

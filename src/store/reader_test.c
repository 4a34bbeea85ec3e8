/* reader_test.c - what POP3 sends for each kind of file, cut in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store_int.h"

#define ALL SIZE_MAX
/* A literal with its NULs. */
#define LIT(s)                                                                                 \
    {                                                                                          \
        s, sizeof(s) - 1                                                                       \
    }

static const struct {
    const char *name;
    struct str file;
    bool stuffed;
    size_t body_lines;
    struct str sent; /* without the last line */
    uint64_t wire;
} rows[] = {
    { "empty", LIT(""), false, ALL, LIT(""), 0 },
    { "lf", LIT("a: b\n\nbody\n"), false, ALL, LIT("a: b\r\n\r\nbody\r\n"), 14 },
    { "crlf", LIT("a: b\r\n\r\nbody\r\n"), false, ALL, LIT("a: b\r\n\r\nbody\r\n"), 14 },
    { "mixed", LIT("a: b\nc: d\r\n\nx\r\ny\n"), false, ALL,
      LIT("a: b\r\nc: d\r\n\r\nx\r\ny\r\n"), 20 },
    { "no last line end", LIT("a\n\nb"), false, ALL, LIT("a\r\n\r\nb\r\n"), 8 },
    { "cr at the end", LIT("a\n\nb\r"), false, ALL, LIT("a\r\n\r\nb\r\n"), 8 },
    { "only cr", LIT("\r"), false, ALL, LIT("\r\n"), 2 },
    { "cr cr lf", LIT("a\r\r\nb\n"), false, ALL, LIT("a\r\r\nb\r\n"), 7 },
    { "bare cr", LIT("a\rb\n"), false, ALL, LIT("a\rb\r\n"), 5 },
    { "nul", LIT("a\0b\n"), false, ALL, LIT("a\0b\r\n"), 5 },
    { "dots", LIT(".\n..\n.x\nx.\n"), false, ALL, LIT("..\r\n...\r\n..x\r\nx.\r\n"), 15 },
    { "dot crlf", LIT(".\r\n.\r\n"), false, ALL, LIT("..\r\n..\r\n"), 6 },
    { "dot at the end", LIT("a\n."), false, ALL, LIT("a\r\n..\r\n"), 6 },
    { "dot cr at the end", LIT("a\n.\r"), false, ALL, LIT("a\r\n..\r\n"), 6 },
    { "dot after bare cr", LIT("a\r.\n"), false, ALL, LIT("a\r.\r\n"), 5 },
    { "xmail stuffed", LIT("a\n..x\n...\nb\r\n"), true, ALL, LIT("a\r\n..x\r\n...\r\nb\r\n"),
      14 },
    { "xmail lone dot", LIT("a\n.\nb\n"), true, ALL, LIT("a\r\n..\r\nb\r\n"), 9 },
    { "xmail lone dot crlf", LIT("a\n.\r\nb\n"), true, ALL, LIT("a\r\n..\r\nb\r\n"), 9 },
    { "xmail lone dot at the end", LIT("a\n."), true, ALL, LIT("a\r\n..\r\n"), 6 },
    { "xmail lone dot cr at the end", LIT("a\n.\r"), true, ALL, LIT("a\r\n..\r\n"), 6 },
    { "xmail dot cr text", LIT(".\rx\n"), true, ALL, LIT(".\rx\r\n"), 4 },
    { "top 0", LIT("a: b\n\nx\ny\n"), false, 0, LIT("a: b\r\n\r\n"), 8 },
    { "top 1", LIT("a: b\n\nx\ny\n"), false, 1, LIT("a: b\r\n\r\nx\r\n"), 11 },
    { "top 2", LIT("a: b\n\nx\ny\n"), false, 2, LIT("a: b\r\n\r\nx\r\ny\r\n"), 14 },
    { "top 9", LIT("a: b\n\nx\ny"), false, 9, LIT("a: b\r\n\r\nx\r\ny\r\n"), 14 },
    { "top counts blank lines", LIT("a\n\n\n\nx\n"), false, 2, LIT("a\r\n\r\n\r\n\r\n"), 9 },
    { "top without body", LIT("a: b\nc: d\n"), false, 1, LIT("a: b\r\nc: d\r\n"), 12 },
    { "top dots", LIT("a\n\n.\n.\n"), false, 1, LIT("a\r\n\r\n..\r\n"), 8 },
    { "body only", LIT("\nx\n"), false, 1, LIT("\r\nx\r\n"), 5 },
};

/* Feeds the file as a reader does: up to `most` octets, what wasn't used comes again. */
static uint64_t run(size_t row, size_t most, struct buf *out)
{
    struct transfer t;
    size_t at = 0;
    struct str file = rows[row].file;
    transfer_init(&t, rows[row].stuffed, rows[row].body_lines);
    for (unsigned guard = 0; !t.done; guard++) {
        size_t used = 0;
        struct str piece = str_head(str_skip(file, at), most);
        if (piece.p == NULL)
            piece.p = "";
        bool eof = at + piece.n >= file.n;
        assert_int_equal(transfer_feed(&t, piece, eof, out, &used), RC_OK);
        assert_true(used > 0 || t.done);
        assert_true(guard < 1000);
        at += used;
    }
    return t.wire_octets;
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t most = 3; most <= 40; most++) {
            struct buf out AUTO_RELEASE_BUF;
            buf_init(&out, 4096);
            uint64_t wire = run(i, most, &out);
            struct str got = buf_str(&out);
            if (!str_ends(got, STR(".\r\n")) ||
                !str_eq(str_head(got, got.n - 3), rows[i].sent) || wire != rows[i].wire)
                fail_msg("%s, pieces of %zu: %zu octets, wire %llu", rows[i].name, most, got.n,
                         (unsigned long long)wire);
        }
    }
}

static void test_long_line(void **state)
{
    struct buf out AUTO_RELEASE_BUF;
    struct transfer t;
    static char line[100000];
    size_t used = 0;
    (void)state;
    memset(line, '.', sizeof(line));
    buf_init(&out, BUF_MAX_DEFAULT);
    transfer_init(&t, false, SIZE_MAX);
    assert_int_equal(transfer_feed(&t, str_from(line, sizeof(line)), false, &out, &used), 0);
    assert_int_equal(used, sizeof(line));
    assert_int_equal(transfer_feed(&t, str_from(line, sizeof(line)), true, &out, &used), 0);
    assert_true(t.done);
    assert_int_equal(t.wire_octets, 2 * sizeof(line) + 2);
    assert_int_equal(out.n, 2 * sizeof(line) + 2 + 1 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

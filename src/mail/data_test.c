/*
 * data_test.c - messages as they come in: what is stored, what is refused, what is noticed.
 * Every row is fed whole, in pieces of one octet, and cut at every one and every two places:
 * the result must always be the same.
 */
#include "mail/data.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum seen {
    DATE = 1u << 0,
    ID = 1u << 1,
    FROM = 1u << 2,
    LOOP = 1u << 3,
    HIGH = 1u << 4,
    BYTES = 1u << 5, /* refused: bad_bytes */
    LINE = 1u << 6,
    LARGE = 1u << 7,
    OPEN = 1u << 8, /* not complete: DATA_DOTS without its end */
};

struct row {
    const char *name;
    enum data_mode mode;
    struct str in;
    const char *out;  /* "|": where on_header_end was called; NULL: refused */
    const char *rest; /* what is left unused behind the end */
    unsigned seen, received;
    uint64_t limit;
};

#define D DATA_DOTS
#define B DATA_BDAT
#define END "\r\n.\r\n"

/* A slice in a static table. */
#define IN(lit)                                                                                \
    {                                                                                          \
        "" lit, sizeof(lit) - 1                                                                \
    }

/* clang-format off */
static const struct row rows[] = {
    { "plain",                  D, IN("A: b\r\n\r\nhello" END), "A: b\n|\nhello\n", "", 0, 0, 0 },
    { "pipelined behind",       D, IN("\r\nx" END "QUIT\r\n"), "|\nx\n", "QUIT\r\n", 0, 0, 0 },
    { "empty message",          D, IN(".\r\n"), "|", "", 0, 0, 0 },
    { "header only",            D, IN("A: b" END), "A: b\n|", "", 0, 0, 0 },
    { "blank line only",        D, IN("\r\n.\r\n"), "|\n", "", 0, 0, 0 },
    { "dots unstuffed",         D, IN("\r\n..\r\n...\r\n..x\r\n.y" END), "|\n.\n..\n.x\ny\n", "", 0, 0, 0 },
    { "dots kept inside",       D, IN("\r\na.\r\n a." END), "|\na.\n a.\n", "", 0, 0, 0 },
    { "stuffed field",          D, IN(".Received: x\r\n" END), "Received: x\n|\n", "", 0, 1, 0 },
    { "dot and LF",             D, IN("\r\nx\r\n.\nQUIT\r\n" ".\r\n"), NULL, "", BYTES, 0, 0 },
    { "LF dot LF",              D, IN("\r\nx\n.\nMAIL\r\n.\r\n"), NULL, "", BYTES, 0, 0 },
    { "LF dot CRLF",            D, IN("\r\nx\n.\r\ny" END), NULL, "", BYTES, 0, 0 },
    { "CR dot CR",              D, IN("\r\nx\r.\ry" END), NULL, "", BYTES, 0, 0 },
    { "CR dot CRLF",            D, IN("\r\nx\r.\r\ny" END), NULL, "", BYTES, 0, 0 },
    { "CRLF dot CR",            D, IN("\r\nx\r\n.\ry" END), NULL, "", BYTES, 0, 0 },
    { "CRLF dot CR CRLF",       D, IN("\r\nx\r\n.\r\r\n" ".\r\n"), NULL, "", BYTES, 0, 0 },
    { "CR CRLF",                D, IN("\r\nx\r\r\ny" END), NULL, "", BYTES, 0, 0 },
    { "dot NUL CRLF",           D, IN("\r\n.\0\r\nx" END), NULL, "", BYTES, 0, 0 },
    { "NUL in the header",      D, IN("A:\0b\r\n\r\nx" END), NULL, "", BYTES, 0, 0 },
    { "bare LF in the header",  D, IN("A: b\nB: c\r\n\r\nx" END), NULL, "", BYTES, 0, 0 },
    { "bare LF first",          D, IN("\nA: b" END), NULL, "", BYTES, 0, 0 },
    { "bare CR first",          D, IN("\rA: b" END), NULL, "", BYTES, 0, 0 },
    { "no end",                 D, IN("A: b\r\n\r\nx\r\n."), NULL, "", OPEN, 0, 0 },
    { "no end after CR",        D, IN("A: b\r\n\r\nx\r\n.\r"), NULL, "", OPEN, 0, 0 },

    { "fields noticed",         D, IN("DATE: x\r\nmessage-id : y\r\nFrom\t: z\r\n" END),
      "DATE: x\nmessage-id : y\nFrom\t: z\n|\n", "", DATE | ID | FROM, 0, 0 },
    { "Received counted",       D, IN("Received: a\r\nRECEIVED:b\r\n Received: c\r\nReceivedX: d\r\n" END),
      "Received: a\nRECEIVED:b\n Received: c\nReceivedX: d\n|\n", "", 0, 2, 0 },
    { "fields in the body",     D, IN("A: b\r\n\r\nDate: x\r\nReceived: y" END), "A: b\n|\nDate: x\nReceived: y\n", "", 0, 0, 0 },
    { "folded fields",          D, IN("A: b\r\n Date: x\r\n\tFrom: y\r\n" END), "A: b\n Date: x\n\tFrom: y\n|\n", "", 0, 0, 0 },
    { "body without blank",     D, IN("A: b\r\nhello world\r\nDate: x" END), "A: b\n|hello world\nDate: x\n", "", 0, 0, 0 },
    { "word without blank",     D, IN("A: b\r\nhello\r\nDate: x" END), "A: b\n|hello\nDate: x\n", "", 0, 0, 0 },
    { "body at once",           D, IN("hello\r\nworld" END), "|hello\nworld\n", "", 0, 0, 0 },
    { "colon first",            D, IN(": x\r\nDate: y" END), "|: x\nDate: y\n", "", 0, 0, 0 },
    { "first line is blank",    D, IN(" x: y\r\nDate: z" END), "|\n x: y\nDate: z\n", "", 0, 0, 0 },
    { "first line is TAB",      D, IN("\t\r\n" END), "|\n\t\n\n", "", 0, 0, 0 },
    { "not ASCII at once",      D, IN("\xe6\x97\xa5: y" END), "|\xe6\x97\xa5: y\n", "", HIGH, 0, 0 },
    { "mbox line",              D, IN("From a@b Mon\r\nDate: x" END), "|From a@b Mon\nDate: x\n", "", 0, 0, 0 },
    { "8 bit in the body",      D, IN("\r\nx\xe9y" END), "|\nx\xe9y\n", "", HIGH, 0, 0 },
    { "8 bit in the header",    D, IN("A: \xe9\r\n" END), "A: \xe9\n|\n", "", HIGH, 0, 0 },
    { "8 bit behind the end",   D, IN("\r\nx" END "\xe9"), "|\nx\n", "\xe9", 0, 0, 0 },
    { "long field name",        D, IN("A123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890: b\r\nDate: x\r\n" END),
      "A123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890: b\nDate: x\n|\n", "", DATE, 0, 0 },
    { "long blank name",        D, IN("A                                                                                                : b\r\n" END),
      "|A                                                                                                : b\n\n", "", 0, 0, 0 },

    { "loop",                   D, IN("delivered-TO:  Amy@X.test \r\n" END), "delivered-TO:  Amy@X.test \n|\n", "", LOOP, 0, 0 },
    { "loop in brackets",       D, IN("Delivered-To: <amy@x.test>\r\n" END), "Delivered-To: <amy@x.test>\n|\n", "", LOOP, 0, 0 },
    { "loop is second",         D, IN("Delivered-To: b@x\r\nDelivered-To: amy@x.test" END), "Delivered-To: b@x\nDelivered-To: amy@x.test\n|", "", LOOP, 0, 0 },
    { "delivered to another",   D, IN("Delivered-To: amy@x.test.org\r\n" END), "Delivered-To: amy@x.test.org\n|\n", "", 0, 0, 0 },
    { "delivered in the body",  D, IN("\r\nDelivered-To: amy@x.test" END), "|\nDelivered-To: amy@x.test\n", "", 0, 0, 0 },

    { "limit reached",          D, IN("A: b\r\n\r\nx" END), "A: b\n|\nx\n", "", 0, 0, 11 },
    { "limit passed",           D, IN("A: b\r\n\r\nx" END "RSET"), NULL, "RSET", LARGE, 0, 10 },
    { "limit in the header",    D, IN("A: b\r\n\r\nx" END), NULL, "", LARGE, 0, 3 },

    { "chunk",                  B, IN("A: b\r\n\r\nx\r\n"), "A: b\n|\nx\n", "", 0, 0, 0 },
    { "chunk keeps dots",       B, IN("\r\n.\r\n..x\r\n.\r\n"), "|\n.\n..x\n.\n", "", 0, 0, 0 },
    { "chunk, no line end",     B, IN("A: b\r\n\r\nx"), "A: b\n|\nx\n", "", 0, 0, 0 },
    { "chunk, open header",     B, IN("A: b"), "A: b\n|", "", 0, 0, 0 },
    { "chunk, open word",       B, IN("hello"), "|hello\n", "", 0, 0, 0 },
    { "empty chunk",            B, IN(""), "|", "", 0, 0, 0 },
    { "chunk ends in CR",       B, IN("A: b\r\n\r\nx\r"), NULL, "", BYTES, 0, 0 },
    { "chunk with bare LF",     B, IN("A: b\n"), NULL, "", BYTES, 0, 0 },
    { "chunk too large",        B, IN("\r\nabc"), NULL, "", LARGE, 0, 6 },
    { "chunk just fits",        B, IN("\r\nabc"), "|\nabc\n", "", 0, 0, 7 },
};
/* clang-format on */

static enum rc mark(void *ctx, struct data *d, struct buf *out)
{
    (void)d;
    size_t *at = ctx;
    assert_int_equal(*at, SIZE_MAX); /* once only */
    *at = out->n;
    return RC_OK;
}

struct result {
    struct data d;
    struct buf out;
    size_t mark, used;
};

static void feed(struct result *r, struct str piece)
{
    size_t used = SIZE_MAX;
    if (r->d.complete)
        return;
    assert_int_equal(data_feed(&r->d, piece, &r->out, mark, &r->mark, &used), RC_OK);
    assert_true(used <= piece.n);
    assert_true(used == piece.n || r->d.complete);
    r->used += used;
}

static void start(struct result *r, const struct row *row)
{
    *r = (struct result){ .mark = SIZE_MAX };
    buf_init(&r->out, BUF_MAX_DEFAULT);
    data_init(&r->d, row->mode, row->limit);
    r->d.delivered_to = STR("amy@x.test");
}

static void finish(struct result *r, const struct row *row)
{
    if (row->mode == DATA_BDAT)
        assert_int_equal(data_finish(&r->d, &r->out, mark, &r->mark), RC_OK);
}

static unsigned seen_in(const struct data *d)
{
    return (d->has_date ? DATE : 0) | (d->has_message_id ? ID : 0) | (d->has_from ? FROM : 0) |
           (d->has_delivered_to_loop ? LOOP : 0) | (d->has_8bit ? HIGH : 0) |
           (d->bad_bytes ? BYTES : 0) | (d->bad_line ? LINE : 0) | (d->too_large ? LARGE : 0) |
           (d->complete ? 0 : OPEN);
}

static void check(struct result *r, const struct row *row)
{
    assert_int_equal(seen_in(&r->d), row->seen);
    assert_int_equal(r->used, row->in.n - strlen(row->rest));
    assert_int_equal(r->d.received_count, row->received);
    if (row->out != NULL) {
        struct str want = str_from_c(row->out), got = buf_str(&r->out);
        size_t at = str_find(want, '|');
        assert_int_equal(r->mark, at);
        assert_true(str_eq(str_head(got, at), str_head(want, at)));
        assert_true(str_eq(str_skip(got, at), str_skip(want, at + 1)));
        assert_int_equal(r->d.disk_octets, got.n);
        assert_int_equal(r->d.wire_octets, data_wire_octets(got));
    }
    buf_release(&r->out);
}

static void cut(const struct row *row, size_t i, size_t j)
{
    struct result r;
    start(&r, row);
    feed(&r, str_head(row->in, i));
    feed(&r, str_from(row->in.p + i, j - i));
    feed(&r, str_skip(row->in, j));
    finish(&r, row);
    check(&r, row);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
        const struct row *row = &rows[k];
        struct result r;
        print_message("  %s\n", row->name);
        start(&r, row);
        for (size_t i = 0; i < row->in.n; i++)
            feed(&r, str_from(row->in.p + i, 1));
        finish(&r, row);
        check(&r, row);
        for (size_t i = 0; i <= row->in.n; i++)
            for (size_t j = i; j <= row->in.n; j++)
                cut(row, i, j);
    }
}

static enum rc add_date(void *ctx, struct data *d, struct buf *out)
{
    (void)ctx;
    return d->has_date ? RC_OK : buf_add_str(out, STR("Date: x\n"));
}

static void test_added_fields(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
        uint64_t wire;
    } cases[] = {
        { "A: b\r\n\r\nx\r\n.\r\n", "A: b\nDate: x\n\nx\n", 20 },
        { "A: b\r\n.\r\n", "A: b\nDate: x\n", 15 },
        { "A: b\r\nbody text\r\n.\r\n", "A: b\nDate: x\n\nbody text\n", 28 },
        { "body\r\n.\r\n", "Date: x\n\nbody\n", 17 },
        { " body\r\n.\r\n", "Date: x\n\n body\n", 18 },
        { "Date: y\r\n\r\nx\r\n.\r\n", "Date: y\n\nx\n", 14 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out AUTO_RELEASE_BUF = { 0 };
        struct data d;
        size_t used = 0;
        buf_init(&out, 1000);
        data_init(&d, DATA_DOTS, 0);
        assert_int_equal(data_feed(&d, str_from_c(cases[i].in), &out, add_date, NULL, &used),
                         RC_OK);
        assert_true(d.complete);
        assert_string_equal(out.p, cases[i].out);
        assert_int_equal(d.wire_octets, cases[i].wire);
        assert_int_equal(d.disk_octets, out.n);
    }
}

/* What we add doesn't count against the limit. */
static void test_limit_is_for_the_client(void **state)
{
    (void)state;
    struct buf out AUTO_RELEASE_BUF = { 0 };
    struct data d;
    size_t used = 0;
    buf_init(&out, 1000);
    data_init(&d, DATA_DOTS, 11);
    assert_int_equal(data_feed(&d, STR("A: b\r\n\r\nx\r\n.\r\n"), &out, add_date, NULL, &used),
                     RC_OK);
    assert_false(d.too_large);
    assert_int_equal(d.wire_octets, 20);
}

static void feed_long_line(size_t line_n, bool expect_bad)
{
    struct buf in AUTO_RELEASE_BUF = { 0 }, out AUTO_RELEASE_BUF = { 0 };
    struct data d;
    size_t used = 0;
    buf_init(&in, BUF_MAX_DEFAULT);
    buf_init(&out, BUF_MAX_DEFAULT);
    data_init(&d, DATA_DOTS, 0);
    assert_int_equal(buf_add_str(&in, STR("\r\n")), RC_OK);
    for (size_t i = 0; i < line_n; i++)
        assert_int_equal(buf_add_char(&in, 'x'), RC_OK);
    assert_int_equal(buf_add_str(&in, STR("\r\n.\r\n")), RC_OK);
    assert_int_equal(data_feed(&d, buf_str(&in), &out, NULL, NULL, &used), RC_OK);
    assert_int_equal(used, in.n);
    assert_true(d.complete);
    assert_int_equal(d.bad_line, expect_bad);
    assert_int_equal(out.n, expect_bad ? 1 : line_n + 2);
}

static void test_long_lines(void **state)
{
    (void)state;
    feed_long_line(DATA_LINE_MAX, false);
    feed_long_line(DATA_LINE_MAX + 1, true);
    feed_long_line(DATA_LINE_MAX * 3, true);
}

/* Feeds n header lines of 64 octets, then a body as large. */
static void feed_header(size_t n, bool expect_large)
{
    struct buf out AUTO_RELEASE_BUF = { 0 };
    struct data d;
    size_t used = 0;
    buf_init(&out, BUF_MAX_DEFAULT);
    data_init(&d, DATA_DOTS, 0);
    for (size_t i = 0; i < n * 2 + 1; i++) {
        struct str line = i == n ? STR("\r\n")
                                 : STR("X-Field: 6789012345678901234567890123456789012345"
                                       "678901234567890\r\n");
        assert_int_equal(data_feed(&d, line, &out, NULL, NULL, &used), RC_OK);
    }
    assert_int_equal(data_feed(&d, STR(".\r\n"), &out, NULL, NULL, &used), RC_OK);
    assert_true(d.complete);
    assert_int_equal(d.too_large, expect_large);
}

static void test_header_limit(void **state)
{
    (void)state;
    feed_header(DATA_HEADER_MAX / 66 - 1, false);
    feed_header(DATA_HEADER_MAX / 66 + 2, true);
}

static void test_out_is_full(void **state)
{
    (void)state;
    struct buf out AUTO_RELEASE_BUF = { 0 };
    struct data d;
    size_t used = 77;
    buf_init(&out, 4);
    data_init(&d, DATA_DOTS, 0);
    assert_int_equal(data_feed(&d, STR("\r\nhello\r\n.\r\n"), &out, NULL, NULL, &used),
                     RC_PERM);
    assert_int_equal(used, 77);
    assert_false(d.complete);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_added_fields),
        cmocka_unit_test(test_limit_is_for_the_client),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_header_limit),
        cmocka_unit_test(test_out_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* milter_test.c - packets of milters, and edits of a header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mail/milter.h"

static void packets(void **state)
{
#define ROW(text) text, sizeof(text) - 1
    static const struct {
        const char *packet;
        size_t n;
        bool good;
    } rows[] = {
        { ROW("c"), true },
        { ROW("cx"), false },
        { ROW(""), false },
        { ROW("z"), false },
        { ROW("+<a@b>\0"), false },
        { ROW("O\0\0\0\6\0\0\0\1\0\0\0\0"), true },
        { ROW("O\0\0\0\1\0\0\0\1\0\0\0\0"), false },
        { ROW("O\0\0\0\6\0\0\0"), false },
        { ROW("hX-A\0b\0"), true },
        { ROW("hX-A\0b"), false },
        { ROW("hX-A\0b\0c"), false },
        { ROW("hX A\0b\0"), false },
        { ROW("hX:\0b\0"), false },
        { ROW("h\0b\0"), false },
        { ROW("hX\n\0b\0"), false },
        { ROW("i\0\0\0\1X-A\0b\0"), true },
        { ROW("i\0\0\1"), false },
        { ROW("y550 5.7.1 no\0"), true },
        { ROW("y550-5.7.1 no\r\n550 more\0"), true },
        { ROW("y250 yes\0"), false },
        { ROW("y550\0"), false },
        { ROW("y550 no"), false },
        { ROW("y550 a\001b\0"), false },
        { ROW("qwhy\0"), true },
        { ROW("bany\0thing"), true },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct milter_reply r = { .kind = 0 };
        const char *why = milter_reply_parse(str_from(rows[i].packet, rows[i].n), &r);
        if ((why == NULL) != rows[i].good)
            fail_msg("row %zu: %s", i, why == NULL ? "taken" : why);
    }
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, 100);
    milter_put_offer(&out, 0x33, 0x100);
    assert_memory_equal(out.p, "\0\0\0\15O\0\0\0\6\0\0\0\63\0\0\1\0", 17);
}

static void edits(void **state)
{
    static const struct {
        struct milter_reply edit;
        const char *expected;
    } rows[] = {
        { { .kind = 'h', .name = { "X", 1 }, .value = { "1", 1 } },
          "Received: id x\nA: 1\nB: 2\n\tmore\nA: 3\nX: 1\n" },
        { { .kind = 'i', .index = 0, .name = { "X", 1 }, .value = { "1", 1 } },
          "X: 1\nReceived: id x\nA: 1\nB: 2\n\tmore\nA: 3\n" },
        { { .kind = 'i', .index = 1, .name = { "X", 1 }, .value = { "1\n2", 3 } },
          "Received: id x\nX: 1\n\t2\nA: 1\nB: 2\n\tmore\nA: 3\n" },
        { { .kind = 'i', .index = 99, .name = { "X", 1 }, .value = { "\tt", 2 } },
          "Received: id x\nA: 1\nB: 2\n\tmore\nA: 3\nX:\tt\n" },
        { { .kind = 'm', .index = 2, .name = { "a", 1 }, .value = { "9", 1 } },
          "Received: id x\nA: 1\nB: 2\n\tmore\nA: 9\n" },
        { { .kind = 'm', .index = 1, .name = { "B", 1 }, .value = { "", 0 } },
          "Received: id x\nA: 1\nA: 3\n" },
        { { .kind = 'm', .index = 3, .name = { "A", 1 }, .value = { "", 0 } },
          "Received: id x\nA: 1\nB: 2\n\tmore\nA: 3\n" },
        { { .kind = 'm', .index = 1, .name = { "Received", 8 }, .value = { "gone", 4 } },
          "Received: id x\nA: 1\nB: 2\n\tmore\nA: 3\nReceived: gone\n" },
        { { .kind = 'h', .name = { "X", 1 }, .value = { "1\r\n\r\nbody\r\n", 11 } },
          "Received: id x\nA: 1\nB: 2\n\tmore\nA: 3\nX: 1\n\tbody\n" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct milter_header h;
        struct buf out AUTO_RELEASE_BUF;
        buf_init(&out, 1000);
        size_t n = milter_header_parse(STR("Received: id x\nA: 1\nB: 2\n\tmore\nA: 3\n\nbody"),
                                       STR("id x"), &a, &h);
        assert_int_equal(n, 36);
        assert_true(h.first->is_ours && !h.first->next->is_ours);
        milter_header_edit(&h, &rows[i].edit, &a);
        assert_int_equal(milter_header_print(&h, &out), RC_OK);
        if (strcmp(out.p, rows[i].expected) != 0)
            fail_msg("row %zu: %s", i, out.p);
    }
}

static void places(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        { "unix:/run/a.sock", true },     { "local:/run/a.sock", true },
        { "inet:127.0.0.1:11332", true }, { "inet:11332@localhost", true },
        { "inet6:[::1]:8891", true },     { "inet:8891@[::1]", true },
        { "unix:run/a.sock", false },     { "inet:192.0.2.1:25", false },
        { "inet:example.com:25", false }, { "inet:127.0.0.1", false },
        { "inet:127.0.0.1:0", false },    { "inet:127.0.0.1:65536", false },
        { "/run/a.sock", false },         { "unix:", false },
        { "http:/run/a", false },         { "", false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct milter_place place;
        if ((milter_place_parse(str_from_c(rows[i].text), &place) == NULL) != rows[i].good)
            fail_msg("%s", rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(packets), cmocka_unit_test(edits),
                                        cmocka_unit_test(places) };
    return cmocka_run_group_tests_name("mail/milter", tests, NULL, NULL);
}

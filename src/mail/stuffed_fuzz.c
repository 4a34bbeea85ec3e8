/* stuffed_fuzz.c - any octets as stuffed data, whole and in pieces, and there and back. */
#include "mail/data.h"
#include "mail/stuffed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(struct str lines)
{
    struct buf out AUTO_RELEASE_BUF, back AUTO_RELEASE_BUF;
    struct stuffing s = { .in_line = false };
    struct unstuffing u = { .dotted = true };
    struct dots dots = { .plain = false };
    buf_init(&out, BUF_MAX_DEFAULT);
    buf_init(&back, BUF_MAX_DEFAULT);
    for (size_t i = 0; i < lines.n; i += 7)
        buf_must(stuff_feed(&s, str_head(str_skip(lines, i), 7), &out));
    buf_must(stuff_end(&s, &out));
    dots_feed(&dots, buf_str(&out));
    buf_must(unstuff_feed(&u, buf_str(&out), &back));
    buf_must(unstuff_end(&u, &back));
    if (!str_eq(buf_str(&back), lines) || u.bare_cr || u.nul || u.lone_dot || dots.plain)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole AUTO_RELEASE_BUF, pieces AUTO_RELEASE_BUF;
    struct str text = str_from((const char *)data, size);
    buf_init(&whole, 2 * size + 16);
    buf_init(&pieces, 2 * size + 16);
    for (unsigned dotted = 0; dotted < 2; dotted++) {
        struct unstuffing one = { .dotted = dotted != 0 }, many = one;
        buf_reset(&whole);
        buf_reset(&pieces);
        buf_must(unstuff_feed(&one, text, &whole));
        buf_must(unstuff_end(&one, &whole));
        for (size_t i = 0; i < size; i += 3)
            buf_must(unstuff_feed(&many, str_head(str_skip(text, i), 3), &pieces));
        buf_must(unstuff_end(&many, &pieces));
        if (!str_eq(buf_str(&whole), buf_str(&pieces)) || one.wire_octets != many.wire_octets ||
            one.lone_dot != many.lone_dot || one.bare_cr != many.bare_cr ||
            one.wire_octets != data_wire_octets(buf_str(&whole)) ||
            str_has_any(buf_str(&whole), "\r"))
            abort();
    }
    there_and_back(buf_str(&whole));
    return 0;
}

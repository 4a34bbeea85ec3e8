/* xmail_fuzz.c - any octets as a spool file and as a log of tries of XMail. */
#include "takeover/xmail_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf whole AUTO_RELEASE_BUF, pieces AUTO_RELEASE_BUF;
    struct xmail_head h;
    struct xmail_log log;
    struct str text = arena_str(&a, str_from((const char *)data, size));
    buf_init(&whole, 2 * size + 16);
    buf_init(&pieces, 2 * size + 16);
    xmail_log_parse(text, &log);
    if (log.reason.n > 0 && (log.reason.p < text.p || log.reason.p >= text.p + text.n))
        abort();
    (void)xmail_name_time(text);
    if (xmail_head_parse(text, &a, &h, NULL) == RC_OK && (h.head_n > size || h.count == 0))
        abort();
    /* What comes in pieces becomes the same as in one. */
    for (unsigned stuffed = 0; stuffed < 2; stuffed++) {
        struct xmail_text one = { .stuffed = stuffed != 0 }, many = one;
        buf_reset(&whole);
        buf_reset(&pieces);
        buf_must(xmail_text_feed(&one, text, &whole));
        buf_must(xmail_text_end(&one, &whole));
        for (size_t i = 0; i < size; i += 3)
            buf_must(xmail_text_feed(&many, str_head(str_skip(text, i), 3), &pieces));
        buf_must(xmail_text_end(&many, &pieces));
        if (!str_eq(buf_str(&whole), buf_str(&pieces)) || one.wire_octets != many.wire_octets ||
            str_has_any(buf_str(&whole), "\r"))
            abort();
    }
    return 0;
}

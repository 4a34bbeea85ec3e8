/*
 * reader_fuzz.c - any file, cut at a place of the fuzzer's choice: the same octets must come
 * out as in one piece, the end mark only at the end, no LF without CR, and the count must
 * agree.
 */
#include "store/store_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(struct str file, size_t piece, bool stuffed, size_t lines, struct buf *out,
                uint64_t *out_wire)
{
    struct transfer t;
    size_t at = 0;
    transfer_init(&t, stuffed, lines);
    while (!t.done) {
        size_t used = 0;
        struct str in = str_from(file.p + at, MIN(piece, file.n - at));
        if (transfer_feed(&t, in, at + in.n >= file.n, out, &used) != RC_OK)
            BUG("out of room");
        if (used > in.n || (used == 0 && !t.done))
            BUG("no progress");
        at += used;
    }
    *out_wire = t.wire_octets;
}

/* What a POP3 client makes of it. */
static void check(struct str sent, uint64_t wire)
{
    uint64_t octets = 0;
    bool ended = false;
    while (sent.n > 0) {
        size_t lf = str_find(sent, '\n');
        if (ended || lf == SIZE_MAX || lf == 0 || sent.p[lf - 1] != '\r')
            BUG("line end");
        ended = lf == 2 && sent.p[0] == '.';
        if (!ended)
            octets += lf + 1 - (sent.p[0] == '.' ? 1 : 0);
        sent = str_skip(sent, lf + 1);
    }
    if (!ended || octets != wire)
        BUG("end or count");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct str file = str_from((const char *)data + 2, size - 2);
    bool stuffed = (data[0] & 1) != 0;
    size_t lines = (data[0] & 2) != 0 ? SIZE_MAX : data[0] >> 2;
    struct buf whole AUTO_RELEASE_BUF, pieces AUTO_RELEASE_BUF;
    uint64_t wire = 0, wire_pieces = 0;
    buf_init(&whole, BUF_MAX_DEFAULT);
    buf_init(&pieces, BUF_MAX_DEFAULT);
    run(file, file.n, stuffed, lines, &whole, &wire);
    run(file, 3 + (size_t)data[1], stuffed, lines, &pieces, &wire_pieces);
    if (!str_eq(buf_str(&whole), buf_str(&pieces)) || wire != wire_pieces)
        BUG("pieces differ");
    check(buf_str(&whole), wire);
    return 0;
}

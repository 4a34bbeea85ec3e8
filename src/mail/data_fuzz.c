/*
 * data_fuzz.c - a message gives the same result however it is cut; what was accepted can be
 * turned back into what was sent.
 */
#include "mail/data.h"

#define FUZZ_OUT_MAX ((size_t)1 << 22)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct data d;
    struct buf out;
    size_t used, header_end;
    unsigned header_ends;
};

static enum rc on_header_end(void *ctx, struct data *d, struct buf *out)
{
    struct run *r = ctx;
    (void)d;
    r->header_end = out->n;
    r->header_ends++;
    return RC_OK;
}

static void feed(struct run *r, struct str piece)
{
    size_t used = 0;
    if (data_feed(&r->d, piece, &r->out, on_header_end, r, &used) != RC_OK)
        BUG("data_feed fails");
    if (used > piece.n || (used < piece.n && !r->d.complete))
        BUG("data_feed leaves input");
    r->used += used;
}

/* Feeds `in` in pieces whose lengths come from seed (0: whole). */
static void run(struct run *r, enum data_mode mode, uint64_t limit, struct str in,
                uint64_t seed)
{
    *r = (struct run){ .header_end = SIZE_MAX };
    buf_init(&r->out, FUZZ_OUT_MAX);
    data_init(&r->d, mode, limit);
    r->d.delivered_to = STR("a@b");
    while (in.n > 0 && !r->d.complete) {
        seed = seed * 6364136223846793005u + 1442695040888963407u * (seed != 0);
        size_t n = seed == 0 ? in.n : MIN((size_t)(seed >> 60) + 1, in.n);
        feed(r, str_head(in, n));
        in = str_skip(in, n);
    }
    if (mode == DATA_BDAT && data_finish(&r->d, &r->out, on_header_end, r) != RC_OK)
        BUG("data_finish fails");
}

static bool is_refused(const struct data *d)
{
    return d->bad_bytes || d->bad_line || d->too_large;
}

static void compare(const struct run *x, const struct run *y)
{
    if (x->used != y->used || x->d.complete != y->d.complete ||
        is_refused(&x->d) != is_refused(&y->d))
        BUG("a cut changes the end");
    if (x->d.complete && is_refused(&x->d))
        return; /* how much was written before is of no use to anybody */
    if (x->d.has_8bit != y->d.has_8bit || x->d.received_count != y->d.received_count ||
        x->d.has_date != y->d.has_date || x->d.has_from != y->d.has_from ||
        x->d.has_message_id != y->d.has_message_id ||
        strcmp(x->d.message_id, y->d.message_id) != 0 ||
        x->d.has_delivered_to_loop != y->d.has_delivered_to_loop)
        BUG("a cut changes what is noticed");
    if (x->header_ends != y->header_ends)
        BUG("a cut changes the header");
    if (x->d.complete && (!str_eq(buf_str(&x->out), buf_str(&y->out)) ||
                          x->header_end != y->header_end || x->header_ends != 1))
        BUG("a cut changes the message");
}

/* The line at p as it was sent; dots: a line that begins with one had it doubled. */
static void put_sent(struct buf *b, struct str line, bool dots)
{
    if (dots && line.n > 0 && line.p[0] == '.')
        buf_must(buf_add_char(b, '.'));
    buf_must(buf_add_str(b, line));
    buf_must(buf_add_str(b, STR("\r\n")));
}

/* Sent again, it is the same message, octet for octet; and if the client stuffed no dots in
 * vain and nothing had to be put in, what is sent is what came. */
static void check_round_trip(const struct run *x, struct str in, enum data_mode mode)
{
    struct buf sent AUTO_RELEASE_BUF = { .p = NULL };
    struct str rest = buf_str(&x->out), line;
    buf_init(&sent, FUZZ_OUT_MAX);
    while (rest.n > 0 && str_cut(&rest, '\n', &line))
        put_sent(&sent, line, mode == DATA_DOTS);
    bool stuffed_in_vain = false;
    for (size_t i = 0; mode == DATA_DOTS && i + 1 < x->used; i++)
        if (in.p[i] == '.' && (i == 0 || in.p[i - 1] == '\n') && in.p[i + 1] != '.' &&
            in.p[i + 1] != '\r')
            stuffed_in_vain = true;
    bool put_in =
        str_starts(buf_str(&x->out), STR("\n ")) || str_starts(buf_str(&x->out), STR("\n\t"));
    struct str came = str_head(in, x->used - (mode == DATA_DOTS ? 3 : 0));
    bool cut_off = mode == DATA_BDAT && !str_ends(came, STR("\r\n")) && came.n > 0;
    if (!stuffed_in_vain && !put_in && !str_eq(str_head(buf_str(&sent), came.n), came))
        BUG("not what was sent");
    if (!stuffed_in_vain && !put_in && sent.n != came.n + (cut_off ? 2 : 0))
        BUG("longer or shorter than what was sent");
    if (x->d.wire_octets != data_wire_octets(buf_str(&x->out)) || x->d.disk_octets != x->out.n)
        BUG("wrong count of octets");

    struct run again;
    if (mode == DATA_DOTS)
        buf_must(buf_add_str(&sent, STR(".\r\n")));
    run(&again, mode, 0, buf_str(&sent), 0);
    if (!again.d.complete || is_refused(&again.d) ||
        !str_eq(buf_str(&x->out), buf_str(&again.out)))
        BUG("sent again, it is another message");
    buf_release(&again.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole, cut, single;
    if (size < 2)
        return 0;
    enum data_mode mode = (data[0] & 1) != 0 ? DATA_BDAT : DATA_DOTS;
    uint64_t limit = (data[0] & 2) != 0 ? data[1] : 0;
    struct str in = str_from((const char *)data + 2, size - 2);
    run(&whole, mode, limit, in, 0);
    run(&cut, mode, limit, in, data[1] * 2654435761u + 1);
    run(&single, mode, limit, in, 1); /* mostly one to sixteen octets */
    compare(&whole, &cut);
    compare(&whole, &single);
    if (whole.d.complete && !is_refused(&whole.d))
        check_round_trip(&whole, in, mode);
    buf_release(&whole.out);
    buf_release(&cut.out);
    buf_release(&single.out);
    return 0;
}

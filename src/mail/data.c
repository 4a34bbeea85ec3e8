/*
 * data.c - a message as it comes in, one pass. The caller feeds whatever it read; the state
 * between calls is in struct data, so that any split of the input gives the same result.
 *
 * Two machines run side by side. The line machine (enum line) knows where lines begin and end:
 * only CRLF ends a line, and only a dot alone on a line ends the message. The field machine
 * (enum field) sees the content of header lines. It holds back the start of each line until the
 * line is known to be a field or not, because what on_header_end adds comes before the first
 * line that isn't one.
 *
 * RFC 5321 4.5.2 (dots), 2.3.8 (line ends); RFC 3030 (BDAT); RFC 5322 2.2 (fields).
 */
#include "mail/data.h"

enum line {
    LINE_START,  /* nothing of the line seen */
    LINE_TEXT,   /* within its content */
    LINE_CR,     /* CR seen */
    LINE_DOT,    /* "." at the start of a line */
    LINE_DOT_CR, /* "." CR at the start of a line */
};

enum field {
    FIELD_NAME,    /* within the name, all held back */
    FIELD_BLANK,   /* blanks between name and colon, held back */
    FIELD_VALUE,   /* a field or its continuation: written as it comes */
    FIELD_CAPTURE, /* the same, and kept to be looked at */
};

enum capture { CAPTURE_NONE, CAPTURE_DELIVERED_TO, CAPTURE_MESSAGE_ID };

/* One call of data_feed. rc: the first failure to write; nothing is written after it. */
struct feed {
    struct data *d;
    struct buf *out;
    data_header_fn *on_header_end;
    void *ctx;
    enum rc rc;
};

void data_init(struct data *d, enum data_mode mode, uint64_t limit_octets)
{
    *d = (struct data){ .mode = mode, .limit_octets = limit_octets };
    d->state.in_header = true;
}

uint64_t data_wire_octets(struct str text)
{
    uint64_t octets = text.n;
    for (;;) {
        size_t at = str_find(text, '\n');
        if (at == SIZE_MAX)
            return octets;
        octets++;
        text = str_skip(text, at + 1);
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_refused(const struct data *d)
{
    return d->bad_bytes || d->bad_line || d->too_large;
}

/* --- output ------------------------------------------------------------------------------ */

/* Counts and writes n octets of disk text that are wire_n octets on the wire. */
static void put(struct feed *f, const char *p, size_t n, size_t wire_n)
{
    struct data *d = f->d;
    if (f->rc != RC_OK || is_refused(d))
        return;
    d->wire_octets += wire_n;
    uint64_t sent = d->wire_octets - d->state.added_octets;
    if ((d->limit_octets > 0 && sent > d->limit_octets) ||
        (d->state.in_header && sent > DATA_HEADER_MAX)) {
        d->too_large = true;
        return;
    }
    d->disk_octets += n;
    f->rc = buf_add(f->out, p, n);
}

static void put_line_end(struct feed *f)
{
    put(f, "\n", 1, 2);
}

static void put_held(struct feed *f)
{
    struct data_state *st = &f->d->state;
    put(f, st->held, st->held_n, st->held_n);
    st->held_n = 0;
}

/* --- the header -------------------------------------------------------------------------- */

/*
 * The header ends here, before a blank line, before the first line of a body that came without
 * one, or with the message. A blank line is put in before a body only where the body would
 * otherwise be read as part of the fields before it: after fields of ours, and when the message
 * begins with a blank (it would continue the trace fields).
 */
static void end_header(struct feed *f, bool body_follows)
{
    struct data *d = f->d;
    struct data_state *st = &d->state;
    st->in_header = false;
    if (f->rc != RC_OK || is_refused(d))
        return;
    size_t before = f->out->n;
    f->rc = f->on_header_end == NULL ? RC_OK : f->on_header_end(f->ctx, d, f->out);
    struct str added = str_skip(buf_str(f->out), before);
    bool starts_blank = !st->has_field && st->held_n > 0 && is_blank(st->held[0]);
    if (f->rc == RC_OK && body_follows && (added.n > 0 || starts_blank)) {
        f->rc = buf_add_char(f->out, '\n');
        added = str_skip(buf_str(f->out), before);
    }
    d->disk_octets += added.n;
    d->wire_octets += data_wire_octets(added);
    st->added_octets += data_wire_octets(added);
}

/* A field name is complete in held[0..name_n). */
static void note_field(struct feed *f, size_t name_n)
{
    struct data *d = f->d;
    struct str name = str_from(d->state.held, name_n);
    if (str_ieq(name, STR("Received")))
        d->received_count++;
    d->has_date = d->has_date || str_ieq(name, STR("Date"));
    bool is_id = !d->has_message_id && str_ieq(name, STR("Message-ID"));
    d->has_message_id = d->has_message_id || is_id;
    d->has_from = d->has_from || str_ieq(name, STR("From"));
    bool loop = d->delivered_to.n > 0 && str_ieq(name, STR("Delivered-To"));
    d->state.captured = is_id ? CAPTURE_MESSAGE_ID : loop ? CAPTURE_DELIVERED_TO : CAPTURE_NONE;
    d->state.value_n = 0;
    d->state.field_state = is_id || loop ? FIELD_CAPTURE : FIELD_VALUE;
    d->state.has_field = true;
    put_held(f);
}

/* The line in held isn't a field: it and all that follows is body. */
static void begin_body(struct feed *f)
{
    end_header(f, true);
    put_held(f);
}

/* One octet of a header line whose kind isn't known yet. */
static void field_octet(struct feed *f, char c)
{
    struct data_state *st = &f->d->state;
    bool blank = is_blank(c);
    size_t name_n = st->field_state == FIELD_BLANK ? st->name_n : st->held_n;
    st->held[st->held_n++] = c;
    if (blank && name_n == 0 && st->has_field) {
        /* A folded line continues the field before it. */
        st->field_state = st->captured == CAPTURE_MESSAGE_ID ? FIELD_CAPTURE : FIELD_VALUE;
        put_held(f);
    } else if (c == ':' && name_n > 0) {
        note_field(f, name_n);
    } else if (blank && name_n > 0 && st->held_n < sizeof(st->held)) {
        st->field_state = FIELD_BLANK;
        st->name_n = (uint8_t)name_n;
    } else if (c <= ' ' || c > '~' || c == ':' || st->field_state == FIELD_BLANK) {
        begin_body(f);
    } else if (st->held_n == sizeof(st->held)) {
        note_field(f, 0); /* nobody's name, but nothing speaks against a field */
    }
}

/* Content of a header line from p; returns how much of it the header took. */
static size_t header_text(struct feed *f, const char *p, size_t n)
{
    struct data_state *st = &f->d->state;
    size_t i = 0;
    while (i < n && st->in_header && st->field_state < FIELD_VALUE)
        field_octet(f, p[i++]);
    if (st->in_header && st->field_state == FIELD_CAPTURE) {
        /* One octet more than fits marks a value as too long to be an address. */
        size_t keep = MIN(n - i, sizeof(st->value) - st->value_n);
        memcpy(st->value + st->value_n, p + i, keep);
        st->value_n += keep;
    }
    return i;
}

/* "Delivered-To: us" was captured: is it? */
static void check_loop(struct data *d)
{
    struct data_state *st = &d->state;
    struct str value = str_trim(str_from(st->value, st->value_n));
    if (value.n > 2 && value.p[0] == '<' && value.p[value.n - 1] == '>')
        value = str_from(value.p + 1, value.n - 2);
    if (st->value_n < sizeof(st->value) && str_ieq(value, d->delivered_to))
        d->has_delivered_to_loop = true;
}

/* A Message-ID, or more of it from a folded line, was captured. */
static void keep_message_id(struct data *d)
{
    struct str value = str_trim(str_from(d->state.value, d->state.value_n));
    size_t n = MIN(value.n, sizeof(d->message_id) - 1);
    memcpy(d->message_id, value.p, n);
    d->message_id[n] = '\0';
}

/* The line of the header that just ended, before its line end is written. */
static void end_header_line(struct feed *f)
{
    struct data_state *st = &f->d->state;
    if (st->line_octets == 0)
        end_header(f, false);
    else if (st->field_state < FIELD_VALUE)
        begin_body(f);
    else if (st->field_state == FIELD_CAPTURE && st->captured == CAPTURE_MESSAGE_ID)
        keep_message_id(f->d);
    else if (st->field_state == FIELD_CAPTURE)
        check_loop(f->d);
    st->field_state = FIELD_NAME;
}

/* --- lines ------------------------------------------------------------------------------- */

/* n octets of line content, none of them CR, LF or NUL. */
static void text(struct feed *f, const char *p, size_t n)
{
    struct data *d = f->d;
    d->state.line_octets += n;
    if (d->state.line_octets > DATA_LINE_MAX)
        d->bad_line = true;
    if (is_refused(d))
        return;
    size_t taken = d->state.in_header ? header_text(f, p, n) : 0;
    put(f, p + taken, n - taken, n - taken);
}

static void end_line(struct feed *f)
{
    struct data_state *st = &f->d->state;
    if (st->in_header && !is_refused(f->d))
        end_header_line(f);
    put_line_end(f);
    st->line_octets = 0;
    st->line_state = LINE_START;
}

static void end_message(struct feed *f)
{
    if (f->d->state.in_header)
        end_header(f, false);
    f->d->complete = true;
}

#define EACH_OCTET(b) (0x0101010101010101u * (uint64_t)(b))
/* Not 0 when an octet of x is 0. */
static uint64_t has_zero(uint64_t x)
{
    return (x - EACH_OCTET(0x01)) & ~x & EACH_OCTET(0x80);
}

/* How many octets of p come before the first CR, LF or NUL; *high gets bits when some have the
 * 8th bit set. Eight octets at a time. */
static size_t scan_text(const char *p, size_t n, uint64_t *high)
{
    size_t i = 0;
    uint64_t x = 0, bits = 0;
    for (; i + sizeof(x) <= n; i += sizeof(x)) {
        memcpy(&x, p + i, sizeof(x));
        if ((has_zero(x) | has_zero(x ^ EACH_OCTET('\r')) | has_zero(x ^ EACH_OCTET('\n'))) !=
            0)
            break;
        bits |= x;
    }
    for (; i < n && p[i] != '\r' && p[i] != '\n' && p[i] != '\0'; i++)
        bits |= (unsigned char)p[i];
    *high |= bits & EACH_OCTET(0x80);
    return i;
}

/* In the content of a line. */
static size_t feed_text(struct feed *f, const char *p, size_t n)
{
    uint64_t high = 0;
    size_t run = scan_text(p, n, &high);
    f->d->has_8bit = f->d->has_8bit || high != 0;
    if (run > 0) {
        f->d->state.line_state = LINE_TEXT;
        text(f, p, run);
        return run;
    }
    if (p[0] == '\r') {
        f->d->state.line_state = LINE_CR;
        return 1;
    }
    f->d->bad_bytes = true; /* a bare LF, or NUL: content, not a line end */
    f->d->state.line_state = LINE_TEXT;
    return 1;
}

/* After a CR: LF ends the line; otherwise the CR was bare, and p is looked at again. */
static size_t feed_after_cr(struct feed *f, const char *p)
{
    if (p[0] == '\n') {
        end_line(f);
        return 1;
    }
    f->d->bad_bytes = true;
    f->d->state.line_state = LINE_TEXT;
    return 0;
}

/* Takes some of the n octets at p, at least one unless the state changed; returns how many. */
static size_t feed_some(struct feed *f, const char *p, size_t n)
{
    struct data_state *st = &f->d->state;
    switch ((enum line)st->line_state) {
    case LINE_START:
        if (p[0] != '.' || f->d->mode == DATA_BDAT)
            return feed_text(f, p, n);
        st->line_state = LINE_DOT;
        return 1;
    case LINE_TEXT:
        return feed_text(f, p, n);
    case LINE_CR:
        return feed_after_cr(f, p);
    case LINE_DOT:
        st->line_state = p[0] == '\r' ? LINE_DOT_CR : LINE_TEXT;
        return p[0] == '\r' ? 1 : 0;
    case LINE_DOT_CR:
        if (p[0] != '\n')
            return feed_after_cr(f, p);
        end_message(f);
        return 1;
    }
    BUG("line state");
}

enum rc data_feed(struct data *d, struct str in, struct buf *out, data_header_fn *on_header_end,
                  void *ctx, size_t *out_used)
{
    struct feed f = { d, out, on_header_end, ctx, RC_OK };
    size_t at = 0;
    while (at < in.n && !d->complete && f.rc == RC_OK)
        at += feed_some(&f, in.p + at, in.n - at);
    if (f.rc == RC_OK)
        *out_used = at;
    return f.rc;
}

enum rc data_finish(struct data *d, struct buf *out, data_header_fn *on_header_end, void *ctx)
{
    struct feed f = { d, out, on_header_end, ctx, RC_OK };
    if (d->state.line_state == LINE_CR)
        d->bad_bytes = true;
    if (d->state.line_state != LINE_START)
        end_line(&f);
    end_message(&f);
    return f.rc;
}

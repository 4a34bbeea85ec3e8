/*
 * body.c - the list's header and footer texts in a post. The change is planned from the header
 * and one pass over the body, and is no more than a few pieces of text put at places of it; the
 * octets between are copied. A plain text gets them in its own charset and encoding; in
 * multipart/mixed they become parts; other texts, and what a text can't express, are wrapped in
 * multipart/mixed. Whatever is signed, encrypted, or not understood stays as it is. Pure.
 */
#include "lists/lists_int.h"
#include "mail/charset.h"
#include "mail/encoded.h"
#include "mail/header.h"
#include "mail/media.h"

#define CHUNK_BYTES ((size_t)16 * 1024)
#define LINE_MAX                                                                               \
    ((size_t)900) /* octets of a line that travels as it is (RFC 5322 2.1.1: 998) */
#define QP_LINE 72u
#define TO_ASCII "\x1b(B" /* where JIS isn't in its first state */

struct plan {
    const struct list_texts *texts;
    const struct list_body *body;
    struct media media;
    struct arena *mem;
    struct body_change *out;
};

static void put_in(struct plan *p, uint64_t at, uint64_t end, struct str text)
{
    if (text.n > 0)
        p->out->splices[p->out->count++] = (struct body_splice){ at, end, text };
}

/* Calls fn with the body, piece by piece. False: it can't be read. */
typedef void piece_fn(void *ctx, uint64_t at, struct str piece);
static bool each_piece(const struct list_body *body, piece_fn *fn, void *ctx)
{
    char *chunk AUTO_FREE = mem_try(CHUNK_BYTES);
    for (uint64_t at = 0; at < body->octets && chunk != NULL;) {
        size_t n = (size_t)MIN((uint64_t)CHUNK_BYTES, body->octets - at);
        if (!body->read(body->ctx, at, chunk, n))
            return false;
        fn(ctx, at, str_from(chunk, n));
        at += n;
    }
    return chunk != NULL;
}

/* --- plain text -------------------------------------------------------------------------- */

/* Lines of format=flowed: each ends, none quotes (RFC 3676 4). */
static struct str flowed(struct str text, struct arena *a)
{
    struct buf out AUTO_RELEASE_BUF;
    struct str line;
    buf_init(&out, BUF_MAX_DEFAULT);
    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        while (line.n > 0 && line.p[line.n - 1] == ' ' && !str_eq(line, STR("-- ")))
            line.n--;
        bool stuffed = str_starts(line, STR(" ")) || str_starts(line, STR(">")) ||
                       str_starts(line, STR("From "));
        buf_addf(&out, "%s%.*s\n", stuffed ? " " : "", STR_ARG(line));
    }
    return arena_str(a, buf_str(&out));
}

static bool has_long_line(struct str text)
{
    struct str line;
    bool any = false;
    while (text.n > 0 && str_cut(&text, '\n', &line))
        any = any || line.n > LINE_MAX;
    return any;
}

static struct str with_crlf(struct str text, struct arena *a)
{
    char *p = arena_new(a, 2 * text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n')
            p[n++] = '\r';
        p[n++] = text.p[i];
    }
    return str_from(p, n);
}

/* RFC 2045 6.7; soft breaks keep lines short. */
static struct str quoted(struct str text, struct arena *a)
{
    struct buf out AUTO_RELEASE_BUF;
    size_t column = 0;
    buf_init(&out, BUF_MAX_DEFAULT);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool ends = i + 1 == text.n || text.p[i + 1] == '\n';
        bool plain = c == '\n' || (c > ' ' && c < 0x7f && c != '=') || (c == ' ' && !ends);
        if (column >= QP_LINE && c != '\n') {
            buf_addf(&out, "=\n");
            column = 0;
        }
        buf_addf(&out, plain ? "%c" : "=%02X", plain ? c : (unsigned char)c);
        column = c == '\n' ? 0 : column + (plain ? 1 : 3);
    }
    return arena_str(a, buf_str(&out));
}

struct quanta {
    uint64_t count, at; /* characters; where the last four of them begin */
    char last[4];
    size_t padding;
    bool malformed, line_start, at_line_start; /* of the place; of the last four */
};

static void see_base64(void *ctx, uint64_t at, struct str piece)
{
    struct quanta *q = ctx;
    for (size_t i = 0; i < piece.n; i++) {
        char c = piece.p[i];
        bool is_padding = c == '=', digit = ascii_is_alnum(c) || c == '+' || c == '/';
        if (ascii_is_space(c)) {
            q->line_start = c == '\n' || (q->line_start && c == '\r');
            continue;
        }
        q->malformed = q->malformed || (!digit && !is_padding) || (digit && q->padding > 0);
        if (q->count % 4 == 0) {
            q->at = at + i;
            q->at_line_start = q->line_start;
        }
        q->last[q->count++ % 4] = c;
        q->padding += is_padding;
        q->line_start = false;
    }
}

/* Header and footer as base64 around the body's; its last characters are coded anew. */
static bool plan_base64(struct plan *p, struct str header, struct str footer)
{
    struct buf tail AUTO_RELEASE_BUF, text AUTO_RELEASE_BUF;
    struct quanta q = { .line_start = true, .at_line_start = true };
    buf_init(&tail, BUF_MAX_DEFAULT);
    buf_init(&text, BUF_MAX_DEFAULT);
    if (!each_piece(p->body, see_base64, &q) || q.malformed || q.count % 4 != 0 ||
        q.padding > 2 || (q.count > 0 && !base64_read(str_from(q.last, 4), &tail)))
        return false;
    if (header.n > 0) { /* so many octets that no padding is needed behind them */
        const char *fill = p->media.is_flowed ? "\n" : " ";
        while (with_crlf(header, p->mem).n % 3 != 0)
            header = arena_printf(p->mem, "%.*s%s\n", (int)header.n - 1, header.p, fill);
        buf_must(base64_print_lines(with_crlf(header, p->mem), &text));
        put_in(p, 0, 0, arena_str(p->mem, buf_str(&text)));
        buf_reset(&text);
    }
    if (footer.n == 0)
        return true;
    if (tail.n > 0 && tail.p[tail.n - 1] != '\n')
        buf_addf(&tail, "\r\n");
    footer = with_crlf(footer, p->mem);
    buf_addf(&tail, "%.*s", STR_ARG(footer));
    if (!q.at_line_start)
        buf_addf(&text, "\n");
    buf_must(base64_print_lines(buf_str(&tail), &text));
    put_in(p, q.count > 0 ? q.at : p->body->octets, p->body->octets,
           arena_str(p->mem, buf_str(&text)));
    return true;
}

/* What must stand between the body and a line of ours, from its last octets. False: it can't be
 * read. */
static bool line_ends(const struct plan *p, struct str *out)
{
    char last[2] = { '\n', '\n' };
    size_t n = (size_t)MIN(p->body->octets, UINT64_C(2));
    if (n > 0 && !p->body->read(p->body->ctx, p->body->octets - n, last + 2 - n, n))
        return false;
    bool open = last[1] != '\n';
    char before = open ? last[1] : last[0];
    bool goes_on = (p->media.encoding == MEDIA_QP && before == '=') ||
                   (p->media.is_flowed && before == ' ');
    *out = open ? (goes_on ? STR("\n\n") : STR("\n")) : (goes_on ? STR("\n") : STR(""));
    return true;
}

/* A text in the body's own charset; false: it has no such letters. */
static bool in_charset(const struct plan *p, struct str text, struct str *out)
{
    const struct media *m = &p->media;
    const char *charset = charset_known(m->charset.n == 0 ? STR("us-ascii") : m->charset);
    if (m->is_flowed)
        text = flowed(text, p->mem);
    return charset != NULL && charset_convert(CHARSET_UTF8, charset, text, p->mem, out) &&
           (m->encoding != MEDIA_7BIT || str_is_ascii(*out)) &&
           (m->encoding == MEDIA_QP || m->encoding == MEDIA_BASE64 || !has_long_line(*out));
}

/* False: it can't be done so. */
static bool plan_plain(struct plan *p)
{
    struct str header = STR(""), footer = STR(""), between = STR("");
    bool jis = str_ieq(p->media.charset, STR(CHARSET_JIS));
    if (p->media.encoding == MEDIA_BINARY || !in_charset(p, p->texts->header, &header) ||
        !in_charset(p, p->texts->footer, &footer) || !line_ends(p, &between))
        return false;
    if (jis && footer.n > 0)
        footer = arena_printf(p->mem, TO_ASCII "%.*s", STR_ARG(footer));
    if (p->media.encoding == MEDIA_BASE64)
        return plan_base64(p, header, footer);
    if (p->media.encoding == MEDIA_QP) {
        header = quoted(header, p->mem);
        footer = quoted(footer, p->mem);
    }
    p->out->has_8bit = !str_is_ascii(header) || !str_is_ascii(footer);
    put_in(p, 0, 0, header);
    if (footer.n > 0)
        put_in(p, p->body->octets, p->body->octets,
               arena_printf(p->mem, "%.*s%.*s", STR_ARG(between), STR_ARG(footer)));
    return true;
}

/* --- parts ------------------------------------------------------------------------------- */

/* A part of ours: its fields, the blank line, the text. */
static struct str print_part(const struct plan *p, struct str text)
{
    struct buf out AUTO_RELEASE_BUF;
    bool plain = str_is_ascii(text) && !has_long_line(text);
    buf_init(&out, BUF_MAX_DEFAULT);
    buf_addf(&out, "Content-Type: text/plain; charset=%s\nContent-Disposition: inline\n",
             plain ? "us-ascii" : "utf-8");
    if (plain)
        buf_addf(&out, "\n%.*s", STR_ARG(text));
    else
        buf_addf(&out, "Content-Transfer-Encoding: base64\n\n");
    if (!plain)
        buf_must(base64_print_lines(with_crlf(text, p->mem), &out));
    return arena_str(p->mem, buf_str(&out));
}

struct delimiters {
    struct str boundary;
    uint64_t first, last; /* the first one; the one that closes; UINT64_MAX: not seen */
    uint64_t line;        /* the line that is looked at begins there */
    char start[128];      /* of it */
    size_t n;             /* octets that it has */
};

static void end_line(struct delimiters *d)
{
    struct str line = str_from(d->start, MIN(d->n, sizeof(d->start)));
    while (line.n > 0 && ascii_is_space(line.p[line.n - 1]))
        line.n--;
    bool is = d->n <= sizeof(d->start) && str_starts(line, STR("--")) &&
              str_starts(str_skip(line, 2), d->boundary);
    struct str rest = is ? str_skip(line, 2 + d->boundary.n) : STR("");
    if (is && rest.n == 0 && d->first == UINT64_MAX)
        d->first = d->line;
    if (is && str_eq(rest, STR("--")) && d->last == UINT64_MAX)
        d->last = d->line;
}

static void see_lines(void *ctx, uint64_t at, struct str piece)
{
    struct delimiters *d = ctx;
    for (size_t i = 0; i < piece.n; i++) {
        if (piece.p[i] != '\n') {
            if (d->n < sizeof(d->start))
                d->start[d->n] = piece.p[i];
            d->n++;
            continue;
        }
        end_line(d);
        d->line = at + i + 1;
        d->n = 0;
    }
}

static bool plan_mixed(struct plan *p)
{
    struct str b = p->media.boundary;
    struct delimiters d = { .boundary = b, .first = UINT64_MAX, .last = UINT64_MAX };
    if (b.n == 0 || b.n > 70 || b.p[b.n - 1] == ' ' || p->media.encoding > MEDIA_BINARY ||
        !each_piece(p->body, see_lines, &d))
        return false;
    end_line(&d); /* one without a line end */
    if (d.first >= d.last || d.last == UINT64_MAX)
        return false;
    for (size_t i = 0; i < 2; i++) {
        struct str text = i == 0 ? p->texts->header : p->texts->footer;
        if (text.n > 0)
            put_in(
                p, i == 0 ? d.first : d.last, i == 0 ? d.first : d.last,
                arena_printf(p->mem, "--%.*s\n%.*s", STR_ARG(b), STR_ARG(print_part(p, text))));
    }
    return true;
}

/* The fields of the body go into a part, the rest stays. */
static bool plan_wrap(struct plan *p, struct str header, struct str mark)
{
    struct buf outer AUTO_RELEASE_BUF, inner AUTO_RELEASE_BUF;
    struct str name;
    bool has_version = false, composite = str_ieq(p->media.type, STR("multipart"));
    buf_init(&outer, BUF_MAX_DEFAULT);
    buf_init(&inner, BUF_MAX_DEFAULT);
    if (composite && (p->media.encoding > MEDIA_BINARY || str_starts(p->media.boundary, mark)))
        return false;
    if (p->texts->header.n > 0)
        buf_addf(&inner, "--%.*s\n%.*s", STR_ARG(mark),
                 STR_ARG(print_part(p, p->texts->header)));
    buf_addf(&inner, "--%.*s\n", STR_ARG(mark));
    while (header.n > 0) {
        struct str field = header_next_field(&header, &name);
        has_version = has_version || str_ieq(name, STR("MIME-Version"));
        buf_must(buf_add_str(media_is_field(name) ? &inner : &outer, field));
    }
    buf_addf(&outer, "%sContent-Type: multipart/mixed; boundary=\"%.*s\"\n",
             has_version ? "" : "MIME-Version: 1.0\n", STR_ARG(mark));
    if (p->media.encoding == MEDIA_8BIT || p->media.encoding == MEDIA_BINARY)
        buf_addf(&outer, "Content-Transfer-Encoding: %s\n",
                 p->media.encoding == MEDIA_8BIT ? "8bit" : "binary");
    buf_addf(&inner, "\n");
    put_in(p, 0, 0, arena_str(p->mem, buf_str(&inner)));
    buf_reset(&inner);
    if (p->texts->footer.n > 0)
        buf_addf(&inner, "\n--%.*s\n%.*s", STR_ARG(mark),
                 STR_ARG(print_part(p, p->texts->footer)));
    buf_addf(&inner, "\n--%.*s--\n", STR_ARG(mark));
    put_in(p, p->body->octets, p->body->octets, arena_str(p->mem, buf_str(&inner)));
    p->out->header = arena_str(p->mem, buf_str(&outer));
    return true;
}

static bool is(const struct media *m, struct str type, struct str subtype)
{
    return str_ieq(m->type, type) && (subtype.n == 0 || str_ieq(m->subtype, subtype));
}

bool list_body_plan(const struct list_texts *texts, struct str header,
                    const struct list_body *body, struct str mark, struct arena *a,
                    struct body_change *out)
{
    struct plan p = { .texts = texts, .body = body, .mem = a, .out = out };
    *out = (struct body_change){ .header = header };
    if (texts->header.n + texts->footer.n == 0 || !media_read(header, a, &p.media))
        return false;
    const struct media *m = &p.media;
    if (is(m, STR("multipart"), STR("mixed")))
        return plan_mixed(&p);
    if (is(m, STR("text"), STR("plain")) && !m->is_attached && plan_plain(&p))
        return true;
    out->count = 0;
    return (is(m, STR("text"), STR("")) || is(m, STR("multipart"), STR("alternative")) ||
            is(m, STR("multipart"), STR("related"))) &&
           plan_wrap(&p, header, mark);
}

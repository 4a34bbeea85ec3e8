/*
 * http_session.c - requests as they come in, answers as they go out, on the session engine: the
 * request line is a command of http_commands; fields and body are read in further steps.
 *
 * INVARIANTS
 * 1. After an error in reading a request the connection closes: nothing more is read from it.
 * 2. At most OUT_PIECE octets of an answer are in the output buffer, whatever its size.
 * 3. A handler is called once a request, with the whole body; s->tmp lives until the answer is
 *    sent.
 */
#include "wire/http.h"
#include <zlib.h>

#define OUT_PIECE ((size_t)64 * 1024)
#define HEAD_TIME (20 * USEC_S)  /* for all fields of a request */
#define BODY_TIME (300 * USEC_S) /* for its body */
#define GZIP_LEAST ((size_t)1000)

static enum step read_fields(struct session *s);
static enum step send_body(struct session *s);

const char *const http_state_names[] = { "OPEN" };

/* --- answering ---------------------------------------------------------------------------- */

static void reset(struct http_session *h)
{
    if (h->answering)
        h->service->done(h);
    buf_release(&h->response.fields);
    buf_release(&h->response.body);
    buf_release(&h->body);
    h->request = (struct http_request){ .method = STR("") };
    h->response = (struct http_response){ .status = 0 };
    h->produce = NULL;
    h->body_left = 0;
    h->has_length = h->chunked = h->answering = h->broken = false;
    h->chunk_state = 0;
    h->out_at = 0;
}

static struct str body_of(const struct http_response *r)
{
    return r->fixed.n > 0 ? r->fixed : buf_str(&r->body);
}

static bool is_text(const char *type)
{
    static const char *const begins[] = { "text/", "application/json", "application/javascript",
                                          "image/svg" };
    for (size_t i = 0; i < ARRAY_LEN(begins); i++)
        if (str_starts(str_from_c(type), str_from_c(begins[i])))
            return true;
    return false;
}

/* The body in gzip form (RFC 1952), where that is shorter. */
static void compress_body(struct http_session *h)
{
    struct http_response *r = &h->response;
    z_stream z = { .next_in = NULL };
    struct buf out;
    if (r->fixed.n > 0 || r->no_compression || !h->request.accepts_gzip || r->type == NULL ||
        !is_text(r->type) || r->body.n < GZIP_LEAST || r->body.n > UINT32_MAX / 2)
        return;
    if (deflateInit2(&z, 5, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    buf_init(&out, r->body.n);
    bool ok = buf_reserve(&out, r->body.n) == RC_OK;
    z.next_in = (unsigned char *)r->body.p;
    z.avail_in = (uInt)r->body.n;
    z.next_out = (unsigned char *)out.p;
    z.avail_out = (uInt)r->body.n;
    ok = ok && deflate(&z, Z_FINISH) == Z_STREAM_END;
    out.n = ok ? (size_t)z.total_out : 0;
    (void)deflateEnd(&z);
    if (!ok) {
        buf_release(&out);
        return;
    }
    buf_release(&r->body);
    r->body = out;
    http_add_field(r, "Content-Encoding", STR("gzip"));
}

static bool has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void write_head(struct http_session *h)
{
    struct http_response *r = &h->response;
    struct stream *st = &h->s.st;
    stream_printf(st, "HTTP/1.1 %u %s\r\n", r->status, http_reason(r->status));
    if (r->type != NULL)
        stream_printf(st, "Content-Type: %s\r\n", r->type);
    if (r->type != NULL && is_text(r->type))
        stream_printf(st, "Vary: Accept-Encoding\r\n");
    if (r->fields.n > 0)
        stream_write_str(st, buf_str(&r->fields));
    if (h->produce != NULL && !h->request.http10)
        stream_printf(st, "Transfer-Encoding: chunked\r\n");
    else if (h->produce == NULL && has_body(r->status))
        stream_printf(st, "Content-Length: %zu\r\n", body_of(r).n);
    if (!h->keep_alive)
        stream_printf(st, "Connection: close\r\n");
    else if (h->request.http10)
        stream_printf(st, "Connection: keep-alive\r\n");
    stream_write_str(st, STR("\r\n"));
}

static enum step finish(struct http_session *h)
{
    bool open = h->keep_alive && !h->s.stopping;
    reset(h);
    return open ? STEP_NEXT : STEP_CLOSE;
}

/* The next piece of a body that is being made. */
static enum step send_made(struct session *s)
{
    struct http_session *h = http_of(s);
    struct buf piece AUTO_RELEASE_BUF;
    usec_t pause = 0;
    buf_init(&piece, OUT_PIECE * 16);
    bool more = h->produce(h, &piece, &pause);
    bool chunks = !h->request.http10;
    if (piece.n > 0) {
        if (chunks)
            stream_printf(&s->st, "%zx\r\n", piece.n);
        stream_write_str(&s->st, buf_str(&piece));
        if (chunks)
            stream_write_str(&s->st, STR("\r\n"));
    }
    if (!more && h->broken)
        return STEP_CLOSE;
    if (!more || s->stopping) {
        if (chunks)
            stream_write_str(&s->st, STR("0\r\n\r\n"));
        return finish(h);
    }
    s->more = send_made;
    s->wake_at = clock_mono() + pause;
    return pause > 0 ? STEP_DELAY : STEP_OUTPUT;
}

static enum step send_body(struct session *s)
{
    struct http_session *h = http_of(s);
    struct str left = str_skip(body_of(&h->response), h->out_at);
    if (h->request.is_head || !has_body(h->response.status) || left.n == 0)
        return finish(h);
    struct str piece = str_head(left, OUT_PIECE);
    stream_write_str(&s->st, piece);
    h->out_at += piece.n;
    s->more = send_body;
    return STEP_OUTPUT;
}

static enum step answer(struct http_session *h)
{
    if (h->response.close || h->s.stopping)
        h->keep_alive = false;
    if (h->request.http10 && h->produce != NULL)
        h->keep_alive = false; /* its end is the connection's */
    compress_body(h);
    write_head(h);
    return h->produce != NULL && !h->request.is_head ? send_made(&h->s) : send_body(&h->s);
}

/* An answer before the request was read whole. */
static enum step refuse(struct http_session *h, unsigned status)
{
    h->keep_alive = false;
    h->produce = NULL;
    h->response.status = status;
    log_info(EV("request refused"), KS("session", session_id(&h->s)),
             KS("target", h->request.target), KU("status", status));
    return answer(h);
}

/* --- reading ------------------------------------------------------------------------------ */

static enum step handle(struct http_session *h)
{
    h->request.body = buf_str(&h->body);
    h->answering = true;
    h->service->handle(h);
    return answer(h);
}

static enum step read_body(struct session *s)
{
    struct http_session *h = http_of(s);
    struct str in = stream_input(&s->st), rest = in;
    enum rc rc = RC_AGAIN;
    if (h->chunked) {
        rc = http_read_chunks(&h->chunk_state, &h->body_left, &rest, &h->body);
    } else {
        struct str part = str_head(in, (size_t)MIN(h->body_left, (uint64_t)in.n));
        rc = buf_add_str(&h->body, part);
        rest = str_skip(in, part.n);
        h->body_left -= part.n;
        rc = rc == RC_OK && h->body_left > 0 ? RC_AGAIN : rc;
    }
    stream_consume(&s->st, in.n - rest.n);
    if (rc == RC_OK)
        return handle(h);
    if (rc != RC_AGAIN)
        return refuse(h, h->chunked ? 400 : 413);
    s->more = read_body;
    return STEP_INPUT;
}

/* The fields are there: may there be a body, and how long is it? */
static enum step begin_body(struct http_session *h)
{
    unsigned status = http_check_head(h);
    struct str expect = http_field(&h->request, "Expect");
    if (status != 0)
        return refuse(h, status);
    if (expect.p != NULL && !str_ieq(expect, STR("100-continue")))
        return refuse(h, 417);
    h->body_max = h->service->body_max(h, &status);
    if (status != 0)
        return refuse(h, status);
    if (!h->chunked && h->body_left == 0)
        return handle(h);
    if (h->body_max == 0 || h->body_left > h->body_max)
        return refuse(h, 413);
    buf_init(&h->body, h->body_max);
    if (expect.p != NULL)
        stream_write_str(&h->s.st, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    session_set_deadline(&h->s, clock_mono() + BODY_TIME);
    return read_body(&h->s);
}

static enum step read_fields(struct session *s)
{
    struct http_session *h = http_of(s);
    struct str line;
    for (;;) {
        enum rc rc = stream_line(&s->st, HTTP_LINE_MAX, false, &line);
        if (rc == RC_PERM)
            return refuse(h, 431);
        if (rc != RC_OK) {
            s->more = read_fields;
            return STEP_INPUT;
        }
        if (line.n == 0)
            return begin_body(h);
        unsigned status = http_parse_field(arena_str(&s->tmp, line), &h->request);
        if (status != 0)
            return refuse(h, status);
    }
}

static enum step start(struct session *s, struct str args)
{
    struct http_session *h = http_of(s);
    reset(h);
    h->keep_alive = false;
    unsigned status = http_parse_request_line(str_from_c(s->command->name), args, &h->request);
    if (status != 0)
        return refuse(h, status);
    session_set_deadline(s, clock_mono() + HEAD_TIME);
    return read_fields(s);
}

/* clang-format off */
const struct command http_commands[HTTP_COMMANDS] = {
    { "GET",    start, 0, CMD_ANY_STATE, "target HTTP/1.1", "9110 9.3.1" },
    { "HEAD",   start, 0, CMD_ANY_STATE, "target HTTP/1.1", "9110 9.3.2" },
    { "POST",   start, 0, CMD_ANY_STATE, "target HTTP/1.1", "9110 9.3.3" },
    { "PUT",    start, 0, CMD_ANY_STATE, "target HTTP/1.1", "9110 9.3.4" },
    { "DELETE", start, 0, CMD_ANY_STATE, "target HTTP/1.1", "9110 9.3.5" },
    { "PATCH",  start, 0, CMD_ANY_STATE, "target HTTP/1.1", "5789 2" },
};
/* clang-format on */

enum step http_begin(struct session *s, const struct http_service *service)
{
    struct http_session *h = http_of(s);
    h->service = service;
    reset(h);
    return STEP_NEXT;
}

void http_end(struct session *s)
{
    struct http_session *h = http_of(s);
    if (h->service != NULL)
        reset(h);
}

/*
 * stream.c - buffered, non-blocking connections: TCP, TLS over it, memory. Called by
 * wire/session.c and by the protocols; the session's owner only.
 *
 * Reading goes through a scratch area of the thread, so that an idle connection owns no read
 * buffer. stream_start_tls is the one place where command injection must be thought of: it
 * drops everything received in plain text.
 */
#include "sys/stream.h"
#include "sys/tls_int.h"
#include <stdarg.h>

#define IN_MAX_BYTES ((size_t)256 * 1024)
#define OUT_MAX_BYTES ((size_t)4 << 20)
#define SCRATCH_BYTES ((size_t)32 * 1024)

static _Thread_local char scratch[SCRATCH_BYTES];

void stream_init(struct stream *st, int fd)
{
    *st = (struct stream){ .fd = fd };
    buf_init(&st->in, IN_MAX_BYTES);
    buf_init(&st->out, OUT_MAX_BYTES);
}

void stream_release(struct stream *st)
{
    tls_free(&st->tls);
    if (st->fd >= 0)
        (void)close(st->fd);
    st->fd = -1;
    buf_release(&st->in);
    buf_release(&st->out);
}

static enum rc broken(struct stream *st)
{
    st->failed = true;
    return RC_GONE;
}

/* One read from the transport into p: octets, 0 at the end, -1 with *out_rc otherwise. */
static ssize_t transport_read(struct stream *st, char *p, size_t n, enum rc *out_rc)
{
    if (st->tls != NULL)
        return tls_read(st->tls, p, n, &st->tls_wants_write, out_rc);
    ssize_t got = 0;
    do
        got = recv(st->fd, p, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        *out_rc = errno == EAGAIN ? RC_AGAIN : RC_GONE;
    return got;
}

enum rc stream_fill(struct stream *st)
{
    if (st->failed || st->eof)
        return RC_GONE;
    if (st->fd < 0 || st->drained) {
        st->drained = false;
        return RC_AGAIN;
    }
    enum rc rc = RC_OK;
    ssize_t n = transport_read(st, scratch, sizeof(scratch), &rc);
    if (n < 0)
        return rc == RC_AGAIN ? RC_AGAIN : broken(st);
    if (n == 0) {
        st->eof = true;
        return RC_GONE;
    }
    /* A short read emptied the socket: the next fill may say so without asking the kernel. */
    st->drained = st->tls == NULL && (size_t)n < sizeof(scratch);
    st->octets_in += (uint64_t)n;
    if (st->in_used > 0) {
        buf_consume(&st->in, st->in_used);
        st->in_used = 0;
    }
    return buf_add(&st->in, scratch, (size_t)n) == RC_OK ? RC_OK : broken(st);
}

struct str stream_input(const struct stream *st)
{
    return str_skip(buf_str(&st->in), st->in_used);
}

void stream_consume(struct stream *st, size_t n)
{
    st->in_used += n;
    if (st->in_used > st->in.n)
        BUG("stream_consume past the end");
}

enum rc stream_line(struct stream *st, size_t max_bytes, bool lf_ok, struct str *out_line)
{
    struct str in = stream_input(st);
    size_t lf = str_find(str_head(in, max_bytes), '\n');
    while (lf != SIZE_MAX && !lf_ok && (lf == 0 || in.p[lf - 1] != '\r')) {
        size_t more = str_find(str_head(str_skip(in, lf + 1), max_bytes - lf - 1), '\n');
        lf = more == SIZE_MAX ? SIZE_MAX : lf + 1 + more;
    }
    if (lf == SIZE_MAX)
        return in.n >= max_bytes ? RC_PERM : RC_AGAIN;
    size_t n = lf > 0 && in.p[lf - 1] == '\r' ? lf - 1 : lf;
    *out_line = str_head(in, n);
    stream_consume(st, lf + 1);
    return RC_OK;
}

bool stream_discard_line(struct stream *st)
{
    struct str in = stream_input(st);
    size_t lf = str_find(in, '\n');
    stream_consume(st, lf == SIZE_MAX ? in.n : lf + 1);
    return lf != SIZE_MAX;
}

void stream_write(struct stream *st, const void *p, size_t n)
{
    if (!st->failed && buf_add(&st->out, p, n) != RC_OK)
        st->failed = true;
}

void stream_write_str(struct stream *st, struct str s)
{
    stream_write(st, s.p, s.n);
}

void stream_printf(struct stream *st, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (!st->failed && buf_vprintf(&st->out, fmt, ap) != RC_OK)
        st->failed = true;
    va_end(ap);
}

size_t stream_pending(const struct stream *st)
{
    return st->out.n - st->out_sent;
}

static ssize_t transport_write(struct stream *st, const char *p, size_t n, enum rc *out_rc)
{
    if (st->tls != NULL)
        return tls_write(st->tls, p, n, &st->tls_wants_write, out_rc);
    ssize_t sent = 0;
    do
        sent = send(st->fd, p, n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        *out_rc = errno == EAGAIN ? RC_AGAIN : RC_GONE;
    return sent;
}

enum rc stream_flush(struct stream *st)
{
    if (st->fd < 0)
        return st->failed ? RC_GONE : RC_OK;
    while (!st->failed && st->out_sent < st->out.n) {
        enum rc rc = RC_OK;
        ssize_t n = transport_write(st, st->out.p + st->out_sent, stream_pending(st), &rc);
        if (n < 0)
            return rc == RC_AGAIN ? RC_AGAIN : broken(st);
        st->out_sent += (size_t)n;
        st->octets_out += (uint64_t)n;
    }
    if (st->failed)
        return RC_GONE;
    buf_reset(&st->out);
    st->out_sent = 0;
    return RC_OK;
}

void stream_shrink(struct stream *st)
{
    if (st->in_used == st->in.n) {
        buf_release(&st->in);
        st->in_used = 0;
    }
    if (st->fd >= 0 && st->out.n == 0)
        buf_release(&st->out);
}

enum rc stream_start_tls(struct stream *st, struct tls_ctx *ctx, struct err *e)
{
    if (st->tls != NULL || stream_pending(st) > 0)
        BUG("stream_start_tls: TLS is active, or output is waiting");
    buf_release(&st->in);
    st->in_used = 0;
    st->drained = false;
    return tls_new(ctx, st->fd, &st->tls, e);
}

enum rc stream_tls_handshake(struct stream *st, struct err *e)
{
    return tls_handshake(st->tls, &st->tls_wants_write, e);
}

bool stream_is_tls(const struct stream *st)
{
    return st->tls != NULL;
}

const char *stream_tls_version(const struct stream *st)
{
    return st->tls == NULL ? NULL : tls_version(st->tls);
}

const char *stream_tls_cipher(const struct stream *st, int *out_bits)
{
    *out_bits = 0;
    return st->tls == NULL ? NULL : tls_cipher(st->tls, out_bits);
}

void stream_mem_feed(struct stream *st, struct str octets)
{
    if (st->in_used > 0) {
        buf_consume(&st->in, st->in_used);
        st->in_used = 0;
    }
    buf_must(buf_add_str(&st->in, octets));
}

void stream_mem_eof(struct stream *st)
{
    st->eof = true;
}

struct str stream_mem_sent(struct stream *st, struct arena *a)
{
    struct str sent = arena_str(a, buf_str(&st->out));
    buf_reset(&st->out);
    st->out_sent = 0;
    return sent;
}

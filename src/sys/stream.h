/*
 * stream.h - one connection (plain TCP, TLS over it, or memory in tests) with buffers; never
 * blocks. Buffers take no memory while they are empty and the session is parked.
 */
#ifndef HIKYAKU_SYS_STREAM_H
#define HIKYAKU_SYS_STREAM_H

#include "base/base.h"

struct tls;     /* sys/tls.h: the state of one TLS connection */
struct tls_ctx; /* certificates and settings of a server */

struct stream {
    int fd;               /* -1: memory stream */
    struct tls *tls;      /* NULL: plain */
    struct buf in;        /* received, not yet used */
    struct buf out;       /* written, not yet sent */
    size_t in_used;       /* octets of `in` already consumed */
    size_t out_sent;      /* octets of `out` already sent */
    bool eof;             /* the peer will send no more */
    bool failed;          /* the connection broke */
    bool drained;         /* the last read emptied the socket */
    bool tls_wants_write; /* TLS waits for the socket to take octets, not for input */
    uint64_t octets_in, octets_out;
};

/* Takes ownership of the connected, non-blocking descriptor fd (-1: memory stream for tests).
 */
void stream_init(struct stream *st, int fd);
/* Closes the descriptor, frees TLS state and buffers. */
void stream_release(struct stream *st);

/*
 * Reads once what the kernel or the TLS layer holds, up to 16 KB, behind what is buffered.
 * RC_OK: at least one octet more. RC_AGAIN: nothing now. RC_GONE: end of file or broken.
 */
enum rc stream_fill(struct stream *st) CHECK_RESULT;
/* What is buffered and not yet consumed (valid until the next stream_fill). */
struct str stream_input(const struct stream *st);
/* Marks the first n octets of stream_input as used. */
void stream_consume(struct stream *st, size_t n);
/*
 * Takes the next line off the buffer, without its line end (CRLF; a bare LF is taken as a line
 * end only when lf_ok). RC_AGAIN: no whole line buffered yet. RC_PERM: longer than max_bytes;
 * the caller decides (stream_discard_line skips what is left of it). The slice is valid until
 * the next fill.
 */
enum rc stream_line(struct stream *st, size_t max_bytes, bool lf_ok,
                    struct str *out_line) CHECK_RESULT;
/* Drops buffered octets up to and with the next LF; true when the LF was there. */
bool stream_discard_line(struct stream *st);

/* Appends to the output buffer; flushed by stream_flush. Nothing fails here: a broken
 * connection swallows output, and the next fill or flush says RC_GONE. */
void stream_write(struct stream *st, const void *p, size_t n);
void stream_write_str(struct stream *st, struct str s);
void stream_printf(struct stream *st, const char *fmt, ...) PRINTF(2, 3);
/* Octets waiting to be sent. */
size_t stream_pending(const struct stream *st);
/* Sends what the kernel takes. RC_OK: all is sent. RC_AGAIN: the socket is full. RC_GONE:
 * broken. */
enum rc stream_flush(struct stream *st) CHECK_RESULT;
/* Frees buffers that are empty: called when a session is parked. */
void stream_shrink(struct stream *st);

/*
 * Server side of a TLS handshake begins: everything received before is dropped (RFC 3207 4.2,
 * RFC 2595 4), output must have been flushed. Then stream_tls_handshake is called until it is
 * RC_OK.
 */
enum rc stream_start_tls(struct stream *st, struct tls_ctx *ctx, struct err *e) CHECK_RESULT;
/* RC_OK: established. RC_AGAIN: wait for st->tls_wants_write ? writable : readable. RC_GONE. */
enum rc stream_tls_handshake(struct stream *st, struct err *e) CHECK_RESULT;
bool stream_is_tls(const struct stream *st);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384", bits; NULL and 0 without TLS. */
const char *stream_tls_version(const struct stream *st);
const char *stream_tls_cipher(const struct stream *st, int *out_bits);

/* Memory streams (fd -1): octets the "peer" sends, and what it received (then forgotten). */
void stream_mem_feed(struct stream *st, struct str octets);
void stream_mem_eof(struct stream *st);
struct str stream_mem_sent(struct stream *st, struct arena *a);

#endif

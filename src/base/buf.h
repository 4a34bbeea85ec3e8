/* buf.h - growing buffers with a maximum. */
#ifndef HIKYAKU_BASE_BUF_H
#define HIKYAKU_BASE_BUF_H

#include "base/err.h"
#include "base/str.h"
#include <stdarg.h>

/*
 * INVARIANT: p is never NULL and p[n] is NUL; n <= max.
 * Appending beyond max writes nothing and returns RC_PERM (input too large); no memory:
 * RC_TEMP.
 */
struct buf {
    char *p;
    size_t n, cap, max;
};

#define BUF_MAX_DEFAULT ((size_t)1 << 30)

/* An empty buffer that may hold max_bytes. No memory is taken until something is appended. */
void buf_init(struct buf *b, size_t max_bytes);
/* Frees the memory; the buffer is empty and usable again. Works on a zeroed struct too. */
void buf_release(struct buf *b);
/* Empties the buffer, keeps its memory. */
void buf_reset(struct buf *b);

/* Append. RC_PERM: it would not fit in max_bytes; then nothing is appended. */
enum rc buf_add(struct buf *b, const void *p, size_t n) CHECK_RESULT;
enum rc buf_add_str(struct buf *b, struct str s) CHECK_RESULT;
enum rc buf_add_char(struct buf *b, char c) CHECK_RESULT;
enum rc buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3) CHECK_RESULT;
enum rc buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF(2, 0) CHECK_RESULT;
/* Makes room for n more octets behind p[b->n] (the caller then writes there and adds to n). */
enum rc buf_reserve(struct buf *b, size_t n) CHECK_RESULT;
/* Drops the first n octets. */
void buf_consume(struct buf *b, size_t n);
/* Shortens to n octets. */
void buf_truncate(struct buf *b, size_t n);

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){ b->p, b->n };
}

/* For program-made text whose size is known to fit: a failure is a bug. */
void buf_must(enum rc rc);
/* buf_addf(b, "...", ...) without a result to check. */
#define buf_addf(b, ...) buf_must(buf_printf(b, __VA_ARGS__))

/* struct buf b AUTO_RELEASE_BUF: released at the end of the scope. */
#define AUTO_RELEASE_BUF __attribute__((cleanup(buf_release)))

#endif

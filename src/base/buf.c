/* buf.c - growing buffers with a maximum; see buf.h for the invariants. */
#include "base/base.h"

static char empty[1];

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){ .p = empty, .max = max_bytes };
}

void buf_release(struct buf *b)
{
    size_t max = b->max;
    if (b->p != empty)
        mem_free(&b->p);
    buf_init(b, max);
}

void buf_truncate(struct buf *b, size_t n)
{
    if (n >= b->n)
        return;
    b->n = n;
    b->p[n] = '\0';
}

void buf_reset(struct buf *b)
{
    buf_truncate(b, 0);
}

enum rc buf_reserve(struct buf *b, size_t n)
{
    size_t need = 0;
    if (!add_ok(b->n, n, &need) || need > b->max)
        return RC_PERM;
    if (need < b->cap)
        return RC_OK;
    size_t cap = MAX(b->cap + b->cap / 2, need + 1);
    cap = MAX(cap, (size_t)64);
    char *p = mem_try_resize(b->p == empty ? NULL : b->p, cap);
    if (p == NULL)
        return RC_TEMP;
    p[b->n] = '\0';
    b->p = p;
    b->cap = cap;
    return RC_OK;
}

enum rc buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return RC_OK;
    enum rc rc = buf_reserve(b, n);
    if (rc != RC_OK)
        return rc;
    memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
    return RC_OK;
}

enum rc buf_add_str(struct buf *b, struct str s)
{
    return buf_add(b, s.p, s.n);
}

enum rc buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

enum rc buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return RC_PERM;
    enum rc rc = buf_reserve(b, (size_t)n);
    if (rc != RC_OK)
        return rc;
    if (n > 0)
        (void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    b->n += (size_t)n;
    return RC_OK;
}

enum rc buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    enum rc rc = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return rc;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n > b->n)
        BUG("buf_consume past the end");
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    b->p[b->n] = '\0';
}

void buf_must(enum rc rc)
{
    if (rc != RC_OK)
        BUG("buffer for program-made text is too small, or memory is gone");
}

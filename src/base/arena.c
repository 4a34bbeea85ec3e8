/*
 * arena.c - bump allocation. Blocks start below 1 KB (idle sessions stay small) and double to
 * 64 KB. Freed octets are poisoned under AddressSanitizer.
 */
#include "base/base.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n) ((void)(p))
#define UNPOISON(p, n) ((void)(p))
#endif

#define BLOCK_MIN ((size_t)960) /* with its head within what the allocator caches */
#define BLOCK_MAX ((size_t)65536)
#define ALIGN _Alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t cap, used;
    max_align_t data[];
};

static struct arena_block *block_new(struct arena *a, size_t n)
{
    size_t cap = a->head == NULL ? BLOCK_MIN : MIN(a->head->cap * 2, BLOCK_MAX);
    cap = MAX(cap, n);
    struct arena_block *b = mem_new(sizeof(*b) + cap);
    b->cap = cap;
    b->next = a->head;
    a->head = b;
    POISON(b->data, cap);
    return b;
}

void *arena_new(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        BUG("arena_new size");
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *b = a->head;
    if (b == NULL || b->cap - b->used < n)
        b = block_new(a, n);
    char *p = (char *)b->data + b->used;
    UNPOISON(p, n);
    memset(p, 0, n);
    b->used += n;
    a->used_bytes += n;
    return p;
}

struct str arena_str(struct arena *a, struct str s)
{
    return (struct str){ arena_c(a, s), s.n };
}

char *arena_c(struct arena *a, struct str s)
{
    char *p = arena_new(a, s.n + 1);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return p;
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        BUG("arena_printf format");
    char *p = arena_new(a, (size_t)n + 1);
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (struct str){ p, (size_t)n };
}

void arena_reset(struct arena *a)
{
    while (a->head != NULL && a->head->next != NULL) {
        struct arena_block *b = a->head;
        a->head = b->next;
        UNPOISON(b->data, b->cap);
        mem_free(&b);
    }
    if (a->head != NULL) {
        a->head->used = 0;
        POISON(a->head->data, a->head->cap);
    }
    a->used_bytes = 0;
}

void arena_release(struct arena *a)
{
    arena_reset(a);
    if (a->head != NULL)
        UNPOISON(a->head->data, a->head->cap);
    mem_free(&a->head);
}

void arena_wipe(struct arena *a)
{
    for (struct arena_block *b = a->head; b != NULL; b = b->next) {
        UNPOISON(b->data, b->cap);
        mem_wipe(b->data, b->cap);
    }
    arena_release(a);
}

/* arena.h - bump allocation in chained blocks: many small objects with one lifetime. */
#ifndef HIKYAKU_BASE_ARENA_H
#define HIKYAKU_BASE_ARENA_H

#include "base/str.h"
#include <stdarg.h>

struct arena_block;

/* A zeroed struct is a valid, empty arena. Owner only. */
struct arena {
    struct arena_block *head;
    size_t used_bytes;
};

/* n zeroed octets, aligned for any type; valid until the arena is reset or released. */
void *arena_new(struct arena *a, size_t n) __attribute__((malloc, returns_nonnull));
#define arena_new_array(a, type, count) ((type *)arena_new(a, sizeof(type) * (count)))
/* A copy of s, NUL-terminated behind its end. */
struct str arena_str(struct arena *a, struct str s);
/* A NUL-terminated copy of s. */
char *arena_c(struct arena *a, struct str s);
/* Formatted text; the slice is NUL-terminated behind its end. */
struct str arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Forgets all objects and keeps one block for reuse. */
void arena_reset(struct arena *a);
/* Frees everything. */
void arena_release(struct arena *a);
/* The same, all octets overwritten first: for arenas that held secrets. */
void arena_wipe(struct arena *a);

#define AUTO_RELEASE_ARENA __attribute__((cleanup(arena_release)))

#endif

/* mem.h - the heap. Everything allocated is zeroed; running out of small memory ends the
 * process. */
#ifndef HIKYAKU_BASE_MEM_H
#define HIKYAKU_BASE_MEM_H

#include <stddef.h>

/* n zeroed octets; never NULL (out of memory aborts: a restarted role is better than a half
 * one). */
void *mem_new(size_t n) __attribute__((malloc, returns_nonnull));

/* n octets, not zeroed, or NULL: for large buffers whose absence the caller can answer. */
void *mem_try(size_t n) __attribute__((malloc));

/* Resizes p (or allocates, for NULL) to n octets; NULL on failure, p still valid then. */
void *mem_try_resize(void *p, size_t n);

/* Frees *p and leaves NULL there; *p may be NULL. Use through mem_free(&ptr). */
void mem_free_at(void *address_of_pointer);
#define mem_free(pp) mem_free_at((void *)(pp))

/* Overwrites n octets at p in a way the compiler keeps: for secrets. */
void mem_wipe(void *p, size_t n);

/* Torture: the n-th mem_try or mem_try_resize from now fails (0: none). Tests only. */
void mem_fail_nth(unsigned n);

/* char *p AUTO_FREE = ...: freed at the end of the scope. */
#define AUTO_FREE __attribute__((cleanup(mem_free_at)))

#endif

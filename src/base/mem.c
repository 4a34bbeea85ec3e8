/*
 * mem.c - the only caller of malloc and free.
 * mem_new aborts when memory is gone; mem_try lets large buffers fail (and tests make it fail).
 */
#include "base/base.h"

static unsigned fail_in;

void bug_report(const char *file, int line, const char *why)
{
    log_error(EV("bug"), KV("file", file), KI("line", line), KV("why", why));
    abort();
}

static bool fails_now(void)
{
    if (fail_in == 0)
        return false;
    fail_in--;
    return fail_in == 0;
}

void *mem_new(size_t n)
{
    void *p = calloc(1, n == 0 ? 1 : n);
    if (p == NULL)
        BUG("out of memory");
    return p;
}

void *mem_try(size_t n)
{
    return fails_now() ? NULL : malloc(n == 0 ? 1 : n);
}

void *mem_try_resize(void *p, size_t n)
{
    return fails_now() ? NULL : realloc(p, n == 0 ? 1 : n);
}

void mem_free_at(void *address_of_pointer)
{
    void *p = NULL;
    memcpy(&p, address_of_pointer, sizeof(p));
    free(p);
    p = NULL;
    memcpy(address_of_pointer, &p, sizeof(p));
}

void mem_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}

void mem_fail_nth(unsigned n)
{
    fail_in = n;
}

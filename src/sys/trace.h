/*
 * trace.h - for crash tests: a record of every call that changes the file system, and a kill
 * between two of them. Compiled into sanitizer builds only; a release has none of it.
 *
 * HIKYAKU_TRACE=FILE: each change is appended to FILE as a line "OP path [path] [offset]
 * octets" and the octets themselves (docs/crash-tests.md). HIKYAKU_KILL=ROLE:N: the process of
 * that role kills itself in place of its N-th change. HIKYAKU_BOOT_ID=TEXT: the boot id that
 * recovery believes in.
 */
#ifndef HIKYAKU_SYS_TRACE_H
#define HIKYAKU_SYS_TRACE_H

#include "base/base.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TRACE_ENABLED 1
#else
#define TRACE_ENABLED 0
#endif

#if TRACE_ENABLED
/* Before a change: dies here if this is the one. */
void trace_before(void);
/* After a change that worked. path NULL: the path of fd. */
void trace_change(char op, int fd, const char *path, const char *to, uint64_t at,
                  const void *octets, size_t n);
/* Where fd would write next. */
uint64_t trace_position(int fd);
/* The role of this process, for HIKYAKU_KILL. */
void trace_set_role(const char *role);
#else
static inline void trace_before(void)
{
}
static inline void trace_change(char op, int fd, const char *path, const char *to, uint64_t at,
                                const void *octets, size_t n)
{
    (void)op;
    (void)fd;
    (void)path;
    (void)to;
    (void)at;
    (void)octets;
    (void)n;
}
static inline uint64_t trace_position(int fd)
{
    (void)fd;
    return 0;
}
static inline void trace_set_role(const char *role)
{
    (void)role;
}
#endif

#endif

/*
 * trace.h - a record of every call that changes the file system, for the durability checker
 * (tests/crash/trace_model.py): it replays each prefix of the trace with and without what
 * wasn't synced yet. Only in sanitizer builds, or with -DHIKYAKU_DEBUG; in a release every call
 * here is nothing.
 *
 * Environment of such builds:
 *     HIKYAKU_TRACE=path     append the trace to this file (several processes may share it)
 *     HIKYAKU_KILL=ROLE:n    SIGKILL in place of the n-th changing call of that role's process
 *     HIKYAKU_CLOCK=n        the clock is n seconds ahead: what a test builds later is older
 * than that HIKYAKU_LIFE=text      what commit_life says: another text plays a power cut
 *
 * A record is one line "OP PID TID FD A B N1 N2" and N1 + N2 octets and a line end:
 *     open (A flags, path), close, write (A offset, octets), trunc (A size), rename and link
 *     (from, to), unlink, mkdir, rmdir (path), sync+ and sync- (A kind: begin and end), mark
 * Only calls that succeeded are recorded, after they were done and before they return; a sync
 * is recorded before and after. So what stands before its sync+ is what a sync covers for
 * certain.
 */
#ifndef HIKYAKU_SYS_TRACE_H
#define HIKYAKU_SYS_TRACE_H

#include "base/base.h"
#include <sys/uio.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TRACE_BUILD 1
#endif
#endif
#if !defined(TRACE_BUILD)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(HIKYAKU_DEBUG)
#define TRACE_BUILD 1
#else
#define TRACE_BUILD 0
#endif
#endif

enum trace_sync { TRACE_FSYNC = 1, TRACE_FDATASYNC, TRACE_SYNCFS };

#if TRACE_BUILD
/* Begins to trace to path (as HIKYAKU_TRACE does). */
enum rc trace_open(const char *path, struct err *e) CHECK_RESULT;
/* An event for the checker: "acknowledged ID", "remove begin ID", "remove done ID" ... */
void trace_mark(const char *fmt, ...) PRINTF(1, 2);

/* The role of this process, for HIKYAKU_KILL; kept, not copied. Before the first io_ call. */
void trace_set_role(const char *role);

/* For io.c alone. errno is kept. */
bool trace_is_on(void);
void trace_call(const char *op, int fd, uint64_t a, const char *path, const char *path2);
void trace_octets(int fd, uint64_t at, const struct iovec *parts, size_t count, size_t n);
void trace_before_change(void); /* HIKYAKU_KILL */
#else
static inline enum rc trace_open(const char *path, struct err *e)
{
    (void)path;
    return err_temp(e, "4.3.0", "tracing isn't in this build");
}
PRINTF(1, 2) static inline void trace_mark(const char *fmt, ...)
{
    (void)fmt;
}
static inline void trace_set_role(const char *role)
{
    (void)role;
}
static inline bool trace_is_on(void)
{
    return false;
}
static inline void trace_call(const char *op, int fd, uint64_t a, const char *path,
                              const char *path2)
{
    (void)op, (void)fd, (void)a, (void)path, (void)path2;
}
static inline void trace_octets(int fd, uint64_t at, const struct iovec *parts, size_t count,
                                size_t n)
{
    (void)fd, (void)at, (void)parts, (void)count, (void)n;
}
static inline void trace_before_change(void)
{
}
#endif

#endif

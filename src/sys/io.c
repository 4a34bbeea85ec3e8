/*
 * io.c - the file-system calls of the program, in one place, so that they can be traced and
 * made to fail. Called by sys/file.c, sys/commit.c, store and spool; nobody else opens files.
 */
#include "sys/io.h"
#include "sys/trace.h"
#include <linux/openat2.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static _Atomic unsigned fail_in;
static _Atomic int fail_error;

void io_fail_nth(unsigned n, int error)
{
    fail_error = error;
    fail_in = n;
}

/* True (with errno set) when the torture test wants this changing call to fail. */
static bool fails_now(void)
{
    trace_before();
    unsigned n = fail_in;
    while (n > 0 && !atomic_compare_exchange_weak(&fail_in, &n, n - 1))
        continue;
    if (n != 1)
        return false;
    errno = fail_error;
    return true;
}

#define RETRY(expr)                                                                            \
    __extension__({                                                                            \
        __typeof__(expr) result;                                                               \
        do                                                                                     \
            result = (expr);                                                                   \
        while (result < 0 && errno == EINTR);                                                  \
        result;                                                                                \
    })

int io_open(const char *path, int flags, mode_t mode)
{
    bool makes = (flags & (O_CREAT | O_TRUNC)) != 0;
    if (makes && fails_now())
        return -1;
    int fd = RETRY(open(path, flags | O_CLOEXEC | O_NOCTTY, mode));
    if (makes && fd >= 0)
        trace_change((flags & O_TRUNC) != 0 ? 'Z' : 'C', fd, path, NULL, 0, NULL, 0);
    return fd;
}

int io_open_beneath(const char *path, int flags, mode_t mode)
{
    if ((flags & O_CREAT) != 0 && fails_now())
        return -1;
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOCTTY),
        .mode = (flags & O_CREAT) != 0 ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    return (int)RETRY(syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
}

ssize_t io_read(int fd, void *p, size_t n)
{
    return RETRY(read(fd, p, n));
}

ssize_t io_pread(int fd, void *p, size_t n, uint64_t at)
{
    return RETRY(pread(fd, p, n, (off_t)at));
}

ssize_t io_write(int fd, const void *p, size_t n)
{
    ssize_t done = fails_now() ? -1 : RETRY(write(fd, p, n));
    if (done > 0 && TRACE_ENABLED)
        trace_change('W', fd, NULL, NULL, trace_position(fd) - (uint64_t)done, p, (size_t)done);
    return done;
}

ssize_t io_pwrite(int fd, const void *p, size_t n, uint64_t at)
{
    ssize_t done = fails_now() ? -1 : RETRY(pwrite(fd, p, n, (off_t)at));
    if (done > 0)
        trace_change('W', fd, NULL, NULL, at, p, (size_t)done);
    return done;
}

enum rc io_write_all(int fd, struct iovec *parts, size_t count, struct err *e)
{
    while (count > 0) {
        if (parts->iov_len == 0) {
            parts++;
            count--;
            continue;
        }
        ssize_t n = fails_now() ? -1 : RETRY(writev(fd, parts, (int)MIN(count, (size_t)64)));
        if (n < 0)
            return err_sys(e, "write");
        size_t left = (size_t)n;
        while (left > 0) {
            size_t step = MIN(left, parts->iov_len);
            if (TRACE_ENABLED)
                trace_change('W', fd, NULL, NULL, trace_position(fd) - left, parts->iov_base,
                             step);
            parts->iov_base = (char *)parts->iov_base + step;
            parts->iov_len -= step;
            left -= step;
            if (parts->iov_len == 0) {
                parts++;
                count--;
            }
        }
    }
    return RC_OK;
}

void io_close(int fd)
{
    int saved = errno;
    (void)close(fd);
    errno = saved;
}

int io_fsync(int fd)
{
    int rc = fails_now() ? -1 : RETRY(fsync(fd));
    if (rc == 0)
        trace_change('F', fd, NULL, NULL, 0, NULL, 0);
    return rc;
}

int io_fdatasync(int fd)
{
    int rc = fails_now() ? -1 : RETRY(fdatasync(fd));
    if (rc == 0)
        trace_change('F', fd, NULL, NULL, 0, NULL, 0);
    return rc;
}

int io_syncfs(int fd)
{
    int rc = fails_now() ? -1 : RETRY(syncfs(fd));
    if (rc == 0)
        trace_change('S', fd, NULL, NULL, 0, NULL, 0);
    return rc;
}

int io_ftruncate(int fd, uint64_t size)
{
    int rc = fails_now() ? -1 : RETRY(ftruncate(fd, (off_t)size));
    if (rc == 0)
        trace_change('T', fd, NULL, NULL, size, NULL, 0);
    return rc;
}

int io_fstat(int fd, struct stat *out)
{
    return fstat(fd, out);
}

int io_stat(const char *path, struct stat *out)
{
    return stat(path, out);
}

int io_lstat(const char *path, struct stat *out)
{
    return lstat(path, out);
}

int io_rename(const char *from, const char *to)
{
    int rc = fails_now() ? -1 : rename(from, to);
    if (rc == 0)
        trace_change('R', -1, from, to, 0, NULL, 0);
    return rc;
}

int io_link(const char *from, const char *to)
{
    int rc = fails_now() ? -1 : link(from, to);
    if (rc == 0)
        trace_change('L', -1, from, to, 0, NULL, 0);
    return rc;
}

int io_unlink(const char *path)
{
    int rc = fails_now() ? -1 : unlink(path);
    if (rc == 0)
        trace_change('U', -1, path, NULL, 0, NULL, 0);
    return rc;
}

int io_mkdir(const char *path, mode_t mode)
{
    int rc = fails_now() ? -1 : mkdir(path, mode);
    if (rc == 0)
        trace_change('M', -1, path, NULL, 0, NULL, 0);
    return rc;
}

int io_rmdir(const char *path)
{
    int rc = fails_now() ? -1 : rmdir(path);
    if (rc == 0)
        trace_change('D', -1, path, NULL, 0, NULL, 0);
    return rc;
}

int io_chmod(const char *path, mode_t mode)
{
    return fails_now() ? -1 : chmod(path, mode);
}

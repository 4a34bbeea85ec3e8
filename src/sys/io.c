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

/* Before each changing call. True (with errno set) when the torture test wants it to fail. */
static bool fails_now(void)
{
    trace_before_change();
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

/* Records a call that returned `result`, and passes that on. */
static int traced(int result, const char *op, int fd, uint64_t a, const char *path,
                  const char *path2)
{
    if (result >= 0 && trace_is_on())
        trace_call(op, fd, a, path, path2);
    return result;
}

static ssize_t traced_write(ssize_t n, int fd, uint64_t at, const struct iovec *parts,
                            size_t count)
{
    if (n > 0 && trace_is_on())
        trace_octets(fd, at, parts, count, (size_t)n);
    return n;
}

/* Where the n octets just written at the file position went. */
static uint64_t written_at(int fd, ssize_t n)
{
    return n > 0 && trace_is_on() ? (uint64_t)(lseek(fd, 0, SEEK_CUR) - n) : 0;
}

static struct iovec part_of(const void *p, size_t n)
{
    struct iovec part = { .iov_len = n };
    memcpy(&part.iov_base, &p, sizeof(p));
    return part;
}

int io_open(const char *path, int flags, mode_t mode)
{
    if ((flags & (O_CREAT | O_TRUNC)) != 0 && fails_now())
        return -1;
    int fd = RETRY(open(path, flags | O_CLOEXEC | O_NOCTTY, mode));
    (void)traced(fd, "open", fd, (uint64_t)(unsigned)flags, path, NULL);
    return fd;
}

int io_open_beneath(const char *path, int flags, mode_t mode)
{
    if ((flags & (O_CREAT | O_TRUNC)) != 0 && fails_now())
        return -1;
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOCTTY),
        .mode = (flags & O_CREAT) != 0 ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    int fd = (int)RETRY(syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how)));
    (void)traced(fd, "open", fd, (uint64_t)(unsigned)flags, path, NULL);
    return fd;
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
    struct iovec part = part_of(p, n);
    ssize_t done = fails_now() ? -1 : RETRY(write(fd, p, n));
    return traced_write(done, fd, written_at(fd, done), &part, 1);
}

ssize_t io_pwrite(int fd, const void *p, size_t n, uint64_t at)
{
    struct iovec part = part_of(p, n);
    ssize_t done = fails_now() ? -1 : RETRY(pwrite(fd, p, n, (off_t)at));
    return traced_write(done, fd, at, &part, 1);
}

/* Drops the first n octets of the parts. */
static void advance(struct iovec **parts, size_t *count, size_t n)
{
    while (*count > 0 && n >= (*parts)->iov_len) {
        n -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (n > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + n;
        (*parts)->iov_len -= n;
    }
}

enum rc io_write_all(int fd, struct iovec *parts, size_t count, struct err *e)
{
    advance(&parts, &count, 0);
    while (count > 0) {
        ssize_t n = fails_now() ? -1 : RETRY(writev(fd, parts, (int)MIN(count, (size_t)64)));
        if (n < 0)
            return err_sys(e, "write");
        (void)traced_write(n, fd, written_at(fd, n), parts, count);
        advance(&parts, &count, (size_t)n);
    }
    return RC_OK;
}

enum rc io_pwrite_all(int fd, struct iovec *parts, size_t count, uint64_t at, struct err *e)
{
    advance(&parts, &count, 0);
    while (count > 0) {
        int step = (int)MIN(count, (size_t)1024);
        ssize_t n = fails_now() ? -1 : RETRY(pwritev(fd, parts, step, (off_t)at));
        if (n < 0)
            return err_sys(e, "write");
        (void)traced_write(n, fd, at, parts, count);
        advance(&parts, &count, (size_t)n);
        at += (uint64_t)n;
    }
    return RC_OK;
}

void io_close(int fd)
{
    int saved = errno;
    (void)traced(0, "close", fd, 0, NULL, NULL);
    (void)close(fd);
    errno = saved;
}

static int sync_fd(int fd, enum trace_sync kind, int (*sync_call)(int))
{
    if (fails_now())
        return -1;
    (void)traced(0, "sync+", fd, (uint64_t)kind, NULL, NULL);
    return traced(RETRY(sync_call(fd)), "sync-", fd, (uint64_t)kind, NULL, NULL);
}

int io_fsync(int fd)
{
    return sync_fd(fd, TRACE_FSYNC, fsync);
}

int io_fdatasync(int fd)
{
    return sync_fd(fd, TRACE_FDATASYNC, fdatasync);
}

int io_syncfs(int fd)
{
    return sync_fd(fd, TRACE_SYNCFS, syncfs);
}

int io_ftruncate(int fd, uint64_t size)
{
    int rc = fails_now() ? -1 : RETRY(ftruncate(fd, (off_t)size));
    return traced(rc, "trunc", fd, size, NULL, NULL);
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
    return traced(fails_now() ? -1 : rename(from, to), "rename", -1, 0, from, to);
}

int io_link(const char *from, const char *to)
{
    return traced(fails_now() ? -1 : link(from, to), "link", -1, 0, from, to);
}

int io_unlink(const char *path)
{
    return traced(fails_now() ? -1 : unlink(path), "unlink", -1, 0, path, NULL);
}

int io_mkdir(const char *path, mode_t mode)
{
    return traced(fails_now() ? -1 : mkdir(path, mode), "mkdir", -1, 0, path, NULL);
}

int io_rmdir(const char *path)
{
    return traced(fails_now() ? -1 : rmdir(path), "rmdir", -1, 0, path, NULL);
}

int io_set_like(int fd, const struct stat *like)
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, like->st_mtim };
    if (fails_now() || (geteuid() == 0 && fchown(fd, like->st_uid, like->st_gid) < 0))
        return -1;
    return fchmod(fd, like->st_mode & 07777) < 0 ? -1 : futimens(fd, times);
}

int io_chmod(const char *path, mode_t mode)
{
    return fails_now() ? -1 : chmod(path, mode);
}

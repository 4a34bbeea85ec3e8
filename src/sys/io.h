/*
 * io.h - every system call that touches the file system, so that it can be traced (durability
 * checks) and made to fail (torture). Paths are relative to the MailRoot, the working directory
 * of every role and tool. Each function behaves as the call it is named after: -1 and errno on
 * failure, restarted on EINTR; io_close never touches errno.
 */
#ifndef HIKYAKU_SYS_IO_H
#define HIKYAKU_SYS_IO_H

#include "base/base.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* O_CLOEXEC and O_NOCTTY are always added. */
int io_open(const char *path, int flags, mode_t mode);
/* As io_open, but the last component must not be a symbolic link, and so must none before it.
 */
int io_open_beneath(const char *path, int flags, mode_t mode);
ssize_t io_read(int fd, void *p, size_t n);
ssize_t io_pread(int fd, void *p, size_t n, uint64_t at);
ssize_t io_write(int fd, const void *p, size_t n);
ssize_t io_pwrite(int fd, const void *p, size_t n, uint64_t at);
/* All parts, or an error; short writes are continued. The array is used up. */
enum rc io_write_all(int fd, struct iovec *parts, size_t count, struct err *e) CHECK_RESULT;
/* The same at an offset; the file position stays. */
enum rc io_pwrite_all(int fd, struct iovec *parts, size_t count, uint64_t at,
                      struct err *e) CHECK_RESULT;
void io_close(int fd);
int io_fsync(int fd);
int io_fdatasync(int fd);
int io_syncfs(int fd);
int io_ftruncate(int fd, uint64_t size);
int io_fstat(int fd, struct stat *out);
int io_stat(const char *path, struct stat *out);
int io_lstat(const char *path, struct stat *out);
int io_rename(const char *from, const char *to);
int io_link(const char *from, const char *to);
int io_unlink(const char *path);
int io_mkdir(const char *path, mode_t mode);
int io_rmdir(const char *path);
int io_chmod(const char *path, mode_t mode);
/* Gives the open file the mode and time of modification that `like` has, and, for root, its
 * owner. */
int io_set_like(int fd, const struct stat *like);

static inline void io_close_at(int *fd)
{
    if (*fd >= 0)
        io_close(*fd);
    *fd = -1;
}
/* int fd AUTO_CLOSE = io_open(...): closed at the end of the scope (negative: nothing). */
#define AUTO_CLOSE __attribute__((cleanup(io_close_at)))

/* Tests: the n-th io_* call from now that changes the file system fails with `error` (0: none).
 */
void io_fail_nth(unsigned n, int error);

#endif

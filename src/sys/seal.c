/*
 * seal.c - see seal.h. The list of system calls is one for all roles (their libraries need much
 * the same); what they may open and whom they may become differs. exec and ptrace end the
 * process.
 */
#include "sys/seal.h"
#include "sys/board.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEAL_ENABLED 0
#else
#define SEAL_ENABLED 1
#endif

/* --- capabilities ------------------------------------------------------------------------ */

static enum rc drop_capabilities(struct err *e)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };
    for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0,
                    0); /* without the right to there is nothing to drop */
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0)
        return err_sys(e, "drop capabilities");
    return RC_OK;
}

/* --- Landlock ---------------------------------------------------------------------------- */

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITES                                                                                 \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                           \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |                            \
     LANDLOCK_ACCESS_FS_MAKE_REG)
#define OTHERS                                                                                 \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                               \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                             \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
/* Since version 2 and 3 of Landlock; renames between folders need REFER. */
#define ACCESS_REFER (UINT64_C(1) << 13)
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)

struct ruleset {
    int fd;
    uint64_t handled;
};

/* Allows `access` below path; a path that isn't there needs no rule. */
static bool allow_below(const struct ruleset *r, const char *path, uint64_t access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    struct landlock_path_beneath_attr rule = { .allowed_access = access & r->handled,
                                               .parent_fd = fd };
    long rc = syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    (void)close(fd);
    return rc == 0;
}

/* A rule for a single file: what only folders have is left out. */
static bool allow_file(const struct ruleset *r, const char *path)
{
    return allow_below(r, path, LANDLOCK_ACCESS_FS_READ_FILE);
}

static bool add_rules(const struct ruleset *r, const struct seal *s)
{
    static const char *const outside[] = {
        "/etc/localtime",
        "/etc/passwd",
        "/proc/meminfo",
        "/dev/urandom",
        "/dev/null",
        "/proc/sys/kernel/random/boot_id",
        "/etc/ssl/certs/ca-certificates.crt",
    };
    uint64_t all = READS | WRITES | ACCESS_REFER | ACCESS_TRUNCATE;
    bool ok = allow_below(r, ".", READS) && allow_below(r, "/usr/share/zoneinfo", READS);
    for (size_t i = 0; i < ARRAY_LEN(outside) && ok; i++)
        ok = allow_file(r, outside[i]);
    for (const char *const *path = s->write_below; *path != NULL && ok; path++)
        ok = allow_below(r, *path, all);
    return ok;
}

/* RC_AGAIN: the kernel has no Landlock. */
static enum rc apply_landlock(const struct seal *s, struct err *e)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return RC_AGAIN;
    struct ruleset r = { .handled = READS | WRITES | OTHERS };
    r.handled |= (abi >= 2 ? ACCESS_REFER : 0) | (abi >= 3 ? ACCESS_TRUNCATE : 0);
    struct landlock_ruleset_attr attr = { .handled_access_fs = r.handled };
    r.fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (r.fd < 0)
        return err_sys(e, "make Landlock rules");
    bool ok = add_rules(&r, s) && syscall(SYS_landlock_restrict_self, r.fd, 0) == 0;
    enum rc rc = ok ? RC_OK : err_sys(e, "apply Landlock rules");
    (void)close(r.fd);
    return rc;
}

/* --- seccomp ----------------------------------------------------------------------------- */

/* clang-format off */
static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(close), SCMP_SYS(stat), SCMP_SYS(fstat),
    SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(lseek),
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat),
    SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(chmod),
    SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(fchown), SCMP_SYS(getdents64), SCMP_SYS(getcwd),
    SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(syncfs),
    SCMP_SYS(flock), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(utimensat), SCMP_SYS(umask),
    SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk),
    SCMP_SYS(memfd_create), SCMP_SYS(futex), SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(exit), SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(rt_sigtimedwait), SCMP_SYS(tgkill), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(prctl),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getrandom), SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(prlimit64),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2),
    SCMP_SYS(signalfd4), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(restart_syscall),
    SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(shutdown),
};
static const int for_network[] = {
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(getpeername), SCMP_SYS(getsockname), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt), SCMP_SYS(socketpair),
};
static const int for_connecting[] = {
    SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(getpeername), SCMP_SYS(getsockname), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockopt), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(pipe),
    SCMP_SYS(pipe2), SCMP_SYS(socketpair), SCMP_SYS(ioctl),
};
static const int deadly[] = { SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace) };
/* clang-format on */

static bool add_calls(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (seccomp_rule_add(ctx, action, calls[i], 0) != 0)
            return false;
    return true;
}

static enum rc apply_seccomp(const struct seal *s, struct err *e)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (ctx == NULL)
        return err_temp(e, "4.3.0", "seccomp can't be set up");
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
    bool ok =
        add_calls(ctx, SCMP_ACT_ALLOW, allowed, ARRAY_LEN(allowed)) &&
        add_calls(ctx, SCMP_ACT_KILL_PROCESS, deadly, ARRAY_LEN(deadly)) &&
        (!s->network || add_calls(ctx, SCMP_ACT_ALLOW, for_network, ARRAY_LEN(for_network))) &&
        (!s->connects ||
         add_calls(ctx, SCMP_ACT_ALLOW, for_connecting, ARRAY_LEN(for_connecting)));
    int rc = ok ? seccomp_load(ctx) : -EINVAL;
    seccomp_release(ctx);
    if (rc == 0)
        return RC_OK;
    errno = -rc;
    return err_sys(e, "load seccomp filter");
}

enum rc seal_apply(const struct seal *s, unsigned *out_bits, struct err *e)
{
    *out_bits = 0;
    if (!SEAL_ENABLED)
        return RC_OK;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_sys(e, "no new privileges");
    *out_bits |= SEAL_NO_NEW_PRIVS;
    enum rc rc = drop_capabilities(e);
    if (rc != RC_OK)
        return rc;
    *out_bits |= SEAL_NO_CAPABILITIES;
    if (s->executes)
        return RC_OK;
    rc = apply_landlock(s, e);
    if (rc == RC_OK)
        *out_bits |= SEAL_LANDLOCK;
    else if (rc != RC_AGAIN)
        return rc;
    rc = apply_seccomp(s, e);
    if (rc == RC_OK)
        *out_bits |= SEAL_SECCOMP;
    return rc;
}

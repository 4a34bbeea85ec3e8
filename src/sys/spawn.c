/*
 * spawn.c - see spawn.h. The child is made by vfork: until it is another program it runs in our
 * memory, while the thread that made it stands still, so copying page tables isn't paid for.
 * That is why all signals are blocked before, and ours are handled no more when they aren't.
 */
#include "sys/spawn.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FILES_MAX 1024

static void limit(int what, rlim_t most)
{
    struct rlimit r = { most, most };
    (void)setrlimit((__rlimit_resource_t)what, &r);
}

/* Our ends and its own. */
struct ends {
    int input[2], output[2], errors[2];
};

/* What execve wants: pointers to what nobody changes. */
struct words {
    char *argv[256], *env[32];
};

static void copy_words(const struct spawn *s, struct words *out)
{
    size_t n = 0, k = 0;
    for (; n < ARRAY_LEN(out->argv) - 1 && s->argv[n] != NULL; n++)
        memcpy(&out->argv[n], &s->argv[n], sizeof(out->argv[n]));
    for (; k < ARRAY_LEN(out->env) - 1 && s->env[k] != NULL; k++)
        memcpy(&out->env[k], &s->env[k], sizeof(out->env[k]));
    out->argv[n] = out->env[k] = NULL;
}

/* In the child; does not return. Nothing of ours may be changed but the stack. */
__attribute__((noinline, noreturn)) static void become(const struct spawn *s, const char *path,
                                                       const struct ends *ends,
                                                       const struct words *words)
{
    sigset_t none;
    struct sigaction usual = { .sa_handler = SIG_DFL };
    for (int number = 1; number < 32; number++)
        (void)sigaction(number, &usual, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    int input = s->talks ? ends->input[1] : open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, 0) < 0 || dup2(ends->output[1], 1) < 0 ||
        dup2(s->talks ? ends->errors[1] : ends->output[1], 2) < 0)
        _exit(126);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, s->file_bytes);
    limit(RLIMIT_NOFILE, FILES_MAX);
    (void)syscall(SYS_close_range, 3u, ~0u, 0u);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setpriority(PRIO_PROCESS, 0, s->nice);
    (void)umask(077);
    (void)execve(path, words->argv, words->env);
    _exit(127);
}

/* The child's process id, or -1 with errno. */
static pid_t make_child(const struct spawn *s, const char *path, const struct ends *ends)
{
    struct words words;
    sigset_t all, before;
    copy_words(s, &words);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork(); /* NOLINT: that is what for */
    if (pid == 0)
        become(s, path, ends, &words);
    int failed = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failed;
    return pid;
}

/* The file to run: as given, or the first that can be run. In a; NULL: none. */
static const char *find(const char *name, struct arena *a)
{
    static const char *const folders[] = { "bin", "/usr/local/bin", "/usr/bin", "/bin" };
    if (strchr(name, '/') != NULL)
        return access(name, X_OK) == 0 ? name : NULL;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        const char *path = arena_printf(a, "%s/%s", folders[i], name).p;
        if (access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

static bool watch(int epoll, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool make_ends(const struct spawn *s, struct ends *out)
{
    *out = (struct ends){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
    /* A socket: writing to one that nobody reads any more is an error, not a signal. */
    return pipe2(out->output, O_CLOEXEC) == 0 &&
           (!s->talks || (pipe2(out->errors, O_CLOEXEC) == 0 &&
                          socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out->input) == 0));
}

static void close_fd(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static bool watch_all(struct spawned *s)
{
    const int fds[] = { s->pid_fd, s->output_fd, s->error_fd };
    s->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    bool ok = s->pid_fd >= 0 && s->watch_fd >= 0;
    for (size_t i = 0; i < ARRAY_LEN(fds) && ok; i++) {
        if (fds[i] < 0)
            continue;
        ok = watch(s->watch_fd, fds[i]);
        if (i > 0)
            (void)fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    return ok;
}

enum rc spawn_start(const struct spawn *s, struct spawned *out, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct ends ends;
    const char *path = find(s->argv[0], &a);
    *out = SPAWNED_NONE;
    if (path == NULL)
        return err_perm(e, "5.3.5", "%s can't be run: it isn't there, or not executable",
                        s->argv[0]);
    bool ok = make_ends(s, &ends);
    if (ok)
        out->pid = make_child(s, path, &ends);
    out->output_fd = ends.output[0];
    out->input_fd = ends.input[0];
    out->error_fd = ends.errors[0];
    close_fd(ends.output[1]);
    close_fd(ends.input[1]);
    close_fd(ends.errors[1]);
    if (ok && out->pid > 0) {
        out->pid_fd = (int)syscall(SYS_pidfd_open, out->pid, 0);
        if (watch_all(out))
            return RC_OK;
    }
    enum rc rc = err_sys(e, "start %s", path);
    spawn_release(out);
    return rc;
}

static ssize_t read_end(const struct spawned *s, int fd, char *p, size_t n)
{
    ssize_t got = read(fd, p, n);
    if (got == 0) /* the other end is closed: not worth watching any more */
        (void)epoll_ctl(s->watch_fd, EPOLL_CTL_DEL, fd, NULL);
    return got > 0 ? got : got < 0 && errno == EAGAIN ? 0 : -1;
}

ssize_t spawn_read(const struct spawned *s, char *p, size_t n)
{
    return read_end(s, s->output_fd, p, n);
}

ssize_t spawn_read_errors(const struct spawned *s, char *p, size_t n)
{
    return read_end(s, s->error_fd, p, n);
}

bool spawn_write(const struct spawned *s, struct str octets)
{
    ssize_t n = send(s->input_fd, octets.p, octets.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n >= 0 && (size_t)n == octets.n;
}

bool spawn_ended(const struct spawned *s, int *out_code)
{
    siginfo_t info = { .si_pid = 0 };
    if (waitid(P_PIDFD, (id_t)s->pid_fd, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
        return false;
    *out_code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return true;
}

void spawn_signal(const struct spawned *s, int number)
{
    if (s->pid > 0)
        (void)kill(-s->pid, number);
}

void spawn_release(struct spawned *s)
{
    spawn_signal(s, SIGKILL); /* before it is reaped: the number is still its own */
    if (s->pid > 0)
        (void)waitpid(s->pid, NULL, 0);
    const int fds[] = { s->watch_fd, s->output_fd, s->pid_fd, s->input_fd, s->error_fd };
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close_fd(fds[i]);
    *s = SPAWNED_NONE;
}

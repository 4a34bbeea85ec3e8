/* spawn.c - see spawn.h. Between fork and exec only calls that are safe there. */
#include "sys/spawn.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FILES_MAX 1024

static void limit(int what, rlim_t most)
{
    struct rlimit r = { most, most };
    (void)setrlimit((__rlimit_resource_t)what, &r);
}

/* In the child; does not return. */
static void become(const struct spawn *s, const char *path, int output)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    struct sigaction usual = { .sa_handler = SIG_DFL };
    for (int number = 1; number < 32; number++)
        (void)sigaction(number, &usual, NULL);
    (void)setsid();
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0)
        _exit(126);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, s->file_bytes);
    limit(RLIMIT_NOFILE, FILES_MAX);
    (void)syscall(SYS_close_range, 3u, ~0u, 0u);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)setpriority(PRIO_PROCESS, 0, s->nice);
    (void)umask(077);
    char *argv[256], *env[32];
    size_t n = 0, k = 0;
    for (; n < ARRAY_LEN(argv) - 1 && s->argv[n] != NULL; n++)
        memcpy(&argv[n], &s->argv[n], sizeof(argv[n]));
    for (; k < ARRAY_LEN(env) - 1 && s->env[k] != NULL; k++)
        memcpy(&env[k], &s->env[k], sizeof(env[k]));
    argv[n] = env[k] = NULL;
    (void)execve(path, argv, env);
    _exit(127);
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

enum rc spawn_start(const struct spawn *s, struct spawned *out, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    int ends[2];
    const char *path = find(s->argv[0], &a);
    if (path == NULL)
        return err_perm(e, "5.3.5", "%s can't be run: it isn't there, or not executable",
                        s->argv[0]);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, "make a pipe");
    *out = (struct spawned){ .output_fd = ends[0], .watch_fd = -1, .pid_fd = -1 };
    out->pid = fork();
    if (out->pid == 0)
        become(s, path, ends[1]);
    (void)close(ends[1]);
    if (out->pid > 0) {
        out->pid_fd = (int)syscall(SYS_pidfd_open, out->pid, 0);
        out->watch_fd = epoll_create1(EPOLL_CLOEXEC);
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
        if (out->pid_fd >= 0 && out->watch_fd >= 0 && watch(out->watch_fd, out->pid_fd) &&
            watch(out->watch_fd, ends[0]))
            return RC_OK;
    }
    enum rc rc = err_sys(e, "start %s", path);
    spawn_release(out);
    return rc;
}

ssize_t spawn_read(const struct spawned *s, char *p, size_t n)
{
    ssize_t got = read(s->output_fd, p, n);
    if (got == 0) /* the other end is closed: not worth watching any more */
        (void)epoll_ctl(s->watch_fd, EPOLL_CTL_DEL, s->output_fd, NULL);
    return got > 0 ? got : got < 0 && errno == EAGAIN ? 0 : -1;
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
    const int fds[] = { s->watch_fd, s->output_fd, s->pid_fd };
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    *s = (struct spawned){ .watch_fd = -1, .output_fd = -1, .pid_fd = -1 };
}

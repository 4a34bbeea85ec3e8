/* child.c - see child.h. The master has one thread, so a plain fork is safe here. */
#include "sys/child.h"
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void heard_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGCHLD);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
}

enum rc child_prepare(struct err *e)
{
    sigset_t set;
    heard_signals(&set);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return err_sys(e, "block signals");
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd < CHILD_ENV_FD)
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return fd < 0 ? err_sys(e, "open /dev/null") : RC_OK;
}

/* In the child: nothing here may allocate or log. */
static void become(const struct child *c, pid_t parent)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (const int *fd = c->keep_fds; *fd >= 0; fd++)
        (void)fcntl(*fd, F_SETFD, 0);
    if (c->env_fd == CHILD_ENV_FD)
        (void)fcntl(c->env_fd, F_SETFD, 0);
    else if (dup2(c->env_fd, CHILD_ENV_FD) < 0)
        _exit(126);
    if (c->change_user && (setgroups(0, NULL) != 0 || setresgid(c->gid, c->gid, c->gid) != 0 ||
                           setresuid(c->uid, c->uid, c->uid) != 0))
        _exit(126);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(126);
    char *argv[600];
    size_t n = 0;
    for (; n < ARRAY_LEN(argv) - 1 && c->argv[n] != NULL; n++)
        memcpy(&argv[n], &c->argv[n], sizeof(argv[n]));
    argv[n] = NULL;
    (void)execv("/proc/self/exe", argv);
    _exit(127);
}

enum rc child_start(const struct child *c, pid_t *out_pid, struct err *e)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(e, "start process %s", c->argv[0]);
    if (pid == 0)
        become(c, parent);
    *out_pid = pid;
    return RC_OK;
}

enum rc child_serve(int (*fn)(int fd), int *out_fd, pid_t *out_pid, struct err *e)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return err_sys(e, "make socket pair");
    (void)fflush(NULL);
    *out_pid = fork();
    if (*out_pid == 0) {
        (void)close(ends[0]);
        _exit(fn(ends[1]));
    }
    (void)close(ends[1]);
    if (*out_pid < 0) {
        (void)close(ends[0]);
        return err_sys(e, "start process");
    }
    *out_fd = ends[0];
    return RC_OK;
}

void child_set_name(const char *role)
{
    char name[16]; /* the kernel keeps 15 octets */
    (void)snprintf(name, sizeof(name), "hikyaku-%.7s", role);
    (void)prctl(PR_SET_NAME, name, 0, 0, 0);
}

bool child_reap(pid_t *out_pid, int *out_status)
{
    pid_t pid = waitpid(-1, out_status, WNOHANG);
    if (pid <= 0)
        return false;
    *out_pid = pid;
    return true;
}

bool child_wait_for(pid_t pid, usec_t deadline, int *out_status)
{
    for (;;) {
        if (waitpid(pid, out_status, WNOHANG) == pid)
            return true;
        if (clock_mono() >= deadline)
            return false;
        struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
        (void)nanosleep(&pause, NULL);
    }
}

int child_wait_signal(usec_t deadline)
{
    sigset_t set;
    heard_signals(&set);
    usec_t left = MAX(deadline - clock_mono(), (usec_t)0);
    struct timespec ts = { .tv_sec = left / USEC_S, .tv_nsec = (left % USEC_S) * 1000 };
    int n = sigtimedwait(&set, NULL, &ts);
    return n < 0 ? 0 : n;
}

enum rc child_signal_fd(int *out_fd, struct err *e)
{
    sigset_t set;
    heard_signals(&set);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    *out_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *out_fd < 0 ? err_sys(e, "make signal descriptor") : RC_OK;
}

int child_signal_read(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}

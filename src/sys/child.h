/* child.h - the processes of the master: starting them as itself, hearing of their ends, of
 * signals. */
#ifndef HIKYAKU_SYS_CHILD_H
#define HIKYAKU_SYS_CHILD_H

#include "base/base.h"
#include <sys/types.h>

/* What a child is started with. */
struct child {
    const char *const *argv; /* NULL ends; argv[0] is the name shown */
    const int *keep_fds;     /* stay open under their numbers; -1 ends */
    int env_fd;              /* becomes descriptor CHILD_ENV_FD */
    bool change_user;        /* to uid and gid, without further groups */
    uid_t uid;
    gid_t gid;
};
#define CHILD_ENV_FD 3

/* Blocks the signals that child_wait reports. Before anything else, so that nothing slips
 * through; keeps descriptor CHILD_ENV_FD from being used for something else. */
enum rc child_prepare(struct err *e) CHECK_RESULT;
/* Starts this program again. It dies with its parent. */
enum rc child_start(const struct child *c, pid_t *out_pid, struct err *e) CHECK_RESULT;
/* Names this process hikyaku-ROLE for ps and top. */
void child_set_name(const char *role);
/* The next ended child: its pid and wait status; false when none has ended. */
bool child_reap(pid_t *out_pid, int *out_status);
/* Waits for one child, at most until the deadline (clock_mono); false when it passed. */
bool child_wait_for(pid_t pid, usec_t deadline, int *out_status);
/* Waits for a signal until the deadline; its number, or 0. SIGCHLD, SIGTERM, SIGINT, SIGHUP. */
int child_wait_signal(usec_t deadline);
/* Signals for the threads of a role: the same ones, as one descriptor for a pool. */
enum rc child_signal_fd(int *out_fd, struct err *e) CHECK_RESULT;
/* The next signal from such a descriptor, or 0. */
int child_signal_read(int fd);

/* Forks; the child runs fn with one end of a socket pair and ends with what it returns.
 * *out_fd: the other end, non-blocking. For a process with one thread. */
enum rc child_serve(int (*fn)(int fd), int *out_fd, pid_t *out_pid, struct err *e) CHECK_RESULT;

#endif

/* spawn.h - programs of the administrator, as processes of their own group. Only the runner
 * role may start them: the seals of all others forbid it. */
#ifndef HIKYAKU_SYS_SPAWN_H
#define HIKYAKU_SYS_SPAWN_H

#include "base/base.h"
#include <sys/types.h>

struct spawn {
    const char *const *argv; /* NULL ends; argv[0] with a slash is a path, else looked for in
                                PATH and in bin/ of the MailRoot */
    const char *const *env;  /* NULL ends */
    uint64_t file_bytes;     /* largest file it may write */
    int nice;                /* more is later; less than 0 only where that is allowed */
    bool talks;              /* its input is ours, its errors come apart from its output */
};
/* One that runs. */
struct spawned {
    pid_t pid;
    int watch_fd;  /* readable when there is output, or it ended */
    int output_fd; /* its standard output and error; not blocking */
    int pid_fd;
    int input_fd, error_fd; /* `talks`; else -1 */
};
#define SPAWNED_NONE                                                                           \
    (struct spawned)                                                                           \
    {                                                                                          \
        .watch_fd = -1, .output_fd = -1, .pid_fd = -1, .input_fd = -1, .error_fd = -1          \
    }
/* No shell; input is /dev/null (unless it talks), the working directory that of this process.
 * RC_PERM: it can't be run (also found out later: code 127). Any thread. */
enum rc spawn_start(const struct spawn *s, struct spawned *out, struct err *e) CHECK_RESULT;
/* What it has written since: 0 nothing now, -1 never any more. */
ssize_t spawn_read(const struct spawned *s, char *p, size_t n);
/* `talks`: the same of its standard error; and octets for its input, all at once: false: it has
 * no room for them, or reads no more. */
ssize_t spawn_read_errors(const struct spawned *s, char *p, size_t n);
bool spawn_write(const struct spawned *s, struct str octets);
/* Has it ended? *out_code: its exit code, or -signal. */
bool spawn_ended(const struct spawned *s, int *out_code);
/* A signal to all of its group. */
void spawn_signal(const struct spawned *s, int number);
/* After the end; kills what is left of its group. */
void spawn_release(struct spawned *s);

#endif

/* start.c - how the master starts a process: this program again, as a role. */
#include "conf/options.h"
#include "master/roles.h"
#include "sys/child.h"
#include <sys/mman.h>

/* The surroundings of a role in a memory file. */
static enum rc write_env(const struct role_env *env, int *out_fd, struct err *e)
{
    int fd = memfd_create("role", MFD_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "make memory file");
    if (io_pwrite(fd, env, sizeof(*env), 0) != (ssize_t)sizeof(*env)) {
        enum rc rc = err_sys(e, "write memory file");
        (void)close(fd);
        return rc;
    }
    *out_fd = fd;
    return RC_OK;
}

enum rc role_start(const char *name, const struct role_env *env, const struct role_user *as,
                   pid_t *out_pid, struct err *e)
{
    const char *argv[600] = { "hikyaku", "role", name };
    const char *const *words = NULL;
    size_t count = options_command_words(&words), n = 0;
    int keep[LISTENERS_MAX + ROLE_COUNT + 8];
    int env_fd = -1;
    for (size_t i = 0; i < count && i < 590; i++)
        argv[3 + i] = words[i];
    for (size_t i = 0; i < env->listener_count; i++)
        keep[n++] = env->listeners[i].fd;
    for (size_t i = 0; i < ROLE_COUNT; i++)
        if (env->channels[i] >= 0)
            keep[n++] = env->channels[i];
    if (env->board_fd >= 0)
        keep[n++] = env->board_fd;
    if (env->guard_fd >= 0)
        keep[n++] = env->guard_fd;
    if (env->notices_fd >= 0)
        keep[n++] = env->notices_fd;
    if (env->figures_fd >= 0)
        keep[n++] = env->figures_fd;
    keep[n] = -1;
    enum rc rc = write_env(env, &env_fd, e);
    if (rc != RC_OK)
        return rc;
    struct child child = {
        .argv = argv,
        .keep_fds = keep,
        .env_fd = env_fd,
        .change_user = as->change,
        .uid = as->uid,
        .gid = as->gid,
    };
    rc = child_start(&child, out_pid, e);
    (void)close(env_fd);
    return rc;
}

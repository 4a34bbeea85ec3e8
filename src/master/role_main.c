/* role_main.c - `hikyaku role NAME`: what the master starts, and what -d runs alone. */
#include "backup/work.h"
#include "conf/options.h"
#include "master/master.h"
#include "master/recover.h"
#include "master/roles.h"
#include "sys/child.h"
#include "sys/file.h"
#include "sys/trace.h"

bool role_own_options(int *argc, char **argv, const char **mailroot)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < *argc)
            *mailroot = argv[++i];
        else if (strncmp(argv[i], "--", 2) == 0)
            return false;
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
    return true;
}

static enum rc env_inherited(struct role_env *env, struct err *e)
{
    if (io_pread(CHILD_ENV_FD, env, sizeof(*env), 0) != (ssize_t)sizeof(*env) ||
        env->magic != ROLE_ENV_MAGIC)
        return err_perm(e, "5.3.0", "roles are started by the master; -d runs one alone");
    (void)close(CHILD_ENV_FD);
    return RC_OK;
}

/* Alone: its own listeners, no other roles. */
static enum rc env_alone(const char *name, struct role_env *env, struct err *e)
{
    size_t count = 0;
    *env = (struct role_env){ .magic = ROLE_ENV_MAGIC,
                              .board_fd = -1,
                              .guard_fd = -1,
                              .notices_fd = -1,
                              .figures_fd = -1,
                              .alone = true };
    for (size_t i = 0; i < ROLE_COUNT; i++)
        env->channels[i] = -1;
    log_warn(EV("role alone in the foreground, not sealed"), KV("role", name));
    if (this_role == NULL || this_role->services[0] == '\0')
        return RC_OK;
    enum rc rc = options_load(e);
    struct open_listener all[LISTENERS_MAX];
    if (rc == RC_OK)
        rc = listeners_open(NULL, 0, file_exists("server.cert") && file_exists("server.key"),
                            all, &count, e);
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        if (role_serves(this_role, all[i].service))
            env->listeners[env->listener_count++] = all[i];
        else
            (void)close(all[i].fd);
    }
    return rc;
}

int (*master_filter_test)(void);

/* Processes of the master that do one thing and end. */
static int (*main_of_once(const char *name))(void)
{
    return strcmp(name, "recover") == 0      ? recover_main
           : strcmp(name, "backup") == 0     ? backup_work_main
           : strcmp(name, "filtertest") == 0 ? master_filter_test
                                             : NULL;
}

int master_role(int argc, char **argv)
{
    struct role_env env;
    struct err e;
    const char *mailroot = NULL;
    bool alone = argc > 1 && strcmp(argv[1], "-d") == 0;
    int (*once)(void) = argc > 0 ? main_of_once(argv[0]) : NULL;
    this_role = argc > 0 ? role_by_name(argv[0]) : NULL;
    if (this_role == NULL && once == NULL) {
        (void)fprintf(stderr, "usage: hikyaku role control|smtpd|access|queue|relay|recover "
                              "[-d] [--mailroot DIR]\n");
        return 2;
    }
    log_set_role(argv[0]);
    trace_set_role(argv[0]);
    child_set_name(argv[0]);
    int rest = argc - (alone ? 2 : 1);
    char **words = argv + (alone ? 2 : 1);
    if (!role_own_options(&rest, words, &mailroot))
        return 2;
    enum rc rc = options_command_line(rest, words, &e);
    if (rc == RC_OK && alone && chdir(mailroot == NULL ? options_mailroot() : mailroot) < 0)
        rc = err_sys(&e, "enter MailRoot");
    if (rc == RC_OK)
        rc = alone ? env_alone(argv[0], &env, &e) : env_inherited(&env, &e);
    if (rc == RC_OK && once != NULL)
        return once();
    if (rc == RC_OK)
        rc = role_begin(&env, &e);
    if (rc != RC_OK) {
        log_error(EV("role can't start"), KE(&e));
        return 1;
    }
    return this_role->main(&env);
}

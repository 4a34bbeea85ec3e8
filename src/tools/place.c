/* place.c - where tools work, and as whom. */
#include "conf/marker.h"
#include "sys/file.h"
#include "takeover/takeover.h"
#include "tools/tools_int.h"
#include <dirent.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

enum rc tool_enter_mailroot(const char *given, struct err *e)
{
    const char *root = given != NULL ? given : getenv("MAIL_ROOT");
    if (root == NULL || root[0] == '\0')
        root = "/var/MailRoot";
    if (chdir(root) < 0)
        return err_sys(e, "enter MailRoot %s", root);
    if (!file_exists("server.tab"))
        return err_perm(e, "5.3.0", "%s has no server.tab: not a MailRoot", root);
    return RC_OK;
}

enum rc tool_become_owner(struct err *e)
{
    struct stat st;
    if (geteuid() != 0)
        return RC_OK;
    if (io_stat(".", &st) < 0)
        return err_sys(e, "look at the MailRoot");
    if (st.st_uid == 0)
        return RC_OK;
    if (setgroups(0, NULL) != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
        setresuid(st.st_uid, st.st_uid, st.st_uid) != 0)
        return err_sys(e, "become the owner of the MailRoot");
    return RC_OK;
}

enum rc tool_use_accounts(struct err *e)
{
    struct users_report report;
    int fd = -1;
    enum rc rc = users_index_build(&fd, &report, e);
    return rc == RC_OK ? users_index_use(fd, e) : rc;
}

enum rc tool_take_mailroot(int *out_lock, struct err *e)
{
    struct marker marker;
    unsigned pid = 0;
    enum rc rc = marker_read(&marker, e);
    if (rc == RC_OK)
        rc = folder_make("hikyaku", 0750, e);
    if (rc == RC_OK)
        rc = file_lock("hikyaku/lock", false, out_lock, e);
    if (rc == RC_TEMP && strcmp(e->dsn, "4.2.0") == 0)
        return err_temp(e, "4.2.0",
                        "a server, or another tool, works on this MailRoot (it holds "
                        "hikyaku/lock)");
    if (rc == RC_OK && takeover_xmail_runs(&pid))
        return err_temp(e, "4.2.0", "XMail runs on this MailRoot (process %u); stop it first",
                        pid);
    return rc;
}

static enum rc give_to(const char *path, const struct passwd *owner, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    struct stat st;
    unsigned char type = 0;
    if (io_lstat(path, &st) < 0)
        return errno == ENOENT ? RC_OK : err_sys(e, "look at %s", path);
    bool differs = st.st_uid != owner->pw_uid || st.st_gid != owner->pw_gid;
    if (differs && lchown(path, owner->pw_uid, owner->pw_gid) < 0)
        return err_sys(e, "give %s to %s", path, owner->pw_name);
    if (!S_ISDIR(st.st_mode))
        return RC_OK;
    enum rc rc = folder_open(path, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        rc = give_to(arena_printf(&mem, "%s/%.*s", path, STR_ARG(name)).p, owner, e);
        arena_reset(&mem);
    }
    folder_close(&f);
    return rc;
}

enum rc tool_find_user(const char *name, struct err *e)
{
    return getpwnam(name) == NULL
               ? err_perm(e, "5.3.0", "there is no user %s on this system", name)
               : RC_OK;
}

enum rc tool_give_to(const char *path, const char *owner, struct err *e)
{
    enum rc rc = tool_find_user(owner, e);
    return rc == RC_OK ? give_to(path, getpwnam(owner), e) : rc;
}

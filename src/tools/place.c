/* place.c - where tools work, and as whom. */
#include "sys/file.h"
#include "tools/tools_int.h"
#include <grp.h>
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

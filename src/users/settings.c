/*
 * settings.c - what an account's own tables say: user.tab, and whether its mail needs the
 * processing of mailproc.tab.
 */
#include "conf/tab.h"
#include "users/users.h"

enum rc users_options(const struct account *account, struct arena *a, struct user_options *out,
                      struct err *e)
{
    struct tab tab;
    struct err ignored;
    struct str path = arena_printf(a, "%.*s/user.tab", STR_ARG(account->folder));
    enum rc rc = tab_read(path.p, a, &tab, e == NULL ? &ignored : e);
    if (rc != RC_OK)
        return rc;
    user_options_parse(&tab, out);
    return RC_OK;
}

/* --- mailproc.tab ------------------------------------------------------------------------ */

/* Does the table ask for more than the default, the mailbox? An empty one doesn't
 * (specification 6, item 9); one that can't be read may. */
static bool has_commands(const char *path, struct arena *a)
{
    struct tab tab;
    struct file_id id;
    struct err e;
    if (file_id_get(path, &id, &e) == RC_OK && id.ino == 0)
        return false;
    if (tab_read(path, a, &tab, &e) != RC_OK)
        return true;
    bool only_mailbox = tab.row_count == 1 && tab.rows[0].count == 1 &&
                        str_ieq(tab.rows[0].values[0], STR("mailbox"));
    return tab.problem_count > 0 || (tab.row_count > 0 && !only_mailbox);
}

bool users_needs_processing(const struct account *account, struct arena *a)
{
    struct str user = arena_printf(a, "%.*s/mailproc.tab", STR_ARG(account->folder));
    struct str domain = arena_printf(a, "domains/%.*s/mailproc.tab", STR_ARG(account->domain));
    return has_commands(user.p, a) || has_commands(domain.p, a);
}

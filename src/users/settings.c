/*
 * settings.c - what an account's own tables say: user.tab, and whether its mail needs the
 * processing of mailproc.tab.
 */
#include "base/clock.h"
#include "base/day.h"
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

size_t users_command_tables(const struct recipient *who, struct arena *a,
                            struct str out[USERS_COMMAND_TABLES])
{
    const struct account *account = &who->account;
    const struct address *target = &who->target;
    if (who->kind == RECIPIENT_ACCOUNT) {
        out[0] = arena_printf(a, "domains/%.*s/mailproc.tab", STR_ARG(account->domain));
        out[1] = arena_printf(a, "%.*s/mailproc.tab", STR_ARG(account->folder));
        struct str groups[USERS_GROUPS_MAX];
        size_t n = users_groups(account, day_of(clock_wall(), a), a, groups);
        for (size_t i = 0; i < n; i++)
            out[2 + i] = arena_printf(a, "groups/%.*s.tab", STR_ARG(groups[i]));
        return 2 + n;
    }
    if (who->kind == RECIPIENT_CMDALIAS)
        out[0] = arena_printf(a, "cmdaliases/%.*s/%.*s.tab", STR_ARG(target->domain),
                              STR_ARG(target->local));
    else if (who->kind == RECIPIENT_CUSTDOMAIN)
        out[0] = arena_printf(a, "custdomains/%.*s.tab", STR_ARG(target->domain));
    return who->kind == RECIPIENT_CMDALIAS || who->kind == RECIPIENT_CUSTDOMAIN ? 1 : 0;
}

bool users_needs_processing(const struct account *account, struct arena *a)
{
    const struct recipient who = { .kind = RECIPIENT_ACCOUNT, .account = *account };
    struct str tables[USERS_COMMAND_TABLES];
    size_t count = users_command_tables(&who, a, tables);
    bool any = false;
    for (size_t i = 0; i < count && !any; i++)
        any = has_commands(tables[i].p, a);
    return any;
}

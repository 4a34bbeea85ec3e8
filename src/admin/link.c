/* link.c - pop3links.tab: mailboxes elsewhere that are fetched from. A link is off while a file
 * of its name exists (specification 2, section 3). */
#include "admin/admin_int.h"

#define TABLE "pop3links.tab"

/* "@domain", "?domain,..." and "&.suffix,..." aren't local accounts. */
static bool is_local(const struct admin_link *link)
{
    return link->domain.n > 0 && str_find(STR("@?&"), link->domain.p[0]) == SIZE_MAX;
}

static struct row_match match_of(const struct admin_link *link)
{
    struct row_match m = { { link->domain, link->user }, 4 };
    if (link->server.n > 0)
        m.columns[2] = link->server;
    if (link->remote_user.n > 0)
        m.columns[3] = link->remote_user;
    return m;
}

struct str admin_link_switch(const struct admin_link *link, struct arena *a)
{
    struct account account;
    struct str name = arena_printf(a, "%.*s@%.*s.disabled", STR_ARG(link->remote_user),
                                   STR_ARG(link->server));
    if (!is_local(link))
        return arena_printf(a, "pop3links/%.*s%.*s", STR_ARG(link->domain), STR_ARG(name));
    if (admin_account_find(link->domain, link->user, a, &account) != ADMIN_OK)
        return STR("");
    return arena_printf(a, "%.*s/%.*s", STR_ARG(account.folder), STR_ARG(name));
}

static bool names_are_good(const struct admin_link *link)
{
    return file_name_is_good(link->server) && file_name_is_good(link->remote_user) &&
           !str_has_any(link->domain, "/\\") && value_is_good(link->domain);
}

enum admin_result admin_link_add(const struct admin_link *link, struct str password,
                                 struct str auth, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    struct str stored;
    bool found = false;
    if (!names_are_good(link) || link->domain.n == 0 || link->user.n == 0)
        return ADMIN_BAD_NAME;
    if (is_local(link)) {
        enum admin_result result = admin_account_find(link->domain, link->user, &a, &account);
        if (result != ADMIN_OK)
            return result;
    }
    if (!value_is_good(password) ||
        password_make(PASSWORD_XMCRYPT, password, &a, &stored, e) != RC_OK)
        return ADMIN_BAD_CHARACTERS;
    const struct row_match match = match_of(link);
    const struct str row[] = { link->domain,      link->user, link->server,
                               link->remote_user, stored,     auth };
    if (table_find(TABLE, &match, &a, NULL, &found, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    if (found)
        return ADMIN_LINK_EXISTS;
    /* A removal that a crash cut off may have left it: a new link is on. */
    if (file_remove(admin_link_switch(link, &a).p, e) != RC_OK)
        return ADMIN_CANT_WRITE;
    return table_add(TABLE, row, ARRAY_LEN(row), e);
}

enum admin_result admin_link_remove(const struct admin_link *link, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    size_t dropped = 0;
    const struct row_match match = match_of(link);
    if (!names_are_good(link))
        return ADMIN_BAD_NAME;
    enum admin_result result = table_drop(TABLE, &match, &dropped, e);
    struct str off = admin_link_switch(link, &a);
    if (result == ADMIN_OK && dropped > 0 && off.n > 0)
        result = file_remove(off.p, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
    return result == ADMIN_OK && dropped == 0 ? ADMIN_NO_LINK : result;
}

static enum admin_result set_switch(const char *path, bool on, struct err *e)
{
    if (on)
        return file_remove(path, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
    struct str folder = str_head(str_from_c(path), str_rfind(str_from_c(path), '/'));
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    if (folder_make(arena_c(&a, folder), 0750, e) != RC_OK)
        return ADMIN_CANT_CREATE;
    return file_replace(path, STR(""), 0640, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_CREATE;
}

enum admin_result admin_link_enable(const struct admin_link *link, bool on, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab tab;
    size_t changed = 0;
    const struct row_match match = match_of(link);
    enum admin_result result = ADMIN_OK;
    if (tab_read(TABLE, &a, &tab, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    for (size_t i = 0; i < tab.row_count && result == ADMIN_OK; i++) {
        const struct tab_row *row = &tab.rows[i];
        if (!row_matches(&match, row))
            continue;
        struct admin_link one = { tab_value(row, 0), tab_value(row, 1), tab_value(row, 2),
                                  tab_value(row, 3) };
        struct str off = names_are_good(&one) ? admin_link_switch(&one, &a) : STR("");
        result = off.n == 0 ? ADMIN_BAD_NAME : set_switch(off.p, on, e);
        changed++;
    }
    return result == ADMIN_OK && changed == 0 ? ADMIN_NO_LINK : result;
}

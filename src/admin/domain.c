/* domain.c - domains and their other names. */
#include "admin/admin_int.h"

enum admin_result admin_domain_add(struct str domain, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str key, written;
    if (domain_parse(domain, true, &a, &key, e) != RC_OK || !file_name_is_good(key))
        return ADMIN_BAD_NAME;
    if (users_domain_find(key, &a, &written))
        return ADMIN_EXISTS;
    if (users_domain_is_local(key))
        return ADMIN_ALIASDOM_EXISTS;
    if (folder_make(arena_printf(&a, "domains/%.*s", STR_ARG(key)).p, 0750, e) != RC_OK ||
        folder_make(arena_printf(&a, "cmdaliases/%.*s", STR_ARG(key)).p, 0750, e) != RC_OK)
        return ADMIN_CANT_MAKE_FOLDER;
    enum admin_result result = table_add("domains.tab", &key, 1, e);
    if (result == ADMIN_OK)
        index_follow(RC_AGAIN);
    return result;
}

enum admin_result admin_domain_remove(struct str domain, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str name;
    struct removal *r = NULL;
    const struct str any = { NULL, 0 };
    if (!users_domain_find(domain, &a, &name))
        return ADMIN_NO_DOMAIN;
    const struct row_match own = { { name }, 1 }, real = { { any, name }, 2 };
    static const char *const tables[] = { "domains.tab", "mailusers.tab", "aliases.tab",
                                          "pop3links.tab" };
    enum rc rc = removal_begin(name, &r, e);
    for (size_t i = 0; i < ARRAY_LEN(tables) && rc == RC_OK; i++)
        rc = removal_rows(r, tables[i], &own, e);
    if (rc == RC_OK)
        rc = removal_rows(r, "aliasdomain.tab", &real, e);
    if (rc == RC_OK)
        rc = removal_rows(r, "groupmembers.tab", &real, e);
    if (rc == RC_OK) {
        removal_folder(r, arena_printf(&a, "domains/%.*s", STR_ARG(name)));
        removal_folder(r, arena_printf(&a, "cmdaliases/%.*s", STR_ARG(name)));
        return removal_commit(&r, e);
    }
    removal_free(&r);
    return ADMIN_CANT_WRITE;
}

enum admin_result admin_alias_domain_add(struct str real, struct str alias, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str name, key = alias, written;
    bool found = false;
    if (!users_domain_find(real, &a, &name))
        return ADMIN_NO_DOMAIN;
    bool pattern = str_has_any(alias, "*?");
    if (pattern ? !value_is_good(alias) || str_has_any(alias, " @\"/\\")
                : domain_parse(alias, true, &a, &key, e) != RC_OK)
        return ADMIN_BAD_NAME;
    const struct row_match match = { { key }, 1 };
    if (table_find("aliasdomain.tab", &match, &a, NULL, &found, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    if (found || users_domain_find(key, &a, &written))
        return ADMIN_ALIASDOM_EXISTS;
    const struct str row[] = { key, name };
    enum admin_result result = table_add("aliasdomain.tab", row, 2, e);
    if (result == ADMIN_OK)
        index_follow(RC_AGAIN);
    return result;
}

enum admin_result admin_alias_domain_remove(struct str alias, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str key;
    size_t dropped = 0;
    if (domain_parse(alias, true, &a, &key, NULL) != RC_OK)
        key = alias;
    const struct row_match match = { { key }, 1 };
    enum admin_result result = table_drop("aliasdomain.tab", &match, &dropped, e);
    if (result == ADMIN_OK && dropped > 0)
        index_follow(RC_AGAIN);
    return result == ADMIN_OK && dropped == 0 ? ADMIN_NO_ALIASDOM : result;
}

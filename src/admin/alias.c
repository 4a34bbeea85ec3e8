/* alias.c - aliases of accounts, external aliases. */
#include "admin/admin_int.h"

#define TABLE "aliases.tab"

static bool is_pattern(struct str s)
{
    return str_has_any(s, "*?");
}

/* Does the target lead somewhere? Addresses elsewhere are taken as they are. */
static enum admin_result check_target(struct str domain, struct str target, struct arena *a)
{
    struct account account;
    size_t at = str_rfind(target, '@');
    struct str where = at == SIZE_MAX ? domain : str_skip(target, at + 1);
    if (at != SIZE_MAX && !users_domain_is_local(where))
        return at > 0 && where.n > 0 && value_is_good(target) ? ADMIN_OK : ADMIN_BAD_ADDRESS;
    return users_account_find(where, str_head(target, at), a, &account) ? ADMIN_OK
                                                                        : ADMIN_UNKNOWN_USER;
}

enum admin_result admin_alias_add(struct str domain, struct str alias, struct str target,
                                  struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    struct str written = domain;
    bool found = false;
    const struct str row[] = { domain, alias, target };
    const struct row_match match = { { domain, alias }, 2 };
    if (!is_pattern(domain) && !users_domain_find(domain, &a, &written))
        return ADMIN_NO_DOMAIN;
    if (!value_is_good(alias) || alias.n == 0 || str_has_any(alias, " @\"/\\"))
        return ADMIN_BAD_USER_NAME;
    if (!is_pattern(alias) && users_account_find(domain, alias, &a, &account))
        return ADMIN_USER_EXISTS;
    if (table_find(TABLE, &match, &a, NULL, &found, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    if (found)
        return ADMIN_ALIAS_EXISTS;
    enum admin_result result = is_pattern(domain) ? ADMIN_OK : check_target(domain, target, &a);
    if (result == ADMIN_OK)
        result = table_add(TABLE, row, ARRAY_LEN(row), e);
    if (result == ADMIN_OK)
        index_follow(users_index_put_alias(domain, alias, target));
    return result;
}

enum admin_result admin_alias_remove(struct str domain, struct str alias, struct err *e)
{
    size_t dropped = 0;
    const struct row_match match = { { domain, alias }, 2 };
    enum admin_result result = table_drop(TABLE, &match, &dropped, e);
    if (result != ADMIN_OK)
        return result;
    if (dropped > 0)
        index_follow(users_index_drop_alias(domain, alias));
    return dropped == 0 ? ADMIN_NO_ALIAS : ADMIN_OK;
}

/* --- external aliases -------------------------------------------------------------------- */

static bool split(struct str address, struct str *out_local, struct str *out_domain)
{
    size_t at = str_rfind(address, '@');
    *out_local = str_head(address, at);
    *out_domain = at == SIZE_MAX ? STR("") : str_skip(address, at + 1);
    return at != SIZE_MAX && out_local->n > 0 && out_domain->n > 0 && value_is_good(address);
}

enum admin_result admin_external_add(struct str local, struct str remote, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str names[2], domains[2];
    struct account account;
    bool found = false;
    if (!split(local, &names[0], &domains[0]) || !split(remote, &names[1], &domains[1]))
        return ADMIN_BAD_NAME;
    enum admin_result result = admin_account_find(domains[0], names[0], &a, &account);
    if (result != ADMIN_OK)
        return result;
    const struct str row[] = { domains[1], names[1], account.domain, account.name };
    const struct row_match match = { { domains[1], names[1] }, 2 };
    if (table_find("extaliases.tab", &match, &a, NULL, &found, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    return found ? ADMIN_EXTERNAL_EXISTS : table_add("extaliases.tab", row, ARRAY_LEN(row), e);
}

enum admin_result admin_external_remove(struct str remote, struct err *e)
{
    struct str name, domain;
    size_t dropped = 0;
    if (!split(remote, &name, &domain))
        return ADMIN_BAD_NAME;
    const struct row_match match = { { domain, name }, 2 };
    enum admin_result result = table_drop("extaliases.tab", &match, &dropped, e);
    return result == ADMIN_OK && dropped == 0 ? ADMIN_NO_EXTERNAL : result;
}

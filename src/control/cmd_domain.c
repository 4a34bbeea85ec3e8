/* cmd_domain.c - domain*, aliasdomain*, alias*, exalias*. */
#include "control/control_int.h"

enum admin_result ctrl_noop(struct ctrl *c, struct err *e)
{
    (void)c, (void)e;
    return ADMIN_OK;
}

/* From the web role: whom the commands that follow are for, in the logs. */
enum admin_result ctrl_as(struct ctrl *c, struct err *e)
{
    (void)e;
    if (!c->s.listener->local)
        return ADMIN_BAD_COMMAND;
    struct str name = str_head(ctrl_param(c, 1), sizeof(c->as) - 1);
    memcpy(c->as, name.p, name.n);
    c->as[name.n] = '\0';
    c->user = str_from_c(c->as);
    return ip_parse(ctrl_param(c, 2), &c->s.client_ip) ? ADMIN_OK : ADMIN_BAD_PARAMETER;
}

enum admin_result ctrl_domainadd(struct ctrl *c, struct err *e)
{
    return admin_domain_add(ctrl_param(c, 1), e);
}

enum admin_result ctrl_domaindel(struct ctrl *c, struct err *e)
{
    return admin_domain_remove(ctrl_param(c, 1), e);
}

/* Any of several wildcards. */
static bool format_domain(struct ctrl *c, const struct tab_row *row, struct arena *a,
                          struct str out[16], size_t *out_count)
{
    (void)a;
    bool meant = c->count == 1;
    for (size_t i = 1; i < c->count && !meant; i++)
        meant = str_matches(tab_value(row, 0), c->parameters[i]);
    out[0] = tab_value(row, 0);
    *out_count = 1;
    return meant;
}

enum admin_result ctrl_domainlist(struct ctrl *c, struct err *e)
{
    enum admin_result result = ctrl_list(c, "domains.tab", 1, SIZE_MAX, e);
    c->list.format = format_domain;
    return result;
}

enum admin_result ctrl_aliasdomainadd(struct ctrl *c, struct err *e)
{
    return admin_alias_domain_add(ctrl_param(c, 1), ctrl_param(c, 2), e);
}

enum admin_result ctrl_aliasdomaindel(struct ctrl *c, struct err *e)
{
    return admin_alias_domain_remove(ctrl_param(c, 1), e);
}

/* The table has the alias first, the list the real domain. */
static bool format_alias_domain(struct ctrl *c, const struct tab_row *row, struct arena *a,
                                struct str out[16], size_t *out_count)
{
    (void)a;
    out[0] = tab_value(row, 1);
    out[1] = tab_value(row, 0);
    *out_count = 2;
    return (c->count < 2 || str_matches(out[0], ctrl_param(c, 1))) &&
           (c->count < 3 || str_matches(out[1], ctrl_param(c, 2)));
}

enum admin_result ctrl_aliasdomainlist(struct ctrl *c, struct err *e)
{
    enum admin_result result = ctrl_list(c, "aliasdomain.tab", 2, SIZE_MAX, e);
    c->list.format = format_alias_domain;
    return result;
}

/* --- aliases ----------------------------------------------------------------------------- */

enum admin_result ctrl_aliasadd(struct ctrl *c, struct err *e)
{
    return admin_alias_add(ctrl_param(c, 1), ctrl_param(c, 2), ctrl_param(c, 3), e);
}

enum admin_result ctrl_aliasdel(struct ctrl *c, struct err *e)
{
    return admin_alias_remove(ctrl_param(c, 1), ctrl_param(c, 2), e);
}

enum admin_result ctrl_aliaslist(struct ctrl *c, struct err *e)
{
    return ctrl_list(c, "aliases.tab", 3, 1, e);
}

enum admin_result ctrl_exaliasadd(struct ctrl *c, struct err *e)
{
    return admin_external_add(ctrl_param(c, 1), ctrl_param(c, 2), e);
}

enum admin_result ctrl_exaliasdel(struct ctrl *c, struct err *e)
{
    return admin_external_remove(ctrl_param(c, 1), e);
}

/* Does name@domain match a pattern of an address? */
static bool address_matches(struct str name, struct str domain, struct str pattern)
{
    size_t at = str_rfind(pattern, '@');
    return str_matches(name, str_head(pattern, at)) &&
           str_matches(domain, str_skip(pattern, at + 1));
}

static bool format_external(struct ctrl *c, const struct tab_row *row, struct arena *a,
                            struct str out[16], size_t *out_count)
{
    (void)a;
    for (size_t i = 0; i < 4; i++)
        out[i] = tab_value(row, i);
    *out_count = 4;
    return (c->count < 2 || address_matches(out[3], out[2], ctrl_param(c, 1))) &&
           (c->count < 3 || address_matches(out[1], out[0], ctrl_param(c, 2)));
}

enum admin_result ctrl_exaliaslist(struct ctrl *c, struct err *e)
{
    for (size_t i = 1; i < c->count; i++)
        if (str_find(c->parameters[i], '@') == SIZE_MAX)
            return ADMIN_BAD_NAME;
    enum admin_result result = ctrl_list(c, "extaliases.tab", 4, SIZE_MAX, e);
    c->list.format = format_external;
    return result;
}

/* --- members of lists -------------------------------------------------------------------- */

enum admin_result ctrl_mluseradd(struct ctrl *c, struct err *e)
{
    return admin_member_add(ctrl_param(c, 1), ctrl_param(c, 2), ctrl_param(c, 3),
                            ctrl_param(c, 4), e);
}

enum admin_result ctrl_mluserdel(struct ctrl *c, struct err *e)
{
    return admin_member_remove(ctrl_param(c, 1), ctrl_param(c, 2), ctrl_param(c, 3), e);
}

/* A member without perms may read and write (specification 1, section 2). */
static bool format_member(struct ctrl *c, const struct tab_row *row, struct arena *a,
                          struct str out[16], size_t *out_count)
{
    (void)c, (void)a;
    out[0] = tab_value(row, 0);
    out[1] = row->count > 1 ? tab_value(row, 1) : STR("RW");
    *out_count = 2;
    return true;
}

enum admin_result ctrl_mluserlist(struct ctrl *c, struct err *e)
{
    struct account account;
    enum admin_result result =
        admin_account_find(ctrl_param(c, 1), ctrl_param(c, 2), &c->line_mem, &account);
    if (result != ADMIN_OK)
        return result;
    if (account.type != ACCOUNT_LIST)
        return ADMIN_NOT_A_LIST;
    struct str path = arena_printf(&c->line_mem, "%.*s/mlusers.tab", STR_ARG(account.folder));
    result = ctrl_list(c, path.p, 1, SIZE_MAX, e);
    c->list.format = format_member;
    return result;
}

/* --- taking back ------------------------------------------------------------------------- */

/* Ours: "id" "what" "seconds since 1970" of each removed account and domain. */
enum admin_result ctrl_removedlist(struct ctrl *c, struct err *e)
{
    struct admin_removed *list = NULL;
    size_t count = 0;
    if (admin_removed_list(&c->line_mem, &list, &count, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    for (size_t i = 0; i < count; i++) {
        const struct str row[] = { list[i].id, list[i].what,
                                   arena_printf(&c->line_mem, "%" PRId64, list[i].when) };
        ctrl_text_row(c, row, ARRAY_LEN(row));
    }
    return ADMIN_OK;
}

enum admin_result ctrl_undelete(struct ctrl *c, struct err *e)
{
    return admin_undelete(ctrl_param(c, 1), e);
}

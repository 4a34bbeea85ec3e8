/*
 * delegates.c - what an administrator of some domains may have done, when the web role asks for
 * him: which commands, about which domains, within which limits. Commands run one at a time, so
 * nothing comes between the count and the change.
 */
#include "control/control_int.h"
#include "users/delegate.h"

enum effect { EFFECT_NONE, EFFECT_ACCOUNT, EFFECT_ALIAS, EFFECT_MEMBER, EFFECT_LINK };

/* Commands without a row aren't for them. */
static const struct rule {
    const char *command;
    size_t domain; /* the parameter that must be a domain of his; 0: none */
    size_t column; /* of a list, from 1: only rows where it is one; 0: all */
    enum effect effect;
} rules[] = {
    { "as", 0, 0, EFFECT_NONE },           { "audit", 0, 0, EFFECT_NONE },
    { "figures", 1, 0, EFFECT_NONE },      { "figurelist", 0, 1, EFFECT_NONE },
    { "noop", 0, 0, EFFECT_NONE },         { "cfgfileset", 0, 0, EFFECT_NONE },
    { "domainlist", 0, 1, EFFECT_NONE },   { "aliaslist", 0, 1, EFFECT_NONE },
    { "userlist", 0, 1, EFFECT_NONE },     { "userdel", 1, 0, EFFECT_NONE },
    { "userpasswd", 1, 0, EFFECT_NONE },   { "userstat", 1, 0, EFFECT_NONE },
    { "aliasdel", 1, 0, EFFECT_NONE },     { "mluserdel", 1, 0, EFFECT_NONE },
    { "mluserlist", 1, 0, EFFECT_NONE },   { "poplnklist", 1, 1, EFFECT_NONE },
    { "poplnkdel", 1, 0, EFFECT_NONE },    { "poplnkadd", 1, 0, EFFECT_LINK },
    { "poplnkenable", 2, 0, EFFECT_LINK }, { "useradd", 1, 0, EFFECT_ACCOUNT },
    { "aliasadd", 1, 0, EFFECT_ALIAS },    { "mluseradd", 1, 0, EFFECT_MEMBER },
};

static const struct rule *find_rule(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (str_ieq(name, str_from_c(rules[i].command)))
            return &rules[i];
    return NULL;
}

/* --- limits ------------------------------------------------------------------------------- */

static enum admin_result within(int64_t limit, size_t now, struct err *e)
{
    if (limit == NO_LIMIT || now < (uint64_t)limit)
        return ADMIN_OK;
    (void)err_perm(e, "5.7.1", "there are %zu of %" PRId64, now, limit);
    return ADMIN_LIMIT_REACHED;
}

static enum admin_result may_add_account(const struct ctrl *c, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct delegate_counts counts;
    const struct delegate *d = c->delegate;
    bool list = str_ieq(ctrl_param(c, 4), STR("M"));
    if (delegate_count(d, &a, &counts, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    return list ? within(d->limits[LIMIT_LISTS], counts.lists, e)
                : within(d->limits[LIMIT_USERS], counts.users, e);
}

/* May mail be sent on there? An account's name is of his own domain. */
static enum admin_result may_send_to(const struct delegate *d, struct str target,
                                     bool names_are_accounts, struct err *e)
{
    size_t at = str_rfind(target, '@');
    if (at == SIZE_MAX && names_are_accounts)
        return ADMIN_OK;
    struct str domain = at == SIZE_MAX ? target : str_skip(target, at + 1);
    if (users_domain_is_local(domain))
        return delegate_has_domain(d, domain) ? ADMIN_OK : ADMIN_NOT_ALLOWED;
    if (d->forwarding)
        return ADMIN_OK;
    (void)err_perm(e, "5.7.1", "mail may not be sent on to other servers");
    return ADMIN_NOT_ALLOWED;
}

static enum admin_result may_add_alias(const struct ctrl *c, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct delegate_counts counts;
    const struct delegate *d = c->delegate;
    enum admin_result result = may_send_to(d, ctrl_param(c, 3), true, e);
    if (result != ADMIN_OK)
        return result;
    if (delegate_count(d, &a, &counts, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    return within(d->limits[LIMIT_ALIASES], counts.aliases, e);
}

static enum admin_result may_add_member(const struct ctrl *c, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account list;
    struct tab members;
    if (admin_account_find(ctrl_param(c, 1), ctrl_param(c, 2), &a, &list) != ADMIN_OK)
        return ADMIN_OK; /* the command will say so */
    if (tab_read(arena_printf(&a, "%.*s/mlusers.tab", STR_ARG(list.folder)).p, &a, &members,
                 e) != RC_OK)
        return ADMIN_CANT_OPEN;
    return within(c->delegate->limits[LIMIT_MEMBERS], members.row_count, e);
}

static enum admin_result may_have_effect(const struct ctrl *c, enum effect effect,
                                         struct err *e)
{
    switch (effect) {
    case EFFECT_NONE:
        return ADMIN_OK;
    case EFFECT_ACCOUNT:
        return may_add_account(c, e);
    case EFFECT_ALIAS:
        return may_add_alias(c, e);
    case EFFECT_MEMBER:
        return may_add_member(c, e);
    case EFFECT_LINK:
        return c->delegate->external ? ADMIN_OK : ADMIN_NOT_ALLOWED;
    }
    BUG("an effect");
}

/* --- commands ----------------------------------------------------------------------------- */

enum admin_result ctrl_delegate_check(struct ctrl *c, struct err *e)
{
    const struct rule *rule = find_rule(ctrl_param(c, 0));
    enum administrator kind = ADMINISTRATOR_NONE;
    struct delegate *d = NULL;
    c->delegate = NULL;
    c->own_column = 0;
    if (c->as[0] == '\0' || str_eq(ctrl_param(c, 0), STR("as")) ||
        str_eq(ctrl_param(c, 0), STR("audit")))
        return ADMIN_OK;
    d = arena_new(&c->line_mem, sizeof(*d));
    if (delegate_find(str_from_c(c->as), &c->line_mem, &kind, d, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    /* The web role's own name is "web"; who was removed meanwhile may do nothing. */
    if (kind == ADMINISTRATOR_ALL || (kind == ADMINISTRATOR_NONE && strcmp(c->as, "web") == 0))
        return ADMIN_OK;
    if (kind == ADMINISTRATOR_NONE || d->stopped || rule == NULL ||
        (rule->domain > 0 && !delegate_has_domain(d, ctrl_param(c, rule->domain))))
        return ADMIN_NOT_ALLOWED;
    c->delegate = d;
    c->own_column = rule->column;
    return may_have_effect(c, rule->effect, e);
}

bool ctrl_delegate_sees(const struct ctrl *c, const struct str *values, size_t count)
{
    return c->own_column == 0 || (c->own_column <= count &&
                                  delegate_has_domain(c->delegate, values[c->own_column - 1]));
}

enum admin_result ctrl_delegate_done(struct ctrl *c, struct err *e)
{
    int64_t most = c->delegate == NULL ? NO_LIMIT : c->delegate->limits[LIMIT_MAILBOX_KB];
    if (most == NO_LIMIT || !str_ieq(ctrl_param(c, 0), STR("useradd")) ||
        !str_ieq(ctrl_param(c, 4), STR("U")))
        return ADMIN_OK;
    const struct str pair[] = { STR("MaxMBSize"),
                                arena_printf(&c->line_mem, "%" PRId64, most) };
    return admin_vars_set(ctrl_param(c, 1), ctrl_param(c, 2), pair, 1, e);
}

/* --- files -------------------------------------------------------------------------------- */

/* The rows that aren't of `name`, as text. */
static void others(const struct tab *t, size_t column, struct str name, struct buf *out)
{
    for (size_t i = 0; i < t->row_count; i++)
        if (!str_ieq(tab_value(&t->rows[i], column), name))
            buf_must(tab_print_row(out, t->rows[i].values, t->rows[i].count, "\n", NULL));
}

/* Only lines of his own differ; in the administrators' table he stays what he is. */
static enum admin_result check_own_lines(const struct tab *old, const struct tab *fresh,
                                         struct str name)
{
    bool admins = str_eq(str_from_c(fresh->path), STR(ADMINS_TABLE));
    size_t column = admins ? 0 : 2, own = 0;
    struct buf was AUTO_RELEASE_BUF, is AUTO_RELEASE_BUF;
    buf_init(&was, TAB_FILE_MAX);
    buf_init(&is, TAB_FILE_MAX);
    others(old, column, name, &was);
    others(fresh, column, name, &is);
    for (size_t i = 0; admins && i < fresh->row_count; i++)
        if (str_ieq(tab_value(&fresh->rows[i], 0), name))
            own += str_ieq(tab_value(&fresh->rows[i], 2), STR(DELEGATE_RIGHT)) ? 1 : 2;
    return str_eq(buf_str(&was), buf_str(&is)) && (!admins || own == 1) ? ADMIN_OK
                                                                        : ADMIN_NOT_ALLOWED;
}

static bool is_same(const struct tab_row *a, const struct tab_row *b)
{
    for (size_t i = 0; i < a->count && a->count == b->count; i++)
        if (!str_eq(a->values[i], b->values[i]))
            return false;
    return a->count == b->count;
}

static bool has_row(const struct tab *t, const struct tab_row *row)
{
    for (size_t i = 0; i < t->row_count; i++)
        if (is_same(&t->rows[i], row))
            return true;
    return false;
}

static enum admin_result check_variable(const struct delegate *d, const struct tab_row *row,
                                        struct err *e)
{
    struct str name = tab_value(row, 0), value = tab_value(row, 1);
    if (user_options_check(name, value, e) != RC_OK)
        return ADMIN_BAD_PARAMETER;
    if (delegate_may_set(d, name, value))
        return ADMIN_OK;
    return str_ieq(name, STR("MaxMBSize")) ? ADMIN_LIMIT_REACHED : ADMIN_NOT_ALLOWED;
}

static bool has_variable(const struct tab *t, struct str name)
{
    for (size_t i = 0; i < t->row_count; i++)
        if (str_ieq(tab_value(&t->rows[i], 0), name))
            return true;
    return false;
}

static enum admin_result check_user_tab(const struct delegate *d, const struct tab *old,
                                        const struct tab *fresh, struct err *e)
{
    for (size_t i = 0; i < old->row_count; i++) {
        struct str name = tab_value(&old->rows[i], 0);
        if (delegate_keeps(d, name) && !has_variable(fresh, name))
            return ADMIN_NOT_ALLOWED;
    }
    for (size_t i = 0; i < fresh->row_count; i++) {
        enum admin_result result =
            has_row(old, &fresh->rows[i]) ? ADMIN_OK : check_variable(d, &fresh->rows[i], e);
        if (result != ADMIN_OK)
            return result;
    }
    return ADMIN_OK;
}

static bool is_command(const struct tab_row *row, const char *name)
{
    return str_ieq(tab_value(row, 0), str_from_c(name));
}

static bool is_redirect(const struct tab_row *row)
{
    return is_command(row, "redirect") || is_command(row, "lredirect");
}

/* Forwarding, and nothing else: other lines stay. */
static enum admin_result check_mailproc(const struct delegate *d, const struct tab *old,
                                        const struct tab *fresh, struct err *e)
{
    enum admin_result result = ADMIN_OK;
    for (size_t i = 0; i < old->row_count; i++)
        if (!is_redirect(&old->rows[i]) && !is_command(&old->rows[i], "mailbox") &&
            !has_row(fresh, &old->rows[i]))
            return ADMIN_NOT_ALLOWED;
    for (size_t i = 0; i < fresh->row_count; i++) {
        const struct tab_row *row = &fresh->rows[i];
        if (has_row(old, row) || is_command(row, "mailbox"))
            continue;
        if (!is_redirect(row))
            return ADMIN_NOT_ALLOWED;
        for (size_t k = 1; k < row->count && result == ADMIN_OK; k++)
            result = may_send_to(d, row->values[k], false, e);
        if (result != ADMIN_OK)
            return result;
    }
    return ADMIN_OK;
}

/* domains/DOMAIN/ACCOUNT/NAME of a domain of his: NAME; else empty. */
static struct str own_file(const struct delegate *d, struct str path)
{
    struct str top, domain, account;
    bool own = str_cut(&path, '/', &top) && str_eq(top, STR("domains")) &&
               str_cut(&path, '/', &domain) && delegate_has_domain(d, domain) &&
               str_cut(&path, '/', &account) && path.p != NULL &&
               str_find(path, '/') == SIZE_MAX;
    return own ? path : STR("");
}

enum admin_result ctrl_delegate_upload(struct ctrl *c, struct str content, struct err *e)
{
    struct arena *a = &c->line_mem;
    const struct delegate *d = c->delegate;
    struct tab old, fresh;
    if (d == NULL)
        return ADMIN_OK;
    struct str path = c->upload_path, name = own_file(d, path);
    if (tab_read(path.p, a, &old, e) != RC_OK ||
        tab_read_str(path.p, content, a, &fresh, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    if (fresh.problem_count > old.problem_count)
        return ADMIN_BAD_PARAMETER;
    if (str_eq(path, STR(ADMINS_TABLE)) || str_eq(path, STR("webtokens.tab")))
        return check_own_lines(&old, &fresh, d->name);
    if (str_eq(name, STR("user.tab")))
        return check_user_tab(d, &old, &fresh, e);
    if (str_eq(name, STR("mailproc.tab")))
        return check_mailproc(d, &old, &fresh, e);
    bool harmless = str_eq(name, STR("refuse.tab")) || str_eq(name, STR("header.tab")) ||
                    str_eq(name, STR("footer.tab"));
    return harmless ? ADMIN_OK : ADMIN_NOT_ALLOWED;
}

/*
 * login.c - names for AUTH: accounts of ours, else lines of smtpauth.tab ("user" "password"
 * "perms"), and what they may do once they are in.
 */
#include "smtpd/login.h"
#include "auth/auth.h"
#include "smtpd/smtpd_int.h"
#include "sys/user.h"

/* One version of smtpauth.tab. */
struct auth_table {
    struct arena mem;
    struct map rows; /* const struct tab_row by user */
};

static struct tab_cache *auth_tables;

static void *table_parse(const struct tab *tab, void *ctx)
{
    (void)ctx;
    struct auth_table *t = mem_new(sizeof(*t));
    for (size_t i = 0; i < tab->row_count; i++) {
        const struct tab_row *row = &tab->rows[i];
        if (tab_value(row, 0).n == 0 || tab_value(row, 1).n == 0) {
            tab_say_skipped(tab->path, row->line, STR("needs a name and a password"));
            continue;
        }
        struct str *values = arena_new_array(&t->mem, struct str, 3);
        for (size_t k = 0; k < MIN(row->count, (size_t)3); k++)
            values[k] = arena_str(&t->mem, tab_value(row, k));
        if (map_get(&t->rows, values[0]) == NULL)
            (void)map_put(&t->rows, values[0], values);
    }
    return t;
}

static void table_release(void *value)
{
    struct auth_table *t = value;
    map_release(&t->rows);
    arena_wipe(&t->mem);
    mem_free(&t);
}

void login_init(void)
{
    if (auth_tables == NULL)
        auth_tables = tab_cache_new("smtpauth.tab", table_parse, table_release, NULL);
    extauth_init();
}

static enum rc find_in_table(struct str name, struct arena *a, struct sasl_identity *out)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct auth_table *t = tab_cache_get(auth_tables, &ref, &suspect);
    const struct str *values = t == NULL ? NULL : map_get(&t->rows, name);
    if (values != NULL)
        *out = (struct sasl_identity){ .login = arena_str(a, name),
                                       .clear = arena_str(a, values[1]),
                                       .perms = values[2].p == NULL
                                                    ? values[2] /* DefaultSmtpPerms */
                                                    : arena_str(a, values[2]) };
    tab_cache_put(auth_tables, &ref);
    return values != NULL ? RC_OK : suspect ? RC_TEMP : RC_PERM;
}

enum rc login_secrets(struct buf *out)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    struct str name;
    void *value = NULL;
    const struct auth_table *t = tab_cache_get(auth_tables, &ref, &suspect);
    enum rc rc = suspect ? RC_TEMP : RC_OK;
    for (size_t at = 0; rc == RC_OK && t != NULL && map_next(&t->rows, &at, &name, &value);) {
        const struct str *values = value;
        rc = buf_printf(out, "%.*s:%.*s\n", STR_ARG(values[0]), STR_ARG(values[1]));
    }
    tab_cache_put(auth_tables, &ref);
    return rc;
}

enum rc login_find(struct str name, struct arena *a, struct sasl_identity *out)
{
    struct sasl_identity found = { .has_account = true };
    struct err e = { .rc = RC_OK };
    enum rc rc = users_login(name, STR(""), a, &found.account, &e);
    if (rc == RC_OK) {
        struct auth_program program;
        found.login = arena_str(a, name);
        rc = userauth_find(found.account.domain, USERAUTH_LOGIN, &program, &e);
        found.external = rc == RC_OK;
        if (rc == RC_TEMP)
            log_warn(EV("login can't be decided"), KS("domain", found.account.domain), KE(&e));
        else
            *out = found;
        return rc == RC_TEMP ? RC_TEMP : RC_OK;
    }
    enum rc in_table = find_in_table(name, a, out);
    return in_table == RC_OK || rc != RC_TEMP ? in_table : RC_TEMP;
}

static void take_account(struct login *l, const struct account *account)
{
    l->has_account = true;
    l->account = (struct account){
        .domain = arena_str(&l->mem, account->domain),
        .name = arena_str(&l->mem, account->name),
        .folder = arena_str(&l->mem, account->folder),
        .id = account->id,
        .type = account->type,
    };
}

enum rc login_new(const struct sasl_identity *who, struct arena *tmp, struct login **out,
                  struct err *e)
{
    struct user_options uo;
    if (who->has_account) {
        enum rc rc = users_options(&who->account, tmp, &uo, e);
        if (rc != RC_OK)
            return rc;
    }
    struct login *l = mem_new(sizeof(*l));
    l->name = arena_str(&l->mem, who->login);
    l->hide_name = conf()->disable_emit_auth_user;
    if (who->has_account) {
        take_account(l, &who->account);
        l->rights = smtp_rights_of(&uo);
        l->hide_name = l->hide_name || uo.disable_emit_auth_user;
        l->has_size_limit = uo.max_message_size_set;
        l->max_message_kb = uo.max_message_size;
    }
    if (who->perms.p != NULL || !who->has_account)
        l->rights =
            smtp_rights_parse(who->perms.p == NULL ? conf()->default_smtp_perms : who->perms);
    *out = l;
    return RC_OK;
}

struct login *login_of_user(uint32_t uid)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct login *l = mem_new(sizeof(*l));
    struct str name = user_name(uid, &a);
    l->name = arena_printf(&l->mem, "%.*s@%.*s", STR_ARG(name), STR_ARG(conf()->root_domain));
    l->hide_name = conf()->disable_emit_auth_user;
    l->rights = RIGHT_MAIL | RIGHT_RELAY | RIGHT_NO_TLS;
    return l;
}

void login_free(struct login **login)
{
    if (*login == NULL)
        return;
    arena_release(&(*login)->mem);
    mem_free(login);
}

/* api_users.c - accounts and mailing lists: what is more than one command of the control
 * protocol. */
#include "conf/options.h"
#include "conf/tab.h"
#include "users/users.h"
#include "web/secret.h"
#include "web/tables.h"

#define USAGE_MOST 200u /* accounts whose mailboxes one request may ask about */

/* --- lists of accounts -------------------------------------------------------------------- */

struct search {
    struct str domain, text;
    enum account_type type;
    uint64_t offset, limit, total;
    struct found {
        struct str domain, name;
    } * found;
    size_t found_count;
    struct arena *mem;
    const struct web *web;
};

static bool is_meant(const struct search *s, struct str domain, struct str name)
{
    size_t at = str_find(s->text, '@');
    if (s->domain.n > 0 && !str_ieq(domain, s->domain))
        return false;
    if (s->text.n == 0)
        return true;
    if (at != SIZE_MAX) /* an address, or the beginning of one */
        return str_iends(name, str_head(s->text, at)) &&
               str_istarts(domain, str_skip(s->text, at + 1));
    return str_ifind_str(name, s->text) != SIZE_MAX;
}

static bool take(void *ctx, struct str domain, struct str name, enum account_type type)
{
    struct search *s = ctx;
    if (type != s->type || !web_has_domain(s->web, domain) || !is_meant(s, domain, name))
        return true;
    if (s->total >= s->offset && s->total < s->offset + s->limit)
        s->found[s->found_count++] =
            (struct found){ arena_str(s->mem, domain), arena_str(s->mem, name) };
    s->total++;
    return true;
}

/* What a list shows of user.tab. */
static void add_settings(struct web *w, json_t *o, const struct found *f)
{
    struct account account;
    struct user_options u;
    struct err e;
    if (!users_account_find(f->domain, f->name, web_mem(w), &account) ||
        users_options(&account, web_mem(w), &u, &e) != RC_OK)
        return;
    (void)json_object_set_new(o, "real_name", web_str(u.real_name));
    (void)json_object_set_new(o, "receive", json_boolean(u.receive_enable));
    if (account.type == ACCOUNT_LIST)
        return;
    (void)json_object_set_new(o, "pop", json_boolean(u.pop_enable));
    (void)json_object_set_new(o, "max_kb", json_integer((json_int_t)u.max_mb_size));
}

/* How full its mailbox is; the first question counts it. */
static void add_usage(struct web *w, json_t *o, const struct found *f)
{
    struct control_answer answer;
    struct err e;
    const struct str words[] = { STR("userstat"), f->domain, f->name };
    static const char *const members[][2] = { { "MailboxSize", "octets" },
                                              { "MailboxMessages", "messages" },
                                              { "LastLoginTimeDate", "last_login" } };
    if (link_ask(w, words, ARRAY_LEN(words), STR(""), &answer, &e) != RC_OK)
        return;
    json_t *pairs = web_pairs(buf_str(&answer.lines));
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        int64_t n = 0;
        struct str text = str_from_c(json_string_value(json_object_get(pairs, members[i][0])));
        if (str_to_i64(text, &n))
            (void)json_object_set_new(o, members[i][1], json_integer(n));
    }
    json_decref(pairs);
    buf_release(&answer.lines);
}

static void list_accounts(struct web *w, enum account_type type)
{
    bool usage = type == ACCOUNT_USER && str_eq(web_query(w, "usage"), STR("1"));
    struct search s = {
        .domain = web_query(w, "domain"),
        .text = web_query(w, "search"),
        .type = type,
        .offset = web_query_number(w, "offset", 0, UINT32_MAX),
        .limit = web_query_number(w, "limit", 100, usage ? USAGE_MOST : 1000),
        .mem = web_mem(w),
        .web = w,
    };
    s.found = arena_new_array(s.mem, struct found, s.limit + 1);
    users_walk(take, &s);
    json_t *rows = json_array();
    for (size_t i = 0; i < s.found_count; i++) {
        const struct found *f = &s.found[i];
        json_t *o =
            json_pack("{s:o, s:o}", "domain", web_str(f->domain), "name", web_str(f->name));
        add_settings(w, o, f);
        if (usage)
            add_usage(w, o, f);
        (void)json_array_append_new(rows, o);
    }
    web_json(w, 200, json_pack("{s:I, s:o}", "total", (json_int_t)s.total, "rows", rows));
}

void api_users(struct web *w)
{
    list_accounts(w, ACCOUNT_USER);
}

void api_lists(struct web *w)
{
    list_accounts(w, ACCOUNT_LIST);
}

/* --- one account -------------------------------------------------------------------------- */

bool web_find_account(struct web *w, struct account *out)
{
    if (users_account_find(w->params[0], w->params[1], web_mem(w), out))
        return true;
    web_fail(w, 404, "unknown", "there is no such account");
    return false;
}

const char *web_account_file(struct web *w, const struct account *account, const char *name)
{
    return arena_printf(web_mem(w), "%.*s/%s", STR_ARG(account->folder), name).p;
}

static json_t *variables_json(const struct table_text *t)
{
    json_t *o = json_object();
    for (size_t i = 0; i < t->line_count; i++) {
        const struct table_line *line = &t->lines[i];
        if (line->count >= 2)
            (void)json_object_setn_new(o, line->values[0].p, line->values[0].n,
                                       web_text(line->values[1], t->charset));
    }
    return o;
}

void api_user(struct web *w)
{
    struct account account;
    struct control_answer stat;
    struct table_text t;
    struct err e;
    if (!web_find_account(w, &account))
        return;
    if (tabtext_load(web_account_file(w, &account, "user.tab"), web_mem(w), &t, &e) != RC_OK) {
        web_trouble(w, &e);
        return;
    }
    json_t *o = json_pack(
        "{s:o, s:o, s:s, s:I, s:b, s:s, s:o}", "domain", web_str(account.domain), "name",
        web_str(account.name), "type", account.type == ACCOUNT_LIST ? "list" : "user", "id",
        (json_int_t)account.id, "processed", (int)users_needs_processing(&account, web_mem(w)),
        "version", t.version, "variables", variables_json(&t));
    if (account.type == ACCOUNT_USER) {
        if (!web_control(w, WEB_WORDS(STR("userstat"), account.domain, account.name), STR(""),
                         &stat)) {
            json_decref(o);
            return;
        }
        (void)json_object_set_new(o, "state", web_pairs(buf_str(&stat.lines)));
        buf_release(&stat.lines);
    }
    web_json(w, 200, o);
}

static const char *kind_name(const struct user_row *row)
{
    static const char *const kinds[] = { "bool", "kb", "three", "text", "rights" };
    return kinds[row->kind];
}

/* Which of the kinds of values it isn't. */
static json_t *wanted(const char *name)
{
    const struct user_row *row = NULL;
    size_t i = 0;
    while ((row = user_options_row(i)) != NULL && strcasecmp(row->name, name) != 0)
        i++;
    return json_pack("{s:s, s:s}", "name", name, "kind",
                     row == NULL ? "unknown" : kind_name(row));
}

static bool set_variable(struct web *w, struct table_text *t, const char *name,
                         const json_t *value)
{
    struct err e;
    struct str text = str_from(json_string_value(value), json_string_length(value));
    struct table_line *line = tabtext_find(t, str_from_c(name));
    if (json_is_null(value)) {
        tabtext_remove(t, line);
        return true;
    }
    if (text.p == NULL || str_has_control(text)) {
        web_refuse(w, "characters", NULL, "the value of %s isn't text", name);
        return false;
    }
    if (w->who.delegate != NULL && !delegate_may_set(w->who.delegate, str_from_c(name), text)) {
        web_fail(w, 403, "right", "your account may not give %s this value", name);
        return false;
    }
    if (user_options_check(str_from_c(name), text, &e) != RC_OK) {
        web_refuse(w, "bad-value", wanted(name), "%s", e.text);
        return false;
    }
    if (!tabtext_encode(t, text, &text)) {
        web_refuse(w, "charset", NULL,
                   "the value of %s can't be written in the table's characters", name);
        return false;
    }
    const struct str values[] = { line == NULL ? str_from_c(name) : line->values[0], text };
    tabtext_put(t, line, values, 2);
    return true;
}

/* All of them into the table's text; false: answered. */
static bool set_variables(struct web *w, struct table_text *t, json_t *variables)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(variables, name, value)
    {
        if (!set_variable(w, t, name, value))
            return false;
    }
    return true;
}

/* {"variables": {"RealName": "...", "MaxMBSize": null}} */
void api_user_set(struct web *w)
{
    json_t *variables = json_object_get(w->body, "variables");
    struct account account;
    struct table_text t;
    if (!json_is_object(variables) || json_object_size(variables) == 0) {
        web_fail(w, 422, "invalid", "variables must be an object with some members");
        return;
    }
    if (web_find_account(w, &account) &&
        tabtext_open(w, web_account_file(w, &account, "user.tab"), &t) &&
        set_variables(w, &t, variables) && tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

/* The rows of user_options.def. */
void api_user_variables(struct web *w)
{
    json_t *list = json_array();
    const struct user_row *row = NULL;
    for (size_t i = 0; (row = user_options_row(i)) != NULL; i++) {
        struct str name = str_from_c(row->name);
        /* A size can be changed, within a limit. */
        if (w->who.delegate != NULL && delegate_keeps(w->who.delegate, name) &&
            !str_eq(name, STR("MaxMBSize")))
            continue;
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:b, s:b, s:s?, s:s, s:s}", "name", row->name, "kind",
                            kind_name(row), "user", (int)(strchr(row->whose, 'U') != NULL),
                            "list", (int)(strchr(row->whose, 'M') != NULL), "fresh", row->fresh,
                            "en", row->en, "ja", row->ja));
    }
    web_json(w, 200, list);
}

/* --- new ones ----------------------------------------------------------------------------- */

struct str web_fresh_password(struct arena *a)
{
    return secret_letters(16, a); /* 80 bits */
}

/* The variables that a new account or list gets at once: are they good? They are put in after
 * it was made; false: answered. */
bool web_check_variables(struct web *w, json_t *variables)
{
    struct table_text none = {
        .path = "user.tab", .mem = web_mem(w), .charset = "UTF-8", .eol = "\n"
    };
    if (variables == NULL || json_is_object(variables))
        return set_variables(w, &none, variables);
    web_fail(w, 422, "invalid", "variables must be an object");
    return false;
}

/* Makes it; false: answered. */
static bool add_account(struct web *w, struct str password, const char *type)
{
    struct str domain, name;
    struct control_answer answer;
    struct account account;
    struct table_text t;
    json_t *variables = json_object_get(w->body, "variables");
    if (!web_member(w, "domain", &domain) || !web_member(w, "name", &name) ||
        !web_check_variables(w, variables) ||
        !web_control(w, WEB_WORDS(STR("useradd"), domain, name, password, str_from_c(type)),
                     STR(""), &answer))
        return false;
    buf_release(&answer.lines);
    w->h.response.status = 201;
    if (json_object_size(variables) == 0)
        return true;
    if (!users_account_find(domain, name, web_mem(w), &account)) {
        web_fail(w, 503, "failed", "the account was made, its settings weren't");
        return false;
    }
    return tabtext_open(w, web_account_file(w, &account, "user.tab"), &t) &&
           set_variables(w, &t, variables) && tabtext_store(w, &t);
}

/* With or without a password: one that was made is told, once. */
void api_user_add(struct web *w)
{
    struct str password;
    if (!web_member_or_empty(w, "password", &password))
        return;
    bool made = password.n == 0;
    password = made ? web_fresh_password(web_mem(w)) : password;
    if (add_account(w, password, "U"))
        web_json(w, 201,
                 json_pack("{s:o}", "password", made ? web_str(password) : json_null()));
}

void api_user_password(struct web *w)
{
    struct str password;
    struct control_answer answer;
    if (!web_member_or_empty(w, "password", &password))
        return;
    bool made = password.n == 0;
    password = made ? web_fresh_password(web_mem(w)) : password;
    if (!web_control(w, WEB_WORDS(STR("userpasswd"), w->params[0], w->params[1], password),
                     STR(""), &answer))
        return;
    buf_release(&answer.lines);
    web_json(w, 200, json_pack("{s:o}", "password", made ? web_str(password) : json_null()));
}

/* Nobody signs in to a list: its password is random. */
void api_list_add(struct web *w)
{
    if (add_account(w, web_fresh_password(web_mem(w)), "M"))
        w->h.response.status = 204;
}

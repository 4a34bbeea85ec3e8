/* api_users.c - accounts and mailing lists: what is more than one command of the control
 * protocol. */
#include "conf/options.h"
#include "conf/tab.h"
#include "users/users.h"
#include "web/web_int.h"
#include <sys/random.h>

/* --- lists of accounts -------------------------------------------------------------------- */

struct search {
    struct str domain, text;
    enum account_type type;
    uint64_t offset, limit, total;
    json_t *rows;
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
    if (type != s->type || !is_meant(s, domain, name))
        return true;
    if (s->total >= s->offset && s->total < s->offset + s->limit)
        (void)json_array_append_new(
            s->rows, json_pack("{s:o, s:o}", "domain", web_str(domain), "name", web_str(name)));
    s->total++;
    return true;
}

static void list_accounts(struct web *w, enum account_type type)
{
    struct search s = {
        .domain = web_query(w, "domain"),
        .text = web_query(w, "search"),
        .type = type,
        .offset = web_query_number(w, "offset", 0, UINT32_MAX),
        .limit = web_query_number(w, "limit", 100, 1000),
        .rows = json_array(),
    };
    users_walk(take, &s);
    web_json(w, 200, json_pack("{s:I, s:o}", "total", (json_int_t)s.total, "rows", s.rows));
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

static bool find_account(struct web *w, struct account *out)
{
    if (users_account_find(w->params[0], w->params[1], web_mem(w), out))
        return true;
    web_fail(w, 404, "unknown", "there is no such account");
    return false;
}

static bool ask(struct web *w, const char *command, struct control_answer *answer)
{
    return web_control(w, WEB_WORDS(str_from_c(command), w->params[0], w->params[1]), STR(""),
                       answer);
}

void api_user(struct web *w)
{
    struct account account;
    struct control_answer vars, stat;
    if (!find_account(w, &account) || !ask(w, "uservars", &vars))
        return;
    json_t *o = json_pack(
        "{s:o, s:o, s:s, s:I, s:b, s:o}", "domain", web_str(account.domain), "name",
        web_str(account.name), "type", account.type == ACCOUNT_LIST ? "list" : "user", "id",
        (json_int_t)account.id, "processed", (int)users_needs_processing(&account, web_mem(w)),
        "variables", web_pairs(buf_str(&vars.lines)));
    buf_release(&vars.lines);
    if (account.type == ACCOUNT_USER) {
        if (!ask(w, "userstat", &stat)) {
            json_decref(o);
            return;
        }
        (void)json_object_set_new(o, "state", web_pairs(buf_str(&stat.lines)));
        buf_release(&stat.lines);
    }
    web_json(w, 200, o);
}

/* {"variables": {"RealName": "...", "MaxMBSize": null}} */
void api_user_set(struct web *w)
{
    enum { WORDS_MOST = 60 };
    struct str words[WORDS_MOST] = { STR("uservarsset"), w->params[0], w->params[1] };
    size_t n = 3;
    const char *name = NULL;
    json_t *value = NULL, *variables = json_object_get(w->body, "variables");
    struct control_answer answer;
    struct err e;
    if (!json_is_object(variables) || json_object_size(variables) == 0 ||
        json_object_size(variables) > (WORDS_MOST - 3) / 2) {
        web_fail(w, 422, "invalid", "variables must be an object with some members");
        return;
    }
    json_object_foreach(variables, name, value)
    {
        struct str text = STR(".|rm");
        if (!json_is_null(value)) {
            text = str_from(json_string_value(value), json_string_length(value));
            if (text.p == NULL || str_has_control(text)) {
                web_fail(w, 422, "invalid", "the value of %s isn't text", name);
                return;
            }
            if (user_options_check(str_from_c(name), text, &e) != RC_OK) {
                web_fail(w, 422, "invalid", "%s", e.text);
                return;
            }
        }
        words[n++] = str_from_c(name);
        words[n++] = text;
    }
    if (!web_control(w, words, n, STR(""), &answer))
        return;
    buf_release(&answer.lines);
    w->h.response.status = 204;
}

/* --- new ones ----------------------------------------------------------------------------- */

/* 16 characters that aren't taken for each other: 80 bits. */
struct str web_fresh_password(struct arena *a)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    unsigned char octets[16] = { 0 };
    char *text = arena_new(a, sizeof(octets) + 1);
    size_t have = 0;
    while (have < sizeof(octets)) {
        ssize_t got = getrandom(octets + have, sizeof(octets) - have, 0);
        have += got > 0 ? (size_t)got : 0;
    }
    for (size_t i = 0; i < sizeof(octets); i++)
        text[i] = letters[octets[i] % 32];
    return str_from(text, sizeof(octets));
}

/* With or without a password: one that was made is told, once. */
void api_user_add(struct web *w)
{
    struct str domain, name, password;
    struct control_answer answer;
    if (!web_member(w, "domain", &domain) || !web_member(w, "name", &name) ||
        !web_member_or_empty(w, "password", &password))
        return;
    bool made = password.n == 0;
    password = made ? web_fresh_password(web_mem(w)) : password;
    if (!web_control(w, WEB_WORDS(STR("useradd"), domain, name, password, STR("U")), STR(""),
                     &answer))
        return;
    buf_release(&answer.lines);
    web_json(w, 201, json_pack("{s:o}", "password", made ? web_str(password) : json_null()));
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
    struct str domain, name;
    struct control_answer answer;
    if (!web_member(w, "domain", &domain) || !web_member(w, "name", &name))
        return;
    struct str password = web_fresh_password(web_mem(w));
    if (!web_control(w, WEB_WORDS(STR("useradd"), domain, name, password, STR("M")), STR(""),
                     &answer))
        return;
    buf_release(&answer.lines);
    w->h.response.status = 204;
}

/* --- processing --------------------------------------------------------------------------- */

/* Lines of mailproc.tab as rows of words. */
void api_mailproc(struct web *w)
{
    struct control_answer answer;
    struct err e;
    struct str rest, values[32];
    size_t count = 0;
    const struct str words[] = { STR("usergetmproc"), w->params[0], w->params[1], STR("U") };
    if (link_ask(w, words, ARRAY_LEN(words), STR(""), &answer, &e) != RC_OK) {
        web_trouble(w, &e);
        return;
    }
    json_t *list = json_array();
    rest = answer.ok ? buf_str(&answer.lines) : STR("");
    for (;;) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (!web_next_row(&rest, &a, values, ARRAY_LEN(values), &count))
            break;
        json_t *row = json_array();
        for (size_t i = 0; i < count; i++)
            (void)json_array_append_new(row, web_str(values[i]));
        (void)json_array_append_new(list, row);
    }
    buf_release(&answer.lines);
    web_json(w, 200, json_pack("{s:o}", "lines", list));
}

static bool print_line(struct web *w, const json_t *row, struct buf *out)
{
    struct str values[32];
    struct err e = { .text = "a line has too many words" };
    size_t n = json_array_size(row);
    bool good = json_is_array(row) && n > 0 && n <= ARRAY_LEN(values);
    for (size_t i = 0; good && i < n; i++) {
        const json_t *value = json_array_get(row, i);
        values[i] = str_from(json_string_value(value), json_string_length(value));
        good = values[i].p != NULL && !str_has_control(values[i]);
    }
    if (good && tab_print_row(out, values, n, "\n", &e) == RC_OK)
        return true;
    web_fail(w, 422, "invalid", "%s", e.text);
    return false;
}

/* No lines: the file goes, mail comes into the mailbox. */
void api_mailproc_set(struct web *w)
{
    struct buf b AUTO_RELEASE_BUF;
    struct control_answer answer;
    size_t i = 0;
    json_t *row = NULL, *lines = json_object_get(w->body, "lines");
    buf_init(&b, 65536);
    if (!json_is_array(lines)) {
        web_fail(w, 422, "invalid", "lines must be a list");
        return;
    }
    json_array_foreach(lines, i, row)
    {
        if (!print_line(w, row, &b))
            return;
    }
    if (!web_control(w, WEB_WORDS(STR("usersetmproc"), w->params[0], w->params[1], STR("U")),
                     buf_str(&b), &answer))
        return;
    buf_release(&answer.lines);
    w->h.response.status = 204;
}

/* api_import.c - many accounts at once: a preview, a job that makes them, and the same columns
 * written out. */
#include "conf/options.h"
#include "users/users.h"
#include "web/import.h"
#include "web/jobs.h"
#include "web/tables.h"

#define SHOWN_MOST 1000u
#define EXPORT_PIECE 200u

/* --- what would be done ------------------------------------------------------------------- */

static json_t *counts_json(const struct import *im)
{
    json_int_t counts[IMPORT_BAD + 1] = { 0 };
    json_t *o = json_object();
    for (size_t i = 0; i < im->count; i++)
        counts[im->rows[i]->action]++;
    for (size_t i = 0; i <= IMPORT_BAD; i++)
        (void)json_object_set_new(o, import_action_name((enum import_action)i),
                                  json_integer(counts[i]));
    return o;
}

static json_t *row_json(const struct import_row *row)
{
    json_t *o = json_pack("{s:I, s:s, s:o, s:o, s:s?}", "line", (json_int_t)row->line, "action",
                          import_action_name(row->action), "domain", web_str(row->domain),
                          "name", web_str(row->name), "why", row->why);
    return o;
}

/* Bad rows first: they are what must be seen. */
static json_t *preview(const struct import *im)
{
    json_t *rows = json_array();
    for (int bad = 1; bad >= 0; bad--)
        for (size_t i = 0; i < im->count && json_array_size(rows) < SHOWN_MOST; i++)
            if ((im->rows[i]->action == IMPORT_BAD) == (bad == 1))
                (void)json_array_append_new(rows, row_json(im->rows[i]));
    return json_pack("{s:o, s:o}", "counts", counts_json(im), "rows", rows);
}

static bool has_bad(const struct import *im)
{
    for (size_t i = 0; i < im->count; i++)
        if (im->rows[i]->action == IMPORT_BAD)
            return true;
    return false;
}

/* --- doing it ----------------------------------------------------------------------------- */

struct task {
    struct job *job;
    struct arena mem; /* of one row */
    const struct import_row *row;
    char why[256];
};

static bool order(struct task *t, const struct str *words, size_t count, struct str upload)
{
    struct link_by by = job_by(t->job, &t->mem);
    struct control_answer answer;
    struct err e;
    bool ok = link_ask_by(&by, words, count, upload, &answer, &e) == RC_OK;
    if (!ok)
        (void)snprintf(t->why, sizeof(t->why), "%s", e.text);
    else if (!answer.ok)
        (void)snprintf(t->why, sizeof(t->why), "%.*s", STR_ARG(answer.text));
    ok = ok && answer.ok;
    buf_release(&answer.lines);
    return ok;
}

/* The variables given, into user.tab. */
static bool set_variables(struct task *t)
{
    struct account account;
    struct table_text text;
    struct err e = { .text = "the account isn't there" };
    struct buf b AUTO_RELEASE_BUF;
    bool any = false;
    buf_init(&b, TAB_FILE_MAX);
    if (!users_account_find(t->row->domain, t->row->name, &t->mem, &account) ||
        tabtext_load(arena_printf(&t->mem, "%.*s/user.tab", STR_ARG(account.folder)).p, &t->mem,
                     &text, &e) != RC_OK) {
        (void)snprintf(t->why, sizeof(t->why), "%s", e.text);
        return false;
    }
    for (size_t i = 0; user_options_row(i) != NULL && i < IMPORT_VARS_MAX; i++) {
        struct str values[] = { str_from_c(user_options_row(i)->name), t->row->values[i] };
        if (values[1].n == 0 || !tabtext_encode(&text, values[1], &values[1]))
            continue;
        tabtext_put(&text, tabtext_find(&text, values[0]), values, 2);
        any = true;
    }
    if (any && !tabtext_print(&text, &b)) {
        (void)snprintf(t->why, sizeof(t->why), "a value can't be stored");
        return false;
    }
    return !any ||
           order(t,
                 WEB_WORDS(STR("cfgfileset"), str_from_c(text.path), str_from_c(text.version)),
                 buf_str(&b));
}

/* One row; *out_password: what was made for it. */
static bool carry_out(struct task *t, struct str *out_password)
{
    const struct import_row *row = t->row;
    struct str password = row->password;
    *out_password = STR("");
    if (row->action == IMPORT_REMOVE)
        return order(t, WEB_WORDS(STR("userdel"), row->domain, row->name), STR(""));
    if (row->action == IMPORT_CREATE) {
        if (password.n == 0)
            password = *out_password = web_fresh_password(&t->mem);
        return order(t, WEB_WORDS(STR("useradd"), row->domain, row->name, password, STR("U")),
                     STR("")) &&
               set_variables(t);
    }
    if (password.n > 0 &&
        !order(t, WEB_WORDS(STR("userpasswd"), row->domain, row->name, password), STR("")))
        return false;
    return set_variables(t);
}

static json_t *import_job(struct job *job, void *ctx)
{
    struct import *im = ctx;
    json_t *rows = json_array();
    json_int_t done = 0, failed = 0;
    for (size_t i = 0; i < im->count; i++) {
        struct task t = { .job = job, .row = im->rows[i], .why = "" };
        struct str password;
        if (t.row->action == IMPORT_BAD || t.row->action == IMPORT_KEEP) {
            if (!job_step(job))
                break;
            continue;
        }
        bool ok = carry_out(&t, &password);
        done += ok ? 1 : 0;
        failed += ok ? 0 : 1;
        json_t *o = row_json(t.row);
        (void)json_object_set_new(o, "ok", json_boolean(ok));
        if (!ok)
            (void)json_object_set_new(o, "why", web_str(str_from_c(t.why)));
        if (ok && password.n > 0)
            (void)json_object_set_new(o, "password", web_str(password));
        (void)json_array_append_new(rows, o);
        arena_wipe(&t.mem);
        if (!job_step(job))
            break;
    }
    return json_pack("{s:I, s:I, s:o}", "done", done, "failed", failed, "rows", rows);
}

static void free_import(void *ctx)
{
    struct import *im = ctx;
    import_release(im);
    mem_free(&im);
}

/* {"text", "mode", "test", "domain"} */
void api_import(struct web *w)
{
    struct str mode, domain;
    struct err e;
    const json_t *text = json_object_get(w->body, "text");
    const json_t *test = json_object_get(w->body, "test");
    if (!web_member(w, "mode", &mode) || !web_member_or_empty(w, "domain", &domain))
        return;
    bool replace = str_eq(mode, STR("replace"));
    if (!json_is_string(text) || !json_is_boolean(test) ||
        (!replace && !str_eq(mode, STR("merge")))) {
        web_fail(w, 422, "invalid", "text, test and mode (merge, replace) are needed");
        return;
    }
    if (replace && json_is_false(test) && !web_is_confirmed(w))
        return;
    struct import *im = mem_new(sizeof(*im));
    if (import_read(str_from(json_string_value(text), json_string_length(text)), domain, im,
                    &e) != RC_OK) {
        free_import(im);
        web_fail(w, 422, "invalid", "%s", e.text);
        return;
    }
    import_plan(im, replace ? IMPORT_REPLACE : IMPORT_MERGE);
    /* A line that isn't understood may name an account that would be removed. */
    if (json_is_true(test) || (replace && has_bad(im))) {
        web_json(w, json_is_true(test) ? 200 : 422, preview(im));
        free_import(im);
        return;
    }
    (void)job_start(
        w, &(struct job_work){ "import", import_job, free_import, im, im->count, STR(""), 0 });
}

/* --- out ---------------------------------------------------------------------------------- */

struct export
{
    struct arena mem;
    struct exported {
        struct str domain, name;
    } * accounts;
    size_t count, room, at;
    struct str domain;
    char separator;
};

static bool collect(void *ctx, struct str domain, struct str name, enum account_type type)
{
    struct export *x = ctx;
    if (type != ACCOUNT_USER || (x->domain.n > 0 && !str_ieq(domain, x->domain)))
        return true;
    if (x->count == x->room) {
        size_t room = x->room == 0 ? 256 : x->room * 2;
        struct exported *more = arena_new_array(&x->mem, struct exported, room);
        if (x->count > 0)
            memcpy(more, x->accounts, x->count * sizeof(*more));
        x->accounts = more;
        x->room = room;
    }
    x->accounts[x->count++] =
        (struct exported){ arena_str(&x->mem, domain), arena_str(&x->mem, name) };
    return true;
}

/* A value, with the separator behind it or the line's end. */
static bool add_cell(struct buf *out, struct str value, char behind, char separator)
{
    char special[] = { '"', '\n', '\r', separator, '\0' };
    bool ok = true;
    if (!str_has_any(value, special) && str_trim(value).n == value.n) {
        ok = buf_add_str(out, value) == RC_OK;
    } else {
        ok = buf_add_char(out, '"') == RC_OK;
        for (size_t i = 0; i < value.n && ok; i++)
            ok = (value.p[i] != '"' || buf_add_char(out, '"') == RC_OK) &&
                 buf_add_char(out, value.p[i]) == RC_OK;
        ok = ok && buf_add_char(out, '"') == RC_OK;
    }
    ok = ok && (behind != '\n' || buf_add_char(out, '\r') == RC_OK);
    return ok && buf_add_char(out, behind) == RC_OK;
}

static size_t last_variable(void)
{
    size_t last = 0;
    for (size_t i = 0; user_options_row(i) != NULL; i++)
        if (strchr(user_options_row(i)->whose, 'U') != NULL)
            last = i;
    return last;
}

static bool add_account_line(const struct export *x, const struct exported *one,
                             struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    struct table_text t;
    struct err e;
    if (!users_account_find(one->domain, one->name, &a, &account) ||
        tabtext_load(arena_printf(&a, "%.*s/user.tab", STR_ARG(account.folder)).p, &a, &t,
                     &e) != RC_OK)
        return true; /* removed meanwhile */
    bool ok = add_cell(out, one->domain, x->separator, x->separator) &&
              add_cell(out, one->name, x->separator, x->separator);
    size_t last = last_variable();
    for (size_t i = 0; i <= last && ok; i++) {
        const struct user_row *row = user_options_row(i);
        const struct table_line *line = tabtext_find(&t, str_from_c(row->name));
        if (strchr(row->whose, 'U') == NULL)
            continue;
        json_t *value = line == NULL || line->count < 2 ? json_string("")
                                                        : web_text(line->values[1], t.charset);
        ok = add_cell(out, str_from(json_string_value(value), json_string_length(value)),
                      i == last ? '\n' : x->separator, x->separator);
        json_decref(value);
    }
    return ok;
}

static bool produce(struct http_session *h, struct buf *out, usec_t *out_pause)
{
    struct export *x = web_of(h)->kept;
    *out_pause = 0;
    for (size_t n = 0; n < EXPORT_PIECE && x->at < x->count; n++)
        if (!add_account_line(x, &x->accounts[x->at++], out))
            return false;
    return x->at < x->count;
}

static void free_export(void *kept)
{
    struct export *x = kept;
    arena_release(&x->mem);
    mem_free(&x);
}

static bool add_header(const struct export *x, struct buf *out)
{
    bool ok = (x->separator == '\t' || buf_add_str(out, STR("\xef\xbb\xbf")) == RC_OK) &&
              add_cell(out, STR("domain"), x->separator, x->separator) &&
              add_cell(out, STR("name"), x->separator, x->separator);
    size_t last = last_variable();
    for (size_t i = 0; i <= last && ok; i++)
        if (strchr(user_options_row(i)->whose, 'U') != NULL)
            ok = add_cell(out, str_from_c(user_options_row(i)->name),
                          i == last ? '\n' : x->separator, x->separator);
    return ok;
}

static bool produce_header(struct http_session *h, struct buf *out, usec_t *out_pause)
{
    *out_pause = 0;
    h->produce = produce;
    return add_header(web_of(h)->kept, out);
}

/* Accounts as a file that import takes; passwords don't come along. */
void api_export(struct web *w)
{
    bool csv = !str_eq(web_query(w, "format"), STR("tsv"));
    struct export *x = mem_new(sizeof(*x));
    x->separator = csv ? ',' : '\t';
    x->domain = arena_str(&x->mem, web_query(w, "domain"));
    users_walk(collect, x);
    w->kept = x;
    w->free_kept = free_export;
    w->h.produce = produce_header;
    w->h.response.status = 200;
    w->h.response.type =
        csv ? "text/csv; charset=utf-8" : "text/tab-separated-values; charset=utf-8";
    http_add_field(&w->h.response, "Content-Disposition",
                   csv ? STR("attachment; filename=\"accounts.csv\"")
                       : STR("attachment; filename=\"accounts.tsv\""));
}

/* api_tables.c - the tables of the MailRoot, by their rows in conf/tables.def. */
#include "conf/tables.h"
#include "users/users.h"
#include "web/tables.h"
#include "web/web_int.h"

#define ROWS_MOST ((uint64_t)1000)
#define VALUES_MOST ((size_t)64)
#define FILES_MOST 10000u

/* Columns that hold secrets: shown as stars, and kept when they come back as such. */
static const char secret_shown[] = "********";

static json_t *row_json(const struct table_row *row)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "path", row->path, "kinds", row->kinds,
                     "least", (json_int_t)row->least, "most", (json_int_t)row->most, "en",
                     row->en, "ja", row->ja);
}

void api_tables(struct web *w)
{
    size_t count = 0;
    const struct table_row *row = tables_rows(&count);
    json_t *list = json_array();
    for (; count > 0; count--, row++)
        (void)json_array_append_new(list, row_json(row));
    web_json(w, 200, list);
}

/* Kind of column i: the last one repeats. */
static char kind_of(const struct table_row *row, size_t i)
{
    size_t n = strlen(row->kinds);
    return row->kinds[MIN(i, n - 1)];
}

static struct str shown(const struct table_row *row, const struct table_line *line, size_t i)
{
    return tables_is_secret(row, i) && line->values[i].n > 0 ? str_from_c(secret_shown)
                                                             : line->values[i];
}

static json_t *line_json(const struct table_row *row, const struct table_text *t,
                         const struct table_line *line)
{
    json_t *values = json_array();
    for (size_t i = 0; i < line->count; i++)
        (void)json_array_append_new(values, web_text(shown(row, line, i), t->charset));
    return json_pack("{s:I, s:o}", "line", (json_int_t)line->number, "values", values);
}

static bool line_matches(const struct table_row *row, const struct table_line *line,
                         struct str search)
{
    for (size_t i = 0; i < line->count; i++)
        if (!tables_is_secret(row, i) && str_ifind_str(line->values[i], search) != SIZE_MAX)
            return true;
    return search.n == 0;
}

/* The table that the path names; NULL: answered. */
static const struct table_row *table_asked(struct web *w)
{
    const struct table_row *row = tables_row(w->params[0]);
    /* Administrators have routes of their own, with rights of their own. */
    if (row == NULL || str_has_control(w->params[0]) ||
        str_find_str(w->params[0], STR("..")) != SIZE_MAX ||
        str_starts(w->params[0], STR("web")))
        row = NULL;
    if (row == NULL)
        web_fail(w, 404, "unknown", "there is no such table");
    return row;
}

void api_table(struct web *w)
{
    struct table_text t;
    struct err e;
    const struct table_row *row = table_asked(w);
    struct str search = web_query(w, "search");
    uint64_t offset = web_query_number(w, "offset", 0, UINT32_MAX);
    uint64_t limit = web_query_number(w, "limit", 100, ROWS_MOST), matches = 0;
    if (row == NULL)
        return;
    if (tabtext_load(arena_c(web_mem(w), w->params[0]), web_mem(w), &t, &e) != RC_OK) {
        web_trouble(w, &e);
        return;
    }
    json_t *rows = json_array(), *problems = json_array();
    for (size_t i = 0; i < t.line_count; i++) {
        const struct table_line *line = &t.lines[i];
        if (line->malformed && json_array_size(problems) < 100)
            (void)json_array_append_new(problems, json_integer((json_int_t)line->number));
        if (line->count == 0 || !line_matches(row, line, search))
            continue;
        if (matches >= offset && matches < offset + limit)
            (void)json_array_append_new(rows, line_json(row, &t, line));
        matches++;
    }
    web_json(w, 200,
             json_pack("{s:s, s:o, s:I, s:o, s:o}", "version", t.version, "table",
                       row_json(row), "total", (json_int_t)matches, "rows", rows, "malformed",
                       problems));
}

/* --- changes ------------------------------------------------------------------------------ */

struct change {
    struct web *w;
    const struct table_row *row;
    struct table_text *t;
};

static bool bad(const struct change *c, const char *code, const char *why)
{
    web_refuse(c->w, code, NULL, "%s", why);
    return false;
}

/* The same text as the page was shown? */
static bool is_shown_as(const struct change *c, const struct table_line *line, size_t i,
                        const json_t *value)
{
    json_t *now = web_text(shown(c->row, line, i), c->t->charset);
    bool same = json_equal(now, value) == 1;
    json_decref(now);
    return same;
}

/* Is the line still what the change was made for? */
static bool is_same_line(const struct change *c, const struct table_line *line,
                         const json_t *old)
{
    if (!json_is_array(old))
        return true;
    if (json_array_size(old) != line->count)
        return false;
    for (size_t i = 0; i < line->count; i++)
        if (!is_shown_as(c, line, i, json_array_get(old, i)))
            return false;
    return true;
}

static bool check_value(const struct change *c, size_t i, struct str text)
{
    const char *why = NULL;
    char kind = kind_of(c->row, i);
    if (text.n == 0 && i >= c->row->least)
        return true;
    if (kind == 'G' || kind == 'U' || tables_value_is_good(kind, text, &why))
        return true;
    const char name[] = { kind, '\0' };
    json_t *values = json_pack("{s:I, s:o, s:s}", "column", (json_int_t)i + 1, "value",
                               web_str(str_head(text, 100)), "kind", name);
    web_refuse(c->w, "bad-column", values, "column %zu: \"%.*s\" is not %s", i + 1,
               STR_ARG(str_head(text, 100)), why);
    return false;
}

/* The values of a change; unchanged ones keep their octets. line NULL: a new one. */
static bool read_values(const struct change *c, const json_t *one,
                        const struct table_line *line, struct str **out, size_t *out_count)
{
    const json_t *values = json_object_get(one, "values");
    size_t n = json_array_size(values);
    if (!json_is_array(values) || n > VALUES_MOST || n < c->row->least ||
        (c->row->most > 0 && n > c->row->most))
        return bad(c, "columns", "the row has too few or too many columns");
    *out = arena_new_array(web_mem(c->w), struct str, n + 1);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(values, i);
        struct str text = str_from(json_string_value(value), json_string_length(value));
        if (text.p == NULL || str_has_control(text))
            return bad(c, "characters", "a value isn't text that a table can hold");
        if (line != NULL && i < line->count && is_shown_as(c, line, i, value)) {
            (*out)[i] = line->values[i];
            continue;
        }
        if (!check_value(c, i, text))
            return false;
        if (!tabtext_encode(c->t, text, &(*out)[i]))
            return bad(c, "charset", "a value can't be written in the table's own characters");
    }
    *out_count = n;
    return true;
}

static bool apply(const struct change *c, const json_t *one)
{
    struct str op = str_from_c(json_string_value(json_object_get(one, "op")));
    json_int_t number = json_integer_value(json_object_get(one, "line"));
    struct table_line *line =
        number > 0 && number <= UINT32_MAX ? tabtext_at(c->t, (unsigned)number) : NULL;
    struct str *values = NULL;
    size_t count = 0;
    if (str_eq(op, STR("add"))) {
        if (!read_values(c, one, NULL, &values, &count))
            return false;
        tabtext_put(c->t, NULL, values, count);
        return true;
    }
    if (line == NULL || !is_same_line(c, line, json_object_get(one, "old"))) {
        web_fail(c->w, 409, "changed", "line %d is not what it was", (int)number);
        return false;
    }
    if (str_eq(op, STR("remove"))) {
        tabtext_remove(c->t, line);
    } else if (str_eq(op, STR("move"))) {
        json_int_t before = json_integer_value(json_object_get(one, "before"));
        tabtext_move(c->t, line, before > 0 && before <= UINT32_MAX ? (unsigned)before : 0);
    } else if (str_eq(op, STR("set"))) {
        if (!read_values(c, one, line, &values, &count))
            return false;
        tabtext_put(c->t, line, values, count);
    } else {
        return bad(c, "invalid", "op is add, set, remove or move");
    }
    return true;
}

/* Tables whose absence means something else than no rows. */
static bool may_vanish(const struct table_row *row)
{
    struct str path = str_from_c(row->path);
    return str_find(path, '*') != SIZE_MAX && !str_ends(path, STR("/user.tab")) &&
           !str_ends(path, STR("/mlusers.tab"));
}

void api_table_set(struct web *w)
{
    struct table_text t;
    struct str version;
    size_t i = 0;
    json_t *one = NULL, *changes = json_object_get(w->body, "changes");
    const struct table_row *row = table_asked(w);
    if (row == NULL || !web_member(w, "version", &version) ||
        !tabtext_open(w, arena_c(web_mem(w), w->params[0]), &t) || !tabtext_try(w, &t))
        return;
    struct change c = { w, row, &t };
    t.may_vanish = may_vanish(row);
    json_array_foreach(changes, i, one)
    {
        if (!apply(&c, one))
            return;
    }
    if (tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

void api_table_delete(struct web *w)
{
    const struct table_row *row = table_asked(w);
    struct control_answer answer;
    if (row == NULL)
        return;
    if (!may_vanish(row)) {
        web_fail(w, 422, "invalid", "this table can't be without a file");
        return;
    }
    if (!file_exists(arena_c(web_mem(w), w->params[0]))) {
        web_fail(w, 404, "unknown", "there is no such file");
        return;
    }
    if (!web_control(w, WEB_WORDS(STR("cfgfileset"), w->params[0]), STR(""), &answer))
        return;
    buf_release(&answer.lines);
    w->h.response.status = 204;
}

/* --- files of one kind -------------------------------------------------------------------- */

static void add_file(void *ctx, const char *path)
{
    json_t *list = ctx;
    if (json_array_size(list) < FILES_MOST)
        (void)json_array_append_new(list, web_str(str_from_c(path)));
}

/* Not those of accounts: their number has no bound. */
void api_table_files(struct web *w)
{
    struct str of = web_query(w, "of");
    size_t count = 0;
    const struct table_row *row = tables_rows(&count);
    for (; count > 0; count--, row++) {
        if (!str_eq(of, str_from_c(row->path)) || str_starts(of, STR("domains/*/*")))
            continue;
        json_t *list = json_array();
        tables_each_file(row, add_file, list);
        web_json(w, 200, list);
        return;
    }
    web_fail(w, 404, "unknown", "there is no such kind of table");
}

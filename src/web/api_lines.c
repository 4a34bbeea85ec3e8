/* api_lines.c - tables of an account's folder that are lists of texts, one a line: senders that
 * it refuses, and what a list puts around posts. */
#include "users/users.h"
#include "web/proclines.h"

#define LINES_MAX ((size_t)10000)

static const struct {
    const char *name, *file;
    bool of_lists; /* of no others; and its lines may be empty */
} tables[] = {
    { "refuse", "refuse.tab", false },
    { "header", "header.tab", true },
    { "footer", "footer.tab", true },
};

/* The table that the path names, opened. False: answered. */
static bool open_lines(struct web *w, struct table_text *t, bool *out_of_lists)
{
    struct account account;
    struct str name = web_path_value(w, STR("table"));
    size_t i = 0;
    while (i < ARRAY_LEN(tables) && !str_eq(name, str_from_c(tables[i].name)))
        i++;
    if (!web_find_account(w, &account))
        return false;
    if (i == ARRAY_LEN(tables) || (tables[i].of_lists && account.type != ACCOUNT_LIST)) {
        web_fail(w, 404, "not-found", "the account has no such table");
        return false;
    }
    *out_of_lists = tables[i].of_lists;
    if (!tabtext_open(w, web_account_file(w, &account, tables[i].file), t))
        return false;
    t->may_vanish = true;
    return true;
}

void api_lines(struct web *w)
{
    struct table_text t;
    bool of_lists = false;
    if (!open_lines(w, &t, &of_lists))
        return;
    json_t *lines = json_array();
    for (size_t i = 0; i < t.line_count; i++)
        if (t.lines[i].count > 0)
            (void)json_array_append_new(lines, web_text(t.lines[i].values[0], t.charset));
    web_json(w, 200, json_pack("{s:s, s:o}", "version", t.version, "lines", lines));
}

static bool read_line(struct web *w, const struct table_text *t, const json_t *line,
                      bool may_be_empty, struct str *out)
{
    struct str text = str_from(json_string_value(line), json_string_length(line));
    bool good = text.p != NULL && !str_has_control(text) && tabtext_encode(t, text, out);
    if (good && (may_be_empty || str_trim(text).n > 0))
        return true;
    web_fail(w, 422, "invalid", "a line isn't text that the table can hold");
    return false;
}

/* These instead of those there; comments and lines that stay the same keep their octets. */
void api_lines_set(struct web *w)
{
    struct table_text t;
    struct table_line *line = NULL;
    struct str text;
    bool of_lists = false;
    size_t i = 0;
    json_t *one = NULL, *lines = json_object_get(w->body, "lines");
    if (!json_is_array(lines) || json_array_size(lines) > LINES_MAX) {
        web_fail(w, 422, "invalid", "lines must be a list of texts");
        return;
    }
    if (!open_lines(w, &t, &of_lists))
        return;
    json_array_foreach(lines, i, one)
    {
        if (!read_line(w, &t, one, of_lists, &text))
            return;
        line = tabtext_nth(&t, i);
        if (line == NULL || !proclines_are_same(line, &text, 1))
            tabtext_put(&t, line, &text, 1);
    }
    while ((line = tabtext_nth(&t, json_array_size(lines))) != NULL)
        tabtext_remove(&t, line);
    if (tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

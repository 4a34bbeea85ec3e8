/* api_mailproc.c - what becomes of an account's mail: mailproc.tab, its lines as they are, and
 * forwarding as a form that understands them. */
#include "users/users.h"
#include "web/proclines.h"

#define WORDS_MAX 32u

static bool open_mailproc(struct web *w, struct table_text *t)
{
    struct account account;
    if (!web_find_account(w, &account) ||
        !tabtext_open(w, web_account_file(w, &account, "mailproc.tab"), t))
        return false;
    t->may_vanish = true; /* then mail comes into the mailbox */
    return true;
}

/* --- lines -------------------------------------------------------------------------------- */

void api_mailproc(struct web *w)
{
    struct table_text t;
    if (open_mailproc(w, &t))
        web_json(w, 200, tabtext_json(&t));
}

static bool read_line(struct web *w, struct table_text *t, const json_t *row,
                      struct str values[WORDS_MAX], size_t *out_count)
{
    size_t n = json_array_size(row);
    bool good = json_is_array(row) && n > 0 && n <= WORDS_MAX;
    for (size_t i = 0; good && i < n; i++) {
        const json_t *value = json_array_get(row, i);
        struct str text = str_from(json_string_value(value), json_string_length(value));
        good = text.p != NULL && !str_has_control(text) && tabtext_encode(t, text, &values[i]);
    }
    *out_count = n;
    if (!good)
        web_fail(w, 422, "invalid", "a line isn't a list of words that a table can hold");
    return good;
}

/* These lines instead of those there; comments and lines that stay the same keep their octets.
 */
void api_mailproc_set(struct web *w)
{
    struct table_text t;
    size_t i = 0, count = 0;
    json_t *row = NULL, *lines = json_object_get(w->body, "lines");
    struct str values[WORDS_MAX];
    struct table_line *line = NULL;
    if (!json_is_array(lines)) {
        web_fail(w, 422, "invalid", "lines must be a list");
        return;
    }
    if (!open_mailproc(w, &t))
        return;
    json_array_foreach(lines, i, row)
    {
        if (!read_line(w, &t, row, values, &count))
            return;
        line = tabtext_nth(&t, i);
        if (line == NULL || !proclines_are_same(line, values, count))
            tabtext_put(&t, line, values, count);
    }
    while ((line = tabtext_nth(&t, json_array_size(lines))) != NULL)
        tabtext_remove(&t, line);
    if (tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

/* --- forwarding --------------------------------------------------------------------------- */

static const char *const redirects[] = { "redirect", "lredirect", NULL };

/* What the lines mean: {"keep", "addresses", "as_account", "others"}. */
void api_forwarding(struct web *w)
{
    struct table_text t;
    bool keep = false, as_account = false;
    if (!open_mailproc(w, &t))
        return;
    json_t *others = json_array();
    for (size_t i = 0; i < t.line_count; i++) {
        const struct table_line *line = &t.lines[i];
        keep = keep || proclines_is(line, mailbox_command);
        as_account = as_account || proclines_is(line, redirects + 1);
        if (!proclines_decides(line) || proclines_is(line, redirects) ||
            proclines_is(line, mailbox_command))
            continue;
        json_t *values = json_array();
        for (size_t k = 0; k < line->count; k++)
            if (k == 0 || w->who.delegate == NULL) /* the server's programs are its own */
                (void)json_array_append_new(values, web_text(line->values[k], t.charset));
        (void)json_array_append_new(others, values);
    }
    web_json(w, 200,
             json_pack("{s:s, s:b, s:o, s:b, s:o}", "version", t.version, "keep",
                       (int)(keep || !proclines_decide(&t)), "addresses",
                       proclines_words(&t, redirects), "as_account", (int)as_account, "others",
                       others));
}

void api_forwarding_set(struct web *w)
{
    struct table_text t;
    struct str values[PROCLINES_WORDS_MAX];
    size_t count = 0;
    const json_t *keep = json_object_get(w->body, "keep");
    bool as_account = json_is_true(json_object_get(w->body, "as_account"));
    if (!json_is_boolean(keep)) {
        web_fail(w, 422, "invalid", "keep must be true or false");
        return;
    }
    if (!open_mailproc(w, &t) ||
        !proclines_read(w, &t, "addresses", redirects[as_account], values, &count))
        return;
    proclines_put(&t, redirects, values, count);
    proclines_keep(&t, json_is_true(keep));
    if (!proclines_decide(&t) && !json_is_true(keep)) {
        web_refuse(w, "no-way", NULL, "mail must be kept or sent on");
        return;
    }
    if (tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

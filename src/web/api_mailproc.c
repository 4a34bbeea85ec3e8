/* api_mailproc.c - what becomes of an account's mail: mailproc.tab, its lines as they are, and
 * forwarding as a form that understands them. */
#include "conf/tab.h"
#include "mail/address.h"
#include "users/users.h"
#include "web/tables.h"

#define FORWARDS_MAX 60u
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

static bool is_same(const struct table_line *line, const struct str *values, size_t count)
{
    for (size_t i = 0; i < count && line->count == count; i++)
        if (!str_eq(line->values[i], values[i]))
            return false;
    return line->count == count;
}

/* The n-th line that has values. */
static struct table_line *nth(struct table_text *t, size_t n)
{
    for (size_t i = 0; i < t->line_count; i++)
        if (t->lines[i].count > 0 && n-- == 0)
            return &t->lines[i];
    return NULL;
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
        line = nth(&t, i);
        if (line == NULL || !is_same(line, values, count))
            tabtext_put(&t, line, values, count);
    }
    while ((line = nth(&t, json_array_size(lines))) != NULL)
        tabtext_remove(&t, line);
    if (tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

/* --- forwarding --------------------------------------------------------------------------- */

static bool is_command(const struct table_line *line, const char *name)
{
    return line->count > 0 && str_ieq(line->values[0], str_from_c(name));
}

static bool is_redirect(const struct table_line *line)
{
    return is_command(line, "redirect") || is_command(line, "lredirect");
}

/* What the lines mean: {"keep", "addresses", "as_account", "others"}. */
void api_forwarding(struct web *w)
{
    struct table_text t;
    bool keep = false, any = false, as_account = false;
    if (!open_mailproc(w, &t))
        return;
    json_t *addresses = json_array(), *others = json_array();
    for (size_t i = 0; i < t.line_count; i++) {
        const struct table_line *line = &t.lines[i];
        json_t *values = json_array();
        for (size_t k = 0; k < line->count; k++)
            (void)json_array_append_new(values, web_text(line->values[k], t.charset));
        any = any || line->count > 0;
        keep = keep || is_command(line, "mailbox");
        as_account = as_account || is_command(line, "lredirect");
        if (is_redirect(line)) {
            (void)json_array_remove(values, 0);
            (void)json_array_extend(addresses, values);
        } else if (line->count > 0 && !is_command(line, "mailbox")) {
            /* Programs and their arguments are the server's. */
            while (w->who.delegate != NULL && json_array_size(values) > 1)
                (void)json_array_remove(values, 1);
            (void)json_array_append(others, values);
        }
        json_decref(values);
    }
    web_json(w, 200,
             json_pack("{s:s, s:b, s:o, s:b, s:o}", "version", t.version, "keep",
                       (int)(keep || !any), "addresses", addresses, "as_account",
                       (int)as_account, "others", others));
}

static bool is_target(struct str text, struct arena *a)
{
    struct address address;
    struct str key;
    return str_find(text, '@') != SIZE_MAX
               ? address_parse(text, ADDRESS_LOOSE_DOTS | ADDRESS_UTF8, a, &address, NULL) ==
                     RC_OK
               : domain_parse(text, true, a, &key, NULL) == RC_OK;
}

/* The line of the form's addresses: values[0] is the command. */
static bool read_targets(struct web *w, struct table_text *t, struct str *values,
                         size_t *out_count)
{
    const json_t *addresses = json_object_get(w->body, "addresses");
    size_t i = 0, n = 1;
    json_t *one = NULL;
    values[0] = json_is_true(json_object_get(w->body, "as_account")) ? STR("lredirect")
                                                                     : STR("redirect");
    if (!json_is_array(addresses) || json_array_size(addresses) > FORWARDS_MAX) {
        web_fail(w, 422, "invalid", "addresses must be a list of at most %u", FORWARDS_MAX);
        return false;
    }
    json_array_foreach(addresses, i, one)
    {
        struct str text = str_from(json_string_value(one), json_string_length(one));
        if (text.p == NULL || !is_target(text, web_mem(w)) ||
            !tabtext_encode(t, text, &values[n++])) {
            web_refuse(w, "bad-line", json_pack("{s:I}", "n", (json_int_t)i + 1),
                       "address %zu isn't one", i + 1);
            return false;
        }
    }
    *out_count = n;
    return true;
}

/* The first redirect gets the line, others go; unchanged ones keep their octets. */
static void put_targets(struct table_text *t, const struct str *values, size_t count)
{
    bool placed = count == 1;
    for (size_t i = 0; i < t->line_count; i++) {
        struct table_line *line = &t->lines[i];
        if (!is_redirect(line))
            continue;
        if (placed) {
            tabtext_remove(t, line);
            i--;
        } else if (!is_same(line, values, count)) {
            tabtext_put(t, line, values, count);
        }
        placed = true;
    }
    if (!placed)
        tabtext_put(t, NULL, values, count);
}

/* A "mailbox" line at the end, or none. */
static void put_mailbox(struct table_text *t, bool keep)
{
    const struct str mailbox = STR("mailbox");
    size_t lines = 0;
    bool there = false;
    for (size_t i = 0; i < t->line_count; i++) {
        if (is_command(&t->lines[i], "mailbox") && !keep) {
            tabtext_remove(t, &t->lines[i--]);
            continue;
        }
        there = there || is_command(&t->lines[i], "mailbox");
        lines += t->lines[i].count > 0 ? 1 : 0;
    }
    if (keep && !there && lines > 0)
        tabtext_put(t, NULL, &mailbox, 1);
}

/* Nothing but the mailbox, and no comment: the file isn't needed. */
static bool is_needless(const struct table_text *t)
{
    for (size_t i = 0; i < t->line_count; i++)
        if (!is_command(&t->lines[i], "mailbox"))
            return false;
    return true;
}

void api_forwarding_set(struct web *w)
{
    struct table_text t;
    struct str values[FORWARDS_MAX + 1];
    size_t count = 0;
    const json_t *keep = json_object_get(w->body, "keep");
    if (!json_is_boolean(keep)) {
        web_fail(w, 422, "invalid", "keep must be true or false");
        return;
    }
    if (!open_mailproc(w, &t) || !read_targets(w, &t, values, &count))
        return;
    put_targets(&t, values, count);
    put_mailbox(&t, json_is_true(keep));
    if (nth(&t, 0) == NULL && !json_is_true(keep)) {
        web_refuse(w, "no-way", NULL, "mail must be kept or sent on");
        return;
    }
    if (is_needless(&t))
        t.line_count = 0;
    if (tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

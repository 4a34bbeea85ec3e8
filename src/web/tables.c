/* tables.c - see tables.h. */
#include "web/tables.h"
#include "conf/tab.h"
#include "mail/charset.h"
#include <openssl/evp.h>

#define TRIAL_MOST_S 86400
#define TABLE_TEXT_MAX ((size_t)64 << 20)

static void version_of(struct str text, char out[TABLE_VERSION_BYTES])
{
    uint8_t sum[32] = { 0 };
    unsigned n = 0;
    (void)EVP_Digest(text.p, text.n, sum, &n, EVP_sha256(), NULL);
    for (size_t i = 0; i < sizeof(sum); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

static struct table_line *add_line(struct table_text *t)
{
    if (t->line_count == t->line_room) {
        size_t room = t->line_room == 0 ? 64 : t->line_room * 2;
        struct table_line *lines = arena_new_array(t->mem, struct table_line, room);
        if (t->line_count > 0)
            memcpy(lines, t->lines, t->line_count * sizeof(*lines));
        t->lines = lines;
        t->line_room = room;
    }
    return &t->lines[t->line_count++];
}

static void take_line(struct table_text *t, struct str raw, unsigned number)
{
    struct table_line *line = add_line(t);
    struct str values[TAB_VALUES_MAX], text = raw;
    while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    *line = (struct table_line){ .raw = raw, .number = number };
    if (tab_parse_line(text, t->mem, values, TAB_VALUES_MAX, &line->count, NULL) != RC_OK) {
        line->malformed = true;
        line->count = 0;
    }
    line->values = arena_new_array(t->mem, struct str, line->count + 1);
    memcpy(line->values, values, line->count * sizeof(values[0]));
}

enum rc tabtext_load(const char *path, struct arena *a, struct table_text *out, struct err *e)
{
    struct str text = STR("");
    struct err why = { .sys = 0 };
    *out = (struct table_text){ .path = path, .mem = a, .eol = "\n" };
    enum rc rc = file_read(path, TABLE_TEXT_MAX, a, &text, NULL, &why);
    if (rc != RC_OK && why.sys != ENOENT) {
        *e = why;
        return rc;
    }
    if (rc == RC_OK)
        version_of(text, out->version);
    else
        (void)snprintf(out->version, sizeof(out->version), "none");
    out->charset = web_charset(text);
    size_t lf = str_find(text, '\n');
    if (lf != SIZE_MAX && lf > 0 && text.p[lf - 1] == '\r')
        out->eol = "\r\n";
    for (unsigned number = 1; text.n > 0; number++) {
        size_t end = str_find(text, '\n');
        size_t n = end == SIZE_MAX ? text.n : end + 1;
        take_line(out, str_head(text, n), number);
        text = str_skip(text, n);
    }
    return RC_OK;
}

struct table_line *tabtext_find(const struct table_text *t, struct str name)
{
    for (size_t i = 0; i < t->line_count; i++)
        if (t->lines[i].count > 0 && str_ieq(t->lines[i].values[0], name))
            return &t->lines[i];
    return NULL;
}

struct table_line *tabtext_at(const struct table_text *t, unsigned number)
{
    for (size_t i = 0; i < t->line_count; i++)
        if (t->lines[i].number == number && number > 0)
            return &t->lines[i];
    return NULL;
}

struct table_line *tabtext_nth(const struct table_text *t, size_t n)
{
    for (size_t i = 0; i < t->line_count; i++)
        if (t->lines[i].count > 0 && n-- == 0)
            return &t->lines[i];
    return NULL;
}

bool tabtext_encode(const struct table_text *t, struct str text, struct str *out)
{
    if (str_is_ascii(text) || strcmp(t->charset, "UTF-8") == 0) {
        *out = text;
        return true;
    }
    return charset_convert(CHARSET_UTF8, t->charset, text, t->mem, out);
}

json_t *tabtext_json(const struct table_text *t)
{
    json_t *lines = json_array();
    for (size_t i = 0; i < t->line_count; i++) {
        const struct table_line *line = &t->lines[i];
        json_t *values = json_array();
        for (size_t k = 0; k < line->count; k++)
            (void)json_array_append_new(values, web_text(line->values[k], t->charset));
        if (line->count > 0)
            (void)json_array_append(lines, values);
        json_decref(values);
    }
    return json_pack("{s:s, s:o}", "version", t->version, "lines", lines);
}

bool tabtext_open(struct web *w, const char *path, struct table_text *out)
{
    struct str version;
    struct err e;
    if (!web_member_or_empty(w, "version", &version))
        return false;
    if (tabtext_load(path, web_mem(w), out, &e) != RC_OK) {
        web_trouble(w, &e);
        return false;
    }
    if (version.n > 0 && !str_eq(version, str_from_c(out->version))) {
        web_fail(w, 412, "changed", "%s was changed meanwhile", path);
        return false;
    }
    return true;
}

void tabtext_put(struct table_text *t, struct table_line *line, const struct str *values,
                 size_t count)
{
    struct buf b AUTO_RELEASE_BUF;
    struct err e;
    buf_init(&b, TAB_LINE_MAX);
    if (line == NULL) {
        line = add_line(t);
        *line = (struct table_line){ .number = 0 };
    }
    line->values = arena_new_array(t->mem, struct str, count + 1);
    memcpy(line->values, values, count * sizeof(values[0]));
    line->count = count;
    line->changed = true;
    line->malformed = tab_print_row(&b, values, count, t->eol, &e) != RC_OK;
    line->raw = arena_str(t->mem, buf_str(&b));
}

void tabtext_remove(struct table_text *t, struct table_line *line)
{
    if (line == NULL)
        return;
    size_t i = (size_t)(line - t->lines);
    memmove(line, line + 1, (t->line_count - i - 1) * sizeof(*line));
    t->line_count--;
}

void tabtext_move(struct table_text *t, struct table_line *line, unsigned before)
{
    struct table_line moved = *line;
    tabtext_remove(t, line);
    struct table_line *target = before == 0 ? NULL : tabtext_at(t, before);
    (void)add_line(t);
    size_t at = target == NULL ? t->line_count - 1 : (size_t)(tabtext_at(t, before) - t->lines);
    memmove(&t->lines[at + 1], &t->lines[at], (t->line_count - 1 - at) * sizeof(moved));
    t->lines[at] = moved;
}

bool tabtext_print(const struct table_text *t, struct buf *out)
{
    for (size_t i = 0; i < t->line_count; i++) {
        const struct table_line *line = &t->lines[i];
        bool open = line->raw.n > 0 && line->raw.p[line->raw.n - 1] != '\n';
        if ((line->changed && line->malformed) || buf_add_str(out, line->raw) != RC_OK ||
            (open && buf_add_str(out, str_from_c(t->eol)) != RC_OK))
            return false;
    }
    /* An empty upload removes the file. */
    return out->n > 0 || t->may_vanish || buf_add_str(out, STR("\n")) == RC_OK;
}

bool tabtext_try(struct web *w, struct table_text *t)
{
    const json_t *member = json_object_get(w->body, "confirm_within");
    json_int_t n = json_integer_value(member);
    if (member == NULL || json_is_null(member))
        return true;
    if (!json_is_integer(member) || n < 0 || n > TRIAL_MOST_S) {
        web_fail(w, 422, "invalid", "confirm_within: a number of seconds, at most a day");
        return false;
    }
    t->trial_s = n == 0 ? STR("") : arena_printf(t->mem, "%" JSON_INTEGER_FORMAT, n);
    return true;
}

bool tabtext_store(struct web *w, struct table_text *t)
{
    struct buf b AUTO_RELEASE_BUF;
    struct control_answer answer;
    buf_init(&b, TABLE_TEXT_MAX);
    if (!tabtext_print(t, &b)) {
        web_refuse(w, "characters", NULL, "a value can't be stored in a table");
        return false;
    }
    const struct str words[] = { STR("cfgfileset"), str_from_c(t->path), str_from_c(t->version),
                                 t->trial_s };
    if (!web_control(w, words, t->trial_s.n > 0 ? 4 : 3, buf_str(&b), &answer))
        return false;
    buf_release(&answer.lines);
    if (b.n == 0)
        (void)snprintf(t->version, sizeof(t->version), "none");
    else
        version_of(buf_str(&b), t->version);
    return true;
}

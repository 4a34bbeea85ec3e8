/* proclines.c - see proclines.h. */
#include "web/proclines.h"
#include "mail/address.h"

const char *const mailbox_command[] = { "mailbox", NULL };

bool proclines_is(const struct table_line *line, const char *const *names)
{
    for (size_t i = 0; line->count > 0 && names[i] != NULL; i++)
        if (str_ieq(line->values[0], str_from_c(names[i])))
            return true;
    return false;
}

bool proclines_decides(const struct table_line *line)
{
    const struct tab_row row = { .count = line->count, .values = line->values };
    struct proc_command command;
    return line->count > 0 && (proc_command_parse(&row, &command) != NULL ||
                               !proc_command_goes_along(command.kind));
}

bool proclines_decide(const struct table_text *t)
{
    for (size_t i = 0; i < t->line_count; i++)
        if (proclines_decides(&t->lines[i]))
            return true;
    return false;
}

bool proclines_are_same(const struct table_line *line, const struct str *values, size_t count)
{
    for (size_t i = 0; i < count && line->count == count; i++)
        if (!str_eq(line->values[i], values[i]))
            return false;
    return line->count == count;
}

json_t *proclines_words(const struct table_text *t, const char *const *names)
{
    json_t *words = json_array();
    for (size_t i = 0; i < t->line_count; i++)
        for (size_t k = 1; k < t->lines[i].count && proclines_is(&t->lines[i], names); k++)
            (void)json_array_append_new(words, web_text(t->lines[i].values[k], t->charset));
    return words;
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

bool proclines_read(struct web *w, const struct table_text *t, const char *member,
                    const char *command, struct str values[PROCLINES_WORDS_MAX],
                    size_t *out_count)
{
    const json_t *addresses = json_object_get(w->body, member);
    size_t i = 0, n = 1;
    json_t *one = NULL;
    values[0] = str_from_c(command);
    if (!json_is_array(addresses) || json_array_size(addresses) > PROCLINES_ADDRESSES_MAX) {
        web_fail(w, 422, "invalid", "%s must be a list of at most %u", member,
                 PROCLINES_ADDRESSES_MAX);
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
    *out_count = n == 1 ? 0 : n;
    return true;
}

void proclines_put(struct table_text *t, const char *const *names, const struct str *values,
                   size_t count)
{
    bool placed = count == 0;
    for (size_t i = 0; i < t->line_count; i++) {
        struct table_line *line = &t->lines[i];
        if (!proclines_is(line, names))
            continue;
        if (placed) {
            tabtext_remove(t, line);
            i--;
        } else if (!proclines_are_same(line, values, count)) {
            tabtext_put(t, line, values, count);
        }
        placed = true;
    }
    if (!placed)
        tabtext_put(t, NULL, values, count);
}

/* Nothing but the mailbox, and no comment. */
static bool is_needless(const struct table_text *t)
{
    for (size_t i = 0; i < t->line_count; i++)
        if (!proclines_is(&t->lines[i], mailbox_command))
            return false;
    return true;
}

void proclines_keep(struct table_text *t, bool keep)
{
    const struct str mailbox = STR("mailbox");
    size_t lines = 0;
    for (size_t i = 0; i < t->line_count; i++)
        lines += t->lines[i].count > 0 && !proclines_is(&t->lines[i], mailbox_command);
    proclines_put(t, mailbox_command, &mailbox, keep && lines > 0 ? 1 : 0);
    if (keep && is_needless(t))
        t->line_count = 0;
}

/* macros.c - values in the place of names, each within its own argument: nothing here is ever
 * read by a shell. */
#include "process/process.h"

static struct str value_of(struct str name, const struct macro *macros, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_ieq(name, str_from_c(macros[i].name)))
            return macros[i].value;
    return STR("");
}

struct str macros_fill(struct str word, const struct macro *macros, size_t count,
                       struct arena *a)
{
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, MACROS_MAX * 4);
    if (str_starts(word, STR("@@")))
        return arena_str(a, value_of(str_skip(word, 2), macros, count));
    while (word.n > 0) {
        size_t open = str_find_str(word, STR("$("));
        size_t close = open == SIZE_MAX ? SIZE_MAX : str_find(str_skip(word, open), ')');
        if (close == SIZE_MAX)
            open = word.n;
        if (buf_add_str(&out, str_head(word, open)) != RC_OK)
            break;
        if (close != SIZE_MAX) {
            struct str name = str_head(str_skip(word, open + 2), close - 2);
            if (buf_add_str(&out, value_of(name, macros, count)) != RC_OK)
                break;
            open += close + 1;
        }
        word = str_skip(word, open);
    }
    return arena_str(a, buf_str(&out));
}

bool macros_are_used(const struct program_line *line, struct str name)
{
    for (size_t i = 1; i < line->count; i++) {
        struct str word = line->words[i];
        if (str_starts(word, STR("@@")) && str_ieq(str_skip(word, 2), name))
            return true;
        for (size_t at = 0; (at = str_find_str(word, STR("$("))) != SIZE_MAX;) {
            word = str_skip(word, at + 2);
            size_t close = str_find(word, ')');
            if (close != SIZE_MAX && str_ieq(str_head(word, close), name))
                return true;
        }
    }
    return false;
}

enum rc macros_print(const struct macro *macros, size_t count, struct buf *out)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        if (memchr(macros[i].value.p == NULL ? "" : macros[i].value.p, '\0',
                   macros[i].value.n) != NULL)
            return RC_PERM;
        rc = buf_printf(out, "%s=%.*s", macros[i].name, STR_ARG(macros[i].value));
        if (rc == RC_OK)
            rc = buf_add_char(out, '\0');
    }
    return rc;
}

enum rc macros_parse(struct str text, struct arena *a, struct macro **out, size_t *out_count,
                     struct err *e)
{
    size_t most = 0, n = 0;
    struct str word, name;
    for (size_t i = 0; i < text.n; i++)
        most += text.p[i] == '\0';
    struct macro *list = arena_new_array(a, struct macro, most + 1);
    if (text.n > 0 && text.p[text.n - 1] != '\0')
        return err_perm(e, "5.5.0", "macros are cut short");
    while (text.n > 0 && str_cut(&text, '\0', &word)) {
        struct str value = word;
        if (!str_cut(&value, '=', &name) || value.p == NULL || name.n == 0)
            return err_perm(e, "5.5.0", "a macro without a value");
        list[n++] = (struct macro){ arena_c(a, name), arena_str(a, value) };
    }
    *out = list;
    *out_count = n;
    return RC_OK;
}

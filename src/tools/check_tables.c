/* check_tables.c - each table by its row of tables.def: syntax, columns, values, encoding, and
 * whether this version obeys it. */
#include "conf/tab.h"
#include "tools/check_int.h"

struct table_check {
    struct check *c;
    const struct table_row *row;
    const char *path;
    const char *kinds; /* of the line at hand */
    bool foreign;      /* a line isn't UTF-8 */
};

static char kind_at(const char *kinds, size_t i)
{
    size_t n = strlen(kinds);
    return kinds[MIN(i, n - 1)];
}

/* An ipmap line may leave its netmask out. */
static const char *kinds_of(const struct table_row *row, const struct tab_row *line)
{
    struct str second = tab_value(line, 1);
    bool verdict = str_ieq(second, STR("ALLOW")) || str_ieq(second, STR("DENY"));
    return verdict && strncmp(row->kinds, "IMV", 3) == 0 ? "IV#" : row->kinds;
}

static void check_variable(const struct table_check *t, const struct tab_row *line)
{
    struct err e;
    struct str name = tab_value(line, 0), value = tab_value(line, 1);
    if (line->count == 2 && user_options_check(name, value, &e) != RC_OK)
        check_say(t->c, CHECK_WARNING, t->path, line->line,
                  "the variables of user.tab are in docs/tables.md", "%s", e.text);
}

static void check_line(struct table_check *t, const struct tab_row *line)
{
    const struct table_row *row = t->row;
    if (line->count < row->least) {
        check_say(t->c, CHECK_ERROR, t->path, line->line,
                  "the server skips this line: complete or remove it",
                  "%zu values where %zu are needed", line->count, row->least);
        return;
    }
    if (row->most > 0 && line->count > row->most)
        check_say(t->c, CHECK_WARNING, t->path, line->line, "values that are too many are kept",
                  "%zu values where at most %zu are known", line->count, row->most);
    if (kind_at(row->kinds, 0) == 'U')
        check_variable(t, line);
    t->kinds = kinds_of(row, line);
    for (size_t i = 0; i < line->count && (row->most == 0 || i < row->most); i++) {
        const char *why = "";
        struct str value = tab_value(line, i);
        t->foreign = t->foreign || !str_is_utf8(value);
        if (!tables_value_is_good(kind_at(t->kinds, i), value, &why))
            check_say(t->c, CHECK_ERROR, t->path, line->line,
                      "the server skips this line or takes the value as missing",
                      "column %zu, \"%.*s\", should be %s", i + 1, (int)MIN(value.n, 200u),
                      value.p, why);
    }
}

static void check_table(void *ctx, const char *path)
{
    struct table_check *t = ctx;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab tab;
    struct err e;
    t->path = path;
    t->foreign = false;
    if (tab_read(path, &a, &tab, &e) != RC_OK) {
        check_say(t->c, CHECK_ERROR, path, 0, "the server must be able to read it", "%s",
                  e.text);
        return;
    }
    for (size_t i = 0; i < tab.problem_count; i++)
        check_say(t->c, CHECK_ERROR, path, tab.problems[i].line,
                  "the server skips this line: correct it", "%.*s",
                  STR_ARG(tab.problems[i].text));
    for (size_t i = 0; i < tab.row_count; i++)
        check_line(t, &tab.rows[i]);
    if (tab.ends_open)
        check_say(t->c, CHECK_WARNING, path, 0,
                  "end the last line with a line end, or changes wait for one",
                  "the last line has no end");
    if (t->foreign)
        check_say(t->c, CHECK_NOTE, path, 0, "it is used and kept as it is",
                  "some text is not UTF-8");
}

void check_tables(struct check *c)
{
    size_t count = 0;
    const struct table_row *rows = tables_rows(&count);
    for (size_t i = 0; i < count; i++) {
        struct table_check t = { .c = c, .row = &rows[i] };
        tables_each_file(&rows[i], check_table, &t);
    }
}

/*
 * command.c - routes that are one command of the control protocol: the route's row says how its
 * parameters and the body become the command's, and what its answer's lines are called.
 *
 *   words    "useradd .domain .name .password U": {x} a parameter of the path, .x a member of
 * the body, ?x one that may be missing, anything else itself columns  of a list's lines: an
 * array of objects; "=": names and values, one object; NULL: no list
 */
#include "conf/tab.h"
#include "web/web_int.h"

#define WORDS_MAX 12
#define COLUMNS_MAX 16

struct str web_path_value(const struct web *w, struct str name)
{
    struct str rest = str_from_c(w->route->pattern), part;
    size_t n = 0;
    while (str_cut(&rest, '/', &part)) {
        if (!str_starts(part, STR("{")))
            continue;
        if (str_eq(str_head(str_skip(part, 1), part.n - 2), name))
            return w->params[n];
        n++;
    }
    BUG("a route's command names no parameter of its path");
}

/* The words of the command; false: answered. */
static bool make_words(struct web *w, struct str *words, size_t *out_count)
{
    struct str rest = str_from_c(w->route->words), word;
    size_t n = 0;
    while (str_cut(&rest, ' ', &word)) {
        struct str name = str_skip(word, 1);
        const char *member = arena_c(web_mem(w), name);
        if (n == WORDS_MAX)
            BUG("too many words in a route");
        if (word.p[0] == '{')
            words[n] = web_path_value(w, str_head(name, name.n - 1));
        else if (word.p[0] != '.' && word.p[0] != '?')
            words[n] = word;
        else if (!(word.p[0] == '.' ? web_member : web_member_or_empty)(w, member, &words[n]))
            return false;
        n++;
    }
    while (n > 1 && words[n - 1].n == 0) /* optional ones are the last */
        n--;
    *out_count = n;
    return true;
}

bool web_next_row(struct str *rest, struct arena *a, struct str *values, size_t most,
                  size_t *out_count)
{
    struct str line;
    while (rest->n > 0 && str_cut(rest, '\n', &line))
        if (tab_parse_line(line, a, values, most, out_count, NULL) == RC_OK && *out_count > 0)
            return true;
    return false;
}

static json_t *row_json(struct str columns, const struct str *values, size_t count)
{
    json_t *row = json_object();
    struct str column;
    for (size_t i = 0; i < count && columns.n > 0; i++) {
        if (!str_cut(&columns, ' ', &column) || str_eq(column, STR("-")))
            continue;
        (void)json_object_setn_new(row, column.p, column.n, web_str(values[i]));
    }
    return row;
}

static bool holds(const struct str *values, size_t count, struct str search)
{
    for (size_t i = 0; i < count; i++)
        if (str_ifind_str(values[i], search) != SIZE_MAX)
            return true;
    return search.n == 0;
}

json_t *web_rows(struct str lines, const char *columns)
{
    struct str values[COLUMNS_MAX];
    size_t count = 0;
    json_t *list = json_array();
    for (;;) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (!web_next_row(&lines, &a, values, COLUMNS_MAX, &count))
            return list;
        (void)json_array_append_new(list, row_json(str_from_c(columns), values, count));
    }
}

json_t *web_pairs(struct str lines)
{
    struct str values[COLUMNS_MAX];
    size_t count = 0;
    json_t *object = json_object();
    for (;;) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (!web_next_row(&lines, &a, values, COLUMNS_MAX, &count))
            return object;
        if (count >= 2)
            (void)json_object_setn_new(object, values[0].p, values[0].n, web_str(values[1]));
    }
}

/* Long lists in pieces: {"total", "rows"}, with search, offset and limit of the query. */
static void answer_piece(struct web *w, struct str lines)
{
    struct str search = web_query(w, "search"), values[COLUMNS_MAX];
    uint64_t offset = web_query_number(w, "offset", 0, UINT32_MAX);
    uint64_t limit = web_query_number(w, "limit", 100, 1000), total = 0;
    size_t count = 0;
    json_t *rows = json_array();
    for (;;) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (!web_next_row(&lines, &a, values, COLUMNS_MAX, &count))
            break;
        if (!holds(values, count, search))
            continue;
        if (total >= offset && total < offset + limit)
            (void)json_array_append_new(rows,
                                        row_json(str_from_c(w->route->columns), values, count));
        total++;
    }
    web_json(w, 200, json_pack("{s:I, s:o}", "total", (json_int_t)total, "rows", rows));
}

void api_command(struct web *w)
{
    struct str words[WORDS_MAX];
    struct control_answer answer;
    size_t count = 0;
    const char *columns = w->route->columns;
    if (!make_words(w, words, &count) || !web_control(w, words, count, STR(""), &answer))
        return;
    struct str lines = buf_str(&answer.lines);
    if (columns == NULL)
        w->h.response.status = 204;
    else if (strcmp(columns, "=") == 0)
        web_json(w, 200, web_pairs(lines));
    else if ((w->route->flags & ROUTE_PIECES) != 0)
        answer_piece(w, lines);
    else
        web_json(w, 200, web_rows(lines, columns));
    buf_release(&answer.lines);
}

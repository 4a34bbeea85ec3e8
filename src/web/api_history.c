/* api_history.c - who changed which table, how; taking it back, and confirming. */
#include "web/web_int.h"

#define VALUES_MAX (TAB_VALUES_MAX + 8) /* of a table's line, and what is before them */
#define FIRST_FILE 11u

/* --- the list ----------------------------------------------------------------------------- */

static json_int_t number(struct str s)
{
    int64_t n = 0;
    return str_to_i64(s, &n) ? (json_int_t)n : 0;
}

static json_t *change_json(const struct str *v, size_t count)
{
    json_t *files = json_array();
    for (size_t i = FIRST_FILE; i < count; i++)
        (void)json_array_append_new(files, web_str(v[i]));
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "id",
                     number(v[0]), "time", number(v[1]), "by", web_str(v[2]), "from",
                     web_str(v[3]), "via", web_str(v[4]), "act", web_str(v[5]), "what",
                     web_str(v[6]), "undoes", number(v[7]), "undone", number(v[8]), "until",
                     number(v[9]), "file_count", number(v[10]), "files", files);
}

/* The changes of a control answer. */
static json_t *changes_json(struct str lines)
{
    struct str values[VALUES_MAX];
    size_t count = 0;
    json_t *list = json_array();
    for (;;) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (!web_next_row(&lines, &a, values, VALUES_MAX, &count))
            return list;
        if (count >= FIRST_FILE)
            (void)json_array_append_new(list, change_json(values, count));
    }
}

void api_history(struct web *w)
{
    struct control_answer answer;
    struct arena *a = web_mem(w);
    uint64_t limit = web_query_number(w, "limit", 100, 1000);
    const struct str words[] = {
        STR("historylist"),      arena_printf(a, "%" PRIu64, limit),
        web_query(w, "before"),  web_query(w, "file"),
        web_query(w, "by"),      web_query(w, "since"),
        web_query(w, "until"),   STR(""),
        web_query(w, "waiting"),
    };
    if (!web_control(w, words, ARRAY_LEN(words), STR(""), &answer))
        return;
    json_t *rows = changes_json(buf_str(&answer.lines));
    size_t count = json_array_size(rows);
    web_json(w, 200, json_pack("{s:o, s:b}", "rows", rows, "more", (int)(count == limit)));
    buf_release(&answer.lines);
}

/* --- one change --------------------------------------------------------------------------- */

struct details {
    json_t *files, *hunks, *lines; /* the last two are borrowed */
    json_int_t more;
};

/* A line's values; of one that isn't a row, its text. */
static void take_line(struct details *d, const struct str *v, size_t count)
{
    json_t *values = json_array();
    for (size_t i = 1; i < count; i++)
        (void)json_array_append_new(values, web_text(v[i], web_charset(v[i])));
    char sign[2] = { v[0].p[0], '\0' };
    (void)json_array_append_new(d->lines, json_pack("{s:s, s:b, s:o}", "sign", sign, "row",
                                                    (int)(v[0].n == 1), "values", values));
}

static void take_row(struct details *d, const struct str *v, size_t count)
{
    if (str_eq(v[0], STR("file")) && count == 3) {
        d->hunks = json_array();
        d->lines = NULL;
        (void)json_array_append_new(
            d->files, json_pack("{s:o, s:b, s:o}", "file", web_str(v[1]), "known",
                                (int)str_eq(v[2], STR("known")), "hunks", d->hunks));
    } else if (str_eq(v[0], STR("at")) && count == 2 && d->hunks != NULL) {
        d->lines = json_array();
        (void)json_array_append_new(
            d->hunks, json_pack("{s:I, s:o}", "line", number(v[1]), "lines", d->lines));
    } else if (str_eq(v[0], STR("more")) && count == 2) {
        d->more = number(v[1]);
    } else if (d->lines != NULL && v[0].n > 0) {
        take_line(d, v, count);
    }
}

void api_history_change(struct web *w)
{
    struct control_answer head, answer;
    struct details d = { .files = NULL };
    struct str values[VALUES_MAX];
    size_t count = 0;
    const struct str none = STR("");
    if (!web_control(
            w,
            WEB_WORDS(STR("historylist"), STR("1"), none, none, none, none, none, w->params[0]),
            none, &head))
        return;
    json_t *list = changes_json(buf_str(&head.lines)), *o = json_array_get(list, 0);
    json_incref(o);
    json_decref(list);
    buf_release(&head.lines);
    if (!web_control(w, WEB_WORDS(STR("historyget"), w->params[0]), none, &answer)) {
        json_decref(o);
        return;
    }
    struct str lines = buf_str(&answer.lines);
    d.files = json_array();
    for (;;) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (!web_next_row(&lines, &a, values, VALUES_MAX, &count))
            break;
        take_row(&d, values, count);
    }
    (void)json_object_set_new(o, "changes", d.files);
    (void)json_object_set_new(o, "more", json_integer(d.more));
    buf_release(&answer.lines);
    web_json(w, 200, o);
}

void api_history_order(struct web *w)
{
    struct control_answer answer;
    struct str order;
    if (!web_member(w, "order", &order))
        return;
    bool undo = str_eq(order, STR("undo"));
    if (!undo && !str_eq(order, STR("confirm"))) {
        web_fail(w, 422, "invalid", "order: undo or confirm");
        return;
    }
    const struct str words[] = { undo ? STR("historyundo") : STR("historykeep"), w->params[0] };
    if (!web_control(w, words, ARRAY_LEN(words), STR(""), &answer))
        return;
    buf_release(&answer.lines);
    w->h.response.status = 204;
}

/* api_statistics.c - what the server counted, by hour or day. */
#include "web/web_int.h"

#define COLUMNS 3u

static void add_row(json_t *list, const struct str *v)
{
    int64_t begins = 0, n = 0;
    json_t *last = json_array_get(list, json_array_size(list) - 1);
    if (!str_to_i64(v[0], &begins) || !str_to_i64(v[2], &n))
        return;
    if (last == NULL || json_integer_value(json_object_get(last, "begins")) != begins) {
        last = json_pack("{s:I, s:{}}", "begins", (json_int_t)begins, "counts");
        (void)json_array_append_new(list, last);
    }
    (void)json_object_setn_new(json_object_get(last, "counts"), v[1].p, v[1].n,
                               json_integer(n));
}

void api_statistics(struct web *w)
{
    struct control_answer answer;
    struct str values[COLUMNS];
    size_t count = 0;
    const struct str words[] = { STR("statistics"), web_query(w, "step"), web_query(w, "from"),
                                 web_query(w, "until") };
    if (!web_control(w, words, ARRAY_LEN(words), STR(""), &answer))
        return;
    json_t *list = json_array();
    struct str lines = buf_str(&answer.lines);
    for (;;) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (!web_next_row(&lines, &a, values, COLUMNS, &count))
            break;
        if (count == COLUMNS)
            add_row(list, values);
    }
    buf_release(&answer.lines);
    web_json(w, 200, list);
}

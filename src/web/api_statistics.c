/* api_statistics.c - what the server counted, by hour or day: in all, for a domain; and for
 * each domain in a piece of time. */
#include "web/web_int.h"

#define COLUMNS 3u

/* v: what the counts are of, name, number; those of one thing stand together. */
static void add_row(json_t *list, const char *member, json_t *of, const struct str *v)
{
    json_t *last = json_array_get(list, json_array_size(list) - 1);
    int64_t n = 0;
    if (last == NULL || json_equal(json_object_get(last, member), of) == 0) {
        last = json_pack("{s:O, s:{}}", member, of, "counts");
        (void)json_array_append_new(list, last);
    }
    if (str_to_i64(v[2], &n))
        (void)json_object_setn_new(json_object_get(last, "counts"), v[1].p, v[1].n,
                                   json_integer(n));
}

/* The rows that control answers as a list of {member: ..., counts: {...}}. */
static void answer_counts(struct web *w, const struct str *words, size_t word_count,
                          const char *member)
{
    struct control_answer answer;
    struct str values[COLUMNS];
    size_t count = 0;
    if (!web_control(w, words, word_count, STR(""), &answer))
        return;
    json_t *list = json_array();
    struct str lines = buf_str(&answer.lines);
    for (;;) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        int64_t begins = 0;
        if (!web_next_row(&lines, &a, values, COLUMNS, &count))
            break;
        if (count != COLUMNS)
            continue;
        json_t *of = str_to_i64(values[0], &begins) && strcmp(member, "begins") == 0
                         ? json_integer(begins)
                         : web_str(values[0]);
        add_row(list, member, of, values);
        json_decref(of);
    }
    buf_release(&answer.lines);
    web_json(w, 200, list);
}

void api_statistics(struct web *w)
{
    const struct str words[] = { STR("statistics"), web_query(w, "step"), web_query(w, "from"),
                                 web_query(w, "until") };
    answer_counts(w, words, ARRAY_LEN(words), "begins");
}

void api_domain_statistics(struct web *w)
{
    const struct str words[] = { STR("figures"), web_path_value(w, STR("domain")),
                                 web_query(w, "step"), web_query(w, "from"),
                                 web_query(w, "until") };
    answer_counts(w, words, ARRAY_LEN(words), "begins");
}

void api_domains_statistics(struct web *w)
{
    const struct str words[] = { STR("figurelist"), web_query(w, "step"), web_query(w, "from"),
                                 web_query(w, "until") };
    answer_counts(w, words, ARRAY_LEN(words), "domain");
}

/* api_senders.c - who fills the queue: its entries by the account that signed in, and letters
 * to people. */
#include "spool/queued.h"
#include "web/web_int.h"
#include <stdlib.h>

#define EXAMPLES_MOST 8u

struct example {
    struct str text;
    uint64_t count;
};
struct examples {
    struct example list[EXAMPLES_MOST];
    size_t count;
    uint64_t others; /* entries with another one */
};
struct sender {
    struct str account;
    uint64_t entries, recipients, octets, held;
    usec_t oldest, newest;
    struct examples clients, senders;
};
struct senders {
    struct arena mem;
    struct map by_account;
};

static void add_example(struct arena *mem, struct examples *x, struct str text)
{
    for (size_t i = 0; i < x->count; i++)
        if (str_ieq(x->list[i].text, text)) {
            x->list[i].count++;
            return;
        }
    if (x->count == EXAMPLES_MOST)
        x->others++;
    else
        x->list[x->count++] = (struct example){ arena_str(mem, text), 1 };
}

static bool add_entry(void *ctx, const struct queued *q)
{
    struct senders *all = ctx;
    struct sender *s = map_get(&all->by_account, q->auth);
    if (s == NULL) {
        s = arena_new(&all->mem, sizeof(*s));
        s->account = arena_str(&all->mem, q->auth);
        s->oldest = q->received_at;
        (void)map_put(&all->by_account, s->account, s);
    }
    s->entries++;
    s->recipients += q->pending;
    s->octets += q->octets;
    s->held += q->held;
    s->oldest = MIN(s->oldest, q->received_at);
    s->newest = MAX(s->newest, q->received_at);
    add_example(&all->mem, &s->clients, q->client);
    add_example(&all->mem, &s->senders, q->from);
    return true;
}

static int compare(const void *x, const void *y)
{
    const struct sender *a = *(struct sender *const *)x, *b = *(struct sender *const *)y;
    if (a->recipients != b->recipients)
        return a->recipients > b->recipients ? -1 : 1;
    return str_cmp(a->account, b->account);
}

static json_t *examples_json(const struct examples *x, const char *name)
{
    json_t *list = json_array();
    for (size_t i = 0; i < x->count; i++)
        (void)json_array_append_new(list,
                                    json_pack("{s:o, s:I}", name, web_str(x->list[i].text),
                                              "count", (json_int_t)x->list[i].count));
    return list;
}

static json_t *sender_json(const struct sender *s)
{
    return json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:I}", "account",
        web_str(s->account), "entries", (json_int_t)s->entries, "recipients",
        (json_int_t)s->recipients, "size", (json_int_t)s->octets, "held", (json_int_t)s->held,
        "oldest", (json_int_t)(s->oldest / USEC_S), "newest", (json_int_t)(s->newest / USEC_S),
        "clients", examples_json(&s->clients, "client"), "other_clients",
        (json_int_t)s->clients.others, "senders", examples_json(&s->senders, "address"),
        "other_senders", (json_int_t)s->senders.others);
}

static json_t *senders_json(struct web *w, struct senders *all)
{
    struct str search = web_query(w, "search"), key;
    uint64_t offset = web_query_number(w, "offset", 0, UINT32_MAX);
    uint64_t limit = web_query_number(w, "limit", 100, 1000);
    struct sender **list =
        arena_new_array(&all->mem, struct sender *, all->by_account.live + 1);
    size_t n = 0, at = 0;
    void *value = NULL;
    while (map_next(&all->by_account, &at, &key, &value))
        if (search.n == 0 || str_ifind_str(key, search) != SIZE_MAX)
            list[n++] = value;
    qsort(list, n, sizeof(struct sender *), compare);
    json_t *rows = json_array();
    for (size_t i = (size_t)offset; i < n && i < offset + limit; i++)
        (void)json_array_append_new(rows, sender_json(list[i]));
    return json_pack("{s:I, s:o}", "total", (json_int_t)n, "rows", rows);
}

void api_queue_senders(struct web *w)
{
    const struct queued_filter all = { .state = QUEUED_ANY };
    struct senders s = { .mem = { .head = NULL }, .by_account = { .fold = true } };
    struct err e;
    size_t left_out = 0;
    if (queued_walk(&all, add_entry, &s, &left_out, &e) == RC_OK)
        web_json(w, 200, senders_json(w, &s));
    else
        web_trouble(w, &e);
    map_release(&s.by_account);
    arena_release(&s.mem);
}

/* --- letters ------------------------------------------------------------------------------ */

void api_letter(struct web *w)
{
    struct str to, subject;
    struct control_answer answer;
    const json_t *text = json_object_get(w->body, "text");
    if (!web_member(w, "to", &to) || !web_member(w, "subject", &subject))
        return;
    if (!json_is_string(text) || json_string_length(text) == 0) {
        web_fail(w, 422, "invalid", "text is missing");
        return;
    }
    if (!web_control(w, WEB_WORDS(STR("letter"), to, subject),
                     str_from(json_string_value(text), json_string_length(text)), &answer))
        return;
    buf_release(&answer.lines);
    w->h.response.status = 204;
}

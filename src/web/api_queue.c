/* api_queue.c - the queue as it is now: places that mail goes to, with reasons; its entries,
 * frozen ones too; one message, for who says why he reads it. */
#include "spool/queued.h"
#include "spool/spool.h"
#include "sys/io.h"
#include "web/web_int.h"
#include <stdlib.h>

#define SHOWN_RCPTS 3u
#define REASONS_MOST 5u
#define PIECE ((size_t)64 << 10)

/* --- which entries ------------------------------------------------------------------------ */

/* The filter of the query; false: answered. */
static bool read_filter(struct web *w, struct queued_filter *out)
{
    *out = (struct queued_filter){ .search = web_query(w, "search"),
                                   .from = web_query(w, "from"),
                                   .auth = web_query(w, "auth"),
                                   .to = web_query(w, "to"),
                                   .domain = web_query(w, "domain"),
                                   .client = web_query(w, "client"),
                                   .reason = web_query(w, "reason") };
    if (queued_state_of(web_query(w, "state"), &out->state))
        return true;
    web_fail(w, 422, "invalid", "state is waiting, held or frozen");
    return false;
}

static json_t *rcpt_json(const struct queued_rcpt *r)
{
    return json_pack("{s:o, s:o, s:o}", "address", web_str(r->address), "domain",
                     web_str(r->domain), "reason", web_str(r->reason));
}

static json_t *entry_json(const struct queued *q)
{
    json_t *to = json_array();
    for (size_t i = 0; i < q->rcpt_count && json_array_size(to) < SHOWN_RCPTS; i++)
        if (queued_is_open(q, &q->rcpts[i]))
            (void)json_array_append_new(to, rcpt_json(&q->rcpts[i]));
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:o}", "id",
        web_str(q->id), "from", web_str(q->from), "auth", web_str(q->auth), "client",
        web_str(q->client), "via", web_str(q->via), "received",
        (json_int_t)(q->received_at / USEC_S), "next_try", (json_int_t)(q->next_try / USEC_S),
        "size", (json_int_t)q->octets, "tries", (json_int_t)q->tries, "state",
        q->frozen ? "frozen"
        : q->held ? "held"
                  : "waiting",
        "recipients", (json_int_t)q->rcpt_count, "open", (json_int_t)q->pending, "to", to);
}

/* --- the list ----------------------------------------------------------------------------- */

struct listing {
    uint64_t offset, limit, total;
    json_t *rows;
};

static bool list_one(void *ctx, const struct queued *q)
{
    struct listing *l = ctx;
    if (l->total >= l->offset && l->total < l->offset + l->limit)
        (void)json_array_append_new(l->rows, entry_json(q));
    l->total++;
    return true;
}

void api_queue(struct web *w)
{
    struct listing l = { .offset = web_query_number(w, "offset", 0, UINT32_MAX),
                         .limit = web_query_number(w, "limit", 100, 1000) };
    struct queued_filter f;
    struct err e;
    size_t left_out = 0;
    if (!read_filter(w, &f))
        return;
    l.rows = json_array();
    if (queued_walk(&f, list_one, &l, &left_out, &e) == RC_OK) {
        web_json(w, 200,
                 json_pack("{s:I, s:O, s:I}", "total", (json_int_t)l.total, "rows", l.rows,
                           "left_out", (json_int_t)left_out));
    } else {
        web_trouble(w, &e);
    }
    json_decref(l.rows);
}

/* --- places ------------------------------------------------------------------------------- */

/* Reasons of one kind: the same status from the same server. */
struct why {
    struct str kind, text; /* text: an example */
    uint64_t count;
};
struct place {
    struct str domain;
    uint64_t entries, recipients, octets, held, not_tried, others;
    usec_t oldest, next_try;
    const struct queued *last; /* the entry seen last */
    struct why whys[REASONS_MOST];
    size_t why_count;
};
struct places {
    struct arena mem;
    struct map by_domain;
    uint64_t waiting, held, frozen, octets;
};

/* "4.7.1 host" of "4.7.1 host text" */
static struct str kind_of(struct str reason)
{
    struct str rest = reason, word;
    if (!str_cut(&rest, ' ', &word) || rest.p == NULL || !str_cut(&rest, ' ', &word))
        return reason;
    return str_from(reason.p, (size_t)(word.p + word.n - reason.p));
}

static void add_reason(struct places *p, struct place *place, struct str reason)
{
    struct str kind = kind_of(reason);
    if (reason.n == 0) {
        place->not_tried++;
        return;
    }
    for (size_t i = 0; i < place->why_count; i++)
        if (str_eq(place->whys[i].kind, kind)) {
            place->whys[i].count++;
            return;
        }
    if (place->why_count == REASONS_MOST)
        place->others++;
    else
        place->whys[place->why_count++] =
            (struct why){ arena_str(&p->mem, kind), arena_str(&p->mem, reason), 1 };
}

static void add_recipient(struct places *p, const struct queued *q, const struct queued_rcpt *r)
{
    struct place *place = map_get(&p->by_domain, r->domain);
    if (place == NULL) {
        place = arena_new(&p->mem, sizeof(*place));
        place->domain = arena_str(&p->mem, r->domain);
        place->oldest = q->received_at;
        (void)map_put(&p->by_domain, place->domain, place);
    }
    place->recipients++;
    add_reason(p, place, r->reason);
    if (place->last == q)
        return;
    place->last = q;
    place->entries++;
    place->octets += q->octets;
    place->held += q->held;
    place->oldest = MIN(place->oldest, q->received_at);
    if (!q->held && q->next_try > 0)
        place->next_try =
            place->next_try == 0 ? q->next_try : MIN(place->next_try, q->next_try);
}

static bool add_entry(void *ctx, const struct queued *q)
{
    struct places *p = ctx;
    *(q->held ? &p->held : &p->waiting) += 1;
    p->octets += q->octets;
    for (size_t i = 0; i < q->rcpt_count; i++)
        if (queued_is_open(q, &q->rcpts[i]))
            add_recipient(p, q, &q->rcpts[i]);
    return true;
}

static bool count_frozen(void *ctx, const struct queued *q)
{
    struct places *p = ctx;
    (void)q;
    p->frozen++;
    return true;
}

/* Most recipients first. */
static int compare_places(const void *x, const void *y)
{
    const struct place *a = *(struct place *const *)x, *b = *(struct place *const *)y;
    if (a->recipients != b->recipients)
        return a->recipients > b->recipients ? -1 : 1;
    return str_cmp(a->domain, b->domain);
}

static json_t *place_json(const struct place *p)
{
    json_t *reasons = json_array();
    for (size_t i = 0; i < p->why_count; i++)
        (void)json_array_append_new(reasons,
                                    json_pack("{s:o, s:I}", "text", web_str(p->whys[i].text),
                                              "count", (json_int_t)p->whys[i].count));
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I}", "domain",
                     web_str(p->domain), "entries", (json_int_t)p->entries, "recipients",
                     (json_int_t)p->recipients, "size", (json_int_t)p->octets, "held",
                     (json_int_t)p->held, "oldest", (json_int_t)(p->oldest / USEC_S),
                     "next_try", (json_int_t)(p->next_try / USEC_S), "not_tried",
                     (json_int_t)p->not_tried, "reasons", reasons, "other_reasons",
                     (json_int_t)p->others);
}

static json_t *places_json(struct web *w, struct places *p)
{
    struct str search = web_query(w, "search"), key;
    uint64_t offset = web_query_number(w, "offset", 0, UINT32_MAX);
    uint64_t limit = web_query_number(w, "limit", 100, 1000);
    struct place **list = arena_new_array(&p->mem, struct place *, p->by_domain.live + 1);
    size_t n = 0, at = 0;
    void *value = NULL;
    while (map_next(&p->by_domain, &at, &key, &value))
        if (search.n == 0 || str_ifind_str(key, search) != SIZE_MAX)
            list[n++] = value;
    qsort(list, n, sizeof(struct place *), compare_places);
    json_t *rows = json_array();
    for (size_t i = (size_t)offset; i < n && i < offset + limit; i++)
        (void)json_array_append_new(rows, place_json(list[i]));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "waiting", (json_int_t)p->waiting,
                     "held", (json_int_t)p->held, "frozen", (json_int_t)p->frozen, "size",
                     (json_int_t)p->octets, "total", (json_int_t)n, "rows", rows);
}

void api_queue_places(struct web *w)
{
    const struct queued_filter all = { .state = QUEUED_ANY },
                               frozen = { .state = QUEUED_FROZEN };
    struct places p = { .mem = { .head = NULL } };
    struct err e;
    size_t left_out = 0;
    enum rc rc = queued_walk(&all, add_entry, &p, &left_out, &e);
    if (rc == RC_OK)
        rc = queued_walk(&frozen, count_frozen, &p, &left_out, &e);
    if (rc == RC_OK)
        web_json(w, 200, places_json(w, &p));
    else
        web_trouble(w, &e);
    map_release(&p.by_domain);
    arena_release(&p.mem);
}

/* --- one entry ---------------------------------------------------------------------------- */

/* The entry of the path, in the queue or frozen; false: answered. */
static bool open_entry(struct web *w, struct arena *a, struct spool_entry *out,
                       bool *out_frozen)
{
    struct err e;
    *out_frozen = false;
    if (spool_open(w->params[0], a, out, &e) == RC_OK)
        return true;
    *out_frozen = true;
    if (spool_open_frozen(w->params[0], a, out, &e) == RC_OK)
        return true;
    web_fail(w, 404, "unknown", "there is no such message in the queue");
    return false;
}

static json_t *rcpts_json(const struct spool_entry *entry, struct arena *a)
{
    static const char *const states[] = { "waiting", "delivered", "failed", "reported" };
    json_t *list = json_array();
    for (size_t i = 0; i < entry->env.recipient_count; i++) {
        const struct envelope_recipient *r = &entry->env.recipients[i];
        bool same = address_eq(&r->address, &r->resolved);
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:s, s:o}", "address", web_str(address_print(&r->address, a)),
                      "as", web_str(same ? STR("") : address_print(&r->resolved, a)), "state",
                      states[entry->states[i]], "reason", web_str(entry->reasons[i])));
    }
    return list;
}

void api_queue_entry(struct web *w)
{
    struct spool_entry entry;
    struct arena *a = web_mem(w);
    bool frozen = false;
    if (!open_entry(w, a, &entry, &frozen))
        return;
    json_t *history = json_array();
    for (const struct spool_line *l = entry.history; l != NULL; l = l->next)
        (void)json_array_append_new(history, web_str(l->text));
    const struct envelope *env = &entry.env;
    web_json(w, 200,
             json_pack(
                 "{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:s, s:b, s:o, s:o}", "id",
                 web_str(entry.id), "from", web_str(address_print(&env->reverse_path, a)),
                 "auth", web_str(env->auth_user), "client",
                 web_str(ip_port_reshow(env->client, a)), "helo", web_str(env->helo), "via",
                 web_str(entry.via), "received", (json_int_t)(env->received_at / USEC_S),
                 "next_try", (json_int_t)(entry.next_try / USEC_S), "size",
                 (json_int_t)entry.wire_octets, "tries", (json_int_t)entry.tries, "state",
                 frozen       ? "frozen"
                 : entry.held ? "held"
                              : "waiting",
                 "moderated", (int)(env->approval.n > 0 && !entry.approved), "recipients",
                 rcpts_json(&entry, a), "history", history));
    spool_close(&entry);
}

/* --- its message -------------------------------------------------------------------------- */

struct message {
    struct arena mem;
    struct spool_entry entry;
    uint64_t at;
};

static bool produce_message(struct http_session *h, struct buf *out, usec_t *out_pause)
{
    struct message *m = web_of(h)->kept;
    size_t n = (size_t)MIN(m->entry.message_octets - m->at, (uint64_t)PIECE);
    *out_pause = 0;
    if (n == 0)
        return false;
    ssize_t got = buf_reserve(out, n) != RC_OK ? -1
                                               : io_pread(m->entry.message_fd, out->p, n,
                                                          m->entry.message_offset + m->at);
    if (got <= 0) {
        h->broken = true;
        return false;
    }
    out->n += (size_t)got;
    m->at += (size_t)got;
    return m->at < m->entry.message_octets;
}

static void free_message(void *kept)
{
    struct message *m = kept;
    spool_close(&m->entry);
    arena_release(&m->mem);
    mem_free(&m);
}

void api_queue_message(struct web *w)
{
    struct str reason;
    bool frozen = false;
    if (!web_member(w, "reason", &reason))
        return;
    struct message *m = mem_new(sizeof(*m));
    if (!open_entry(w, &m->mem, &m->entry, &frozen)) {
        arena_release(&m->mem);
        mem_free(&m);
        return;
    }
    struct str what = arena_printf(web_mem(w), "%.*s: %.*s", STR_ARG(m->entry.id),
                                   STR_ARG(str_head(reason, 500)));
    w->kept = m;
    w->free_kept = free_message;
    if (!web_record(w, "read-message", what))
        return;
    w->h.produce = produce_message;
    w->h.response.status = 200;
    w->h.response.type = "message/rfc822";
    http_add_field(
        &w->h.response, "Content-Disposition",
        arena_printf(web_mem(w), "attachment; filename=\"%.*s.eml\"", STR_ARG(m->entry.id)));
}

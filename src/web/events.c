/*
 * events.c - what changes, told as it happens (Server-Sent Events): "state" when a role starts
 * or ends, "jobs" as long work goes on, "changed" when a table that pages show has another
 * version.
 */
#include "sys/board.h"
#include "sys/file.h"
#include "web/jobs.h"

#define LOOK_TIME (USEC_S / 2)
#define ALIVE_TIME (15 * USEC_S)

static const char *const watched[] = { "server.tab", "domains.tab", "mailusers.tab",
                                       "aliases.tab", "webadmins.tab" };

struct events {
    char state[512]; /* "smtpd running ..." as told last */
    struct file_id tables[ARRAY_LEN(watched)];
    uint64_t steps;
    usec_t told; /* last sent something */
    bool begun;
};

static bool tell(struct buf *out, const char *event, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    bool ok = text != NULL && buf_add_str(out, STR("event: ")) == RC_OK &&
              buf_add_str(out, str_from_c(event)) == RC_OK &&
              buf_add_str(out, STR("\ndata: ")) == RC_OK &&
              buf_add_str(out, str_from_c(text)) == RC_OK &&
              buf_add_str(out, STR("\n\n")) == RC_OK;
    free(text);
    json_decref(value);
    return ok;
}

static bool tell_state(struct events *ev, struct buf *out)
{
    struct board *board AUTO_FREE = mem_new(sizeof(*board));
    struct err e;
    char now[sizeof(ev->state)] = "";
    size_t n = 0;
    if (board_read(board, &e) != RC_OK)
        return true;
    json_t *roles = json_object();
    for (size_t i = 0; i < BOARD_ROLES && n < sizeof(now); i++) {
        const char *name = board->roles[i].name;
        bool runs = board->roles[i].state == BOARD_RUNNING;
        if (name[0] == '\0')
            continue;
        (void)json_object_set_new(roles, name, json_boolean(runs));
        n += (size_t)snprintf(now + n, sizeof(now) - n, "%s %d ", name, (int)runs);
    }
    bool same = ev->begun && strcmp(now, ev->state) == 0;
    memcpy(ev->state, now, sizeof(now));
    if (!same)
        return tell(out, "state", roles);
    json_decref(roles);
    return true;
}

static bool tell_tables(struct events *ev, struct buf *out)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
        struct file_id now = { .dev = 0 };
        struct err e;
        if (file_id_get(watched[i], &now, &e) != RC_OK)
            continue;
        if (ev->begun && !file_id_eq(&now, &ev->tables[i]))
            (void)json_array_append_new(list, json_string(watched[i]));
        ev->tables[i] = now;
    }
    if (json_array_size(list) > 0)
        return tell(out, "changed", list);
    json_decref(list);
    return true;
}

static bool tell_jobs(struct events *ev, struct buf *out)
{
    uint64_t steps = jobs_steps();
    if (ev->begun && steps == ev->steps)
        return true;
    ev->steps = steps;
    return tell(out, "jobs", jobs_json());
}

static bool produce(struct http_session *h, struct buf *out, usec_t *out_pause)
{
    struct web *w = web_of(h);
    struct events *ev = w->kept;
    usec_t now = clock_mono();
    *out_pause = LOOK_TIME;
    if (!web_is_signed_in(w))
        return false;
    if (!tell_state(ev, out) || !tell_tables(ev, out) || !tell_jobs(ev, out))
        return false;
    ev->begun = true;
    if (out->n == 0 && now - ev->told > ALIVE_TIME && buf_add_str(out, STR(": \n\n")) != RC_OK)
        return false;
    ev->told = out->n > 0 ? now : ev->told;
    return true;
}

static void free_events(void *kept)
{
    struct events *ev = kept;
    mem_free(&ev);
}

void api_events(struct web *w)
{
    struct events *ev = mem_new(sizeof(*ev));
    ev->told = clock_mono();
    w->kept = ev;
    w->free_kept = free_events;
    w->h.produce = produce;
    w->h.response.status = 200;
    w->h.response.type = "text/event-stream";
}

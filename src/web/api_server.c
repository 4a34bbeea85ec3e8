/* api_server.c - the server as a whole: status, health, counters, settings. */
#include "conf/options.h"
#include "sys/board.h"
#include "web/tables.h"
#include "web/web_int.h"

/* --- status ------------------------------------------------------------------------------- */

static bool read_board(struct web *w, struct board *out)
{
    struct err e;
    if (board_read(out, &e) == RC_OK)
        return true;
    web_trouble(w, &e);
    return false;
}

static void answer_board(struct web *w, const char *type,
                         void (*print)(struct buf *, const struct board *, bool))
{
    struct board *board AUTO_FREE = mem_new(sizeof(*board));
    struct http_response *r = &w->h.response;
    if (!read_board(w, board))
        return;
    buf_init(&r->body, BUF_MAX_DEFAULT);
    print(&r->body, board, true);
    r->status = 200;
    r->type = type;
}

void api_status(struct web *w)
{
    answer_board(w, "application/json", board_print_json);
}

void api_metrics(struct web *w)
{
    if (!ip_is_loopback(&w->client) && w->who.right < RIGHT_READ) {
        web_fail(w, 401, "sign-in", "counters are shown to this machine, or with a token");
        return;
    }
    answer_board(w, "text/plain; version=0.0.4; charset=utf-8", board_print_prometheus);
}

void api_health(struct web *w)
{
    struct board *board AUTO_FREE = mem_new(sizeof(*board));
    if (!read_board(w, board))
        return;
    json_t *down = json_array();
    for (size_t i = 0; i < BOARD_ROLES; i++)
        if (board->roles[i].name[0] != '\0' && board->roles[i].state != BOARD_RUNNING)
            (void)json_array_append_new(down, json_string(board->roles[i].name));
    bool well = json_array_size(down) == 0;
    web_json(w, well ? 200 : 503,
             json_pack("{s:b, s:o, s:I}", "healthy", (int)well, "down", down, "since",
                       (json_int_t)(board->started / USEC_S)));
}

/* --- settings ----------------------------------------------------------------------------- */

static const char *kind_name(enum option_kind kind)
{
    static const char *const names[] = { "bool", "int",    "kb",    "seconds",
                                         "text", "listen", "scheme" };
    return names[kind];
}

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

/* Does the setting's value of now wait for the next start? */
static bool waits(const struct option_row *row, const struct table_text *t,
                  const struct table_text *started)
{
    const struct table_line *now = tabtext_find(t, str_from_c(row->name));
    const struct table_line *then = tabtext_find(started, str_from_c(row->name));
    if (row->when != OPTION_RESTART || started->line_count == 0)
        return false;
    if (now == NULL || then == NULL)
        return now != then;
    return now->count > 1 && then->count > 1 && !str_eq(now->values[1], then->values[1]);
}

static json_t *option_json(const struct option_row *row, const struct table_text *t,
                           const struct table_text *started)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:s, s:s}", "name", row->name, "kind",
                  kind_name(row->kind), "group", row->group, "xmail", text_or_null(row->xmail),
                  "fresh", text_or_null(row->fresh), "restart",
                  (int)(row->when == OPTION_RESTART), "en", row->en, "ja", row->ja);
    if (row->kind == OPTION_INT || row->kind == OPTION_SECONDS)
        (void)json_object_set_new(
            o, "range", json_pack("[I, I]", (json_int_t)row->least, (json_int_t)row->most));
    (void)json_object_set_new(o, "obeyed", json_boolean(row->state == OPTION_OBEYED));
    const struct table_line *line = tabtext_find(t, str_from_c(row->name));
    (void)json_object_set_new(o, "value",
                              line == NULL ? json_null() : web_str(line->values[1]));
    (void)json_object_set_new(o, "waits", json_boolean(waits(row, t, started)));
    return o;
}

/* Variables of server.tab that are no row: those of management tools, and SmtpConfig-IP. */
static json_t *others_json(const struct table_text *t)
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->line_count; i++) {
        const struct table_line *line = &t->lines[i];
        if (line->count >= 2 && options_row(line->values[0]) == NULL)
            (void)json_array_append_new(list, json_pack("{s:o, s:o}", "name",
                                                        web_str(line->values[0]), "value",
                                                        web_str(line->values[1])));
    }
    return list;
}

void api_options(struct web *w)
{
    struct table_text t, started;
    struct err e;
    size_t count = 0;
    const struct option_row *row = options_rows(&count);
    if (tabtext_load("server.tab", web_mem(w), &t, &e) != RC_OK ||
        tabtext_load(CONF_STARTED_PATH, web_mem(w), &started, &e) != RC_OK) {
        web_trouble(w, &e);
        return;
    }
    json_t *list = json_array();
    for (; count > 0; count--, row++)
        (void)json_array_append_new(list, option_json(row, &t, &started));
    web_json(w, 200,
             json_pack("{s:s, s:s, s:o, s:o}", "version", t.version, "origin",
                       conf_origin_read() == CONF_NEW ? "new" : "taken-over", "options", list,
                       "others", others_json(&t)));
}

/* One value of the request into the table; false: answered. */
/* Which of the kinds of values it isn't. */
static json_t *wanted(const struct option_row *row)
{
    return json_pack("{s:s, s:s, s:I, s:I}", "name", row->name, "kind", kind_name(row->kind),
                     "least", (json_int_t)row->least, "most", (json_int_t)row->most);
}

static bool set_option(struct web *w, struct table_text *t, const char *name,
                       const json_t *value)
{
    const struct option_row *row = options_row(str_from_c(name));
    struct err e = { .text = "" };
    if (row == NULL) {
        web_fail(w, 422, "unknown", "%s is not a setting", name);
        return false;
    }
    if (json_is_null(value)) {
        tabtext_remove(t, tabtext_find(t, str_from_c(row->name)));
        return true;
    }
    struct str text = str_from(json_string_value(value), json_string_length(value));
    if (text.p == NULL || str_has_control(text)) {
        web_refuse(w, "characters", NULL, "the value of %s isn't text", name);
        return false;
    }
    if (options_check_value(row, text, &e) != RC_OK) {
        web_refuse(w, "bad-value", wanted(row), "%s: %s", name, e.text);
        return false;
    }
    const struct str values[] = { str_from_c(row->name), text };
    tabtext_put(t, tabtext_find(t, str_from_c(row->name)), values, 2);
    return true;
}

void api_options_set(struct web *w)
{
    struct table_text t;
    struct str version;
    const char *name = NULL;
    json_t *value = NULL, *values = json_object_get(w->body, "values");
    if (!web_member(w, "version", &version) || !tabtext_open(w, "server.tab", &t) ||
        !tabtext_try(w, &t))
        return;
    if (!json_is_object(values)) {
        web_fail(w, 422, "invalid", "values must be an object");
        return;
    }
    json_object_foreach(values, name, value)
    {
        if (!set_option(w, &t, name, value))
            return;
    }
    if (tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

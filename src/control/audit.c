/*
 * audit.c - who changed what, from where, before and after: a JSON object a line in
 * logs/audit-YYYYMM. A change is noticed where tables are written (tab_on_change), whichever
 * command made it; passwords and the like don't get here. The same place tells the history of
 * tables (history/history.h). One thread.
 */
#include "conf/tables.h"
#include "control/control_int.h"
#include "history/history.h"
#include "sys/file.h"
#include <jansson.h>
#include <time.h>

#define LINES_MOST 100u /* of one change; the rest is counted */
#define RECORD_MAX ((size_t)1 << 20)

static json_t *changes; /* of the command under way; NULL: none is recorded */

/* --- what changed ------------------------------------------------------------------------- */

static json_t *text_json(struct str s)
{
    return str_is_utf8(s) ? json_stringn(s.p == NULL ? "" : s.p, s.n)
                          : json_sprintf("(%zu octets, not UTF-8)", s.n);
}

/* The line's values, secrets as stars. */
static json_t *line_json(const struct table_row *row, struct str line)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str values[TAB_VALUES_MAX];
    size_t count = 0;
    json_t *list = json_array();
    if (tab_parse_line(str_trim(line), &a, values, TAB_VALUES_MAX, &count, NULL) != RC_OK)
        count = 0;
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, tables_is_secret(row, i) ? json_string("********")
                                                                   : text_json(values[i]));
    return list;
}

/* How often each line is in a text. */
struct counts {
    struct map by_line; /* size_t * */
    struct arena mem;
};

static void count_lines(struct str text, struct counts *out)
{
    struct str line;
    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        size_t *times = map_get(&out->by_line, str_trim(line));
        if (times == NULL) {
            times = arena_new(&out->mem, sizeof(*times));
            (void)map_put(&out->by_line, str_trim(line), times);
        }
        (*times)++;
    }
}

static void counts_release(struct counts *c)
{
    map_release(&c->by_line);
    arena_release(&c->mem);
}

/* The text's lines that aren't among the others. */
static json_t *lines_but(const struct table_row *row, struct str text, struct counts *others,
                         json_int_t *out_more)
{
    json_t *list = json_array();
    struct str line;
    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        size_t *times = map_get(&others->by_line, str_trim(line));
        if (times != NULL && *times > 0) {
            (*times)--;
            continue;
        }
        json_t *values = line_json(row, line);
        if (json_array_size(values) > 0 && json_array_size(list) < LINES_MOST)
            (void)json_array_append(list, values);
        else if (json_array_size(values) > 0)
            (*out_more)++;
        json_decref(values);
    }
    return list;
}

/* What both begin and end with isn't looked at. */
static void cut_common(struct str *a, struct str *b)
{
    size_t n = 0, lines = 0, most = MIN(a->n, b->n);
    for (; n < most && a->p[n] == b->p[n]; n++)
        if (a->p[n] == '\n')
            lines = n + 1;
    *a = str_skip(*a, lines);
    *b = str_skip(*b, lines);
    size_t end = 0;
    most = MIN(a->n, b->n);
    lines = 0;
    for (n = 0; n < most && a->p[a->n - 1 - n] == b->p[b->n - 1 - n]; n++)
        if (a->p[a->n - 1 - n] == '\n')
            end = n;
    *a = str_head(*a, a->n - end);
    *b = str_head(*b, b->n - end);
}

static void changed(const char *path, struct str before, struct str after)
{
    const struct table_row *row = tables_row(str_from_c(path));
    struct counts old = { .mem = { .head = NULL } }, fresh = { .mem = { .head = NULL } };
    json_int_t more = 0;
    history_changed(path, before, after);
    if (changes == NULL)
        return;
    if (row == NULL) {
        (void)json_array_append_new(changes, json_pack("{s:s}", "file", path));
        return;
    }
    cut_common(&before, &after);
    count_lines(before, &old);
    count_lines(after, &fresh);
    json_t *removed = lines_but(row, before, &fresh, &more);
    json_t *added = lines_but(row, after, &old, &more);
    (void)json_array_append_new(changes,
                                json_pack("{s:s, s:o, s:o, s:I}", "file", path, "removed",
                                          removed, "added", added, "more", more));
    counts_release(&old);
    counts_release(&fresh);
}

/* --- the record --------------------------------------------------------------------------- */

static void write_line(const char *text)
{
    char path[64], month[16];
    time_t now = (time_t)(clock_wall() / USEC_S);
    struct tm tm;
    struct err e;
    (void)localtime_r(&now, &tm);
    (void)strftime(month, sizeof(month), "%Y%m", &tm);
    (void)snprintf(path, sizeof(path), "logs/audit-%s", month);
    enum rc rc = folder_make("logs", 0750, &e);
    int fd AUTO_CLOSE =
        rc == RC_OK ? io_open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640) : -1;
    struct iovec parts[] = { { (void *)(uintptr_t)text, strlen(text) },
                             { (void *)(uintptr_t) "\n", 1 } };
    if (fd < 0)
        rc = err_sys(&e, "open %s", path);
    if (rc == RC_OK)
        rc = io_write_all(fd, parts, 2, &e);
    if (rc != RC_OK)
        log_error(EV("change not recorded"), KE(&e));
}

static const char *way_in(const struct ctrl *c)
{
    return !c->s.listener->local ? "ctrl" : c->as[0] != '\0' ? "web" : "local";
}

/* What follows is this command's. */
static void begin_history(struct ctrl *c, uint64_t undoes)
{
    static char ip[IP_TEXT_BYTES];
    static struct history_author who;
    struct arena *a = &c->line_mem;
    struct str what = STR("");
    for (size_t i = 1; i < c->count && i <= c->command->told; i++)
        what = i == 1 ? c->parameters[i]
                      : arena_printf(a, "%.*s %.*s", STR_ARG(what), STR_ARG(c->parameters[i]));
    bool somewhere = !c->s.listener->local || c->as[0] != '\0';
    who = (struct history_author){
        .by = c->user,
        .from = somewhere ? str_from_c(ip_print(&c->s.client_ip, ip)) : STR(""),
        .via = str_from_c(way_in(c)),
        .act = str_from_c(c->command->name),
        .what = what,
        .undoes = undoes,
        .trial_s = c->trial_s,
    };
    history_begin(&who);
}

static void record(const struct ctrl *c)
{
    char ip[IP_TEXT_BYTES];
    bool by_name = str_eq(ctrl_param(c, 0), STR("audit")); /* its first parameter is the act */
    json_t *what = json_array();
    for (size_t i = by_name ? 2 : 1; i < c->count && i <= c->command->told; i++)
        (void)json_array_append_new(what, text_json(c->parameters[i]));
    bool somewhere = !c->s.listener->local || c->as[0] != '\0';
    json_t *o = json_pack(
        "{s:I, s:o, s:s, s:s, s:o, s:o, s:O}", "time", (json_int_t)(clock_wall() / USEC_S),
        "by", text_json(c->user), "from", somewhere ? ip_print(&c->s.client_ip, ip) : "", "via",
        way_in(c), "act", by_name ? text_json(ctrl_param(c, 1)) : json_string(c->command->name),
        "what", what, "changes", changes);
    char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT);
    if (text == NULL)
        log_error(EV("change not recorded"), KV("command", c->command->name));
    else
        write_line(text);
    free(text);
    json_decref(o);
}

void audit_init(void)
{
    tab_on_change(changed);
}

enum admin_result audit_act(struct ctrl *c, ctrl_fn *act, struct err *e)
{
    changes = c->command->told > 0 ? json_array() : NULL;
    ctrl_look(c);
    begin_history(c, 0);
    /* Once more: others' commands were carried out while a program or the index was waited for.
     */
    enum admin_result result = ctrl_delegate_check(c, e);
    if (result == ADMIN_OK)
        result = act(c, e);
    if (result == ADMIN_OK)
        result = ctrl_delegate_done(c, e);
    (void)history_end();
    bool goes_on = act == c->command->run && c->uploading; /* the end of the upload will tell */
    if (changes != NULL && !goes_on && (result == ADMIN_OK || json_array_size(changes) > 0))
        record(c);
    json_decref(changes);
    changes = NULL;
    return result;
}

void audit_undoes(struct ctrl *c, uint64_t change)
{
    begin_history(c, change);
}

/* Something that the web role did: signing in, for instance. */
enum admin_result ctrl_audit(struct ctrl *c, struct err *e)
{
    (void)e;
    return c->s.listener->local ? ADMIN_OK : ADMIN_BAD_COMMAND;
}

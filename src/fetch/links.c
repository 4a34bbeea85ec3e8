/*
 * links.c - pop3links.tab in memory, with how visits of each link went. That is kept in
 * hikyaku/fetch.tab, which `hikyaku fetch` reads, and which is read at the start, so that what
 * failed isn't tried at once by every new process.
 */
#include "admin/admin.h"
#include "fetch/home.h"
#include "sys/file.h"

#define TABLE "pop3links.tab"
#define STATE "hikyaku/fetch.tab"
#define LOOK_AGAIN (5 * USEC_S) /* whether it was switched on */

/* Columns of STATE behind those that name the link. */
enum { S_STATE = 4, S_LAST, S_NEXT, S_FAILURES, S_MESSAGES, S_BAD, S_ERROR, S_COLUMNS };

static bool is_same(const struct str *x, const struct str *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!str_ieq(x[i], y[i]))
            return false;
    return true;
}

static struct str key_of(const struct str *columns, struct arena *a)
{
    return arena_printf(a, "%.*s\t%.*s\t%.*s\t%.*s", STR_ARG(columns[0]), STR_ARG(columns[1]),
                        STR_ARG(columns[2]), STR_ARG(columns[3]));
}

struct link_state *links_find(const struct links *all, const struct str *columns)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    return map_get(&all->by_key, key_of(columns, &a));
}

static bool is_off(const struct link_state *s)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct admin_link link = { s->values[LINK_DOMAIN], s->values[LINK_ACCOUNT_NAME],
                                     s->values[LINK_SERVER], s->values[LINK_USER] };
    struct str path = admin_link_switch(&link, &a);
    return path.n > 0 && file_exists(path.p);
}

bool links_may_start(struct links *all, struct link_state *s, usec_t now)
{
    if (s->running || s->broken || (!s->asked && now < s->next_at) ||
        map_get(&all->busy, s->source) != NULL)
        return false;
    bool off = is_off(s);
    all->changed = all->changed || off != s->off;
    s->off = off;
    if (off) {
        s->asked = false;
        s->next_at = now + LOOK_AGAIN;
    }
    return !off;
}

void links_begin(struct links *all, struct link_state *s, struct str source)
{
    s->running = true;
    s->asked = false;
    (void)map_put(&all->busy, source, all);
    all->changed = true;
}

void links_end(struct links *all, struct str source)
{
    (void)map_remove(&all->busy, source);
    all->changed = true;
}

/* --- the table --------------------------------------------------------------------------- */

static void set_error(struct link_state *s, struct str text)
{
    (void)snprintf(s->error, sizeof(s->error), "%.*s", (int)MIN(text.n, sizeof(s->error) - 1),
                   text.p);
}

static struct link_state *state_new(const struct tab_row *row)
{
    struct link_state *s = mem_new(sizeof(*s));
    struct fetch_link link;
    struct err e = { .text = "" };
    s->values = arena_new_array(&s->mem, struct str, LINK_COLUMNS);
    s->count = MIN(row->count, (size_t)LINK_COLUMNS);
    for (size_t i = 0; i < LINK_COLUMNS; i++)
        s->values[i] = arena_str(&s->mem, tab_value(row, i));
    s->key = key_of(s->values, &s->mem);
    s->source = STR("");
    s->broken = link_parse(s->values, s->count, &s->mem, &link, &e) != RC_OK;
    if (s->broken) {
        set_error(s, str_from_c(e.text));
        tab_say_skipped(TABLE, row->line, str_from_c(e.text));
        return s;
    }
    s->source = link_source(&link, &s->mem);
    s->next_at = conf()->fetch_interval == 0 ? USEC_FOREVER : 0;
    return s;
}

static void state_free(struct link_state **s)
{
    arena_release(&(*s)->mem);
    mem_free(s);
}

/* What the process before knew. */
static void take_states(const struct links *all)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    struct err e;
    if (tab_read(STATE, &a, &tab, &e) != RC_OK)
        return;
    for (size_t i = 0; i < tab.row_count; i++) {
        const struct tab_row *row = &tab.rows[i];
        struct link_state *s = row->count == S_COLUMNS ? links_find(all, row->values) : NULL;
        int64_t last = 0, next = 0;
        if (s == NULL || s->broken || !str_to_i64(tab_value(row, S_LAST), &last) ||
            !str_to_i64(tab_value(row, S_NEXT), &next) ||
            !str_to_u64(tab_value(row, S_FAILURES), &s->failures) ||
            !str_to_u64(tab_value(row, S_MESSAGES), &s->messages) ||
            !str_to_u64(tab_value(row, S_BAD), &s->bad))
            continue;
        s->last_at = last * USEC_S;
        set_error(s, tab_value(row, S_ERROR));
        usec_t wait = next * USEC_S - clock_wall();
        if (s->failures > 0 && next > 0 && wait > 0 && wait <= 86400 * USEC_S)
            s->next_at = clock_mono() + wait;
    }
}

/* A row that is as it was keeps its state; a changed one begins anew. */
static void take_row(struct links *all, struct map *old, const struct tab_row *row)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const char *why = row->count < LINK_COLUMNS - 1          ? "too few values"
                      : links_find(all, row->values) != NULL ? "this link stands above"
                                                             : NULL;
    if (why != NULL) {
        tab_say_skipped(TABLE, row->line, str_from_c(why));
        return;
    }
    struct link_state *s = map_remove(old, key_of(row->values, &a));
    bool same = s != NULL, running = s != NULL && s->running;
    for (size_t c = 0; same && c < LINK_COLUMNS; c++)
        same = str_eq(s->values[c], tab_value(row, c));
    if (s != NULL && !same)
        state_free(&s);
    if (s == NULL)
        s = state_new(row);
    s->running = running;
    all->all[all->count++] = s;
    (void)map_put(&all->by_key, s->key, s);
}

static void take_table(struct links *all, const struct tab *tab)
{
    struct map old = all->by_key;
    struct str key;
    void *gone = NULL;
    size_t at = 0;
    if (all->all != NULL)
        mem_free(&all->all);
    all->all = mem_new((tab->row_count + 1) * sizeof(struct link_state *));
    all->count = all->turn = 0;
    all->by_key = (struct map){ .fold = true };
    for (size_t i = 0; i < tab->row_count; i++)
        take_row(all, &old, &tab->rows[i]);
    while (map_next(&old, &at, &key, &gone)) {
        struct link_state *s = gone;
        state_free(&s);
    }
    map_release(&old);
}

void links_refresh(struct links *all)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct file_id now;
    struct tab tab;
    struct err e = { .text = "" };
    bool first = all->stale;
    if (file_id_get(TABLE, &now, &e) != RC_OK || (!first && file_id_eq(&now, &all->seen)) ||
        (!first && !tab_is_settled(&all->watch, TABLE, &now)) ||
        tab_read(TABLE, &a, &tab, &e) != RC_OK)
        return;
    all->seen = tab.id;
    all->stale = false;
    for (size_t i = 0; i < tab.problem_count; i++)
        tab_say_skipped(TABLE, tab.problems[i].line, tab.problems[i].text);
    take_table(all, &tab);
    if (first)
        take_states(all);
    all->changed = true;
}

/* --- what is shown ----------------------------------------------------------------------- */

static const char *state_word(const struct link_state *s)
{
    return s->broken ? "broken" : s->running ? "fetching" : s->off ? "off" : "waits";
}

static enum rc print_state(struct buf *out, const struct link_state *s, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    bool plans = !s->broken && !s->off && s->next_at != USEC_FOREVER;
    usec_t next = plans ? clock_wall() + MAX(s->next_at - clock_mono(), (usec_t)0) : 0;
    char *error = arena_c(&a, str_from_c(s->error));
    for (char *c = error; *c != '\0'; c++)
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    const struct str values[S_COLUMNS] = {
        s->values[LINK_DOMAIN],
        s->values[LINK_ACCOUNT_NAME],
        s->values[LINK_SERVER],
        s->values[LINK_USER],
        str_from_c(state_word(s)),
        arena_printf(&a, "%" PRId64, s->last_at / USEC_S),
        arena_printf(&a, "%" PRId64, next / USEC_S),
        arena_printf(&a, "%" PRIu64, s->failures),
        arena_printf(&a, "%" PRIu64, s->messages),
        arena_printf(&a, "%" PRIu64, s->bad),
        str_from_c(error),
    };
    return tab_print_row(out, values, S_COLUMNS, "\n", e);
}

void links_write(struct links *all)
{
    struct buf text AUTO_RELEASE_BUF;
    struct err e = { .text = "" };
    enum rc rc = RC_OK;
    buf_init(&text, TAB_FILE_MAX);
    if (!all->changed)
        return;
    for (size_t i = 0; rc == RC_OK && i < all->count; i++)
        rc = print_state(&text, all->all[i], &e);
    if (rc == RC_OK)
        rc = file_replace(STATE, buf_str(&text), 0600, &e);
    if (rc != RC_OK)
        log_warn(EV("state of fetching not written"), KE(&e));
    all->changed = rc != RC_OK;
}

static void take_report(const struct tab *states, const struct str *link,
                        struct fetch_report *out)
{
    for (size_t i = 0; i < states->row_count; i++) {
        const struct tab_row *row = &states->rows[i];
        int64_t last = 0, next = 0;
        if (row->count != S_COLUMNS || !is_same(row->values, link, S_STATE))
            continue;
        out->state = tab_value(row, S_STATE);
        out->error = tab_value(row, S_ERROR);
        if (str_to_i64(tab_value(row, S_LAST), &last) &&
            str_to_i64(tab_value(row, S_NEXT), &next)) {
            out->last_at = last * USEC_S;
            out->next_at = next * USEC_S;
        }
        (void)str_to_u64(tab_value(row, S_FAILURES), &out->failures);
        (void)str_to_u64(tab_value(row, S_MESSAGES), &out->messages);
        (void)str_to_u64(tab_value(row, S_BAD), &out->bad);
    }
}

enum rc fetch_each(fetch_report_fn *fn, void *ctx, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab table, states;
    enum rc rc = tab_read(TABLE, &a, &table, e);
    if (rc == RC_OK)
        rc = tab_read(STATE, &a, &states, e);
    for (size_t i = 0; rc == RC_OK && i < table.row_count; i++) {
        struct fetch_report r = { .state = STR("new"), .error = STR("") };
        if (table.rows[i].count < LINK_COLUMNS - 1)
            continue;
        take_report(&states, table.rows[i].values, &r);
        fn(ctx, table.rows[i].values, &r);
    }
    return rc;
}

/*
 * select.c - filters.in.tab and filters.out.tab: which files of filters a message is for. They
 * are kept in memory; without lines a question costs nothing but a look at the clock.
 */
#include "base/ip.h"
#include "process/process.h"
#include <stdatomic.h>

struct selector {
    unsigned line;
    struct str sender, recipient;
    struct ip_net remote, local;
    struct str file; /* "filters/NAME" */
};
struct selectors {
    struct arena mem;
    struct selector *list;
    size_t count;
};

static const char *const names[FILTER_WAYS] = { "filters.in.tab", "filters.out.tab" };
static struct tab_cache *_Atomic caches[FILTER_WAYS];

/* NULL, or the reason why the row is no good. */
static const char *parse_row(const struct tab_row *row, struct arena *a, struct selector *out)
{
    struct str file = tab_value(row, 4);
    if (row->count != 5)
        return "not five values";
    if (!ip_net_parse(tab_value(row, 2), STR(""), &out->remote) ||
        !ip_net_parse(tab_value(row, 3), STR(""), &out->local))
        return "not an address/bits";
    out->line = row->line;
    out->sender = arena_str(a, tab_value(row, 0));
    out->recipient = arena_str(a, tab_value(row, 1));
    out->file = arena_printf(a, "filters/%.*s", STR_ARG(file));
    return program_table_is_good(out->file) ? NULL : "not the name of a file below filters/";
}

const char *filter_row_problem(const struct tab_row *row)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct selector ignored;
    return parse_row(row, &a, &ignored);
}

static void *parse(const struct tab *tab, void *ctx)
{
    struct selectors *t = mem_new(sizeof(*t));
    (void)ctx;
    t->list = arena_new_array(&t->mem, struct selector, tab->row_count + 1);
    for (size_t i = 0; i < tab->row_count; i++) {
        const char *why = parse_row(&tab->rows[i], &t->mem, &t->list[t->count]);
        t->count += why == NULL;
        if (why != NULL)
            tab_say_skipped(tab->path, tab->rows[i].line, str_from_c(why));
    }
    return t;
}

static void release(void *value)
{
    struct selectors *t = value;
    arena_release(&t->mem);
    mem_free(&t);
}

static struct tab_cache *cache_of(enum filter_way way)
{
    struct tab_cache *c = atomic_load(&caches[way]);
    if (c != NULL)
        return c;
    struct tab_cache *fresh = tab_cache_new(names[way], parse, release, NULL);
    if (atomic_compare_exchange_strong(&caches[way], &c, fresh))
        return fresh;
    tab_cache_free(&fresh);
    return c;
}

/* The address in "[ip]:port". Mail that was born here comes from here. */
static struct ip ip_of(struct str text)
{
    struct ip ip;
    struct str address = str_head(text, MIN(str_rfind(text, ':'), text.n));
    if (!ip_parse(address, &ip))
        (void)ip_parse(STR("127.0.0.1"), &ip);
    return ip;
}

bool filters_select(enum filter_way way, const struct filter_subject *s, struct arena *a,
                    struct filter_choice *out)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct selectors *t = tab_cache_get(cache_of(way), &ref, &suspect);
    size_t count = t == NULL ? 0 : t->count;
    *out = (struct filter_choice){ .count = 0 };
    if (count > 0)
        out->files = arena_new_array(a, struct str, count);
    struct ip remote = ip_of(s->remote), local = ip_of(s->local);
    for (size_t i = 0; i < count; i++) {
        const struct selector *line = &t->list[i];
        if (str_matches(s->sender, line->sender) &&
            str_matches(s->recipient, line->recipient) && ip_in_net(&remote, &line->remote) &&
            ip_in_net(&local, &line->local))
            out->files[out->count++] = arena_str(a, line->file);
    }
    tab_cache_put(cache_of(way), &ref);
    out->uncertain = suspect;
    return out->count > 0 || suspect;
}

bool filters_are_listed(enum filter_way way)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct selectors *t = tab_cache_get(cache_of(way), &ref, &suspect);
    bool any = suspect || (t != NULL && t->count > 0);
    tab_cache_put(cache_of(way), &ref);
    return any;
}

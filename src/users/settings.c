/*
 * settings.c - what an account's own tables say: user.tab, and whether its mail needs the
 * processing of mailproc.tab or filters.in.tab.
 */
#include "conf/tab.h"
#include "users/users.h"
#include <stdatomic.h>

/* The recipient patterns of filters.in.tab. */
struct filter_table {
    struct arena mem;
    struct str *patterns;
    size_t count;
};

static struct tab_cache *_Atomic filter_cache;

enum rc users_options(const struct account *account, struct arena *a, struct user_options *out,
                      struct err *e)
{
    struct tab tab;
    struct err ignored;
    struct str path = arena_printf(a, "%.*s/user.tab", STR_ARG(account->folder));
    enum rc rc = tab_read(path.p, a, &tab, e == NULL ? &ignored : e);
    if (rc != RC_OK)
        return rc;
    user_options_parse(&tab, out);
    return RC_OK;
}

/* --- filters.in.tab ---------------------------------------------------------------------- */

static void *filters_parse(const struct tab *tab, void *ctx)
{
    (void)ctx;
    struct filter_table *t = mem_new(sizeof(*t));
    t->patterns = arena_new_array(&t->mem, struct str, tab->row_count + 1);
    for (size_t i = 0; i < tab->row_count; i++)
        t->patterns[t->count++] = arena_str(&t->mem, tab_value(&tab->rows[i], 1));
    return t;
}

static void filters_release(void *value)
{
    struct filter_table *t = value;
    arena_release(&t->mem);
    mem_free(&t);
}

static struct tab_cache *cache(void)
{
    struct tab_cache *c = atomic_load(&filter_cache);
    if (c != NULL)
        return c;
    struct tab_cache *fresh =
        tab_cache_new("filters.in.tab", filters_parse, filters_release, NULL);
    if (atomic_compare_exchange_strong(&filter_cache, &c, fresh))
        return fresh;
    tab_cache_free(&fresh);
    return c;
}

/* Is there a filter whose recipient pattern matches? A line that can't be understood may be
 * one. */
static bool has_filter(struct str address)
{
    struct tab_cached *ref = NULL;
    bool suspect = false, found = false;
    const struct filter_table *t = tab_cache_get(cache(), &ref, &suspect);
    for (size_t i = 0; t != NULL && i < t->count && !found; i++)
        found = t->patterns[i].n == 0 || str_matches(address, t->patterns[i]);
    if (t == NULL)
        found = suspect;
    tab_cache_put(cache(), &ref);
    return found;
}

/* --- mailproc.tab ------------------------------------------------------------------------ */

/* Does the table ask for more than the default, the mailbox? An empty one doesn't
 * (specification 6, item 9); one that can't be read may. */
static bool has_commands(const char *path, struct arena *a)
{
    struct tab tab;
    struct file_id id;
    struct err e;
    if (file_id_get(path, &id, &e) == RC_OK && id.ino == 0)
        return false;
    if (tab_read(path, a, &tab, &e) != RC_OK)
        return true;
    bool only_mailbox = tab.row_count == 1 && tab.rows[0].count == 1 &&
                        str_ieq(tab.rows[0].values[0], STR("mailbox"));
    return tab.problem_count > 0 || (tab.row_count > 0 && !only_mailbox);
}

bool users_needs_processing(const struct account *account, struct arena *a)
{
    struct str user = arena_printf(a, "%.*s/mailproc.tab", STR_ARG(account->folder));
    struct str domain = arena_printf(a, "domains/%.*s/mailproc.tab", STR_ARG(account->domain));
    struct str address =
        arena_printf(a, "%.*s@%.*s", STR_ARG(account->name), STR_ARG(account->domain));
    return has_commands(user.p, a) || has_commands(domain.p, a) || has_filter(address);
}

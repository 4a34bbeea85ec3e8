/*
 * external.c - extaliases.tab: which local address stands for an address elsewhere. Small, and
 * read from its table by each role that needs it.
 */
#include "conf/tab.h"
#include "users/index_int.h"

/* One version of the table. */
struct external_table {
    struct arena mem;
    struct map by_address; /* "account@domain" -> struct address * */
};

static struct tab_cache *_Atomic external_cache;

/* "account@domain" with the domain's key; false: not a domain. */
static bool external_key(struct str account, struct str domain, struct arena *a,
                         struct str *out)
{
    struct str key;
    if (account.n == 0 || !index_domain_key(domain, a, &key))
        return false;
    *out = arena_printf(a, "%.*s@%.*s", STR_ARG(account), STR_ARG(key));
    return true;
}

static void add_row(struct external_table *t, const struct tab *tab, const struct tab_row *row)
{
    struct str key, domain, user = tab_value(row, 3);
    if (row->count < 4 || user.n == 0 ||
        !external_key(tab_value(row, 1), tab_value(row, 0), &t->mem, &key) ||
        !index_domain_key(tab_value(row, 2), &t->mem, &domain)) {
        tab_say_skipped(tab->path, row->line,
                        STR("needs domain, account, local domain and local user"));
        return;
    }
    if (map_get(&t->by_address, key) != NULL)
        return;
    struct address *local = arena_new(&t->mem, sizeof(*local));
    *local = (struct address){ .local = arena_str(&t->mem, user),
                               .domain = arena_str(&t->mem, domain),
                               .needs_utf8 = !str_is_ascii(user) };
    (void)map_put(&t->by_address, key, local);
}

static void *external_parse(const struct tab *tab, void *ctx)
{
    (void)ctx;
    struct external_table *t = mem_new(sizeof(*t));
    t->by_address.fold = true;
    for (size_t i = 0; i < tab->row_count; i++)
        add_row(t, tab, &tab->rows[i]);
    return t;
}

static void external_release(void *value)
{
    struct external_table *t = value;
    map_release(&t->by_address);
    arena_release(&t->mem);
    mem_free(&t);
}

static struct tab_cache *cache(void)
{
    struct tab_cache *c = atomic_load(&external_cache);
    if (c != NULL)
        return c;
    struct tab_cache *fresh =
        tab_cache_new("extaliases.tab", external_parse, external_release, NULL);
    if (atomic_compare_exchange_strong(&external_cache, &c, fresh))
        return fresh;
    tab_cache_free(&fresh);
    return c;
}

bool users_external_alias(const struct address *ext, struct arena *a, struct address *out_local)
{
    struct str key;
    struct tab_cached *ref = NULL;
    bool suspect = false, found = false;
    if (ext->is_null || !external_key(ext->local, ext->domain, a, &key))
        return false;
    const struct external_table *t = tab_cache_get(cache(), &ref, &suspect);
    const struct address *local = t == NULL ? NULL : map_get(&t->by_address, key);
    if (local != NULL) {
        *out_local = (struct address){ .local = arena_str(a, local->local),
                                       .domain = arena_str(a, local->domain),
                                       .needs_utf8 = local->needs_utf8 };
        found = true;
    }
    tab_cache_put(cache(), &ref);
    return found;
}

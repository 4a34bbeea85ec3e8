/*
 * groups.c - groups of accounts: groups.tab has their days, groupmembers.tab who belongs to
 * them, groups/ID.tab what is done with their mail besides. Both tables are kept in memory; an
 * account that is in none costs one look-up.
 */
#include "base/day.h"
#include "base/map.h"
#include "conf/tab.h"
#include "users/users.h"
#include <stdatomic.h>

struct group {
    struct str first, last; /* days; may be empty */
};
struct membership {
    struct membership *next;
    struct str group;
};
/* Of either table: by id, or by "account@domain". */
struct known {
    struct arena mem;
    struct map by_name;
};

static struct known *known_new(bool fold)
{
    struct known *k = mem_new(sizeof(*k));
    k->by_name.fold = fold;
    return k;
}

static void known_free(void *value)
{
    struct known *k = value;
    map_release(&k->by_name);
    arena_release(&k->mem);
    mem_free(&k);
}

bool users_group_id_is_good(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!((id.p[i] >= 'a' && id.p[i] <= 'z') || (id.p[i] >= '0' && id.p[i] <= '9') ||
              (id.p[i] == '-' && i > 0)))
            return false;
    return id.n > 0 && id.n <= USERS_GROUP_ID_MAX;
}

static void *parse_groups(const struct tab *tab, void *ctx)
{
    struct known *k = known_new(false);
    (void)ctx;
    for (size_t i = 0; i < tab->row_count; i++) {
        const struct tab_row *row = &tab->rows[i];
        if (!users_group_id_is_good(tab_value(row, 0))) {
            tab_say_skipped(tab->path, row->line, STR("not the id of a group"));
            continue;
        }
        struct group *g = arena_new(&k->mem, sizeof(*g));
        g->first = arena_str(&k->mem, tab_value(row, 2));
        g->last = arena_str(&k->mem, tab_value(row, 3));
        (void)map_put(&k->by_name, arena_str(&k->mem, tab_value(row, 0)), g);
    }
    return k;
}

static struct str member_key(struct str name, struct str domain, struct arena *a)
{
    return arena_printf(a, "%.*s@%.*s", STR_ARG(name), STR_ARG(domain));
}

static void *parse_members(const struct tab *tab, void *ctx)
{
    struct known *k = known_new(true);
    (void)ctx;
    for (size_t i = tab->row_count; i-- > 0;) {
        const struct tab_row *row = &tab->rows[i];
        struct str key = member_key(tab_value(row, 2), tab_value(row, 1), &k->mem);
        struct membership *m = arena_new(&k->mem, sizeof(*m));
        m->group = arena_str(&k->mem, tab_value(row, 0));
        m->next = map_get(&k->by_name, key);
        (void)map_put(&k->by_name, key, m);
    }
    return k;
}

static struct tab_cache *cache(struct tab_cache *_Atomic *place, const char *path,
                               tab_parse_fn *parse)
{
    struct tab_cache *c = atomic_load(place);
    if (c != NULL)
        return c;
    struct tab_cache *fresh = tab_cache_new(path, parse, known_free, NULL);
    if (atomic_compare_exchange_strong(place, &c, fresh))
        return fresh;
    tab_cache_free(&fresh);
    return c;
}

/* Those of the memberships whose group is in force. */
static size_t in_force(const struct membership *m, struct str today, struct arena *a,
                       struct str out[USERS_GROUPS_MAX])
{
    static struct tab_cache *_Atomic place;
    struct tab_cache *groups = cache(&place, "groups.tab", parse_groups);
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct known *all = tab_cache_get(groups, &ref, &suspect);
    size_t n = 0;
    for (; m != NULL && all != NULL && n < USERS_GROUPS_MAX; m = m->next) {
        const struct group *g = map_get(&all->by_name, m->group);
        if (g != NULL && day_is_within(today, g->first, g->last))
            out[n++] = arena_str(a, m->group);
    }
    tab_cache_put(groups, &ref);
    return n;
}

size_t users_groups(const struct account *account, struct str today, struct arena *a,
                    struct str out[USERS_GROUPS_MAX])
{
    static struct tab_cache *_Atomic place;
    struct tab_cache *members = cache(&place, "groupmembers.tab", parse_members);
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct known *k = tab_cache_get(members, &ref, &suspect);
    const struct membership *m =
        k == NULL || k->by_name.live == 0
            ? NULL
            : map_get(&k->by_name, member_key(account->name, account->domain, a));
    size_t n = m == NULL ? 0 : in_force(m, today, a, out);
    tab_cache_put(members, &ref);
    return n;
}

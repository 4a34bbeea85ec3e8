/*
 * access.c - tables of client addresses: *.ipmap.tab and smtprelay.tab. The server's own are
 * cached, as prefix trees; those of accounts (pop3.ipmap.tab), which are rare and needed once a
 * login, are read each time. A line that can't be understood is skipped and reported; a table
 * that can't be read lets nobody in.
 */
#include "conf/tab.h"
#include "sys/lock.h"
#include "users/users.h"
#include <stdlib.h>

#define CACHED_MAX 32u /* tables; the program has a dozen names for them */

struct access_rule {
    struct ip_net net;
    int64_t precedence;
    bool allow;
    unsigned line;
};

/* One version of a table. */
struct access_table {
    struct arena mem;
    struct access_rule *rules; /* those that win first */
    size_t count;
    struct nets nets; /* rank n: rules[n - 1] */
};

/* A table this process has asked for. */
struct access_cache {
    const char *path;
    struct tab_cache *tab;
};

static struct lock access_lock = LOCK_INIT(LOCK_LEAF);
static struct arena access_mem; /* the paths */
static struct access_cache caches[CACHED_MAX];
static size_t cache_count;

/* --- lines ------------------------------------------------------------------------------- */

/*
 * "ip" "mask" "ALLOW" precedence, or with "ip/bits" and no mask column. `relay`: "ip" "mask"
 * or "ip/bits", nothing else needed. Returns the reason for a bad line, or NULL.
 */
static const char *parse_rule(const struct tab_row *row, bool relay, struct access_rule *out)
{
    static const char *const bad_net = "not an address and a netmask";
    size_t at = 1;
    struct str mask = { "", 0 }, verdict = tab_value(row, 1);
    bool has_mask = !str_ieq(verdict, STR("ALLOW")) && !str_ieq(verdict, STR("DENY"));
    if (has_mask) {
        mask = tab_value(row, 1);
        verdict = tab_value(row, 2);
        at = 2;
    }
    if (str_find(tab_value(row, 0), '/') != SIZE_MAX)
        mask = str_from("", 0);
    else if (relay && mask.n == 0)
        return bad_net;
    *out = (struct access_rule){ .line = row->line, .allow = true };
    if (!ip_net_parse(tab_value(row, 0), mask, &out->net))
        return bad_net;
    if (relay)
        return NULL;
    out->allow = str_ieq(verdict, STR("ALLOW"));
    if (!out->allow && !str_ieq(verdict, STR("DENY")))
        return "neither ALLOW nor DENY";
    struct str precedence = tab_value(row, at + 1);
    if (precedence.n > 0 && !str_to_i64(str_trim(precedence), &out->precedence))
        return "the precedence is not a number";
    return NULL;
}

/* Highest precedence first, DENY before ALLOW among equals, then the order of the file. */
static int compare(const void *x, const void *y)
{
    const struct access_rule *a = x, *b = y;
    if (a->precedence != b->precedence)
        return a->precedence > b->precedence ? -1 : 1;
    if (a->allow != b->allow)
        return a->allow ? 1 : -1;
    return a->line < b->line ? -1 : 1;
}

static void table_fill(struct access_table *t, const struct tab *tab, bool relay)
{
    t->rules = arena_new_array(&t->mem, struct access_rule, tab->row_count + 1);
    for (size_t i = 0; i < tab->row_count; i++) {
        const char *why = parse_rule(&tab->rows[i], relay, &t->rules[t->count]);
        if (why == NULL)
            t->count++;
        else
            tab_say_skipped(tab->path, tab->rows[i].line, str_from_c(why));
    }
    qsort(t->rules, t->count, sizeof(*t->rules), compare);
    for (size_t i = 0; i < t->count; i++)
        nets_add(&t->nets, &t->rules[i].net, (uint32_t)i + 1);
    nets_finish(&t->nets);
}

static void table_release(struct access_table *t)
{
    nets_release(&t->nets);
    arena_release(&t->mem);
}

/* The rule that decides, NULL: none. */
static const struct access_rule *decide(const struct access_table *t, const struct ip *client)
{
    uint32_t rank = nets_find(&t->nets, client);
    return rank == 0 ? NULL : &t->rules[rank - 1];
}

/* --- cached tables ----------------------------------------------------------------------- */

static void *access_parse(const struct tab *tab, void *ctx)
{
    struct access_table *t = mem_new(sizeof(*t));
    table_fill(t, tab, ctx != NULL);
    return t;
}

static void access_release(void *value)
{
    struct access_table *t = value;
    table_release(t);
    mem_free(&t);
}

static struct tab_cache *cache_known(const char *path)
{
    for (size_t i = 0; i < cache_count; i++)
        if (strcmp(caches[i].path, path) == 0)
            return caches[i].tab;
    return NULL;
}

/* The cache of a table in the MailRoot's own folder, NULL: none for this path. */
static struct tab_cache *cache_for(const char *path, bool relay)
{
    static char relay_mark;
    if (strchr(path, '/') != NULL)
        return NULL;
    lock_take(&access_lock);
    struct tab_cache *known = cache_known(path);
    bool full = cache_count == CACHED_MAX;
    lock_drop(&access_lock);
    if (known != NULL || full)
        return known;
    /* Making one reads the table, which is not done under a lock. */
    struct tab_cache *fresh =
        tab_cache_new(path, access_parse, access_release, relay ? &relay_mark : NULL);
    lock_take(&access_lock);
    known = cache_known(path);
    if (known == NULL && cache_count < CACHED_MAX) {
        caches[cache_count++] =
            (struct access_cache){ arena_c(&access_mem, str_from_c(path)), fresh };
        known = fresh;
        fresh = NULL;
    }
    lock_drop(&access_lock);
    tab_cache_free(&fresh);
    return known;
}

static bool allowed_by(const struct access_table *t, const struct ip *client,
                       unsigned *out_line)
{
    const struct access_rule *r = decide(t, client);
    *out_line = r == NULL ? 0 : r->line;
    return r == NULL || r->allow;
}

static bool allowed_uncached(const char *path, const struct ip *client, unsigned *out_line)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct access_table t = { .count = 0 };
    struct tab tab;
    struct err e;
    if (tab_read(path, &a, &tab, &e) != RC_OK) {
        log_warn(EV("access table unreadable, access denied"), KV("file", path), KE(&e));
        return false;
    }
    table_fill(&t, &tab, false);
    bool allowed = allowed_by(&t, client, out_line);
    table_release(&t);
    return allowed;
}

bool access_is_allowed(const char *path, const struct ip *client, unsigned *out_line)
{
    struct tab_cached *ref = NULL;
    struct tab_cache *cache = cache_for(path, false);
    bool suspect = false;
    *out_line = 0;
    if (cache == NULL)
        return allowed_uncached(path, client, out_line);
    const struct access_table *t = tab_cache_get(cache, &ref, &suspect);
    bool allowed = t == NULL ? !suspect : allowed_by(t, client, out_line);
    tab_cache_put(cache, &ref);
    return allowed;
}

bool access_may_relay(const struct ip *client, unsigned *out_line)
{
    struct tab_cached *ref = NULL;
    struct tab_cache *cache = cache_for("smtprelay.tab", true);
    bool suspect = false;
    *out_line = 0;
    if (cache == NULL)
        return false;
    const struct access_table *t = tab_cache_get(cache, &ref, &suspect);
    const struct access_rule *r = t == NULL ? NULL : decide(t, client);
    *out_line = r == NULL ? 0 : r->line;
    bool may = r != NULL;
    tab_cache_put(cache, &ref);
    return may;
}

/*
 * lookup.c - what an address or a login name means. The rule for a name in a domain
 * (specification 1, section 2: aliases.tab; 6, item 7), first hit decides:
 *   1. cmdaliases/DOMAIN/NAME.tab
 *   2. the account
 *   3. the exact alias, if its target is an account or lies outside
 *   4. with RecipientDelimiter: 1 to 3 for the name before the delimiter
 *   5. the wildcard alias whose patterns are longest together, under the same condition
 * first in the domain itself, then in the domain that it is an alias of. So a catch-all doesn't
 * take user+tag away from user. An alias leads one step, to an account only.
 *
 * Names of files are made from addresses here: never with a slash, a leading dot or a control
 * character.
 */
#include "users/index_int.h"

#define FILE_NAME_MAX ((size_t)200)

/* A look-up under way. */
struct query {
    const struct index_map *ix;
    struct arena *a;
    bool with_files; /* cmdaliases and custdomains count */
    struct recipient found;
};

/* A domain in which a name is looked for. */
struct place {
    uint32_t offset; /* of its entry, 0: none */
    struct str key;
    struct str folder; /* as written in the table */
    bool is_local;
};

enum hit { HIT_NONE, HIT_FOUND, HIT_ERROR };

/* --- domains ----------------------------------------------------------------------------- */

static struct place place_from(const struct index_map *ix, uint32_t offset, struct str key)
{
    struct place p = { .key = key, .folder = key };
    const struct index_entry *entry = index_entry(ix, offset);
    if (entry == NULL || entry->kind != ENTRY_DOMAIN)
        return p;
    p.offset = offset;
    p.key = index_text(entry, 0);
    p.folder = entry->text_n[1] > 0 ? index_text(entry, 1) : p.key;
    p.is_local = entry_has(entry, ENTRY_LOCAL);
    return p;
}

/* The domain that key is an alias of: exact, else the first pattern that matches; 0: none. */
static uint32_t alias_domain(const struct index_map *ix, struct str key)
{
    const struct index_entry *entry = index_find(ix, ENTRY_DOMAIN_ALIAS, 0, key, NULL);
    if (entry != NULL)
        return atomic_load_explicit(&entry->extra, memory_order_relaxed);
    uint32_t steps = INDEX_STEPS_MAX;
    entry =
        index_entry(ix, atomic_load_explicit(&ix->head->wild_domains, memory_order_acquire));
    for (; entry != NULL; entry = index_next(ix, entry, &steps))
        if (!entry_has(entry, ENTRY_DEAD) && str_matches(key, index_text(entry, 0)))
            return entry->domain;
    return 0;
}

/* The places of a domain: itself and what it is an alias of. 0: not a domain of ours. */
static size_t domain_places(const struct index_map *ix, struct str domain, struct arena *a,
                            struct place out[2])
{
    struct str key;
    uint32_t offset = 0;
    if (!index_domain_key(domain, a, &key))
        return 0;
    (void)index_find(ix, ENTRY_DOMAIN, 0, key, &offset);
    out[0] = place_from(ix, offset, key);
    out[1] = place_from(ix, alias_domain(ix, key), key);
    if (out[1].is_local && out[1].offset != out[0].offset)
        return 2;
    return out[0].is_local ? 1 : 0;
}

bool users_domain_is_local(struct str domain)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct place places[2];
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    return ix != NULL && domain_places(ix, domain, &a, places) > 0;
}

/* --- accounts ---------------------------------------------------------------------------- */

static void copy_account(const struct place *p, const struct index_entry *entry,
                         struct arena *a, struct account *out)
{
    struct str folder = index_text(entry, entry->text_n[2] > 0 ? 2 : 0);
    *out = (struct account){
        .domain = arena_str(a, p->folder),
        .name = arena_str(a, index_text(entry, 0)),
        .password = arena_str(a, index_text(entry, 1)),
        .folder = arena_printf(a, "domains/%.*s/%.*s", STR_ARG(p->folder), STR_ARG(folder)),
        .id = atomic_load_explicit(&entry->extra, memory_order_relaxed),
        .type = entry_has(entry, ENTRY_LIST) ? ACCOUNT_LIST : ACCOUNT_USER,
    };
}

static bool find_account(const struct index_map *ix, const struct place *p, struct str name,
                         struct arena *a, struct account *out)
{
    const struct index_entry *entry =
        p->offset == 0 ? NULL : index_find(ix, ENTRY_ACCOUNT, p->offset, name, NULL);
    if (entry == NULL)
        return false;
    copy_account(p, entry, a, out);
    return true;
}

bool users_domain_find(struct str domain, struct arena *a, struct str *out_name)
{
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    struct str key;
    uint32_t offset = 0;
    if (ix == NULL || !index_domain_key(domain, a, &key) ||
        index_find(ix, ENTRY_DOMAIN, 0, key, &offset) == NULL)
        return false;
    struct place p = place_from(ix, offset, key);
    *out_name = arena_str(a, p.folder);
    return p.is_local;
}

bool users_account_find(struct str domain, struct str name, struct arena *a,
                        struct account *out)
{
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    uint32_t offset = ix == NULL ? 0 : index_local_domain(ix, a, domain);
    if (offset == 0)
        return false;
    struct place p = place_from(ix, offset, domain);
    return find_account(ix, &p, name, a, out);
}

bool users_alias_find(struct str domain, struct str alias, struct arena *a)
{
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    struct str key;
    uint32_t offset = 0;
    return ix != NULL && index_domain_key(domain, a, &key) &&
           index_find(ix, ENTRY_DOMAIN, 0, key, &offset) != NULL &&
           index_find(ix, ENTRY_ALIAS, offset, alias, NULL) != NULL;
}

static bool take_account(struct query *q, const struct place *p, struct str name)
{
    struct account account;
    if (!find_account(q->ix, p, name, q->a, &account))
        return false;
    q->found.kind = account.type == ACCOUNT_LIST ? RECIPIENT_LIST : RECIPIENT_ACCOUNT;
    q->found.account = account;
    return true;
}

/* --- files ------------------------------------------------------------------------------- */

static bool is_file_name(struct str s)
{
    return s.n > 0 && s.n <= FILE_NAME_MAX && s.p[0] != '.' && !str_has_control(s) &&
           !str_has_any(s, "/\\");
}

static enum hit file_hit(const char *path, struct err *e)
{
    struct stat st;
    if (io_stat(path, &st) == 0)
        return HIT_FOUND;
    if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)
        return HIT_NONE;
    (void)err_sys(e, "stat %s", path);
    return HIT_ERROR;
}

static struct str lower(struct str s, struct arena *a)
{
    char *p = arena_c(a, s);
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(p[i]);
    return str_from(p, s.n);
}

/* cmdaliases/DOMAIN/NAME.tab, the name as given or in lower case. */
static enum hit find_cmdalias(struct query *q, const struct place *p, struct str name,
                              struct err *e)
{
    struct str names[2] = { name, lower(name, q->a) };
    if (!q->with_files || !is_file_name(name) || !is_file_name(p->folder))
        return HIT_NONE;
    for (size_t i = 0; i < (str_eq(names[0], names[1]) ? 1u : 2u); i++) {
        struct str path = arena_printf(q->a, "cmdaliases/%.*s/%.*s.tab", STR_ARG(p->folder),
                                       STR_ARG(names[i]));
        enum hit hit = file_hit(path.p, e);
        if (hit == HIT_FOUND) {
            q->found.kind = RECIPIENT_CMDALIAS;
            q->found.target.local = arena_str(q->a, names[i]);
            q->found.target.domain = arena_str(q->a, p->folder);
        }
        if (hit != HIT_NONE)
            return hit;
    }
    return HIT_NONE;
}

/* custdomains/STEM.tab with STEM the domain, ".parent" names from the longest, then nothing. */
static enum hit find_custdomain(struct query *q, const struct address *to, struct err *e)
{
    struct str domain = to->domain, stem = domain;
    if (!q->with_files || !is_file_name(domain) || domain.p[0] == '[')
        return HIT_NONE;
    for (;;) {
        struct str path = arena_printf(q->a, "custdomains/%.*s.tab", STR_ARG(stem));
        enum hit hit = file_hit(path.p, e);
        if (hit == HIT_FOUND) {
            q->found.kind = RECIPIENT_CUSTDOMAIN;
            q->found.target.local = arena_str(q->a, to->local);
            q->found.target.domain = arena_str(q->a, stem);
        }
        if (hit != HIT_NONE || stem.n == 0)
            return hit;
        struct str behind = stem.p == domain.p ? stem : str_skip(stem, 1);
        stem = str_skip(behind, MIN(str_find(behind, '.'), behind.n));
    }
}

/* --- aliases ----------------------------------------------------------------------------- */

/* Follows an alias of the place: true when its target is an account of ours or not local. */
static bool take_alias(struct query *q, const struct place *p, const struct index_entry *alias)
{
    struct str local = index_text(alias, 1), domain = index_text(alias, 2);
    struct place places[2] = { *p };
    size_t count = domain.n == 0 ? 1 : domain_places(q->ix, domain, q->a, places);
    if (count == 0) {
        q->found.kind = RECIPIENT_EXTERNAL;
        q->found.target = (struct address){ .local = arena_str(q->a, local),
                                            .domain = lower(domain, q->a),
                                            .needs_utf8 = !str_is_ascii(local) };
        q->found.via_alias = true;
        return true;
    }
    for (size_t i = 0; i < count; i++)
        if (take_account(q, &places[i], local)) {
            q->found.via_alias = true;
            return true;
        }
    return false;
}

static bool take_exact_alias(struct query *q, const struct place *p, struct str name)
{
    const struct index_entry *alias =
        p->offset == 0 ? NULL : index_find(q->ix, ENTRY_ALIAS, p->offset, name, NULL);
    return alias != NULL && take_alias(q, p, alias);
}

static bool wild_matches(const struct index_entry *entry, const struct place *p,
                         struct str name, size_t *out_weight)
{
    struct str pattern = index_text(entry, 0), domain = p->key;
    *out_weight = pattern.n + domain.n;
    if (entry->domain == 0) {
        size_t at = str_rfind(pattern, '@');
        domain = str_skip(pattern, at == SIZE_MAX ? pattern.n : at + 1);
        pattern = str_head(pattern, at);
        *out_weight = pattern.n + domain.n;
    }
    return !entry_has(entry, ENTRY_DEAD) && str_matches(name, pattern) &&
           (entry->domain != 0 || str_matches(p->key, domain));
}

/* The first match in a chain that is sorted by length. */
static const struct index_entry *first_wild(const struct query *q, uint32_t offset,
                                            const struct place *p, struct str name,
                                            size_t *out_weight)
{
    uint32_t steps = INDEX_STEPS_MAX;
    const struct index_entry *entry = index_entry(q->ix, offset);
    while (entry != NULL && !wild_matches(entry, p, name, out_weight))
        entry = index_next(q->ix, entry, &steps);
    return entry;
}

static bool take_wild_alias(struct query *q, const struct place *p, struct str name)
{
    size_t weight = 0, own_weight = 0;
    uint32_t all = atomic_load_explicit(&q->ix->head->wild_aliases, memory_order_acquire);
    const struct index_entry *best = first_wild(q, all, p, name, &weight);
    const struct index_entry *domain = index_entry(q->ix, p->offset), *own = NULL;
    if (domain != NULL)
        own = first_wild(q, atomic_load_explicit(&domain->extra, memory_order_acquire), p, name,
                         &own_weight);
    if (best == NULL || (own != NULL && own_weight > weight) ||
        (own != NULL && own_weight == weight &&
         atomic_load(&own->extra) < atomic_load(&best->extra)))
        best = own;
    return best != NULL && take_alias(q, p, best);
}

/* --- the rule ---------------------------------------------------------------------------- */

static enum hit find_exactly(struct query *q, const struct place *p, struct str name,
                             struct err *e)
{
    enum hit hit = find_cmdalias(q, p, name, e);
    if (hit == HIT_NONE && (take_account(q, p, name) || take_exact_alias(q, p, name)))
        hit = HIT_FOUND;
    return hit;
}

/* "user" of "user+tag"; empty: there is none. */
static struct str without_tag(struct str name)
{
    struct str delimiters = conf()->recipient_delimiter;
    for (size_t i = 1; i < name.n; i++)
        if (str_find(delimiters, name.p[i]) != SIZE_MAX)
            return str_head(name, i);
    return str_from("", 0);
}

static enum hit find_at(struct query *q, const struct place *p, struct str name, struct err *e)
{
    struct str base = without_tag(name);
    enum hit hit = find_exactly(q, p, name, e);
    if (hit == HIT_NONE && base.n > 0)
        hit = find_exactly(q, p, base, e);
    if (hit == HIT_NONE && take_wild_alias(q, p, name))
        hit = HIT_FOUND;
    return hit;
}

/* RC_OK with q->found filled for a definite answer. */
static enum rc find(struct query *q, const struct address *to, struct err *e)
{
    struct place places[2];
    size_t count = domain_places(q->ix, to->domain, q->a, places);
    enum hit hit = HIT_NONE;
    for (size_t i = 0; i < count && hit == HIT_NONE; i++)
        hit = find_at(q, &places[i], to->local, e);
    q->found.kind = hit == HIT_FOUND ? q->found.kind : RECIPIENT_UNKNOWN;
    if (count == 0) {
        enum rc rc = index_trust(q->ix, 1u << INDEX_DOMAINS | 1u << INDEX_ALIAS_DOMAINS, e);
        if (rc != RC_OK)
            return rc;
        hit = find_custdomain(q, to, e);
        q->found.kind = hit == HIT_FOUND ? q->found.kind : RECIPIENT_REMOTE;
    }
    return hit == HIT_ERROR ? RC_TEMP : RC_OK;
}

/* PostMaster's address stands for a postmaster that isn't there. */
static enum rc find_postmaster(struct query *q, struct err *e)
{
    struct address master;
    if (address_parse(conf()->post_master, ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8,
                      q->a, &master, NULL) != RC_OK) {
        q->found.kind = RECIPIENT_UNKNOWN;
        return RC_OK;
    }
    enum rc rc = find(q, &master, e);
    if (rc == RC_OK && q->found.kind == RECIPIENT_REMOTE) {
        q->found.kind = RECIPIENT_EXTERNAL;
        q->found.target = master;
    }
    q->found.via_alias = true;
    return rc;
}

static enum rc resolve(struct query *q, const struct address *to, struct err *e)
{
    bool is_postmaster = str_ieq(to->local, STR("postmaster"));
    enum rc rc = RC_OK;
    q->found = (struct recipient){ .kind = RECIPIENT_UNKNOWN };
    if (to->domain.n > 0)
        rc = find(q, to, e);
    if (rc == RC_OK && q->found.kind == RECIPIENT_UNKNOWN && is_postmaster)
        rc = find_postmaster(q, e);
    if (rc == RC_OK && q->found.kind == RECIPIENT_UNKNOWN)
        rc = index_trust(q->ix, INDEX_ALL_TABLES, e);
    return rc;
}

enum rc users_resolve(const struct address *to, struct arena *a, struct recipient *out,
                      struct err *e)
{
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    if (ix == NULL)
        return err_temp(e, "4.3.0", "the accounts are not loaded");
    struct query q = { .ix = ix, .a = a, .with_files = true };
    enum rc rc = resolve(&q, to, e);
    if (rc == RC_OK)
        *out = q.found;
    return rc;
}

/* --- logins and senders ------------------------------------------------------------------ */

/* Where the domain of a login name is cut off; SIZE_MAX: it has none. */
static size_t login_cut(struct str login)
{
    size_t cut = str_rfind(login, '@');
    return cut == SIZE_MAX ? str_rfind(login, ':') : cut;
}

enum rc users_login(struct str login, struct str default_domain, struct arena *a,
                    struct account *out, struct err *e)
{
    static const uint32_t tables =
        1u << INDEX_DOMAINS | 1u << INDEX_ALIAS_DOMAINS | 1u << INDEX_ACCOUNTS;
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    if (ix == NULL)
        return err_temp(e, "4.3.0", "the accounts are not loaded");
    struct place places[2];
    struct account account;
    bool found = false;
    size_t cut = login_cut(login);
    struct str domain = cut == SIZE_MAX ? default_domain : str_skip(login, cut + 1);
    size_t count = domain_places(ix, domain, a, places);
    for (size_t i = 0; i < count && !found; i++)
        found = find_account(ix, &places[i], str_head(login, cut), a, &account);
    /* Only a miss needs this; known names take the same time. */
    enum rc trust = index_trust(ix, tables, e);
    if (!found)
        return trust != RC_OK ? trust : err_perm(e, "5.7.8", "no such account");
    if (account.type != ACCOUNT_USER)
        return err_perm(e, "5.7.8", "a mailing list can't log in");
    *out = account;
    return RC_OK;
}

bool users_login_name(struct str login, struct str default_domain, struct arena *a,
                      struct str *out)
{
    struct account account;
    bool known = users_login(login, default_domain, a, &account, NULL) == RC_OK;
    *out = known ? arena_printf(a, "%.*s@%.*s", STR_ARG(account.name), STR_ARG(account.domain))
                 : arena_str(a, login);
    return known;
}

bool users_login_domain(struct str login, struct str default_domain, struct arena *a,
                        struct str *out)
{
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    struct place places[2];
    size_t cut = login_cut(login);
    struct str domain = cut == SIZE_MAX ? default_domain : str_skip(login, cut + 1);
    size_t count = ix == NULL ? 0 : domain_places(ix, domain, a, places);
    if (count > 0)
        *out = arena_str(a, places[count - 1].folder);
    return count > 0;
}

static bool leads_to(const struct index_map *ix, const struct address *from,
                     const struct account *account, struct arena *a)
{
    struct query q = { .ix = ix, .a = a };
    return resolve(&q, from, NULL) == RC_OK && q.found.kind == RECIPIENT_ACCOUNT &&
           str_ieq(q.found.account.name, account->name) &&
           str_ieq(q.found.account.domain, account->domain);
}

bool users_may_send_as(const struct account *account, const struct address *from,
                       struct arena *a)
{
    struct address local;
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    if (ix == NULL)
        return false;
    if (from->is_null || leads_to(ix, from, account, a))
        return true;
    return users_external_alias(from, a, &local) && leads_to(ix, &local, account, a);
}

struct address users_meaning(const struct address *to, struct arena *a)
{
    struct recipient r = { .kind = RECIPIENT_UNKNOWN };
    struct err e;
    if (users_resolve(to, a, &r, &e) != RC_OK)
        return *to;
    if (r.kind == RECIPIENT_ACCOUNT || r.kind == RECIPIENT_LIST)
        return (struct address){ .local = r.account.name, .domain = r.account.domain };
    return r.kind == RECIPIENT_EXTERNAL ? r.target : *to;
}

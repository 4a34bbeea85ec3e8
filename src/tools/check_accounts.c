/* check_accounts.c - domains, accounts, aliases: what refers to what. Syntax is checked
 * elsewhere; lines that are broken are passed over here. */
#include "conf/tab.h"
#include "mail/address.h"
#include "sys/file.h"
#include "tools/check_int.h"

struct str check_domain_key(struct check *c, struct str domain)
{
    struct str key;
    struct arena *a = &c->mem;
    if (domain_parse(domain, true, a, &key, NULL) == RC_OK)
        return key;
    char *p = arena_c(a, domain);
    for (size_t i = 0; i < domain.n; i++)
        p[i] = ascii_lower(p[i]);
    return str_from(p, domain.n);
}

struct str check_key(struct check *c, struct str name, struct str domain)
{
    struct str key = check_domain_key(c, domain);
    char *p = arena_c(&c->mem, arena_printf(&c->mem, "%.*s@%.*s", STR_ARG(name), STR_ARG(key)));
    for (size_t i = 0; i < name.n; i++)
        p[i] = ascii_lower(p[i]);
    return str_from_c(p);
}

/* The rows of a table; none when it can't be read, which is reported elsewhere. */
static struct tab rows_of(struct check *c, const char *path)
{
    struct tab tab;
    struct err e;
    if (tab_read(path, &c->mem, &tab, &e) != RC_OK)
        return (struct tab){ .path = path, .missing = true };
    return tab;
}

/* --- domains ----------------------------------------------------------------------------- */

static void check_domain(struct check *c, const struct tab_row *row)
{
    struct str name = tab_value(row, 0), key = check_domain_key(c, name);
    struct str *kept = arena_new(&c->mem, sizeof(*kept));
    *kept = name;
    if (map_put(&c->domains, key, kept) != NULL)
        check_say(c, CHECK_WARNING, "domains.tab", row->line, "remove one of the lines",
                  "%.*s stands here twice", STR_ARG(name));
    struct str folder = arena_printf(&c->mem, "domains/%.*s", STR_ARG(name));
    if (!folder_exists(folder.p))
        check_say(c, CHECK_NOTE, "domains.tab", row->line, "it is made with the first account",
                  "there is no folder %s", folder.p);
}

static void check_alias_domain(struct check *c, const struct tab_row *row)
{
    struct str name = tab_value(row, 0), real = tab_value(row, 1);
    struct str *key = arena_new(&c->mem, sizeof(*key));
    if (row->count < 2)
        return;
    *key = check_domain_key(c, real);
    if (map_get(&c->domains, *key) == NULL)
        check_say(c, CHECK_ERROR, "aliasdomain.tab", row->line,
                  "add the domain to domains.tab, or remove the line",
                  "%.*s is an alias of %.*s, which is not in domains.tab", STR_ARG(name),
                  STR_ARG(real));
    struct str own = check_domain_key(c, name);
    if (map_get(&c->domains, own) != NULL)
        check_say(c, CHECK_WARNING, "aliasdomain.tab", row->line,
                  "accounts of the domain itself come first", "%.*s is a domain of its own too",
                  STR_ARG(name));
    if (map_put(&c->alias_domains, own, key) != NULL)
        check_say(c, CHECK_WARNING, "aliasdomain.tab", row->line, "the first line counts",
                  "%.*s stands here twice", STR_ARG(name));
}

/* --- accounts ---------------------------------------------------------------------------- */

static void check_account(struct check *c, const struct tab_row *row, struct map *ids)
{
    struct str domain = tab_value(row, 0), name = tab_value(row, 1);
    struct check_account *account = arena_new(&c->mem, sizeof(*account));
    if (row->count < 6)
        return;
    struct str *written = map_get(&c->domains, check_domain_key(c, domain));
    if (written == NULL) {
        check_say(c, CHECK_ERROR, "mailusers.tab", row->line,
                  "add the domain to domains.tab, or remove the line",
                  "the domain of %.*s@%.*s is not in domains.tab", STR_ARG(name),
                  STR_ARG(domain));
        return;
    }
    *account = (struct check_account){
        .domain = *written,
        .name = name,
        .is_list = str_ieq(tab_value(row, 5), STR("M")),
        .line = row->line,
        .folder = arena_printf(&c->mem, "domains/%.*s/%.*s", STR_ARG(*written),
                               STR_ARG(tab_value(row, 4))),
    };
    if (map_put(&c->accounts, check_key(c, name, domain), account) != NULL)
        check_say(c, CHECK_ERROR, "mailusers.tab", row->line, "the first line counts",
                  "%.*s@%.*s stands here twice", STR_ARG(name), STR_ARG(domain));
    if (map_put(ids, tab_value(row, 3), account) != NULL)
        check_say(c, CHECK_WARNING, "mailusers.tab", row->line, "give the account another id",
                  "the id %.*s is used twice", STR_ARG(tab_value(row, 3)));
}

/* --- aliases ----------------------------------------------------------------------------- */

static bool is_account(struct check *c, struct str name, struct str domain)
{
    struct str key = check_domain_key(c, domain);
    const struct str *real = map_get(&c->alias_domains, key);
    return map_get(&c->accounts, check_key(c, name, key)) != NULL ||
           (real != NULL && map_get(&c->accounts, check_key(c, name, *real)) != NULL);
}

static bool is_ours(struct check *c, struct str domain)
{
    struct str key = check_domain_key(c, domain);
    return map_get(&c->domains, key) != NULL || map_get(&c->alias_domains, key) != NULL;
}

static void check_target(struct check *c, const struct tab_row *row, struct str domain)
{
    struct str target = tab_value(row, 2);
    size_t at = str_rfind(target, '@');
    struct str where = at == SIZE_MAX ? domain : str_skip(target, at + 1);
    if (at != SIZE_MAX && !is_ours(c, where))
        check_say(c, CHECK_WARNING, "aliases.tab", row->line,
                  "mail for it waits for a version that sends mail to other servers",
                  "the alias leads to %.*s, outside this server", STR_ARG(target));
    else if (!str_has_any(where, "*?") && !is_account(c, str_head(target, at), where))
        check_say(c, CHECK_ERROR, "aliases.tab", row->line,
                  "an alias leads to an account, not to another alias; correct or remove it",
                  "the alias leads to %.*s, which is no account", STR_ARG(target));
}

static void check_alias(struct check *c, const struct tab_row *row)
{
    struct str domain = tab_value(row, 0), alias = tab_value(row, 1);
    struct str *target = arena_new(&c->mem, sizeof(*target));
    if (row->count < 3)
        return;
    bool pattern = str_has_any(domain, "*?");
    if (!pattern && !is_ours(c, domain)) {
        check_say(c, CHECK_ERROR, "aliases.tab", row->line,
                  "add the domain to domains.tab, or remove the line",
                  "the domain %.*s is not one of this server", STR_ARG(domain));
        return;
    }
    if (!pattern && map_get(&c->accounts, check_key(c, alias, domain)) != NULL)
        check_say(c, CHECK_WARNING, "aliases.tab", row->line,
                  "the account gets the mail and the alias does nothing",
                  "there is an account %.*s@%.*s too", STR_ARG(alias), STR_ARG(domain));
    *target = tab_value(row, 2);
    if (map_put(&c->aliases, check_key(c, alias, domain), target) != NULL)
        check_say(c, CHECK_WARNING, "aliases.tab", row->line, "the first line counts",
                  "the alias %.*s@%.*s stands here twice", STR_ARG(alias), STR_ARG(domain));
    check_target(c, row, domain);
}

static void check_external(struct check *c, const struct tab_row *row)
{
    if (row->count >= 4 && !is_account(c, tab_value(row, 3), tab_value(row, 2)))
        check_say(c, CHECK_WARNING, "extaliases.tab", row->line, "correct or remove it",
                  "%.*s@%.*s is no account", STR_ARG(tab_value(row, 3)),
                  STR_ARG(tab_value(row, 2)));
}

/* --- files that stand for addresses ------------------------------------------------------ */

/* cmdaliases/DOMAIN/NAME.tab comes before an account of that name. */
static void check_cmdalias(void *ctx, const char *path)
{
    struct check *c = ctx;
    struct str rest = str_from_c(path), folder, domain, file;
    if (!str_cut(&rest, '/', &folder) || !str_cut(&rest, '/', &domain) ||
        !str_cut(&rest, '/', &file))
        return;
    struct str name = str_head(file, file.n - strlen(".tab"));
    if (map_get(&c->domains, check_domain_key(c, domain)) == NULL)
        check_say(c, CHECK_WARNING, path, 0, "remove it, or add the domain",
                  "%.*s is not a domain of this server", STR_ARG(domain));
    else if (map_get(&c->accounts, check_key(c, name, domain)) != NULL)
        check_say(c, CHECK_WARNING, path, 0, "the account gets no mail while this file is here",
                  "there is an account %.*s@%.*s too", STR_ARG(name), STR_ARG(domain));
}

static void check_custom(void *ctx, const char *path)
{
    struct check *c = ctx;
    struct str name = str_skip(str_from_c(path), strlen("custdomains/"));
    name = str_head(name, name.n - strlen(".tab"));
    if (name.n == 0)
        check_say(c, CHECK_WARNING, path, 0,
                  "rename it unless the whole world's mail is meant to be processed",
                  "this file takes mail for every domain there is");
    else if (map_get(&c->domains, check_domain_key(c, name)) != NULL)
        check_say(c, CHECK_WARNING, path, 0, "remove one of the two",
                  "%.*s is a domain of this server, so this file does nothing", STR_ARG(name));
    for (size_t i = 0; i < name.n; i++)
        if (ascii_lower(name.p[i]) != name.p[i]) {
            check_say(c, CHECK_WARNING, path, 0, "rename it in lower case",
                      "domains are looked up in lower case, so this file does nothing");
            return;
        }
}

static void each_row(struct check *c, const char *path,
                     void (*fn)(struct check *c, const struct tab_row *row))
{
    struct tab tab = rows_of(c, path);
    for (size_t i = 0; i < tab.row_count; i++)
        fn(c, &tab.rows[i]);
}

void check_accounts(struct check *c)
{
    struct map ids = { .fold = false };
    each_row(c, "domains.tab", check_domain);
    if (c->domains.live == 0)
        check_say(c, CHECK_ERROR, "domains.tab", 0, "put the server's domain into it",
                  "there is no local domain");
    each_row(c, "aliasdomain.tab", check_alias_domain);
    struct tab users = rows_of(c, "mailusers.tab");
    if (users.missing)
        check_say(c, CHECK_ERROR, "mailusers.tab", 0, "without it no mail can be taken",
                  "the table of accounts is missing or unreadable");
    for (size_t i = 0; i < users.row_count; i++)
        check_account(c, &users.rows[i], &ids);
    map_release(&ids);
    each_row(c, "aliases.tab", check_alias);
    each_row(c, "extaliases.tab", check_external);
    tables_each_file(tables_row(STR("cmdaliases/x/x.tab")), check_cmdalias, c);
    tables_each_file(tables_row(STR("custdomains/x.tab")), check_custom, c);
}

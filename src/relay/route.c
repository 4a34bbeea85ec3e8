/*
 * route.c - where mail for a domain goes. First match decides: the administrator's word for
 * this message, smtpgw.tab, smtpfwd.tab, DefaultSMTPGateways; then an address literal, MX (RFC
 * 5321 5.1, RFC 7505), addresses. Answers are kept for as long as the DNS says, at most 5
 * minutes.
 */
#include "relay/relay_int.h"
#include "sys/dns.h"
#include "sys/lock.h"
#include <ifaddrs.h>
#include <sys/random.h>

#define OWN_MAX 64u
#define MX_MAX 20u
#define KEPT_MAX ((size_t)10000)
#define KEEP_LONGEST (300 * USEC_S)

static struct ip own[OWN_MAX];
static size_t own_count;

void route_release(struct route *r)
{
    arena_release(&r->mem);
    r->count = 0;
}

static bool binds(const struct service_options *s, const struct ip *ip, uint16_t port)
{
    if (s->off)
        return false;
    bool ours = false;
    for (size_t i = 0; i < own_count; i++)
        ours = ours || ip_eq(&own[i], ip);
    if (s->bind_count == 0)
        return ours && s->port == port;
    static const struct ip any_v6 = { { 0 } };
    struct ip any_v4;
    (void)ip_parse(STR("0.0.0.0"), &any_v4);
    for (size_t i = 0; i < s->bind_count; i++) {
        const struct service_bind *b = &s->binds[i];
        bool any = ip_eq(&b->ip, &any_v4) || ip_eq(&b->ip, &any_v6);
        if (b->port == port && (ip_eq(&b->ip, ip) || (any && ours)))
            return true;
    }
    return false;
}

/* Would we talk to ourselves there? */
static bool is_this_server(const struct ip *ip, uint16_t port)
{
    const struct options *o = conf();
    return binds(&o->smtp, ip, port) || binds(&o->smtps, ip, port) ||
           binds(&o->submission, ip, port);
}

/* --- MX ---------------------------------------------------------------------------------- */

static void sort_by_preference(struct dns_record *mx, size_t n)
{
    for (size_t i = n; i > 1; i--) { /* shuffled first: equals come in any order */
        uint32_t random = 0;
        (void)!getrandom(&random, sizeof(random), 0);
        struct dns_record t = mx[random % i];
        mx[random % i] = mx[i - 1];
        mx[i - 1] = t;
    }
    for (size_t i = 1; i < n; i++) {
        struct dns_record t = mx[i];
        size_t k = i;
        for (; k > 0 && mx[k - 1].preference > t.preference; k--)
            mx[k] = mx[k - 1];
        mx[k] = t;
    }
}

/* The servers that come before this one, when it is among them (RFC 5321 5.1). */
static enum rc add_mx(const struct dns_record *mx, size_t n, const struct host_options *options,
                      struct route *r, struct err *e)
{
    uint16_t port = (uint16_t)conf()->remote_port;
    unsigned preferences[TARGETS_MAX] = { 0 }, own_preference = UINT32_MAX;
    bool temporary = false;
    for (size_t i = 0; i < n; i++) {
        size_t at = r->count, added = 0;
        temporary = hosts_add(mx[i].name, port, options, r, &added, e) != RC_OK || temporary;
        for (; at < r->count; at++) {
            preferences[at] = mx[i].preference;
            if (is_this_server(&r->targets[at].ip, port))
                own_preference = MIN(own_preference, mx[i].preference);
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++)
        if (preferences[i] < own_preference)
            r->targets[kept++] = r->targets[i];
    r->count = kept;
    if (kept > 0)
        return RC_OK;
    if (own_preference != UINT32_MAX)
        return err_perm(e, "5.4.6", "the mail would come back to this server");
    return temporary ? RC_TEMP
                     : err_perm(e, "5.1.2", "no mail server of the domain has an address");
}

static enum rc route_by_dns(struct str domain, const struct host_options *options,
                            struct route *r, unsigned *out_ttl, struct err *e)
{
    struct dns_answer answer;
    size_t added = 0;
    uint16_t port = (uint16_t)conf()->remote_port;
    enum rc rc = dns_ask(domain, DNS_MX, &r->mem, &answer, e);
    if (rc != RC_OK)
        return rc;
    *out_ttl = answer.ttl_s;
    if (answer.no_such_name)
        return err_perm(e, "5.1.2", "the domain %.100s doesn't exist",
                        arena_c(&r->mem, domain));
    if (answer.count == 1 && answer.records[0].name.n == 0)
        return err_perm(e, "5.1.10", "the domain takes no mail (null MX)");
    if (answer.count > 0) {
        sort_by_preference(answer.records, answer.count);
        return add_mx(answer.records, MIN(answer.count, (size_t)MX_MAX), options, r, e);
    }
    rc = hosts_add(domain, port, options, r, &added, e);
    if (rc == RC_OK && added == 0)
        return err_perm(e, "5.1.2", "the domain has no mail server and no address");
    for (size_t i = 0; rc == RC_OK && i < r->count; i++)
        if (is_this_server(&r->targets[i].ip, port))
            return err_perm(e, "5.4.6", "the mail would come back to this server");
    return rc;
}

/* --- tables ------------------------------------------------------------------------------ */

/* Two columns: patterns of domains, and what goes for them. */
struct route_table {
    struct arena mem;
    struct str (*rows)[2];
    size_t count;
};

static void *table_parse(const struct tab *tab, void *ctx)
{
    struct route_table *t = mem_new(sizeof(*t));
    (void)ctx;
    t->rows = arena_new(&t->mem, (tab->row_count + 1) * sizeof(*t->rows));
    for (size_t i = 0; i < tab->row_count; i++) {
        if (tab->rows[i].count < 2)
            continue;
        t->rows[t->count][0] = arena_str(&t->mem, tab->rows[i].values[0]);
        t->rows[t->count++][1] = arena_str(&t->mem, tab->rows[i].values[1]);
    }
    return t;
}

static void table_release(void *value)
{
    struct route_table *t = value;
    arena_release(&t->mem);
    mem_free(&t);
}

static struct tab_cache *gateways, *forwarders;

void route_init(void)
{
    struct ifaddrs *list = NULL;
    uint16_t port = 0;
    gateways = tab_cache_new("smtpgw.tab", table_parse, table_release, NULL);
    forwarders = tab_cache_new("smtpfwd.tab", table_parse, table_release, NULL);
    if (getifaddrs(&list) != 0)
        return;
    for (struct ifaddrs *i = list; i != NULL && own_count < OWN_MAX; i = i->ifa_next)
        if (i->ifa_addr != NULL && ip_from_sockaddr(i->ifa_addr, &own[own_count], &port))
            own_count++;
    freeifaddrs(list);
}

/* The value for the domain, in a. RC_TEMP: the table can't be trusted now. */
static enum rc look_up(struct tab_cache *cache, struct str domain, struct arena *a,
                       struct str *out, struct err *e)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct route_table *t = tab_cache_get(cache, &ref, &suspect);
    *out = STR("");
    for (size_t i = 0; t != NULL && i < t->count && out->n == 0; i++)
        if (str_matches(domain, t->rows[i][0]))
            *out = arena_str(a, t->rows[i][1]);
    tab_cache_put(cache, &ref);
    return out->n == 0 && suspect ? err_temp(e, "4.3.0", "a table of routes can't be read")
                                  : RC_OK;
}

/* "@gw1,@gw2": to the first, the rest stays in the path. */
static enum rc route_by_gateway(struct str text, const struct host_options *options,
                                struct route *r, struct err *e)
{
    struct str rest = text, first = { "", 0 };
    (void)str_cut(&rest, ',', &first);
    first = str_trim(first);
    if (!str_starts(first, STR("@")))
        return err_perm(e, "5.3.5", "smtpgw.tab: \"%.*s\" is not @gateway", STR_ARG(text));
    if (rest.p != NULL)
        r->source_route = arena_printf(&r->mem, "%.*s:", STR_ARG(str_trim(rest)));
    return hosts_parse(str_skip(first, 1), options, r, e);
}

/* --- answers that are kept --------------------------------------------------------------- */

struct kept {
    struct route route;
    usec_t until;
    char *domain;
};
static struct lock kept_lock = LOCK_INIT(LOCK_LEAF);
static struct map kept_routes; /* struct kept by domain */

static void copy(const struct route *from, struct route *to)
{
    *to = *from;
    to->mem = (struct arena){ .head = NULL };
    to->source_route = arena_str(&to->mem, from->source_route);
    for (size_t i = 0; i < to->count; i++)
        to->targets[i].name = arena_str(&to->mem, from->targets[i].name);
}

static bool recall(struct str domain, struct route *out)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&kept_lock);
    (void)held;
    const struct kept *k = map_get(&kept_routes, domain);
    if (k == NULL || k->until < clock_mono())
        return false;
    route_release(out);
    copy(&k->route, out);
    return true;
}

static void forget(struct str domain)
{
    struct kept *k = map_remove(&kept_routes, domain);
    if (k == NULL)
        return;
    route_release(&k->route);
    mem_free(&k->domain);
    mem_free(&k);
}

static void keep(struct str domain, const struct route *r, usec_t until)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&kept_lock);
    (void)held;
    forget(domain);
    if (kept_routes.live >= KEPT_MAX)
        return;
    struct kept *k = mem_new(sizeof(*k));
    k->domain = mem_new(domain.n + 1);
    memcpy(k->domain, domain.p, domain.n);
    k->until = until;
    copy(r, &k->route);
    (void)map_put(&kept_routes, str_from(k->domain, domain.n), k);
}

/* --- the decision ------------------------------------------------------------------------ */

static enum rc find(struct str domain, struct str via, struct route *r, unsigned *out_ttl,
                    struct err *e)
{
    struct host_options options = { .tls = TLS_TRY };
    struct str gateway, forwarder;
    enum rc rc = host_options_parse(conf()->smtp_gw_config, &options, e);
    if (rc == RC_OK && via.n > 0)
        return hosts_parse(via, &options, r, e);
    if (rc == RC_OK)
        rc = look_up(gateways, domain, &r->mem, &gateway, e);
    if (rc == RC_OK && gateway.n > 0)
        return route_by_gateway(gateway, &options, r, e);
    if (rc == RC_OK)
        rc = look_up(forwarders, domain, &r->mem, &forwarder, e);
    if (rc == RC_OK && forwarder.n > 0)
        return hosts_parse(forwarder, &options, r, e);
    if (rc == RC_OK && conf()->default_smtp_gateways.n > 0)
        return hosts_parse(conf()->default_smtp_gateways, &options, r, e);
    if (rc != RC_OK)
        return rc;
    if (str_starts(domain, STR("["))) {
        size_t added = 0;
        struct str literal = str_istarts(domain, STR("[IPv6:"))
                                 ? arena_printf(&r->mem, "[%.*s", STR_ARG(str_skip(domain, 6)))
                                 : domain;
        struct ip ip;
        if (!ip_parse(literal, &ip))
            return err_perm(e, "5.1.2", "%.*s is no address", STR_ARG(domain));
        return hosts_add(literal, (uint16_t)conf()->remote_port, &options, r, &added, e);
    }
    return recall(domain, r) ? RC_OK : route_by_dns(domain, &options, r, out_ttl, e);
}

enum rc route_find(struct str domain, struct str via, struct route *out, struct err *e)
{
    unsigned ttl = 0; /* tables and settings are looked at each time */
    *out = (struct route){ .count = 0, .source_route = STR("") };
    enum rc rc = find(domain, via, out, &ttl, e);
    if (rc == RC_OK && ttl > 0)
        keep(domain, out, clock_mono() + MIN((usec_t)ttl * USEC_S, KEEP_LONGEST));
    return rc;
}

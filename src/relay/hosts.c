/* hosts.c - lists of hosts as tables write them: "[#]host[:port][,opts];host2...". */
#include "relay/relay_int.h"
#include "sys/dns.h"
#include <sys/random.h>

/* --- options ----------------------------------------------------------------------------- */

enum rc host_options_parse(struct str text, struct host_options *out, struct err *e)
{
    struct str word, name;
    while (text.n > 0 && str_cut(&text, ',', &word)) {
        struct str value = str_trim(word);
        if (value.n == 0)
            continue;
        (void)str_cut(&value, '=', &name);
        value = value.p == NULL ? STR("") : str_trim(value);
        if (str_ieq(str_trim(name), STR("NeedTLS")) && value.n == 1 && value.p[0] >= '0' &&
            value.p[0] <= '2')
            out->tls = (enum tls_policy)(value.p[0] - '0');
        else if (str_ieq(str_trim(name), STR("OutBind")) && ip_parse(value, &out->source))
            out->has_source = true;
        else
            return err_perm(e, "5.3.5", "\"%.*s\" is no option of a host", STR_ARG(word));
    }
    return RC_OK;
}

/* --- addresses --------------------------------------------------------------------------- */

static void add_target(struct route *r, struct str name, const struct ip *ip, uint16_t port,
                       const struct host_options *options)
{
    if (r->count < TARGETS_MAX &&
        (!options->has_source || ip_is_v4(&options->source) == ip_is_v4(ip)))
        r->targets[r->count++] = (struct target){ name, *ip, port, *options };
}

enum rc hosts_add(struct str name, uint16_t port, const struct host_options *options,
                  struct route *r, size_t *out_added, struct err *e)
{
    const struct options *o = conf();
    bool any = !options->has_source, from_v4 = ip_is_v4(&options->source);
    const struct dns_families families = { o->families != FAMILIES_IPV6 && (any || from_v4),
                                           o->families != FAMILIES_IPV4 && (any || !from_v4),
                                           o->ipv6_first };
    struct ip ips[TARGETS_MAX];
    size_t before = r->count, count = 1;
    enum rc rc = RC_OK;
    name = arena_str(&r->mem, name);
    if (!ip_parse(name, &ips[0]))
        rc = dns_find_host(name, &families, ips, TARGETS_MAX, &count, e);
    for (size_t i = 0; rc == RC_OK && i < count; i++)
        add_target(r, name, &ips[i], port, options);
    *out_added = r->count - before;
    return rc;
}

/* --- lists ------------------------------------------------------------------------------- */

/* "host[:port][,opts]", "[ip6]:port". */
static enum rc add_listed(struct str text, const struct host_options *base, struct route *r,
                          struct err *e)
{
    struct host_options options = *base;
    struct str rest = str_trim(text), host = { "", 0 };
    uint64_t port = (uint64_t)conf()->remote_port;
    size_t added = 0;
    (void)str_cut(&rest, ',', &host);
    enum rc rc = rest.p == NULL ? RC_OK : host_options_parse(rest, &options, e);
    host = str_trim(host);
    size_t colon = str_rfind(host, ':');
    bool v6 = colon != SIZE_MAX && str_find(host, ':') != colon && host.p[0] != '[';
    if (colon != SIZE_MAX && !v6 && !str_ends(host, STR("]"))) {
        if (!str_to_u64(str_skip(host, colon + 1), &port) || port == 0 || port > 65535)
            return err_perm(e, "5.3.5", "\"%.*s\" has no good port", STR_ARG(text));
        host = str_head(host, colon);
    }
    if (rc == RC_OK && host.n == 0)
        return err_perm(e, "5.3.5", "a list of hosts has an empty one");
    if (rc == RC_OK)
        rc = hosts_add(host, (uint16_t)port, &options, r, &added, e);
    if (rc == RC_OK && added == 0)
        rc = err_perm(e, "5.1.2", "%.*s has no address", STR_ARG(host));
    return rc;
}

enum rc hosts_parse(struct str text, const struct host_options *base, struct route *r,
                    struct err *e)
{
    struct str words[TARGETS_MAX], word;
    size_t n = 0;
    enum rc rc = err_perm(e, "5.3.5", "an empty list of hosts");
    text = str_trim(text);
    bool shuffle = str_starts(text, STR("#"));
    text = shuffle ? str_skip(text, 1) : text;
    while (text.n > 0 && n < TARGETS_MAX && str_cut(&text, ';', &word))
        if (str_trim(word).n > 0)
            words[n++] = word;
    for (size_t i = n; shuffle && i > 1; i--) {
        uint32_t random = 0;
        (void)!getrandom(&random, sizeof(random), 0);
        struct str t = words[random % i];
        words[random % i] = words[i - 1];
        words[i - 1] = t;
    }
    for (size_t i = 0; i < n; i++) {
        enum rc one = add_listed(words[i], base, r, e);
        rc = i == 0 || one == RC_TEMP ? one : rc;
    }
    return r->count > 0 ? RC_OK : rc;
}

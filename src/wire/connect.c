/* connect.c - see connect.h. */
#include "wire/connect.h"
#include "conf/options.h"
#include "sys/dns.h"

#define ADDRESSES_MAX 20u

enum rc connect_host(struct str host, uint16_t port, const struct ip *source, usec_t timeout,
                     struct client **out, struct err *e)
{
    const struct options *o = conf();
    bool any = source == NULL, from_v4 = !any && ip_is_v4(source);
    const struct dns_families families = { o->families != FAMILIES_IPV6 && (any || from_v4),
                                           o->families != FAMILIES_IPV4 && (any || !from_v4),
                                           o->ipv6_first };
    struct ip ips[ADDRESSES_MAX];
    size_t count = 1;
    enum rc rc = RC_OK;
    if (!ip_parse(host, &ips[0]))
        rc = dns_find_host(host, &families, ips, ADDRESSES_MAX, &count, e);
    if (rc == RC_OK && count == 0)
        return err_temp(e, "4.4.1", "%.*s has no address", STR_ARG(host));
    for (size_t i = 0; rc == RC_OK && i < count; i++)
        if (client_open_ip(&ips[i], port, source, timeout, out, e) == RC_OK)
            return RC_OK;
    return RC_TEMP;
}

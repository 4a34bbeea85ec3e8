/*
 * dns.h - questions to the DNS, by libunbound: with its cache, DNSSEC where a trust anchor is
 * there, its own recursion or through forwarders. Calls wait; any thread.
 */
#ifndef HIKYAKU_SYS_DNS_H
#define HIKYAKU_SYS_DNS_H

#include "base/base.h"

/* forwarders: SmartDNSHost, "ip[@port][:tcp or udp]", commas between; empty: own recursion, and
 * the system's resolvers when that gets no answer. anchor: a file with the root's key, or
 * empty: no DNSSEC. Reads its files now. */
enum rc dns_open(struct str forwarders, struct str anchor, struct err *e) CHECK_RESULT;

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28 };

struct dns_record {
    unsigned preference; /* MX */
    struct str name;     /* MX, PTR: lower case, without a final dot; empty: the root */
    struct ip ip;        /* A, AAAA */
    struct str text;     /* TXT: its strings joined */
};
struct dns_answer {
    struct dns_record *records; /* in the arena */
    size_t count;               /* 0: the name, or this type of it, doesn't exist */
    bool no_such_name;
    bool is_secure; /* DNSSEC says so */
    unsigned ttl_s;
};

/* RC_OK also when there is nothing. RC_TEMP: no answer now, or one that DNSSEC says is false.
 */
enum rc dns_ask(struct str name, enum dns_type type, struct arena *a, struct dns_answer *out,
                struct err *e) CHECK_RESULT;

/* Addresses of a host, of the families wanted, in the order to try. RC_OK: *out_count > 0, or
 * the host has none. RC_TEMP: not known now. */
struct dns_families {
    bool v4, v6, v6_first;
};
enum rc dns_find_host(struct str name, const struct dns_families *families, struct ip *out,
                      size_t room, size_t *out_count, struct err *e) CHECK_RESULT;

#endif

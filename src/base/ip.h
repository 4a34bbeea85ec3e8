/* ip.h - IP addresses and networks, IPv4 kept in its IPv6-mapped form so that one code serves
 * both. */
#ifndef HIKYAKU_BASE_IP_H
#define HIKYAKU_BASE_IP_H

#include "base/arena.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct ip {
    uint8_t b[16]; /* ::ffff:a.b.c.d for IPv4 */
};

struct ip_net {
    struct ip ip, mask;
};

/* Longest text of an address with its NUL; of "[address]:port". */
#define IP_TEXT_BYTES 46
#define IP_PORT_TEXT_BYTES 56

/* "1.2.3.4", "2001:db8::1", either in [brackets]; ::ffff:a.b.c.d is the IPv4 address. */
bool ip_parse(struct str s, struct ip *out);
bool ip_is_v4(const struct ip *ip);
bool ip_is_loopback(const struct ip *ip);
bool ip_eq(const struct ip *a, const struct ip *b);
/* Text without brackets; returns text. */
const char *ip_print(const struct ip *ip, char text[IP_TEXT_BYTES]);
/* "1.2.3.4:25", "[2001:db8::1]:25", for people. */
const char *ip_port_show(const struct ip *ip, uint16_t port, char text[IP_PORT_TEXT_BYTES]);
/* What ip_port_print wrote, for people; other text as it is. */
struct str ip_port_reshow(struct str written, struct arena *a);
/* "[1.2.3.4]:25" as XMail writes it, also for programs and in files. */
const char *ip_port_print(const struct ip *ip, uint16_t port, char text[IP_PORT_TEXT_BYTES]);

/* A table's address columns: "ip" "netmask", "ip/bits" with mask empty, or "ip" alone (one
 * host). */
bool ip_net_parse(struct str ip, struct str mask, struct ip_net *out);
/*
 * True when ip lies in net. A net that covers all of one family covers the other too, so that
 * an old "0.0.0.0 0.0.0.0 DENY" closes IPv6 as well (specification 1, section 2).
 */
bool ip_in_net(const struct ip *ip, const struct ip_net *net);
/* Is it in one of the nets, "ip/bits" with commas between? What isn't a net is skipped. */
bool ip_in_list(const struct ip *ip, struct str nets);

/* From and to the kernel's form. ip_to_sockaddr uses AF_INET for IPv4; returns the length. */
bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *out, uint16_t *out_port);
socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *out);

#endif

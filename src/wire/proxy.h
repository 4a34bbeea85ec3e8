/* proxy.h - the PROXY protocol (versions 1 and 2, by HAProxy): what a balancer says, before
 * anything else, of the connection that it passes on. */
#ifndef HIKYAKU_WIRE_PROXY_H
#define HIKYAKU_WIRE_PROXY_H

#include "base/base.h"

#define PROXY_HEADER_MAX ((size_t)2048)

struct proxy_header {
    bool
        has_ends; /* false: the balancer itself (a health check), or a client it doesn't know */
    struct ip client, server;
    uint16_t client_port, server_port;
};

/* Is there a header at the start of the octets? RC_OK: *out_used octets of it. RC_AGAIN: they
 * begin one, and nothing after it is among them. RC_PERM: they don't. */
enum rc proxy_parse(struct str octets, struct proxy_header *out, size_t *out_used,
                    struct err *e) CHECK_RESULT;

#endif

/* connect.h - a connection to a host by its name, for the role that may make some. */
#ifndef HIKYAKU_WIRE_CONNECT_H
#define HIKYAKU_WIRE_CONNECT_H

#include "sys/client.h"

/* To the first of its addresses that answers, of the families that the settings allow; from
 * `source` when it isn't NULL. timeout: of each wait. */
enum rc connect_host(struct str host, uint16_t port, const struct ip *source, usec_t timeout,
                     struct client **out, struct err *e) CHECK_RESULT;

#endif

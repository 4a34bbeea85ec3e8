/* lookup.h - questions that the relay role asks for the web role: to the DNS, and who answers
 * at the server's own ports. */
#ifndef HIKYAKU_WEB_LOOKUP_H
#define HIKYAKU_WEB_LOOKUP_H

#include "web/web_int.h"

/* Before the first question. */
void lookup_init(const struct web_hooks *hooks);

#define LOOKUP_TEXT 1000u

/* A question and its answer. */
struct lookup {
    unsigned type; /* of sys/dns.h, or a gate's question, or LOOK_UP_CONNECT */
    bool is_gate;
    struct str name;
    bool known; /* it was answered */
    unsigned state;
    char text[LOOKUP_TEXT + 1]; /* records, one a line; or what a gate is told; a greeting */
    uint64_t number;
};
/* Asks all at once and waits, ten seconds at most. One thread each may ask. */
void lookup_all(struct lookup *questions, size_t count);

#endif

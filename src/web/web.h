/*
 * web.h - administration by HTTP: an API (JSON), and the pages that use nothing else. It runs
 * in the web role, which reads the MailRoot and changes nothing itself: changes go to the
 * control role, by the control protocol.
 */
#ifndef HIKYAKU_WEB_WEB_H
#define HIKYAKU_WEB_WEB_H

#include "wire/session.h"

extern const struct protocol web_protocol;

/* What the role does for the web: a connection to the control role, as its local socket serves
 * it. RC_TEMP: it doesn't run. */
struct web_hooks {
    enum rc (*connect_control)(int *out_fd, struct err *e);
    /* Asks relay for something of the DNS: web_lookup_told is called, or not. False: it can't
     * be asked. */
    bool (*look_up)(uint64_t number, bool is_gate, unsigned question, struct str name);
};
/* The answer to hooks->look_up. Any thread. */
void web_lookup_told(uint64_t number, unsigned state, struct str text);
/* Before the first session. */
enum rc web_init(const struct web_hooks *hooks, struct err *e) CHECK_RESULT;
/* Ends sign-ins whose time is over; call every second. */
void web_tick(void);
void web_free(void);

/* The API's description (OpenAPI 3.1) as JSON. */
void web_print_openapi(struct buf *out);

#endif

/* pop3d.h - the POP3 server (RFC 1939, 2449, 2595, 3206, 5034, 6856). */
#ifndef HIKYAKU_POP3D_POP3D_H
#define HIKYAKU_POP3D_POP3D_H

#include "users/users.h"
#include "wire/session.h"

extern const struct protocol pop3_protocol;

/* Called after each good login, to have it remembered (last login's address and time). */
typedef void pop3_login_seen_fn(const struct account *account, const struct ip *client);

/* Before the first session; login_seen may be NULL. */
enum rc pop3d_init(pop3_login_seen_fn *login_seen, struct err *e) CHECK_RESULT;
/* engine_set_admit: false when memory is short (Pop3MinVirtMemSpace). */
bool pop3d_admit(struct session *s);

#endif

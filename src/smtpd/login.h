/* login.h - who a name in AUTH is; between login.c, cmd_auth.c and smtpd.c. */
#ifndef HIKYAKU_SMTPD_LOGIN_H
#define HIKYAKU_SMTPD_LOGIN_H

#include "wire/sasl.h"

struct login;

/* Once, before the first session. */
void login_init(void);
/* An account of ours, else a line of smtpauth.tab. RC_PERM: neither; RC_TEMP: can't tell now.
 */
enum rc login_find(struct str name, struct arena *a, struct sasl_identity *out) CHECK_RESULT;
/* The lines of smtpauth.tab as "user:secret". RC_TEMP: it can't be read now. */
enum rc login_secrets(struct buf *out) CHECK_RESULT;
/* A user of this machine: may send and relay. */
struct login *login_of_user(uint32_t uid);
/* The rights of who authenticated. RC_TEMP: user.tab can't be read. */
enum rc login_new(const struct sasl_identity *who, struct arena *tmp, struct login **out,
                  struct err *e) CHECK_RESULT;

#endif

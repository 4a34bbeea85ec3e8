/* extauth.h - AUTH by the programs of smtpextauth.tab; between extauth.c and cmd_auth.c. */
#ifndef HIKYAKU_SMTPD_EXTAUTH_H
#define HIKYAKU_SMTPD_EXTAUTH_H

#include "auth/auth.h"
#include "wire/sasl.h"

/* The files of one question: RFILE, which the program may write, and SECRT, which it may read.
 */
struct extauth_files {
    struct str answer, secrets;
};

/* Once, before the first session: the table, and the folder of the files. */
enum rc extauth_files_init(struct err *e) CHECK_RESULT;
/* Names the files, in a; makes SECRT if the method wants it. */
enum rc extauth_begin(struct extauth_files *f, const struct extauth_method *m, struct arena *a,
                      struct err *e) CHECK_RESULT;
/* Removes them. */
void extauth_end(struct extauth_files *f);
/* Asks about what the exchange has come to. */
enum step extauth_ask(struct session *s, const struct extauth_method *m,
                      const struct extauth_files *f, const struct sasl *x,
                      struct auth_question *q, session_fn *then);
/* Perms of RFILE, in a; p NULL: the program said nothing. */
struct str extauth_perms(const struct extauth_files *f, struct arena *a);

#endif

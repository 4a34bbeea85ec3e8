/* pop3d_int.h - inside pop3d/. */
#ifndef HIKYAKU_POP3D_POP3D_INT_H
#define HIKYAKU_POP3D_POP3D_INT_H

#include "auth/auth.h"
#include "conf/options.h"
#include "pop3d/pop3d.h"
#include "store/store.h"
#include "users/guard.h"
#include "users/limits.h"
#include "wire/sasl.h"

/* RFC 1939 3. UPDATE is entered and left by QUIT alone. */
enum pop3_state { POP3_AUTHORIZATION, POP3_TRANSACTION, POP3_UPDATE };

struct pop3_session {
    struct session s;              /* first: the engine sees this */
    struct mailbox *mailbox;       /* TRANSACTION */
    struct mailbox_reader *reader; /* a RETR or TOP under way */
    struct sasl *sasl;             /* an AUTH under way */
    struct login *login;           /* a login under way, in s.mem */
    struct str user;               /* of USER, in s.mem */
    uint64_t stamp_time;           /* of the greeting's timestamp, RFC 1939 7 APOP; 0: none */
    size_t next;                   /* next message of a long list */
    size_t last;                   /* highest message accessed, RFC 1460 LAST */
    uint64_t sent_messages, sent_octets; /* by RETR */
    bool list_uids;                      /* the long list is UIDL's */
};

static inline struct pop3_session *pop3(struct session *s)
{
    return CONTAINER_OF(s, struct pop3_session, s);
}

/* --- login.c: what all ways to log in share ---------------------------------------------- */

/* May passwords be sent as they are here: TLS, or this machine, or the settings allow it? */
bool login_is_protected(const struct session *s);
/* What AUTH may offer in this session. */
struct sasl_offer login_offer(const struct session *s);
/* "<number.time@host>" of this session, in s->tmp; empty when APOP isn't offered. */
struct str login_stamp(struct session *s);
/* The domain of a bare user name. */
struct str login_default_domain(void);

/* How a login's secret is checked against the stored form. */
typedef bool login_check_fn(struct session *s, struct str stored, struct str secret);
/* The one for a password as it is: a program may decide instead. */
login_check_fn login_check_password;
/* The program that decides about the account's logins. RC_GONE: none; RC_TEMP: that isn't known
 * now. */
enum rc login_program(const struct account *account, struct auth_program *out) CHECK_RESULT;
/* Forgets the login under way. */
void login_forget(struct session *s);
/* The name of the login under way. */
struct str login_name(struct session *s);
/* Looks the user up and checks the secret, now or after the delay that earlier bad logins
 * earned. */
enum step login_try(struct session *s, struct str name, struct str secret,
                    login_check_fn *check);
/* The same for a name that SASL has checked already. account NULL: it failed. */
enum step login_settle(struct session *s, struct str name, const struct account *account);

/* --- commands ---------------------------------------------------------------------------- */

command_fn pop3_apop, pop3_auth, pop3_capa, pop3_dele, pop3_last, pop3_list, pop3_noop,
    pop3_pass, pop3_quit, pop3_retr, pop3_rset, pop3_stat, pop3_stls, pop3_top, pop3_uidl,
    pop3_user, pop3_utf8;

extern const struct command pop3_commands[];
extern const size_t pop3_command_count;

/* The message a number argument names (1-based, not deleted), or NULL after the -ERR. */
struct mailbox_message *message_named(struct session *s, struct str number, size_t *out_index);

#endif

/*
 * sasl.h - the server's side of AUTH for SMTP (RFC 4954) and POP3 (RFC 5034): PLAIN, LOGIN,
 * SCRAM-SHA-256, CRAM-MD5, over GNU gsasl. Base64 lines in, base64 lines out; no I/O, never
 * waits. An exchange belongs to one session; different exchanges may run in different threads.
 */
#ifndef HIKYAKU_WIRE_SASL_H
#define HIKYAKU_WIRE_SASL_H

#include "base/base.h"
#include "users/users.h"

/* Longest base64 line taken, without CRLF (RFC 4954 4). */
#define SASL_LINE_MAX ((size_t)12288)

/* Who a login name is. The texts live in the arena given to the look-up. */
struct sasl_identity {
    struct str login;       /* as the client gave it */
    bool external;          /* a program says whether the password is right */
    bool has_account;       /* else a line of smtpauth.tab */
    struct account account; /* has_account; account.password is the stored form */
    struct str clear;       /* not has_account: the clear password */
    struct str perms;       /* its rights; p NULL: those of the account */
};

/*
 * Finds the identity for a login name. RC_OK; RC_PERM: unknown (or refused by the guard, which
 * must look the same); RC_TEMP: can't tell now. Called once an exchange, before any check of a
 * password.
 */
typedef enum rc sasl_find_fn(void *ctx, struct str login, struct arena *a,
                             struct sasl_identity *out);

/* Where an exchange finds its users. The texts must outlive it. */
struct sasl_realm {
    sasl_find_fn *find;
    void *ctx;
    struct str host;             /* our name, in CRAM-MD5 challenges */
    enum password_scheme scheme; /* what most accounts have: unknown users cost the same */
    bool challenges; /* the method is a program's: the client answers a challenge with "user
                        digest" */
    struct str challenge; /* challenges: what stands in front of it, with a colon; may be empty
                           */
};

enum sasl_status {
    SASL_CONTINUE, /* send the reply ("334 " or "+ ") and read a line */
    SASL_DONE,     /* authenticated: sasl_identity() says who */
    SASL_FAILED,   /* wrong name or password: 535 5.7.8, after guard_bad()'s delay */
    SASL_BAD,      /* not base64, or not what the mechanism says: 501 5.5.2 */
    SASL_TOO_LONG, /* 500 5.5.6 */
    SASL_ABORTED,  /* the client sent "*": 501 5.7.0 */
    SASL_TEMP,     /* users can't be looked up now: 454 4.7.0 */
    SASL_ASK,      /* sasl_identity_asked() and sasl_password() are to be checked by a program;
                      then sasl_answered() ends the exchange */
};

struct sasl;

/* Makes ready what all exchanges share. Call once before a role seals itself; else the first
 * exchange does it. */
enum rc sasl_warm_up(struct err *e) CHECK_RESULT;

/* Starts an exchange. RC_PERM: no such mechanism (504 5.5.4); RC_TEMP: no memory. *out is freed
 * with sasl_free. */
enum rc sasl_begin(struct str mechanism, const struct sasl_realm *realm, struct sasl **out,
                   struct err *e) CHECK_RESULT;
/*
 * One step. line: the client's line without CRLF; for the first step the initial response of
 * the AUTH command ("=" is the empty one), or p = NULL when it had none.
 * *out_reply: base64 to send with SASL_CONTINUE (may be empty), valid until the next call.
 * SCRAM's last word of the server goes out with SASL_CONTINUE; the client answers with an empty
 * line.
 */
enum sasl_status sasl_step(struct sasl *x, struct str line, struct str *out_reply);
/* After SASL_ASK: who wants to come in, with which password. */
const struct sasl_identity *sasl_identity_asked(const struct sasl *x);
struct str sasl_password(const struct sasl *x);
/* The same for a program's method: the challenge, and the answer without the name. */
struct str sasl_challenge(const struct sasl *x);
struct str sasl_digest(const struct sasl *x);
/* The program's answer: after yes it is as after SASL_DONE, else as after SASL_FAILED. */
void sasl_answered(struct sasl *x, bool yes);
/* After SASL_DONE: who it is; else NULL. Valid until sasl_free. */
const struct sasl_identity *sasl_identity(const struct sasl *x);
/* The login name that was tried, empty when the exchange didn't get that far. */
struct str sasl_login(const struct sasl *x);
/* "PLAIN" ... */
const char *sasl_mechanism(const struct sasl *x);
/* Ends the exchange; secrets are wiped. *x may be NULL. */
void sasl_free(struct sasl **x);

/* What decides which mechanisms are offered (specification 1, section 3). */
struct sasl_offer {
    bool has_tls;                /* of this session */
    bool has_scheme;             /* PasswordScheme is set; else old XMCrypt values */
    enum password_scheme scheme; /* has_scheme */
    bool plain_listed; /* programs decide about some users: only what works for all is listed,
                          so that clients don't choose what can't; the rest is still taken */
    struct str without_tls; /* "PLAIN,LOGIN": mechanisms offered without TLS; p = NULL: not set,
                               all (XMail) */
};
bool sasl_is_offered(const struct sasl_offer *offer, struct str mechanism);
/* May it be used here: is there TLS, or is it one of without_tls? */
bool sasl_may_be_used(const struct sasl_offer *offer, struct str mechanism);
/* Appends the offered names, blanks between; nothing when there are none. */
enum rc sasl_mechanisms(const struct sasl_offer *offer, struct buf *out) CHECK_RESULT;

#endif

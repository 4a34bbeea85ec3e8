/*
 * limits.h - limits that notice: how often clients and accounts did something lately, by the
 * lines of limits.tab, and who is over a limit. Counted over all roles, in the shared table of
 * guard.h. Who reaches a limit is held until its time is over, or until an administrator lets
 * go of it.
 */
#ifndef HIKYAKU_USERS_LIMITS_H
#define HIKYAKU_USERS_LIMITS_H

#include "base/base.h"

enum limit_what { LIMIT_CONNECTIONS, LIMIT_MESSAGES, LIMIT_RECIPIENTS, LIMIT_BAD_LOGINS };
enum limit_action {
    LIMIT_DELAY, /* an SMTP session waits after each command */
    LIMIT_REFUSE,
    LIMIT_STOP, /* an account: may not send, until it is let go */
};
const char *limit_what_name(enum limit_what what);       /* "bad-logins" */
const char *limit_action_name(enum limit_action action); /* "stop" */

#define LIMIT_WHO_BYTES 168u

/* Who is over a limit. */
struct limit_held {
    char who[LIMIT_WHO_BYTES]; /* "192.0.2.7", "2001:db8::/64", "ann@example.org" (in lower
                                  case) */
    usec_t since, until;       /* clock_wall; until 0: for ever */
    uint32_t count, window_s;  /* the limit */
    uint32_t line;             /* of limits.tab, then */
    uint16_t delay_s;          /* LIMIT_DELAY */
    uint8_t what, action;      /* of the enums */
    uint8_t is_account, notify, settled, unused[5];
};

/* Once, before the first of those below. */
void limits_init(void);

/* Something was done by a client, or by an account ("ann@example.org", or a name of
 * smtpauth.tab). */
void limits_count_client(const struct ip *client, enum limit_what what);
void limits_count_account(struct str account, enum limit_what what);
/* Are they held for it now? An account that is stopped is held for everything. */
bool limits_find_client(const struct ip *client, enum limit_what what, struct limit_held *out);
bool limits_find_account(struct str account, enum limit_what what, struct limit_held *out);

/* Calls fn for all that are held now. */
typedef void limits_each_fn(void *ctx, const struct limit_held *held);
void limits_each(limits_each_fn *fn, void *ctx);
/* Holds as it says, or changes what is known of one who is held. False: no room. */
bool limits_hold(const struct limit_held *held);
/* Lets go of a client or account, whatever it was held for; how often it was. */
unsigned limits_release(struct str who);
/* One row of text, and back; false: it isn't one. */
enum rc limits_print(const struct limit_held *held, const char *end, struct buf *out,
                     struct err *e) CHECK_RESULT;
bool limits_parse(struct str line, struct limit_held *out);
/* Keeps the accounts that are stopped in a file; stops those that it names. (limits_keep.c) */
enum rc limits_keep(struct err *e) CHECK_RESULT;
void limits_recall(void);
/* Differs when somebody was held or let go since. */
uint64_t limits_changes(void);

#endif

/* tools_int.h - what the tools share. */
#ifndef HIKYAKU_TOOLS_TOOLS_INT_H
#define HIKYAKU_TOOLS_TOOLS_INT_H

#include "base/base.h"
#include "mail/address.h"
#include "sys/client.h"
#include "users/users.h"

/* --- text.c ------------------------------------------------------------------------------ */

/* Foreign text on one line of standard output: control characters, octets that aren't UTF-8
 * and, for JSON, quotes and backslashes are escaped. */
void tool_print_text(struct str text, bool json);
/* A whole JSON string with its quotes. */
void tool_print_json(struct str text);

/* Without its line end (LF or CRLF). */
struct str tool_first_line(struct str text);

/* A password a person can type: 20 letters and digits without look-alikes, over 110 bits. */
struct str tool_fresh_password(struct arena *a);
/* Where a password comes from: the first line of `file` ("-": standard input), or, when file is
 * NULL, the terminal, asked twice without echo. RC_PERM with the reason. */
enum rc tool_ask_password(const char *file, struct arena *a, struct str *out,
                          struct err *e) CHECK_RESULT;

/* An address as MAIL and RCPT take it, with or without <>. */
enum rc tool_parse_address(struct str text, struct arena *a, struct address *out,
                           struct err *e) CHECK_RESULT;
/* What an address means, for people: "an account". */
const char *tool_recipient_kind(enum recipient_kind kind);

/* --- place.c ----------------------------------------------------------------------------- */

/* Enters the MailRoot: the one given, else MAIL_ROOT, else /var/MailRoot. RC_PERM when it isn't
 * one. */
enum rc tool_enter_mailroot(const char *given, struct err *e) CHECK_RESULT;
/* A process that is root becomes the owner of the MailRoot, so that what it makes is the
 * owner's. For good. */
enum rc tool_become_owner(struct err *e) CHECK_RESULT;
/* Makes this process know the MailRoot's accounts. */
enum rc tool_use_accounts(struct err *e) CHECK_RESULT;
/* Gives the file, or the folder and all below it, to a user of the system; links are given, not
 * followed. */
enum rc tool_give_to(const char *path, const char *owner, struct err *e) CHECK_RESULT;
/* Is there such a user? RC_PERM: none. */
enum rc tool_find_user(const char *name, struct err *e) CHECK_RESULT;
/* Nothing else works on the MailRoot while *out_lock is open: RC_TEMP when a server does, ours
 * or XMail, or another tool. RC_PERM: a newer version wrote it. */
enum rc tool_take_mailroot(int *out_lock, struct err *e) CHECK_RESULT;

/* --- orders.c ---------------------------------------------------------------------------- */

/* The running server's local socket, or, when none runs, a process of ours that is the control
 * role for one session: *out_child, which ends after the connection. */
enum rc orders_reach(struct client **out, pid_t *out_child, struct err *e) CHECK_RESULT;
/* A connection to the running server, made for the first order. */
struct orders {
    const char *tool; /* its name, for messages */
    bool ourselves;   /* or orders_reach's process */
    struct client *server;
    pid_t child;
    bool failed; /* an order was */
};
/* A command of the control protocol. False: it failed, which has been said. */
bool orders_send(struct orders *o, const struct str *words, size_t count);
/* The same with its answer, good or not, valid until the next. False: there was none. */
bool orders_ask(struct orders *o, const struct str *words, size_t count, struct str *out_line);
void orders_close(struct orders *o);

/* --- limits_tool.c ------------------------------------------------------------------------ */

struct limit_held;
/* Calls fn for all who are over a limit; the server tells. False: it doesn't, which has been
 * said. */
bool tool_each_held(struct orders *o, void (*fn)(void *ctx, const struct limit_held *held),
                    void *ctx);

/* --- lists_tool.c ------------------------------------------------------------------------ */

/* Is it a verb of `hikyaku lists` about posts? Then argv[0] is it. */
bool tool_list_posts_takes(const char *verb);
int tool_list_posts(int argc, char **argv);
extern const char tool_list_posts_usage[];

#endif

/* relay_int.h - inside relay/. */
#ifndef HIKYAKU_RELAY_RELAY_INT_H
#define HIKYAKU_RELAY_RELAY_INT_H

#include "conf/options.h"
#include "mail/reason.h"
#include "relay/relay.h"
#include "spool/spool.h"
#include "sys/client.h"

/* --- where to (hosts.c, route.c) --------------------------------------------------------- */

enum tls_policy { TLS_NONE, TLS_TRY, TLS_MUST };

/* Options of a host in smtpfwd.tab, DefaultSMTPGateways, SmtpGwConfig. */
struct host_options {
    enum tls_policy tls;
    bool has_source;
    struct ip source; /* OutBind */
};

/* One place to connect to. */
struct target {
    struct str name; /* the server's, for TLS, logs and reports */
    struct ip ip;
    uint16_t port;
    struct host_options options;
};

#define TARGETS_MAX 20u

struct route {
    struct target targets[TARGETS_MAX]; /* in the order to try */
    size_t count;
    struct str source_route; /* "@b,@c:" before the address in RCPT (smtpgw.tab); or empty */
    struct arena mem;
};

/* "NeedTLS=2,OutBind=192.0.2.1" over what *out holds. */
enum rc host_options_parse(struct str text, struct host_options *out,
                           struct err *e) CHECK_RESULT;
/* "[#]host[:port][,opts];..." with their addresses. RC_TEMP, RC_PERM: none can be reached. */
enum rc hosts_parse(struct str text, const struct host_options *base, struct route *out,
                    struct err *e) CHECK_RESULT;
/* Adds the addresses of the host. *out_added. */
enum rc hosts_add(struct str name, uint16_t port, const struct host_options *options,
                  struct route *out, size_t *out_added, struct err *e) CHECK_RESULT;
/* Where mail for the domain goes: via, smtpgw.tab, smtpfwd.tab, DefaultSMTPGateways, an address
 * literal, MX, addresses. RC_PERM: nowhere (5.1.2, 5.1.10, 5.4.6). Release out->mem. */
enum rc route_find(struct str domain, struct str via, struct route *out,
                   struct err *e) CHECK_RESULT;
void route_release(struct route *r);
/* This machine's addresses; before sealing. */
void route_init(void);

/* --- a connection (connection.c) --------------------------------------------------------- */

/* A time of RFC 5321 4.5.3.2, within RemoteTimeout. */
static inline usec_t patience(usec_t rfc)
{
    return MIN(rfc, conf()->remote_timeout);
}

struct reply {
    unsigned code;   /* 0: none was read */
    struct str text; /* code and all lines' texts, blanks between */
};

struct connection {
    struct client *client;
    struct target target; /* name in mem */
    struct arena mem;
    struct str greeting; /* the server's own name */
    bool pipelining, size, eight_bit, utf8, dsn, starttls;
    uint64_t size_limit;   /* 0: not told */
    struct str mechanisms; /* AUTH, in mem */
    bool has_slot;
    bool spent;    /* not to be used for another message */
    bool verified; /* its certificate had to be good */
    unsigned messages;
    usec_t idle_since;
    struct connection *next; /* idle.c */
};

/* Connects, greets, goes to TLS and logs in as the target's options and userauth/smtp say.
 * RC_TEMP, RC_PERM with the reason; *out_reply: the remote's last words, in a. RC_AGAIN: there
 * are as many connections to this server as may be. */
enum rc connection_open(const struct target *t, struct connection **out, struct arena *a,
                        struct reply *out_reply, struct err *e) CHECK_RESULT;
/* The part of it behind connecting: over c->client, to c->target. */
enum rc connection_greet(struct connection *c, struct arena *a, struct reply *out,
                         struct err *e) CHECK_RESULT;
/* One reply of any number of lines. RC_GONE: closed, too slow, or not SMTP. */
enum rc connection_reply(struct connection *c, struct arena *a, struct reply *out,
                         struct err *e) CHECK_RESULT;
/* QUIT without waiting for the answer, and closed. *c becomes NULL. */
void connection_close(struct connection **c, bool polite);
enum rc connection_init(struct err *e) CHECK_RESULT;
/* Takes over settings about certificates; call every second. */
void connection_refresh(void);

/* Logs in (login.c). RC_OK also when no login is set for the host. */
enum rc login_to(struct connection *c, struct arena *a, struct reply *out,
                 struct err *e) CHECK_RESULT;

/* Room for one more connection to the target's server, from its source address (slots.c). */
bool slot_take(const struct target *t) CHECK_RESULT;
void slot_free(const struct target *t);

/* Connections that wait for their next message (idle.c). NULL: none. */
struct connection *idle_take(const struct target *t);
void idle_keep(struct connection **c);
void idle_tick(void);

/* --- one message (message.c) ------------------------------------------------------------- */

struct verdict {
    enum relay_state state;
    bool known;
    struct str reason; /* in the job's arena */
};

/* The recipients of one attempt. */
struct message {
    struct spool_entry *entry;
    const size_t *rcpts; /* indexes in the entry's envelope */
    struct verdict *verdicts;
    size_t count;
    struct str source_route;
    struct arena *mem;
    bool remote_dsn; /* out */
    struct str tls;  /* out: its version over the last connection, or empty */
};

/* Sends it to the recipients whose verdict isn't known. RC_OK: all are known now. RC_GONE: the
 * connection broke; *out_again: nothing was accepted, another server may be tried. */
enum rc message_send(struct connection *c, struct message *m, bool *out_again,
                     struct err *e) CHECK_RESULT;
/* Sets what isn't known yet. host: who said it, empty for us. */
void message_settle(struct message *m, enum relay_state state, struct str status,
                    struct str host, struct str text);

/* Asks the DNS and waits. (policy.c) */
enum relay_policy relay_find_policy(struct str domain);

#endif

/*
 * relay.h - mail to other servers: the role that connects to them and parses what they say. It
 * is given entries of the queue with some of their recipients, and answers what became of each;
 * it keeps nothing on disk.
 */
#ifndef HIKYAKU_RELAY_RELAY_H
#define HIKYAKU_RELAY_RELAY_H

#include "base/base.h"
#include "gates/gates.h"
#include "sys/pool.h"

/* One attempt: the recipients `rcpts` ("0 3 17") of the entry, all of one domain. */
struct relay_request {
    uint64_t job;
    struct str id, rcpts;
    struct str via; /* hosts as in smtpfwd.tab, instead of the domain's own; may be empty */
};

enum relay_state { RELAY_SENT, RELAY_TEMP, RELAY_PERM };
/* Of a whole attempt. */
enum relay_flag {
    RELAY_UNREACHABLE = 1u << 0, /* no server of the domain could be talked to */
    RELAY_REMOTE_DSN = 1u << 1,  /* the server sends notices of success itself (RFC 3461 5.2) */
    RELAY_BUSY = 1u << 2, /* nothing was tried: there are connections enough to its servers */
};

/* What became of it. result: of one recipient; done: of all others, once, last. reason: as
 * mail/reason.h prints it. Called by workers. */
struct relay_hooks {
    void (*result)(uint64_t job, uint64_t recipient, enum relay_state state, unsigned flags,
                   struct str reason, struct str id);
    void (*done)(uint64_t job, enum relay_state state, unsigned flags, struct str reason,
                 struct str id, struct str rcpts);
};

/* Reads trust stores, starts the resolver. Before sealing. */
enum rc relay_init(struct pool *pool, const struct relay_hooks *hooks,
                   struct err *e) CHECK_RESULT;
/* How certificates are judged now; the caller puts it (client_tls_ctx_put). After relay_init.
 */
struct client_tls_ctx *relay_tls(void);
/* Starts an attempt; its end comes by the hooks. */
void relay_start(const struct relay_request *request);
/* Does a domain ask that mail in its name which others pass on is refused or put aside? */
enum relay_policy { RELAY_POLICY_UNKNOWN, RELAY_POLICY_OPEN, RELAY_POLICY_STRICT };
typedef void relay_policy_fn(struct str domain, enum relay_policy is);
/* Asks the DNS on a worker, which calls `told`. */
void relay_ask_policy(struct pool *pool, struct str domain, relay_policy_fn *told);
/* A question of the gates. session, number: whose it is, handed back. */
struct relay_fact {
    uint64_t process, session, number;
    enum gate_question question;
    struct str name;
};
typedef void relay_fact_fn(const struct relay_fact *f, enum gate_answer is, struct str text);
/* Asks the DNS on a worker, which calls `told`; at once, with GATE_UNKNOWN, when too much is
 * asked. */
void relay_ask_fact(struct pool *pool, const struct relay_fact *f, relay_fact_fn *told);
/* The same for a caller that waits, with dns_open done; *out_text: the name of an address, in
 * a.
 */
enum gate_answer relay_find_fact(enum gate_question question, struct str name, struct arena *a,
                                 struct str *out_text);
/* A question of the web role: a gate's, or for records. */
struct relay_lookup {
    uint64_t process, number; /* whose it is, handed back */
    bool is_gate;
    unsigned type; /* enum gate_question, or enum dns_type, or LOOK_UP_CONNECT */
    struct str name;
};
/* state: enum gate_answer; of records and connections 1, 0: no answer. text: the name, or the
 * records, one a line; the greeting, or why there is no connection. */
typedef void relay_lookup_fn(const struct relay_lookup *l, unsigned state, struct str text);
/* Asks on a worker, which calls `told`. */
void relay_look_up(struct pool *pool, const struct relay_lookup *l, relay_lookup_fn *told);
/* Closes connections that wait for another message too long, takes over settings; call every
 * second. */
void relay_tick(void);

#endif

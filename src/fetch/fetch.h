/*
 * fetch.h - mail fetched from mailboxes elsewhere (pop3links.tab; specification 1, section 5).
 *
 * Two roles share the work. The relay role (fetch_remote_...) talks to the other server and
 * keeps nothing. The queue role (fetch_home_...) decides when a link is visited and which of
 * the listed messages are wanted, puts them into mailboxes or the queue, and remembers them. A
 * visit: home sends the link; remote sends the list of messages; home answers which it wants;
 * remote sends them in batches, home answers what became of each, and what is durable here is
 * removed there; in the end remote says how it went.
 *
 * INVARIANTS
 * 1. A message is removed at its source only after it is durable here.
 * 2. A message that is durable here isn't put here again, whichever process or connection dies:
 *    see memory.c.
 */
#ifndef HIKYAKU_FETCH_FETCH_H
#define HIKYAKU_FETCH_FETCH_H

#include "base/base.h"
#include "sys/pool.h"

/* --- the relay role's side (remote.c) ----------------------------------------------------- */

struct client_tls_ctx;

enum fetch_word {
    FETCH_LIST,  /* the list of the source's messages, as a memory file */
    FETCH_BATCH, /* messages, as a memory file */
    FETCH_DONE,  /* the visit is over; text: "" or what went wrong */
};
/* What remote tells home; fd is closed by the caller of the hook. home, visit: as given to
 * fetch_remote_start. Waits until it is sent. Called by workers. */
struct fetch_done {
    enum rc rc;      /* RC_OK; RC_TEMP; RC_PERM: login or link refused */
    struct str text; /* what went wrong */
};
typedef void fetch_tell_fn(uint64_t home, uint64_t visit, enum fetch_word word,
                           const struct fetch_done *done, int fd);

/* How certificates are judged now; the caller puts it. */
typedef struct client_tls_ctx *fetch_tls_fn(void);
/* tls: asked for each visit. Before sealing. */
void fetch_remote_init(struct pool *pool, fetch_tls_fn *tls, fetch_tell_fn *tell);
/* A visit of the link in the memory file fd, which is taken over. */
void fetch_remote_start(uint64_t home, uint64_t visit, int fd);
/* Which of the listed messages are wanted (a memory file, taken over); what became of a batch.
 */
void fetch_remote_want(uint64_t home, uint64_t visit, int fd);
void fetch_remote_stored(uint64_t home, uint64_t visit, struct str fates);
/* Another process of the queue role is there: visits of the one before end. */
void fetch_remote_abort(uint64_t home);

/* --- the queue role's side (home.c) --------------------------------------------------------
 */

enum fetch_order { FETCH_START, FETCH_WANT, FETCH_STORED };
/* What home tells remote. False: it can't be told now. Any thread. */
typedef bool fetch_ask_fn(enum fetch_order order, uint64_t visit, struct str text, int fd);
typedef void fetch_queued_fn(struct str id);

/* After store_init and spool_init, before the queue works on entries. queued: called for each
 * new one. */
enum rc fetch_home_init(struct pool *pool, fetch_ask_fn *ask, fetch_queued_fn *queued,
                        struct err *e) CHECK_RESULT;
/* A relay role is there that knows of no visit. */
void fetch_home_relay_ready(void);
/* What remote told; the descriptor is taken over. */
void fetch_home_told(uint64_t visit, enum fetch_word word, const struct fetch_done *done,
                     int fd);
/* These links are due now; empty values match all. */
void fetch_home_now(struct str domain, struct str user, struct str server, struct str remote);
/* Starts what is due; call every second. */
void fetch_home_tick(void);

/* For commit_recover: notes what the tag of a message that was put says. False: not a tag of
 * this folder. */
bool fetch_recover_tag(struct str tag, enum rc *out_rc, struct err *e);

/* For the way back: what XMail shall know of sources whose mail is left there, instead of what
 * we remember. No server runs. */
void fetch_give_back(void);

/* --- for `hikyaku fetch` -------------------------------------------------------------------
 */

/* What is known of a link's visits. */
struct fetch_report {
    struct str state;       /* "waits", "fetching", "off", "broken" */
    struct str error;       /* of the last visit; empty: none */
    usec_t last_at;         /* wall clock; 0: never */
    usec_t next_at;         /* 0: not by itself */
    uint64_t failures;      /* visits in a row */
    uint64_t messages, bad; /* of the last visit: fetched; left there because of trouble */
};
/* Calls fn for each row of pop3links.tab, with what the queue role last wrote of it. values:
 * domain, account, server, login there. */
typedef void fetch_report_fn(void *ctx, const struct str *values, const struct fetch_report *r);
enum rc fetch_each(fetch_report_fn *fn, void *ctx, struct err *e) CHECK_RESULT;

#endif

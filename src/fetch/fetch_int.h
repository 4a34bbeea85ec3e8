/* fetch_int.h - inside fetch/. */
#ifndef HIKYAKU_FETCH_FETCH_INT_H
#define HIKYAKU_FETCH_FETCH_INT_H

#include "conf/options.h"
#include "fetch/fetch.h"
#include "fetch/link.h"
#include "fetch/memory.h"
#include "mail/address.h"
#include "users/users.h"

/* --- what the roles hand to each other ---------------------------------------------------- */

/* Most messages of one visit; the others are for the next one. */
#define LISTED_MAX ((size_t)200000)
/* A batch is handed over when it has so many messages or octets. */
#define BATCH_MESSAGES 64u
#define BATCH_OCTETS ((size_t)512 * 1024)
/* Largest message, whatever the settings say. */
#define MESSAGE_OCTETS_MAX ((uint64_t)256 << 20)
#define UIDL_MAX 200u

/* A message in a batch: this, then its octets with LF. */
struct batch_head {
    uint32_t index; /* in the list of the visit */
    uint32_t state; /* of enum batch_state */
    uint64_t octets;
};
enum batch_state {
    BATCH_MESSAGE,
    BATCH_TOO_LARGE, /* larger than home allowed; no octets */
    BATCH_REFUSED,   /* the source doesn't give it; no octets */
};

/* What became of each message of a batch, one letter each. */
enum fate {
    FATE_DONE = 'D',  /* it is durable here, now or before */
    FATE_LATER = 'T', /* not now */
    FATE_BAD = 'B',   /* not taken: it stays at the source */
};
/* Of the list: what is wanted. */
enum want { WANT_IT = 'F', WANT_NOT = '-' };

/* --- a message's header (header.c) -------------------------------------------------------- */

#define FETCH_RCPTS_MAX 1000u

struct fetched_header {
    struct address sender; /* Return-Path, else From, else null */
    struct str *rcpts;     /* addresses of the fields that FetchHdrTags names */
    size_t rcpt_count;
    unsigned received;
    bool is_loop; /* this link has fetched it before */
};
/* What identifies a link in the Received fields it makes; in a. */
struct str fetch_mark(const struct fetch_link *l, struct arena *a);
/* tags: FetchHdrTags. A tag with "+" ends the search when its field has an address. */
void fetch_read_header(struct str header, struct str tags, struct str mark, struct arena *a,
                       struct fetched_header *out);

/* --- a visit, at home (visit.c, keep.c) --------------------------------------------------- */

struct listed {
    struct str uidl;
    uint64_t octets; /* as the source says */
    bool has_uidl;   /* else it is found by what it holds */
    bool marked;     /* somebody there has deleted it, but it isn't gone */
};

struct visit {
    struct arena mem;
    pool_ticket ticket;
    uint64_t number;
    struct fetch_link link; /* in mem */
    struct str folder, mark, source;
    struct letter *first, *last; /* what was told; under home.c's lock */
    struct memory *memory;
    struct listed *list;
    size_t list_count;
    bool has_list;
    uint64_t messages, octets, bad, bad_octets;
    char trouble[160]; /* with the last message that wasn't taken */
    /* Where the mail goes when that doesn't depend on the message. */
    bool into_mailbox;
    struct account account;
    struct user_options user;
    usec_t began; /* clock_mono */
};

/* How it went; for the link's next turn. */
struct visit_end {
    enum rc rc;
    struct str text;
};

/* Is there an account, and so on? RC_PERM, RC_TEMP with the reason. */
enum rc visit_check_target(struct visit *v, struct err *e) CHECK_RESULT;
/* Which of the messages listed in fd are wanted: *out_fd, a memory file. */
enum rc visit_take_list(struct visit *v, int fd, int *out_fd, struct err *e) CHECK_RESULT;
/* Stores the messages of a batch; a letter for each into out. */
enum rc visit_take_batch(struct visit *v, int fd, fetch_queued_fn *queued, struct buf *out,
                         struct err *e) CHECK_RESULT;
/* Messages that aren't asked for again for a while, and why (home.c). visit_is_refused counts
 * it. */
bool visit_is_refused(struct visit *v, const struct listed *m);
void visit_refuse(const struct visit *v, struct str uidl, const char *why);

/* SHA-256 as text. */
struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *d, struct str octets);
/* Ends and frees it. */
void digest_end(struct digest **d, char out[DIGEST_TEXT_BYTES]);

#endif

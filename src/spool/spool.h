/*
 * spool.h - queue entries under MailRoot/queue: one file an entry (envelope, blank line,
 * message), never changed; a checksummed journal beside it says what became of each recipient.
 */
#ifndef HIKYAKU_SPOOL_SPOOL_H
#define HIKYAKU_SPOOL_SPOOL_H

#include "base/base.h"
#include "mail/address.h"
#include "sys/commit.h"

/* NOTIFY of RCPT TO (RFC 3461 4.1); 0: not given, which means failure and delay. */
enum notify {
    NOTIFY_NEVER = 1u << 0,
    NOTIFY_SUCCESS = 1u << 1,
    NOTIFY_FAILURE = 1u << 2,
    NOTIFY_DELAY = 1u << 3,
};
/* RET of MAIL FROM (RFC 3461 4.3). */
enum dsn_return { RET_NOT_GIVEN, RET_HEADERS, RET_FULL };

/* What goes along with a delivery: nobody is told when it fails. A copy is kept then, a letter
 * (an answer, a notice) isn't. */
enum envelope_along { ALONG_NOT, ALONG_COPY, ALONG_LETTER };

struct envelope_recipient {
    struct address address;  /* as given in RCPT TO */
    struct address resolved; /* the account, or the address elsewhere, that it means */
    unsigned notify;         /* of enum notify */
    struct str orcpt;        /* ORCPT as given, "rfc822;xtext"; may be empty */
};
struct envelope {
    struct address reverse_path;
    struct str auth_user; /* empty: not authenticated */
    struct str client;    /* "[1.2.3.4]:5678" */
    struct str server;    /* "[5.6.7.8]:25" */
    struct str helo;
    usec_t received_at;
    bool smtputf8, body_8bit;
    enum dsn_return ret;
    struct str envid; /* ENVID as given (xtext); may be empty */
    /* Made of recipient part_number of the entry part_of, which records that before this entry
     * is worked on. Empty: not. */
    struct str part_of;
    size_t part_number;
    struct str approval; /* it waits for a moderator, who knows this word; empty: not */
    /* Made by the processing of that recipient, not by a mailing list: */
    bool is_processed;
    enum envelope_along goes_along;
    uint64_t part_step; /* by this step of it; 0: by what ends the recipient there */
    struct str via;     /* hosts it goes to; SPOOL_VIA_DOMAIN; empty: where the address leads */
    struct str steps;   /* those of its first recipient that are done: hex, commas between */
    size_t recipient_count;
    struct envelope_recipient *recipients;
};

/* A recipient's mail goes to the servers of its domain, whatever it means here. */
#define SPOOL_VIA_DOMAIN "@"

/* Makes the folders of the queue; commit: this role's log. Before anything else here. */
enum rc spool_init(struct commit *commit, struct err *e) CHECK_RESULT;

/* --- making an entry (smtpd, later others) ----------------------------------------------- */
struct spool_put;
enum rc spool_put_begin(const struct envelope *env, struct spool_put **out,
                        struct err *e) CHECK_RESULT;
/* The id of part `number` that is made of a recipient of the entry: always the same one, and
 * beside it. In a. */
struct str spool_part_id(struct str id, size_t recipient, size_t number, struct arena *a);
/* Is there an entry of that id in the queue? */
bool spool_exists(struct str id);
/* The same of queue/frozen. */
bool spool_is_frozen(struct str id);
/* The id that names the entry in logs, Received and replies. */
struct str spool_put_id(const struct spool_put *put);
enum rc spool_put_write(struct spool_put *put, struct str octets, uint64_t wire_octets,
                        struct err *e) CHECK_RESULT;
/* Octets kept with the commit's record; see commit.h. */
void spool_put_tag(struct spool_put *put, struct str tag);
/* Durable in the queue. Ends and frees the put whatever the result; *out_id (in a) names it. */
enum rc spool_put_commit(struct spool_put **put, struct arena *a, struct str *out_id,
                         struct err *e) CHECK_RESULT;
/* The same for several entries, made durable together; each with its result. */
struct spool_put_one {
    struct spool_put *put;
    enum rc rc;
    struct err e;
};
void spool_put_commit_all(struct spool_put_one *all, size_t count);
void spool_put_abort(struct spool_put **put);

/* --- entries that another server began (takeover) ----------------------------------------- */

/* What became of it so far; alike for all recipients. */
struct spool_past {
    unsigned tries;
    usec_t next_try;       /* 0: now */
    struct str reason;     /* of the last failure; may be empty */
    struct str history;    /* lines for people; may be empty */
    const uint64_t *steps; /* of the recipients' processing that are done */
    size_t step_count;
    bool frozen, held;
};
/* As spool_put_begin with an id of the caller's, who is alone with it: an entry of that id that
 * is there already is replaced. Ended by spool_adopt_commit, spool_put_commit or
 * spool_put_abort. */
enum rc spool_adopt_begin(struct str id, const struct envelope *env, struct spool_put **out,
                          struct err *e) CHECK_RESULT;
/* The entry stands in the queue, or in queue/frozen; durable when the caller has synced queue/.
 * Ends and frees the put whatever the result. recipients: of its envelope. */
enum rc spool_adopt_commit(struct spool_put **put, const struct spool_past *past,
                           size_t recipients, struct err *e) CHECK_RESULT;

/* --- working on entries (queue role) ----------------------------------------------------- */
/* FAILED: for good, and the sender hasn't been told yet. */
enum delivery_state { DELIVERY_PENDING, DELIVERY_DONE, DELIVERY_FAILED, DELIVERY_REPORTED };
struct spool_line {
    struct spool_line *next;
    struct str text;
};
/* A step of a recipient's processing that is done. */
struct spool_step {
    struct spool_step *next;
    uint64_t step;
};
struct spool_entry {
    struct str id;
    struct envelope env;
    enum delivery_state *states;     /* one a recipient */
    struct str *reasons;             /* what was said of it last; may be empty */
    struct spool_step **steps;       /* one list a recipient */
    bool held;                       /* by the administrator */
    bool approved;                   /* by a moderator */
    struct str via;                  /* hosts that he sends it to; or empty */
    unsigned delay_notices;          /* told so far */
    struct spool_line *history;      /* what happened; what a server before this one noted */
    struct spool_line **history_end; /* NULL: none */
    struct arena *mem;
    unsigned tries;
    usec_t next_try;
    int message_fd;          /* open on the entry's file */
    uint64_t message_offset; /* where the message begins */
    uint64_t message_octets, wire_octets;
};
/* Could this be an id of ours (hex digits, a sensible length)? */
bool spool_id_is_valid(struct str id);
/* Ids of all entries, oldest first, in pieces: calls fn for each; stops when it returns false.
 */
enum rc spool_scan(bool (*fn)(void *ctx, struct str id), void *ctx, struct err *e) CHECK_RESULT;
/* RC_PERM: damaged (set aside under queue/damaged by the caller with spool_set_aside). */
enum rc spool_open(struct str id, struct arena *a, struct spool_entry *out,
                   struct err *e) CHECK_RESULT;
void spool_close(struct spool_entry *entry);
/* Journal: what became of recipient i, with the reason. Batched with other results by the
 * caller. */
enum rc spool_record(struct spool_entry *entry, size_t i, enum delivery_state state,
                     struct str reason, struct err *e) CHECK_RESULT;
/* The same for a failure that nobody is to be told of: the recipient counts as reported. */
enum rc spool_record_refused(struct spool_entry *entry, size_t i, struct str reason,
                             struct err *e) CHECK_RESULT;
/* The same for a failure for now: the recipient stays pending, with the reason. */
enum rc spool_record_deferred(struct spool_entry *entry, size_t i, struct str reason,
                              struct err *e) CHECK_RESULT;
/* A step of the processing of recipient i is done and won't be repeated. */
enum rc spool_record_step(struct spool_entry *entry, size_t i, uint64_t step,
                          struct err *e) CHECK_RESULT;
bool spool_step_is_done(const struct spool_entry *entry, size_t i, uint64_t step);
/* Recipient i's steps that are done, as envelope.steps has them. In a. */
struct str spool_steps_print(const struct spool_entry *entry, size_t i, struct arena *a);
/* Must this entry, made of another one, wait, because that one doesn't say so yet? */
bool spool_part_waits(const struct spool_entry *entry);
/* The entry's header, without the blank line that ends it, in a; *out_end: octets of the
 * message up to that line. RC_PERM 5.6.0: longer than SPOOL_MESSAGE_HEADER_MAX. */
#define SPOOL_MESSAGE_HEADER_MAX ((size_t)2 << 20)
enum rc spool_read_header(const struct spool_entry *entry, struct arena *a, struct str *out,
                          uint64_t *out_end, struct err *e) CHECK_RESULT;
/* The message from octet `at` on into the put. */
enum rc spool_copy(const struct spool_entry *entry, uint64_t at, struct spool_put *put,
                   struct err *e) CHECK_RESULT;
/* The same up to octet `end`. */
enum rc spool_copy_range(const struct spool_entry *entry, uint64_t at, uint64_t end,
                         struct spool_put *put, struct err *e) CHECK_RESULT;
/* Held or released by the administrator; a notice of delay (or to moderators) was sent; a
 * moderator approved. */
enum spool_mark { SPOOL_HELD, SPOOL_RELEASED, SPOOL_DELAY_NOTICE, SPOOL_APPROVED };
enum rc spool_record_mark(struct spool_entry *entry, enum spool_mark mark,
                          struct err *e) CHECK_RESULT;
/* From now on it goes to these hosts (as in smtpfwd.tab); empty: where its domains' mail goes.
 */
enum rc spool_record_via(struct spool_entry *entry, struct str via, struct err *e) CHECK_RESULT;
/* What was recorded survives a power cut from here on. */
enum rc spool_record_sync(const struct spool_entry *entry, struct err *e) CHECK_RESULT;
enum rc spool_record_retry(struct spool_entry *entry, unsigned tries, usec_t next_try,
                           struct err *e) CHECK_RESULT;
/* All recipients are settled: removes entry and journal, durably enough that no recovery
 * repeats it. */
enum rc spool_remove(struct spool_entry *entry, struct err *e) CHECK_RESULT;
/* Moves an entry whose failures are final to queue/frozen, where nothing tries it, and back
 * with its failed recipients pending again. */
enum rc spool_freeze(const struct spool_entry *entry, struct err *e) CHECK_RESULT;
enum rc spool_thaw(struct str id, struct err *e) CHECK_RESULT;
/* As spool_open and spool_scan, of queue/frozen. */
enum rc spool_open_frozen(struct str id, struct arena *a, struct spool_entry *out,
                          struct err *e) CHECK_RESULT;
/* A number that changes when the entry's journal, or that of a frozen one, does. */
uint64_t spool_stamp(struct str id, bool frozen);
enum rc spool_scan_frozen(bool (*fn)(void *ctx, struct str id), void *ctx,
                          struct err *e) CHECK_RESULT;
enum rc spool_remove_frozen(struct str id, struct err *e) CHECK_RESULT;
enum rc spool_set_aside(struct str id, struct str reason, struct err *e) CHECK_RESULT;

/* --- one body for many mailboxes ---------------------------------------------------------- */

/*
 * `front`, then the entry's message, as a file of its own, "queue/XX/ID.body", that mailboxes
 * here link to; synced, and gone when the entry is. One that is there already is kept.
 */
struct spool_body {
    struct str path; /* in the entry's memory */
    uint64_t disk_octets, wire_octets;
    bool made; /* it wasn't there */
};
enum rc spool_body(struct spool_entry *entry, struct str front, struct spool_body *out,
                   struct err *e) CHECK_RESULT;

/* commit_recover's callback: a recovered mailbox put with tag "ID RECIPIENT" is a recipient
 * done. */
enum rc spool_recover_tag(void *ctx, struct str tag, const char *final_path, struct err *e);

/* Journals and bodies in the queue whose entries are gone: each is named, and removed with
 * `repair` (no server may run then). */
enum rc spool_find_orphans(bool repair, void (*fn)(void *ctx, const char *path), void *ctx,
                           struct err *e) CHECK_RESULT;

/* Removes what a crash left in queue/tmp. Part of recovery, before any role runs. */
enum rc spool_clear_tmp(struct err *e) CHECK_RESULT;

#endif

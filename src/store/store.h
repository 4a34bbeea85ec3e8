/*
 * store.h - mailboxes. No code above this layer knows that a mailbox is a folder.
 * Maildir/ and mailbox/ (one file a message) are both read and written; which one exists
 * decides.
 */
#ifndef HIKYAKU_STORE_STORE_H
#define HIKYAKU_STORE_STORE_H

#include "base/base.h"
#include "sys/commit.h"
#include "users/users.h"

/* The commit log of this role for mailboxes (NULL: none yet, puts fail). Called once at start,
 * before threads; reads hikyaku/run and the time of the takeover in hikyaku/marker. */
void store_init(struct commit *commit);

/* --- putting a message in ---------------------------------------------------------------- */

struct store_put; /* one message on its way into one mailbox */

/*
 * Begins a message for the account. fixed_name: the file name to use up to ",S=" (for
 * deliveries that must be recognised after a crash), or empty: a fresh Maildir name. Small
 * messages stay in memory.
 */
enum rc store_put_begin(const struct account *account, struct str fixed_name,
                        struct store_put **out, struct err *e) CHECK_RESULT;
/* Octets as they go to disk (LF). wire_octets: what they count with CRLF. */
enum rc store_put_write(struct store_put *put, struct str octets, uint64_t wire_octets,
                        struct err *e) CHECK_RESULT;
/* In the mailbox, durable, counted, announced. RC_TEMP 4.2.2: it would be fuller than
 * max_mailbox_kb (0: no limit); RC_PERM 5.2.3: the message alone is larger than that. Ends and
 * frees the put whatever the result. tag: see commit.h. */
enum rc store_put_commit(struct store_put **put, uint64_t max_mailbox_kb, struct str tag,
                         struct err *e) CHECK_RESULT;
/* The same for several messages, made durable together; each with its result. */
struct store_put_one {
    struct store_put *put;
    struct str tag;
    enum rc rc;
    struct err e;
};
void store_put_commit_all(struct store_put_one *all, size_t count, uint64_t max_mailbox_kb);
void store_put_abort(struct store_put **put);

/* Octets (as POP3 would send) and messages in the account's mailbox (new/ and cur/), from
 * counters; the first question makes them. */
enum rc store_usage(const struct account *account, uint64_t *out_octets, uint64_t *out_messages,
                    struct err *e) CHECK_RESULT;
/* Would a message of `octets` (0: unknown) fit? RC_TEMP 4.2.2 full, RC_PERM 5.2.3 larger than
 * the whole mailbox may be. */
enum rc store_fits(const struct account *account, uint64_t max_mailbox_kb, uint64_t octets,
                   struct err *e) CHECK_RESULT;
/* Was a message with this fixed_name ever put here and is still there (any flags)? Reads the
 * folder: for use after a crash. */
bool store_has(const struct account *account, struct str fixed_name);

/* The same message into many mailboxes at once. */
struct store_link_file {
    const char *path; /* whole and synced: Return-Path first, then the message, LF */
    uint64_t disk_octets, wire_octets;
    bool may_stand; /* an earlier try may have made some of the links */
};
enum store_link_result {
    STORE_LINK_DONE,   /* in the mailbox, durable, counted, announced */
    STORE_LINK_FAILED, /* e says why: as store_put_commit */
    STORE_LINK_APART,  /* this mailbox needs a copy of its own */
};
struct store_link {
    struct account account;
    struct str name; /* as store_put_begin's fixed_name */
    uint64_t max_mailbox_kb;
    enum store_link_result result;
    struct err e;
};
void store_link_all(struct store_link *links, size_t count, const struct store_link_file *f);

/* --- is it as it should be? (verify.c) ---------------------------------------------------- */

struct store_verified {
    uint64_t messages, octets;
    uint64_t bad;       /* files that aren't as their names say */
    uint64_t leftovers; /* of deliveries that were interrupted long ago */
    bool counter_off;   /* the counter would be believed, and is wrong */
};
typedef void store_bad_fn(void *ctx, const char *path, const char *what);
/* Looks at one mailbox and names bad files. repair: removes leftovers, has the mailbox counted
 * anew. No message is touched. */
void store_verify(const struct account *account, bool repair, store_bad_fn *bad, void *ctx,
                  struct store_verified *out);

/* --- mail that another system kept (bulk.c) ----------------------------------------------- */

struct store_bulk;
/* May a folder of a Maildir have this name ("Sent"; levels with dots between)? Empty: INBOX. */
bool store_folder_is_good(struct str folder);
/* Makes the mailbox, or the folder of its Maildir, where it is missing. No quota counts. */
enum rc store_bulk_open(const struct account *account, struct str folder,
                        struct store_bulk **out, struct err *e) CHECK_RESULT;
/* Is there a message of that name (up to its sizes and flags)? */
bool store_bulk_has(const struct store_bulk *b, struct str base);
/* One message: begin, octets with LF, then end or drop. */
enum rc store_bulk_begin(struct store_bulk *b, struct err *e) CHECK_RESULT;
enum rc store_bulk_write(struct store_bulk *b, struct str octets, struct err *e) CHECK_RESULT;
/* flags: Maildir's letters; p NULL: a new one. Durable after store_bulk_sync. */
enum rc store_bulk_end(struct store_bulk *b, struct str base, struct str flags, usec_t arrived,
                       struct err *e) CHECK_RESULT;
void store_bulk_drop(struct store_bulk *b);
enum rc store_bulk_sync(struct store_bulk *b, struct err *e) CHECK_RESULT;
void store_bulk_close(struct store_bulk **b);

/* --- reading a mailbox ------------------------------------------------------------------- */

struct mailbox;
struct mailbox_message {
    struct str uid; /* POP3 UIDL: the file's name up to the flags, or "h-" and a hash of it
                       where RFC 1939 doesn't allow the name; not NUL-terminated */
    uint64_t wire_octets; /* as sent with CRLF, without dot-stuffing */
    bool deleted;         /* marked, not yet removed */
};
/*
 * Opens for one POP3 session: a stable list in order of arrival. scan_cur: Maildir's cur/ too.
 * Exclusive: RC_TEMP 4.2.0 "in use" when another session holds it (pop3locks/user@domain).
 * Reads no message whose size its name (or the sizes remembered) tells.
 */
enum rc mailbox_open(const struct account *account, bool scan_cur, struct mailbox **out,
                     struct err *e) CHECK_RESULT;
size_t mailbox_count(const struct mailbox *m);
struct mailbox_message *mailbox_message(struct mailbox *m, size_t i); /* 0-based */
/* Removes the messages marked deleted, durably. A second call removes only what was marked
 * since.
 */
enum rc mailbox_expunge(struct mailbox *m, size_t *out_removed, struct err *e) CHECK_RESULT;
void mailbox_close(struct mailbox **m);

/* A message being sent: CRLF line ends, dot-stuffed, ended by CRLF "." CRLF; read in pieces. */
struct mailbox_reader;
/* body_lines: how many lines of the body (TOP), SIZE_MAX: all (RETR). RC_PERM: the file is
 * gone (another program removed it). */
enum rc mailbox_reader_open(struct mailbox *m, size_t i, size_t body_lines,
                            struct mailbox_reader **out, struct err *e) CHECK_RESULT;
/* Appends about chunk octets to out; *out_done at the end (the final dot is then in out). */
enum rc mailbox_reader_next(struct mailbox_reader *r, size_t chunk, struct buf *out,
                            bool *out_done, struct err *e) CHECK_RESULT;
void mailbox_reader_close(struct mailbox_reader **r);

/* --- change notices ---------------------------------------------------------------------- */

/* One shared page of counters (memory file made by the master), one step for each change of a
 * mailbox. */
enum rc store_notices_make(int *out_fd, struct err *e) CHECK_RESULT;
enum rc store_notices_use(int fd, struct err *e) CHECK_RESULT;
/* The counter of the account's mailbox: another value means something may have changed. */
uint32_t store_notice(const struct account *account);

#endif

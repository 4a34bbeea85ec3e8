/*
 * takeover.h - a MailRoot of XMail becomes ours, and the queue goes back to XMail. Called by
 * recovery (at every start) and by the tools, while neither server runs.
 *
 * INVARIANTS
 * 1. A message of XMail's spool is claimed by one rename out of the spool before anything is
 * made of it, and what was claimed becomes queue entries before any role runs. So neither
 * server can send it while the other still has it, whenever a process dies.
 * 2. A claimed file is removed only after its entry is durable.
 * 3. What can't be understood is moved aside whole and reported.
 */
#ifndef HIKYAKU_TAKEOVER_TAKEOVER_H
#define HIKYAKU_TAKEOVER_TAKEOVER_H

#include "base/base.h"

/* How something found stands; also the sections of a report. */
enum takeover_level { TAKEOVER_FINE, TAKEOVER_DIFFERS, TAKEOVER_HAND };
/* One line of a report: file (may be empty) and what about it; foreign text isn't escaped. */
typedef void takeover_say_fn(void *ctx, enum takeover_level level, struct str file,
                             struct str what);
struct takeover_sink {
    takeover_say_fn *say;
    void *ctx;
};

/* --- XMail's spool ----------------------------------------------------------------------- */

struct takeover_spool {
    size_t fresh, retried, frozen; /* messages in mess, rsnd, froz */
    size_t held;                   /* of them: XMail's processing had begun */
    size_t local;                  /* files in spool/local: the queue role takes them */
    size_t unfinished;             /* in temp: no client was told that they are taken */
    size_t damaged;                /* moved aside, or would be */
    size_t odd;                    /* no regular files: left alone */
    uint64_t octets;
};
/* Reads the heads of all messages in the spool; changes nothing. */
enum rc takeover_spool_look(const struct takeover_sink *sink, struct takeover_spool *out,
                            struct err *e) CHECK_RESULT;
/* All messages of the spool become queue entries. Nothing is fatal but that the disk doesn't
 * take them (then they are still in the spool, or claimed, and the next call goes on) or that
 * XMail runs (RC_TEMP 4.2.0). sink may be NULL: the log tells. */
enum rc takeover_spool_do(const struct takeover_sink *sink, struct takeover_spool *out,
                          struct err *e) CHECK_RESULT;

/* --- the way back (spool_give.c) ---------------------------------------------------------- */

struct takeover_given {
    size_t entries, files, frozen; /* files: one a recipient, frozen ones among them */
    size_t damaged;                /* entries that can't be read: left in the queue */
};
/* Each recipient that waits, or is frozen, becomes a file of XMail's spool, and its entry goes.
 * After an interruption a repetition goes on; so does a start of ours, which takes all back. */
enum rc takeover_give(const struct takeover_sink *sink, struct takeover_given *out,
                      struct err *e) CHECK_RESULT;
/* Completes, or takes back, what an interrupted takeover_give left. */
enum rc takeover_give_finish(struct err *e) CHECK_RESULT;

/* --- the whole MailRoot (inventory.c, programs.c) ----------------------------------------- */

struct takeover_inventory {
    size_t domains, accounts, lists, aliases;
    size_t maildirs, mailboxes,
        without; /* accounts with Maildir, with mailbox/, with neither */
    size_t messages;
    size_t last_logins, disabled_links, locks, index_files;
    size_t mailprocs;
    size_t foreign; /* account folders that belong to another user than the MailRoot */
    size_t programs, bad_programs;
};
/* Reads tables and the entries of folders; opens no message. Changes nothing. */
enum rc takeover_inventory(const struct takeover_sink *sink, struct takeover_inventory *out,
                           struct err *e) CHECK_RESULT;
/* Every program that a table names: does it stand there, can it run here? */
void takeover_programs(const struct takeover_sink *sink, struct takeover_inventory *out);
/* Removes XMail's indexes of tables and its DNS cache, which it makes anew; ours aren't
 * there. *out_removed: files. */
enum rc takeover_clear_indexes(size_t *out_removed, struct err *e) CHECK_RESULT;

/* Is an XMail running on this MailRoot? *out_pid its process. */
bool takeover_xmail_runs(unsigned *out_pid);

#endif

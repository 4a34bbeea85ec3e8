/*
 * backup.h - copies of a MailRoot while the server runs, and bringing them back.
 *
 * DIR/SNAPSHOT/MailRoot is the tree as it was, DIR/SNAPSHOT/manifest says what is in it, with a
 * SHA-256 of each file. A file that is as it was in the snapshot before is a hard link to it
 * there, and isn't read. A message is the same when its name (up to the flags), size and time
 * are.
 *
 * INVARIANTS
 * 1. A snapshot has its name only when it is whole and synced.
 * 2. A message that lies in the queue or in a mailbox during the whole backup is in the
 * snapshot: the queue is copied before the mailboxes, new/ before cur/. One that moves
 * meanwhile may be there twice, under the same name.
 * 3. Restoring never removes or changes what is there.
 */
#ifndef HIKYAKU_BACKUP_BACKUP_H
#define HIKYAKU_BACKUP_BACKUP_H

#include "base/base.h"

/* Something worth a word: the file (may be empty) and what about it. Foreign text isn't
 * escaped. */
typedef void backup_say_fn(void *ctx, struct str file, struct str what);
/* How far it is; called after each file. */
typedef void backup_progress_fn(void *ctx, uint64_t files, uint64_t octets);
struct backup_sink {
    backup_say_fn *say;
    backup_progress_fn *progress; /* may be NULL */
    void *ctx;
};

/* --- making (make.c) --------------------------------------------------------------------- */

struct backup_request {
    const char *dir; /* absolute; made when missing */
    bool logs;       /* logs/ too */
    bool careful;    /* no symbolic link is followed: for root, in a MailRoot of others */
    unsigned keep;   /* snapshots that stay, this one included; 0: all */
};
struct backup_report {
    struct str snapshot; /* its name; in the arena given */
    uint64_t files, octets;
    uint64_t read_files, read_octets; /* of them: copied, so read */
    uint64_t skipped;                 /* neither file nor folder */
    uint64_t pruned;                  /* snapshots removed */
};
/* A snapshot of the MailRoot that is the working directory. RC_TEMP 4.2.0: another backup works
 * on that folder. On failure nothing of it is left; what a killed one left goes first. */
enum rc backup_make(const struct backup_request *r, const struct backup_sink *sink,
                    struct arena *a, struct backup_report *out, struct err *e) CHECK_RESULT;

/* A snapshot inside the MailRoot (the working directory) would be part of the next one. */
enum rc backup_check_outside(const char *dir, struct err *e) CHECK_RESULT;

/* The names of the snapshots in a folder, oldest first; in a. */
enum rc backup_list(const char *dir, struct arena *a, struct str **out, size_t *out_count,
                    struct err *e) CHECK_RESULT;

/* --- proving (prove.c) ------------------------------------------------------------------- */

struct backup_proof {
    uint64_t files, octets, bad;
};
/* Reads a whole snapshot and compares it with its manifest; what differs is said and counted.
 * snapshot: a path. RC_PERM: no snapshot, or its manifest is damaged. */
enum rc backup_prove(const char *snapshot, const struct backup_sink *sink,
                     struct backup_proof *out, struct err *e) CHECK_RESULT;

/* --- bringing back (restore.c) ----------------------------------------------------------- */

struct backup_choice {
    struct str domain; /* empty: everything */
    struct str user;   /* empty: the whole domain */
    struct str folder; /* of the user's Maildir ("Sent"; "INBOX"); empty: all */
    bool leave_queue;  /* everything: not the queue */
};
/* "all", "DOMAIN", "USER@DOMAIN" or "USER@DOMAIN/FOLDER"; false: none of these. Pure. */
bool backup_choice_parse(struct str what, struct backup_choice *out);

struct backup_restored {
    uint64_t files, octets, messages;
    uint64_t present; /* messages that are there already */
    uint64_t kept;    /* other files that are there already, and stay as they are */
    uint64_t rows;    /* of tables */
    uint64_t bad;     /* differ from the manifest: not restored */
};
/* Copies what is chosen of the snapshot (a path) to `to`, a folder that is made, or is empty:
 * the same tree. */
enum rc backup_restore_aside(const char *snapshot, const struct backup_choice *c,
                             const char *to, const struct backup_sink *sink,
                             struct backup_restored *out, struct err *e) CHECK_RESULT;
/*
 * A domain, a user or one of his folders back into the MailRoot that is the working directory,
 * also beside a running server: lines of domains.tab, mailusers.tab and aliases.tab that are
 * missing, files that are missing, messages that are in neither new/ nor cur/. After an
 * interruption a repetition goes on.
 */
enum rc backup_restore_back(const char *snapshot, const struct backup_choice *c,
                            const struct backup_sink *sink, struct backup_restored *out,
                            struct err *e) CHECK_RESULT;

#endif

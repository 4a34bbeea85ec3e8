/*
 * import.h - mail from other systems: Maildir and mbox, one or a tree of them. Called by
 * `hikyaku import`.
 *
 * A message gets a name made from where it came from, so a repetition after an interruption
 * puts none there twice. Sources are only read; nothing but regular files is opened, and no
 * link is followed below the folder that was named.
 */
#ifndef HIKYAKU_IMPORT_IMPORT_H
#define HIKYAKU_IMPORT_IMPORT_H

#include "base/base.h"
#include "users/users.h"

typedef void import_say_fn(void *ctx, struct str source, struct str what);
typedef void import_progress_fn(void *ctx, uint64_t messages, uint64_t octets);

/* What was found, and what became of it. */
struct import_report {
    uint64_t messages, octets; /* found */
    uint64_t put;              /* of them: put into a mailbox now */
    uint64_t present;          /* were there already */
    uint64_t bad;              /* could not be read: said */
    uint64_t skipped;          /* neither files nor folders */
};
struct import {
    bool really; /* else nothing is changed: only counted */
    import_say_fn *say;
    import_progress_fn *progress; /* may be NULL */
    void *ctx;
    struct import_report report;
};

/* The Maildir at path, with the folders in it (Maildir++), for the account. */
enum rc import_maildir(struct import *im, const char *path, const struct account *account,
                       struct err *e) CHECK_RESULT;
/* The mbox file at path into a folder of the account; empty: INBOX. */
enum rc import_mbox(struct import *im, const char *path, const struct account *account,
                    struct str folder, struct err *e) CHECK_RESULT;

#endif

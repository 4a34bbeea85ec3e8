/*
 * commit.h - making changes to mailboxes and the queue durable: bytes and names in, "durable"
 * out.
 *
 * A commit that returns RC_OK survives a power cut at any later moment. Commits that happen
 * together share one sync; a lone one waits for nobody. Small files go through a redo log
 * (MailRoot/ hikyaku/commit/NAME.0 and .1) that is synced instead of each file and folder; a
 * checkpoint (syncfs, then the log is empty again) runs in the background. Large files are
 * synced with their folder. After a crash commit_recover brings the folders to what the logs
 * say.
 *
 * INVARIANTS
 * 1. When commit_put returns RC_OK the file stands in its folder under its name with all its
 * bytes, and a power cut followed by commit_recover leaves it so. It never stands there before
 * that is sure (larger files: before its bytes are).
 * 2. When commit_put fails the file stands in no folder (an unlink that fails too is logged).
 * 3. When commit_remove returns RC_OK the names are gone and no recovery brings one back,
 * whichever log the put was made durable by.
 * 4. A log is emptied only after everything it records is durable in the file system, and its
 * removals only when no log holds a put that they undo.
 */
#ifndef HIKYAKU_SYS_COMMIT_H
#define HIKYAKU_SYS_COMMIT_H

#include "base/base.h"
#include <sys/uio.h>

struct commit;

/*
 * Opens (or makes) the log `name` ("smtpd", "queue", "access"; letters, digits, - and _, at
 * most 31) of the MailRoot that is the working directory; starts the checkpoint thread. One
 * process a name: RC_TEMP when another has it. The logs must have been recovered since the
 * machine started: else RC_TEMP. What a process of this name that died since then left is
 * recovered here; if it used tags, commit_recover_log must come before.
 */
enum rc commit_open(const char *name, struct commit **out, struct err *e) CHECK_RESULT;
/* A last checkpoint, then the log is empty. *c becomes NULL; NULL is accepted. */
void commit_close(struct commit **c);

/*
 * One new file. The caller has written it completely (unsynced) to tmp_path, on the same file
 * system as final_path; put renames it there and makes it durable.
 * parts: the file's bytes if the caller still has them in memory (needed for the log), else
 * count 0: then the file is synced directly. size_bytes: the file's size. tag: opaque octets
 * kept with the record and handed to commit_recover's callback when the put is durable but not
 * yet checkpointed; may be empty.
 */
struct commit_put {
    const char *tmp_path;
    const char *final_path;
    const struct iovec *parts;
    size_t part_count;
    uint64_t size_bytes;
    struct str tag;
};
/* Several files become durable together or the call fails for all (each renamed one is
 * unlinked). Any thread. RC_TEMP on any failure. */
enum rc commit_put(struct commit *c, const struct commit_put *puts, size_t count,
                   struct err *e) CHECK_RESULT;

/* Removes files so that no recovery brings them back. A name that is already gone is fine. */
enum rc commit_remove(struct commit *c, const char *const *paths, size_t count,
                      struct err *e) CHECK_RESULT;

/* Called for each recovered put that has a tag (in log order). An error stops the recovery. */
typedef enum rc commit_tag_fn(void *ctx, struct str tag, const char *final_path, struct err *e);

struct commit_report {
    uint64_t logs, records, restored, already_there, removed;
    uint64_t taken; /* puts whose file somebody else took away since; left alone */
};
/*
 * Replays all logs of the MailRoot that is the working directory, then empties them. Runs once,
 * before any role opens a log; can be interrupted and repeated at any point. A Maildir file
 * counts as present under final_path's name in new/ or in cur/ (with any flags).
 */
enum rc commit_recover(commit_tag_fn *on_tag, void *ctx, struct commit_report *out,
                       struct err *e) CHECK_RESULT;
/* The same for one log, after its process died while other roles go on. */
enum rc commit_recover_log(const char *name, commit_tag_fn *on_tag, void *ctx,
                           struct commit_report *out, struct err *e) CHECK_RESULT;

#endif

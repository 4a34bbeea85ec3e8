/* processing.h - filters and commands for one recipient of an entry: what processing.c,
 * filter.c, commands.c, along.c, view.c, parts.c and programs.c share. */
#ifndef HIKYAKU_QUEUE_PROCESSING_H
#define HIKYAKU_QUEUE_PROCESSING_H

#include "process/process.h"
#include "queue/work.h"
#include "sys/io.h"
#include "users/users.h"

/* --- programs (programs.c) ---------------------------------------------------------------- */

/* A program to run. */
struct program_order {
    struct str table;
    const struct program_line *line;
    struct str type, about, macros;
};
enum {
    PROGRAM_STOPPED = PROGRAM_FAILED + 100 /* this role ends: nothing is to be concluded */
};
/* Waits for its end: the exit code, PROGRAM_FAILED with the reason (in a), PROGRAM_STOPPED. */
uint64_t program_run(const struct program_order *o, struct arena *a, struct str *out_text);
/* Doesn't wait. The files are removed when it has ended. False: it can't be run. */
bool program_leave(const struct program_order *o, const struct str *files, size_t count);
/* The runner process is another one. */
void programs_lost(void);
/* Nobody waits any longer. */
void programs_stop(void);

/* --- one recipient ------------------------------------------------------------------------ */

struct view {
    struct str path, head; /* of the file; what stands before the message */
    struct file_id written;
    bool there;
};

/* What becomes of a recipient. */
enum fate {
    FATE_NONE, /* not known yet */
    FATE_OUTCOME,
    FATE_RELAY,   /* to be sent on */
    FATE_STOPPED, /* this role ends */
};
struct subject {
    struct arena mem;
    struct spool_entry *entry;
    size_t i;
    struct recipient who;
    struct address sender, recipient; /* that they really mean */
    struct view view;
    bool delivered;
    enum fate fate;
    enum queue_outcome outcome;
    struct str reason; /* "2.0.0 -" ... */
    notify_fn *notify;
    void *ctx;
};

/* The recipient's fate is decided. text: of the reason. */
void subject_end(struct subject *s, enum queue_outcome outcome, const char *status,
                 struct str text);
/* The message goes on in an entry of its own, which is the record of its change. */
void subject_go_on_as(struct subject *s, struct str id);
/* FilterFailure: passes, or the recipient waits. */
void subject_failed(struct subject *s, struct str what, struct str why);
/* Notes that a step is done. False: it couldn't be noted, so the recipient waits. sync: before
 * anything else happens. */
bool subject_note(struct subject *s, uint64_t step, bool sync);

/* The filters that filters.in.tab or filters.out.tab name for it, as far as they weren't run
 * (filter.c). */
void subject_filter(struct subject *s, enum filter_way way);
/* One program that decides, unless an earlier attempt has; true: those behind it don't count.
 */
bool subject_run_filter(struct subject *s, const struct program_order *o, uint64_t step,
                        uint64_t stop_step);
/* Runs a program with FILE and the other macros filled in. wait: for its end. */
uint64_t subject_run(struct subject *s, const struct program_order *o, bool waits,
                     struct str *out_text);
/* The commands of these tables, one after the other; without any: its mailbox (commands.c). */
void subject_command(struct subject *s, const struct str *tables, size_t count);

/* A command of a table, and the number of it as a step. */
struct step {
    struct proc_command command;
    struct str table;
    uint64_t number;
};
/* The arguments of the line as addresses; a domain alone keeps the user. False: one is none,
 * and the recipient waits. */
bool step_addresses(struct subject *s, const struct step *step, struct address **out,
                    size_t *out_count);
/* What the step made of the message stands in the queue (rc, e), or it couldn't be made: medium
 * of XMail's smail log. */
void step_made(struct subject *s, const struct step *step, const char *medium, enum rc rc,
               const struct err *e);
/* A command that goes along with what becomes of the mail (along.c). */
void step_go_along(struct subject *s, const struct step *step);

/* May the account answer this sender now? Then it is noted that it did: nobody is answered
 * twice within that number of days, and few in all (replied.c). */
#define REPLIED_FOLDER "hikyaku/replied"
bool replied_may(const struct account *account, struct str sender, unsigned days, usec_t now);

/* --- the file that programs see (view.c) -------------------------------------------------- */

/* Written, or still as it was written. */
enum rc view_write(struct subject *s, struct err *e) CHECK_RESULT;
/* A copy that a program may do with as it likes. */
enum rc view_copy(struct subject *s, struct str *out_path, struct err *e) CHECK_RESULT;
/* The macros for a program that is told of these files, which may be empty. In s->mem. */
enum rc view_macros(struct subject *s, struct str file, struct str tmp_file, struct str *out,
                    struct err *e) CHECK_RESULT;
/* The text of FILE.rej's first line, or empty. */
struct str view_rejection(struct subject *s);
/* What is in the file now, as the message of `put`. RC_PERM: that isn't what a filter may make
 * of it. */
enum rc view_read(struct subject *s, struct spool_put *put, struct err *e) CHECK_RESULT;
void view_release(struct view *v);
/* Removes files of the folder that are older than that (seconds since 1970). */
void folder_expire(const char *path, int64_t oldest);

/* --- entries made of it (parts.c) --------------------------------------------------------- */

/* The message as the filter left it, in an entry of its own, which goes on behind the step. */
enum rc part_changed(struct subject *s, uint64_t step, const uint64_t *more, size_t more_count,
                     struct str *out_id, struct err *e) CHECK_RESULT;
/* The id of what that step makes. In a. */
struct str part_id(const struct subject *s, uint64_t step, struct arena *a);
/* The message with this field (and its line end) in front, in an entry of its own, which goes
 * on behind the step. */
enum rc part_with_field(struct subject *s, uint64_t step, struct str field, struct str *out_id,
                        struct err *e) CHECK_RESULT;
/* Sent on to other addresses. RC_PERM: it loops. */
enum part_sender { PART_OF_SENDER, PART_OF_RECIPIENT, PART_COPY };
enum rc part_redirect(struct subject *s, uint64_t step, const struct address *to, size_t count,
                      enum part_sender from, struct err *e) CHECK_RESULT;
/* Another message, with the null sender; nobody hears whether it came. */
enum rc part_letter(struct subject *s, uint64_t step, const struct address *to, size_t count,
                    struct str text, struct err *e) CHECK_RESULT;
/* The same recipient, by way of these servers. */
enum rc part_relay(struct subject *s, uint64_t step, struct str via,
                   struct err *e) CHECK_RESULT;

/* --- for the attempt (processing.c) ------------------------------------------------------- */

/* Does recipient i need programs or commands? */
bool processing_is_needed(const struct spool_entry *entry, size_t i, const struct recipient *r);
/* Where its mail goes when it goes to other servers; *out_via: hosts, not its domain. */
struct str processing_place(const struct spool_entry *entry, size_t i, bool *out_via);
/* Recipients of an entry ("0 3") are processed; what came of each, and groups of those that go
 * to other servers. */
void attempt_process(struct str id, const char *rcpts, notify_fn *notify, void *ctx,
                     struct outcome **out, struct group **out_groups);

#endif

/*
 * queue.h - the queue role: schedules the entries of MailRoot/queue, delivers them to local
 * mailboxes, gives them to the relay role for other servers, and reports what failed. One
 * scheduler owns all scheduling state; jobs on the pool's workers do the file work.
 */
#ifndef HIKYAKU_QUEUE_QUEUE_H
#define HIKYAKU_QUEUE_QUEUE_H

#include "base/base.h"
#include "sys/pool.h"

struct queue;

/* An attempt that the relay role is asked for: recipients of one entry ("0 3 17"). via: hosts
 * to send to instead of the domain's own, or empty. */
struct queue_relay {
    uint64_t job;
    struct str id, rcpts, via;
};
/* False: not now; it is asked again. Called by the scheduler. */
typedef bool queue_relay_fn(const struct queue_relay *r);

/* Starts the scheduler on the pool; every entry on disk is looked at once. After store_init and
 * spool_init. The queue lives until the pool has stopped; then queue_free. relay NULL: there is
 * no relay role, so mail for other servers waits. */
enum rc queue_start(struct pool *pool, queue_relay_fn *relay, struct queue **out,
                    struct err *e) CHECK_RESULT;
/* A new entry, or one to try now. Any thread. */
void queue_notify(struct queue *q, struct str id);
/* All entries on disk again: after notices may have been lost. Any thread. */
void queue_rescan(struct queue *q);
void queue_free(struct queue **q);

/* --- what the relay role answers (any thread) -------------------------------------------- */

enum queue_outcome {
    OUTCOME_SENT,
    OUTCOME_TEMP,
    OUTCOME_PERM,
    /* Of processing here, not of the relay role: */
    OUTCOME_PASSED,  /* done; what became of it is told elsewhere */
    OUTCOME_DROPPED, /* refused: nobody is told, nothing is kept */
    OUTCOME_REFUSED, /* the same, but it may be frozen */
};
enum queue_flag {
    QUEUE_UNREACHABLE = 1u << 0,
    QUEUE_REMOTE_DSN = 1u << 1,
    QUEUE_BUSY = 1u << 2, /* nothing was tried: again soon */
};
/* It has nothing under way, and takes attempts from now on. */
void queue_relay_ready(struct queue *q);
/* Of one recipient; then of all others of the attempt. id and rcpts: for an attempt that this
 * process doesn't know, because the one before started it. */
void queue_relay_result(struct queue *q, uint64_t job, uint64_t recipient,
                        enum queue_outcome outcome, unsigned flags, struct str reason,
                        struct str id);
void queue_relay_done(struct queue *q, uint64_t job, enum queue_outcome outcome, unsigned flags,
                      struct str reason, struct str id, struct str rcpts);

/* --- policies of authors' domains (any thread; policy.c) ---------------------------------- */

/* Does a domain ask that mail in its name which others pass on is refused (DMARC)? */
enum queue_policy { QUEUE_POLICY_UNKNOWN, QUEUE_POLICY_OPEN, QUEUE_POLICY_STRICT };
typedef void queue_ask_policy_fn(struct str domain);
/* Who is asked; he answers by queue_policy_told. Before queue_start. */
void queue_set_policy_asker(queue_ask_policy_fn *ask);
void queue_policy_told(struct str domain, enum queue_policy is);

/* --- programs (any thread; programs.c) -----------------------------------------------------
 */

/* The program that a line of a table names (process/process.h). macros: as macros_print gives
 * them; type, about: for logs. */
struct queue_run {
    uint64_t number;
    struct str table, type, about, macros;
    uint64_t line, sum;
};
/* Who runs it; he answers by queue_ran. False: not now. Before queue_start. */
#define QUEUE_PROGRAM_THREADS 64u /* of the pool, that wait for programs */
typedef bool queue_run_fn(const struct queue_run *r);
void queue_set_runner(queue_run_fn *run);
void queue_ran(uint64_t number, uint64_t code, struct str text);
/* Removes files that programs were given and that a crash left behind, and what is known of
 * answers that are long ago; call now and then. */
void queue_expire_files(void);
/* A runner process takes programs; one before it won't answer any more. */
void queue_runner_ready(struct queue *q);

/* --- what the administrator wants (any thread) ------------------------------------------- */

enum queue_order {
    QUEUE_TRY,
    QUEUE_HOLD,
    QUEUE_RELEASE,
    QUEUE_DELETE,
    QUEUE_REROUTE,
    QUEUE_APPROVE, /* of a list's post that waits for a moderator */
    QUEUE_REJECT,
};
#define QUEUE_ORDER_LAST QUEUE_REJECT
/* argument: the hosts of QUEUE_REROUTE, the reason of QUEUE_REJECT. */
void queue_order(struct queue *q, enum queue_order order, struct str id, struct str argument);
/* All that waits for places matching the pattern (domains; * and ?) is tried now (ETRN). */
void queue_flush(struct queue *q, struct str pattern);

/* Takes the files of spool/local; call every second. Waits for the disk. */
void queue_take_local(struct queue *q);

struct queue_stats {
    uint64_t waiting, active;
};
/* Entries now waiting and being tried. Any thread. */
void queue_stats_get(struct queue *q, struct queue_stats *out);

#endif

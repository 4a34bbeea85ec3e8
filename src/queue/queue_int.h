/* queue_int.h - inside queue/. */
#ifndef HIKYAKU_QUEUE_QUEUE_INT_H
#define HIKYAKU_QUEUE_QUEUE_INT_H

#include "conf/options.h"
#include "mail/reason.h"
#include "queue/queue.h"
#include "spool/spool.h"
#include "sys/lock.h"
#include "sys/metrics.h"

/*
 * Next time to try an entry again: RetryFirst after the first failure, doubling to
 * RetryLongest, with up to 10 % more taken from the seed so that entries that failed together
 * don't come back together; or XMail's schedule where a -Q switch asks for it. created, now:
 * wall clock. tries: failed attempts so far, >= 1. RC_PERM when the entry is older than
 * QueueLifetime and was tried a few times: no further try. RFC 5321 4.5.4.1
 */
enum rc retry_next(const struct options *o, usec_t created, unsigned tries, usec_t now,
                   uint64_t seed, usec_t *out_at) CHECK_RESULT;

/* Has the planned time come? Also when it is farther off than any plan: the clock was set back.
 */
bool retry_is_due(const struct options *o, unsigned tries, usec_t next_try, usec_t now);

/* --- what an attempt leads to (attempt.c) ------------------------------------------------ */

/* Of one recipient, from the relay role. */
struct outcome {
    struct outcome *next;
    size_t rcpt;
    enum queue_outcome outcome;
    bool remote_dsn;
    bool here;     /* of a recipient that was processed here */
    bool noted;    /* given to attempt_note; those behind it in the list are, too */
    char reason[]; /* ends with NUL */
};
struct outcome *outcome_new(size_t rcpt, enum queue_outcome outcome, bool remote_dsn,
                            struct str reason, struct outcome *next);
void outcomes_free(struct outcome **list);

/* Recipients of an entry that go to the same place, or through programs. */
struct group {
    struct group *next;
    size_t count;
    bool again;      /* not its first try */
    uint64_t sender; /* whose it is, for fair shares */
    char *place;     /* domain, or the administrator's hosts */
    char *rcpts;     /* "0 3 17" */
    bool via;        /* place is hosts */
    bool programs;   /* they are to be processed here first */
};
void group_free(struct group **g);
struct groups {
    struct group *list;
    struct map by_place; /* the newest group of each place */
};
/* Recipient i goes to this place; programs: after it was processed, with others of the same
 * place. (group.c) */
void group_add(struct groups *groups, const struct spool_entry *entry, size_t i,
               struct str place, bool via, bool programs);

struct attempt_result {
    bool again; /* it waits for a further try */
    usec_t due; /* again: when (wall clock); USEC_FOREVER: held */
    bool
        unrecorded; /* outcomes that the disk didn't take: to be settled again when it is due */
    unsigned delivered, failed; /* recipients settled by this attempt */
    struct group *groups; /* for the relay role; the entry stays active until they're done */
};
/* A look at the entry: delivers to mailboxes here, sorts what goes elsewhere into groups, or
 * plans the next try. planned: the time planned has come, whatever the clock says. notify:
 * called for each new entry (reports). */
typedef void notify_fn(void *ctx, struct str id);
void attempt_look(struct str id, bool planned, usec_t now, notify_fn *notify, void *ctx,
                  struct attempt_result *out);
/* The groups are done: records the outcomes, reports, plans or finishes. */
void attempt_settle(struct str id, const struct outcome *outcomes, usec_t now,
                    notify_fn *notify, void *ctx, struct attempt_result *out);
/* Records those of the outcomes that are final, while the rest of the entry is under way. What
 * can't be recorded now is with attempt_settle. */
void attempt_note(struct str id, const struct outcome *outcomes);
/* An order of the administrator, carried out on the entry; then as attempt_look. */
void attempt_order(struct str id, enum queue_order order, struct str argument, usec_t now,
                   notify_fn *notify, void *ctx, struct attempt_result *out);

/* The delivery of recipient i of the entry into its local mailbox. RC_OK also when a crash
 * interrupted an earlier one after the message was in the mailbox. last: the recipient is done
 * with it. */
enum rc deliver_local(struct spool_entry *entry, size_t i, bool last,
                      struct err *e) CHECK_RESULT;

/* The name of recipient i's file, without its sizes: always the same. In a. */
struct str deliver_name(const struct spool_entry *entry, size_t i, struct arena *a);

/* Recipients of a list's entry with their mailbox here (members.c). */
enum member_result {
    MEMBER_DONE,
    MEMBER_FAILED, /* e says why: as deliver_local */
    MEMBER_APART,  /* to be delivered on its own */
};
struct member {
    size_t rcpt;
    enum member_result result;
    struct err e;
};
/* Into all these mailboxes, one file for all, durably; each with its result. RC_TEMP: none was
 * tried. */
enum rc deliver_members(struct spool_entry *entry, struct member *members, size_t count,
                        struct err *e) CHECK_RESULT;

/* What is known of the domain; QUEUE_POLICY_UNKNOWN: it is asked for, look again soon. */
enum queue_policy queue_policy_of(struct str domain);

/* --- reports (report.c) ------------------------------------------------------------------ */

enum report_kind { REPORT_FAILURE, REPORT_DELAY, REPORT_SUCCESS };
/* Puts a report about the recipients marked in `which` into the queue and names it to notify.
 * RC_OK also when nobody wants it (the null sender, NOTIFY). */
enum rc report_send(const struct spool_entry *entry, enum report_kind kind, const bool *which,
                    const bool *relayed, usec_t give_up, notify_fn *notify, void *ctx,
                    struct err *e) CHECK_RESULT;

/* Each file of spool/local becomes an entry (lmail.c). */
struct lmail {
    struct arena mem; /* holds the rest but the message, which is a slice of the text */
    struct address sender;
    struct envelope_recipient *rcpts;
    size_t count;
    struct str message;
};
/* Reads the text of a file. RC_PERM: it has no good envelope. */
enum rc lmail_parse(struct str text, struct lmail *out, struct err *e) CHECK_RESULT;
/* Any line end becomes LF, NULs go, the last line ends: what is in the queue converts to CRLF
 * and back exactly. In a. */
struct str lmail_clean(struct str message, struct arena *a);
void lmail_take(notify_fn *notify, void *ctx);

/* --- entries known to the scheduler (item.c); only it touches them -------------------------
 */

/* One entry known to the scheduler. */
struct item {
    struct str id;
    usec_t due; /* wall clock */
    bool active, held;
    bool again;               /* notified while active */
    bool planned;             /* due is when an attempt said */
    size_t at;                /* in the heap */
    unsigned tasks;           /* groups with the relay role */
    struct outcome *outcomes; /* what came of them, newest first */
    bool *known;              /* by recipient: there is an outcome */
    size_t known_n;
    unsigned unnoted;     /* final outcomes that attempt_note wasn't given */
    bool noting;          /* a job records some */
    struct order *orders; /* to be carried out next */
    char *place;          /* where all of it goes, when that is one place; else NULL */
    struct item *next;    /* settling */
    char id_text[];
};

/* All recipients ("0 3 17") that nothing is known of have the same outcome. */
void item_outcome_for_all(struct item *item, const char *rcpts, enum queue_outcome outcome,
                          bool remote_dsn, struct str reason);
/* The outcomes, which are the item's then. */
void item_add_outcomes(struct item *item, struct outcome *list);
/* What is known of a recipient already (from a relay role that died before it had told of all,
 * or of an attempt that the process before this one asked for) isn't asked for again. False:
 * nobody of the group is left. */
bool item_drop_known(const struct item *item, struct group *g);
/* The outcomes, for a job to settle; nothing is known then. Back again when it couldn't. */
struct outcome *item_give_outcomes(struct item *item);
void item_take_outcomes(struct item *item, struct outcome *list);
/* The final ones that no job was given to record, which counts as done from now on. */
struct outcome *item_copy_unnoted(struct item *item);

struct order {
    struct order *next;
    enum queue_order order;
    char argument[];
};
struct items {
    struct map known;   /* struct item by id */
    struct item **heap; /* those that wait, smallest due first */
    size_t heap_n, heap_cap;
};

/* The entry is to be looked at; urgent: now, else when it isn't waiting for a time of its own.
 */
struct item *items_learn(struct items *all, struct str id, bool urgent);
/* It waits until item->due. */
void items_wait(struct items *all, struct item *item);
/* One that waits, or is held, is due now, before all others. */
void items_hurry(struct items *all, struct item *item);
/* When the first of them is due; USEC_FOREVER: none waits. */
usec_t items_due(const struct items *all);
/* Takes the one that is due first out of the heap, which isn't empty. */
struct item *items_pop(struct items *all);
/* An order to carry out when it is next worked on. */
void item_add_order(struct item *item, enum queue_order order, const char *argument);
/* All that wait for places matching the pattern are due now; how many. */
size_t items_flush(struct items *all, struct str pattern);
/* The wall clock was set by `moved`: the pauses stay the same. */
void items_shift(struct items *all, usec_t moved);
/* The entry is finished; it isn't in the heap. */
void items_forget(struct items *all, struct item *item);
void items_free(struct items *all);

/* --- messages to the scheduler (letter.c) --------------------------------------------------
 */

enum letter_kind {
    LETTER_NOTICE,
    LETTER_JOB_DONE,
    LETTER_NOTED, /* a job of attempt_note is over */
    LETTER_ORDER,
    LETTER_FLUSH,
    LETTER_READY,
    LETTER_RESULT,
    LETTER_RELAY_DONE,
    LETTER_RUNNER,    /* the runner role takes programs */
    LETTER_PROCESSED, /* recipients of a group were processed */
};

/* A message to the scheduler. */
struct letter {
    struct letter *next;
    enum letter_kind kind;
    struct item *item; /* JOB_DONE */
    struct attempt_result result;
    struct outcome *outcomes; /* JOB_DONE: unrecorded; PROCESSED */
    struct task *task;        /* PROCESSED */
    struct group *groups;     /* PROCESSED: to be sent on */
    uint64_t job;
    enum queue_outcome outcome;
    enum queue_order order;
    unsigned flags;
    char id[48];
    char *text, *rcpts;
};

struct inbox {
    struct lock lock;
    struct letter *newest;
};
/* A copy on the heap that ends with NUL. */
char *heap_text(struct str s);
/* Of the entry `id`, which may be empty; freed by whom it is posted to. */
struct letter *letter_new(enum letter_kind kind, struct str id);
/* Its texts too; not what it points to. */
void letter_free(struct letter **letter);
/* Puts it into the queue's inbox and wakes the scheduler, which frees it. Any thread. */
void letter_post(struct queue *q, struct letter *letter);
/* All letters there are, oldest first. */
struct letter *inbox_take(struct inbox *inbox);
/* The queue's (queue.c). */
struct inbox *queue_inbox(struct queue *q);
void queue_wake(struct queue *q);

/* --- destinations (destination.c) -------------------------------------------------------- */

#define LANES 16u

/* A group on its way to the relay role, or through programs. */
struct task {
    struct task *next;
    struct item *item;
    struct destination *destination;
    struct group *group;
    uint64_t job; /* 0: not started */
};

struct destination {
    char *place;
    struct task *first[2][LANES], *last[2][LANES]; /* first tries; further ones */
    unsigned lane[2], turn;
    size_t waiting;
    unsigned active, window, failures;
    usec_t blocked_until; /* clock_mono; then one attempt probes it */
    char *trouble;        /* the last reason */
    bool in_ring, paused;
    usec_t paused_until;         /* clock_mono */
    usec_t busy_pause, grows_at; /* since its servers had connections enough */
    struct destination *next;    /* in the ring */
    struct destination *next_paused;
};

struct destinations {
    struct map by_place;
    struct destination *ring_first, *ring_last; /* those with a task that may start */
    struct destination *paused;
    size_t waiting, active;
};

/* A group is to be sent; the task belongs to its place until destination_next gives it out. */
void destination_add(struct destinations *all, struct task *t);
/* Is it known not to answer, now? *out_reason. */
bool destination_is_down(struct destinations *all, struct str place, usec_t now,
                         struct str *out_reason);
/* Are there so many tasks for it that more needn't be looked at? */
bool destination_is_crowded(struct destinations *all, struct str place);
/* The next task that may start, or NULL; it counts as active. */
struct task *destination_next(struct destinations *all);
/* It couldn't be started: the first of its lane again. */
void destination_put_back(struct destinations *all, struct task *t);
/* It needn't be started after all: it isn't the place's any more. */
void destination_forget(struct destinations *all, struct task *t);
/* Its servers have connections enough: the same, and nothing of the place starts for a moment.
 */
void destination_pause(struct destinations *all, struct task *t, usec_t now);
/* Those whose moment is over may start again. */
void destinations_resume(struct destinations *all, usec_t now);
/* When the next of them may; USEC_FOREVER: none waits. */
usec_t destinations_resume_at(const struct destinations *all);
/* The task is over. reached: the place answered. */
void destination_done(struct destinations *all, struct destination *d, bool reached,
                      struct str reason, usec_t now);
/* Takes away all tasks of a place that is down; a list. */
struct task *destination_drain(struct destinations *all, struct destination *d);
/* Places that match are no longer taken for down. */
void destinations_forget_trouble(struct destinations *all, struct str pattern);
/* Forgets places that were down and that nothing has gone to for long. */
void destinations_forget_old(struct destinations *all, usec_t now);
void destinations_free(struct destinations *all);

/* --- groups that wait for programs (lane.c) ------------------------------------------------
 */

struct lanes {
    struct task *first[LANES], *last[LANES]; /* by sender */
    unsigned turn, active;
    size_t waiting;
};
void lanes_add(struct lanes *l, struct task *t);
/* The next task, which counts as active; NULL: none. */
struct task *lanes_next(struct lanes *l);

#endif

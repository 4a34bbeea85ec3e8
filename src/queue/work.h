/* work.h - one attempt at one entry, on a worker: what attempt.c and here.c share. */
#ifndef HIKYAKU_QUEUE_WORK_H
#define HIKYAKU_QUEUE_WORK_H

#include "lists/lists.h"
#include "queue/queue_int.h"
#include "users/users.h"

/* An entry that is worked on. */
struct work {
    struct spool_entry opened, *entry; /* the same one */
    bool planned;                      /* by the scheduler, for now */
    usec_t now;
    notify_fn *notify;
    void *ctx;
    struct attempt_result *out;
    struct groups groups;
    bool *tried;            /* by recipient: this attempt settled or deferred it */
    bool *succeeded;        /* and with which end */
    bool *relayed;          /* by a server that sends no notice of success */
    size_t pending, failed; /* recipients now */
    bool rewrites_from;     /* the author's domain asks for it, or doesn't answer */
    struct made *made;      /* entries to be named when this one's job is done */
    struct arena mem;       /* the entry's, and what is made during the attempt */
};

struct made {
    struct made *next;
    struct str id;
};

/* What a recipient's record says when a filter changed its message: before the id of the entry
 * that it goes on in. */
#define QUEUE_GOES_ON_AS "changed by a filter, goes on as "

/* --- recording (attempt.c) --------------------------------------------------------------- */

/* Where a message that got somewhere is now. */
enum work_end { WORK_IN_MAILBOX, WORK_ELSEWHERE, WORK_PROCESSED };
/* Recipient i is delivered, has failed, or waits; an attempt calls this once for each that it
 * tried. The record of a success is left out when the entry ends with it. */
void work_settle(struct work *w, size_t i, enum queue_outcome outcome, enum work_end end,
                 struct str reason);
/* A line of XMail's smail log. */
void work_record(const struct spool_entry *entry, size_t i, const char *medium,
                 struct str reply);
void work_journal_failed(const struct spool_entry *entry, const struct err *e);

/* --- recipients here (here.c) ------------------------------------------------------------ */

/* One mailbox. */
void work_try_local(struct work *w, size_t i);
/* Those whose mailboxes get the same file. */
void work_try_members(struct work *w, const size_t *which, size_t count);
void work_try_list(struct work *w, size_t i, const struct account *account);
/* An entry that was made of this one: it is looked at when this one's job is done. */
void work_made(struct work *w, struct str id);
/* A moderator's answer. */
void work_try_decision(struct work *w, size_t i, const struct list_decision *d);
/* True: it waits until it is known what the author's domain says of mail that lists pass on. */
bool work_waits_for_policy(struct work *w);
/* True: the entry waits for a moderator, who has been told; *w->out says how long. */
bool work_waits_for_moderator(struct work *w);

#endif

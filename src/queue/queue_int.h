/* queue_int.h - inside queue/. */
#ifndef HIKYAKU_QUEUE_QUEUE_INT_H
#define HIKYAKU_QUEUE_QUEUE_INT_H

#include "queue/queue.h"
#include "spool/spool.h"

/*
 * Next time to try an entry again: 5 minutes after the first failure, doubling to 4 hours, with
 * up to 10 % more taken from the seed so that entries that failed together don't come back
 * together. created, now: wall clock. tries: failed attempts so far, >= 1. RC_PERM when the
 * entry is older than 5 days: no further try. RFC 5321 4.5.4.1
 */
enum rc retry_next(usec_t created, unsigned tries, usec_t now, uint64_t seed,
                   usec_t *out_at) CHECK_RESULT;

/* What became of one look at an entry. */
struct attempt_result {
    bool again;                 /* it waits for a further try */
    usec_t due;                 /* again: when (wall clock) */
    unsigned delivered, failed; /* recipients settled by this attempt */
};
/* One attempt at the entry: delivers what is pending, records it, removes a finished entry. */
void attempt_entry(struct str id, usec_t now, struct attempt_result *out);

/* The delivery of recipient i of the entry into its local mailbox. RC_OK also when a crash
 * interrupted an earlier one after the message was in the mailbox. */
enum rc deliver_local(struct spool_entry *entry, size_t i, struct err *e) CHECK_RESULT;

#endif

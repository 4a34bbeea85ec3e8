/*
 * queued.h - what waits in the queue, known to those who ask: a summary of each entry, read
 * when it is new or its journal changed, forgotten when nobody has asked for a while.
 */
#ifndef HIKYAKU_SPOOL_QUEUED_H
#define HIKYAKU_SPOOL_QUEUED_H

#include "spool/spool.h"

struct queued_rcpt {
    struct str address; /* as given */
    struct str domain;  /* where it is to go: of what the address means */
    struct str reason;  /* of the last try; may be empty */
    enum delivery_state state;
};
/* All text is the entry's own. */
struct queued {
    struct str id, from, auth, client; /* from: empty for the null sender; client: an address */
    struct str via;                    /* hosts that it is sent to; may be empty */
    usec_t received_at, next_try;      /* next_try 0: not tried yet */
    uint64_t octets, stamp;
    unsigned tries, seen;
    bool frozen, held;
    size_t rcpt_count, pending;
    struct queued_rcpt *rcpts;
};

enum queued_state { QUEUED_ANY, QUEUED_WAITING, QUEUED_HELD, QUEUED_FROZEN };
/* Which entries are meant; what is empty doesn't count. */
struct queued_filter {
    struct str search;       /* text in any member */
    struct str from, auth;   /* the whole of it */
    struct str to, domain;   /* of a recipient that isn't settled; of a frozen one: any */
    struct str client;       /* its address */
    struct str reason;       /* text of such a recipient's reason */
    enum queued_state state; /* ANY: all but the frozen ones */
};

/* Before the first look. queued_free: after the last one, or when it takes a while to the next.
 */
void queued_init(void);
void queued_free(void);
/* Each second: forgets everything when nobody has asked for ten minutes. */
void queued_tick(void);
/* An order was given: the next walk looks at the folders again. */
void queued_changed(void);
/*
 * Calls fn for each entry meant, oldest first, until it returns false; the entries are valid
 * within fn only. *out_left_out: entries of the queue that there was no room to know.
 */
enum rc queued_walk(const struct queued_filter *f,
                    bool (*fn)(void *ctx, const struct queued *entry), void *ctx,
                    size_t *out_left_out, struct err *e) CHECK_RESULT;
/* "waiting", "held", "frozen" or empty; false: another word. */
bool queued_state_of(struct str text, enum queued_state *out);
/* Is the recipient one that a filter looks at? */
bool queued_is_open(const struct queued *entry, const struct queued_rcpt *rcpt);

#endif

/*
 * control.h - the control protocol (CTRL, CTRLS; specification 4): administrators' scripts and
 * tools change accounts, aliases, domains, lists and tables through it. It runs in the control
 * role, the only writer of tables, on one thread.
 */
#ifndef HIKYAKU_CONTROL_CONTROL_H
#define HIKYAKU_CONTROL_CONTROL_H

#include "admin/admin.h"
#include "wire/session.h"

extern const struct protocol control_protocol;

/* What the role does for a change that needs a new index: build and send it; do all roles use
 * it? Before the first session. */
struct control_hooks {
    void (*refresh)(void);
    bool (*visible)(void);
    /* Tells the queue role: an entry is there; an order (enum queue_order) for an entry, or,
     * with an empty id, to try all that matches the argument. False: it doesn't run. */
    bool (*queued)(struct str id);
    bool (*order)(unsigned order, struct str id, struct str argument);
    /* The same: these links are to be visited now; empty values match all. */
    bool (*fetch)(const struct admin_link *link);
    /* Orders a certificate from the authority of the settings. */
    enum admin_result (*order_certificate)(struct err *e);
};
void control_init(const struct control_hooks *hooks);
/* Keeps and tells who has reached a limit (users/limits.h); call every second. */
void control_settle_limits(void);
/* Looks for changes by hand, takes back what wasn't confirmed in time, keeps the history of
 * tables within its bounds; call every second at least. */
void control_settle_history(void);
/* Keeps what the board counts, by hour and day; call every second. */
struct board;
void control_settle_counts(const struct board *b);
/* Orders the backup of the day when its time has come, and tells the postmaster when it failed;
 * call every second. */
void control_settle_backup(void);
/* Writes the weekly letter when it is due; call every second. */
void control_settle_weekly(void);
/* Ends what is being made for one; before the role ends. */
void control_end_weekly(void);

#endif

/*
 * delegate.h - administrators of some domains only. They are lines of webadmins.tab whose right
 * is "domain"; what they may is in webdelegates.tab, "name" "item" "value", a line an item. The
 * control role checks each command with it, the web role each request.
 */
#ifndef HIKYAKU_USERS_DELEGATE_H
#define HIKYAKU_USERS_DELEGATE_H

#include "base/clock.h"
#include "base/ip.h"
#include "users/users.h"

#define ADMINS_TABLE "webadmins.tab"
#define DELEGATES_TABLE "webdelegates.tab"
#define DELEGATE_RIGHT "domain"

enum delegate_limit {
    LIMIT_USERS,
    LIMIT_LISTS,
    LIMIT_ALIASES,
    LIMIT_MEMBERS,    /* of one list */
    LIMIT_MAILBOX_KB, /* of one mailbox */
    LIMIT_SIGN_IN_MINUTES,
    DELEGATE_LIMITS
};
#define NO_LIMIT INT64_C(-1)

struct delegate {
    struct str name;
    struct str domains; /* blanks between */
    int64_t limits[DELEGATE_LIMITS];
    bool forwarding; /* mail may be sent on to other servers */
    bool external;   /* mailboxes elsewhere may be fetched from */
    bool stopped;
    struct str networks; /* where he may come from; empty: anywhere */
    struct str hours;    /* "08:00-18:30", local time; empty: always */
};

/* What somebody of a name is. */
enum administrator { ADMINISTRATOR_NONE, ADMINISTRATOR_ALL, ADMINISTRATOR_DELEGATE };

/* Looks the name up; *out is filled in for delegates, its texts in a. */
enum rc delegate_find(struct str name, struct arena *a, enum administrator *out_kind,
                      struct delegate *out, struct err *e) CHECK_RESULT;
/* Is the domain, written as in domains.tab, one of his? Never for a pattern. */
bool delegate_has_domain(const struct delegate *d, struct str domain);
/* Is it a variable of user.tab that he mustn't change freely: a right, or a size with a limit?
 */
bool delegate_keeps(const struct delegate *d, struct str variable);
/* May he give it the value? */
bool delegate_may_set(const struct delegate *d, struct str variable, struct str value);
/* Why he may not sign in or go on: "stopped", "not-here", "not-now"; NULL: he may. began: of
 * the sign-in, wall clock; 0: now. */
const char *delegate_refusal(const struct delegate *d, const struct ip *client, usec_t began);

/* How many of each his domains have now, from the tables. */
struct delegate_counts {
    size_t users, lists, aliases;
};
enum rc delegate_count(const struct delegate *d, struct arena *a, struct delegate_counts *out,
                       struct err *e) CHECK_RESULT;

/* The n-th item's name; NULL: there is none. */
const char *delegate_item(size_t n);
/* Can the item have the value? RC_PERM: e says what it must be. */
enum rc delegate_item_check(struct str item, struct str value, struct err *e) CHECK_RESULT;

#endif

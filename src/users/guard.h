/*
 * guard.h - bad logins, counted per (account, address) and per address over all services and
 * roles, in one shared memory table that the master makes. Times and answers are the same for
 * unknown users. login: as users_login_name makes it, so that all ways to write an account's
 * name count together; "ctrl:NAME", "web:NAME" for administrators.
 */
#ifndef HIKYAKU_USERS_GUARD_H
#define HIKYAKU_USERS_GUARD_H

#include "base/base.h"

/* A fresh shared table (memory file) for guard_use in every role. */
enum rc guard_make(int *out_fd, struct err *e) CHECK_RESULT;
/* Maps the table for this process (closes fd). Without it a private one is used. */
enum rc guard_use(int fd, struct err *e) CHECK_RESULT;

/* How long a login attempt must wait now before it is answered (0: at once); USEC_FOREVER:
 * refuse without checking the password (too many bad logins lately). */
usec_t guard_delay(const struct ip *client, struct str login, usec_t now);
/* Counts a bad login; returns the delay its answer must get (base_delay doubled with each one,
 * at most 60 s). known: somebody has that name; only then it counts for an account's limit. */
usec_t guard_bad(const struct ip *client, struct str login, bool known, usec_t base_delay,
                 usec_t now);
/* A good login forgives the pair (account, address), not the address. */
void guard_good(const struct ip *client, struct str login);

#endif

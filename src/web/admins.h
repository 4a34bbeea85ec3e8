/*
 * admins.h - administrators of the web: webadmins.tab, "name" "password" "right" ["second
 * factor" ["recovery codes"]]. right: viewer reads, admin changes, owner also changes
 * administrators; domain: what users/delegate.h says.
 */
#ifndef HIKYAKU_WEB_ADMINS_H
#define HIKYAKU_WEB_ADMINS_H

#include "web/web_int.h"

#define ADMIN_NAME_MAX 100

struct admin {
    struct str name, password;       /* as stored */
    enum right right;                /* a delegate's: to change what is his */
    const struct delegate *delegate; /* of some domains only; NULL: of all */
    struct str secret;               /* of the second factor, base32; empty: none */
    struct str recovery;             /* hashes of its recovery codes */
};
/* The administrator of that name, in a. False: none, or the table can't be read. */
bool admin_find(struct str name, struct arena *a, struct admin *out);
/* Their columns. */
enum admin_column {
    ADMIN_COLUMN_PASSWORD = 1,
    ADMIN_COLUMN_RIGHT,
    ADMIN_COLUMN_SECRET,
    ADMIN_COLUMN_RECOVERY
};
struct admin_value {
    enum admin_column column;
    struct str value;
};
/* Why he may not sign in, or go on with a sign-in of that time (wall clock; 0: now): a word for
 * programs. NULL: he may. */
const char *admin_refusal(const struct web *w, const struct admin *admin, usec_t began);
/* Adds one of the body's name and password (*out_fresh: made, else empty); false: answered. */
bool admin_new(struct web *w, struct str right, struct str *out_fresh);
/* Changes an administrator's line; false: answered. */
bool admin_store(struct web *w, struct str name, const struct admin_value *values,
                 size_t count);
/* Is the code right for the second factor? A recovery code is used up. *out_trouble: answered.
 */
bool admin_second_factor(struct web *w, const struct admin *admin, struct str code,
                         bool *out_trouble);
/* "viewer", "admin", "owner"; "none" for nobody. */
const char *admin_right_name(enum right right);
enum right admin_right_parse(struct str text);

#endif

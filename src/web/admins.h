/*
 * admins.h - administrators of the web: webadmins.tab, "name" "password" "right" ["second
 * factor" ["recovery codes"]]. right: viewer reads, admin changes, owner also changes
 * administrators.
 */
#ifndef HIKYAKU_WEB_ADMINS_H
#define HIKYAKU_WEB_ADMINS_H

#include "web/web_int.h"

#define ADMIN_NAME_MAX 100
#define ADMINS_TABLE "webadmins.tab"

struct admin {
    struct str name, password; /* as stored */
    enum right right;
    struct str secret;   /* of the second factor, base32; empty: none */
    struct str recovery; /* hashes of its recovery codes */
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

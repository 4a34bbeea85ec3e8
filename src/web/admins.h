/*
 * admins.h - administrators of the web: webadmins.tab, "name" "password" "right" ["second
 * factor"
 * ["recovery codes"]]. right: viewer reads, admin changes, owner also changes administrators.
 */
#ifndef HIKYAKU_WEB_ADMINS_H
#define HIKYAKU_WEB_ADMINS_H

#include "web/web_int.h"

#define ADMIN_NAME_MAX 100
#define ADMINS_TABLE "webadmins.tab"

struct admin {
    struct str name, password; /* as stored */
    enum right right;
};
/* The administrator of that name, in a. False: none, or the table can't be read. */
bool admin_find(struct str name, struct arena *a, struct admin *out);
/* "viewer", "admin", "owner"; "none" for nobody. */
const char *admin_right_name(enum right right);
enum right admin_right_parse(struct str text);

#endif

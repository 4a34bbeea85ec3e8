/* import_int.h - what the files of `hikyaku import` share. */
#ifndef HIKYAKU_TOOLS_IMPORT_INT_H
#define HIKYAKU_TOOLS_IMPORT_INT_H

#include "conf/tab.h"
#include "import/import.h"
#include "tools/tools_int.h"

/* The user's account by mailusers.tab; texts in a or of the table. False: none. */
bool tool_find_account(const struct tab *users, struct str user, struct str domain,
                       struct arena *a, struct account *out);

struct import_hmail_counts {
    size_t domains, accounts, aliases, lists, members; /* made, or that would be */
    size_t without_password, refused, broken_rows;
};
/* hMailServer's data folder and the dump of its database into the MailRoot. */
enum rc import_hmailserver(struct import *im, const char *data, const char *dump,
                           struct import_hmail_counts *out, struct err *e) CHECK_RESULT;

#endif

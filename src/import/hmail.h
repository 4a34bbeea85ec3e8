/*
 * hmail.h - hMailServer: its data folder (DOMAIN/USER/XX/{GUID}.eml) and a dump of its
 * database. Called by `hikyaku import hmailserver`, which makes the accounts.
 */
#ifndef HIKYAKU_IMPORT_HMAIL_H
#define HIKYAKU_IMPORT_HMAIL_H

#include "import/import.h"
#include "import/sql.h"

enum hmail_table {
    HMAIL_DOMAINS,
    HMAIL_DOMAIN_ALIASES,
    HMAIL_ACCOUNTS,
    HMAIL_ALIASES,
    HMAIL_LISTS,
    HMAIL_MEMBERS,
    HMAIL_FOLDERS,
    HMAIL_MESSAGES,
    HMAIL_TABLES,
};
struct hmail {
    struct arena mem;
    struct sql_table tables[HMAIL_TABLES];
    struct map messages; /* by account id: struct hmail_messages */
    struct map folders;  /* by id: the row, from 1 */
};
/* Reads the dump. hmail_release frees what it holds, also after a failure. */
enum rc hmail_read(const char *dump, struct hmail *out, struct err *e) CHECK_RESULT;
void hmail_release(struct hmail *h);
/* The row of HMAIL_DOMAINS that an id means; SIZE_MAX: none. */
size_t hmail_domain(const struct hmail *h, struct str id);
/* The messages of the account in that row of HMAIL_ACCOUNTS, from the data folder, with flags,
 * dates and folders. A file that is missing is said and counted. */
enum rc hmail_import(struct import *im, const struct hmail *h, size_t row, const char *data,
                     const struct account *account, struct err *e) CHECK_RESULT;
/* The Maildir folder of a row of HMAIL_FOLDERS: levels with dots between; empty: INBOX. In a.
 */
struct str hmail_folder(const struct hmail *h, size_t row, struct arena *a);
/* Maildir's letters for a message; p NULL: new. In a. */
struct str hmail_flags(const struct hmail *h, size_t row, struct arena *a);
/* "2020-01-02 03:04:05", or with a T; 0: not a date. UTC. */
usec_t hmail_time(struct str text);

#endif

/* admin_int.h - inside admin/. */
#ifndef HIKYAKU_ADMIN_ADMIN_INT_H
#define HIKYAKU_ADMIN_ADMIN_INT_H

#include "admin/admin.h"
#include "conf/tab.h"
#include "sys/file.h"

#define COLUMNS_MAX 16u

/* --- tables (table.c) -------------------------------------------------------------------- */

/* A row is meant when each column given (not p NULL) equals, without regard to case. */
struct row_match {
    struct str columns[COLUMNS_MAX];
    size_t count;
};
bool row_matches(const struct row_match *m, const struct tab_row *row);
/* Is there such a row? *out (may be NULL) is the first, in a. */
enum rc table_find(const char *path, const struct row_match *m, struct arena *a,
                   struct tab_row *out, bool *out_found, struct err *e) CHECK_RESULT;
/* ADMIN_OK or ADMIN_CANT_WRITE; the index is told that the table is known. */
enum admin_result table_add(const char *path, const struct str *values, size_t count,
                            struct err *e);
enum admin_result table_drop(const char *path, const struct row_match *m, size_t *out_dropped,
                             struct err *e);
/* Puts another value into a column of the rows meant. */
enum admin_result table_set(const char *path, const struct row_match *m, size_t column,
                            struct str value, size_t *out_changed, struct err *e);
/* The index has to be built anew unless rc is RC_OK. */
void index_follow(enum rc rc);

/* --- names (names.c) --------------------------------------------------------------------- */

/* Can a value stand in a table? */
bool value_is_good(struct str s);
/* Can an account, alias or file be called so? */
bool name_is_good(struct str s);
/* A part of a path. */
bool file_name_is_good(struct str s);

/* --- accounts ---------------------------------------------------------------------------- */

/* Makes the account's folder, mailbox and user.tab where they are missing. */
enum rc account_make_folders(const struct account *account, struct err *e) CHECK_RESULT;
/* hikyaku/accounts-settled is behind. */
void accounts_unsettled(void);
/* Folders of accounts that are newer than that. */
enum rc accounts_mend(struct err *e) CHECK_RESULT;

/* --- certificates (tls.c) ----------------------------------------------------------------- */

/* Completes an installation that a crash interrupted. */
enum rc tls_mend(struct err *e) CHECK_RESULT;
/* Makes the list of what is revoked anew, so that it doesn't end. */
enum rc authority_mend(struct err *e) CHECK_RESULT;
struct issue;
/* Is told of a certificate before it is put in its place. */
typedef enum admin_result tls_note_fn(struct str pem, struct str place, struct err *e);
/* A key, and a certificate for a place and its names signed by the authority given (ca_cert,
 * ca_key of `by`; empty: by itself), installed. note may be NULL. */
enum admin_result tls_make_pair(struct str place, const struct str *names, size_t count,
                                const struct issue *by, tls_note_fn *note, struct err *e);

/* --- removed things (removed.c) ---------------------------------------------------------- */

struct removal; /* rows and folders on their way out */
enum rc removal_begin(struct str what, struct removal **out, struct err *e) CHECK_RESULT;
/* Notes the rows of the table that are meant. */
enum rc removal_rows(struct removal *r, const char *path, const struct row_match *m,
                     struct err *e) CHECK_RESULT;
/* Notes a folder that goes along. */
void removal_folder(struct removal *r, struct str path);
/* Writes the list, takes the rows out of their tables, moves the folders. Frees r. */
enum admin_result removal_commit(struct removal **r, struct err *e);
/* Gives it up before that. */
void removal_free(struct removal **r);

#endif

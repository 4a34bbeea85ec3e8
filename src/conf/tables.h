/*
 * tables.h - the rows of tables.def: what tables a MailRoot has, where, with which columns.
 */
#ifndef HIKYAKU_CONF_TABLES_H
#define HIKYAKU_CONF_TABLES_H

#include "conf/options.h"

struct table_row {
    const char *path; /* with `*` for one name each */
    size_t least, most;
    const char *kinds;
    const char *en, *ja;
};
const struct table_row *tables_rows(size_t *out_count);
/* The row for a path below the MailRoot, or NULL. */
const struct table_row *tables_row(struct str path);
/* Does that column (from 0) hold secrets? They are shown as stars. */
bool tables_is_secret(const struct table_row *row, size_t column);
/* Calls fn for each file of the MailRoot that is the row's table, in no order. */
void tables_each_file(const struct table_row *row, void (*fn)(void *ctx, const char *path),
                      void *ctx);
/* Is the value one of that kind? *out_why: what it should be. user.tab's and server.tab's own
 * rules are elsewhere (options.h). */
bool tables_value_is_good(char kind, struct str value, const char **out_why);

#endif

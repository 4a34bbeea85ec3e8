/* sql.h - rows of chosen tables out of a database's dump (MySQL, MariaDB, SQL Server,
 * PostgreSQL). Pure. */
#ifndef HIKYAKU_IMPORT_SQL_H
#define HIKYAKU_IMPORT_SQL_H

#include "base/base.h"

#define SQL_COLUMNS_MAX 12u

/* A table that is wanted, and what was found of it. */
struct sql_table {
    const char *name;
    const char *columns[SQL_COLUMNS_MAX]; /* wanted; NULL behind the last */
    struct str *rows;                     /* count times SQL_COLUMNS_MAX values */
    size_t count, room;
    size_t broken;                /* rows that couldn't be understood */
    unsigned at[SQL_COLUMNS_MAX]; /* where each wanted column stands, from 1; 0: nowhere */
};
/* Value of a wanted column; empty: NULL, or the dump has no such column. */
struct str sql_value(const struct sql_table *t, size_t row, const char *column);
/*
 * Reads all INSERT and COPY statements of the tables. Values are as the database had them,
 * escapes undone, in a or slices of text. RC_PERM: UTF-16, or none of the tables is in it.
 */
enum rc sql_read(struct str text, struct sql_table *tables, size_t count, struct arena *a,
                 struct err *e) CHECK_RESULT;

#endif

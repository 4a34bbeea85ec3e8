/*
 * import.h - many accounts from a text: values with TABs or commas between, one account a line.
 * What would become of each line is known before anything is done.
 *
 *   columns  domain, name (or address instead of both), password, and variables of user.tab,
 * named by the first line; without such a line: address (or name), password, RealName,
 * MaxMBSize values   as they are, or in double quotes, doubled inside (RFC 4180)
 */
#ifndef HIKYAKU_WEB_IMPORT_H
#define HIKYAKU_WEB_IMPORT_H

#include "base/base.h"

#define IMPORT_VARS_MAX 32u

enum import_mode {
    IMPORT_MERGE,   /* new accounts are made, others get the values given */
    IMPORT_REPLACE, /* the same, and accounts of these domains that aren't named are removed */
};
enum import_action { IMPORT_CREATE, IMPORT_CHANGE, IMPORT_KEEP, IMPORT_REMOVE, IMPORT_BAD };

struct import_row {
    unsigned line; /* of the text; 0: an account that isn't in it */
    enum import_action action;
    struct str domain, name, password;
    struct str values[IMPORT_VARS_MAX]; /* in the order of user_options.def; empty: not given */
    const char *why;                    /* BAD: the reason */
};
struct import {
    struct arena mem;
    struct import_row **rows;
    size_t count, room;
};

/* Reads the text (UTF-8), of which it keeps a copy. RC_PERM: a column has an unknown name, or
 * there are too many lines.
 */
enum rc import_read(struct str text, struct str default_domain, struct import *out,
                    struct err *e) CHECK_RESULT;
/* Compares it with the accounts there are: fills in the actions. */
void import_plan(struct import *im, enum import_mode mode);
void import_release(struct import *im);
/* "create", "change", "keep", "remove", "bad" */
const char *import_action_name(enum import_action action);

/* A record's next value, in a or in the text; *rest is then behind it. False: it was the last.
 */
bool import_cell(struct str *rest, char separator, struct arena *a, struct str *out);

#endif

/*
 * tables.h - a table of the MailRoot as text: its lines, changed one by one, all others kept
 * octet for octet, and stored by the control role only if nobody changed the file meanwhile.
 */
#ifndef HIKYAKU_WEB_TABLES_H
#define HIKYAKU_WEB_TABLES_H

#include "web/web_int.h"

#define TABLE_VERSION_BYTES 65 /* SHA-256 in hex; "none": there is no file */

struct table_line {
    struct str raw;  /* with its line end */
    unsigned number; /* in the file, from 1; 0: added */
    size_t count;    /* of values; 0: blank, comment, or malformed */
    struct str *values;
    bool malformed, changed;
};
struct table_text {
    const char *path;
    char version[TABLE_VERSION_BYTES];
    const char *charset; /* "UTF-8", "EUC-JP", "CP932" */
    const char *eol;
    struct table_line *lines;
    size_t line_count, line_room;
    struct arena *mem;
    bool may_vanish;    /* stored without lines, the file is removed */
    struct str trial_s; /* the change goes back after so many seconds; empty: it stays */
};

/* Reads the table; one that isn't there has no lines. RC_PERM: too large; RC_TEMP: unreadable.
 */
enum rc tabtext_load(const char *path, struct arena *a, struct table_text *out,
                     struct err *e) CHECK_RESULT;
/* The first line whose first value is the name; NULL: none. */
struct table_line *tabtext_find(const struct table_text *t, struct str name);
/* The line of that number, or NULL. */
struct table_line *tabtext_at(const struct table_text *t, unsigned number);
/* The n-th line that has values, from 0, or NULL. */
struct table_line *tabtext_nth(const struct table_text *t, size_t n);
/* The text (UTF-8) as the table writes it. False: its charset can't. */
bool tabtext_encode(const struct table_text *t, struct str text, struct str *out);
/* {"version": ..., "lines": [[...], ...]}: what isn't blank or a comment. */
json_t *tabtext_json(const struct table_text *t);
/* Loads it for a change; false: answered. member "version" of the body, when it is there, must
 * be the file's. */
bool tabtext_open(struct web *w, const char *path, struct table_text *out);
/* Gives `line` these values, or adds a line at the end (NULL). */
void tabtext_put(struct table_text *t, struct table_line *line, const struct str *values,
                 size_t count);
/* Takes the line out; NULL is accepted. */
void tabtext_remove(struct table_text *t, struct table_line *line);
/* Moves it before the line of that number (0: to the end). */
void tabtext_move(struct table_text *t, struct table_line *line, unsigned before);
/* The whole text into out. False: a value can't be stored in a table. */
bool tabtext_print(const struct table_text *t, struct buf *out);
/* Takes the body's member confirm_within: the change goes back by itself when nobody confirms
 * it in that time. False: answered. */
bool tabtext_try(struct web *w, struct table_text *t);
/* Stores it; false: answered. t->version is then the new one's. */
bool tabtext_store(struct web *w, struct table_text *t);

#endif

/* proclines.h - lines of mailproc.tab and of groups as forms have them: commands of one kind
 * are one value of the form. */
#ifndef HIKYAKU_WEB_PROCLINES_H
#define HIKYAKU_WEB_PROCLINES_H

#include "process/process.h"
#include "web/tables.h"

#define PROCLINES_ADDRESSES_MAX 60u
#define PROCLINES_WORDS_MAX (AUTOREPLY_LINES_MAX + 5) /* on a line that a form makes */

/* "mailbox". Names of commands are lists that end with NULL. */
extern const char *const mailbox_command[];
/* Is the line's command one of these? */
bool proclines_is(const struct table_line *line, const char *const *names);
/* Does it say what becomes of the mail? Does any line? */
bool proclines_decides(const struct table_line *line);
bool proclines_decide(const struct table_text *t);
bool proclines_are_same(const struct table_line *line, const struct str *values, size_t count);
/* The arguments of all lines with these commands. */
json_t *proclines_words(const struct table_text *t, const char *const *names);
/* A list of addresses or domains of the body, as the values of a line with this command;
 * *out_count is 0 when it is empty. False: answered. */
bool proclines_read(struct web *w, const struct table_text *t, const char *member,
                    const char *command, struct str values[PROCLINES_WORDS_MAX],
                    size_t *out_count);
/* The first line with one of these commands gets the values, others go; one that stays the same
 * keeps its octets. count 0: all go. */
void proclines_put(struct table_text *t, const char *const *names, const struct str *values,
                   size_t count);
/* With a "mailbox" line, or without one; a table that says nothing else loses its lines. */
void proclines_keep(struct table_text *t, bool keep);

#endif

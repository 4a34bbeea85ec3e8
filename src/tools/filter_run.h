/* filter_run.h - lines of filters, run on a message and told about, for `hikyaku filter-test`.
 */
#ifndef HIKYAKU_TOOLS_FILTER_RUN_H
#define HIKYAKU_TOOLS_FILTER_RUN_H

#include "process/process.h"
#include "users/users.h"
#include <jansson.h>

#define FILTER_MESSAGE_MAX ((size_t)256 << 20)

struct tested_rcpt {
    struct recipient who;
    struct str given, real;
    bool refused; /* what is behind that isn't reached */
};
/* A message on its way through filters. */
struct testing {
    struct arena mem;
    struct filter_scene scene;
    struct str path;    /* of FILE */
    struct str message; /* with LF, as it goes on; NULL: it isn't there yet */
    struct tested_rcpt *rcpts;
    size_t rcpt_count;
    bool white_listed;
    bool refused, stopped; /* what follows isn't reached; in this table and those beside it */
    bool any_refused, any_line;
    usec_t until; /* lines aren't run behind this moment; 0: there is none */
    json_t *told; /* of each line, what came of it */
    json_t *now;  /* the line under way; in told */
};
/* Where a line stands, and for whom it is run; rcpt NULL: for all of a session. */
struct tested_line {
    struct str table;
    const struct tab_row *row;
    struct tested_rcpt *rcpt;
    bool queued;
};

/* Once: makes a place for FILE, whose path is *out_path, and starts what runs programs. */
enum rc filter_run_init(struct arena *a, struct str *out_path, struct err *e) CHECK_RESULT;
void filter_run_end(void);
/* A text for people: what isn't UTF-8 of it is replaced. */
json_t *filter_told(struct str text);
/* What was told of a line, as text for a terminal. */
void filter_line_print(const json_t *line);
/* The line with its words, and why it isn't run. */
void filter_line_skip(struct testing *t, const struct tested_line *at, const char *why);
/* Runs the line, tells what came of it, and keeps what it changes. */
enum rc filter_line_run(struct testing *t, const struct tested_line *at,
                        const struct program_line *line, struct err *e) CHECK_RESULT;

#endif

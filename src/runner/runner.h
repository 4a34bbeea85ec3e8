/* runner.h - runs programs that lines of tables name: bounded in number, time and output; what
 * came of each goes to whoever asked, and to the log. */
#ifndef HIKYAKU_RUNNER_RUNNER_H
#define HIKYAKU_RUNNER_RUNNER_H

#include "base/base.h"
#include "sys/pool.h"

/* A run that was asked for. */
struct runner_request {
    unsigned role; /* whose it is; handed back, with what follows */
    uint64_t process, session, number;
    struct str table;       /* "filters.pre-data.tab" */
    uint64_t line, sum;     /* as program_line_parse gave them */
    struct str type, about; /* for logs: "pre-data"; the id of a message, or of a session */
    bool is_message;        /* about is */
    int macros_fd;          /* a memory file; belongs to the runner */
    struct str output;      /* when it has ended: the beginning of what it wrote */
};
/* code: the exit code, or PROGRAM_FAILED with the reason. Any thread. */
typedef void runner_done_fn(const struct runner_request *r, uint64_t code, struct str text);

/* done: called once for each request. */
void runner_init(struct pool *pool, runner_done_fn *done);
/* Runs it now, or when one of those that run has ended. Any thread. */
void runner_start(const struct runner_request *r);

#endif

/*
 * persist.h - programs that stay: one JSON job a line in, one verdict a line out (process.h).
 * Each line of a table that says so has some processes of its own, started as they are needed,
 * each with one job at a time; jobs beyond that wait. A process that dies, is over its time or
 * answers something else than its job is ended, its job has failed, and the next job gets a new
 * one. One that nobody needed for some minutes is ended, too.
 */
#ifndef HIKYAKU_RUNNER_PERSIST_H
#define HIKYAKU_RUNNER_PERSIST_H

#include "process/process.h"
#include "sys/pool.h"
#include "sys/spawn.h"

struct persist_job {
    struct str table;
    uint64_t line, sum;
    unsigned most;      /* processes of this line */
    struct spawn spawn; /* copied when one must be started */
    usec_t limit;       /* a job may take */
    const struct macro *macros;
    size_t macro_count;
    void *owner;
};
/* code: as runner_done_fn's; text: why it failed; output: what was written to standard error.
 */
typedef void persist_done_fn(void *owner, uint64_t code, struct str text, struct str reply,
                             struct str output);

/* Before the first job. */
void persist_init(struct pool *pool, persist_done_fn *done);
/* done is called once, by any thread, maybe before this returns. */
void persist_start(const struct persist_job *job);

#endif

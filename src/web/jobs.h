/*
 * jobs.h - work that takes longer than a request: one thread each, seen and stopped by the API,
 * its result kept for an hour.
 */
#ifndef HIKYAKU_WEB_JOBS_H
#define HIKYAKU_WEB_JOBS_H

#include "web/web_int.h"

struct job;
/* Does the work; the result (may be NULL) is the job's. Runs in a thread of its own. */
typedef json_t *job_fn(struct job *job, void *ctx);
/* What job_start is given; ctx is the job's, freed by release. */
struct job_work {
    const char *kind; /* "import" */
    job_fn *run;
    void (*release)(void *ctx);
    void *ctx;
    size_t total;     /* steps */
    struct str about; /* what it is about, for people; may be empty */
    unsigned after_s; /* it waits so long before it begins: until then stopping it undoes it */
};
/* Starts it on behalf of who asks, and answers 202 with its id; false: answered (too many). ctx
 * is released in any case. */
bool job_start(struct web *w, const struct job_work *work);
/* One more step is done; false: it is to stop. */
bool job_step(struct job *job);
/* Who asked, for link_ask_by. */
struct link_by job_by(const struct job *job, struct arena *a);

/* No jobs yet. */
void jobs_init(void);
/* Stops all and waits. */
void jobs_free(void);
/* Forgets results that nobody fetched for an hour. */
void jobs_tick(void);
/* A number that grows with each step of any job, for event streams. */
uint64_t jobs_steps(void);
/* {"id", "kind", "by", "began", "state", "done", "total"} of all. */
json_t *jobs_json(void);

#endif

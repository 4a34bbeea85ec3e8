/*
 * milter.h - conversations with milters (mail/milter.h), for lines with the flag `milter`: all
 * that a milter wants to know of a session comes from FILE and the macros, in one go; what it
 * makes of the message is written to FILE, as a program would. Where FILE has no message the
 * conversation ends after the recipients, and the verdict is about the last one.
 */
#ifndef HIKYAKU_RUNNER_MILTER_H
#define HIKYAKU_RUNNER_MILTER_H

#include "process/process.h"

struct milter_job {
    struct str where; /* milter_place_parse */
    const struct macro *macros;
    size_t macro_count;
    bool queued; /* a message of the queue: other codes (specification 3, section 2) */
    usec_t deadline;
    struct arena *mem;
};
/* What came of it; texts are in mem, or constant. */
struct milter_outcome {
    uint64_t code;    /* as runner_done_fn's */
    struct str text;  /* why it failed */
    struct str reply; /* for FILE.rej; may be empty */
};
/* Blocks, until the deadline at most. */
void milter_talk(const struct milter_job *job, struct milter_outcome *out);

#endif

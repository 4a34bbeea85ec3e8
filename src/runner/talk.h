/*
 * talk.h - conversations instead of programs, for lines with the flags `milter` (mail/milter.h)
 * and `http`: all that the other side wants to know of a session comes from FILE and the
 * macros, in one go; what a milter makes of the message is written to FILE, as a program would.
 * Where FILE has no message yet, the verdict is about the recipient that was given last.
 */
#ifndef HIKYAKU_RUNNER_TALK_H
#define HIKYAKU_RUNNER_TALK_H

#include "process/process.h"

struct talk_job {
    struct str where;  /* milter_place_parse, hook_url_parse */
    struct str secret; /* http: the file that holds it */
    struct str table;
    const struct macro *macros;
    size_t macro_count;
    bool queued; /* a message of the queue: other codes (specification 3, section 2) */
    usec_t deadline;
    struct arena *mem;
};
/* What came of it; texts are in mem, or constant. */
struct talk_outcome {
    uint64_t code;    /* as runner_done_fn's */
    struct str text;  /* why it failed */
    struct str reply; /* for FILE.rej; may be empty */
};
/* Both block, until the deadline at most. (milter.c, hook.c) */
typedef void talk_fn(const struct talk_job *job, struct talk_outcome *out);
talk_fn milter_talk, hook_talk;

#endif

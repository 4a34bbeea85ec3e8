/* job.h - the JSON of jobs, for those who add members of their own. */
#ifndef HIKYAKU_PROCESS_JOB_H
#define HIKYAKU_PROCESS_JOB_H

#include "process/process.h"
#include <jansson.h>

/* JSON is UTF-8: octets that aren't become "?". NULL: no memory. */
json_t *job_text(struct str s, struct arena *a);
/* id, table, and the macros as members. NULL: no memory. */
json_t *job_object(uint64_t id, struct str table, const struct macro *macros, size_t count,
                   struct arena *a);

#endif

/*
 * metrics.h - counters and gauges of a role, in its place on the board (sys/board.h), so that
 * `hikyaku status` and `hikyaku metrics` read them without asking it. They outlive the role's
 * process: a restart goes on counting.
 */
#ifndef HIKYAKU_SYS_METRICS_H
#define HIKYAKU_SYS_METRICS_H

#include "base/base.h"
#include <stdatomic.h>

enum metric {
#define METRIC(member, kind, name, labels, help) METRIC_##member,
#include "sys/metrics.def"
#undef METRIC
    METRIC_COUNT
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };
struct metric_row {
    enum metric_kind kind;
    const char *name, *labels, *help; /* help: of the first row of a name */
};
extern const struct metric_row metric_rows[METRIC_COUNT];

/* Where this process counts from now on: METRIC_COUNT values. Before: in memory of its own. */
void metrics_use(_Atomic uint64_t *values);
/* Any thread. */
void metric_add(enum metric m, uint64_t n);
void metric_set(enum metric m, uint64_t value);

#endif

/* metrics.c - see metrics.h. */
#include "sys/metrics.h"

const struct metric_row metric_rows[METRIC_COUNT] = {
#define METRIC(member, kind, name, labels, help) { METRIC_##kind, name, labels, help },
#include "sys/metrics.def"
#undef METRIC
};

static _Atomic uint64_t own[METRIC_COUNT];
static _Atomic uint64_t *values = own;

void metrics_use(_Atomic uint64_t *to)
{
    values = to;
}

void metric_add(enum metric m, uint64_t n)
{
    atomic_fetch_add_explicit(&values[m], n, memory_order_relaxed);
}

void metric_set(enum metric m, uint64_t value)
{
    atomic_store_explicit(&values[m], value, memory_order_relaxed);
}

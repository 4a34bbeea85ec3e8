/* watch_int.h - inside watch/. */
#ifndef HIKYAKU_WATCH_WATCH_INT_H
#define HIKYAKU_WATCH_WATCH_INT_H

#include "watch/watch.h"

/* Who hears of warnings. */
struct watcher {
    warning_fn *fn;
    void *ctx;
};
static inline void watch_warn(const struct watcher *to, const struct warning *w)
{
    to->fn(to->ctx, w);
}

/* logs.c */
void watch_logs(const struct watcher *to);

#endif

/* clock.c - time in microseconds; tests can shift it. */
#include "base/base.h"
#include <time.h>

static _Atomic int64_t shift, wall_shift;

static usec_t read_clock(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (usec_t)ts.tv_sec * USEC_S + ts.tv_nsec / 1000 + shift;
}

usec_t clock_mono(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

usec_t clock_wall(void)
{
    return read_clock(CLOCK_REALTIME) + wall_shift;
}

void clock_shift(int64_t delta)
{
    shift += delta;
}

void clock_shift_wall(int64_t delta)
{
    wall_shift += delta;
}

const char *clock_print(int64_t wall, char text[CLOCK_TEXT_BYTES])
{
    time_t t = (time_t)(wall / USEC_S);
    struct tm tm;
    (void)localtime_r(&t, &tm);
    (void)strftime(text, CLOCK_TEXT_BYTES, "%Y-%m-%d %H:%M:%S", &tm);
    return text;
}

/* clock.h - time in microseconds. */
#ifndef HIKYAKU_BASE_CLOCK_H
#define HIKYAKU_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic time for deadlines and delays. */
int64_t clock_mono(void);
/* Wall clock since 1970-01-01 UTC. */
int64_t clock_wall(void);
/* "2026-11-26 19:22:49": a wall clock time in the local time zone, as XMail's logs have it;
 * returns text. */
#define CLOCK_TEXT_BYTES 32
const char *clock_print(int64_t wall, char text[CLOCK_TEXT_BYTES]);
/* Shifts both clocks by delta microseconds; the wall clock alone. Tests only. */
void clock_shift(int64_t delta);
void clock_shift_wall(int64_t delta);

#endif

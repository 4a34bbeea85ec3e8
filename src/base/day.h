/* day.h - days as tables write them: "2026-11-30". Such texts sort as the days do. */
#ifndef HIKYAKU_BASE_DAY_H
#define HIKYAKU_BASE_DAY_H

#include "base/arena.h"
#include <stdint.h>

#define DAY_OCTETS ((size_t)10)

/* The day of a wall clock time in the local time zone, in a. */
struct str day_of(int64_t wall, struct arena *a);
/* Is it one, in that form? */
bool day_is_good(struct str day);
/* Is the day within the others, which may be empty: open? */
bool day_is_within(struct str day, struct str first, struct str last);

#endif

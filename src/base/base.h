/* base.h - what every file of the program may use: the language we wish we had. */
#ifndef HIKYAKU_BASE_BASE_H
#define HIKYAKU_BASE_BASE_H

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define CHECK_RESULT __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define FALLTHROUGH __attribute__((fallthrough))

/* The struct that holds member m of type t at address p (intrusive lists). */
#define CONTAINER_OF(p, t, m) ((t *)(void *)((char *)(p)-offsetof(t, m)))

/* Overflow-checked arithmetic on foreign numbers: true when *out holds the exact result. */
#define add_ok(a, b, out) (!__builtin_add_overflow(a, b, out))
#define mul_ok(a, b, out) (!__builtin_mul_overflow(a, b, out))

/* Ends the program for a state that can't be: logs where, aborts, in all builds. Never for
 * input. */
#define BUG(why) bug_report(__FILE__, __LINE__, why)
NORETURN void bug_report(const char *file, int line, const char *why);

/* Times are microseconds everywhere. */
typedef int64_t usec_t;
#define USEC_MS ((usec_t)1000)
#define USEC_S ((usec_t)1000000)
#define USEC_FOREVER INT64_MAX

/* Functions with no length, no state of their own, or a race: a compile error to use them. */
#pragma GCC poison strcpy strcat strncpy strncat vsprintf gets strtok strtok_r atoi atol sscanf
#pragma GCC poison gmtime localtime ctime asctime strerror system popen tmpnam mktemp
#pragma GCC poison sleep usleep gethostbyname

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/nets.h"
#include "base/str.h"

#endif

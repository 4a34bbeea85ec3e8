/*
 * log.c - one event, one line, one write(2) on standard error, so lines of threads and roles
 * don't mix. A line is cut at 2000 octets. A failing or full log never stops the caller.
 */
#include "base/base.h"
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)2000)

static const char *log_role = "hikyaku";
static enum log_level log_least = LOG_LEVEL_INFO;

void log_set_role(const char *role)
{
    log_role = role;
}

void log_set_level(enum log_level level)
{
    log_least = level;
}

struct line {
    char p[LINE_MAX_BYTES + 64];
    size_t n;
};

static void put(struct line *l, const char *p, size_t n)
{
    n = MIN(n, LINE_MAX_BYTES - l->n);
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

/* A value: bare when harmless, else in quotes with control bytes, quotes and backslashes as
 * \xHH. */
static void put_value(struct line *l, struct str s)
{
    bool bare = s.n > 0 && str_is_utf8(s);
    for (size_t i = 0; bare && i < s.n; i++)
        bare = (unsigned char)s.p[i] > 0x20 && s.p[i] != 0x7f && s.p[i] != '"' &&
               s.p[i] != '\\' && s.p[i] != '=';
    if (bare) {
        put(l, s.p, s.n);
        return;
    }
    bool utf8 = str_is_utf8(s);
    put(l, "\"", 1);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\' || (c >= 0x80 && !utf8)) {
            char hex[8];
            int n = snprintf(hex, sizeof(hex), "\\x%02x", c);
            put(l, hex, (size_t)n);
        } else {
            put(l, s.p + i, 1);
        }
    }
    put(l, "\"", 1);
}

static void put_pair(struct line *l, const struct log_kv *kv)
{
    char number[32];
    put(l, " ", 1);
    put(l, kv->key, strlen(kv->key));
    put(l, "=", 1);
    if (kv->kind == LOG_KIND_STR)
        put_value(l, kv->s);
    else if (kv->kind == LOG_KIND_INT)
        put(l, number, (size_t)snprintf(number, sizeof(number), "%lld", (long long)kv->i));
    else
        put(l, number,
            (size_t)snprintf(number, sizeof(number), "%llu", (unsigned long long)kv->u));
}

void log_write(enum log_level level, const struct log_kv *kv)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    if (level < log_least)
        return;
    struct line l = { .n = 0 };
    struct timespec ts;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)gmtime_r(&ts.tv_sec, &tm);
    size_t n = strftime(l.p, sizeof(l.p), "%Y-%m-%dT%H:%M:%S", &tm);
    l.n = n + (size_t)snprintf(l.p + n, 64, ".%03dZ %s %s:", (int)(ts.tv_nsec / 1000000),
                               log_role, names[level]);
    for (; kv->kind != LOG_KIND_END; kv++) {
        if (kv->kind == LOG_KIND_EVENT) {
            put(&l, " ", 1);
            put(&l, kv->key, strlen(kv->key));
        } else {
            put_pair(&l, kv);
        }
    }
    l.p[l.n++] = '\n';
    (void)!write(STDERR_FILENO, l.p, l.n);
}

/*
 * log.c - one event, one line, one write(2) on standard error, so lines of threads and roles
 * don't mix. A line is cut at 2000 octets. A failing or full log never stops the caller. Under
 * systemd each line begins with its priority (sd-daemon(3)), which the journal takes off.
 */
#include "base/base.h"
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)2000)
#define ROOM_BEHIND ((size_t)64) /* for the end of a JSON object and the line end */

static const char *log_role = "hikyaku";
static _Atomic enum log_level log_least = LOG_LEVEL_INFO;
static _Atomic enum log_format log_how = LOG_TEXT;
static log_story_fn *log_story;
static _Atomic uint64_t log_counts[LOG_LEVEL_ERROR + 1], log_dropped;

void log_set_role(const char *role)
{
    log_role = role;
}

void log_set_story(log_story_fn *fn)
{
    log_story = fn;
}

void log_set_level(enum log_level level)
{
    log_least = level;
}

void log_set_format(enum log_format format)
{
    log_how = format;
}

uint64_t log_count(enum log_level level)
{
    return log_counts[level];
}

uint64_t log_lost(void)
{
    return log_dropped;
}

struct line {
    char p[LINE_MAX_BYTES + ROOM_BEHIND];
    size_t n;
    bool full; /* a value that doesn't fit is cut, and nothing follows it */
};

/* All of it or nothing, so that no escape is cut in two. */
static void put(struct line *l, const char *p, size_t n)
{
    if (l->full || n > LINE_MAX_BYTES - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void put_c(struct line *l, const char *c)
{
    put(l, c, strlen(c));
}

/* --- values ------------------------------------------------------------------------------ */

/* The length of the character at s: more than 1 for UTF-8 (which s is known to be). */
static size_t char_length(struct str s)
{
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return n < s.n ? n : s.n;
}

/* In quotes, with control octets, quotes, backslashes, and what isn't UTF-8 escaped: "\xHH" in
 * text, "\u00HH" in JSON. */
static void put_quoted(struct line *l, struct str s, const char *escape)
{
    bool utf8 = str_is_utf8(s);
    put(l, "\"", 1);
    while (s.n > 0 && !l->full) {
        unsigned char c = (unsigned char)s.p[0];
        size_t n = utf8 ? char_length(s) : 1;
        char hex[8];
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\' || (c >= 0x80 && !utf8)) {
            (void)snprintf(hex, sizeof(hex), "%s%02x", escape, c);
            put_c(l, hex);
        } else {
            put(l, s.p, n);
        }
        s = str_skip(s, n);
    }
    if (l->full && l->n < LINE_MAX_BYTES + 1)
        l->p[l->n++] = '"'; /* from the room behind */
    else
        put(l, "\"", 1);
}

static void put_value(struct line *l, struct str s)
{
    bool bare = s.n > 0 && str_is_utf8(s);
    for (size_t i = 0; bare && i < s.n; i++)
        bare = (unsigned char)s.p[i] > 0x20 && s.p[i] != 0x7f && s.p[i] != '"' &&
               s.p[i] != '\\' && s.p[i] != '=';
    if (bare && s.n < LINE_MAX_BYTES - l->n)
        put(l, s.p, s.n);
    else
        put_quoted(l, s, "\\x");
}

static void put_number(struct line *l, const struct log_kv *kv)
{
    char number[32];
    int n = kv->kind == LOG_KIND_INT
                ? snprintf(number, sizeof(number), "%lld", (long long)kv->i)
                : snprintf(number, sizeof(number), "%llu", (unsigned long long)kv->u);
    put(l, number, (size_t)n);
}

/* --- the two forms ----------------------------------------------------------------------- */

static void write_text(struct line *l, const char *time, const char *level,
                       const struct log_kv *kv)
{
    put_c(l, time);
    put_c(l, " ");
    put_c(l, log_role);
    put_c(l, " ");
    put_c(l, level);
    put_c(l, ":");
    for (; kv->kind != LOG_KIND_END && !l->full; kv++) {
        put_c(l, " ");
        put_c(l, kv->key);
        if (kv->kind == LOG_KIND_EVENT)
            continue;
        put_c(l, "=");
        if (kv->kind == LOG_KIND_STR)
            put_value(l, kv->s);
        else
            put_number(l, kv);
    }
}

static void put_json(struct line *l, const char *key, const char *value)
{
    put_quoted(l, str_from_c(key), "\\u00");
    put_c(l, ":");
    put_quoted(l, str_from_c(value), "\\u00");
}

static void write_json(struct line *l, const char *time, const char *level,
                       const struct log_kv *kv)
{
    put_c(l, "{");
    put_json(l, "time", time);
    put_c(l, ",");
    put_json(l, "role", log_role);
    put_c(l, ",");
    put_json(l, "level", level);
    for (; kv->kind != LOG_KIND_END && LINE_MAX_BYTES - l->n > strlen(kv->key) + 40; kv++) {
        put_c(l, ",");
        if (kv->kind == LOG_KIND_EVENT) {
            put_json(l, "event", kv->key);
            continue;
        }
        put_quoted(l, str_from_c(kv->key), "\\u00");
        put_c(l, ":");
        if (kv->kind == LOG_KIND_STR)
            put_quoted(l, kv->s, "\\u00");
        else
            put_number(l, kv);
    }
    l->p[l->n++] = '}';
}

/* Does the journal read standard error? */
static bool in_journal(void)
{
    static _Atomic int known; /* 1: no, 2: yes */
    if (known == 0)
        known = getenv("JOURNAL_STREAM") != NULL ? 2 : 1;
    return known == 2;
}

/* A pipe that nobody reads (a stuck pager, a stopped collector) must not stop the caller. */
static void send_line(const struct line *l)
{
    struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
    if (poll(&fd, 1, 0) == 0 || write(STDERR_FILENO, l->p, l->n) < 0)
        log_dropped++;
}

static bool is_about_message(const struct log_kv *kv)
{
    for (; kv->kind != LOG_KIND_END; kv++)
        if (kv->kind == LOG_KIND_STR &&
            (strcmp(kv->key, "id") == 0 || strcmp(kv->key, "rcpt") == 0 ||
             strcmp(kv->key, "from") == 0 || strcmp(kv->key, "gate") == 0))
            return true;
    return false;
}

void log_write(enum log_level level, const struct log_kv *kv)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    static const char *const priorities[] = { "<7>", "<6>", "<4>", "<3>" };
    log_counts[level]++;
    if (log_story != NULL && level > LOG_LEVEL_DEBUG && is_about_message(kv))
        log_story(log_role, kv);
    if (level < log_least)
        return;
    struct line l = { .n = 0 };
    struct timespec ts;
    struct tm tm;
    char day[32], time[48];
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    (void)gmtime_r(&ts.tv_sec, &tm);
    (void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(time, sizeof(time), "%s.%03dZ", day, (int)(ts.tv_nsec / 1000000));
    if (in_journal())
        put_c(&l, priorities[level]);
    if (log_how == LOG_JSON)
        write_json(&l, time, names[level], kv);
    else
        write_text(&l, time, names[level], kv);
    l.p[l.n++] = '\n';
    send_line(&l);
}

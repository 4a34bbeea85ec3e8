/*
 * log.h - events: a constant text and typed key=value pairs. Foreign text is escaped here, so a
 * value can't forge a line; secrets are never passed to it.
 *     log_info(EV("rcpt refused"), KS("rcpt", address), KV("reason", "unknown"));
 */
#ifndef HIKYAKU_BASE_LOG_H
#define HIKYAKU_BASE_LOG_H

#include "base/err.h"
#include "base/str.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_kind { LOG_KIND_END, LOG_KIND_EVENT, LOG_KIND_STR, LOG_KIND_INT, LOG_KIND_UINT };

struct log_kv {
    enum log_kind kind;
    const char *key;
    struct str s;
    int64_t i;
    uint64_t u;
};

#define EV(text) ((struct log_kv){ .kind = LOG_KIND_EVENT, .key = (text) })
#define KV(k, c) ((struct log_kv){ .kind = LOG_KIND_STR, .key = (k), .s = str_from_c(c) })
#define KS(k, v) ((struct log_kv){ .kind = LOG_KIND_STR, .key = (k), .s = (v) })
#define KI(k, v) ((struct log_kv){ .kind = LOG_KIND_INT, .key = (k), .i = (int64_t)(v) })
#define KU(k, v) ((struct log_kv){ .kind = LOG_KIND_UINT, .key = (k), .u = (uint64_t)(v) })
/* The text of a struct err. */
#define KE(e)                                                                                  \
    ((struct log_kv){ .kind = LOG_KIND_STR, .key = "error", .s = str_from_c((e)->text) })

#define LOG_LIST(...) ((const struct log_kv[]){ __VA_ARGS__, { .kind = LOG_KIND_END } })
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, LOG_LIST(__VA_ARGS__))
#define log_info(...) log_write(LOG_LEVEL_INFO, LOG_LIST(__VA_ARGS__))
#define log_warn(...) log_write(LOG_LEVEL_WARN, LOG_LIST(__VA_ARGS__))
#define log_error(...) log_write(LOG_LEVEL_ERROR, LOG_LIST(__VA_ARGS__))

/* Writes one line to standard error in one write; any thread. kv ends with LOG_KIND_END. */
void log_write(enum log_level level, const struct log_kv *kv);
/* Events of the level so far, written or not. */
uint64_t log_count(enum log_level level);
/* Lines that standard error didn't take (full, or a pipe that nobody reads). */
uint64_t log_lost(void);
/* The name shown in each line ("smtpd"); kept, not copied. */
void log_set_role(const char *role);
enum log_format { LOG_TEXT, LOG_JSON };
/* Lines of text (the default), or JSON objects. */
void log_set_format(enum log_format format);
/* Events about a message (with an id=, rcpt= or from=) go to fn too, whatever their level but
 * debug. fn may log, but not about a message. NULL: to nobody. Before threads start. */
typedef void log_story_fn(const char *role, const struct log_kv *kv);
void log_set_story(log_story_fn *fn);
/* Events below `level` are dropped (default: info). */
void log_set_level(enum log_level level);

#endif

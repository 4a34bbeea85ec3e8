/* logfiles.c - see logfiles.h. Each role appends for itself; O_APPEND and one write a record
 * keep lines whole. */
#include "conf/logfiles.h"
#include "conf/options.h"
#include "sys/file.h"
#include "sys/io.h"
#include "sys/lock.h"
#include <fcntl.h>
#include <time.h>

#define RECORD_MAX ((size_t)16 * 1024)
#define FOLDER "logs"
#define COMPLAIN_EVERY (60 * USEC_S)

static const char *const names[LOGFILE_COUNT] = { "smtp",  "pop3",    "smail", "ctrl", "finger",
                                                  "lmail", "filters", "psync", "trace" };

struct open_file {
    int fd; /* 0: none yet */
    char period[16];
    bool torn; /* the last record isn't whole: begin a new line */
};
static struct lock files_lock = LOCK_INIT(LOCK_LEAF);
static struct open_file files[LOGFILE_COUNT];
static usec_t complained; /* when a failure was last logged; protected by files_lock */
static uint64_t lost;

static bool is_listed(struct str list, struct str name)
{
    struct str word;
    while (str_cut(&list, ' ', &word))
        if (str_ieq(str_trim(word), name))
            return true;
    return false;
}

bool logfile_is_on(enum logfile f)
{
    const struct options *o = conf();
    bool by_switch = false;
    switch (f) {
    case LOGFILE_SMTP:
        by_switch = o->smtp.log || o->smtps.log || o->submission.log;
        break;
    case LOGFILE_POP3:
        by_switch = o->pop3.log || o->pop3s.log;
        break;
    case LOGFILE_SMAIL:
        by_switch = o->delivery_log;
        break;
    case LOGFILE_CTRL:
        by_switch = o->ctrl.log || o->ctrls.log;
        break;
    case LOGFILE_FINGER:
        by_switch = o->finger.log;
        break;
    case LOGFILE_LMAIL:
        by_switch = o->lmail_log;
        break;
    case LOGFILE_FILTERS:
        by_switch = o->filter_log;
        break;
    case LOGFILE_PSYNC:
        by_switch = o->fetch_log;
        break;
    case LOGFILE_TRACE:
        return o->trace_days > 0;
    }
    return by_switch || is_listed(o->log_files, str_from_c(names[f]));
}

const char *logfile_period(int64_t now, int64_t hours, char text[16])
{
    struct tm tm;
    time_t t = (time_t)now;
    int64_t length = MAX(hours, (int64_t)1) * 3600;
    (void)localtime_r(&t, &tm);
    int64_t local = now + tm.tm_gmtoff;
    time_t start = (time_t)(local - local % length);
    (void)gmtime_r(&start, &tm);
    (void)strftime(text, 16, "%Y%m%d%H%M", &tm);
    return text;
}

/* The trace files' period is a day, so that their names tell their age. */
static int64_t hours_of(enum logfile f)
{
    return f == LOGFILE_TRACE ? 24 : conf()->log_rotate_hours;
}

/* The descriptor of the file that is due, or -1. */
static int file_now(enum logfile f)
{
    struct open_file *file = &files[f];
    char period[16], path[64];
    (void)logfile_period(clock_wall() / USEC_S, hours_of(f), period);
    if (file->fd > 0 && strcmp(period, file->period) == 0)
        return file->fd;
    if (file->fd > 0)
        io_close(file->fd);
    (void)snprintf(path, sizeof(path), FOLDER "/%s-%s", names[f], period);
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW;
    int fd = io_open(path, flags, 0640);
    if (fd < 0 && errno == ENOENT && io_mkdir(FOLDER, 0750) == 0)
        fd = io_open(path, flags, 0640);
    *file = (struct open_file){ .fd = MAX(fd, 0) };
    (void)snprintf(file->period, sizeof(file->period), "%s", period);
    return fd;
}

static void complain(enum logfile f, int error)
{
    lost++;
    usec_t now = clock_mono();
    if (complained != 0 && now < complained + COMPLAIN_EVERY)
        return;
    complained = now;
    log_warn(EV("log file not written"), KV("file", names[f]), KU("records_lost", lost),
             KV("error", strerrordesc_np(error)));
}

static enum rc put_value(struct buf *b, struct str value)
{
    enum rc rc = buf_add_char(b, '"');
    for (size_t i = 0; i < value.n && rc == RC_OK; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool escapes = c == '\\' && (i + 1 == value.n || value.p[i + 1] == '"');
        if (c == '"')
            rc = buf_add_str(b, STR("\\\""));
        else
            rc = buf_add_char(b, c < 0x20 || c == 0x7f || escapes ? '?' : value.p[i]);
    }
    return rc == RC_OK ? buf_add_char(b, '"') : rc;
}

void logfile_add(enum logfile f, const struct str *values, size_t count)
{
    if (!logfile_is_on(f))
        return;
    struct buf line AUTO_RELEASE_BUF;
    buf_init(&line, RECORD_MAX);
    enum rc rc = buf_add_char(&line, '\n'); /* sent only behind a torn record */
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        rc = i == 0 ? RC_OK : buf_add_char(&line, '\t');
        if (rc == RC_OK)
            rc = put_value(&line, str_head(values[i], RECORD_MAX / 16));
    }
    if (rc == RC_OK)
        rc = buf_add_char(&line, '\n');
    struct lock *held AUTO_UNLOCK = lock_hold(&files_lock);
    (void)held;
    int fd = rc == RC_OK ? file_now(f) : -1;
    struct str octets = str_skip(buf_str(&line), files[f].torn ? 0 : 1);
    errno = rc == RC_OK ? errno : EMSGSIZE;
    ssize_t n = fd < 0 ? -1 : io_write(fd, octets.p, octets.n);
    if (n < 0)
        complain(f, errno);
    else if ((size_t)n < octets.n)
        complain(f, ENOSPC);
    if (n > 0)
        files[f].torn = octets.p[n - 1] != '\n';
}

void logfile_add_delivery(struct str server, struct str id, struct str from, struct str to,
                          const char *medium, struct str parameter, struct str reply)
{
    char time[CLOCK_TEXT_BYTES];
    const struct str values[] = {
        server,    id,
        id,        from,
        to,        str_from_c(medium),
        parameter, str_from_c(clock_print(clock_wall(), time)),
        reply,
    };
    logfile_add(LOGFILE_SMAIL, values, ARRAY_LEN(values));
}

/* --- the trace --------------------------------------------------------------------------- */

#define STORY_VALUES 24u

static void trace_time(char text[64])
{
    char seconds[CLOCK_TEXT_BYTES], zone[8];
    usec_t wall = clock_wall();
    time_t now = (time_t)(wall / USEC_S);
    struct tm tm;
    (void)localtime_r(&now, &tm);
    (void)strftime(zone, sizeof(zone), "%z", &tm);
    (void)snprintf(text, 64, "%s.%03d %s", clock_print(wall, seconds),
                   (int)(wall % USEC_S / USEC_MS), zone);
}

static void keep_story(const char *role, const struct log_kv *kv)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str values[STORY_VALUES];
    char time[64];
    size_t n = 3;
    if (!logfile_is_on(LOGFILE_TRACE))
        return;
    trace_time(time);
    values[0] = str_from_c(time);
    values[1] = str_from_c(role);
    values[2] = STR("");
    for (; kv->kind != LOG_KIND_END && n < STORY_VALUES; kv++) {
        if (kv->kind == LOG_KIND_EVENT)
            values[2] = str_from_c(kv->key);
        else if (kv->kind == LOG_KIND_STR && kv->s.n > 0)
            values[n++] = arena_printf(&a, "%s=%.*s", kv->key, STR_ARG(kv->s));
        else if (kv->kind == LOG_KIND_INT)
            values[n++] = arena_printf(&a, "%s=%" PRId64, kv->key, kv->i);
        else if (kv->kind == LOG_KIND_UINT)
            values[n++] = arena_printf(&a, "%s=%" PRIu64, kv->key, kv->u);
    }
    logfile_add(LOGFILE_TRACE, values, n);
}

void logfile_trace_start(void)
{
    log_set_story(keep_story);
}

void logfile_trace_expire(void)
{
    char oldest[16], path[64];
    struct folder *f = NULL;
    struct str name, prefix = STR("trace-");
    unsigned char type = 0;
    int64_t seconds = clock_wall() / USEC_S - conf()->trace_days * 86400;
    (void)logfile_period(seconds, 24, oldest);
    if (folder_open(FOLDER, &f, NULL) != RC_OK)
        return;
    while (folder_next(f, &name, &type)) {
        struct str when = str_skip(name, prefix.n);
        if (str_ends(when, STR(".index")))
            when.n -= strlen(".index");
        if (!str_starts(name, prefix) || when.n != strlen(oldest) ||
            str_cmp(when, str_from_c(oldest)) >= 0)
            continue;
        (void)snprintf(path, sizeof(path), FOLDER "/%.*s", STR_ARG(name));
        (void)io_unlink(path);
    }
    folder_close(&f);
}

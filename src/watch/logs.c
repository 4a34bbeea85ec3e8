/* logs.c - log files of today that are far over their average. */
#include "conf/logfiles.h"
#include "sys/file.h"
#include "watch/watch_int.h"

#define DAY (24 * 3600)
#define LOG_TIMES 5u
#define LOG_DAYS 10u
#define LOG_LEAST ((uint64_t)1 << 20) /* smaller files are no matter */

/* Octets of one kind of log by day, today first. */
struct log_days {
    struct str kind;
    uint64_t octets[LOG_DAYS + 1];
    unsigned days; /* of those before today, with a file */
};
struct log_kinds {
    struct log_days list[32];
    size_t count;
    struct str names[LOG_DAYS + 1]; /* "20261130" of each day */
    struct arena mem;
};

static struct log_days *kind_of(struct log_kinds *all, struct str kind)
{
    for (size_t i = 0; i < all->count; i++)
        if (str_eq(all->list[i].kind, kind))
            return &all->list[i];
    if (all->count == ARRAY_LEN(all->list))
        return NULL;
    struct log_days *k = &all->list[all->count++];
    *k = (struct log_days){ .kind = arena_str(&all->mem, kind) };
    return k;
}

/* "smtp-202611300000" is of that day */
static void add_file(struct log_kinds *all, struct str name)
{
    struct stat st;
    size_t dash = str_find(name, '-');
    struct str when = dash == SIZE_MAX ? STR("") : str_skip(name, dash + 1);
    struct str path = arena_printf(&all->mem, "logs/%.*s", STR_ARG(name));
    if (when.n != 12 || io_lstat(path.p, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    for (unsigned i = 0; i <= LOG_DAYS; i++) {
        struct log_days *k = NULL;
        if (!str_starts(when, all->names[i]))
            continue;
        k = kind_of(all, str_head(name, dash));
        if (k == NULL)
            return;
        k->days += i > 0 && k->octets[i] == 0 && st.st_size > 0;
        k->octets[i] += (uint64_t)st.st_size;
    }
}

void watch_logs(const struct watcher *to)
{
    struct log_kinds all = { .count = 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    int64_t now = clock_wall() / USEC_S;
    for (unsigned i = 0; i <= LOG_DAYS; i++) {
        char period[16];
        all.names[i] = arena_str(
            &all.mem,
            str_head(str_from_c(logfile_period(now - (int64_t)i * DAY, 24, period)), 8));
    }
    if (folder_open("logs", &f, NULL) == RC_OK)
        while (folder_next(f, &name, &type))
            add_file(&all, name);
    folder_close(&f);
    for (size_t i = 0; i < all.count; i++) {
        const struct log_days *k = &all.list[i];
        uint64_t sum = 0;
        for (unsigned day = 1; day <= LOG_DAYS; day++)
            sum += k->octets[day];
        uint64_t average = k->days == 0 ? 0 : sum / k->days;
        if (average > 0 && k->octets[0] >= LOG_LEAST && k->octets[0] >= average * LOG_TIMES)
            watch_warn(to, &(struct warning){ .kind = WARNING_log,
                                              .about = k->kind,
                                              .n = (int64_t)k->octets[0],
                                              .of = (int64_t)average });
    }
    arena_release(&all.mem);
}

/*
 * running.c - does an XMail run on this MailRoot? Its pid file says which process it was; the
 * process itself says whether it still is one, and where it works.
 */
#include "sys/file.h"
#include "takeover/takeover.h"
#include <stdlib.h>

static struct str read_proc(uint64_t pid, const char *file, struct arena *a)
{
    char *text = arena_new(a, 8192);
    int fd AUTO_CLOSE =
        io_open(arena_printf(a, "/proc/%" PRIu64 "/%s", pid, file).p, O_RDONLY, 0);
    ssize_t n = fd < 0 ? -1 : io_read(fd, text, 8191);
    return str_from(text, n < 0 ? 0 : (size_t)n);
}

static bool is_here(struct str path, struct arena *a)
{
    struct stat here, there;
    return io_stat(".", &here) == 0 && io_stat(arena_c(a, path), &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* -Ms on its command line, else MAIL_ROOT, else /var/MailRoot. */
static bool works_here(uint64_t pid, struct arena *a)
{
    struct str words = read_proc(pid, "cmdline", a), word;
    while (words.n > 0 && str_cut(&words, '\0', &word))
        if (str_eq(word, STR("-Ms")) && str_cut(&words, '\0', &word))
            return is_here(word, a);
    words = read_proc(pid, "environ", a);
    while (words.n > 0 && str_cut(&words, '\0', &word))
        if (str_starts(word, STR("MAIL_ROOT=")))
            return is_here(str_skip(word, 10), a);
    return is_here(STR("/var/MailRoot"), a);
}

/* Is it a program called XMail, and another one than this? */
static bool is_xmail(uint64_t pid, struct arena *a)
{
    struct stat mine, its;
    struct str name = str_trim(read_proc(pid, "comm", a));
    if (!str_ieq(name, STR("XMail")))
        return false;
    return io_stat("/proc/self/exe", &mine) < 0 ||
           io_stat(arena_printf(a, "/proc/%" PRIu64 "/exe", pid).p, &its) < 0 ||
           mine.st_dev != its.st_dev || mine.st_ino != its.st_ino;
}

bool takeover_xmail_runs(unsigned *out_pid)
{
    const char *given = getenv("XMAIL_PID_DIR");
    const char *const folders[] = { given == NULL ? "" : given, ".", "/var/run" };
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        struct str text;
        uint64_t pid = 0;
        const char *path = arena_printf(&mem, "%s/XMail.pid", folders[i]).p;
        if (folders[i][0] == '\0' || !file_exists(path) ||
            file_read(path, 64, &mem, &text, NULL, NULL) != RC_OK ||
            !str_to_u64(str_trim(text), &pid) || !is_xmail(pid, &mem) || !works_here(pid, &mem))
            continue;
        *out_pid = (unsigned)pid;
        return true;
    }
    return false;
}

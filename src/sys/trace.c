/* trace.c - the record of file-system changes for crash tests; see trace.h. Called by io.c
 * alone. */
#include "sys/trace.h"

#if TRACE_ENABLED
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/uio.h>

static const char *role_name = "";
static _Atomic long changes;

void trace_set_role(const char *role)
{
    role_name = role;
}

void trace_before(void)
{
    const char *text = getenv("HIKYAKU_KILL");
    struct str rest = str_from_c(text), role = { "", 0 };
    uint64_t n = 0;
    if (text == NULL || !str_cut(&rest, ':', &role) || !str_eq(role, str_from_c(role_name)) ||
        !str_to_u64(rest, &n))
        return;
    if ((uint64_t)++changes == n)
        (void)raise(SIGKILL);
}

/* The path of fd as seen from the MailRoot (the working directory). */
static struct str path_of(int fd, struct arena *a)
{
    char target[4096], here[4096];
    ssize_t n = readlink(arena_printf(a, "/proc/self/fd/%d", fd).p, target, sizeof(target));
    if (n <= 0 || getcwd(here, sizeof(here)) == NULL)
        return STR("?");
    struct str path = str_from(target, (size_t)n), cwd = str_from_c(here);
    if (str_eq(path, cwd))
        return STR(".");
    if (str_starts(path, cwd) && path.n > cwd.n && path.p[cwd.n] == '/')
        path = str_skip(path, cwd.n + 1);
    if (str_ends(path, STR(" (deleted)")))
        return STR("?");
    return arena_str(a, path);
}

uint64_t trace_position(int fd)
{
    off_t at = getenv("HIKYAKU_TRACE") == NULL ? 0 : lseek(fd, 0, SEEK_CUR);
    return at < 0 ? 0 : (uint64_t)at;
}

void trace_change(char op, int fd, const char *path, const char *to, uint64_t at,
                  const void *octets, size_t n)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const char *file = getenv("HIKYAKU_TRACE");
    if (file == NULL)
        return;
    int saved = errno;
    struct str name = path == NULL ? path_of(fd, &a) : str_from_c(path);
    struct str head = arena_printf(&a, "%c\t%.*s\t%s\t%" PRIu64 "\t%zu\n", op, STR_ARG(name),
                                   to == NULL ? "-" : to, at, n);
    char *copy = arena_new(&a, head.n + n + 1);
    memcpy(copy, head.p, head.n);
    if (n > 0)
        memcpy(copy + head.n, octets, n);
    int out = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    (void)!write(out, copy, head.n + n); /* one write: records of several processes don't mix */
    (void)close(out);
    errno = saved;
}

#else
typedef int trace_is_not_compiled_in;
#endif

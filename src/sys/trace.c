/*
 * trace.c - writes the trace that trace.h describes. One O_APPEND write a record, so that
 * processes and threads can share the file. Empty in release builds.
 */
#include "sys/trace.h"

#if TRACE_BUILD
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic int trace_fd = -1;
static _Atomic int64_t kill_in;
static const char *role_name = "";

void trace_set_role(const char *role)
{
    role_name = role;
}

static void read_environment(void)
{
    const char *path = getenv("HIKYAKU_TRACE");
    struct str rest = str_from_c(getenv("HIKYAKU_KILL")), role;
    struct str ahead = str_from_c(getenv("HIKYAKU_CLOCK"));
    uint64_t n = 0;
    if (str_to_u64(ahead, &n))
        clock_shift((int64_t)MIN(n, (uint64_t)UINT32_MAX) * USEC_S);
    if (path != NULL && path[0] != '\0')
        trace_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (rest.n > 0 && str_cut(&rest, ':', &role) && str_eq(role, str_from_c(role_name)) &&
        str_to_u64(rest, &n))
        kill_in = (int64_t)MIN(n, (uint64_t)INT64_MAX);
}

enum rc trace_open(const char *path, struct err *e)
{
    (void)pthread_once(&once, read_environment);
    trace_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return trace_fd < 0 ? err_sys(e, "open %s", path) : RC_OK;
}

bool trace_is_on(void)
{
    (void)pthread_once(&once, read_environment);
    return trace_fd >= 0;
}

void trace_before_change(void)
{
    (void)pthread_once(&once, read_environment);
    if (kill_in > 0 && atomic_fetch_sub(&kill_in, 1) == 1) {
        (void)kill(getpid(), SIGKILL);
        _exit(128 + SIGKILL); /* a seal forbids kill */
    }
}

/* One record; parts hold at least n1 + n2 octets. A trace with a gap proves nothing: give up.
 */
static void put(const char *op, int fd, uint64_t a, const struct iovec *parts, size_t count,
                size_t n1, size_t n2)
{
    int saved = errno;
    struct buf b AUTO_RELEASE_BUF;
    buf_init(&b, BUF_MAX_DEFAULT);
    buf_addf(&b, "%s %d %d %d %" PRIu64 " 0 %zu %zu\n", op, (int)getpid(), (int)gettid(), fd, a,
             n1, n2);
    size_t left = n1 + n2;
    for (size_t i = 0; i < count && left > 0; i++) {
        size_t n = MIN(left, parts[i].iov_len);
        buf_must(buf_add(&b, parts[i].iov_base, n));
        left -= n;
    }
    buf_must(buf_add_char(&b, '\n'));
    if (write(trace_fd, b.p, b.n) != (ssize_t)b.n)
        BUG("trace file");
    errno = saved;
}

static struct iovec part_of(const char *text)
{
    struct iovec part = { .iov_len = text == NULL ? 0 : strlen(text) };
    memcpy(&part.iov_base, &text, sizeof(text));
    return part;
}

void trace_call(const char *op, int fd, uint64_t a, const char *path, const char *path2)
{
    struct iovec parts[2] = { part_of(path), part_of(path2) };
    put(op, fd, a, parts, 2, parts[0].iov_len, parts[1].iov_len);
}

void trace_octets(int fd, uint64_t at, const struct iovec *parts, size_t count, size_t n)
{
    put("write", fd, at, parts, count, n, 0);
}

void trace_mark(const char *fmt, ...)
{
    va_list ap;
    char text[512];
    if (!trace_is_on())
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    trace_call("mark", -1, 0, text, NULL);
}
#else
/* A translation unit must declare something. */
extern int trace_is_not_in_this_build;
#endif

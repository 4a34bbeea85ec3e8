/*
 * spool_scan.c - the folders of XMail's spool: spool/A/B/{mess,rsnd,froz,...}, A and B numbers.
 * Names come from whoever could write there: only regular files and real folders are looked at.
 */
#include "sys/file.h"
#include "takeover/xmail_int.h"
#include <dirent.h>
#include <stdarg.h>

const char *const xmail_kinds[3] = { "mess", "rsnd", "froz" };
const char *const xmail_beside[5] = { "slog", "mprc", "cust", "info", "lock" };

void takeover_say(const struct takeover_sink *sink, enum takeover_level level, struct str file,
                  const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (sink != NULL)
        sink->say(sink->ctx, level, file, str_from_c(what));
    else if (level == TAKEOVER_HAND)
        log_warn(EV("XMail's spool"), KS("file", file), KV("what", what));
}

struct str xmail_path(const char *top, struct str folder, const char *part, struct str name,
                      struct arena *a)
{
    return arena_printf(a, "%s/%.*s/%s/%.*s", top, STR_ARG(folder), part, STR_ARG(name));
}

struct scan {
    const char *top;
    const struct takeover_sink *sink;
    xmail_found_fn *fn;
    void *ctx;
    size_t odd;
};

static bool is_real_folder(const char *path)
{
    struct stat st;
    return io_lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_number(struct str name)
{
    uint64_t n = 0;
    return name.n <= 6 && str_to_u64(name, &n);
}

/* The names in a folder, first: fn may move the files away. */
static enum rc read_names(const char *path, struct arena *a, struct buf *names, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    enum rc rc = folder_open(path, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        struct str copy = arena_str(a, name);
        rc = buf_add(names, &copy, sizeof(copy));
    }
    folder_close(&f);
    return rc;
}

static enum rc scan_kind(struct scan *s, struct str folder, enum xmail_kind kind, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct buf names AUTO_RELEASE_BUF;
    const char *path =
        arena_printf(&mem, "%s/%.*s/%s", s->top, STR_ARG(folder), xmail_kinds[kind]).p;
    buf_init(&names, (size_t)1 << 30);
    if (!is_real_folder(path))
        return RC_OK;
    enum rc rc = read_names(path, &mem, &names, e);
    for (size_t at = 0; at < names.n && rc == RC_OK; at += sizeof(struct str)) {
        struct xmail_found f = { s->top, folder, kind, { NULL, 0 } };
        struct stat st;
        memcpy(&f.name, names.p + at, sizeof(f.name));
        struct str whole = xmail_path(s->top, folder, xmail_kinds[kind], f.name, &mem);
        if (io_lstat(whole.p, &st) < 0)
            continue;
        if (S_ISREG(st.st_mode)) {
            rc = s->fn(s->ctx, &f, e);
            continue;
        }
        s->odd++;
        takeover_say(s->sink, TAKEOVER_HAND, whole, "is no file, and is left alone");
    }
    return rc;
}

static enum rc scan_second(struct scan *s, struct str first, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct buf names AUTO_RELEASE_BUF;
    const char *path = arena_printf(&mem, "%s/%.*s", s->top, STR_ARG(first)).p;
    buf_init(&names, (size_t)1 << 26);
    if (!is_real_folder(path))
        return RC_OK;
    enum rc rc = read_names(path, &mem, &names, e);
    for (size_t at = 0; at < names.n && rc == RC_OK; at += sizeof(struct str)) {
        struct str name;
        memcpy(&name, names.p + at, sizeof(name));
        struct str folder = arena_printf(&mem, "%.*s/%.*s", STR_ARG(first), STR_ARG(name));
        bool wanted =
            is_number(name) && is_real_folder(arena_printf(&mem, "%s/%s", s->top, folder.p).p);
        for (unsigned k = 0; k < ARRAY_LEN(xmail_kinds) && wanted && rc == RC_OK; k++)
            rc = scan_kind(s, folder, (enum xmail_kind)k, e);
    }
    return rc;
}

enum rc xmail_scan(const char *top, const struct takeover_sink *sink, xmail_found_fn *fn,
                   void *ctx, size_t *out_odd, struct err *e)
{
    struct scan s = { top, sink, fn, ctx, 0 };
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct buf names AUTO_RELEASE_BUF;
    buf_init(&names, (size_t)1 << 26);
    if (!folder_exists(top))
        return RC_OK;
    enum rc rc = read_names(top, &mem, &names, e);
    for (size_t at = 0; at < names.n && rc == RC_OK; at += sizeof(struct str)) {
        struct str name;
        memcpy(&name, names.p + at, sizeof(name));
        if (is_number(name))
            rc = scan_second(&s, name, e);
    }
    *out_odd += s.odd;
    return rc;
}

static size_t count_files(const char *path)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    size_t n = 0;
    if (!is_real_folder(path) || folder_open(path, &f, NULL) != RC_OK)
        return 0;
    while (folder_next(f, &name, &type))
        n += type == DT_REG;
    folder_close(&f);
    return n;
}

size_t xmail_count(const char *top, const char *part)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *first = NULL, *second = NULL;
    struct str a, b;
    unsigned char type = 0;
    size_t n = count_files(arena_printf(&mem, "%s/%s", top, part).p);
    if (folder_open(top, &first, NULL) != RC_OK)
        return n;
    while (folder_next(first, &a, &type)) {
        const char *path = arena_printf(&mem, "%s/%.*s", top, STR_ARG(a)).p;
        if (!is_number(a) || !is_real_folder(path) || folder_open(path, &second, NULL) != RC_OK)
            continue;
        while (folder_next(second, &b, &type))
            if (is_number(b))
                n += count_files(arena_printf(&mem, "%s/%.*s/%s", path, STR_ARG(b), part).p);
        folder_close(&second);
    }
    folder_close(&first);
    return n;
}

/* --- moving ------------------------------------------------------------------------------ */

enum rc xmail_sync(const char *folder, struct err *e)
{
    int fd AUTO_CLOSE = io_open(folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || io_syncfs(fd) < 0)
        return err_sys(e, "sync %s", folder);
    return RC_OK;
}

/* For a spool on another file system. The copy is durable before the source goes. */
static enum rc move_by_copy(const char *from, const char *to, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    char chunk[16384];
    ssize_t n = 0;
    enum rc rc = RC_OK;
    bool to_spool = str_starts(str_from_c(to), STR("spool/"));
    const char *part =
        arena_printf(&mem, "%s/move-%d", to_spool ? "spool/temp" : "queue/tmp", (int)getpid())
            .p;
    int in AUTO_CLOSE = io_open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    int out AUTO_CLOSE = io_open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (in < 0 || out < 0)
        return err_sys(e, "copy %s", from);
    while (rc == RC_OK && (n = io_read(in, chunk, sizeof(chunk))) > 0) {
        struct iovec piece = { chunk, (size_t)n };
        rc = io_write_all(out, &piece, 1, e);
    }
    if (rc == RC_OK && (n < 0 || io_fsync(out) < 0 || io_rename(part, to) < 0))
        rc = err_sys(e, "copy %s", from);
    if (rc == RC_OK)
        rc = xmail_sync(to_spool ? "spool" : "queue", e);
    if (rc == RC_OK && io_unlink(from) < 0)
        rc = err_sys(e, "remove %s", from);
    return rc;
}

enum rc xmail_move(struct str from, struct str to, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    if (io_rename(from.p, to.p) == 0 || (errno == ENOENT && !file_exists(from.p)))
        return RC_OK;
    if (errno == ENOENT) {
        enum rc rc = folder_make(arena_c(&mem, str_head(to, str_rfind(to, '/'))), 0700, e);
        if (rc != RC_OK)
            return rc;
        if (io_rename(from.p, to.p) == 0)
            return RC_OK;
    }
    return errno == EXDEV ? move_by_copy(from.p, to.p, e) : err_sys(e, "move %s", from.p);
}

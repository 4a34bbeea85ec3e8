/* file.c - FILE of a filter, as a program left it: anything may stand there, or nothing. */
#include "mail/stuffed.h"
#include "process/process.h"

#define PIECE_BYTES ((size_t)64 * 1024)
#define REJ_MAX ((size_t)2000)
#define LINE_MAX_OCTETS ((size_t)65536)

enum rc filter_file_written(const char *path, int fd, struct file_id *out, struct err *e)
{
    struct stat st;
    if (io_fstat(fd, &st) < 0)
        return err_sys(e, "look at FILE");
    /* A change within the same tick of the file system's clock would not show. */
    st.st_mtim.tv_sec -= 10;
    if (io_set_like(fd, &st) < 0)
        return err_sys(e, "set the time of FILE");
    return file_id_get(path, out, e);
}

bool filter_file_is_changed(const char *path, const struct file_id *as_written)
{
    struct file_id now;
    return file_id_get(path, &now, NULL) != RC_OK || !file_id_eq(&now, as_written);
}

static struct str without_cr(struct str line)
{
    return line.n > 0 && line.p[line.n - 1] == '\r' ? str_head(line, line.n - 1) : line;
}

/* How many octets the lines of head take in text; 0: they aren't there. */
static size_t head_octets(struct str text, struct str head)
{
    struct str rest = text, line, found;
    while (head.n > 0 && str_cut(&head, '\n', &line)) {
        if (rest.n == 0 || !str_cut(&rest, '\n', &found) || rest.p == NULL ||
            !str_eq(without_cr(found), without_cr(line)))
            return 0;
    }
    return text.n - rest.n;
}

/* What was seen of the message so far. */
struct reading {
    struct unstuffing u;
    uint64_t octets;
    size_t line_octets;
    bool long_line;
};

static void measure(struct reading *r, struct str lines)
{
    while (lines.n > 0) {
        size_t lf = str_find(lines, '\n');
        r->line_octets += MIN(lf, lines.n);
        r->long_line = r->long_line || r->line_octets > LINE_MAX_OCTETS;
        if (lf != SIZE_MAX)
            r->line_octets = 0;
        lines = str_skip(lines, lf == SIZE_MAX ? lines.n : lf + 1);
    }
}

static enum rc check(const struct reading *r, bool at_end, struct err *e)
{
    const char *what = NULL;
    if (at_end && r->u.wire_octets == 0)
        what = "no message";
    else if (at_end && (r->u.in_line || r->u.after_cr))
        what = "a last line without an end";
    else if (r->u.nul)
        what = "a NUL";
    else if (r->u.bare_cr)
        what = "a CR without LF";
    else if (r->u.lone_dot)
        what = "a line with a single dot";
    else if (r->long_line)
        what = "a line that is too long";
    return what == NULL ? RC_OK : err_perm(e, "5.6.0", "the filter left FILE with %s", what);
}

static enum rc read_message(int fd, uint64_t at, filter_text_fn *fn, void *ctx, struct err *e)
{
    struct buf lines AUTO_RELEASE_BUF;
    char *piece AUTO_FREE = mem_new(PIECE_BYTES);
    struct reading r = { .u.dotted = true };
    buf_init(&lines, 2 * PIECE_BYTES);
    for (;;) {
        ssize_t n = io_pread(fd, piece, PIECE_BYTES, at);
        if (n < 0)
            return err_sys(e, "read FILE");
        uint64_t before = r.u.wire_octets;
        at += (uint64_t)n;
        buf_reset(&lines);
        buf_must(unstuff_feed(&r.u, str_from(piece, (size_t)n), &lines));
        measure(&r, buf_str(&lines));
        enum rc rc = check(&r, n == 0, e);
        if (rc == RC_OK && lines.n > 0)
            rc = fn(ctx, buf_str(&lines), r.u.wire_octets - before, e);
        if (rc != RC_OK || n == 0)
            return rc;
    }
}

enum rc filter_file_read(const char *path, struct str head, filter_text_fn *fn, void *ctx,
                         struct err *e)
{
    struct stat st;
    int fd AUTO_CLOSE = io_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return err_perm(e, "5.6.0", "the filter left no FILE");
    if (io_fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_perm(e, "5.6.0", "the filter left something else in the place of FILE");
    char *front AUTO_FREE = mem_new(head.n + 1);
    ssize_t n = io_pread(fd, front, head.n, 0);
    if (n < 0)
        return err_sys(e, "read FILE");
    size_t used = head_octets(str_from(front, (size_t)n), head);
    if (used == 0)
        return err_perm(e, "5.6.0", "the filter changed the lines of the envelope");
    return read_message(fd, used, fn, ctx, e);
}

bool filter_rej_read(const char *path, struct arena *a, struct str *out_code,
                     struct str *out_text)
{
    struct stat st;
    int fd AUTO_CLOSE =
        io_open(arena_printf(a, "%s.rej", path).p, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    char *front = arena_new(a, REJ_MAX);
    ssize_t n = fd >= 0 && io_fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
                    ? io_pread(fd, front, REJ_MAX, 0)
                    : -1;
    struct str line, text = str_from(front, n < 0 ? 0 : (size_t)n);
    (void)str_cut(&text, '\n', &line);
    line = str_trim(line);
    if (line.n == 0 || str_has_control(line))
        return false;
    bool coded = line.n > 4 && (line.p[0] == '4' || line.p[0] == '5') &&
                 ascii_is_digit(line.p[1]) && ascii_is_digit(line.p[2]) &&
                 (line.p[3] == ' ' || line.p[3] == '-');
    *out_code = coded ? str_head(line, 3) : STR("");
    *out_text = coded ? str_trim(str_skip(line, 4)) : line;
    return true;
}

void filter_reply(const char *path, struct arena *a, struct str *out_code, struct str *out_text)
{
    struct str code = STR(""), text = STR("Refused by this server's rules");
    (void)filter_rej_read(path, a, &code, &text);
    *out_code = code.n > 0 ? code : STR("550 5.7.1");
    *out_text = text;
}

enum rc filter_rej_write(struct str file, struct str reply, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const char *path = arena_printf(&a, "%.*s.rej", STR_ARG(file)).p;
    struct str line = arena_printf(&a, "%.*s\r\n", STR_ARG(reply));
    (void)io_unlink(path);
    int fd AUTO_CLOSE = io_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, "make %s", path);
    return io_pwrite(fd, line.p, line.n, 0) == (ssize_t)line.n ? RC_OK
                                                               : err_sys(e, "write %s", path);
}

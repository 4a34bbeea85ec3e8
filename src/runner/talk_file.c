/*
 * talk_file.c - FILE for a conversation: envelope, header and body as the other side has them,
 * and back.
 */
#include "runner/talk_int.h"

#define HEAD_MAX ((size_t)4 << 20)
#define BODY_MOST ((uint64_t)256 << 20) /* that a milter may put in the place of another */

struct talk talk_begin(const struct talk_job *job)
{
    struct talk t = { .job = job,
                      .mem = job->mem,
                      .file = -1,
                      .new_body = -1,
                      .helo = STR(""),
                      .host = STR(""),
                      .id = STR(""),
                      .sender = STR("<>") };
    buf_init(&t.packet, MILTER_PACKET_MAX);
    return t;
}

void talk_end(struct talk *t)
{
    client_close(&t->client);
    buf_release(&t->packet);
    io_close_at(&t->file);
    io_close_at(&t->new_body);
}

struct str talk_bare(struct str path)
{
    return path.n < 2 ? path : str_head(str_skip(path, 1), path.n - 2);
}

void talk_add_crlf(struct buf *out, struct str lines)
{
    struct str line;
    while (lines.n > 0) {
        size_t lf = str_find(lines, '\n');
        line = str_head(lines, MIN(lf, lines.n));
        buf_must(buf_add_str(out, line));
        if (lf != SIZE_MAX)
            buf_must(buf_add_str(out, STR("\r\n")));
        lines = str_skip(lines, line.n + (lf != SIZE_MAX));
    }
}

struct str talk_macro(const struct talk *t, const char *name)
{
    for (size_t i = 0; i < t->job->macro_count; i++)
        if (strcmp(t->job->macros[i].name, name) == 0)
            return t->job->macros[i].value;
    return STR("");
}

/* --- FILE -------------------------------------------------------------------------------- */

/* "[1.2.3.4]:25" */
static void take_place(struct talk *t, struct str text)
{
    size_t end = str_rfind(text, ']');
    uint64_t port = 0;
    if (end == SIZE_MAX || !ip_parse(str_head(str_skip(text, 1), end - 1), &t->client_ip))
        return;
    if (str_to_u64(str_skip(text, end + 2), &port) && port < 65536)
        t->client_port = (uint16_t)port;
}

static struct str path_of(struct str line)
{
    size_t from = str_find(line, '<'), to = str_rfind(line, '>');
    size_t ra = str_find_str(line, STR("> {ra="));
    to = ra == SIZE_MAX ? to : ra;
    return from == SIZE_MAX || to == SIZE_MAX || to < from
               ? STR("<>")
               : str_head(str_skip(line, from), to - from + 1);
}

/* The lines before the message. */
static void take_head(struct talk *t, struct str text)
{
    struct str rest = text, line, word;
    size_t n = 0, rows = 2;
    for (size_t i = 0; i < text.n; i++)
        rows += text.p[i] == '\n';
    t->rcpts = arena_new_array(t->mem, struct str, rows);
    for (; rest.n > 0 && str_cut(&rest, '\n', &line); n++) {
        line = str_trim(line);
        if (str_eq(line, STR(XMAIL_DATA_TAG))) {
            t->message = (uint64_t)(rest.p - text.p);
            break;
        }
        if (n == 0 && str_cut(&line, ';', &word)) {
            /* In the session the client's name comes first. */
            t->helo = str_starts(word, STR("[")) ? STR("") : word;
            if (t->helo.n > 0)
                (void)str_cut(&line, ';', &word);
            take_place(t, word);
        } else if (n == 1) {
            t->host = line;
        } else if (n == 2) {
            t->id = line;
        } else if (n == 3) {
            t->sender = path_of(line);
        } else {
            t->rcpts[t->rcpt_count++] = path_of(line);
        }
    }
    struct str current = talk_macro(t, "CRCPT");
    if (current.n > 0)
        t->rcpts[t->rcpt_count++] = arena_printf(t->mem, "<%.*s>", STR_ARG(current));
}

/* Lines of the header as they are meant, up to the blank one; *out_raw: their octets. */
static enum rc unstuff_header(struct str raw, struct buf *out, size_t *out_raw)
{
    struct str rest = raw, line;
    enum rc rc = RC_OK;
    *out_raw = raw.n;
    while (rc == RC_OK && rest.n > 0) {
        size_t at = (size_t)(rest.p - raw.p);
        if (!str_cut(&rest, '\n', &line) || rest.p == NULL)
            break;
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n == 0) {
            *out_raw = at;
            break;
        }
        rc = buf_add_str(out, str_skip(line, line.p[0] == '.'));
        if (rc == RC_OK)
            rc = buf_add_char(out, '\n');
    }
    return rc;
}

static enum rc read_front(struct talk *t, size_t most, struct str *out, struct err *e)
{
    struct stat st;
    if (io_fstat(t->file, &st) < 0)
        return err_sys(e, "look at FILE");
    size_t n = (size_t)MIN((uint64_t)st.st_size, (uint64_t)most);
    char *p = arena_new(t->mem, n + 1);
    ssize_t got = io_pread(t->file, p, n, 0);
    if (got < 0)
        return err_sys(e, "read FILE");
    *out = str_from(p, (size_t)got);
    return RC_OK;
}

enum rc talk_read_file(struct talk *t, struct err *e)
{
    struct str text = STR("");
    struct buf lines AUTO_RELEASE_BUF;
    size_t raw = 0;
    buf_init(&lines, HEAD_MAX);
    t->path = talk_macro(t, "FILE");
    t->file = io_open(arena_c(t->mem, t->path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (t->file < 0)
        return err_sys(e, "open FILE");
    /* Most messages begin and end in a small piece; a header never has more than the rest. */
    enum rc rc = read_front(t, MILTER_PIECE_BYTES, &text, e);
    if (rc == RC_OK && text.n == MILTER_PIECE_BYTES)
        rc = read_front(t, HEAD_MAX, &text, e);
    if (rc != RC_OK)
        return rc;
    take_head(t, text);
    t->head = str_head(text, t->message);
    if (t->message == 0)
        return RC_OK;
    bool cut = text.n == HEAD_MAX;
    text = str_skip(text, t->message);
    if (unstuff_header(text, &lines, &raw) != RC_OK || (cut && raw == text.n))
        return err_temp(e, "4.3.0", "the header is too long for a milter");
    size_t used = milter_header_parse(buf_str(&lines), t->id, t->mem, &t->header);
    /* A line that is no field: all that it begins is body. Only then lengths may differ. */
    if (used < lines.n) {
        struct str rest = text, line;
        for (size_t left = used; left > 0 && str_cut(&rest, '\n', &line);) {
            if (line.n > 0 && line.p[line.n - 1] == '\r')
                line.n--;
            left -= MIN(left, line.n - (line.n > 0 && line.p[0] == '.') + 1);
        }
        raw = (size_t)(rest.p - text.p);
    }
    t->body = t->message + raw;
    return RC_OK;
}

/* --- back -------------------------------------------------------------------------------- */

static enum rc write_text(int fd, struct str octets, struct err *e)
{
    struct iovec part = { .iov_len = octets.n };
    memcpy(&part.iov_base, &octets.p, sizeof(octets.p));
    return io_write_all(fd, &part, 1, e);
}

/* A file beside FILE. */
static enum rc make_beside(struct talk *t, const char *end, int *out_fd, struct err *e)
{
    const char *path = arena_printf(t->mem, "%.*s%s", STR_ARG(t->path), end).p;
    (void)io_unlink(path);
    *out_fd = io_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    return *out_fd < 0 ? err_sys(e, "make %s", path) : RC_OK;
}

/* A piece of another body: CRLF, as it came. */
enum rc talk_take_body(struct talk *t, struct str piece, bool at_end, struct err *e)
{
    struct buf lines AUTO_RELEASE_BUF, out AUTO_RELEASE_BUF;
    enum rc rc = RC_OK;
    buf_init(&lines, 2 * MILTER_PACKET_MAX);
    buf_init(&out, 4 * MILTER_PACKET_MAX);
    if (t->new_body < 0) {
        rc = make_beside(t, ".body", &t->new_body, e);
        if (rc == RC_OK)
            (void)io_unlink(arena_printf(t->mem, "%.*s.body", STR_ARG(t->path)).p);
    }
    t->new_octets += piece.n;
    if (rc == RC_OK && t->new_octets > BODY_MOST)
        rc = err_perm(e, "5.5.0", "the milter's body is too long");
    buf_must(at_end ? unstuff_end(&t->from_milter, &lines)
                    : unstuff_feed(&t->from_milter, piece, &lines));
    buf_must(stuff_feed(&t->to_file, buf_str(&lines), &out));
    return rc == RC_OK ? write_text(t->new_body, buf_str(&out), e) : rc;
}

/* From `at` of one file to the end of the other. */
static enum rc copy(int from, uint64_t at, int to, struct err *e)
{
    char *piece AUTO_FREE = mem_new(MILTER_PIECE_BYTES);
    enum rc rc = RC_OK;
    ssize_t n = 0;
    while (rc == RC_OK && (n = io_pread(from, piece, MILTER_PIECE_BYTES, at)) > 0) {
        rc = write_text(to, str_from(piece, (size_t)n), e);
        at += (uint64_t)n;
    }
    return n < 0 ? err_sys(e, "read a message") : rc;
}

/* FILE as the milter wants it. */
enum rc talk_write_file(struct talk *t, struct err *e)
{
    struct buf lines AUTO_RELEASE_BUF, out AUTO_RELEASE_BUF;
    struct stuffing s = { .in_line = false };
    int fd AUTO_CLOSE = -1;
    buf_init(&lines, 2 * HEAD_MAX);
    buf_init(&out, 4 * HEAD_MAX);
    if (buf_add_str(&out, t->head) != RC_OK || milter_header_print(&t->header, &lines) != RC_OK)
        return err_temp(e, "4.3.0", "the milter makes too long a header");
    buf_must(stuff_feed(&s, buf_str(&lines), &out));
    if (t->new_body >= 0)
        buf_must(buf_add_str(&out, STR("\r\n")));
    enum rc rc = make_beside(t, ".new", &fd, e);
    if (rc == RC_OK)
        rc = write_text(fd, buf_str(&out), e);
    if (rc == RC_OK)
        rc = t->new_body >= 0 ? copy(t->new_body, 0, fd, e) : copy(t->file, t->body, fd, e);
    const char *path = arena_printf(t->mem, "%.*s.new", STR_ARG(t->path)).p;
    if (rc == RC_OK && io_rename(path, arena_c(t->mem, t->path)) < 0)
        rc = err_sys(e, "rename %s", path);
    if (rc != RC_OK)
        (void)io_unlink(path);
    return rc;
}

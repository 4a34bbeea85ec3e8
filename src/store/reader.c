/*
 * reader.c - a message file as POP3 sends it (RFC 1939 3: CRLF, dot-stuffed, ended by a line
 * with a single dot), in pieces, so that no thread waits for a slow client. Files come from
 * anywhere: LF and CRLF may be mixed, NULs and endless lines occur.
 *
 * INVARIANT: what is sent holds CRLF "." CRLF only at its end, and no LF without CR before it.
 * INVARIANT: mailbox_message.wire_octets of a file that was measured is what is sent less the
 * stuffing and the last line.
 */
#include "store/mailbox_int.h"
#include "sys/io.h"

#define PIECE_BYTES ((size_t)16384)

struct mailbox_reader {
    int fd;
    uint64_t size, offset;
    struct transfer transfer;
};

void transfer_init(struct transfer *t, bool stuffed, size_t body_lines)
{
    *t = (struct transfer){ .stuffed = stuffed, .body_lines = body_lines };
}

/* One line, or a part of it when !ended. starts: it begins in this piece. */
static enum rc put_line(struct transfer *t, struct str text, bool starts, bool ended,
                        struct buf *out)
{
    bool dotted = starts && text.n > 0 && text.p[0] == '.';
    bool lone = dotted && text.n == 1 && ended;
    enum rc rc = buf_reserve(out, text.n + 3);
    if (rc != RC_OK)
        return rc;
    char *p = out->p + out->n;
    if (dotted && (!t->stuffed || lone))
        *p++ = '.';
    if (text.n > 0)
        memcpy(p, text.p, text.n);
    p += text.n;
    if (ended) {
        *p++ = '\r';
        *p++ = '\n';
    }
    *p = '\0';
    out->n = (size_t)(p - out->p);
    t->wire_octets += text.n + (ended ? 2 : 0) - (dotted && t->stuffed && !lone ? 1 : 0);
    return RC_OK;
}

/* Notes that a line has ended: the blank line ends the header, body lines are counted. */
static void count_line(struct transfer *t, bool blank)
{
    if (!t->in_body)
        t->in_body = blank;
    else if (t->body_lines != SIZE_MAX && t->body_lines > 0)
        t->body_lines--;
}

/*
 * The next line (or part) at the head of rest, as the octets to send and to use; false: more
 * input is needed to tell. A CR at the end may belong to CRLF; in XMail's form ".", ".\r" may
 * be a whole line.
 */
static bool next_line(const struct transfer *t, struct str rest, bool eof, struct str *out_text,
                      size_t *out_used, bool *out_ended)
{
    const char *lf = memchr(rest.p, '\n', rest.n);
    struct str text = lf != NULL ? str_head(rest, (size_t)(lf - rest.p)) : rest;
    bool ended = lf != NULL || eof;
    bool cr = text.n > 0 && text.p[text.n - 1] == '\r';
    if (!ended && t->stuffed && !t->in_line && rest.p[0] == '.' && rest.n < 3)
        return false;
    if (cr)
        text.n--;
    if (!ended && text.n == 0)
        return false;
    *out_text = text;
    *out_used = text.n + (ended && cr ? 1 : 0) + (lf != NULL ? 1 : 0);
    *out_ended = ended;
    return true;
}

static enum rc finish(struct transfer *t, struct buf *out)
{
    enum rc rc = t->in_line ? put_line(t, STR(""), false, true, out) : RC_OK;
    if (rc == RC_OK)
        rc = buf_add_str(out, STR(".\r\n"));
    t->in_line = false;
    t->done = true;
    return rc;
}

enum rc transfer_feed(struct transfer *t, struct str in, bool eof, struct buf *out,
                      size_t *out_used)
{
    size_t used = 0;
    while (used < in.n && !t->done) {
        struct str text;
        size_t n = 0;
        bool ended = false, starts = !t->in_line;
        if (starts && t->in_body && t->body_lines == 0)
            break;
        if (!next_line(t, str_skip(in, used), eof, &text, &n, &ended))
            break;
        enum rc rc = put_line(t, text, starts, ended, out);
        if (rc != RC_OK)
            return rc;
        used += n;
        t->in_line = !ended;
        if (ended)
            count_line(t, starts && text.n == 0);
    }
    *out_used = used;
    bool enough = !t->in_line && t->in_body && t->body_lines == 0;
    if (!t->done && (enough || (eof && used == in.n)))
        return finish(t, out);
    return RC_OK;
}

/* Opens a message file: no symbolic link, a regular file; O_NONBLOCK so that a FIFO left there
 * can't hold us. */
static enum rc open_message(const char *path, int *out_fd, uint64_t *out_size, struct err *e)
{
    int fd AUTO_CLOSE = io_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    struct stat st;
    if (fd < 0 && errno == ENOENT) {
        (void)err_perm(e, "5.2.0", "the message is gone");
        if (e != NULL)
            e->sys = ENOENT;
        return RC_PERM;
    }
    if (fd < 0)
        return err_sys(e, "open %s", path);
    if (io_fstat(fd, &st) < 0)
        return err_sys(e, "stat %s", path);
    if (!S_ISREG(st.st_mode))
        return err_perm(e, "5.2.0", "%s is not a file", path);
    *out_fd = fd;
    *out_size = (uint64_t)st.st_size;
    fd = -1;
    return RC_OK;
}

/* One piece of the file through the transfer. */
static enum rc step(struct mailbox_reader *r, size_t most, struct buf *out, struct err *e)
{
    char piece[PIECE_BYTES];
    ssize_t n = 0;
    if (r->offset < r->size)
        n = io_pread(r->fd, piece, MIN(most, sizeof(piece)), r->offset);
    if (n < 0)
        return err_sys(e, "read a message");
    if (n == 0 && r->offset < r->size)
        return err_temp(e, "4.2.0", "the message changed while it was sent");
    n = (ssize_t)MIN((uint64_t)n, r->size - r->offset);
    size_t used = 0;
    bool eof = r->offset + (uint64_t)n >= r->size;
    enum rc rc = transfer_feed(&r->transfer, str_from(piece, (size_t)n), eof, out, &used);
    if (rc != RC_OK)
        return err_temp(e, "4.3.0", "no room to send a message");
    r->offset += used;
    return RC_OK;
}

enum rc transfer_measure(const char *path, bool stuffed, uint64_t *out, struct err *e)
{
    struct mailbox_reader r = { .fd = -1 };
    struct buf sink AUTO_RELEASE_BUF;
    buf_init(&sink, BUF_MAX_DEFAULT);
    enum rc rc = open_message(path, &r.fd, &r.size, e);
    transfer_init(&r.transfer, stuffed, SIZE_MAX);
    while (rc == RC_OK && !r.transfer.done) {
        buf_reset(&sink);
        rc = step(&r, PIECE_BYTES, &sink, e);
    }
    io_close_at(&r.fd);
    if (rc == RC_OK)
        *out = r.transfer.wire_octets;
    return rc;
}

enum rc mailbox_reader_open(struct mailbox *m, size_t i, size_t body_lines,
                            struct mailbox_reader **out, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    const struct mailbox_entry *entry = mailbox_entry(m, i);
    int fd = -1;
    uint64_t size = 0;
    struct err why = { .rc = RC_OK };
    enum rc rc = open_message(mailbox_path(m, entry, &mem), &fd, &size, &why);
    if (rc != RC_OK && why.sys == ENOENT) {
        mailbox_follow(m);
        rc = open_message(mailbox_path(m, entry, &mem), &fd, &size, &why);
    }
    if (rc != RC_OK) {
        if (e != NULL)
            *e = why;
        return rc;
    }
    struct mailbox_reader *r = mem_new(sizeof(*r));
    r->fd = fd;
    r->size = size;
    transfer_init(&r->transfer, entry->stuffed, body_lines);
    *out = r;
    return RC_OK;
}

enum rc mailbox_reader_next(struct mailbox_reader *r, size_t chunk, struct buf *out,
                            bool *out_done, struct err *e)
{
    size_t before = out->n;
    while (!r->transfer.done && out->n - before < chunk) {
        size_t want = MAX(chunk - (out->n - before), (size_t)1024);
        enum rc rc = step(r, want, out, e);
        if (rc != RC_OK)
            return rc;
    }
    *out_done = r->transfer.done;
    return RC_OK;
}

void mailbox_reader_close(struct mailbox_reader **r)
{
    if (*r != NULL)
        io_close((*r)->fd);
    mem_free(r);
}

/*
 * mbox.c - a file of messages, each begun by a line "From sender date" after a blank one. Lines
 * ">From " lose a mark (mboxo, mboxrd); where Content-Length leads exactly to the next message
 * or the end of the file, the body is taken as it is (mboxcl2). Fields that mbox programs use
 * for themselves become flags and go.
 */
#include "import/import_int.h"
#include <openssl/evp.h>

#define READ_BYTES ((size_t)256 * 1024)

/* The file, by lines; longer ones come in pieces. */
struct reader {
    int fd;
    const char *path;
    uint64_t at; /* in the file, of what is behind buf */
    struct buf buf;
    size_t used;
    bool at_start; /* the next piece begins a line */
    bool ended;
};

struct mbox {
    struct import_target t;
    struct reader in;
    struct arena mem; /* of one message */
    EVP_MD_CTX *sum;
    struct map sums; /* how often each checksum came: a number, from 1 */
    struct arena sum_mem;
    uint64_t body_left; /* mboxcl2: octets to be taken as they are */
};

/* --- lines ------------------------------------------------------------------------------- */

/* A line with its end, or a piece of a very long one; empty at the end of the file. Valid until
 * the next call. */
static enum rc next_line(struct reader *in, struct str *out, bool *out_begins, struct err *e)
{
    for (;;) {
        struct str left = str_skip(buf_str(&in->buf), in->used);
        size_t lf = str_find(left, '\n');
        bool whole = lf != SIZE_MAX || in->ended || left.n >= READ_BYTES;
        if (whole) {
            *out = lf == SIZE_MAX ? left : str_head(left, lf + 1);
            *out_begins = in->at_start;
            in->at_start = lf != SIZE_MAX;
            in->used += out->n;
            return RC_OK;
        }
        buf_consume(&in->buf, in->used);
        in->used = 0;
        if (buf_reserve(&in->buf, READ_BYTES) != RC_OK)
            return err_temp(e, "4.3.1", "out of memory");
        ssize_t n = io_pread(in->fd, in->buf.p + in->buf.n, READ_BYTES, in->at);
        if (n < 0)
            return err_sys(e, "read %s", in->path);
        in->at += (uint64_t)n;
        in->buf.n += (size_t)n;
        in->buf.p[in->buf.n] = '\0';
        in->ended = n == 0;
    }
}

static uint64_t position(const struct reader *in)
{
    return in->at - (in->buf.n - in->used);
}

/* Does a message begin, or the file end, at this octet, maybe behind a line end? */
static bool is_border(const struct reader *in, uint64_t at)
{
    char text[512];
    struct str sender;
    usec_t time = 0;
    ssize_t n = io_pread(in->fd, text, sizeof(text), at);
    struct str rest = str_from(text, n < 0 ? 0 : (size_t)n);
    if (str_trim(rest).n == 0)
        return n >= 0 && rest.n <= 4;
    for (unsigned i = 0; i < 4 && rest.n > 0 && ascii_is_space(rest.p[0]); i++)
        rest = str_skip(rest, 1);
    return mbox_from_line(str_head(rest, str_find(rest, '\n')), &sender, &time);
}

/* --- one message ------------------------------------------------------------------------- */

struct header {
    struct buf text; /* without the fields of mbox */
    struct str status, x_status;
    uint64_t length;
    bool has_length, has_return_path, is_internal;
};

static enum rc put(struct mbox *m, struct str octets, struct err *e)
{
    if (EVP_DigestUpdate(m->sum, octets.p, octets.n) != 1)
        return err_temp(e, "4.3.0", "no checksum");
    return import_write(&m->t, octets, e);
}

/* True: the field is mbox's own, and goes. */
static bool take_field(struct mbox *m, struct header *h, struct str line)
{
    size_t colon = str_find(line, ':');
    struct str name = str_trim(str_head(line, colon)),
               value = str_trim(str_skip(line, colon == SIZE_MAX ? line.n : colon + 1));
    if (str_ieq(name, STR("Return-Path")))
        h->has_return_path = true;
    if (str_ieq(name, STR("Content-Length"))) {
        h->has_length = str_to_u64(value, &h->length);
        return true;
    }
    if (str_ieq(name, STR("Status")))
        h->status = arena_str(&m->mem, value);
    else if (str_ieq(name, STR("X-Status")))
        h->x_status = arena_str(&m->mem, value);
    else if (str_ieq(name, STR("X-IMAP")) || str_ieq(name, STR("X-IMAPbase")))
        h->is_internal = h->is_internal || str_ieq(name, STR("X-IMAP"));
    else
        return str_ieq(name, STR("X-UID")) || str_ieq(name, STR("X-Keywords"));
    return true;
}

/* Up to and with the blank line. */
static enum rc read_header(struct mbox *m, struct header *h, struct err *e)
{
    struct str line = STR("");
    bool begins = false, dropping = false;
    for (;;) {
        enum rc rc = next_line(&m->in, &line, &begins, e);
        if (rc != RC_OK || line.n == 0)
            return rc;
        bool folded = line.p[0] == ' ' || line.p[0] == '\t';
        if (begins && !folded)
            dropping = take_field(m, h, line);
        if (!dropping && buf_add_str(&h->text, line) != RC_OK)
            return err_perm(e, "5.6.0", "a header of more than 2 MB in %s", m->in.path);
        if (begins && str_trim(line).n == 0)
            return RC_OK;
    }
}

/* *out_next: the "From " line behind it, in out_line (the message's memory); else the end. */
static enum rc copy_body(struct mbox *m, struct str *out_line, bool *out_next, struct err *e)
{
    struct str line = STR(""), sender = STR("");
    usec_t time = 0;
    bool begins = false, blank = false;
    struct str held = STR(""); /* a blank line that may be the border's */
    *out_next = false;
    for (;;) {
        enum rc rc = next_line(&m->in, &line, &begins, e);
        if (rc != RC_OK || line.n == 0)
            return rc;
        bool verbatim = m->body_left > 0;
        if (verbatim) {
            m->body_left -= MIN(m->body_left, (uint64_t)line.n);
        } else if (begins && blank && mbox_from_line(line, &sender, &time)) {
            *out_line = arena_str(&m->mem, line);
            *out_next = true;
            return RC_OK;
        }
        rc = put(m, held, e);
        held = STR("");
        blank = begins && str_trim(line).n == 0;
        if (blank && !verbatim)
            held = arena_str(&m->mem, line);
        else if (rc == RC_OK)
            rc = put(m, verbatim || !begins ? line : mbox_unquote(line), e);
        if (rc != RC_OK)
            return rc;
    }
}

/* The name: its time, its checksum, and which of those with this checksum it is. */
static enum rc name_of(struct mbox *m, usec_t arrived, struct str *out, struct err *e)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    if (EVP_DigestFinal_ex(m->sum, sum, NULL) != 1)
        return err_temp(e, "4.3.0", "no checksum");
    struct str hex =
        arena_printf(&m->sum_mem, "%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x", sum[0], sum[1],
                     sum[2], sum[3], sum[4], sum[5], sum[6], sum[7], sum[8], sum[9]);
    uint64_t *count = map_get(&m->sums, hex);
    if (count == NULL) {
        count = arena_new(&m->sum_mem, sizeof(*count));
        (void)map_put(&m->sums, hex, count);
    }
    *out = arena_printf(&m->mem, "%" PRId64 ".I%.*s-%" PRIu64 ".hikyaku", arrived / USEC_S,
                        STR_ARG(hex), ++*count);
    return RC_OK;
}

static enum rc take_message(struct mbox *m, struct str from_line, struct str *out_line,
                            bool *out_next, struct err *e)
{
    struct header h = { .length = 0 };
    struct str sender = STR(""), base = STR("");
    usec_t arrived = 0;
    char flags[8];
    uint64_t begun = position(&m->in);
    (void)mbox_from_line(from_line, &sender, &arrived);
    buf_init(&h.text, (size_t)2 << 20);
    h.status = h.x_status = STR("");
    enum rc rc = EVP_DigestInit_ex(m->sum, EVP_sha256(), NULL) == 1
                     ? read_header(m, &h, e)
                     : err_temp(e, "4.3.0", "no checksum");
    if (rc == RC_OK)
        rc = import_begin(&m->t, e);
    if (rc == RC_OK && !h.has_return_path && str_find(sender, '@') != SIZE_MAX)
        rc = put(m, arena_printf(&m->mem, "Return-Path: <%.*s>\n", STR_ARG(sender)), e);
    if (rc == RC_OK)
        rc = put(m, buf_str(&h.text), e);
    buf_release(&h.text);
    bool exact = h.has_length && is_border(&m->in, position(&m->in) + h.length);
    m->body_left = exact ? h.length : 0;
    if (rc == RC_OK)
        rc = copy_body(m, out_line, out_next, e);
    if (rc == RC_OK)
        rc = name_of(m, arrived, &base, e);
    if (rc != RC_OK)
        return rc;
    if (h.is_internal) { /* what an IMAP server wrote there for itself */
        if (m->t.bulk != NULL)
            store_bulk_drop(m->t.bulk);
        return RC_OK;
    }
    m->t.im->report.messages++;
    m->t.im->report.octets += position(&m->in) - begun;
    bool old = mbox_flags(h.status, h.x_status, flags);
    return import_end(&m->t, base, old ? str_from_c(flags) : str_from(NULL, 0), arrived, e);
}

static enum rc take_all(struct mbox *m, struct err *e)
{
    struct arena line_mem AUTO_RELEASE_ARENA = { 0 };
    struct str line = STR(""), sender = STR("");
    usec_t time = 0;
    bool begins = false, next = false;
    enum rc rc = next_line(&m->in, &line, &begins, e);
    while (rc == RC_OK && line.n > 0 && str_trim(line).n == 0)
        rc = next_line(&m->in, &line, &begins, e);
    if (rc != RC_OK || line.n == 0)
        return rc;
    if (!mbox_from_line(line, &sender, &time))
        return err_perm(e, "5.3.0", "%s is no mbox: it doesn't begin with \"From \"",
                        m->in.path);
    line = arena_str(&line_mem, line);
    do {
        struct str following = STR("");
        rc = take_message(m, line, &following, &next, e);
        arena_reset(&line_mem);
        line = arena_str(&line_mem, following);
        arena_reset(&m->mem);
    } while (rc == RC_OK && next);
    return rc;
}

enum rc import_mbox(struct import *im, const char *path, const struct account *account,
                    struct str folder, struct err *e)
{
    struct err later;
    struct stat st;
    struct mbox m = { .t = { .im = im, .account = account, .folder = folder },
                      .in = { .fd = io_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0),
                              .path = path,
                              .at_start = true },
                      .sum = EVP_MD_CTX_new() };
    enum rc rc = RC_OK;
    buf_init(&m.in.buf, 4 * READ_BYTES);
    if (m.in.fd < 0 || io_fstat(m.in.fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_sys(e, "open %s", path);
    else if (m.sum == NULL)
        rc = err_temp(e, "4.3.1", "out of memory");
    else
        rc = take_all(&m, e);
    if (rc == RC_OK)
        rc = import_finish(&m.t, e);
    else
        (void)!import_finish(&m.t, &later);
    io_close_at(&m.in.fd);
    EVP_MD_CTX_free(m.sum);
    buf_release(&m.in.buf);
    map_release(&m.sums);
    arena_release(&m.sum_mem);
    arena_release(&m.mem);
    return rc;
}

/*
 * filter_file.c - FILE of the session's filters (specification 3, section 3). Called by
 * filters.c and, for the message, by transaction.c and receive.c.
 *
 * A message lies in a file without a name, the original, until all filters have seen it; each
 * gets FILE, a copy. What a filter changed becomes the original when it has been read and found
 * whole; so the message that goes on is never one that a program can still write to.
 */
#include "process/process.h"
#include "smtpd/smtpd_int.h"

#define FOLDER "hikyaku/filter"
#define PREFIX "smtp-" /* of our files there */
#define PIECE_BYTES ((size_t)64 * 1024)

/* --- the head ---------------------------------------------------------------------------- */

struct filter_scene filter_scene_of(const struct smtp *c, struct str id, struct arena *a)
{
    char client[IP_PORT_TEXT_BYTES], server[IP_PORT_TEXT_BYTES];
    (void)ip_port_print(&c->s.client_ip, c->s.client_port, client);
    (void)ip_port_print(&c->s.local_ip, c->s.local_port, server);
    return (struct filter_scene){
        .helo = c->helo == NULL ? STR("") : str_from_c(c->helo),
        .client = arena_str(a, str_from_c(client)),
        .server = arena_str(a, str_from_c(server)),
        .domain = smtp_domain(),
        .id = id,
        .login = c->login == NULL ? STR("") : c->login->name,
        .sender = address_print(&c->tx->sender, a),
        .time = clock_wall(),
    };
}

struct filter_rcpt filter_rcpt_of(const struct rcpt *r, struct arena *a)
{
    const struct address here = { .local = r->account.name, .domain = r->account.domain };
    return (struct filter_rcpt){ address_print(&r->given, a),
                                 address_print(r->is_remote ? &r->remote : &here, a) };
}

static enum rc make(const char *path, int *out_fd, struct err *e)
{
    *out_fd = io_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    return *out_fd < 0 ? err_sys(e, "make %s", path) : RC_OK;
}

static enum rc make_original(struct filter_file *f, struct arena *a, struct err *e)
{
    const char *path = arena_printf(a, "%s.original", f->path).p;
    enum rc rc = make(path, &f->original, e);
    if (rc == RC_OK)
        (void)io_unlink(path);
    f->dots = (struct stuffing){ .in_line = false };
    return rc;
}

static enum rc write_all(int fd, struct str octets, struct err *e)
{
    struct iovec part = { .iov_len = octets.n };
    memcpy(&part.iov_base, &octets.p, sizeof(octets.p));
    return io_write_all(fd, &part, 1, e);
}

enum rc filter_file_begin(const struct smtp *c, const struct filter_scene *scene, size_t rcpts,
                          bool with_message, struct arena *a, struct filter_file *out,
                          struct err *e)
{
    struct buf head AUTO_RELEASE_BUF;
    struct filter_rcpt *list = arena_new_array(a, struct filter_rcpt, rcpts + 1);
    enum rc rc = RC_OK;
    buf_init(&head, (size_t)16 << 20);
    *out = (struct filter_file){ .original = -1 };
    out->path =
        arena_printf(a, FOLDER "/" PREFIX "%d-%.*s", (int)getpid(), STR_ARG(scene->id)).p;
    if (with_message)
        rc = make_original(out, a, e);
    for (size_t i = 0; i < rcpts; i++)
        list[i] = filter_rcpt_of(&c->tx->rcpts[i], a);
    scene_head_session(scene, list, rcpts, with_message, &head);
    out->head = arena_str(a, buf_str(&head));
    return rc == RC_OK && with_message ? write_all(out->original, out->head, e) : rc;
}

enum rc filter_file_add(struct filter_file *f, struct str lines, struct err *e)
{
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, BUF_MAX_DEFAULT);
    if (buf_reserve(&out, lines.n + lines.n / 16 + 64) != RC_OK ||
        stuff_feed(&f->dots, lines, &out) != RC_OK)
        return err_temp(e, "4.3.1", "out of memory for a message");
    return write_all(f->original, buf_str(&out), e);
}

/* --- FILE -------------------------------------------------------------------------------- */

/* Copies the original. */
static enum rc copy(const struct filter_file *f, int to, struct err *e)
{
    char *piece AUTO_FREE = mem_new(PIECE_BYTES);
    ssize_t n = 0;
    enum rc rc = RC_OK;
    for (uint64_t at = 0; rc == RC_OK; at += (uint64_t)n) {
        n = io_pread(f->original, piece, PIECE_BYTES, at);
        if (n <= 0)
            break;
        rc = write_all(to, str_from(piece, (size_t)n), e);
    }
    return n < 0 ? err_sys(e, "read a message") : rc;
}

enum rc filter_file_show(struct filter_file *f, struct err *e)
{
    int fd AUTO_CLOSE = -1;
    (void)io_unlink(f->path);
    enum rc rc = make(f->path, &fd, e);
    if (rc == RC_OK)
        rc = f->original < 0 ? write_all(fd, f->head, e) : copy(f, fd, e);
    return rc == RC_OK ? filter_file_written(f->path, fd, &f->shown, e) : rc;
}

bool filter_file_changed(const struct filter_file *f)
{
    return filter_file_is_changed(f->path, &f->shown);
}

static enum rc add_text(void *ctx, struct str lines, uint64_t wire_octets, struct err *e)
{
    (void)wire_octets;
    return filter_file_add(ctx, lines, e);
}

enum rc filter_file_take(struct filter_file *f, struct arena *a, struct err *e)
{
    struct filter_file next = *f;
    enum rc rc = make_original(&next, a, e);
    if (rc == RC_OK)
        rc = write_all(next.original, f->head, e);
    if (rc == RC_OK)
        rc = filter_file_read(f->path, f->head, add_text, &next, e);
    if (rc != RC_OK) {
        io_close_at(&next.original);
        return rc;
    }
    io_close_at(&f->original);
    *f = next;
    return RC_OK;
}

ssize_t filter_file_message(const struct filter_file *f, char *p, size_t n, uint64_t at)
{
    return io_pread(f->original, p, n, f->head.n + at);
}

void filter_file_end(struct filter_file *f, struct arena *a)
{
    io_close_at(&f->original);
    if (f->path == NULL)
        return;
    (void)io_unlink(f->path);
    (void)io_unlink(arena_printf(a, "%s.rej", f->path).p);
    f->path = NULL;
}

/* There is one smtpd role: what lies there is of one that died. */
enum rc filter_files_init(struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *folder = NULL;
    struct str name;
    unsigned char type = 0;
    enum rc rc = folder_make(FOLDER, 0700, e);
    if (rc == RC_OK)
        rc = folder_open(FOLDER, &folder, e);
    while (rc == RC_OK && folder_next(folder, &name, &type))
        if (str_starts(name, STR(PREFIX)))
            (void)io_unlink(arena_printf(&mem, FOLDER "/%.*s", STR_ARG(name)).p);
    folder_close(&folder);
    return rc;
}

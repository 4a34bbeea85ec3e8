/*
 * view.c - the file that programs see of an entry for one of its recipients: the head of
 * XMail's spool file, then the message with CRLF and doubled dots (specification 2, section 3;
 * 6, item 1). Whatever a program does to it, the entry stays as it is; what a filter made of it
 * is taken when it says so and the head is the same.
 */
#include "mail/stuffed.h"
#include "queue/processing.h"
#include "sys/file.h"
#include <stdatomic.h>

#define FOLDER "hikyaku/filter"
#define CHUNK_BYTES ((size_t)64 * 1024)
#define HEAD_MAX ((size_t)64 * 1024)
#define VIEW_LIFE_S (25 * 3600) /* no program runs for longer than a day */

/* --- the head ----------------------------------------------------------------------------- */

static struct filter_scene scene_of(const struct subject *s, struct arena *a)
{
    const struct envelope *env = &s->entry->env;
    return (struct filter_scene){
        .client = env->client,
        .server = env->server,
        .domain = options_server_name(),
        .id = s->entry->id,
        .ref = env->part_of,
        .login = env->auth_user,
        .sender = address_print_bare(&env->reverse_path, a),
        .real_sender = address_print_bare(&s->sender, a),
        .time = env->received_at,
    };
}

enum rc view_macros(struct subject *s, struct str file, struct str tmp_file, struct str *out,
                    struct err *e)
{
    struct arena *a = &s->mem;
    const struct filter_scene scene = scene_of(s, a);
    const struct filter_rcpt rcpt = {
        address_print_bare(&s->entry->env.recipients[s->i].address, a),
        address_print_bare(&s->recipient, a),
    };
    return scene_macros_queue(&scene, &rcpt, file, tmp_file, a, out, e);
}

static struct str print_head(const struct subject *s, struct arena *a)
{
    const struct envelope *env = &s->entry->env;
    struct filter_scene scene = scene_of(s, a);
    const struct filter_rcpt rcpt = { .given =
                                          address_print(&env->recipients[s->i].address, a) };
    scene.sender = address_print(&env->reverse_path, a);
    return scene_head_queue(&scene, &rcpt, a);
}

/* --- writing ------------------------------------------------------------------------------ */

static enum rc write_buf(int fd, struct buf *b, const char *path, struct err *e)
{
    struct iovec part = { b->p, b->n };
    enum rc rc = io_write_all(fd, &part, 1, e);
    buf_reset(b);
    return rc == RC_OK ? rc : err_wrap(e, "%s", path);
}

static enum rc write_message(const struct spool_entry *entry, int fd, struct buf *out,
                             const char *path, struct err *e)
{
    char *chunk AUTO_FREE = mem_new(CHUNK_BYTES);
    struct stuffing stuffing = { .in_line = false };
    enum rc rc = RC_OK;
    for (uint64_t at = 0; rc == RC_OK && at < entry->message_octets;) {
        size_t want = (size_t)MIN((uint64_t)CHUNK_BYTES, entry->message_octets - at);
        ssize_t n = io_pread(entry->message_fd, chunk, want, entry->message_offset + at);
        if (n <= 0)
            return err_temp(e, "4.3.0", "entry %.*s can't be read", STR_ARG(entry->id));
        buf_must(stuff_feed(&stuffing, str_from(chunk, (size_t)n), out));
        at += (uint64_t)n;
        if (at == entry->message_octets)
            buf_must(stuff_end(&stuffing, out));
        rc = write_buf(fd, out, path, e);
    }
    return rc;
}

static enum rc write_file(struct subject *s, const char *path, struct file_id *id,
                          struct err *e)
{
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, 4 * CHUNK_BYTES + HEAD_MAX);
    (void)io_unlink(path);
    int fd AUTO_CLOSE = io_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, "make %s", path);
    buf_must(buf_add_str(&out, s->view.head));
    enum rc rc = write_buf(fd, &out, path, e);
    if (rc == RC_OK)
        rc = write_message(s->entry, fd, &out, path, e);
    return rc == RC_OK ? filter_file_written(path, fd, id, e) : rc;
}

static struct str new_path(struct arena *a)
{
    static _Atomic uint64_t last;
    return arena_printf(a, FOLDER "/queue-%d-%" PRIx64, (int)getpid(), (uint64_t)++last);
}

enum rc view_write(struct subject *s, struct err *e)
{
    struct view *v = &s->view;
    if (v->there && !filter_file_is_changed(v->path.p, &v->written))
        return RC_OK;
    if (v->path.n == 0) {
        v->path = new_path(&s->mem);
        v->head = print_head(s, &s->mem);
    }
    v->there = true;
    return write_file(s, v->path.p, &v->written, e);
}

enum rc view_copy(struct subject *s, struct str *out_path, struct err *e)
{
    struct file_id id;
    struct str path = new_path(&s->mem);
    enum rc rc = write_file(s, path.p, &id, e);
    if (rc == RC_OK)
        *out_path = path;
    else
        (void)io_unlink(path.p);
    return rc;
}

void view_release(struct view *v)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    if (!v->there)
        return;
    (void)io_unlink(v->path.p);
    (void)io_unlink(arena_printf(&a, "%s.rej", v->path.p).p);
    v->there = false;
}

void folder_expire(const char *path, int64_t oldest)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    struct stat st;
    unsigned char type = 0;
    if (folder_open(path, &f, NULL) != RC_OK)
        return;
    while (folder_next(f, &name, &type)) {
        const char *file = arena_printf(&a, "%s/%.*s", path, STR_ARG(name)).p;
        if (io_lstat(file, &st) == 0 && !S_ISDIR(st.st_mode) && st.st_mtim.tv_sec < oldest)
            (void)io_unlink(file);
    }
    folder_close(&f);
}

void queue_expire_files(void)
{
    int64_t now = clock_wall() / USEC_S;
    folder_expire(FOLDER, now - VIEW_LIFE_S);
    folder_expire(REPLIED_FOLDER, now - (int64_t)AUTOREPLY_DAYS_MAX * 86400);
}

/* --- reading ------------------------------------------------------------------------------ */

struct str view_rejection(struct subject *s)
{
    struct str code, text;
    if (!filter_rej_read(s->view.path.p, &s->mem, &code, &text))
        return STR("");
    return str_head(text, 400);
}

static enum rc put_lines(void *ctx, struct str lines, uint64_t wire_octets, struct err *e)
{
    return spool_put_write(ctx, lines, wire_octets, e);
}

enum rc view_read(struct subject *s, struct spool_put *put, struct err *e)
{
    return filter_file_read(s->view.path.p, s->view.head, put_lines, put, e);
}

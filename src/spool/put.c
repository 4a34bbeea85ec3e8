/*
 * put.c - making a queue entry. Small ones stay in memory until they are committed; larger ones
 * grow in queue/tmp. Called by smtpd. A crash before the commit leaves at most a file in
 * queue/tmp, which recovery clears.
 */
#include "spool/spool_int.h"
#include "sys/file.h"

#define MEMORY_BYTES ((size_t)128 * 1024)

struct spool_put {
    struct str id;
    struct str tmp_path, final_path;
    struct arena mem;
    struct buf head; /* the envelope's lines */
    struct buf body; /* message octets not yet in the file */
    int fd;          /* of tmp_path, or -1 */
    bool has_file;
    uint64_t octets, wire_octets;
};

static void put_free(struct spool_put **put)
{
    struct spool_put *p = *put;
    io_close_at(&p->fd);
    if (p->has_file)
        (void)io_unlink(p->tmp_path.p);
    buf_release(&p->head);
    buf_release(&p->body);
    arena_release(&p->mem);
    mem_free(put);
}

enum rc spool_put_begin(const struct envelope *env, struct spool_put **out, struct err *e)
{
    struct spool_put *p = mem_new(sizeof(*p));
    p->fd = -1;
    p->id = spool_id_new(&p->mem);
    p->tmp_path = arena_printf(&p->mem, "queue/tmp/%.*s", STR_ARG(p->id));
    p->final_path = spool_path(p->id, &p->mem);
    buf_init(&p->head, SPOOL_HEADER_MAX);
    buf_init(&p->body, BUF_MAX_DEFAULT);
    if (envelope_print(env, p->id, 0, 0, &p->head) != RC_OK) {
        put_free(&p);
        return err_temp(e, "4.3.1", "envelope too large");
    }
    *out = p;
    return RC_OK;
}

struct str spool_put_id(const struct spool_put *put)
{
    return put->id;
}

/* Appends what is in memory to the file, which is made first where there is none. */
static enum rc flush(struct spool_put *p, struct err *e)
{
    size_t parts = 0;
    struct iovec part[2];
    if (p->fd < 0) {
        p->fd = io_open(p->tmp_path.p, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (p->fd < 0)
            return err_sys(e, "make %s", p->tmp_path.p);
        p->has_file = true;
        part[parts++] = (struct iovec){ p->head.p, p->head.n };
    }
    part[parts++] = (struct iovec){ p->body.p, p->body.n };
    enum rc rc = io_write_all(p->fd, part, parts, e);
    return rc == RC_OK ? rc : err_wrap(e, "%s", p->tmp_path.p);
}

enum rc spool_put_write(struct spool_put *p, struct str octets, uint64_t wire_octets,
                        struct err *e)
{
    if (buf_add_str(&p->body, octets) != RC_OK)
        return err_temp(e, "4.3.1", "out of memory for a message");
    p->octets += octets.n;
    p->wire_octets += wire_octets;
    if (p->body.n <= MEMORY_BYTES)
        return RC_OK;
    enum rc rc = flush(p, e);
    buf_reset(&p->body);
    return rc;
}

enum rc spool_put_commit(struct spool_put **put, struct arena *a, struct str *out_id,
                         struct err *e)
{
    struct spool_put *p = *put;
    bool in_memory = p->fd < 0;
    struct str size = envelope_size_text(p->octets, p->wire_octets, &p->mem);
    size_t at = envelope_size_line(buf_str(&p->head));
    memcpy(p->head.p + at, size.p, size.n);
    enum rc rc = flush(p, e);
    if (rc == RC_OK && !in_memory && io_pwrite(p->fd, size.p, size.n, at) != (ssize_t)size.n)
        rc = err_sys(e, "write %s", p->tmp_path.p);
    if (rc == RC_OK) {
        struct iovec parts[] = { { p->head.p, p->head.n }, { p->body.p, p->body.n } };
        struct commit_put item = {
            .tmp_path = p->tmp_path.p,
            .final_path = p->final_path.p,
            .parts = parts,
            .part_count = in_memory ? 2 : 0,
            .size_bytes = p->head.n + p->octets,
        };
        rc = commit_put(spool_commit(), &item, 1, e);
        p->has_file = rc != RC_OK; /* a failed put may still stand under its tmp name */
    }
    if (rc == RC_OK)
        *out_id = arena_str(a, p->id);
    put_free(put);
    return rc;
}

void spool_put_abort(struct spool_put **put)
{
    if (*put != NULL)
        put_free(put);
}

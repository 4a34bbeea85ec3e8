/*
 * put.c - making a queue entry. Small ones stay in memory until they are committed; larger ones
 * grow in queue/tmp. Called by smtpd and, for XMail's spool, by takeover. A crash before the
 * commit leaves at most a file in queue/tmp, which recovery clears.
 */
#include "spool/spool_int.h"
#include "sys/file.h"

#define MEMORY_BYTES ((size_t)128 * 1024)

struct spool_put {
    struct str id, tag;
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

/* id: empty: a fresh one. */
static enum rc begin(const struct envelope *env, struct str id, struct spool_put **out,
                     struct err *e)
{
    struct spool_put *p = mem_new(sizeof(*p));
    p->fd = -1;
    p->id = id.n > 0 ? arena_str(&p->mem, id) : spool_id_new(&p->mem);
    p->tmp_path = arena_printf(&p->mem, "queue/tmp/%.2s/%.*s", p->id.p + 11, STR_ARG(p->id));
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

enum rc spool_put_begin(const struct envelope *env, struct spool_put **out, struct err *e)
{
    return begin(env, STR(""), out, e);
}

struct str spool_put_id(const struct spool_put *put)
{
    return put->id;
}

void spool_put_tag(struct spool_put *put, struct str tag)
{
    put->tag = arena_str(&put->mem, tag);
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

/* The whole file stands under its tmp name, with its sizes. */
static enum rc complete(struct spool_put *p, struct err *e)
{
    bool in_memory = p->fd < 0;
    struct str size = envelope_size_text(p->octets, p->wire_octets, &p->mem);
    size_t at = envelope_size_line(buf_str(&p->head));
    memcpy(p->head.p + at, size.p, size.n);
    enum rc rc = flush(p, e);
    if (rc == RC_OK && !in_memory && io_pwrite(p->fd, size.p, size.n, at) != (ssize_t)size.n)
        rc = err_sys(e, "write %s", p->tmp_path.p);
    return rc;
}

/* What the commit is told of the put. */
static struct commit_put commit_of(struct spool_put *p, bool in_memory)
{
    struct iovec *parts = arena_new_array(&p->mem, struct iovec, 2);
    parts[0] = (struct iovec){ p->head.p, p->head.n };
    parts[1] = (struct iovec){ p->body.p, p->body.n };
    return (struct commit_put){
        .tmp_path = p->tmp_path.p,
        .final_path = p->final_path.p,
        .parts = parts,
        .part_count = in_memory ? 2 : 0,
        .size_bytes = p->head.n + p->octets,
        .tag = p->tag,
    };
}

void spool_put_commit_all(struct spool_put_one *all, size_t count)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct commit_put *items = arena_new_array(&mem, struct commit_put, count);
    struct err e = { .rc = RC_OK };
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        bool in_memory = all[i].put->fd < 0;
        all[i].rc = complete(all[i].put, &all[i].e);
        if (all[i].rc == RC_OK)
            items[n++] = commit_of(all[i].put, in_memory);
    }
    enum rc rc = n == 0 ? RC_OK : commit_put(spool_commit(), items, n, &e);
    for (size_t i = 0; i < count; i++) {
        if (all[i].rc == RC_OK) {
            all[i].put->has_file = rc != RC_OK; /* it may still stand under its tmp name */
            all[i].rc = rc;
            all[i].e = e;
        }
        put_free(&all[i].put);
    }
}

enum rc spool_put_commit(struct spool_put **put, struct arena *a, struct str *out_id,
                         struct err *e)
{
    struct spool_put_one one = { .put = *put };
    struct str id = arena_str(a, (*put)->id);
    *put = NULL;
    spool_put_commit_all(&one, 1);
    if (one.rc == RC_OK)
        *out_id = id;
    else if (e != NULL)
        *e = one.e;
    return one.rc;
}

void spool_put_abort(struct spool_put **put)
{
    if (*put != NULL)
        put_free(put);
}

/* --- entries that another server began --------------------------------------------------- */

enum rc spool_adopt_begin(struct str id, const struct envelope *env, struct spool_put **out,
                          struct err *e)
{
    if (!spool_id_is_valid(id))
        return err_perm(e, "5.3.0", "not a queue id");
    enum rc rc = begin(env, id, out, e);
    if (rc == RC_OK) /* what a process that died was making */
        (void)io_unlink((*out)->tmp_path.p);
    return rc;
}

/* Each line of the history, then what it came to. */
static enum rc print_past(const struct spool_past *past, size_t recipients, struct buf *out)
{
    struct str rest = past->history, line;
    enum rc rc = RC_OK;
    while (rc == RC_OK && rest.n > 0 && str_cut(&rest, '\n', &line))
        if (str_trim(line).n > 0)
            rc = journal_print(out, "history", UINT32_MAX, 0, str_trim(line));
    for (size_t i = 0; rc == RC_OK && past->reason.n > 0 && i < recipients; i++)
        rc = journal_print(out, past->frozen ? "failed" : "deferred", i, 0, past->reason);
    for (size_t i = 0; rc == RC_OK && past->frozen && i < recipients; i++)
        rc = journal_print(out, "reported", i, 0, STR("-"));
    for (size_t i = 0; rc == RC_OK && i < recipients * past->step_count; i++)
        rc = journal_print(out, "step", i / past->step_count,
                           (int64_t)past->steps[i % past->step_count], STR("-"));
    if (rc == RC_OK && (past->tries > 0 || past->next_try > 0))
        rc = journal_print(out, "retry", past->tries, past->next_try, STR("-"));
    if (rc == RC_OK && past->held)
        rc = journal_print(out, "held", 0, 0, STR("-"));
    return rc;
}

static enum rc write_journal(const char *path, struct str text, struct err *e)
{
    int fd AUTO_CLOSE = io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char *octets = NULL;
    memcpy(&octets, &text.p, sizeof(octets));
    struct iovec part = { octets, text.n };
    if (fd < 0)
        return err_sys(e, "make %s", path);
    return io_write_all(fd, &part, 1, e);
}

static enum rc adopt(struct spool_put *p, const struct spool_past *past, size_t recipients,
                     struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct str journal_tmp = arena_printf(&p->mem, "%s.journal", p->tmp_path.p);
    struct str folder = past->frozen ? STR("queue/frozen") : str_head(p->final_path, 8);
    struct str path = arena_printf(&p->mem, "%.*s/%.*s", STR_ARG(folder), STR_ARG(p->id));
    struct str journal = arena_printf(&p->mem, "%s.journal", path.p);
    buf_init(&text, (size_t)8 << 20);
    if (print_past(past, recipients, &text) != RC_OK)
        return err_temp(e, "4.3.1", "the history is too long");
    enum rc rc = write_journal(journal_tmp.p, buf_str(&text), e);
    if (rc == RC_OK)
        rc = complete(p, e);
    if (rc == RC_OK && io_rename(journal_tmp.p, journal.p) < 0)
        rc = err_sys(e, "rename %s", journal_tmp.p);
    if (rc == RC_OK && io_rename(p->tmp_path.p, path.p) < 0)
        rc = err_sys(e, "rename %s", p->tmp_path.p);
    p->has_file = p->has_file && rc != RC_OK;
    if (rc != RC_OK) {
        (void)io_unlink(journal_tmp.p);
        (void)io_unlink(journal.p);
    }
    return rc;
}

enum rc spool_adopt_commit(struct spool_put **put, const struct spool_past *past,
                           size_t recipients, struct err *e)
{
    enum rc rc = adopt(*put, past, recipients, e);
    put_free(put);
    return rc;
}

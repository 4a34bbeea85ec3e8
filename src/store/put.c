/*
 * put.c - one message into one mailbox: written under a temporary name (Maildir/tmp, or
 * .tmp-NAME in the account's folder for mailbox/), then renamed to its place and made durable
 * by sys/commit. Used by smtpd (delivery in the session) and queue.
 *
 * A small message stays in memory until it's committed: then it costs one open, one write, one
 * close, and what the commit needs; no folder is looked at. The commit log gets the same
 * memory. A larger one goes to its file in pieces of MEMORY_MAX.
 *
 * After a crash a temporary file may be left: place_sweep removes it, or the same fixed name
 * replaces it. Missing folders are made when opening the file fails; if only new/ was missing
 * that delivery fails for now and the next one finds it made.
 */
#include "store/store_int.h"
#include "sys/file.h"
#include <dirent.h>

#define MEMORY_MAX ((size_t)128 * 1024)

struct store_put {
    struct arena mem;
    struct account account; /* copies in mem */
    struct place place;
    struct str base;
    bool fixed, crlf;
    int fd;               /* -1: the file isn't made yet */
    const char *tmp_path; /* set when it is */
    struct buf data;      /* not yet in the file; LF */
    uint64_t disk_octets, wire_octets;
};

enum rc store_put_begin(const struct account *account, struct str fixed_name,
                        struct store_put **out, struct err *e)
{
    if (fixed_name.n > 0 && !name_is_base(fixed_name))
        return err_perm(e, "5.3.0", "not a message file name");
    struct store_put *put = mem_new(sizeof(*put));
    put->account = (struct account){
        .domain = arena_str(&put->mem, account->domain),
        .name = arena_str(&put->mem, account->name),
        .folder = arena_str(&put->mem, account->folder),
        .id = account->id,
        .type = account->type,
    };
    put->fixed = fixed_name.n > 0;
    put->base =
        put->fixed ? arena_str(&put->mem, fixed_name) : name_make(clock_wall(), &put->mem);
    put->fd = -1;
    buf_init(&put->data, MEMORY_MAX);
    *out = put;
    return RC_OK;
}

static int create_tmp(struct store_put *put)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    put->tmp_path = place_tmp(&put->place, put->base, &put->mem);
    put->fd = io_open(put->tmp_path, flags, 0600);
    /* A fixed name is there again: an earlier attempt was cut off. */
    if (put->fd < 0 && errno == EEXIST && put->fixed && io_unlink(put->tmp_path) == 0)
        put->fd = io_open(put->tmp_path, flags, 0600);
    return put->fd;
}

/*
 * Makes the temporary file. Maildir (when preferred) is simply tried: that the open works says
 * that it exists. Otherwise the folders are looked at, and made when there are none.
 */
static enum rc open_tmp(struct store_put *put, struct err *e)
{
    put->place = (struct place){ put->account.folder, PLACE_MAILDIR, true };
    bool tried = place_preferred() == PLACE_MAILDIR;
    if (tried && create_tmp(put) >= 0)
        return RC_OK;
    bool missing = !tried || errno == ENOENT || errno == ENOTDIR;
    if (missing) {
        put->place = place_find(&put->account);
        if (!put->place.exists || put->place.kind == PLACE_MAILDIR) {
            enum rc rc = place_make(&put->place, e);
            if (rc != RC_OK)
                return err_wrap(e, "make mailbox");
        }
        put->crlf = place_has_crlf(&put->place);
        (void)create_tmp(put);
    }
    if (put->fd >= 0)
        return RC_OK;
    enum rc rc = err_sys(e, "make %s", put->tmp_path);
    put->tmp_path = NULL;
    return rc;
}

static enum rc to_crlf(struct str in, struct buf *out)
{
    struct str line;
    bool more = in.n > 0;
    enum rc rc = RC_OK;
    while (rc == RC_OK && more) {
        size_t lf = str_find(in, '\n');
        more = lf != SIZE_MAX;
        line = more ? str_head(in, lf) : in;
        in = str_skip(in, more ? lf + 1 : in.n);
        rc = buf_add_str(out, line);
        if (rc == RC_OK && more)
            rc = buf_add_str(out, STR("\r\n"));
    }
    return rc;
}

/* What is in memory, in the form it has on disk, goes to the file. */
static enum rc flush(struct store_put *put, struct err *e)
{
    if (put->crlf) {
        struct buf converted;
        buf_init(&converted, 2 * put->data.n + 1);
        if (to_crlf(buf_str(&put->data), &converted) != RC_OK) {
            buf_release(&converted);
            return err_temp(e, "4.3.0", "no memory for a message");
        }
        buf_release(&put->data);
        put->data = converted;
    }
    struct iovec part = { .iov_base = put->data.p, .iov_len = put->data.n };
    enum rc rc = io_write_all(put->fd, &part, 1, e);
    if (rc != RC_OK)
        return err_wrap(e, "%s", put->tmp_path);
    put->disk_octets += put->data.n;
    return RC_OK;
}

/* Room in memory is made by writing what is there to the file. */
static enum rc spill(struct store_put *put, struct err *e)
{
    enum rc rc = put->fd < 0 ? open_tmp(put, e) : RC_OK;
    if (rc == RC_OK)
        rc = flush(put, e);
    if (rc == RC_OK) {
        buf_release(&put->data);
        buf_init(&put->data, MEMORY_MAX);
    }
    return rc;
}

enum rc store_put_write(struct store_put *put, struct str octets, uint64_t wire_octets,
                        struct err *e)
{
    put->wire_octets += wire_octets;
    while (octets.n > 0) {
        if (put->data.n == MEMORY_MAX) {
            enum rc rc = spill(put, e);
            if (rc != RC_OK)
                return rc;
        }
        size_t n = MIN(octets.n, MEMORY_MAX - put->data.n);
        if (buf_add(&put->data, octets.p, n) != RC_OK)
            return err_temp(e, "4.3.0", "no memory for a message");
        octets = str_skip(octets, n);
    }
    return RC_OK;
}

/* What the commit is told of the put. */
static struct commit_put commit_of(struct store_put *put, struct iovec *part, bool in_memory,
                                   struct str tag)
{
    struct str name = name_with_sizes(put->base, put->disk_octets, put->wire_octets, &put->mem);
    const char *folder = place_new(&put->place, &put->mem);
    *part = (struct iovec){ .iov_base = put->data.p, .iov_len = put->data.n };
    return (struct commit_put){
        .tmp_path = put->tmp_path,
        .final_path = arena_printf(&put->mem, "%s/%.*s", folder, STR_ARG(name)).p,
        .parts = in_memory ? part : NULL,
        .part_count = in_memory ? 1 : 0,
        .size_bytes = put->disk_octets,
        .tag = tag,
    };
}

/* The file is whole under its temporary name, and counted. RC_OK: usage_end is due. */
static enum rc prepare(struct store_put *put, uint64_t max_kb, struct usage_change *change,
                       bool *out_in_memory, struct err *e)
{
    *out_in_memory = put->fd < 0;
    enum rc rc = store.commit == NULL ? err_temp(e, "4.3.0", "no commit log is open") : RC_OK;
    if (rc == RC_OK && *out_in_memory)
        rc = open_tmp(put, e);
    if (rc == RC_OK)
        rc = usage_begin(&put->account, &put->place, max_kb, put->wire_octets, 1, change, e);
    if (rc != RC_OK)
        return rc;
    rc = flush(put, e);
    io_close_at(&put->fd);
    if (rc != RC_OK)
        usage_end(&put->account, &put->place, change, false, 0, 0);
    return rc;
}

static void finish(struct store_put *put, const struct usage_change *change, enum rc rc)
{
    usage_end(&put->account, &put->place, change, rc == RC_OK, 0, 0);
    if (rc == RC_OK) {
        put->tmp_path = NULL;
        notice_step(put->account.folder);
    } else if (!folder_exists(place_new(&put->place, &put->mem))) {
        (void)!place_make(&put->place, NULL); /* for the next try */
    }
}

enum rc store_put_commit(struct store_put **put, uint64_t max_mailbox_kb, struct str tag,
                         struct err *e)
{
    struct usage_change change;
    struct iovec part;
    bool in_memory = false;
    enum rc rc = prepare(*put, max_mailbox_kb, &change, &in_memory, e);
    if (rc == RC_OK) {
        const struct commit_put one = commit_of(*put, &part, in_memory, tag);
        rc = commit_put(store.commit, &one, 1, e);
        finish(*put, &change, rc);
    }
    store_put_abort(put);
    return rc;
}

void store_put_commit_all(struct store_put_one *all, size_t count, uint64_t max_mailbox_kb)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct usage_change *changes = arena_new_array(&mem, struct usage_change, count);
    struct iovec *parts = arena_new_array(&mem, struct iovec, count);
    struct commit_put *puts = arena_new_array(&mem, struct commit_put, count);
    struct err e = { .rc = RC_OK };
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct store_put_one *one = &all[i];
        bool in_memory = false;
        one->rc = prepare(one->put, max_mailbox_kb, &changes[i], &in_memory, &one->e);
        if (one->rc == RC_OK)
            puts[n++] = commit_of(one->put, &parts[i], in_memory, one->tag);
    }
    enum rc rc = n == 0 ? RC_OK : commit_put(store.commit, puts, n, &e);
    for (size_t i = 0; i < count; i++) {
        if (all[i].rc == RC_OK) {
            finish(all[i].put, &changes[i], rc);
            all[i].rc = rc;
            all[i].e = e;
        }
        store_put_abort(&all[i].put);
    }
}

void store_put_abort(struct store_put **at)
{
    struct store_put *put = *at;
    if (put == NULL)
        return;
    io_close_at(&put->fd);
    if (put->tmp_path != NULL)
        (void)io_unlink(put->tmp_path);
    buf_release(&put->data);
    /* put lies outside its own arena. */
    arena_release(&put->mem);
    mem_free(at);
}

static bool folder_has(const char *path, struct str fixed_name)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    bool found = false;
    if (path == NULL || folder_open(path, &f, NULL) != RC_OK)
        return false;
    while (!found && folder_next(f, &name, &type)) {
        char after = name.n > fixed_name.n ? name.p[fixed_name.n] : ',';
        found = str_starts(name, fixed_name) && (after == ',' || after == ':');
    }
    folder_close(&f);
    return found;
}

bool store_has(const struct account *account, struct str fixed_name)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct place place = place_find(account);
    /* new/ first: a message moves from there to cur/, never back. */
    return folder_has(place_new(&place, &mem), fixed_name) ||
           folder_has(place_cur(&place, &mem), fixed_name);
}

/*
 * bulk.c - mail that another system kept, into a mailbox: written to tmp/, renamed, and made
 * durable many at a time. Called by `hikyaku import`, also beside a running server. A message
 * whose name the mailbox has already isn't put there again, so that an import can be repeated.
 */
#include "store/store_int.h"
#include "sys/file.h"
#include <dirent.h>

#define BUFFER_BYTES ((size_t)256 * 1024)

struct store_bulk {
    struct arena mem;
    struct account account;
    struct place place;
    struct str root;  /* of tmp/, new/, cur/; or mailbox/ itself */
    bool flat;        /* mailbox/: no flags */
    struct map bases; /* those that are there */
    struct buf data;
    struct str tmp; /* the message at hand */
    int fd;
    uint64_t disk_octets, wire_octets;
};

static enum rc add_names(struct store_bulk *b, const char *path, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    enum rc rc = folder_open(path, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        struct message_name n;
        struct str kept = arena_str(&b->mem, name);
        if (name_parse(kept, &n))
            (void)map_put(&b->bases, str_head(n.base, MIN(str_find(n.base, ','), n.base.n)), b);
    }
    folder_close(&f);
    return rc;
}

/* tmp/, new/ and cur/ of a folder within the Maildir. */
static enum rc make_folder(struct store_bulk *b, struct str folder, struct err *e)
{
    static const char *const names[] = { "tmp", "new", "cur" };
    enum rc rc = RC_OK;
    b->root = arena_printf(&b->mem, "%.*s/Maildir/.%.*s", STR_ARG(b->account.folder),
                           STR_ARG(folder));
    for (size_t i = 0; i < ARRAY_LEN(names) && rc == RC_OK; i++)
        rc = folder_make(arena_printf(&b->mem, "%s/%s", b->root.p, names[i]).p, 0700, e);
    return rc;
}

bool store_folder_is_good(struct str folder)
{
    return folder.n <= 200 && !str_has_any(folder, "/\\") && !str_has_control(folder) &&
           !str_starts(folder, STR(".")) && !str_ends(folder, STR(".")) &&
           str_find_str(folder, STR("..")) == SIZE_MAX;
}

enum rc store_bulk_open(const struct account *account, struct str folder,
                        struct store_bulk **out, struct err *e)
{
    struct store_bulk *b = mem_new(sizeof(*b));
    b->fd = -1;
    b->account.folder = arena_str(&b->mem, account->folder);
    b->account.name = arena_str(&b->mem, account->name);
    b->account.domain = arena_str(&b->mem, account->domain);
    b->place = place_find(&b->account);
    buf_init(&b->data, BUFFER_BYTES);
    enum rc rc = store_folder_is_good(folder) ? place_make(&b->place, e)
                                              : err_perm(e, "5.3.0", "not a folder's name");
    b->flat = b->place.kind == PLACE_MAILBOX && folder.n == 0;
    b->root = arena_printf(&b->mem, "%.*s/%s", STR_ARG(b->account.folder),
                           b->flat ? "mailbox" : "Maildir");
    if (rc == RC_OK && folder.n > 0)
        rc = make_folder(b, folder, e);
    const char *root = b->root.p;
    if (rc == RC_OK)
        rc = add_names(b, b->flat ? root : arena_printf(&b->mem, "%s/new", root).p, e);
    if (rc == RC_OK && !b->flat)
        rc = add_names(b, arena_printf(&b->mem, "%s/cur", root).p, e);
    if (rc != RC_OK)
        store_bulk_close(&b);
    *out = b;
    return rc;
}

bool store_bulk_has(const struct store_bulk *b, struct str base)
{
    return map_get(&b->bases, base) != NULL;
}

enum rc store_bulk_begin(struct store_bulk *b, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str base = name_make(clock_wall(), &a);
    b->tmp = b->flat ? arena_printf(&b->mem, "%.*s/.tmp-%.*s", STR_ARG(b->account.folder),
                                    STR_ARG(base))
                     : arena_printf(&b->mem, "%s/tmp/%.*s", b->root.p, STR_ARG(base));
    b->disk_octets = b->wire_octets = 0;
    b->fd = io_open(b->tmp.p, O_WRONLY | O_CREAT | O_EXCL, 0600);
    return b->fd < 0 ? err_sys(e, "make %s", b->tmp.p) : RC_OK;
}

static enum rc flush(struct store_bulk *b, struct err *e)
{
    struct iovec part = { b->data.p, b->data.n };
    enum rc rc = b->data.n == 0 ? RC_OK : io_write_all(b->fd, &part, 1, e);
    buf_reset(&b->data);
    return rc == RC_OK ? rc : err_wrap(e, "%s", b->tmp.p);
}

enum rc store_bulk_write(struct store_bulk *b, struct str octets, struct err *e)
{
    b->disk_octets += octets.n;
    b->wire_octets += octets.n;
    for (size_t i = 0; i < octets.n; i++)
        b->wire_octets += octets.p[i] == '\n';
    while (octets.n > 0) {
        size_t n = MIN(octets.n, BUFFER_BYTES - b->data.n);
        buf_must(buf_add(&b->data, octets.p, n));
        octets = str_skip(octets, n);
        enum rc rc = b->data.n == BUFFER_BYTES ? flush(b, e) : RC_OK;
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

void store_bulk_drop(struct store_bulk *b)
{
    if (b->fd >= 0)
        (void)io_unlink(b->tmp.p);
    io_close_at(&b->fd);
    buf_reset(&b->data);
}

enum rc store_bulk_end(struct store_bulk *b, struct str base, struct str flags, usec_t arrived,
                       struct err *e)
{
    struct stat like;
    struct str name = name_with_sizes(base, b->disk_octets, b->wire_octets, &b->mem);
    const char *to =
        b->flat ? arena_printf(&b->mem, "%s/%s", b->root.p, name.p).p
        : flags.p == NULL
            ? arena_printf(&b->mem, "%s/new/%s", b->root.p, name.p).p
            : arena_printf(&b->mem, "%s/cur/%s:2,%.*s", b->root.p, name.p, STR_ARG(flags)).p;
    enum rc rc = name_is_base(base) ? flush(b, e) : err_perm(e, "5.3.0", "not a name");
    if (rc == RC_OK && io_fstat(b->fd, &like) == 0) {
        like.st_mtim = (struct timespec){ .tv_sec = (time_t)(arrived / USEC_S) };
        rc = io_set_like(b->fd, &like) < 0 ? err_sys(e, "set the time of %s", b->tmp.p) : rc;
    }
    if (rc == RC_OK && io_rename(b->tmp.p, to) < 0)
        rc = err_sys(e, "rename %s", b->tmp.p);
    if (rc != RC_OK) {
        store_bulk_drop(b);
        return rc;
    }
    io_close_at(&b->fd);
    (void)map_put(&b->bases, arena_str(&b->mem, base), b);
    return RC_OK;
}

enum rc store_bulk_sync(struct store_bulk *b, struct err *e)
{
    int fd AUTO_CLOSE = io_open(b->root.p, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || io_syncfs(fd) < 0)
        return err_sys(e, "sync %s", b->root.p);
    usage_forget(&b->account);
    return RC_OK;
}

void store_bulk_close(struct store_bulk **at)
{
    struct store_bulk *b = *at;
    if (b == NULL)
        return;
    store_bulk_drop(b);
    buf_release(&b->data);
    map_release(&b->bases);
    arena_release(&b->mem);
    mem_free(at);
}

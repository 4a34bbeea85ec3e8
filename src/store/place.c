/*
 * place.c - where an account's messages lie: Maildir/{tmp,new,cur} or mailbox/ (one file a
 * message) in its folder; which one exists decides. Called by put.c, mailbox.c and usage.c.
 * Symbolic links among the messages aren't followed; folders above may be links (a domain on
 * another disk).
 */
#include "store/store_int.h"
#include "sys/file.h"
#include <dirent.h>
#include <stdatomic.h>

#define SWEEP_AGE_S (36 * 3600)
#define CRLF_CACHE 1024

static const char *under(struct str folder, const char *name, struct arena *a)
{
    return arena_printf(a, "%.*s/%s", STR_ARG(folder), name).p;
}

const char *place_new(const struct place *place, struct arena *a)
{
    return under(place->folder, place->kind == PLACE_MAILDIR ? "Maildir/new" : "mailbox", a);
}

const char *place_cur(const struct place *place, struct arena *a)
{
    return place->kind == PLACE_MAILDIR ? under(place->folder, "Maildir/cur", a) : NULL;
}

const char *place_tmp(const struct place *place, struct str base, struct arena *a)
{
    if (place->kind == PLACE_MAILDIR)
        return arena_printf(a, "%.*s/Maildir/tmp/%.*s", STR_ARG(place->folder), STR_ARG(base))
            .p;
    return arena_printf(a, "%.*s/.tmp-%.*s", STR_ARG(place->folder), STR_ARG(base)).p;
}

struct str place_notes_folder(const struct account *account, struct arena *a)
{
    struct str domain = name_component(account->domain, a);
    struct str user = name_component(account->name, a);
    return arena_printf(a, "hikyaku/mailbox/%.*s/%.*s", STR_ARG(domain), STR_ARG(user));
}

static bool kind_exists(struct str folder, enum place_kind kind)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    return folder_exists(under(folder, kind == PLACE_MAILDIR ? "Maildir" : "mailbox", &mem));
}

enum place_kind place_preferred(void)
{
    return conf()->store_maildir ? PLACE_MAILDIR : PLACE_MAILBOX;
}

struct place place_find(const struct account *account)
{
    enum place_kind first = place_preferred();
    enum place_kind second = first == PLACE_MAILDIR ? PLACE_MAILBOX : PLACE_MAILDIR;
    struct place place = { .folder = account->folder, .kind = first, .exists = true };
    if (kind_exists(account->folder, first))
        return place;
    if (kind_exists(account->folder, second))
        place.kind = second;
    else
        place.exists = false;
    return place;
}

enum rc place_make(const struct place *place, struct err *e)
{
    static const char *const maildir[] = { "Maildir/tmp", "Maildir/new", "Maildir/cur" };
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    bool is_maildir = place->kind == PLACE_MAILDIR;
    enum rc rc = RC_OK;
    if (!is_maildir)
        rc = folder_make(under(place->folder, "mailbox", &mem), 0700, e);
    for (size_t i = 0; is_maildir && rc == RC_OK && i < ARRAY_LEN(maildir); i++)
        rc = folder_make(under(place->folder, maildir[i], &mem), 0700, e);
    /* They must survive a power cut before a message in them may count as safe. */
    if (rc == RC_OK && is_maildir)
        rc = folder_sync(under(place->folder, "Maildir", &mem), e);
    if (rc == RC_OK)
        rc = folder_sync(under(place->folder, ".", &mem), e);
    return rc;
}

/* Is the first line of the file ended by CRLF? (XMail on Unix mixes both, but not there.) */
static bool file_has_crlf(const char *path)
{
    char head[4096];
    int fd AUTO_CLOSE = io_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    ssize_t n = fd < 0 ? 0 : io_read(fd, head, sizeof(head));
    const char *lf = n > 0 ? memchr(head, '\n', (size_t)n) : NULL;
    return lf != NULL && lf > head && lf[-1] == '\r';
}

static bool folder_has_crlf(const char *path)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    bool crlf = false;
    if (folder_open(path, &f, NULL) != RC_OK)
        return false;
    while (folder_next(f, &name, &type)) {
        if (type != DT_REG || name.p[0] == '.')
            continue;
        crlf = file_has_crlf(arena_printf(&mem, "%s/%.*s", path, STR_ARG(name)).p);
        break;
    }
    folder_close(&f);
    return crlf;
}

bool place_has_crlf(const struct place *place)
{
    /* The folder's hash with the answer in its two lowest bits; a collision only asks again. */
    static _Atomic uint64_t cache[CRLF_CACHE];
    if (place->kind != PLACE_MAILBOX)
        return false;
    uint64_t hash = hash_text(place->folder, false, hash_seed()) | 3;
    _Atomic uint64_t *slot = &cache[(hash >> 2) % CRLF_CACHE];
    uint64_t known = atomic_load(slot);
    if ((known | 3) == hash && known != 0)
        return (known & 3) == 2;
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    bool crlf = folder_has_crlf(place_new(place, &mem));
    atomic_store(slot, (hash & ~UINT64_C(3)) | (crlf ? 2 : 1));
    return crlf;
}

static void sweep_file(const char *path)
{
    struct stat st;
    if (io_lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
        st.st_mtim.tv_sec < clock_wall() / USEC_S - SWEEP_AGE_S && io_unlink(path) == 0)
        log_debug(EV("leftover removed"), KV("path", path));
}

void place_sweep(const struct place *place)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    bool maildir = place->kind == PLACE_MAILDIR;
    const char *path = under(place->folder, maildir ? "Maildir/tmp" : ".", &mem);
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    if (folder_open(path, &f, NULL) != RC_OK)
        return;
    while (folder_next(f, &name, &type))
        if (maildir || str_starts(name, STR(".tmp-")))
            sweep_file(arena_printf(&mem, "%s/%.*s", path, STR_ARG(name)).p);
    folder_close(&f);
}

/* --- scanning ---------------------------------------------------------------------------- */

struct scan {
    const char *path;
    bool in_cur;
    struct sizes *sizes;
    struct arena tmp;
    found_fn *fn;
    void *ctx;
};

/*
 * Time and size of a file whose name doesn't tell; false: it is no message, or gone. A file
 * that can't be read is listed with its size on disk (fetching it then says why), so that one
 * bad file doesn't close the mailbox.
 */
static bool look_at(struct scan *s, struct found *f)
{
    const char *path = arena_printf(&s->tmp, "%s/%.*s", s->path, STR_ARG(f->file)).p;
    struct stat st;
    if (io_lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    if (!f->name.has_time)
        f->time = (usec_t)st.st_mtim.tv_sec * USEC_S + st.st_mtim.tv_nsec / 1000;
    if (f->name.has_wire)
        return true;
    struct file_seen seen = {
        .size = (uint64_t)st.st_size,
        .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .stuffed = st.st_mtim.tv_sec < store.takeover_s,
    };
    struct err why = { .rc = RC_OK };
    f->stuffed = seen.stuffed;
    f->wire_octets = seen.size;
    if (sizes_get(s->sizes, f->name.base, path, &seen, &f->wire_octets, &why) == RC_OK)
        return true;
    log_debug(EV("message can't be read"), KV("path", path), KE(&why));
    return why.sys != ENOENT;
}

static enum rc scan_file(struct scan *s, struct str file, unsigned char type, struct err *e)
{
    struct found f = { .file = file, .in_cur = s->in_cur };
    if ((type != DT_REG && type != DT_UNKNOWN) || !name_parse(file, &f.name))
        return RC_OK;
    f.time = f.name.time;
    f.wire_octets = f.name.wire_octets;
    bool is_message = true;
    if (type == DT_UNKNOWN || !f.name.has_time || !f.name.has_wire) {
        is_message = look_at(s, &f);
        arena_reset(&s->tmp);
    }
    return is_message ? s->fn(s->ctx, &f, e) : RC_OK;
}

/* A missing folder has no messages. */
static enum rc scan_folder(struct scan *s, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    struct err why = { .rc = RC_OK };
    enum rc rc = folder_open(s->path, &f, &why);
    if (rc != RC_OK && (why.sys == ENOENT || why.sys == ENOTDIR))
        return RC_OK;
    if (rc != RC_OK && e != NULL)
        *e = why;
    while (rc == RC_OK && folder_next(f, &name, &type))
        rc = scan_file(s, name, type, e);
    folder_close(&f);
    return rc;
}

enum rc place_scan(const struct place *place, struct str notes_folder, bool cur, found_fn *fn,
                   void *ctx, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct scan s = { .path = place_new(place, &mem), .fn = fn, .ctx = ctx };
    s.sizes = sizes_new(notes_folder);
    enum rc rc = scan_folder(&s, e);
    s.path = place_cur(place, &mem);
    s.in_cur = true;
    if (rc == RC_OK && cur && s.path != NULL)
        rc = scan_folder(&s, e);
    sizes_free(&s.sizes, rc == RC_OK && (cur || s.path == NULL));
    arena_release(&s.tmp);
    return rc;
}

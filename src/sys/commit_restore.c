/*
 * commit_restore.c - recovery of one put or one removal; commit_recover.c decides which count.
 *
 * What a missing file means:
 * - In another life (power cut, machine or file system started again) the kernel may have lost
 *   anything that wasn't synced: it is written again from the record, and so is a file that is
 *   short or different. A message counts as there under its name in new/ or in cur/ with any
 *   flags.
 * - In the same life (only processes died) the kernel lost nothing. If the tmp name still holds
 *   the whole content the process died before the rename: it is done now. Otherwise the file
 *   had its name and somebody took it away since, a user or another program (our own removals
 *   have records): it isn't brought back.
 * - In a segment whose checkpoint failed (SUSPECT) what the kernel shows may not be on the
 * disk: a file that is there is written anew.
 */
#include "sys/commit_int.h"
#include "sys/file.h"

enum rc recover_note_place(struct recovery *r, const char *path, struct err *e)
{
    struct stat st;
    size_t slash = str_rfind(str_from_c(path), '/');
    const char *folder = slash == SIZE_MAX ? "." : arena_c(&r->mem, str_from(path, slash));
    if (io_stat(folder, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR ? RC_OK : err_sys(e, "stat %s", folder);
    for (size_t i = 0; i < r->place_count; i++)
        if (r->devices[i] == st.st_dev)
            return RC_OK;
    if (r->place_count == COMMIT_FILE_SYSTEMS)
        return err_temp(e, "4.3.0", "too many file systems");
    int fd = io_open(folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return err_sys(e, "open folder %s", folder);
    r->devices[r->place_count] = st.st_dev;
    r->places[r->place_count++] = fd;
    return RC_OK;
}

/* --- where is it? ------------------------------------------------------------------------ */

/* Marks all names that the folder has. */
static void scan_folder(struct recovery *r, struct str mailbox, const char *sub)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    struct str path = arena_printf(&r->mem, "%.*s/%s", STR_ARG(mailbox), sub);
    if (folder_open(path.p, &f, NULL) != RC_OK)
        return;
    while (folder_next(f, &name, &type)) {
        struct str whole = arena_printf(&mem, "%s/%.*s", path.p, STR_ARG(name));
        struct recover_name *known = map_get(&r->names, commit_key(whole, &mem));
        if (known != NULL)
            known->found = arena_c(&r->mem, whole);
        arena_reset(&mem);
    }
    folder_close(&f);
}

/* Looks where the item's file stands: under `path`, else, in a Maildir, by reading its folders
 * (once for all names). */
static void find(struct recovery *r, const struct recover_item *item, struct recover_name *name)
{
    struct stat st;
    size_t at = str_find_str(item->key, STR("//"));
    if (name->found != NULL && io_lstat(name->found, &st) == 0)
        return;
    name->found = io_lstat(item->path, &st) == 0 ? item->path : NULL;
    if (name->found != NULL || at == SIZE_MAX)
        return;
    struct str mailbox = str_head(item->key, at);
    if (map_put(&r->scanned, arena_str(&r->mem, mailbox), r) != NULL)
        return;
    scan_folder(r, mailbox, "new");
    scan_folder(r, mailbox, "cur");
}

/* --- puts -------------------------------------------------------------------------------- */

static enum rc read_content(const struct recovery *r, const struct recover_item *item,
                            struct buf *out, struct err *e)
{
    const struct segment *s = &r->segments[item->segment];
    if (buf_reserve(out, (size_t)item->size) != RC_OK)
        return err_temp(e, "4.3.0", "no memory for %s", item->path);
    ssize_t n = io_pread(s->fd, out->p, (size_t)item->size, item->content_at);
    if (n != (ssize_t)item->size)
        return err_sys(e, "read %s", s->path);
    out->n = (size_t)n;
    return RC_OK;
}

static bool file_holds(const char *path, struct str content)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str text;
    return file_read(path, content.n, &mem, &text, NULL, NULL) == RC_OK &&
           str_eq(text, content);
}

/*
 * The folders of a mailbox, or of the queue, that a power cut took: two levels for ".../new"
 * and
 * ".../tmp", one for others. What is above is an account's folder; if that is gone the account
 * was removed.
 */
static void make_folders(const char *path)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str folder = str_head(str_from_c(path), str_rfind(str_from_c(path), '/'));
    size_t slash = str_rfind(folder, '/');
    if (folder.n == strlen(path))
        return;
    if (slash != SIZE_MAX && (str_ends(folder, STR("/new")) || str_ends(folder, STR("/cur")) ||
                              str_ends(folder, STR("/tmp"))))
        (void)io_mkdir(arena_c(&mem, str_head(folder, slash)), 0700);
    (void)io_mkdir(arena_c(&mem, folder), 0700);
}

static enum rc write_tmp(const char *tmp, struct str content, struct err *e)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    /* Not truncated but new: after a power cut it may be another name of the final file. */
    if (io_unlink(tmp) < 0 && errno != ENOENT && errno != ENOTDIR)
        return err_sys(e, "remove %s", tmp);
    int fd AUTO_CLOSE = io_open(tmp, flags, 0600);
    if (fd < 0 && errno == ENOENT) {
        make_folders(tmp);
        fd = io_open(tmp, flags, 0600);
    }
    if (fd < 0)
        return err_sys(e, "make %s", tmp);
    struct iovec part = { .iov_len = content.n };
    memcpy(&part.iov_base, &content.p, sizeof(content.p));
    return io_write_all(fd, &part, 1, e);
}

/* To whom the folder belongs the file shall belong, too; only root needs to and can. */
static void give_to_owner(const char *tmp, const char *final)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    size_t slash = str_rfind(str_from_c(final), '/');
    const char *folder = slash == SIZE_MAX ? "." : arena_c(&mem, str_from(final, slash));
    if (geteuid() == 0 && io_stat(folder, &st) == 0 && st.st_uid != 0)
        (void)!lchown(tmp, st.st_uid, st.st_gid);
}

/* Not synced here: all is, before the logs are emptied. */
static enum rc write_again(struct recovery *r, const struct recover_item *item,
                           struct recover_name *name, struct str content, struct err *e)
{
    const char *final = name->found != NULL ? name->found : item->path;
    enum rc rc = write_tmp(item->tmp, content, e);
    if (rc != RC_OK && e->sys == ENOENT) {
        log_warn(EV("mailbox of a message is gone"), KV("path", final));
        r->report.taken++;
        return RC_OK;
    }
    if (rc != RC_OK)
        return err_wrap(e, "restore %s", final);
    give_to_owner(item->tmp, final);
    if (io_rename(item->tmp, final) < 0) {
        make_folders(final);
        if (io_rename(item->tmp, final) < 0)
            return err_sys(e, "restore %s", final);
    }
    name->found = final;
    r->report.restored++;
    return RC_OK;
}

/* The same life: at most the rename is missing. */
static enum rc finish_put(struct recovery *r, const struct recover_item *item,
                          struct recover_name *name, struct str content, struct err *e)
{
    if (name->found != NULL) {
        r->report.already_there++;
    } else if (!file_holds(item->tmp, content)) {
        name->taken = true; /* renamed, then removed by another role */
        r->report.taken++;
    } else if (io_rename(item->tmp, item->path) < 0) {
        return err_sys(e, "restore %s", item->path);
    } else {
        name->found = item->path;
        r->report.restored++;
    }
    return RC_OK;
}

enum rc recover_put(struct recovery *r, const struct recover_item *item, struct err *e)
{
    struct buf content AUTO_RELEASE_BUF;
    const struct segment *s = &r->segments[item->segment];
    struct recover_name *name = recover_name(r, item->key);
    bool suspect = (s->head.flags & SEGMENT_SUSPECT) != 0;
    bool same_life = strcmp(s->head.life, r->life) == 0;
    buf_init(&content, (size_t)COMMIT_SEGMENT_LIMIT);
    find(r, item, name);
    enum rc rc = recover_note_place(r, item->path, e);
    if (rc != RC_OK || item->kind == RECORD_TAG)
        return rc;
    rc = read_content(r, item, &content, e);
    if (rc != RC_OK)
        return rc;
    if (same_life && (name->found == NULL || !suspect))
        return finish_put(r, item, name, buf_str(&content), e);
    if (suspect || name->found == NULL || !file_holds(name->found, buf_str(&content)))
        rc = write_again(r, item, name, buf_str(&content), e);
    else
        r->report.already_there++;
    (void)io_unlink(item->tmp); /* a rename may have come back by half */
    return rc == RC_OK ? recover_note_place(r, item->path, e) : rc;
}

/* --- removals ---------------------------------------------------------------------------- */

/* Did the file come to its name after it was removed? (A delivery of the same name was tried
 * again, and its put is no longer in a log.) */
static bool is_newer(const char *path, int64_t wall)
{
    struct stat st;
    return io_lstat(path, &st) == 0 &&
           (int64_t)st.st_ctim.tv_sec * USEC_S + st.st_ctim.tv_nsec / 1000 > wall;
}

static enum rc remove_leftover(struct recovery *r, const char *path, int64_t wall,
                               struct err *e)
{
    if (is_newer(path, wall))
        return RC_OK;
    if (io_unlink(path) == 0)
        r->report.removed++;
    else if (errno != ENOENT && errno != ENOTDIR)
        return err_sys(e, "remove %s", path);
    return RC_OK;
}

enum rc recover_removal(struct recovery *r, const struct recover_item *item, struct err *e)
{
    struct recover_name *name = recover_name(r, item->key);
    const struct segment *s = &r->segments[item->segment];
    enum rc rc = recover_note_place(r, item->path, e);
    if (rc == RC_OK)
        rc = remove_leftover(r, item->path, item->wall, e);
    /* In another life it may be back under the name it had before a reader's last change. */
    if (rc != RC_OK || strcmp(s->head.life, r->life) == 0)
        return rc;
    find(r, item, name);
    return name->found == NULL ? RC_OK : remove_leftover(r, name->found, item->wall, e);
}

/*
 * make.c - a snapshot of the MailRoot while roles work on it. It grows as DIR/.partial and gets
 * its name when all of it is synced; what a killed run left is removed by the next. Nothing of
 * the MailRoot is changed.
 *
 * What counts is the order: the server's own tables under their lock, the queue, then
 * mailboxes, new/ before cur/; in the queue an entry's journal before the entry.
 */
#include "backup/backup_int.h"
#include "conf/tab.h"
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#define PARTIAL ".partial"
#define FLUSH_BYTES ((size_t)1 << 20)
#define PASSES_MAX 4u /* over a folder in which names change */
#define RACY_NS INT64_C(2000000000)
#define SNAPSHOT_NAME_N 18u /* 2026-11-27T022300Z */

struct making {
    const struct backup_request *r;
    const struct backup_sink *sink;
    struct backup_report *out;
    struct arena mem;
    const char *partial; /* DIR/.partial */
    const char *former;  /* DIR/SNAPSHOT before this one; NULL: none */
    int64_t former_ns;   /* when it was begun */
    struct manifest old;
    struct buf text; /* of the manifest, not yet written */
    int manifest_fd;
    uint64_t folders;
};

/* --- what is left out -------------------------------------------------------------------- */

/* Of use to running processes only, or made anew from the rest. */
static bool is_left_out(const struct making *m, struct str path)
{
    static const char *const paths[] = { "hikyaku/commit",     "hikyaku/board",  "hikyaku/lock",
                                         "hikyaku/run",        "pop3locks",      "queue/tmp",
                                         "hikyaku/history",    "hikyaku/backup", ".backup",
                                         "hikyaku/filtertest", ".filtertest" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (str_eq(path, str_from_c(paths[i])))
            return true;
    return str_ends(path, STR("/tables.lock")) || str_ends(path, STR(".body")) ||
           str_find_str(path, STR(".tab.tmp-")) != SIZE_MAX ||
           (str_eq(path, STR("logs")) && !m->r->logs);
}

/* --- the manifest ------------------------------------------------------------------------ */

static enum rc flush(struct making *m, struct err *e)
{
    struct iovec part = { m->text.p, m->text.n };
    enum rc rc = m->text.n == 0 ? RC_OK : io_write_all(m->manifest_fd, &part, 1, e);
    buf_reset(&m->text);
    return rc;
}

static enum rc note_file(struct making *m, const struct manifest_file *f, struct err *e)
{
    if (manifest_print_file(f, &m->text) != RC_OK)
        return err_temp(e, "4.3.1", "out of memory");
    m->out->files++;
    m->out->octets += f->size;
    if (m->sink->progress != NULL)
        m->sink->progress(m->sink->ctx, m->out->files, m->out->octets);
    return m->text.n > FLUSH_BYTES ? flush(m, e) : RC_OK;
}

/* --- one file ---------------------------------------------------------------------------- */

/* The files of the snapshot before, as they are asked for: by name, messages by base. */
struct former {
    struct map files; /* struct manifest_file */
    struct map at;    /* by the same key: the folder */
};

static void add_former(const struct making *m, struct str path, bool messages, struct arena *a,
                       struct former *out)
{
    struct manifest_file f;
    const struct manifest_folder *folder =
        m->former == NULL ? NULL : map_get(&m->old.by_path, path);
    if (folder == NULL)
        return;
    for (struct str lines = folder->lines; manifest_next(&lines, a, &f);) {
        struct manifest_file *kept = arena_new(a, sizeof(*kept));
        struct str *where = arena_new(a, sizeof(*where));
        *kept = f;
        *where = folder->path;
        struct str key = messages ? message_base(kept->name) : kept->name;
        (void)map_put(&out->files, key, kept);
        (void)map_put(&out->at, key, where);
    }
}

/* Those of new/ and cur/ count for both. */
static void former_open(const struct making *m, struct str path, struct arena *a,
                        struct former *out)
{
    *out = (struct former){ .files = { .fold = false } };
    bool messages = path_is_messages(path);
    if (messages) {
        struct str maildir = str_head(path, path.n - 3);
        add_former(m, arena_printf(a, "%.*snew", STR_ARG(maildir)), true, a, out);
        add_former(m, arena_printf(a, "%.*scur", STR_ARG(maildir)), true, a, out);
    } else {
        add_former(m, path, false, a, out);
    }
}

static void former_release(struct former *f)
{
    map_release(&f->files);
    map_release(&f->at);
}

static int64_t nanoseconds(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Linked to the snapshot before, when it is unchanged since. A message never changes; another
 * file written while that snapshot was made may have. */
static bool link_former(const struct making *m, const struct former *former, bool messages,
                        const char *to, const struct stat *st, struct manifest_file *f)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str key = messages ? message_base(f->name) : f->name;
    const struct manifest_file *old = map_get(&former->files, key);
    const struct str *where = map_get(&former->at, key);
    if (old == NULL || old->size != f->size || old->mtime_ns != f->mtime_ns ||
        old->mode != (st->st_mode & 07777) ||
        (!messages && f->mtime_ns > m->former_ns - RACY_NS))
        return false;
    const char *from = arena_printf(&a, "%s/MailRoot/%.*s/%.*s", m->former, STR_ARG(*where),
                                    STR_ARG(old->name))
                           .p;
    if (io_link(from, to) < 0)
        return false;
    memcpy(f->sum, old->sum, sizeof(f->sum));
    return true;
}

static int open_source(const struct making *m, const char *path)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    return m->r->careful ? io_open_beneath(path, flags, 0) : io_open(path, flags, 0);
}

/* PATH/NAME into the snapshot, without a line in the manifest. RC_GONE: it isn't there (any
 * more); *f is filled else. */
static enum rc take(struct making *m, const struct former *former, struct str path,
                    struct str name, struct manifest_file *f, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    const char *slash = path.n == 0 ? "" : "/";
    const char *from = arena_printf(&a, "%.*s%s%.*s", STR_ARG(path), slash, STR_ARG(name)).p;
    const char *to = arena_printf(&a, "%s/MailRoot/%s", m->partial, from).p;
    *f = (struct manifest_file){ .name = name };
    if (io_lstat(from, &st) < 0)
        return errno == ENOENT ? RC_GONE : err_sys(e, "look at %s", from);
    f->mode = st.st_mode & 07777;
    f->size = (uint64_t)st.st_size;
    f->mtime_ns = nanoseconds(st.st_mtim);
    if (link_former(m, former, path_is_messages(path), to, &st, f))
        return RC_OK;
    int fd AUTO_CLOSE = open_source(m, from);
    if (fd < 0 || io_fstat(fd, &st) < 0)
        return errno == ENOENT ? RC_GONE : err_sys(e, "open %s", from);
    f->mtime_ns = nanoseconds(st.st_mtim);
    enum rc rc = copy_file(fd, to, &st, f->sum, &f->size, e);
    m->out->read_files += rc == RC_OK;
    m->out->read_octets += rc == RC_OK ? f->size : 0;
    return rc == RC_OK ? rc : err_wrap(e, "%s", from);
}

static enum rc take_and_note(struct making *m, const struct former *former, struct str path,
                             struct str name, struct err *e)
{
    struct manifest_file f;
    enum rc rc = take(m, former, path, name, &f, e);
    return rc == RC_OK ? note_file(m, &f, e) : rc;
}

/* --- folders ----------------------------------------------------------------------------- */

struct listing {
    struct str *files, *folders;
    size_t file_count, folder_count;
};

static int compare(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static bool is_folder(const struct making *m, const char *path, unsigned char type)
{
    struct stat st;
    if (type == DT_DIR)
        return true;
    /* A domain, or an account, on another disk may be a link; deeper ones could go round. */
    size_t depth = 0;
    for (const char *p = path; *p != '\0'; p++)
        depth += *p == '/';
    return type == DT_LNK && !m->r->careful && depth <= 2 &&
           str_starts(str_from_c(path), STR("domains/")) && io_stat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

static enum rc list(struct making *m, struct str path, struct arena *a, struct listing *out,
                    struct err *e)
{
    struct buf files AUTO_RELEASE_BUF, folders AUTO_RELEASE_BUF;
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    buf_init(&files, (size_t)1 << 32);
    buf_init(&folders, (size_t)1 << 32);
    enum rc rc = folder_open(path.n == 0 ? "." : arena_c(a, path), &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        struct str kept = arena_str(a, name);
        struct str below =
            path.n == 0 ? kept : arena_printf(a, "%.*s/%.*s", STR_ARG(path), STR_ARG(name));
        if (is_left_out(m, below))
            continue;
        if (is_folder(m, below.p, type))
            rc = buf_add(&folders, &kept, sizeof(kept));
        else if (type == DT_REG)
            rc = buf_add(&files, &kept, sizeof(kept));
        else
            m->out->skipped++;
    }
    folder_close(&f);
    *out = (struct listing){ .file_count = files.n / sizeof(struct str),
                             .folder_count = folders.n / sizeof(struct str) };
    out->files = arena_new_array(a, struct str, out->file_count + 1);
    out->folders = arena_new_array(a, struct str, out->folder_count + 1);
    memcpy(out->files, files.p, files.n);
    memcpy(out->folders, folders.p, folders.n);
    qsort(out->files, out->file_count, sizeof(struct str), compare);
    qsort(out->folders, out->folder_count, sizeof(struct str), compare);
    return rc;
}

/* A mailbox's folder, whose names change meanwhile: again until a look finds nothing new. */
static enum rc take_messages(struct making *m, struct str path, struct map *seen,
                             struct arena *a, struct err *e)
{
    struct former former;
    enum rc rc = RC_OK;
    former_open(m, path, a, &former);
    for (unsigned pass = 0; rc == RC_OK && pass < PASSES_MAX; pass++) {
        struct listing l = { .file_count = 0 };
        size_t fresh = 0;
        rc = list(m, path, a, &l, e);
        for (size_t i = 0; rc == RC_OK && i < l.file_count; i++) {
            struct str base = message_base(l.files[i]);
            if (map_get(seen, base) != NULL)
                continue;
            rc = take_and_note(m, &former, path, l.files[i], e);
            fresh++;
            if (rc == RC_OK)
                (void)map_put(seen, base, seen);
            else if (rc == RC_GONE)
                rc = RC_OK;
        }
        if (fresh == 0)
            break;
    }
    former_release(&former);
    return rc;
}

/* Entries of the queue, each with its journal as it was before. */
static enum rc take_entries(struct making *m, struct str path, const struct listing *l,
                            struct arena *a, struct err *e)
{
    struct former former;
    enum rc rc = RC_OK;
    former_open(m, path, a, &former);
    for (size_t i = 0; rc == RC_OK && i < l->file_count; i++) {
        struct manifest_file entry, journal;
        if (str_find(l->files[i], '.') != SIZE_MAX)
            continue;
        struct str name = arena_printf(a, "%.*s.journal", STR_ARG(l->files[i]));
        enum rc has_journal = take(m, &former, path, name, &journal, e);
        if (has_journal != RC_OK && has_journal != RC_GONE)
            rc = has_journal;
        else
            rc = take(m, &former, path, l->files[i], &entry, e);
        if (rc == RC_OK)
            rc = note_file(m, &entry, e);
        if (rc == RC_OK && has_journal == RC_OK)
            rc = note_file(m, &journal, e);
        if (rc == RC_GONE) { /* finished meanwhile */
            (void)io_unlink(
                arena_printf(a, "%s/MailRoot/%.*s/%s", m->partial, STR_ARG(path), name.p).p);
            rc = RC_OK;
        }
    }
    former_release(&former);
    return rc;
}

static enum rc begin_folder(struct making *m, struct str path, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    const char *to = arena_printf(&a, "%s/MailRoot/%.*s", m->partial, STR_ARG(path)).p;
    if (io_stat(path.n == 0 ? "." : arena_c(&a, path), &st) < 0)
        return errno == ENOENT ? RC_GONE : err_sys(e, "look at %.*s", STR_ARG(path));
    if (io_mkdir(to, 0700) < 0)
        return err_sys(e, "make %s", to);
    int fd AUTO_CLOSE = io_open(to, O_RDONLY | O_DIRECTORY, 0);
    st.st_mode |= 0700; /* so that the owner can use the copy */
    if (fd < 0 || io_set_like(fd, &st) < 0)
        return err_sys(e, "set the mode of %s", to);
    m->folders++;
    return manifest_print_folder(path, st.st_mode & 07777, &m->text) == RC_OK
               ? RC_OK
               : err_temp(e, "4.3.1", "out of memory");
}

static enum rc take_files(struct making *m, struct str path, const struct listing *l,
                          struct arena *a, struct err *e)
{
    struct former former;
    enum rc rc = RC_OK;
    former_open(m, path, a, &former);
    for (size_t i = 0; rc == RC_OK && i < l->file_count; i++) {
        rc = take_and_note(m, &former, path, l->files[i], e);
        rc = rc == RC_GONE ? RC_OK : rc;
    }
    former_release(&former);
    return rc;
}

static bool is_queue(struct str path)
{
    return str_starts(path, STR("queue/")) && str_rfind(path, '/') == 5;
}

/* The folder with all that is below it. RC_OK also when it is gone. */
static enum rc take_folder(struct making *m, struct str path, struct err *e);

static enum rc take_maildir(struct making *m, struct str path, const struct listing *l,
                            struct arena *a, struct err *e)
{
    static const char *const names[] = { "new", "cur" };
    struct map seen = { .fold = false };
    enum rc rc = RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(names) && rc == RC_OK; i++) {
        struct str below = arena_printf(a, "%.*s/%s", STR_ARG(path), names[i]);
        rc = begin_folder(m, below, e);
        if (rc == RC_OK)
            rc = take_messages(m, below, &seen, a, e);
        rc = rc == RC_GONE ? RC_OK : rc;
    }
    map_release(&seen);
    for (size_t i = 0; rc == RC_OK && i < l->folder_count; i++) {
        struct str below = arena_printf(a, "%.*s/%.*s", STR_ARG(path), STR_ARG(l->folders[i]));
        if (str_eq(l->folders[i], STR("tmp")))
            rc = begin_folder(m, below, e);
        else if (!path_is_messages(below))
            rc = take_folder(m, below, e);
    }
    return rc;
}

static bool is_maildir(const struct listing *l)
{
    bool has_new = false, has_cur = false;
    for (size_t i = 0; i < l->folder_count; i++) {
        has_new = has_new || str_eq(l->folders[i], STR("new"));
        has_cur = has_cur || str_eq(l->folders[i], STR("cur"));
    }
    return has_new && has_cur;
}

static enum rc take_below(struct making *m, struct str path, const struct listing *l,
                          struct arena *a, struct err *e)
{
    enum rc rc = RC_OK;
    for (unsigned round = 0; round < 2; round++)
        for (size_t i = 0; rc == RC_OK && i < l->folder_count; i++) {
            bool first = path.n > 0 || str_eq(l->folders[i], STR("queue"));
            struct str below = path.n == 0 ? l->folders[i]
                                           : arena_printf(a, "%.*s/%.*s", STR_ARG(path),
                                                          STR_ARG(l->folders[i]));
            if (first == (round == 0))
                rc = take_folder(m, below, e);
        }
    return rc;
}

static enum rc take_folder(struct making *m, struct str path, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct listing l;
    int lock AUTO_CLOSE = -1;
    enum rc rc = begin_folder(m, path, e);
    if (rc == RC_OK && path.n == 0)
        rc = tab_lock(&lock, e);
    if (rc == RC_OK)
        rc = list(m, path, &a, &l, e);
    if (rc == RC_OK)
        rc = is_queue(path) ? take_entries(m, path, &l, &a, e) : take_files(m, path, &l, &a, e);
    io_close_at(&lock);
    if (rc == RC_OK)
        rc = str_find_str(path, STR("/Maildir")) != SIZE_MAX && is_maildir(&l)
                 ? take_maildir(m, path, &l, &a, e)
                 : take_below(m, path, &l, &a, e);
    return rc == RC_GONE ? RC_OK : rc;
}

/* --- snapshots in DIR -------------------------------------------------------------------- */

static bool is_snapshot_name(struct str name)
{
    return name.n >= SNAPSHOT_NAME_N && name.p[4] == '-' && name.p[10] == 'T' &&
           name.p[17] == 'Z' && ascii_is_digit(name.p[0]);
}

enum rc backup_list(const char *dir, struct arena *a, struct str **out, size_t *out_count,
                    struct err *e)
{
    struct buf names AUTO_RELEASE_BUF;
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    buf_init(&names, (size_t)1 << 24);
    enum rc rc = folder_open(dir, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        struct str kept = arena_str(a, name);
        if (type == DT_DIR && is_snapshot_name(name))
            rc = buf_add(&names, &kept, sizeof(kept));
    }
    folder_close(&f);
    *out_count = names.n / sizeof(struct str);
    *out = arena_new_array(a, struct str, *out_count + 1);
    memcpy(*out, names.p, names.n);
    qsort(*out, *out_count, sizeof(struct str), compare);
    return rc;
}

enum rc backup_check_outside(const char *dir, struct err *e)
{
    char real[PATH_MAX], root[PATH_MAX];
    if (realpath(".", root) == NULL || realpath(dir, real) == NULL)
        return err_sys(e, "look at %s", dir);
    size_t n = strlen(root);
    if (strncmp(real, root, n) == 0 && (real[n] == '/' || real[n] == '\0'))
        return err_perm(e, "5.3.0", "%s lies in the MailRoot", dir);
    return RC_OK;
}

/* The newest snapshot whose manifest can be read is what unchanged files are linked to. */
static enum rc open_former(struct making *m, struct err *e)
{
    struct str *names = NULL;
    struct stat st;
    size_t count = 0;
    enum rc rc = backup_list(m->r->dir, &m->mem, &names, &count, e);
    if (rc != RC_OK)
        return rc;
    while (count-- > 0) {
        const char *path = arena_printf(&m->mem, "%s/%.*s", m->r->dir, STR_ARG(names[count])).p;
        struct err why;
        if (manifest_read(path, &m->mem, &m->old, &why) == RC_OK && io_stat(path, &st) == 0) {
            m->former = path;
            /* The folder's own time is that of its first moment: open_partial sees to it. */
            m->former_ns = nanoseconds(st.st_mtim);
            break;
        }
        m->sink->say(m->sink->ctx, names[count], str_from_c(why.text));
    }
    return RC_OK;
}

static enum rc open_partial(struct making *m, struct err *e)
{
    enum rc rc = folder_remove(m->partial, e);
    if (rc == RC_OK)
        rc = folder_make(m->partial, 0700, e);
    const char *path = arena_printf(&m->mem, "%s/manifest", m->partial).p;
    if (rc == RC_OK) {
        m->manifest_fd = io_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        rc = m->manifest_fd < 0 ? err_sys(e, "make %s", path) : RC_OK;
    }
    return rc == RC_OK && manifest_print_head(&m->text) != RC_OK
               ? err_temp(e, "4.3.1", "out of memory")
               : rc;
}

/* "2026-11-27T022300Z", with "-2" when there is one of that second. */
static struct str fresh_name(const struct making *m, usec_t begun, struct arena *a)
{
    char text[32];
    struct tm tm;
    time_t seconds = (time_t)(begun / USEC_S);
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(text, sizeof(text), "%Y-%m-%dT%H%M%SZ", &tm);
    struct str name = arena_printf(a, "%s", text);
    for (unsigned i = 2; folder_exists(arena_printf(a, "%s/%s", m->r->dir, name.p).p); i++)
        name = arena_printf(a, "%s-%u", text, i);
    return name;
}

/* All of it is durable, then it has its name. */
static enum rc finish(struct making *m, usec_t begun, struct arena *a, struct err *e)
{
    struct stat st = { .st_mode = 0700, .st_uid = geteuid(), .st_gid = getegid() };
    st.st_mtim.tv_sec = (time_t)(begun / USEC_S);
    if (manifest_print_end(m->folders, m->out->files, &m->text) != RC_OK)
        return err_temp(e, "4.3.1", "out of memory");
    enum rc rc = flush(m, e);
    int fd AUTO_CLOSE = rc == RC_OK ? io_open(m->partial, O_RDONLY | O_DIRECTORY, 0) : -1;
    if (rc == RC_OK && (fd < 0 || io_set_like(fd, &st) < 0 || io_syncfs(fd) < 0))
        rc = err_sys(e, "sync %s", m->partial);
    if (rc != RC_OK)
        return rc;
    m->out->snapshot = fresh_name(m, begun, a);
    const char *to = arena_printf(&m->mem, "%s/%s", m->r->dir, m->out->snapshot.p).p;
    if (io_rename(m->partial, to) < 0)
        return err_sys(e, "rename %s", m->partial);
    return folder_sync(m->r->dir, e);
}

static enum rc prune(struct making *m, struct err *e)
{
    struct str *names = NULL;
    size_t count = 0;
    enum rc rc = backup_list(m->r->dir, &m->mem, &names, &count, e);
    for (size_t i = 0; rc == RC_OK && m->r->keep > 0 && i + m->r->keep < count; i++) {
        const char *old = arena_printf(&m->mem, "%s/%.*s", m->r->dir, STR_ARG(names[i])).p;
        /* First its name: what is half removed must not look whole. */
        if (io_rename(old, m->partial) < 0)
            return err_sys(e, "remove %s", old);
        rc = folder_remove(m->partial, e);
        m->out->pruned += rc == RC_OK;
    }
    return rc;
}

enum rc backup_make(const struct backup_request *r, const struct backup_sink *sink,
                    struct arena *a, struct backup_report *out, struct err *e)
{
    struct making m = { .r = r, .sink = sink, .out = out, .manifest_fd = -1 };
    usec_t begun = clock_wall();
    int lock AUTO_CLOSE = -1;
    *out = (struct backup_report){ .snapshot = STR("") };
    m.partial = arena_printf(&m.mem, "%s/" PARTIAL, r->dir).p;
    buf_init(&m.text, FLUSH_BYTES * 4);
    enum rc rc = folder_make(r->dir, 0700, e);
    if (rc == RC_OK)
        rc = backup_check_outside(r->dir, e);
    if (rc == RC_OK)
        rc = file_lock(arena_printf(&m.mem, "%s/.lock", r->dir).p, false, &lock, e);
    if (rc == RC_OK)
        rc = open_former(&m, e);
    if (rc == RC_OK)
        rc = open_partial(&m, e);
    if (rc == RC_OK)
        rc = take_folder(&m, STR(""), e);
    if (rc == RC_OK)
        rc = finish(&m, begun, a, e);
    if (rc == RC_OK)
        rc = prune(&m, e);
    else if (lock >= 0)
        (void)!folder_remove(m.partial, NULL);
    io_close_at(&m.manifest_fd);
    buf_release(&m.text);
    manifest_release(&m.old);
    arena_release(&m.mem);
    return rc;
}

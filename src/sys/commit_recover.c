/*
 * commit_recover.c - after a crash: makes the folders what the commit logs say. Runs before any
 * role, alone, and may itself be interrupted and repeated at any point: logs are emptied last.
 *
 * If only processes died (the boot id is the same) the kernel still had every rename, which
 * comes before its record: a file that is missing was taken away by its reader since, and is
 * not brought back. After another boot a file that is missing, short or different is written
 * again from its record, unless a removal is recorded in any log, or the name stands in cur/ (a
 * reader moved it).
 */
#include "sys/commit_int.h"
#include "sys/file.h"

#define SEGMENT_READ_MAX ((size_t)64 << 20)

struct recovery {
    struct arena mem;
    struct map removed;  /* paths of all removals */
    struct map folders;  /* of all records' files */
    struct map listings; /* struct map * of names by folder */
    struct commit_report report;
    const char *boot_id;
    commit_tag_fn *on_tag;
    void *ctx;
};

/* One segment file with its text. */
struct loaded {
    struct str path, text;
    struct segment_header head;
    bool valid;
};

static enum rc load(struct recovery *r, struct str name, struct loaded *out, struct err *e)
{
    struct str path = arena_printf(&r->mem, COMMIT_FOLDER "/%.*s", STR_ARG(name));
    struct loaded l = { .path = path };
    int fd AUTO_CLOSE = io_open(path.p, O_RDONLY, 0);
    if (fd < 0)
        return err_sys(e, "open %s", path.p);
    l.valid = segment_read_header(fd, &l.head) && l.head.state != SEGMENT_EMPTY;
    if (l.valid) {
        enum rc rc = file_read(path.p, SEGMENT_READ_MAX, &r->mem, &l.text, NULL, e);
        if (rc != RC_OK)
            return rc;
    }
    *out = l;
    return RC_OK;
}

/* Calls fn for each record of the segment. */
typedef enum rc record_fn(struct recovery *r, const struct loaded *l,
                          const struct record_view *v, struct err *e);

static enum rc each_record(struct recovery *r, const struct loaded *l, record_fn *fn,
                           struct err *e)
{
    struct record_view v;
    size_t at = SEGMENT_HEADER_BYTES;
    enum rc rc = RC_OK;
    for (uint64_t n = 0; l->valid && rc == RC_OK && segment_next(l->text, &l->head, n, &at, &v);
         n++)
        rc = fn(r, l, &v, e);
    return rc;
}

static enum rc note_removal(struct recovery *r, const struct loaded *l,
                            const struct record_view *v, struct err *e)
{
    (void)l;
    (void)e;
    size_t slash = str_rfind(v->path, '/');
    struct str folder = slash == SIZE_MAX ? STR(".") : str_head(v->path, slash);
    if (map_get(&r->folders, folder) == NULL)
        (void)map_put(&r->folders, arena_str(&r->mem, folder), r);
    r->report.records++;
    if (v->head.type == RECORD_REMOVE)
        (void)map_put(&r->removed, arena_str(&r->mem, v->path), r);
    return RC_OK;
}

/* --- is the file there?
 * ------------------------------------------------------------------------ */

/* Does the file hold exactly these octets? */
static bool holds(const char *path, struct str bytes)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str text;
    return file_read(path, bytes.n, &mem, &text, NULL, NULL) == RC_OK && str_eq(text, bytes);
}

/* The names in a folder by what stands before ':', read once. */
static struct map *listing(struct recovery *r, struct str folder)
{
    struct map *names = map_get(&r->listings, folder);
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    if (names != NULL)
        return names;
    names = arena_new(&r->mem, sizeof(*names));
    (void)map_put(&r->listings, arena_str(&r->mem, folder), names);
    if (folder_open(arena_c(&r->mem, folder), &f, NULL) != RC_OK)
        return names;
    while (folder_next(f, &name, &type)) {
        char *whole = arena_c(&r->mem, name);
        (void)map_put(names, str_head(str_from_c(whole), str_find(name, ':')), whole);
    }
    folder_close(&f);
    return names;
}

/* Where a Maildir file put into new/ stands now: there, or in cur/ with flags; NULL: nowhere.
 */
static const char *find_file(struct recovery *r, struct str path)
{
    const char *c = arena_c(&r->mem, path);
    size_t slash = str_rfind(path, '/');
    if (file_exists(c))
        return c;
    if (slash == SIZE_MAX || !str_ends(str_head(path, slash), STR("/new")))
        return NULL;
    struct str cur = arena_printf(&r->mem, "%.*s/cur", STR_ARG(str_head(path, slash - 4)));
    struct str base = str_skip(path, slash + 1);
    const char *name = map_get(listing(r, cur), str_head(base, str_find(base, ':')));
    return name == NULL ? NULL : arena_printf(&r->mem, "%s/%s", cur.p, name).p;
}

/* --- redoing
 * ------------------------------------------------------------------------------------ */

static enum rc restore(struct recovery *r, const char *path, struct str bytes, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    size_t slash = str_rfind(str_from_c(path), '/');
    enum rc rc =
        slash == SIZE_MAX ? RC_OK : folder_make(arena_c(&mem, str_from(path, slash)), 0700, e);
    if (rc == RC_OK)
        rc = file_replace(path, bytes, 0600, e);
    r->report.restored++;
    return rc;
}

static enum rc redo_put(struct recovery *r, const struct loaded *l, const struct record_view *v,
                        struct err *e)
{
    const char *path = arena_c(&r->mem, v->path);
    bool removed = map_get(&r->removed, v->path) != NULL;
    bool rebooted = strcmp(l->head.boot_id, r->boot_id) != 0;
    if (!removed && rebooted && v->head.has_bytes && l->head.state == SEGMENT_FULL) {
        const char *at = find_file(r, v->path);
        enum rc rc = RC_OK;
        if (at == NULL || !holds(at, v->bytes))
            rc = restore(r, at == NULL ? path : at, v->bytes, e);
        else
            r->report.already_there++;
        if (rc != RC_OK)
            return rc;
    }
    return v->tag.n > 0 && r->on_tag != NULL ? r->on_tag(r->ctx, v->tag, path, e) : RC_OK;
}

static enum rc redo(struct recovery *r, const struct loaded *l, const struct record_view *v,
                    struct err *e)
{
    if (v->head.type == RECORD_PUT)
        return redo_put(r, l, v, e);
    if (io_unlink(arena_c(&r->mem, v->path)) == 0)
        r->report.removed++;
    else if (errno != ENOENT && errno != ENOTDIR)
        return err_sys(e, "remove %.*s", STR_ARG(v->path));
    return RC_OK;
}

/* Everything durable, then the logs are empty. */
static enum rc empty_logs(struct loaded *logs, size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        int fd AUTO_CLOSE = io_open(logs[i].path.p, O_RDWR, 0);
        if (fd < 0)
            return err_sys(e, "open %s", logs[i].path.p);
        if (!logs[i].valid)
            continue;
        logs[i].head.epoch++;
        logs[i].head.state = SEGMENT_EMPTY;
        enum rc rc = segment_write_header(fd, &logs[i].head, e);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc load_all(struct recovery *r, struct loaded *logs, size_t max, size_t *out_count,
                        struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    *out_count = 0;
    if (!folder_exists(COMMIT_FOLDER))
        return RC_OK;
    enum rc rc = folder_open(COMMIT_FOLDER, &f, e);
    while (rc == RC_OK && *out_count < max && folder_next(f, &name, &type))
        if (str_ends(name, STR(".0")) || str_ends(name, STR(".1")))
            rc = load(r, name, &logs[(*out_count)++], e);
    folder_close(&f);
    return rc;
}

static void recovery_release(struct recovery *r)
{
    struct str key;
    void *names = NULL;
    for (size_t at = 0; map_next(&r->listings, &at, &key, &names);)
        map_release(names);
    map_release(&r->listings);
    map_release(&r->removed);
    map_release(&r->folders);
    arena_release(&r->mem);
}

enum rc commit_recover_as(const char *boot_id, commit_tag_fn *on_tag, void *ctx,
                          struct commit_report *out, struct err *e)
{
    struct recovery r = { .boot_id = boot_id, .on_tag = on_tag, .ctx = ctx };
    struct loaded logs[64];
    size_t count = 0;
    enum rc rc = load_all(&r, logs, ARRAY_LEN(logs), &count, e);
    r.report.logs = count;
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        rc = each_record(&r, &logs[i], note_removal, e);
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        rc = each_record(&r, &logs[i], redo, e);
    if (rc == RC_OK)
        rc = commit_sync_file_systems(&r.folders, e);
    if (rc == RC_OK)
        rc = empty_logs(logs, count, e);
    if (rc == RC_OK && out != NULL)
        *out = r.report;
    recovery_release(&r);
    return rc;
}

enum rc commit_recover(commit_tag_fn *on_tag, void *ctx, struct commit_report *out,
                       struct err *e)
{
    char boot_id[BOOT_ID_BYTES];
    boot_id_read(boot_id);
    return commit_recover_as(boot_id, on_tag, ctx, out, e);
}

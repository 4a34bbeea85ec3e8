/*
 * commit_recover.c - after a crash: makes the folders what the commit logs say. Called by the
 * master before any role runs (all logs), and by a role that is started again (its own).
 *
 * (1) All records of all logs are read. For each name the last event counts, by the stamps: a
 * put, a removal, or an ABORT (the put's caller was told that it failed). (2) Puts that count
 * are brought to their place, removals that count are finished, tags of puts are handed out.
 * (3) Everything is synced. (4) All segments are marked SETTLED: their puts are done with.
 * (5) They are emptied. Between (4) and (5) a removal may be forgotten before the put that it
 * undoes, which SETTLED makes harmless. Cut off at any point, the next run does the same again.
 *
 * A put's tag is handed out when its file is there or was removed by a removal of ours. If
 * neither is so (somebody else took it, or the put had failed and not even its record could be
 * spoiled) delivering a second time is the smaller harm.
 */
#include "sys/commit_int.h"
#include "sys/file.h"

struct recover_name *recover_name(struct recovery *r, struct str key)
{
    struct recover_name *name = map_get(&r->names, key);
    if (name == NULL) {
        name = arena_new(&r->mem, sizeof(*name));
        name->put_at = name->gone_at = -1;
        (void)map_put(&r->names, key, name);
    }
    return name;
}

/* --- reading the logs -------------------------------------------------------------------- */

/* What a scan works on. */
struct reading {
    struct recovery *r;
    size_t segment;
};

/* Relative, and nothing that leads out of the MailRoot. */
static bool path_is_safe(struct str path)
{
    struct str rest = path, part;
    if (path.n == 0 || path.n >= COMMIT_PATH_MAX || path.p[0] == '/' ||
        str_find(path, '\0') != SIZE_MAX)
        return false;
    while (str_cut(&rest, '/', &part))
        if (str_eq(part, STR("..")))
            return false;
    return true;
}

static void add_item(struct recovery *r, const struct recover_item *item)
{
    if (r->count == r->cap) {
        size_t cap = MAX(r->cap * 2, (size_t)256);
        struct recover_item *items = mem_try_resize(r->items, cap * sizeof(*items));
        if (items == NULL)
            BUG("out of memory");
        r->items = items;
        r->cap = cap;
    }
    r->items[r->count++] = *item;
}

static void read_put(const struct reading *reading, const struct record *record)
{
    struct recovery *r = reading->r;
    struct str path = arena_str(&r->mem, record->path);
    struct recover_item item = {
        .kind = record->kind,
        .stamp = record->stamp,
        .wall = record->wall,
        .path = path.p,
        .tmp = arena_c(&r->mem, record->tmp),
        .key = commit_key(path, &r->mem),
        .tag = arena_str(&r->mem, record->tag),
        .size = record->size,
        .content_at = record->content_at,
        .segment = reading->segment,
    };
    struct recover_name *name = recover_name(r, item.key);
    name->put_at = MAX(name->put_at, item.stamp);
    if ((r->segments[reading->segment].head.flags & SEGMENT_SETTLED) == 0)
        add_item(r, &item);
}

static void read_removal(const struct reading *reading, const struct record *record,
                         struct str path)
{
    struct recovery *r = reading->r;
    path = arena_str(&r->mem, path);
    struct recover_item item = {
        .kind = record->kind,
        .stamp = record->stamp,
        .wall = record->wall,
        .path = path.p,
        .key = commit_key(path, &r->mem),
        .segment = reading->segment,
    };
    struct recover_name *name = recover_name(r, item.key);
    if (item.stamp >= name->gone_at) {
        name->gone_at = item.stamp;
        name->aborted = item.kind == RECORD_ABORT;
    }
    add_item(r, &item);
}

static enum rc read_record(void *ctx, const struct record *record, struct str raw,
                           struct err *e)
{
    const struct reading *reading = ctx;
    const char *one = NULL;
    struct str names = record->path;
    (void)raw;
    (void)e;
    reading->r->report.records++;
    if (record->kind == RECORD_PUT || record->kind == RECORD_TAG) {
        if (path_is_safe(record->path) && path_is_safe(record->tmp))
            read_put(reading, record);
        else
            log_error(EV("path in commit log ignored"), KS("path", record->path));
        return RC_OK;
    }
    while (record_next_name(&names, &one))
        if (path_is_safe(str_from_c(one)))
            read_removal(reading, record, str_from_c(one));
    return RC_OK;
}

static enum rc open_logs(struct recovery *r, const struct str *names, size_t count,
                         const struct log_sizes *make, struct err *e)
{
    r->segments = mem_new((2 * count + 1) * sizeof(*r->segments));
    for (size_t i = 0; i < 2 * count; i++) {
        struct segment *s = &r->segments[i];
        enum rc rc = segment_open(names[i / 2].p, i % 2, make, s, e);
        if (rc != RC_OK)
            return rc;
        r->segment_count = i + 1;
        struct reading reading = { .r = r, .segment = i };
        rc = segment_scan(s, read_record, &reading, e);
        if (rc != RC_OK)
            return rc;
    }
    r->report.logs = count;
    return RC_OK;
}

/* --- replaying --------------------------------------------------------------------------- */

static enum rc replay_put(struct recovery *r, const struct recover_item *item,
                          commit_tag_fn *on_tag, void *ctx, struct err *e)
{
    struct recover_name *name = recover_name(r, item->key);
    bool gone = name->gone_at >= item->stamp;
    enum rc rc = RC_OK;
    if (!gone && item->stamp == name->put_at)
        rc = recover_put(r, item, e);
    bool counts = gone ? !name->aborted : name->found != NULL || name->taken;
    if (rc == RC_OK && counts && item->tag.n > 0 && on_tag != NULL)
        rc = on_tag(ctx, item->tag, item->path, e);
    return rc;
}

static enum rc replay(struct recovery *r, commit_tag_fn *on_tag, void *ctx, struct err *e)
{
    static const char *const places[] = { "./", "queue/", "domains/" };
    enum rc rc = RC_OK;
    for (size_t i = 0; rc == RC_OK && i < r->count; i++) {
        const struct recover_item *item = &r->items[i];
        bool is_put = item->kind == RECORD_PUT || item->kind == RECORD_TAG;
        if (is_put)
            rc = replay_put(r, item, on_tag, ctx, e);
        else if (item->stamp >= recover_name(r, item->key)->put_at)
            rc = recover_removal(r, item, e);
    }
    for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(places); i++)
        rc = recover_note_place(r, places[i], e);
    for (size_t i = 0; rc == RC_OK && i < r->place_count; i++)
        if (io_syncfs(r->places[i]) < 0)
            rc = err_sys(e, "sync file system");
    return rc;
}

/* --- emptying ---------------------------------------------------------------------------- */

static enum rc settle(struct recovery *r, struct err *e)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; rc == RC_OK && i < r->segment_count; i++) {
        struct segment *s = &r->segments[i];
        if (s->tail == COMMIT_DATA_AT)
            continue;
        s->head.flags |= SEGMENT_SETTLED;
        rc = segment_write_header(s, e);
    }
    return rc;
}

static enum rc empty_all(struct recovery *r, struct err *e)
{
    enum rc rc = settle(r, e);
    for (size_t i = 0; rc == RC_OK && i < r->segment_count; i++)
        if (r->segments[i].tail > COMMIT_DATA_AT)
            rc = segment_renew(&r->segments[i], NULL, e);
    return rc;
}

/* Collects what other logs still need. */
struct keeping {
    int64_t oldest;
    struct buf raw;
};

static enum rc keep_record(void *ctx, const struct record *record, struct str raw,
                           struct err *e)
{
    struct keeping *k = ctx;
    (void)record;
    return log_keep_removals(raw, k->oldest, &k->raw) == RC_OK
               ? RC_OK
               : err_temp(e, "4.3.0", "no memory for removals");
}

/* One log of two segments: removals that are still needed end up alone in the first. At every
 * moment one of the two has them. */
static enum rc empty_but_removals(struct recovery *r, struct keeping *k, struct err *e)
{
    struct record_list list;
    const struct record_list *lists[] = { &list };
    struct segment *first = &r->segments[0], *second = &r->segments[1];
    enum rc rc = settle(r, e);
    for (size_t i = 0; rc == RC_OK && i < 2; i++)
        rc = segment_scan(&r->segments[i], keep_record, k, e);
    if (rc != RC_OK || k->raw.n == 0)
        return rc == RC_OK ? empty_all(r, e) : rc;
    record_list_init(&list, k->raw.n / sizeof(struct record_head) + 1, 1);
    record_add_raw(&list, buf_str(&k->raw));
    rc = segment_append(second, lists, 1, e);
    if (rc == RC_OK)
        rc = segment_renew(first, NULL, e);
    if (rc == RC_OK)
        rc = segment_append(first, lists, 1, e);
    if (rc == RC_OK)
        rc = segment_renew(second, NULL, e);
    record_list_release(&list);
    return rc;
}

static void release(struct recovery *r)
{
    for (size_t i = 0; i < r->segment_count; i++)
        segment_close(&r->segments[i]);
    for (size_t i = 0; i < r->place_count; i++)
        io_close(r->places[i]);
    mem_free(&r->segments);
    mem_free(&r->items);
    map_release(&r->names);
    map_release(&r->scanned);
    arena_release(&r->mem);
}

/* --- the two ways ------------------------------------------------------------------------ */

enum rc commit_recover_as(const char *life, commit_tag_fn *on_tag, void *ctx,
                          struct commit_report *out, struct err *e)
{
    struct recovery r = { .life = life };
    struct str *names = NULL;
    struct err unused = { .sys = 0 };
    size_t count = 0;
    e = e == NULL ? &unused : e;
    enum rc rc = log_names(&r.mem, &names, &count, e);
    if (rc == RC_OK)
        rc = open_logs(&r, names, count, NULL, e);
    if (rc == RC_OK)
        rc = replay(&r, on_tag, ctx, e);
    if (rc == RC_OK)
        rc = empty_all(&r, e);
    if (out != NULL)
        *out = r.report;
    release(&r);
    return rc;
}

enum rc commit_recover(commit_tag_fn *on_tag, void *ctx, struct commit_report *out,
                       struct err *e)
{
    char life[COMMIT_LIFE_BYTES];
    commit_life(life);
    return commit_recover_as(life, on_tag, ctx, out, e);
}

static enum rc same_life(const struct recovery *r, const char *name, struct err *e)
{
    for (size_t i = 0; i < r->segment_count; i++)
        if (r->segments[i].tail > COMMIT_DATA_AT &&
            strcmp(r->segments[i].head.life, r->life) != 0)
            return err_temp(e, "4.3.0", "the commit log %s must be recovered with all others",
                            name);
    return RC_OK;
}

enum rc commit_recover_log(const char *name, commit_tag_fn *on_tag, void *ctx,
                           struct commit_report *out, struct err *e)
{
    static const struct log_sizes as_they_are = { .first_bytes = 0 };
    char life[COMMIT_LIFE_BYTES];
    struct recovery r = { .life = life };
    struct keeping k = { .oldest = INT64_MAX };
    struct str one = str_from_c(name);
    struct err unused = { .sys = 0 };
    e = e == NULL ? &unused : e;
    commit_life(life);
    buf_init(&k.raw, (size_t)COMMIT_SEGMENT_LIMIT);
    enum rc rc = folder_make(COMMIT_FOLDER, 0700, e);
    if (rc == RC_OK)
        rc = open_logs(&r, &one, 1, &as_they_are, e);
    if (rc == RC_OK)
        rc = same_life(&r, name, e);
    if (rc == RC_OK)
        rc = replay(&r, on_tag, ctx, e);
    if (rc == RC_OK) {
        k.oldest = log_oldest_elsewhere(name);
        rc = empty_but_removals(&r, &k, e);
    }
    if (out != NULL)
        *out = r.report;
    buf_release(&k.raw);
    release(&r);
    return rc;
}

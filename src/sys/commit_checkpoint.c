/*
 * commit_checkpoint.c - opening and closing a log, and the thread that empties its segments.
 *
 * A segment is sealed when it is full (by the leader) or when its first batch is seal_after old
 * (by this thread). Then: (1) wait until the calls whose records it holds have changed their
 * names; (2) syncfs on every file system they touched: all that the segment says is now in the
 * file system; (3) removals that another log's puts could still undo are written once more,
 * into the active segment; (4) a header with a new epoch. Only after (4) is durable is the
 * segment written again. A crash between leaves a segment that is recovered for nothing.
 *
 * A syncfs that fails may have dropped pages for good, and a second one would not tell. So the
 * segment is kept, marked SUSPECT, until the next start, when recovery writes its files anew.
 */
#include "sys/commit_int.h"
#include "sys/file.h"

#define FIRST_BYTES ((uint64_t)4 << 20)
#define MAX_BYTES ((uint64_t)32 << 20)
#define SEAL_AFTER (5 * USEC_S)
#define RETRY_AFTER (1 * USEC_S)

/* --- file systems ------------------------------------------------------------------------ */

static bool is_noted(struct commit *c, dev_t dev)
{
    AUTO_UNLOCK struct lock *held = lock_hold(&c->lock);
    for (size_t i = 0; i < c->file_system_count; i++)
        if (c->file_systems[i].dev == dev)
            return true;
    return false;
}

enum rc commit_note_place(struct commit *c, const char *path, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    size_t slash = str_rfind(str_from_c(path), '/');
    const char *folder = slash == SIZE_MAX ? "." : arena_c(&mem, str_from(path, slash));
    if (io_stat(folder, &st) < 0)
        return err_sys(e, "stat %s", folder);
    if (is_noted(c, st.st_dev))
        return RC_OK;
    /* Kept open: syncfs tells of write errors since then. */
    int fd AUTO_CLOSE = io_open(folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return err_sys(e, "open folder %s", folder);
    AUTO_UNLOCK struct lock *held = lock_hold(&c->lock);
    if (c->file_system_count == COMMIT_FILE_SYSTEMS)
        return err_temp(e, "4.3.0", "too many file systems");
    c->file_systems[c->file_system_count].dev = st.st_dev;
    c->file_systems[c->file_system_count++].fd = fd;
    fd = -1;
    return RC_OK;
}

static enum rc sync_places(struct commit *c, struct err *e)
{
    enum rc rc = RC_OK;
    lock_take(&c->lock);
    size_t count = c->file_system_count; /* entries are only ever added */
    lock_drop(&c->lock);
    for (size_t i = 0; i < count; i++)
        if (io_syncfs(c->file_systems[i].fd) < 0)
            rc = err_sys(e, "sync file system");
    return rc;
}

/* --- emptying ---------------------------------------------------------------------------- */

/* The removals that are still needed go to the active segment. */
static enum rc carry_removals(struct commit *c, struct segment *s, struct err *e)
{
    struct buf raw AUTO_RELEASE_BUF;
    struct request r = { .keeps_names = true, .carried = true };
    buf_init(&raw, COMMIT_SEGMENT_LIMIT);
    if (s->removals.n == 0)
        return RC_OK;
    if (log_keep_removals(buf_str(&s->removals), log_oldest_elsewhere(c->name), &raw) != RC_OK)
        return err_temp(e, "4.3.0", "no memory for a checkpoint");
    if (raw.n == 0)
        return RC_OK;
    record_list_init(&r.records, raw.n / sizeof(struct record_head) + 1, 1);
    record_add_raw(&r.records, buf_str(&raw));
    enum rc rc = commit_append(c, &r, e);
    if (rc == RC_OK)
        commit_finish(c, &r);
    record_list_release(&r.records);
    return rc == RC_AGAIN ? RC_TEMP : rc;
}

/* Steps (2) to (4). RC_PERM: the file system can't be trusted any more. */
static enum rc empty(struct commit *c, struct segment *s, struct err *e)
{
    struct err header;
    if (sync_places(c, e) != RC_OK) {
        s->head.flags |= SEGMENT_SUSPECT;
        if (segment_write_header(s, &header) != RC_OK)
            log_error(EV("commit log can't be marked"), KV("log", s->path), KE(&header));
        return RC_PERM;
    }
    enum rc rc = carry_removals(c, s, e);
    return rc == RC_OK ? segment_renew(s, NULL, e) : RC_TEMP;
}

/* Lock held at entry and exit. Returns when to try again, 0 when done. */
static usec_t checkpoint(struct commit *c, struct segment *s)
{
    struct err e = { .rc = RC_OK };
    while (s->in_flight > 0)
        (void)lock_wait(&c->lock, &c->wake, clock_mono() + RETRY_AFTER);
    lock_drop(&c->lock);
    enum rc rc = empty(c, s, &e);
    if (rc != RC_OK)
        log_error(EV("checkpoint failed"), KV("log", s->path), KE(&e));
    lock_take(&c->lock);
    if (rc == RC_OK) {
        buf_reset(&s->removals);
        s->first_at = 0;
        s->state = SEGMENT_EMPTY;
    }
    s->failed = rc == RC_TEMP;
    s->suspect = rc == RC_PERM;
    (void)pthread_cond_broadcast(&c->space);
    return rc == RC_TEMP ? clock_mono() + RETRY_AFTER : 0;
}

static struct segment *sealed_segment(struct commit *c)
{
    struct segment *s = &c->segments[c->active == &c->segments[0]];
    return s->state == SEGMENT_SEALED && !s->suspect ? s : NULL;
}

/* Seals the active segment when its time has come; returns when to look again. */
static usec_t seal_when_due(struct commit *c)
{
    const struct segment *s = c->active;
    if (s->first_at == 0 && !s->failed)
        return USEC_FOREVER;
    usec_t due = s->failed || c->stopping ? 0 : s->first_at + c->seal_after;
    if (clock_mono() < due)
        return due;
    if (!commit_can_seal(c))
        return clock_mono() + RETRY_AFTER;
    c->seal_wanted = true;
    if (!c->leading)
        commit_seal(c);
    return clock_mono() + RETRY_AFTER;
}

/*
 * At the end both segments are emptied; what is left then are removals that other logs need,
 * carried over once.
 */
void *commit_checkpoint_main(void *commit)
{
    struct commit *c = commit;
    unsigned last_rounds = 0;
    usec_t retry_at = 0;
    lock_take(&c->lock);
    for (;;) {
        usec_t next = seal_when_due(c);
        struct segment *s = sealed_segment(c);
        if (s != NULL && (clock_mono() >= retry_at || c->stopping)) {
            retry_at = checkpoint(c, s);
            last_rounds += c->stopping;
            if (last_rounds < 2)
                continue;
        }
        bool clean = s == NULL && c->active->first_at == 0;
        if (c->stopping && (clean || last_rounds >= 2 || !commit_can_seal(c)))
            break;
        next = s != NULL ? MIN(next, retry_at) : next;
        (void)lock_wait(&c->lock, &c->wake, next);
    }
    lock_drop(&c->lock);
    return NULL;
}

/* --- opening and closing ----------------------------------------------------------------- */

/* What a scan at opening finds. */
struct found {
    struct segment *segment;
    uint64_t puts, tags;
};

static enum rc find_record(void *ctx, const struct record *r, struct str raw, struct err *e)
{
    struct found *f = ctx;
    bool settled = (f->segment->head.flags & SEGMENT_SETTLED) != 0;
    f->puts += settled || r->kind != RECORD_REMOVE;
    f->tags += !settled && r->tag.n > 0;
    if (r->kind == RECORD_REMOVE && buf_add_str(&f->segment->removals, raw) != RC_OK)
        return err_temp(e, "4.3.0", "no memory to read a commit log");
    return RC_OK;
}

/* Opens both segments; only removals that other logs need may be in one of them. */
static enum rc open_segments(struct commit *c, bool *out_unclean, struct err *e)
{
    char life[COMMIT_LIFE_BYTES];
    commit_life(life);
    c->active = NULL;
    *out_unclean = false;
    for (unsigned i = 0; i < 2; i++) {
        struct segment *s = &c->segments[i];
        struct found found = { .segment = s };
        enum rc rc = segment_open(c->name, i, &c->sizes, s, e);
        if (rc == RC_OK)
            rc = segment_scan(s, find_record, &found, e);
        if (rc != RC_OK)
            return rc;
        bool used = s->tail > COMMIT_DATA_AT;
        bool other_life = strcmp(s->head.life, life) != 0;
        if (found.tags > 0 || (used && other_life))
            return err_temp(e, "4.3.0", "the commit log %s must be recovered first", c->name);
        if (found.puts > 0 || (used && c->active != NULL))
            *out_unclean = true;
        if (!used && other_life && segment_renew(s, life, e) != RC_OK)
            return RC_TEMP;
        if (used) {
            c->active = s;
            s->first_at = clock_mono();
        }
    }
    if (c->active == NULL)
        c->active = &c->segments[0];
    c->active->state = SEGMENT_ACTIVE;
    return RC_OK;
}

static void release(struct commit **commit)
{
    struct commit *c = *commit;
    for (size_t i = 0; i < 2; i++)
        segment_close(&c->segments[i]);
    for (size_t i = 0; i < c->file_system_count; i++)
        io_close(c->file_systems[i].fd);
    (void)pthread_cond_destroy(&c->wake);
    (void)pthread_cond_destroy(&c->space);
    mem_free(commit);
}

/* Recovers the log first where a process of this name died with something in it. */
static enum rc open_files(struct commit *c, struct err *e)
{
    static const char *const places[] = { "./", "queue/", "domains/" };
    bool unclean = false;
    enum rc rc = folder_make(COMMIT_FOLDER, 0700, e);
    if (rc == RC_OK)
        rc = open_segments(c, &unclean, e);
    if (rc == RC_OK && unclean) {
        for (size_t i = 0; i < 2; i++)
            segment_close(&c->segments[i]);
        rc = commit_recover_log(c->name, NULL, NULL, NULL, e);
        if (rc == RC_OK)
            rc = open_segments(c, &unclean, e);
        if (rc == RC_OK && unclean)
            rc = err_temp(e, "4.3.0", "the commit log %s can't be recovered", c->name);
    }
    if (rc == RC_OK)
        rc = folder_sync(COMMIT_FOLDER, e);
    for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(places); i++)
        if (folder_exists(places[i]))
            rc = commit_note_place(c, places[i], e);
    return rc;
}

enum rc commit_open_as(const char *name, const struct log_sizes *sizes, usec_t seal_after,
                       struct commit **out, struct err *e)
{
    struct commit *c = mem_new(sizeof(*c));
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    c->sizes = *sizes;
    c->seal_after = seal_after;
    c->last = &c->first;
    c->segments[0].fd = c->segments[1].fd = -1;
    buf_init(&c->segments[0].removals, COMMIT_SEGMENT_LIMIT);
    buf_init(&c->segments[1].removals, COMMIT_SEGMENT_LIMIT);
    lock_init(&c->lock, LOCK_COMMIT);
    lock_cond_init(&c->wake);
    lock_cond_init(&c->space);
    enum rc rc = open_files(c, e);
    if (rc == RC_OK)
        rc = thread_start(commit_checkpoint_main, c, "checkpoint", &c->thread, e);
    if (rc == RC_OK)
        *out = c;
    else
        release(&c);
    return rc;
}

enum rc commit_open(const char *name, struct commit **out, struct err *e)
{
    const struct log_sizes sizes = { .first_bytes = FIRST_BYTES, .max_bytes = MAX_BYTES };
    return commit_open_as(name, &sizes, SEAL_AFTER, out, e);
}

void commit_close(struct commit **commit)
{
    struct commit *c = *commit;
    if (c == NULL)
        return;
    lock_take(&c->lock);
    c->stopping = true;
    (void)pthread_cond_signal(&c->wake);
    lock_drop(&c->lock);
    (void)pthread_join(c->thread, NULL);
    release(commit);
}

/*
 * commit.c - group commit through a redo log. Called by store and spool from any worker.
 *
 * A put renames its file into place, then its record joins the batch being collected. Whoever
 * finds no batch being written becomes the leader: it writes all that has been collected with
 * one write and one sync, and those that arrived meanwhile form the next batch. So a lone put
 * syncs at once, and many share.
 *
 * The checkpoint thread turns to the other segment when there is something in this one for
 * CHECKPOINT_AGE, or when it is full; then syncfs makes everything that the old segment records
 * durable in the file system, and the old segment is empty again. A segment with removals waits
 * until no other log holds an older put that isn't durable yet: that put's replay would bring
 * the file back.
 *
 * When the log can't be written (full disk, I/O error) the batch fails, and puts go the long
 * way (sync the file, then the folder) until a checkpoint has succeeded.
 */
#include "sys/commit_int.h"
#include "sys/file.h"
#include "sys/lock.h"
#include <stdatomic.h>

#define SEGMENT_MAX_BYTES ((uint64_t)32 << 20)
#define GROW_BYTES ((uint64_t)4 << 20)
#define LOGGED_MAX_BYTES ((uint64_t)96 * 1024) /* larger files are synced themselves */
#define CHECKPOINT_AGE (5 * USEC_S)
#define RETRY_AFTER (1 * USEC_S)

struct segment {
    int fd;
    struct segment_header head;
    uint64_t used, allocated; /* octets of the file */
    uint64_t records;
    _Atomic int64_t first_at; /* clock_mono of the first record; 0: empty */
    usec_t last_remove;       /* wall clock of the newest removal; 0: none */
    bool busy;                /* being checkpointed: may not be written */
};

/* One call that waits for its records to be durable. */
struct pending {
    struct pending *next;
    const struct commit_put *puts;
    size_t put_count;
    const char *const *removes;
    size_t remove_count;
    bool done;
    enum rc rc;
    struct err err;
};

struct commit {
    char name[32];
    struct lock lock; /* protects all below, but the leader alone touches the active segment and
                         batch */
    pthread_cond_t changed;
    struct pending *first, **last; /* the batch being collected */
    bool leading;                  /* somebody writes a batch, or turns to the other segment */
    bool broken;                   /* the log can't be trusted: the long way */
    bool stopping, turn_wanted;
    unsigned active;
    struct segment seg[2];
    struct map folders; /* folders touched since the last turn, by path; keys owned */
    struct buf batch;   /* the leader's */
    pthread_t thread;
};

/* --- segments --------------------------------------------------------------------------------
 */

static enum rc segment_open(struct commit *c, unsigned i, struct err *e)
{
    struct segment *s = &c->seg[i];
    struct stat st;
    char path[96];
    (void)snprintf(path, sizeof(path), COMMIT_FOLDER "/%s.%u", c->name, i);
    s->fd = io_open(path, O_RDWR | O_CREAT, 0600);
    if (s->fd < 0 || io_fstat(s->fd, &st) < 0)
        return err_sys(e, "open %s", path);
    s->allocated = MAX((uint64_t)st.st_size, SEGMENT_HEADER_BYTES);
    s->used = SEGMENT_HEADER_BYTES;
    if (!segment_read_header(s->fd, &s->head))
        s->head = (struct segment_header){ .epoch = (uint64_t)clock_wall() };
    return RC_OK;
}

/* The segment is empty from here on: a new epoch. */
static enum rc segment_begin(struct segment *s, struct err *e)
{
    s->head.epoch++;
    s->head.state = SEGMENT_FULL;
    boot_id_read(s->head.boot_id);
    enum rc rc = segment_write_header(s->fd, &s->head, e);
    if (rc != RC_OK)
        return rc;
    s->used = SEGMENT_HEADER_BYTES;
    s->records = 0;
    s->first_at = 0;
    s->last_remove = 0;
    return RC_OK;
}

/* Makes sure n octets can be written at the end without changing the file's size. */
static enum rc segment_reserve(struct segment *s, uint64_t n, struct err *e)
{
    static const char zeros[65536];
    if (s->used + n <= s->allocated)
        return RC_OK;
    uint64_t size = (s->used + n + GROW_BYTES - 1) / GROW_BYTES * GROW_BYTES;
    while (s->allocated < size) {
        size_t step = (size_t)MIN((uint64_t)sizeof(zeros), size - s->allocated);
        if (io_pwrite(s->fd, zeros, step, s->allocated) != (ssize_t)step)
            return err_sys(e, "grow commit log");
        s->allocated += step;
    }
    return io_fsync(s->fd) < 0 ? err_sys(e, "sync commit log") : RC_OK;
}

/* --- records ---------------------------------------------------------------------------------
 */

static struct str path_str(const char *path)
{
    return str_from_c(path);
}

/* Appends one record to the batch. */
static enum rc add_record(struct commit *c, enum record_type type, const char *path,
                          const struct commit_put *put, uint64_t number)
{
    struct buf *b = &c->batch;
    bool has_bytes = put != NULL && put->part_count > 0 && put->size_bytes <= LOGGED_MAX_BYTES;
    struct str p = path_str(path), tag = put == NULL ? STR("") : put->tag;
    struct record r = {
        .magic = RECORD_MAGIC,
        .type = (uint16_t)type,
        .has_bytes = has_bytes,
        .epoch = c->seg[c->active].head.epoch,
        .number = number,
        .time = clock_wall(),
        .path_n = (uint32_t)p.n,
        .tag_n = (uint32_t)tag.n,
        .size = put == NULL ? 0 : put->size_bytes,
    };
    size_t at = b->n;
    enum rc rc = buf_add(b, &r, sizeof(r));
    if (rc == RC_OK)
        rc = buf_add_str(b, p);
    if (rc == RC_OK)
        rc = buf_add_str(b, tag);
    size_t bytes_at = b->n;
    for (size_t i = 0; has_bytes && i < put->part_count && rc == RC_OK; i++)
        rc = buf_add(b, put->parts[i].iov_base, put->parts[i].iov_len);
    if (rc != RC_OK)
        return rc;
    if (has_bytes && b->n - bytes_at != put->size_bytes)
        BUG("commit_put: parts and size disagree");
    r.checksum = record_checksum(&r, p, tag, str_from(b->p + bytes_at, b->n - bytes_at));
    memcpy(b->p + at, &r, sizeof(r));
    return RC_OK;
}

/* Is a record needed for the put? A large file is durable by itself; only its tag must be kept.
 */
static bool needs_record(const struct commit_put *put)
{
    return put->tag.n > 0 || (put->part_count > 0 && put->size_bytes <= LOGGED_MAX_BYTES);
}

static uint64_t octets_of(const struct pending *p)
{
    uint64_t n = 0;
    for (size_t i = 0; i < p->put_count; i++)
        n += sizeof(struct record) + strlen(p->puts[i].final_path) + p->puts[i].tag.n +
             MIN(p->puts[i].size_bytes, LOGGED_MAX_BYTES);
    for (size_t i = 0; i < p->remove_count; i++)
        n += sizeof(struct record) + strlen(p->removes[i]);
    return n;
}

/* All records of one call. */
static enum rc add_pending(struct commit *c, const struct pending *p, uint64_t *number,
                           bool *removes)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < p->put_count && rc == RC_OK; i++)
        if (needs_record(&p->puts[i]))
            rc = add_record(c, RECORD_PUT, p->puts[i].final_path, &p->puts[i], (*number)++);
    for (size_t i = 0; i < p->remove_count && rc == RC_OK; i++) {
        rc = add_record(c, RECORD_REMOVE, p->removes[i], NULL, (*number)++);
        *removes = true;
    }
    return rc;
}

/* --- the leader ------------------------------------------------------------------------------
 */

/* Turns to the other segment. The caller leads and doesn't hold the lock. */
static enum rc turn(struct commit *c, struct err *e)
{
    unsigned other = 1 - c->active;
    enum rc rc = segment_begin(&c->seg[other], e);
    if (rc != RC_OK)
        return rc;
    lock_take(&c->lock);
    c->seg[c->active].busy = true;
    c->active = other;
    c->turn_wanted = false;
    (void)pthread_cond_broadcast(&c->changed);
    lock_drop(&c->lock);
    return RC_OK;
}

/* Makes room for n octets in the active segment. RC_TEMP: none, take the long way. */
static enum rc make_room(struct commit *c, uint64_t n, struct err *e)
{
    struct segment *s = &c->seg[c->active];
    if (n > SEGMENT_MAX_BYTES - SEGMENT_HEADER_BYTES)
        return err_temp(e, "4.3.0", "too much for the commit log at once");
    if (s->used + n > SEGMENT_MAX_BYTES) {
        lock_take(&c->lock);
        while (c->seg[1 - c->active].busy && !c->stopping)
            lock_wait(&c->lock, &c->changed, clock_mono() + USEC_S);
        bool free = !c->seg[1 - c->active].busy;
        lock_drop(&c->lock);
        if (!free)
            return err_temp(e, "4.3.0", "commit log is full");
        enum rc rc = turn(c, e);
        if (rc != RC_OK)
            return rc;
    }
    return segment_reserve(&c->seg[c->active], n, e);
}

/* Writes and syncs one batch. */
static enum rc write_batch(struct commit *c, const struct pending *list, struct err *e)
{
    uint64_t total = 0;
    bool removes = false;
    for (const struct pending *p = list; p != NULL; p = p->next)
        total += octets_of(p);
    enum rc rc = make_room(c, total, e);
    if (rc != RC_OK)
        return rc;
    struct segment *s = &c->seg[c->active];
    uint64_t number = s->records;
    buf_reset(&c->batch);
    for (const struct pending *p = list; p != NULL && rc == RC_OK; p = p->next)
        rc = add_pending(c, p, &number, &removes);
    if (rc != RC_OK)
        return err_temp(e, "4.3.1", "out of memory for the commit log");
    for (size_t at = 0; at < c->batch.n;) {
        ssize_t n = io_pwrite(s->fd, c->batch.p + at, c->batch.n - at, s->used + at);
        if (n <= 0)
            return err_sys(e, "write commit log");
        at += (size_t)n;
    }
    if (io_fdatasync(s->fd) < 0)
        return err_sys(e, "sync commit log");
    s->used += c->batch.n;
    s->records = number;
    s->first_at = s->first_at == 0 ? clock_mono() : s->first_at;
    s->last_remove = removes ? clock_wall() : s->last_remove;
    return RC_OK;
}

/* Writes what has been collected and tells those who wait. Holds the lock at start and end. */
static void lead(struct commit *c)
{
    struct err e;
    struct pending *list = c->first;
    c->first = NULL;
    c->last = &c->first;
    c->leading = true;
    lock_drop(&c->lock);
    enum rc rc = write_batch(c, list, &e);
    lock_take(&c->lock);
    if (rc != RC_OK && !c->broken) {
        log_error(EV("commit log failed, files are synced one by one"), KV("log", c->name),
                  KE(&e));
        c->broken = true;
        c->turn_wanted = true;
    }
    while (list != NULL) {
        struct pending *next = list->next;
        list->rc = rc;
        list->err = e;
        list->done = true;
        list = next;
    }
    c->leading = false;
    (void)pthread_cond_broadcast(&c->changed);
}

/* The record of this call is durable when it returns RC_OK. */
static enum rc log_and_sync(struct commit *c, struct pending *p, struct err *e)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&c->lock);
    (void)held;
    *c->last = p;
    c->last = &p->next;
    while (!p->done) {
        if (!c->leading)
            lead(c);
        else
            lock_wait(&c->lock, &c->changed, USEC_FOREVER);
    }
    if (p->rc != RC_OK && e != NULL)
        *e = p->err;
    return p->rc;
}

/* --- files -----------------------------------------------------------------------------------
 */

static const char *folder_of(const char *path, struct arena *a)
{
    size_t slash = str_rfind(str_from_c(path), '/');
    return slash == SIZE_MAX ? "." : arena_c(a, str_from(path, slash));
}

/* Remembers the folder for the next checkpoint. */
static void touch_folder(struct commit *c, const char *folder)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&c->lock);
    (void)held;
    struct str key = str_from_c(folder);
    if (map_get(&c->folders, key) != NULL)
        return;
    char *copy = mem_new(key.n + 1);
    memcpy(copy, key.p, key.n);
    (void)map_put(&c->folders, str_from(copy, key.n), copy);
}

static enum rc sync_file(const char *path, struct err *e)
{
    int fd AUTO_CLOSE = io_open(path, O_WRONLY, 0);
    if (fd < 0)
        return err_sys(e, "open %s", path);
    return io_fdatasync(fd) < 0 ? err_sys(e, "sync %s", path) : RC_OK;
}

/* One file into place; `alone`: durable without the log. */
static enum rc place(struct commit *c, const struct commit_put *put, bool alone, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    const char *folder = folder_of(put->final_path, &mem);
    enum rc rc = alone ? sync_file(put->tmp_path, e) : RC_OK;
    if (rc != RC_OK)
        return rc;
    if (io_rename(put->tmp_path, put->final_path) < 0)
        return err_sys(e, "rename to %s", put->final_path);
    touch_folder(c, folder);
    return alone ? folder_sync(folder, e) : RC_OK;
}

/* A failed put leaves nothing behind. */
static void take_back(const struct commit_put *puts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (io_unlink(puts[i].final_path) < 0 && errno != ENOENT)
            log_error(EV("refused file still in its folder"), KV("file", puts[i].final_path),
                      KV("error", strerrordesc_np(errno)));
}

enum rc commit_put(struct commit *c, const struct commit_put *puts, size_t count, struct err *e)
{
    bool log_needed = false;
    lock_take(&c->lock);
    bool broken = c->broken;
    lock_drop(&c->lock);
    for (size_t i = 0; i < count; i++) {
        bool small = puts[i].part_count > 0 && puts[i].size_bytes <= LOGGED_MAX_BYTES;
        enum rc rc = place(c, &puts[i], broken || !small, e);
        if (rc != RC_OK) {
            take_back(puts, i + 1);
            return RC_TEMP;
        }
        log_needed = log_needed || (!broken && needs_record(&puts[i]));
    }
    if (!log_needed)
        return RC_OK;
    struct pending p = { .puts = puts, .put_count = count };
    if (log_and_sync(c, &p, e) == RC_OK)
        return RC_OK;
    take_back(puts, count);
    return RC_TEMP;
}

enum rc commit_remove(struct commit *c, const char *const *paths, size_t count, struct err *e)
{
    if (count == 0)
        return RC_OK;
    lock_take(&c->lock);
    bool broken = c->broken;
    lock_drop(&c->lock);
    if (broken)
        return err_temp(e, "4.3.0", "the commit log is out of order");
    struct pending p = { .removes = paths, .remove_count = count };
    enum rc rc = log_and_sync(c, &p, e);
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        struct arena mem AUTO_RELEASE_ARENA = { 0 };
        if (io_unlink(paths[i]) < 0 && errno != ENOENT)
            rc = err_sys(e, "remove %s", paths[i]);
        touch_folder(c, folder_of(paths[i], &mem));
    }
    return rc == RC_OK ? RC_OK : RC_TEMP;
}

/* --- checkpoints
 * ------------------------------------------------------------------------------ */

static void forget_folders(struct map *folders)
{
    struct str key;
    void *value = NULL;
    for (size_t at = 0; map_next(folders, &at, &key, &value);)
        mem_free(&value);
    map_release(folders);
}

/* Does another log hold a put, not yet durable, that is older than `when`? */
static bool older_put_elsewhere(const struct commit *c, usec_t when)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    bool found = false;
    struct str own = arena_printf(&mem, "%s.", c->name);
    if (folder_open(COMMIT_FOLDER, &f, NULL) != RC_OK)
        return true;
    while (!found && folder_next(f, &name, &type)) {
        struct segment_header h;
        struct record r;
        struct str path = arena_printf(&mem, COMMIT_FOLDER "/%.*s", STR_ARG(name));
        if (str_starts(name, own) || !(str_ends(name, STR(".0")) || str_ends(name, STR(".1"))))
            continue;
        int fd AUTO_CLOSE = io_open(path.p, O_RDONLY, 0);
        found = fd >= 0 && segment_read_header(fd, &h) && h.state == SEGMENT_FULL &&
                io_pread(fd, &r, sizeof(r), SEGMENT_HEADER_BYTES) == (ssize_t)sizeof(r) &&
                r.magic == RECORD_MAGIC && r.epoch == h.epoch && r.time <= when;
    }
    folder_close(&f);
    return found;
}

/* Empties the segment that isn't active. RC_AGAIN: its removals are still needed. */
static enum rc checkpoint(struct commit *c, struct segment *s, struct err *e)
{
    if (s->head.state == SEGMENT_FULL) {
        lock_take(&c->lock);
        struct map folders = c->folders;
        c->folders = (struct map){ .slots = NULL };
        lock_drop(&c->lock);
        enum rc rc = commit_sync_file_systems(&folders, e);
        forget_folders(&folders);
        if (rc != RC_OK)
            return rc;
        s->head.state = SEGMENT_REMOVES;
        if (s->last_remove != 0)
            rc = segment_write_header(s->fd, &s->head, e);
        if (rc != RC_OK)
            return rc;
    }
    if (s->last_remove != 0 && older_put_elsewhere(c, s->last_remove))
        return RC_AGAIN;
    s->head.epoch++;
    s->head.state = SEGMENT_EMPTY;
    return segment_write_header(s->fd, &s->head, e);
}

/* Is it time to turn to the other segment? The caller holds the lock. */
static bool turn_is_due(const struct commit *c)
{
    const struct segment *s = &c->seg[c->active];
    if (c->leading || c->seg[1 - c->active].busy)
        return false;
    bool old = s->first_at != 0 && clock_mono() - s->first_at >= CHECKPOINT_AGE;
    return c->turn_wanted || old || (c->stopping && s->first_at != 0);
}

/* Empties the segment that was left. Returns when to look again. */
static usec_t empty_old_segment(struct commit *c)
{
    struct err e;
    struct segment *old = &c->seg[1 - c->active];
    lock_drop(&c->lock);
    enum rc rc = checkpoint(c, old, &e);
    lock_take(&c->lock);
    if (rc == RC_OK) {
        old->busy = false;
        if (c->broken)
            log_info(EV("commit log works again"), KV("log", c->name));
        c->broken = false;
        (void)pthread_cond_broadcast(&c->changed);
        return clock_mono() + CHECKPOINT_AGE;
    }
    if (rc != RC_AGAIN)
        log_error(EV("checkpoint failed"), KV("log", c->name), KE(&e));
    return clock_mono() + RETRY_AFTER;
}

static void *checkpoint_main(void *arg)
{
    struct commit *c = arg;
    unsigned last_tries = 0;
    lock_take(&c->lock);
    for (;;) {
        usec_t again = clock_mono() + RETRY_AFTER;
        if (turn_is_due(c)) {
            struct err e;
            c->leading = true;
            lock_drop(&c->lock);
            if (turn(c, &e) != RC_OK)
                log_error(EV("commit log can't be turned"), KV("log", c->name), KE(&e));
            lock_take(&c->lock);
            c->leading = false;
            (void)pthread_cond_broadcast(&c->changed);
        }
        bool was_busy = c->seg[1 - c->active].busy;
        if (was_busy)
            again = empty_old_segment(c);
        bool clean = !c->seg[1 - c->active].busy && c->seg[c->active].first_at == 0;
        if (c->stopping && (clean || ++last_tries > 3))
            break;
        if (!c->stopping || was_busy)
            lock_wait(&c->lock, &c->changed, MIN(again, clock_mono() + RETRY_AFTER));
    }
    lock_drop(&c->lock);
    return NULL;
}

/* --- opening and closing
 * ------------------------------------------------------------------------ */

static void release(struct commit **commit)
{
    struct commit *c = *commit;
    for (unsigned i = 0; i < 2; i++)
        io_close_at(&c->seg[i].fd);
    forget_folders(&c->folders);
    buf_release(&c->batch);
    mem_free(commit);
}

/*
 * What an earlier process of this name left (it crashed; the kernel did not): its puts stand in
 * their folders, so one syncfs makes them durable.
 */
static enum rc adopt(struct commit *c, struct err *e)
{
    struct map none = { .slots = NULL };
    enum rc rc = commit_sync_file_systems(&none, e);
    for (unsigned i = 0; i < 2 && rc == RC_OK; i++)
        rc = segment_begin(&c->seg[i], e);
    return rc;
}

enum rc commit_open(const char *name, struct commit **out, struct err *e)
{
    struct commit *c = mem_new(sizeof(*c));
    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    lock_init(&c->lock, LOCK_COMMIT);
    lock_cond_init(&c->changed);
    c->last = &c->first;
    c->seg[0].fd = c->seg[1].fd = -1;
    buf_init(&c->batch, (size_t)SEGMENT_MAX_BYTES * 2);
    enum rc rc = folder_make(COMMIT_FOLDER, 0700, e);
    for (unsigned i = 0; i < 2 && rc == RC_OK; i++)
        rc = segment_open(c, i, e);
    if (rc == RC_OK)
        rc = folder_sync(COMMIT_FOLDER, e);
    if (rc == RC_OK)
        rc = adopt(c, e);
    if (rc == RC_OK)
        rc = thread_start(checkpoint_main, c, "checkpoint", &c->thread, e);
    if (rc == RC_OK)
        *out = c;
    else
        release(&c);
    return rc;
}

void commit_close(struct commit **commit)
{
    struct commit *c = *commit;
    if (c == NULL)
        return;
    lock_take(&c->lock);
    c->stopping = true;
    (void)pthread_cond_broadcast(&c->changed);
    lock_drop(&c->lock);
    (void)pthread_join(c->thread, NULL);
    release(commit);
}

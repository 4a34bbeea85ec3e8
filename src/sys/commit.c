/*
 * commit.c - group commit through a redo log. Called by store and spool from any worker;
 * recovery is commit_recover.c, emptying the log commit_checkpoint.c.
 *
 * A put: (1) its record is durable in the log; (2) the file gets its name; (3) the caller is
 * told. A removal the same: record, unlink, answer. So nothing is seen in a mailbox before it
 * is durable, and whoever removes a message does that after the put's record was written:
 * ordered by their stamps, records of different logs tell what came last.
 *
 * Calls that come while a batch is being written form the next one. Whoever finds no leader
 * becomes leader: it writes all that wait with one write and one sync, wakes them, and makes
 * the first of those that came meanwhile the next leader. So a lone call syncs at once.
 *
 * If the log can't be written the calls of that batch fail and the segment takes no more; the
 * other one is used. While there is none, puts sync their files and folders themselves, and
 * removals fail for now (another log's put could bring the file back).
 *
 * A process that dies between (1) and (2) leaves a record and the file under its tmp name: its
 * client has no answer yet, and recovery finishes the put.
 */
#include "sys/commit_int.h"
#include "sys/file.h"

#define LOGGED_MAX_BYTES ((uint64_t)48 * 1024) /* larger files are synced by themselves */
#define GROW_BYTES ((uint64_t)4 << 20)
#define SPACE_WAIT (30 * USEC_S)
#define REMOVE_CHUNK_BYTES ((size_t)256 * 1024)
#define BATCH_REQUESTS 256

/* --- the leader -------------------------------------------------------------------------- */

bool commit_can_seal(const struct commit *c)
{
    const struct segment *other = &c->segments[c->active == &c->segments[0]];
    return other->state == SEGMENT_EMPTY && !other->failed;
}

void commit_seal(struct commit *c)
{
    struct segment *other = &c->segments[c->active == &c->segments[0]];
    c->active->state = SEGMENT_SEALED;
    other->state = SEGMENT_ACTIVE;
    c->active = other;
    c->seal_wanted = false;
    (void)pthread_cond_signal(&c->wake);
}

/* Can more octets follow in the active segment? May grow it (the lock is dropped meanwhile). */
static bool has_room(struct commit *c, const struct request *r)
{
    struct segment *s = c->active;
    struct err e;
    uint64_t end = s->tail + segment_need(r->records.bytes);
    if (s->failed)
        return false;
    if (end <= s->size || r->carried)
        return true;
    uint64_t size = MIN((end + GROW_BYTES - 1) / GROW_BYTES * GROW_BYTES, c->sizes.max_bytes);
    if (end > size)
        return false;
    lock_drop(&c->lock);
    enum rc rc = segment_grow(s, size, &e);
    lock_take(&c->lock);
    if (rc != RC_OK)
        log_debug(EV("commit log can't grow"), KE(&e));
    return rc == RC_OK;
}

/* A segment that takes the first request that waits, the lock held. RC_AGAIN: none will. */
static enum rc find_room(struct commit *c, struct err *e)
{
    usec_t deadline = clock_mono() + SPACE_WAIT;
    for (;;) {
        if (c->seal_wanted && commit_can_seal(c))
            commit_seal(c);
        if (has_room(c, c->first))
            return RC_OK;
        if (c->first->carried) {
            (void)err_temp(e, "4.3.0", "the commit log failed");
            return RC_AGAIN;
        }
        const struct segment *other = &c->segments[c->active == &c->segments[0]];
        if (commit_can_seal(c) && c->active->tail > COMMIT_DATA_AT) {
            commit_seal(c);
            continue;
        }
        if (other->state == SEGMENT_EMPTY || other->suspect || other->failed) {
            (void)err_temp(e, "4.3.0", "the commit log can't be used");
            return RC_AGAIN;
        }
        if (!lock_wait(&c->lock, &c->space, deadline))
            return err_temp(e, "4.3.0", "the commit log is full");
    }
}

/* Takes what fits into one batch out of the list. */
static struct request *take_batch(struct commit *c, size_t *out_count)
{
    struct request *batch = c->first, **end = &c->first;
    uint64_t bytes = 0;
    size_t count = 0;
    while (*end != NULL && count < BATCH_REQUESTS) {
        uint64_t more = bytes + (*end)->records.bytes;
        bool fits = c->active->tail + segment_need(more) <= c->active->size;
        if (count > 0 && (more > COMMIT_BATCH_BYTES || !fits))
            break;
        bytes = more;
        count++;
        end = &(*end)->next;
    }
    c->first = *end;
    if (c->first == NULL)
        c->last = &c->first;
    *end = NULL;
    *out_count = count;
    return batch;
}

/* Under the lock: what the segment knows of its batches. */
static void account(struct commit *c, struct segment *s, struct request *batch, size_t count,
                    enum rc rc)
{
    if (rc != RC_OK) {
        s->failed = true;
        c->seal_wanted = true;
        return;
    }
    if (s->first_at == 0) {
        s->first_at = clock_mono();
        (void)pthread_cond_signal(&c->wake);
    }
    s->in_flight += (unsigned)count;
    for (struct request *r = batch; r != NULL; r = r->next)
        for (size_t i = 0; r->keeps_names && i < r->records.part_count; i++)
            if (buf_add(&s->removals, r->records.parts[i].iov_base,
                        r->records.parts[i].iov_len) != RC_OK)
                BUG("out of memory");
}

/* Ends the wait of each but `own`; their memory may be gone right after. */
static void answer(struct request *batch, const struct request *own, enum rc rc,
                   const struct err *e, struct segment *s)
{
    while (batch != NULL) {
        struct request *r = batch;
        batch = r->next;
        r->rc = rc;
        r->segment = s;
        r->done = true;
        if (rc != RC_OK)
            r->err = *e;
        if (r != own)
            lock_event_set(&r->event);
    }
}

/* Writes one batch. The lock is held at entry and at exit, not between. */
static void write_batch(struct commit *c, const struct request *own)
{
    struct err e = { .rc = RC_OK };
    const struct record_list *lists[BATCH_REQUESTS];
    size_t count = 0;
    enum rc rc = find_room(c, &e);
    struct segment *s = c->active;
    struct request *batch = take_batch(c, &count);
    if (rc == RC_OK) {
        size_t n = 0;
        for (struct request *r = batch; r != NULL; r = r->next)
            lists[n++] = &r->records;
        lock_drop(&c->lock);
        rc = segment_append(s, lists, count, &e);
        lock_take(&c->lock);
        account(c, s, batch, count, rc);
    }
    lock_drop(&c->lock);
    answer(batch, own, rc == RC_PERM ? RC_TEMP : rc, &e, s);
    lock_take(&c->lock);
}

/* Writes batches until own is done, then hands over. Called without the lock. */
static void lead(struct commit *c, const struct request *own)
{
    lock_take(&c->lock);
    while (!own->done)
        write_batch(c, own);
    if (c->seal_wanted && commit_can_seal(c))
        commit_seal(c);
    struct request *next = c->first;
    c->leading = next != NULL;
    lock_drop(&c->lock);
    if (next != NULL)
        lock_event_set(&next->event);
}

enum rc commit_append(struct commit *c, struct request *r, struct err *e)
{
    lock_take(&c->lock);
    if (r->carried) { /* a leader may wait for what this makes possible */
        r->next = c->first;
        c->first = r;
        if (r->next == NULL)
            c->last = &r->next;
        (void)pthread_cond_signal(&c->space);
    } else {
        *c->last = r;
        c->last = &r->next;
    }
    bool leads = !c->leading;
    c->leading = true;
    lock_drop(&c->lock);
    if (!leads)
        lock_event_wait(&r->event);
    if (!r->done)
        lead(c, r);
    if (r->rc != RC_OK && e != NULL)
        *e = r->err;
    return r->rc;
}

void commit_finish(struct commit *c, struct request *r)
{
    lock_take(&c->lock);
    if (--r->segment->in_flight == 0 && r->segment->state == SEGMENT_SEALED)
        (void)pthread_cond_signal(&c->wake);
    lock_drop(&c->lock);
}

/* --- puts -------------------------------------------------------------------------------- */

/* One call of commit_put. */
struct put_call {
    struct commit *c;
    const struct commit_put *puts;
    size_t count;
    bool *direct; /* by itself, not through the log */
    bool *named;  /* renamed */
};

static uint64_t content_bytes(const struct commit_put *put)
{
    uint64_t n = 0;
    for (size_t i = 0; i < put->part_count; i++)
        n += put->parts[i].iov_len;
    if (put->part_count > 0 && n != put->size_bytes)
        BUG("commit_put: parts and size disagree");
    return n;
}

static void choose(struct put_call *call)
{
    uint64_t total = 0;
    uint64_t max_total = MIN(COMMIT_REQUEST_MAX / 2, call->c->sizes.max_bytes / 4);
    for (size_t i = 0; i < call->count; i++) {
        const struct commit_put *put = &call->puts[i];
        uint64_t n = content_bytes(put);
        bool in_log = (put->part_count > 0 || put->size_bytes == 0) && n <= LOGGED_MAX_BYTES &&
                      total + n <= max_total;
        call->direct[i] = !in_log;
        total += in_log ? n : 0;
    }
}

static enum rc put_direct(struct put_call *call, struct err *e)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; rc == RC_OK && i < call->count; i++)
        if (call->direct[i] && !call->named[i]) {
            rc = direct_rename(&call->puts[i], e);
            call->named[i] = rc == RC_OK;
        }
    return rc == RC_OK ? direct_sync_folders(call->puts, call->direct, call->count, e) : rc;
}

/* The records of the call, into its request. */
static enum rc make_records(const struct put_call *call, struct request *r, struct err *e)
{
    size_t parts = 0;
    enum rc rc = RC_OK;
    for (size_t i = 0; rc == RC_OK && i < call->count; i++) {
        parts += call->puts[i].part_count;
        if (!call->direct[i])
            rc = commit_note_place(call->c, call->puts[i].tmp_path, e);
    }
    if (rc != RC_OK)
        return rc;
    record_list_init(&r->records, call->count, parts);
    for (size_t i = 0; i < call->count; i++) {
        if (!call->direct[i])
            record_add_put(&r->records, RECORD_PUT, &call->puts[i]);
        else if (call->puts[i].tag.n > 0)
            record_add_put(&r->records, RECORD_TAG, &call->puts[i]);
    }
    return RC_OK;
}

static enum rc rename_logged(struct put_call *call, struct err *e)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; rc == RC_OK && i < call->count; i++) {
        const struct commit_put *put = &call->puts[i];
        if (call->direct[i])
            continue;
        if (io_rename(put->tmp_path, put->final_path) < 0)
            rc = err_sys(e, "rename to %s", put->final_path);
        call->named[i] = rc == RC_OK;
    }
    return rc;
}

/* The call failed: nothing of it may stand. */
static void take_back(struct put_call *call)
{
    for (size_t i = 0; i < call->count; i++) {
        if (call->named[i] && io_unlink(call->puts[i].final_path) < 0 && errno != ENOENT)
            log_error(EV("a refused file can't be removed"),
                      KV("path", call->puts[i].final_path), KI("errno", errno));
        call->named[i] = false;
    }
}

/* Its records are durable, but don't count. */
static void void_records(struct put_call *call)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct request r = { .next = NULL };
    struct err e;
    const char **paths = arena_new_array(&mem, const char *, call->count);
    for (size_t i = 0; i < call->count; i++)
        paths[i] = call->puts[i].final_path;
    record_list_init(&r.records, 1, 0);
    record_add_names(&r.records, RECORD_ABORT, paths, call->count);
    if (commit_append(call->c, &r, &e) == RC_OK)
        commit_finish(call->c, &r);
    else
        log_error(EV("commit log may hold a change that was refused"), KV("path", paths[0]),
                  KE(&e));
    record_list_release(&r.records);
}

/* What goes through the log: RC_AGAIN when it can't be used. */
static enum rc put_logged(struct put_call *call, struct err *e)
{
    struct request r = { .next = NULL };
    enum rc rc = make_records(call, &r, e);
    bool logged = rc == RC_OK && r.records.count > 0;
    if (logged)
        rc = commit_append(call->c, &r, e);
    record_list_release(&r.records);
    if (!logged || rc != RC_OK)
        return rc;
    rc = rename_logged(call, e);
    if (rc != RC_OK) {
        take_back(call);
        void_records(call);
    }
    commit_finish(call->c, &r);
    return rc;
}

enum rc commit_put(struct commit *c, const struct commit_put *puts, size_t count, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct put_call call = { .c = c,
                             .puts = puts,
                             .count = count,
                             .direct = arena_new_array(&mem, bool, count),
                             .named = arena_new_array(&mem, bool, count) };
    choose(&call);
    enum rc rc = put_direct(&call, e);
    if (rc == RC_OK)
        rc = put_logged(&call, e);
    if (rc == RC_AGAIN) {
        log_debug(EV("commit log can't be used"), KV("log", c->name));
        memset(call.direct, true, count);
        rc = put_direct(&call, e);
    }
    if (rc != RC_OK)
        take_back(&call);
    if (rc == RC_PERM && e != NULL)
        e->rc = RC_TEMP;
    return rc == RC_OK ? RC_OK : RC_TEMP;
}

/* --- removals ---------------------------------------------------------------------------- */

/* How many of the paths go into one record. */
static size_t chunk(const char *const *paths, size_t count)
{
    size_t n = 0, bytes = 0;
    while (n < count && bytes < REMOVE_CHUNK_BYTES)
        bytes += strlen(paths[n++]) + 1;
    return n;
}

static enum rc unlink_all(struct commit *c, const char *const *paths, size_t count,
                          struct err *e)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < count; i++) {
        size_t slash = str_rfind(str_from_c(paths[i]), '/');
        bool same =
            i > 0 && slash != SIZE_MAX && strncmp(paths[i], paths[i - 1], slash + 1) == 0;
        struct err place;
        if (!same && commit_note_place(c, paths[i], &place) != RC_OK && place.sys != ENOENT &&
            place.sys != ENOTDIR)
            rc = err_temp(e, "4.3.0", "%s", place.text);
        if (io_unlink(paths[i]) < 0 && errno != ENOENT && errno != ENOTDIR)
            rc = err_sys(e, "remove %s", paths[i]);
    }
    return rc;
}

enum rc commit_remove(struct commit *c, const char *const *paths, size_t count, struct err *e)
{
    enum rc rc = RC_OK;
    while (rc == RC_OK && count > 0) {
        size_t n = chunk(paths, count);
        struct request r = { .keeps_names = true };
        record_list_init(&r.records, 1, 0);
        record_add_names(&r.records, RECORD_REMOVE, paths, n);
        rc = commit_append(c, &r, e);
        if (rc == RC_OK) {
            rc = unlink_all(c, paths, n, e);
            commit_finish(c, &r);
        }
        record_list_release(&r.records);
        paths += n;
        count -= n;
    }
    return rc == RC_OK ? RC_OK : RC_TEMP;
}

/*
 * commit_log.c - segment files of the redo log: headers, batches, and reading them back. Called
 * by commit.c, commit_checkpoint.c and recovery; see commit_int.h for the layout.
 *
 * A crash while a header is written leaves the other slot, so the segment is then what it was
 * before: a checkpoint that is repeated, never one that is missing. A crash while a batch is
 * written leaves a batch whose checksum doesn't hold: nobody was told yet that it counts.
 */
#include "sys/commit_int.h"
#include "sys/file.h"
#include "sys/trace.h"
#include <sys/random.h>

#define HEADER_MAGIC UINT64_C(0x31474f4c4d4f4348) /* "HCOMLOG1" in memory order */
#define BATCH_MAGIC UINT64_C(0x4843544142594b48)
#define VERSION 1

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U /* Linux 6.8: never used again for another mount */
#endif

static char zeros[65536];

static uint64_t round_up(uint64_t n)
{
    return (n + COMMIT_PAGE - 1) / COMMIT_PAGE * COMMIT_PAGE;
}

void commit_life(char life[COMMIT_LIFE_BYTES])
{
    struct statx st;
    char boot[40] = "";
    const char *test = TRACE_BUILD ? getenv("HIKYAKU_LIFE") : NULL;
    memset(life, 0, COMMIT_LIFE_BYTES);
    if (test != NULL) {
        (void)snprintf(life, COMMIT_LIFE_BYTES, "%s", test);
        return;
    }
    int fd AUTO_CLOSE = io_open("/proc/sys/kernel/random/boot_id", O_RDONLY, 0);
    ssize_t n = fd < 0 ? -1 : io_read(fd, boot, 36);
    /* Unknown counts as another life each time: then recovery compares every file. */
    if (n != 36 || statx(AT_FDCWD, ".", 0, STATX_MNT_ID_UNIQUE, &st) < 0)
        (void)snprintf(life, COMMIT_LIFE_BYTES, "unknown %016" PRIx64, hash_seed());
    else
        (void)snprintf(life, COMMIT_LIFE_BYTES, "%s %" PRIx64, boot, (uint64_t)st.stx_mnt_id);
}

/* --- headers ----------------------------------------------------------------------------- */

static uint64_t header_sum(const struct segment_header *h)
{
    struct log_sum sum;
    log_sum_begin(&sum, HEADER_MAGIC, VERSION);
    log_sum_add(&sum, h, offsetof(struct segment_header, sum));
    return log_sum_end(&sum);
}

/* The header that counts; magic 0 when neither slot is valid. */
static struct segment_header read_header(int fd)
{
    struct segment_header best = { .magic = 0 };
    for (uint64_t slot = 0; slot < 2; slot++) {
        struct segment_header h;
        bool whole = io_pread(fd, &h, sizeof(h), slot * COMMIT_PAGE) == (ssize_t)sizeof(h);
        if (whole && h.magic == HEADER_MAGIC && h.sum == header_sum(&h) &&
            (best.magic == 0 || h.generation > best.generation))
            best = h;
    }
    best.life[COMMIT_LIFE_BYTES - 1] = '\0';
    return best;
}

enum rc segment_write_header(struct segment *s, struct err *e)
{
    s->head.magic = HEADER_MAGIC;
    s->head.version = VERSION;
    s->head.generation++;
    s->head.written_at = clock_wall();
    s->head.sum = header_sum(&s->head);
    uint64_t at = (s->head.generation & 1) * COMMIT_PAGE;
    struct iovec part = { .iov_base = &s->head, .iov_len = sizeof(s->head) };
    enum rc rc = io_pwrite_all(s->fd, &part, 1, at, e);
    if (rc == RC_OK && io_fdatasync(s->fd) < 0)
        rc = err_sys(e, "sync");
    return rc == RC_OK ? rc : err_wrap(e, "header of %s", s->path);
}

enum rc segment_renew(struct segment *s, const char *life, struct err *e)
{
    if (getrandom(s->head.key, sizeof(s->head.key), 0) != (ssize_t)sizeof(s->head.key))
        return err_sys(e, "random numbers");
    s->head.epoch++;
    s->head.flags = 0;
    if (life != NULL)
        (void)snprintf(s->head.life, sizeof(s->head.life), "%s", life);
    enum rc rc = segment_write_header(s, e);
    if (rc == RC_OK) {
        s->tail = COMMIT_DATA_AT;
        s->sequence = 0;
    }
    return rc;
}

/* --- opening ----------------------------------------------------------------------------- */

enum rc segment_grow(struct segment *s, uint64_t new_size, struct err *e)
{
    enum rc rc = RC_OK;
    uint64_t size = s->size;
    while (rc == RC_OK && size < new_size) {
        struct iovec part = { zeros, (size_t)MIN(new_size - size, sizeof(zeros)) };
        size += part.iov_len;
        rc = io_pwrite_all(s->fd, &part, 1, size - part.iov_len, e);
    }
    if (rc == RC_OK && io_fsync(s->fd) < 0)
        rc = err_sys(e, "sync");
    if (rc != RC_OK)
        return err_wrap(e, "grow %s", s->path);
    s->size = size;
    return RC_OK;
}

static enum rc load(struct segment *s, const struct log_sizes *make, struct err *e)
{
    struct stat st;
    if (io_fstat(s->fd, &st) < 0)
        return err_sys(e, "stat %s", s->path);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > COMMIT_SEGMENT_LIMIT)
        return err_perm(e, "5.3.0", "%s is no commit log", s->path);
    s->size = (uint64_t)st.st_size / COMMIT_PAGE * COMMIT_PAGE;
    s->head = read_header(s->fd);
    if (s->head.magic != 0 && s->head.version != VERSION)
        return err_perm(e, "5.3.0", "%s is of another version of the program", s->path);
    if (make == NULL)
        return RC_OK;
    char life[COMMIT_LIFE_BYTES];
    commit_life(life);
    enum rc rc = segment_grow(s, make->first_bytes, e);
    if (rc == RC_OK && s->head.magic == 0)
        rc = segment_renew(s, life, e);
    return rc;
}

enum rc segment_open(const char *name, unsigned number, const struct log_sizes *make,
                     struct segment *out, struct err *e)
{
    enum rc rc = RC_OK;
    struct segment s = { .fd = -1, .tail = COMMIT_DATA_AT };
    (void)snprintf(s.path, sizeof(s.path), COMMIT_FOLDER "/%s.%u", name, number);
    if (number == 0)
        rc = file_lock(s.path, false, &s.fd, e); /* the whole log's */
    else if ((s.fd = io_open(s.path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600)) < 0)
        rc = err_sys(e, "open %s", s.path);
    if (rc == RC_OK)
        rc = load(&s, make, e);
    if (rc != RC_OK) {
        io_close_at(&s.fd);
        return rc;
    }
    buf_init(&s.removals, COMMIT_SEGMENT_LIMIT);
    *out = s;
    return RC_OK;
}

void segment_close(struct segment *s)
{
    io_close_at(&s->fd);
    buf_release(&s->removals);
}

/* --- batches ----------------------------------------------------------------------------- */

uint64_t segment_need(uint64_t record_bytes)
{
    return round_up(sizeof(struct batch_head) + record_bytes);
}

static void batch_sum_begin(struct log_sum *sum, const struct segment *s,
                            const struct batch_head *b)
{
    log_sum_begin(sum, s->head.key[0], s->head.key[1]);
    log_sum_add(sum, b, offsetof(struct batch_head, sum));
}

static size_t gather(struct batch_head *b, const struct record_list *const *lists, size_t count,
                     struct iovec *parts)
{
    size_t n = 0;
    parts[n++] = (struct iovec){ b, sizeof(*b) };
    for (size_t i = 0; i < count; i++) {
        memcpy(parts + n, lists[i]->parts, lists[i]->part_count * sizeof(*parts));
        n += lists[i]->part_count;
    }
    parts[n++] = (struct iovec){ zeros, (size_t)(round_up(b->bytes) - b->bytes) };
    return n;
}

/* The batch may have reached the disk although its callers are told that it failed: spoil it.
 */
static void scrub(struct segment *s)
{
    struct iovec part = { zeros, (size_t)COMMIT_PAGE };
    if (io_pwrite_all(s->fd, &part, 1, s->tail, NULL) != RC_OK || io_fdatasync(s->fd) < 0)
        log_error(EV("commit log may hold a change that was refused"), KV("log", s->path));
}

enum rc segment_append(struct segment *s, const struct record_list *const *lists, size_t count,
                       struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct batch_head b = { .magic = BATCH_MAGIC,
                            .epoch = s->head.epoch,
                            .sequence = s->sequence,
                            .stamp = INT64_MAX,
                            .bytes = sizeof(b) };
    size_t part_count = 2;
    for (size_t i = 0; i < count; i++) {
        part_count += lists[i]->part_count;
        b.bytes += lists[i]->bytes;
        b.count += lists[i]->count;
        b.stamp = MIN(b.stamp, lists[i]->stamp);
    }
    struct log_sum sum;
    batch_sum_begin(&sum, s, &b);
    for (size_t i = 0; i < count; i++)
        log_sum_add(&sum, lists[i]->sums, lists[i]->count * sizeof(uint64_t));
    b.sum = log_sum_end(&sum);
    struct iovec *parts = arena_new_array(&mem, struct iovec, part_count);
    part_count = gather(&b, lists, count, parts);
    enum rc rc = io_pwrite_all(s->fd, parts, part_count, s->tail, e);
    if (rc == RC_OK && io_fdatasync(s->fd) < 0)
        rc = err_sys(e, "sync");
    if (rc != RC_OK) {
        scrub(s);
        return err_wrap(e, "commit log %s", s->path);
    }
    s->tail += round_up(b.bytes);
    s->size = MAX(s->size, s->tail);
    s->sequence++;
    return RC_OK;
}

/* The batch's head at the tail, plausible so far. */
static bool read_head(const struct segment *s, struct batch_head *out)
{
    struct batch_head b;
    if (io_pread(s->fd, &b, sizeof(b), s->tail) != (ssize_t)sizeof(b))
        return false;
    if (b.magic != BATCH_MAGIC || b.epoch != s->head.epoch || b.sequence != s->sequence ||
        b.bytes <= sizeof(b) || b.bytes > COMMIT_SEGMENT_LIMIT || s->tail >= s->size ||
        round_up(b.bytes) > s->size - s->tail)
        return false;
    *out = b;
    return true;
}

/* Are these the records that the head was made for? */
static bool batch_holds(const struct segment *s, const struct batch_head *b, struct str raw)
{
    struct log_sum sum;
    struct record r;
    size_t n = 0;
    uint64_t count = 0, record_sum = 0;
    batch_sum_begin(&sum, s, b);
    for (; raw.n > 0 && record_parse(raw, &r, &n, &record_sum); count++) {
        log_sum_add(&sum, &record_sum, sizeof(record_sum));
        raw = str_skip(raw, n);
    }
    return raw.n == 0 && count == b->count && log_sum_end(&sum) == b->sum;
}

static enum rc give_records(const struct segment *s, struct str raw, segment_record_fn *fn,
                            void *ctx, struct err *e)
{
    struct record r;
    size_t n = 0;
    uint64_t at = s->tail + sizeof(struct batch_head), record_sum = 0;
    enum rc rc = RC_OK;
    while (rc == RC_OK && raw.n > 0 && record_parse(raw, &r, &n, &record_sum)) {
        r.content_at += at;
        rc = fn(ctx, &r, str_head(raw, n), e);
        at += n;
        raw = str_skip(raw, n);
    }
    return rc;
}

enum rc segment_scan(struct segment *s, segment_record_fn *fn, void *ctx, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct batch_head b;
    enum rc rc = RC_OK;
    buf_init(&text, COMMIT_SEGMENT_LIMIT);
    s->tail = COMMIT_DATA_AT;
    s->sequence = 0;
    while (rc == RC_OK && s->head.magic != 0 && read_head(s, &b)) {
        size_t n = (size_t)b.bytes - sizeof(b);
        buf_reset(&text);
        if (buf_reserve(&text, n) != RC_OK)
            return err_temp(e, "4.3.0", "no memory to read %s", s->path);
        ssize_t got = io_pread(s->fd, text.p, n, s->tail + sizeof(b));
        if (got < 0)
            return err_sys(e, "read %s", s->path);
        if ((size_t)got != n || !batch_holds(s, &b, str_from(text.p, n)))
            break;
        rc = give_records(s, str_from(text.p, n), fn, ctx, e);
        s->tail += round_up(b.bytes);
        s->sequence++;
    }
    return rc;
}

int64_t segment_first_stamp(const struct segment *s)
{
    struct batch_head b;
    struct segment first = *s;
    first.tail = COMMIT_DATA_AT;
    first.sequence = 0;
    return s->head.magic != 0 && read_head(&first, &b) ? b.stamp : INT64_MAX;
}

/* --- all logs ---------------------------------------------------------------------------- */

static bool name_is_plain(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_')
            return false;
    return name.n > 0 && name.n < 32;
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

enum rc log_names(struct arena *a, struct str **out, size_t *out_count, struct err *e)
{
    struct folder *f = NULL;
    struct str file;
    unsigned char type = 0;
    struct buf list AUTO_RELEASE_BUF;
    struct map seen = { .fold = false };
    buf_init(&list, (size_t)1 << 20);
    *out_count = 0;
    if (!folder_exists(COMMIT_FOLDER))
        return RC_OK;
    enum rc rc = folder_open(COMMIT_FOLDER, &f, e);
    while (rc == RC_OK && folder_next(f, &file, &type)) {
        struct str name = str_head(file, file.n < 2 ? 0 : file.n - 2);
        bool is_log = str_ends(file, STR(".0")) || str_ends(file, STR(".1"));
        if (!is_log || !name_is_plain(name) || map_get(&seen, name) != NULL)
            continue;
        name = arena_str(a, name);
        (void)map_put(&seen, name, a);
        if (buf_add(&list, &name, sizeof(name)) != RC_OK)
            rc = err_temp(e, "4.3.0", "too many commit logs");
    }
    folder_close(&f);
    map_release(&seen);
    if (rc != RC_OK)
        return rc;
    *out_count = list.n / sizeof(struct str);
    *out = arena_new_array(a, struct str, *out_count + 1);
    memcpy(*out, list.p, list.n);
    qsort(*out, *out_count, sizeof(**out), compare_names);
    return RC_OK;
}

/* The same question for one segment of a log that another process may be writing. */
static int64_t oldest_in(struct str name, unsigned number, struct arena *a)
{
    struct segment s = { .fd = -1 };
    struct stat st;
    const char *path = arena_printf(a, COMMIT_FOLDER "/%.*s.%u", STR_ARG(name), number).p;
    int fd AUTO_CLOSE = io_open(path, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0)
        return errno == ENOENT ? INT64_MAX : INT64_MIN;
    s.fd = fd;
    s.size = (uint64_t)st.st_size / COMMIT_PAGE * COMMIT_PAGE;
    s.head = read_header(fd);
    int64_t stamp = segment_first_stamp(&s);
    if (stamp != INT64_MAX && (s.head.flags & SEGMENT_SETTLED) == 0)
        return stamp;
    return io_fdatasync(fd) < 0 ? INT64_MIN : INT64_MAX;
}

int64_t log_oldest_elsewhere(const char *name)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str *names = NULL;
    size_t count = 0;
    int64_t oldest = INT64_MAX;
    if (log_names(&mem, &names, &count, NULL) != RC_OK)
        return INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        if (str_eq(names[i], str_from_c(name)))
            continue;
        oldest = MIN(oldest, oldest_in(names[i], 0, &mem));
        oldest = MIN(oldest, oldest_in(names[i], 1, &mem));
    }
    return oldest;
}

enum rc log_keep_removals(struct str raw, int64_t oldest, struct buf *out)
{
    struct record r;
    size_t n = 0;
    uint64_t sum = 0;
    enum rc rc = RC_OK;
    for (; rc == RC_OK && raw.n > 0 && record_parse(raw, &r, &n, &sum); raw = str_skip(raw, n))
        if (r.kind == RECORD_REMOVE && r.stamp >= oldest)
            rc = buf_add_str(out, str_head(raw, n));
    return rc;
}

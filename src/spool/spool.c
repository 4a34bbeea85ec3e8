/*
 * spool.c - queue entries on disk: queue/XX/ID (XX: two digits of the id, so that no folder
 * grows beyond reason), queue/XX/ID.journal, queue/tmp/XX, queue/damaged, queue/frozen. Called
 * by the queue role, by control (frozen ones) and by recovery.
 *
 * INVARIANTS
 * 1. An entry's file is never changed once it has its name.
 * 2. An entry is removed only when no recipient is pending, and its removal is logged before.
 * 3. A damaged entry is moved aside whole; the others go on.
 */
#include "spool/spool_int.h"
#include "sys/file.h"
#include <dirent.h>
#include <stdatomic.h>

#define JOURNAL_MAX ((size_t)16 << 20)

static struct commit *the_commit;

struct commit *spool_commit(void)
{
    return the_commit;
}

/* parent/00 to parent/ff */
static enum rc make_256(const char *parent, struct err *e)
{
    bool made = false;
    for (unsigned i = 0; i < 256; i++) {
        char path[24];
        (void)snprintf(path, sizeof(path), "%s/%02x", parent, i);
        if (folder_exists(path))
            continue;
        if (io_mkdir(path, 0700) == 0)
            made = true;
        else if (errno != EEXIST)
            return err_sys(e, "make folder %s", path);
    }
    return made ? folder_sync(parent, e) : RC_OK;
}

enum rc spool_init(struct commit *commit, struct err *e)
{
    static const char *const folders[] = { "queue/tmp", "queue/damaged", "queue/frozen" };
    the_commit = commit;
    bool had_tmp = folder_exists("queue/tmp/00");
    enum rc rc = RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(folders) && rc == RC_OK; i++)
        rc = folder_make(folders[i], 0700, e);
    if (rc == RC_OK && !had_tmp)
        folder_spread("queue/tmp");
    if (rc == RC_OK)
        rc = make_256("queue/tmp", e);
    return rc == RC_OK ? make_256("queue", e) : rc;
}

struct str spool_id_new(struct arena *a)
{
    static _Atomic int64_t last;
    int64_t before = last, now = 0;
    do
        now = MAX(clock_wall(), before + 1);
    while (!atomic_compare_exchange_weak(&last, &before, now));
    return arena_printf(a, "%013" PRIx64 "%05x", (uint64_t)now, (unsigned)getpid() & 0xfffffu);
}

bool spool_id_is_valid(struct str id)
{
    if (id.n < 14 || id.n > SPOOL_ID_MAX)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (!ascii_is_digit(id.p[i]) && !(id.p[i] >= 'a' && id.p[i] <= 'f'))
            return false;
    return true;
}

struct str spool_path(struct str id, struct arena *a)
{
    return arena_printf(a, "queue/%.2s/%.*s", id.p + 11, STR_ARG(id));
}

struct str spool_journal_path(struct str id, struct arena *a)
{
    return arena_printf(a, "queue/%.2s/%.*s.journal", id.p + 11, STR_ARG(id));
}

struct str spool_body_path(struct str id, struct arena *a)
{
    return arena_printf(a, "queue/%.2s/%.*s.body", id.p + 11, STR_ARG(id));
}

static struct str frozen_path(struct str id, const char *ending, struct arena *a)
{
    return arena_printf(a, "queue/frozen/%.*s%s", STR_ARG(id), ending);
}

struct str spool_part_id(struct str id, size_t recipient, size_t number, struct arena *a)
{
    struct str of = arena_printf(a, "%.*s %zu %zu", STR_ARG(id), recipient, number);
    return arena_printf(a, "%.13s%08x", id.p, (unsigned)(hash_text(of, false, 2) >> 32));
}

bool spool_exists(struct str id)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    return spool_id_is_valid(id) && file_exists(spool_path(id, &mem).p);
}

bool spool_is_frozen(struct str id)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    return spool_id_is_valid(id) && file_exists(frozen_path(id, "", &mem).p);
}

uint64_t spool_stamp(struct str id, bool frozen)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    if (!spool_id_is_valid(id))
        return 0;
    struct str path = frozen ? frozen_path(id, ".journal", &mem) : spool_journal_path(id, &mem);
    if (io_stat(path.p, &st) < 0)
        return 0;
    return ((uint64_t)st.st_mtim.tv_sec << 20) ^ ((uint64_t)st.st_mtim.tv_nsec >> 10) ^
           ((uint64_t)st.st_size << 40) ^ 1;
}

/* --- scanning ---------------------------------------------------------------------------- */

static int compare_ids(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static enum rc list_folder(const char *path, struct arena *a, struct buf *ids, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    if (!folder_exists(path))
        return RC_OK;
    enum rc rc = folder_open(path, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        if (!spool_id_is_valid(name))
            continue;
        struct str id = arena_str(a, name);
        rc = buf_add(ids, &id, sizeof(id));
    }
    folder_close(&f);
    return rc;
}

/* The entries of queue/XX, or of one folder. */
static enum rc scan(const char *only, bool (*fn)(void *ctx, struct str id), void *ctx,
                    struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct buf ids AUTO_RELEASE_BUF;
    buf_init(&ids, (size_t)4 << 30);
    for (unsigned i = 0; i < (only == NULL ? 256 : 1); i++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "queue/%02x", i);
        enum rc rc = list_folder(only == NULL ? path : only, &mem, &ids, e);
        if (rc != RC_OK)
            return rc;
    }
    size_t count = ids.n / sizeof(struct str);
    struct str *list = arena_new_array(&mem, struct str, count + 1);
    if (count > 0)
        memcpy(list, ids.p, ids.n);
    qsort(list, count, sizeof(*list), compare_ids);
    for (size_t i = 0; i < count; i++)
        if (!fn(ctx, list[i]))
            break;
    return RC_OK;
}

enum rc spool_scan(bool (*fn)(void *ctx, struct str id), void *ctx, struct err *e)
{
    return scan(NULL, fn, ctx, e);
}

enum rc spool_scan_frozen(bool (*fn)(void *ctx, struct str id), void *ctx, struct err *e)
{
    return scan("queue/frozen", fn, ctx, e);
}

/* --- one entry --------------------------------------------------------------------------- */

/* The envelope's text: as much of the file as it takes to find the blank line. */
static enum rc read_header(int fd, struct buf *text, struct err *e)
{
    size_t looked = 0;
    for (;;) {
        if (buf_reserve(text, 8192) != RC_OK)
            return err_perm(e, "5.3.0", "envelope too large");
        ssize_t n = io_pread(fd, text->p + text->n, 8192, text->n);
        if (n < 0)
            return err_sys(e, "read entry");
        text->n += (size_t)n;
        text->p[text->n] = '\0';
        if (n == 0 || str_find_str(str_skip(buf_str(text), looked), STR("\n\n")) != SIZE_MAX)
            return RC_OK;
        looked = text->n - 1;
    }
}

static enum rc read_journal(const char *path, struct spool_entry *entry, struct arena *a,
                            struct err *e)
{
    struct str text;
    struct err why = { .sys = 0 };
    enum rc rc = file_read(path, JOURNAL_MAX, a, &text, NULL, &why);
    if (rc == RC_OK)
        journal_apply(text, entry);
    return rc == RC_OK || why.sys == ENOENT ? RC_OK : err_temp(e, "4.3.0", "%s", why.text);
}

static enum rc open_at(struct str id, const char *path, const char *journal, struct arena *a,
                       struct spool_entry *out, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct stat st;
    size_t header_n = 0;
    struct spool_entry entry = { .id = arena_str(a, id), .message_fd = -1, .mem = a };
    buf_init(&text, SPOOL_HEADER_MAX);
    int fd AUTO_CLOSE = io_open(path, O_RDONLY, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0)
        return err_sys(e, "open entry %.*s", STR_ARG(id));
    enum rc rc = read_header(fd, &text, e);
    if (rc == RC_OK)
        rc = envelope_parse(arena_str(a, buf_str(&text)), a, &entry, &header_n, e);
    if (rc == RC_OK && (uint64_t)st.st_size != header_n + entry.message_octets)
        rc = err_perm(e, "5.3.0", "the message is cut short or was changed");
    if (rc == RC_OK)
        rc = read_journal(journal, &entry, a, e);
    if (rc != RC_OK)
        return err_wrap(e, "entry %.*s", STR_ARG(id));
    entry.message_offset = header_n;
    entry.message_fd = fd;
    fd = -1;
    *out = entry;
    return RC_OK;
}

enum rc spool_open(struct str id, struct arena *a, struct spool_entry *out, struct err *e)
{
    if (!spool_id_is_valid(id))
        return err_perm(e, "5.3.0", "not a queue id");
    return open_at(id, spool_path(id, a).p, spool_journal_path(id, a).p, a, out, e);
}

enum rc spool_open_frozen(struct str id, struct arena *a, struct spool_entry *out,
                          struct err *e)
{
    if (!spool_id_is_valid(id))
        return err_perm(e, "5.3.0", "not a queue id");
    return open_at(id, frozen_path(id, "", a).p, frozen_path(id, ".journal", a).p, a, out, e);
}

void spool_close(struct spool_entry *entry)
{
    io_close_at(&entry->message_fd);
}

/* Appends one line to the entry's journal. Not synced: a delivery is durable in the commit log,
 * and a checkpoint makes the journal durable before it empties that log. */
static enum rc append_to(struct str path, const char *kind, uint64_t a, int64_t b,
                         struct str reason, struct err *e)
{
    struct buf line AUTO_RELEASE_BUF;
    struct stat st;
    char last = '\n';
    int fd AUTO_CLOSE = io_open(path.p, O_RDWR | O_CREAT | O_APPEND, 0600);
    buf_init(&line, 2048);
    if (fd < 0 || io_fstat(fd, &st) < 0)
        return err_sys(e, "open %s", path.p);
    if (st.st_size > 0 && io_pread(fd, &last, 1, (uint64_t)st.st_size - 1) != 1)
        return err_sys(e, "read %s", path.p);
    if (last != '\n') /* a crash cut the line before */
        buf_must(buf_add_char(&line, '\n'));
    buf_must(journal_print(&line, kind, a, b, reason));
    struct iovec part = { line.p, line.n };
    return io_write_all(fd, &part, 1, e);
}

static enum rc append(struct str id, const char *kind, uint64_t a, int64_t b, struct str reason,
                      struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    return append_to(spool_journal_path(id, &mem), kind, a, b, reason, e);
}

enum rc spool_record(struct spool_entry *entry, size_t i, enum delivery_state state,
                     struct str reason, struct err *e)
{
    static const char *const names[] = { "", "done", "failed", "reported" };
    usec_t now = clock_wall();
    enum rc rc = append(entry->id, names[state], i, now, reason, e);
    if (rc == RC_OK)
        journal_event(entry, now, str_from_c(names[state]), i, reason);
    if (rc == RC_OK)
        entry->states[i] = state;
    if (rc == RC_OK && state != DELIVERY_REPORTED)
        entry->reasons[i] = arena_str(entry->mem, reason);
    return rc;
}

enum rc spool_record_refused(struct spool_entry *entry, size_t i, struct str reason,
                             struct err *e)
{
    usec_t now = clock_wall();
    enum rc rc = append(entry->id, "refused", i, now, reason, e);
    if (rc != RC_OK)
        return rc;
    journal_event(entry, now, STR("refused"), i, reason);
    entry->states[i] = DELIVERY_REPORTED;
    entry->reasons[i] = arena_str(entry->mem, reason);
    return RC_OK;
}

enum rc spool_record_step(struct spool_entry *entry, size_t i, uint64_t step, struct err *e)
{
    enum rc rc = append(entry->id, "step", i, (int64_t)step, STR("-"), e);
    if (rc == RC_OK)
        journal_add_step(entry, i, step);
    return rc;
}

enum rc spool_record_deferred(struct spool_entry *entry, size_t i, struct str reason,
                              struct err *e)
{
    if (str_eq(entry->reasons[i], reason))
        return RC_OK;
    usec_t now = clock_wall();
    entry->reasons[i] = arena_str(entry->mem, reason);
    journal_event(entry, now, STR("deferred"), i, reason);
    return append(entry->id, "deferred", i, now, reason, e);
}

enum rc spool_record_mark(struct spool_entry *entry, enum spool_mark mark, struct err *e)
{
    static const char *const names[] = { "held", "released", "notice", "approved" };
    enum rc rc = append(entry->id, names[mark], 0, 0, STR("-"), e);
    if (rc != RC_OK)
        return rc;
    entry->held = mark == SPOOL_HELD || (entry->held && mark != SPOOL_RELEASED);
    entry->delay_notices += mark == SPOOL_DELAY_NOTICE;
    entry->approved = entry->approved || mark == SPOOL_APPROVED;
    return RC_OK;
}

enum rc spool_record_via(struct spool_entry *entry, struct str via, struct err *e)
{
    entry->via = arena_str(entry->mem, via);
    return append(entry->id, "via", 0, 0, via, e);
}

enum rc spool_record_sync(const struct spool_entry *entry, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str path = spool_journal_path(entry->id, &mem);
    int fd AUTO_CLOSE = io_open(path.p, O_WRONLY, 0);
    if (fd < 0 || io_fsync(fd) < 0)
        return errno == ENOENT ? RC_OK : err_sys(e, "sync %s", path.p);
    return folder_sync(arena_printf(&mem, "queue/%.2s", entry->id.p + 11).p, e);
}

enum rc spool_record_retry(struct spool_entry *entry, unsigned tries, usec_t next_try,
                           struct err *e)
{
    entry->tries = tries;
    entry->next_try = next_try;
    return append(entry->id, "retry", tries, next_try, STR("-"), e);
}

enum rc spool_remove(struct spool_entry *entry, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    const char *paths[] = { spool_path(entry->id, &mem).p,
                            spool_journal_path(entry->id, &mem).p,
                            spool_body_path(entry->id, &mem).p };
    for (size_t i = 0; i < entry->env.recipient_count; i++)
        if (entry->states[i] == DELIVERY_PENDING)
            BUG("spool_remove with a pending recipient");
    return commit_remove(the_commit, paths, entry->env.part_of.n > 0 ? 3 : 2, e);
}

/* The journal first: an entry never stands without what is known of it. */
static enum rc move(struct str from, struct str from_journal, struct str to,
                    struct str to_journal, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    if (io_rename(from_journal.p, to_journal.p) < 0 && errno != ENOENT)
        return err_sys(e, "move %s", from_journal.p);
    if (io_rename(from.p, to.p) < 0)
        return err_sys(e, "move %s", from.p);
    enum rc rc = folder_sync(arena_c(&mem, str_head(to, str_rfind(to, '/'))), e);
    return rc == RC_OK ? folder_sync(arena_c(&mem, str_head(from, str_rfind(from, '/'))), e)
                       : rc;
}

enum rc spool_freeze(const struct spool_entry *entry, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str id = entry->id;
    if (entry->env.part_of.n > 0)
        (void)io_unlink(spool_body_path(id, &mem).p); /* can be made again */
    return move(spool_path(id, &mem), spool_journal_path(id, &mem), frozen_path(id, "", &mem),
                frozen_path(id, ".journal", &mem), e);
}

enum rc spool_thaw(struct str id, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    if (!spool_id_is_valid(id))
        return err_perm(e, "5.3.0", "not a queue id");
    struct str journal = frozen_path(id, ".journal", &mem);
    enum rc rc = append_to(journal, "thawed", 0, 0, STR("-"), e);
    return rc == RC_OK ? move(frozen_path(id, "", &mem), journal, spool_path(id, &mem),
                              spool_journal_path(id, &mem), e)
                       : rc;
}

enum rc spool_remove_frozen(struct str id, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    if (!spool_id_is_valid(id))
        return err_perm(e, "5.3.0", "not a queue id");
    if (io_unlink(frozen_path(id, "", &mem).p) < 0)
        return err_sys(e, "remove entry %.*s", STR_ARG(id));
    (void)io_unlink(frozen_path(id, ".journal", &mem).p);
    return folder_sync("queue/frozen", e);
}

static struct str aside_path(struct str id, struct arena *a)
{
    return arena_printf(a, "queue/damaged/%.*s", STR_ARG(id));
}

enum rc spool_set_aside(struct str id, struct str reason, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str aside = aside_path(id, &mem);
    log_error(EV("queue entry set aside"), KS("id", id), KS("reason", reason),
              KS("file", aside));
    if (io_rename(spool_path(id, &mem).p, aside.p) < 0)
        return err_sys(e, "set aside entry %.*s", STR_ARG(id));
    (void)io_unlink(spool_body_path(id, &mem).p);
    (void)io_rename(spool_journal_path(id, &mem).p,
                    arena_printf(&mem, "%s.journal", aside.p).p);
    return folder_sync("queue/damaged", e);
}

/* --- recovery ---------------------------------------------------------------------------- */

enum rc spool_recover_tag(void *ctx, struct str tag, const char *final_path, struct err *e)
{
    (void)ctx;
    (void)final_path;
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str id = { "", 0 }, number = tag;
    uint64_t recipient = 0;
    if (!str_cut(&number, ' ', &id) || number.p == NULL || !spool_id_is_valid(id) ||
        !str_to_u64(number, &recipient))
        return RC_OK; /* not a delivery from the queue */
    if (!file_exists(spool_path(id, &mem).p))
        return RC_OK; /* the entry was finished and removed */
    return append(id, "done", recipient, 0, STR("recovered"), e);
}

/* What belongs to an entry, by its name, and the entry is in none of the places it may be on
 * its way to or from: a move takes the journal first. */
static bool is_orphan(struct str name)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    size_t dot = str_find(name, '.');
    struct str id = str_head(name, dot);
    bool belongs = str_ends(name, STR(".journal")) || str_ends(name, STR(".body"));
    return belongs && spool_id_is_valid(id) && !file_exists(spool_path(id, &mem).p) &&
           !file_exists(frozen_path(id, "", &mem).p) && !file_exists(aside_path(id, &mem).p);
}

static enum rc find_orphans(const char *folder, bool repair, void (*fn)(void *, const char *),
                            void *ctx, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    enum rc rc = folder_exists(folder) ? folder_open(folder, &f, e) : RC_OK;
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        const char *path = arena_printf(&mem, "%s/%.*s", folder, STR_ARG(name)).p;
        if (type != DT_REG || !is_orphan(name))
            continue;
        fn(ctx, path);
        if (repair && io_unlink(path) < 0)
            rc = err_sys(e, "remove %s", path);
    }
    folder_close(&f);
    return rc;
}

enum rc spool_find_orphans(bool repair, void (*fn)(void *ctx, const char *path), void *ctx,
                           struct err *e)
{
    enum rc rc = find_orphans("queue/frozen", repair, fn, ctx, e);
    for (unsigned i = 0; i < 256 && rc == RC_OK; i++) {
        char folder[16];
        (void)snprintf(folder, sizeof(folder), "queue/%02x", i);
        rc = find_orphans(folder, repair, fn, ctx, e);
    }
    return rc;
}

static enum rc clear(const char *path, unsigned depth, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    enum rc rc = folder_open(path, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        const char *below = arena_printf(&mem, "%s/%.*s", path, STR_ARG(name)).p;
        if (type == DT_REG)
            (void)io_unlink(below);
        else if (type == DT_DIR && depth == 0)
            rc = clear(below, depth + 1, e);
    }
    folder_close(&f);
    return rc;
}

enum rc spool_clear_tmp(struct err *e)
{
    return folder_exists("queue/tmp") ? clear("queue/tmp", 0, e) : RC_OK;
}

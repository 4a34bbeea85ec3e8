/* memory.c - see memory.h. Called by visit.c and keep.c, one visit a source at a time; by
 * recovery; by `hikyaku export-spool`. */
#include "fetch/memory.h"
#include "spool/spool.h"
#include "store/store.h"
#include "sys/file.h"
#include <dirent.h>

#define ROOT "msgsync"
#define FIRST_LINE "hikyaku fetched 1"
#define FILE_MAX_BYTES ((size_t)256 << 20)
#define GONE_MAX 10000u

struct memory {
    struct arena mem;
    struct str path, folder;
    struct map by_uidl, by_digest; /* the latter: those that are gone */
    struct known **order;          /* as they were learned */
    size_t count, room;
    size_t lines;       /* of the file */
    bool changed;       /* the file doesn't say what we know */
    struct buf pending; /* lines that aren't written yet */
    int fd;             /* of the file, for appending; -1: not open */
};

static struct known *learn(struct memory *m, struct str uidl)
{
    struct known *k = map_get(&m->by_uidl, uidl);
    if (k != NULL)
        return k;
    k = arena_new(&m->mem, sizeof(*k));
    k->uidl = arena_str(&m->mem, uidl);
    (void)map_put(&m->by_uidl, k->uidl, k);
    if (m->count == m->room) {
        size_t room = MAX(64u, 2 * m->room);
        struct known **order = arena_new_array(&m->mem, struct known *, room);
        if (m->count > 0)
            memcpy(order, m->order, m->count * sizeof(struct known *));
        m->order = order;
        m->room = room;
    }
    m->order[m->count++] = k;
    return k;
}

/* --- lines ------------------------------------------------------------------------------- */

static bool is_digest(struct str s)
{
    bool good = s.n == DIGEST_TEXT_BYTES - 1 || str_eq(s, STR("-"));
    for (size_t i = 0; i < s.n && good && s.n > 1; i++)
        good = ascii_is_digit(s.p[i]) || (s.p[i] >= 'a' && s.p[i] <= 'f');
    return good;
}

/* One whole line. A line that isn't one is left out. */
static void take_line(struct memory *m, struct str line)
{
    static const char marks[] = "?=~"; /* in the order of enum known_state */
    struct str mark, uidl, digest;
    const char *at = NULL;
    m->lines++;
    if (!str_cut(&line, ' ', &mark) || mark.n != 1 || mark.p[0] == '\0' ||
        (at = strchr(marks, mark.p[0])) == NULL || !str_cut(&line, ' ', &uidl) || uidl.n == 0 ||
        !str_cut(&line, ' ', &digest) || !is_digest(digest))
        return;
    struct known *k = learn(m, uidl);
    k->digest = arena_str(&m->mem, digest);
    k->name = line.p == NULL ? STR("") : arena_str(&m->mem, line);
    k->state = (enum known_state)(at - marks);
}

static void take_text(struct memory *m, struct str text)
{
    struct str line;
    while (str_find(text, '\n') != SIZE_MAX && str_cut(&text, '\n', &line))
        take_line(m, line);
    m->changed = m->changed || text.n > 0; /* a line that a crash cut off */
}

/* --- XMail's ----------------------------------------------------------------------------- */

static struct str uidb_path(struct str folder, struct str user, struct arena *a)
{
    return arena_printf(a, "%.*s/%.*s.uidb", STR_ARG(folder), STR_ARG(user));
}

/* One UIDL a line. */
static enum rc take_uidb(struct memory *m, struct str user, struct err *e)
{
    struct str text, line;
    struct str path = uidb_path(m->folder, user, &m->mem);
    if (!file_exists(path.p))
        return RC_OK;
    enum rc rc = file_read(path.p, FILE_MAX_BYTES, &m->mem, &text, NULL, e);
    while (rc == RC_OK && text.n > 0 && str_cut(&text, '\n', &line)) {
        line = str_trim(line);
        if (line.n == 0 || line.n > 1000 || str_has_any(line, " \t"))
            continue;
        struct known *k = learn(m, line);
        k->digest = STR("-");
        k->state = KNOWN_STORED;
        m->changed = true;
    }
    return rc;
}

/* --- opening and closing ----------------------------------------------------------------- */

static struct memory *memory_new(struct str folder, struct str path)
{
    struct memory *m = mem_new(sizeof(*m));
    m->fd = -1;
    buf_init(&m->pending, FILE_MAX_BYTES);
    m->folder = arena_str(&m->mem, folder);
    m->path = arena_str(&m->mem, path);
    return m;
}

static void memory_free(struct memory **at)
{
    struct memory *m = *at;
    io_close_at(&m->fd);
    map_release(&m->by_uidl);
    map_release(&m->by_digest);
    buf_release(&m->pending);
    arena_release(&m->mem);
    mem_free(at);
}

static enum rc load(struct memory *m, struct err *e)
{
    struct str text, first;
    enum rc rc = file_read(m->path.p, FILE_MAX_BYTES, &m->mem, &text, NULL, e);
    if (rc != RC_OK)
        return rc;
    if (!str_cut(&text, '\n', &first) || !str_eq(first, STR(FIRST_LINE)))
        return err_perm(e, "5.3.0", "%s isn't of a form that is known", m->path.p);
    take_text(m, text);
    return RC_OK;
}

enum rc memory_open(struct str folder, struct str user, struct memory **out, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str path = arena_printf(&a, "%.*s/%.*s.seen", STR_ARG(folder), STR_ARG(user));
    struct memory *m = memory_new(folder, path);
    enum rc rc = file_exists(path.p) ? load(m, e) : take_uidb(m, user, e);
    if (rc != RC_OK)
        memory_free(&m);
    for (size_t i = 0; rc == RC_OK && i < m->count; i++)
        if (m->order[i]->state == KNOWN_GONE)
            (void)map_put(&m->by_digest, m->order[i]->digest, m->order[i]);
    *out = m;
    return rc;
}

struct known *memory_find(struct memory *m, struct str uidl)
{
    return map_get(&m->by_uidl, uidl);
}

struct known *memory_find_moved(struct memory *m, struct str digest)
{
    struct known *k = map_get(&m->by_digest, digest);
    return k != NULL && k->state == KNOWN_GONE && !k->listed ? k : NULL;
}

size_t memory_count(const struct memory *m)
{
    return m->by_uidl.live;
}

static enum rc print_all(const struct memory *m, struct buf *out)
{
    static const char marks[] = "?=~";
    enum rc rc = buf_add_str(out, STR(FIRST_LINE "\n"));
    for (size_t i = 0; rc == RC_OK && i < m->count; i++) {
        const struct known *k = m->order[i];
        if (map_get(&m->by_uidl, k->uidl) == k)
            rc = buf_printf(out, "%c %.*s %.*s%s%.*s\n", marks[k->state], STR_ARG(k->uidl),
                            STR_ARG(k->digest), k->state == KNOWN_INTENT ? " " : "",
                            STR_ARG(k->state == KNOWN_INTENT ? k->name : STR("")));
    }
    return rc;
}

static enum rc rewrite(struct memory *m, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, FILE_MAX_BYTES);
    if (print_all(m, &text) != RC_OK)
        return err_temp(e, "4.3.1", "%s would become too large", m->path.p);
    enum rc rc = folder_make(arena_c(&m->mem, m->folder), 0700, e);
    return rc == RC_OK ? file_replace(m->path.p, buf_str(&text), 0600, e) : rc;
}

enum rc memory_close(struct memory **at, struct err *e)
{
    struct memory *m = *at;
    if (m == NULL)
        return RC_OK;
    enum rc rc = memory_write(m, e);
    io_close_at(&m->fd);
    if (m->changed || m->lines > 2 * memory_count(m) + 1000)
        rc = rewrite(m, e);
    memory_free(at);
    return rc;
}

/* --- what happens ------------------------------------------------------------------------ */

static enum rc open_file(struct memory *m, struct err *e)
{
    enum rc rc = m->changed || !file_exists(m->path.p) ? rewrite(m, e) : RC_OK;
    if (rc != RC_OK)
        return rc;
    m->changed = false;
    m->fd = io_open(m->path.p, O_WRONLY | O_APPEND, 0);
    return m->fd < 0 ? err_sys(e, "open %s", m->path.p) : RC_OK;
}

enum rc memory_write(struct memory *m, struct err *e)
{
    struct iovec part = { m->pending.p, m->pending.n };
    enum rc rc = m->pending.n > 0 && m->fd < 0 ? open_file(m, e) : RC_OK;
    if (rc != RC_OK || m->pending.n == 0)
        return rc;
    rc = io_write_all(m->fd, &part, 1, e);
    buf_reset(&m->pending);
    m->changed = m->changed || rc != RC_OK; /* it may end in half a line */
    if (rc != RC_OK)
        io_close_at(&m->fd);
    return rc == RC_OK ? rc : err_wrap(e, "%s", m->path.p);
}

void memory_intend(struct memory *m, struct str uidl, struct str digest, struct str name)
{
    struct known *k = memory_find(m, uidl);
    /* What is known to be here stays so: another message has come under its UIDL. */
    if (k == NULL || k->state == KNOWN_INTENT) {
        k = learn(m, uidl);
        k->digest = arena_str(&m->mem, digest);
        k->name = arena_str(&m->mem, name);
        k->listed = true;
    }
    m->lines++;
    buf_addf(&m->pending, "? %.*s %.*s %.*s\n", STR_ARG(uidl), STR_ARG(digest), STR_ARG(name));
}

void memory_note(struct memory *m, struct str uidl, struct str digest)
{
    struct known *k = learn(m, uidl);
    k->digest = arena_str(&m->mem, digest);
    k->state = KNOWN_STORED;
    k->listed = true;
    m->lines++;
    buf_addf(&m->pending, "= %.*s %.*s\n", STR_ARG(uidl), STR_ARG(digest));
}

enum rc memory_sync(struct memory *m, struct err *e)
{
    enum rc rc = memory_write(m, e);
    if (rc != RC_OK || m->fd < 0 || io_fdatasync(m->fd) == 0)
        return rc;
    return err_sys(e, "sync %s", m->path.p);
}

bool memory_was_put(const struct known *k)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    size_t slash = str_rfind(k->name, '/');
    if (slash == SIZE_MAX)
        return spool_exists(k->name) || spool_is_frozen(k->name);
    struct account account = { .folder =
                                   str_from(arena_c(&a, str_head(k->name, slash)), slash) };
    return store_has(&account, str_skip(k->name, slash + 1));
}

static void forget(struct memory *m, const struct known *k)
{
    if (map_get(&m->by_uidl, k->uidl) == k)
        (void)map_remove(&m->by_uidl, k->uidl);
    m->changed = true;
}

void memory_sweep(struct memory *m, bool keeps)
{
    size_t gone = 0;
    for (size_t i = m->count; i-- > 0;) {
        struct known *k = m->order[i];
        bool same = k->listed || k->state == KNOWN_INTENT;
        if (map_get(&m->by_uidl, k->uidl) != k || same)
            continue;
        if (!keeps || k->digest.n == 1 || gone == GONE_MAX) {
            forget(m, k);
            continue;
        }
        gone++;
        m->changed = m->changed || k->state != KNOWN_GONE;
        k->state = KNOWN_GONE;
        (void)map_put(&m->by_digest, k->digest, k);
    }
}

/* --- tags -------------------------------------------------------------------------------- */

#define TAG_WORD "fetched"

struct str memory_tag(struct str folder, struct str user, struct str uidl, struct str digest,
                      struct arena *a)
{
    return arena_printf(a, TAG_WORD " %.*s %.*s %.*s/%.*s.seen", STR_ARG(uidl), STR_ARG(digest),
                        STR_ARG(folder), STR_ARG(user));
}

static enum rc note_in_file(struct str path, struct str uidl, struct str digest, struct err *e)
{
    struct str folder = str_head(path, str_rfind(path, '/'));
    struct memory *m = memory_new(folder, path);
    enum rc rc = file_exists(m->path.p) ? load(m, e) : RC_OK;
    const struct known *k = rc == RC_OK ? memory_find(m, uidl) : NULL;
    bool known = k != NULL && k->state != KNOWN_INTENT && str_eq(k->digest, digest);
    if (rc == RC_OK && !known)
        memory_note(m, uidl, digest);
    if (rc == RC_OK)
        rc = memory_write(m, e);
    memory_free(&m);
    return rc;
}

bool memory_take_tag(struct str tag, enum rc *out_rc, struct err *e)
{
    struct str word, uidl, digest;
    if (!str_cut(&tag, ' ', &word) || !str_eq(word, STR(TAG_WORD)))
        return false;
    if (!str_cut(&tag, ' ', &uidl) || !str_cut(&tag, ' ', &digest) ||
        !str_starts(tag, STR(ROOT "/")))
        *out_rc = err_temp(e, "4.3.0", "a tag of fetched mail isn't whole");
    else
        *out_rc = note_in_file(tag, uidl, digest, e);
    return true;
}

/* --- all sources ------------------------------------------------------------------------- */

typedef enum rc each_fn(struct memory *m, struct err *e);

static void each_in(struct str folder, each_fn *fn)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    struct err e = { .rc = RC_OK };
    if (folder_open(arena_c(&a, folder), &f, &e) != RC_OK)
        return;
    while (folder_next(f, &name, &type)) {
        if (type != DT_REG || !str_ends(name, STR(".seen")))
            continue;
        struct str path = arena_printf(&a, "%.*s/%.*s", STR_ARG(folder), STR_ARG(name));
        struct memory *m = memory_new(folder, path);
        enum rc rc = load(m, &e);
        if (rc == RC_OK)
            rc = fn(m, &e);
        if (rc != RC_OK)
            log_error(EV("memory of fetched mail"), KS("file", path), KE(&e));
        memory_free(&m);
    }
    folder_close(&f);
}

static void each_source(each_fn *fn)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    if (!folder_exists(ROOT) || folder_open(ROOT, &f, NULL) != RC_OK)
        return;
    while (folder_next(f, &name, &type))
        if (type == DT_DIR)
            each_in(arena_printf(&a, ROOT "/%.*s", STR_ARG(name)), fn);
    folder_close(&f);
}

static enum rc settle_one(struct memory *m, struct err *e)
{
    for (size_t i = 0; i < m->count; i++) {
        struct known *k = m->order[i];
        if (k->state == KNOWN_INTENT && memory_was_put(k))
            memory_note(m, k->uidl, k->digest);
    }
    return memory_write(m, e);
}

void memory_settle(void)
{
    each_source(settle_one);
}

static enum rc export_one(struct memory *m, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    enum rc rc = settle_one(m, e);
    buf_init(&text, FILE_MAX_BYTES);
    for (size_t i = 0; rc == RC_OK && i < m->count; i++)
        if (m->order[i]->state == KNOWN_STORED)
            rc = buf_printf(&text, "%.*s\n", STR_ARG(m->order[i]->uidl));
    if (rc != RC_OK)
        return err_temp(e, "4.3.1", "too much is remembered");
    struct str stem = str_head(m->path, m->path.n - STR(".seen").n);
    rc = file_replace(arena_printf(&m->mem, "%.*s.uidb", STR_ARG(stem)).p, buf_str(&text), 0600,
                      e);
    return rc == RC_OK ? file_remove(m->path.p, e) : rc;
}

void memory_export(void)
{
    each_source(export_one);
}

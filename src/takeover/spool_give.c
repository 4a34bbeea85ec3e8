/*
 * spool_give.c - the queue goes back to XMail: each recipient becomes a file of its spool
 * (specification 2, section 3; 6, items 1 and 2). Called by `hikyaku export-spool` while no
 * server runs; its end also by recovery.
 *
 * Steps, for some hundred entries at a time:
 *   1. files are written below queue/export under the name ID.KIND.NAME, and synced
 *   2. the entry moves to queue/export/ID.entry: from here on it is XMail's
 *   3. its files move into spool/0/0, synced; then the entry goes
 * A file of step 1 whose entry didn't move is dropped; one whose entry did moves on.
 */
#include "conf/options.h"
#include "process/process.h"
#include "sys/file.h"
#include "takeover/xmail_int.h"
#include <dirent.h>

#define EXPORT "queue/export"
#define TARGET "0/0"
#define BATCH_ENTRIES 300u
#define CHUNK_BYTES ((size_t)64 * 1024)

struct give {
    const struct takeover_sink *sink;
    struct takeover_given report;
    struct arena mem;
    struct buf ids; /* struct str */
    bool frozen;    /* the folder at hand */
    char host[64];
};

/* --- one file ---------------------------------------------------------------------------- */

static struct str head_of(const struct spool_entry *entry, size_t i, struct arena *a)
{
    const struct envelope *env = &entry->env;
    const struct filter_scene scene = {
        .client = env->client,
        .server = env->server,
        .domain =
            conf()->smtp_server_domain.n > 0 ? conf()->smtp_server_domain : conf()->root_domain,
        .id = entry->id,
        .sender = address_print_bare(&env->reverse_path, a),
        .time = env->received_at,
    };
    const struct filter_rcpt to = {
        .given = address_print_bare(&env->recipients[i].resolved, a),
    };
    return scene_head_queue(&scene, &to, a);
}

static enum rc write_part(int fd, struct buf *b, const char *path, struct err *e)
{
    struct iovec part = { b->p, b->n };
    enum rc rc = io_write_all(fd, &part, 1, e);
    buf_reset(b);
    return rc == RC_OK ? rc : err_wrap(e, "%s", path);
}

static enum rc write_message(const struct spool_entry *entry, size_t i, const char *path,
                             struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf out AUTO_RELEASE_BUF;
    char *chunk AUTO_FREE = mem_new(CHUNK_BYTES);
    struct stuffing dots = { .in_line = false };
    buf_init(&out, (size_t)16 << 20);
    int fd AUTO_CLOSE = io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return err_sys(e, "make %s", path);
    buf_must(buf_add_str(&out, head_of(entry, i, &a)));
    enum rc rc = write_part(fd, &out, path, e);
    for (uint64_t at = 0; at < entry->message_octets && rc == RC_OK;) {
        size_t want = (size_t)MIN((uint64_t)CHUNK_BYTES, entry->message_octets - at);
        ssize_t n = io_pread(entry->message_fd, chunk, want, entry->message_offset + at);
        if (n <= 0)
            return n < 0 ? err_sys(e, "read entry %.*s", STR_ARG(entry->id))
                         : err_temp(e, "4.3.0", "entry %.*s ends early", STR_ARG(entry->id));
        buf_must(stuff_feed(&dots, str_from(chunk, (size_t)n), &out));
        rc = write_part(fd, &out, path, e);
        at += (uint64_t)n;
    }
    return rc;
}

static enum rc write_beside(struct buf *text, const char *path, struct err *e)
{
    int fd AUTO_CLOSE = io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return fd < 0 ? err_sys(e, "make %s", path) : write_part(fd, text, path, e);
}

/* slog: what was noted of a frozen message. */
static void print_log(const struct spool_entry *entry, size_t i, const char *why,
                      struct buf *out)
{
    for (const struct spool_line *line = entry->history; line != NULL; line = line->next)
        buf_addf(out, "%.*s\r\n", STR_ARG(line->text));
    buf_addf(out, "%.*s\r\n", STR_ARG(entry->reasons[i]));
    if (why != NULL)
        buf_addf(out, "%s\r\n", why);
}

/* --- step 1 ------------------------------------------------------------------------------ */

/* "milliseconds.thread.sequence.host"; the same for the same recipient. */
static struct str name_of(const struct give *g, const struct spool_entry *entry, size_t i,
                          struct arena *a)
{
    return arena_printf(a, "%" PRId64 ".%" PRIu64 ".%zu.%s", entry->env.received_at / USEC_MS,
                        hash_text(entry->id, false, 5), i + 1, g->host);
}

static bool is_meant(const struct give *g, enum delivery_state state)
{
    return state == DELIVERY_PENDING || state == DELIVERY_FAILED ||
           (g->frozen && state == DELIVERY_REPORTED);
}

static enum rc stage_one(struct give *g, const struct spool_entry *entry, size_t i,
                         struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf beside AUTO_RELEASE_BUF;
    struct str name = name_of(g, entry, i, &a);
    struct str front = arena_printf(&a, EXPORT "/%.*s", STR_ARG(entry->id));
    const char *part = NULL;
    buf_init(&beside, (size_t)64 << 20);
    /* What a person keeps back must not go out because XMail knows nothing of that; nor what
     * has a way that XMail can't be told. */
    bool frozen = g->frozen || entry->held || (entry->env.approval.n > 0 && !entry->approved);
    const char *why = frozen ? NULL : xmail_progress_print(entry, i, &a, &part, &beside);
    if (why != NULL)
        takeover_say(g->sink, TAKEOVER_HAND, name, "frozen: %s", why);
    frozen = frozen || why != NULL;
    if (frozen) {
        part = "slog";
        buf_reset(&beside);
        print_log(entry, i, why, &beside);
    }
    enum rc rc = write_message(
        entry, i,
        arena_printf(&a, "%s.%s.%.*s", front.p, frozen ? "froz" : "mess", STR_ARG(name)).p, e);
    if (rc == RC_OK && part != NULL)
        rc = write_beside(&beside,
                          arena_printf(&a, "%s.%s.%.*s", front.p, part, STR_ARG(name)).p, e);
    g->report.files++;
    g->report.frozen += frozen;
    return rc;
}

static enum rc stage(struct give *g, const struct spool_entry *entry, struct err *e)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < entry->env.recipient_count && rc == RC_OK; i++)
        if (is_meant(g, entry->states[i]))
            rc = stage_one(g, entry, i, e);
    return rc;
}

/* --- steps 2 and 3 ----------------------------------------------------------------------- */

static struct str folder_of(const struct give *g, struct str id)
{
    static char path[16];
    (void)snprintf(path, sizeof(path), "queue/%.2s", id.p + 11);
    return g->frozen ? STR("queue/frozen") : str_from_c(path);
}

static enum rc commit_batch(struct give *g, struct err *e)
{
    enum rc rc = g->ids.n == 0 ? RC_OK : xmail_sync("queue", e);
    for (size_t at = 0; at < g->ids.n && rc == RC_OK; at += sizeof(struct str)) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str id;
        memcpy(&id, g->ids.p + at, sizeof(id));
        struct str from = arena_printf(&a, "%.*s/%.*s", STR_ARG(folder_of(g, id)), STR_ARG(id));
        struct str to = arena_printf(&a, EXPORT "/%.*s", STR_ARG(id));
        if (io_rename(from.p, arena_printf(&a, "%s.entry", to.p).p) < 0)
            rc = err_sys(e, "move %s", from.p);
        /* Behind it: without its entry the journal means nothing. */
        if (rc == RC_OK)
            (void)io_rename(arena_printf(&a, "%s.journal", from.p).p,
                            arena_printf(&a, "%s.journal", to.p).p);
    }
    g->report.entries += g->ids.n / sizeof(struct str);
    buf_reset(&g->ids);
    arena_reset(&g->mem);
    if (rc == RC_OK)
        rc = xmail_sync("queue", e);
    return rc == RC_OK ? takeover_give_finish(e) : rc;
}

static enum rc names_in(const char *path, struct arena *a, struct buf *names, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    enum rc rc = folder_open(path, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        struct str copy = arena_str(a, name);
        rc = buf_add(names, &copy, sizeof(copy));
    }
    folder_close(&f);
    return rc;
}

/* A staged file goes on where its entry was given, and is dropped where it wasn't. messages:
 * those, else what lies beside them. */
static enum rc finish_file(struct str name, bool messages, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str rest = name, id = { "", 0 }, kind = { "", 0 };
    struct str from = arena_printf(&a, EXPORT "/%.*s", STR_ARG(name));
    if (!str_cut(&rest, '.', &id) || !str_cut(&rest, '.', &kind) || rest.p == NULL)
        return RC_OK; /* ID.entry, ID.journal */
    if (messages != (str_eq(kind, STR("mess")) || str_eq(kind, STR("froz"))))
        return RC_OK;
    if (!file_exists(arena_printf(&a, EXPORT "/%.*s.entry", STR_ARG(id)).p))
        return io_unlink(from.p) < 0 ? err_sys(e, "remove %s", from.p) : RC_OK;
    struct str to =
        arena_printf(&a, "spool/" TARGET "/%.*s/%.*s", STR_ARG(kind), STR_ARG(rest));
    return xmail_move(from, to, e);
}

/* "ID.entry" or "ID.journal": its files are XMail's. A journal may not have followed. */
static enum rc drop_entry(struct str name, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str rest = name, id = { "", 0 };
    (void)str_cut(&rest, '.', &id);
    if (!spool_id_is_valid(id) ||
        (!str_eq(rest, STR("entry")) && !str_eq(rest, STR("journal"))))
        return RC_OK;
    const char *const paths[] = {
        arena_printf(&a, "queue/%.2s/%.*s.journal", id.p + 11, STR_ARG(id)).p,
        arena_printf(&a, "queue/frozen/%.*s.journal", STR_ARG(id)).p,
        arena_printf(&a, EXPORT "/%.*s", STR_ARG(name)).p,
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (io_unlink(paths[i]) < 0 && errno != ENOENT)
            return err_sys(e, "remove %s", paths[i]);
    return RC_OK;
}

enum rc takeover_give_finish(struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf names AUTO_RELEASE_BUF;
    buf_init(&names, (size_t)1 << 30);
    if (!folder_exists(EXPORT))
        return RC_OK;
    enum rc rc = names_in(EXPORT, &a, &names, e);
    size_t count = names.n / sizeof(struct str);
    struct str *list = arena_new_array(&a, struct str, count + 1);
    if (count > 0)
        memcpy(list, names.p, names.n);
    /* XMail must not find a message without what belongs to it. */
    for (size_t i = 0; i < 2 * count && rc == RC_OK; i++)
        rc = finish_file(list[i % count], i >= count, e);
    if (rc == RC_OK && count > 0)
        rc = xmail_sync("spool", e);
    if (rc == RC_OK && count > 0)
        rc = xmail_sync("queue", e);
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        rc = drop_entry(list[i], e);
    return rc;
}

/* --- all of them ------------------------------------------------------------------------- */

static bool collect(void *ctx, struct str id)
{
    struct give *g = ctx;
    struct str copy = arena_str(&g->mem, id);
    buf_must(buf_add(&g->ids, &copy, sizeof(copy)));
    return true;
}

static enum rc give_one(struct give *g, struct str id, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry;
    enum rc rc =
        g->frozen ? spool_open_frozen(id, &a, &entry, e) : spool_open(id, &a, &entry, e);
    if (rc == RC_PERM) {
        g->report.damaged++;
        takeover_say(g->sink, TAKEOVER_HAND, id, "stays in the queue: %s", e->text);
        return RC_OK;
    }
    if (rc != RC_OK)
        return rc;
    rc = stage(g, &entry, e);
    spool_close(&entry);
    struct str copy = arena_str(&g->mem, id);
    if (rc == RC_OK)
        buf_must(buf_add(&g->ids, &copy, sizeof(copy)));
    return rc;
}

/* A part whose entry doesn't say so yet would come twice: that entry makes it again. */
static enum rc drop_if_it_waits(struct str id, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry;
    if (spool_open(id, &a, &entry, NULL) != RC_OK)
        return RC_OK; /* give_one says it */
    bool waits = spool_part_waits(&entry);
    spool_close(&entry);
    const char *path = arena_printf(&a, "queue/%.2s/%.*s", id.p + 11, STR_ARG(id)).p;
    if (waits && io_unlink(path) < 0)
        return err_sys(e, "remove %s", path);
    if (waits)
        (void)io_unlink(arena_printf(&a, "%s.journal", path).p);
    return RC_OK;
}

/* Before any entry is given: one that was can't be asked any more. */
static enum rc drop_waiting_parts(struct give *g, struct err *e)
{
    enum rc rc = spool_scan(collect, g, e);
    for (size_t at = 0; at < g->ids.n && rc == RC_OK; at += sizeof(struct str)) {
        struct str id;
        memcpy(&id, g->ids.p + at, sizeof(id));
        rc = drop_if_it_waits(id, e);
    }
    buf_reset(&g->ids);
    arena_reset(&g->mem);
    return rc == RC_OK ? xmail_sync("queue", e) : rc;
}

static enum rc give_folder(struct give *g, bool frozen, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    g->frozen = frozen;
    enum rc rc = frozen ? spool_scan_frozen(collect, g, e) : spool_scan(collect, g, e);
    size_t count = g->ids.n / sizeof(struct str);
    struct str *list = arena_new_array(&a, struct str, count + 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(&list[i], g->ids.p + i * sizeof(*list), sizeof(*list));
        list[i] = arena_str(&a, list[i]);
    }
    buf_reset(&g->ids);
    arena_reset(&g->mem);
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        rc = give_one(g, list[i], e);
        if (rc == RC_OK && g->ids.n / sizeof(*list) == BATCH_ENTRIES)
            rc = commit_batch(g, e);
    }
    return rc == RC_OK ? commit_batch(g, e) : rc;
}

static enum rc make_folders(struct err *e)
{
    static const char *const parts[] = { "mess", "rsnd", "info", "temp", "slog",
                                         "lock", "mprc", "cust", "froz" };
    char path[64];
    enum rc rc = folder_make(EXPORT, 0700, e);
    if (rc == RC_OK)
        rc = folder_make("spool/temp", 0700, e);
    for (size_t i = 0; i < ARRAY_LEN(parts) && rc == RC_OK; i++) {
        (void)snprintf(path, sizeof(path), "spool/" TARGET "/%s", parts[i]);
        rc = folder_make(path, 0700, e);
    }
    return rc;
}

enum rc takeover_give(const struct takeover_sink *sink, struct takeover_given *out,
                      struct err *e)
{
    struct give g = { .sink = sink };
    if (gethostname(g.host, sizeof(g.host) - 1) != 0 || g.host[0] == '\0')
        memcpy(g.host, "localhost", sizeof("localhost"));
    buf_init(&g.ids, (size_t)1 << 30);
    enum rc rc = make_folders(e);
    if (rc == RC_OK)
        rc = takeover_give_finish(e);
    if (rc == RC_OK)
        rc = drop_waiting_parts(&g, e);
    if (rc == RC_OK)
        rc = give_folder(&g, false, e);
    if (rc == RC_OK)
        rc = give_folder(&g, true, e);
    *out = g.report;
    buf_release(&g.ids);
    arena_release(&g.mem);
    return rc;
}

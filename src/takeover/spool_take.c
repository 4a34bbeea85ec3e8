/*
 * spool_take.c - the messages of XMail's spool become queue entries. Called by recovery before
 * any role runs, and by `hikyaku takeover`, under hikyaku/lock.
 *
 * Steps, each of which can be the last before the machine stops:
 *   1. claim: the message moves from spool/A/B/KIND to queue/xmail/A/B/KIND; XMail doesn't see
 *      it any more, and the roles don't see it yet
 *   2. an entry is made of it, with an id from its place and name: a repetition makes the same
 *   3. all entries are synced
 *   4. claimed messages are removed, synced, and then what lay beside them
 * A call begins with what an earlier one claimed.
 */
#include "sys/file.h"
#include "takeover/xmail_int.h"
#include "users/users.h"

#define CLAIMED "queue/xmail"
#define ASIDE "queue/damaged/xmail"
#define BATCH_FILES 500u
#define BATCH_OCTETS ((uint64_t)256 << 20)
#define CHUNK_BYTES ((size_t)64 * 1024)

struct take {
    const struct takeover_sink *sink;
    struct takeover_spool report;
    struct arena mem;     /* paths of this batch */
    struct buf converted; /* struct str: claimed files with an entry */
    struct buf beside;    /* struct str: what lies beside them */
    uint64_t batch_octets;
    bool has_index;
};

/* A damaged message: out of the way, never deleted. */
static enum rc set_aside(struct take *t, const struct xmail_found *f, const char *why,
                         struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    const char *kind = xmail_kinds[f->kind];
    struct str to = xmail_path(ASIDE, f->folder, kind, f->name, &mem);
    t->report.damaged++;
    log_error(EV("message of XMail's spool set aside"), KS("file", to), KV("reason", why));
    takeover_say(t->sink, TAKEOVER_HAND, to, "set aside: %s", why);
    return xmail_move(xmail_path(f->top, f->folder, kind, f->name, &mem), to, e);
}

/* --- what is known of a message ---------------------------------------------------------- */

static struct str read_beside(const struct xmail_found *f, const char *part, struct arena *a)
{
    struct str text = STR("");
    struct str path = xmail_path(CLAIMED, f->folder, part, f->name, a);
    if (file_exists(path.p) && file_read(path.p, XMAIL_LOG_MAX, a, &text, NULL, NULL) != RC_OK)
        return STR("");
    return text;
}

/* XMail's plan: T(i) = T(i-1) + T(i-1) / ratio (specification 2, section 2). */
static usec_t next_try(const struct xmail_log *log)
{
    const struct options *o = conf();
    usec_t delay = (o->xmail_retry_s > 0 ? o->xmail_retry_s : 480) * USEC_S;
    int64_t ratio = o->xmail_retries ? o->xmail_retry_ratio : 16;
    for (unsigned i = 1; i < log->tries && ratio > 0 && delay < 86400 * USEC_S; i++)
        delay += delay / ratio;
    return log->last_try > 0 ? log->last_try + delay : 0;
}

/* What XMail left to do of the commands for it. */
static struct str read_left(const struct xmail_found *f, struct arena *a)
{
    struct str left = read_beside(f, "mprc", a);
    return left.n > 0 ? left : read_beside(f, "cust", a);
}

/* Where it isn't certain what was done, the entry is held for a person. */
static enum xmail_progress progress(const struct take *t, const struct xmail_found *f,
                                    const struct xmail_head *h, struct arena *a,
                                    struct spool_past *out)
{
    struct str left = read_left(f, a);
    if (left.n == 0)
        return XMAIL_PROGRESS_NONE;
    if (!t->has_index || h->count != 1)
        return XMAIL_PROGRESS_UNKNOWN;
    return xmail_progress_read(left, &h->rcpts[0].resolved, a, &out->steps, &out->step_count);
}

static struct str history(const struct xmail_found *f, const struct xmail_head *h,
                          struct str log, struct arena *a)
{
    struct str left = read_left(f, a);
    struct str text = arena_printf(a, "XMail: spool/%.*s/%s/%.*s id %.*s\n", STR_ARG(f->folder),
                                   xmail_kinds[f->kind], STR_ARG(f->name), STR_ARG(h->id));
    if (left.n > 0)
        text = arena_printf(a, "%.*sleft to do:\n%.*s\n", STR_ARG(text), STR_ARG(left));
    return arena_printf(a, "%.*s%.*s", STR_ARG(text), STR_ARG(log));
}

static void look_back(struct take *t, const struct xmail_found *f, const struct xmail_head *h,
                      const struct stat *st, struct arena *a, struct spool_past *out)
{
    struct str text = read_beside(f, "slog", a);
    struct xmail_log log;
    xmail_log_parse(text, &log);
    *out = (struct spool_past){ .history = history(f, h, text, a), .reason = STR("") };
    if (log.last_try == 0)
        log.last_try = (usec_t)st->st_mtime * USEC_S;
    out->frozen = f->kind == XMAIL_FROZ;
    out->tries = f->kind == XMAIL_RSND ? MAX(log.tries, 1u) : log.tries;
    out->next_try = f->kind == XMAIL_RSND ? next_try(&log) : 0;
    if (log.reason.n > 0 || out->frozen || f->kind == XMAIL_RSND)
        out->reason =
            arena_printf(a, "%s - %.*s", out->frozen ? "5.0.0" : "4.0.0",
                         STR_ARG(log.reason.n > 0 ? log.reason : STR("XMail didn't note why")));
    if (progress(t, f, h, a, out) == XMAIL_PROGRESS_UNKNOWN && !out->frozen) {
        out->held = true;
        out->reason = STR("4.0.0 - XMail had begun to process it; release it to begin anew");
        t->report.held++;
    }
}

/* --- the entry --------------------------------------------------------------------------- */

/* The same for the same file, whenever it is asked. */
static struct str entry_id(const struct xmail_found *f, usec_t at, struct arena *a)
{
    struct str place = arena_printf(a, "%.*s/%s/%.*s", STR_ARG(f->folder), xmail_kinds[f->kind],
                                    STR_ARG(f->name));
    uint64_t hash = hash_text(place, false, 5);
    return arena_printf(a, "%013" PRIx64 "%016" PRIx64,
                        (uint64_t)(at - at % USEC_MS) + hash % USEC_MS, hash);
}

/* What the address means here now, as when a session takes it. */
static struct address meaning(const struct take *t, const struct address *to, struct arena *a)
{
    return t->has_index ? users_meaning(to, a) : *to;
}

/* The data part, piece by piece. With eight_bit only dots and 8-bit octets are looked for. */
static enum rc each_piece(int fd, uint64_t at, struct dots *dots, bool *eight_bit,
                          struct unstuffing *text, struct spool_put *out, struct err *e)
{
    struct buf lines AUTO_RELEASE_BUF;
    char *chunk AUTO_FREE = mem_new(CHUNK_BYTES);
    enum rc rc = RC_OK;
    ssize_t n = 0;
    buf_init(&lines, 2 * CHUNK_BYTES);
    do {
        n = io_pread(fd, chunk, CHUNK_BYTES, at);
        if (n < 0)
            return err_sys(e, "read a message of XMail's spool");
        struct str piece = str_from(chunk, (size_t)n);
        at += (uint64_t)n;
        if (eight_bit != NULL) {
            dots_feed(dots, piece);
            *eight_bit = *eight_bit || !str_is_ascii(piece);
            continue;
        }
        uint64_t before = text->wire_octets;
        buf_reset(&lines);
        buf_must(n > 0 ? unstuff_feed(text, piece, &lines) : unstuff_end(text, &lines));
        rc = spool_put_write(out, buf_str(&lines), text->wire_octets - before, e);
    } while (n > 0 && rc == RC_OK);
    return rc;
}

static enum rc read_head(int fd, const struct stat *st, struct arena *a, struct xmail_head *out,
                         struct err *e)
{
    size_t n = 0, most = (size_t)MIN((uint64_t)st->st_size, (uint64_t)XMAIL_HEAD_MAX);
    size_t want = MIN(most, (size_t)8192);
    enum rc rc = RC_PERM;
    char *text = arena_new(a, most + 1);
    while (rc != RC_OK) {
        ssize_t got = io_pread(fd, text + n, want - n, n);
        if (got < 0)
            return err_sys(e, "read a message of XMail's spool");
        n += (size_t)got;
        rc = xmail_head_parse(str_from(text, n), a, out, e);
        if (got == 0 || want == most)
            break;
        want = most;
    }
    return rc;
}

static void fill_envelope(const struct take *t, const struct xmail_head *h, bool eight_bit,
                          usec_t at, struct arena *a, struct envelope *out)
{
    bool utf8 = h->sender.needs_utf8;
    for (size_t i = 0; i < h->count; i++) {
        h->rcpts[i].resolved = meaning(t, &h->rcpts[i].address, a);
        utf8 = utf8 || h->rcpts[i].address.needs_utf8;
    }
    *out = (struct envelope){ .reverse_path = h->sender,
                              .auth_user = STR(""),
                              .client = h->client,
                              .server = h->server,
                              .helo = STR(""),
                              .received_at = at,
                              .smtputf8 = utf8,
                              .body_8bit = eight_bit,
                              .envid = STR(""),
                              .recipient_count = h->count,
                              .recipients = h->rcpts };
}

static enum rc make_entry(struct take *t, const struct xmail_found *f, int fd,
                          const struct stat *st, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct xmail_head h = { 0 };
    struct spool_past past;
    struct envelope env;
    struct spool_put *put = NULL;
    struct dots dots = { .plain = false };
    bool eight_bit = false;
    enum rc rc = read_head(fd, st, &mem, &h, e);
    if (rc == RC_OK)
        rc = each_piece(fd, h.head_n, &dots, &eight_bit, NULL, NULL, e);
    if (rc != RC_OK)
        return rc;
    usec_t at = xmail_name_time(f->name);
    at = at > 0 ? at : h.written_at > 0 ? h.written_at : (usec_t)st->st_mtime * USEC_S;
    struct str id = entry_id(f, at, &mem);
    struct unstuffing text = { .dotted = !dots.plain };
    fill_envelope(t, &h, eight_bit, at, &mem, &env);
    look_back(t, f, &h, st, &mem, &past);
    rc = spool_adopt_begin(id, &env, &put, e);
    if (rc == RC_OK)
        rc = each_piece(fd, h.head_n, NULL, NULL, &text, put, e);
    if (rc != RC_OK) {
        spool_put_abort(&put);
        return rc == RC_PERM ? err_temp(e, "4.3.0", "%s", e->text) : rc;
    }
    rc = spool_adopt_commit(&put, &past, h.count, e);
    if (rc != RC_OK)
        return err_temp(e, "4.3.0", "%s", e->text);
    log_info(EV("message accepted"), KS("id", id), KV("via", "XMail's spool"),
             KV("folder", xmail_kinds[f->kind]), KS("file", f->name),
             KS("from", address_print(&h.sender, &mem)), KU("rcpts", h.count),
             KS("rcpt", address_print(&h.rcpts[0].address, &mem)), KU("tries", past.tries));
    return RC_OK;
}

/* --- a batch ----------------------------------------------------------------------------- */

static enum rc remove_all(const struct buf *paths, struct err *e)
{
    for (size_t at = 0; at < paths->n; at += sizeof(struct str)) {
        struct str path;
        memcpy(&path, paths->p + at, sizeof(path));
        if (io_unlink(path.p) < 0 && errno != ENOENT)
            return err_sys(e, "remove %s", path.p);
    }
    return xmail_sync("queue", e);
}

/* Steps 3 and 4. */
static enum rc end_batch(struct take *t, struct err *e)
{
    enum rc rc = t->converted.n == 0 ? RC_OK : xmail_sync("queue", e);
    if (rc == RC_OK && t->converted.n > 0)
        rc = remove_all(&t->converted, e);
    if (rc == RC_OK && t->beside.n > 0)
        rc = remove_all(&t->beside, e);
    buf_reset(&t->converted);
    buf_reset(&t->beside);
    arena_reset(&t->mem);
    t->batch_octets = 0;
    return rc;
}

static enum rc note_done(struct take *t, const struct xmail_found *f, struct err *e)
{
    struct str path = xmail_path(CLAIMED, f->folder, xmail_kinds[f->kind], f->name, &t->mem);
    buf_must(buf_add(&t->converted, &path, sizeof(path)));
    for (size_t i = 0; i < ARRAY_LEN(xmail_beside); i++) {
        path = xmail_path(CLAIMED, f->folder, xmail_beside[i], f->name, &t->mem);
        if (file_exists(path.p))
            buf_must(buf_add(&t->beside, &path, sizeof(path)));
    }
    bool full = t->converted.n / sizeof(path) >= BATCH_FILES || t->batch_octets > BATCH_OCTETS;
    return full ? end_batch(t, e) : RC_OK;
}

static enum rc convert(void *ctx, const struct xmail_found *f, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct take *t = ctx;
    struct stat st;
    struct str path = xmail_path(CLAIMED, f->folder, xmail_kinds[f->kind], f->name, &mem);
    int fd AUTO_CLOSE = io_open(path.p, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0)
        return err_sys(e, "open %s", path.p);
    enum rc rc = make_entry(t, f, fd, &st, e);
    if (rc == RC_PERM) {
        struct str why = arena_str(&mem, str_from_c(e->text));
        return set_aside(t, f, why.p, e);
    }
    if (rc != RC_OK)
        return rc;
    size_t *counts[] = { &t->report.fresh, &t->report.retried, &t->report.frozen };
    (*counts[f->kind])++;
    t->report.octets += (uint64_t)st.st_size;
    t->batch_octets += (uint64_t)st.st_size;
    return note_done(t, f, e);
}

/* Step 1. The message first: without it the rest is of no use to XMail. */
static enum rc claim(void *ctx, const struct xmail_found *f, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    const char *kind = xmail_kinds[f->kind];
    (void)ctx;
    return xmail_move(xmail_path("spool", f->folder, kind, f->name, &mem),
                      xmail_path(CLAIMED, f->folder, kind, f->name, &mem), e);
}

/* What lies beside a claimed message, also when a crash came between the two. */
static enum rc claim_beside(void *ctx, const struct xmail_found *f, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    enum rc rc = RC_OK;
    (void)ctx;
    for (size_t i = 0; i < ARRAY_LEN(xmail_beside) && rc == RC_OK; i++) {
        struct stat st;
        struct str from = xmail_path("spool", f->folder, xmail_beside[i], f->name, &mem);
        if (io_lstat(from.p, &st) == 0 && S_ISREG(st.st_mode))
            rc = xmail_move(from,
                            xmail_path(CLAIMED, f->folder, xmail_beside[i], f->name, &mem), e);
    }
    return rc;
}

static void use_index(struct take *t)
{
    struct users_report report;
    struct err e;
    int fd = -1;
    if (users_index_build(&fd, &report, &e) == RC_OK)
        t->has_index = users_index_use(fd, &e) == RC_OK;
    if (!t->has_index)
        log_warn(EV("recipients of XMail's spool are looked up later"), KE(&e));
}

static enum rc is_something(void *ctx, const struct xmail_found *f, struct err *e)
{
    (void)f, (void)e;
    *(bool *)ctx = true;
    return RC_GONE; /* one is enough */
}

static bool has_messages(const char *top)
{
    bool some = false;
    size_t odd = 0;
    struct err e;
    (void)!xmail_scan(top, NULL, is_something, &some, &odd, &e);
    return some;
}

static enum rc take_all(struct take *t, struct err *e)
{
    size_t odd = 0;
    enum rc rc = xmail_scan("spool", t->sink, claim, t, &t->report.odd, e);
    if (rc == RC_OK)
        rc = xmail_scan(CLAIMED, t->sink, claim_beside, t, &odd, e);
    /* The claims are durable before anything claimed can go: else a power cut would show a
     * message in the spool again whose entry is long delivered. */
    if (rc == RC_OK)
        rc = xmail_sync("spool", e);
    if (rc == RC_OK)
        rc = xmail_scan(CLAIMED, t->sink, convert, t, &odd, e);
    return rc == RC_OK ? end_batch(t, e) : rc;
}

enum rc takeover_spool_do(const struct takeover_sink *sink, struct takeover_spool *out,
                          struct err *e)
{
    struct take t = { .sink = sink };
    unsigned pid = 0;
    *out = t.report;
    if (!has_messages("spool") && !has_messages(CLAIMED))
        return RC_OK;
    if (takeover_xmail_runs(&pid))
        return err_temp(e, "4.2.0", "XMail runs on this MailRoot (process %u)", pid);
    buf_init(&t.converted, (size_t)1 << 20);
    buf_init(&t.beside, (size_t)1 << 20);
    use_index(&t);
    enum rc rc = take_all(&t, e);
    *out = t.report;
    buf_release(&t.converted);
    buf_release(&t.beside);
    arena_release(&t.mem);
    if (t.has_index)
        users_close();
    return rc;
}

/* --- the rehearsal ----------------------------------------------------------------------- */

struct look {
    const struct takeover_sink *sink;
    struct takeover_spool *report;
};

static enum rc look_at(void *ctx, const struct xmail_found *f, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct look *l = ctx;
    struct xmail_head h = { 0 };
    struct stat st = { 0 };
    struct str path = xmail_path(f->top, f->folder, xmail_kinds[f->kind], f->name, &mem);
    size_t *counts[] = { &l->report->fresh, &l->report->retried, &l->report->frozen };
    int fd AUTO_CLOSE = io_open(path.p, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME, 0);
    if (fd < 0) /* O_NOATIME is for the owner */
        fd = io_open(path.p, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    enum rc rc = fd < 0 || io_fstat(fd, &st) < 0 ? err_sys(e, "open it")
                                                 : read_head(fd, &st, &mem, &h, e);
    if (rc != RC_OK) {
        l->report->damaged++;
        takeover_say(l->sink, TAKEOVER_HAND, path, "would be set aside: %s", e->text);
        return RC_OK;
    }
    (*counts[f->kind])++;
    l->report->octets += (uint64_t)st.st_size;
    return RC_OK;
}

enum rc takeover_spool_look(const struct takeover_sink *sink, struct takeover_spool *out,
                            struct err *e)
{
    struct look l = { sink, out };
    *out = (struct takeover_spool){ .local = xmail_count("spool", "local"),
                                    .unfinished = xmail_count("spool", "temp") };
    enum rc rc = xmail_scan("spool", sink, look_at, &l, &out->odd, e);
    return rc == RC_OK ? xmail_scan(CLAIMED, sink, look_at, &l, &out->odd, e) : rc;
}

/*
 * sizes.c - what POP3 would count for files whose names don't tell (no W=): they are read once,
 * and the result is remembered in hikyaku/mailbox/DOMAIN/USER/sizes, one line a file:
 *     checksum size mtime_ns stuffed wire_octets base-name
 * The file is a cache: lines are appended without sync, a bad or torn one is skipped, and when
 * most lines are of no use any more it's written anew. Called by place_scan only; several roles
 * may append at the same time (one write each, O_APPEND).
 */
#include "store/store_int.h"
#include "sys/file.h"

#define SIZES_MAX_BYTES ((size_t)256 << 20)
#define USELESS_LINES 1000

struct known {
    struct str base;
    struct file_seen seen;
    uint64_t wire_octets;
    bool used;
};

struct sizes {
    struct str notes_folder;
    const char *path;
    struct arena mem;
    struct map known;
    struct buf fresh; /* lines to append */
    size_t lines;     /* in the file */
    size_t used;      /* of those */
    bool loaded;
};

struct sizes *sizes_new(struct str notes_folder)
{
    struct sizes *s = mem_new(sizeof(*s));
    s->notes_folder = notes_folder;
    buf_init(&s->fresh, SIZES_MAX_BYTES);
    return s;
}

static uint32_t checksum(struct str line)
{
    return (uint32_t)hash_text(line, false, 1);
}

static bool number(struct str *line, uint64_t *out)
{
    struct str word;
    return str_cut(line, ' ', &word) && str_to_u64(word, out);
}

static bool parse_line(struct str line, struct known *out)
{
    uint64_t sum = 0, size = 0, mtime = 0, stuffed = 0, wire = 0;
    if (!number(&line, &sum) || sum != checksum(line))
        return false;
    if (!number(&line, &size) || !number(&line, &mtime) || !number(&line, &stuffed) ||
        !number(&line, &wire) || line.n == 0 || mtime > INT64_MAX)
        return false;
    out->seen = (struct file_seen){ size, (int64_t)mtime, stuffed != 0 };
    out->wire_octets = wire;
    out->base = line;
    return true;
}

static void load(struct sizes *s)
{
    struct str text = STR(""), line;
    struct err e = { .rc = RC_OK };
    s->loaded = true;
    s->path = arena_printf(&s->mem, "%.*s/sizes", STR_ARG(s->notes_folder)).p;
    if (file_read(s->path, SIZES_MAX_BYTES, &s->mem, &text, NULL, &e) != RC_OK) {
        if (e.sys == EFBIG)
            (void)io_unlink(s->path); /* only time is lost */
        return;
    }
    while (str_cut(&text, '\n', &line) && text.p != NULL) { /* what has no LF is torn */
        struct known *known = arena_new(&s->mem, sizeof(*known));
        s->lines++;
        if (parse_line(line, known))
            (void)map_put(&s->known, known->base, known);
    }
}

static void add_line(struct buf *b, const struct known *k)
{
    char head[96];
    int n = snprintf(head, sizeof(head), "%llu %lld %d %llu ", (unsigned long long)k->seen.size,
                     (long long)k->seen.mtime_ns, k->seen.stuffed ? 1 : 0,
                     (unsigned long long)k->wire_octets);
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str line = arena_printf(&mem, "%.*s%.*s", n, head, STR_ARG(k->base));
    /* Past the maximum the rest stays unremembered. */
    (void)!buf_printf(b, "%u %.*s\n", checksum(line), STR_ARG(line));
}

enum rc sizes_get(struct sizes *s, struct str base, const char *path,
                  const struct file_seen *seen, uint64_t *out, struct err *e)
{
    if (!s->loaded)
        load(s);
    struct known *known = map_get(&s->known, base);
    if (known != NULL && known->seen.size == seen->size &&
        known->seen.mtime_ns == seen->mtime_ns && known->seen.stuffed == seen->stuffed) {
        s->used += known->used ? 0 : 1;
        known->used = true;
        *out = known->wire_octets;
        return RC_OK;
    }
    uint64_t wire = 0;
    enum rc rc = transfer_measure(path, seen->stuffed, &wire, e);
    if (rc != RC_OK)
        return rc;
    *out = wire;
    if (str_has_control(base) || seen->mtime_ns < 0)
        return RC_OK;
    known = arena_new(&s->mem, sizeof(*known));
    *known = (struct known){ arena_str(&s->mem, base), *seen, wire, true };
    (void)map_put(&s->known, known->base, known);
    add_line(&s->fresh, known);
    return RC_OK;
}

static void append(struct sizes *s)
{
    int flags = O_WRONLY | O_APPEND | O_CREAT;
    int fd AUTO_CLOSE = io_open(s->path, flags, 0600);
    if (fd < 0 && errno == ENOENT &&
        folder_make(arena_c(&s->mem, s->notes_folder), 0700, NULL) == RC_OK)
        fd = io_open(s->path, flags, 0600);
    struct iovec part = { .iov_base = s->fresh.p, .iov_len = s->fresh.n };
    if (fd < 0 || io_write_all(fd, &part, 1, NULL) != RC_OK)
        log_debug(EV("sizes not remembered"), KV("path", s->path));
}

static void rewrite(struct sizes *s)
{
    size_t at = 0;
    struct str key;
    void *value = NULL;
    buf_reset(&s->fresh);
    while (map_next(&s->known, &at, &key, &value)) {
        const struct known *known = value;
        if (known->used)
            add_line(&s->fresh, known);
    }
    if (file_replace(s->path, buf_str(&s->fresh), 0600, NULL) != RC_OK)
        log_debug(EV("sizes not remembered"), KV("path", s->path));
}

void sizes_free(struct sizes **at, bool complete)
{
    struct sizes *s = *at;
    if (s == NULL)
        return;
    if (complete && s->lines > 2 * s->used + USELESS_LINES)
        rewrite(s);
    else if (s->fresh.n > 0)
        append(s);
    buf_release(&s->fresh);
    map_release(&s->known);
    arena_release(&s->mem);
    mem_free(at);
}

/*
 * api_logs.c - the log files in logs/: what there is, their records from the newest on with a
 * search, and whole files. Files are read in pieces, whatever their size; a name is one
 * component of a path, never a link. The record of changes has a page of its own (audit.c).
 */
#include "conf/tab.h"
#include "sys/file.h"
#include "web/web_int.h"

#define FOLDER "logs"
#define PIECE ((size_t)128 << 10)
#define LINE_MOST ((size_t)64 << 10) /* what is longer is shown in parts */
#define LOOK_MOST ((uint64_t)64 << 20)
#define VALUES_MOST 40u
#define TIME_BYTES 19u /* "2026-11-30 10:20:30" */

/* A name that may be shown: no path, nothing hidden. */
static bool is_name(struct str name)
{
    if (name.n == 0 || name.n > 100 || name.p[0] == '.' || str_starts(name, STR("audit-")) ||
        str_ends(name, STR(".index")))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (!ascii_is_alnum(name.p[i]) && strchr("-_.", name.p[i]) == NULL)
            return false;
    return true;
}

/* A regular file of the folder, open; -1: there is none. */
static int open_log(struct str name, struct stat *out)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    if (!is_name(name))
        return -1;
    struct str path = arena_printf(&a, FOLDER "/%.*s", STR_ARG(name));
    int fd = io_open_beneath(path.p, O_RDONLY | O_NONBLOCK, 0);
    if (fd >= 0 && (io_fstat(fd, out) < 0 || !S_ISREG(out->st_mode)))
        io_close_at(&fd);
    return fd;
}

void api_logs(struct web *w)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    struct stat st;
    json_t *list = json_array();
    if (folder_open(FOLDER, &f, NULL) == RC_OK) {
        while (folder_next(f, &name, &type)) {
            int fd AUTO_CLOSE = open_log(name, &st);
            if (fd < 0)
                continue;
            struct str kind = str_head(name, MIN(str_find(name, '-'), name.n));
            (void)json_array_append_new(
                list, json_pack("{s:o, s:o, s:I, s:I}", "name", web_str(name), "kind",
                                web_str(kind), "size", (json_int_t)st.st_size, "modified",
                                (json_int_t)st.st_mtim.tv_sec));
        }
    }
    folder_close(&f);
    web_json(w, 200, list);
}

/* --- records, from the newest on ---------------------------------------------------------- */

struct reading {
    int fd;
    struct str search, from, until; /* times as in the file */
    uint64_t at;                    /* records before this octet are next */
    uint64_t looked, limit;
    bool over; /* what is before is too old */
    json_t *rows;
    struct buf room;
};

/* The time in the line, "2026-11-30 10:20:30"; empty: none. */
static struct str time_in(struct str line)
{
    static const char form[] = "dddd-dd-dd dd:dd:dd";
    for (size_t i = 0; i + TIME_BYTES <= line.n; i++) {
        size_t k = 0;
        while (k < TIME_BYTES &&
               (form[k] == 'd' ? ascii_is_digit(line.p[i + k]) : line.p[i + k] == form[k]))
            k++;
        if (k == TIME_BYTES)
            return str_from(line.p + i, TIME_BYTES);
    }
    return STR("");
}

static json_t *row_json(struct str line, uint64_t at)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str values[VALUES_MOST];
    size_t count = 0;
    json_t *list = json_array();
    if (tab_parse_line(line, &a, values, VALUES_MOST, &count, NULL) != RC_OK || count == 0) {
        values[0] = line;
        count = 1;
    }
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, web_str(values[i]));
    return json_pack("{s:I, s:o}", "at", (json_int_t)at, "values", list);
}

static void take(struct reading *r, struct str line, uint64_t at)
{
    struct str time = r->from.n > 0 || r->until.n > 0 ? time_in(line) : STR("");
    if (r->from.n > 0 && time.n > 0 && str_cmp(time, r->from) < 0) {
        r->over = true;
        return;
    }
    if (r->until.n > 0 && time.n > 0 && str_cmp(str_head(time, r->until.n), r->until) > 0)
        return;
    if (line.n > 0 && (r->search.n == 0 || str_ifind_str(line, r->search) != SIZE_MAX))
        (void)json_array_append_new(r->rows, row_json(line, at));
}

/* The records that end in the piece before r->at; false: it can't be read. */
static bool read_piece(struct reading *r)
{
    size_t want = (size_t)MIN(r->at, (uint64_t)PIECE), got = 0;
    uint64_t from = r->at - want;
    buf_reset(&r->room);
    if (buf_reserve(&r->room, want) != RC_OK)
        return false;
    while (got < want) {
        ssize_t n = io_pread(r->fd, r->room.p + got, want - got, from + got);
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    struct str text = str_from(r->room.p, got);
    r->looked += got;
    while (text.n > 0 && !r->over && json_array_size(r->rows) < r->limit) {
        size_t end = text.p[text.n - 1] == '\n' ? text.n - 1 : text.n;
        size_t lf = str_rfind(str_head(text, end), '\n');
        /* The line may begin before the piece, unless it is a very long one. */
        if (lf == SIZE_MAX && from > 0 && text.n < LINE_MOST)
            break;
        size_t begin = lf == SIZE_MAX ? 0 : lf + 1;
        take(r, str_from(text.p + begin, end - begin), from + begin);
        text = str_head(text, begin);
    }
    r->at = from + text.n;
    return true;
}

/* A time of the query, as far as it is one: "2026-11-30", "2026-11-30 10:20". */
static struct str query_time(struct web *w, const char *name)
{
    struct str text = web_query(w, name);
    char *p = arena_c(web_mem(w), str_head(text, TIME_BYTES));
    for (size_t i = 0; p[i] != '\0'; i++)
        p[i] = p[i] == 'T' ? ' ' : p[i];
    return str_from_c(p);
}

void api_log(struct web *w)
{
    struct stat st;
    struct reading r = { .search = web_query(w, "search"),
                         .from = query_time(w, "from"),
                         .until = query_time(w, "until"),
                         .limit = MAX(web_query_number(w, "limit", 100, 1000), 1u) };
    r.fd = open_log(w->params[0], &st);
    if (r.fd < 0) {
        web_fail(w, 404, "unknown", "there is no such log file");
        return;
    }
    r.at = web_query_number(w, "before", (uint64_t)st.st_size, (uint64_t)st.st_size);
    r.rows = json_array();
    buf_init(&r.room, PIECE * 2);
    bool good = true;
    while (good && r.at > 0 && !r.over && r.looked < LOOK_MOST &&
           json_array_size(r.rows) < r.limit)
        good = read_piece(&r);
    buf_release(&r.room);
    io_close_at(&r.fd);
    web_json(w, 200,
             json_pack("{s:o, s:I, s:I, s:b}", "rows", r.rows, "size", (json_int_t)st.st_size,
                       "next", (json_int_t)(r.over || !good ? 0 : r.at), "unreadable",
                       (int)!good));
}

/* --- a whole file ------------------------------------------------------------------------- */

struct download {
    int fd;
    uint64_t at, size;
};

/* What is appended meanwhile isn't sent. */
static bool produce(struct http_session *h, struct buf *out, usec_t *out_pause)
{
    struct download *d = web_of(h)->kept;
    size_t n = (size_t)MIN(d->size - d->at, (uint64_t)PIECE);
    *out_pause = 0;
    if (n == 0)
        return false;
    ssize_t got = buf_reserve(out, n) == RC_OK ? io_pread(d->fd, out->p, n, d->at) : -1;
    if (got <= 0) {
        h->broken = true;
        return false;
    }
    out->n += (size_t)got;
    d->at += (size_t)got;
    return d->at < d->size;
}

static void free_download(void *kept)
{
    struct download *d = kept;
    io_close_at(&d->fd);
    mem_free(&d);
}

void api_log_file(struct web *w)
{
    struct stat st;
    int fd = open_log(w->params[0], &st);
    if (fd < 0) {
        web_fail(w, 404, "unknown", "there is no such log file");
        return;
    }
    struct download *d = mem_new(sizeof(*d));
    *d = (struct download){ fd, 0, (uint64_t)st.st_size };
    w->kept = d;
    w->free_kept = free_download;
    w->h.produce = produce;
    w->h.response.status = 200;
    w->h.response.type = "application/octet-stream";
    http_add_field(
        &w->h.response, "Content-Disposition",
        arena_printf(web_mem(w), "attachment; filename=\"%.*s\"", STR_ARG(w->params[0])));
}

/* audit.c - the record of changes (control/audit.c), read from its end. */
#include "sys/file.h"
#include "web/web_int.h"
#include <time.h>

#define MONTHS_MOST 120u
#define READ_MOST ((size_t)32 << 20) /* of a month's end */

struct reading {
    struct str search;
    struct str by; /* only what he did; empty: all */
    int64_t before;
    uint64_t offset, limit, seen;
    json_t *rows;
    bool more; /* there are others behind those asked for */
};

/* The end of the file, from the beginning of a line. */
static struct str read_end(const char *path, struct arena *a)
{
    struct stat st;
    int fd AUTO_CLOSE = io_open(path, O_RDONLY, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0 || st.st_size <= 0)
        return STR("");
    size_t n = MIN((size_t)st.st_size, READ_MOST);
    char *text = arena_new(a, n);
    ssize_t got = io_pread(fd, text, n, (uint64_t)st.st_size - n);
    struct str s = str_from(text, got > 0 ? (size_t)got : 0);
    return n < (size_t)st.st_size ? str_skip(s, MIN(str_find(s, '\n'), s.n - 1) + 1) : s;
}

static void take(struct reading *r, struct str line)
{
    if (line.n == 0 || (r->search.n > 0 && str_ifind_str(line, r->search) == SIZE_MAX))
        return;
    json_t *o = json_loadb(line.p, line.n, 0, NULL);
    struct str by = str_from_c(json_string_value(json_object_get(o, "by")));
    if (o != NULL && (r->by.n == 0 || str_ieq(by, r->by)) &&
        (r->before == 0 || json_integer_value(json_object_get(o, "time")) < r->before)) {
        if (r->seen >= r->offset && r->seen < r->offset + r->limit)
            (void)json_array_append(r->rows, o);
        r->more = r->seen >= r->offset + r->limit;
        r->seen++;
    }
    json_decref(o);
}

static void read_month(struct reading *r, const char *path)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str text = read_end(path, &a);
    while (text.n > 0 && !r->more) {
        struct str rest = str_head(text, text.n - (text.p[text.n - 1] == '\n' ? 1 : 0));
        size_t lf = str_rfind(rest, '\n');
        take(r, lf == SIZE_MAX ? rest : str_skip(rest, lf + 1));
        text = lf == SIZE_MAX ? STR("") : str_head(rest, lf + 1);
    }
}

void api_audit(struct web *w)
{
    struct reading r = {
        .search = web_query(w, "search"),
        .by = w->who.delegate != NULL ? w->who.name : web_query(w, "by"),
        .before = (int64_t)web_query_number(w, "before", 0, INT64_MAX),
        .offset = web_query_number(w, "offset", 0, UINT32_MAX),
        .limit = web_query_number(w, "limit", 100, 1000),
        .rows = json_array(),
    };
    time_t now = (time_t)(clock_wall() / USEC_S);
    struct tm tm;
    (void)localtime_r(&now, &tm);
    int months = tm.tm_year * 12 + tm.tm_mon;
    for (unsigned i = 0; i < MONTHS_MOST && !r.more; i++, months--) {
        char path[64];
        (void)snprintf(path, sizeof(path), "logs/audit-%04d%02d", 1900 + months / 12,
                       months % 12 + 1);
        read_month(&r, path);
    }
    web_json(w, 200, json_pack("{s:o, s:b}", "rows", r.rows, "more", (int)r.more));
}

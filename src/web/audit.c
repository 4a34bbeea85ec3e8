/* audit.c - the record of changes (control/audit.c), read from its end. */
#include "sys/file.h"
#include "web/web_int.h"
#include <time.h>

#define MONTHS_MOST 120u
#define SIGN_IN_MONTHS 12u
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

/* False: no further line is wanted. */
typedef bool line_fn(void *ctx, struct str line);

static bool take(void *ctx, struct str line)
{
    struct reading *r = ctx;
    if (line.n == 0 || (r->search.n > 0 && str_ifind_str(line, r->search) == SIZE_MAX))
        return true;
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
    return !r->more;
}

/* From the file's end; false: fn wants no further line. */
static bool read_month(const char *path, line_fn *fn, void *ctx)
{
    bool more = true;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str text = read_end(path, &a);
    while (text.n > 0 && more) {
        struct str rest = str_head(text, text.n - (text.p[text.n - 1] == '\n' ? 1 : 0));
        size_t lf = str_rfind(rest, '\n');
        more = fn(ctx, lf == SIZE_MAX ? rest : str_skip(rest, lf + 1));
        text = lf == SIZE_MAX ? STR("") : str_head(rest, lf + 1);
    }
    return more;
}

/* The last months, newest first, until fn wants no more. */
static void read_months(unsigned count, line_fn *fn, void *ctx)
{
    time_t now = (time_t)(clock_wall() / USEC_S);
    struct tm tm;
    bool more = localtime_r(&now, &tm) != NULL;
    int months = more ? tm.tm_year * 12 + tm.tm_mon : 0;
    for (unsigned i = 0; i < count && more; i++, months--) {
        char path[64];
        (void)snprintf(path, sizeof(path), "logs/audit-%04d%02d", 1900 + months / 12,
                       months % 12 + 1);
        more = read_month(path, fn, ctx);
    }
}

/* --- the last sign-ins -------------------------------------------------------------------- */

static bool take_sign_in(void *ctx, struct str line)
{
    json_t *times = ctx, *time = NULL;
    const char *name = NULL;
    bool waits = false;
    if (str_find_str(line, STR("\"sign-in\"")) == SIZE_MAX)
        return true;
    json_t *o = json_loadb(line.p, line.n, 0, NULL);
    struct str act = str_from_c(json_string_value(json_object_get(o, "act"))),
               by = str_from_c(json_string_value(json_object_get(o, "by")));
    bool is = str_eq(act, STR("sign-in"));
    json_object_foreach(times, name, time)
    {
        if (is && json_is_null(time) && str_ieq(by, str_from_c(name)))
            (void)json_object_set(times, name, json_object_get(o, "time"));
        waits = waits || json_is_null(json_object_get(times, name));
    }
    json_decref(o);
    return waits;
}

void web_last_sign_ins(json_t *times)
{
    read_months(SIGN_IN_MONTHS, take_sign_in, times);
}

/* --- a page of it ------------------------------------------------------------------------- */

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
    read_months(MONTHS_MOST, take, &r);
    web_json(w, 200, json_pack("{s:o, s:b}", "rows", r.rows, "more", (int)r.more));
}

/*
 * tab.c - reading and printing TAB tables (specification: docs/tables.md). One pass, everything
 * in the caller's arena, nothing in the file is trusted. tab_edit.c changes tables, tab_cache.c
 * keeps them.
 */
#include "conf/tab.h"

/* --- encodings --------------------------------------------------------------------------- */

static bool is_sjis_lead(unsigned char c)
{
    return (c >= 0x81 && c <= 0x9f) || (c >= 0xe0 && c <= 0xfc);
}

static bool is_sjis_trail(unsigned char c)
{
    return (c >= 0x40 && c <= 0x7e) || (c >= 0x80 && c <= 0xfc);
}

static bool is_euc(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x80)
            continue;
        size_t tail = c == 0x8f ? 2 : 1;
        if (c != 0x8e && c != 0x8f && (c < 0xa1 || c == 0xff))
            return false;
        for (; tail > 0; tail--)
            if (++i >= s.n || (unsigned char)s.p[i] < 0xa1 || (unsigned char)s.p[i] == 0xff)
                return false;
    }
    return true;
}

static bool is_sjis(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x80 || (c >= 0xa1 && c <= 0xdf))
            continue;
        if (!is_sjis_lead(c) || ++i >= s.n || !is_sjis_trail((unsigned char)s.p[i]))
            return false;
    }
    return true;
}

/*
 * Must lead and trail octets be taken together? In Shift_JIS a trail octet can be 0x5C, which
 * would look like a backslash (before a quote: an escape). UTF-8 and EUC-JP have no such
 * octets.
 */
static bool has_pairs(struct str line)
{
    return !str_is_ascii(line) && !str_is_utf8(line) && !is_euc(line) && is_sjis(line);
}

/* --- one line ---------------------------------------------------------------------------- */

struct cursor {
    const char *p, *end;
    bool pairs;
};

/* Octets of the character at the cursor. */
static size_t width(const struct cursor *c)
{
    return c->pairs && is_sjis_lead((unsigned char)*c->p) && c->end - c->p > 1 ? 2 : 1;
}

/* A value that begins with a quote: up to the quote that ends it. */
static bool quoted_value(struct cursor *c, struct arena *a, struct str *out)
{
    const char *from = ++c->p;
    size_t escapes = 0;
    while (c->p < c->end && *c->p != '"') {
        bool escape = *c->p == '\\' && c->end - c->p > 1 && c->p[1] == '"';
        /* A backslash before the line's last quote belongs to the value ("C:\dir\"). */
        if (escape && (c->p + 2 == c->end || c->p[2] == '\t'))
            escape = false;
        escapes += escape;
        c->p += escape ? 2 : width(c);
        if (c->p > c->end)
            c->p = c->end;
    }
    if (c->p >= c->end)
        return false;
    *out = str_from(from, (size_t)(c->p - from));
    c->p++;
    if (escapes == 0)
        return true;
    char *clean = arena_new(a, out->n + 1);
    struct cursor in = { out->p, out->p + out->n, c->pairs };
    size_t n = 0;
    while (in.p < in.end) {
        size_t w = width(&in);
        if (w == 1 && *in.p == '\\' && in.end - in.p > 1 && in.p[1] == '"')
            in.p++;
        memcpy(clean + n, in.p, w);
        n += w;
        in.p += w;
    }
    *out = str_from(clean, n);
    return true;
}

/* A value without quotes: up to the next TAB; blanks at its end don't count. */
static struct str bare_value(struct cursor *c)
{
    const char *from = c->p;
    while (c->p < c->end && *c->p != '\t')
        c->p++;
    return str_trim(str_from(from, (size_t)(c->p - from)));
}

static bool is_blank(char c)
{
    return c == '\t' || c == ' ';
}

enum rc tab_parse_line(struct str line, struct arena *a, struct str *values, size_t max,
                       size_t *out_count, struct err *e)
{
    size_t count = 0;
    *out_count = 0;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || line.p[0] == '#' || str_trim(line).n == 0)
        return RC_OK;
    if (line.n > TAB_LINE_MAX)
        return err_perm(e, "5.3.0", "line longer than %zu octets", TAB_LINE_MAX);
    if (memchr(line.p, '\0', line.n) != NULL)
        return err_perm(e, "5.3.0", "a NUL octet");
    struct cursor c = { line.p, line.p + line.n, has_pairs(line) };
    for (;;) {
        while (c.p < c.end && is_blank(*c.p))
            c.p++;
        if (c.p == c.end)
            break;
        if (count == max)
            return err_perm(e, "5.3.0", "more than %zu values", max);
        bool quoted = *c.p == '"';
        if (quoted && !quoted_value(&c, a, &values[count]))
            return err_perm(e, "5.3.0", "value %zu has no closing quote", count + 1);
        if (quoted && c.p < c.end && !is_blank(*c.p) && *c.p != '"')
            return err_perm(e, "5.3.0", "text behind the closing quote of value %zu",
                            count + 1);
        if (!quoted)
            values[count] = bare_value(&c);
        count++;
    }
    *out_count = count;
    return RC_OK;
}

/* --- a whole table ----------------------------------------------------------------------- */

struct builder {
    struct arena *a;
    struct buf rows;     /* struct tab_row */
    struct buf problems; /* struct tab_problem */
    struct str values[TAB_VALUES_MAX];
};

static enum rc add_line(struct builder *b, struct str line, unsigned number, struct err *e)
{
    size_t count = 0;
    struct err why;
    if (tab_parse_line(line, b->a, b->values, TAB_VALUES_MAX, &count, &why) != RC_OK) {
        struct tab_problem problem = { number, arena_str(b->a, str_from_c(why.text)) };
        return buf_add(&b->problems, &problem, sizeof(problem)) == RC_OK
                   ? RC_OK
                   : err_temp(e, "4.3.0", "out of memory for a table");
    }
    if (count == 0)
        return RC_OK;
    struct str *values = arena_new_array(b->a, struct str, count);
    memcpy(values, b->values, count * sizeof(*values));
    struct tab_row row = { number, count, values };
    return buf_add(&b->rows, &row, sizeof(row)) == RC_OK
               ? RC_OK
               : err_temp(e, "4.3.0", "out of memory for a table");
}

/* What a builder's buffer holds, in the arena. */
static const void *into_arena(struct arena *a, const struct buf *b)
{
    void *p = arena_new(a, b->n + 1);
    if (b->n > 0)
        memcpy(p, b->p, b->n);
    return p;
}

enum rc tab_read_str(const char *path, struct str text, struct arena *a, struct tab *out,
                     struct err *e)
{
    struct builder *b = mem_new(sizeof(*b));
    b->a = a;
    buf_init(&b->rows, BUF_MAX_DEFAULT);
    buf_init(&b->problems, BUF_MAX_DEFAULT);
    struct str rest = text, line;
    struct tab tab = { .path = path };
    enum rc rc = RC_OK;
    if (str_starts(rest, STR("\xef\xbb\xbf")))
        rest = str_skip(rest, 3);
    tab.ends_open = rest.n > 0 && rest.p[rest.n - 1] != '\n';
    for (unsigned number = 1; rc == RC_OK && rest.n > 0 && str_cut(&rest, '\n', &line);
         number++)
        rc = add_line(b, line, number, e);
    if (rc == RC_OK) {
        tab.row_count = b->rows.n / sizeof(struct tab_row);
        tab.problem_count = b->problems.n / sizeof(struct tab_problem);
        tab.rows = into_arena(a, &b->rows);
        tab.problems = into_arena(a, &b->problems);
        *out = tab;
    }
    buf_release(&b->rows);
    buf_release(&b->problems);
    mem_free(&b);
    return rc;
}

enum rc tab_read(const char *path, struct arena *a, struct tab *out, struct err *e)
{
    struct str text;
    struct file_id id;
    struct err why = { .sys = 0 };
    enum rc rc = file_read(path, TAB_FILE_MAX, a, &text, &id, &why);
    if (rc != RC_OK && why.sys == ENOENT) {
        *out = (struct tab){ .path = path, .missing = true };
        return RC_OK;
    }
    if (rc != RC_OK)
        return err_temp(e, "4.3.0", "%s", why.text);
    rc = tab_read_str(path, text, a, out, e);
    if (rc == RC_OK)
        out->id = id;
    return rc;
}

struct str tab_value(const struct tab_row *row, size_t i)
{
    return i < row->count ? row->values[i] : STR("");
}

void tab_say_skipped(const char *path, unsigned line, struct str why)
{
    log_warn(EV("table line skipped"), KV("file", path), KU("line", line), KS("reason", why));
}

/* --- printing ---------------------------------------------------------------------------- */

static enum rc print_value(struct buf *b, struct str value)
{
    if (value.n == 0)
        return buf_add_str(b, STR("\"\""));
    struct cursor c = { value.p, value.p + value.n, has_pairs(value) };
    enum rc rc = buf_add_char(b, '"');
    while (c.p < c.end && rc == RC_OK) {
        size_t w = width(&c);
        if (w == 1 && *c.p == '"')
            rc = buf_add_char(b, '\\');
        if (rc == RC_OK)
            rc = buf_add(b, c.p, w);
        c.p += w;
    }
    return rc == RC_OK ? buf_add_char(b, '"') : rc;
}

/*
 * Does the printed line give these values again? If it isn't too long, always when it is UTF-8.
 * In others the backslash of an escape can follow an octet that makes a Shift_JIS character of
 * both; then the quote behind it would end the value, and what follows would become further
 * values.
 */
static bool reads_back(struct str line, const struct str *values, size_t count)
{
    if (line.n > TAB_LINE_MAX || count > TAB_VALUES_MAX)
        return false;
    if (str_is_utf8(line))
        return true;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str *again = arena_new_array(&a, struct str, count);
    size_t n = 0;
    if (tab_parse_line(line, &a, again, count, &n, NULL) != RC_OK || n != count)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!str_eq(again[i], values[i]))
            return false;
    return true;
}

enum rc tab_print_row(struct buf *b, const struct str *values, size_t count, const char *eol,
                      struct err *e)
{
    size_t before = b->n;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        if (str_has_any(values[i], "\t\r\n") ||
            (values[i].n > 0 && memchr(values[i].p, '\0', values[i].n))) {
            buf_truncate(b, before);
            return err_perm(e, "5.3.0", "value %zu holds a TAB, a line end or a NUL", i + 1);
        }
        if (i > 0)
            rc = buf_add_char(b, '\t');
        if (rc == RC_OK)
            rc = print_value(b, values[i]);
    }
    if (rc == RC_OK && !reads_back(str_skip(buf_str(b), before), values, count)) {
        buf_truncate(b, before);
        return err_perm(e, "5.3.0", "too long, or a quote in text of unknown encoding");
    }
    if (rc == RC_OK)
        rc = buf_add(b, eol, strlen(eol));
    if (rc == RC_OK)
        return RC_OK;
    buf_truncate(b, before);
    return err_temp(e, "4.3.0", "line too long");
}

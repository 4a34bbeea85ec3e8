/* tab_test.c - lines, tables, rewriting, caching. Rows say what a line means (specification 1,
 * section 1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/tab.h"
#include <ftw.h>
#include <utime.h>

/* STR for static tables. */
#define T(lit)                                                                                 \
    {                                                                                          \
        "" lit, sizeof(lit) - 1                                                                \
    }

static char root[] = "/tmp/hikyaku-tab-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    return mkdtemp(root) == NULL || chdir(root) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    return chdir("/") != 0 || nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0;
}

static void put(const char *path, struct str text)
{
    int fd = io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(io_write(fd, text.p, text.n), (ssize_t)text.n);
    io_close(fd);
}

static struct str content(const char *path, struct arena *a)
{
    struct str text = STR("");
    assert_int_equal(file_read(path, 1 << 20, a, &text, NULL, NULL), RC_OK);
    return text;
}

/* --- one line ---------------------------------------------------------------------------- */

struct line_row {
    const char *name;
    struct str line;
    int count; /* -1: malformed */
    struct str values[4];
};

static const struct line_row lines[] = {
    { "plain", T("\"a\"\t\"b\""), 2, { T("a"), T("b") } },
    { "bare values",
      T("\"0.0.0.0\"\t\"0.0.0.0\"\t\"ALLOW\"\t1"),
      4,
      { T("0.0.0.0"), T("0.0.0.0"), T("ALLOW"), T("1") } },
    { "blanks between", T("\"a\" \"b\"  \"c\""), 3, { T("a"), T("b"), T("c") } },
    { "several tabs", T("\"a\"\t\t\t\"b\""), 2, { T("a"), T("b") } },
    { "empty value", T("\"\"\t\"b\""), 2, { T(""), T("b") } },
    { "blank inside", T("\"a b\"\t\" c\""), 2, { T("a b"), T(" c") } },
    { "escaped quote", T("\"a\\\"b\"\t\"c\""), 2, { T("a\"b"), T("c") } },
    { "other backslashes are themselves",
      T("\"C:\\dir\\x\"\t\"c\""),
      2,
      { T("C:\\dir\\x"), T("c") } },
    { "backslash before the last quote", T("\"C:\\dir\\\""), 1, { T("C:\\dir\\") } },
    { "backslash before a quote and a tab", T("\"C:\\\"\t\"x\""), 2, { T("C:\\"), T("x") } },
    { "comment", T("# \"a\"\t\"b\""), 0, { T("") } },
    { "blank line", T("  \t "), 0, { T("") } },
    { "nothing", T(""), 0, { T("") } },
    { "open quote", T("\"a\t\"b\" c"), -1, { T("") } },
    { "open at the end", T("\"a\"\t\"b"), -1, { T("") } },
    { "Shift_JIS with 5C as second octet",
      T("\"\x95\x5c\"\t\"\x94\x5c\x97\xcd\""),
      2,
      { T("\x95\x5c"), T("\x94\x5c\x97\xcd") } },
    { "UTF-8", T("\"\xe8\xa1\xa8\"\t\"b\""), 2, { T("\xe8\xa1\xa8"), T("b") } },
    { "EUC-JP", T("\"\xc9\xbd\"\t\"b\""), 2, { T("\xc9\xbd"), T("b") } },
};

static void reads_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str values[8];
        struct err e = { .text = "" };
        size_t count = 99;
        const struct line_row *row = &lines[i];
        enum rc rc = tab_parse_line(row->line, &a, values, ARRAY_LEN(values), &count, &e);
        if (rc != (row->count < 0 ? RC_PERM : RC_OK) ||
            (row->count >= 0 && count != (size_t)row->count))
            fail_msg("%s: %s, %zu values, %s", row->name, rc_name(rc), count, e.text);
        for (size_t k = 0; rc == RC_OK && k < count; k++)
            if (!str_eq(values[k], row->values[k]))
                fail_msg("%s: value %zu is %.*s", row->name, k, STR_ARG(values[k]));
    }
}

static void refuses_too_many_values(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str values[2];
    size_t count = 0;
    struct err e;
    enum rc rc = tab_parse_line(STR("\"a\"\t\"b\"\t\"c\""), &a, values, 2, &count, &e);
    assert_int_equal(rc, RC_PERM);
}

static void prints_what_it_reads(void **state)
{
    (void)state;
    static const struct str values[] = { T("a\"b"), T(""), T("C:\\x\\"), T("x y") };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf b AUTO_RELEASE_BUF;
    struct str again[8];
    size_t count = 0;
    buf_init(&b, 1000);
    assert_int_equal(tab_print_row(&b, values, ARRAY_LEN(values), "", NULL), RC_OK);
    assert_int_equal(tab_parse_line(buf_str(&b), &a, again, 8, &count, NULL), RC_OK);
    assert_int_equal(count, ARRAY_LEN(values));
    for (size_t i = 0; i < count; i++)
        assert_true(str_eq(again[i], values[i]));
}

static void refuses_octets_that_break_lines(void **state)
{
    (void)state;
    static const struct str bad[] = { T("a\tb"), T("a\nb"), T("a\rb"), { "a\0b", 3 } };
    struct buf b AUTO_RELEASE_BUF;
    buf_init(&b, 1000);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(tab_print_row(&b, &bad[i], 1, "\n", NULL), RC_PERM);
}

/* Printed with its quote escaped, F2 and the backslash would be one character of Shift_JIS: the
 * quote behind them would end the value, and what follows be values of its own. */
static void refuses_rows_that_read_back_otherwise(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct str values[2];
        enum rc rc;
    } rows[] = {
        { "utf-8", { T("\xe8\xa1\xa8\"x"), T("U") }, RC_OK },
        { "shift_jis", { T("\x95\\\"x"), T("U") }, RC_OK },
        { "shift_jis at the end", { T("\x95\\"), T("U") }, RC_OK },
        { "neither", { T("\xf2\" \"x"), T("U") }, RC_PERM },
        { "by its neighbour", { T("\xf2\""), T("\x95\\") }, RC_PERM },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b AUTO_RELEASE_BUF;
        buf_init(&b, 1000);
        enum rc rc = tab_print_row(&b, rows[i].values, 2, "\n", NULL);
        if (rc != rows[i].rc || (rc != RC_OK && b.n != 0))
            fail_msg("%s: %s, printed %s", rows[i].name, rc_name(rc), b.p);
    }
}

static void refuses_lines_too_long_to_read(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf b AUTO_RELEASE_BUF;
    buf_init(&b, (size_t)4 << 20);
    char *p = arena_new(&a, TAB_LINE_MAX);
    memset(p, 'x', TAB_LINE_MAX);
    struct str value = str_from(p, TAB_LINE_MAX - 2);
    assert_int_equal(tab_print_row(&b, &value, 1, "\n", NULL), RC_OK);
    value.n++;
    assert_int_equal(tab_print_row(&b, &value, 1, "\n", NULL), RC_PERM);
    const struct str many[257] = { T("a") };
    assert_int_equal(tab_print_row(&b, many, 257, "\n", NULL), RC_PERM);
}

/* --- tables ------------------------------------------------------------------------------ */

static void reads_a_table_with_faults(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    static const struct str text = T("# head\r\n\"a\"\t\"1\"\r\n\r\n\"broken\r\n\"b\"\t\"2\"");
    assert_int_equal(tab_read_str("x.tab", text, &a, &tab, NULL), RC_OK);
    assert_int_equal(tab.row_count, 2);
    assert_int_equal(tab.rows[0].line, 2);
    assert_int_equal(tab.rows[1].line, 5);
    assert_true(str_eq(tab_value(&tab.rows[1], 1), STR("2")));
    assert_int_equal(tab_value(&tab.rows[1], 7).n, 0);
    assert_int_equal(tab.problem_count, 1);
    assert_int_equal(tab.problems[0].line, 4);
    assert_true(tab.ends_open);
}

static void byte_order_mark_is_no_value(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    assert_int_equal(tab_read_str("x.tab", STR("\xef\xbb\xbf\"a\"\n"), &a, &tab, NULL), RC_OK);
    assert_int_equal(tab.row_count, 1);
    assert_true(str_eq(tab_value(&tab.rows[0], 0), STR("a")));
}

static void missing_table_is_empty(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    assert_int_equal(tab_read("not-there.tab", &a, &tab, NULL), RC_OK);
    assert_true(tab.missing);
    assert_int_equal(tab.row_count, 0);
    assert_int_equal(io_mkdir("folder.tab", 0700), 0);
    assert_int_equal(tab_read("folder.tab", &a, &tab, NULL), RC_TEMP);
}

static void appends(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    static const struct str row[] = { T("c"), T("3") };
    static const struct {
        const char *name;
        struct str before, after;
    } rows[] = {
        { "with LF", T("\"a\"\n"), T("\"a\"\n\"c\"\t\"3\"\n") },
        { "with CRLF", T("\"a\"\r\n"), T("\"a\"\r\n\"c\"\t\"3\"\r\n") },
        { "open end", T("\"a\""), T("\"a\"\n\"c\"\t\"3\"\n") },
        { "open end, CRLF", T("\"a\"\r\n\"b\""), T("\"a\"\r\n\"b\"\r\n\"c\"\t\"3\"\r\n") },
        { "empty", T(""), T("\"c\"\t\"3\"\n") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put("append.tab", rows[i].before);
        assert_int_equal(tab_append("append.tab", row, 2, NULL), RC_OK);
        struct str got = content("append.tab", &a);
        if (!str_eq(got, rows[i].after))
            fail_msg("%s: %.*s", rows[i].name, STR_ARG(got));
    }
    (void)io_unlink("append.tab");
    assert_int_equal(tab_append("append.tab", row, 2, NULL), RC_OK);
    assert_true(str_eq(content("append.tab", &a), STR("\"c\"\t\"3\"\n")));
}

static enum tab_verdict edit_b(void *ctx, const struct tab_row *row, struct arena *a,
                               const struct str **out_values, size_t *out_count)
{
    static const struct str fresh[] = { T("b"), T("new") };
    (void)ctx, (void)a;
    if (str_eq(tab_value(row, 0), STR("drop")))
        return TAB_DROP;
    if (!str_eq(tab_value(row, 0), STR("b")))
        return TAB_KEEP;
    *out_values = fresh;
    *out_count = 2;
    return TAB_REPLACE;
}

static void edits_only_what_is_meant(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    size_t changed = 0;
    put("edit.tab", STR("# note\r\n  \"a\"  \"1\"\r\n\r\n\"b\"\t\"2\"\r\n\"drop\"\r\n"
                        "\"broken\r\n\"\x95\x5c\"\t5"));
    assert_int_equal(tab_edit("edit.tab", edit_b, NULL, &changed, NULL), RC_OK);
    assert_int_equal(changed, 2);
    struct str got = content("edit.tab", &a);
    assert_true(str_eq(got, STR("# note\r\n  \"a\"  \"1\"\r\n\r\n\"b\"\t\"new\"\r\n"
                                "\"broken\r\n\"\x95\x5c\"\t5")));
}

static bool two_more(void *ctx, const struct str **out_values, size_t *out_count)
{
    static const struct str fresh[] = { T("more"), T("x") };
    unsigned *given = ctx;
    *out_values = fresh;
    *out_count = 2;
    return (*given)++ < 2;
}

static void edits_and_adds(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    size_t changed = 0;
    unsigned given = 0;
    put("more.tab", STR("\"b\"\t\"2\"\r\n\"open\""));
    assert_int_equal(tab_edit_more("more.tab", edit_b, two_more, &given, &changed, NULL),
                     RC_OK);
    assert_int_equal(changed, 3);
    assert_true(
        str_eq(content("more.tab", &a), STR("\"b\"\t\"new\"\r\n\"open\"\r\n\"more\"\t\"x\"\r\n"
                                            "\"more\"\t\"x\"\r\n")));
    given = 1;
    assert_int_equal(tab_edit_more("made.tab", edit_b, two_more, &given, &changed, NULL),
                     RC_OK);
    assert_true(str_eq(content("made.tab", &a), STR("\"more\"\t\"x\"\n")));
}

static void replaces_whole_files(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    static const struct {
        const char *name;
        struct str before, given, after;
    } rows[] = {
        { "with LF", T("a\n"), T("b\n\nc\n"), T("b\n\nc\n") },
        { "with CRLF", T("a\r\n"), T("b\n\nc\n"), T("b\r\n\r\nc\r\n") },
        { "open end, CRLF", T("a\r\nb"), T("c\n"), T("c\r\n") },
        { "empty before", T(""), T("c\n"), T("c\n") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        put("whole.tab", rows[i].before);
        assert_int_equal(tab_replace("whole.tab", rows[i].given, NULL), RC_OK);
        struct str got = content("whole.tab", &a);
        if (!str_eq(got, rows[i].after))
            fail_msg("%s: %.*s", rows[i].name, STR_ARG(got));
    }
    for (int i = 0; i < 2; i++) { /* the second time there is none */
        assert_int_equal(tab_replace("whole.tab", STR(""), NULL), RC_OK);
        assert_false(file_exists("whole.tab"));
    }
    assert_int_equal(tab_replace("whole.tab", STR("c\n"), NULL), RC_OK);
    assert_true(str_eq(content("whole.tab", &a), STR("c\n")));
}

static void sweeps_what_a_crash_left(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(io_mkdir("swept", 0700), 0);
    put("swept/x.tab", STR("a\n"));
    put("swept/x.tab.tmp-12-3", STR("b\n"));
    put("swept/y.tab.tmp-1-44", STR("c\n"));
    put("swept/y.tmp-1-44", STR("d\n"));
    assert_int_equal(tab_sweep("swept", &e), RC_OK);
    assert_true(file_exists("swept/x.tab"));
    assert_true(file_exists("swept/y.tmp-1-44"));
    assert_false(file_exists("swept/x.tab.tmp-12-3"));
    assert_false(file_exists("swept/y.tab.tmp-1-44"));
    assert_int_equal(tab_sweep("no-such-folder", &e), RC_OK);
}

static void edit_keeps_mode(void **state)
{
    (void)state;
    struct stat st;
    size_t changed = 0;
    put("mode.tab", STR("\"b\"\t\"2\"\n"));
    assert_int_equal(io_chmod("mode.tab", 0600), 0);
    assert_int_equal(tab_edit("mode.tab", edit_b, NULL, &changed, NULL), RC_OK);
    assert_int_equal(io_stat("mode.tab", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* --- the cache --------------------------------------------------------------------------- */

struct version {
    size_t rows;
};

static void *count_rows(const struct tab *tab, void *ctx)
{
    (void)ctx;
    struct version *v = mem_new(sizeof(*v));
    v->rows = tab->row_count;
    return v;
}

static void release(void *value)
{
    mem_free(&value);
}

static void age(const char *path)
{
    struct utimbuf old = { 1000000000, 1000000000 };
    assert_int_equal(utime(path, &old), 0);
    clock_shift(USEC_S);
}

static size_t rows_now(struct tab_cache *c, bool *out_suspect)
{
    struct tab_cached *ref = NULL;
    const struct version *v = tab_cache_get(c, &ref, out_suspect);
    size_t rows = v == NULL ? SIZE_MAX : v->rows;
    tab_cache_put(c, &ref);
    return rows;
}

static void cache_follows_the_file(void **state)
{
    (void)state;
    bool suspect = false;
    put("cache.tab", STR("\"a\"\n\"b\"\n"));
    age("cache.tab");
    struct tab_cache *c = tab_cache_new("cache.tab", count_rows, release, NULL);
    assert_int_equal(rows_now(c, &suspect), 2);
    assert_false(suspect);
    put("cache.tab", STR("\"a\"\n\"b\"\n\"c\"\n"));
    age("cache.tab");
    assert_int_equal(rows_now(c, &suspect), 3);
    /* An open last line: an editor may still be writing. */
    put("cache.tab", STR("\"a\"\n\"b\"\n\"c\"\n\"d"));
    age("cache.tab");
    assert_int_equal(rows_now(c, &suspect), 3);
    /* But not for ever. */
    put("cache.tab", STR("\"a\"\n\"b\"\n\"c\"\n\"d\""));
    age("cache.tab");
    assert_int_equal(rows_now(c, &suspect), 3);
    clock_shift(61 * USEC_S);
    assert_int_equal(rows_now(c, &suspect), 4);
    assert_false(suspect);
    put("cache.tab", STR("\"a\"\n\"b\"\n\"c\"\n"));
    age("cache.tab");
    assert_int_equal(rows_now(c, &suspect), 3);
    /* Gone: the old one stays, and a miss is not final. */
    assert_int_equal(io_unlink("cache.tab"), 0);
    clock_shift(USEC_S / 2);
    assert_int_equal(rows_now(c, &suspect), 3);
    assert_true(suspect);
    tab_cache_free(&c);
}

static void cache_keeps_the_version_in_use(void **state)
{
    (void)state;
    struct tab_cached *first = NULL, *second = NULL;
    bool suspect = false;
    put("use.tab", STR("\"a\"\n"));
    age("use.tab");
    struct tab_cache *c = tab_cache_new("use.tab", count_rows, release, NULL);
    const struct version *v = tab_cache_get(c, &first, &suspect);
    put("use.tab", STR("\"a\"\n\"b\"\n"));
    age("use.tab");
    const struct version *w = tab_cache_get(c, &second, &suspect);
    assert_int_equal(v->rows, 1);
    assert_int_equal(w->rows, 2);
    tab_cache_put(c, &first);
    tab_cache_put(c, &second);
    tab_cache_free(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lines),
        cmocka_unit_test(refuses_too_many_values),
        cmocka_unit_test(prints_what_it_reads),
        cmocka_unit_test(refuses_octets_that_break_lines),
        cmocka_unit_test(refuses_rows_that_read_back_otherwise),
        cmocka_unit_test(refuses_lines_too_long_to_read),
        cmocka_unit_test(reads_a_table_with_faults),
        cmocka_unit_test(byte_order_mark_is_no_value),
        cmocka_unit_test(missing_table_is_empty),
        cmocka_unit_test(appends),
        cmocka_unit_test(edits_only_what_is_meant),
        cmocka_unit_test(edits_and_adds),
        cmocka_unit_test(replaces_whole_files),
        cmocka_unit_test(sweeps_what_a_crash_left),
        cmocka_unit_test(edit_keeps_mode),
        cmocka_unit_test(cache_follows_the_file),
        cmocka_unit_test(cache_keeps_the_version_in_use),
    };
    return cmocka_run_group_tests_name("tab", tests, setup, teardown);
}

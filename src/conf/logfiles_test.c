/* logfiles_test.c - names of log files by time, rotation while the program runs, values that
 * stay values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/logfiles.h"
#include "conf/options.h"
#include "sys/file.h"
#include <ftw.h>
#include <stdlib.h>
#include <time.h>

static char root[] = "/tmp/hikyaku-logfiles-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    static const char settings[] = "\"RootDomain\"\t\"x.test\"\n\"PostMaster\"\t\"p@x.test\"\n"
                                   "\"LogFiles\"\t\"smtp\"\n\"LogRotateHours\"\t\"1\"\n";
    struct err e;
    (void)state;
    log_set_level(LOG_LEVEL_ERROR);
    if (setenv("TZ", "UTC-9", 1) != 0 || mkdtemp(root) == NULL || chdir(root) != 0)
        return -1;
    tzset();
    if (folder_make("hikyaku", 0700, &e) != RC_OK ||
        file_replace("server.tab", str_from_c(settings), 0600, &e) != RC_OK)
        return -1;
    return options_load(&e) == RC_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return chdir("/") != 0 || nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0;
}

static void periods_begin_at_local_midnight(void **state)
{
    (void)state;
    static const struct {
        int64_t now, hours; /* now: 2026-11-26 in Japan */
        const char *period;
    } rows[] = {
        { 1795618800, 24, "202611260000" },
        { 1795618800 + 86399, 24, "202611260000" },
        { 1795618800 - 1, 24, "202611250000" },
        { 1795618800 + 3600, 1, "202611260100" },
        { 1795618800 + 5 * 3600, 6, "202611260000" },
        { 1795618800 + 7 * 3600, 6, "202611260600" },
        { 1795618800 + 59, 0, "202611260000" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[16];
        assert_string_equal(logfile_period(rows[i].now, rows[i].hours, text), rows[i].period);
    }
}

/* Files in logs/ and lines in all of them. */
static size_t count_files(size_t *out_lines)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name, text;
    struct err e;
    unsigned char type = 0;
    size_t files = 0;
    *out_lines = 0;
    assert_int_equal(folder_open("logs", &f, &e), RC_OK);
    while (folder_next(f, &name, &type)) {
        const char *path = arena_printf(&a, "logs/%.*s", STR_ARG(name)).p;
        assert_int_equal(file_read(path, 65536, &a, &text, NULL, &e), RC_OK);
        for (size_t i = 0; i < text.n; i++)
            *out_lines += text.p[i] == '\n';
        files++;
    }
    folder_close(&f);
    return files;
}

static void a_new_period_has_a_new_file(void **state)
{
    (void)state;
    const struct str values[] = { STR("a"), STR("b\tc\nd\"e\\") };
    size_t lines = 0;
    logfile_add(LOGFILE_SMTP, values, 2);
    logfile_add(LOGFILE_POP3, values, 2); /* off */
    assert_int_equal(count_files(&lines), 1);
    assert_int_equal(lines, 1);
    clock_shift_wall(3600 * USEC_S);
    logfile_add(LOGFILE_SMTP, values, 2);
    logfile_add(LOGFILE_SMTP, values, 2);
    assert_int_equal(count_files(&lines), 2);
    assert_int_equal(lines, 3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(periods_begin_at_local_midnight),
        cmocka_unit_test(a_new_period_has_a_new_file),
    };
    return cmocka_run_group_tests_name("logfiles", tests, setup, teardown);
}

/* file_test.c - FILE as programs leave it, and FILE.rej. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "process/process.h"

#define HEAD "c;[1.2.3.4]:5;s;[1.1.1.1]:25;date;Hikyaku\r\nMAIL FROM:<a@b>\r\n<<MAIL-DATA>>\r\n"

static void write_text(const char *path, const char *text, size_t n)
{
    int fd AUTO_CLOSE = io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(io_write(fd, text, n), (ssize_t)n);
}

static enum rc collect(void *ctx, struct str lines, uint64_t wire_octets, struct err *e)
{
    (void)wire_octets;
    (void)e;
    return buf_add_str(ctx, lines);
}

static void files(void **state)
{
#define ROW(text) text, sizeof(text) - 1
    static const struct {
        const char *text;
        size_t n;
        const char *expected, *why; /* one of them */
    } rows[] = {
        { ROW(HEAD "A: b\r\n\r\nx\r\n"), "A: b\n\nx\n", NULL },
        { ROW(HEAD "A: b\n\n..x\r\n"), "A: b\n\n.x\n", NULL },
        { ROW("c;[1.2.3.4]:5;s;[1.1.1.1]:25;date;Hikyaku\nMAIL FROM:<a@b>\n<<MAIL-DATA>>\nx\n"),
          "x\n", NULL },
        { ROW(""), NULL, "the envelope" },
        { ROW("c;[1.2.3.4]:5;s"), NULL, "the envelope" },
        { ROW("c;[1.2.3.4]:5;s;[1.1.1.1]:25;date;Hikyaku\r\nMAIL FROM:<x@b>\r\n"
              "<<MAIL-DATA>>\r\nx\r\n"),
          NULL, "the envelope" },
        { ROW("c;[1.2.3.4]:5;s;[1.1.1.1]:25;date;Hikyaku\r\nMAIL FROM:<a@b>\r\n"
              "RCPT TO:<y@b>\r\n<<MAIL-DATA>>\r\nx\r\n"),
          NULL, "the envelope" },
        { ROW(HEAD), NULL, "no message" },
        { ROW(HEAD "x"), NULL, "without an end" },
        { ROW(HEAD "x\r"), NULL, "without an end" },
        { ROW(HEAD "x\ry\r\n"), NULL, "a CR" },
        { ROW(HEAD "x\0y\r\n"), NULL, "a NUL" },
        { ROW(HEAD "x\r\n.\r\nMAIL\r\n"), NULL, "a single dot" },
        { ROW(HEAD "x\n.\nMAIL\n"), NULL, "a single dot" },
    };
    char folder[] = "/tmp/hikyaku-file-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(folder));
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const char *path = arena_printf(&a, "%s/f", folder).p;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out AUTO_RELEASE_BUF;
        struct err e = { .rc = RC_OK };
        buf_init(&out, 1000);
        write_text(path, rows[i].text, rows[i].n);
        enum rc rc = filter_file_read(path, STR(HEAD), collect, &out, &e);
        if (rows[i].expected != NULL ? rc != RC_OK || strcmp(out.p, rows[i].expected) != 0
                                     : rc != RC_PERM || strstr(e.text, rows[i].why) == NULL)
            fail_msg("row %zu: %s %s", i, out.p, e.text);
    }
    /* A line may have 65,536 octets. */
    struct buf text AUTO_RELEASE_BUF, out AUTO_RELEASE_BUF;
    struct err e;
    buf_init(&text, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_addf(&text, HEAD "%065536d\r\n", 1);
    write_text(path, text.p, text.n);
    assert_int_equal(filter_file_read(path, STR(HEAD), collect, &out, &e), RC_OK);
    buf_reset(&text);
    buf_addf(&text, HEAD "%065537d\r\n", 1);
    write_text(path, text.p, text.n);
    assert_int_equal(filter_file_read(path, STR(HEAD), collect, &out, &e), RC_PERM);
    assert_int_equal(io_unlink(path), 0);
    assert_int_equal(filter_file_read(path, STR(HEAD), collect, &out, &e), RC_PERM);
    assert_int_equal(filter_file_read(folder, STR(HEAD), collect, &out, &e), RC_PERM);
    assert_int_equal(io_rmdir(folder), 0);
}

static void rejections(void **state)
{
    static const struct {
        const char *text, *code, *reason; /* code NULL: none */
    } rows[] = {
        { "550 5.7.1 no\r\nmore", "550", "5.7.1 no" },
        { "no\n", "", "no" },
        { "451-later", "451", "later" },
        { "250 fine\n", "", "250 fine" },
        { "", NULL, NULL },
        { "\n550 x\n", NULL, NULL },
        { "550 a\001b\n", NULL, NULL },
    };
    char folder[] = "/tmp/hikyaku-file-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(folder));
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str code, reason;
    const char *path = arena_printf(&a, "%s/f", folder).p;
    const char *rej = arena_printf(&a, "%s.rej", path).p;
    assert_false(filter_rej_read(path, &a, &code, &reason));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        write_text(rej, rows[i].text, strlen(rows[i].text));
        bool told = filter_rej_read(path, &a, &code, &reason);
        if (told != (rows[i].code != NULL) ||
            (told && (!str_eq(code, str_from_c(rows[i].code)) ||
                      !str_eq(reason, str_from_c(rows[i].reason)))))
            fail_msg("row %zu", i);
    }
    assert_int_equal(io_unlink(rej), 0);
    assert_int_equal(io_rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(files), cmocka_unit_test(rejections) };
    return cmocka_run_group_tests_name("process/file", tests, NULL, NULL);
}

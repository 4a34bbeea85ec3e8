/* manifest_test.c - what is printed reads back; what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup/backup_int.h"

#define SUM "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HEAD "hikyaku-backup 1\n"

static void there_and_back(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf out AUTO_RELEASE_BUF;
    struct manifest m;
    struct manifest_file f = { .name = STR("a %41\n\xc3\xa9"),
                               .mode = 0640,
                               .mtime_ns = -5,
                               .size = 7,
                               .sum = { 1, 2, 255 } },
                         got;
    struct err e;
    buf_init(&out, 4096);
    assert_int_equal(manifest_print_head(&out), RC_OK);
    assert_int_equal(manifest_print_folder(STR(""), 0750, &out), RC_OK);
    assert_int_equal(manifest_print_file(&f, &out), RC_OK);
    assert_int_equal(manifest_print_folder(STR("x y/z"), 0700, &out), RC_OK);
    assert_int_equal(manifest_print_end(2, 1, &out), RC_OK);
    assert_int_equal(manifest_parse(buf_str(&out), &a, &m, &e), RC_OK);
    assert_int_equal(m.count, 2);
    assert_true(str_eq(m.folders[1].path, STR("x y/z")) && m.folders[0].mode == 0750);
    assert_ptr_equal(map_get(&m.by_path, STR("x y/z")), &m.folders[1]);
    struct str lines = m.folders[0].lines;
    assert_true(manifest_next(&lines, &a, &got));
    assert_true(str_eq(got.name, f.name) && got.mode == f.mode && got.mtime_ns == f.mtime_ns &&
                got.size == f.size && memcmp(got.sum, f.sum, sizeof(f.sum)) == 0);
    assert_false(manifest_next(&lines, &a, &got));
    manifest_release(&m);
}

static void damaged(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "hikyaku-backup 2\nend 0 0\n",
        HEAD,
        HEAD "end 0 0",
        HEAD "end 0 0 0\n",
        HEAD "end 1 0\n",
        HEAD "D 700 \n",
        HEAD "D 700 ..\nend 1 0\n",
        HEAD "D 700 a/../b\nend 1 0\n",
        HEAD "D 700 /a\nend 1 0\n",
        HEAD "D 700 a/\nend 1 0\n",
        HEAD "D 700 a%00b\nend 1 0\n",
        HEAD "D 99 a\nend 1 0\n",
        HEAD "D 77777 a\nend 1 0\n",
        HEAD "F 600 1 1 " SUM " a\nend 0 1\n",
        HEAD "D 700 a\nF 600 1 1 " SUM " a/b\nend 1 1\n",
        HEAD "D 700 a\nF 600 1 1 " SUM " ..\nend 1 1\n",
        HEAD "D 700 a\nF 600 1 1 " SUM " %2e%2E\nend 1 1\n",
        HEAD "D 700 a\nF 600 1 1 " SUM " \nend 1 1\n",
        HEAD "D 700 a\nF 600 1 -1 " SUM " b\nend 1 1\n",
        HEAD "D 700 a\nF 600 1 1 00" SUM " b\nend 1 1\n",
        HEAD "D 700 a\nF 600 1 1 " SUM " b\nend 1 2\n",
        HEAD "D 700 a\nX\nend 1 0\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct manifest m;
        struct err e;
        if (manifest_parse(str_from_c(texts[i]), &a, &m, &e) != RC_PERM)
            fail_msg("text %zu was taken", i);
    }
}

static void messages(void **state)
{
    (void)state;
    assert_true(path_is_messages(STR("domains/x/a/Maildir/new")));
    assert_true(path_is_messages(STR("domains/x/a/Maildir/.Sent/cur")));
    assert_false(path_is_messages(STR("domains/x/a/Maildir/tmp")));
    assert_false(path_is_messages(STR("domains/x/new")));
    assert_true(str_eq(message_base(STR("1.M2:2,S")), STR("1.M2")));
    assert_true(str_eq(message_base(STR("1.M2")), STR("1.M2")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(damaged),
        cmocka_unit_test(messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* admin_test.c - which names and paths a client may give; what the result numbers are. What
 * changes tables is tested through the protocol and with kills. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "admin/admin_int.h"

static void paths(void **state)
{
    (void)state;
    static const struct {
        const char *given, *path;
        enum admin_result result;
    } rows[] = {
        { "server.tab", "server.tab", ADMIN_OK },
        { "filters\\x.tab", "filters/x.tab", ADMIN_OK },
        { "domains/d/u/user.tab", "domains/d/u/user.tab", ADMIN_OK },
        { "filters/", "filters", ADMIN_OK },
        { "", NULL, ADMIN_BAD_PATH },
        { "/etc/passwd", NULL, ADMIN_CANT_OPEN },
        { "\\etc\\passwd", NULL, ADMIN_CANT_OPEN },
        { "c:\\x", NULL, ADMIN_CANT_OPEN },
        { "..", NULL, ADMIN_BAD_PATH },
        { "../x", NULL, ADMIN_BAD_PATH },
        { "a/../x", NULL, ADMIN_BAD_PATH },
        { "a\\..\\x", NULL, ADMIN_BAD_PATH },
        { "a//x", NULL, ADMIN_BAD_PATH },
        { "./x", NULL, ADMIN_BAD_PATH },
        { ".shutdown", NULL, ADMIN_BAD_PATH },
        { "domains/d/u/.ipconn", NULL, ADMIN_BAD_PATH },
        { "server.key", NULL, ADMIN_BAD_PATH },
        { "certs/Other.KEY", NULL, ADMIN_BAD_PATH },
        { "hikyaku/marker", NULL, ADMIN_BAD_PATH },
        { "HIKYAKU/marker", NULL, ADMIN_BAD_PATH },
        { "queue/00/x", NULL, ADMIN_BAD_PATH },
        { "a\nb", NULL, ADMIN_BAD_PATH },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str path = STR("");
        enum admin_result result =
            admin_path(str_from_c(rows[i].given), ADMIN_FILE_READ, &a, &path);
        if (result != rows[i].result ||
            (result == ADMIN_OK && !str_eq(path, str_from_c(rows[i].path))))
            fail_msg("\"%s\": %d, \"%.*s\"", rows[i].given, (int)result, STR_ARG(path));
    }
}

static void names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool good;
    } rows[] = {
        { "ann", true },  { "a+b", true },  { "o'neil", true }, { "UpperUser", true },
        { "a.b", true },  { "", false },    { ".a", false },    { "a.", false },
        { "a b", false }, { "a/b", false }, { "a\\b", false },  { "a@b", false },
        { "a*", false },  { "#a", false },  { "a\"b", false },  { "a\x7f", false },
        { "..", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (name_is_good(str_from_c(rows[i].name)) != rows[i].good)
            fail_msg("\"%s\"", rows[i].name);
    char longest[200];
    memset(longest, 'a', sizeof(longest));
    assert_true(name_is_good(str_from(longest, 128)));
    assert_false(name_is_good(str_from(longest, 129)));
}

static void custom_domains(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str path;
    assert_int_equal(admin_custom_path(STR("x.test"), &a, &path), ADMIN_OK);
    assert_true(str_eq(path, STR("custdomains/x.test.tab")));
    assert_int_equal(admin_custom_path(STR(".x.test"), &a, &path), ADMIN_OK);
    assert_int_equal(admin_custom_path(STR(".X.Test"), &a, &path), ADMIN_OK);
    assert_true(str_eq(path, STR("custdomains/.x.test.tab")));
    assert_int_equal(admin_custom_path(STR("\u8868.Test"), &a, &path), ADMIN_OK);
    assert_true(str_eq(path, STR("custdomains/xn--co2a.test.tab")));
    assert_int_equal(admin_custom_path(STR("../x"), &a, &path), ADMIN_BAD_NAME);
    assert_int_equal(admin_custom_path(STR(""), &a, &path), ADMIN_BAD_NAME);
    assert_int_equal(admin_custom_path(STR("*"), &a, &path), ADMIN_BAD_NAME);
}

/* Scripts compare the numbers (specification 4, section 3; 6, items 19 and 20). */
static void numbers(void **state)
{
    (void)state;
    assert_int_equal(ADMIN_NO_SUCH_USER, 12);
    assert_int_equal(ADMIN_USER_EXISTS, 13);
    assert_int_equal(ADMIN_ALIAS_EXISTS, 26);
    assert_int_equal(ADMIN_NO_DOMAIN, 59);
    assert_int_equal(ADMIN_UNKNOWN_USER, 157);
    assert_int_equal(ADMIN_BAD_LOGIN, 161);
    assert_string_equal(admin_result_text(ADMIN_OK), "OK");
    assert_true(strlen(admin_result_text(ADMIN_BAD_PATH)) > 5);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(names),
        cmocka_unit_test(custom_domains),
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}

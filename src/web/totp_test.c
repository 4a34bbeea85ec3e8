/* totp_test.c - RFC 6238's test values, codes used twice, recovery codes. */
#include "web/totp.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECRET STR("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ") /* 12345678901234567890 */

static void test_rfc_values(void **state)
{
    static const struct {
        uint64_t time;
        const char *code;
    } rows[] = {
        { 59, "287082" },         { 1111111109, "081804" }, { 1111111111, "050471" },
        { 1234567890, "005924" }, { 2000000000, "279037" }, { 20000000000, "353130" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char code[7];
        struct err e;
        assert_int_equal(totp_code(SECRET, rows[i].time / 30, code, &e), RC_OK);
        assert_string_equal(code, rows[i].code);
    }
}

static void test_window(void **state)
{
    uint64_t step = 0;
    usec_t at = 1111111111 * USEC_S;
    (void)state;
    assert_true(totp_matches(SECRET, STR("050471"), at, 0, &step));
    assert_int_equal(step, 1111111111 / 30);
    assert_false(totp_matches(SECRET, STR("050471"), at, step, &step));
    assert_true(totp_matches(SECRET, STR("081804"), at, 0, &step)); /* the step before */
    assert_false(totp_matches(SECRET, STR("081804"), at + 60 * USEC_S, 0, &step));
    assert_false(totp_matches(SECRET, STR("50471"), at, 0, &step));
    assert_false(totp_matches(STR("not base32!"), STR("050471"), at, 0, &step));
}

static void test_secret(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    char code[7];
    struct err e;
    (void)state;
    struct str one = totp_secret(&a), two = totp_secret(&a);
    assert_int_equal(one.n, TOTP_SECRET_CHARS);
    assert_false(str_eq(one, two));
    assert_int_equal(totp_code(one, 1, code, &e), RC_OK);
    struct str uri = totp_uri(SECRET, STR("a b/\"c"), STR("mail.x.test"), &a);
    assert_true(str_eq(uri, STR("otpauth://totp/mail.x.test:a%20b%2f%22c?secret="
                                "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=mail.x.test")));
}

static void test_recovery(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str codes[TOTP_RECOVERY_CODES], stored, left, again;
    (void)state;
    totp_recovery_make(&a, codes, &stored);
    assert_true(str_find_str(stored, codes[0]) == SIZE_MAX);
    assert_true(totp_recovery_use(stored, codes[3], &a, &left));
    assert_false(totp_recovery_use(left, codes[3], &a, &again));
    assert_true(totp_recovery_use(left, codes[9], &a, &again));
    assert_false(totp_recovery_use(left, STR(""), &a, &again));
    assert_false(totp_recovery_use(STR(""), codes[0], &a, &again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_values),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

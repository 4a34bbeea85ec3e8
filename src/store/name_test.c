/* name_test.c - message file names: ours, XMail's, Dovecot's, and strange ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store_int.h"

#define S ((usec_t)1000000)

static void test_parse(void **state)
{
    static const struct {
        const char *name, *file, *base;
        bool ok, has_time, has_wire;
        usec_t time;
        uint64_t wire;
    } rows[] = {
        { "ours", "1700000000.M000042P12Q3.mx,S=10,W=12",
          "1700000000.M000042P12Q3.mx,S=10,W=12", true, true, true, 1700000000 * S + 42, 12 },
        { "ours, seen", "1700000000.M000042P12Q3.mx,S=10,W=12:2,RS",
          "1700000000.M000042P12Q3.mx,S=10,W=12", true, true, true, 1700000000 * S + 42, 12 },
        { "xmail", "1700000000123.8.1f.host", "1700000000123.8.1f.host", true, true, false,
          1700000000 * S + 123000, 0 },
        { "plain maildir", "1183461011.4242_0.host:2,", "1183461011.4242_0.host", true, true,
          false, 1183461011 * S, 0 },
        { "S only", "1183461011.M1P2.h,S=77", "1183461011.M1P2.h,S=77", true, true, false,
          1183461011 * S + 1, 0 },
        { "windows name", "mail from bob.eml", "mail from bob.eml", true, false, false, 0, 0 },
        { "small number is no time", "12.txt", "12.txt", true, false, false, 0, 0 },
        { "number without dot", "1700000000", "1700000000", true, false, false, 0, 0 },
        { "time overflow", "99999999999999999999999.x", "99999999999999999999999.x", true,
          false, false, 0, 0 },
        { "late time", "1000000000000000.x", "1000000000000000.x", true, false, false, 0, 0 },
        { "micros too large", "1700000000.M1000000P1.h", "1700000000.M1000000P1.h", true, true,
          false, 1700000000 * S, 0 },
        { "wire overflow", "1700000000.a,W=99999999999999999999", NULL, true, true, false,
          1700000000 * S, 0 },
        { "wire too large", "1700000000.a,W=281474976710657", NULL, true, true, false,
          1700000000 * S, 0 },
        { "wire not a number", "1700000000.a,W=1x", NULL, true, true, false, 1700000000 * S,
          0 },
        { "wire negative", "1700000000.a,W=-1", NULL, true, true, false, 1700000000 * S, 0 },
        { "wire zero", "1700000000.a,W=0", NULL, true, true, true, 1700000000 * S, 0 },
        { "colon in name", "a:b", "a:b", true, false, false, 0, 0 },
        { "flags twice", "a:2,S:2,T", "a:2,S", true, false, false, 0, 0 },
        { "hidden", ".hidden", NULL, false, false, false, 0, 0 },
        { "empty", "", NULL, false, false, false, 0, 0 },
        { "slash", "a/b", NULL, false, false, false, 0, 0 },
        { "only flags", ":2,S", NULL, false, false, false, 0, 0 },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct message_name n = { .time = 0 };
        bool ok = name_parse(str_from_c(rows[i].file), &n);
        bool same = ok == rows[i].ok && n.has_time == rows[i].has_time &&
                    n.has_wire == rows[i].has_wire && n.time == rows[i].time &&
                    n.wire_octets == rows[i].wire &&
                    (rows[i].base == NULL || str_eq(n.base, str_from_c(rows[i].base)));
        if (!same)
            fail_msg("%s", rows[i].name);
    }
}

static void test_uid(void **state)
{
    static const char *const kept[] = {
        "1700000000123.8.1f.host", "a", "!~",
        "1234567890123456789012345678901234567890123456789012345678901234567890"
    };
    static const char *const hashed[] = {
        "12345678901234567890123456789012345678901234567890123456789012345678901", "a b",
        "a\x7f", "\xe3\x83\xa1", "a\tb"
    };
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        assert_string_equal(name_uid(str_from_c(kept[i]), &mem).p, kept[i]);
    for (size_t i = 0; i < ARRAY_LEN(hashed); i++) {
        struct str uid = name_uid(str_from_c(hashed[i]), &mem);
        assert_int_equal(uid.n, 42);
        assert_true(str_starts(uid, STR("h-")));
        assert_true(str_eq(uid, name_uid(str_from_c(hashed[i]), &mem)));
    }
    /* Never changes: clients know messages by it. */
    assert_string_equal(name_uid(STR("a b"), &mem).p,
                        "h-c8687a08aa5d6ed2044328fa6a697ab8e96dc342");
}

static void test_make(void **state)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct message_name n;
    (void)state;
    name_host(STR("mail/server:1.example.org"), store.host);
    assert_string_equal(store.host, "mail\\057server");
    struct str a = name_make(1700000000 * S + 5, &mem), b = name_make(1700000000 * S + 5, &mem);
    assert_false(str_eq(a, b));
    assert_true(name_is_base(STR("1700000000.M1P2Q3.host")));
    struct str full = name_with_sizes(a, 20480, 20980, &mem);
    assert_true(name_parse(full, &n));
    assert_int_equal(n.time, 1700000000 * S + 5);
    assert_int_equal(n.disk_octets, 20480);
    assert_int_equal(n.wire_octets, 20980);
    assert_true(str_eq(name_uid(full, &mem), full));
}

static void test_base(void **state)
{
    static const char *const bad[] = { "", ".a", "a/b", "a:2,", "a,S=1", "a\nb", "a\\b" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (name_is_base(str_from_c(bad[i])))
            fail_msg("%s", bad[i]);
}

static void test_component(void **state)
{
    static const struct {
        const char *text, *out;
    } rows[] = {
        { "amy", "amy" },
        { "a/b=c", "a%2Fb=c" },
        { "..", "%2E." },
        { ".x", "%2Ex" },
        { "", "%" },
        { "50%", "50%25" },
        { "o'neil", "o'neil" },
        { "a b\n", "a%20b%0A" },
        { "\xe3\x83\xa1", "\xe3\x83\xa1" },
    };
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(name_component(str_from_c(rows[i].text), &mem).p, rows[i].out);
    char large[300];
    memset(large, '/', sizeof(large));
    assert_int_equal(name_component(str_from(large, sizeof(large)), &mem).n, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),     cmocka_unit_test(test_uid),
        cmocka_unit_test(test_make),      cmocka_unit_test(test_base),
        cmocka_unit_test(test_component),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* password_test.c - stored forms, against published values and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "users/pbkdf2.h"
#include "users/users.h"
#include <openssl/evp.h>

#define SCRAM_RFC7677                                                                          \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"                                            \
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"                                            \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

#define SHA512_CRYPT                                                                           \
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"                                       \
    "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCo"                                                  \
    "EOfaS35inz1"

struct match_row {
    const char *name, *stored, *clear;
    enum password_scheme scheme;
    bool matches;
};

static const struct match_row match_rows[] = {
    { "xmail's own example", "1d08040c09", "xmail", PASSWORD_XMCRYPT, true },
    { "upper-case hex", "1D08040C09", "xmail", PASSWORD_XMCRYPT, true },
    { "wrong password", "1d08040c09", "xmaiL", PASSWORD_XMCRYPT, false },
    { "prefix of the password", "1d08040c09", "xmai", PASSWORD_XMCRYPT, false },
    { "longer than the password", "1d08040c09", "xmaill", PASSWORD_XMCRYPT, false },
    { "odd number of digits", "1d08040c0", "xmail", PASSWORD_XMCRYPT, false },
    { "not hex", "1d08040czz", "xmail", PASSWORD_XMCRYPT, false },
    { "empty column, empty password", "", "", PASSWORD_XMCRYPT, false },
    { "empty column", "", "x", PASSWORD_XMCRYPT, false },
    { "empty password", "1d08040c09", "", PASSWORD_XMCRYPT, false },
    { "blanks in a password", "04450745", "a b ", PASSWORD_XMCRYPT, true },
    { "stored in clear", "xmail", "xmail", PASSWORD_XMCRYPT, false },
    { "RFC 7677 example", SCRAM_RFC7677, "pencil", PASSWORD_SCRAM, true },
    { "RFC 7677 example, wrong", SCRAM_RFC7677, "pencils", PASSWORD_SCRAM, false },
    { "RFC 4013: soft hyphen maps to nothing", SCRAM_RFC7677,
      "pen\xc2\xad"
      "cil",
      PASSWORD_SCRAM, true },
    { "control character", SCRAM_RFC7677, "pencil\x07", PASSWORD_SCRAM, false },
    { "not UTF-8", SCRAM_RFC7677, "\xff\xfe", PASSWORD_SCRAM, false },
    { "scram without data", "{SCRAM-SHA-256}", "pencil", PASSWORD_SCRAM, false },
    { "scram without keys", "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==", "pencil",
      PASSWORD_SCRAM, false },
    { "scram, no iterations",
      "{SCRAM-SHA-256}0,W22ZaJ0SNY7soEsUEjb6gQ==,"
      "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
      "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
      "pencil", PASSWORD_SCRAM, false },
    { "scram, iterations without end",
      "{SCRAM-SHA-256}4000000000,W22ZaJ0SNY7soEsUEjb6gQ==,"
      "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
      "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
      "pencil", PASSWORD_SCRAM, false },
    { "scram, short key", "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d,wfPL", "pencil",
      PASSWORD_SCRAM, false },
    { "scram, text behind", SCRAM_RFC7677 ",x", "pencil", PASSWORD_SCRAM, false },
    { "sha512-crypt of another system", SHA512_CRYPT, "Hello world!", PASSWORD_YESCRYPT, true },
    { "the same with a prefix", "{CRYPT}" SHA512_CRYPT, "Hello world!", PASSWORD_YESCRYPT,
      true },
    { "the same, wrong", SHA512_CRYPT, "Hello world", PASSWORD_YESCRYPT, false },
    { "yescrypt setting without a hash", "$y$j9T$", "x", PASSWORD_YESCRYPT, false },
    { "unknown method", "$zz$abc", "x", PASSWORD_YESCRYPT, false },
    { "crypt's failure token", "*0", "x", PASSWORD_XMCRYPT, false },
    { "unknown prefix", "{MD5}abcd", "x", PASSWORD_XMCRYPT, false },
};

static void matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(match_rows); i++) {
        const struct match_row *r = &match_rows[i];
        print_message("%s\n", r->name);
        assert_int_equal(password_scheme_of(str_from_c(r->stored)), r->scheme);
        assert_int_equal(password_matches(str_from_c(r->stored), str_from_c(r->clear)),
                         r->matches);
    }
}

static void every_scheme_takes_what_it_made(void **state)
{
    (void)state;
    static const enum password_scheme schemes[] = { PASSWORD_XMCRYPT, PASSWORD_SCRAM,
                                                    PASSWORD_YESCRYPT };
    static const char *const clears[] = { "x", "correct horse battery staple",
                                          "\xe3\x83\x91\xe3\x82\xb9\xe3\x83\xaf\xe3\x83\xbc",
                                          "\"quotes\\and\tTAB" };
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        for (size_t k = 0; k < ARRAY_LEN(clears); k++) {
            struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
            struct str clear = str_from_c(clears[k]), stored = { "", 0 };
            enum rc rc = password_make(schemes[i], clear, &a, &stored, NULL);
            print_message("scheme %d, %s: %.*s\n", (int)schemes[i], clears[k], STR_ARG(stored));
            if (schemes[i] == PASSWORD_SCRAM && k == 3) {
                assert_int_equal(rc, RC_PERM); /* SASLprep forbids TAB */
                continue;
            }
            assert_int_equal(rc, RC_OK);
            assert_int_equal(password_scheme_of(stored), schemes[i]);
            assert_false(str_has_any(stored, "\t\r\n\""));
            assert_true(password_matches(stored, clear));
            assert_false(password_matches(stored, str_head(clear, clear.n - 1)));
        }
    }
}

static void bad_passwords_are_not_made(void **state)
{
    (void)state;
    static char longest[600];
    memset(longest, 'a', sizeof(longest));
    const struct str bad[] = { { "", 0 }, { "a\0b", 3 }, { "a\r\nb", 4 }, { longest, 513 } };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct str stored = { NULL, 0 };
        struct err e;
        print_message("row %zu\n", i);
        assert_int_equal(password_make(PASSWORD_XMCRYPT, bad[i], &a, &stored, &e), RC_PERM);
        assert_null(stored.p);
    }
}

static void two_values_of_one_password_differ(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str x, y;
    assert_int_equal(password_make(PASSWORD_SCRAM, STR("same"), &a, &x, NULL), RC_OK);
    assert_int_equal(password_make(PASSWORD_SCRAM, STR("same"), &a, &y, NULL), RC_OK);
    assert_false(str_eq(x, y));
}

static void clear_text_comes_from_xmcrypt_only(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str clear = { NULL, 0 };
    assert_true(password_clear(STR("1d08040c09"), &a, &clear));
    assert_true(str_eq(clear, STR("xmail")));
    assert_false(password_clear(STR(SCRAM_RFC7677), &a, &clear));
    assert_false(password_clear(STR("$6$x$y"), &a, &clear));
    assert_false(password_clear(STR(""), &a, &clear));
}

static void scram_keys_of_both_kinds(void **state)
{
    (void)state;
    static const uint8_t salt[16] = { 0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                      0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81 };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct scram_keys keys, again;
    assert_true(password_scram_keys(STR("alice@x"), STR(SCRAM_RFC7677), &a, &keys));
    assert_int_equal(keys.iterations, 4096);
    assert_int_equal(keys.salt.n, sizeof(salt));
    assert_memory_equal(keys.salt.p, salt, sizeof(salt));
    assert_int_equal(keys.stored_key[0], 0x58);
    assert_int_equal(keys.server_key[31], 0xd5);
    /* From a clear password: a salt that stays, and differs between passwords. */
    assert_true(password_scram_keys(STR("alice@x"), STR("1d08040c09"), &a, &keys));
    assert_true(password_scram_keys(STR("alice@x"), STR("1d08040c09"), &a, &again));
    assert_true(str_eq(keys.salt, again.salt));
    assert_memory_equal(keys.stored_key, again.stored_key, sizeof(keys.stored_key));
    assert_true(password_scram_keys(STR("alice@x"), STR("1d08040c0a"), &a, &again));
    assert_false(str_eq(keys.salt, again.salt));
    assert_true(password_scram_keys(STR("bob@x"), STR("1d08040c09"), &a, &again));
    assert_false(str_eq(keys.salt, again.salt));
    assert_false(password_scram_keys(STR("alice@x"), STR("$6$x$y"), &a, &again));
    assert_false(password_scram_keys(STR("alice@x"), STR(""), &a, &again));
}

/* The time of one call in microseconds, the least of several. */
static usec_t time_of(void (*fn)(void))
{
    usec_t best = USEC_FOREVER;
    for (int i = 0; i < 5; i++) {
        usec_t start = clock_mono();
        fn();
        best = MIN(best, clock_mono() - start);
    }
    return best;
}

static void scram_match(void)
{
    (void)password_matches(STR(SCRAM_RFC7677), STR("wrong"));
}

static void scram_waste(void)
{
    password_waste(PASSWORD_SCRAM, STR("wrong"));
}

static struct str yescrypt_stored;

static void yescrypt_match(void)
{
    (void)password_matches(yescrypt_stored, STR("wrong"));
}

static void yescrypt_waste(void)
{
    password_waste(PASSWORD_YESCRYPT, STR("wrong"));
}

static void waste_takes_as_long(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    assert_int_equal(password_make(PASSWORD_YESCRYPT, STR("y"), &a, &yescrypt_stored, NULL),
                     RC_OK);
    static const struct {
        const char *name;
        void (*match)(void), (*waste)(void);
    } rows[] = { { "scram", scram_match, scram_waste },
                 { "yescrypt", yescrypt_match, yescrypt_waste } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        usec_t match = time_of(rows[i].match), waste = time_of(rows[i].waste);
        print_message("%s: match %lld us, waste %lld us\n", rows[i].name, (long long)match,
                      (long long)waste);
        /* Not a stopwatch: only the work must be of the same size. */
        assert_true(waste > match / 3 && match > waste / 3);
    }
}

static void key_derivation_is_openssls(void **state)
{
    (void)state;
    static const char text[] =
        "a password of more than sixty-four octets, so that it is hashed first";
    static const unsigned rounds[] = { 1, 2, 1000 };
    for (size_t n = 0; n < sizeof(text); n += 7) {
        for (size_t k = 0; k < ARRAY_LEN(rounds); k++) {
            uint8_t mine[PBKDF2_BYTES], theirs[PBKDF2_BYTES];
            pbkdf2_sha256(str_from(text, n), str_from(text, n + 1), rounds[k], mine);
            assert_int_equal(PKCS5_PBKDF2_HMAC(text, (int)n, (const unsigned char *)text,
                                               (int)n + 1, (int)rounds[k], EVP_sha256(),
                                               (int)sizeof(theirs), theirs),
                             1);
            assert_memory_equal(mine, theirs, sizeof(mine));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_derivation_is_openssls),
        cmocka_unit_test(matches),
        cmocka_unit_test(every_scheme_takes_what_it_made),
        cmocka_unit_test(bad_passwords_are_not_made),
        cmocka_unit_test(two_values_of_one_password_differ),
        cmocka_unit_test(clear_text_comes_from_xmcrypt_only),
        cmocka_unit_test(scram_keys_of_both_kinds),
        cmocka_unit_test(waste_takes_as_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

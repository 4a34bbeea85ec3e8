/* acme_test.c - what authorities say, good and hostile; base64url; keys and signatures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "acme/jose.h"
#include "acme/proofs.h"
#include "sys/issue.h"
#include <openssl/pem.h>

#define URL "https://ca.example/"
#define FORM "[{\"name\":\"%s\",\"token\":\"%s\",\"proof\":\"%.*s\",\"value\":\"%.*s\"}]"

static void base64(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    static const char *const rows[][2] = {
        /* RFC 4648 10, RFC 7515 A.1.1 */
        { "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "\xfb\xff", "-_8" },
    };
    struct str octets;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str plain = str_from_c(rows[i][0]);
        assert_true(str_eq(jose_base64(plain, &a), str_from_c(rows[i][1])));
        assert_true(jose_octets(str_from_c(rows[i][1]), &a, &octets) && str_eq(octets, plain));
    }
    assert_false(jose_octets(STR("Zg=="), &a, &octets));
    assert_false(jose_octets(STR("Z"), &a, &octets));
    assert_false(jose_octets(STR("Zm9+"), &a, &octets));
}

static void directories(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct acme_directory d;
    assert_null(acme_read_directory(STR("{\"newNonce\":\"" URL "n\",\"newAccount\":\"" URL
                                        "a\",\"newOrder\":\"" URL
                                        "o\",\"meta\":{\"externalAccountRequired\":true}}"),
                                    &a, &d));
    assert_true(d.wants_external_account && str_eq(d.new_order, STR(URL "o")));
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"newNonce\":\"" URL "n\",\"newAccount\":\"" URL "a\",\"newOrder\":1}",
        "{\"newNonce\":\"http://ca.example/n\",\"newAccount\":\"" URL "a\",\"newOrder\":\"" URL
        "o\"}",
        "{\"newNonce\":\"" URL "n\\r\\nX: y\",\"newAccount\":\"" URL "a\",\"newOrder\":\"" URL
        "o\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (acme_read_directory(str_from_c(bad[i]), &a, &d) == NULL)
            fail_msg("%s", bad[i]);
}

static void orders(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        enum acme_status status;
    } rows[] = {
        { "{\"status\":\"ready\",\"finalize\":\"" URL "f\",\"authorizations\":[\"" URL "1\"]}",
          true, ACME_READY },
        { "{\"status\":\"odd\",\"finalize\":\"" URL "f\",\"authorizations\":[\"" URL "1\"]}",
          true, ACME_INVALID },
        { "{\"status\":\"valid\",\"finalize\":\"" URL "f\",\"authorizations\":[\"" URL "1\"]}",
          false, ACME_VALID },
        { "{\"status\":\"valid\",\"certificate\":\"" URL "c\",\"finalize\":\"" URL
          "f\",\"authorizations\":[\"" URL "1\"]}",
          true, ACME_VALID },
        { "{\"status\":\"ready\",\"finalize\":\"" URL "f\",\"authorizations\":[]}", false,
          ACME_READY },
        { "{\"status\":\"ready\",\"finalize\":\"" URL "f\",\"authorizations\":[7]}", false,
          ACME_READY },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct acme_order *o = arena_new(&a, sizeof(*o));
        bool good = acme_read_order(str_from_c(rows[i].text), &a, o) == NULL;
        if (good != rows[i].good || o->status != rows[i].status)
            fail_msg("%s", rows[i].text);
    }
}

static void authorizations(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct acme_authorization x;
    assert_null(acme_read_authorization(
        STR("{\"status\":\"pending\",\"identifier\":{\"value\":\"a.example\"},\"challenges\":["
            "{\"type\":\"dns-01\",\"url\":\"" URL "d\",\"token\":\"D\"},"
            "{\"type\":\"http-01\",\"url\":\"" URL "h\",\"token\":\"../x\"}]}"),
        "http-01", &a, &x));
    assert_true(str_eq(x.url, STR(URL "h")) && x.token.n == 0);
    struct str type;
    struct str line = acme_read_problem(
        STR("{\"type\":\"urn:ietf:params:acme:error:dns\",\"detail\":\"no\\r\\nX\"}"), &a,
        &type);
    assert_true(str_eq(type, STR("dns")) && str_eq(line, STR("dns: no??X")));
}

static void keys(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct buf pem AUTO_RELEASE_BUF;
    struct err e;
    const struct str names[] = { STR("a.example") };
    struct proof *list = NULL;
    size_t count = 0;
    buf_init(&pem, 65536);
    assert_int_equal(issue_key(&pem, &e), RC_OK);
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    struct str thumb = jose_thumbprint(key, &a);
    assert_int_equal(thumb.n, 43);
    assert_true(str_starts(jose_sign(key, STR("{}"), STR(""), &a),
                           STR("{\"protected\":\"e30\",\"payload\":\"\",\"signature\":\"")));
    EVP_PKEY_free(key);
    struct str proof = arena_printf(&a, "T.%.*s", STR_ARG(thumb));
    struct str value = jose_base64(jose_digest(proof, &a), &a);
#define READ(name, token)                                                                      \
    proofs_read(arena_printf(&a, FORM, name, token, STR_ARG(proof), STR_ARG(value)), names, 1, \
                &a, &list, &count)
    assert_null(READ("a.example", "T"));
    assert_non_null(READ("b.example", "T"));
    assert_non_null(READ("a.example", "../T"));
    assert_non_null(READ("a.example", "U"));
#undef READ
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64), cmocka_unit_test(directories),
        cmocka_unit_test(orders), cmocka_unit_test(authorizations),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

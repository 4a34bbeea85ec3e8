/*
 * sasl_test.c - exchanges from the server's side. The client's side of SCRAM is written here
 * with OpenSSL alone, and first proved against the example of RFC 7677 3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/sasl.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

/* --- who there is ------------------------------------------------------------------------ */

enum user_kind { USER_XMCRYPT, USER_SCRAM, USER_YESCRYPT, USER_SMTPAUTH, USER_EXTERNAL };

static const struct {
    const char *login, *password;
    enum user_kind kind;
} users[] = {
    { "amy@x.test", "pencil", USER_XMCRYPT },    { "sue@x.test", "pencil", USER_SCRAM },
    { "yes@x.test", "pencil", USER_YESCRYPT },   { "relay", "pencil", USER_SMTPAUTH },
    { "tim", "tanstaaftanstaaf", USER_XMCRYPT }, { "b=c,d", "p w,=\xe6\x97\xa5", USER_SCRAM },
    { "ext@x.test", "pencil", USER_EXTERNAL },
};

static unsigned finds;

static enum rc find(void *ctx, struct str login, struct arena *a, struct sasl_identity *out)
{
    static const enum password_scheme schemes[] = { PASSWORD_XMCRYPT, PASSWORD_SCRAM,
                                                    PASSWORD_YESCRYPT };
    (void)ctx;
    finds++;
    if (str_eq(login, STR("broken")))
        return RC_TEMP;
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        if (!str_ieq(login, str_from_c(users[i].login)))
            continue;
        struct str clear = str_from_c(users[i].password);
        if (users[i].kind == USER_SMTPAUTH) {
            *out = (struct sasl_identity){ .clear = arena_str(a, clear), .perms = STR("MR") };
            return RC_OK;
        }
        out->has_account = true;
        out->account.name = arena_str(a, login);
        out->external = users[i].kind == USER_EXTERNAL;
        return password_make(schemes[out->external ? 0 : users[i].kind], clear, a,
                             &out->account.password, NULL);
    }
    return RC_PERM;
}

static const struct sasl_realm realm = { .find = find,
                                         .host = { "mx.x.test", 9 },
                                         .scheme = PASSWORD_XMCRYPT };
static const struct sasl_realm scram_realm = { .find = find,
                                               .host = { "mx.x.test", 9 },
                                               .scheme = PASSWORD_SCRAM };

/* --- a client ---------------------------------------------------------------------------- */

static struct str to_base64(struct arena *a, struct str s)
{
    unsigned char *p = arena_new(a, (s.n + 2) / 3 * 4 + 1);
    int n = EVP_EncodeBlock(p, (const unsigned char *)s.p, (int)s.n);
    return str_from((char *)p, (size_t)n);
}

static struct str from_base64(struct arena *a, struct str s)
{
    unsigned char *p = arena_new(a, s.n + 1);
    int n = EVP_DecodeBlock(p, (const unsigned char *)s.p, (int)s.n);
    assert_true(n >= 0);
    while (s.n > 0 && s.p[s.n - 1] == '=') {
        s.n--;
        n--;
    }
    return str_from((char *)p, (size_t)n);
}

static void hmac(const uint8_t *key, struct str text, uint8_t out[32])
{
    assert_non_null(
        HMAC(EVP_sha256(), key, 32, (const unsigned char *)text.p, text.n, out, NULL));
}

/* RFC 5802 3: the client's final message and the server's answer, both in clear. */
static void scram_client(struct arena *a, struct str password, struct str gs2,
                         struct str first_bare, struct str server_first, struct str *out_final,
                         struct str *out_server)
{
    struct str rest = server_first, nonce = { 0 }, salt = { 0 }, count = { 0 };
    uint64_t iterations = 0;
    uint8_t salted[32], key[32], stored[32], signature[32], server_key[32], server[32];
    assert_true(str_cut(&rest, ',', &nonce) && str_cut(&rest, ',', &salt) &&
                str_cut(&rest, ',', &count));
    assert_true(str_starts(nonce, STR("r=")) && str_starts(salt, STR("s=")));
    assert_true(str_to_u64(str_skip(count, 2), &iterations));
    salt = from_base64(a, str_skip(salt, 2));
    assert_int_equal(PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const uint8_t *)salt.p,
                                       (int)salt.n, (int)iterations, EVP_sha256(), 32, salted),
                     1);
    hmac(salted, STR("Client Key"), key);
    hmac(salted, STR("Server Key"), server_key);
    (void)SHA256(key, sizeof(key), stored);
    struct str without_proof =
        arena_printf(a, "c=%.*s,%.*s", STR_ARG(to_base64(a, gs2)), STR_ARG(nonce));
    struct str auth = arena_printf(a, "%.*s,%.*s,%.*s", STR_ARG(first_bare),
                                   STR_ARG(server_first), STR_ARG(without_proof));
    hmac(stored, auth, signature);
    hmac(server_key, auth, server);
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] ^= signature[i];
    struct str proof = to_base64(a, str_from((char *)key, sizeof(key)));
    struct str v = to_base64(a, str_from((char *)server, sizeof(server)));
    *out_final = arena_printf(a, "%.*s,p=%.*s", STR_ARG(without_proof), STR_ARG(proof));
    *out_server = arena_printf(a, "v=%.*s", STR_ARG(v));
}

static void test_client_is_right(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str final, server;
    scram_client(&a, STR("pencil"), STR("n,,"), STR("n=user,r=rOprNGfwEbeRWgbNEkqO"),
                 STR("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                     "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
                 &final, &server);
    assert_true(str_eq(final, STR("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                  "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")));
    assert_true(str_eq(server, STR("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
}

static struct sasl *begin(const char *mechanism, const struct sasl_realm *r)
{
    struct sasl *x = NULL;
    struct err e = { 0 };
    finds = 0;
    assert_int_equal(sasl_begin(str_from_c(mechanism), r, &x, &e), RC_OK);
    assert_null(sasl_identity(x));
    return x;
}

/* --- PLAIN and LOGIN --------------------------------------------------------------------- */

#define IN(lit)                                                                                \
    {                                                                                          \
        "" lit, sizeof(lit) - 1                                                                \
    }
/* clang-format off */
static const struct {
    const char *name;
    struct str message;
    enum sasl_status want;
} plain_rows[] = {
    { "right",               IN("\0amy@x.test\0pencil"), SASL_DONE },
    { "own authzid",         IN("amy@x.test\0amy@x.test\0pencil"), SASL_DONE },
    { "scram account",       IN("\0sue@x.test\0pencil"), SASL_DONE },
    { "yescrypt account",    IN("\0yes@x.test\0pencil"), SASL_DONE },
    { "smtpauth line",       IN("\0relay\0pencil"), SASL_DONE },
    { "UTF-8 password",      IN("\0b=c,d\0p w,=\xe6\x97\xa5"), SASL_DONE },
    { "wrong password",      IN("\0amy@x.test\0pencils"), SASL_FAILED },
    { "wrong, scram",        IN("\0sue@x.test\0Pencil"), SASL_FAILED },
    { "wrong, yescrypt",     IN("\0yes@x.test\0Pencil"), SASL_FAILED },
    { "wrong, smtpauth",     IN("\0relay\0pencilx"), SASL_FAILED },
    { "wrong, same length",  IN("\0relay\0pencix"), SASL_FAILED },
    { "unknown",             IN("\0eve@x.test\0pencil"), SASL_FAILED },
    { "other authzid",       IN("sue@x.test\0amy@x.test\0pencil"), SASL_FAILED },
    { "control in the name", IN("\0amy@x.test\r\0pencil"), SASL_FAILED },
    { "look-up fails",       IN("\0broken\0pencil"), SASL_TEMP },
    { "NUL in the password", IN("\0amy@x.test\0pencil\0x"), SASL_BAD },
    { "a program decides",   IN("\0ext@x.test\0word"), SASL_ASK },
    { "other authzid, ext",  IN("amy@x.test\0ext@x.test\0word"), SASL_FAILED },
    { "no NUL",              IN("amy@x.test"), SASL_BAD },
    { "one NUL",             IN("\0amy@x.test"), SASL_BAD },
};
/* clang-format on */

static void check_end(struct sasl *x, enum sasl_status status, struct str login)
{
    struct str reply;
    assert_int_equal(sasl_identity(x) != NULL, status == SASL_DONE);
    if (status == SASL_DONE)
        assert_true(str_eq(sasl_identity(x)->login, login));
    assert_int_equal(sasl_step(x, STR("AAAA"), &reply), SASL_BAD); /* it is over */
    assert_null(sasl_identity(x));
    assert_true(finds <= 1);
}

static void run_plain(const struct sasl_realm *r, struct str message, bool initial,
                      enum sasl_status want)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct sasl *x = begin("plain", r);
    struct str reply, line = to_base64(&a, message), rest = message, login;
    if (!initial) {
        assert_int_equal(sasl_step(x, (struct str){ NULL, 0 }, &reply), SASL_CONTINUE);
        assert_int_equal(reply.n, 0);
    }
    assert_int_equal(sasl_step(x, line, &reply), want);
    assert_true(str_cut(&rest, '\0', &login) &&
                (rest.p == NULL || str_cut(&rest, '\0', &login)));
    check_end(x, want, login);
    sasl_free(&x);
    assert_null(x);
}

static void test_plain(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(plain_rows); i++) {
        print_message("  %s\n", plain_rows[i].name);
        run_plain(&realm, plain_rows[i].message, true, plain_rows[i].want);
        run_plain(&scram_realm, plain_rows[i].message, false, plain_rows[i].want);
    }
}

static void run_login(struct str name, struct str password, bool initial, enum sasl_status want)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct sasl *x = begin("LOGIN", &realm);
    struct str reply, none = { NULL, 0 };
    if (!initial) {
        assert_int_equal(sasl_step(x, none, &reply), SASL_CONTINUE);
        assert_true(str_eq(reply, STR("VXNlcm5hbWU6"))); /* Username: */
    }
    assert_int_equal(sasl_step(x, to_base64(&a, name), &reply), SASL_CONTINUE);
    assert_true(str_eq(reply, STR("UGFzc3dvcmQ6"))); /* Password: */
    assert_int_equal(sasl_step(x, to_base64(&a, password), &reply), want);
    check_end(x, want, name);
    sasl_free(&x);
}

static void test_login(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        run_login(STR("amy@x.test"), STR("pencil"), i == 1, SASL_DONE);
        run_login(STR("relay"), STR("pencil"), i == 1, SASL_DONE);
        run_login(STR("amy@x.test"), STR("pencils"), i == 1, SASL_FAILED);
        run_login(STR("eve"), STR("pencil"), i == 1, SASL_FAILED);
        run_login(STR("broken"), STR("pencil"), i == 1, SASL_TEMP);
        run_login(STR("amy@x.test"), STR("pencil\0"), i == 1, SASL_BAD);
        run_login(STR("amy@x.test"), STR(""), i == 1, SASL_BAD);
    }
}

/* --- SCRAM ------------------------------------------------------------------------------- */

/* One whole exchange; *out_first: the server's first message. */
static enum sasl_status run_scram(const struct sasl_realm *r, const char *name,
                                  const char *password, const char *gs2, struct arena *a,
                                  struct str *out_first)
{
    struct sasl *x = begin("SCRAM-SHA-256", r);
    struct str reply, final, server;
    struct str bare = arena_printf(a, "n=%s,r=rOprNGfwEbeRWgbNEkqO", name);
    struct str first = arena_printf(a, "%s%.*s", gs2, STR_ARG(bare));
    enum sasl_status status = sasl_step(x, to_base64(a, first), &reply);
    if (status == SASL_CONTINUE) {
        *out_first = from_base64(a, reply);
        scram_client(a, str_from_c(password), str_from_c(gs2), bare, *out_first, &final,
                     &server);
        status = sasl_step(x, to_base64(a, final), &reply);
    }
    if (status == SASL_CONTINUE) {
        assert_true(str_eq(from_base64(a, reply), server));
        assert_null(sasl_identity(x));
        status = sasl_step(x, STR(""), &reply);
    }
    check_end(x, status, sasl_login(x));
    sasl_free(&x);
    return status;
}

static void test_scram(void **state)
{
    (void)state;
    static const struct {
        const char *what, *name, *password, *gs2;
        enum sasl_status want;
    } rows[] = {
        { "xmcrypt account", "amy@x.test", "pencil", "n,,", SASL_DONE },
        { "scram account", "sue@x.test", "pencil", "n,,", SASL_DONE },
        { "smtpauth line", "relay", "pencil", "n,,", SASL_DONE },
        { "client could bind", "sue@x.test", "pencil", "y,,", SASL_DONE },
        { "client binds", "sue@x.test", "pencil", "p=tls-unique,,", SASL_FAILED },
        { "own authzid", "sue@x.test", "pencil", "n,a=Sue@x.test,", SASL_DONE },
        { "other authzid", "sue@x.test", "pencil", "n,a=amy@x.test,", SASL_FAILED },
        { "escaped name", "b=3Dc=2Cd", "p w,=\xe6\x97\xa5", "n,,", SASL_DONE },
        { "wrong, xmcrypt", "amy@x.test", "pencils", "n,,", SASL_FAILED },
        { "wrong, scram", "sue@x.test", "pencils", "n,,", SASL_FAILED },
        { "wrong, smtpauth", "relay", "pencils", "n,,", SASL_FAILED },
        { "yescrypt has no keys", "yes@x.test", "pencil", "n,,", SASL_FAILED },
        { "unknown", "eve@x.test", "pencil", "n,,", SASL_FAILED },
        { "a program decides", "ext@x.test", "pencil", "n,,", SASL_FAILED },
        { "look-up fails", "broken", "pencil", "n,,", SASL_TEMP },
    };
    const struct sasl_realm *realms[] = { &realm, &scram_realm };
    for (size_t i = 0; i < ARRAY_LEN(rows) * 2; i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str first;
        print_message("  %s\n", rows[i / 2].what);
        assert_int_equal(run_scram(realms[i % 2], rows[i / 2].name, rows[i / 2].password,
                                   rows[i / 2].gs2, &a, &first),
                         rows[i / 2].want);
    }
}

/* What an unknown name is told must look like what a known one is, each time again. */
static void test_unknown_names(void **state)
{
    (void)state;
    const struct sasl_realm *realms[] = { &realm, &scram_realm };
    for (size_t i = 0; i < ARRAY_LEN(realms); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str one = { 0 }, again = { 0 }, other = { 0 }, known = { 0 };
        const char *real = i == 0 ? "amy@x.test" : "sue@x.test";
        assert_int_equal(run_scram(realms[i], "eve@x.test", "x", "n,,", &a, &one), SASL_FAILED);
        assert_int_equal(run_scram(realms[i], "Eve@x.test", "x", "n,,", &a, &again),
                         SASL_FAILED);
        assert_int_equal(run_scram(realms[i], "bob@x.test", "x", "n,,", &a, &other),
                         SASL_FAILED);
        assert_int_equal(run_scram(realms[i], real, "x", "n,,", &a, &known), SASL_FAILED);
        assert_int_equal(one.n, known.n);
        assert_false(str_eq(one, again)); /* the nonces differ ... */
        size_t salt = str_find(one, ',');
        assert_true(str_eq(str_skip(one, salt), str_skip(again, salt))); /* ... not the rest */
        assert_false(str_eq(str_skip(one, salt), str_skip(other, salt)));
    }
}

/* --- CRAM-MD5 ---------------------------------------------------------------------------- */

static struct str cram_answer(struct arena *a, const char *name, const char *password,
                              struct str challenge)
{
    uint8_t md[16];
    assert_non_null(HMAC(EVP_md5(), password, (int)strlen(password),
                         (const unsigned char *)challenge.p, challenge.n, md, NULL));
    struct str answer = arena_printf(a, "%s ", name);
    for (size_t i = 0; i < sizeof(md); i++)
        answer = arena_printf(a, "%.*s%02x", STR_ARG(answer), md[i]);
    return answer;
}

static enum sasl_status run_cram(const char *name, const char *password)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct sasl *x = begin("CRAM-MD5", &realm);
    struct str reply, none = { NULL, 0 };
    assert_int_equal(sasl_step(x, none, &reply), SASL_CONTINUE);
    struct str challenge = from_base64(&a, reply);
    assert_true(str_starts(challenge, STR("<")) && str_ends(challenge, STR("@mx.x.test>")));
    struct str answer = cram_answer(&a, name, password, challenge);
    enum sasl_status status = sasl_step(x, to_base64(&a, answer), &reply);
    check_end(x, status, sasl_login(x));
    sasl_free(&x);
    return status;
}

static void test_cram(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str reply;
    /* RFC 2195 2 */
    assert_true(str_eq(cram_answer(&a, "tim", "tanstaaftanstaaf",
                                   STR("<1896.697170952@postoffice.reston.mci.net>")),
                       STR("tim b913a602c7eda7a495b4e6e7334d3890")));
    assert_int_equal(run_cram("tim", "tanstaaftanstaaf"), SASL_DONE);
    assert_int_equal(run_cram("amy@x.test", "pencil"), SASL_DONE);
    assert_int_equal(run_cram("relay", "pencil"), SASL_DONE);
    assert_int_equal(run_cram("amy@x.test", "pencils"), SASL_FAILED);
    assert_int_equal(run_cram("ext@x.test", "pencil"), SASL_FAILED); /* a program decides */
    assert_int_equal(run_cram("eve", "pencil"), SASL_FAILED);
    assert_int_equal(run_cram("sue@x.test", "pencil"), SASL_FAILED);
    assert_int_equal(run_cram("yes@x.test", ""), SASL_FAILED);
    assert_int_equal(run_cram("broken", "pencil"), SASL_TEMP);
    struct sasl *x = begin("CRAM-MD5", &realm); /* it can't answer before it was asked */
    assert_int_equal(sasl_step(x, STR("dGlt"), &reply), SASL_BAD);
    sasl_free(&x);
}

/* --- the frame --------------------------------------------------------------------------- */

static void test_lines(void **state)
{
    (void)state;
    static const char *const names[] = { "SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN" };
    char *big = mem_new(SASL_LINE_MAX + 4);
    struct str reply, none = { NULL, 0 };
    memset(big, 'A', SASL_LINE_MAX + 4);
    const struct {
        const char *what;
        struct str line;
        enum sasl_status want;
    } rows[] = {
        { "abort", STR("*"), SASL_ABORTED },
        { "not base64", STR("%%%%"), SASL_BAD },
        { "bad padding", STR("AAA"), SASL_BAD },
        { "blank inside", STR("AA AA"), SASL_BAD },
        { "blank behind", STR("AAAA "), SASL_BAD },
        { "NUL", STR("AA\0A"), SASL_BAD },
        { "a lone =", STR("="), SASL_BAD },
        { "empty", STR(""), SASL_BAD },
        { "too long", str_from(big, SASL_LINE_MAX + 4), SASL_TOO_LONG },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(names); i++) {
        size_t r = i / ARRAY_LEN(names);
        const char *name = names[i % ARRAY_LEN(names)];
        print_message("  %s: %s\n", name, rows[r].what);
        struct sasl *x = begin(name, &realm);
        assert_int_equal(sasl_step(x, none, &reply), SASL_CONTINUE);
        assert_int_equal(sasl_step(x, rows[r].line, &reply), rows[r].want);
        check_end(x, rows[r].want, STR(""));
        sasl_free(&x);
        assert_int_equal(finds, 0);
        x = begin(name, &realm); /* as an initial response "*" is only not base64 */
        enum sasl_status first = sasl_step(x, rows[r].line, &reply);
        assert_int_equal(first, rows[r].want == SASL_ABORTED ? SASL_BAD : rows[r].want);
        sasl_free(&x);
    }
    /* The longest line is taken: a name and a password of nobody. */
    struct sasl *x = begin("LOGIN", &realm);
    assert_int_equal(sasl_step(x, str_from(big, SASL_LINE_MAX), &reply), SASL_BAD);
    sasl_free(&x);
    mem_free(&big);
}

static void test_unknown_mechanism(void **state)
{
    (void)state;
    struct sasl *x = NULL;
    struct err e = { 0 };
    assert_int_equal(sasl_begin(STR("DIGEST-MD5"), &realm, &x, &e), RC_PERM);
    assert_string_equal(e.dsn, "5.5.4");
    assert_int_equal(sasl_begin(STR(""), &realm, &x, &e), RC_PERM);
    assert_null(x);
    sasl_free(&x);
}

/* What a program is asked, and its answer. */
static void test_ask(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        bool plain = i < 2, yes = i % 2 == 0;
        struct sasl *x = begin(plain ? "PLAIN" : "LOGIN", &realm);
        struct str reply, first = plain ? STR("\0ext@x.test\0a word") : STR("ext@x.test");
        enum sasl_status status = sasl_step(x, to_base64(&a, first), &reply);
        if (!plain)
            status = sasl_step(x, to_base64(&a, STR("a word")), &reply);
        assert_int_equal(status, SASL_ASK);
        assert_null(sasl_identity(x));
        assert_true(str_eq(sasl_password(x), STR("a word")));
        assert_true(str_eq(sasl_identity_asked(x)->account.name, STR("ext@x.test")));
        sasl_answered(x, yes);
        assert_int_equal(sasl_identity(x) != NULL, yes);
        sasl_free(&x);
    }
    struct sasl *x = begin("PLAIN", &realm); /* nothing was asked */
    sasl_answered(x, true);
    assert_null(sasl_identity(x));
    sasl_free(&x);
}

/* A method of a program's own: a challenge, then "name digest". */
static void test_challenge(void **state)
{
    (void)state;
    static const struct {
        struct str answer;
        enum sasl_status want;
        const char *digest;
    } rows[] = {
        { IN("ext@x.test abc"), SASL_ASK, "abc" },
        { IN("amy@x.test a"), SASL_ASK, "a" },
        { IN("eve@x.test a"), SASL_FAILED, "a" },
        { IN("broken a"), SASL_TEMP, "a" },
        { IN("ext@x.test"), SASL_BAD, "" },
        { IN("ext@x.test "), SASL_BAD, "" },
        { IN(" a"), SASL_BAD, "" },
        { IN("ext@x.test a\0b"), SASL_BAD, "" },
    };
    struct sasl_realm own = realm;
    own.challenges = true;
    for (size_t i = 0; i < ARRAY_LEN(rows) * 2; i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        bool based = i >= ARRAY_LEN(rows);
        struct str reply, base = based ? STR("base") : STR("");
        size_t k = i % ARRAY_LEN(rows);
        own.challenge = base;
        struct sasl *x = begin("OWN", &own);
        assert_string_equal(sasl_mechanism(x), "OWN");
        assert_int_equal(sasl_step(x, (struct str){ NULL, 0 }, &reply), SASL_CONTINUE);
        assert_true(str_eq(from_base64(&a, reply), sasl_challenge(x)));
        assert_true(str_starts(sasl_challenge(x), based ? STR("base:<") : STR("<")));
        assert_int_equal(sasl_step(x, to_base64(&a, rows[k].answer), &reply), rows[k].want);
        assert_true(str_eq(sasl_digest(x), str_from_c(rows[k].digest)));
        assert_null(sasl_identity(x));
        sasl_free(&x);
    }
    struct sasl *x = begin("OWN", &own); /* it can't answer before it was asked */
    struct str reply;
    assert_int_equal(sasl_step(x, STR("AAAA"), &reply), SASL_BAD);
    sasl_free(&x);
}

static void test_offers(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct sasl_offer offer;
        const char *want;
    } rows[] = {
        { "taken over, no TLS", { .has_tls = false }, "SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN" },
        { "taken over, TLS", { .has_tls = true }, "SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN" },
        { "xmcrypt",
          { .has_tls = true, .has_scheme = true, .scheme = PASSWORD_XMCRYPT },
          "SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN" },
        { "scram",
          { .has_tls = true, .has_scheme = true, .scheme = PASSWORD_SCRAM },
          "SCRAM-SHA-256 PLAIN LOGIN" },
        { "yescrypt",
          { .has_tls = true, .has_scheme = true, .scheme = PASSWORD_YESCRYPT },
          "PLAIN LOGIN" },
        { "new, no TLS",
          { .has_scheme = true, .scheme = PASSWORD_SCRAM, .without_tls = IN("") },
          "" },
        { "listed", { .without_tls = IN("login, cram-md5") }, "CRAM-MD5 LOGIN" },
        { "listed, but no scheme",
          { .has_scheme = true, .scheme = PASSWORD_SCRAM, .without_tls = IN("CRAM-MD5,PLAIN") },
          "PLAIN" },
        { "list doesn't bind TLS",
          { .has_tls = true, .without_tls = IN("") },
          "SCRAM-SHA-256 CRAM-MD5 PLAIN LOGIN" },
        { "programs decide", { .has_tls = true, .plain_listed = true }, "PLAIN LOGIN" },
        { "part of a name", { .without_tls = IN("PLAI,SCRAM") }, "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out AUTO_RELEASE_BUF = { 0 };
        print_message("  %s\n", rows[i].what);
        buf_init(&out, 100);
        assert_int_equal(sasl_mechanisms(&rows[i].offer, &out), RC_OK);
        assert_true(str_eq(buf_str(&out), str_from_c(rows[i].want)));
    }
    struct sasl_offer all = { .has_tls = true };
    assert_false(sasl_is_offered(&all, STR("NTLM")));
    assert_true(sasl_is_offered(&all, STR("plain")));
    all.plain_listed = true; /* what isn't listed is taken all the same */
    assert_true(sasl_is_offered(&all, STR("CRAM-MD5")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_is_right),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_scram),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_cram),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_unknown_mechanism),
        cmocka_unit_test(test_ask),
        cmocka_unit_test(test_challenge),
        cmocka_unit_test(test_offers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

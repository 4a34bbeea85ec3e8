/*
 * password.c - the stored forms of passwords, specification 1, section 3. One column holds any
 * of them:
 *   1d08040c09                                     XMail's: each octet XOR 101, in hex
 *   {SCRAM-SHA-256}ITERATIONS,SALT,STORED,SERVER   RFC 5802 and 7677 keys; the last three in
 *                                                  base64. The layout is Dovecot's, so that
 *                                                  values can be moved between the two.
 *   {YESCRYPT}$y$...                               crypt(5); {CRYPT}$..., or the bare $... of
 *                                                  any method that libxcrypt knows, too
 * A form that isn't understood matches nothing, and so does an empty column.
 */
#include "users/pbkdf2.h"
#include "users/users.h"
#include <crypt.h>
#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdatomic.h>

#define KEY_BYTES SHA256_DIGEST_LENGTH
#define ITERATIONS 4096u /* RFC 7677 4: at least */
#define ITERATIONS_MAX 1000000u
#define SALT_BYTES 16u
#define SALT_BYTES_MAX 64u
#define CLEAR_MAX ((size_t)512) /* octets; crypt(5) takes no more */
#define XOR_KEY 101

static const struct str scram_prefix = { "{SCRAM-SHA-256}", 15 };
static const struct str crypt_prefixes[] = { { "{YESCRYPT}", 10 }, { "{CRYPT}", 7 } };

/* The setting of a hash that no account has. */
static const char waste_setting[] = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$";

/* --- small parts ------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Padded base64 without anything else (RFC 4648 4) into at most max octets. */
static bool base64_decode(struct str s, uint8_t *out, size_t max, size_t *out_n)
{
    size_t pad = 0, n = 0;
    uint32_t bits = 0;
    if (s.n == 0 || s.n % 4 != 0)
        return false;
    while (pad < 2 && s.p[s.n - 1 - pad] == '=')
        pad++;
    if (s.n / 4 * 3 - pad > max)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        int digit = i >= s.n - pad ? 0 : base64_digit(s.p[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        for (unsigned k = 0; i % 4 == 3 && k < 3; k++)
            if (n < s.n / 4 * 3 - pad)
                out[n++] = (uint8_t)(bits >> (16 - 8 * k));
    }
    *out_n = n;
    return true;
}

static struct str base64_encode(const uint8_t *p, size_t n, struct arena *a)
{
    char *text = arena_new(a, (n + 2) / 3 * 4 + 1);
    int length = EVP_EncodeBlock((unsigned char *)text, p, (int)n);
    return str_from(text, (size_t)MAX(length, 0));
}

/* Equal, in a time that tells neither where they differ nor how long the secret is. */
static bool same_secret(struct str secret, struct str given)
{
    uint8_t x[KEY_BYTES], y[KEY_BYTES];
    (void)SHA256((const unsigned char *)secret.p, secret.n, x);
    (void)SHA256((const unsigned char *)given.p, given.n, y);
    bool same = CRYPTO_memcmp(x, y, sizeof(x)) == 0;
    mem_wipe(x, sizeof(x));
    mem_wipe(y, sizeof(y));
    return same;
}

/* A password that can be one at all. */
static bool clear_is_good(struct str clear)
{
    return clear.n > 0 && clear.n <= CLEAR_MAX && memchr(clear.p, '\0', clear.n) == NULL;
}

static void wipe(struct str s)
{
    char *p = NULL;
    memcpy(&p, &s.p, sizeof(p));
    if (s.n > 0)
        mem_wipe(p, s.n);
}

/* --- SCRAM ------------------------------------------------------------------------------- */

/* RFC 4013 into a; ASCII text without controls is itself. stored: refuse code points that
 * Unicode 3.2 doesn't know (RFC 3454 7). False: not a password that SCRAM can have. */
static bool saslprep(struct str clear, bool stored, struct arena *a, struct str *out)
{
    if (str_is_ascii(clear) && !str_has_control(clear)) {
        *out = clear;
        return true;
    }
    char *prepared = NULL, *in = arena_c(a, clear);
    int rc = gsasl_saslprep(in, stored ? (Gsasl_saslprep_flags)0 : GSASL_ALLOW_UNASSIGNED,
                            &prepared, NULL);
    mem_wipe(in, clear.n);
    if (rc != GSASL_OK || prepared == NULL)
        return false;
    *out = arena_str(a, str_from_c(prepared));
    mem_wipe(prepared, strlen(prepared));
    gsasl_free(prepared);
    return out->n > 0;
}

static bool hmac(const uint8_t key[KEY_BYTES], const char *text, uint8_t out[KEY_BYTES])
{
    return HMAC(EVP_sha256(), key, (int)KEY_BYTES, (const unsigned char *)text, strlen(text),
                out, NULL) != NULL;
}

/* RFC 5802 3: SaltedPassword, then StoredKey and ServerKey, from keys->salt and iterations. */
static bool scram_derive(struct str prepared, struct scram_keys *keys)
{
    uint8_t salted[KEY_BYTES], client[KEY_BYTES];
    pbkdf2_sha256(prepared, keys->salt, keys->iterations, salted);
    bool ok =
        hmac(salted, "Client Key", client) && hmac(salted, "Server Key", keys->server_key);
    if (ok)
        (void)SHA256(client, sizeof(client), keys->stored_key);
    mem_wipe(salted, sizeof(salted));
    mem_wipe(client, sizeof(client));
    return ok;
}

static bool parse_key(struct str text, uint8_t out[KEY_BYTES])
{
    size_t n = 0;
    return base64_decode(text, out, KEY_BYTES, &n) && n == KEY_BYTES;
}

static bool scram_parse(struct str stored, struct arena *a, struct scram_keys *out)
{
    struct scram_keys keys = { .iterations = 0 };
    struct str rest = str_skip(stored, scram_prefix.n), iterations, salt, stored_key;
    uint64_t count = 0;
    if (!str_cut(&rest, ',', &iterations) || !str_cut(&rest, ',', &salt) ||
        !str_cut(&rest, ',', &stored_key) || rest.p == NULL)
        return false;
    if (!str_to_u64(iterations, &count) || count == 0 || count > ITERATIONS_MAX)
        return false;
    keys.iterations = (unsigned)count;
    uint8_t *octets = arena_new(a, SALT_BYTES_MAX);
    if (!base64_decode(salt, octets, SALT_BYTES_MAX, &keys.salt.n) || keys.salt.n == 0)
        return false;
    keys.salt.p = (const char *)octets;
    if (!parse_key(stored_key, keys.stored_key) || !parse_key(rest, keys.server_key))
        return false;
    *out = keys;
    return true;
}

static enum rc scram_make(struct str clear, struct arena *a, struct str *out, struct err *e)
{
    struct str prepared;
    uint8_t *salt = arena_new(a, SALT_BYTES);
    if (!saslprep(clear, true, a, &prepared))
        return err_perm(e, "5.7.8", "the password holds characters that SCRAM can't take");
    if (RAND_bytes(salt, SALT_BYTES) != 1)
        return err_temp(e, "4.7.0", "no random octets");
    struct scram_keys keys = { .iterations = ITERATIONS,
                               .salt = { (const char *)salt, SALT_BYTES } };
    if (!scram_derive(prepared, &keys))
        return err_temp(e, "4.7.0", "can't derive the keys of a password");
    struct str s = base64_encode(salt, SALT_BYTES, a);
    struct str k = base64_encode(keys.stored_key, KEY_BYTES, a);
    struct str v = base64_encode(keys.server_key, KEY_BYTES, a);
    *out = arena_printf(a, "%.*s%u,%.*s,%.*s,%.*s", STR_ARG(scram_prefix), ITERATIONS,
                        STR_ARG(s), STR_ARG(k), STR_ARG(v));
    mem_wipe(&keys, sizeof(keys));
    return RC_OK;
}

static bool scram_matches(struct str stored, struct str clear)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct scram_keys keys, mine;
    struct str prepared;
    if (!scram_parse(stored, &a, &keys) || !saslprep(clear, false, &a, &prepared))
        return false;
    mine = keys;
    bool same = scram_derive(prepared, &mine) &&
                CRYPTO_memcmp(mine.stored_key, keys.stored_key, KEY_BYTES) == 0;
    mem_wipe(&mine, sizeof(mine));
    if (prepared.p != clear.p)
        wipe(prepared);
    return same;
}

/* --- crypt(5) ---------------------------------------------------------------------------- */

/* The crypt(5) string in a stored form; empty: it has none. */
static struct str crypt_text(struct str stored)
{
    for (size_t i = 0; i < ARRAY_LEN(crypt_prefixes); i++)
        if (str_istarts(stored, crypt_prefixes[i]))
            stored = str_skip(stored, crypt_prefixes[i].n);
    bool is_crypt = stored.n > 1 && stored.p[0] == '$' && stored.n < CRYPT_OUTPUT_SIZE &&
                    !str_has_control(stored);
    return is_crypt ? stored : str_from("", 0);
}

/* crypt_r into a; false when the setting isn't one. */
static bool crypt_hash(struct str clear, const char *setting, struct arena *a, struct str *out)
{
    struct crypt_data *data = mem_new(sizeof(*data));
    char *in = arena_c(a, clear);
    const char *hash = crypt_r(in, setting, data);
    bool ok = hash != NULL && hash[0] != '*' && hash[0] != '\0';
    if (ok)
        *out = arena_str(a, str_from_c(hash));
    mem_wipe(in, clear.n);
    mem_wipe(data, sizeof(*data));
    mem_free(&data);
    return ok;
}

static bool crypt_matches(struct str stored, struct str clear)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str want = crypt_text(stored), got;
    return want.n > 0 && crypt_hash(clear, arena_c(&a, want), &a, &got) &&
           same_secret(want, got);
}

static enum rc crypt_make(struct str clear, struct arena *a, struct str *out, struct err *e)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct str hash;
    if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, (int)sizeof(setting)) == NULL ||
        !crypt_hash(clear, setting, a, &hash))
        return err_temp(e, "4.7.0", "yescrypt failed");
    *out = arena_printf(a, "%.*s%.*s", STR_ARG(crypt_prefixes[0]), STR_ARG(hash));
    return RC_OK;
}

/* --- XMCrypt ----------------------------------------------------------------------------- */

static bool xmcrypt_decode(struct str stored, struct arena *a, struct str *out)
{
    size_t n = stored.n / 2;
    if (n == 0 || stored.n % 2 != 0 || n > CLEAR_MAX)
        return false;
    char *p = arena_new(a, n + 1);
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(stored.p[2 * i]), low = hex_digit(stored.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        p[i] = (char)((high << 4 | low) ^ XOR_KEY);
    }
    *out = str_from(p, n);
    return true;
}

static struct str xmcrypt_encode(struct str clear, struct arena *a)
{
    static const char digits[] = "0123456789abcdef";
    char *p = arena_new(a, clear.n * 2 + 1);
    for (size_t i = 0; i < clear.n; i++) {
        unsigned octet = (unsigned char)clear.p[i] ^ XOR_KEY;
        p[2 * i] = digits[octet >> 4];
        p[2 * i + 1] = digits[octet & 15];
    }
    return str_from(p, clear.n * 2);
}

static bool xmcrypt_matches(struct str stored, struct str clear)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str secret;
    if (!xmcrypt_decode(stored, &a, &secret))
        return false;
    bool same = same_secret(secret, clear);
    wipe(secret);
    return same;
}

/* --- all schemes ------------------------------------------------------------------------- */

enum password_scheme password_scheme_of(struct str stored)
{
    if (str_istarts(stored, scram_prefix))
        return PASSWORD_SCRAM;
    return crypt_text(stored).n > 0 ? PASSWORD_YESCRYPT : PASSWORD_XMCRYPT;
}

enum rc password_make(enum password_scheme scheme, struct str clear, struct arena *a,
                      struct str *out, struct err *e)
{
    if (!clear_is_good(clear) || str_has_any(clear, "\r\n"))
        return err_perm(e, "5.7.8", "a password has 1 to %zu octets, no line ends and no NUL",
                        CLEAR_MAX);
    switch (scheme) {
    case PASSWORD_SCRAM:
        return scram_make(clear, a, out, e);
    case PASSWORD_YESCRYPT:
        return crypt_make(clear, a, out, e);
    case PASSWORD_XMCRYPT:
        *out = xmcrypt_encode(clear, a);
        return RC_OK;
    }
    BUG("password scheme");
}

bool password_matches(struct str stored, struct str clear)
{
    if (!clear_is_good(clear))
        return false;
    switch (password_scheme_of(stored)) {
    case PASSWORD_SCRAM:
        return scram_matches(stored, clear);
    case PASSWORD_YESCRYPT:
        return crypt_matches(stored, clear);
    case PASSWORD_XMCRYPT:
        return xmcrypt_matches(stored, clear);
    }
    return false;
}

void password_waste(enum password_scheme scheme, struct str clear)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str text;
    if (!clear_is_good(clear))
        return;
    if (scheme == PASSWORD_SCRAM && saslprep(clear, false, &a, &text)) {
        struct scram_keys keys = { .iterations = ITERATIONS,
                                   .salt = str_from(waste_setting, 16) };
        (void)scram_derive(text, &keys);
    } else if (scheme == PASSWORD_YESCRYPT) {
        (void)crypt_hash(clear, waste_setting, &a, &text);
    } else {
        (void)xmcrypt_matches(STR("1d08040c09"), clear);
    }
}

bool password_clear(struct str stored, struct arena *a, struct str *out)
{
    return password_scheme_of(stored) == PASSWORD_XMCRYPT && xmcrypt_decode(stored, a, out);
}

/* The salt of a clear password: the same in each login as long as the process lives, so that
 * clients may remember what they derived, and no hint at the password. */
static bool stable_salt(struct str login, struct str stored, struct arena *a, struct str *out)
{
    static _Atomic(const uint8_t *) shared;
    const uint8_t *key = shared;
    if (key == NULL) {
        uint8_t *fresh = mem_new(KEY_BYTES);
        if (RAND_bytes(fresh, (int)KEY_BYTES) != 1) {
            mem_free(&fresh);
            return false;
        }
        if (atomic_compare_exchange_strong(&shared, &key, (const uint8_t *)fresh))
            key = fresh;
        else
            mem_free(&fresh);
    }
    uint8_t *salt = arena_new(a, KEY_BYTES);
    /* With the name, so that two accounts with one password don't show it by one salt. */
    struct str text = arena_printf(a, "%.*s%c%.*s", STR_ARG(login), 0, STR_ARG(stored));
    char *folded = arena_c(a, text);
    for (size_t i = 0; i < login.n; i++)
        folded[i] = ascii_lower(folded[i]);
    if (HMAC(EVP_sha256(), key, (int)KEY_BYTES, (const unsigned char *)folded, text.n, salt,
             NULL) == NULL)
        return false;
    *out = str_from((const char *)salt, SALT_BYTES);
    return true;
}

bool password_scram_keys(struct str login, struct str stored, struct arena *a,
                         struct scram_keys *out)
{
    struct str clear, prepared;
    if (password_scheme_of(stored) == PASSWORD_SCRAM)
        return scram_parse(stored, a, out);
    if (!password_clear(stored, a, &clear))
        return false;
    struct scram_keys keys = { .iterations = ITERATIONS };
    bool ok = clear_is_good(clear) && saslprep(clear, false, a, &prepared) &&
              stable_salt(login, stored, a, &keys.salt) && scram_derive(prepared, &keys);
    wipe(clear);
    if (!ok)
        return false;
    *out = keys;
    return true;
}

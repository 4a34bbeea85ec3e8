/* totp.c - see totp.h. */
#include "web/totp.h"
#include "web/secret.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define STEP_S 30u
#define SECRET_OCTETS 20u
#define CODE_LETTERS 12u

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

struct str totp_secret(struct arena *a)
{
    uint8_t octets[SECRET_OCTETS];
    char *text = arena_new(a, TOTP_SECRET_CHARS + 1);
    secret_octets(octets, sizeof(octets));
    for (size_t i = 0; i < TOTP_SECRET_CHARS; i++) {
        size_t bit = i * 5, at = bit / 8;
        unsigned two =
            (unsigned)octets[at] << 8 | (at + 1 < SECRET_OCTETS ? octets[at + 1] : 0u);
        text[i] = base32[two >> (11 - bit % 8) & 31];
    }
    mem_wipe(octets, sizeof(octets));
    return str_from(text, TOTP_SECRET_CHARS);
}

static bool decode(struct str text, uint8_t out[64], size_t *out_n)
{
    unsigned held = 0, bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = strchr(base32, ascii_upper(text.p[i]));
        if (text.p[i] == '\0' || at == NULL || n == 64)
            return false;
        held = (held << 5 | (unsigned)(at - base32)) & 0xfff;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(held >> bits);
        }
    }
    *out_n = n;
    return n > 0;
}

enum rc totp_code(struct str secret, uint64_t step, char out[7], struct err *e)
{
    uint8_t key[64] = { 0 }, message[8], mac[EVP_MAX_MD_SIZE];
    size_t key_n = 0;
    unsigned mac_n = 0;
    if (!decode(secret, key, &key_n))
        return err_perm(e, "5.7.0", "the secret isn't base32");
    for (unsigned i = 0; i < 8; i++)
        message[i] = (uint8_t)(step >> (56 - 8 * i));
    bool ok = HMAC(EVP_sha1(), key, (int)key_n, message, sizeof(message), mac, &mac_n) != NULL;
    mem_wipe(key, sizeof(key));
    if (!ok || mac_n != 20)
        return err_temp(e, "4.7.0", "no code can be made");
    /* RFC 4226 5.3 */
    unsigned at = mac[19] & 15u;
    uint32_t n = (uint32_t)(mac[at] & 0x7f) << 24 | (uint32_t)mac[at + 1] << 16 |
                 (uint32_t)mac[at + 2] << 8 | mac[at + 3];
    (void)snprintf(out, 7, "%06" PRIu32, n % 1000000);
    return RC_OK;
}

bool totp_matches(struct str secret, struct str code, usec_t wall, uint64_t last_step,
                  uint64_t *out_step)
{
    uint64_t now = (uint64_t)(wall / USEC_S) / STEP_S;
    char want[7];
    bool found = false;
    if (code.n != 6)
        return false;
    for (uint64_t step = now - 1; step <= now + 1; step++) {
        if (totp_code(secret, step, want, NULL) != RC_OK)
            return false;
        if (CRYPTO_memcmp(want, code.p, 6) == 0 && step > last_step) {
            *out_step = step;
            found = true;
        }
    }
    return found;
}

struct str totp_uri(struct str secret, struct str name, struct str issuer, struct arena *a)
{
    struct str label = secret_percent(name, a), by = secret_percent(issuer, a);
    return arena_printf(a, "otpauth://totp/%.*s:%.*s?secret=%.*s&issuer=%.*s", STR_ARG(by),
                        STR_ARG(label), STR_ARG(secret), STR_ARG(by));
}

/* --- recovery codes ----------------------------------------------------------------------- */

void totp_recovery_make(struct arena *a, struct str codes[TOTP_RECOVERY_CODES],
                        struct str *out_stored)
{
    char *stored = arena_new(a, TOTP_RECOVERY_CODES * (size_t)(SECRET_HASH_CHARS + 1));
    size_t n = 0;
    for (size_t i = 0; i < TOTP_RECOVERY_CODES; i++) {
        struct str letters = secret_letters(CODE_LETTERS, a);
        char hash[SECRET_HASH_CHARS + 1];
        codes[i] = arena_printf(a, "%.4s-%.4s-%.4s", letters.p, letters.p + 4, letters.p + 8);
        secret_hash(codes[i], hash);
        memcpy(stored + n, hash, SECRET_HASH_CHARS);
        n += SECRET_HASH_CHARS;
        stored[n++] = ' ';
    }
    *out_stored = str_from(stored, n - 1);
}

bool totp_recovery_use(struct str stored, struct str code, struct arena *a,
                       struct str *out_left)
{
    char hash[SECRET_HASH_CHARS + 1];
    char *left = arena_new(a, stored.n + 2);
    size_t n = 0;
    bool found = false;
    struct str one;
    secret_hash(code, hash);
    while (stored.n > 0 && str_cut(&stored, ' ', &one)) {
        if (one.n == SECRET_HASH_CHARS && CRYPTO_memcmp(one.p, hash, one.n) == 0) {
            found = true;
            continue;
        }
        memcpy(left + n, one.p, one.n);
        n += one.n;
        left[n++] = ' ';
    }
    *out_left = str_from(left, n > 0 ? n - 1 : 0);
    return found;
}

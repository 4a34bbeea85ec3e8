/* jose.c - see jose.h. */
#include "acme/jose.h"
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define HALF 32u /* octets of a coordinate, of half a signature */

/* --- base64url ---------------------------------------------------------------------------- */

/* What base64 makes differently for URLs. */
static struct str for_urls(struct str text, struct arena *a)
{
    char *p = arena_new(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '=' || ascii_is_space(c))
            continue;
        p[n++] = c;
        if (c == '+')
            p[n - 1] = '-';
        else if (c == '/')
            p[n - 1] = '_';
    }
    return str_from(p, n);
}

struct str jose_base64(struct str octets, struct arena *a)
{
    char *text = arena_new(a, octets.n / 3 * 4 + 8);
    int n =
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)octets.p, (int)octets.n);
    return for_urls(str_from(text, (size_t)n), a);
}

bool jose_octets(struct str text, struct arena *a, struct str *out)
{
    size_t room = (text.n + 3) / 4 * 4;
    char *plain = arena_new(a, room + 1);
    unsigned char *octets = arena_new(a, room + 1);
    if (text.n % 4 == 1 || text.n > ((size_t)1 << 20))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!ascii_is_alnum(c) && c != '-' && c != '_')
            return false;
        plain[i] = c;
        if (c == '-')
            plain[i] = '+';
        else if (c == '_')
            plain[i] = '/';
    }
    memset(plain + text.n, '=', room - text.n);
    int n = EVP_DecodeBlock(octets, (const unsigned char *)plain, (int)room);
    if (n < 0)
        return false;
    *out = str_from((const char *)octets, (size_t)n - (room - text.n));
    return true;
}

struct str jose_from_pem(struct str pem, struct arena *a)
{
    struct str line, all = STR("");
    while (pem.n > 0 && str_cut(&pem, '\n', &line))
        if (!str_starts(line, STR("-----")))
            all = arena_printf(a, "%.*s%.*s", STR_ARG(all), STR_ARG(line));
    return for_urls(all, a);
}

/* --- keys --------------------------------------------------------------------------------- */

static bool coordinate(EVP_PKEY *key, const char *name, struct arena *a, struct str *out)
{
    unsigned char octets[HALF];
    BIGNUM *n = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, name, &n) == 1 &&
              BN_bn2binpad(n, octets, sizeof(octets)) == (int)sizeof(octets);
    BN_free(n);
    if (ok)
        *out = jose_base64(str_from((const char *)octets, sizeof(octets)), a);
    return ok;
}

struct str jose_key(EVP_PKEY *key, struct arena *a)
{
    struct str x, y;
    if (EVP_PKEY_get_bits(key) != 256 || !coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, a, &x) ||
        !coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, a, &y))
        return STR("");
    return arena_printf(a, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
                        STR_ARG(x), STR_ARG(y));
}

struct str jose_digest(struct str text, struct arena *a)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(text.p, text.n, sum, &n, EVP_sha256(), NULL) != 1)
        return STR("");
    return arena_str(a, str_from((const char *)sum, n));
}

struct str jose_thumbprint(EVP_PKEY *key, struct arena *a)
{
    return jose_base64(jose_digest(jose_key(key, a), a), a);
}

/* --- signatures --------------------------------------------------------------------------- */

/* ASN.1's two numbers as 64 octets. */
static bool as_octets(const unsigned char *der, size_t n, unsigned char out[2 * HALF])
{
    const unsigned char *p = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
    bool ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, HALF) == (int)HALF &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + HALF, HALF) == (int)HALF;
    ECDSA_SIG_free(sig);
    return ok;
}

static struct str object(struct str head, struct str payload, struct str signature,
                         struct arena *a)
{
    return arena_printf(a,
                        "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"%.*s\"}",
                        STR_ARG(head), STR_ARG(payload), STR_ARG(jose_base64(signature, a)));
}

struct str jose_sign(EVP_PKEY *key, struct str head, struct str payload, struct arena *a)
{
    unsigned char der[160], octets[2 * HALF];
    size_t n = sizeof(der);
    struct str p = jose_base64(head, a), b = jose_base64(payload, a);
    struct str text = arena_printf(a, "%.*s.%.*s", STR_ARG(p), STR_ARG(b));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(ctx, der, &n, (const unsigned char *)text.p, text.n) == 1 &&
              as_octets(der, n, octets);
    EVP_MD_CTX_free(ctx);
    return ok ? object(p, b, str_from((const char *)octets, sizeof(octets)), a) : STR("");
}

struct str jose_mac(struct str secret, struct str head, struct str payload, struct arena *a)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct str p = jose_base64(head, a), b = jose_base64(payload, a);
    struct str text = arena_printf(a, "%.*s.%.*s", STR_ARG(p), STR_ARG(b));
    if (HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)text.p, text.n, mac,
             &n) == NULL)
        return STR("");
    return object(p, b, str_from((const char *)mac, n), a);
}

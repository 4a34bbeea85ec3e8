/* secret.c - see secret.h. */
#include "web/secret.h"
#include <openssl/evp.h>
#include <sys/random.h>

static const char hex[] = "0123456789abcdef";

void secret_octets(uint8_t *out, size_t n)
{
    for (size_t have = 0; have < n;) {
        ssize_t got = getrandom(out + have, n - have, 0);
        have += got > 0 ? (size_t)got : 0;
    }
}

struct str secret_letters(size_t n, struct arena *a)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    uint8_t *octets = arena_new(a, n + 1);
    char *text = arena_new(a, n + 1);
    secret_octets(octets, n);
    for (size_t i = 0; i < n; i++)
        text[i] = letters[octets[i] % 32];
    mem_wipe(octets, n);
    return str_from(text, n);
}

static void print_hex(const uint8_t *octets, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex[octets[i] >> 4];
        out[2 * i + 1] = hex[octets[i] & 15];
    }
}

struct str secret_hex(size_t n, struct arena *a)
{
    uint8_t *octets = arena_new(a, n + 1);
    char *text = arena_new(a, 2 * n + 1);
    secret_octets(octets, n);
    print_hex(octets, n, text);
    mem_wipe(octets, n);
    return str_from(text, 2 * n);
}

void secret_hash(struct str text, char out[SECRET_HASH_CHARS + 1])
{
    uint8_t sum[32] = { 0 };
    unsigned n = 0;
    if (EVP_Digest(text.p, text.n, sum, &n, EVP_sha256(), NULL) != 1 || n != 32)
        BUG("no SHA-256");
    print_hex(sum, sizeof(sum), out);
    out[SECRET_HASH_CHARS] = '\0';
}

struct str secret_percent(struct str text, struct arena *a)
{
    char *out = arena_new(a, 3 * text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || (c != '\0' && strchr("-._~", c) != NULL);
        if (plain) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '%';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    return str_from(out, n);
}

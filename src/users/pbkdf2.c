/*
 * pbkdf2.c - PBKDF2 with HMAC-SHA-256 on OpenSSL's block function. Every login against SCRAM
 * keys pays for it, and OpenSSL's own PKCS5_PBKDF2_HMAC spends most of its time on copying
 * contexts: this is several times as fast, so that the price is the hash's and not the
 * library's. The block function is deprecated since OpenSSL 3.0 for general use, but present in
 * all of 3.x.
 *
 *   U1 = HMAC(P, S || INT(1)), Un = HMAC(P, Un-1), result = U1 ^ U2 ^ ... (RFC 8018 5.2)
 *   HMAC(K, x) = H(K ^ opad || H(K ^ ipad || x))                          (RFC 2104)
 * The states behind the two pads are computed once; each later HMAC is two blocks.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "users/pbkdf2.h"
#include <openssl/sha.h>

#define BLOCK 64
#define WORDS 8

/* The hash of 64 octets (a pad) and one 32-octet value: its second block is the value, 0x80,
 * zeros, the length in bits. */
struct half {
    SHA256_CTX pad;
    uint8_t block[BLOCK];
};

static void put_words(const SHA256_CTX *ctx, uint8_t out[PBKDF2_BYTES])
{
    for (size_t i = 0; i < WORDS; i++)
        for (size_t k = 0; k < 4; k++)
            out[4 * i + k] = (uint8_t)(ctx->h[i] >> (24 - 8 * k));
}

static void half_init(struct half *half, const uint8_t key[BLOCK], uint8_t pad)
{
    uint8_t padded[BLOCK];
    for (size_t i = 0; i < BLOCK; i++)
        padded[i] = key[i] ^ pad;
    (void)SHA256_Init(&half->pad);
    (void)SHA256_Update(&half->pad, padded, BLOCK);
    memset(half->block, 0, BLOCK);
    half->block[PBKDF2_BYTES] = 0x80;
    half->block[BLOCK - 2] = ((BLOCK + PBKDF2_BYTES) * 8) >> 8;
    half->block[BLOCK - 1] = ((BLOCK + PBKDF2_BYTES) * 8) & 0xff;
    mem_wipe(padded, sizeof(padded));
}

/* half->block's value hashed into out (which may be another block's value). */
static void half_hash(const struct half *half, uint8_t out[PBKDF2_BYTES])
{
    SHA256_CTX ctx = half->pad;
    SHA256_Transform(&ctx, half->block);
    put_words(&ctx, out);
}

/* U1, whose input is longer than one value. */
static void first_round(const struct half *inner, struct half *outer, struct str salt,
                        uint8_t out[PBKDF2_BYTES])
{
    static const uint8_t block_number[4] = { 0, 0, 0, 1 };
    SHA256_CTX ctx = inner->pad;
    (void)SHA256_Update(&ctx, salt.p, salt.n);
    (void)SHA256_Update(&ctx, block_number, sizeof(block_number));
    (void)SHA256_Final(outer->block, &ctx);
    outer->block[PBKDF2_BYTES] = 0x80;
    half_hash(outer, out);
}

void pbkdf2_sha256(struct str password, struct str salt, unsigned iterations,
                   uint8_t out[PBKDF2_BYTES])
{
    uint8_t key[BLOCK] = { 0 }, sum[PBKDF2_BYTES];
    struct half inner, outer;
    if (password.n > BLOCK)
        (void)SHA256((const unsigned char *)password.p, password.n, key);
    else if (password.n > 0)
        memcpy(key, password.p, password.n);
    half_init(&inner, key, 0x36);
    half_init(&outer, key, 0x5c);
    first_round(&inner, &outer, salt, inner.block);
    memcpy(sum, inner.block, sizeof(sum));
    for (unsigned i = 1; i < iterations; i++) {
        half_hash(&inner, outer.block);
        half_hash(&outer, inner.block);
        for (size_t k = 0; k < PBKDF2_BYTES; k++)
            sum[k] ^= inner.block[k];
    }
    memcpy(out, sum, sizeof(sum));
    mem_wipe(key, sizeof(key));
    mem_wipe(sum, sizeof(sum));
    mem_wipe(&inner, sizeof(inner));
    mem_wipe(&outer, sizeof(outer));
}

/*
 * sasl_fuzz.c - hostile clients in the middle of an exchange. The first octet chooses the
 * mechanism and whether there is an initial response; each further line of the input is one
 * line of the client, sent in base64 unless it begins with "!". Nobody gets in without the
 * password, which is longer than what a fuzzer finds.
 */
#include "wire/sasl.h"
#include <openssl/evp.h>

#define PASSWORD "fd2f9c1c0d6f1e5ab11f29b3b43c1d34"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum rc find(void *ctx, struct str login, struct arena *a, struct sasl_identity *out)
{
    (void)ctx;
    if (str_eq(login, STR("t")))
        return RC_TEMP;
    if (str_eq(login, STR("c"))) {
        *out = (struct sasl_identity){ .clear = STR(PASSWORD) };
        return RC_OK;
    }
    out->has_account = true;
    return str_eq(login, STR("u"))
               ? password_make(PASSWORD_XMCRYPT, STR(PASSWORD), a, &out->account.password, NULL)
               : RC_PERM;
}

static struct str line_of(struct str text, struct arena *a)
{
    if (text.n > 0 && text.p[0] == '!')
        return str_skip(text, 1);
    unsigned char *p = arena_new(a, (text.n + 2) / 3 * 4 + 1);
    int n = EVP_EncodeBlock(p, (const unsigned char *)text.p, (int)text.n);
    return str_from((const char *)p, (size_t)n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN" };
    const struct sasl_realm realm = { .find = find,
                                      .host = STR("h"),
                                      .scheme = (size > 0 && (data[0] & 8) != 0)
                                                    ? PASSWORD_SCRAM
                                                    : PASSWORD_XMCRYPT };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct sasl *x = NULL;
    struct str reply, text;
    if (size == 0 || size > 65536)
        return 0;
    struct str rest = str_from((const char *)data + 1, size - 1);
    if (sasl_begin(str_from_c(names[data[0] & 3]), &realm, &x, NULL) != RC_OK)
        BUG("sasl_begin");
    enum sasl_status status = SASL_CONTINUE;
    if ((data[0] & 4) != 0)
        status = sasl_step(x, (struct str){ NULL, 0 }, &reply);
    while (status == SASL_CONTINUE && str_cut(&rest, '\n', &text)) {
        status = sasl_step(x, line_of(text, &a), &reply);
        if (reply.n > 0 && !str_is_ascii(reply))
            BUG("reply isn't base64");
    }
    if (status == SASL_DONE &&
        str_find_str(str_from((const char *)data, size), STR(PASSWORD)) == SIZE_MAX)
        BUG("in without the password");
    sasl_free(&x);
    return 0;
}

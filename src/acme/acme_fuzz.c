/* acme_fuzz.c - any octets as what an authority says, and as what relay passes on. */
#include "acme/jose.h"
#include "acme/proofs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str text = str_from((const char *)data, size), type, octets;
    const struct str names[] = { STR("a.example"), STR("*.b.example") };
    struct acme_directory directory;
    struct acme_order *order = arena_new(&a, sizeof(*order));
    struct acme_authorization authorization;
    struct proof *proofs = NULL;
    size_t count = 0;
    if (acme_read_directory(text, &a, &directory) == NULL &&
        !str_starts(directory.new_order, STR("https://")) &&
        !str_istarts(directory.new_order, STR("https://")))
        abort();
    if (acme_read_order(text, &a, order) == NULL && order->authorization_count == 0)
        abort();
    if (acme_read_authorization(text, "http-01", &a, &authorization) == NULL &&
        authorization.token.n > 0 && !acme_is_token(authorization.token))
        abort();
    if (str_has_control(acme_read_problem(text, &a, &type)))
        abort();
    if (jose_octets(text, &a, &octets) && octets.n > size)
        abort();
    if (proofs_read(text, names, ARRAY_LEN(names), &a, &proofs, &count) == NULL &&
        (count == 0 || !acme_is_token(proofs[0].token)))
        abort();
    return 0;
}

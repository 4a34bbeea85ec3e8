/* proxy_fuzz.c - headers by hostile balancers. What is taken lies within the octets, and is the
 * same whatever comes behind it; each part of it asks for more. */
#include "wire/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str octets = str_from((const char *)data, size);
    struct proxy_header h, again;
    struct err e;
    size_t used = 0, same = 0;
    enum rc rc = proxy_parse(octets, &h, &used, &e);
    if (rc == RC_AGAIN && size >= PROXY_HEADER_MAX)
        BUG("waits for ever");
    if (rc != RC_OK)
        return 0;
    if (used == 0 || used > size || used > PROXY_HEADER_MAX)
        BUG("takes more than there is");
    if (proxy_parse(str_head(octets, used), &again, &same, &e) != RC_OK || same != used ||
        again.has_ends != h.has_ends || !ip_eq(&again.client, &h.client))
        BUG("depends on what follows");
    for (size_t n = 0; n < used; n++)
        if (proxy_parse(str_head(octets, n), &again, &same, &e) != RC_AGAIN)
            BUG("a part is judged already");
    return 0;
}

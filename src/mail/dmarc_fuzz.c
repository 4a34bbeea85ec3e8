/* dmarc_fuzz.c - any octets as a record. */
#include "mail/dmarc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dmarc_record r;
    if (dmarc_parse(str_from((const char *)data, size), &r) &&
        (r.policy > DMARC_REJECT || r.subdomain_policy > DMARC_REJECT))
        abort();
    return 0;
}

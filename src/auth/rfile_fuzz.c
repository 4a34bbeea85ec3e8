/* rfile_fuzz.c - any octets as what a program wrote into RFILE. */
#include "auth/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rfile r;
    struct str text = str_from((const char *)data, size);
    rfile_parse(text, &r);
    bool inside = r.perms.n == 0 || (r.perms.p >= text.p && r.perms.n <= text.n &&
                                     r.perms.p + r.perms.n <= text.p + text.n);
    if (!inside || (!r.has_perms && r.perms.n > 0) || str_find(r.perms, '\n') != SIZE_MAX)
        abort();
    return 0;
}

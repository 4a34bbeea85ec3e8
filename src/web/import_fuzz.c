/* import_fuzz.c - any octets as a list of accounts. */
#include "web/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct import im;
    struct err e;
    struct str text = str_from((const char *)data, size);
    if (import_read(text, STR("x.test"), &im, &e) == RC_OK) {
        unsigned line = 0;
        for (size_t i = 0; i < im.count; i++) {
            if (im.rows[i]->line <= line)
                abort();
            line = im.rows[i]->line;
        }
    }
    import_release(&im);
    return 0;
}

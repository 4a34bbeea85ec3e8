/* mbox_fuzz.c - any octets as a line of an mbox. */
#include "import/import_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str line = str_from((const char *)data, size), sender = STR("");
    usec_t time = -1;
    char flags[8];
    if (mbox_from_line(line, &sender, &time) && (time < 0 || sender.n > size))
        abort();
    if (mbox_unquote(line).n > size)
        abort();
    (void)mbox_flags(line, line, flags);
    return 0;
}

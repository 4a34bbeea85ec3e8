/* process_fuzz.c - any octets as macros, and as a word to fill. */
#include "process/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct macro *macros = NULL;
    struct buf again AUTO_RELEASE_BUF;
    size_t count = 0;
    struct str text = str_from((const char *)data, size);
    buf_init(&again, MACROS_MAX * 2);
    if (macros_parse(text, &a, &macros, &count, NULL) == RC_OK &&
        macros_print(macros, count, &again) == RC_OK && !str_eq(buf_str(&again), text))
        abort();
    (void)macros_fill(text, macros, count, &a);
    return 0;
}

/* sql_fuzz.c - any octets as a dump. */
#include "import/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct sql_table t = { .name = "t", .columns = { "id", "name" } };
    if (sql_read(str_from((const char *)data, size), &t, 1, &a, NULL) == RC_OK)
        for (size_t i = 0; i < t.count; i++)
            if (sql_value(&t, i, "name").n > size)
                abort();
    return 0;
}

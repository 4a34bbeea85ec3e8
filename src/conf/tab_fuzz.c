/* tab_fuzz.c - any octets as a table: read, each row printed and read again must be the same.
 */
#include "conf/tab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_and_read(const struct tab_row *row)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf b AUTO_RELEASE_BUF;
    struct str again[256];
    size_t count = 0;
    buf_init(&b, (size_t)4 << 20);
    if (tab_print_row(&b, row->values, row->count, "", NULL) != RC_OK)
        return; /* a CR in a value, or octets whose encoding can't be told */
    if (tab_parse_line(buf_str(&b), &a, again, ARRAY_LEN(again), &count, NULL) != RC_OK ||
        count != row->count)
        abort();
    for (size_t i = 0; i < count; i++)
        if (!str_eq(again[i], row->values[i]))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    if (tab_read_str("fuzz.tab", str_from((const char *)data, size), &a, &tab, NULL) != RC_OK)
        return 0;
    for (size_t i = 0; i < tab.row_count; i++)
        print_and_read(&tab.rows[i]);
    return 0;
}

/* lists_fuzz.c - any octets as the header of a post. Done twice, the second time finds the
 * mark of the first and changes nothing but that. */
#include "lists/lists_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once AUTO_RELEASE_BUF, twice AUTO_RELEASE_BUF;
    struct list l = { .address = { .local = STR("team"), .domain = STR("x.test") },
                      .options = { .use_reply_to = size % 2 == 0, .real_name = STR("T") } };
    bool loop = false;
    buf_init(&once, LIST_HEADER_MAX);
    buf_init(&twice, LIST_HEADER_MAX);
    if (list_header(&l, str_from((const char *)data, size), &once, &loop) != RC_OK)
        return 0;
    if (list_header(&l, buf_str(&once), &twice, &loop) != RC_OK)
        return 0;
    struct str mark = STR("Delivered-To: team@x.test\n");
    if (!loop || !str_eq(str_skip(buf_str(&twice), mark.n), buf_str(&once)))
        abort();
    return 0;
}

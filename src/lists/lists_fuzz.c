/* lists_fuzz.c - any octets as the header of a post. Done three times, the last one finds the
 * mark and the tag of those before and changes nothing but the mark. */
#include "lists/lists_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first AUTO_RELEASE_BUF, once AUTO_RELEASE_BUF, twice AUTO_RELEASE_BUF;
    struct list l = { .address = { .local = STR("team"), .domain = STR("x.test") },
                      .options = { .use_reply_to = size % 2 == 0, .real_name = STR("T") } };
    if (size % 3 == 0)
        l.tag = STR("[\xe6\x97\xa5 %d]");
    if (size % 3 == 1)
        l.tag = STR("[t:%05d]");
    buf_init(&first, LIST_HEADER_MAX);
    buf_init(&once, LIST_HEADER_MAX);
    buf_init(&twice, LIST_HEADER_MAX);
    /* A subject that had no tag keeps its octets; from then on it is printed anew. */
    if (list_header(&l, str_from((const char *)data, size), &first) != RC_OK ||
        list_header(&l, buf_str(&first), &once) != RC_OK ||
        list_header(&l, buf_str(&once), &twice) != RC_OK)
        return 0;
    struct str mark = STR("Delivered-To: team@x.test\n");
    if (!list_header_loops(&l, buf_str(&once)) ||
        !str_eq(str_skip(buf_str(&twice), mark.n), buf_str(&once)))
        abort();
    return 0;
}

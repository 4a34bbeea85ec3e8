/* envelope_fuzz.c - any octets as an entry's head and as its journal. What is understood must
 * print and read back the same. */
#include "spool/spool_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf again AUTO_RELEASE_BUF;
    buf_init(&again, (size_t)1 << 26);
    struct spool_entry entry = { .message_fd = -1 }, second = { .message_fd = -1 };
    size_t header_n = 0;
    struct str text = arena_str(&a, str_from((const char *)data, size));
    if (envelope_parse(text, &a, &entry, &header_n, NULL) != RC_OK)
        return 0;
    if (header_n > size)
        abort();
    journal_apply(str_skip(text, header_n), &entry);
    if (envelope_print(&entry.env, STR("65f2c81a3b2c100a3f"), entry.message_octets,
                       entry.wire_octets, &again) != RC_OK)
        return 0;
    if (envelope_parse(buf_str(&again), &a, &second, &header_n, NULL) != RC_OK ||
        second.env.recipient_count != entry.env.recipient_count ||
        second.message_octets != entry.message_octets ||
        !address_eq(&second.env.reverse_path, &entry.env.reverse_path))
        abort();
    return 0;
}

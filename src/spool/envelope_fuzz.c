/* envelope_fuzz.c - any octets as an entry's head and as its journal. What is understood must
 * print and read back the same. */
#include "spool/spool_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An entry's id is its file's name, known before it is read. */
#define ID STR("65f2c81a3b2c100a3f")

static bool is_same(const struct spool_entry *x, const struct spool_entry *y)
{
    if (x->message_octets != y->message_octets || x->wire_octets != y->wire_octets ||
        x->env.recipient_count != y->env.recipient_count ||
        x->env.received_at != y->env.received_at || !str_eq(x->env.helo, y->env.helo) ||
        !str_eq(x->env.client, y->env.client) || !str_eq(x->env.auth_user, y->env.auth_user) ||
        !address_eq(&x->env.reverse_path, &y->env.reverse_path))
        return false;
    for (size_t i = 0; i < x->env.recipient_count; i++)
        if (!address_eq(&x->env.recipients[i].address, &y->env.recipients[i].address) ||
            !address_eq(&x->env.recipients[i].resolved, &y->env.recipients[i].resolved))
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf again AUTO_RELEASE_BUF;
    buf_init(&again, (size_t)1 << 26);
    struct spool_entry entry = { .message_fd = -1, .id = ID };
    struct spool_entry second = { .message_fd = -1, .id = ID };
    size_t header_n = 0;
    struct str text = arena_str(&a, str_from((const char *)data, size));
    if (envelope_parse(text, &a, &entry, &header_n, NULL) != RC_OK)
        return 0;
    if (header_n > size)
        abort();
    journal_apply(str_skip(text, header_n), &entry);
    if (envelope_print(&entry.env, ID, entry.message_octets, entry.wire_octets, &again) !=
        RC_OK)
        return 0;
    if (envelope_parse(buf_str(&again), &a, &second, &header_n, NULL) != RC_OK ||
        !is_same(&entry, &second))
        abort();
    return 0;
}

/* walk.c - all accounts, in the order in which they came into the index: that of the table,
 * then those added since. For lists that people read. */
#include "users/index_int.h"

/* The domain as its table writes it. */
static struct str domain_name(const struct index_map *ix, uint32_t offset)
{
    const struct index_entry *d = index_entry(ix, offset);
    if (d == NULL || d->kind != ENTRY_DOMAIN)
        return STR("");
    return d->text_n[1] > 0 ? index_text(d, 1) : index_text(d, 0);
}

static size_t entry_octets(const struct index_entry *entry)
{
    size_t size = sizeof(*entry);
    for (unsigned i = 0; i < ENTRY_TEXTS; i++)
        size += entry->text_n[i];
    return (size + 3) / 4 * 4;
}

void users_walk(users_walk_fn *fn, void *ctx)
{
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    if (ix == NULL)
        return;
    uint32_t end = atomic_load_explicit(&ix->head->heap_end, memory_order_acquire);
    uint32_t at = ix->heap_at;
    while (at < end) {
        const struct index_entry *entry = index_entry(ix, at);
        if (entry == NULL)
            return;
        size_t octets = entry_octets(entry);
        if (octets > end - at)
            return;
        at += (uint32_t)octets;
        if (entry->kind == ENTRY_ACCOUNT && !entry_has(entry, ENTRY_DEAD) &&
            !fn(ctx, domain_name(ix, entry->domain), index_text(entry, 0),
                entry_has(entry, ENTRY_LIST) ? ACCOUNT_LIST : ACCOUNT_USER))
            return;
    }
}

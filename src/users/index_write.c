/*
 * index_write.c - adding entries to the index, when it is built and when the control role has
 * changed a table: then all roles see the change at their next look-up, and nothing is built
 * anew. The writer is one thread of one process.
 */
#include "users/index_int.h"
#include "users/memfile.h"

/* This process's writable mapping; head NULL: none. */
static struct index_map writer;

static size_t entry_size(const struct new_entry *n)
{
    size_t size = sizeof(struct index_entry);
    for (unsigned i = 0; i < ENTRY_TEXTS; i++)
        size += n->text[i].n;
    return (size + 3) / 4 * 4;
}

uint32_t entry_write(struct index_map *ix, const struct new_entry *n)
{
    struct index_head *head = ix->head;
    size_t size = entry_size(n);
    uint32_t offset = atomic_load_explicit(&head->heap_end, memory_order_relaxed);
    if (size > ix->size - offset)
        BUG("the index is too small for its tables");
    struct index_entry *entry = (void *)((char *)head + offset);
    entry->hash = (uint32_t)(index_hash(ix, n->kind, n->domain, n->text[0]) >> 32);
    entry->kind = (uint8_t)n->kind;
    entry->domain = n->domain;
    atomic_init(&entry->flags, n->flags);
    atomic_init(&entry->extra, n->extra);
    char *p = entry->text;
    for (unsigned i = 0; i < ENTRY_TEXTS; i++) {
        entry->text_n[i] = (uint16_t)n->text[i].n;
        if (n->text[i].n > 0)
            memcpy(p, n->text[i].p, n->text[i].n);
        p += n->text[i].n;
    }
    atomic_store_explicit(&head->heap_end, offset + (uint32_t)size, memory_order_relaxed);
    return offset;
}

void chain_push(struct index_map *ix, _Atomic uint32_t *chain, uint32_t offset)
{
    struct index_entry *entry = index_entry(ix, offset);
    if (entry == NULL)
        BUG("index entry");
    atomic_store_explicit(&entry->next, atomic_load_explicit(chain, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(chain, offset, memory_order_release);
}

uint32_t entry_add(struct index_map *ix, const struct new_entry *n)
{
    uint32_t offset = entry_write(ix, n);
    uint64_t hash = index_hash(ix, n->kind, n->domain, n->text[0]);
    chain_push(ix, &ix->head->buckets[hash & (ix->bucket_count - 1)], offset);
    return offset;
}

uint32_t index_local_domain(const struct index_map *ix, struct arena *a, struct str name)
{
    struct str key;
    uint32_t offset = 0;
    if (!index_domain_key(name, a, &key))
        return 0;
    const struct index_entry *entry = index_find(ix, ENTRY_DOMAIN, 0, key, &offset);
    return entry != NULL && entry_has(entry, ENTRY_LOCAL) ? offset : 0;
}

bool index_split_target(struct str target, struct arena *a, struct str *out_local,
                        struct str *out_domain)
{
    size_t at = str_rfind(target, '@');
    *out_local = str_head(target, at);
    *out_domain = str_from("", 0);
    if (out_local->n == 0 || str_has_control(target))
        return false;
    return at == SIZE_MAX || index_domain_key(str_skip(target, at + 1), a, out_domain);
}

bool index_is_pattern(struct str s)
{
    return str_has_any(s, "*?");
}

bool index_folder_is_good(struct str folder)
{
    struct str rest = folder, part;
    while (str_cut(&rest, '/', &part))
        if (part.n == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return false;
    return folder.n > 0 && !str_has_control(folder);
}

void index_keep_writable(const struct index_map *ix)
{
    if (writer.head != NULL)
        memfile_unmap(writer.head, writer.size);
    writer = (struct index_map){ .head = NULL };
    if (ix != NULL)
        writer = *ix;
}

void index_table_is(enum index_table i, const struct file_id *id)
{
    if (writer.head != NULL)
        writer.head->tables[i] = *id;
}

/* --- changes ----------------------------------------------------------------------------- */

/* RC_AGAIN: no room; build anew. */
static enum rc add_if_room(const struct new_entry *n)
{
    uint32_t end = atomic_load_explicit(&writer.head->heap_end, memory_order_relaxed);
    if (entry_size(n) > writer.size - end)
        return RC_AGAIN;
    (void)entry_add(&writer, n);
    return RC_OK;
}

static void mark_dead(enum entry_kind kind, uint32_t domain, struct str name,
                      const struct index_entry *but)
{
    uint64_t hash = index_hash(&writer, kind, domain, name);
    uint32_t steps = INDEX_STEPS_MAX;
    struct index_entry *entry = index_entry(
        &writer, atomic_load(&writer.head->buckets[hash & (writer.bucket_count - 1)]));
    for (; entry != NULL; entry = index_next(&writer, entry, &steps))
        if (entry != but && entry->kind == kind && entry->domain == domain &&
            str_ieq(index_text(entry, 0), name))
            (void)atomic_fetch_or(&entry->flags, (uint8_t)ENTRY_DEAD);
}

enum rc users_index_put_account(struct str domain, struct str name, struct str password,
                                uint32_t id, struct str folder, enum account_type type)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    uint32_t at = writer.head == NULL ? 0 : index_local_domain(&writer, &a, domain);
    struct new_entry n = { .kind = ENTRY_ACCOUNT,
                           .flags = type == ACCOUNT_LIST ? ENTRY_LIST : 0,
                           .domain = at,
                           .extra = id,
                           .text = { name, password, folder } };
    if (at == 0)
        return RC_AGAIN;
    if (str_eq(folder, name))
        n.text[2].n = 0;
    enum rc rc = add_if_room(&n);
    if (rc != RC_OK)
        return rc;
    if (id > atomic_load(&writer.head->last_id))
        atomic_store(&writer.head->last_id, id);
    mark_dead(ENTRY_ACCOUNT, at, name, index_find(&writer, ENTRY_ACCOUNT, at, name, NULL));
    return RC_OK;
}

enum rc users_index_drop_account(struct str domain, struct str name)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    uint32_t at = writer.head == NULL ? 0 : index_local_domain(&writer, &a, domain);
    if (at == 0)
        return RC_AGAIN;
    mark_dead(ENTRY_ACCOUNT, at, name, NULL);
    return RC_OK;
}

/* The domain's entry; 0: there is none yet, or wildcards are meant. */
static uint32_t alias_place(struct str domain, struct str alias, struct arena *a)
{
    struct str key;
    uint32_t at = 0;
    if (writer.head == NULL || index_is_pattern(domain) || index_is_pattern(alias) ||
        !index_domain_key(domain, a, &key) ||
        index_find(&writer, ENTRY_DOMAIN, 0, key, &at) == NULL)
        return 0;
    return at;
}

enum rc users_index_put_alias(struct str domain, struct str alias, struct str target)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct new_entry n = { .kind = ENTRY_ALIAS,
                           .domain = alias_place(domain, alias, &a),
                           .text = { alias } };
    if (n.domain == 0 || !index_split_target(target, &a, &n.text[1], &n.text[2]))
        return RC_AGAIN;
    enum rc rc = add_if_room(&n);
    if (rc == RC_OK)
        mark_dead(ENTRY_ALIAS, n.domain, alias,
                  index_find(&writer, ENTRY_ALIAS, n.domain, alias, NULL));
    return rc;
}

enum rc users_index_drop_alias(struct str domain, struct str alias)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    uint32_t at = alias_place(domain, alias, &a);
    if (at == 0)
        return RC_AGAIN;
    mark_dead(ENTRY_ALIAS, at, alias, NULL);
    return RC_OK;
}

uint32_t users_index_next_id(void)
{
    uint32_t last = writer.head == NULL ? 0 : atomic_load(&writer.head->last_id);
    return last == UINT32_MAX ? 0 : last + 1;
}

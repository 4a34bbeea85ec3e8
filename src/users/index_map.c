/*
 * index_map.c - the current index of this process: mapping, swapping, reading, and whether its
 * tables have changed. The swap is safe because every look-up holds a reference to the mapping
 * it began with; the last one unmaps it.
 */
#include "conf/tab.h"
#include "sys/lock.h"
#include "users/index_int.h"
#include "users/memfile.h"

#define CHAIN_MAX 4096u           /* entries of a bucket; the hash is keyed */
#define SHRUNK_FOR (2 * USEC_S)   /* before a table that is much shorter counts */
#define MISSING_FOR (60 * USEC_S) /* before an optional one that is missing counts */
#define DOMAIN_OCTETS_MAX ((size_t)255)

const char *const index_table_paths[INDEX_TABLES] = {
    [INDEX_DOMAINS] = "domains.tab",
    [INDEX_ALIAS_DOMAINS] = "aliasdomain.tab",
    [INDEX_ACCOUNTS] = "mailusers.tab",
    [INDEX_ALIASES] = "aliases.tab",
};

static struct lock users_lock = LOCK_INIT(LOCK_USERS);
/* Under users_lock: */
static struct index_map *current;
static struct file_id built[INDEX_TABLES];
static bool has_built;

/* Since when a table is much shorter or missing, 0: it isn't. Belongs to the thread that asks
 * whether the index is stale. */
static usec_t doubt_since[INDEX_TABLES];
static struct tab_watch watches[INDEX_TABLES]; /* belong to that thread, too */

/* --- reading ----------------------------------------------------------------------------- */

struct index_entry *index_entry(const struct index_map *ix, uint32_t offset)
{
    if (offset % _Alignof(struct index_entry) != 0 || offset < ix->heap_at ||
        offset > ix->size - sizeof(struct index_entry))
        return NULL;
    struct index_entry *entry = (void *)((char *)ix->head + offset);
    size_t n = sizeof(*entry);
    for (unsigned i = 0; i < ENTRY_TEXTS; i++)
        n += entry->text_n[i];
    return n > ix->size - offset ? NULL : entry;
}

struct str index_text(const struct index_entry *entry, unsigned i)
{
    size_t at = 0;
    for (unsigned k = 0; k < i; k++)
        at += entry->text_n[k];
    return str_from(entry->text + at, entry->text_n[i]);
}

struct index_entry *index_next(const struct index_map *ix, const struct index_entry *entry,
                               uint32_t *steps)
{
    if (*steps == 0)
        return NULL;
    --*steps;
    return index_entry(ix, atomic_load_explicit(&entry->next, memory_order_acquire));
}

uint64_t index_hash(const struct index_map *ix, enum entry_kind kind, uint32_t domain,
                    struct str text)
{
    return hash_text(text, true, ix->head->seed ^ (uint64_t)domain << 8 ^ (uint64_t)kind);
}

struct index_entry *index_find(const struct index_map *ix, enum entry_kind kind,
                               uint32_t domain, struct str text, uint32_t *out_offset)
{
    uint64_t hash = index_hash(ix, kind, domain, text);
    uint32_t steps = CHAIN_MAX;
    const _Atomic uint32_t *bucket = &ix->head->buckets[hash & (ix->bucket_count - 1)];
    struct index_entry *entry =
        index_entry(ix, atomic_load_explicit(bucket, memory_order_acquire));
    for (; entry != NULL; entry = index_next(ix, entry, &steps)) {
        if (entry->hash != (uint32_t)(hash >> 32) || entry->kind != kind ||
            entry->domain != domain || entry_has(entry, ENTRY_DEAD) ||
            !str_ieq(index_text(entry, 0), text))
            continue;
        if (out_offset != NULL)
            *out_offset = (uint32_t)((char *)entry - (char *)ix->head);
        return entry;
    }
    return NULL;
}

bool index_domain_key(struct str name, struct arena *a, struct str *out)
{
    if (!str_is_ascii(name))
        return domain_parse(name, true, a, out, NULL) == RC_OK;
    if (name.n == 0 || name.n > DOMAIN_OCTETS_MAX || str_has_control(name) ||
        str_has_any(name, " /@\\") || name.p[0] == '.')
        return false;
    *out = name;
    return true;
}

/* --- the current one --------------------------------------------------------------------- */

struct index_map *index_get(void)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&users_lock);
    (void)held;
    if (current != NULL)
        (void)atomic_fetch_add(&current->refs, 1);
    return current;
}

void index_put(struct index_map **ix)
{
    struct index_map *m = *ix;
    *ix = NULL;
    if (m == NULL || atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    memfile_unmap(m->head, m->size);
    mem_free(&m);
}

static void set_current(struct index_map *m)
{
    lock_take(&users_lock);
    struct index_map *old = current;
    current = m;
    lock_drop(&users_lock);
    index_put(&old);
}

static bool head_is_good(const struct index_head *head, size_t size)
{
    uint32_t count = head->bucket_count;
    return head->magic == INDEX_MAGIC && head->size_bytes == size && size <= UINT32_MAX &&
           count > 0 && (count & (count - 1)) == 0 && head->heap_at <= size &&
           head->heap_at >= sizeof(*head) &&
           (head->heap_at - sizeof(*head)) / sizeof(head->buckets[0]) >= count;
}

enum rc users_index_use(int fd, struct err *e)
{
    int held AUTO_CLOSE = fd;
    void *base = NULL;
    size_t size = 0;
    enum rc rc = memfile_map(
        held, false, sizeof(struct index_head) + sizeof(struct index_entry), &base, &size, e);
    if (rc != RC_OK)
        return rc;
    struct index_head *head = base;
    if (!head_is_good(head, size)) {
        memfile_unmap(base, size);
        return err_temp(e, "4.3.0", "not an index of accounts");
    }
    struct index_map *m = mem_new(sizeof(*m));
    m->head = head;
    m->size = size;
    m->bucket_count = head->bucket_count;
    m->heap_at = head->heap_at;
    atomic_init(&m->refs, 1);
    set_current(m);
    return RC_OK;
}

/* --- have the tables changed? ------------------------------------------------------------ */

static bool is_missing(const struct file_id *id)
{
    return id->dev == 0 && id->ino == 0;
}

/* Less than half as long as it was. */
static bool has_shrunk(const struct file_id *now, const struct file_id *before)
{
    return now->size < before->size / 2;
}

enum rc index_trust(const struct index_map *ix, uint32_t tables, struct err *e)
{
    for (unsigned i = 0; i < INDEX_TABLES; i++) {
        const struct file_id *before = &ix->head->tables[i];
        struct file_id now;
        if ((tables & 1u << i) == 0)
            continue;
        if ((ix->head->lost & 1u << i) != 0)
            return err_temp(e, "4.3.0", "%s could not be read", index_table_paths[i]);
        if (is_missing(before))
            continue;
        if (file_id_get(index_table_paths[i], &now, e) != RC_OK)
            return RC_TEMP;
        if (is_missing(&now) || has_shrunk(&now, before))
            return err_temp(e, "4.3.0", "%s is missing or being changed", index_table_paths[i]);
    }
    return RC_OK;
}

void index_note_built(const struct file_id tables[INDEX_TABLES])
{
    struct lock *held AUTO_UNLOCK = lock_hold(&users_lock);
    (void)held;
    memcpy(built, tables, sizeof(built));
    has_built = true;
}

/* Why a change of the table isn't known yet, for who must wait. */
static void tell_why(const char *path, const struct file_id *now, struct err *e)
{
    if (is_missing(now))
        (void)err_temp(e, "4.3.0", "%s is missing", path);
    else if (tab_ends_open(path, now))
        (void)err_temp(e, "4.3.0", "the last line of %s has no line end", path);
    else
        (void)err_temp(e, "4.3.0", "%s", path);
}

bool users_index_differs(struct err *e)
{
    struct file_id before[INDEX_TABLES];
    lock_take(&users_lock);
    bool known = has_built;
    memcpy(before, built, sizeof(before));
    lock_drop(&users_lock);
    for (unsigned i = 0; known && i < INDEX_TABLES; i++) {
        struct file_id now;
        if (file_id_get(index_table_paths[i], &now, e) != RC_OK)
            return true;
        if (!file_id_eq(&now, &before[i])) {
            tell_why(index_table_paths[i], &now, e);
            return true;
        }
    }
    return !known;
}

enum rc users_index_note_written(const char *path, struct err *e)
{
    for (unsigned i = 0; i < INDEX_TABLES; i++) {
        struct file_id now;
        if (strcmp(path, index_table_paths[i]) != 0)
            continue;
        enum rc rc = file_id_get(path, &now, e);
        if (rc != RC_OK)
            return rc;
        index_table_is((enum index_table)i, &now);
        struct lock *held AUTO_UNLOCK = lock_hold(&users_lock);
        (void)held;
        built[i] = now;
    }
    return RC_OK;
}

void users_close(void)
{
    index_keep_writable(NULL);
    set_current(NULL);
    struct lock *held AUTO_UNLOCK = lock_hold(&users_lock);
    (void)held;
    memset(built, 0, sizeof(built));
    has_built = false;
}

/*
 * Is the table another one than `before`, in a state that counts? A required table that is
 * missing and one that can't be read never count: the old index goes on, with temporary
 * failures for what it doesn't know. One that shrank or went away counts when that lasts.
 */
static bool table_has_changed(enum index_table i, const struct file_id *before)
{
    struct file_id now;
    if (file_id_get(index_table_paths[i], &now, NULL) != RC_OK || file_id_eq(&now, before)) {
        doubt_since[i] = 0;
        return false;
    }
    bool missing = is_missing(&now);
    if (missing || has_shrunk(&now, before)) {
        usec_t at = clock_mono();
        doubt_since[i] = doubt_since[i] == 0 ? at : doubt_since[i];
        if (at - doubt_since[i] < (missing ? MISSING_FOR : SHRUNK_FOR))
            return false;
    } else {
        doubt_since[i] = 0;
    }
    if (missing)
        return (INDEX_REQUIRED & 1u << i) == 0;
    return tab_is_settled(&watches[i], index_table_paths[i], &now);
}

bool users_index_is_stale(void)
{
    struct index_map *ix AUTO_PUT_INDEX = index_get();
    struct file_id before[INDEX_TABLES];
    lock_take(&users_lock);
    bool known = has_built || ix != NULL;
    if (known)
        memcpy(before, has_built ? built : ix->head->tables, sizeof(before));
    lock_drop(&users_lock);
    bool stale = !known;
    for (unsigned i = 0; known && i < INDEX_TABLES; i++)
        if (table_has_changed((enum index_table)i, &before[i]))
            stale = true;
    return stale;
}

/*
 * refused.c - senders that an account or a list refuses: refuse.tab in its folder, patterns as
 * in spam-address.tab. Most have none, which costs one look at the file's name; tables in use
 * are kept as they were read until their file changes.
 */
#include "gates/gates_int.h"
#include "sys/lock.h"

#define KEPT 64u /* tables, each where the hash of its path says */

struct kept {
    char *path;
    struct file_id id;
    struct sender_table *table;
};

static struct lock keeping = LOCK_INIT(LOCK_LEAF);
static struct kept kept[KEPT]; /* protected by it */

static struct kept *place_of(struct str path)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < path.n; i++)
        hash = (hash ^ (unsigned char)path.p[i]) * 16777619u;
    return &kept[hash % KEPT];
}

/* The line in the table that is kept, if this version is. */
static bool find_kept(struct str path, const struct file_id *id, struct str sender,
                      unsigned *out_line)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&keeping);
    const struct kept *k = place_of(path);
    (void)held;
    if (k->path == NULL || !str_eq(path, str_from_c(k->path)) || !file_id_eq(&k->id, id))
        return false;
    *out_line = sender_table_find(k->table, sender);
    return true;
}

/* Takes the place of what was there. */
static void keep(struct str path, const struct file_id *id, struct sender_table *table)
{
    struct kept fresh = { .path = mem_new(path.n + 1), .id = *id, .table = table };
    memcpy(fresh.path, path.p, path.n);
    lock_take(&keeping);
    struct kept *k = place_of(path), old = *k;
    *k = fresh;
    lock_drop(&keeping);
    mem_free(&old.path);
    if (old.table != NULL)
        sender_table_free(old.table);
}

/* RC_TEMP: the table can't be read. *out_line 0: nothing matches. */
static enum rc find(struct str path, struct str sender, struct arena *a, unsigned *out_line)
{
    struct file_id id;
    struct tab tab;
    struct err e;
    *out_line = 0;
    if (file_id_get(path.p, &id, &e) != RC_OK)
        return RC_TEMP;
    if (id.ino == 0 || find_kept(path, &id, sender, out_line))
        return RC_OK;
    if (tab_read(path.p, a, &tab, &e) != RC_OK)
        return RC_TEMP;
    struct sender_table *table = sender_table_parse(&tab, NULL);
    *out_line = sender_table_find(table, sender);
    keep(path, &tab.id, table);
    return RC_OK;
}

enum gate_action gate_refused_sender(struct gate_subject *s, struct gate_decision *d)
{
    const struct recipient *to = s->recipient;
    const struct address *from = s->from;
    if (from->is_null || (to->kind != RECIPIENT_ACCOUNT && to->kind != RECIPIENT_LIST))
        return GATE_PASS;
    struct str path = arena_printf(s->tmp, "%.*s/refuse.tab", STR_ARG(to->account.folder));
    struct str sender =
        arena_printf(s->tmp, "%.*s@%.*s", STR_ARG(from->local), STR_ARG(from->domain));
    if (find(path, sender, s->tmp, &d->line) != RC_OK)
        return gate_trouble(d);
    if (d->line == 0)
        return GATE_PASS;
    d->source = path.p;
    return gate_refuse(d, "550 5.7.1", STR(""), "The recipient refuses your sender address",
                       "RCPT=ESPAM");
}

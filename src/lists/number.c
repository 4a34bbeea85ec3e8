/*
 * number.c - the numbers of a list's posts, in the file .posts of its folder: a line
 * "NUMBER ENTRY.RECIPIENT" for each post that may still be under way. Called by expand.c, in
 * the queue role only.
 *
 * INVARIANTS
 * 1. A number's line is durable before a post has it, so no other post gets it.
 * 2. The line stays as long as the entry does, so a repetition finds its number.
 * 3. The line with the highest number always stays.
 */
#include "lists/lists_int.h"
#include "sys/file.h"
#include "sys/lock.h"

#define FILE_MAX ((size_t)16 << 20)
#define LINES_KEPT 100u /* before it is looked which entries are gone */

static struct lock numbering = LOCK_INIT(LOCK_LISTS);

struct given {
    uint64_t number;
    struct str key; /* "ENTRY.RECIPIENT" */
};

static bool is_under_way(struct str key)
{
    struct str id = str_head(key, str_find(key, '.'));
    return spool_id_is_valid(id) && (spool_exists(id) || spool_is_frozen(id));
}

static bool parse(struct str line, struct given *out)
{
    struct str number;
    (void)str_cut(&line, ' ', &number);
    out->key = str_trim(line);
    return str_to_u64(str_trim(number), &out->number);
}

static size_t read_given(struct str text, struct arena *a, struct given **out)
{
    size_t most = 1, count = 0;
    struct str line;
    for (size_t i = 0; i < text.n; i++)
        most += text.p[i] == '\n';
    *out = arena_new_array(a, struct given, most);
    while (text.n > 0 && str_cut(&text, '\n', &line))
        count += parse(line, &(*out)[count]);
    return count;
}

/* The lines that stay, and the new one. */
static enum rc put_given(const char *path, const struct given *all, size_t count,
                         const struct given *fresh, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, FILE_MAX);
    for (size_t i = 0; i < count; i++)
        if (count < LINES_KEPT || is_under_way(all[i].key))
            buf_addf(&text, "%" PRIu64 " %.*s\n", all[i].number, STR_ARG(all[i].key));
    buf_addf(&text, "%" PRIu64 " %.*s\n", fresh->number, STR_ARG(fresh->key));
    return file_replace(path, buf_str(&text), 0600, e);
}

enum rc list_number(const struct list *l, struct str entry, size_t recipient, uint64_t *out,
                    struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str text = STR(""),
               path = arena_printf(&mem, "%.*s/.posts", STR_ARG(l->account.folder));
    struct given *all = NULL;
    struct given fresh = { 0, arena_printf(&mem, "%.*s.%zu", STR_ARG(entry), recipient) };
    struct lock *held AUTO_UNLOCK = lock_hold(&numbering);
    struct err why = { .sys = 0 };
    (void)held;
    enum rc rc = file_read(path.p, FILE_MAX, &mem, &text, NULL, &why);
    if (rc != RC_OK && why.sys != ENOENT)
        return err_temp(e, "4.3.0", "%s: %s", path.p, why.text);
    size_t count = read_given(text, &mem, &all);
    if (str_trim(text).n > 0 && count == 0)
        return err_temp(e, "4.3.5", "%s has no number", path.p);
    for (size_t i = 0; i < count; i++) {
        fresh.number = MAX(fresh.number, all[i].number);
        if (!str_eq(all[i].key, fresh.key))
            continue;
        *out = all[i].number;
        return RC_OK;
    }
    fresh.number++;
    rc = put_given(path.p, all, count, &fresh, e);
    if (rc == RC_OK)
        *out = fresh.number;
    return rc;
}

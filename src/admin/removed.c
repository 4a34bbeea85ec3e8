/*
 * removed.c - accounts and domains that were removed wait in hikyaku/removed/ID: a list of what
 * they were (what.tab) and their folders, numbered. A removal has many steps; the list is
 * written first and says them all, so that a crash in between is made good by doing them
 * again. Lines of what.tab:
 *     "what" NAME SECONDS                what was removed, when
 *     "drop" TABLE COLUMN...             rows to take out of a table; an empty column: any
 * value "row" TABLE VALUE...               a row that was there, for bringing it back "folder"
 * PATH NUMBER               a folder to move here The first "drop" is the point of no return:
 * while its rows stand in their table, nothing has happened yet.
 */
#include "admin/admin_int.h"
#include <dirent.h>

#define FOLDER "hikyaku/removed"
#define STEPS_MAX 16u

struct removal {
    struct arena mem;
    struct str id;
    struct buf list; /* what.tab */
    struct {
        const char *path;
        struct row_match match;
    } drops[STEPS_MAX];
    size_t drop_count, folder_count;
    bool full; /* a line didn't fit */
};

/* --- making the list --------------------------------------------------------------------- */

static void add_line(struct removal *r, const struct str *values, size_t count)
{
    if (tab_print_row(&r->list, values, count, "\n", NULL) != RC_OK)
        r->full = true;
}

enum rc removal_begin(struct str what, struct removal **out, struct err *e)
{
    static unsigned number;
    struct removal *r = mem_new(sizeof(*r));
    buf_init(&r->list, TAB_FILE_MAX);
    struct str now = arena_printf(&r->mem, "%" PRId64, clock_wall() / USEC_S);
    r->id = arena_printf(&r->mem, "%.*s.%u.%u", STR_ARG(now), (unsigned)getpid(), number++);
    const struct str line[] = { STR("what"), what, now };
    add_line(r, line, ARRAY_LEN(line));
    enum rc rc = folder_make(FOLDER, 0700, e);
    if (rc != RC_OK)
        removal_free(&r);
    else
        *out = r;
    return rc;
}

void removal_free(struct removal **r)
{
    struct removal *old = *r;
    *r = NULL;
    if (old == NULL)
        return;
    buf_release(&old->list);
    arena_release(&old->mem);
    mem_free(&old);
}

static void note_row(struct removal *r, const char *path, const struct tab_row *row)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str *line = arena_new_array(&a, struct str, row->count + 2);
    line[0] = STR("row");
    line[1] = str_from_c(path);
    memcpy(line + 2, row->values, row->count * sizeof(*line));
    add_line(r, line, row->count + 2);
}

enum rc removal_rows(struct removal *r, const char *path, const struct row_match *m,
                     struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab tab;
    struct str line[COLUMNS_MAX + 2] = { STR("drop"), str_from_c(path) };
    enum rc rc = tab_read(path, &a, &tab, e);
    if (rc != RC_OK || r->drop_count == STEPS_MAX)
        return rc == RC_OK ? err_perm(e, "5.3.0", "too many steps") : rc;
    memcpy(line + 2, m->columns, m->count * sizeof(*line));
    add_line(r, line, m->count + 2);
    for (size_t i = 0; i < tab.row_count; i++)
        if (row_matches(m, &tab.rows[i]))
            note_row(r, path, &tab.rows[i]);
    r->drop_count++;
    return RC_OK;
}

void removal_folder(struct removal *r, struct str path)
{
    const struct str line[] = { STR("folder"), path,
                                arena_printf(&r->mem, "%zu", r->folder_count++) };
    add_line(r, line, ARRAY_LEN(line));
}

/* --- doing it ---------------------------------------------------------------------------- */

static struct str place_of(struct str id, const char *name, struct arena *a)
{
    return arena_printf(a, FOLDER "/%.*s/%s", STR_ARG(id), name);
}

static bool is_line(const struct tab_row *row, const char *kind, size_t least)
{
    return row->count >= least && str_eq(row->values[0], str_from_c(kind));
}

static bool is_membership(const struct tab_row *line)
{
    return line->count >= 3 && str_eq(line->values[1], STR("groupmembers.tab"));
}

/* The rows a "drop" line means. */
static struct row_match match_of(const struct tab_row *line)
{
    struct row_match m = { .count = MIN(line->count - 2, (size_t)COLUMNS_MAX) };
    for (size_t i = 0; i < m.count; i++)
        if (line->values[i + 2].n > 0)
            m.columns[i] = line->values[i + 2];
    return m;
}

/* Moves a folder here (or back); one that is there already has been moved. */
static enum rc move(const char *from, const char *to, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    if (io_rename(from, to) < 0)
        return errno == ENOENT ? RC_OK : err_sys(e, "move %s to %s", from, to);
    struct str parent = str_head(str_from_c(from), str_rfind(str_from_c(from), '/'));
    enum rc rc = folder_sync(arena_c(&a, parent), e);
    parent = str_head(str_from_c(to), str_rfind(str_from_c(to), '/'));
    return rc == RC_OK ? folder_sync(arena_c(&a, parent), e) : rc;
}

/* All steps that are left; may be repeated. */
static enum admin_result carry_out(struct str id, const struct tab *list, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    enum admin_result result = ADMIN_OK;
    for (size_t i = 0; i < list->row_count && result == ADMIN_OK; i++) {
        const struct tab_row *line = &list->rows[i];
        size_t dropped = 0;
        if (is_line(line, "drop", 3)) {
            struct row_match m = match_of(line);
            result = table_drop(arena_c(&a, line->values[1]), &m, &dropped, e);
        } else if (is_line(line, "folder", 3)) {
            struct str to = place_of(id, arena_c(&a, line->values[2]), &a);
            if (move(arena_c(&a, line->values[1]), to.p, e) != RC_OK)
                result = ADMIN_CANT_WRITE;
        }
    }
    return result;
}

/* The index without what is gone: one account is struck out, a domain needs a new index. */
static void follow(const struct tab *list)
{
    for (size_t i = 0; i < list->row_count; i++) {
        const struct tab_row *line = &list->rows[i];
        if (!is_line(line, "row", 3) || str_eq(line->values[1], STR("pop3links.tab")) ||
            is_membership(line))
            continue;
        enum rc rc = RC_AGAIN;
        if (line->count >= 4 && str_eq(line->values[1], STR("mailusers.tab")))
            rc = users_index_drop_account(line->values[2], line->values[3]);
        else if (line->count >= 4 && str_eq(line->values[1], STR("aliases.tab")))
            rc = users_index_drop_alias(line->values[2], line->values[3]);
        index_follow(rc);
    }
}

static enum rc read_list(struct str id, struct arena *a, struct tab *out, struct err *e)
{
    return tab_read(place_of(id, "what.tab", a).p, a, out, e);
}

enum admin_result removal_commit(struct removal **r, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct removal *one = *r;
    struct str id = arena_str(&a, one->id);
    struct tab list;
    enum rc rc = one->full ? err_perm(e, "5.3.0", "too much to remove at once") : RC_OK;
    if (rc == RC_OK)
        rc = folder_make(place_of(id, "", &a).p, 0700, e);
    if (rc == RC_OK)
        rc = file_replace(place_of(id, "what.tab", &a).p, buf_str(&one->list), 0600, e);
    if (rc == RC_OK)
        rc = folder_sync(FOLDER, e);
    if (rc == RC_OK)
        rc = read_list(id, &a, &list, e);
    removal_free(r);
    if (rc != RC_OK)
        return ADMIN_CANT_WRITE;
    enum admin_result result = carry_out(id, &list, e);
    follow(&list);
    return result;
}

/* --- listing ----------------------------------------------------------------------------- */

static bool id_is_good(struct str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (!ascii_is_digit(id.p[i]) && id.p[i] != '.')
            return false;
    return id.n > 0 && id.p[0] != '.';
}

static enum rc each_id(struct arena *a, struct str **out, size_t *out_count, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    struct buf ids AUTO_RELEASE_BUF;
    buf_init(&ids, TAB_FILE_MAX);
    *out_count = 0;
    *out = NULL;
    if (!folder_exists(FOLDER))
        return RC_OK;
    enum rc rc = folder_open(FOLDER, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        struct str id = arena_str(a, name);
        if (id_is_good(id))
            rc = buf_add(&ids, &id, sizeof(id));
    }
    folder_close(&f);
    *out_count = ids.n / sizeof(struct str);
    *out = arena_new_array(a, struct str, *out_count + 1);
    memcpy(*out, ids.p, ids.n);
    return rc;
}

enum rc admin_removed_list(struct arena *a, struct admin_removed **out, size_t *out_count,
                           struct err *e)
{
    struct str *ids = NULL;
    size_t count = 0, kept = 0;
    enum rc rc = each_id(a, &ids, &count, e);
    *out = arena_new_array(a, struct admin_removed, count + 1);
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        struct tab list;
        struct err unreadable;
        int64_t when = 0;
        if (read_list(ids[i], a, &list, &unreadable) != RC_OK || list.row_count == 0 ||
            !is_line(&list.rows[0], "what", 3) || !str_to_i64(list.rows[0].values[2], &when))
            continue;
        (*out)[kept++] = (struct admin_removed){ ids[i], list.rows[0].values[1], when };
    }
    *out_count = kept;
    return rc;
}

/* --- bringing back ----------------------------------------------------------------------- */

/* Is it a row of a group that was removed meanwhile? */
static bool has_lost_its_group(const struct tab_row *line, struct arena *a)
{
    const struct row_match group = { { line->values[2] }, 1 };
    bool found = false;
    return is_membership(line) &&
           (table_find("groups.tab", &group, a, NULL, &found, NULL) != RC_OK || !found);
}

/* Does the account or domain exist again? */
static enum admin_result may_return(const struct tab *list, struct arena *a, struct err *e)
{
    for (size_t i = 0; i < list->row_count; i++) {
        const struct tab_row *line = &list->rows[i];
        bool found = false;
        if (is_line(line, "folder", 3) && folder_exists(arena_c(a, line->values[1])))
            return ADMIN_EXISTS;
        if (!is_line(line, "row", 3) || is_membership(line))
            continue;
        struct row_match key = { { line->values[2], line->count > 3 ? line->values[3]
                                                                    : (struct str){ NULL, 0 } },
                                 MIN(line->count - 2, (size_t)2) };
        if (table_find(arena_c(a, line->values[1]), &key, a, NULL, &found, e) != RC_OK)
            return ADMIN_CANT_OPEN;
        if (found)
            return ADMIN_EXISTS;
    }
    return ADMIN_OK;
}

/* Folders first, then rows that aren't there yet: an account never comes back without its mail.
 */
static enum admin_result bring_back(struct str id, const struct tab *list, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    enum admin_result result = ADMIN_OK;
    for (size_t i = 0; i < list->row_count && result == ADMIN_OK; i++) {
        const struct tab_row *line = &list->rows[i];
        struct str from = is_line(line, "folder", 3)
                              ? place_of(id, arena_c(&a, line->values[2]), &a)
                              : STR("");
        if (from.n > 0 && move(from.p, arena_c(&a, line->values[1]), e) != RC_OK)
            result = ADMIN_CANT_WRITE;
    }
    for (size_t i = 0; i < list->row_count && result == ADMIN_OK; i++) {
        const struct tab_row *line = &list->rows[i];
        bool found = false;
        if (!is_line(line, "row", 3) || has_lost_its_group(line, &a))
            continue;
        const char *path = arena_c(&a, line->values[1]);
        struct row_match whole = { .count = MIN(line->count - 2, (size_t)COLUMNS_MAX) };
        memcpy(whole.columns, line->values + 2, whole.count * sizeof(whole.columns[0]));
        if (table_find(path, &whole, &a, NULL, &found, e) != RC_OK)
            result = ADMIN_CANT_OPEN;
        else if (!found)
            result = table_add(path, line->values + 2, line->count - 2, e);
    }
    index_follow(RC_AGAIN);
    return result;
}

enum admin_result admin_undelete(struct str id, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab list;
    if (!id_is_good(id) || read_list(id, &a, &list, e) != RC_OK || list.row_count == 0)
        return ADMIN_NO_FOLDER;
    const char *returning = place_of(id, "returning", &a).p;
    enum admin_result result = file_exists(returning) ? ADMIN_OK : may_return(&list, &a, e);
    if (result != ADMIN_OK)
        return result;
    if (file_replace(returning, STR("yes\n"), 0600, e) != RC_OK)
        return ADMIN_CANT_WRITE;
    result = bring_back(id, &list, e);
    if (result == ADMIN_OK && folder_remove(place_of(id, "", &a).p, e) != RC_OK)
        result = ADMIN_CANT_WRITE;
    return result;
}

void admin_removed_purge(usec_t age)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct admin_removed *list = NULL;
    size_t count = 0;
    struct err e;
    if (admin_removed_list(&a, &list, &count, &e) != RC_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        if (clock_wall() - list[i].when * USEC_S < age)
            continue;
        if (folder_remove(place_of(list[i].id, "", &a).p, &e) == RC_OK)
            log_info(EV("removed for good"), KS("what", list[i].what));
        else
            log_warn(EV("removed things not deleted"), KS("what", list[i].what), KE(&e));
    }
}

/* --- after a crash ----------------------------------------------------------------------- */

static bool has_begun(const struct tab *list, struct arena *a)
{
    for (size_t i = 0; i < list->row_count; i++) {
        struct err e;
        bool found = false;
        if (!is_line(&list->rows[i], "drop", 3))
            continue;
        struct row_match m = match_of(&list->rows[i]);
        return table_find(arena_c(a, list->rows[i].values[1]), &m, a, NULL, &found, &e) ==
                   RC_OK &&
               !found;
    }
    return true;
}

static enum rc mend_one(struct str id, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab list;
    if (read_list(id, &a, &list, e) != RC_OK)
        return RC_TEMP;
    if (file_exists(place_of(id, "returning", &a).p))
        return admin_undelete(id, e) == ADMIN_OK ? RC_OK : RC_TEMP;
    if (list.missing || !has_begun(&list, &a))
        return folder_remove(place_of(id, "", &a).p, e);
    return carry_out(id, &list, e) == ADMIN_OK ? RC_OK : RC_TEMP;
}

enum rc admin_mend(struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    static const char *const folders[] = { ".", "custdomains", "filters" };
    struct str *ids = NULL;
    size_t count = 0;
    enum rc rc = each_id(&a, &ids, &count, e);
    for (size_t i = 0; i < ARRAY_LEN(folders) && rc == RC_OK; i++)
        rc = tab_sweep(folders[i], e);
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        if (mend_one(ids[i], e) != RC_OK)
            log_error(EV("an interrupted change was not completed"), KS("id", ids[i]), KE(e));
    if (rc == RC_OK && tls_mend(e) != RC_OK)
        log_error(EV("an interrupted installation of a certificate was not completed"), KE(e));
    if (rc == RC_OK && authority_mend(e) != RC_OK)
        log_error(EV("the list of revoked certificates was not made"), KE(e));
    return rc == RC_OK ? accounts_mend(e) : rc;
}

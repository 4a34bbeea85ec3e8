/*
 * restore.c - from a snapshot to a tree aside, or back into a MailRoot. What is there stays as
 * it is; each file gets its name when it is whole, so a repetition after an interruption goes
 * on. The checksum of each file is compared on the way: what differs isn't restored.
 */
#include "backup/backup_int.h"
#include "conf/tab.h"
#include <dirent.h>

struct restoring {
    const char *snapshot;
    const struct backup_choice *c;
    const struct backup_sink *sink;
    struct backup_restored *out;
    struct arena mem;
    struct manifest m;
    struct str from, to; /* folders chosen lie at or below `from`, and go below `to` */
    bool is_inbox;       /* of `from` only new/ and cur/ */
};

static void say(const struct restoring *r, struct str path, const char *what)
{
    r->sink->say(r->sink->ctx, path, str_from_c(what));
}

bool backup_choice_parse(struct str what, struct backup_choice *out)
{
    *out = (struct backup_choice){ STR(""), STR(""), STR(""), false };
    if (str_eq(what, STR("all")))
        return true;
    size_t slash = str_find(what, '/'), at = str_rfind(str_head(what, slash), '@');
    out->folder = slash == SIZE_MAX ? STR("") : str_skip(what, slash + 1);
    what = str_head(what, slash);
    out->user = at == SIZE_MAX ? STR("") : str_head(what, at);
    out->domain = at == SIZE_MAX ? what : str_skip(what, at + 1);
    bool named = (slash == SIZE_MAX) == (out->folder.n == 0) && out->domain.n > 0;
    return named && (out->folder.n == 0 || out->user.n > 0) && !str_has_any(out->folder, "/") &&
           !str_starts(out->folder, STR("."));
}

/* --- what is chosen ---------------------------------------------------------------------- */

static bool is_below(struct str path, struct str top)
{
    return top.n == 0 || str_eq(path, top) || (str_starts(path, top) && path.p[top.n] == '/');
}

static bool is_chosen(const struct restoring *r, struct str path)
{
    if (!is_below(path, r->from))
        return false;
    if (r->c->leave_queue && is_below(path, STR("queue")))
        return false;
    struct str rest = str_skip(path, r->from.n);
    return !r->is_inbox || str_eq(rest, STR("/new")) || str_eq(rest, STR("/cur"));
}

/* The row of an account in a mailusers.tab; its values in a. False: none. */
static bool find_row(const struct tab *tab, struct str domain, struct str user,
                     const struct tab_row **out)
{
    for (size_t i = 0; i < tab->row_count; i++)
        if (str_ieq(tab_value(&tab->rows[i], 0), domain) &&
            str_ieq(tab_value(&tab->rows[i], 1), user)) {
            *out = &tab->rows[i];
            return true;
        }
    return false;
}

static struct str folder_of(const struct tab_row *row, struct arena *a)
{
    struct str dir = tab_value(row, 4);
    return arena_printf(a, "domains/%.*s/%.*s", STR_ARG(tab_value(row, 0)),
                        STR_ARG(dir.n > 0 ? dir : tab_value(row, 1)));
}

static enum rc read_table(struct restoring *r, const char *name, struct tab *out, struct err *e)
{
    return tab_read(arena_printf(&r->mem, "%s/MailRoot/%s", r->snapshot, name).p, &r->mem, out,
                    e);
}

/* r->from by the choice, as the snapshot's tables say; the row of the user, else NULL. */
static enum rc choose(struct restoring *r, const struct tab_row **out_row, struct err *e)
{
    const struct backup_choice *c = r->c;
    struct tab tab;
    *out_row = NULL;
    r->from = STR("");
    if (c->domain.n == 0)
        return RC_OK;
    r->from = arena_printf(&r->mem, "domains/%.*s", STR_ARG(c->domain));
    enum rc rc = read_table(r, "mailusers.tab", &tab, e);
    if (rc == RC_OK && c->user.n > 0 && !find_row(&tab, c->domain, c->user, out_row))
        return err_perm(e, "5.1.1", "the snapshot has no account %.*s@%.*s", STR_ARG(c->user),
                        STR_ARG(c->domain));
    if (rc == RC_OK && *out_row != NULL)
        r->from = folder_of(*out_row, &r->mem);
    r->is_inbox = str_ieq(c->folder, STR("INBOX"));
    if (c->folder.n > 0)
        r->from = arena_printf(&r->mem, r->is_inbox ? "%.*s/Maildir" : "%.*s/Maildir/.%.*s",
                               STR_ARG(r->from), STR_ARG(c->folder));
    if (rc == RC_OK && map_get(&r->m.by_path, r->from) == NULL)
        return err_perm(e, "5.1.1", "the snapshot has no %.*s", STR_ARG(r->from));
    return rc;
}

/* --- files ------------------------------------------------------------------------------- */

/* The snapshot's file, copied to `tmp` and compared. RC_GONE: it isn't what it was; said and
 * counted. */
static enum rc copy_proved(struct restoring *r, struct str path, const struct manifest_file *f,
                           const char *tmp, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    uint8_t sum[MANIFEST_SUM_BYTES] = { 0 };
    uint64_t octets = 0;
    const char *from =
        arena_printf(&a, "%s/MailRoot/%.*s/%.*s", r->snapshot, STR_ARG(path), STR_ARG(f->name))
            .p;
    int fd AUTO_CLOSE = io_open(from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        say(r, str_from_c(from), "can't be read: not restored");
        r->out->bad++;
        return RC_GONE;
    }
    enum rc rc = copy_file(fd, tmp, &st, sum, &octets, e);
    if (rc != RC_OK)
        return err_wrap(e, "%s", from);
    if (octets == f->size && memcmp(sum, f->sum, sizeof(sum)) == 0) {
        r->out->files++;
        r->out->octets += octets;
        if (r->sink->progress != NULL)
            r->sink->progress(r->sink->ctx, r->out->files, r->out->octets);
        return RC_OK;
    }
    say(r, str_from_c(from), "has other content than when it was made: not restored");
    r->out->bad++;
    (void)io_unlink(tmp);
    return RC_GONE;
}

/* By way of `tmp`, so that it is whole when it has its name; never over another file. */
static enum rc bring(struct restoring *r, struct str path, const struct manifest_file *f,
                     const char *tmp, const char *to, struct err *e)
{
    (void)io_unlink(tmp);
    enum rc rc = copy_proved(r, path, f, tmp, e);
    if (rc != RC_OK)
        return rc == RC_GONE ? RC_OK : rc;
    if (io_link(tmp, to) < 0 && errno != EEXIST)
        rc = err_sys(e, "make %s", to);
    (void)io_unlink(tmp);
    return rc;
}

static struct str target(const struct restoring *r, struct str path, struct arena *a)
{
    return arena_printf(a, "%.*s%.*s", STR_ARG(r->to), STR_ARG(str_skip(path, r->from.n)));
}

static enum rc make_folder(struct restoring *r, const struct manifest_folder *folder,
                           const char *to, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct stat st;
    if (folder_exists(to))
        return RC_OK;
    enum rc rc = folder_make(to, 0700, e);
    const char *from =
        arena_printf(&a, "%s/MailRoot/%.*s", r->snapshot, STR_ARG(folder->path)).p;
    int fd AUTO_CLOSE = rc == RC_OK ? io_open(to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0) : -1;
    if (rc == RC_OK && (fd < 0 || io_lstat(from, &st) < 0 || io_set_like(fd, &st) < 0))
        rc = err_sys(e, "set the mode of %s", to);
    return rc;
}

/* --- aside ------------------------------------------------------------------------------- */

static enum rc aside_folder(struct restoring *r, const struct manifest_folder *folder,
                            struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct manifest_file f;
    struct str to = arena_printf(&a, "%.*s%s%.*s", STR_ARG(r->to),
                                 folder->path.n > 0 ? "/" : "", STR_ARG(folder->path));
    enum rc rc = make_folder(r, folder, to.p, e);
    for (struct str lines = folder->lines; rc == RC_OK && manifest_next(&lines, &a, &f);) {
        rc = copy_proved(r, folder->path, &f,
                         arena_printf(&a, "%s/%.*s", to.p, STR_ARG(f.name)).p, e);
        r->out->messages += rc == RC_OK && path_is_messages(folder->path);
        rc = rc == RC_GONE ? RC_OK : rc;
    }
    return rc;
}

static enum rc check_empty(const char *to, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    enum rc rc = folder_make(to, 0700, e);
    if (rc == RC_OK)
        rc = folder_open(to, &f, e);
    if (rc == RC_OK && folder_next(f, &name, &type))
        rc = err_perm(e, "5.3.0", "%s isn't empty: nothing is written over", to);
    folder_close(&f);
    return rc;
}

static enum rc sync_all(const char *path, struct err *e)
{
    int fd AUTO_CLOSE = io_open(path, O_RDONLY | O_DIRECTORY, 0);
    return fd < 0 || io_syncfs(fd) < 0 ? err_sys(e, "sync %s", path) : RC_OK;
}

static void restoring_release(struct restoring *r)
{
    manifest_release(&r->m);
    arena_release(&r->mem);
}

enum rc backup_restore_aside(const char *snapshot, const struct backup_choice *c,
                             const char *to, const struct backup_sink *sink,
                             struct backup_restored *out, struct err *e)
{
    struct restoring r = { .snapshot = snapshot, .c = c, .sink = sink, .out = out };
    const struct tab_row *row = NULL;
    *out = (struct backup_restored){ .files = 0 };
    enum rc rc = manifest_read(snapshot, &r.mem, &r.m, e);
    if (rc == RC_OK)
        rc = choose(&r, &row, e);
    if (rc == RC_OK)
        rc = check_empty(to, e);
    r.to = str_from_c(to);
    for (size_t i = 0; rc == RC_OK && i < r.m.count; i++)
        if (is_chosen(&r, r.m.folders[i].path))
            rc = aside_folder(&r, &r.m.folders[i], e);
    if (rc == RC_OK)
        rc = sync_all(to, e);
    restoring_release(&r);
    return rc;
}

/* --- back: messages ---------------------------------------------------------------------- */

static enum rc add_bases(const char *path, struct arena *a, struct map *seen, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    if (!folder_exists(path))
        return RC_OK;
    enum rc rc = folder_open(path, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type))
        (void)map_put(seen, message_base(arena_str(a, name)), seen);
    folder_close(&f);
    return rc;
}

/* Those of new/ or cur/ whose names neither has. */
static enum rc back_messages(struct restoring *r, const struct manifest_folder *folder,
                             struct str to, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct map seen = { .fold = false };
    struct manifest_file f;
    struct str maildir = str_head(to, to.n - 4);
    const char *tmp = arena_printf(&a, "%.*s/tmp", STR_ARG(maildir)).p;
    enum rc rc = folder_make(tmp, 0700, e);
    if (rc == RC_OK)
        rc = add_bases(arena_printf(&a, "%.*s/new", STR_ARG(maildir)).p, &a, &seen, e);
    if (rc == RC_OK)
        rc = add_bases(arena_printf(&a, "%.*s/cur", STR_ARG(maildir)).p, &a, &seen, e);
    for (struct str lines = folder->lines; rc == RC_OK && manifest_next(&lines, &a, &f);) {
        if (map_get(&seen, message_base(f.name)) != NULL) {
            r->out->present++;
            continue;
        }
        uint64_t before = r->out->files;
        rc = bring(r, folder->path, &f, arena_printf(&a, "%s/%.*s", tmp, STR_ARG(f.name)).p,
                   arena_printf(&a, "%.*s/%.*s", STR_ARG(to), STR_ARG(f.name)).p, e);
        r->out->messages += r->out->files - before;
    }
    map_release(&seen);
    return rc;
}

static enum rc back_files(struct restoring *r, const struct manifest_folder *folder,
                          struct str to, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct manifest_file f;
    struct stat st;
    enum rc rc = RC_OK;
    const char *tmp = arena_printf(&a, "%.*s/.hikyaku-restore", STR_ARG(to)).p;
    for (struct str lines = folder->lines; rc == RC_OK && manifest_next(&lines, &a, &f);) {
        const char *path = arena_printf(&a, "%.*s/%.*s", STR_ARG(to), STR_ARG(f.name)).p;
        if (io_lstat(path, &st) == 0)
            r->out->kept++;
        else
            rc = bring(r, folder->path, &f, tmp, path, e);
    }
    return rc;
}

static enum rc back_folder(struct restoring *r, const struct manifest_folder *folder,
                           struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str to = target(r, folder->path, &a);
    enum rc rc = make_folder(r, folder, to.p, e);
    if (rc != RC_OK)
        return rc;
    return path_is_messages(folder->path) ? back_messages(r, folder, to, e)
                                          : back_files(r, folder, to, e);
}

/* --- back: lines of tables --------------------------------------------------------------- */

static enum rc add_row(struct restoring *r, const char *table, const struct tab_row *row,
                       struct str id, struct err *e)
{
    struct str *values = arena_new_array(&r->mem, struct str, row->count + 1);
    for (size_t i = 0; i < row->count; i++)
        values[i] = row->values[i];
    if (id.n > 0 && row->count > 3)
        values[3] = id;
    enum rc rc = tab_append(table, values, row->count, e);
    r->out->rows += rc == RC_OK;
    return rc;
}

/* The account's number, or the next free one when another has it now. */
static struct str free_id(const struct tab *now, const struct tab_row *row, struct arena *a)
{
    uint64_t highest = 0, id = 0;
    bool taken = false;
    for (size_t i = 0; i < now->row_count; i++) {
        taken = taken || str_eq(tab_value(&now->rows[i], 3), tab_value(row, 3));
        if (str_to_u64(tab_value(&now->rows[i], 3), &id))
            highest = MAX(highest, id);
    }
    return taken ? arena_printf(a, "%" PRIu64, highest + 1) : STR("");
}

static enum rc add_domain(struct restoring *r, struct err *e)
{
    struct tab now, old;
    enum rc rc = tab_read("domains.tab", &r->mem, &now, e);
    for (size_t i = 0; rc == RC_OK && i < now.row_count; i++)
        if (str_ieq(tab_value(&now.rows[i], 0), r->c->domain))
            return RC_OK;
    if (rc == RC_OK)
        rc = read_table(r, "domains.tab", &old, e);
    for (size_t i = 0; rc == RC_OK && i < old.row_count; i++)
        if (str_ieq(tab_value(&old.rows[i], 0), r->c->domain))
            return add_row(r, "domains.tab", &old.rows[i], STR(""), e);
    return rc;
}

/* The accounts chosen that mailusers.tab lacks. */
static enum rc add_accounts(struct restoring *r, struct err *e)
{
    struct tab old;
    enum rc rc = read_table(r, "mailusers.tab", &old, e);
    for (size_t i = 0; rc == RC_OK && i < old.row_count; i++) {
        const struct tab_row *row = &old.rows[i], *there = NULL;
        struct tab now;
        if (!str_ieq(tab_value(row, 0), r->c->domain) ||
            (r->c->user.n > 0 && !str_ieq(tab_value(row, 1), r->c->user)))
            continue;
        rc = tab_read("mailusers.tab", &r->mem, &now, e);
        if (rc == RC_OK && !find_row(&now, tab_value(row, 0), tab_value(row, 1), &there))
            rc = add_row(r, "mailusers.tab", row, free_id(&now, row, &r->mem), e);
    }
    return rc;
}

static enum rc add_aliases(struct restoring *r, struct err *e)
{
    struct tab old, now;
    const struct tab_row *there = NULL;
    if (r->c->user.n > 0)
        return RC_OK;
    enum rc rc = read_table(r, "aliases.tab", &old, e);
    if (rc == RC_OK)
        rc = tab_read("aliases.tab", &r->mem, &now, e);
    for (size_t i = 0; rc == RC_OK && i < old.row_count; i++)
        if (str_ieq(tab_value(&old.rows[i], 0), r->c->domain) &&
            !find_row(&now, tab_value(&old.rows[i], 0), tab_value(&old.rows[i], 1), &there))
            rc = add_row(r, "aliases.tab", &old.rows[i], STR(""), e);
    return rc;
}

/* Where the account has its folder now; where it had it, when it has none. */
static enum rc find_target(struct restoring *r, const struct tab_row *row, struct err *e)
{
    struct tab now;
    const struct tab_row *there = NULL;
    r->to = r->from;
    if (row == NULL)
        return RC_OK;
    enum rc rc = tab_read("mailusers.tab", &r->mem, &now, e);
    if (rc == RC_OK && find_row(&now, tab_value(row, 0), tab_value(row, 1), &there))
        r->to = arena_printf(&r->mem, "%.*s%.*s", STR_ARG(folder_of(there, &r->mem)),
                             STR_ARG(str_skip(r->from, folder_of(row, &r->mem).n)));
    return rc;
}

enum rc backup_restore_back(const char *snapshot, const struct backup_choice *c,
                            const struct backup_sink *sink, struct backup_restored *out,
                            struct err *e)
{
    struct restoring r = { .snapshot = snapshot, .c = c, .sink = sink, .out = out };
    const struct tab_row *row = NULL;
    *out = (struct backup_restored){ .files = 0 };
    enum rc rc = manifest_read(snapshot, &r.mem, &r.m, e);
    if (rc == RC_OK)
        rc = choose(&r, &row, e);
    if (rc == RC_OK)
        rc = find_target(&r, row, e);
    for (size_t i = 0; rc == RC_OK && i < r.m.count; i++)
        if (is_chosen(&r, r.m.folders[i].path))
            rc = back_folder(&r, &r.m.folders[i], e);
    /* Folders are durable before the rows that name them. */
    if (rc == RC_OK)
        rc = sync_all(arena_c(&r.mem, r.to), e);
    if (rc == RC_OK)
        rc = add_domain(&r, e);
    if (rc == RC_OK)
        rc = add_accounts(&r, e);
    if (rc == RC_OK)
        rc = add_aliases(&r, e);
    restoring_release(&r);
    return rc;
}

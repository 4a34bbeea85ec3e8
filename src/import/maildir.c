/* maildir.c - a Maildir with its folders (".Sent", ".Lists.news": Maildir++). Names, flags and
 * times stay. */
#include "import/import_int.h"
#include <dirent.h>

static void say(struct import *im, const char *path, const char *what)
{
    im->say(im->ctx, str_from_c(path), str_from_c(what));
}

/* The name there without sizes and flags; where it can't be a name of ours, one made of it. */
static struct str base_of(struct str name, struct arena *a)
{
    struct str base = str_head(name, MIN(str_find(name, ':'), name.n));
    base = str_head(base, MIN(str_find(base, ','), base.n));
    bool good = base.n > 0 && base.n <= 120 && base.p[0] != '.' && !str_has_control(base) &&
                !str_has_any(base, "/:,\\ ");
    return good ? base
                : arena_printf(a, "0.I%016" PRIx64 ".hikyaku", hash_text(name, false, 11));
}

/* Letters behind ":2,": only those that Maildir knows. */
static struct str flags_of(struct str name, bool in_cur, struct arena *a)
{
    size_t at = str_find_str(name, STR(":2,"));
    struct str letters = at == SIZE_MAX ? STR("") : str_skip(name, at + 3);
    char *p = arena_new(a, 8);
    size_t n = 0;
    for (const char *known = "DFPRST"; *known != '\0'; known++)
        if (str_find(letters, *known) != SIZE_MAX)
            p[n++] = *known;
    return in_cur ? str_from(p, n) : str_from(NULL, 0);
}

static enum rc take(struct import_target *t, const char *folder, struct str name, bool in_cur,
                    struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct import_report *r = &t->im->report;
    struct stat st;
    bool there = false;
    const char *path = arena_printf(&a, "%s/%.*s", folder, STR_ARG(name)).p;
    struct str base = base_of(name, &a);
    int fd AUTO_CLOSE = io_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0) {
        say(t->im, path, "can't be read");
        r->bad++;
        return RC_OK;
    }
    r->messages++;
    r->octets += (uint64_t)st.st_size;
    enum rc rc = import_has(t, base, &there, e);
    r->present += there;
    if (rc != RC_OK || there || !t->im->really)
        return rc;
    rc = import_begin(t, e);
    if (rc == RC_OK)
        rc = import_copy(t, fd, e);
    return rc == RC_OK ? import_end(t, base, flags_of(name, in_cur, &a),
                                    (usec_t)st.st_mtim.tv_sec * USEC_S, e)
                       : rc;
}

static enum rc take_names(struct import_target *t, const char *path, bool in_cur, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    enum rc rc = folder_exists(path) ? folder_open(path, &f, e) : RC_OK;
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        if (type == DT_REG && name.p[0] != '.')
            rc = take(t, path, name, in_cur, e);
        else if (type != DT_REG)
            t->im->report.skipped++;
    }
    folder_close(&f);
    return rc;
}

static enum rc take_folder(struct import *im, const char *path, const struct account *account,
                           struct str folder, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err later;
    struct import_target t = { .im = im, .account = account, .folder = folder };
    enum rc rc = take_names(&t, arena_printf(&a, "%s/new", path).p, false, e);
    if (rc == RC_OK)
        rc = take_names(&t, arena_printf(&a, "%s/cur", path).p, true, e);
    if (rc == RC_OK)
        return import_finish(&t, e);
    (void)!import_finish(&t, &later);
    return rc;
}

enum rc import_maildir(struct import *im, const char *path, const struct account *account,
                       struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    if (!folder_exists(arena_printf(&a, "%s/cur", path).p) &&
        !folder_exists(arena_printf(&a, "%s/new", path).p))
        return err_perm(e, "5.3.0", "%s is no Maildir: it has no new/ or cur/", path);
    enum rc rc = take_folder(im, path, account, STR(""), e);
    if (rc == RC_OK)
        rc = folder_open(path, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        if (type != DT_DIR || name.p[0] != '.')
            continue;
        const char *below = arena_printf(&a, "%s/%.*s", path, STR_ARG(name)).p;
        if (store_folder_is_good(str_skip(name, 1)))
            rc = take_folder(im, below, account, str_skip(arena_str(&a, name), 1), e);
        else
            say(im, below, "is left out: not a folder's name");
    }
    folder_close(&f);
    return rc;
}

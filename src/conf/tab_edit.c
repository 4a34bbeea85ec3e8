/*
 * tab_edit.c - changing tables. All changes of this program are made under one lock of the
 * MailRoot; other programs are not, so a rewrite looks once more whether the file is still the
 * one it read and begins again if not. A crash at any point leaves the old table or the new
 * one.
 */
#include "conf/tab.h"

#define LOCK_FILE "hikyaku/tables.lock"
#define TRIES 10

static tab_change_fn *on_change;

void tab_on_change(tab_change_fn *fn)
{
    on_change = fn;
}

static void tell(enum rc rc, const char *path, struct str before, struct str after)
{
    if (rc == RC_OK && on_change != NULL)
        on_change(path, before, after);
}

enum rc tab_lock(int *out_fd, struct err *e)
{
    enum rc rc = folder_make("hikyaku", 0750, e);
    return rc == RC_OK ? file_lock(LOCK_FILE, true, out_fd, e) : rc;
}

/* The line end that the text uses; LF when it has none. */
static const char *line_end_of(struct str text)
{
    size_t lf = str_find(text, '\n');
    return lf != SIZE_MAX && lf > 0 && text.p[lf - 1] == '\r' ? "\r\n" : "\n";
}

/* The file's text; a missing one is empty. */
static enum rc read_text(const char *path, struct arena *a, struct str *out,
                         struct file_id *out_id, struct err *e)
{
    struct err why = { .sys = 0 };
    enum rc rc = file_read(path, TAB_FILE_MAX, a, out, out_id, &why);
    if (rc == RC_OK)
        return RC_OK;
    if (why.sys != ENOENT)
        return err_temp(e, "4.3.0", "%s", why.text);
    *out = STR("");
    *out_id = (struct file_id){ .dev = 0 };
    return RC_OK;
}

/* What of the file must be known to append: how it ends, and which line ends it uses. */
static enum rc look_at_ends(int fd, bool *out_open, const char **out_eol, struct err *e)
{
    char head[4096], last = '\n';
    struct stat st;
    if (io_fstat(fd, &st) < 0)
        return err_sys(e, "stat table");
    ssize_t n = io_pread(fd, head, sizeof(head), 0);
    if (n < 0 || (st.st_size > 0 && io_pread(fd, &last, 1, (uint64_t)st.st_size - 1) != 1))
        return err_sys(e, "read table");
    *out_open = last != '\n';
    *out_eol = line_end_of(str_from(head, (size_t)n));
    return RC_OK;
}

static enum rc append_row(int fd, const char *path, const struct str *values, size_t count,
                          struct err *e)
{
    struct buf line AUTO_RELEASE_BUF;
    buf_init(&line, TAB_LINE_MAX);
    bool open = false;
    const char *eol = "\n";
    enum rc rc = look_at_ends(fd, &open, &eol, e);
    if (rc == RC_OK && open)
        rc = buf_add(&line, eol, strlen(eol));
    if (rc == RC_OK)
        rc = tab_print_row(&line, values, count, eol, e);
    if (rc != RC_OK)
        return rc;
    struct iovec part = { line.p, line.n };
    rc = io_write_all(fd, &part, 1, e);
    if (rc == RC_OK && io_fdatasync(fd) < 0)
        rc = err_sys(e, "sync table");
    tell(rc, path, STR(""), buf_str(&line));
    return rc;
}

enum rc tab_append(const char *path, const struct str *values, size_t count, struct err *e)
{
    int lock AUTO_CLOSE = -1;
    enum rc rc = tab_lock(&lock, e);
    if (rc != RC_OK)
        return rc;
    if (!file_exists(path)) {
        struct buf line AUTO_RELEASE_BUF;
        buf_init(&line, TAB_LINE_MAX);
        rc = tab_print_row(&line, values, count, "\n", e);
        if (rc == RC_OK)
            rc = file_replace(path, buf_str(&line), 0640, e);
        tell(rc, path, STR(""), buf_str(&line));
        return rc;
    }
    int fd AUTO_CLOSE = io_open(path, O_RDWR | O_APPEND, 0);
    if (fd < 0)
        return err_sys(e, "open %s", path);
    rc = append_row(fd, path, values, count, e);
    return rc == RC_OK ? rc : err_wrap(e, "%s", path);
}

/* One line of the old text into the new one, as `edit` decides. */
static enum rc edit_line(struct str line, unsigned number, const char *eol, tab_edit_fn *edit,
                         void *ctx, struct arena *a, struct buf *out, size_t *changed,
                         struct err *e)
{
    struct str values[64];
    const struct str *fresh = NULL;
    size_t count = 0, fresh_count = 0;
    enum tab_verdict verdict = TAB_KEEP;
    if (tab_parse_line(line, a, values, ARRAY_LEN(values), &count, NULL) == RC_OK &&
        count > 0) {
        struct tab_row row = { number, count, values };
        verdict = edit(ctx, &row, a, &fresh, &fresh_count);
    }
    if (verdict != TAB_KEEP)
        (*changed)++;
    if (verdict == TAB_DROP)
        return RC_OK;
    if (verdict == TAB_REPLACE)
        return tab_print_row(out, fresh, fresh_count, eol, e);
    return buf_add_str(out, line) == RC_OK ? RC_OK
                                           : err_temp(e, "4.3.0", "out of memory for a table");
}

/* The new text of the table. */
static enum rc edit_text(struct str text, tab_edit_fn *edit, void *ctx, struct arena *a,
                         struct buf *out, size_t *changed, struct err *e)
{
    const char *eol = line_end_of(text);
    enum rc rc = RC_OK;
    struct str rest = text;
    for (unsigned number = 1; rest.n > 0 && rc == RC_OK; number++) {
        size_t lf = str_find(rest, '\n');
        size_t whole =
            lf == SIZE_MAX ? rest.n : lf + 1; /* with its line end, so that it survives */
        struct str line = str_head(rest, whole);
        struct str content = lf == SIZE_MAX ? line : str_head(line, lf);
        size_t before = *changed, at = out->n;
        rc = edit_line(content, number, eol, edit, ctx, a, out, changed, e);
        if (rc == RC_OK && *changed == before) {
            buf_truncate(out, at);
            rc =
                buf_add_str(out, line) == RC_OK ? RC_OK : err_temp(e, "4.3.0", "out of memory");
        }
        rest = str_skip(rest, whole);
    }
    return rc;
}

/* The rows that come at the end. */
static enum rc add_more(tab_more_fn *more, void *ctx, const char *eol, struct buf *out,
                        size_t *changed, struct err *e)
{
    const struct str *values = NULL;
    size_t count = 0;
    enum rc rc = RC_OK;
    while (rc == RC_OK && more != NULL && more(ctx, &values, &count)) {
        if (out->n > 0 && out->p[out->n - 1] != '\n')
            rc = buf_add(out, eol, strlen(eol));
        if (rc == RC_OK)
            rc = tab_print_row(out, values, count, eol, e);
        (*changed)++;
    }
    return rc;
}

/* One try at the rewrite. RC_AGAIN: the file changed meanwhile. */
static enum rc edit_once(const char *path, tab_edit_fn *edit, tab_more_fn *more, void *ctx,
                         size_t *out_changed, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct buf fresh AUTO_RELEASE_BUF;
    struct str text;
    struct file_id read_id, now_id;
    size_t changed = 0;
    buf_init(&fresh, TAB_FILE_MAX);
    enum rc rc = read_text(path, &mem, &text, &read_id, e);
    if (rc == RC_OK)
        rc = edit_text(text, edit, ctx, &mem, &fresh, &changed, e);
    if (rc == RC_OK)
        rc = add_more(more, ctx, line_end_of(text), &fresh, &changed, e);
    if (rc == RC_OK)
        rc = file_id_get(path, &now_id, e);
    if (rc == RC_OK && !file_id_eq(&read_id, &now_id))
        return RC_AGAIN;
    if (rc == RC_OK && changed > 0) {
        rc = file_replace(path, buf_str(&fresh), 0640, e);
        tell(rc, path, text, buf_str(&fresh));
    }
    if (rc == RC_OK)
        *out_changed = changed;
    return rc;
}

enum rc tab_edit_more(const char *path, tab_edit_fn *edit, tab_more_fn *more, void *ctx,
                      size_t *out_changed, struct err *e)
{
    int lock AUTO_CLOSE = -1;
    enum rc rc = tab_lock(&lock, e);
    for (int i = 0; i < TRIES && rc == RC_OK; i++) {
        rc = edit_once(path, edit, more, ctx, out_changed, e);
        if (rc != RC_AGAIN)
            return rc;
        rc = RC_OK;
    }
    return rc == RC_OK ? err_temp(e, "4.3.0", "%s keeps being changed by others", path) : rc;
}

enum rc tab_edit(const char *path, tab_edit_fn *edit, void *ctx, size_t *out_changed,
                 struct err *e)
{
    return tab_edit_more(path, edit, NULL, ctx, out_changed, e);
}

/* The lines of the text with that line end. */
static enum rc with_ends(struct str text, const char *eol, struct buf *out, struct err *e)
{
    enum rc rc = RC_OK;
    for (struct str line; rc == RC_OK && text.n > 0 && str_cut(&text, '\n', &line);) {
        rc = buf_add_str(out, line);
        if (rc == RC_OK)
            rc = buf_add(out, eol, strlen(eol));
    }
    return rc == RC_OK ? rc : err_temp(e, "4.3.0", "out of memory for a table");
}

enum rc tab_replace(const char *path, struct str text, struct err *e)
{
    int lock AUTO_CLOSE = -1;
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct buf lines AUTO_RELEASE_BUF;
    struct str before = STR("");
    struct file_id id;
    buf_init(&lines, TAB_FILE_MAX);
    enum rc rc = tab_lock(&lock, e);
    if (rc == RC_OK)
        rc = read_text(path, &mem, &before, &id, e);
    if (rc != RC_OK)
        return rc;
    if (text.n == 0) {
        rc = file_remove(path, e);
    } else if (strcmp(line_end_of(before), "\n") == 0) {
        rc = file_replace(path, text, 0640, e);
    } else {
        rc = with_ends(text, line_end_of(before), &lines, e);
        if (rc == RC_OK)
            rc = file_replace(path, buf_str(&lines), 0640, e);
        text = buf_str(&lines);
    }
    tell(rc, path, before, text);
    return rc;
}

/* Removes one left-over; false: there is none. */
static enum rc sweep_one(const char *folder, bool *out_found, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    int lock AUTO_CLOSE = -1;
    struct folder *f = NULL;
    struct str name, path = { NULL, 0 };
    unsigned char type = 0;
    enum rc rc = folder_open(folder, &f, e);
    while (rc == RC_OK && path.n == 0 && folder_next(f, &name, &type))
        if (str_find_str(name, STR(".tab.tmp-")) != SIZE_MAX)
            path = arena_printf(&a, "%s/%.*s", folder, STR_ARG(name));
    folder_close(&f);
    *out_found = path.n > 0;
    if (rc == RC_OK && path.n > 0)
        rc = tab_lock(&lock, e); /* then nobody is writing it, or it is gone */
    return rc == RC_OK && path.n > 0 ? file_remove(path.p, e) : rc;
}

enum rc tab_sweep(const char *folder, struct err *e)
{
    bool found = folder_exists(folder);
    enum rc rc = RC_OK;
    while (found && rc == RC_OK)
        rc = sweep_one(folder, &found, e);
    return rc;
}

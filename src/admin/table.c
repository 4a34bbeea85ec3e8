/* table.c - rows in and out of tables, and the index told about it. */
#include "admin/admin_int.h"

static bool due;

bool admin_index_due(void)
{
    return due;
}

bool admin_is_ready(struct err *e)
{
    return !due && !users_index_differs(e);
}

void index_follow(enum rc rc)
{
    if (rc != RC_OK)
        due = true;
}

enum rc admin_build_index(int *out_fd, struct users_report *out, struct err *e)
{
    int fd = -1;
    enum rc rc = users_index_build(&fd, out, e);
    if (rc != RC_OK)
        return rc;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    rc = own < 0 ? err_sys(e, "index of accounts") : users_index_use(own, e);
    if (rc != RC_OK) {
        io_close(fd);
        return rc;
    }
    *out_fd = fd;
    due = false;
    return RC_OK;
}

bool row_matches(const struct row_match *m, const struct tab_row *row)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->columns[i].p != NULL && !str_ieq(m->columns[i], tab_value(row, i)))
            return false;
    return row->count >= m->count;
}

enum rc table_find(const char *path, const struct row_match *m, struct arena *a,
                   struct tab_row *out, bool *out_found, struct err *e)
{
    struct tab tab;
    enum rc rc = tab_read(path, a, &tab, e);
    *out_found = false;
    for (size_t i = 0; rc == RC_OK && i < tab.row_count && !*out_found; i++) {
        *out_found = row_matches(m, &tab.rows[i]);
        if (*out_found && out != NULL)
            *out = tab.rows[i];
    }
    return rc;
}

/* The table is as we wrote it: its index follows by what the caller says. */
static enum admin_result written(const char *path, enum rc rc, struct err *e)
{
    struct err ignored;
    if (users_index_note_written(path, &ignored) != RC_OK)
        due = true;
    (void)e;
    return rc == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}

enum admin_result table_add(const char *path, const struct str *values, size_t count,
                            struct err *e)
{
    for (size_t i = 0; i < count; i++)
        if (!value_is_good(values[i]))
            return ADMIN_BAD_CHARACTERS;
    return written(path, tab_append(path, values, count, e), e);
}

struct edit {
    const struct row_match *match;
    size_t column; /* SIZE_MAX: drop */
    struct str value;
};

static enum tab_verdict edit_row(void *ctx, const struct tab_row *row, struct arena *a,
                                 const struct str **out_values, size_t *out_count)
{
    const struct edit *edit = ctx;
    if (!row_matches(edit->match, row))
        return TAB_KEEP;
    if (edit->column == SIZE_MAX)
        return TAB_DROP;
    *out_count = MAX(row->count, edit->column + 1);
    struct str *values = arena_new_array(a, struct str, *out_count);
    for (size_t i = 0; i < *out_count; i++)
        values[i] = i == edit->column ? edit->value : tab_value(row, i);
    *out_values = values;
    return TAB_REPLACE;
}

enum admin_result table_drop(const char *path, const struct row_match *m, size_t *out_dropped,
                             struct err *e)
{
    struct edit edit = { .match = m, .column = SIZE_MAX };
    *out_dropped = 0;
    if (!file_exists(path))
        return ADMIN_OK;
    return written(path, tab_edit(path, edit_row, &edit, out_dropped, e), e);
}

enum admin_result table_set(const char *path, const struct row_match *m, size_t column,
                            struct str value, size_t *out_changed, struct err *e)
{
    struct edit edit = { .match = m, .column = column, .value = value };
    *out_changed = 0;
    if (!value_is_good(value))
        return ADMIN_BAD_CHARACTERS;
    if (!file_exists(path))
        return ADMIN_OK;
    return written(path, tab_edit(path, edit_row, &edit, out_changed, e), e);
}

/* cmd_file.c - custdom*, cfgfile*, filelist, poplnk*, restart, reload. */
#include "control/control_int.h"
#include "sys/file.h"
#include <dirent.h>

static enum admin_result show_file(struct ctrl *c, struct str path, struct err *e)
{
    struct arena *a = &c->line_mem;
    struct stat st;
    struct str text = STR("");
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    int fd AUTO_CLOSE = io_open_beneath(path.p, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0) {
        (void)err_sys(e, "open %s", path.p);
        return ADMIN_CANT_OPEN;
    }
    if (S_ISDIR(st.st_mode))
        return ADMIN_OK; /* an empty list, as XMail says */
    if (!S_ISREG(st.st_mode) ||
        file_read_open(fd, path.p, TAB_FILE_MAX, a, &text, NULL, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    if (str_find_str(text, STR("PRIVATE KEY-----")) != SIZE_MAX)
        return ADMIN_BAD_PATH;
    return buf_add_str(&c->text, text) == RC_OK ? ADMIN_OK : ADMIN_CANT_OPEN;
}

static enum admin_result set_file(struct ctrl *c, struct str content, struct err *e)
{
    return admin_file_set(c->upload_path, content, c->upload_version, e);
}

/* --- configuration files ----------------------------------------------------------------- */

enum admin_result ctrl_cfgfileget(struct ctrl *c, struct err *e)
{
    struct str path;
    enum admin_result result =
        admin_path(ctrl_param(c, 1), ADMIN_FILE_READ, &c->line_mem, &path);
    return result == ADMIN_OK ? show_file(c, path, e) : result;
}

enum admin_result ctrl_cfgfileset(struct ctrl *c, struct err *e)
{
    struct str path;
    (void)e;
    enum admin_result result =
        admin_path(ctrl_param(c, 1), ADMIN_FILE_WRITE, &c->line_mem, &path);
    c->upload_version = ctrl_param(c, 2);
    uint64_t trial = 0;
    if (c->count > 3 && (!str_to_u64(ctrl_param(c, 3), &trial) || trial > 86400))
        return ADMIN_BAD_PARAMETER;
    c->trial_s = (unsigned)trial;
    return result == ADMIN_OK ? ctrl_upload(c, path, set_file) : result;
}

enum admin_result ctrl_filelist(struct ctrl *c, struct err *e)
{
    struct arena *a = &c->line_mem;
    struct folder *f = NULL;
    struct str path, name;
    unsigned char type = 0;
    enum admin_result result = admin_path(ctrl_param(c, 1), ADMIN_FILE_LIST, a, &path);
    if (result != ADMIN_OK)
        return result;
    int fd AUTO_CLOSE = io_open_beneath(path.p, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || folder_open(path.p, &f, e) != RC_OK)
        return ADMIN_NO_FOLDER;
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    while (folder_next(f, &name, &type)) {
        struct arena one AUTO_RELEASE_ARENA = { .head = NULL };
        struct stat st;
        if (!str_matches(name, ctrl_param(c, 2)) ||
            io_lstat(arena_printf(&one, "%s/%.*s", path.p, STR_ARG(name)).p, &st) < 0 ||
            !S_ISREG(st.st_mode))
            continue;
        const struct str row[] = { name, arena_printf(&one, "%" PRId64, (int64_t)st.st_size) };
        ctrl_text_row(c, row, 2);
    }
    folder_close(&f);
    return ADMIN_OK;
}

/* --- orders to the master ---------------------------------------------------------------- */

static enum admin_result order(const char *name, struct err *e)
{
    return file_replace(name, STR(""), 0600, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}

enum admin_result ctrl_restart(struct ctrl *c, struct err *e)
{
    (void)c;
    return order(".restart", e);
}

enum admin_result ctrl_reload(struct ctrl *c, struct err *e)
{
    (void)c;
    return order(".reload", e);
}

/* --- custom domains ---------------------------------------------------------------------- */

enum admin_result ctrl_custdomget(struct ctrl *c, struct err *e)
{
    struct str path;
    enum admin_result result = admin_custom_path(ctrl_param(c, 1), &c->line_mem, &path);
    if (result != ADMIN_OK)
        return result;
    return file_exists(path.p) ? show_file(c, path, e) : ADMIN_NOT_CUSTOM;
}

enum admin_result ctrl_custdomset(struct ctrl *c, struct err *e)
{
    struct str path;
    (void)e;
    enum admin_result result = admin_custom_path(ctrl_param(c, 1), &c->line_mem, &path);
    return result == ADMIN_OK ? ctrl_upload(c, path, set_file) : result;
}

enum admin_result ctrl_custdomlist(struct ctrl *c, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    if (!folder_exists("custdomains"))
        return ADMIN_OK;
    if (folder_open("custdomains", &f, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    while (folder_next(f, &name, &type)) {
        struct str domain = str_head(name, name.n - MIN(name.n, strlen(".tab")));
        if (str_iends(name, STR(".tab")))
            ctrl_text_row(c, &domain, 1);
    }
    folder_close(&f);
    return ADMIN_OK;
}

/* --- POP3 links -------------------------------------------------------------------------- */

static struct admin_link link_of(const struct ctrl *c, size_t first)
{
    return (struct admin_link){ ctrl_param(c, first), ctrl_param(c, first + 1),
                                ctrl_param(c, first + 2), ctrl_param(c, first + 3) };
}

enum admin_result ctrl_poplnkadd(struct ctrl *c, struct err *e)
{
    struct admin_link link = link_of(c, 1);
    return admin_link_add(&link, ctrl_param(c, 5), ctrl_param(c, 6), e);
}

enum admin_result ctrl_poplnkdel(struct ctrl *c, struct err *e)
{
    struct admin_link link = link_of(c, 1);
    return admin_link_remove(&link, e);
}

enum admin_result ctrl_poplnkfetch(struct ctrl *c, struct err *e)
{
    struct admin_link link = link_of(c, 1);
    (void)e;
    return ctrl_hooks()->fetch != NULL && ctrl_hooks()->fetch(&link) ? ADMIN_OK : ADMIN_LOCKED;
}

enum admin_result ctrl_poplnkenable(struct ctrl *c, struct err *e)
{
    struct admin_link link = link_of(c, 2);
    struct str on = ctrl_param(c, 1);
    if (c->count == 5 || (!str_eq(on, STR("0")) && !str_eq(on, STR("1"))))
        return ADMIN_BAD_PARAMETER;
    return admin_link_enable(&link, str_eq(on, STR("1")), e);
}

/* Six columns of the table, the password readable, and ON or OFF. */
static bool format_link(struct ctrl *c, const struct tab_row *row, struct arena *a,
                        struct str out[16], size_t *out_count)
{
    (void)c;
    struct admin_link link = { tab_value(row, 0), tab_value(row, 1), tab_value(row, 2),
                               tab_value(row, 3) };
    for (size_t i = 0; i < 6; i++)
        out[i] = tab_value(row, i);
    if (!password_clear(tab_value(row, 4), a, &out[4]))
        out[4] = STR("");
    struct str off = admin_link_switch(&link, a);
    out[6] = off.n > 0 && file_exists(off.p) ? STR("OFF") : STR("ON");
    *out_count = 7;
    return true;
}

enum admin_result ctrl_poplnklist(struct ctrl *c, struct err *e)
{
    enum admin_result result = ctrl_list(c, "pop3links.tab", 5, 1, e);
    c->list.format = format_link;
    return result;
}

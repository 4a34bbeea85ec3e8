/* cmd_user.c - user*: accounts, their variables, their processing. */
#include "control/control_int.h"
#include "store/store.h"
#include "sys/file.h"

enum admin_result ctrl_useradd(struct ctrl *c, struct err *e)
{
    bool list = str_ieq(ctrl_param(c, 4), STR("M"));
    return admin_account_add(ctrl_param(c, 1), ctrl_param(c, 2), ctrl_param(c, 3),
                             list ? ACCOUNT_LIST : ACCOUNT_USER, e);
}

enum admin_result ctrl_userdel(struct ctrl *c, struct err *e)
{
    enum admin_result result = admin_account_remove(ctrl_param(c, 1), ctrl_param(c, 2), e);
    return result == ADMIN_UNKNOWN_USER ? ADMIN_NO_SUCH_USER : result;
}

enum admin_result ctrl_userpasswd(struct ctrl *c, struct err *e)
{
    return admin_account_password(ctrl_param(c, 1), ctrl_param(c, 2), ctrl_param(c, 3), e);
}

enum admin_result ctrl_userauth(struct ctrl *c, struct err *e)
{
    struct account account;
    (void)e;
    if (admin_account_find(ctrl_param(c, 1), ctrl_param(c, 2), &c->line_mem, &account) !=
        ADMIN_OK)
        return ADMIN_UNKNOWN_USER;
    return password_matches(account.password, ctrl_param(c, 3)) ? ADMIN_OK : ADMIN_BAD_PASSWORD;
}

/* --- userstat ---------------------------------------------------------------------------- */

/* An account, or the one that an alias leads to. */
static enum admin_result find_real(struct ctrl *c, struct account *out)
{
    struct recipient r;
    struct address to = { .local = ctrl_param(c, 2), .domain = ctrl_param(c, 1) };
    struct err e;
    if (users_resolve(&to, &c->line_mem, &r, &e) != RC_OK ||
        (r.kind != RECIPIENT_ACCOUNT && r.kind != RECIPIENT_LIST))
        return ADMIN_UNKNOWN_USER;
    *out = r.account;
    return r.kind == RECIPIENT_LIST ? ADMIN_IS_A_LIST : ADMIN_OK;
}

static void text_pair(struct ctrl *c, const char *name, struct str value)
{
    const struct str row[] = { str_from_c(name), value };
    ctrl_text_row(c, row, 2);
}

enum admin_result ctrl_userstat(struct ctrl *c, struct err *e)
{
    struct arena *a = &c->line_mem;
    struct account account;
    struct stat st;
    struct err none;
    uint64_t octets = 0, messages = 0;
    struct str ip = STR("0.0.0.0");
    enum admin_result result = find_real(c, &account);
    if (result != ADMIN_OK)
        return result;
    if (store_usage(&account, &octets, &messages, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    struct str path = arena_printf(a, "%.*s/.ipconn", STR_ARG(account.folder));
    bool seen = io_stat(path.p, &st) == 0 &&
                file_read(path.p, IP_TEXT_BYTES, a, &ip, NULL, &none) == RC_OK;
    buf_init(&c->text, TAB_LINE_MAX);
    text_pair(c, "RealAddress",
              arena_printf(a, "%.*s@%.*s", STR_ARG(account.name), STR_ARG(account.domain)));
    text_pair(c, "MailboxSize", arena_printf(a, "%" PRIu64, octets));
    text_pair(c, "MailboxMessages", arena_printf(a, "%" PRIu64, messages));
    text_pair(c, "LastLoginIP", str_trim(ip));
    text_pair(c, "LastLoginTimeDate",
              seen ? arena_printf(a, "%" PRId64, (int64_t)st.st_mtim.tv_sec) : STR("0"));
    return ADMIN_OK;
}

/* --- userlist ---------------------------------------------------------------------------- */

/* "domain" "user" "password" "type"; a password only where it can be read back. */
static bool format_user(struct ctrl *c, const struct tab_row *row, struct arena *a,
                        struct str out[16], size_t *out_count)
{
    (void)c;
    out[0] = tab_value(row, 0);
    out[1] = tab_value(row, 1);
    if (!password_clear(tab_value(row, 2), a, &out[2]))
        out[2] = STR("");
    out[3] = tab_value(row, 5);
    *out_count = 4;
    return true;
}

enum admin_result ctrl_userlist(struct ctrl *c, struct err *e)
{
    enum admin_result result = ctrl_list(c, "mailusers.tab", 6, 1, e);
    c->list.format = format_user;
    return result;
}

/* --- variables --------------------------------------------------------------------------- */

enum admin_result ctrl_uservars(struct ctrl *c, struct err *e)
{
    struct account account;
    enum admin_result result =
        admin_account_find(ctrl_param(c, 1), ctrl_param(c, 2), &c->line_mem, &account);
    if (result != ADMIN_OK)
        return result;
    struct str path = arena_printf(&c->line_mem, "%.*s/user.tab", STR_ARG(account.folder));
    c->count = 0; /* no patterns */
    return ctrl_list(c, path.p, 2, 1, e);
}

enum admin_result ctrl_uservarsset(struct ctrl *c, struct err *e)
{
    if (c->count % 2 == 0)
        return ADMIN_BAD_PARAMETER;
    return admin_vars_set(ctrl_param(c, 1), ctrl_param(c, 2), &c->parameters[3],
                          (c->count - 3) / 2, e);
}

/* --- mailproc.tab ------------------------------------------------------------------------ */

static enum admin_result add_file(struct ctrl *c, const char *path, struct err *e)
{
    struct str text;
    if (!file_exists(path))
        return ADMIN_NO_MAILPROC;
    if (file_read(path, TAB_FILE_MAX, &c->line_mem, &text, NULL, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    c->has_text = true;
    return buf_add_str(&c->text, text) == RC_OK ? ADMIN_OK : ADMIN_CANT_OPEN;
}

/* U: the user's (default), D: the domain's, DU: both, where there. */
enum admin_result ctrl_usergetmproc(struct ctrl *c, struct err *e)
{
    struct str which = c->count > 3 ? ctrl_param(c, 3) : STR("U"), path;
    enum admin_result result = ADMIN_OK;
    bool any = false;
    buf_init(&c->text, TAB_FILE_MAX);
    for (size_t i = 0; i < which.n && i < 2; i++) {
        char whose = ascii_upper(which.p[i]);
        if (whose != 'U' && whose != 'D')
            return ADMIN_BAD_PARAMETER;
        result =
            admin_mailproc_path(ctrl_param(c, 1), ctrl_param(c, 2), whose, &c->line_mem, &path);
        if (result != ADMIN_OK)
            return result;
        result = add_file(c, path.p, e);
        any = any || result == ADMIN_OK;
        if (result != ADMIN_OK && result != ADMIN_NO_MAILPROC)
            return result;
    }
    return any ? ADMIN_OK : ADMIN_NO_MAILPROC;
}

static enum admin_result set_file(struct ctrl *c, struct str content, struct err *e)
{
    return admin_file_set(c->upload_path, content, STR(""), e);
}

enum admin_result ctrl_usersetmproc(struct ctrl *c, struct err *e)
{
    struct str which = c->count > 3 ? ctrl_param(c, 3) : STR("U"), path;
    (void)e;
    if (!str_ieq(which, STR("U")) && !str_ieq(which, STR("D")))
        return ADMIN_BAD_PARAMETER;
    enum admin_result result = admin_mailproc_path(
        ctrl_param(c, 1), ctrl_param(c, 2), ascii_upper(which.p[0]), &c->line_mem, &path);
    return result == ADMIN_OK ? ctrl_upload(c, path, set_file) : result;
}

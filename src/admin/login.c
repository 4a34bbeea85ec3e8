/* login.c - .ipconn: where an account logged in from last, and when (its time). The request
 * comes from another role: names are looked up, never used as paths. */
#include "admin/admin_int.h"

enum rc admin_note_login(struct str domain, struct str user, struct str address, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct account account;
    struct ip ip;
    char text[IP_TEXT_BYTES];
    struct str login = arena_printf(&mem, "%.*s@%.*s", STR_ARG(user), STR_ARG(domain));
    if (!ip_parse(address, &ip))
        return err_perm(e, "5.3.0", "login from no address");
    enum rc rc = users_login(login, domain, &mem, &account, e);
    if (rc != RC_OK)
        return rc;
    struct str path = arena_printf(&mem, "%.*s/.ipconn", STR_ARG(account.folder));
    /* Not synced: a last login that a power cut loses is no loss. */
    int fd AUTO_CLOSE = io_open(path.p, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_sys(e, "open %s", path.p);
    struct iovec part = { text, strlen(ip_print(&ip, text)) };
    return io_write_all(fd, &part, 1, e);
}

enum rc admin_note_weak_login(struct str login, struct str method, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct tab_row row;
    bool found = false;
    int64_t before = 0, now = clock_wall() / USEC_S;
    size_t changed = 0;
    const struct row_match match = { { login, method }, 2 };
    const struct str values[] = { login, method, arena_printf(&mem, "%" PRId64, now) };
    enum rc rc = table_find(ADMIN_WEAK_LOGINS, &match, &mem, &row, &found, e);
    if (rc != RC_OK)
        return rc;
    if (found && str_to_i64(tab_value(&row, 2), &before) && now - before < 86400)
        return RC_OK;
    enum admin_result result =
        found ? table_set(ADMIN_WEAK_LOGINS, &match, 2, values[2], &changed, e)
              : table_add(ADMIN_WEAK_LOGINS, values, ARRAY_LEN(values), e);
    return result == ADMIN_OK ? RC_OK : err_temp(e, "4.3.0", "%s", admin_result_text(result));
}

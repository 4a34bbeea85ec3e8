/* control.c - see control.h. Names in requests come from other roles: they are looked up, never
 * used as paths. */
#include "control/control.h"
#include "sys/file.h"
#include <fcntl.h>

enum rc control_build_index(int *out_fd, struct users_report *out, struct err *e)
{
    int fd = -1;
    enum rc rc = users_index_build(&fd, out, e);
    if (rc != RC_OK)
        return rc;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    rc = own < 0 ? err_sys(e, "index of accounts") : users_index_use(own, e);
    if (rc != RC_OK)
        io_close(fd);
    else
        *out_fd = fd;
    return rc;
}

enum rc control_note_login(struct str domain, struct str user, struct str address,
                           struct err *e)
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

/* listeners.c - opening the sockets that clients come in by; the master's job, because ports
 * below 1024 need a right that no role has. */
#include "conf/options.h"
#include "master/roles.h"
#include "sys/io.h"
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 4096

static bool same_place(int fd, const struct ip *ip, uint16_t port)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    struct ip own;
    uint16_t own_port = 0;
    return getsockname(fd, (struct sockaddr *)&sa, &n) == 0 &&
           ip_from_sockaddr((const struct sockaddr *)&sa, &own, &own_port) &&
           own_port == port && ip_eq(&own, ip);
}

static enum rc open_one(const char *service, const struct ip *ip, uint16_t port, int *out_fd,
                        struct err *e)
{
    struct sockaddr_storage sa;
    socklen_t n = ip_to_sockaddr(ip, port, &sa);
    char text[IP_PORT_TEXT_BYTES];
    int on = 1;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, "make socket for %s", service);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (sa.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&sa, n) == 0 && listen(fd, BACKLOG) == 0) {
        *out_fd = fd;
        return RC_OK;
    }
    int sys = errno;
    (void)close(fd);
    errno = sys;
    enum rc rc = err_sys(e, "%s can't listen on %s", service, ip_port_show(ip, port, text));
    if (sys == EACCES && port < 1024 && e != NULL)
        (void)snprintf(e->text, sizeof(e->text),
                       "%s can't listen on %s: ports below 1024 need root or "
                       "CAP_NET_BIND_SERVICE (the systemd unit "
                       "gives it); or set Listen-%s in server.tab to a higher port",
                       service, text, service);
    return rc;
}

enum rc listener_open_local(const char *path, mode_t mode, int *out_fd, struct err *e)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(at.sun_path))
        return err_perm(e, "5.3.0", "%s is too long for a socket", path);
    memcpy(at.sun_path, path, strlen(path));
    (void)io_unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, "make socket");
    mode_t before = umask(0777 & ~mode); /* from its first moment on */
    bool ok = bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 64) == 0;
    enum rc rc = ok ? RC_OK : err_sys(e, "listen on %s", path);
    (void)umask(before);
    if (ok)
        *out_fd = fd;
    else
        (void)close(fd);
    return rc;
}

struct opener {
    const int *activated;
    size_t activated_count;
    struct open_listener *list;
    size_t *count;
};

static enum rc add(const struct opener *o, const char *service, const struct ip *ip,
                   uint16_t port, struct err *e)
{
    if (*o->count == LISTENERS_MAX)
        return err_perm(e, "5.3.0", "more than %u listening addresses", LISTENERS_MAX);
    struct open_listener *l = &o->list[*o->count];
    *l = (struct open_listener){ .ip = *ip, .port = port, .fd = -1 };
    (void)snprintf(l->service, sizeof(l->service), "%s", service);
    for (size_t i = 0; i < o->activated_count && l->fd < 0; i++)
        if (same_place(o->activated[i], ip, port))
            l->fd = o->activated[i];
    enum rc rc = l->fd >= 0 ? RC_OK : open_one(service, ip, port, &l->fd, e);
    if (rc == RC_OK)
        (*o->count)++;
    return rc;
}

/* IPv6 is optional: a machine without it still serves IPv4. */
static enum rc add_everywhere(const struct opener *o, const struct service_options *s,
                              struct err *e)
{
    static const struct ip v6 = { { 0 } };
    struct ip v4;
    enum ip_families families = conf()->families;
    (void)ip_parse(STR("0.0.0.0"), &v4);
    bool both = families == FAMILIES_BOTH || s->ipv6;
    enum rc rc = families == FAMILIES_IPV6 ? RC_OK : add(o, s->name, &v4, s->port, e);
    if (rc == RC_OK && (both || families == FAMILIES_IPV6)) {
        rc = add(o, s->name, &v6, s->port, e);
        if (rc != RC_OK && both && e != NULL &&
            (e->sys == EAFNOSUPPORT || e->sys == EADDRNOTAVAIL)) {
            log_info(EV("no IPv6 here"), KV("service", s->name));
            rc = RC_OK;
        }
    }
    return rc;
}

static enum rc add_service(const struct opener *o, const struct service_options *s,
                           bool needs_tls, bool tls, struct err *e)
{
    enum rc rc = RC_OK;
    if (s->off)
        return RC_OK;
    if (needs_tls && !tls) {
        log_warn(EV("service not started"), KV("service", s->name),
                 KV("reason", "server.cert and server.key are missing"));
        return RC_OK;
    }
    if (s->bind_count == 0)
        return add_everywhere(o, s, e);
    for (size_t i = 0; i < s->bind_count && rc == RC_OK; i++)
        rc = add(o, s->name, &s->binds[i].ip, s->binds[i].port, e);
    return rc;
}

enum rc listeners_open(const int *activated, size_t activated_count, bool tls,
                       struct open_listener *out, size_t *out_count, struct err *e)
{
    const struct options *o = conf();
    const struct {
        const struct service_options *service;
        bool needs_tls;
    } services[] = {
        { &o->smtp, false }, { &o->smtps, true },   { &o->submission, false },
        { &o->pop3, false }, { &o->pop3s, true },   { &o->ctrl, false },
        { &o->ctrls, true }, { &o->finger, false }, { &o->http, false },
        { &o->https, true },
    };
    struct opener opener = { activated, activated_count, out, out_count };
    *out_count = 0;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(services) && rc == RC_OK; i++)
        rc = add_service(&opener, services[i].service, services[i].needs_tls, tls, e);
    return rc;
}

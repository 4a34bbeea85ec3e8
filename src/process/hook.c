/* hook.c - places of HTTP hooks, as lines of tables name them. */
#include "process/process.h"

static bool is_host(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != ':')
            return false;
    return s.n > 0 && s.n < 256;
}

/* What may stand behind the host, as it is. */
static bool is_path(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '#')
            return false;
    return s.n < 2000;
}

const char *hook_url_parse(struct str url, struct hook_url *out)
{
    struct hook_url u = { .tls = str_istarts(url, STR("https://")), .port = STR("80") };
    uint64_t port = 0;
    if (!u.tls && !str_istarts(url, STR("http://")))
        return "not a URL of http or https";
    if (u.tls)
        u.port = STR("443");
    struct str rest = str_skip(url, u.tls ? 8 : 7);
    size_t slash = MIN(str_find(rest, '/'), rest.n);
    struct str host = str_head(rest, slash);
    u.path = slash < rest.n ? str_skip(rest, slash) : STR("/");
    u.authority = host;
    size_t bracket = str_rfind(host, ']'), colon = str_rfind(host, ':');
    if (colon != SIZE_MAX && (bracket == SIZE_MAX || colon > bracket)) {
        u.port = str_skip(host, colon + 1);
        host = str_head(host, colon);
    }
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_from(host.p + 1, host.n - 2);
    u.host = host;
    if (!is_host(host) || !is_path(u.path))
        return "not a host and a path";
    if (!str_to_u64(u.port, &port) || port == 0 || port > 65535)
        return "not a port";
    *out = u;
    return NULL;
}

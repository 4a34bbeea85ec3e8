/* ip.c - IP addresses and networks. */
#include "base/base.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool parse_raw(struct str s, struct ip *out, bool *out_v4)
{
    char text[IP_TEXT_BYTES];
    if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    memcpy(out->b, mapped, sizeof(mapped));
    *out_v4 = inet_pton(AF_INET, text, out->b + 12) == 1;
    return *out_v4 || inet_pton(AF_INET6, text, out->b) == 1;
}

bool ip_parse(struct str s, struct ip *out)
{
    struct ip ip;
    bool v4 = false;
    if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        s = str_from(s.p + 1, s.n - 2);
    if (!parse_raw(s, &ip, &v4))
        return false;
    *out = ip;
    return true;
}

bool ip_is_v4(const struct ip *ip)
{
    return memcmp(ip->b, mapped, sizeof(mapped)) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t v6[16] = { [15] = 1 };
    return ip_is_v4(ip) ? ip->b[12] == 127 : memcmp(ip->b, v6, sizeof(v6)) == 0;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

const char *ip_print(const struct ip *ip, char text[IP_TEXT_BYTES])
{
    if (ip_is_v4(ip))
        (void)inet_ntop(AF_INET, ip->b + 12, text, IP_TEXT_BYTES);
    else
        (void)inet_ntop(AF_INET6, ip->b, text, IP_TEXT_BYTES);
    return text;
}

const char *ip_port_show(const struct ip *ip, uint16_t port, char text[IP_PORT_TEXT_BYTES])
{
    char address[IP_TEXT_BYTES];
    (void)snprintf(text, IP_PORT_TEXT_BYTES, ip_is_v4(ip) ? "%s:%u" : "[%s]:%u",
                   ip_print(ip, address), port);
    return text;
}

struct str ip_port_reshow(struct str written, struct arena *a)
{
    struct ip ip;
    size_t end = str_find(written, ']');
    if (end == SIZE_MAX || !ip_parse(str_head(written, end + 1), &ip) || !ip_is_v4(&ip))
        return written;
    return arena_printf(a, "%.*s%.*s", (int)(end - 1), written.p + 1,
                        STR_ARG(str_skip(written, end + 1)));
}

const char *ip_port_print(const struct ip *ip, uint16_t port, char text[IP_PORT_TEXT_BYTES])
{
    char address[IP_TEXT_BYTES];
    (void)snprintf(text, IP_PORT_TEXT_BYTES, "[%s]:%u", ip_print(ip, address), port);
    return text;
}

static void mask_from_bits(struct ip *mask, unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned left = bits > i * 8 ? MIN(bits - i * 8, 8u) : 0;
        mask->b[i] = (uint8_t)(0xff00u >> left);
    }
}

bool ip_net_parse(struct str ip, struct str mask, struct ip_net *out)
{
    struct ip_net net;
    bool v4 = false, mask_v4 = false;
    size_t slash = str_find(ip, '/');
    if (!parse_raw(str_head(ip, slash), &net.ip, &v4))
        return false;
    v4 = v4 || ip_is_v4(&net.ip);
    mask_from_bits(&net.mask, 128);
    if (slash != SIZE_MAX) {
        uint64_t bits = 0;
        struct str text = str_skip(ip, slash + 1);
        if (str_to_u64(text, &bits)) {
            if (bits > (v4 ? 32u : 128u))
                return false;
            mask_from_bits(&net.mask, (unsigned)bits + (v4 ? 96 : 0));
            *out = net;
            return true;
        }
        mask = text;
    }
    if (mask.n > 0) {
        if (!parse_raw(mask, &net.mask, &mask_v4) || mask_v4 != v4)
            return false;
        if (v4)
            memset(net.mask.b, 0xff, 12);
    }
    *out = net;
    return true;
}

static bool covers_family(const struct ip_net *net)
{
    static const uint8_t zero[16];
    size_t from = ip_is_v4(&net->ip) ? 12 : 0;
    return memcmp(net->mask.b + from, zero, 16 - from) == 0;
}

bool ip_in_net(const struct ip *ip, const struct ip_net *net)
{
    if (covers_family(net))
        return true;
    for (size_t i = 0; i < 16; i++)
        if ((ip->b[i] & net->mask.b[i]) != (net->ip.b[i] & net->mask.b[i]))
            return false;
    return true;
}

bool ip_in_list(const struct ip *ip, struct str nets)
{
    struct str word;
    struct ip_net net;
    while (nets.n > 0 && str_cut(&nets, ',', &word))
        if (ip_net_parse(str_trim(word), str_from("", 0), &net) && ip_in_net(ip, &net))
            return true;
    return false;
}

bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *out, uint16_t *out_port)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        memcpy(out->b, mapped, sizeof(mapped));
        memcpy(out->b + 12, &in.sin_addr, 4);
        *out_port = ntohs(in.sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        memcpy(out->b, &in6.sin6_addr, 16);
        *out_port = ntohs(in6.sin6_port);
        return true;
    }
    return false;
}

socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (ip_is_v4(ip)) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
        memcpy(&in.sin_addr, ip->b + 12, 4);
        memcpy(out, &in, sizeof(in));
        return sizeof(in);
    }
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    memcpy(&in6.sin6_addr, ip->b, 16);
    memcpy(out, &in6, sizeof(in6));
    return sizeof(in6);
}

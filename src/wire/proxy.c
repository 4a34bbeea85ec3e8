/* proxy.c - see proxy.h. A header that is wrong in any way is none. */
#include "wire/proxy.h"

#define LINE_MAX_BYTES ((size_t)107) /* of version 1, with its CRLF */
#define FIXED_BYTES ((size_t)16)     /* of version 2, before the addresses */

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
#define SIGNATURE str_from(signature, sizeof(signature) - 1)

static enum rc bad(struct err *e, const char *why)
{
    return err_perm(e, "5.5.0", "not a PROXY header: %s", why);
}

/* --- version 1: "PROXY TCP4 192.0.2.7 198.51.100.1 40000 25" CRLF ---------------------------
 */

static bool parse_port(struct str text, uint16_t *out)
{
    uint64_t port = 0;
    if (text.n == 0 || text.n > 5 || !str_to_u64(text, &port) || port > UINT16_MAX)
        return false;
    *out = (uint16_t)port;
    return true;
}

static bool parse_ip(struct str text, bool v6, struct ip *out)
{
    return (str_find(text, ':') != SIZE_MAX) == v6 && !str_has_any(text, "[]") &&
           ip_parse(text, out);
}

static enum rc parse_line(struct str line, struct proxy_header *out, struct err *e)
{
    struct str words[5], rest = line;
    size_t n = 0;
    while (n < ARRAY_LEN(words) && rest.p != NULL && str_cut(&rest, ' ', &words[n]))
        n++;
    if (n > 0 && str_eq(words[0], STR("UNKNOWN")))
        return RC_OK;
    bool v6 = n > 0 && str_eq(words[0], STR("TCP6"));
    if (n != ARRAY_LEN(words) || rest.p != NULL || (!v6 && !str_eq(words[0], STR("TCP4"))))
        return bad(e, "neither TCP4 nor TCP6 with two addresses and two ports");
    if (!parse_ip(words[1], v6, &out->client) || !parse_ip(words[2], v6, &out->server) ||
        !parse_port(words[3], &out->client_port) || !parse_port(words[4], &out->server_port))
        return bad(e, "an address or a port is wrong");
    out->has_ends = true;
    return RC_OK;
}

static enum rc parse_v1(struct str octets, struct proxy_header *out, size_t *out_used,
                        struct err *e)
{
    struct str word = STR("PROXY ");
    size_t end = str_find(str_head(octets, LINE_MAX_BYTES), '\n');
    if (!str_starts(octets, str_head(word, MIN(octets.n, word.n))))
        return bad(e, "it begins otherwise");
    if (end == SIZE_MAX)
        return octets.n >= LINE_MAX_BYTES ? bad(e, "the line is too long") : RC_AGAIN;
    if (end < word.n || octets.p[end - 1] != '\r')
        return bad(e, "the line doesn't end in CRLF");
    *out_used = end + 1;
    return parse_line(str_skip(str_head(octets, end - 1), word.n), out, e);
}

/* --- version 2: signature, version and command, family, length, addresses, extensions -------
 */

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* The addresses of a family: `width` octets each. */
static void take_ends(const uint8_t *p, size_t width, struct proxy_header *out)
{
    static const struct ip mapped = { { [10] = 0xff, [11] = 0xff } };
    out->client = out->server = mapped;
    memcpy(out->client.b + 16 - width, p, width);
    memcpy(out->server.b + 16 - width, p + width, width);
    out->client_port = u16_at(p + 2 * width);
    out->server_port = u16_at(p + 2 * width + 2);
    out->has_ends = true;
}

static enum rc parse_v2(struct str octets, struct proxy_header *out, size_t *out_used,
                        struct err *e)
{
    const uint8_t *p = (const uint8_t *)octets.p;
    if (octets.n < FIXED_BYTES)
        return RC_AGAIN;
    unsigned command = p[12], family = p[13];
    size_t length = u16_at(p + 14);
    if (command != 0x20 && command != 0x21)
        return bad(e, "version or command is unknown");
    if (FIXED_BYTES + length > PROXY_HEADER_MAX)
        return bad(e, "it is too long");
    if (octets.n < FIXED_BYTES + length)
        return RC_AGAIN;
    *out_used = FIXED_BYTES + length;
    if (command == 0x20 || family == 0) /* LOCAL; the balancer doesn't tell */
        return RC_OK;
    size_t width = family == 0x11 ? 4 : 16; /* TCP over IPv4, IPv6 */
    if ((family != 0x11 && family != 0x21) || length < 2 * width + 4)
        return bad(e, "the addresses are not of TCP");
    take_ends(p + FIXED_BYTES, width, out);
    return RC_OK;
}

enum rc proxy_parse(struct str octets, struct proxy_header *out, size_t *out_used,
                    struct err *e)
{
    struct str begins = str_head(SIGNATURE, MIN(octets.n, SIGNATURE.n));
    *out = (struct proxy_header){ .has_ends = false };
    *out_used = 0;
    return str_starts(octets, begins) ? parse_v2(octets, out, out_used, e)
                                      : parse_v1(octets, out, out_used, e);
}

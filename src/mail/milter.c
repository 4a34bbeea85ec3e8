/* milter.c - see milter.h. Called by runner/milter.c. What comes from a milter is checked here:
 * a name is a field's name, a value can't become a field of its own. */
#include "mail/milter.h"
#include <arpa/inet.h>

/* --- places ------------------------------------------------------------------------------ */

static const char *parse_inet(struct str rest, struct milter_place *out)
{
    struct str host = STR(""), port = STR("");
    size_t at = str_find(rest, '@'), colon = str_rfind(rest, ':');
    uint64_t n = 0;
    if (at != SIZE_MAX) {
        port = str_head(rest, at);
        host = str_skip(rest, at + 1);
    } else if (colon != SIZE_MAX) {
        host = str_head(rest, colon);
        port = str_skip(rest, colon + 1);
    }
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_from(host.p + 1, host.n - 2);
    if (str_ieq(host, STR("localhost")))
        host = STR("127.0.0.1");
    if (!str_to_u64(port, &n) || n == 0 || n > 65535)
        return "no port";
    out->port = (uint16_t)n;
    return ip_parse(host, &out->ip) && ip_is_loopback(&out->ip)
               ? NULL
               : "not an address of this machine's loopback";
}

const char *milter_place_parse(struct str where, struct milter_place *out)
{
    struct str rest = where, word;
    *out = (struct milter_place){ .path = STR("") };
    if (!str_cut(&rest, ':', &word) || rest.n == 0)
        return "not unix:/path or inet:address:port";
    if (str_ieq(word, STR("inet")) || str_ieq(word, STR("inet6")))
        return parse_inet(rest, out);
    if ((!str_ieq(word, STR("unix")) && !str_ieq(word, STR("local"))) || rest.p[0] != '/')
        return "not unix:/path or inet:address:port";
    out->path = rest;
    return NULL;
}

/* --- packets ----------------------------------------------------------------------------- */

static void put_number(struct buf *out, uint32_t n)
{
    uint32_t octets = htonl(n);
    buf_must(buf_add(out, &octets, sizeof(octets)));
}

void milter_put(struct buf *out, char kind, struct str data)
{
    put_number(out, (uint32_t)data.n + 1);
    buf_must(buf_add_char(out, kind));
    buf_must(buf_add_str(out, data));
}

void milter_put_offer(struct buf *out, uint32_t actions, uint32_t protocol)
{
    put_number(out, 13);
    buf_must(buf_add_char(out, 'O'));
    put_number(out, MILTER_VERSION);
    put_number(out, actions);
    put_number(out, protocol);
}

static bool take_number(struct str *rest, uint32_t *out)
{
    if (rest->n < sizeof(*out))
        return false;
    memcpy(out, rest->p, sizeof(*out));
    *out = ntohl(*out);
    *rest = str_skip(*rest, sizeof(*out));
    return true;
}

/* Up to a NUL. */
static bool take_text(struct str *rest, struct str *out)
{
    size_t end = str_find(*rest, '\0');
    if (end == SIZE_MAX)
        return false;
    *out = str_head(*rest, end);
    *rest = str_skip(*rest, end + 1);
    return true;
}

static bool is_field_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':')
            return false;
    return s.n > 0 && s.n < 998;
}

static const char *parse_offer(struct str data, struct milter_reply *r)
{
    bool ok = take_number(&data, &r->version) && take_number(&data, &r->actions) &&
              take_number(&data, &r->protocol) && r->version >= 2;
    return ok ? NULL : "its offer is broken"; /* lists of macros may follow */
}

static const char *parse_field(struct str data, struct milter_reply *r)
{
    bool ok = (r->kind == 'h' || take_number(&data, &r->index)) && take_text(&data, &r->name) &&
              take_text(&data, &r->value) && data.n == 0;
    return ok && is_field_name(r->name) ? NULL : "a field in it is broken";
}

/* "550 5.7.1 no", maybe more lines of that kind: the first counts. */
static const char *parse_code(struct str data, struct milter_reply *r)
{
    struct str text, line;
    if (!take_text(&data, &text) || !str_cut(&text, '\n', &line))
        return "a reply in it is broken";
    line = str_trim(line);
    bool ok = line.n > 4 && (line.p[0] == '4' || line.p[0] == '5') &&
              ascii_is_digit(line.p[1]) && ascii_is_digit(line.p[2]) &&
              (line.p[3] == ' ' || line.p[3] == '-') && !str_has_control(line);
    r->text = line;
    return ok ? NULL : "a reply in it is no 4xx or 5xx";
}

static const char *parse_reason(struct str data, struct milter_reply *r)
{
    return take_text(&data, &r->text) && !str_has_control(r->text) ? NULL
                                                                   : "a reason in it is broken";
}

const char *milter_reply_parse(struct str packet, struct milter_reply *out)
{
    struct milter_reply r = { .kind = packet.n > 0 ? packet.p[0] : '\0' };
    struct str data = str_skip(packet, 1);
    const char *why = NULL;
    switch (r.kind) {
    case 'O':
        why = parse_offer(data, &r);
        break;
    case 'h':
    case 'i':
    case 'm':
        why = parse_field(data, &r);
        break;
    case 'y':
        why = parse_code(data, &r);
        break;
    case 'q':
        why = parse_reason(data, &r);
        break;
    case 'b':
        r.text = data;
        break;
    case 'a':
    case 'c':
    case 'd':
    case 'p':
    case 'r':
    case 's':
    case 't':
        why = data.n == 0 ? NULL : "data behind a verdict";
        break;
    default:
        why = "it is of a kind that wasn't offered";
    }
    if (why == NULL)
        *out = r;
    return why;
}

/* --- the header -------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

size_t milter_header_parse(struct str lines, struct str id, struct arena *a,
                           struct milter_header *out)
{
    struct milter_field **last = &out->first, *field = NULL;
    size_t at = 0;
    *out = (struct milter_header){ .first = NULL };
    while (at < lines.n) {
        size_t end = str_find(str_skip(lines, at), '\n');
        struct str line = str_head(str_skip(lines, at), end);
        size_t colon = str_find(line, ':');
        bool folded = line.n > 0 && is_blank(line.p[0]) && field != NULL;
        if (end == SIZE_MAX || line.n == 0 ||
            (!folded && (colon == SIZE_MAX || !is_field_name(str_trim(str_head(line, colon))))))
            break;
        if (folded) {
            field->value = arena_printf(a, "%.*s\n%.*s", STR_ARG(field->value), STR_ARG(line));
        } else {
            field = arena_new(a, sizeof(*field));
            struct str value = str_skip(line, colon + 1);
            *field = (struct milter_field){
                .name = arena_str(a, str_trim(str_head(line, colon))),
                .value = arena_str(a, str_skip(value, value.n > 0 && value.p[0] == ' ')),
            };
            *last = field;
            last = &field->next;
        }
        at += line.n + 1;
    }
    for (struct milter_field *f = out->first; f != NULL && id.n > 0; f = f->next)
        f->is_ours =
            str_ieq(f->name, STR("Received")) && str_find_str(f->value, id) != SIZE_MAX;
    return at;
}

/* A value as lines with LF, each but the first begun by a blank. */
static struct str clean_value(struct str value, struct arena *a)
{
    char *p = arena_new(a, 2 * value.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        bool begins = n > 0 && p[n - 1] == '\n';
        if (c == '\r' || (c == '\n' && (begins || i + 1 == value.n)))
            continue;
        if (begins && !is_blank(c))
            p[n++] = '\t';
        p[n++] = c;
    }
    while (n > 0 && (p[n - 1] == '\n' || is_blank(p[n - 1])))
        n--;
    return str_from(p, n);
}

/* The place of the index-th field of that name (from 1), or the end. */
static struct milter_field **find_field(struct milter_header *h, struct str name,
                                        uint32_t index)
{
    struct milter_field **at = &h->first;
    for (uint32_t seen = 0; *at != NULL; at = &(*at)->next)
        if (!(*at)->is_ours && str_ieq((*at)->name, name) && ++seen == MAX(index, 1u))
            break;
    return at;
}

void milter_header_edit(struct milter_header *h, const struct milter_reply *r, struct arena *a)
{
    struct str value = clean_value(r->value, a);
    struct milter_field **at = &h->first;
    if (r->kind == 'm')
        at = find_field(h, r->name, r->index);
    for (uint32_t i = 0; (r->kind == 'h' || i < r->index) && r->kind != 'm' && *at != NULL; i++)
        at = &(*at)->next;
    bool drops = r->kind == 'm' && value.n == 0, replaces = r->kind == 'm' && *at != NULL;
    if (drops && !replaces)
        return;
    h->changed = true;
    if (drops) {
        *at = (*at)->next;
    } else if (replaces) {
        (*at)->value = value;
    } else {
        struct milter_field *f = arena_new(a, sizeof(*f));
        *f = (struct milter_field){ *at, arena_str(a, r->name), value, false };
        *at = f;
    }
}

enum rc milter_header_print(const struct milter_header *h, struct buf *out)
{
    enum rc rc = RC_OK;
    for (const struct milter_field *f = h->first; f != NULL && rc == RC_OK; f = f->next) {
        bool blank = f->value.n > 0 && f->value.p[0] != '\t' && f->value.p[0] != '\n';
        rc = buf_printf(out, "%.*s:%s%.*s\n", STR_ARG(f->name), blank ? " " : "",
                        STR_ARG(f->value));
    }
    return rc;
}

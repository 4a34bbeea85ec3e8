/*
 * http.c - the parts of HTTP/1.1 messages. Pure functions; http_session.c calls them.
 *
 * INVARIANT: a request whose length can be read in two ways (two lengths, a length and chunks,
 * a coding we don't know) is refused (RFC 9112 6.3, 11.2).
 */
#include "wire/http.h"

#define CHUNK_LINE_MAX ((size_t)256)

enum chunk_state { CHUNK_SIZE, CHUNK_DATA, CHUNK_END, CHUNK_TRAILER, CHUNK_DONE };

/* --- answers ------------------------------------------------------------------------------ */

static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 206, "Partial Content" },
    { 301, "Moved Permanently" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 416, "Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 422, "Unprocessable Content" },
    { 428, "Precondition Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 503, "Service Unavailable" },
    { 505, "HTTP Version Not Supported" },
};

const char *http_reason(unsigned status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

void http_add_field(struct http_response *r, const char *name, struct str value)
{
    if (str_has_control(value))
        return;
    if (r->fields.max == 0)
        buf_init(&r->fields, HTTP_HEAD_MAX);
    if (buf_printf(&r->fields, "%s: %.*s\r\n", name, STR_ARG(value)) != RC_OK)
        log_warn(EV("answer's field left out"), KV("field", name));
}

/* --- parsing ------------------------------------------------------------------------------ */

/* RFC 9110 5.6.2 */
static bool is_token(struct str s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\0' || (!ascii_is_alnum(s.p[i]) && strchr(others, s.p[i]) == NULL))
            return false;
    return s.n > 0;
}

unsigned http_parse_request_line(struct str method, struct str args, struct http_request *r)
{
    struct str target = STR(""), version = args;
    if (!str_cut(&version, ' ', &target) || version.p == NULL || target.n == 0)
        return 400;
    for (size_t i = 0; i < target.n; i++)
        if ((unsigned char)target.p[i] <= ' ' || (unsigned char)target.p[i] >= 0x7f)
            return 400;
    if (!str_starts(version, STR("HTTP/")))
        return 400;
    if (!str_eq(version, STR("HTTP/1.1")) && !str_eq(version, STR("HTTP/1.0")))
        return 505;
    if (target.p[0] != '/')
        return 400; /* no proxy, no "*" */
    r->method = method;
    r->target = target;
    r->http10 = str_eq(version, STR("HTTP/1.0"));
    r->is_head = str_eq(method, STR("HEAD"));
    size_t mark = str_find(target, '?');
    r->path = str_head(target, MIN(mark, target.n));
    r->query = mark == SIZE_MAX ? STR("") : str_skip(target, mark + 1);
    return 0;
}

unsigned http_parse_field(struct str line, struct http_request *r)
{
    size_t colon = str_find(line, ':');
    if (colon == SIZE_MAX || !is_token(str_head(line, colon)))
        return 400; /* also a folded line, or a blank before the colon */
    struct str value = str_trim(str_skip(line, colon + 1));
    for (size_t i = 0; i < value.n; i++)
        if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
            return 400;
    r->head_octets += line.n + 2;
    if (r->field_count == HTTP_FIELDS_MAX || r->head_octets > HTTP_HEAD_MAX)
        return 431;
    r->fields[r->field_count++] = (struct http_field){ str_head(line, colon), value };
    return 0;
}

static size_t count_fields(const struct http_request *r, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < r->field_count; i++)
        n += str_ieq(r->fields[i].name, str_from_c(name));
    return n;
}

struct str http_field(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->field_count; i++)
        if (str_ieq(r->fields[i].name, str_from_c(name)))
            return r->fields[i].value;
    return (struct str){ NULL, 0 };
}

/* Is the word one of a list's (RFC 9110 5.6.1), whatever its parameters, unless q=0? */
static bool list_has(struct str list, struct str word)
{
    struct str one;
    while (str_cut(&list, ',', &one)) {
        struct str name = STR("");
        (void)str_cut(&one, ';', &name);
        bool refused = one.p != NULL && (str_eq(str_trim(one), STR("q=0")) ||
                                         str_starts(str_trim(one), STR("q=0.0")));
        if (str_ieq(str_trim(name), word))
            return !refused;
    }
    return false;
}

unsigned http_check_head(struct http_session *h)
{
    struct http_request *r = &h->request;
    size_t lengths = count_fields(r, "Content-Length");
    size_t codings = count_fields(r, "Transfer-Encoding");
    struct str connection = http_field(r, "Connection");
    if (count_fields(r, "Host") > 1 || (!r->http10 && count_fields(r, "Host") == 0))
        return 400;
    if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0))
        return 400;
    if (codings == 1 &&
        (r->http10 || !str_ieq(http_field(r, "Transfer-Encoding"), STR("chunked"))))
        return r->http10 ? 400 : 501;
    if (lengths == 1 && !str_to_u64(http_field(r, "Content-Length"), &h->body_left))
        return 400;
    h->has_length = lengths == 1;
    h->chunked = codings == 1;
    h->keep_alive = r->http10 ? connection.p != NULL && list_has(connection, STR("keep-alive"))
                              : connection.p == NULL || !list_has(connection, STR("close"));
    struct str accept = http_field(r, "Accept-Encoding");
    r->accepts_gzip = accept.p != NULL && list_has(accept, STR("gzip"));
    return 0;
}

static int hex_digit(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_decode(struct str text, bool plus_is_blank, struct arena *a, struct str *out)
{
    char *p = arena_new(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '+' && plus_is_blank) {
            c = ' ';
        } else if (c == '%') {
            bool whole = text.n - i > 2;
            int high = whole ? hex_digit(text.p[i + 1]) : -1;
            int low = whole ? hex_digit(text.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            return false;
        p[n++] = c;
    }
    *out = str_from(p, n);
    return str_is_utf8(*out);
}

struct str http_query(const struct http_request *r, const char *name, struct arena *a)
{
    struct str rest = r->query, pair, key, value;
    while (rest.n > 0 && str_cut(&rest, '&', &pair)) {
        struct str raw = STR("");
        if (!str_cut(&pair, '=', &raw) || !http_decode(raw, true, a, &key) ||
            !str_eq(key, str_from_c(name)))
            continue;
        if (pair.p == NULL)
            return STR("");
        return http_decode(pair, true, a, &value) ? value : (struct str){ NULL, 0 };
    }
    return (struct str){ NULL, 0 };
}

struct str http_cookie(const struct http_request *r, const char *name)
{
    struct str rest = http_field(r, "Cookie"), pair;
    while (rest.p != NULL && str_cut(&rest, ';', &pair)) {
        struct str key = STR("");
        pair = str_trim(pair);
        if (str_cut(&pair, '=', &key) && pair.p != NULL && str_eq(key, str_from_c(name)))
            return pair;
    }
    return (struct str){ NULL, 0 };
}

/* A line of the chunked coding, without CRLF. */
static enum rc chunk_line(struct str *in, struct str *out)
{
    size_t end = str_find_str(*in, STR("\r\n"));
    if (end == SIZE_MAX)
        return in->n > CHUNK_LINE_MAX ? RC_PERM : RC_AGAIN;
    if (end > CHUNK_LINE_MAX)
        return RC_PERM;
    *out = str_head(*in, end);
    *in = str_skip(*in, end + 2);
    return RC_OK;
}

/* 1*HEXDIG, and an extension that is ignored. */
static bool parse_chunk_size(struct str line, uint64_t *out)
{
    struct str digits = STR("");
    uint64_t n = 0;
    (void)str_cut(&line, ';', &digits);
    digits = str_trim(digits);
    if (digits.n == 0 || digits.n > 12)
        return false;
    for (size_t i = 0; i < digits.n; i++) {
        int d = hex_digit(digits.p[i]);
        if (d < 0)
            return false;
        n = n * 16 + (uint64_t)d;
    }
    *out = n;
    return true;
}

static enum rc chunk_data(uint64_t *left, struct str *in, struct buf *out)
{
    size_t n = (size_t)MIN((uint64_t)in->n, *left);
    enum rc rc = buf_add(out, in->p, n);
    if (rc != RC_OK)
        return RC_PERM;
    *left -= n;
    *in = str_skip(*in, n);
    return *left == 0 ? RC_OK : RC_AGAIN;
}

enum rc http_read_chunks(uint8_t *state, uint64_t *left, struct str *in, struct buf *out)
{
    struct str line;
    enum rc rc = RC_OK;
    while (rc == RC_OK && *state != CHUNK_DONE) {
        if (*state == CHUNK_DATA) {
            rc = chunk_data(left, in, out);
            *state = rc == RC_OK ? CHUNK_END : CHUNK_DATA;
            continue;
        }
        rc = chunk_line(in, &line);
        if (rc != RC_OK)
            break;
        if (*state == CHUNK_SIZE) {
            if (!parse_chunk_size(line, left) || *left > out->max - out->n)
                return RC_PERM;
            *state = *left == 0 ? CHUNK_TRAILER : CHUNK_DATA;
        } else if (*state == CHUNK_END) {
            if (line.n != 0)
                return RC_PERM;
            *state = CHUNK_SIZE;
        } else if (line.n == 0) {
            *state = CHUNK_DONE; /* trailers are dropped */
        }
    }
    return rc;
}

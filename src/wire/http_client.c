/* http_client.c - see http_client.h. */
#include "wire/http_client.h"

#define LINES_MAX 200u
#define CHUNKS_MAX 10000u

/* "HTTP/1.1 200 OK" */
static enum rc read_status(struct client *c, struct arena *a, struct http_reply *out,
                           struct err *e)
{
    struct str line;
    uint64_t status = 0;
    enum rc rc = client_line(c, &line, e);
    if (rc != RC_OK)
        return rc;
    if (!str_starts(line, STR("HTTP/1.")) || line.n < 12 || line.p[8] != ' ' ||
        !str_to_u64(str_head(str_skip(line, 9), 3), &status) || status < 100)
        return err_temp(e, "4.3.0", "it answers %.60s", arena_c(a, str_head(line, 60)));
    out->line = arena_str(a, line);
    out->status = (unsigned)status;
    return RC_OK;
}

static enum rc read_fields(struct client *c, struct arena *a, struct http_reply *out,
                           struct err *e)
{
    struct str line, name;
    for (unsigned i = 0; i < LINES_MAX; i++) {
        enum rc rc = client_line(c, &line, e);
        if (rc != RC_OK || line.n == 0)
            return rc;
        struct str value = line;
        if (!str_cut(&value, ':', &name) || value.p == NULL ||
            out->field_count == HTTP_REPLY_FIELDS_MAX)
            continue;
        out->names[out->field_count] = arena_str(a, name);
        out->values[out->field_count++] = arena_str(a, str_trim(value));
    }
    return err_perm(e, "5.5.0", "its answer has too many fields");
}

enum rc http_reply_head(struct client *c, struct arena *a, struct http_reply *out,
                        struct err *e)
{
    for (unsigned i = 0; i < 10; i++) {
        *out = (struct http_reply){ .status = 0 };
        enum rc rc = read_status(c, a, out, e);
        if (rc == RC_OK)
            rc = read_fields(c, a, out, e);
        if (rc != RC_OK || out->status >= 200)
            return rc;
    }
    return err_perm(e, "5.5.0", "it doesn't come to its answer");
}

struct str http_reply_field(const struct http_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->field_count; i++)
        if (str_ieq(reply->names[i], str_from_c(name)))
            return reply->values[i];
    return str_from(NULL, 0);
}

/* --- bodies ------------------------------------------------------------------------------- */

static enum rc add_octets(struct client *c, uint64_t n, struct buf *out, struct err *e)
{
    if (n > out->max || buf_reserve(out, (size_t)n + 1) != RC_OK)
        return err_perm(e, "5.5.0", "its answer is too long");
    enum rc rc = client_read(c, out->p + out->n, (size_t)n, e);
    if (rc == RC_OK)
        out->n += (size_t)n;
    return rc;
}

/* The size of a chunk: hex digits, then maybe more. */
static bool take_size(struct str line, uint64_t *out)
{
    size_t i = 0;
    *out = 0;
    for (; i < line.n && i < 8; i++) {
        char c = ascii_lower(line.p[i]);
        if (!ascii_is_digit(c) && (c < 'a' || c > 'f'))
            break;
        *out = *out * 16 + (uint64_t)(ascii_is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    return i > 0;
}

/* RFC 9112 7.1, without what may stand behind the sizes. */
static enum rc read_chunks(struct client *c, struct buf *out, struct err *e)
{
    for (unsigned i = 0; i < CHUNKS_MAX; i++) {
        struct str line;
        enum rc rc = client_line(c, &line, e);
        if (rc != RC_OK)
            return rc;
        uint64_t n = 0;
        if (!take_size(line, &n))
            return err_perm(e, "5.5.0", "its answer has a chunk without a size");
        if (n == 0)
            return RC_OK;
        rc = add_octets(c, n, out, e);
        if (rc == RC_OK)
            rc = client_line(c, &line, e);
        if (rc != RC_OK)
            return rc;
    }
    return err_perm(e, "5.5.0", "its answer has too many chunks");
}

static enum rc read_to_end(struct client *c, struct buf *out, struct err *e)
{
    enum rc rc = RC_OK;
    while (rc == RC_OK)
        rc = add_octets(c, 1, out, e);
    return rc == RC_GONE ? RC_OK : rc;
}

enum rc http_reply_body(struct client *c, const struct http_reply *reply, struct buf *out,
                        struct err *e)
{
    struct str length = http_reply_field(reply, "Content-Length");
    uint64_t n = 0;
    if (reply->status == 204 || reply->status == 304)
        return RC_OK;
    if (str_ieq(http_reply_field(reply, "Transfer-Encoding"), STR("chunked")))
        return read_chunks(c, out, e);
    if (length.p == NULL)
        return read_to_end(c, out, e);
    return str_to_u64(length, &n) ? add_octets(c, n, out, e)
                                  : err_perm(e, "5.5.0", "its answer has no good length");
}

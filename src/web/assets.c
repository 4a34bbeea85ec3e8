/* assets.c - the pages: files of ui/, made by the build, compressed in the program. Every path
 * that isn't a file is the one page, which finds its way by itself. */
#include "web/web_int.h"
#include <zlib.h>

static const struct asset *find(struct str path)
{
    for (size_t i = 0; i < web_asset_count; i++)
        if (str_eq(path, str_from_c(web_assets[i].path)))
            return &web_assets[i];
    return NULL;
}

/* For the rare client that takes no gzip. */
static bool unpack(const struct asset *f, struct buf *out)
{
    z_stream z = { .next_in = NULL };
    buf_init(out, f->raw_n);
    if (buf_reserve(out, f->raw_n) != RC_OK || inflateInit2(&z, 15 + 16) != Z_OK)
        return false;
    z.next_in = (unsigned char *)(uintptr_t)f->data;
    z.avail_in = (uInt)f->n;
    z.next_out = (unsigned char *)out->p;
    z.avail_out = (uInt)f->raw_n;
    int rc = inflate(&z, Z_FINISH);
    out->n = (size_t)z.total_out;
    (void)inflateEnd(&z);
    return rc == Z_STREAM_END && out->n == f->raw_n;
}

void web_asset(struct web *w)
{
    struct http_request *q = &w->h.request;
    struct http_response *r = &w->h.response;
    const struct asset *f = find(q->path);
    if (f == NULL && !str_starts(q->path, STR("/assets/")) &&
        !str_eq(q->path, STR("/favicon.ico")))
        f = find(STR("/index.html"));
    if (f == NULL) {
        web_fail(w, 404, "unknown", "there is nothing here");
        return;
    }
    if (!str_eq(q->method, STR("GET")) && !q->is_head) {
        web_fail(w, 405, "method", "pages can only be read");
        return;
    }
    http_add_field(r, "ETag", str_from_c(f->etag));
    http_add_field(r, "Cache-Control", STR("no-cache"));
    struct str match = http_field(q, "If-None-Match");
    if (match.p != NULL && str_find_str(match, str_from_c(f->etag)) != SIZE_MAX) {
        r->status = 304;
        return;
    }
    r->status = 200;
    r->type = f->type;
    if (!q->accepts_gzip && unpack(f, &r->body)) {
        r->no_compression = true;
        return;
    }
    buf_release(&r->body);
    r->fixed = str_from((const char *)f->data, f->n);
    http_add_field(r, "Content-Encoding", STR("gzip"));
}

/* http_client.h - what an HTTP server answers to a request of ours (RFC 9110, 9112). It is
 * foreign: its lines, fields and octets have limits. */
#ifndef HIKYAKU_WIRE_HTTP_CLIENT_H
#define HIKYAKU_WIRE_HTTP_CLIENT_H

#include "sys/client.h"

#define HTTP_REPLY_FIELDS_MAX 64u

struct http_reply {
    unsigned status;
    struct str line; /* "HTTP/1.1 200 OK" */
    struct str names[HTTP_REPLY_FIELDS_MAX], values[HTTP_REPLY_FIELDS_MAX];
    size_t field_count; /* those behind the most are left out */
};
/* Reads status line and fields, interim answers skipped. Texts are in a. */
enum rc http_reply_head(struct client *c, struct arena *a, struct http_reply *out,
                        struct err *e) CHECK_RESULT;
/* Reads the body, by its length, in chunks, or to the end of the connection; RC_PERM: it
 * doesn't fit in out. Not after HEAD. */
enum rc http_reply_body(struct client *c, const struct http_reply *reply, struct buf *out,
                        struct err *e) CHECK_RESULT;
/* The field's value; p NULL: there is none. */
struct str http_reply_field(const struct http_reply *reply, const char *name);

#endif

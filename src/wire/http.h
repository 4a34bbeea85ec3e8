/*
 * http.h - HTTP/1.1 (RFC 9110, 9112) as one more protocol of the session engine: the request
 * line is a command, its fields and body are read while the session is parked, a handler makes
 * the answer. Bodies are bounded, only CRLF ends a line, and what could be read in two ways is
 * refused.
 */
#ifndef HIKYAKU_WIRE_HTTP_H
#define HIKYAKU_WIRE_HTTP_H

#include "wire/session.h"

#define HTTP_FIELDS_MAX 64
#define HTTP_HEAD_MAX ((size_t)32 * 1024) /* octets of all fields together */
#define HTTP_LINE_MAX ((size_t)8192)

struct http_field {
    struct str name, value;
};

/* A request, complete when the handler is called; all text lives until its answer is sent. */
struct http_request {
    struct str method; /* "GET" */
    struct str target; /* as sent: "/a%20b?x=1" */
    struct str path;   /* "/a%20b", not decoded */
    struct str query;  /* "x=1", not decoded */
    bool http10, is_head, accepts_gzip;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count, head_octets;
    struct str body;
};

/* The answer. */
struct http_response {
    unsigned status;
    struct buf fields; /* "Name: value" CRLF, each added by http_add_field */
    const char *type;  /* of the body; NULL: none */
    struct buf body;
    struct str fixed; /* a body that outlives the answer, instead of body */
    bool fixed_is_gzip;
    bool no_compression, close;
};

struct http_session;

/*
 * Makes more of a body whose length isn't known (sent in chunks): appends to out. False: this
 * was the last of it; with h->broken set, the rest can't be had, and the connection ends
 * without the body's end. *out_pause: how long to wait before the next call, for event streams.
 */
typedef bool http_produce_fn(struct http_session *h, struct buf *out, usec_t *out_pause);

struct http_service {
    /* How many octets of body the request may have; 0: none. Called when the fields are there.
     * *out_status: a refusal (403, 404 ...) before the body is read, else 0. */
    size_t (*body_max)(struct http_session *h, unsigned *out_status);
    /* Fills h->response. */
    void (*handle)(struct http_session *h);
    /* The answer is on its way, or the client is gone: frees what the handler kept. */
    void (*done)(struct http_session *h);
};

/* A connection; a service's own struct begins with it. */
struct http_session {
    struct session s; /* first: the engine sees this */
    const struct http_service *service;
    struct http_request request;
    struct http_response response;
    http_produce_fn *produce;
    struct buf body; /* as it comes in */
    uint64_t body_left;
    size_t body_max;
    bool has_length, chunked, keep_alive, answering, broken;
    uint8_t chunk_state; /* enum chunk_state of http.c */
    size_t out_at;       /* octets of the answer's body sent */
};

static inline struct http_session *http_of(struct session *s)
{
    return CONTAINER_OF(s, struct http_session, s);
}

/* For struct protocol: the rows of commands, and what the engine calls. */
extern const char *const http_state_names[];
#define HTTP_COMMANDS 6
extern const struct command http_commands[HTTP_COMMANDS];
/* The engine's own words: whole answers; the connection closes behind each. */
#define HTTP_WORD(status) "HTTP/1.1 " status "\r\nContent-Length: 0\r\nConnection: close\r\n"
#define HTTP_WORDS                                                                             \
    {                                                                                          \
        .unknown = HTTP_WORD("501 Not Implemented"),                                           \
        .bad_sequence = HTTP_WORD("400 Bad Request"),                                          \
        .line_too_long = HTTP_WORD("414 URI Too Long"),                                        \
        .pipelined = HTTP_WORD("400 Bad Request"),                                             \
        .timeout = HTTP_WORD("408 Request Timeout"),                                           \
        .busy = HTTP_WORD("503 Service Unavailable"),                                          \
        .busy_address = HTTP_WORD("503 Service Unavailable"), .stopping = "",                  \
        .too_many_errors = "", .tls_unavailable = HTTP_WORD("503 Service Unavailable"),        \
    }
/* Prepares a session; the service's greet calls it and returns its result. */
enum step http_begin(struct session *s, const struct http_service *service);
/* Frees what is held; the service's end calls it. */
void http_end(struct session *s);

/* --- reading a request -------------------------------------------------------------------- */

/* The value of a field, or the slice with p NULL when it isn't there. */
struct str http_field(const struct http_request *r, const char *name);
/* A cookie's value (RFC 6265 5.4); p NULL: none. */
struct str http_cookie(const struct http_request *r, const char *name);
/* A parameter of the query, decoded, in a; p NULL: not there, or not decodable. */
struct str http_query(const struct http_request *r, const char *name, struct arena *a);
/* Percent-decoding (RFC 3986 2.1). False: malformed, NUL or not UTF-8. */
bool http_decode(struct str text, bool plus_is_blank, struct arena *a, struct str *out);

/* --- making an answer --------------------------------------------------------------------- */

/* Adds a field; a value with a control octet is left out whole. */
void http_add_field(struct http_response *r, const char *name, struct str value);
/* "Not Found" */
const char *http_reason(unsigned status);

/* --- parsing, for handlers and fuzzers ---------------------------------------------------- */

/* "target HTTP/1.1" into r. The status to refuse with, 0: good. */
unsigned http_parse_request_line(struct str method, struct str args, struct http_request *r);
/* One field line into r; the same result. Names and values are slices of `line`. */
unsigned http_parse_field(struct str line, struct http_request *r);
/* The fields are complete: finds the body's length and how the connection goes on (RFC 9112 6).
 */
unsigned http_check_head(struct http_session *h);
/* Moves what the chunked coding (RFC 9112 7.1) holds from *in to out; *in keeps what isn't used
 * yet. RC_OK: the body is complete. RC_AGAIN: more input is needed. RC_PERM: malformed, or more
 * than out takes. */
enum rc http_read_chunks(uint8_t *state, uint64_t *left, struct str *in,
                         struct buf *out) CHECK_RESULT;

#endif

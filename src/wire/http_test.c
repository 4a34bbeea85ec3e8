/* http_test.c - requests and answers over a memory stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/http.h"

/* A service that tells what it was asked. */
static size_t test_body_max(struct http_session *h, unsigned *out_status)
{
    if (str_eq(h->request.path, STR("/closed")))
        *out_status = 403;
    return str_eq(h->request.path, STR("/up")) ? 100 : 0;
}

static void test_handle(struct http_session *h)
{
    struct http_response *r = &h->response;
    struct str name = http_query(&h->request, "name", &h->s.tmp);
    buf_init(&r->body, 100000);
    r->status = 200;
    r->type = "text/plain";
    buf_addf(&r->body, "%.*s [%.*s] [%.*s]", STR_ARG(h->request.method), STR_ARG(name),
             STR_ARG(h->request.body));
}

static void test_done(struct http_session *h)
{
    (void)h;
}

static enum step greet(struct session *s)
{
    static const struct http_service service = { test_body_max, test_handle, test_done };
    return http_begin(s, &service);
}

static usec_t idle(struct session *s)
{
    (void)s;
    return USEC_S;
}

static unsigned max_errors(struct session *s)
{
    (void)s;
    return 1;
}

static const struct protocol protocol = {
    .name = "http",
    .session_bytes = sizeof(struct http_session),
    .commands = http_commands,
    .command_count = HTTP_COMMANDS,
    .state_names = http_state_names,
    .line_max = HTTP_LINE_MAX,
    .greet = greet,
    .end = http_end,
    .idle = idle,
    .max_errors = max_errors,
    .words = HTTP_WORDS,
};

/* What the client gets for what it sends; *out_open: the connection goes on. */
static struct str talk(struct str sent, struct arena *a, bool *out_open)
{
    static const struct listener listener = { .protocol = &protocol, .service = "http" };
    const struct engine_limits limits = { 10, 0, 1 };
    struct engine *engine = NULL;
    struct err e;
    assert_int_equal(engine_new(&limits, &engine, &e), RC_OK);
    struct session *s = session_test_new(engine, &listener);
    (void)session_test_step(s);
    stream_mem_feed(&s->st, sent);
    *out_open = session_test_step(s);
    struct str got = stream_mem_sent(&s->st, a);
    session_test_free(&s);
    engine_free(&engine);
    return got;
}

#define HOST "Host: h\r\n"

static const struct {
    const char *name, *sent, *begins, *ends;
    bool open;
} rows[] = {
    { "get", "GET /x?name=a%20b HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200 OK\r\n",
      "GET [a b] []", true },
    { "plus", "GET /x?q=1&name=a+b HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200", "[a b] []",
      true },
    { "bad escape", "GET /x?name=%zz HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200", "[] []", true },
    { "NUL in a value", "GET /x?name=%00 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200", "[] []",
      true },
    { "two", "GET /a HTTP/1.1\r\n" HOST "\r\nGET /b?name=2 HTTP/1.1\r\n" HOST "\r\n",
      "HTTP/1.1 200", "[2] []", true },
    { "close", "GET /x HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "HTTP/1.1 200", "[] []",
      false },
    { "1.0", "GET /x HTTP/1.0\r\n\r\n", "HTTP/1.1 200", "[] []", false },
    { "head", "HEAD /x HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200", "\r\n\r\n", true },
    { "length", "POST /up HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "HTTP/1.1 200",
      "POST [] [abc]", true },
    { "chunks",
      "POST /up HTTP/1.1\r\n" HOST
      "Transfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n",
      "HTTP/1.1 200", "POST [] [abcde]", true },
    { "expect",
      "POST /up HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: 100-continue\r\n\r\nz",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200", "[z]", true },
    { "refused before the body", "POST /closed HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\n",
      "HTTP/1.1 403", "\r\n\r\n", false },
    { "too long", "POST /up HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n", "HTTP/1.1 413",
      "\r\n\r\n", false },
    { "too long in chunks",
      "POST /up HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nffff\r\n", "HTTP/1.1 400",
      "\r\n\r\n", false },
    { "no body wanted", "POST /x HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na",
      "HTTP/1.1 413", "\r\n\r\n", false },
    { "two lengths",
      "POST /up HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
      "HTTP/1.1 400", "\r\n\r\n", false },
    { "length and chunks",
      "POST /up HTTP/1.1\r\n" HOST
      "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 400", "\r\n\r\n", false },
    { "another coding", "POST /up HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n",
      "HTTP/1.1 501", "\r\n\r\n", false },
    { "no host", "GET /x HTTP/1.1\r\n\r\n", "HTTP/1.1 400", "\r\n\r\n", false },
    { "two hosts", "GET /x HTTP/1.1\r\n" HOST HOST "\r\n", "HTTP/1.1 400", "\r\n\r\n", false },
    { "blank before colon", "GET /x HTTP/1.1\r\nHost : h\r\n\r\n", "HTTP/1.1 400", "\r\n\r\n",
      false },
    { "folded field", "GET /x HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", "HTTP/1.1 400",
      "\r\n\r\n", false },
    { "bare LF in a field", "GET /x HTTP/1.1\r\n" HOST "A: b\nC: d\r\n\r\n", "HTTP/1.1 400",
      "\r\n\r\n", false },
    { "version", "GET /x HTTP/2.0\r\n" HOST "\r\n", "HTTP/1.1 505", "\r\n\r\n", false },
    { "proxy", "GET http://e/ HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400", "\r\n\r\n", false },
    { "method", "BREW /pot HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 501", "\r\n\r\n", false },
    { "not http", "\x16\x03\x01\r\n", "HTTP/1.1 501", "\r\n\r\n", false },
};

static void requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        bool open = false;
        struct str got = talk(str_from_c(rows[i].sent), &a, &open);
        print_message("%s\n", rows[i].name);
        assert_true(str_starts(got, str_from_c(rows[i].begins)));
        assert_true(str_ends(got, str_from_c(rows[i].ends)));
        assert_int_equal(open, rows[i].open);
    }
}

static void too_many_fields(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct buf b AUTO_RELEASE_BUF;
    bool open = true;
    (void)state;
    buf_init(&b, 100000);
    buf_addf(&b, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        buf_addf(&b, "A%d: x\r\n", i);
    buf_addf(&b, "\r\n");
    assert_true(str_starts(talk(buf_str(&b), &a, &open), STR("HTTP/1.1 431")));
    assert_false(open);
}

static void cookies(void **state)
{
    struct http_request r = { .method = STR("GET") };
    (void)state;
    assert_int_equal(http_parse_field(STR("Cookie: a=1; hikyaku=x=y;b"), &r), 0);
    assert_true(str_eq(http_cookie(&r, "hikyaku"), STR("x=y")));
    assert_true(str_eq(http_cookie(&r, "a"), STR("1")));
    assert_null(http_cookie(&r, "b").p);
    assert_null(http_cookie(&r, "ikyaku").p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(requests),
                                        cmocka_unit_test(too_many_fields),
                                        cmocka_unit_test(cookies) };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * http_fuzz.c - hostile clients. The first octet says in how many pieces the rest arrives; what
 * is answered must not depend on it, and each answer must look like one.
 */
#include "wire/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t fuzz_body_max(struct http_session *h, unsigned *out_status)
{
    *out_status = str_starts(h->request.path, STR("/no")) ? 404 : 0;
    return 200;
}

static void fuzz_handle(struct http_session *h)
{
    struct http_response *r = &h->response;
    struct str decoded, name = http_query(&h->request, "n", &h->s.tmp);
    buf_init(&r->body, 100000);
    r->status = 200;
    r->type = "text/plain";
    (void)http_cookie(&h->request, "c");
    if (http_decode(h->request.path, false, &h->s.tmp, &decoded) && !str_is_utf8(decoded))
        BUG("decoded to something else");
    http_add_field(r, "X-Name", name);
    buf_addf(&r->body, "%zu", h->request.body.n);
}

static void fuzz_done(struct http_session *h)
{
    (void)h;
}

static enum step greet(struct session *s)
{
    static const struct http_service service = { fuzz_body_max, fuzz_handle, fuzz_done };
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

static struct str talk(struct engine *engine, struct str sent, size_t pieces, struct arena *a)
{
    static const struct listener listener = { .protocol = &protocol, .service = "http" };
    struct session *s = session_test_new(engine, &listener);
    bool open = session_test_step(s);
    size_t step = sent.n / pieces + 1;
    while (open && sent.n > 0) {
        stream_mem_feed(&s->st, str_head(sent, step));
        sent = str_skip(sent, step);
        open = session_test_step(s);
    }
    struct str got = stream_mem_sent(&s->st, a);
    session_test_free(&s);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct engine *engine;
    const struct engine_limits limits = { 10, 0, 1 };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct err e;
    if (size == 0 || size > 20000)
        return 0;
    log_set_level(LOG_LEVEL_ERROR);
    if (engine == NULL && engine_new(&limits, &engine, &e) != RC_OK)
        BUG("engine");
    struct str sent = str_from((const char *)data + 1, size - 1);
    struct str whole = talk(engine, sent, 1, &a);
    struct str parts = talk(engine, sent, data[0] % 20 + 1u, &a);
    if (!str_eq(whole, parts))
        BUG("the answer depends on how the request arrives");
    if (whole.n > 0 && !str_starts(whole, STR("HTTP/1.1 ")))
        BUG("not an answer");
    return 0;
}

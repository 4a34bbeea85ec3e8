/*
 * web.c - one request: who asks, which route, may he, then its handler; and what every answer
 * says to browsers.
 */
#include "conf/options.h"
#include "gates/gates.h"
#include "mail/charset.h"
#include "spool/queued.h"
#include "users/users.h"
#include "web/jobs.h"
#include "web/lookup.h"

#define IDLE_TIME (60 * USEC_S)

enum rc web_init(const struct web_hooks *hooks, struct err *e)
{
    (void)e;
    link_init(hooks);
    lookup_init(hooks);
    gates_init();
    signins_init();
    jobs_init();
    queued_init();
    charsets_hold();
    return RC_OK;
}

void web_tick(void)
{
    signins_tick();
    jobs_tick();
    queued_tick();
    indexer_tick();
}

void web_free(void)
{
    jobs_free();
    indexer_end();
    queued_free();
    charsets_drop();
    link_free();
    signins_free();
}

/* --- where the client is ------------------------------------------------------------------ */

/* Behind a proxy of ours: the last address of X-Forwarded-For that isn't one. */
static void find_client(struct web *w)
{
    const struct http_request *r = &w->h.request;
    w->client = w->h.s.client_ip;
    w->secure = stream_is_tls(&w->h.s.st);
    if (!ip_in_list(&w->client, conf()->web_proxies))
        return;
    w->secure = w->secure || str_ieq(http_field(r, "X-Forwarded-Proto"), STR("https"));
    struct str list = http_field(r, "X-Forwarded-For");
    while (list.n > 0) {
        struct ip ip;
        size_t comma = str_rfind(list, ',');
        struct str last = str_trim(comma == SIZE_MAX ? list : str_skip(list, comma + 1));
        list = comma == SIZE_MAX ? STR("") : str_head(list, comma);
        if (!ip_parse(last, &ip))
            return;
        w->client = ip;
        if (!ip_in_list(&ip, conf()->web_proxies))
            return;
    }
}

/* --- may he ------------------------------------------------------------------------------- */

static bool is_api(const struct web *w)
{
    return str_starts(w->h.request.path, STR("/api/"));
}

static bool changes(const struct web *w)
{
    struct str m = w->h.request.method;
    return !str_eq(m, STR("GET")) && !str_eq(m, STR("HEAD"));
}

/* True: the request may go on. Else an answer is made. */
static bool is_allowed(struct web *w)
{
    const struct route *route = w->route;
    if (changes(w) && !w->who.by_token && !web_is_same_origin(w)) {
        web_fail(w, 403, "forged", "the request doesn't come from this server's own pages");
        return false;
    }
    if ((route->right != RIGHT_NONE || w->who.by_token) && w->who.right == RIGHT_NONE) {
        web_fail(w, 401, "sign-in",
                 w->who.by_token ? "the token isn't valid" : "sign in first");
        return false;
    }
    if (w->who.by_token && ((route->flags & ROUTE_PERSON) != 0 || !token_allows(w))) {
        web_fail(w, 403, "token", "the token isn't for this");
        return false;
    }
    if (w->who.right < route->right) {
        web_fail(w, 403, "right", "your account may not do this");
        return false;
    }
    if (!web_delegate_may(w))
        return false;
    return (route->flags & ROUTE_CONFIRM) == 0 || web_is_confirmed(w);
}

static bool read_json(struct web *w)
{
    struct str body = w->h.request.body, type = http_field(&w->h.request, "Content-Type");
    json_error_t why;
    if (body.n == 0 || (w->route->flags & ROUTE_ANY_TYPE) != 0)
        return true;
    if (type.p == NULL || !str_istarts(type, STR("application/json"))) {
        web_fail(w, 415, "type", "the body must be application/json");
        return false;
    }
    w->body = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &why);
    if (w->body == NULL)
        web_fail(w, 400, "json", "line %d of the body: %s", why.line, why.text);
    return w->body != NULL;
}

/* --- one request -------------------------------------------------------------------------- */

static size_t body_max(struct http_session *h, unsigned *out_status)
{
    struct web *w = web_of(h);
    bool known = false;
    unsigned line = 0;
    find_client(w);
    w->who = (struct identity){ .name = STR("") };
    w->route = NULL;
    w->route =
        web_route_find(h->request.method, h->request.path, web_mem(w), w->params, &known);
    bool open = w->route != NULL && (w->route->flags & ROUTE_ANYWHERE) != 0;
    if (!open && !access_is_allowed("http.ipmap.tab", &w->client, &line)) {
        w->route = NULL;
        *out_status = 403;
        return 0;
    }
    if (w->route == NULL)
        *out_status = known ? 405 : !is_api(w) ? 0 : 404;
    return w->route == NULL ? 0 : w->route->body_max;
}

/* Fields for browsers: nothing from elsewhere, no frames, no guessing of types. */
static void add_fields(struct web *w)
{
    struct http_response *r = &w->h.response;
    http_add_field(
        r, "Content-Security-Policy",
        STR("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' "
            "data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri "
            "'none'; form-action 'none'; frame-ancestors 'none'"));
    http_add_field(r, "X-Content-Type-Options", STR("nosniff"));
    http_add_field(r, "X-Frame-Options", STR("DENY"));
    http_add_field(r, "Referrer-Policy", STR("no-referrer"));
    http_add_field(r, "Cross-Origin-Opener-Policy", STR("same-origin"));
    http_add_field(r, "Cross-Origin-Resource-Policy", STR("same-origin"));
    if (is_api(w))
        http_add_field(r, "Cache-Control", STR("no-store"));
    if (w->secure && conf()->web_hsts)
        http_add_field(r, "Strict-Transport-Security", STR("max-age=31536000"));
}

static void handle(struct http_session *h)
{
    struct web *w = web_of(h);
    if (w->route == NULL) {
        web_asset(w);
    } else {
        web_identify(w);
        if (is_allowed(w) && read_json(w) && web_delegate_may_body(w))
            w->route->run(w);
    }
    add_fields(w);
    log_debug(EV("request"), KS("session", session_id(&h->s)), KS("method", h->request.method),
              KS("path", h->request.path), KU("status", h->response.status),
              KS("by", w->who.name));
}

static void done(struct http_session *h)
{
    struct web *w = web_of(h);
    json_decref(w->body);
    w->body = NULL;
    if (w->free_kept != NULL)
        w->free_kept(w->kept);
    w->free_kept = NULL;
    w->kept = NULL;
}

/* --- the protocol ------------------------------------------------------------------------- */

static enum step greet(struct session *s)
{
    static const struct http_service service = { body_max, handle, done };
    return http_begin(s, &service);
}

static usec_t idle(struct session *s)
{
    const struct options *o = conf();
    unsigned own = s->listener->implicit_tls ? o->https.timeout_s : o->http.timeout_s;
    return own > 0 ? own * USEC_S : IDLE_TIME;
}

static unsigned max_errors(struct session *s)
{
    (void)s;
    return 1; /* nothing can be read behind a broken request */
}

const struct protocol web_protocol = {
    .name = "http",
    .session_bytes = sizeof(struct web),
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

/* request.c - requests to the authority: over TLS that must be good, a connection each, signed
 * with the account's key, each with a nonce of the answer before (RFC 8555 6). */
#include "acme/jose.h"
#include "acme/talk_int.h"
#include "process/process.h"
#include "wire/connect.h"

#define WAIT_TIME (30 * USEC_S)
#define NONCE_TRIES 5u

/* --- one exchange ------------------------------------------------------------------------- */

static enum rc open_connection(struct acme_talk *t, const struct hook_url *url, struct err *e)
{
    uint64_t port = 0;
    client_close(&t->client);
    if (clock_mono() >= t->deadline)
        return err_temp(e, "4.4.7", "the order took too long");
    if (!url->tls || !str_to_u64(url->port, &port))
        return err_perm(e, "5.3.5", "the authority must be reached by https");
    enum rc rc = connect_host(url->host, (uint16_t)port, NULL, WAIT_TIME, &t->client, e);
    if (rc != RC_OK)
        return rc;
    client_set_deadline(t->client, MIN(t->deadline, clock_mono() + 2 * WAIT_TIME));
    return client_start_tls_with(t->client, t->tls, url->host, true, false, e);
}

/* The answer's nonce is for the next request. */
static void keep_nonce(struct acme_talk *t)
{
    struct str nonce = http_reply_field(t->reply, "Replay-Nonce");
    t->nonce = nonce.p != NULL && acme_is_token(nonce) ? nonce : STR("");
}

static enum rc exchange(struct acme_talk *t, const char *method, struct str url,
                        struct str body, struct err *e)
{
    struct hook_url parts;
    const char *why = hook_url_parse(url, &parts);
    if (why != NULL)
        return err_perm(e, "5.3.5", "the authority's URL is %s", why);
    struct str head = arena_printf(
        &t->mem,
        "%s %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: Hikyaku\r\nAccept-Language: en\r\n"
        "Connection: close\r\n",
        method, STR_ARG(parts.path), STR_ARG(parts.authority));
    if (strcmp(method, "POST") == 0)
        head = arena_printf(
            &t->mem, "%.*sContent-Type: application/jose+json\r\nContent-Length: %zu\r\n",
            STR_ARG(head), body.n);
    t->reply = arena_new(&t->mem, sizeof(*t->reply));
    buf_reset(&t->body);
    enum rc rc = open_connection(t, &parts, e);
    if (rc == RC_OK)
        rc = client_write(
            t->client, arena_printf(&t->mem, "%.*s\r\n%.*s", STR_ARG(head), STR_ARG(body)), e);
    if (rc == RC_OK)
        rc = http_reply_head(t->client, &t->mem, t->reply, e);
    if (rc == RC_OK)
        keep_nonce(t);
    if (rc == RC_OK && strcmp(method, "HEAD") != 0)
        rc = http_reply_body(t->client, t->reply, &t->body, e);
    client_close(&t->client);
    if (rc != RC_OK) {
        (void)err_wrap(e, "%.*s", STR_ARG(parts.authority));
        return rc == RC_GONE ? RC_TEMP : rc;
    }
    return RC_OK;
}

static enum rc judge(struct acme_talk *t, struct str url, struct str *out_type, struct err *e)
{
    *out_type = STR("");
    if (t->reply->status >= 200 && t->reply->status < 300)
        return RC_OK;
    struct str why = acme_read_problem(buf_str(&t->body), &t->mem, out_type);
    if (why.n == 0)
        return err_temp(e, "4.3.0", "%.*s answers %.60s", STR_ARG(str_head(url, 80)),
                        t->reply->line.p);
    return t->reply->status >= 500 || str_eq(*out_type, STR("rateLimited"))
               ? err_temp(e, "4.3.0", "the authority says: %.*s", STR_ARG(why))
               : err_perm(e, "5.3.0", "the authority says: %.*s", STR_ARG(why));
}

enum rc acme_get(struct acme_talk *t, struct str url, struct err *e)
{
    struct str type;
    enum rc rc = exchange(t, "GET", url, STR(""), e);
    return rc == RC_OK ? judge(t, url, &type, e) : rc;
}

/* --- signed ones -------------------------------------------------------------------------- */

static enum rc need_nonce(struct acme_talk *t, struct err *e)
{
    if (t->nonce.n > 0)
        return RC_OK;
    enum rc rc = exchange(t, "HEAD", t->directory.new_nonce, STR(""), e);
    if (rc == RC_OK && t->nonce.n == 0)
        return err_temp(e, "4.3.0", "the authority gives no nonce");
    return rc;
}

static struct str make_head(struct acme_talk *t, struct str url)
{
    struct str key = jose_key(t->key, &t->mem);
    json_t *head = json_pack("{s:s, s:s#, s:s#}", "alg", "ES256", "nonce", t->nonce.p,
                             (int)t->nonce.n, "url", url.p, (int)url.n);
    if (t->account.n > 0)
        (void)json_object_set_new(head, "kid", json_stringn(t->account.p, t->account.n));
    else
        (void)json_object_set_new(head, "jwk", json_loadb(key.p, key.n, 0, NULL));
    char *text = json_dumps(head, JSON_COMPACT);
    struct str out = text == NULL ? STR("") : arena_str(&t->mem, str_from_c(text));
    free(text);
    json_decref(head);
    return out;
}

enum rc acme_post(struct acme_talk *t, struct str url, struct str payload, struct err *e)
{
    struct str type = STR("badNonce");
    enum rc rc = RC_OK;
    for (unsigned i = 0; i < NONCE_TRIES && str_eq(type, STR("badNonce")); i++) {
        rc = need_nonce(t, e);
        if (rc != RC_OK)
            return rc;
        struct str body = jose_sign(t->key, make_head(t, url), payload, &t->mem);
        t->nonce = STR("");
        if (body.n == 0)
            return err_temp(e, "4.3.0", "a request can't be signed");
        rc = exchange(t, "POST", url, body, e);
        if (rc != RC_OK)
            return rc;
        rc = judge(t, url, &type, e);
    }
    return rc;
}

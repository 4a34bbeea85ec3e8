/*
 * hook.c - HTTP hooks: a POST of what FILE and the macros say, as JSON, signed with a secret;
 * the verdict is the JSON in the answer (process.h). One request a connection, no redirects.
 * The signature is HMAC-SHA-256 of the time, a dot and the body, so that a request can't be
 * changed, nor repeated later.
 */
#include "conf/options.h"
#include "process/job.h"
#include "runner/talk_int.h"
#include "wire/http_client.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdatomic.h>

#define MESSAGE_MAX ((size_t)1 << 20) /* of the message, that is sent along */
#define ANSWER_MAX ((size_t)64 * 1024)
#define SECRET_MAX ((size_t)4096)

/* --- the body ---------------------------------------------------------------------------- */

/* The message with CRLF, in base64; *whole: nothing is missing. */
static json_t *message_of(const struct talk *t, bool *whole)
{
    struct unstuffing u = { .dotted = true };
    struct buf lines AUTO_RELEASE_BUF, out AUTO_RELEASE_BUF;
    char *raw AUTO_FREE = mem_try(MESSAGE_MAX);
    ssize_t n = raw == NULL ? -1 : io_pread(t->file, raw, MESSAGE_MAX, t->message);
    buf_init(&lines, 2 * MESSAGE_MAX);
    buf_init(&out, 4 * MESSAGE_MAX);
    if (n < 0)
        return NULL;
    *whole = (size_t)n < MESSAGE_MAX;
    buf_must(unstuff_feed(&u, str_from(raw, (size_t)n), &lines));
    talk_add_crlf(&out, buf_str(&lines));
    char *text AUTO_FREE = mem_try(out.n / 3 * 4 + 8);
    if (text == NULL)
        return NULL;
    int length =
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)out.p, (int)out.n);
    return json_stringn(text, (size_t)length);
}

static bool add_message(const struct talk *t, json_t *o)
{
    bool whole = true;
    if (t->message == 0)
        return true;
    return json_object_set_new(o, "message", message_of(t, &whole)) == 0 &&
           json_object_set_new(o, "whole", json_boolean(whole)) == 0;
}

static bool add_envelope(const struct talk *t, json_t *o)
{
    json_t *list = json_array();
    bool ok = json_object_set_new(o, "helo", job_text(t->helo, t->mem)) == 0 &&
              json_object_set_new(o, "sender", job_text(talk_bare(t->sender), t->mem)) == 0;
    for (size_t i = 0; i < t->rcpt_count && ok; i++)
        ok = json_array_append_new(list, job_text(talk_bare(t->rcpts[i]), t->mem)) == 0;
    return json_object_set_new(o, "recipients", list) == 0 && ok;
}

static enum rc make_body(const struct talk *t, uint64_t id, struct str table, struct str *out,
                         struct err *e)
{
    json_t *o = job_object(id, table, t->job->macros, t->job->macro_count, t->mem);
    (void)json_object_del(o, "FILE"); /* a path of this machine */
    bool ok = add_envelope(t, o) && add_message(t, o);
    char *text = ok ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text == NULL)
        return err_temp(e, "4.3.0", "no memory for a request");
    *out = arena_str(t->mem, str_from_c(text));
    free(text);
    return RC_OK;
}

/* --- the request ------------------------------------------------------------------------- */

static enum rc read_secret(const struct talk *t, struct str path, struct str *out,
                           struct err *e)
{
    enum rc rc = file_read(arena_c(t->mem, path), SECRET_MAX, t->mem, out, NULL, e);
    if (rc != RC_OK)
        return rc;
    *out = str_trim(*out);
    return out->n >= 16 ? RC_OK
                        : err_perm(e, "5.3.5", "the secret in %.*s has less than 16 octets",
                                   STR_ARG(path));
}

static struct str sign(struct str secret, struct str text, struct arena *a)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct buf hex AUTO_RELEASE_BUF;
    buf_init(&hex, 4 * sizeof(mac));
    (void)HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)text.p, text.n,
               mac, &n);
    for (unsigned i = 0; i < n; i++)
        buf_addf(&hex, "%02x", mac[i]);
    return arena_str(a, buf_str(&hex));
}

static enum rc send_request(struct talk *t, const struct hook_url *url, struct str secret,
                            struct str body, struct err *e)
{
    struct str time = arena_printf(t->mem, "%" PRId64, clock_wall() / USEC_S);
    struct str signed_text = arena_printf(t->mem, "%.*s.%.*s", STR_ARG(time), STR_ARG(body));
    struct str head = arena_printf(
        t->mem,
        "POST %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: Hikyaku\r\n"
        "Content-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n"
        "Hikyaku-Time: %.*s\r\nHikyaku-Signature: sha256=%.*s\r\n\r\n",
        STR_ARG(url->path), STR_ARG(url->authority), body.n, STR_ARG(time),
        STR_ARG(sign(secret, signed_text, t->mem)));
    enum rc rc = client_write(t->client, head, e);
    return rc == RC_OK ? client_write(t->client, body, e) : rc;
}

/* --- the answer -------------------------------------------------------------------------- */

static enum rc read_answer(struct talk *t, struct buf *out, struct err *e)
{
    struct http_reply *reply = arena_new(t->mem, sizeof(*reply));
    enum rc rc = http_reply_head(t->client, t->mem, reply, e);
    if (rc == RC_OK && reply->status != 200)
        return err_temp(e, "4.3.0", "the hook answers %.60s", reply->line.p);
    if (rc == RC_OK)
        rc = http_reply_body(t->client, reply, out, e);
    return rc == RC_TEMP || rc == RC_PERM ? err_wrap(e, "the hook") : rc;
}

/* --- the conversation -------------------------------------------------------------------- */

static enum rc open_connection(struct talk *t, const struct hook_url *url, struct err *e)
{
    static _Atomic(struct client_tls_ctx *) kept;
    const struct tls_trust trust = options_tls_trust(conf());
    const char *host = arena_c(t->mem, url->host);
    usec_t limit = MAX(t->job->deadline - clock_mono(), USEC_S);
    enum rc rc = client_open(host, arena_c(t->mem, url->port), limit, &t->client, e);
    if (rc != RC_OK)
        return rc;
    client_set_deadline(t->client, t->job->deadline);
    if (!url->tls)
        return RC_OK;
    struct client_tls_ctx *ctx = atomic_load(&kept);
    if (ctx == NULL) {
        rc = client_tls_ctx_new(&trust, &ctx, e);
        if (rc != RC_OK)
            return rc;
        atomic_store(&kept, ctx); /* two at the same time: one more is kept, for good */
    }
    return client_start_tls_with(t->client, ctx, url->host, true, false, e);
}

static enum rc ask(struct talk *t, struct verdict *out, struct err *e)
{
    static _Atomic uint64_t last_id;
    struct hook_url url;
    struct str secret, body;
    struct buf answer AUTO_RELEASE_BUF;
    uint64_t id = ++last_id;
    buf_init(&answer, ANSWER_MAX + 1);
    const char *why = hook_url_parse(t->job->where, &url);
    if (why != NULL)
        return err_perm(e, "5.3.5", "%s", why);
    enum rc rc = read_secret(t, t->job->secret, &secret, e);
    if (rc == RC_OK)
        rc = talk_read_file(t, e);
    if (rc == RC_OK)
        rc = make_body(t, id, t->job->table, &body, e);
    if (rc == RC_OK)
        rc = open_connection(t, &url, e);
    if (rc == RC_OK)
        rc = send_request(t, &url, secret, body, e);
    if (rc == RC_OK)
        rc = read_answer(t, &answer, e);
    if (rc != RC_OK)
        return rc;
    why = verdict_parse(buf_str(&answer), t->mem, out);
    if (why == NULL && out->id != id)
        why = "the answer has the id of another job";
    return why == NULL ? RC_OK : err_perm(e, "5.5.0", "%s", why);
}

void hook_talk(const struct talk_job *job, struct talk_outcome *out)
{
    struct talk t = talk_begin(job);
    struct verdict v = { .id = 0, .reply = STR("") };
    struct err e = { .rc = RC_OK };
    *out = (struct talk_outcome){ .text = STR(""), .reply = STR("") };
    if (ask(&t, &v, &e) == RC_OK) {
        out->code = v.code;
        out->reply = v.reply;
    } else {
        out->code = PROGRAM_FAILED;
        out->text = arena_str(job->mem, str_from_c(e.text));
    }
    talk_end(&t);
}

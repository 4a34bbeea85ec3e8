/* order.c - an order from its directory to its certificate (RFC 8555 7). */
#include "acme/jose.h"
#include "acme/talk_int.h"
#include "sys/lock.h"
#include <openssl/pem.h>

#define POLL_LEAST (1 * USEC_S)
#define POLL_MOST (30 * USEC_S)
#define POLLS_MAX 200u

static struct str text_of(const struct acme_talk *t, const char *name)
{
    const json_t *value = json_object_get(t->job, name);
    return str_from(json_string_value(value), json_string_length(value));
}

static struct str dump(struct acme_talk *t, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    struct str out = text == NULL ? STR("{}") : arena_str(&t->mem, str_from_c(text));
    free(text);
    json_decref(value);
    return out;
}

static enum rc bad(struct err *e, const char *why)
{
    return err_temp(e, "4.3.0", "the authority's answer can't be used: %s", why);
}

/* --- the account -------------------------------------------------------------------------- */

static enum rc load_key(struct acme_talk *t, struct err *e)
{
    struct str pem = text_of(t, "key");
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    t->key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return t->key != NULL && jose_key(t->key, &t->mem).n > 0
               ? RC_OK
               : err_perm(e, "5.3.0", "the account's key can't be used");
}

/* The authority's own account that this one is to belong to (RFC 8555 7.3.4). */
static enum rc bind_account(struct acme_talk *t, json_t *payload, struct err *e)
{
    struct str id = text_of(t, "eab_id"), secret;
    if (id.n == 0 && !t->directory.wants_external_account)
        return RC_OK;
    if (id.n == 0)
        return err_perm(e, "5.3.5",
                        "the authority wants an account of its own first: put its key id and "
                        "secret into acmekeys.tab");
    if (!jose_octets(text_of(t, "eab_key"), &t->mem, &secret) || secret.n < 16)
        return err_perm(e, "5.3.5", "the secret in acmekeys.tab isn't base64url");
    struct str head =
        dump(t, json_pack("{s:s, s:s#, s:s#}", "alg", "HS256", "kid", id.p, (int)id.n, "url",
                          t->directory.new_account.p, (int)t->directory.new_account.n));
    struct str jws = jose_mac(secret, head, jose_key(t->key, &t->mem), &t->mem);
    (void)json_object_set_new(payload, "externalAccountBinding",
                              json_loadb(jws.p, jws.n, 0, NULL));
    return RC_OK;
}

static enum rc find_account(struct acme_talk *t, struct err *e)
{
    struct str contact = text_of(t, "contact");
    json_t *payload = json_pack("{s:b}", "termsOfServiceAgreed", 1);
    if (contact.n > 0)
        (void)json_object_set_new(
            payload, "contact",
            json_pack("[o]", json_sprintf("mailto:%.*s", STR_ARG(contact))));
    enum rc rc = bind_account(t, payload, e);
    struct str text = dump(t, payload);
    if (rc == RC_OK)
        rc = acme_post(t, t->directory.new_account, text, e);
    if (rc != RC_OK)
        return rc;
    struct str url = http_reply_field(t->reply, "Location");
    if (url.p == NULL || url.n == 0 || str_has_control(url) || !str_is_ascii(url))
        return bad(e, "the account has no URL");
    t->account = url;
    return RC_OK;
}

/* --- waiting ------------------------------------------------------------------------------ */

/* As long as it asks for, within reason. */
static enum rc pause_as_told(const struct acme_talk *t, struct err *e)
{
    uint64_t s = 0;
    struct str field = http_reply_field(t->reply, "Retry-After");
    usec_t wait = POLL_LEAST;
    if (field.p != NULL && str_to_u64(field, &s))
        wait = MAX(POLL_LEAST, (usec_t)MIN(s, (uint64_t)60) * USEC_S);
    wait = MIN(wait, POLL_MOST);
    if (clock_mono() + wait >= t->deadline)
        return err_temp(e, "4.4.7", "the authority took too long");
    thread_pause(wait);
    return RC_OK;
}

/* --- authorizations ----------------------------------------------------------------------- */

static enum rc look(struct acme_talk *t, struct str url, struct acme_authorization *out,
                    struct err *e)
{
    enum rc rc = acme_post(t, url, STR(""), e);
    const char *why = rc != RC_OK
                          ? NULL
                          : acme_read_authorization(buf_str(&t->body),
                                                    text_of(t, "challenge").p, &t->mem, out);
    return why == NULL ? rc : bad(e, why);
}

static enum rc refused(const struct acme_authorization *a, struct err *e)
{
    return err_perm(e, "5.7.0", "%.*s couldn't be proved: %.*s", STR_ARG(a->name),
                    a->why.n > 0 ? (int)a->why.n : 9, a->why.n > 0 ? a->why.p : "no reason");
}

/* What is to be put up for each that isn't valid yet; *out_urls: their challenges. */
static enum rc collect(struct acme_talk *t, const struct acme_order *order, json_t *proofs,
                       struct str *out_urls, struct err *e)
{
    struct str thumb = jose_thumbprint(t->key, &t->mem), kind = text_of(t, "challenge");
    for (size_t i = 0; i < order->authorization_count; i++) {
        struct acme_authorization a;
        enum rc rc = look(t, order->authorizations[i], &a, e);
        out_urls[i] = STR("");
        if (rc != RC_OK)
            return rc;
        if (a.status == ACME_VALID)
            continue;
        if (a.status != ACME_PENDING)
            return refused(&a, e);
        if (a.url.n == 0 || a.token.n == 0)
            return err_perm(e, "5.7.0", "the authority doesn't offer %.*s for %s%.*s",
                            STR_ARG(kind), a.wildcard ? "*." : "", STR_ARG(a.name));
        struct str proof = arena_printf(&t->mem, "%.*s.%.*s", STR_ARG(a.token), STR_ARG(thumb));
        struct str value = jose_base64(jose_digest(proof, &t->mem), &t->mem);
        out_urls[i] = a.url;
        (void)json_array_append_new(
            proofs, json_pack("{s:s#, s:s#, s:s#, s:s#}", "name", a.name.p, (int)a.name.n,
                              "token", a.token.p, (int)a.token.n, "proof", proof.p,
                              (int)proof.n, "value", value.p, (int)value.n));
    }
    return RC_OK;
}

static enum rc await_valid(struct acme_talk *t, struct str url, struct err *e)
{
    for (unsigned i = 0; i < POLLS_MAX; i++) {
        struct acme_authorization a;
        enum rc rc = look(t, url, &a, e);
        if (rc != RC_OK || a.status == ACME_VALID)
            return rc;
        if (a.status == ACME_INVALID)
            return refused(&a, e);
        rc = pause_as_told(t, e);
        if (rc != RC_OK)
            return rc;
    }
    return err_temp(e, "4.4.7", "the authority took too long");
}

static enum rc prove_all(struct acme_talk *t, const struct acme_order *order, struct err *e)
{
    struct str urls[ACME_NAMES_MAX];
    json_t *proofs = json_array();
    enum rc rc = collect(t, order, proofs, urls, e);
    bool any = json_array_size(proofs) > 0;
    struct str text = dump(t, proofs);
    if (rc == RC_OK && any)
        rc = t->prove(t, text, e);
    for (size_t i = 0; i < order->authorization_count && rc == RC_OK && any; i++)
        if (urls[i].n > 0)
            rc = acme_post(t, urls[i], STR("{}"), e);
    for (size_t i = 0; i < order->authorization_count && rc == RC_OK && any; i++)
        if (urls[i].n > 0)
            rc = await_valid(t, order->authorizations[i], e);
    return rc;
}

/* --- the order ---------------------------------------------------------------------------- */

static enum rc read_order(struct acme_talk *t, struct acme_order *out, struct err *e)
{
    const char *why = acme_read_order(buf_str(&t->body), &t->mem, out);
    if (why != NULL)
        return bad(e, why);
    return out->status != ACME_INVALID
               ? RC_OK
               : err_perm(e, "5.7.0", "the authority refused the order: %.*s",
                          STR_ARG(out->why));
}

static enum rc begin(struct acme_talk *t, struct acme_order *out, struct str *out_url,
                     struct err *e)
{
    json_t *names = json_array(), *name = NULL;
    size_t i = 0;
    json_array_foreach(json_object_get(t->job, "names"), i, name)
    {
        (void)json_array_append_new(names,
                                    json_pack("{s:s, s:O}", "type", "dns", "value", name));
    }
    struct str text = dump(t, json_pack("{s:o}", "identifiers", names));
    enum rc rc = acme_post(t, t->directory.new_order, text, e);
    if (rc != RC_OK)
        return rc;
    *out_url = http_reply_field(t->reply, "Location");
    rc = read_order(t, out, e);
    return rc == RC_OK && (out_url->p == NULL || out_url->n == 0)
               ? bad(e, "the order has no URL")
               : rc;
}

static enum rc finish(struct acme_talk *t, struct str url, struct acme_order *order,
                      struct err *e)
{
    struct str csr = text_of(t, "csr");
    struct str text = dump(t, json_pack("{s:s#}", "csr", csr.p, (int)csr.n));
    enum rc rc = acme_post(t, order->finalize, text, e);
    if (rc == RC_OK)
        rc = read_order(t, order, e);
    for (unsigned i = 0; rc == RC_OK && order->status != ACME_VALID; i++) {
        rc = i == POLLS_MAX ? err_temp(e, "4.4.7", "the authority took too long")
                            : pause_as_told(t, e);
        if (rc == RC_OK)
            rc = acme_post(t, url, STR(""), e);
        if (rc == RC_OK)
            rc = read_order(t, order, e);
    }
    return rc;
}

enum rc acme_run_order(struct acme_talk *t, struct str *out_chain, struct err *e)
{
    struct acme_order *order = arena_new(&t->mem, sizeof(*order));
    struct str url = STR("");
    enum rc rc = load_key(t, e);
    if (rc == RC_OK)
        rc = acme_get(t, text_of(t, "directory"), e);
    const char *why =
        rc != RC_OK ? NULL : acme_read_directory(buf_str(&t->body), &t->mem, &t->directory);
    if (why != NULL)
        return bad(e, why);
    if (rc == RC_OK)
        rc = find_account(t, e);
    if (rc == RC_OK)
        rc = begin(t, order, &url, e);
    if (rc == RC_OK)
        rc = prove_all(t, order, e);
    if (rc == RC_OK)
        rc = finish(t, url, order, e);
    if (rc == RC_OK)
        rc = acme_post(t, order->certificate, STR(""), e);
    if (rc == RC_OK)
        *out_chain = arena_str(&t->mem, buf_str(&t->body));
    return rc;
}

/*
 * tls.c - TLS on the server's side, and the authorities of both sides, by OpenSSL. TLS 1.2 and
 * newer (RFC 8996), no renegotiation, no compression, buffers released while a connection is
 * idle.
 */
#include "sys/file.h"
#include "sys/tls_int.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>

/* The certificate for some names (SNI). */
struct named {
    SSL_CTX *ssl;
    struct named *next;
};

struct tls_ctx {
    SSL_CTX *ssl;
    usec_t expires;
    _Atomic unsigned refs;
    struct named *named;
    struct map by_name; /* SSL_CTX by a name of its certificate, "*.x" too */
    struct arena mem;   /* names */
};

struct tls {
    SSL *ssl;
    struct tls_ctx *ctx; /* the handshake looks for names there */
};

enum rc tls_error(struct err *e, const char *what)
{
    char text[160] = "no reason given";
    unsigned long code = ERR_peek_last_error();
    if (code != 0)
        ERR_error_string_n(code, text, sizeof(text));
    ERR_clear_error();
    return err_temp(e, "4.7.0", "%s: %s", what, text);
}

static usec_t expiry_of(SSL_CTX *ssl)
{
    struct tm tm;
    const X509 *cert = SSL_CTX_get0_certificate(ssl);
    if (cert == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
        return -1;
    return (usec_t)timegm(&tm) * USEC_S;
}

static enum rc set_up(SSL_CTX *ssl, const char *cert_path, const char *key_path, struct err *e)
{
    if (SSL_CTX_use_certificate_chain_file(ssl, cert_path) != 1)
        return tls_error(e, cert_path);
    if (SSL_CTX_use_PrivateKey_file(ssl, key_path, SSL_FILETYPE_PEM) != 1)
        return tls_error(e, key_path);
    if (SSL_CTX_check_private_key(ssl) != 1)
        return tls_error(e, "the certificate and the key don't belong together");
    return RC_OK;
}

/* --- PEM ---------------------------------------------------------------------------------- */

EVP_PKEY *tls_key_of(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

X509 *tls_certificate_of(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return x;
}

/* --- certificates of the other side ------------------------------------------------------ */

/* All at once: OpenSSL would read single files later, when the role is sealed. */
static bool load_system_authorities(SSL_CTX *ssl)
{
    static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";
    return (file_exists(bundle) ? SSL_CTX_load_verify_locations(ssl, bundle, NULL)
                                : SSL_CTX_set_default_verify_paths(ssl)) == 1;
}

bool tls_trust_load(SSL_CTX *ssl, const struct tls_trust *trust)
{
    bool more = trust->ca_file != NULL || trust->ca_folder != NULL;
    if (trust->depth > 0)
        SSL_CTX_set_verify_depth(ssl, (int)trust->depth);
    return load_system_authorities(ssl) &&
           (!more ||
            SSL_CTX_load_verify_locations(ssl, trust->ca_file, trust->ca_folder) == 1) &&
           (trust->own_ca == NULL ||
            SSL_CTX_load_verify_locations(ssl, trust->own_ca, NULL) == 1);
}

/* What our own authority has revoked counts. */
static bool load_revocations(SSL_CTX *ssl, const char *path)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    return lookup != NULL && X509_load_crl_file(lookup, path, X509_FILETYPE_PEM) > 0 &&
           X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1;
}

/* Other authorities have no list here. */
static int lack_of_list_passes(int ok, X509_STORE_CTX *store)
{
    if (ok == 1 || X509_STORE_CTX_get_error(store) != X509_V_ERR_UNABLE_TO_GET_CRL)
        return ok;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

/* A signer that nobody knows is let pass; dates and all else count. */
static int take_self_signed(int ok, X509_STORE_CTX *store)
{
    int why = X509_STORE_CTX_get_error(store);
    if (ok == 1 || why == X509_V_ERR_UNABLE_TO_GET_CRL)
        return lack_of_list_passes(ok, store);
    if ((why != X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT &&
         why != X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN))
        return ok;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static int take_any(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static enum rc ask_clients(SSL_CTX *ssl, const struct tls_clients *c, struct err *e)
{
    if (c == NULL || (!c->verify && !c->demand))
        return RC_OK;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | (c->demand ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       !c->verify          ? take_any
                       : c->self_signed_ok ? take_self_signed
                                           : lack_of_list_passes);
    return !c->verify || (tls_trust_load(ssl, &c->trust) &&
                          (c->trust.own_crl == NULL || load_revocations(ssl, c->trust.own_crl)))
               ? RC_OK
               : tls_error(e, "certificate authorities");
}

/* --- a server's settings ----------------------------------------------------------------- */

/* --- challenges of authorities (RFC 8737) --------------------------------------------------
 */

static const unsigned char challenge_protocol[] = "\x0a"
                                                  "acme-tls/1";
#define CHALLENGE_N (sizeof(challenge_protocol) - 1)

/* Does it offer this protocol, and no other? Seen before any certificate is chosen. */
static bool is_challenge(SSL *ssl)
{
    const unsigned char *p = NULL;
    size_t n = 0;
    return SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation,
                                     &p, &n) == 1 &&
           n == CHALLENGE_N + 2 && memcmp(p + 2, challenge_protocol, CHALLENGE_N) == 0;
}

static int look_at_hello(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    (void)arg;
    /* The mark that choose() and tls_handshake() ask for. */
    return SSL_set_app_data(ssl, is_challenge(ssl) ? (void *)(uintptr_t)challenge_protocol
                                                   : NULL) == 1
               ? SSL_CLIENT_HELLO_SUCCESS
               : SSL_CLIENT_HELLO_ERROR;
}

/* For nobody else: "no protocol in common" is no error. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                           const unsigned char *in, unsigned in_n, void *arg)
{
    (void)in;
    (void)in_n;
    (void)arg;
    if (SSL_get_app_data(ssl) == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    *out = challenge_protocol + 1;
    *out_n = (unsigned char)(CHALLENGE_N - 1);
    return SSL_TLSEXT_ERR_OK;
}

/* The answer for the name: a file of control's with key and certificate. */
static int show_answer(SSL *ssl, struct str name)
{
    char path[320];
    for (size_t i = 0; i < name.n; i++)
        if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '.')
            return SSL_TLSEXT_ERR_ALERT_FATAL;
    (void)snprintf(path, sizeof(path), TLS_CHALLENGE_FOLDER "/%.*s", STR_ARG(name));
    bool ok = name.n > 0 && name.n < 256 && name.p[0] != '.' && file_exists(path) &&
              SSL_use_certificate_file(ssl, path, SSL_FILETYPE_PEM) == 1 &&
              SSL_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM) == 1;
    ERR_clear_error();
    SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL); /* authorities show no certificate */
    return ok ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* --- a server's context ------------------------------------------------------------------ */

static SSL_CTX *fresh(void)
{
    static const unsigned char context[] =
        "hikyaku"; /* clients with certificates resume only with one */
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    if (ssl == NULL)
        return NULL;
    (void)SSL_CTX_set_session_id_context(ssl, context, sizeof(context));
    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ssl, 1);
    return ssl;
}

/* The certificate for the name that the client asks for; without one, the server's own. */
static int choose(SSL *ssl, int *alert, void *arg)
{
    const struct tls_ctx *ctx = arg;
    struct str name = str_from_c(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    (void)alert;
    if (SSL_get_app_data(ssl) != NULL)
        return show_answer(ssl, name);
    SSL_CTX *found = map_get(&ctx->by_name, name);
    size_t dot = str_find(name, '.');
    if (found == NULL && dot != SIZE_MAX && dot > 0 && name.n < 256) {
        char wild[260];
        (void)snprintf(wild, sizeof(wild), "*%.*s", STR_ARG(str_skip(name, dot)));
        found = map_get(&ctx->by_name, str_from_c(wild));
    }
    if (found != NULL && found != ctx->ssl)
        (void)SSL_set_SSL_CTX(ssl, found);
    return name.n == 0 ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

/* The first certificate that has a name keeps it. */
static void learn_names(struct tls_ctx *ctx, SSL_CTX *ssl)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(SSL_CTX_get0_certificate(ssl), NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS)
            continue;
        struct str text = str_from((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                   (size_t)ASN1_STRING_length(name->d.dNSName));
        if (text.n > 0 && map_get(&ctx->by_name, text) == NULL)
            (void)map_put(&ctx->by_name, arena_str(&ctx->mem, text), ssl);
    }
    GENERAL_NAMES_free(names);
}

enum rc tls_ctx_load(const char *cert_path, const char *key_path,
                     const struct tls_clients *clients, struct tls_ctx **out, struct err *e)
{
    SSL_CTX *ssl = fresh();
    if (ssl == NULL)
        return tls_error(e, "TLS");
    enum rc rc = set_up(ssl, cert_path, key_path, e);
    if (rc == RC_OK)
        rc = ask_clients(ssl, clients, e);
    if (rc != RC_OK) {
        SSL_CTX_free(ssl);
        return rc;
    }
    struct tls_ctx *ctx = mem_new(sizeof(*ctx));
    ctx->ssl = ssl;
    ctx->expires = expiry_of(ssl);
    ctx->refs = 1;
    ctx->by_name.fold = true;
    learn_names(ctx, ssl);
    SSL_CTX_set_client_hello_cb(ssl, look_at_hello, NULL);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    (void)SSL_CTX_set_tlsext_servername_callback(ssl, choose);
    (void)SSL_CTX_set_tlsext_servername_arg(ssl, ctx);
    *out = ctx;
    return RC_OK;
}

enum rc tls_ctx_add(struct tls_ctx *ctx, const char *cert_path, const char *key_path,
                    struct err *e)
{
    SSL_CTX *ssl = fresh();
    if (ssl == NULL)
        return tls_error(e, "TLS");
    enum rc rc = set_up(ssl, cert_path, key_path, e);
    if (rc != RC_OK) {
        SSL_CTX_free(ssl);
        return rc;
    }
    (void)SSL_CTX_set1_cert_store(ssl, SSL_CTX_get_cert_store(ctx->ssl));
    struct named *n = arena_new(&ctx->mem, sizeof(*n));
    *n = (struct named){ ssl, ctx->named };
    ctx->named = n;
    learn_names(ctx, ssl);
    return RC_OK;
}

struct tls_ctx *tls_ctx_get(struct tls_ctx *ctx)
{
    atomic_fetch_add(&ctx->refs, 1);
    return ctx;
}

void tls_ctx_put(struct tls_ctx **ctx)
{
    struct tls_ctx *c = *ctx;
    *ctx = NULL;
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    for (struct named *n = c->named; n != NULL; n = n->next)
        SSL_CTX_free(n->ssl);
    SSL_CTX_free(c->ssl);
    map_release(&c->by_name);
    arena_release(&c->mem);
    mem_free(&c);
}

usec_t tls_ctx_expires(const struct tls_ctx *ctx)
{
    return ctx->expires;
}

bool tls_ctx_covers(const struct tls_ctx *ctx, struct str host)
{
    X509 *cert = SSL_CTX_get0_certificate(ctx->ssl);
    return cert != NULL && X509_check_host(cert, host.p, host.n, 0, NULL) == 1;
}

enum rc tls_new(struct tls_ctx *ctx, int fd, struct tls **out, struct err *e)
{
    SSL *ssl = SSL_new(ctx->ssl);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return tls_error(e, "TLS");
    }
    SSL_set_accept_state(ssl);
    *out = mem_new(sizeof(**out));
    (*out)->ssl = ssl;
    (*out)->ctx = tls_ctx_get(ctx);
    return RC_OK;
}

void tls_free(struct tls **t)
{
    if (*t != NULL) {
        /* One close_notify if the socket takes it; nobody waits for the peer's. */
        if (SSL_is_init_finished((*t)->ssl))
            (void)SSL_shutdown((*t)->ssl);
        SSL_free((*t)->ssl);
        tls_ctx_put(&(*t)->ctx);
        ERR_clear_error();
    }
    mem_free(t);
}

/* What a failed SSL call means: AGAIN, or GONE. */
static enum rc outcome(struct tls *t, int result, bool *out_wants_write)
{
    int why = SSL_get_error(t->ssl, result);
    *out_wants_write = why == SSL_ERROR_WANT_WRITE;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? RC_AGAIN : RC_GONE;
}

enum rc tls_handshake(struct tls *t, bool *out_wants_write, struct err *e)
{
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    if (result == 1) {
        *out_wants_write = false;
        return SSL_get_app_data(t->ssl) == NULL
                   ? RC_OK
                   : err_gone(e, "an authority's challenge was answered");
    }
    enum rc rc = outcome(t, result, out_wants_write);
    if (rc == RC_GONE) {
        long why = SSL_get_verify_result(t->ssl);
        (void)tls_error(e, "TLS handshake");
        if (why != X509_V_OK)
            (void)err_temp(e, "4.7.5", "the client's certificate is not good: %s",
                           X509_verify_cert_error_string(why));
        if (e != NULL)
            e->rc = RC_GONE;
    }
    return rc;
}

ssize_t tls_read(struct tls *t, char *p, size_t n, bool *out_wants_write, enum rc *out_rc)
{
    ERR_clear_error();
    size_t got = 0;
    int result = SSL_read_ex(t->ssl, p, n, &got);
    *out_wants_write = false;
    if (result == 1)
        return (ssize_t)got;
    if (SSL_get_error(t->ssl, result) == SSL_ERROR_ZERO_RETURN)
        return 0;
    *out_rc = outcome(t, result, out_wants_write);
    return -1;
}

ssize_t tls_write(struct tls *t, const char *p, size_t n, bool *out_wants_write,
                  enum rc *out_rc)
{
    ERR_clear_error();
    size_t sent = 0;
    int result = SSL_write_ex(t->ssl, p, n, &sent);
    *out_wants_write = false;
    if (result == 1)
        return (ssize_t)sent;
    *out_rc = outcome(t, result, out_wants_write);
    return -1;
}

const char *tls_version(const struct tls *t)
{
    return SSL_get_version(t->ssl);
}

const char *tls_cipher(const struct tls *t, int *out_bits)
{
    *out_bits = SSL_get_cipher_bits(t->ssl, NULL);
    return SSL_get_cipher_name(t->ssl);
}

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

struct tls_ctx {
    SSL_CTX *ssl;
    usec_t expires;
    _Atomic unsigned refs;
};

struct tls {
    SSL *ssl;
};

/* The newest OpenSSL error as text for a struct err; empties the queue. */
static enum rc ssl_error(struct err *e, const char *what)
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
        return ssl_error(e, cert_path);
    if (SSL_CTX_use_PrivateKey_file(ssl, key_path, SSL_FILETYPE_PEM) != 1)
        return ssl_error(e, key_path);
    if (SSL_CTX_check_private_key(ssl) != 1)
        return ssl_error(e, "the certificate and the key don't belong together");
    return RC_OK;
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
           (!more || SSL_CTX_load_verify_locations(ssl, trust->ca_file, trust->ca_folder) == 1);
}

/* A signer that nobody knows is let pass; dates and all else count. */
static int take_self_signed(int ok, X509_STORE_CTX *store)
{
    int why = X509_STORE_CTX_get_error(store);
    if (ok == 1 || (why != X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT &&
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
    static const unsigned char context[] = "hikyaku"; /* without one nothing is resumed */
    if (c == NULL || (!c->verify && !c->demand))
        return RC_OK;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | (c->demand ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       !c->verify          ? take_any
                       : c->self_signed_ok ? take_self_signed
                                           : NULL);
    (void)SSL_CTX_set_session_id_context(ssl, context, sizeof(context));
    return !c->verify || tls_trust_load(ssl, &c->trust)
               ? RC_OK
               : ssl_error(e, "certificate authorities");
}

/* --- a server's settings ----------------------------------------------------------------- */

enum rc tls_ctx_load(const char *cert_path, const char *key_path,
                     const struct tls_clients *clients, struct tls_ctx **out, struct err *e)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    if (ssl == NULL)
        return ssl_error(e, "TLS");
    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ssl, 1);
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
    *out = ctx;
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
    SSL_CTX_free(c->ssl);
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
        return ssl_error(e, "TLS");
    }
    SSL_set_accept_state(ssl);
    *out = mem_new(sizeof(**out));
    (*out)->ssl = ssl;
    return RC_OK;
}

void tls_free(struct tls **t)
{
    if (*t != NULL) {
        /* One close_notify if the socket takes it; nobody waits for the peer's. */
        if (SSL_is_init_finished((*t)->ssl))
            (void)SSL_shutdown((*t)->ssl);
        SSL_free((*t)->ssl);
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
        return RC_OK;
    }
    enum rc rc = outcome(t, result, out_wants_write);
    if (rc == RC_GONE) {
        long why = SSL_get_verify_result(t->ssl);
        (void)ssl_error(e, "TLS handshake");
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

static bool add_extension(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool fill_certificate(X509 *cert, EVP_PKEY *key, const char *host, unsigned days)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct ip ip;
    bool is_ip = ip_parse(str_from_c(host), &ip);
    struct str alt = arena_printf(&mem, is_ip ? "IP:%s" : "DNS:%s", host);
    uint64_t serial = hash_text(str_from_c(host), false, (uint64_t)clock_wall() ^ hash_seed());
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(cert), (int)days, 0, NULL) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)host,
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1 &&
           add_extension(cert, NID_subject_alt_name, alt.p) &&
           add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(cert, NID_ext_key_usage, "serverAuth") &&
           X509_sign(cert, key, EVP_sha256()) > 0;
}

/* The octets of a memory BIO into out. */
static enum rc drain(BIO *bio, struct buf *out)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    return n <= 0 ? RC_TEMP : buf_add(out, p, (size_t)n);
}

enum rc tls_self_signed(struct str host, unsigned days, struct buf *cert_out,
                        struct buf *key_out, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
    bool ok = key != NULL && cert != NULL && cert_bio != NULL && key_bio != NULL &&
              fill_certificate(cert, key, arena_c(&mem, host), days) &&
              PEM_write_bio_X509(cert_bio, cert) == 1 &&
              PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
              drain(cert_bio, cert_out) == RC_OK && drain(key_bio, key_out) == RC_OK;
    enum rc rc = ok ? RC_OK : ssl_error(e, "make certificate");
    BIO_free(cert_bio);
    BIO_free(key_bio);
    X509_free(cert);
    EVP_PKEY_free(key);
    return rc;
}

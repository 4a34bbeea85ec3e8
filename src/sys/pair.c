/* pair.c - see pair.h. */
#include "sys/pair.h"
#include "sys/tls_int.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define CERTIFICATES_MOST 20

struct pair {
    STACK_OF(X509) * given, *above; /* above: the chain behind the leaf; not owned */
    X509 *leaf;                     /* of given */
    EVP_PKEY *key;
};

/* --- reading ------------------------------------------------------------------------------ */

static int no_passphrase(char *p, int n, int writing, void *ctx)
{
    (void)p;
    (void)n;
    (void)writing;
    *(bool *)ctx = true;
    return -1;
}

static EVP_PKEY *read_key(struct str text, bool *out_has_passphrase)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    EVP_PKEY *key = bio == NULL
                        ? NULL
                        : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, out_has_passphrase);
    BIO_free(bio);
    return key;
}

static enum rc read_all(struct pair *p, struct str certs, struct str key, struct err *e)
{
    bool has_passphrase = false;
    X509 *x = NULL;
    p->given = sk_X509_new_null();
    p->above = sk_X509_new_null();
    BIO *bio = BIO_new_mem_buf(certs.p, (int)certs.n);
    while (bio != NULL && sk_X509_num(p->given) < CERTIFICATES_MOST &&
           (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        if (sk_X509_push(p->given, x) <= 0)
            X509_free(x);
    BIO_free(bio);
    if (sk_X509_num(p->given) <= 0)
        return err_perm(e, "5.7.0",
                        "it holds no certificate (PEM: -----BEGIN CERTIFICATE-----)");
    p->key = read_key(certs, &has_passphrase);
    if (p->key == NULL && key.n > 0 && !has_passphrase)
        p->key = read_key(key, &has_passphrase);
    if (p->key == NULL)
        return err_perm(e, "5.7.0",
                        has_passphrase
                            ? "the key is protected by a passphrase; take it off first"
                            : "there is no private key for it");
    return RC_OK;
}

static void release(struct pair *p)
{
    sk_X509_free(p->above);
    sk_X509_pop_free(p->given, X509_free);
    EVP_PKEY_free(p->key);
    ERR_clear_error();
}

/* --- judging ------------------------------------------------------------------------------ */

static void name_of(const X509_NAME *name, char *out, size_t n)
{
    out[0] = '\0';
    if (X509_NAME_get_text_by_NID(name, NID_commonName, out, (int)n) < 0)
        (void)X509_NAME_oneline(name, out, (int)n);
}

static enum rc find_leaf(struct pair *p, struct err *e)
{
    char name[100];
    for (int i = 0; i < sk_X509_num(p->given) && p->leaf == NULL; i++)
        if (X509_check_private_key(sk_X509_value(p->given, i), p->key) == 1)
            p->leaf = sk_X509_value(p->given, i);
    if (p->leaf != NULL)
        return RC_OK;
    name_of(X509_get_subject_name(sk_X509_value(p->given, 0)), name, sizeof(name));
    return err_perm(e, "5.7.0", "the key doesn't belong to the certificate of %s", name);
}

static enum rc check_time(const X509 *x, struct err *e)
{
    char name[100];
    name_of(X509_get_subject_name(x), name, sizeof(name));
    if (X509_cmp_current_time(X509_get0_notAfter(x)) <= 0)
        return err_perm(e, "5.7.0", "the certificate of %s has expired", name);
    if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
        return err_perm(e, "5.7.0", "the certificate of %s isn't valid yet", name);
    return RC_OK;
}

static bool is_its_own(X509 *x)
{
    return X509_self_signed(x, 1) == 1;
}

static X509 *issuer_of(const struct pair *p, X509 *x)
{
    for (int i = 0; i < sk_X509_num(p->given) && !is_its_own(x); i++)
        if (sk_X509_value(p->given, i) != x &&
            X509_check_issued(sk_X509_value(p->given, i), x) == X509_V_OK)
            return sk_X509_value(p->given, i);
    return NULL;
}

/* The chain in its order. */
static enum rc order(struct pair *p, struct err *e)
{
    X509 *x = p->leaf;
    enum rc rc = check_time(x, e);
    while (rc == RC_OK && (x = issuer_of(p, x)) != NULL &&
           sk_X509_num(p->above) < CERTIFICATES_MOST && sk_X509_push(p->above, x) > 0)
        rc = check_time(x, e);
    return rc;
}

static enum rc say_why(X509_STORE_CTX *ctx, struct err *e)
{
    char name[100] = "";
    int why = X509_STORE_CTX_get_error(ctx);
    X509 *at = X509_STORE_CTX_get_current_cert(ctx);
    if (at != NULL)
        name_of(X509_get_issuer_name(at), name, sizeof(name));
    if (why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
        why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
        why == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)
        return err_perm(
            e, "5.7.0",
            "the chain isn't complete: the certificate of its issuer, %s, is missing", name);
    return err_perm(e, "5.7.0", "the chain isn't good: %s", X509_verify_cert_error_string(why));
}

/* Does it lead to an authority? Roots that came along count. */
static enum rc check_chain(const struct pair *p, X509_STORE *store, struct err *e)
{
    for (int i = 0; i < sk_X509_num(p->above); i++)
        if (is_its_own(sk_X509_value(p->above, i)))
            (void)X509_STORE_add_cert(store, sk_X509_value(p->above, i));
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    enum rc rc = RC_OK;
    if (ctx == NULL || X509_STORE_CTX_init(ctx, store, p->leaf, p->above) != 1 ||
        X509_STORE_CTX_set_default(ctx, "ssl_server") != 1)
        rc = tls_error(e, "check the chain");
    else if (X509_verify_cert(ctx) != 1)
        rc = say_why(ctx, e);
    X509_STORE_CTX_free(ctx);
    return rc;
}

/* Would a server take them? */
static enum rc check_use(const struct pair *p, const struct pair_rules *rules, struct err *e)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    enum rc rc = RC_OK;
    if (ssl == NULL || !tls_trust_load(ssl, &rules->trust))
        rc = tls_error(e, "certificate authorities");
    else if (SSL_CTX_use_cert_and_key(ssl, p->leaf, p->key, p->above, 1) != 1) {
        rc = tls_error(e, "the certificate can't be used");
        e->rc = rc = RC_PERM;
    } else if (rules->whole && !is_its_own(p->leaf)) {
        rc = check_chain(p, SSL_CTX_get_cert_store(ssl), e);
    }
    SSL_CTX_free(ssl);
    return rc;
}

/* --- what is kept ------------------------------------------------------------------------- */

static enum rc print(const struct pair *p, struct buf *cert_out, struct buf *key_out,
                     struct err *e)
{
    char *text = NULL;
    BIO *certs = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_secmem());
    bool ok = certs != NULL && key != NULL && PEM_write_bio_X509(certs, p->leaf) == 1;
    for (int i = 0; ok && i < sk_X509_num(p->above); i++)
        ok = PEM_write_bio_X509(certs, sk_X509_value(p->above, i)) == 1;
    ok = ok && PEM_write_bio_PrivateKey(key, p->key, NULL, NULL, 0, NULL, NULL) == 1;
    long n = ok ? BIO_get_mem_data(certs, &text) : 0;
    ok = ok && buf_add(cert_out, text, (size_t)n) == RC_OK;
    n = ok ? BIO_get_mem_data(key, &text) : 0;
    ok = ok && buf_add(key_out, text, (size_t)n) == RC_OK;
    BIO_free(certs);
    BIO_free(key);
    return ok ? RC_OK : tls_error(e, "certificate");
}

enum rc pair_take(struct str certs, struct str key, const struct pair_rules *rules,
                  struct buf *cert_out, struct buf *key_out, struct err *e)
{
    struct pair p = { .leaf = NULL };
    enum rc rc = read_all(&p, certs, key, e);
    if (rc == RC_OK)
        rc = find_leaf(&p, e);
    if (rc == RC_OK)
        rc = order(&p, e);
    if (rc == RC_OK)
        rc = check_use(&p, rules, e);
    if (rc == RC_OK)
        rc = print(&p, cert_out, key_out, e);
    release(&p);
    return rc;
}

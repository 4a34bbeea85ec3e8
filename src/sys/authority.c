/* authority.c - see authority.h. */
#include "sys/authority.h"
#include "sys/tls_int.h"
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>

#define ROUNDS 100000

static bool drain(BIO *bio, struct buf *out)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    return n > 0 && buf_add(out, p, (size_t)n) == RC_OK;
}

static bool as_base64(PKCS12 *p12, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem()), *filter = BIO_new(BIO_f_base64());
    bool ok = bio != NULL && filter != NULL;
    if (ok) {
        BIO *both = BIO_push(filter, bio);
        ok = i2d_PKCS12_bio(both, p12) == 1 && BIO_flush(both) == 1 && drain(bio, out);
    }
    BIO_free(filter);
    BIO_free(bio);
    return ok;
}

/* Triple DES and SHA-1, since phones and Macs take nothing newer everywhere: what protects the
 * key is the length of the password. */
static PKCS12 *bundle(EVP_PKEY *key, X509 *cert, X509 *ca_cert, const char *name,
                      const char *password)
{
    static const int method = NID_pbe_WithSHA1And3_Key_TripleDES_CBC;
    STACK_OF(X509) *above = sk_X509_new_null();
    PKCS12 *p12 = NULL;
    if (above != NULL && sk_X509_push(above, ca_cert) > 0)
        p12 = PKCS12_create(password, name, key, cert, above, method, method, ROUNDS, -1, 0);
    sk_X509_free(above);
    if (p12 != NULL && PKCS12_set_mac(p12, password, -1, NULL, 0, ROUNDS, EVP_sha1()) == 1)
        return p12;
    PKCS12_free(p12);
    return NULL;
}

enum rc authority_bundle(struct str key, struct str cert, struct str ca_cert, struct str name,
                         struct str password, struct buf *out, struct err *e)
{
    struct arena a = { .head = NULL };
    EVP_PKEY *own = tls_key_of(key);
    X509 *x = tls_certificate_of(cert), *above = tls_certificate_of(ca_cert);
    PKCS12 *p12 = own == NULL || x == NULL || above == NULL
                      ? NULL
                      : bundle(own, x, above, arena_c(&a, name), arena_c(&a, password));
    bool ok = p12 != NULL && as_base64(p12, out);
    enum rc rc = ok ? RC_OK : tls_error(e, "make a file with key and certificate");
    PKCS12_free(p12);
    X509_free(above);
    X509_free(x);
    EVP_PKEY_free(own);
    arena_wipe(&a);
    return rc;
}

/* --- revoked ------------------------------------------------------------------------------ */

static bool add_revoked(X509_CRL *crl, const struct authority_revoked *r, struct arena *a)
{
    BIGNUM *n = NULL;
    X509_REVOKED *one = X509_REVOKED_new();
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)r->when);
    ASN1_INTEGER *serial =
        BN_hex2bn(&n, arena_c(a, r->serial)) > 0 ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
    bool ok = one != NULL && when != NULL && serial != NULL &&
              X509_REVOKED_set_serialNumber(one, serial) == 1 &&
              X509_REVOKED_set_revocationDate(one, when) == 1 &&
              X509_CRL_add0_revoked(crl, one) == 1;
    if (!ok)
        X509_REVOKED_free(one);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(when);
    BN_free(n);
    return ok;
}

static bool set_times(X509_CRL *crl, unsigned days)
{
    ASN1_TIME *now = X509_gmtime_adj(NULL, -3600),
              *next = X509_time_adj_ex(NULL, (int)days, 0, NULL);
    bool ok = now != NULL && next != NULL && X509_CRL_set1_lastUpdate(crl, now) == 1 &&
              X509_CRL_set1_nextUpdate(crl, next) == 1;
    ASN1_TIME_free(next);
    ASN1_TIME_free(now);
    return ok;
}

enum rc authority_revocations(struct str ca_cert, struct str ca_key,
                              const struct authority_revoked *list, size_t count, unsigned days,
                              struct buf *out, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    X509 *signer = tls_certificate_of(ca_cert);
    EVP_PKEY *key = tls_key_of(ca_key);
    X509_CRL *crl = X509_CRL_new();
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = signer != NULL && key != NULL && crl != NULL && bio != NULL &&
              X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
              X509_CRL_set_issuer_name(crl, X509_get_subject_name(signer)) == 1 &&
              set_times(crl, days);
    for (size_t i = 0; i < count && ok; i++)
        ok = add_revoked(crl, &list[i], &a);
    ok = ok && X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, key, EVP_sha256()) > 0 &&
         PEM_write_bio_X509_CRL(bio, crl) == 1 && drain(bio, out);
    enum rc rc = ok ? RC_OK : tls_error(e, "make a list of revoked certificates");
    BIO_free(bio);
    X509_CRL_free(crl);
    EVP_PKEY_free(key);
    X509_free(signer);
    return rc;
}

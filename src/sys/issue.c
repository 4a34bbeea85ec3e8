/* issue.c - see issue.h. */
#include "sys/issue.h"
#include "sys/tls_int.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define COMMON_NAME_MAX 64u /* X.520 */

/* --- PEM ---------------------------------------------------------------------------------- */

/* The octets of a memory BIO into out. */
static enum rc drain(BIO *bio, struct buf *out)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    return n <= 0 ? RC_TEMP : buf_add(out, p, (size_t)n);
}

enum rc issue_key(struct buf *out, struct err *e)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = key != NULL && bio != NULL &&
              PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
              drain(bio, out) == RC_OK;
    enum rc rc = ok ? RC_OK : tls_error(e, "make a key");
    BIO_free(bio);
    EVP_PKEY_free(key);
    return rc;
}

/* --- what it says ------------------------------------------------------------------------- */

/* "DNS:a,IP:b": names are checked by who gives them. */
static const char *alternative_names(const struct issue *what, struct arena *a)
{
    struct str all = STR("");
    for (size_t i = 0; i < what->name_count; i++) {
        struct ip ip;
        const char *kind = what->kind == ISSUE_CLIENT      ? "email"
                           : ip_parse(what->names[i], &ip) ? "IP"
                                                           : "DNS";
        all = arena_printf(a, "%.*s%s%s:%.*s", STR_ARG(all), i > 0 ? "," : "", kind,
                           STR_ARG(what->names[i]));
    }
    return all.n > 0 ? all.p : NULL;
}

/* What an authority may sign for, no addresses of machines. NULL: everything. */
static const char *constraints(const struct issue *what, struct arena *a)
{
    struct str all = STR("critical,excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::");
    for (size_t i = 0; i < what->permitted_count; i++)
        all = arena_printf(a, "%.*s,permitted;DNS:%.*s,permitted;email:%.*s", STR_ARG(all),
                           STR_ARG(what->permitted[i]), STR_ARG(what->permitted[i]));
    return what->permitted_count > 0 ? all.p : NULL;
}

static bool add_to(STACK_OF(X509_EXTENSION) * list, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    if (ext != NULL && sk_X509_EXTENSION_push(list, ext) > 0)
        return true;
    X509_EXTENSION_free(ext);
    return false;
}

/* The critical extension 1.3.6.1.5.5.7.1.31 with the digest as an OCTET STRING. */
static bool add_digest(STACK_OF(X509_EXTENSION) * list, struct str digest)
{
    unsigned char der[34] = { 0x04, 32 };
    ASN1_OBJECT *id = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    memcpy(der + 2, digest.p, MIN(digest.n, (size_t)32));
    X509_EXTENSION *ext = NULL;
    if (id != NULL && value != NULL && digest.n == 32 &&
        ASN1_OCTET_STRING_set(value, der, sizeof(der)) == 1)
        ext = X509_EXTENSION_create_by_OBJ(NULL, id, 1, value);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(id);
    if (ext != NULL && sk_X509_EXTENSION_push(list, ext) > 0)
        return true;
    X509_EXTENSION_free(ext);
    return false;
}

static STACK_OF(X509_EXTENSION) *
    extensions_of(const struct issue *what, X509 *cert, X509 *signer, X509_REQ *request)
{
    static const struct {
        const char *basic, *usage, *extended;
    } kinds[] = {
        [ISSUE_SERVER] = { "critical,CA:FALSE", "critical,digitalSignature", "serverAuth" },
        [ISSUE_AUTHORITY] = { "critical,CA:TRUE,pathlen:0", "critical,keyCertSign,cRLSign",
                              NULL },
        [ISSUE_CLIENT] = { "critical,CA:FALSE", "critical,digitalSignature", "clientAuth" },
        [ISSUE_CHALLENGE] = { "critical,CA:FALSE", "critical,digitalSignature", "serverAuth" },
    };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    X509V3_CTX ctx;
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    const char *names = alternative_names(what, &a), *extended = kinds[what->kind].extended;
    const char *limits = constraints(what, &a);
    /* Its own signer must be allowed to sign, or say nothing. */
    bool limited = what->kind != ISSUE_SERVER || cert == NULL || cert != signer;
    X509V3_set_ctx(&ctx, signer, cert, request, NULL, 0);
    bool ok =
        list != NULL && add_to(list, &ctx, NID_basic_constraints, kinds[what->kind].basic) &&
        (!limited || add_to(list, &ctx, NID_key_usage, kinds[what->kind].usage)) &&
        (extended == NULL || add_to(list, &ctx, NID_ext_key_usage, extended)) &&
        (limits == NULL || add_to(list, &ctx, NID_name_constraints, limits)) &&
        (names == NULL || add_to(list, &ctx, NID_subject_alt_name, names)) &&
        (cert == NULL || add_to(list, &ctx, NID_subject_key_identifier, "hash")) &&
        (cert == signer || add_to(list, &ctx, NID_authority_key_identifier, "keyid:always")) &&
        (what->kind != ISSUE_CHALLENGE || add_digest(list, what->digest));
    if (ok)
        return list;
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return NULL;
}

static bool set_subject(const struct issue *what, X509_NAME *name)
{
    struct str cn = what->common_name.n > 0 ? what->common_name
                    : what->name_count > 0  ? what->names[0]
                                            : STR("");
    return cn.n > 0 &&
           (cn.n > COMMON_NAME_MAX || /* then its other names say it */
            X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn.p,
                                       (int)cn.n, -1, 0) == 1);
}

/* Ed25519 and the like have a digest of their own. */
static const EVP_MD *digest_for(EVP_PKEY *key)
{
    int nid = 0;
    return EVP_PKEY_get_default_digest_nid(key, &nid) == 2 && nid == NID_undef ? NULL
                                                                               : EVP_sha256();
}

/* --- certificates ------------------------------------------------------------------------- */

static bool set_serial(X509 *cert)
{
    unsigned char octets[16];
    if (RAND_bytes(octets, sizeof(octets)) != 1)
        return false;
    octets[0] = (octets[0] & 0x3f) | 0x40; /* positive, and always as long */
    BIGNUM *n = BN_bin2bn(octets, sizeof(octets), NULL);
    bool ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return ok;
}

static bool add_extensions(const struct issue *what, X509 *cert, X509 *signer)
{
    STACK_OF(X509_EXTENSION) *list = extensions_of(what, cert, signer, NULL);
    bool ok = list != NULL;
    for (int i = 0; ok && i < sk_X509_EXTENSION_num(list); i++)
        ok = X509_add_ext(cert, sk_X509_EXTENSION_value(list, i), -1) == 1;
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return ok;
}

static bool fill(const struct issue *what, X509 *cert, EVP_PKEY *key, X509 *signer)
{
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(cert), (int)what->days, 0, NULL) != NULL &&
           set_subject(what, X509_get_subject_name(cert)) &&
           X509_set_issuer_name(cert, X509_get_subject_name(signer)) == 1 &&
           X509_set_pubkey(cert, key) == 1 && add_extensions(what, cert, signer);
}

/* Would the certificate be believed, as far as its signer's limits go? OpenSSL tells that of
 * whole ones only: so it is signed by its own key first, and by the signer's only when it may
 * be. */
static bool is_permitted(X509 *cert, EVP_PKEY *own, X509 *signer)
{
    NAME_CONSTRAINTS *limits = X509_get_ext_d2i(signer, NID_name_constraints, NULL, NULL);
    if (limits == NULL) /* also when it can't be read; then nobody believes the signer */
        return X509_get_ext_by_NID(signer, NID_name_constraints, -1) < 0;
    X509 *trial = X509_sign(cert, own, digest_for(own)) > 0 ? X509_dup(cert) : NULL;
    bool ok = trial != NULL && X509_check_purpose(trial, -1, 0) == 1 &&
              NAME_CONSTRAINTS_check(trial, limits) == X509_V_OK &&
              NAME_CONSTRAINTS_check_CN(trial, limits) == X509_V_OK;
    X509_free(trial);
    NAME_CONSTRAINTS_free(limits);
    return ok;
}

enum rc issue_certificate(const struct issue *what, struct str key, struct buf *out,
                          struct err *e)
{
    bool self = what->ca_cert.n == 0;
    EVP_PKEY *own = tls_key_of(key), *signer_key = self ? own : tls_key_of(what->ca_key);
    X509 *cert = X509_new(), *signer = self ? cert : tls_certificate_of(what->ca_cert);
    BIO *bio = BIO_new(BIO_s_mem());
    bool ok = own != NULL && signer_key != NULL && cert != NULL && signer != NULL &&
              bio != NULL && fill(what, cert, own, signer);
    bool permitted = !ok || self || is_permitted(cert, own, signer);
    ok = ok && permitted && X509_sign(cert, signer_key, digest_for(signer_key)) > 0 &&
         PEM_write_bio_X509(bio, cert) == 1 && drain(bio, out) == RC_OK;
    enum rc rc = ok ? RC_OK
                 : permitted
                     ? tls_error(e, "make a certificate")
                     : err_perm(e, "5.7.0", "the authority may sign for its own domains only");
    BIO_free(bio);
    if (!self) {
        X509_free(signer);
        EVP_PKEY_free(signer_key);
    }
    X509_free(cert);
    EVP_PKEY_free(own);
    return rc;
}

enum rc issue_request(const struct issue *what, struct str key, struct buf *out, struct err *e)
{
    EVP_PKEY *own = tls_key_of(key);
    X509_REQ *request = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    STACK_OF(X509_EXTENSION) *list =
        request == NULL ? NULL : extensions_of(what, NULL, NULL, request);
    bool ok = own != NULL && bio != NULL && list != NULL &&
              X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
              set_subject(what, X509_REQ_get_subject_name(request)) &&
              X509_REQ_set_pubkey(request, own) == 1 &&
              X509_REQ_add_extensions(request, list) == 1 &&
              X509_REQ_sign(request, own, digest_for(own)) > 0 &&
              PEM_write_bio_X509_REQ(bio, request) == 1 && drain(bio, out) == RC_OK;
    enum rc rc = ok ? RC_OK : tls_error(e, "make a request for a certificate");
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    BIO_free(bio);
    X509_REQ_free(request);
    EVP_PKEY_free(own);
    return rc;
}

enum rc issue_self_signed(struct str host, unsigned days, struct buf *cert_out,
                          struct buf *key_out, struct err *e)
{
    const struct issue what = {
        .kind = ISSUE_SERVER, .names = &host, .name_count = 1, .days = days
    };
    enum rc rc = issue_key(key_out, e);
    return rc == RC_OK ? issue_certificate(&what, buf_str(key_out), cert_out, e) : rc;
}

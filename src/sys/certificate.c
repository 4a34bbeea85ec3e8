/* certificate.c - see certificate.h. */
#include "sys/certificate.h"
#include "sys/file.h"
#include "sys/tls_int.h"
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#define BEGIN STR("-----BEGIN CERTIFICATE-----")
#define END STR("-----END CERTIFICATE-----")

static struct str name_text(const X509_NAME *name, struct arena *a)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL ||
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0) {
        BIO_free(bio);
        return STR("");
    }
    long n = BIO_get_mem_data(bio, &text);
    struct str s = n > 0 ? arena_str(a, str_from(text, (size_t)n)) : STR("");
    BIO_free(bio);
    return str_is_utf8(s) && !str_has_control(s) ? s : STR("");
}

static int64_t time_of(const ASN1_TIME *t)
{
    struct tm tm;
    return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void add_name(const ASN1_STRING *value, struct arena *a, struct str *list, size_t *count)
{
    struct str text =
        str_from((const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    if (str_is_ascii(text) && !str_has_control(text))
        list[(*count)++] = arena_str(a, text);
}

static void read_names(X509 *x, struct arena *a, struct certificate *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (out->name_count == CERTIFICATE_NAMES_MAX)
            break;
        if (name->type == GEN_DNS)
            add_name(name->d.dNSName, a, out->names, &out->name_count);
        else if (name->type == GEN_EMAIL)
            add_name(name->d.rfc822Name, a, out->names, &out->name_count);
    }
    GENERAL_NAMES_free(names);
}

/* Domains only: an authority of ours has the same ones for mail. */
static void read_permitted(X509 *x, struct arena *a, struct certificate *out)
{
    NAME_CONSTRAINTS *limits = X509_get_ext_d2i(x, NID_name_constraints, NULL, NULL);
    int n = limits == NULL ? 0 : sk_GENERAL_SUBTREE_num(limits->permittedSubtrees);
    for (int i = 0; i < n && out->permitted_count < CERTIFICATE_NAMES_MAX; i++) {
        const GENERAL_NAME *base = sk_GENERAL_SUBTREE_value(limits->permittedSubtrees, i)->base;
        if (base->type == GEN_DNS)
            add_name(base->d.dNSName, a, out->permitted, &out->permitted_count);
    }
    NAME_CONSTRAINTS_free(limits);
}

static struct str hex(const unsigned char *octets, size_t n, struct arena *a)
{
    char *text = arena_new(a, 2 * n + 1);
    for (size_t i = 0; i < n; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", octets[i]);
    return str_from(text, 2 * n);
}

static struct str fingerprint_of(const X509 *x, struct arena *a)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    return X509_digest(x, EVP_sha256(), sum, &n) == 1 ? hex(sum, n, a) : STR("");
}

static struct str serial_of(const X509 *x, struct arena *a)
{
    const ASN1_INTEGER *n = X509_get0_serialNumber(x);
    return hex(ASN1_STRING_get0_data(n), (size_t)MIN(ASN1_STRING_length(n), 32), a);
}

static struct str key_of(const X509 *x, struct arena *a)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    const char *name = key == NULL ? NULL : EVP_PKEY_get0_type_name(key);
    return name == NULL ? STR("?") : arena_printf(a, "%s %d", name, EVP_PKEY_get_bits(key));
}

static void describe(X509 *x, struct str host, struct arena *a, struct certificate *out)
{
    *out = (struct certificate){
        .subject = name_text(X509_get_subject_name(x), a),
        .issuer = name_text(X509_get_issuer_name(x), a),
        .begins = time_of(X509_get0_notBefore(x)),
        .ends = time_of(X509_get0_notAfter(x)),
        .fingerprint = fingerprint_of(x, a),
        .serial = serial_of(x, a),
        .key = key_of(x, a),
        .self_signed = X509_self_signed(x, 1) == 1,
        .is_authority = X509_check_ca(x) == 1,
        .is_for_host = host.n > 0 && X509_check_host(x, host.p, host.n, 0, NULL) == 1,
    };
    read_names(x, a, out);
    read_permitted(x, a, out);
}

enum rc certificate_read_all(const char *path, struct str host, struct arena *a,
                             struct certificate **out, size_t most, size_t *out_count,
                             struct err *e)
{
    struct str text;
    X509 *x = NULL;
    size_t n = 0;
    enum rc rc = file_read(path, CERTIFICATE_FILE_MAX, a, &text, NULL, e);
    if (rc != RC_OK)
        return rc;
    struct certificate *list = arena_new_array(a, struct certificate, most);
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    while (bio != NULL && n < most && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        describe(x, host, a, &list[n++]);
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (n == 0)
        return err_perm(e, "5.7.0", "%s holds no certificate", path);
    list[0].chain = (unsigned)(n - 1);
    *out = list;
    *out_count = n;
    return RC_OK;
}

enum rc certificate_read(const char *path, struct str host, struct arena *a,
                         struct certificate *out, struct err *e)
{
    struct certificate *list = NULL;
    size_t n = 0;
    enum rc rc = certificate_read_all(path, host, a, &list, 20, &n, e);
    if (rc == RC_OK)
        *out = list[0];
    return rc;
}

/* --- texts with certificates -------------------------------------------------------------- */

bool certificate_read_text(struct str pem, struct arena *a, struct certificate *out)
{
    X509 *x = tls_certificate_of(pem);
    bool ok = x != NULL;
    if (ok)
        describe(x, STR(""), a, out);
    X509_free(x);
    return ok;
}

bool certificate_first(struct str text, struct arena *a, struct str *out_pem,
                       struct str *out_fingerprint)
{
    char *p = NULL;
    X509 *x = tls_certificate_of(text);
    BIO *bio = x == NULL ? NULL : BIO_new(BIO_s_mem());
    bool ok = bio != NULL && PEM_write_bio_X509(bio, x) == 1;
    long n = ok ? BIO_get_mem_data(bio, &p) : 0;
    if (ok) {
        *out_pem = arena_str(a, str_from(p, (size_t)n));
        *out_fingerprint = fingerprint_of(x, a);
    }
    BIO_free(bio);
    X509_free(x);
    return ok;
}

bool certificate_cut(struct str pem, struct str fingerprint, struct arena *a, struct str *out)
{
    struct str own, sum;
    for (size_t at = 0; at < pem.n;) {
        struct str rest = str_skip(pem, at);
        size_t begin = str_find_str(rest, BEGIN), end = str_find_str(rest, END);
        if (begin == SIZE_MAX || end == SIZE_MAX)
            return false;
        end += END.n;
        if (end > begin &&
            certificate_first(str_head(str_skip(rest, begin), end - begin), a, &own, &sum) &&
            str_ieq(sum, fingerprint)) {
            struct str behind = str_skip(rest, end);
            behind = str_skip(behind, MIN(str_find(behind, '\n'), behind.n) + 1);
            *out = arena_printf(a, "%.*s%.*s", (int)(at + begin), pem.p, STR_ARG(behind));
            return true;
        }
        at += end;
    }
    return false;
}

enum rc certificate_places(struct arena *a, size_t most, struct str *out, size_t *out_count,
                           struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    size_t n = 0;
    if (folder_exists("tls") && folder_open("tls", &f, e) != RC_OK)
        return e->rc;
    while (n < most && folder_next(f, &name, &type))
        if (type == DT_DIR && name.p[0] != '.')
            out[n++] = arena_str(a, name);
    folder_close(&f);
    *out_count = n;
    return RC_OK;
}

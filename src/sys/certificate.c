/* certificate.c - see certificate.h. */
#include "sys/certificate.h"
#include "sys/file.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#define FILE_MOST ((size_t)1 << 20)

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

static void read_names(X509 *x, struct arena *a, struct certificate *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS || out->name_count == CERTIFICATE_NAMES_MAX)
            continue;
        struct str text = str_from((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                                   (size_t)ASN1_STRING_length(name->d.dNSName));
        if (str_is_ascii(text) && !str_has_control(text))
            out->names[out->name_count++] = arena_str(a, text);
    }
    GENERAL_NAMES_free(names);
}

static void describe(X509 *x, struct str host, struct arena *a, struct certificate *out)
{
    *out = (struct certificate){
        .subject = name_text(X509_get_subject_name(x), a),
        .issuer = name_text(X509_get_issuer_name(x), a),
        .begins = time_of(X509_get0_notBefore(x)),
        .ends = time_of(X509_get0_notAfter(x)),
        .self_signed = X509_check_issued(x, x) == X509_V_OK,
        .is_for_host = host.n > 0 && X509_check_host(x, host.p, host.n, 0, NULL) == 1,
    };
    read_names(x, a, out);
}

enum rc certificate_read(const char *path, struct str host, struct arena *a,
                         struct certificate *out, struct err *e)
{
    struct str text;
    enum rc rc = file_read(path, FILE_MOST, a, &text, NULL, e);
    if (rc != RC_OK)
        return rc;
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    if (x == NULL) {
        BIO_free(bio);
        return err_perm(e, "5.7.0", "%s holds no certificate", path);
    }
    describe(x, host, a, out);
    X509_free(x);
    while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        out->chain++;
        X509_free(x);
    }
    BIO_free(bio);
    return RC_OK;
}

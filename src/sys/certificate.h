/* certificate.h - what a certificate says, for people. */
#ifndef HIKYAKU_SYS_CERTIFICATE_H
#define HIKYAKU_SYS_CERTIFICATE_H

#include "base/base.h"

#define CERTIFICATE_NAMES_MAX 64u
#define CERTIFICATE_FILE_MAX ((size_t)4 << 20)

struct certificate {
    struct str subject, issuer;              /* RFC 4514 */
    struct str names[CERTIFICATE_NAMES_MAX]; /* hosts, addresses of mail */
    size_t name_count;
    struct str permitted[CERTIFICATE_NAMES_MAX]; /* of a limited authority: domains */
    size_t permitted_count;
    int64_t begins, ends;   /* seconds since 1970 */
    struct str fingerprint; /* SHA-256, hex */
    struct str serial;      /* hex */
    struct str key;         /* "EC 256", "RSA 2048" */
    bool self_signed;
    bool is_authority; /* may sign others */
    bool is_for_host;  /* of the one asked about (RFC 6125) */
    unsigned chain;    /* certificates behind it in the file */
};
/* The first certificate of a text in PEM; false: there is none. */
bool certificate_read_text(struct str pem, struct arena *a, struct certificate *out);
/* Reads the first certificate of a PEM file. RC_PERM: there is none; RC_TEMP: unreadable. */
enum rc certificate_read(const char *path, struct str host, struct arena *a,
                         struct certificate *out, struct err *e) CHECK_RESULT;
/* All of them, `most` at most. */
enum rc certificate_read_all(const char *path, struct str host, struct arena *a,
                             struct certificate **out, size_t most, size_t *out_count,
                             struct err *e) CHECK_RESULT;
/*
 * The text without the certificate of that fingerprint (hex, case doesn't count), other octets
 * as they are; false: there is none. `a` gets the text.
 */
bool certificate_cut(struct str pem, struct str fingerprint, struct arena *a, struct str *out);
/* The first certificate of a text in PEM of its own, and its fingerprint; false: none. */
bool certificate_first(struct str text, struct arena *a, struct str *out_pem,
                       struct str *out_fingerprint);
/* The names of the folders below tls/, each of which has server.cert and server.key for clients
 * that ask for a host; at most `most`. */
enum rc certificate_places(struct arena *a, size_t most, struct str *out, size_t *out_count,
                           struct err *e) CHECK_RESULT;
#define CERTIFICATE_PLACES_MAX 1000u
#endif

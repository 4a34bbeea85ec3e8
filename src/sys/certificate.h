/* certificate.h - what a certificate says, for people. */
#ifndef HIKYAKU_SYS_CERTIFICATE_H
#define HIKYAKU_SYS_CERTIFICATE_H

#include "base/base.h"

#define CERTIFICATE_NAMES_MAX 64u

struct certificate {
    struct str subject, issuer;              /* RFC 4514 */
    struct str names[CERTIFICATE_NAMES_MAX]; /* of the DNS; without the field: none */
    size_t name_count;
    int64_t begins, ends; /* seconds since 1970 */
    bool self_signed;
    bool is_for_host; /* of the one asked about (RFC 6125) */
    unsigned chain;   /* certificates behind it in the file */
};
/* Reads the first certificate of a PEM file. RC_PERM: there is none; RC_TEMP: unreadable. */
enum rc certificate_read(const char *path, struct str host, struct arena *a,
                         struct certificate *out, struct err *e) CHECK_RESULT;
#endif

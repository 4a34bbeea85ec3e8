/* authority.h - what an authority of one's own makes besides certificates (issue.h): the file
 * that a client takes in, and the list of what it stands for no more. */
#ifndef HIKYAKU_SYS_AUTHORITY_H
#define HIKYAKU_SYS_AUTHORITY_H

#include "base/base.h"

/*
 * Key, certificate and the authority's in one file under a password (PKCS #12, RFC 7292), in
 * base64 with lines. `name` is what the client's software calls it. A secret: wipe out.
 */
enum rc authority_bundle(struct str key, struct str cert, struct str ca_cert, struct str name,
                         struct str password, struct buf *out, struct err *e) CHECK_RESULT;

struct authority_revoked {
    struct str serial; /* hex */
    int64_t when;      /* seconds since 1970 */
};
/* The list of revoked certificates (RFC 5280 5), signed, in PEM; good for `days`. */
enum rc authority_revocations(struct str ca_cert, struct str ca_key,
                              const struct authority_revoked *list, size_t count, unsigned days,
                              struct buf *out, struct err *e) CHECK_RESULT;

#endif

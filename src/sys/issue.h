/* issue.h - making keys, certificates, and requests for them. Everything is PEM. */
#ifndef HIKYAKU_SYS_ISSUE_H
#define HIKYAKU_SYS_ISSUE_H

#include "base/base.h"

enum issue_kind {
    ISSUE_SERVER,    /* for these names */
    ISSUE_AUTHORITY, /* may sign others */
    ISSUE_CLIENT,    /* shows a server who connects */
    ISSUE_CHALLENGE, /* answers an authority's challenge (RFC 8737) */
};

/* What a certificate is to say. */
struct issue {
    enum issue_kind kind;
    struct str common_name;  /* empty: the first name */
    const struct str *names; /* hosts, addresses; of a client: mail addresses */
    size_t name_count;
    /* Of an authority: the domains that it may sign for, hosts in them and mail addresses of
     * theirs (RFC 5280 4.2.1.10); none: everything. A-labels. */
    const struct str *permitted;
    size_t permitted_count;
    unsigned days;
    struct str digest;          /* of a challenge: 32 octets */
    struct str ca_cert, ca_key; /* who signs; empty: itself */
};

/* A new private key (P-256). The buffer holds a secret: wipe it. */
enum rc issue_key(struct buf *out, struct err *e) CHECK_RESULT;
/* The certificate for the key. RC_PERM: its signer may not sign for such names. */
enum rc issue_certificate(const struct issue *what, struct str key, struct buf *out,
                          struct err *e) CHECK_RESULT;
/* A request for it, to be sent to an authority (PKCS #10). */
enum rc issue_request(const struct issue *what, struct str key, struct buf *out,
                      struct err *e) CHECK_RESULT;
/* A certificate that the host signs itself, and its key. */
enum rc issue_self_signed(struct str host, unsigned days, struct buf *cert_out,
                          struct buf *key_out, struct err *e) CHECK_RESULT;

#endif

/* tls.h - OpenSSL, seen by nobody but sys/: certificates of a server, and one connection's
 * state. */
#ifndef HIKYAKU_SYS_TLS_H
#define HIKYAKU_SYS_TLS_H

#include "sys/file.h"

struct tls_ctx;
struct tls;

/* HOST below it: key and certificate for an authority that asks for "acme-tls/1" (RFC 8737).
 * Nothing but the handshake happens on such a connection. */
#define TLS_CHALLENGE_FOLDER "hikyaku/acme/alpn"

/* An authority of our own (admin/authority.c). */
#define OWN_AUTHORITY_CERT "hikyaku/authority/cert"
#define OWN_AUTHORITY_CRL "hikyaku/authority/crl"

/* Whose certificates are believed, besides the system's authorities. */
struct tls_trust {
    const char *ca_file, *ca_folder;  /* may be NULL */
    const char *own_ca, *own_crl;     /* our own authority, what it revoked; may be NULL */
    struct file_id file, folder, crl; /* which ones they were */
    unsigned depth;                   /* longest chain; 0: OpenSSL's */
};
/* What a server asks of its clients. */
struct tls_clients {
    bool verify;         /* a certificate that they give must be good */
    bool demand;         /* they must give one */
    bool self_signed_ok; /* with verify: its signer needn't be known */
    struct tls_trust trust;
};

/* Loads a certificate chain and its key (PEM files). TLS 1.2 and newer. clients NULL: nothing
 * is asked of them. */
enum rc tls_ctx_load(const char *cert_path, const char *key_path,
                     const struct tls_clients *clients, struct tls_ctx **out,
                     struct err *e) CHECK_RESULT;
/* One more certificate, for clients that ask for a name of it (SNI); before ctx is used. */
enum rc tls_ctx_add(struct tls_ctx *ctx, const char *cert_path, const char *key_path,
                    struct err *e) CHECK_RESULT;
/* References: a reload makes a new context while old connections keep theirs. */
struct tls_ctx *tls_ctx_get(struct tls_ctx *ctx);
void tls_ctx_put(struct tls_ctx **ctx);
/* End of validity of the certificate, usec since 1970; -1 when it can't be told. */
usec_t tls_ctx_expires(const struct tls_ctx *ctx);
/* Is the certificate for this host (RFC 6125: its names, a wildcard for one label)? */
bool tls_ctx_covers(const struct tls_ctx *ctx, struct str host);

#endif

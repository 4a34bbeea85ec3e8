/* tls.h - OpenSSL, seen by nobody but sys/: certificates of a server, and one connection's
 * state. */
#ifndef HIKYAKU_SYS_TLS_H
#define HIKYAKU_SYS_TLS_H

#include "base/base.h"

struct tls_ctx;
struct tls;

/* Loads a certificate chain and its key (PEM files). TLS 1.2 and newer. */
enum rc tls_ctx_load(const char *cert_path, const char *key_path, struct tls_ctx **out,
                     struct err *e) CHECK_RESULT;
/* References: a reload makes a new context while old connections keep theirs. */
struct tls_ctx *tls_ctx_get(struct tls_ctx *ctx);
void tls_ctx_put(struct tls_ctx **ctx);
/* End of validity of the certificate, usec since 1970; -1 when it can't be told. */
usec_t tls_ctx_expires(const struct tls_ctx *ctx);
/* Is the certificate for this host (RFC 6125: its names, a wildcard for one label)? */
bool tls_ctx_covers(const struct tls_ctx *ctx, struct str host);

/* A self-signed certificate for `host` (P-256, valid for `days`), PEM. key_out gets the private
 * key. */
enum rc tls_self_signed(struct str host, unsigned days, struct buf *cert_out,
                        struct buf *key_out, struct err *e) CHECK_RESULT;

#endif

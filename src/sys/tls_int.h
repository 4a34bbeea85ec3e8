/* tls_int.h - what the files of sys/ that use OpenSSL share. */
#ifndef HIKYAKU_SYS_TLS_INT_H
#define HIKYAKU_SYS_TLS_INT_H

#include "sys/tls.h"

struct ssl_ctx_st;
struct x509_st;
struct evp_pkey_st;
/* The first of a text in PEM; NULL: there is none. The caller frees it. */
struct x509_st *tls_certificate_of(struct str pem);
struct evp_pkey_st *tls_key_of(struct str pem);
/* The newest OpenSSL error as text for a struct err; empties the queue. RC_TEMP. */
enum rc tls_error(struct err *e, const char *what);
/* Loads the authorities that verifying needs; false: OpenSSL's errors say why. */
bool tls_trust_load(struct ssl_ctx_st *ssl, const struct tls_trust *trust) CHECK_RESULT;

/* A server's end of a connection on fd, which stays the caller's; freeing takes NULL too. */
enum rc tls_new(struct tls_ctx *ctx, int fd, struct tls **out, struct err *e) CHECK_RESULT;
void tls_free(struct tls **t);
/* A step of the handshake; RC_AGAIN: call again when fd can be read or, if *out_wants_write,
 * written. */
enum rc tls_handshake(struct tls *t, bool *out_wants_write, struct err *e) CHECK_RESULT;
/* Octets, 0 at the peer's close, -1 with *out_rc AGAIN or GONE. */
ssize_t tls_read(struct tls *t, char *p, size_t n, bool *out_wants_write, enum rc *out_rc);
ssize_t tls_write(struct tls *t, const char *p, size_t n, bool *out_wants_write,
                  enum rc *out_rc);
const char *tls_version(const struct tls *t);
const char *tls_cipher(const struct tls *t, int *out_bits);

#endif

/* client.h - a connection of a tool to a server: blocking, every wait with a limit. */
#ifndef HIKYAKU_SYS_CLIENT_H
#define HIKYAKU_SYS_CLIENT_H

#include "base/base.h"
#include "sys/tls.h"

struct client;

/* What a TLS client has and wants; NULL: nothing. Without ca_file and ca_folder any certificate
 * is taken. */
struct client_tls {
    const char *cert, *key, *ca_file, *ca_folder;
};

/* Connects to the host (a name or an address). timeout: of this and of each later wait. */
enum rc client_open(const char *host, const char *port, usec_t timeout, struct client **out,
                    struct err *e) CHECK_RESULT;
/* Connects to a socket in the file system. RC_TEMP with e->sys ENOENT or ECONNREFUSED: nobody
 * listens there. */
enum rc client_open_local(const char *path, usec_t timeout, struct client **out,
                          struct err *e) CHECK_RESULT;
/* Connects to an address, from the address `from` when it isn't NULL. */
enum rc client_open_ip(const struct ip *to, uint16_t port, const struct ip *from,
                       usec_t timeout, struct client **out, struct err *e) CHECK_RESULT;
/* Of each wait from now on. */
void client_set_timeout(struct client *c, usec_t timeout);
/* No wait goes beyond this time (clock_mono); USEC_FOREVER: no bound. */
void client_set_deadline(struct client *c, usec_t deadline);

/* How other servers' certificates are judged; used by many connections. */
struct client_tls_ctx;
struct client_tls_ctx *client_tls_ctx_get(struct client_tls_ctx *ctx);
void client_tls_ctx_put(struct client_tls_ctx **ctx);
enum rc client_tls_ctx_new(const struct tls_trust *trust, struct client_tls_ctx **out,
                           struct err *e) CHECK_RESULT;
/* The TLS handshake with a host whose certificate must be good and its own (verify), or any. */
enum rc client_start_tls_with(struct client *c, struct client_tls_ctx *ctx, struct str host,
                              bool verify, bool self_signed_ok, struct err *e) CHECK_RESULT;
/* "TLSv1.3"; NULL without TLS. */
const char *client_tls_version(const struct client *c);
/* Takes over a connected socket. */
struct client *client_take(int fd, usec_t timeout);
/* The TLS handshake; nothing may be buffered. */
enum rc client_start_tls(struct client *c, const char *host, const struct client_tls *tls,
                         struct err *e) CHECK_RESULT;
/* Sends all octets. */
enum rc client_write(struct client *c, struct str octets, struct err *e) CHECK_RESULT;
/* The next line without its end, valid until the next call. RC_GONE: the server closed. */
enum rc client_line(struct client *c, struct str *out_line, struct err *e) CHECK_RESULT;
/* What has come and wasn't read yet, at least one octet, valid until the next call; then how
 * many of these octets are done with. */
enum rc client_octets(struct client *c, struct str *out, struct err *e) CHECK_RESULT;
void client_use(struct client *c, size_t n);
/* Exactly n octets. */
enum rc client_read(struct client *c, char *p, size_t n, struct err *e) CHECK_RESULT;
/* Has the server sent something that wasn't read yet? Doesn't wait. */
bool client_has_input(struct client *c);
/* *c becomes NULL; NULL is accepted. */
void client_close(struct client **c);

#endif

/* client.h - a connection of a tool to a server: blocking, every wait with a limit. */
#ifndef HIKYAKU_SYS_CLIENT_H
#define HIKYAKU_SYS_CLIENT_H

#include "base/base.h"

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
/* Takes over a connected socket. */
struct client *client_take(int fd, usec_t timeout);
/* The TLS handshake; nothing may be buffered. */
enum rc client_start_tls(struct client *c, const char *host, const struct client_tls *tls,
                         struct err *e) CHECK_RESULT;
/* Sends all octets. */
enum rc client_write(struct client *c, struct str octets, struct err *e) CHECK_RESULT;
/* The next line without its end, valid until the next call. RC_GONE: the server closed. */
enum rc client_line(struct client *c, struct str *out_line, struct err *e) CHECK_RESULT;
/* *c becomes NULL; NULL is accepted. */
void client_close(struct client **c);

#endif

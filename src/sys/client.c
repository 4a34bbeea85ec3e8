/* client.c - see client.h. */
#include "sys/client.h"
#include "sys/tls_int.h"
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LINE_MAX_BYTES ((size_t)4 << 20)
#define READ_BYTES ((size_t)16384)

struct client {
    int fd;
    usec_t timeout, deadline;
    SSL_CTX *ctx;
    SSL *ssl;
    struct buf in;
    size_t used;                  /* of in: lines given out */
    struct sockaddr_storage from; /* to connect from */
    socklen_t from_n;             /* 0: any */
};

/* Waits until the socket is ready for `events`. */
static enum rc wait_for(const struct client *c, short events, struct err *e)
{
    struct pollfd p = { .fd = c->fd, .events = events };
    int n = 0;
    usec_t wait = MAX(MIN(c->timeout, c->deadline - clock_mono()), (usec_t)0);
    do
        n = poll(&p, 1, (int)(wait / USEC_MS));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return err_temp(e, "4.4.2", "the server doesn't answer");
    return n < 0 ? err_sys(e, "wait for the server") : RC_OK;
}

static enum rc connect_one(struct client *c, const struct addrinfo *a, struct err *e)
{
    int failed = 0, on = 1;
    socklen_t n = sizeof(failed);
    c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return err_sys(e, "make socket");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (c->from_n > 0 && bind(c->fd, (const struct sockaddr *)&c->from, c->from_n) != 0) {
        enum rc rc = err_sys(e, "use the address asked for");
        (void)close(c->fd);
        c->fd = -1;
        return rc;
    }
    if (connect(c->fd, a->ai_addr, a->ai_addrlen) == 0)
        return RC_OK;
    enum rc rc = errno == EINPROGRESS ? wait_for(c, POLLOUT, e) : err_sys(e, "connect");
    if (rc == RC_OK && getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &n) == 0 &&
        failed != 0) {
        errno = failed;
        rc = err_sys(e, "connect");
    }
    if (rc != RC_OK) {
        (void)close(c->fd);
        c->fd = -1;
    }
    return rc;
}

enum rc client_open(const char *host, const char *port, usec_t timeout, struct client **out,
                    struct err *e)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    int failed = getaddrinfo(host, port, &hints, &list);
    if (failed != 0)
        return err_perm(e, "5.1.2", "%s: %s", host, gai_strerror(failed));
    struct client *c = client_take(-1, timeout);
    enum rc rc = err_temp(e, "4.4.1", "%s has no address", host);
    for (const struct addrinfo *a = list; a != NULL && rc != RC_OK; a = a->ai_next)
        rc = connect_one(c, a, e);
    freeaddrinfo(list);
    if (rc != RC_OK)
        client_close(&c);
    else
        *out = c;
    return rc;
}

enum rc client_open_ip(const struct ip *to, uint16_t port, const struct ip *from,
                       usec_t timeout, struct client **out, struct err *e)
{
    struct sockaddr_storage sa, own;
    struct addrinfo a = { .ai_addr = (struct sockaddr *)&sa };
    a.ai_addrlen = ip_to_sockaddr(to, port, &sa);
    a.ai_family = sa.ss_family;
    struct client *c = client_take(-1, timeout);
    c->from_n = from == NULL ? 0 : ip_to_sockaddr(from, 0, &own);
    if (from != NULL)
        memcpy(&c->from, &own, sizeof(own));
    enum rc rc = connect_one(c, &a, e);
    if (rc != RC_OK)
        client_close(&c);
    else
        *out = c;
    return rc;
}

void client_set_timeout(struct client *c, usec_t timeout)
{
    c->timeout = timeout;
}

void client_set_deadline(struct client *c, usec_t deadline)
{
    c->deadline = deadline;
}

struct client *client_take(int fd, usec_t timeout)
{
    struct client *c = mem_new(sizeof(*c));
    c->fd = fd;
    c->timeout = timeout;
    c->deadline = USEC_FOREVER;
    buf_init(&c->in, LINE_MAX_BYTES);
    return c;
}

enum rc client_open_local(const char *path, usec_t timeout, struct client **out, struct err *e)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(to.sun_path))
        return err_perm(e, "5.3.0", "%s is too long for a socket", path);
    memcpy(to.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, "make socket");
    /* Where too many wait to be accepted, connect waits, too. */
    struct timeval limit = { .tv_sec = MAX(timeout / USEC_S, 1) };
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        enum rc rc = err_sys(e, "connect to %s", path);
        (void)close(fd);
        return rc;
    }
    *out = client_take(fd, timeout);
    return RC_OK;
}

/* --- TLS --------------------------------------------------------------------------------- */

static enum rc tls_failed(const char *what, struct err *e)
{
    char text[160];
    unsigned long code = ERR_get_error();
    ERR_error_string_n(code, text, sizeof(text));
    ERR_clear_error();
    return err_perm(e, "5.7.5", "%s: %s", what, code == 0 ? "closed by the server" : text);
}

static bool set_up(struct client *c, const char *host, const struct client_tls *tls)
{
    bool verify = tls->ca_file != NULL || tls->ca_folder != NULL;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    char *name = arena_c(&a, str_from_c(host)); /* OpenSSL's macro wants it changeable */
    c->ctx = SSL_CTX_new(TLS_client_method());
    if (c->ctx == NULL || SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) != 1)
        return false;
    if (verify && SSL_CTX_load_verify_locations(c->ctx, tls->ca_file, tls->ca_folder) != 1)
        return false;
    if (tls->cert != NULL && SSL_CTX_use_certificate_chain_file(c->ctx, tls->cert) != 1)
        return false;
    if (tls->key != NULL &&
        SSL_CTX_use_PrivateKey_file(c->ctx, tls->key, SSL_FILETYPE_PEM) != 1)
        return false;
    SSL_CTX_set_verify(c->ctx, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    c->ssl = SSL_new(c->ctx);
    return c->ssl != NULL && SSL_set_fd(c->ssl, c->fd) == 1 &&
           SSL_set_tlsext_host_name(c->ssl, name) == 1 &&
           (!verify || SSL_set1_host(c->ssl, host) == 1);
}

/* After a call of OpenSSL that returned n <= 0: waits for what it wants. RC_GONE: closed. */
static enum rc tls_wait(const struct client *c, int n, const char *what, struct err *e)
{
    switch (SSL_get_error(c->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(c, POLLIN, e);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(c, POLLOUT, e);
    case SSL_ERROR_ZERO_RETURN:
        return err_gone(e, "the server closed the connection");
    default:
        if (SSL_get_verify_result(c->ssl) != X509_V_OK && !SSL_is_init_finished(c->ssl))
            what = X509_verify_cert_error_string(SSL_get_verify_result(c->ssl));
        return tls_failed(what, e);
    }
}

enum rc client_start_tls(struct client *c, const char *host, const struct client_tls *tls,
                         struct err *e)
{
    if (!set_up(c, host, tls))
        return tls_failed("TLS can't be set up", e);
    enum rc rc = RC_OK;
    int n = 0;
    while (rc == RC_OK && (n = SSL_connect(c->ssl)) != 1)
        rc = tls_wait(c, n, "TLS handshake", e);
    return rc;
}

struct client_tls_ctx {
    SSL_CTX *ssl;
    _Atomic unsigned refs;
};

enum rc client_tls_ctx_new(const struct tls_trust *trust, struct client_tls_ctx **out,
                           struct err *e)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());
    if (ssl == NULL || SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1 ||
        !tls_trust_load(ssl, trust)) {
        SSL_CTX_free(ssl);
        return tls_failed("TLS can't be set up", e);
    }
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    *out = mem_new(sizeof(**out));
    (*out)->ssl = ssl;
    (*out)->refs = 1;
    return RC_OK;
}

struct client_tls_ctx *client_tls_ctx_get(struct client_tls_ctx *ctx)
{
    atomic_fetch_add(&ctx->refs, 1);
    return ctx;
}

void client_tls_ctx_put(struct client_tls_ctx **ctx)
{
    struct client_tls_ctx *c = *ctx;
    *ctx = NULL;
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    SSL_CTX_free(c->ssl);
    mem_free(&c);
}

/* Is the certificate good, or only without a signature of somebody known where that is fine? */
static bool is_trusted(const struct client *c, bool self_signed_ok)
{
    long why = SSL_get_verify_result(c->ssl);
    return why == X509_V_OK ||
           (self_signed_ok && (why == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
                               why == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN));
}

enum rc client_start_tls_with(struct client *c, struct client_tls_ctx *ctx, struct str host,
                              bool verify, bool self_signed_ok, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    char *name = arena_c(&a, host);
    struct ip ip;
    bool is_name = host.n > 0 && !ip_parse(host, &ip);
    c->ssl = SSL_new(ctx->ssl);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1 ||
        (is_name && (SSL_set_tlsext_host_name(c->ssl, name) != 1 ||
                     (verify && SSL_set1_host(c->ssl, name) != 1))))
        return tls_failed("TLS can't be set up", e);
    buf_reset(&c->in); /* nothing said before the handshake counts (RFC 3207 4.2) */
    c->used = 0;
    enum rc rc = RC_OK;
    int n = 0;
    while (rc == RC_OK && (n = SSL_connect(c->ssl)) != 1)
        rc = tls_wait(c, n, "TLS handshake", e);
    if (rc == RC_OK && verify && !is_trusted(c, self_signed_ok))
        return err_temp(e, "4.7.5", "the certificate of %.*s is not good: %s", STR_ARG(host),
                        X509_verify_cert_error_string(SSL_get_verify_result(c->ssl)));
    return rc;
}

const char *client_tls_version(const struct client *c)
{
    return c->ssl == NULL ? NULL : SSL_get_version(c->ssl);
}

/* --- octets ------------------------------------------------------------------------------ */

enum rc client_write(struct client *c, struct str octets, struct err *e)
{
    enum rc rc = RC_OK;
    while (octets.n > 0 && rc == RC_OK) {
        int some = (int)MIN(octets.n, READ_BYTES);
        ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, octets.p, some)
                                   : send(c->fd, octets.p, (size_t)some, MSG_NOSIGNAL);
        if (n > 0)
            octets = str_skip(octets, (size_t)n);
        else if (c->ssl != NULL)
            rc = tls_wait(c, (int)n, "send", e);
        else
            rc = errno == EAGAIN || errno == EINTR ? wait_for(c, POLLOUT, e)
                                                   : err_sys(e, "send");
    }
    return rc;
}

static enum rc fill(struct client *c, struct err *e)
{
    if (buf_reserve(&c->in, READ_BYTES) != RC_OK)
        return err_perm(e, "5.5.2", "the server sent too long a line");
    for (;;) {
        char *to = c->in.p + c->in.n;
        ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, to, (int)READ_BYTES)
                                   : recv(c->fd, to, READ_BYTES, 0);
        enum rc rc = RC_OK;
        if (n > 0) {
            c->in.n += (size_t)n;
            return RC_OK;
        }
        if (c->ssl != NULL)
            rc = tls_wait(c, (int)n, "receive", e);
        else if (n == 0)
            rc = err_gone(e, "the server closed the connection");
        else
            rc = errno == EAGAIN || errno == EINTR ? wait_for(c, POLLIN, e)
                                                   : err_sys(e, "receive");
        if (rc != RC_OK)
            return rc;
    }
}

enum rc client_line(struct client *c, struct str *out_line, struct err *e)
{
    buf_consume(&c->in, c->used);
    c->used = 0;
    size_t lf = 0;
    while ((lf = str_find(buf_str(&c->in), '\n')) == SIZE_MAX) {
        enum rc rc = fill(c, e);
        if (rc != RC_OK)
            return rc;
    }
    struct str line = str_head(buf_str(&c->in), lf);
    *out_line = line.n > 0 && line.p[line.n - 1] == '\r' ? str_head(line, line.n - 1) : line;
    c->used = lf + 1;
    return RC_OK;
}

enum rc client_octets(struct client *c, struct str *out, struct err *e)
{
    if (c->used == c->in.n) {
        buf_reset(&c->in);
        c->used = 0;
    }
    enum rc rc = c->in.n > 0 ? RC_OK : fill(c, e);
    if (rc == RC_OK)
        *out = str_skip(buf_str(&c->in), c->used);
    return rc;
}

void client_use(struct client *c, size_t n)
{
    c->used += n;
}

enum rc client_read(struct client *c, char *p, size_t n, struct err *e)
{
    struct str have;
    while (n > 0) {
        enum rc rc = client_octets(c, &have, e);
        if (rc != RC_OK)
            return rc;
        size_t part = MIN(n, have.n);
        memcpy(p, have.p, part);
        client_use(c, part);
        p += part;
        n -= part;
    }
    return RC_OK;
}

bool client_has_input(struct client *c)
{
    char octet = 0;
    if (c->in.n > c->used)
        return true;
    if (c->ssl == NULL)
        return recv(c->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    int n = SSL_peek(c->ssl, &octet, 1); /* takes in session tickets, which are no input */
    ERR_clear_error();
    return n > 0;
}

void client_close(struct client **c)
{
    struct client *old = *c;
    *c = NULL;
    if (old == NULL)
        return;
    SSL_free(old->ssl);
    SSL_CTX_free(old->ctx);
    if (old->fd >= 0)
        (void)close(old->fd);
    buf_release(&old->in);
    mem_free(&old);
}

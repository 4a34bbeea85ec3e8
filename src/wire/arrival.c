/*
 * arrival.c - connections of balancers, until their PROXY header (proxy.h) has said who the
 * client is. The header is looked at where it lies in the socket, and taken off it when it is
 * whole: TLS or commands may follow in the same segment. A part of one makes the socket wake us
 * only with more.
 */
#include "wire/engine_int.h"
#include "wire/proxy.h"
#include <sys/socket.h>

#define HEADER_TIME (10 * USEC_S)

static void refuse(struct session *s, const struct err *e)
{
    log_info(EV("connection refused"), KV("reason", "no PROXY header"),
             KV("client", ip_print(&s->client_ip, (char[IP_TEXT_BYTES]){ 0 })), KE(e));
    metric_add(METRIC_refused_proxy, 1);
    engine_arrived(s, false);
}

/* Wakes the pool when at least this many octets wait, or the end. */
static void wake_with(struct session *s, size_t octets)
{
    int least = (int)octets;
    (void)setsockopt(s->st.fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least));
}

static void take_ends(struct session *s, const struct proxy_header *h)
{
    if (!h->has_ends)
        return;
    s->client_ip = h->client;
    s->client_port = h->client_port;
    s->local_ip = h->server;
    s->local_port = h->server_port;
}

/* RC_OK: the header is off the socket, and what it says is in s. */
static enum rc read_header(struct session *s, struct err *e)
{
    char octets[PROXY_HEADER_MAX];
    struct proxy_header h;
    size_t used = 0;
    ssize_t n = recv(s->st.fd, octets, sizeof(octets), MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return RC_AGAIN;
    if (n <= 0)
        return err_perm(e, "5.5.0", "it ended");
    enum rc rc = proxy_parse(str_from(octets, (size_t)n), &h, &used, e);
    if (rc == RC_AGAIN && (size_t)n <= s->peeked)
        return err_perm(e, "5.5.0", "it ended in its header");
    s->peeked = (size_t)n;
    wake_with(s, rc == RC_AGAIN ? (size_t)n + 1 : 1);
    if (rc != RC_OK)
        return rc;
    if (recv(s->st.fd, octets, used, 0) != (ssize_t)used)
        return err_perm(e, "5.5.0", "it can't be read");
    take_ends(s, &h);
    return RC_OK;
}

static void arrival_run(struct pool *pool, void *object, unsigned events)
{
    struct session *s = object;
    struct err e;
    enum rc rc = RC_OK;
    if ((events & (POOL_STOP | POOL_TIMEOUT)) != 0)
        rc = err_perm(&e, "5.5.0", "the time is over");
    else
        rc = read_header(s, &e);
    if (rc == RC_AGAIN) {
        pool_park(pool, s->ticket, POOL_WANT_READ, s->deadline);
        return;
    }
    pool_forget(pool, s->ticket);
    if (rc == RC_OK)
        engine_arrived(s, true);
    else
        refuse(s, &e);
}

enum rc arrival_await(struct session *s, struct err *e)
{
    s->deadline = clock_mono() + HEADER_TIME;
    return pool_add(engine_pool(s->engine), s, arrival_run, s->st.fd, &s->ticket, e);
}

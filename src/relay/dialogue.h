/*
 * dialogue.h - a server for the tests of this folder, whose replies are given: one as a
 * greeting, then one for each command and for the end of each message, as they come. A reply
 * that begins with "&" comes at once behind the one before it, without being asked for. When
 * there are none left, or the client says nothing for too long, it closes for writing.
 */
#ifndef HIKYAKU_RELAY_DIALOGUE_H
#define HIKYAKU_RELAY_DIALOGUE_H

#include "base/base.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>

struct dialogue_server {
    struct str replies;
    int fd;
    pthread_t thread;
    char said[2000]; /* what it was told */
    size_t said_n, line_at;
    bool in_data;
};

/* The first reply of *rest: its lines up to one without "-" behind the code. */
static inline struct str dialogue_take(struct str *rest)
{
    struct str all = *rest;
    size_t n = 0;
    while (n < all.n) {
        struct str line = str_skip(all, n);
        size_t lf = str_find(line, '\n');
        n += lf == SIZE_MAX ? line.n : lf + 1;
        size_t mark = str_starts(line, STR("&")) ? 4 : 3;
        if (line.n <= mark || line.p[mark] != '-')
            break;
    }
    *rest = str_skip(all, n);
    return str_head(all, n);
}

static inline void dialogue_reply(struct dialogue_server *d)
{
    struct buf all
        AUTO_RELEASE_BUF; /* sent at once, so that what wasn't asked for is there in time */
    buf_init(&all, BUF_MAX_DEFAULT);
    d->in_data = false;
    do {
        struct str reply = dialogue_take(&d->replies);
        bool pushed = str_starts(reply, STR("&"));
        reply = str_skip(reply, pushed);
        d->in_data = d->in_data || str_starts(reply, STR("354"));
        buf_must(buf_add_str(&all, reply));
    } while (str_starts(d->replies, STR("&")));
    (void)!send(d->fd, all.p, all.n, MSG_NOSIGNAL);
    if (d->replies.n == 0)
        (void)shutdown(d->fd, SHUT_WR);
}

/* A command, or a line of a message. */
static inline void dialogue_line(struct dialogue_server *d, struct str line)
{
    if (d->in_data && !str_eq(line, STR(".\r\n")))
        return;
    dialogue_reply(d);
}

static inline void *dialogue_run(void *argument)
{
    struct dialogue_server *d = argument;
    dialogue_reply(d);
    while (d->said_n + 1 < sizeof(d->said)) {
        ssize_t n = recv(d->fd, d->said + d->said_n, sizeof(d->said) - d->said_n - 1, 0);
        if (n < 0 && errno == EAGAIN) {
            (void)shutdown(d->fd, SHUT_WR);
            continue;
        }
        if (n <= 0)
            break;
        d->said_n += (size_t)n;
        struct str rest = str_from(d->said + d->line_at, d->said_n - d->line_at);
        for (size_t lf = 0; (lf = str_find(rest, '\n')) != SIZE_MAX;) {
            d->line_at += lf + 1;
            dialogue_line(d, str_head(rest, lf + 1));
            rest = str_skip(rest, lf + 1);
        }
    }
    return NULL;
}

/* Begins to serve; the client's end of the connection, not blocking. wait_ms: for the client's
 * next word; 0: for ever. */
static inline int dialogue_start(struct dialogue_server *d, struct str replies, int wait_ms)
{
    const struct timeval wait = { .tv_usec = wait_ms * 1000 };
    int pair[2];
    memset(d, 0, sizeof(*d));
    d->replies = replies;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
        fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
        BUG("no pair of sockets");
    d->fd = pair[1];
    (void)setsockopt(d->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    if (pthread_create(&d->thread, NULL, dialogue_run, d) != 0)
        BUG("no thread");
    return pair[0];
}

/* After the client has closed. */
static inline void dialogue_end(struct dialogue_server *d)
{
    (void)pthread_join(d->thread, NULL);
    (void)close(d->fd);
}

#endif

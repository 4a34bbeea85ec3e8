/*
 * load.c - the load generator of `make bench`: the same for every server. Threads with blocking
 * sockets; prints one line of figures.
 *
 *   load smtp HOST PORT SESSIONS MESSAGES OCTETS RECIPIENT...   one message a connection
 *   load pop3 HOST PORT SESSIONS ROUNDS DOMAIN PASSWORD USERS   log in, list, fetch all, quit
 *   load idle HOST PORT CONNECTIONS TLS SECONDS                 open and hold (tls: plain or
 * tls) load ping HOST PORT ROUNDS                                  NOOP round trips on one
 * connection
 *   load sink HOST PORT FILE                       takes all mail, counts it in FILE (8 octets)
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in server;
static int argument_count;
static char **arguments;
static _Atomic long next_job, done, failed;
static _Atomic long octets_read;
static long jobs;
static char *body;
static size_t body_n;

static double now(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct timeval limit = { .tv_sec = 60 };
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&server, sizeof(server)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static bool send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* Reads one SMTP reply (all its lines); its first digit, or 0. */
static char smtp_reply(int fd)
{
    char text[8192];
    size_t n = 0, line = 0;
    while (n < sizeof(text)) {
        ssize_t got = recv(fd, text + n, sizeof(text) - n, 0);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        for (const char *lf = NULL; (lf = memchr(text + line, '\n', n - line)) != NULL;) {
            if ((size_t)(lf - text) - line >= 4 && text[line + 3] == ' ')
                return text[line];
            line = (size_t)(lf - text) + 1;
        }
    }
    return 0;
}

static bool say(int fd, const char *text, char want)
{
    return send_all(fd, text, strlen(text)) && smtp_reply(fd) == want;
}

static bool smtp_session(const char *recipient)
{
    char rcpt[300];
    (void)snprintf(rcpt, sizeof(rcpt), "RCPT TO:<%s>\r\n", recipient);
    int fd = dial();
    bool ok = fd >= 0 && smtp_reply(fd) == '2' && say(fd, "EHLO load.example\r\n", '2') &&
              say(fd, "MAIL FROM:<load@load.example>\r\n", '2') && say(fd, rcpt, '2') &&
              say(fd, "DATA\r\n", '3') && send_all(fd, body, body_n) && smtp_reply(fd) == '2' &&
              say(fd, "QUIT\r\n", '2');
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static void *smtp_main(void *arg)
{
    (void)arg;
    for (long i = 0; (i = next_job++) < jobs;) {
        if (smtp_session(arguments[7 + i % (argument_count - 7)]))
            done++;
        else
            failed++;
    }
    return NULL;
}

/* Reads until the text so far ends in `end`. */
static bool read_until(int fd, const char *end, char *tail, size_t tail_n)
{
    static _Thread_local char text[65536];
    size_t end_n = strlen(end), kept = 0;
    for (;;) {
        ssize_t got = recv(fd, text + kept, sizeof(text) - kept, 0);
        if (got <= 0)
            return false;
        octets_read += got;
        size_t n = kept + (size_t)got;
        if (n >= end_n && memcmp(text + n - end_n, end, end_n) == 0) {
            if (tail != NULL)
                (void)snprintf(tail, tail_n, "%.*s", (int)n, text);
            return text[0] != '-' || kept > 0;
        }
        kept = n < 8 ? n : 8;
        memmove(text, text + n - kept, kept);
    }
}

static bool ask(int fd, const char *text, const char *end)
{
    return send_all(fd, text, strlen(text)) && read_until(fd, end, NULL, 0);
}

static bool pop3_session(long i)
{
    char line[300], stat[300] = "";
    long users = strtol(arguments[8], NULL, 10), messages = 0;
    int fd = dial();
    bool ok = fd >= 0 && read_until(fd, "\r\n", NULL, 0);
    (void)snprintf(line, sizeof(line), "USER u%ld@%s\r\n", i % users, arguments[6]);
    ok = ok && ask(fd, line, "\r\n");
    (void)snprintf(line, sizeof(line), "PASS %s\r\n", arguments[7]);
    ok = ok && ask(fd, line, "\r\n") && send_all(fd, "STAT\r\n", 6) &&
         read_until(fd, "\r\n", stat, sizeof(stat));
    ok = ok && strncmp(stat, "+OK ", 4) == 0 && ask(fd, "LIST\r\n", "\r\n.\r\n");
    messages = ok ? strtol(stat + 4, NULL, 10) : 0;
    for (long m = 1; m <= messages && ok; m++) {
        (void)snprintf(line, sizeof(line), "RETR %ld\r\n", m);
        ok = ask(fd, line, "\r\n.\r\n");
    }
    ok = ok && messages > 0 && ask(fd, "QUIT\r\n", "\r\n");
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static void *pop3_main(void *arg)
{
    long session = (long)(intptr_t)arg, sessions = strtol(arguments[4], NULL, 10);
    long users = strtol(arguments[8], NULL, 10);
    /* A session keeps to its own users: a mailbox is open once at a time. */
    for (long round = 0; next_job++ < jobs; round++) {
        if (pop3_session((session + round * sessions) % (users - users % sessions)))
            done++;
        else
            failed++;
    }
    return NULL;
}

static void run_threads(void *(*fn)(void *), long count)
{
    pthread_t *threads = calloc((size_t)count, sizeof(*threads));
    double began = now();
    for (long i = 0; i < count; i++)
        (void)pthread_create(&threads[i], NULL, fn, (void *)(intptr_t)i);
    for (long i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    double took = now() - began;
    printf("done %ld failed %ld seconds %.3f rate %.1f octets %ld\n", done, failed, took,
           (double)done / took, octets_read);
    free(threads);
}

static void make_body(size_t octets)
{
    static const char head[] =
        "From: load@load.example\r\nTo: someone@load.example\r\nSubject: load\r\n\r\n";
    body = malloc(octets + 200);
    memcpy(body, head, sizeof(head) - 1);
    body_n = sizeof(head) - 1;
    while (body_n < octets) {
        for (int i = 0; i < 70; i++)
            body[body_n + (size_t)i] = (char)('a' + (body_n + (size_t)i) % 26);
        memcpy(body + body_n + 70, "\r\n", 2);
        body_n += 72;
    }
    memcpy(body + body_n, ".\r\n", 3);
    body_n += 3;
}

static int hold_idle(void)
{
    long count = strtol(arguments[4], NULL, 10), seconds = strtol(arguments[6], NULL, 10),
         open = 0;
    bool tls = strcmp(arguments[5], "tls") == 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    char text[4096];
    for (long i = 0; i < count; i++) {
        /* Several source addresses, so that ports and limits per address don't end it. */
        struct sockaddr_in own = { .sin_family = AF_INET };
        own.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)(i / 40) + 1);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0 ||
            connect(fd, (struct sockaddr *)&server, sizeof(server)) != 0)
            break;
        if (tls) {
            SSL *ssl = SSL_new(ctx);
            (void)SSL_set_fd(ssl, fd);
            if (SSL_connect(ssl) != 1 || SSL_read(ssl, text, sizeof(text)) <= 0)
                break;
        } else if (recv(fd, text, sizeof(text), 0) <= 0) {
            break;
        }
        open++;
    }
    printf("open %ld\n", open);
    (void)fflush(stdout);
    struct timespec ts = { .tv_sec = seconds };
    (void)nanosleep(&ts, NULL);
    return 0;
}

static int ping(void)
{
    long rounds = strtol(arguments[4], NULL, 10);
    int fd = dial();
    if (fd < 0 || smtp_reply(fd) != '2')
        return 1;
    double began = now();
    for (long i = 0; i < rounds; i++)
        if (!say(fd, "NOOP\r\n", '2'))
            return 1;
    printf("rounds %ld microseconds %.1f\n", rounds, (now() - began) / (double)rounds * 1e6);
    return 0;
}

/* --- the other side --------------------------------------------------------------------------
 */

static _Atomic long *taken;

/* What one client sends, line by line; the message is skipped to its dot. */
static void *sink_main(void *argument)
{
    int fd = *(int *)argument;
    free(argument);
    static const char hello[] = "250-sink\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME\r\n";
    char in[65536], out[4096];
    size_t n = 0;
    bool data = false, open = send_all(fd, "220 sink ESMTP\r\n", 16);
    while (open) {
        ssize_t got = recv(fd, in + n, sizeof(in) - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        size_t at = 0, out_n = 0;
        for (char *lf; open && (lf = memchr(in + at, '\n', n - at)) != NULL;) {
            char *line = in + at;
            at = (size_t)(lf - in) + 1;
            const char *reply = "250 ok\r\n";
            if (data) {
                if (line[0] != '.' || (line[1] != '\r' && line[1] != '\n'))
                    continue;
                data = false;
                (*taken)++;
            } else if (strncasecmp(line, "EHLO", 4) == 0) {
                reply = hello;
            } else if (strncasecmp(line, "DATA", 4) == 0) {
                data = true;
                reply = "354 go\r\n";
            } else if (strncasecmp(line, "QUIT", 4) == 0) {
                reply = "221 bye\r\n";
                open = false;
            }
            size_t size = strlen(reply);
            if (out_n + size > sizeof(out)) {
                open = send_all(fd, out, out_n) && open;
                out_n = 0;
            }
            memcpy(out + out_n, reply, size);
            out_n += size;
        }
        open = send_all(fd, out, out_n) && open;
        memmove(in, in + at, n - at);
        n -= at;
        if (n == sizeof(in)) /* a long line of a message */
            n = 0;
    }
    (void)close(fd);
    return NULL;
}

static int sink(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    int file = open(arguments[4], O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, 8) < 0)
        return 1;
    taken = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&server, sizeof(server)) < 0 || listen(fd, 1000) < 0)
        return 1;
    for (;;) {
        pthread_t thread;
        int *client = malloc(sizeof(*client));
        *client = accept(fd, NULL, NULL);
        (void)setsockopt(*client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (pthread_create(&thread, NULL, sink_main, client) == 0)
            (void)pthread_detach(thread);
    }
}

int main(int argc, char **argv)
{
    argument_count = argc;
    arguments = argv;
    if (argc < 5)
        return 2;
    server = (struct sockaddr_in){ .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtol(argv[3], NULL, 10)) };
    (void)inet_pton(AF_INET, argv[2], &server.sin_addr);
    if (strcmp(argv[1], "idle") == 0 && argc == 7)
        return hold_idle();
    if (strcmp(argv[1], "ping") == 0)
        return ping();
    if (strcmp(argv[1], "sink") == 0)
        return sink();
    if (argc < 8)
        return 2;
    jobs = strtol(argv[5], NULL, 10);
    if (strcmp(argv[1], "smtp") == 0) {
        make_body(strtoul(argv[6], NULL, 10));
        run_threads(smtp_main, strtol(argv[4], NULL, 10));
    } else {
        run_threads(pop3_main, strtol(argv[4], NULL, 10));
    }
    return failed == 0 ? 0 : 1;
}

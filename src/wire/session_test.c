/* session_test.c - a small echo protocol over memory streams and over real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/lock.h"
#include "wire/session.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

enum { IDLE, BUSY };

static enum step greet(struct session *s)
{
    session_reply(s, "220 ready");
    return STEP_NEXT;
}

static enum step cmd_echo(struct session *s, struct str args)
{
    session_reply(s, "250 %.*s", STR_ARG(args));
    return STEP_NEXT;
}

static enum step cmd_quit(struct session *s, struct str args)
{
    (void)args;
    session_reply(s, "221 bye");
    return STEP_CLOSE;
}

static enum step body_more(struct session *s)
{
    struct str line;
    while (stream_line(&s->st, 100, false, &line) == RC_OK) {
        if (str_eq(line, STR("."))) {
            session_reply(s, "250 got it");
            return STEP_NEXT;
        }
    }
    return STEP_INPUT;
}

static enum step cmd_data(struct session *s, struct str args)
{
    (void)args;
    session_reply(s, "354 go on");
    s->more = body_more;
    return STEP_INPUT;
}

static enum step after_delay(struct session *s)
{
    session_reply(s, "250 waited");
    return STEP_NEXT;
}

static enum step cmd_wait(struct session *s, struct str args)
{
    (void)args;
    s->more = after_delay;
    s->wake_at = clock_mono() + 30 * USEC_MS;
    return STEP_DELAY;
}

/* 40 pieces of 16 KB, each written when the one before has been sent. */
static enum step bulk_more(struct session *s)
{
    char piece[16384];
    memset(piece, 'x', sizeof(piece));
    if (s->commands++ >= 1000 + 40) {
        session_reply(s, ".");
        return STEP_NEXT;
    }
    stream_write(&s->st, piece, sizeof(piece));
    return STEP_OUTPUT;
}

static enum step cmd_bulk(struct session *s, struct str args)
{
    (void)args;
    s->commands = 1000;
    s->more = bulk_more;
    return STEP_OUTPUT;
}

static void end(struct session *s)
{
    (void)s;
}

static usec_t idle(struct session *s)
{
    (void)s;
    return 300 * USEC_MS;
}

static unsigned max_errors(struct session *s)
{
    (void)s;
    return 3;
}

static const struct command commands[] = {
    { .name = "ECHO", .start = cmd_echo, .states = 1u << IDLE },
    { .name = "DATA", .start = cmd_data, .states = 1u << IDLE },
    { .name = "WAIT", .start = cmd_wait, .states = 1u << IDLE },
    { .name = "BULK", .start = cmd_bulk, .states = 1u << IDLE },
    { .name = "LAST", .start = cmd_echo, .states = 1u << IDLE, .flags = CMD_LAST },
    { .name = "BUSY", .start = cmd_echo, .states = 1u << BUSY },
    { .name = "QUIT", .start = cmd_quit, .flags = CMD_ANY_STATE },
};

static const char *const states[] = { "IDLE", "BUSY" };

static const struct protocol echo = {
    .name = "echo",
    .session_bytes = sizeof(struct session),
    .commands = commands,
    .command_count = ARRAY_LEN(commands),
    .state_names = states,
    .line_max = 64,
    .greet = greet,
    .end = end,
    .idle = idle,
    .max_errors = max_errors,
    .words = {
        .unknown = "500 unknown",
        .bad_sequence = "503 sequence",
        .line_too_long = "500 too long",
        .pipelined = "503 pipelined",
        .timeout = "421 timeout",
        .busy = "421 busy",
        .busy_address = "421 too many",
        .stopping = "421 stopping",
        .too_many_errors = "421 errors",
        .tls_unavailable = "454 tls",
    },
};

/* --- over memory ------------------------------------------------------------------------- */

static const struct {
    const char *name, *in, *out;
} dialogues[] = {
    { "greeting only", "", "220 ready\r\n" },
    { "echo", "ECHO a b\r\n", "220 ready\r\n250 a b\r\n" },
    { "case", "echo x\r\n", "220 ready\r\n250 x\r\n" },
    { "bare LF", "echo x\necho y\r\necho z\r\n", "220 ready\r\n500 unknown\r\n250 z\r\n" },
    { "bare CR", "echo x\recho y\r\necho z\r\n", "220 ready\r\n500 unknown\r\n250 z\r\n" },
    { "pipelined", "ECHO a\r\nECHO b\r\n", "220 ready\r\n250 a\r\n250 b\r\n" },
    { "half a line", "ECHO a\r\nECH", "220 ready\r\n250 a\r\n" },
    { "body", "DATA\r\nx\r\n.\r\nECHO z\r\n",
      "220 ready\r\n354 go on\r\n250 got it\r\n250 z\r\n" },
    { "unknown", "NO\r\n", "220 ready\r\n500 unknown\r\n" },
    { "sequence", "BUSY\r\n", "220 ready\r\n503 sequence\r\n" },
    { "last with input behind", "LAST\r\nECHO\r\n", "220 ready\r\n503 pipelined\r\n250 \r\n" },
    { "last alone", "LAST a\r\n", "220 ready\r\n250 a\r\n" },
    { "long line",
      "ECHO 0123456789012345678901234567890123456789012345678901234567890123456789\r\nECHO "
      "b\r\n",
      "220 ready\r\n500 too long\r\n250 b\r\n" },
    { "errors", "a\r\nb\r\nc\r\nECHO d\r\n",
      "220 ready\r\n500 unknown\r\n500 unknown\r\n500 unknown\r\n421 errors\r\n" },
    { "quit", "QUIT\r\nECHO a\r\n", "220 ready\r\n221 bye\r\n" },
};

static void test_dialogues(void **state)
{
    (void)state;
    struct engine *en = NULL;
    struct err e;
    struct listener l = { .protocol = &echo, .service = "echo", .fd = -1 };
    assert_int_equal(engine_new(&(struct engine_limits){ 10, 5, 2 }, &en, &e), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(dialogues); i++) {
        for (size_t piece = 1; piece < 100; piece += 49) {
            struct arena a AUTO_RELEASE_ARENA = { 0 };
            struct session *s = session_test_new(en, &l);
            struct str in = str_from_c(dialogues[i].in);
            bool open = session_test_step(s);
            bool whole = strncmp(dialogues[i].name, "last with", 9) == 0;
            while (open && in.n > 0) {
                size_t n = MIN(whole ? in.n : piece, in.n);
                stream_mem_feed(&s->st, str_head(in, n));
                in = str_skip(in, n);
                open = session_test_step(s);
            }
            struct str sent = stream_mem_sent(&s->st, &a);
            if (!str_eq(sent, str_from_c(dialogues[i].out)))
                fail_msg("%s (pieces of %zu): got %s", dialogues[i].name, piece, sent.p);
            session_test_free(&s);
        }
    }
    engine_free(&en);
}

/* --- over sockets ------------------------------------------------------------------------ */

struct server {
    struct engine *en;
    struct listener l;
    pthread_t thread;
};

static void *serve(void *arg)
{
    struct server *sv = arg;
    engine_run(sv->en);
    return NULL;
}

static struct sockaddr_in address_of(int fd)
{
    struct sockaddr_in sa;
    socklen_t n = sizeof(sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    return sa;
}

static void server_start(struct server *sv, size_t per_address)
{
    struct err e;
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 4096), 0);
    sv->l = (struct listener){ .protocol = &echo, .service = "echo", .fd = fd };
    assert_int_equal(engine_new(&(struct engine_limits){ 3000, per_address, 8 }, &sv->en, &e),
                     RC_OK);
    assert_int_equal(engine_listen(sv->en, &sv->l, &e), RC_OK);
    assert_int_equal(thread_start(serve, sv, "serve", &sv->thread, &e), RC_OK);
}

static void server_stop(struct server *sv)
{
    pool_stop(engine_pool(sv->en), 5 * USEC_S);
    (void)pthread_join(sv->thread, NULL);
    assert_int_equal(engine_sessions(sv->en), 0);
    engine_free(&sv->en);
    (void)close(sv->l.fd);
}

static int client(const struct server *sv)
{
    struct sockaddr_in sa = address_of(sv->l.fd);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

/* Reads until the text ends with `tail` or the peer closes; false on the latter or after 10 s.
 */
static bool expect(int fd, const char *tail)
{
    char text[4096];
    size_t n = 0;
    struct pollfd p = { .fd = fd, .events = POLLIN };
    while (poll(&p, 1, 10000) == 1) {
        ssize_t got = read(fd, text + n, sizeof(text) - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        if (str_ends(str_from(text, n), str_from_c(tail)))
            return true;
        if (n > sizeof(text) / 2) {
            memmove(text, text + n - 64, 64);
            n = 64;
        }
    }
    return false;
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_sockets(void **state)
{
    (void)state;
    struct server sv;
    server_start(&sv, 0);
    int fd = client(&sv);
    assert_true(expect(fd, "220 ready\r\n"));
    say(fd, "ECHO hello\r\n");
    assert_true(expect(fd, "250 hello\r\n"));
    say(fd, "WAIT\r\nECHO after\r\n");
    assert_true(expect(fd, "250 waited\r\n250 after\r\n"));
    say(fd, "BULK\r\n");
    assert_true(expect(fd, "x.\r\n"));
    say(fd, "QUIT\r\n");
    assert_true(expect(fd, "221 bye\r\n"));
    assert_false(expect(fd, "never"));
    (void)close(fd);
    server_stop(&sv);
}

static void test_timeout_and_stop(void **state)
{
    (void)state;
    struct server sv;
    server_start(&sv, 0);
    int idle_fd = client(&sv);
    assert_true(expect(idle_fd, "220 ready\r\n"));
    say(idle_fd, "ECHO half a li");
    assert_true(expect(idle_fd, "421 timeout\r\n"));
    (void)close(idle_fd);
    int fd = client(&sv);
    assert_true(expect(fd, "220 ready\r\n"));
    pool_stop(engine_pool(sv.en), 5 * USEC_S);
    assert_true(expect(fd, "421 stopping\r\n"));
    (void)close(fd);
    server_stop(&sv);
}

static void test_limit_per_address(void **state)
{
    (void)state;
    struct server sv;
    server_start(&sv, 2);
    int a = client(&sv), b = client(&sv);
    assert_true(expect(a, "220 ready\r\n"));
    assert_true(expect(b, "220 ready\r\n"));
    int c = client(&sv);
    assert_true(expect(c, "421 too many\r\n"));
    (void)close(c);
    say(a, "QUIT\r\n");
    assert_true(expect(a, "221 bye\r\n"));
    assert_false(expect(a, "never"));
    int d = client(&sv);
    assert_true(expect(d, "220 ready\r\n"));
    (void)close(a);
    (void)close(b);
    (void)close(d);
    server_stop(&sv);
}

/* A client that pipelines without end and never reads is held back, and others are served. */
static void test_flood(void **state)
{
    (void)state;
    struct server sv;
    server_start(&sv, 0);
    int flood = client(&sv);
    char chunk[6000];
    for (size_t i = 0; i < sizeof(chunk); i += 6)
        memcpy(chunk + i, "ECHO\r\n", 6);
    size_t sent = 0;
    ssize_t n = 0;
    while (sent < ((size_t)64 << 20) &&
           (n = send(flood, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
        sent += (size_t)n;
    int fd = client(&sv);
    assert_true(expect(fd, "220 ready\r\n"));
    say(fd, "ECHO good\r\n");
    assert_true(expect(fd, "250 good\r\n"));
    (void)close(fd);
    (void)close(flood);
    server_stop(&sv);
}

static void test_many(void **state)
{
    (void)state;
    static int fds[1000];
    struct server sv;
    server_start(&sv, 0);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = client(&sv);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        assert_true(expect(fds[i], "220 ready\r\n"));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        say(fds[i], "ECHO many\r\nQUIT\r\n");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        assert_true(expect(fds[i], "250 many\r\n221 bye\r\n"));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
    server_stop(&sv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_timeout_and_stop),
        cmocka_unit_test(test_limit_per_address),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

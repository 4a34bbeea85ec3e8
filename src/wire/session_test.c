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

/* --- questions: a thread of their own answers them --------------------------------------- */

#define ASKED_MAX 4096
static struct lock desk_lock = LOCK_INIT(LOCK_LEAF);
static struct question desk[ASKED_MAX];
static size_t desk_count;
static _Atomic bool desk_closed;
static struct question last_question;

struct asking {
    struct session s;
    uint64_t first, second;
};

static enum step after_answer(struct session *s)
{
    struct asking *q = (struct asking *)s;
    struct answer a;
    bool first = q->first != 0;
    uint64_t number = first ? q->first : q->second;
    if (session_answer(s, number, &a))
        session_reply(s, "250 %u %.*s", (unsigned)a.code, STR_ARG(a.text));
    else
        session_reply(s, "450 no answer");
    if (first && q->second != 0) {
        q->first = 0;
        return session_await(s, q->second, clock_mono() + 20 * USEC_S, after_answer);
    }
    return STEP_NEXT;
}

static void put_on_desk(struct question q)
{
    lock_take(&desk_lock);
    last_question = q;
    if (desk_count < ASKED_MAX)
        desk[desk_count++] = q;
    lock_drop(&desk_lock);
}

/* ASK: one question. ASK two: two at once. ASK late: with a deadline that passes. ASK many:
 * more than there may be. */
static enum step cmd_ask(struct session *s, struct str args)
{
    struct asking *q = (struct asking *)s;
    bool late = str_eq(args, STR("late")), many = str_eq(args, STR("many"));
    struct question first = session_ask(s), second = { 0, 0 };
    put_on_desk(first);
    if (str_eq(args, STR("two"))) {
        second = session_ask(s);
        put_on_desk(second);
    }
    for (unsigned i = 0; many && i < QUESTIONS_MAX; i++)
        first = session_ask(s);
    q->first = first.number;
    q->second = second.number;
    return session_await(s, first.number, clock_mono() + (late ? 30 * USEC_MS : 20 * USEC_S),
                         after_answer);
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

/* For longer than any test: before its reply, or after it. */
static enum step cmd_late(struct session *s, struct str args)
{
    (void)args;
    s->more = after_delay;
    s->wake_at = clock_mono() + 600 * USEC_S;
    return STEP_DELAY;
}

static enum step cmd_hold(struct session *s, struct str args)
{
    (void)args;
    session_reply(s, "250 held");
    s->more = NULL;
    s->wake_at = clock_mono() + 600 * USEC_S;
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

static usec_t idle_time = 300 * USEC_MS;

static usec_t idle(struct session *s)
{
    (void)s;
    return idle_time;
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
    { .name = "LATE", .start = cmd_late, .states = 1u << IDLE },
    { .name = "HOLD", .start = cmd_hold, .states = 1u << IDLE },
    { .name = "BULK", .start = cmd_bulk, .states = 1u << IDLE },
    { .name = "LAST", .start = cmd_echo, .states = 1u << IDLE, .flags = CMD_LAST },
    { .name = "BUSY", .start = cmd_echo, .states = 1u << BUSY },
    { .name = "ASK", .start = cmd_ask, .states = 1u << IDLE },
    { .name = "QUIT", .start = cmd_quit, .flags = CMD_ANY_STATE },
};

static const char *const states[] = { "IDLE", "BUSY" };

static const struct protocol echo = {
    .name = "echo",
    .session_bytes = sizeof(struct asking),
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
    int fds[] = { client(&sv), client(&sv), client(&sv) };
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        assert_true(expect(fds[i], "220 ready\r\n"));
    say(fds[1], "HOLD\r\nECHO never\r\n");
    assert_true(expect(fds[1], "250 held\r\n"));
    say(fds[2], "ECHO a\r\nLATE\r\n");
    assert_true(expect(fds[2], "250 a\r\n"));
    pool_stop(engine_pool(sv.en), 60 * USEC_S);
    assert_true(expect(fds[0], "421 stopping\r\n"));
    assert_true(expect(fds[1], "421 stopping\r\n"));
    assert_true(expect(fds[2], "250 waited\r\n421 stopping\r\n"));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        (void)close(fds[i]);
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

/* --- questions --------------------------------------------------------------------------- */

static struct str step_with(struct session *s, struct arena *a, const char *in)
{
    stream_mem_feed(&s->st, str_from_c(in));
    (void)session_test_step(s);
    return stream_mem_sent(&s->st, a);
}

static void test_answers(void **state)
{
    (void)state;
    struct engine *en = NULL;
    struct err e;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct listener l = { .protocol = &echo, .service = "echo", .fd = -1 };
    struct answer yes = { 7, STR("yes") }, no = { 8, STR("no") };
    assert_int_equal(engine_new(&(struct engine_limits){ 10, 5, 2 }, &en, &e), RC_OK);
    struct session *s = session_test_new(en, &l);
    (void)session_test_step(s);
    (void)stream_mem_sent(&s->st, &a);

    /* Nothing happens until the answer, also not with the command behind it. */
    assert_int_equal(step_with(s, &a, "ASK\r\nECHO after\r\n").n, 0);
    struct question q = last_question;
    assert_false(engine_answer(en, (struct question){ q.session + 1, q.number }, &no));
    assert_false(engine_answer(en, (struct question){ q.session, q.number + 1 }, &no));
    assert_false(engine_answer(en, (struct question){ q.session, 0 }, &no));
    assert_int_equal(step_with(s, &a, "").n, 0);
    assert_true(engine_answer(en, q, &yes));
    assert_false(engine_answer(en, q, &no)); /* one answer only */
    assert_string_equal(step_with(s, &a, "").p, "250 7 yes\r\n250 after\r\n");
    assert_false(engine_answer(en, q, &no));

    /* Two, answered in the other order. */
    assert_int_equal(step_with(s, &a, "ASK two\r\n").n, 0);
    struct question second = last_question, first = { second.session, second.number - 1 };
    assert_true(engine_answer(en, second, &no));
    assert_int_equal(step_with(s, &a, "").n, 0);
    assert_true(engine_answer(en, first, &yes));
    assert_string_equal(step_with(s, &a, "").p, "250 7 yes\r\n250 8 no\r\n");

    /* More than there may be: the last is known never to be answered. */
    assert_string_equal(step_with(s, &a, "ASK many\r\n").p, "450 no answer\r\n");

    /* A text that is too long is cut. */
    session_test_free(&s);
    s = session_test_new(en, &l);
    static char big[ANSWER_TEXT_MAX * 2];
    memset(big, 'x', sizeof(big));
    (void)step_with(s, &a, "ASK\r\n");
    assert_true(engine_answer(en, last_question, &(struct answer){ 0, { big, sizeof(big) } }));
    q = last_question;
    session_test_free(&s); /* with an answer that nobody took */
    assert_false(engine_answer(en, q, &yes));
    engine_free(&en);
}

/* Answers what is asked, as another role would: from a thread that knows no session. */
static void *answer_all(void *arg)
{
    struct engine *en = arg;
    while (!desk_closed) {
        lock_take(&desk_lock);
        struct question q = { 0, 0 };
        if (desk_count > 0)
            q = desk[--desk_count];
        lock_drop(&desk_lock);
        if (q.number != 0)
            (void)engine_answer(en, q, &(struct answer){ 1, STR("answer") });
        else
            thread_pause(USEC_MS);
    }
    return NULL;
}

/* 1,000 sessions wait at once, with 8 workers, while others are served; half of the clients
 * leave before the answer. */
static void test_answers_from_threads(void **state)
{
    (void)state;
    static int fds[1000];
    struct server sv;
    struct err e;
    pthread_t threads[2];
    idle_time = 60 * USEC_S;
    server_start(&sv, 0);
    desk_count = 0;
    desk_closed = false;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = client(&sv);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        assert_true(expect(fds[i], "220 ready\r\n"));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        say(fds[i], i % 2 == 0 ? "ASK two\r\n" : "ASK\r\nECHO next\r\n");
    int fd = client(&sv);
    assert_true(expect(fd, "220 ready\r\n"));
    say(fd, "ASK late\r\n");
    assert_true(expect(fd, "450 no answer\r\n"));
    for (size_t i = 0; i < ARRAY_LEN(fds); i += 4)
        (void)close(fds[i]);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(thread_start(answer_all, sv.en, "answer", &threads[i], &e), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (i % 4 != 0)
            assert_true(expect(fds[i], i % 2 == 0 ? "250 1 answer\r\n250 1 answer\r\n"
                                                  : "250 1 answer\r\n250 next\r\n"));
    for (unsigned round = 0; round < 200; round++) {
        say(fd, "ASK\r\nASK two\r\n");
        assert_true(expect(fd, "250 1 answer\r\n250 1 answer\r\n250 1 answer\r\n"));
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (i % 4 != 0)
            (void)close(fds[i]);
    (void)close(fd);
    server_stop(&sv);
    desk_closed = true;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        (void)pthread_join(threads[i], NULL);
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
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_answers_from_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

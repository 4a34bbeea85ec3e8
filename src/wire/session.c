/*
 * session.c - the engine of the line protocols: accepts clients, runs their sessions on the
 * pool, parks them while they wait. It owns every wait: protocols only say what they wait for.
 *
 * INVARIANTS
 * 1. A parked session holds no thread, no lock and no buffer that is empty.
 * 2. Every wait has an absolute deadline; trickling octets don't move it.
 * 3. While output waits to be sent beyond OUT_HIGH_BYTES no further command is run: a client
 * that doesn't read holds that much and no more.
 */
#include "sys/lock.h"
#include "sys/tls.h"
#include "wire/engine_int.h"
#include <stdatomic.h>

#define OUT_HIGH_BYTES ((size_t)16 * 1024)
#define RUN_BUDGET 64u /* steps before other sessions get their turn */
#define FLUSH_TIME (60 * USEC_S)
#define HANDSHAKE_TIME (30 * USEC_S)
#define LINGER_TIME (2 * USEC_S)
#define STOPPING_DELAY (100 * USEC_MS) /* longest, when the role is stopping */
#define LINGER_BYTES ((size_t)1 << 20)

/* What advance() found out: how the session goes on. */
enum outcome { PARK_READ, PARK_WRITE, PARK_TIMER, PARK_ANSWER, RUN_AGAIN, SESSION_OVER };

void session_enter(struct session *s, unsigned state)
{
    const char *const *names = s->listener->protocol->state_names;
    log_debug(EV("state"), KU("session", s->number), KV("from", names[s->state]),
              KV("to", names[state]), KV("cause", s->command == NULL ? "-" : s->command->name));
    s->state = (uint8_t)state;
}

struct str session_id(struct session *s)
{
    return arena_printf(&s->tmp, "%s-%" PRIx64, s->listener->protocol->name, s->number);
}

PRINTF(2, 0)
static void reply(struct session *s, const char *fmt, va_list ap)
{
    char line[512];
    int n = vsnprintf(line, sizeof(line) - 2, fmt, ap);
    size_t used = n < 0 ? 0 : MIN((size_t)n, sizeof(line) - 3);
    memcpy(line + used, "\r\n", 2);
    stream_write(&s->st, line, used + 2);
}

void session_reply(struct session *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    reply(s, fmt, ap);
    va_end(ap);
}

void session_refuse(struct session *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    reply(s, fmt, ap);
    va_end(ap);
    s->errors++;
}

static void say(struct session *s, const char *words)
{
    session_reply(s, "%s", words);
}

/* --- one command ------------------------------------------------------------------------- */

static const struct command *find_command(const struct protocol *p, struct str verb)
{
    for (size_t i = 0; i < p->command_count; i++)
        if (str_ieq(verb, str_from_c(p->commands[i].name)))
            return &p->commands[i];
    return NULL;
}

/* Runs one command line: finds its row, refuses what the row forbids, calls it. */
static enum step dispatch(struct session *s, struct str line)
{
    const struct protocol *p = s->listener->protocol;
    struct str args = arena_str(&s->tmp, line); /* the buffer may move while the command runs */
    struct str verb = { "", 0 };
    (void)str_cut(&args, ' ', &verb);
    if (args.p == NULL)
        args = STR("");
    s->commands++;
    s->command = find_command(p, str_trim(verb));
    if (s->command == NULL) {
        session_refuse(s, "%s", p->words.unknown);
        return STEP_NEXT;
    }
    if ((s->command->flags & CMD_ANY_STATE) == 0 &&
        (s->command->states & 1u << s->state) == 0) {
        session_refuse(s, "%s", p->words.bad_sequence);
        return STEP_NEXT;
    }
    if ((s->command->flags & CMD_LAST) != 0 && stream_input(&s->st).n > 0) {
        session_refuse(s, "%s", p->words.pipelined);
        return STEP_NEXT;
    }
    return s->command->start(s, args);
}

/* The next command line from the buffer. False: more input is needed first. */
static bool next_command(struct session *s, enum step *out_step)
{
    const struct protocol *p = s->listener->protocol;
    struct str line;
    if (s->discarding) {
        if (!stream_discard_line(&s->st))
            return false;
        s->discarding = false;
    }
    enum rc rc = stream_line(&s->st, p->line_max, false, &line);
    if (rc == RC_AGAIN)
        return false;
    if (rc == RC_PERM) {
        s->discarding = true;
        session_refuse(s, "%s", p->words.line_too_long);
        *out_step = STEP_NEXT;
        return true;
    }
    /* Only CRLF ends a line (RFC 5321 2.3.8): a bare CR or LF is part of it, and no command has
     * one. */
    if (str_has_any(line, "\r\n") || str_find(line, '\0') != SIZE_MAX) {
        session_refuse(s, "%s", p->words.unknown);
        *out_step = STEP_NEXT;
        return true;
    }
    *out_step = dispatch(s, line);
    return true;
}

/* --- waiting ----------------------------------------------------------------------------- */

static usec_t idle_time(struct session *s)
{
    return s->listener->protocol->idle(s);
}

/* The session now waits for `step`; gives the wait its deadline. */
static void enter_wait(struct session *s, enum step step)
{
    enum step before = (enum step)s->waiting;
    usec_t now = clock_mono();
    s->waiting = (uint8_t)step;
    switch (step) {
    case STEP_NEXT:
        s->command = NULL;
        arena_reset(&s->tmp);
        s->deadline = now + idle_time(s);
        break;
    case STEP_INPUT:
        if (before != STEP_INPUT && !s->deadline_set)
            s->deadline = now + idle_time(s);
        break;
    case STEP_OUTPUT:
        s->deadline = now + FLUSH_TIME;
        break;
    case STEP_DELAY: /* the deadline is that of output before it */
        if (s->stopping)
            s->wake_at = MIN(s->wake_at, now + STOPPING_DELAY);
        s->deadline = MAX(now, s->wake_at) + FLUSH_TIME;
        break;
    case STEP_TLS:
        s->deadline = now + MIN(HANDSHAKE_TIME, idle_time(s));
        break;
    case STEP_ANSWER: /* session_await gave it */
        break;
    case STEP_CLOSE:
        s->closing = true;
        s->deadline = now + FLUSH_TIME;
        break;
    }
    s->deadline_set = false;
}

void session_set_deadline(struct session *s, usec_t deadline)
{
    s->deadline = deadline;
    s->deadline_set = true;
}

/* After a step that ended a command: too many errors, or the role is stopping? */
static enum step judge(struct session *s, enum step step)
{
    const struct protocol *p = s->listener->protocol;
    unsigned most = p->max_errors(s);
    if (step != STEP_NEXT && step != STEP_DELAY)
        return step;
    if (most > 0 && s->errors >= most) {
        log_info(EV("session ended"), KS("session", session_id(s)),
                 KV("reason", "too many errors"));
        say(s, p->words.too_many_errors);
        return STEP_CLOSE;
    }
    bool ended = step == STEP_NEXT || s->more == NULL; /* else it has something to say yet */
    if (ended && s->stopping) {
        say(s, p->words.stopping);
        return STEP_CLOSE;
    }
    return step;
}

/* Calls s->more, or goes on with the next command when there is none. */
static enum step call_more(struct session *s)
{
    session_fn *more = s->more;
    if (s->waiting != STEP_INPUT && s->waiting != STEP_OUTPUT)
        s->more = NULL;
    return more == NULL ? STEP_NEXT : more(s);
}

/* The TLS handshake, as far as it goes now. */
static enum rc shake_hands(struct session *s, enum outcome *out_wait)
{
    struct err e;
    if (!stream_is_tls(&s->st)) {
        struct tls_ctx *ctx = engine_tls(s->engine);
        enum rc rc = ctx == NULL ? RC_GONE : stream_start_tls(&s->st, ctx, &e);
        tls_ctx_put(&ctx);
        if (rc != RC_OK)
            return RC_GONE;
    }
    enum rc rc = stream_tls_handshake(&s->st, &e);
    if (rc == RC_GONE)
        metric_add(METRIC_tls_failed, 1);
    if (rc == RC_GONE)
        log_info(EV("TLS handshake failed"), KS("session", session_id(s)),
                 KV("client", ip_print(&s->client_ip, (char[IP_TEXT_BYTES]){ 0 })), KE(&e));
    *out_wait = s->st.tls_wants_write ? PARK_WRITE : PARK_READ;
    return rc;
}

/* Sends what waits to be sent, when it must be sent before the session goes on. */
static enum rc drain_output(struct session *s)
{
    size_t pending = stream_pending(&s->st);
    bool must = s->closing || s->waiting == STEP_OUTPUT || s->waiting == STEP_TLS ||
                s->waiting == STEP_DELAY || pending > OUT_HIGH_BYTES;
    if (s->waiting == STEP_ANSWER &&
        pending > 0) /* a client that doesn't read delays nothing */
        return stream_flush(&s->st) == RC_GONE ? RC_GONE : RC_OK;
    return must && pending > 0 ? stream_flush(&s->st) : RC_OK;
}

/*
 * Everything is sent: may the connection be closed? Closing with unread input would make the
 * kernel send a reset, which can destroy the reply on its way; so what the client still sends
 * is dropped for a moment first.
 */
static enum outcome linger(struct session *s)
{
    char dropped[4096];
    if (s->st.fd < 0 || s->st.failed || stream_is_tls(&s->st))
        return SESSION_OVER;
    ssize_t n = recv(s->st.fd, dropped, sizeof(dropped), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN) || (n < 0 && !s->lingering))
        return SESSION_OVER;
    if (!s->lingering) {
        s->lingering = true;
        s->deadline = clock_mono() + LINGER_TIME;
        (void)shutdown(s->st.fd, SHUT_WR);
    }
    s->lingered += n > 0 ? (size_t)n : 0;
    return s->lingered > LINGER_BYTES ? SESSION_OVER : n > 0 ? RUN_AGAIN : PARK_READ;
}

/* One step. True: call again. False: *out says how the session goes on. */
static bool advance(struct session *s, enum outcome *out)
{
    enum step step = STEP_NEXT;
    enum rc rc = drain_output(s);
    if (rc != RC_OK) {
        *out = rc == RC_AGAIN ? PARK_WRITE : SESSION_OVER;
        return false;
    }
    switch ((enum step)s->waiting) {
    case STEP_CLOSE:
        *out = linger(s);
        return false;
    case STEP_DELAY:
        if (clock_mono() < s->wake_at) {
            *out = PARK_TIMER;
            return false;
        }
        step = call_more(s);
        break;
    case STEP_ANSWER:
        if (!answer_is_there(s) && clock_mono() < s->deadline) {
            *out = PARK_ANSWER;
            return false;
        }
        s->fresh_input = stream_input(&s->st).n > 0;
        step = call_more(s);
        break;
    case STEP_TLS:
        rc = shake_hands(s, out);
        if (rc == RC_GONE)
            *out = SESSION_OVER;
        if (rc != RC_OK)
            return false;
        step = call_more(s);
        break;
    case STEP_OUTPUT:
        step = call_more(s);
        break;
    case STEP_INPUT:
        if (!s->fresh_input) {
            *out = PARK_READ;
            return false;
        }
        s->fresh_input = false;
        step = call_more(s);
        break;
    case STEP_NEXT:
        if (!next_command(s, &step)) {
            *out = PARK_READ;
            return false;
        }
        s->fresh_input = stream_input(&s->st).n > 0;
        break;
    }
    enter_wait(s, judge(s, step));
    return true;
}

/* Input is wanted: sends what is written, then reads once. True: there is new input. */
static bool read_more(struct session *s, enum outcome *out)
{
    enum rc rc = stream_pending(&s->st) > 0 ? stream_flush(&s->st) : RC_OK;
    if (rc == RC_OK) {
        rc = stream_fill(&s->st);
        if (rc == RC_OK) {
            s->fresh_input = true;
            return true;
        }
        *out = rc == RC_AGAIN ? (s->st.tls_wants_write ? PARK_WRITE : PARK_READ) : SESSION_OVER;
        return false;
    }
    *out = rc == RC_AGAIN ? PARK_WRITE : SESSION_OVER;
    return false;
}

/* Runs the session until it must wait, has had its turn, or is over. */
static enum outcome run_until_wait(struct session *s)
{
    enum outcome out = RUN_AGAIN;
    for (unsigned i = 0; i < RUN_BUDGET; i++) {
        if (advance(s, &out))
            continue;
        if (out != PARK_READ || s->waiting == STEP_TLS || s->waiting == STEP_CLOSE)
            return out;
        if (!read_more(s, &out))
            return out;
    }
    return RUN_AGAIN;
}

/* --- life and death ---------------------------------------------------------------------- */

static void session_free(struct session *s, bool in_pool)
{
    struct engine *en = s->engine;
    s->listener->protocol->end(s);
    answers_forget(s);
    if (in_pool)
        pool_forget(engine_pool(en), s->ticket);
    stream_release(&s->st);
    arena_release(&s->mem);
    arena_release(&s->tmp);
    engine_uncount(en, s);
    mem_free(&s);
}

/* The deadline passed: says so when the client is expected to talk, and ends the session. */
static void time_out(struct session *s)
{
    metric_add(METRIC_timeouts, 1);
    log_info(EV("session ended"), KS("session", session_id(s)), KV("reason", "timeout"));
    if (s->waiting == STEP_NEXT || s->waiting == STEP_INPUT)
        say(s, s->listener->protocol->words.timeout);
    enter_wait(s, STEP_CLOSE);
}

static void park(struct session *s, enum outcome how)
{
    struct pool *pool = engine_pool(s->engine);
    if (s->waiting == STEP_NEXT)
        arena_release(&s->tmp);
    stream_shrink(&s->st);
    s->st.drained = false;
    if (how == PARK_TIMER)
        pool_park(pool, s->ticket, 0, s->wake_at);
    else if (how == PARK_ANSWER)
        pool_park(pool, s->ticket, 0, s->deadline);
    else
        pool_park(pool, s->ticket, how == PARK_WRITE ? POOL_WANT_WRITE : POOL_WANT_READ,
                  s->deadline);
}

static void session_run(struct pool *pool, void *object, unsigned events)
{
    struct session *s = object;
    if ((events & POOL_STOP) != 0) {
        s->stopping = true;
        if (s->waiting == STEP_NEXT && !s->closing)
            enter_wait(s, judge(s, STEP_NEXT));
        else if (s->waiting == STEP_DELAY)
            s->wake_at = 0;
        else if (s->waiting == STEP_INPUT && s->listener->protocol->hears_stop)
            s->fresh_input = true;
    }
    if ((events & POOL_TIMEOUT) != 0 && clock_mono() >= s->deadline &&
        s->waiting != STEP_ANSWER) {
        bool was_closing = s->closing;
        if (!was_closing)
            time_out(s);
        if (was_closing || stream_flush(&s->st) != RC_OK) {
            session_free(s, true);
            return;
        }
    }
    enum outcome out = run_until_wait(s);
    if (out == SESSION_OVER) {
        (void)!stream_flush(&s->st);
        session_free(s, true);
    } else if (out == RUN_AGAIN) {
        pool_again(pool, s->ticket);
    } else {
        park(s, out);
    }
}

/* The first step: a TLS handshake where the port wants it, then the greeting. */
static void set_out(struct session *s)
{
    s->more = s->listener->protocol->greet;
    s->wake_at = 0;
    enter_wait(s, s->listener->implicit_tls ? STEP_TLS : STEP_DELAY);
}

struct session *session_new(struct engine *en, const struct listener *l, int fd)
{
    static _Atomic uint64_t numbers;
    uint64_t none = 0;
    struct session *s = mem_new(l->protocol->session_bytes);
    stream_init(&s->st, fd);
    s->engine = en;
    s->listener = l;
    /* Begins with the time, so that numbers of another run differ. */
    (void)atomic_compare_exchange_strong(&numbers, &none,
                                         (uint64_t)(clock_wall() / USEC_S) << 20);
    s->number = ++numbers;
    return s;
}

void session_start(struct session *s)
{
    struct err e;
    set_out(s);
    if (pool_add(engine_pool(s->engine), s, session_run, s->st.fd, &s->ticket, &e) == RC_OK)
        return;
    log_warn(EV("connection refused"), KE(&e));
    say(s, s->listener->protocol->words.busy);
    if (!s->listener->implicit_tls)
        (void)!stream_flush(&s->st);
    session_free(s, false);
}

/* --- tests ------------------------------------------------------------------------------- */

struct session *session_test_new(struct engine *en, const struct listener *l)
{
    struct session *s = session_new(en, l, -1);
    (void)ip_parse(STR("127.0.0.1"), &s->client_ip);
    s->local_ip = s->client_ip;
    set_out(s);
    return s;
}

bool session_test_step(struct session *s)
{
    s->fresh_input = stream_input(&s->st).n > 0;
    for (;;) {
        enum outcome out = RUN_AGAIN;
        /* A memory stream keeps its output for the test to read. */
        if (s->waiting == STEP_CLOSE)
            return false;
        if (s->waiting == STEP_DELAY)
            s->wake_at = 0;
        if (!advance(s, &out))
            return out != SESSION_OVER && !(out == PARK_READ && s->st.eof);
    }
}

void session_test_free(struct session **s)
{
    if (*s != NULL)
        session_free(*s, false);
    *s = NULL;
}

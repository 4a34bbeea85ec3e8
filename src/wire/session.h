/*
 * session.h - what the line protocols share: one client connection, a command table, dispatch,
 * and the rules by which a session waits without holding a thread.
 *
 * A handler runs to its end without waiting. When it can't go on it says for what (enum step)
 * and names in s->more the function that continues; the engine parks the session, and calls it
 * again.
 */
#ifndef HIKYAKU_WIRE_SESSION_H
#define HIKYAKU_WIRE_SESSION_H

#include "base/base.h"
#include "sys/metrics.h"
#include "sys/pool.h"
#include "sys/stream.h"

struct session;

enum step {
    STEP_NEXT,   /* reply written: read the next command */
    STEP_INPUT,  /* call s->more when more input is buffered (or now, if there is some) */
    STEP_OUTPUT, /* call s->more when all output has been sent */
    STEP_DELAY,  /* call s->more (NULL: go on with the next command) at s->wake_at */
    STEP_TLS,    /* send what is written, then a TLS handshake, then s->more (may be NULL) */
    STEP_ANSWER, /* call s->more when the awaited answer is there, or at the deadline; made by
                    session_await */
    STEP_CLOSE,  /* send what is written, then close */
};

typedef enum step session_fn(struct session *s);
typedef enum step command_fn(struct session *s, struct str args);

enum command_flag {
    CMD_ANY_STATE = 1u << 0,
    CMD_LAST =
        1u << 1, /* nothing may be pipelined behind it: buffered input is a protocol error */
    CMD_SECRET = 1u << 2, /* its arguments never reach a log */
    CMD_HIDDEN = 1u << 3, /* not listed by HELP and CAPA */
};

/* One row a verb. HELP, CAPA and EHLO lists, "bad sequence" replies and counters come from it.
 */
struct command {
    const char *name; /* upper case */
    command_fn *start;
    uint32_t states; /* 1u << state, for each state in which it is legal */
    uint32_t flags;
    const char *syntax; /* of the arguments, for HELP and the manual */
    const char *rfc;    /* "5321 4.1.1.3" */
};

/* The protocol's own words; each is a whole reply line without CRLF. */
struct protocol_words {
    const char *unknown, *bad_sequence, *line_too_long, *pipelined, *timeout, *busy,
        *busy_address, *stopping, *too_many_errors, *tls_unavailable;
};

struct protocol {
    const char *name;     /* "smtp": log, counters */
    size_t session_bytes; /* of the struct that begins with struct session */
    const struct command *commands;
    size_t command_count;
    const char *const *state_names;
    size_t line_max;                /* of a command line, with CRLF */
    session_fn *greet;              /* first step, after an implicit TLS handshake */
    void (*end)(struct session *s); /* releases what the protocol holds; the engine frees s */
    usec_t (*idle)(struct session *s); /* how long a client may wait with the next command */
    unsigned (*max_errors)(struct session *s); /* 0: no limit */
    bool hears_stop; /* the role stops: s->more of STEP_INPUT is called, also without input */
    struct protocol_words words;
};

/* One address and port that clients come in by. */
struct listener {
    const struct protocol *protocol;
    const char *service; /* "smtp", "smtps", "submission", "pop3", ... */
    int fd;
    struct ip ip;
    uint16_t port;
    bool implicit_tls;
    bool local;                  /* a socket in the file system: this machine's administrator */
    enum metric opened;          /* counts its sessions */
    struct service_count *count; /* of all its listeners; NULL: no limit of its own */
};

/* Sessions of one service. */
struct service_count {
    _Atomic size_t now;
    size_t most; /* 0: only the role's limit */
};

struct session {
    struct stream st;
    struct engine *engine;
    const struct listener *listener;
    pool_ticket ticket;
    struct ip client_ip, local_ip;
    uint16_t client_port, local_port;
    uint32_t client_uid; /* of a local listener's client */
    uint8_t state;       /* the protocol's enum; changed by session_enter only */
    uint8_t waiting;     /* enum step the session is parked in */
    bool discarding;     /* skipping the rest of an over-long line */
    bool closing;        /* after the output: close */
    bool counted;        /* in the per-address count */
    bool stopping;       /* the role is draining */
    bool fresh_input;    /* octets came that s->more hasn't seen */
    bool deadline_set;   /* the handler gave the coming wait its deadline */
    bool lingering;      /* closed for writing; what still comes in is dropped */
    size_t lingered;     /* octets dropped so */
    size_t peeked;       /* of a PROXY header */
    unsigned errors;     /* bad commands and refusals so far */
    unsigned commands;   /* so far */
    session_fn *more;
    usec_t wake_at;                /* STEP_DELAY */
    usec_t deadline;               /* of the present wait */
    uint64_t number;               /* no other session has it, of any run; for logs and ids */
    struct asked *asked;           /* its open questions (answer.c); NULL: none so far */
    uint64_t awaited;              /* STEP_ANSWER: the question */
    struct arena mem;              /* lives with the session */
    struct arena tmp;              /* reset after every command */
    const struct command *command; /* now running, else NULL */
};

/* The sessions of one role: pool, TLS, limits. */
struct engine;

struct engine_limits {
    size_t max_sessions; /* of the role */
    size_t
        max_per_address; /* from one client address (an IPv6 /64 counts as one), 0: no limit */
    unsigned max_workers;
};

/* NULL tls_ctx: no TLS offered. */
enum rc engine_new(const struct engine_limits *limits, struct engine **out,
                   struct err *e) CHECK_RESULT;
struct pool *engine_pool(struct engine *en);
/* New handshakes use ctx from now on (takes the caller's reference; NULL: none). */
void engine_set_tls(struct engine *en, struct tls_ctx *ctx);
bool engine_has_tls(struct engine *en);
/* Accepts clients of l from now on; l lives as long as the engine. max_sessions 0: the role's
 * limit. */
enum rc engine_listen(struct engine *en, struct listener *l, struct err *e) CHECK_RESULT;
/* Serves a client that is connected already, by the listener's protocol. The descriptor is the
 * engine's from here. */
void engine_serve(struct engine *en, struct listener *l, int fd);
/* Asked before the greeting; false: refuse with the protocol's busy words (low disk, ...). */
void engine_set_admit(struct engine *en, bool (*admit)(struct session *s));
/* Which clients are balancers, whose connections begin with a PROXY header (wire/proxy.h);
 * asked for each connection. Before engine_listen. */
typedef bool engine_behind_fn(const struct listener *l, const struct ip *peer);
void engine_set_balancers(struct engine *en, engine_behind_fn *behind);
/* Sessions now. */
size_t engine_sessions(const struct engine *en);
void engine_run(struct engine *en);
void engine_free(struct engine **en);

/* Logs old -> new and changes the state. */
void session_enter(struct session *s, unsigned state);
/* The wait that the present handler asks for ends at `deadline` (clock_mono); without it a
 * STEP_INPUT keeps the deadline of the wait before, or gets the protocol's idle time when it is
 * the first. */
void session_set_deadline(struct session *s, usec_t deadline);
/* Writes "text" CRLF. */
void session_reply(struct session *s, const char *fmt, ...) PRINTF(2, 3);
/* The same, and counts an error. */
void session_refuse(struct session *s, const char *fmt, ...) PRINTF(2, 3);
/* "smtp-1f3a": names the session in logs; NUL-terminated in s->tmp. */
struct str session_id(struct session *s);

/* --- what others answer (answer.c) ------------------------------------------------------- */

/*
 * A session asks another role, or a thread of this one, and is parked until the answer is
 * there:
 *
 *     struct question q = session_ask(s);
 *     (send q.session and q.number along, in a note for instance)
 *     return session_await(s, q.number, clock_mono() + 30 * USEC_S, after_lookup);
 *
 * after_lookup takes it with session_answer, which is false when none came. Several questions
 * may be open at once, also while the client's next commands are read; each is awaited when it
 * is needed. Numbers are never used twice: an answer to a session that has ended, or to a
 * question that it has given up, finds nobody.
 */
struct question {
    uint64_t session, number; /* number 0: too many are open; it is never answered */
};

#define QUESTIONS_MAX 32u
#define ANSWER_TEXT_MAX ((size_t)4096)

struct answer {
    uint64_t code;   /* what both sides agreed upon */
    struct str text; /* ANSWER_TEXT_MAX octets at most: what is behind them is cut off */
};

/* A new question of this session. */
struct question session_ask(struct session *s);
/* The step of a handler that goes on with `more` when the answer is there, or at the deadline
 * (clock_mono). What has been written is sent meanwhile. */
enum step session_await(struct session *s, uint64_t number, usec_t deadline, session_fn *more);
/* Takes the answer; its text lies in s->tmp. False: none came, and none will be taken any more.
 */
bool session_answer(struct session *s, uint64_t number, struct answer *out);
/* Any thread, also a note handler. False: nobody waits for it. */
bool engine_answer(struct engine *en, struct question q, const struct answer *a);

/* Tests: a session over a memory stream, driven by hand. Feed octets, then session_step until
 * it wants input; replies are read with stream_mem_sent. session_test_free ends it. */
struct session *session_test_new(struct engine *en, const struct listener *l);
/* Returns false when the session has closed. */
bool session_test_step(struct session *s);
void session_test_free(struct session **s);

#endif

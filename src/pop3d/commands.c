/*
 * commands.c - the POP3 commands, one row a verb; the protocol's words, its begin and its end.
 * Called by wire/session.c.
 */
#include "pop3d/pop3d_int.h"
#include "sys/file.h"

#define AUTH_ONLY (1u << POP3_AUTHORIZATION)
#define OPEN (1u << POP3_TRANSACTION)

/* clang-format off */
const struct command pop3_commands[] = {
    { "USER", pop3_user, AUTH_ONLY,        0,                       "name",               "1939 7" },
    { "PASS", pop3_pass, AUTH_ONLY,        CMD_SECRET,              "string",             "1939 7" },
    { "APOP", pop3_apop, AUTH_ONLY,        CMD_SECRET,              "name digest",        "1939 7" },
    { "AUTH", pop3_auth, AUTH_ONLY,        CMD_SECRET,              "[mechanism [data]]", "5034 4" },
    { "STLS", pop3_stls, AUTH_ONLY,        CMD_LAST,                "",                   "2595 4" },
    { "UTF8", pop3_utf8, AUTH_ONLY,        0,                       "",                   "6856 2.1" },
    { "CAPA", pop3_capa, 0,                CMD_ANY_STATE,           "",                   "2449 5" },
    { "STAT", pop3_stat, OPEN,             0,                       "",                   "1939 5" },
    { "LIST", pop3_list, OPEN,             0,                       "[msg]",              "1939 5" },
    { "UIDL", pop3_uidl, OPEN,             0,                       "[msg]",              "1939 7" },
    { "RETR", pop3_retr, OPEN,             0,                       "msg",                "1939 5" },
    { "TOP",  pop3_top,  OPEN,             0,                       "msg n",              "1939 7" },
    { "DELE", pop3_dele, OPEN,             0,                       "msg",                "1939 5" },
    { "RSET", pop3_rset, OPEN,             0,                       "",                   "1939 5" },
    { "LAST", pop3_last, OPEN,             0,                       "",                   "1460 7" },
    { "NOOP", pop3_noop, OPEN,             0,                       "",                   "1939 5" },
    { "QUIT", pop3_quit, AUTH_ONLY | OPEN, 0,                       "",                   "1939 4" },
};
/* clang-format on */
const size_t pop3_command_count = ARRAY_LEN(pop3_commands);

static enum step greet(struct session *s)
{
    struct pop3_session *p = pop3(s);
    unsigned line = 0;
    if (!access_is_allowed("pop3.ipmap.tab", &s->client_ip, &line)) {
        log_info(EV("client refused"), KS("session", session_id(s)),
                 KV("client", ip_print(&s->client_ip, (char[IP_TEXT_BYTES]){ 0 })),
                 KU("pop3.ipmap.tab line", line));
        session_reply(s, "-ERR [SYS/PERM] access from your address is not allowed");
        return STEP_CLOSE;
    }
    p->stamp_time = (uint64_t)clock_wall();
    struct str stamp = login_stamp(s);
    session_reply(s, "+OK %.*s%sHikyaku POP3 server ready", STR_ARG(stamp),
                  stamp.n > 0 ? " " : "");
    return STEP_NEXT;
}

static void end(struct session *s)
{
    struct pop3_session *p = pop3(s);
    login_forget(s);
    mailbox_reader_close(&p->reader);
    mailbox_close(&p->mailbox);
    sasl_free(&p->sasl);
}

static usec_t idle(struct session *s)
{
    const struct options *o = conf();
    bool implicit = s->listener->implicit_tls;
    unsigned own = implicit ? o->pop3s.timeout_s : o->pop3.timeout_s;
    return own > 0 ? own * USEC_S : o->pop3_timeout;
}

static unsigned max_errors(struct session *s)
{
    (void)s;
    return 20;
}

static const char *const state_names[] = { "AUTHORIZATION", "TRANSACTION", "UPDATE" };

const struct protocol pop3_protocol = {
    .name = "pop3",
    .session_bytes = sizeof(struct pop3_session),
    .commands = pop3_commands,
    .command_count = ARRAY_LEN(pop3_commands),
    .state_names = state_names,
    .line_max = 1024, /* RFC 2449 4 asks for 255; passwords and initial responses may be longer */
    .greet = greet,
    .end = end,
    .idle = idle,
    .max_errors = max_errors,
    .words = {
        .unknown = "-ERR unknown command",
        .bad_sequence = "-ERR not in this state",
        .line_too_long = "-ERR line too long",
        .pipelined = "-ERR nothing may follow this command before its reply",
        .timeout = "-ERR [SYS/TEMP] too long without a command, closing",
        .busy = "-ERR [SYS/TEMP] server is busy, try again later",
        .busy_address = "-ERR [SYS/TEMP] too many connections from your address",
        .stopping = "-ERR [SYS/TEMP] server is stopping, try again later",
        .too_many_errors = "-ERR too many errors, closing",
        .tls_unavailable = "-ERR [SYS/TEMP] TLS is not available now",
    },
};

bool pop3d_admit(struct session *s)
{
    struct limit_held held;
    if (limits_find_client(&s->client_ip, LIMIT_CONNECTIONS, &held) &&
        held.action == LIMIT_REFUSE) {
        log_info(EV("connection refused"), KV("reason", "limits.tab"), KU("line", held.line),
                 KV("client", held.who));
        return false;
    }
    limits_count_client(&s->client_ip, LIMIT_CONNECTIONS);
    return memory_is_free(conf()->pop3_min_virt_mem_space_kb);
}

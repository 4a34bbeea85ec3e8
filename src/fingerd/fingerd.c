/*
 * fingerd.c - one query: "user@domain", or "user" in the default domain. Told are the address,
 * RealName and HomePage of user.tab, nothing else. An unknown user, a list of users and a query
 * to be forwarded (RFC 1288 2.3: {Q2}) get a refusal that tells no more than that.
 */
#include "fingerd/fingerd.h"
#include "conf/logfiles.h"
#include "conf/options.h"
#include "users/users.h"

#define QUERY_MAX ((size_t)512) /* with CRLF */
#define ANSWER_TIME (60 * USEC_S)

static struct str default_domain(void)
{
    const struct options *o = conf();
    return o->pop3_domain.n > 0 ? o->pop3_domain : o->root_domain;
}

/* XMail's finger log. */
static void record(const struct session *s, struct str query)
{
    char client[IP_TEXT_BYTES], time[CLOCK_TEXT_BYTES];
    const struct str values[] = {
        options_server_name(),
        default_domain(),
        str_from_c(ip_print(&s->client_ip, client)),
        str_from_c(clock_print(clock_wall(), time)),
        query,
    };
    logfile_add(LOGFILE_FINGER, values, ARRAY_LEN(values));
}

/* A value of user.tab as it may be shown: what a terminal would act on is left out. */
static void show(struct session *s, const char *name, struct str value)
{
    char clean[256];
    size_t n = 0;
    bool utf8 = str_is_utf8(value);
    for (size_t i = 0; i < value.n && n < sizeof(clean); i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool c1 = utf8 && c == 0xc2 && i + 1 < value.n && (unsigned char)value.p[i + 1] < 0xa0;
        if (c >= 0x20 && c != 0x7f && !c1)
            clean[n++] = value.p[i];
        i += c1; /* U+0080 to U+009F: control characters in UTF-8 */
    }
    session_reply(s, "%-10s%.*s", name, (int)n, clean);
}

static enum step refuse(struct session *s, struct str query, const char *reason,
                        const char *words)
{
    log_info(EV("finger refused"), KS("session", session_id(s)), KS("query", query),
             KV("reason", reason));
    session_reply(s, "%s", words);
    return STEP_CLOSE;
}

static enum step answer(struct session *s, struct str query)
{
    struct arena *a = &s->tmp;
    struct recipient r;
    struct err e = { .sys = 0 };
    size_t at = str_find(query, '@');
    bool whole = at != SIZE_MAX;
    struct address who = { .local = whole ? str_head(query, at) : query,
                           .domain = whole ? str_skip(query, at + 1) : default_domain() };
    if (who.local.n == 0 || who.domain.n == 0 || str_find(who.domain, '@') != SIZE_MAX)
        return refuse(s, query, "not a query for this server",
                      "Invalid query: give user@domain");
    if (users_resolve(&who, a, &r, &e) != RC_OK)
        return refuse(s, query, e.text, "Try again later");
    if (r.kind != RECIPIENT_ACCOUNT)
        return refuse(s, query, "unknown", "No such user");
    struct tab tab;
    struct str path = arena_printf(a, "%.*s/user.tab", STR_ARG(r.account.folder));
    if (tab_read(path.p, a, &tab, &e) != RC_OK && e.sys != ENOENT)
        return refuse(s, query, e.text, "Try again later");
    log_info(EV("finger"), KS("session", session_id(s)), KS("query", query));
    show(s, "EMail:",
         arena_printf(a, "%.*s@%.*s", STR_ARG(r.account.name), STR_ARG(r.account.domain)));
    for (size_t i = 0; e.sys != ENOENT && i < tab.row_count; i++) {
        struct str name = tab_value(&tab.rows[i], 0);
        if (str_ieq(name, STR("RealName")))
            show(s, "Name:", tab_value(&tab.rows[i], 1));
        else if (str_ieq(name, STR("HomePage")))
            show(s, "HomePage:", tab_value(&tab.rows[i], 1));
    }
    return STEP_CLOSE;
}

static enum step take_query(struct session *s)
{
    struct str line;
    enum rc rc = stream_line(&s->st, QUERY_MAX, true, &line);
    if (rc == RC_AGAIN)
        return STEP_INPUT;
    if (rc != RC_OK || str_has_control(line))
        return refuse(s, STR(""), "not a line", "Invalid query");
    struct str query = str_trim(line);
    if (str_istarts(query, STR("/W"))) /* RFC 1288 2.5.4: "verbose"; there is no more to tell */
        query = str_trim(str_skip(query, 2));
    query = arena_str(&s->tmp, query);
    record(s, query);
    return answer(s, query);
}

static enum step greet(struct session *s)
{
    unsigned line = 0;
    if (!access_is_allowed("finger.ipmap.tab", &s->client_ip, &line)) {
        log_info(EV("client refused"), KS("session", session_id(s)),
                 KV("client", ip_print(&s->client_ip, (char[IP_TEXT_BYTES]){ 0 })),
                 KU("finger.ipmap.tab line", line));
        session_reply(s, "Access from your address is not allowed");
        return STEP_CLOSE;
    }
    s->more = take_query;
    return STEP_INPUT;
}

static void end(struct session *s)
{
    (void)s;
}

static usec_t idle(struct session *s)
{
    unsigned own = conf()->finger.timeout_s;
    (void)s;
    return own > 0 ? own * USEC_S : ANSWER_TIME;
}

static unsigned max_errors(struct session *s)
{
    (void)s;
    return 0;
}

static const char *const state_names[] = { "QUERY" };

const struct protocol finger_protocol = {
    .name = "finger",
    .session_bytes = sizeof(struct session),
    .state_names = state_names,
    .line_max = QUERY_MAX,
    .greet = greet,
    .end = end,
    .idle = idle,
    .max_errors = max_errors,
    .words = {
        .unknown = "Invalid query",
        .bad_sequence = "Invalid query",
        .line_too_long = "The query is too long",
        .pipelined = "Invalid query",
        .timeout = "Too long without a query",
        .busy = "The server is busy, try again later",
        .busy_address = "Too many connections from your address",
        .stopping = "The server is stopping",
        .too_many_errors = "Invalid query",
        .tls_unavailable = "TLS is not available",
    },
};

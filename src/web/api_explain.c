/* api_explain.c - what would happen to a client: the gates of SMTP, in their order, and the
 * tables of access of the other services; and whom the gates refused lately. */
#include "conf/logfiles.h"
#include "conf/options.h"
#include "conf/tab.h"
#include "gates/gates.h"
#include "mail/address.h"
#include "sys/file.h"
#include "users/guard.h"
#include "web/lookup.h"

/* --- SMTP --------------------------------------------------------------------------------- */

struct explain {
    struct web *w;
    struct gate_memory memory;
    struct gate_subject s;
    struct address from, to;
    struct recipient found;
    json_t *steps;
    bool refused;
};

static void add_step(void *ctx, const struct gate_decision *d)
{
    static const char *const stages[] = { "connect", "mail", "rcpt" };
    static const char *const actions[] = { "pass", "note", "slow", "login", "refuse" };
    struct explain *x = ctx;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:s, s:s}", "stage",
                          stages[d->gate->stage], "gate", d->gate->name, "action",
                          actions[d->action], "source", d->source, "line", (json_int_t)d->line,
                          "detail", web_str(d->detail), "en", d->gate->en, "ja", d->gate->ja);
    if (d->action == GATE_SLOW)
        (void)json_object_set_new(o, "seconds", json_integer(d->delay_s));
    if (d->action == GATE_REFUSE)
        (void)json_object_set_new(
            o, "reply",
            web_str(arena_printf(web_mem(x->w), "%s %.*s", d->code, STR_ARG(d->text))));
    (void)json_array_append_new(x->steps, o);
}

/* What the gates of the stage want to know from the DNS. */
static void learn(struct explain *x, enum gate_stage stage)
{
    struct gate_wish wishes[GATE_WISHES_MAX];
    struct arena *a = web_mem(x->w);
    size_t count = gates_want(stage, &x->s, wishes);
    struct lookup *questions = arena_new_array(a, struct lookup, count + 1);
    for (size_t i = 0; i < count; i++) {
        questions[i].type = wishes[i].question;
        questions[i].is_gate = true;
        questions[i].name = wishes[i].name;
    }
    lookup_all(questions, count);
    for (size_t i = 0; i < count; i++) {
        bool good = questions[i].known && questions[i].state <= GATE_CONFIRMED;
        gates_learn(&x->memory, &wishes[i],
                    good ? (enum gate_answer)questions[i].state : GATE_UNKNOWN,
                    arena_str(a, str_from_c(questions[i].text)));
    }
}

static void run_stage(struct explain *x, enum gate_stage stage)
{
    struct gate_decision d;
    if (x->refused)
        return;
    learn(x, stage);
    x->refused = gates_run(stage, &x->s, add_step, x, &d) == GATE_REFUSE;
}

/* "<a@b>", or "" for the null sender; false: answered. */
static bool read_address(struct explain *x, struct str text, struct address *out)
{
    struct arena *a = web_mem(x->w);
    struct str path = arena_printf(a, "<%.*s>", STR_ARG(text)), rest;
    struct err e;
    if (address_parse_path(path, ADDRESS_LOOSE_DOTS | ADDRESS_UTF8, a, out, &rest, &e) ==
            RC_OK &&
        rest.n == 0)
        return true;
    web_refuse(x->w, "bad-address", json_pack("{s:o}", "value", web_str(str_head(text, 100))),
               "\"%.*s\" isn't an address", STR_ARG(str_head(text, 100)));
    return false;
}

/* As after a login of that account; false: answered. */
static bool read_login(struct explain *x, struct str login)
{
    struct user_options uo;
    struct err e;
    if (login.n == 0)
        return true;
    if (users_login(login, conf()->pop3_domain, web_mem(x->w), &x->s.account, &e) != RC_OK ||
        users_options(&x->s.account, web_mem(x->w), &uo, &e) != RC_OK) {
        web_refuse(x->w, "no-login", json_pack("{s:o}", "value", web_str(str_head(login, 100))),
                   "\"%.*s\" can't log in", STR_ARG(str_head(login, 100)));
        return false;
    }
    x->s.has_login = x->s.has_account = true;
    x->s.rights = smtp_rights_of(&uo);
    return true;
}

static void explain_smtp(struct web *w, struct explain *x)
{
    static const char *const kinds[] = {
        [RECIPIENT_REMOTE] = "remote",
        [RECIPIENT_ACCOUNT] = "account",
        [RECIPIENT_LIST] = "list",
        [RECIPIENT_CMDALIAS] = "command-alias",
        [RECIPIENT_CUSTDOMAIN] = "custom",
        [RECIPIENT_EXTERNAL] = "external",
        [RECIPIENT_UNKNOWN] = "unknown-user",
    };
    struct str to = web_query(w, "to");
    struct err e;
    if (!read_address(x, web_query(w, "from"), &x->from) ||
        !read_login(x, web_query(w, "login")) || (to.n > 0 && !read_address(x, to, &x->to)))
        return;
    if (to.n > 0 && users_resolve(&x->to, web_mem(w), &x->found, &e) != RC_OK) {
        web_trouble(w, &e);
        return;
    }
    x->steps = json_array();
    run_stage(x, GATE_CONNECT);
    x->s.from = &x->from;
    run_stage(x, GATE_MAIL);
    x->s.recipient = &x->found;
    if (to.n > 0)
        run_stage(x, GATE_RCPT);
    web_json(w, 200,
             json_pack("{s:b, s:s, s:o}", "allowed",
                       (int)(!x->refused && (to.n == 0 || x->found.kind != RECIPIENT_UNKNOWN)),
                       "recipient", to.n > 0 ? kinds[x->found.kind] : "", "steps", x->steps));
}

/* --- other services ----------------------------------------------------------------------- */

static void explain_access(struct web *w, const char *service, const struct ip *client)
{
    struct str path = arena_printf(web_mem(w), "%s.ipmap.tab", service);
    unsigned line = 0;
    bool allowed = access_is_allowed(path.p, client, &line);
    json_t *step =
        json_pack("{s:s, s:s, s:s, s:s, s:I}", "stage", "connect", "gate", "ipmap", "action",
                  allowed ? "pass" : "refuse", "source", path.p, "line", (json_int_t)line);
    web_json(w, 200,
             json_pack("{s:b, s:s, s:[o]}", "allowed", (int)allowed, "recipient", "", "steps",
                       step));
}

void api_explain(struct web *w)
{
    static const char *const others[] = { "pop3", "ctrl", "finger", "http" };
    struct explain *x = arena_new(web_mem(w), sizeof(*x));
    struct str service = web_query(w, "service");
    *x = (struct explain){ .w = w };
    x->s = (struct gate_subject){ .memory = &x->memory, .tmp = web_mem(w) };
    if (!ip_parse(web_query(w, "client"), &x->s.client)) {
        web_refuse(w, "bad-client", NULL, "client must be an address");
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (str_eq(service, str_from_c(others[i]))) {
            explain_access(w, others[i], &x->s.client);
            return;
        }
    x->s.is_submission = str_eq(service, STR("submission"));
    if (!x->s.is_submission && !str_eq(service, STR("smtp"))) {
        web_fail(w, 422, "invalid", "service is smtp, submission, pop3, ctrl, finger or http");
        return;
    }
    x->s.server_port = x->s.is_submission ? conf()->submission.port : conf()->smtp.port;
    x->s.has_tls = str_eq(web_query(w, "tls"), STR("1"));
    x->s.auth_offered = true;
    explain_smtp(w, x);
}

/* --- who was refused ---------------------------------------------------------------------- */

#define CLIENTS_MOST 5000u
#define READ_MOST ((size_t)16 << 20)

struct refused {
    char client[IP_TEXT_BYTES], last[40], gate[120];
    uint64_t count;
};
struct refusals {
    struct arena mem;
    struct map by_client;
};

static struct str value_of(const struct str *values, size_t count, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 3; i < count; i++)
        if (str_starts(values[i], str_from_c(key)) && values[i].n > n && values[i].p[n] == '=')
            return str_skip(values[i], n + 1);
    return STR("");
}

static void take_line(struct refusals *r, struct str line)
{
    static const char *const events[] = { "client refused", "sender refused", "rcpt refused" };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str values[32];
    size_t count = 0, i = 0;
    if (tab_parse_line(line, &a, values, ARRAY_LEN(values), &count, NULL) != RC_OK || count < 4)
        return;
    while (i < ARRAY_LEN(events) && !str_eq(values[2], str_from_c(events[i])))
        i++;
    struct str client = value_of(values, count, "client");
    if (i == ARRAY_LEN(events) || client.n == 0 || client.n >= IP_TEXT_BYTES)
        return;
    struct refused *one = map_get(&r->by_client, client);
    if (one == NULL && r->by_client.live >= CLIENTS_MOST)
        return;
    if (one == NULL) {
        one = arena_new(&r->mem, sizeof(*one));
        (void)snprintf(one->client, sizeof(one->client), "%.*s", STR_ARG(client));
        (void)map_put(&r->by_client, str_from_c(one->client), one);
    }
    one->count++;
    (void)snprintf(one->last, sizeof(one->last), "%.*s", STR_ARG(str_head(values[0], 39)));
    (void)snprintf(one->gate, sizeof(one->gate), "%.*s",
                   STR_ARG(str_head(value_of(values, count, "gate"), 119)));
}

/* The end of the trace of a day. */
static void read_trace(struct refusals *r, int64_t when)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct stat st;
    char period[16], path[64];
    (void)snprintf(path, sizeof(path), "logs/trace-%s", logfile_period(when, 24, period));
    int fd AUTO_CLOSE = io_open(path, O_RDONLY, 0);
    if (fd < 0 || io_fstat(fd, &st) < 0 || st.st_size <= 0)
        return;
    size_t n = MIN((size_t)st.st_size, READ_MOST);
    char *text = arena_new(&a, n);
    ssize_t got = io_pread(fd, text, n, (uint64_t)st.st_size - n);
    struct str rest = str_from(text, got > 0 ? (size_t)got : 0), line;
    while (rest.n > 0 && str_cut(&rest, '\n', &line))
        take_line(r, line);
}

void api_refused(struct web *w)
{
    struct refusals r = { .mem = { .head = NULL } };
    int64_t now = clock_wall() / USEC_S;
    size_t at = 0;
    struct str key;
    void *value = NULL;
    for (uint64_t days = web_query_number(w, "days", 1, 30); days > 0; days--)
        read_trace(&r, now - (int64_t)(days - 1) * 86400);
    json_t *list = json_array();
    while (map_next(&r.by_client, &at, &key, &value)) {
        const struct refused *one = value;
        (void)json_array_append_new(
            list, json_pack("{s:s, s:I, s:o, s:o}", "client", one->client, "count",
                            (json_int_t)one->count, "last", web_str(str_from_c(one->last)),
                            "gate", web_str(str_from_c(one->gate))));
    }
    map_release(&r.by_client);
    arena_release(&r.mem);
    web_json(w, 200, list);
}

/*
 * explain.c - `hikyaku explain`: what the gates of SMTP say to a client that isn't there, each
 * decision with the line or setting that made it, and the reply. The gates are those of the
 * sessions (gates/gates.h, smtpd/smtpd.h); what they want to know from the DNS is asked here.
 */
#include "conf/options.h"
#include "mail/address.h"
#include "master/master.h"
#include "relay/relay.h"
#include "smtpd/smtpd.h"
#include "sys/dns.h"
#include "sys/io.h"
#include "sys/lock.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include "users/limits.h"
#include <getopt.h>

#define DNS_WAIT (10 * USEC_S) /* as long as a session waits */

static const char usage[] =
    "usage: hikyaku explain --client IP [--helo NAME] [--from ADDRESS [--to ADDRESS]]\n"
    "         [--auth USER] [--tls] [--service smtp|smtps|submission | --port N] [--server "
    "IP]\n"
    "         [--json] [--mailroot DIR]\n"
    "What SMTP would say to this client: each gate's decision, and the line or setting that\n"
    "made it. ADDRESS \"\" is the empty sender. --auth: as after a login. --server: the "
    "address\n"
    "that the client connects to. Ends with 4 when the client would be refused.\n";

struct explain {
    struct arena mem;
    struct gate_memory memory;
    struct gate_subject s;
    struct address from_address;
    const struct service_options *service;
    const char *client, *server, *helo, *from, *to, *auth, *service_name, *port, *mailroot;
    bool tls, json, comma, refused;
};

/* --- printing ---------------------------------------------------------------------------- */

static const char *stage_name(enum gate_stage stage)
{
    static const char *const names[] = { "connection", "MAIL FROM", "RCPT TO" };
    return names[stage];
}

static const char *action_name(enum gate_action action)
{
    static const char *const names[] = { "passed", "noted", "slowed down", "must log in",
                                         "refused" };
    return names[action];
}

static void json_text(const char *key, struct str value)
{
    (void)printf(",\"%s\":", key);
    tool_print_json(value);
}

/* Begins an element of the list of decisions. */
static void json_next(struct explain *x, const char *stage)
{
    (void)printf("%s\n {\"stage\":\"%s\"", x->comma ? "," : "", stage);
    x->comma = true;
}

static void print_refusal(struct explain *x, const char *stage, const char *by,
                          struct str reply)
{
    x->refused = true;
    if (x->json) {
        json_next(x, stage);
        json_text("gate", str_from_c(by));
        json_text("action", STR("refused"));
        json_text("reply", reply);
        (void)putchar('}');
        return;
    }
    (void)printf("%-11s %-13s refused\n%26s", stage, by, "");
    tool_print_text(reply, false);
    (void)putchar('\n');
}

static void print_json(struct explain *x, const struct gate_decision *d, struct str reply)
{
    json_next(x, stage_name(d->gate->stage));
    json_text("gate", str_from_c(d->gate->name));
    json_text("action", str_from_c(action_name(d->action)));
    json_text("by", str_from_c(d->source));
    if (d->line > 0)
        (void)printf(",\"line\":%u", d->line);
    if (d->detail.n > 0)
        json_text("detail", d->detail);
    if (d->action == GATE_SLOW)
        (void)printf(",\"seconds\":%u", d->delay_s);
    if (reply.n > 0)
        json_text("reply", reply);
    (void)putchar('}');
}

static void print_decision(void *ctx, const struct gate_decision *d)
{
    struct explain *x = ctx;
    struct str reply = STR("");
    if (d->action == GATE_REFUSE)
        reply = smtpd_refusal(d, STR("smtp-..."), &x->mem);
    if (x->json) {
        print_json(x, d, reply);
        return;
    }
    (void)printf("%-11s %-13s %-12s %.*s", stage_name(d->gate->stage), d->gate->name,
                 action_name(d->action), STR_ARG(gate_decision_id(d, &x->mem)));
    if (d->action == GATE_SLOW)
        (void)printf(", %u seconds after each command", d->delay_s);
    if (d->detail.n > 0) {
        (void)fputs(": ", stdout);
        tool_print_text(d->detail, false);
    }
    if (reply.n > 0) {
        (void)printf("\n%26s", "");
        tool_print_text(reply, false);
    }
    (void)putchar('\n');
}

/* --- the DNS ----------------------------------------------------------------------------- */

/* A question and its answer; never released, for a thread may still wait for it at the end. */
struct asked {
    struct arena mem;
    struct gate_wish wish;
    enum gate_answer is;
    struct str text;
    _Atomic bool done; /* then is and text are there */
};

static void *ask(void *arg)
{
    struct asked *q = arg;
    q->is = relay_find_fact(q->wish.question, q->wish.name, &q->mem, &q->text);
    q->done = true;
    return NULL;
}

static void print_answer(struct explain *x, const char *stage, const struct gate_wish *w,
                         enum gate_answer is, struct str text)
{
    static const char *const names[] = { "not asked", "no answer", "no", "yes", "yes" };
    if (x->json) {
        json_next(x, stage);
        json_text("dns", w->name);
        json_text("answer", str_from_c(names[is]));
        if (text.n > 0)
            json_text("name", text);
        if (text.n > 0)
            (void)printf(",\"leads_back\":%s", is == GATE_CONFIRMED ? "true" : "false");
        (void)putchar('}');
        return;
    }
    (void)printf("%-11s %-13s %-12s %.*s", stage, "DNS", names[is], STR_ARG(w->name));
    if (text.n > 0) {
        (void)fputs(": ", stdout);
        tool_print_text(text, false);
        (void)fputs(is == GATE_CONFIRMED ? ", which leads back" : ", which doesn't lead back",
                    stdout);
    }
    (void)putchar('\n');
}

/* Asks all at once what the gates of the stage want to know. */
static enum rc learn(struct explain *x, enum gate_stage stage, struct err *e)
{
    static bool is_open;
    static struct asked *all[GATE_RCPT + 1][GATE_WISHES_MAX];
    struct asked **questions = all[stage];
    struct gate_wish wishes[GATE_WISHES_MAX];
    pthread_t thread;
    size_t count = gates_want(stage, &x->s, wishes);
    enum rc rc = RC_OK;
    if (count > 0 && !is_open) {
        rc = dns_open(conf()->smart_dns_host, conf()->dnssec_anchor, e);
        is_open = rc == RC_OK;
    }
    for (size_t i = 0; rc == RC_OK && i < count; i++) {
        questions[i] = mem_new(sizeof(*questions[i]));
        questions[i]->wish = wishes[i];
        questions[i]->wish.name = arena_str(&questions[i]->mem, wishes[i].name);
        rc = thread_start(ask, questions[i], "dns", &thread, e);
    }
    usec_t deadline = clock_mono() + DNS_WAIT;
    for (size_t i = 0; rc == RC_OK && i < count; i++) {
        while (!questions[i]->done && clock_mono() < deadline)
            thread_pause(2 * USEC_MS);
        bool done = questions[i]->done;
        enum gate_answer is = done ? questions[i]->is : GATE_UNKNOWN;
        struct str text = done ? questions[i]->text : STR("");
        gates_learn(&x->memory, &wishes[i], is, text);
        print_answer(x, stage_name(stage), &wishes[i], is, text);
    }
    return rc;
}

/* --- the stages -------------------------------------------------------------------------- */

/* RC_PERM: refused. */
static enum rc run_stage(struct explain *x, enum gate_stage stage, struct err *e)
{
    struct gate_decision d;
    enum rc rc = learn(x, stage, e);
    if (rc == RC_OK && gates_run(stage, &x->s, print_decision, x, &d) == GATE_REFUSE)
        x->refused = true;
    return rc;
}

static void print_recipient(struct explain *x, const struct recipient *r)
{
    struct str where = STR("");
    if (r->kind == RECIPIENT_ACCOUNT || r->kind == RECIPIENT_LIST)
        where = arena_printf(&x->mem, "%.*s@%.*s", STR_ARG(r->account.name),
                             STR_ARG(r->account.domain));
    else if (r->kind == RECIPIENT_EXTERNAL)
        where = address_print(&r->target, &x->mem);
    if (x->json) {
        json_next(x, "RCPT TO");
        json_text("recipient", str_from_c(tool_recipient_kind(r->kind)));
        if (where.n > 0)
            json_text("detail", where);
        (void)putchar('}');
        return;
    }
    (void)printf("%-11s %-13s %s%s", "RCPT TO", "recipient", tool_recipient_kind(r->kind),
                 where.n > 0 ? ": " : "");
    tool_print_text(where, false);
    (void)putchar('\n');
}

static enum rc run_recipient(struct explain *x, struct err *e)
{
    struct address to;
    struct recipient found;
    enum rc rc = tool_parse_address(str_from_c(x->to), &x->mem, &to, e);
    if (rc == RC_OK)
        rc = users_resolve(&to, &x->mem, &found, e);
    if (rc != RC_OK)
        return rc;
    x->s.recipient = &found;
    print_recipient(x, &found);
    return run_stage(x, GATE_RCPT, e);
}

static enum rc run_sender(struct explain *x, struct err *e)
{
    enum rc rc = x->auth == NULL ? RC_OK : smtpd_log_in(&x->s, str_from_c(x->auth), e);
    if (rc == RC_OK)
        rc = tool_parse_address(str_from_c(x->from), &x->mem, &x->from_address, e);
    x->s.from = &x->from_address;
    x->s.auth_offered = x->s.has_login || smtpd_offers_auth(x->s.has_tls);
    return rc == RC_OK ? run_stage(x, GATE_MAIL, e) : rc;
}

static enum rc run_stages(struct explain *x, struct err *e)
{
    enum rc rc = run_stage(x, GATE_CONNECT, e);
    if (rc == RC_OK && !x->refused && x->helo != NULL &&
        !smtpd_name_is_good(str_from_c(x->helo)))
        print_refusal(x, "EHLO", "name", smtpd_name_refusal(&x->mem));
    if (rc == RC_OK && !x->refused && x->from != NULL)
        rc = run_sender(x, e);
    if (rc == RC_OK && !x->refused && x->to != NULL)
        rc = run_recipient(x, e);
    return rc;
}

/* --- what is asked ----------------------------------------------------------------------- */

static bool listens_on(const struct service_options *s, uint64_t port)
{
    for (size_t i = 0; i < s->bind_count; i++)
        if (s->binds[i].port == port)
            return true;
    return s->bind_count == 0 && s->port == port;
}

/* The service and the port that the client is said to come by. */
static enum rc find_service(struct explain *x, struct err *e)
{
    const struct options *o = conf();
    const struct service_options *all[] = { &o->smtp, &o->smtps, &o->submission };
    uint64_t port = 0;
    if (x->port != NULL && (!str_to_u64(str_from_c(x->port), &port) || port > 65535))
        return err_perm(e, "5.3.0", "%s is not a port", x->port);
    for (size_t i = 0; i < ARRAY_LEN(all) && x->service == NULL; i++) {
        bool named = x->service_name != NULL && strcmp(x->service_name, all[i]->name) == 0;
        if (x->service_name == NULL ? x->port == NULL || listens_on(all[i], port) : named)
            x->service = all[i];
    }
    if (x->service == NULL)
        return x->service_name != NULL
                   ? err_perm(e, "5.3.0", "there is no service %s", x->service_name)
                   : err_perm(e, "5.3.0", "no SMTP listens on port %s", x->port);
    const struct service_options *s = x->service;
    uint16_t usual = s->bind_count > 0 ? s->binds[0].port : s->port;
    x->s.server_port = x->port != NULL ? (uint16_t)port : usual;
    for (size_t i = 0; i < s->bind_count; i++)
        if (s->binds[i].port == x->s.server_port && x->server == NULL)
            x->s.server = s->binds[i].ip;
    x->s.is_submission = smtpd_is_submission(s->name);
    x->s.has_tls = x->tls || strcmp(s->name, "smtps") == 0;
    return RC_OK;
}

static void hold(void *ctx, const struct limit_held *held)
{
    (void)ctx;
    (void)limits_hold(held);
}

/* Who is over a limit: a running server knows; without one, accounts may be stopped. */
static void learn_limits(void)
{
    struct orders o = { .tool = "explain" };
    struct stat st;
    if (io_stat(master_control_socket, &st) < 0 || !tool_each_held(&o, hold, NULL))
        limits_recall();
    orders_close(&o);
}

static enum rc prepare(struct explain *x, struct err *e)
{
    x->s.memory = &x->memory;
    x->s.tmp = &x->mem;
    if (!ip_parse(str_from_c(x->client), &x->s.client))
        return err_perm(e, "5.3.0", "%s is not an address", x->client);
    if (x->server != NULL && !ip_parse(str_from_c(x->server), &x->s.server))
        return err_perm(e, "5.3.0", "%s is not an address", x->server);
    enum rc rc = tool_enter_mailroot(x->mailroot, e);
    if (rc == RC_OK)
        rc = tool_become_owner(e);
    if (rc == RC_OK)
        rc = options_load(e);
    if (rc == RC_OK)
        rc = find_service(x, e);
    if (rc == RC_OK)
        rc = tool_use_accounts(e);
    smtpd_prepare();
    if (rc == RC_OK)
        learn_limits();
    return rc;
}

static void print_subject(const struct explain *x)
{
    char text[IP_TEXT_BYTES];
    const char *server = ip_print(&x->s.server, text), *name = x->service->name;
    if (x->json)
        (void)printf("{\"service\":\"%s\",\"server\":\"%s\",\"port\":%u,\"decisions\":[", name,
                     server, x->s.server_port);
    else
        (void)printf("%s, %s port %u%s\n", name, server, x->s.server_port,
                     x->s.has_tls ? ", with TLS" : "");
}

static int run(struct explain *x)
{
    struct err e = { .text = "" };
    enum rc rc = prepare(x, &e);
    if (rc == RC_OK) {
        print_subject(x);
        rc = run_stages(x, &e);
        if (x->json)
            (void)printf("\n],\"passed\":%s}\n", rc == RC_OK && !x->refused ? "true" : "false");
        else if (rc == RC_OK && !x->refused)
            (void)puts("passed");
    }
    if (rc == RC_OK)
        return x->refused ? 4 : 0;
    (void)fflush(stdout);
    (void)fprintf(stderr, "hikyaku explain: %s\n", e.text);
    return 1;
}

int tool_explain(int argc, char **argv)
{
    static const struct option options[] = {
        { "client", required_argument, NULL, 'c' },
        { "server", required_argument, NULL, 's' },
        { "helo", required_argument, NULL, 'h' },
        { "from", required_argument, NULL, 'f' },
        { "to", required_argument, NULL, 't' },
        { "auth", required_argument, NULL, 'a' },
        { "service", required_argument, NULL, 'n' },
        { "port", required_argument, NULL, 'p' },
        { "mailroot", required_argument, NULL, 'm' },
        { "tls", no_argument, NULL, 'l' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 },
    };
    struct explain x = { .client = NULL };
    const struct {
        int option;
        const char **value;
    } texts[] = { { 'c', &x.client }, { 's', &x.server },       { 'h', &x.helo },
                  { 'f', &x.from },   { 't', &x.to },           { 'a', &x.auth },
                  { 'p', &x.port },   { 'n', &x.service_name }, { 'm', &x.mailroot } };
    int c = 0;
    argc++;
    argv--;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1 && c != '?') {
        x.tls = x.tls || c == 'l';
        x.json = x.json || c == 'j';
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            if (texts[i].option == c)
                *texts[i].value = optarg;
    }
    bool both = x.service_name != NULL && x.port != NULL;
    if (c != -1 || optind != argc || x.client == NULL || (x.to != NULL && x.from == NULL) ||
        (x.auth != NULL && x.from == NULL) || both) {
        (void)fputs(usage, stderr);
        return 3;
    }
    int code = run(&x);
    arena_release(&x.mem);
    return code;
}

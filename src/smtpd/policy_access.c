/*
 * policy_access.c - the gates (gates/gates.h) of a session: what is known of the client goes
 * in, decisions become replies, lines of the logs, delays. A reply that a table's line caused
 * names the session, which logs and `hikyaku trace` know too.
 */
#include "smtpd/login.h"
#include "smtpd/smtpd_int.h"

/* What a refusal is about, for the log. */
struct seen {
    struct smtp *c;
    const struct address *to;
};

static void set_login(struct gate_subject *s, const struct login *login)
{
    s->has_login = true;
    s->rights = login->rights;
    s->has_account = login->has_account;
    s->account = login->account;
    s->login_name = login->name;
}

static struct gate_subject subject_of(struct smtp *c)
{
    struct gate_subject s = {
        .memory = &c->gates,
        .tmp = &c->s.tmp,
        .client = c->s.client_ip,
        .server = c->s.local_ip,
        .server_port = c->s.local_port,
        .is_submission = smtpd_is_submission(c->s.listener->service),
        .has_tls = stream_is_tls(&c->s.st),
    };
    if (c->login != NULL)
        set_login(&s, c->login);
    if (c->tx != NULL)
        s.from = &c->tx->sender;
    return s;
}

static void seen(void *ctx, const struct gate_decision *d)
{
    const struct seen *about = ctx;
    struct smtp *c = about->c;
    char text[IP_TEXT_BYTES];
    const char *client = ip_print(&c->s.client_ip, text);
    struct str session = session_id(&c->s), id = gate_decision_id(d, &c->s.tmp), from = STR("");
    if (c->tx != NULL)
        from = address_print(&c->tx->sender, &c->s.tmp);
    if (d->action == GATE_NOTE) {
        log_debug(EV("client noted"), KS("session", session), KV("client", client),
                  KS("gate", id), KS("as", d->detail));
    } else if (d->action == GATE_SLOW) {
        log_info(EV("client slowed down"), KS("session", session), KV("client", client),
                 KS("gate", id), KU("seconds", d->delay_s));
    } else if (d->action == GATE_AUTH) {
        log_info(EV("client must log in"), KS("session", session), KV("client", client),
                 KS("gate", id));
    } else if (d->action == GATE_REFUSE && d->gate->stage == GATE_CONNECT) {
        log_info(EV("client refused"), KS("session", session), KV("client", client),
                 KS("gate", id));
    } else if (d->action == GATE_REFUSE && d->gate->stage == GATE_MAIL) {
        log_info(EV("sender refused"), KS("session", session), KV("client", client),
                 KS("gate", id), KS("from", from));
    } else if (d->action == GATE_REFUSE) {
        log_info(EV("rcpt refused"), KS("session", session), KV("client", client),
                 KS("gate", id), KS("rcpt", address_print(about->to, &c->s.tmp)),
                 KS("from", from), KV("reason", d->gate->name));
    }
    if (d->status != NULL && d->action != GATE_PASS)
        smtp_record(c, about->to, d->status, NULL);
}

/* The words of a refusal. */
static struct str words(const struct gate_decision *d, struct str session, struct arena *a)
{
    return d->line == 0 ? d->text
                        : arena_printf(a, "%.*s (%.*s)", STR_ARG(d->text), STR_ARG(session));
}

struct str smtpd_refusal(const struct gate_decision *d, struct str session, struct arena *a)
{
    struct str text = words(d, session, a);
    if (d->gate->stage == GATE_CONNECT)
        return arena_printf(a, "%s %.*s %.*s", d->code, STR_ARG(smtp_domain()), STR_ARG(text));
    return smtp_with_custom(arena_printf(a, "%s %.*s", d->code, STR_ARG(text)), a);
}

void smtpd_prepare(void)
{
    gates_init();
    login_init();
}

enum rc smtpd_log_in(struct gate_subject *s, struct str name, struct err *e)
{
    struct sasl_identity who;
    struct login *login = NULL;
    enum rc rc = login_find(name, s->tmp, &who);
    if (rc == RC_OK)
        rc = login_new(&who, s->tmp, &login, e);
    else
        rc = rc == RC_PERM ? err_perm(e, "5.7.8", "nobody can log in as %.*s", STR_ARG(name))
                           : err_temp(e, "4.7.0", "smtpauth.tab can't be read now");
    if (rc != RC_OK || login == NULL)
        return rc;
    set_login(s, login);
    s->account.domain = arena_str(s->tmp, login->account.domain);
    s->account.name = arena_str(s->tmp, login->account.name);
    s->account.folder = arena_str(s->tmp, login->account.folder);
    s->login_name = arena_str(s->tmp, login->name);
    login_free(&login);
    return RC_OK;
}

/* --- what they want to know -------------------------------------------------------------- */

#define FACTS_WAIT (10 * USEC_S) /* then they go without */

static smtpd_ask_fact_fn *asker;

void smtpd_set_fact_asker(smtpd_ask_fact_fn *ask)
{
    asker = ask;
}

bool policy_awaits(struct smtp *c, session_fn *more, enum step *out)
{
    struct facts *f = c->facts;
    struct answer answer;
    while (f->taken < f->count) {
        uint64_t number = f->numbers[f->taken];
        bool there = session_answer(&c->s, number, &answer);
        bool good = there && answer.code <= GATE_CONFIRMED;
        gates_learn(&c->gates, &f->wishes[f->taken],
                    good ? (enum gate_answer)answer.code : GATE_UNKNOWN,
                    good ? answer.text : STR(""));
        if (++f->taken < f->count && clock_mono() < f->deadline) {
            *out = session_await(&c->s, f->numbers[f->taken], f->deadline, more);
            return true;
        }
    }
    mem_free(&c->facts);
    return false;
}

bool policy_asks(struct smtp *c, enum gate_stage stage, session_fn *more, enum step *out)
{
    struct gate_wish wishes[GATE_WISHES_MAX];
    struct gate_subject s = subject_of(c);
    size_t count = asker == NULL ? 0 : gates_want(stage, &s, wishes);
    c->gates.mailer = GATE_UNASKED;
    if (count == 0)
        return false;
    struct facts *f = c->facts = mem_new(sizeof(*f));
    f->deadline = clock_mono() + FACTS_WAIT;
    for (size_t i = 0; i < count; i++) {
        struct question q = session_ask(&c->s);
        if (q.number == 0 || !asker(q, wishes[i].question, wishes[i].name))
            continue;
        f->numbers[f->count] = q.number;
        f->wishes[f->count++] =
            (struct gate_wish){ .question = wishes[i].question, .list = wishes[i].list };
    }
    if (f->count == 0) {
        mem_free(&c->facts);
        return false;
    }
    *out = session_await(&c->s, f->numbers[0], f->deadline, more);
    return true;
}

/* --- what limits count -------------------------------------------------------------------- */

void policy_count(struct smtp *c, enum limit_what what)
{
    const struct login *l = c->login;
    if (l != NULL && l->has_account)
        limits_count_account(arena_printf(&c->s.tmp, "%.*s@%.*s", STR_ARG(l->account.name),
                                          STR_ARG(l->account.domain)),
                             what);
    else if (l != NULL)
        limits_count_account(l->name, what);
    else if ((c->gates.properties & PROPERTY_WHITE_LIST) == 0)
        limits_count_client(&c->s.client_ip, what);
}

/* --- the stages -------------------------------------------------------------------------- */

bool policy_client(struct smtp *c)
{
    struct gate_decision d;
    struct gate_subject s = subject_of(c);
    struct seen about = { .c = c };
    if (gates_run(GATE_CONNECT, &s, seen, &about, &d) != GATE_REFUSE)
        return true;
    metric_add(METRIC_refused_gates, 1);
    session_reply(&c->s, "%.*s", STR_ARG(smtpd_refusal(&d, session_id(&c->s), &c->s.tmp)));
    return false;
}

/* The gates noted a login by POP3: it is this transaction's. */
static bool take_login(struct smtp *c, const struct gate_subject *s, enum step *out)
{
    struct err e = { .rc = RC_OK };
    struct sasl_identity who = { .has_account = true, .account = s->account };
    who.login = arena_printf(&c->s.tmp, "%.*s@%.*s", STR_ARG(s->account.name),
                             STR_ARG(s->account.domain));
    if (login_new(&who, &c->s.tmp, &c->login, &e) != RC_OK) {
        *out = smtp_trouble(c, "user.tab", &e);
        return false;
    }
    c->login->by_pop3 = true;
    return true;
}

bool policy_mail(struct smtp *c, enum step *out)
{
    struct gate_decision d;
    struct gate_subject s = subject_of(c);
    struct seen about = { .c = c };
    s.auth_offered = c->login != NULL || smtp_mechanisms(c).n > 0;
    if (gates_run(GATE_MAIL, &s, seen, &about, &d) != GATE_REFUSE)
        return !s.by_pop3 || take_login(c, &s, out);
    metric_add(METRIC_refused_senders, 1);
    *out = smtp_refuse(c, d.code, "%.*s", STR_ARG(words(&d, session_id(&c->s), &c->s.tmp)));
    return false;
}

bool policy_rcpt(struct smtp *c, const struct address *to, const struct recipient *found,
                 enum step *out)
{
    struct gate_decision d;
    struct gate_subject s = subject_of(c);
    struct seen about = { .c = c, .to = to };
    s.recipient = found;
    if (gates_run(GATE_RCPT, &s, seen, &about, &d) != GATE_REFUSE)
        return true;
    metric_add(METRIC_refused_rcpts, 1);
    figure_add(to->domain, FIGURE_refused, 1);
    *out = smtp_refuse(c, d.code, "%.*s", STR_ARG(words(&d, session_id(&c->s), &c->s.tmp)));
    return false;
}

/*
 * cmd_auth.c - AUTH (RFC 4954) over wire/sasl.h. Every answer to a name and password, good or
 * bad, waits as long as users/guard.h says: a timer, not a thread; unknown names take the same
 * way. Lines of the exchange never reach a log.
 */
#include "smtpd/extauth.h"
#include "smtpd/login.h"
#include "smtpd/smtpd_int.h"

/* One exchange. */
struct auth {
    struct arena mem;
    struct sasl *sasl;
    struct sasl_realm realm;
    usec_t delay;                  /* of the answer */
    bool good;                     /* the answer that waits */
    bool unknown;                  /* nobody has the name */
    struct str counted;            /* whom its tries count for */
    bool known;                    /* somebody has that name */
    struct auth_question question; /* to a program */
    struct extauth_method method;  /* of smtpextauth.tab; its name is empty: it has none */
    struct extauth_files files;
    struct str perms; /* that the program gave; p NULL: none */
};

void auth_free(struct auth **auth)
{
    if (*auth == NULL)
        return;
    sasl_free(&(*auth)->sasl);
    auth_forget(&(*auth)->question);
    extauth_end(&(*auth)->files);
    arena_release(&(*auth)->mem);
    mem_free(auth);
}

/* --- what is offered --------------------------------------------------------------------- */

static struct sasl_offer offer(bool has_tls)
{
    const struct options *o = conf();
    return (struct sasl_offer){
        .has_tls = has_tls,
        .has_scheme = o->password_scheme_set,
        .scheme = o->password_scheme,
        .plain_listed = userauth_is_used(),
        .without_tls = o->smtp_no_tls_auths,
    };
}

struct listing {
    struct sasl_offer offer;
    struct buf names;
};

static bool list_method(void *ctx, struct str name)
{
    struct listing *l = ctx;
    return !sasl_may_be_used(&l->offer, name) ||
           buf_printf(&l->names, "%s%.*s", l->names.n > 0 ? " " : "", STR_ARG(name)) == RC_OK;
}

static struct str mechanisms(bool has_tls, struct arena *a)
{
    struct listing l = { .offer = offer(has_tls) };
    buf_init(&l.names, 400);
    bool good = extauth_is_used() ? extauth_each(list_method, &l)
                                  : sasl_mechanisms(&l.offer, &l.names) == RC_OK;
    struct str names = good ? arena_str(a, buf_str(&l.names)) : STR("");
    buf_release(&l.names);
    return names;
}

struct str smtp_mechanisms(struct smtp *c)
{
    return mechanisms(stream_is_tls(&c->s.st), &c->s.tmp);
}

bool smtpd_offers_auth(bool has_tls)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    return mechanisms(has_tls, &a).n > 0;
}

/* Those of smtpextauth.tab, if there are any, instead of ours. *out: the one of that name, in
 * a. */
static bool is_offered(bool has_tls, struct str name, struct arena *a,
                       struct extauth_method *out)
{
    struct sasl_offer o = offer(has_tls);
    if (!extauth_is_used())
        return sasl_is_offered(&o, name);
    return extauth_find(name, a, out) && sasl_may_be_used(&o, name);
}

/* --- the end of an exchange -------------------------------------------------------------- */

static enum step finish(struct smtp *c, enum step step)
{
    auth_free(&c->auth);
    return step;
}

static enum step let_in(struct smtp *c)
{
    struct err e = { .rc = RC_OK };
    struct sasl_identity who = *sasl_identity(c->auth->sasl);
    bool by_program = c->auth->method.name.n > 0;
    if (by_program && c->auth->perms.p != NULL)
        who.perms = c->auth->perms;
    if (login_new(&who, &c->s.tmp, &c->login, &e) != RC_OK) {
        log_warn(EV("login deferred"), KS("session", session_id(&c->s)), KE(&e));
        return smtp_refuse(c, "454 4.7.0", "Temporary authentication failure");
    }
    guard_good(&c->s.client_ip, c->auth->counted);
    policy_count(c, LIMIT_CONNECTIONS);
    metric_add(METRIC_login_good_smtp, 1);
    if (!by_program && str_ieq(str_from_c(sasl_mechanism(c->auth->sasl)), STR("CRAM-MD5")))
        users_weak_login(who.login, "CRAM-MD5");
    return smtp_ok(c, "235 2.7.0", "Authentication successful");
}

/* After the delay: the answer. */
static enum step answer(struct session *s)
{
    struct smtp *c = smtp_of(s);
    if (c->auth->good)
        return finish(c, let_in(c));
    return finish(c, smtp_refuse(c, "535 5.7.8", "Name or password not good"));
}

static enum step answer_later(struct smtp *c, bool good)
{
    usec_t now = clock_mono();
    struct str login = sasl_login(c->auth->sasl);
    char client[IP_TEXT_BYTES];
    c->auth->good = good;
    if (!good) {
        usec_t delay = guard_bad(&c->s.client_ip, c->auth->counted, c->auth->known,
                                 conf()->login_delay, now);
        c->auth->delay = MAX(c->auth->delay, delay);
        metric_add(METRIC_login_bad_smtp, 1);
        log_info(EV("login failed"), KS("session", session_id(&c->s)),
                 KV("client", ip_print(&c->s.client_ip, client)), KS("login", login),
                 KV("mechanism", sasl_mechanism(c->auth->sasl)));
        smtp_record(c, NULL, "AUTH=EFAIL", sasl_mechanism(c->auth->sasl));
    }
    c->s.more = answer;
    c->s.wake_at = now + c->auth->delay;
    return STEP_DELAY;
}

/* --- programs that decide ---------------------------------------------------------------- */

static enum step temporary(struct smtp *c)
{
    return finish(c, smtp_refuse(c, "454 4.7.0", "Temporary authentication failure"));
}

static enum step program_answered(struct session *s)
{
    struct smtp *c = smtp_of(s);
    enum step wait = STEP_NEXT;
    enum auth_answer answer = auth_answer(s, &c->auth->question, &wait);
    if (answer == AUTH_WAIT)
        return wait;
    if (answer == AUTH_YES && c->auth->method.name.n > 0)
        c->auth->perms = extauth_perms(&c->auth->files, &c->auth->mem);
    extauth_end(&c->auth->files);
    if (answer == AUTH_UNKNOWN)
        return temporary(c);
    sasl_answered(c->auth->sasl, answer == AUTH_YES);
    return answer_later(c, answer == AUTH_YES);
}

static enum step ask_program(struct smtp *c)
{
    struct auth *auth = c->auth;
    struct auth_program program;
    struct err e = { .rc = RC_OK };
    const struct account *account = &sasl_identity_asked(auth->sasl)->account;
    if (auth->method.name.n > 0 &&
        extauth_begin(&auth->files, &auth->method, &auth->mem, &e) == RC_OK)
        return extauth_ask(&c->s, &auth->method, &auth->files, auth->sasl, &auth->question,
                           program_answered);
    if (auth->method.name.n > 0 ||
        userauth_find(account->domain, USERAUTH_LOGIN, &program, &e) != RC_OK) {
        log_warn(EV("login can't be decided"), KS("session", session_id(&c->s)), KE(&e));
        return temporary(c);
    }
    return userauth_ask(&c->s, &program, account, sasl_password(auth->sasl), &auth->question,
                        program_answered);
}

/* A bad login; by an unknown name it takes as long as by others. */
static enum step refuse_login(struct smtp *c)
{
    if (c->auth->unknown && userauth_would_decide(sasl_login(c->auth->sasl), STR("")))
        return auth_pretend(&c->s, &c->auth->question, program_answered);
    return answer_later(c, false);
}

/* --- the exchange ------------------------------------------------------------------------ */

/* sasl.h asks who the name is, once, before it checks anything. */
static enum rc find(void *ctx, struct str login, struct arena *a, struct sasl_identity *out)
{
    struct smtp *c = ctx;
    c->auth->known = users_login_name(login, STR(""), &c->auth->mem, &c->auth->counted);
    usec_t delay = guard_delay(&c->s.client_ip, c->auth->counted, clock_mono());
    if (delay == USEC_FOREVER)
        return RC_PERM; /* too many bad logins lately: not even looked at */
    c->auth->delay = delay;
    enum rc rc = login_find(login, a, out);
    c->auth->unknown = rc == RC_PERM;
    c->auth->known = rc == RC_OK;
    if (c->auth->method.name.n == 0 || rc == RC_TEMP)
        return rc;
    if (rc == RC_PERM) /* whether there is such a user, the program knows */
        *out = (struct sasl_identity){ .login = arena_str(a, login) };
    out->external = true;
    return RC_OK;
}

static command_fn take_line;
static enum step auth_more(struct session *s);

static enum step take_line(struct session *s, struct str line)
{
    struct smtp *c = smtp_of(s);
    struct str reply = { "", 0 };
    switch (sasl_step(c->auth->sasl, line, &reply)) {
    case SASL_CONTINUE:
        stream_printf(&s->st, "334 %.*s\r\n", STR_ARG(reply));
        s->more = auth_more;
        return STEP_INPUT;
    case SASL_DONE:
        return answer_later(c, true);
    case SASL_ASK:
        return ask_program(c);
    case SASL_FAILED:
        return refuse_login(c);
    case SASL_BAD:
        return finish(c, smtp_refuse(c, "501 5.5.2", "Not what the mechanism expects"));
    case SASL_TOO_LONG:
        return finish(c, smtp_refuse(c, "500 5.5.6", "Authentication line too long"));
    case SASL_ABORTED:
        return finish(c, smtp_refuse(c, "501 5.7.0", "Authentication cancelled"));
    case SASL_TEMP:
        break;
    }
    return temporary(c);
}

static enum step auth_more(struct session *s)
{
    struct smtp *c = smtp_of(s);
    for (;;) {
        struct str line;
        enum rc rc = stream_line(&s->st, SASL_LINE_MAX + 2, false, &line);
        if (rc == RC_AGAIN)
            return STEP_INPUT;
        if (rc != RC_OK) {
            s->discarding = true; /* the rest of the line */
            return finish(c, smtp_refuse(c, "500 5.5.6", "Authentication line too long"));
        }
        enum step step = take_line(s, line);
        if (step != STEP_INPUT)
            return step;
    }
}

/* Is the method offered here and now? Then c->auth is made for it. */
static bool method_is_good(struct smtp *c, struct str name, enum step *out)
{
    struct auth *auth = mem_new(sizeof(*auth));
    bool tls = stream_is_tls(&c->s.st);
    if (is_offered(tls, name, &auth->mem, &auth->method)) {
        auth->counted = STR("");
        c->auth = auth;
        return true;
    }
    if (!tls && is_offered(true, name, &auth->mem, &auth->method))
        *out = smtp_refuse(c, "538 5.7.11", "Encryption required for this mechanism");
    else
        *out = smtp_refuse(c, "504 5.5.4", "Mechanism not offered");
    auth_free(&auth);
    return false;
}

enum step cmd_auth(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    struct str rest = str_trim(args), name = { "", 0 };
    enum step step = STEP_NEXT;
    struct err e = { .rc = RC_OK };
    (void)str_cut(&rest, ' ', &name);
    if (c->login != NULL)
        return smtp_refuse(c, "503 5.5.1", "Already authenticated");
    if (name.n == 0)
        return smtp_refuse(c, "501 5.5.4", "Syntax: AUTH mechanism [initial-response]");
    if (!method_is_good(c, name, &step))
        return step;
    const struct extauth_method *method = &c->auth->method;
    c->auth->realm = (struct sasl_realm){
        .find = find,
        .ctx = c,
        .host = smtp_domain(),
        .scheme = conf()->password_scheme,
        .challenges = method->name.n > 0 && !method->shows_password,
        .challenge = method->challenge,
    };
    if (sasl_begin(method->name.n > 0 ? method->name : name, &c->auth->realm, &c->auth->sasl,
                   &e) != RC_OK)
        return temporary(c);
    return take_line(s, rest.p == NULL ? rest : str_trim(rest));
}

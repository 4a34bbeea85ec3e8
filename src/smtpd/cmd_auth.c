/*
 * cmd_auth.c - AUTH (RFC 4954) over wire/sasl.h. Every answer to a name and password, good or
 * bad, waits as long as users/guard.h says: a timer, not a thread; unknown names take the same
 * way. Lines of the exchange never reach a log.
 */
#include "smtpd/login.h"
#include "smtpd/smtpd_int.h"

/* One exchange. */
struct auth {
    struct sasl *sasl;
    struct sasl_realm realm;
    usec_t delay; /* of the answer */
    bool good;    /* the answer that waits */
};

void auth_free(struct auth **auth)
{
    if (*auth == NULL)
        return;
    sasl_free(&(*auth)->sasl);
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
        .without_tls = o->smtp_no_tls_auths,
    };
}

static struct str mechanisms(bool has_tls, struct arena *a)
{
    struct buf names AUTO_RELEASE_BUF;
    buf_init(&names, 256);
    struct sasl_offer offered = offer(has_tls);
    if (sasl_mechanisms(&offered, &names) != RC_OK)
        return STR("");
    return arena_str(a, buf_str(&names));
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

/* --- the end of an exchange -------------------------------------------------------------- */

static enum step finish(struct smtp *c, enum step step)
{
    auth_free(&c->auth);
    return step;
}

static enum step let_in(struct smtp *c)
{
    struct err e = { .rc = RC_OK };
    const struct sasl_identity *who = sasl_identity(c->auth->sasl);
    if (login_new(who, &c->s.tmp, &c->login, &e) != RC_OK) {
        log_warn(EV("login deferred"), KS("session", session_id(&c->s)), KE(&e));
        return smtp_refuse(c, "454 4.7.0", "Temporary authentication failure");
    }
    guard_good(&c->s.client_ip, who->login);
    policy_count(c, LIMIT_CONNECTIONS);
    metric_add(METRIC_login_good_smtp, 1);
    if (str_ieq(str_from_c(sasl_mechanism(c->auth->sasl)), STR("CRAM-MD5")))
        users_weak_login(who->login, "CRAM-MD5");
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
        usec_t delay = guard_bad(&c->s.client_ip, login, conf()->login_delay, now);
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

/* --- the exchange ------------------------------------------------------------------------ */

/* sasl.h asks who the name is, once, before it checks anything. */
static enum rc find(void *ctx, struct str login, struct arena *a, struct sasl_identity *out)
{
    struct smtp *c = ctx;
    usec_t delay = guard_delay(&c->s.client_ip, login, clock_mono());
    if (delay == USEC_FOREVER)
        return RC_PERM; /* too many bad logins lately: not even looked at */
    c->auth->delay = delay;
    return login_find(login, a, out);
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
    case SASL_FAILED:
        return answer_later(c, false);
    case SASL_BAD:
        return finish(c, smtp_refuse(c, "501 5.5.2", "Not what the mechanism expects"));
    case SASL_TOO_LONG:
        return finish(c, smtp_refuse(c, "500 5.5.6", "Authentication line too long"));
    case SASL_ABORTED:
        return finish(c, smtp_refuse(c, "501 5.7.0", "Authentication cancelled"));
    case SASL_TEMP:
        break;
    }
    return finish(c, smtp_refuse(c, "454 4.7.0", "Temporary authentication failure"));
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

/* Is the mechanism offered here and now? */
static bool mechanism_is_good(struct smtp *c, struct str name, enum step *out)
{
    bool tls = stream_is_tls(&c->s.st);
    struct sasl_offer now = offer(tls), under_tls = offer(true);
    if (sasl_is_offered(&now, name))
        return true;
    if (!tls && sasl_is_offered(&under_tls, name))
        *out = smtp_refuse(c, "538 5.7.11", "Encryption required for this mechanism");
    else
        *out = smtp_refuse(c, "504 5.5.4", "Mechanism not offered");
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
    if (!mechanism_is_good(c, name, &step))
        return step;
    c->auth = mem_new(sizeof(*c->auth));
    c->auth->realm = (struct sasl_realm){
        .find = find, .ctx = c, .host = smtp_domain(), .scheme = conf()->password_scheme
    };
    if (sasl_begin(name, &c->auth->realm, &c->auth->sasl, &e) != RC_OK)
        return finish(c, smtp_refuse(c, "454 4.7.0", "Temporary authentication failure"));
    return take_line(s, rest.p == NULL ? rest : str_trim(rest));
}

/* cmd_auth.c - AUTH: SASL (RFC 5034). Without a mechanism it lists them (as old clients ask).
 */
#include "pop3d/pop3d_int.h"

static enum rc find_user(void *ctx, struct str login, struct arena *a,
                         struct sasl_identity *out)
{
    struct session *s = ctx;
    struct auth_program program;
    struct err e;
    struct str counted;
    out->login = login;
    (void)users_login_name(login, login_default_domain(), a, &counted);
    if (guard_delay(&s->client_ip, counted, clock_mono()) == USEC_FOREVER)
        return RC_PERM;
    enum rc rc = users_login(login, login_default_domain(), a, &out->account, &e);
    out->has_account = rc == RC_OK;
    if (rc != RC_OK)
        return rc;
    rc = login_program(&out->account, &program);
    out->external = rc == RC_OK;
    return rc == RC_GONE ? RC_OK : rc;
}

static enum step go_on(struct session *s, struct str line);

static enum step auth_more(struct session *s)
{
    struct str line;
    enum rc rc = stream_line(&s->st, SASL_LINE_MAX + 2, false, &line);
    if (rc == RC_AGAIN)
        return STEP_INPUT;
    if (rc == RC_PERM) {
        sasl_free(&pop3(s)->sasl);
        session_reply(s, "-ERR line too long");
        return STEP_CLOSE;
    }
    return go_on(s, line);
}

/* The exchange ended: who came in, if anybody. */
static enum step ended(struct session *s, enum sasl_status status)
{
    struct pop3_session *p = pop3(s);
    const struct sasl_identity *who = sasl_identity(p->sasl);
    struct str name = arena_str(&s->tmp, sasl_login(p->sasl));
    enum step step = STEP_NEXT;
    if (status == SASL_DONE && str_ieq(str_from_c(sasl_mechanism(p->sasl)), STR("CRAM-MD5")))
        users_weak_login(name, "CRAM-MD5");
    if (status == SASL_DONE && who != NULL && who->has_account)
        step = login_settle(s, name, &who->account);
    else if (status == SASL_ASK)
        step = login_try(s, name, sasl_password(p->sasl), login_check_password);
    else if (status == SASL_FAILED || status == SASL_DONE)
        step = login_settle(s, name, NULL);
    else if (status == SASL_TEMP)
        session_refuse(s, "-ERR [SYS/TEMP] users can't be looked up now");
    else if (status == SASL_ABORTED)
        session_refuse(s, "-ERR authentication aborted");
    else
        session_refuse(s, "-ERR not what this mechanism says");
    sasl_free(&p->sasl);
    return step;
}

static enum step go_on(struct session *s, struct str line)
{
    struct str reply;
    enum sasl_status status = sasl_step(pop3(s)->sasl, line, &reply);
    if (status != SASL_CONTINUE)
        return ended(s, status);
    stream_write_str(&s->st, STR("+ "));
    stream_write_str(&s->st, reply);
    stream_write_str(&s->st, STR("\r\n"));
    s->more = auth_more;
    return STEP_INPUT;
}

static enum step list_mechanisms(struct session *s, const struct sasl_offer *offer)
{
    struct buf names AUTO_RELEASE_BUF;
    buf_init(&names, 256);
    buf_must(sasl_mechanisms(offer, &names));
    struct str rest = buf_str(&names), name;
    session_reply(s, "+OK mechanisms follow");
    while (rest.n > 0 && str_cut(&rest, ' ', &name))
        session_reply(s, "%.*s", STR_ARG(name));
    session_reply(s, ".");
    return STEP_NEXT;
}

enum step pop3_auth(struct session *s, struct str args)
{
    struct pop3_session *p = pop3(s);
    struct sasl_offer offer = login_offer(s);
    struct str initial = str_trim(args), mechanism = { "", 0 };
    struct err e;
    if (initial.n == 0)
        return list_mechanisms(s, &offer);
    (void)str_cut(&initial, ' ', &mechanism);
    if (!sasl_is_offered(&offer, mechanism)) {
        session_refuse(s, "-ERR [AUTH] this mechanism is not offered here");
        return STEP_NEXT;
    }
    struct sasl_realm realm = {
        .find = find_user,
        .ctx = s,
        .host = conf()->root_domain,
        .scheme = conf()->password_scheme,
    };
    if (sasl_begin(mechanism, &realm, &p->sasl, &e) != RC_OK) {
        session_refuse(s, "-ERR [SYS/TEMP] authentication can't start: %s", e.text);
        return STEP_NEXT;
    }
    return go_on(s, initial);
}

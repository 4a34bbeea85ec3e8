/*
 * smtpd.c - the protocol's entry: greeting, end of a session, waiting times; and what a session
 * may do, from its port, its login and the settings in force.
 */
#include "smtpd/extauth.h"
#include "smtpd/login.h"
#include "smtpd/smtpd_int.h"

static void (*notify)(struct str id);
static bool (*flush)(struct str domain);

enum rc smtpd_init(struct commit *commit, void (*notify_queue)(struct str id),
                   bool (*flush_queue)(struct str domain), struct err *e)
{
    notify = notify_queue;
    flush = flush_queue;
    store_init(commit);
    login_init();
    gates_init();
    enum rc rc = spool_init(commit, e);
    if (rc == RC_OK)
        rc = filters_init(e);
    if (rc == RC_OK)
        rc = extauth_files_init(e);
    return rc == RC_OK ? sasl_warm_up(e) : rc;
}

void smtp_notify_queue(struct str id)
{
    if (notify != NULL)
        notify(id);
}

bool smtp_flush_queue(struct str domain)
{
    return flush != NULL && flush(domain);
}

bool smtp_etrn_is_allowed(const struct smtp *c)
{
    return conf()->allow_smtp_etrn || smtp_has_right(c, RIGHT_ETRN) ||
           (c->gates.properties & PROPERTY_ETRN) != 0;
}

bool smtpd_admit(struct session *s)
{
    (void)s;
    return policy_disk_has_room(0) && policy_memory_is_free();
}

/* --- what the session may do ------------------------------------------------------------- */

bool smtpd_is_submission(const char *service)
{
    return strcmp(service, "submission") == 0 ||
           (strcmp(service, "smtps") == 0 && conf()->origin == CONF_NEW);
}

bool smtp_has_right(const struct smtp *c, enum smtp_right right)
{
    return c->login != NULL && (c->login->rights & (unsigned)right) != 0;
}

uint64_t smtp_size_limit(const struct smtp *c)
{
    if (smtp_has_right(c, RIGHT_SIZE))
        return 0;
    uint64_t kb = conf()->max_message_size;
    if (c->login != NULL && c->login->has_size_limit)
        kb = c->login->max_message_kb;
    return kb * 1024;
}

size_t smtp_max_recipients(void)
{
    return (size_t)conf()->max_recipients; /* at least 100: RFC 5321 4.5.3.1.8 */
}

bool smtp_offers_tls(const struct smtp *c)
{
    return !stream_is_tls(&c->s.st) && conf()->enable_smtp_tls && engine_has_tls(c->s.engine);
}

bool smtp_vrfy_is_allowed(const struct smtp *c)
{
    return conf()->allow_smtp_vrfy || smtp_has_right(c, RIGHT_VRFY) ||
           (c->gates.properties & PROPERTY_VRFY) != 0;
}

/* --- the protocol ------------------------------------------------------------------------ */

static enum step greet(struct smtp *c)
{
    struct session *s = &c->s;
    if (!s->listener->local && !policy_client(c))
        return STEP_CLOSE;
    if (!s->listener->local)
        policy_count(c, LIMIT_CONNECTIONS);
    session_reply(s, "220 %.*s ESMTP Hikyaku", STR_ARG(smtp_domain()));
    return smtp_next(c);
}

static enum step client_is_known(struct session *s)
{
    enum step step = STEP_NEXT;
    return policy_awaits(smtp_of(s), client_is_known, &step) ? step : greet(smtp_of(s));
}

enum step smtp_greet(struct session *s)
{
    struct smtp *c = smtp_of(s);
    enum step step = STEP_NEXT;
    if (s->listener->local)
        c->login = login_of_user(s->client_uid);
    else if (policy_asks(c, GATE_CONNECT, client_is_known, &step))
        return step;
    return greet(c);
}

void smtp_end(struct session *s)
{
    struct smtp *c = smtp_of(s);
    mem_free(&c->facts);
    filters_free(c);
    transaction_free(c);
    auth_free(&c->auth);
    login_free(&c->login);
    mem_free(&c->helo);
}

usec_t smtp_idle(struct session *s)
{
    const struct options *o = conf();
    const struct service_options *services[] = { &o->smtp, &o->smtps, &o->submission };
    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        if (services[i]->timeout_s > 0 && strcmp(services[i]->name, s->listener->service) == 0)
            return services[i]->timeout_s * USEC_S;
    return o->smtp_timeout;
}

unsigned smtp_max_errors(struct session *s)
{
    (void)s;
    return (unsigned)conf()->smtp_max_errors;
}

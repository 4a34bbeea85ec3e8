/* role_listen.c - what all roles with clients share: the certificate, and the listeners that
 * the master opened for them. */
#include "conf/options.h"
#include "control/control.h"
#include "fingerd/fingerd.h"
#include "master/roles.h"
#include "pop3d/pop3d.h"
#include "smtpd/smtpd.h"
#include "sys/file.h"
#include "sys/tls.h"
#include "web/web.h"
#include "wire/session.h"

static struct listener listeners[LISTENERS_MAX];
static struct service_count counts[LISTENERS_MAX];

/* What tells a service's listeners from others', and how many sessions they may have. */
static const struct {
    const char *name;
    enum metric opened;
    size_t options; /* where in struct options */
} services[] = {
#define SERVICE(letter, member, name, port, listen, en)                                        \
    { name, METRIC_sessions_##member, offsetof(struct options, member) },
#include "conf/switches.def"
#undef SERVICE
};

static void name_service(struct listener *l)
{
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        if (strcmp(services[i].name, l->service) != 0)
            continue;
        const struct service_options *o =
            (const void *)((const char *)conf() + services[i].options);
        counts[i].most = o->max_sessions;
        l->count = &counts[i];
        l->opened = services[i].opened;
    }
}

/* --- TLS --------------------------------------------------------------------------------- */

static struct tls_clients asked_of_clients;

static struct tls_clients settings_ask(void)
{
    const struct options *o = conf();
    return (struct tls_clients){
        .verify = o->ssl_want_verify,
        .demand = o->ssl_want_cert,
        .self_signed_ok = o->ssl_allow_self_signed,
        .trust = options_tls_trust(o),
    };
}

static bool settings_ask_otherwise(void)
{
    const struct tls_clients now = settings_ask(), *was = &asked_of_clients;
    return now.verify != was->verify || now.demand != was->demand ||
           now.self_signed_ok != was->self_signed_ok || !tls_trust_eq(&now.trust, &was->trust);
}

void role_load_certificate(struct engine *engine)
{
    struct tls_ctx *ctx = NULL;
    struct err e;
    bool changed = settings_ask_otherwise();
    asked_of_clients = settings_ask();
    if (!file_exists("server.cert") && !file_exists("server.key"))
        return;
    if (tls_ctx_load("server.cert", "server.key", &asked_of_clients, &ctx, &e) != RC_OK) {
        log_error(EV("certificate not usable"), KE(&e));
        if (changed) /* what clients must prove can't be asked: no TLS is better than less of it
                      */
            engine_set_tls(engine, NULL);
        return;
    }
    role_whole_board()->certificate_expires = tls_ctx_expires(ctx);
    engine_set_tls(engine, ctx);
}

void role_refresh(struct engine *engine)
{
    if (options_refresh() && settings_ask_otherwise())
        role_load_certificate(engine);
}

/* --- listeners --------------------------------------------------------------------------- */

static const struct protocol *protocol_of(const char *service)
{
    static const struct {
        const char *begins; /* with TLS from the start or not */
        const struct protocol *protocol;
    } rows[] = {
        { "smtp", &smtp_protocol },     { "submission", &smtp_protocol },
        { "pop3", &pop3_protocol },     { "ctrl", &control_protocol },
        { "finger", &finger_protocol }, { "http", &web_protocol },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_starts(str_from_c(service), str_from_c(rows[i].begins)))
            return rows[i].protocol;
    BUG("service without protocol");
}

/* Does a connection from there begin with a PROXY header? Not those of the control protocol and
 * FINGER: they aren't for balancers. */
static bool is_behind_balancer(const struct listener *l, const struct ip *peer)
{
    const struct protocol *p = l->protocol;
    return p != &control_protocol && p != &finger_protocol &&
           ip_in_list(peer, conf()->proxy_protocol_from);
}

enum rc role_listen(const struct role_env *env, struct engine *engine, struct err *e)
{
    enum rc rc = RC_OK;
    engine_set_balancers(engine, is_behind_balancer);
    for (size_t i = 0; i < env->listener_count && rc == RC_OK; i++) {
        const struct open_listener *o = &env->listeners[i];
        if (!role_serves(this_role, o->service))
            continue;
        listeners[i] = (struct listener){
            .protocol = protocol_of(o->service),
            .service = o->service,
            .fd = o->fd,
            .ip = o->ip,
            .port = o->port,
            .implicit_tls =
                str_ends(str_from_c(o->service), STR("s")), /* smtps, pop3s, ctrls */
        };
        name_service(&listeners[i]);
        rc = engine_listen(engine, &listeners[i], e);
    }
    return rc;
}

/* role_listen.c - what all roles with clients share: the certificate, and the listeners that
 * the master opened for them. */
#include "conf/options.h"
#include "control/control.h"
#include "fingerd/fingerd.h"
#include "master/roles.h"
#include "pop3d/pop3d.h"
#include "smtpd/smtpd.h"
#include "sys/certificate.h"
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

/* The files that certificates are read from, as they are now. */
static uint64_t certificates_stamp(void)
{
    static const char *const fixed[] = { "server.cert", "server.key", "certs.pem",
                                         "certs",       "tls",        OWN_AUTHORITY_CRL };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str *places = arena_new_array(&a, struct str, CERTIFICATE_PLACES_MAX);
    size_t count = 0;
    struct file_id id = { 0 };
    struct err e;
    uint64_t sum = hash_seed();
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (file_id_get(fixed[i], &id, &e) == RC_OK)
            sum = hash_text(str_from((const char *)&id, sizeof(id)), false, sum);
    if (certificate_places(&a, CERTIFICATE_PLACES_MAX, places, &count, &e) != RC_OK)
        count = 0;
    for (size_t i = 0; i < count; i++)
        if (file_id_get(arena_printf(&a, "tls/%.*s/server.cert", STR_ARG(places[i])).p, &id,
                        &e) == RC_OK)
            sum += hash_text(str_from((const char *)&id, sizeof(id)), false, hash_seed());
    return sum;
}

static uint64_t loaded_stamp;

/* Did somebody put others there? Looked at once a second. A pair that is just being put in its
 * place waits. */
static bool certificates_changed(void)
{
    static usec_t next;
    usec_t now = clock_mono();
    if (now < next)
        return false;
    next = now + USEC_S;
    return !file_exists("hikyaku/tls/install") && certificates_stamp() != loaded_stamp;
}

/* Those of names, for clients that ask for one. */
static void load_named(struct tls_ctx *ctx)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str *places = arena_new_array(&a, struct str, CERTIFICATE_PLACES_MAX);
    size_t count = 0;
    struct err e;
    if (certificate_places(&a, CERTIFICATE_PLACES_MAX, places, &count, &e) != RC_OK)
        log_error(EV("certificates of names not usable"), KE(&e));
    for (size_t i = 0; i < count; i++) {
        const char *cert = arena_printf(&a, "tls/%.*s/server.cert", STR_ARG(places[i])).p;
        const char *key = arena_printf(&a, "tls/%.*s/server.key", STR_ARG(places[i])).p;
        if (file_exists(cert) && tls_ctx_add(ctx, cert, key, &e) != RC_OK)
            log_error(EV("certificate not usable"), KS("name", places[i]), KE(&e));
    }
}

void role_load_certificate(struct engine *engine)
{
    struct tls_ctx *ctx = NULL;
    struct err e;
    bool changed = settings_ask_otherwise();
    asked_of_clients = settings_ask();
    loaded_stamp = certificates_stamp();
    if (!file_exists("server.cert") && !file_exists("server.key"))
        return;
    if (tls_ctx_load("server.cert", "server.key", &asked_of_clients, &ctx, &e) != RC_OK) {
        log_error(EV("certificate not usable"), KE(&e));
        if (changed) /* what clients must prove can't be asked: no TLS is better than less of it
                      */
            engine_set_tls(engine, NULL);
        return;
    }
    load_named(ctx);
    role_whole_board()->certificate_expires = tls_ctx_expires(ctx);
    engine_set_tls(engine, ctx);
}

void role_refresh(struct engine *engine)
{
    bool otherwise = options_refresh() && settings_ask_otherwise();
    if (certificates_changed() || otherwise)
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

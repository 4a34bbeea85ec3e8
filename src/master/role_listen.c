/* role_listen.c - what all roles with clients share: the certificate, and the listeners that
 * the master opened for them. */
#include "master/roles.h"
#include "sys/file.h"
#include "sys/tls.h"
#include "wire/session.h"

static struct listener listeners[LISTENERS_MAX];

void role_load_certificate(struct engine *engine)
{
    struct tls_ctx *ctx = NULL;
    struct err e;
    if (!file_exists("server.cert") && !file_exists("server.key"))
        return;
    if (tls_ctx_load("server.cert", "server.key", &ctx, &e) != RC_OK) {
        log_error(EV("certificate not usable"), KE(&e));
        return;
    }
    role_whole_board()->certificate_expires = tls_ctx_expires(ctx);
    engine_set_tls(engine, ctx);
}

enum rc role_listen(const struct role_env *env, struct engine *engine,
                    const struct protocol *protocol, struct err *e)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < env->listener_count && rc == RC_OK; i++) {
        const struct open_listener *o = &env->listeners[i];
        if (!role_serves(this_role, o->service))
            continue;
        listeners[i] = (struct listener){
            .protocol = protocol,
            .service = o->service,
            .fd = o->fd,
            .ip = o->ip,
            .port = o->port,
            /* smtps, pop3s, ctrls */
            .implicit_tls = str_ends(str_from_c(o->service), STR("s")),
        };
        rc = engine_listen(engine, &listeners[i], e);
    }
    return rc;
}

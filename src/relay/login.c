/* login.c - logging in at another server: userauth/smtp/HOST.tab, then each parent domain's
 * (specification 3, section 5), over GNU SASL, which doesn't know XOAUTH2. */
#include "relay/relay_int.h"
#include "sys/file.h"
#include <gsasl.h>

/* The table's first line, in a. False: there is none for the host. */
static bool find_login(struct str host, struct arena *a, struct tab_row *out)
{
    struct str name = host;
    while (name.n > 0) {
        struct tab tab;
        struct err e;
        struct str path = arena_printf(a, "userauth/smtp/%.*s.tab", STR_ARG(name));
        if (!str_has_any(name, "/\\") && name.p[0] != '.' &&
            tab_read(path.p, a, &tab, &e) == RC_OK && tab.row_count > 0 &&
            tab.rows[0].count >= 3) {
            *out = tab.rows[0];
            return true;
        }
        size_t dot = str_find(name, '.');
        name = dot == SIZE_MAX ? STR("") : str_skip(name, dot + 1);
    }
    return false;
}

static bool is_offered(const struct connection *c, struct str mechanism)
{
    struct str rest = c->mechanisms, word;
    while (rest.n > 0 && str_cut(&rest, ' ', &word))
        if (str_ieq(word, mechanism))
            return true;
    return false;
}

/* A token instead of a password (XOAUTH2); a server that refuses it says why in a challenge. */
static enum rc show_token(struct connection *c, const struct tab_row *row, struct arena *a,
                          struct reply *out, struct err *e)
{
    char *text = NULL;
    size_t n = 0;
    struct str token = arena_printf(a, "user=%.*s\1auth=Bearer %.*s\1\1",
                                    STR_ARG(row->values[1]), STR_ARG(row->values[2]));
    if (gsasl_base64_to(token.p, token.n, &text, &n) != GSASL_OK)
        return err_temp(e, "4.3.0", "out of memory");
    struct str line = arena_printf(a, "AUTH XOAUTH2 %s\r\n", text);
    gsasl_free(text);
    enum rc rc = client_write(c->client, line, e);
    if (rc == RC_OK)
        rc = connection_reply(c, a, out, e);
    if (rc == RC_OK && out->code == 334)
        rc = client_write(c->client, STR("\r\n"), e) == RC_OK ? connection_reply(c, a, out, e)
                                                              : RC_GONE;
    if (rc != RC_OK)
        return RC_GONE;
    return out->code == 235 ? RC_OK
                            : err_temp(e, "4.7.0", "login refused: %.*s", STR_ARG(out->text));
}

/* Challenges and answers until the remote decides. */
static enum rc exchange(struct connection *c, Gsasl_session *s, struct str mechanism,
                        struct arena *a, struct reply *out, struct err *e)
{
    struct str line = arena_printf(a, "AUTH %.*s\r\n", STR_ARG(mechanism));
    bool client_first =
        str_ieq(mechanism, STR("PLAIN")) || str_istarts(mechanism, STR("SCRAM"));
    const char *challenge = "";
    for (unsigned i = 0; i < 10; i++) {
        char *answer = NULL;
        if (i > 0 || client_first) {
            int rc = gsasl_step64(s, challenge, &answer);
            if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) {
                gsasl_free(answer);
                return err_temp(e, "4.7.0", "login at the server: %s", gsasl_strerror(rc));
            }
            line = i == 0 ? arena_printf(a, "AUTH %.*s %s\r\n", STR_ARG(mechanism), answer)
                          : arena_printf(a, "%s\r\n", answer);
            gsasl_free(answer);
        }
        if (client_write(c->client, line, e) != RC_OK ||
            connection_reply(c, a, out, e) != RC_OK)
            return RC_GONE;
        if (out->code != 334)
            break;
        challenge = arena_c(a, str_skip(out->text, 4));
    }
    if (out->code == 235)
        return RC_OK;
    return err_temp(e, "4.7.0", "login refused: %.*s", STR_ARG(out->text));
}

enum rc login_to(struct connection *c, struct arena *a, struct reply *out, struct err *e)
{
    struct tab_row row;
    Gsasl *ctx = NULL;
    Gsasl_session *s = NULL;
    if (!find_login(c->target.name, a, &row))
        return RC_OK;
    struct str mechanism = str_trim(row.values[0]);
    bool by_token = str_ieq(mechanism, STR("XOAUTH2"));
    bool in_the_clear =
        by_token || str_ieq(mechanism, STR("PLAIN")) || str_ieq(mechanism, STR("LOGIN"));
    if (!is_offered(c, mechanism))
        return err_temp(e, "4.7.0",
                        "the server doesn't offer AUTH %.*s, which userauth/smtp asks for",
                        STR_ARG(mechanism));
    if (in_the_clear && client_tls_version(c->client) == NULL &&
        c->target.options.tls != TLS_NONE && !ip_is_loopback(&c->target.ip))
        return err_temp(e, "4.7.0",
                        "no password is sent without TLS (NeedTLS=0 would allow it)");
    if (by_token)
        return show_token(c, &row, a, out, e);
    if (gsasl_init(&ctx) != GSASL_OK ||
        gsasl_client_start(ctx, arena_c(a, mechanism), &s) != GSASL_OK) {
        if (ctx != NULL)
            gsasl_done(ctx);
        return err_temp(e, "4.7.0", "userauth/smtp: no method %.*s", STR_ARG(mechanism));
    }
    (void)gsasl_property_set(s, GSASL_AUTHID, arena_c(a, row.values[1]));
    (void)gsasl_property_set(s, GSASL_PASSWORD, arena_c(a, row.values[2]));
    (void)gsasl_property_set(s, GSASL_HOSTNAME, arena_c(a, c->target.name));
    (void)gsasl_property_set(s, GSASL_SERVICE, "smtp");
    enum rc rc = exchange(c, s, mechanism, a, out, e);
    gsasl_finish(s);
    gsasl_done(ctx);
    return rc;
}

/*
 * connection.c - a connection to another server: greeting, EHLO, STARTTLS, login. What the
 * remote says is hostile input: lines, their number and the time for them have limits.
 */
#include "relay/relay_int.h"
#include "sys/lock.h"

/* RFC 5321 4.5.3.2 */
#define CONNECT_TIME (30 * USEC_S)
#define GREETING_TIME (300 * USEC_S)
#define COMMAND_TIME (300 * USEC_S)
#define RETRY_TIME (60 * USEC_S) /* of authorities that couldn't be loaded */
#define REPLY_LINES_MAX 100u
#define REPLY_BYTES_MAX ((size_t)4096)

static struct lock tls_lock = LOCK_INIT(LOCK_TLS); /* protects tls_ctx */
static struct client_tls_ctx *tls_ctx;
static struct tls_trust trust; /* of tls_ctx, or what couldn't be loaded until retry_at */
static usec_t retry_at;        /* 0: it was loaded */

enum rc connection_init(struct err *e)
{
    trust = options_tls_trust(conf());
    return client_tls_ctx_new(&trust, &tls_ctx, e);
}

void connection_refresh(void)
{
    struct err e;
    struct tls_trust now = options_tls_trust(conf());
    struct client_tls_ctx *fresh = NULL;
    if (tls_trust_eq(&now, &trust) && (retry_at == 0 || clock_mono() < retry_at))
        return;
    trust = now;
    if (client_tls_ctx_new(&now, &fresh, &e) != RC_OK) {
        log_error(EV("certificate authorities not usable"), KE(&e));
        retry_at = clock_mono() + RETRY_TIME;
        return;
    }
    retry_at = 0;
    lock_take(&tls_lock);
    struct client_tls_ctx *before = tls_ctx;
    tls_ctx = fresh;
    lock_drop(&tls_lock);
    client_tls_ctx_put(&before);
}

struct client_tls_ctx *relay_tls(void)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&tls_lock);
    (void)held;
    return client_tls_ctx_get(tls_ctx);
}

void connection_close(struct connection **connection, bool polite)
{
    struct connection *c = *connection;
    struct err e;
    *connection = NULL;
    if (c == NULL)
        return;
    if (polite) {
        client_set_timeout(c->client, USEC_S);
        (void)!client_write(c->client, STR("QUIT\r\n"), &e);
    }
    client_close(&c->client);
    if (c->has_slot)
        slot_free(&c->target);
    arena_release(&c->mem);
    mem_free(&c);
}

/* --- replies ----------------------------------------------------------------------------- */

enum rc connection_reply(struct connection *c, struct arena *a, struct reply *out,
                         struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct str line;
    buf_init(&text, REPLY_BYTES_MAX);
    *out = (struct reply){ .code = 0, .text = STR("") };
    for (unsigned i = 0; i < REPLY_LINES_MAX; i++) {
        uint64_t code = 0;
        if (client_line(c->client, &line, e) != RC_OK)
            return RC_GONE;
        bool more = line.n > 3 && line.p[3] == '-';
        if (line.n < 3 || !str_to_u64(str_head(line, 3), &code) || code < 200 || code > 599 ||
            (line.n > 3 && !more && line.p[3] != ' ') || (i > 0 && code != out->code))
            return err_gone(e, "it doesn't speak SMTP: %.*s", (int)MIN(line.n, 80u), line.p);
        out->code = (unsigned)code;
        struct str said = i == 0 ? line : str_skip(line, 4);
        said = str_head(said, REPLY_BYTES_MAX - text.n - 2);
        if ((i > 0 && text.n < REPLY_BYTES_MAX - 2 && buf_add_char(&text, ' ') != RC_OK) ||
            buf_add_str(&text, said) != RC_OK)
            break;
        if (i == 0 && more)
            text.p[3] = ' ';
        if (!more) {
            out->text = arena_str(a, buf_str(&text));
            return RC_OK;
        }
    }
    return err_gone(e, "its reply has too many lines");
}

static enum rc command(struct connection *c, struct str line, struct arena *a,
                       struct reply *out, struct err *e)
{
    enum rc rc = client_write(c->client, line, e);
    return rc == RC_OK ? connection_reply(c, a, out, e) : RC_GONE;
}

/* --- EHLO -------------------------------------------------------------------------------- */

static struct str our_name(void)
{
    const struct options *o = conf();
    return o->helo_domain.n > 0 ? o->helo_domain : options_server_name();
}

static void take_keyword(struct connection *c, struct str line)
{
    struct str rest = line, name = { "", 0 };
    (void)str_cut(&rest, ' ', &name);
    const struct {
        const char *name;
        bool *flag;
    } flags[] = { { "PIPELINING", &c->pipelining }, { "8BITMIME", &c->eight_bit },
                  { "SMTPUTF8", &c->utf8 },         { "DSN", &c->dsn },
                  { "STARTTLS", &c->starttls },     { "SIZE", &c->size } };
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (str_ieq(name, str_from_c(flags[i].name)))
            *flags[i].flag = true;
    if (str_ieq(name, STR("SIZE")) && rest.p != NULL)
        (void)str_to_u64(str_trim(rest), &c->size_limit);
    if (str_ieq(name, STR("AUTH")) && rest.p != NULL)
        c->mechanisms = arena_str(&c->mem, rest);
}

/* EHLO, whose lines are keywords; HELO when it isn't known. */
static enum rc say_hello(struct connection *c, struct arena *a, struct reply *out,
                         struct err *e)
{
    struct str name = our_name(), line;
    c->pipelining = c->eight_bit = c->utf8 = c->dsn = c->starttls = c->size = false;
    c->size_limit = 0;
    c->mechanisms = STR("");
    enum rc rc = client_write(c->client, arena_printf(a, "EHLO %.*s\r\n", STR_ARG(name)), e);
    bool more = true;
    for (unsigned i = 0; rc == RC_OK && more; i++) {
        uint64_t code = 0;
        if (i == REPLY_LINES_MAX)
            return err_gone(e, "its reply has too many lines");
        rc = client_line(c->client, &line, e);
        if (rc != RC_OK || line.n < 3 || !str_to_u64(str_head(line, 3), &code))
            return rc != RC_OK ? RC_GONE : err_gone(e, "it doesn't speak SMTP");
        more = line.n > 3 && line.p[3] == '-';
        out->code = (unsigned)code;
        if (i == 0)
            out->text = arena_str(a, str_head(line, REPLY_BYTES_MAX));
        else if (code == 250)
            take_keyword(c, str_skip(line, 4));
    }
    if (rc == RC_OK && out->code >= 500 && out->code != 521 && out->code != 554)
        rc = command(c, arena_printf(a, "HELO %.*s\r\n", STR_ARG(name)), a, out, e);
    return rc;
}

/* --- opening ----------------------------------------------------------------------------- */

/* A reply that isn't the one wanted. */
static enum rc refused(const struct reply *r, struct err *e)
{
    struct str status = reason_status(r->code, r->text);
    char text[8];
    (void)snprintf(text, sizeof(text), "%.*s", (int)MIN(status.n, 7u), status.p);
    return r->code >= 500 ? err_perm(e, text, "%.*s", STR_ARG(r->text))
                          : err_temp(e, text, "%.*s", STR_ARG(r->text));
}

static enum rc go_to_tls(struct connection *c, struct arena *a, struct reply *out,
                         struct err *e)
{
    const struct options *o = conf();
    bool verify = o->ssl_want_verify;
    c->verified = verify;
    enum rc rc = command(c, STR("STARTTLS\r\n"), a, out, e);
    if (rc == RC_OK && out->code != 220)
        return refused(out, e);
    struct client_tls_ctx *ctx = relay_tls();
    if (rc == RC_OK)
        rc = client_start_tls_with(c->client, ctx, c->target.name, verify,
                                   o->ssl_allow_self_signed, e);
    client_tls_ctx_put(&ctx);
    return rc == RC_OK ? say_hello(c, a, out, e) : rc;
}

enum rc connection_greet(struct connection *c, struct arena *a, struct reply *out,
                         struct err *e)
{
    client_set_timeout(c->client, patience(GREETING_TIME));
    enum rc rc = connection_reply(c, a, out, e);
    if (rc == RC_OK && out->code != 220)
        rc = refused(out, e);
    if (rc == RC_OK) {
        struct str rest = str_skip(out->text, 4);
        (void)str_cut(&rest, ' ', &c->greeting);
        c->greeting = arena_str(&c->mem, c->greeting);
        client_set_timeout(c->client, patience(COMMAND_TIME));
        rc = say_hello(c, a, out, e);
    }
    if (rc == RC_OK && out->code != 250)
        rc = refused(out, e);
    if (rc != RC_OK)
        return rc;
    if (c->target.options.tls != TLS_NONE && c->starttls)
        rc = go_to_tls(c, a, out, e);
    else if (c->target.options.tls == TLS_MUST)
        rc = err_temp(e, "4.7.4", "it offers no TLS, which is demanded");
    if (rc == RC_OK && out->code != 250)
        rc = refused(out, e);
    return rc == RC_OK ? login_to(c, a, out, e) : rc;
}

static enum rc open_one(const struct target *t, struct connection **out, struct arena *a,
                        struct reply *out_reply, struct err *e)
{
    if (!slot_take(t))
        return RC_AGAIN;
    struct connection *c = mem_new(sizeof(*c));
    c->has_slot = true;
    c->target = *t;
    c->target.name = arena_str(&c->mem, t->name);
    enum rc rc =
        client_open_ip(&t->ip, t->port, t->options.has_source ? &t->options.source : NULL,
                       patience(CONNECT_TIME), &c->client, e);
    if (rc == RC_OK)
        rc = connection_greet(c, a, out_reply, e);
    if (rc != RC_OK)
        connection_close(&c, out_reply->code != 0);
    else
        *out = c;
    return rc == RC_GONE ? err_temp(e, "4.4.2", "%s", arena_c(a, str_from_c(e->text))) : rc;
}

enum rc connection_open(const struct target *t, struct connection **out, struct arena *a,
                        struct reply *out_reply, struct err *e)
{
    *out_reply = (struct reply){ .code = 0, .text = STR("") };
    enum rc rc = open_one(t, out, a, out_reply, e);
    /* A server whose TLS doesn't work gets the mail as it would without STARTTLS, where nobody
     * asked for more (RFC 7435). */
    bool tls_failed = rc != RC_OK && rc != RC_AGAIN && out_reply->code == 220 &&
                      t->options.tls == TLS_TRY && !conf()->ssl_want_verify &&
                      strncmp(e->dsn + 1, ".7.5", 4) == 0;
    if (!tls_failed)
        return rc;
    struct target plain = *t;
    plain.options.tls = TLS_NONE;
    rc = open_one(&plain, out, a, out_reply, e);
    if (rc == RC_OK)
        (*out)->target.options.tls = TLS_TRY; /* what it is kept and found under */
    return rc;
}

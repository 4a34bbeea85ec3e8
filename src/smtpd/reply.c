/*
 * reply.c - reply lines: code, enhanced code (RFC 2034, RFC 3463), text. Error replies carry
 * the administrator's CustomSMTPMessage as far as it fits into 512 octets (RFC 5321 4.5.3.1.5).
 * Text that came from the client isn't sent back, except a canonical address by VRFY.
 */
#include "smtpd/smtpd_int.h"

#define REPLY_MAX ((size_t)510) /* without CRLF */

PRINTF(3, 0)
static struct str reply_text(struct smtp *c, const char *code, const char *fmt, va_list ap)
{
    char text[REPLY_MAX + 1];
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    struct str said = str_from(text, n < 0 ? 0 : MIN((size_t)n, sizeof(text) - 1));
    return arena_printf(&c->s.tmp, "%s %.*s", code, STR_ARG(said));
}

enum step smtp_next(struct smtp *c)
{
    if (c->gates.delay_s == 0)
        return STEP_NEXT;
    c->s.more = NULL;
    c->s.wake_at = clock_mono() + c->gates.delay_s * USEC_S;
    return STEP_DELAY;
}

enum step smtp_ok(struct smtp *c, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = reply_text(c, code, fmt, ap);
    va_end(ap);
    session_reply(&c->s, "%.*s", STR_ARG(text));
    return smtp_next(c);
}

struct str smtp_with_custom(struct str text, struct arena *a)
{
    struct str custom = conf()->custom_smtp_message;
    if (custom.n > 0 && !str_has_control(custom))
        text = arena_printf(a, "%.*s - %.*s", STR_ARG(text), STR_ARG(custom));
    return str_head(text, REPLY_MAX);
}

enum step smtp_refuse(struct smtp *c, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = smtp_with_custom(reply_text(c, code, fmt, ap), &c->s.tmp);
    va_end(ap);
    if (code[0] == '5')
        session_refuse(&c->s, "%.*s", STR_ARG(text));
    else
        session_reply(&c->s, "%.*s", STR_ARG(text));
    return smtp_next(c);
}

enum step smtp_trouble(struct smtp *c, const char *what, const struct err *e)
{
    log_warn(EV("temporary trouble"), KS("session", session_id(&c->s)), KV("what", what),
             KE(e));
    if (strcmp(e->dsn, "4.3.1") == 0)
        return smtp_refuse(c, "452 4.3.1", "Insufficient system storage, try again later");
    return smtp_refuse(c, "451 4.3.0", "Temporary trouble on our side, try again later");
}

struct str smtp_domain(void)
{
    return options_server_name();
}

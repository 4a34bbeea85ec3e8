/*
 * cmd_helo.c - HELO and EHLO (RFC 5321 4.1.1.1, RFC 1869): the client's name, and what this
 * session offers now. Both end a transaction, as RSET does.
 */
#include "smtpd/smtpd_int.h"

#define HELO_MAX ((size_t)255)

/* Any name without blanks and controls is taken: what clients call themselves proves nothing,
 * and trace headers clean it. */
bool smtpd_name_is_good(struct str name)
{
    return name.n > 0 && name.n <= HELO_MAX && !str_has_control(name) &&
           !str_has_any(name, " \t") && str_is_utf8(name);
}

static bool greeted(struct smtp *c, struct str args, bool esmtp)
{
    struct str name = str_trim(args);
    if (!smtpd_name_is_good(name))
        return false;
    transaction_free(c);
    mem_free(&c->helo);
    c->helo = mem_new(name.n + 1);
    memcpy(c->helo, name.p, name.n);
    c->esmtp = esmtp;
    session_enter(&c->s, SMTP_GREETED);
    return true;
}

#define BAD_NAME_CODE "501 5.5.4"
#define BAD_NAME_TEXT "Your name is missing or not a name"

struct str smtpd_name_refusal(struct arena *a)
{
    return smtp_with_custom(STR(BAD_NAME_CODE " " BAD_NAME_TEXT), a);
}

static enum step refuse_name(struct smtp *c)
{
    return smtp_refuse(c, BAD_NAME_CODE, BAD_NAME_TEXT);
}

enum step cmd_helo(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    if (!greeted(c, args, false))
        return refuse_name(c);
    session_reply(s, "250 %.*s", STR_ARG(smtp_domain()));
    return smtp_next(c);
}

enum step cmd_ehlo(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    if (!greeted(c, args, true))
        return refuse_name(c);
    session_reply(s, "250-%.*s", STR_ARG(smtp_domain()));
    session_reply(s, "250-SIZE %" PRIu64, smtp_size_limit(c));
    session_reply(s, "250-8BITMIME");
    session_reply(s, "250-SMTPUTF8");
    session_reply(s, "250-ENHANCEDSTATUSCODES");
    session_reply(s, "250-DSN");
    session_reply(s, "250-PIPELINING");
    if (!filters_are_there(FILTER_PRE_DATA)) /* they come before the message does */
        session_reply(s, "250-CHUNKING");
    if (smtp_offers_tls(c))
        session_reply(s, "250-STARTTLS");
    struct str mechanisms = smtp_mechanisms(c);
    if (c->login == NULL && mechanisms.n > 0)
        session_reply(s, "250-AUTH %.*s", STR_ARG(mechanisms));
    session_reply(s, "250-LIMITS RCPTMAX=%zu", smtp_max_recipients());
    if (smtp_etrn_is_allowed(c))
        session_reply(s, "250-ETRN");
    if (smtp_vrfy_is_allowed(c))
        session_reply(s, "250-VRFY");
    session_reply(s, "250 HELP");
    return smtp_next(c);
}

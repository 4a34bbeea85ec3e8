/*
 * cmd_starttls.c - STARTTLS (RFC 3207). The table's CMD_LAST refuses it when anything is
 * pipelined behind it, and stream_start_tls drops what comes before the handshake; everything
 * learnt in plain text is forgotten here.
 */
#include "smtpd/smtpd_int.h"

enum step cmd_starttls(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    if (str_trim(args).n > 0)
        return smtp_refuse(c, "501 5.5.4", "STARTTLS takes no parameters");
    if (stream_is_tls(&s->st))
        return smtp_refuse(c, "503 5.5.1", "TLS is active already");
    if (!smtp_offers_tls(c))
        return smtp_refuse(c, "454 4.7.0", "TLS is not available now");
    session_reply(s, "220 2.0.0 Ready for TLS");
    transaction_free(c);
    login_free(&c->login);
    mem_free(&c->helo);
    c->esmtp = false;
    session_enter(s, SMTP_CONNECTED);
    s->more = NULL;
    return STEP_TLS;
}

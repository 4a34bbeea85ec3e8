/*
 * policy_access.c - who may come in, and who may begin a transaction: smtp.ipmap.tab with
 * SMTP-IpMapDropCode, the listener's SmtpConfig flags, authentication where users hand in mail.
 */
#include "smtpd/smtpd_int.h"

bool policy_client(struct smtp *c)
{
    unsigned line = 0;
    char client[IP_TEXT_BYTES];
    int64_t drop = conf()->smtp_ip_map_drop_code;
    struct str text = conf()->smtp_msg_ip_ban;
    if (access_is_allowed("smtp.ipmap.tab", &c->s.client_ip, &line))
        return true;
    log_info(EV("client refused"), KS("session", session_id(&c->s)),
             KV("client", ip_print(&c->s.client_ip, client)), KV("table", "smtp.ipmap.tab"),
             KU("line", line), KI("code", drop));
    smtp_record(c, NULL, "SNDRIP=EIPMAP", NULL);
    if (line == 0) { /* the table can't be read: nobody knows whom it refuses */
        session_reply(&c->s, "421 %.*s Temporary trouble, try again later",
                      STR_ARG(smtp_domain()));
        return false;
    }
    if (drop == 0) {
        c->needs_auth = true;
        return true;
    }
    if (drop < 0) {
        c->delay_s = (uint16_t)MIN(-drop, (int64_t)300);
        return true;
    }
    if (text.n == 0 || str_has_control(text))
        text = STR("Your address may not connect here");
    session_reply(&c->s, "554 %.*s %.*s", STR_ARG(smtp_domain()), STR_ARG(text));
    return false;
}

/* The flags of SmtpConfig for this listener: "MailAuth" (or "mail-auth"), "WantTLS". */
static bool listener_has_flag(const struct smtp *c, struct str flag, struct str other)
{
    struct str rest = options_smtp_flags(conf(), &c->s.local_ip, c->s.local_port), word;
    while (str_cut(&rest, ',', &word))
        if (str_ieq(str_trim(word), flag) || (other.n > 0 && str_ieq(str_trim(word), other)))
            return true;
    return false;
}

bool policy_may_send(struct smtp *c, enum step *out)
{
    bool tls = stream_is_tls(&c->s.st);
    bool want_tls = listener_has_flag(c, STR("WantTLS"), STR(""));
    bool want_auth = smtp_is_submission(c) || c->needs_auth ||
                     listener_has_flag(c, STR("MailAuth"), STR("mail-auth"));
    /* Where AUTH is offered under TLS only, the client must know what comes first. */
    if (want_auth && c->login == NULL && smtp_mechanisms(c).n == 0)
        want_tls = true;
    if (want_tls && !tls && !smtp_has_right(c, RIGHT_NO_TLS)) {
        smtp_record(c, NULL, "SMTP=ESSL", NULL);
        *out = smtp_refuse(c, "530 5.7.0", "Must issue a STARTTLS command first");
    } else if (want_auth && c->login == NULL)
        *out = smtp_refuse(c, "530 5.7.0", "Authentication required");
    else if (c->login != NULL && !smtp_has_right(c, RIGHT_MAIL))
        *out = smtp_refuse(c, "550 5.7.1", "Your account may not send mail");
    else
        return true;
    return false;
}

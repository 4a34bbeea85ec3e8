/*
 * sender.c - gates at MAIL FROM and RCPT TO: TLS, authentication, rights, senders, relaying;
 * and POP-before-SMTP (specification 6, item 29): the address and the sender count.
 */
#include "conf/tab.h"
#include "gates/gates_int.h"
#include "sys/file.h"

#define IPCONN_MAX ((size_t)256)

/* --- POP-before-SMTP --------------------------------------------------------------------- */

/* Did the account's last POP3 login come from this address, within -Se seconds? Control keeps
 * the address in .ipconn; the file's time is the login's. */
static bool logged_in_lately(const struct account *account, const struct ip *client,
                             struct arena *a)
{
    struct file_id id;
    struct err e;
    struct str text;
    struct ip from;
    struct str path = arena_printf(a, "%.*s/.ipconn", STR_ARG(account->folder));
    if (file_read(path.p, IPCONN_MAX, a, &text, &id, &e) != RC_OK ||
        !ip_parse(str_trim(text), &from) || !ip_eq(&from, client))
        return false;
    usec_t age = clock_wall() - id.mtime_ns / 1000;
    return age > -USEC_S && age < conf()->pop3_relay_time;
}

enum gate_action gate_pop_login(struct gate_subject *s, struct gate_decision *d)
{
    struct recipient found;
    struct user_options uo;
    struct err e;
    if (!conf()->enable_auth_smtp_pop3 || s->has_login || s->from->is_null ||
        !users_domain_is_local(s->from->domain))
        return GATE_PASS;
    if (users_resolve(s->from, s->tmp, &found, &e) != RC_OK ||
        found.kind != RECIPIENT_ACCOUNT ||
        !logged_in_lately(&found.account, &s->client, s->tmp) ||
        users_options(&found.account, s->tmp, &uo, &e) != RC_OK)
        return GATE_PASS;
    s->has_login = s->has_account = s->by_pop3 = true;
    s->account = found.account;
    s->rights = smtp_rights_of(&uo);
    d->detail = arena_printf(s->tmp, "%.*s@%.*s", STR_ARG(found.account.name),
                             STR_ARG(found.account.domain));
    return GATE_NOTE;
}

/* --- TLS and authentication -------------------------------------------------------------- */

unsigned smtp_rights_parse(struct str letters)
{
    static const char known[] = "MRVTZS"; /* in the order of enum smtp_right */
    unsigned rights = 0;
    for (size_t i = 0; i < letters.n; i++) {
        const char *at = strchr(known, ascii_upper(letters.p[i]));
        if (letters.p[i] != '\0' && at != NULL)
            rights |= 1u << (at - known);
    }
    return rights;
}

unsigned smtp_rights_of(const struct user_options *uo)
{
    return smtp_rights_parse(uo->smtp_perms_set ? uo->smtp_perms : conf()->default_smtp_perms);
}

/* The flags of SmtpConfig for this listener: "MailAuth" (or "mail-auth"), "WantTLS". */
static bool listener_has_flag(const struct gate_subject *s, struct str flag, struct str other)
{
    struct str rest = options_smtp_flags(conf(), &s->server, s->server_port), word;
    while (str_cut(&rest, ',', &word))
        if (str_ieq(str_trim(word), flag) || (other.n > 0 && str_ieq(str_trim(word), other)))
            return true;
    return false;
}

/* Who demands a login of this client? Nobody: false. */
static bool login_is_wanted(const struct gate_subject *s, struct gate_decision *d)
{
    const struct gate_memory *m = s->memory;
    if (m->auth_source != NULL) {
        d->source = m->auth_source;
        d->line = m->auth_line;
        return true;
    }
    if ((m->properties & PROPERTY_NO_AUTH) != 0)
        return false;
    if (s->is_submission)
        d->detail = STR("submission");
    return s->is_submission || listener_has_flag(s, STR("MailAuth"), STR("mail-auth"));
}

enum gate_action gate_want_tls(struct gate_subject *s, struct gate_decision *d)
{
    struct gate_decision by = *d;
    bool wanted = listener_has_flag(s, STR("WantTLS"), STR("")) &&
                  (s->memory->properties & PROPERTY_EASE_TLS) == 0;
    /* Where AUTH is offered under TLS only, the client must know what comes first. */
    if (!wanted && !s->has_login && !s->auth_offered && login_is_wanted(s, &by)) {
        by.detail = STR("logging in needs TLS here");
        *d = by;
        wanted = true;
    }
    if (!wanted || s->has_tls || (s->has_login && (s->rights & RIGHT_NO_TLS) != 0))
        return GATE_PASS;
    return gate_refuse(d, "530 5.7.0", STR(""), "Must issue a STARTTLS command first",
                       "SMTP=ESSL");
}

enum gate_action gate_want_auth(struct gate_subject *s, struct gate_decision *d)
{
    if (s->has_login || !login_is_wanted(s, d))
        return GATE_PASS;
    return gate_refuse(d, "530 5.7.0", STR(""), "Authentication required", NULL);
}

enum gate_action gate_right_mail(struct gate_subject *s, struct gate_decision *d)
{
    if (!s->has_login || (s->rights & RIGHT_MAIL) != 0)
        return GATE_PASS;
    return gate_refuse(d, "550 5.7.1", STR(""), "Your account may not send mail", NULL);
}

/* --- senders ----------------------------------------------------------------------------- */

enum gate_action gate_null_sender(struct gate_subject *s, struct gate_decision *d)
{
    if (!s->from->is_null || conf()->allow_null_sender)
        return GATE_PASS;
    return gate_refuse(d, "550 5.7.1", STR(""), "The empty sender is not taken here",
                       "SNDR=EEMPTY");
}

enum gate_action gate_spam_address(struct gate_subject *s, struct gate_decision *d)
{
    const struct address *from = s->from;
    if (from->is_null)
        return GATE_PASS;
    struct str text =
        arena_printf(s->tmp, "%.*s@%.*s", STR_ARG(from->local), STR_ARG(from->domain));
    enum rc rc = gate_spam_address_find(text, &d->line);
    if (rc == RC_PERM)
        return GATE_PASS;
    if (rc != RC_OK)
        return gate_trouble(d);
    return gate_refuse(d, "550 5.7.1", conf()->smtp_msg_ip_ban_spam_address,
                       "Your sender address is refused here", "SNDR=ESPAM");
}

/*
 * Where users hand in their mail, a user sends as himself only: the account, its aliases, its
 * alias domains, its external aliases. The empty sender is free, as users.h says: read receipts
 * have it. Lines of smtpauth.tab aren't bound to an address.
 */
enum gate_action gate_own_sender(struct gate_subject *s, struct gate_decision *d)
{
    if (!s->is_submission || !conf()->smtp_sender_check || !s->has_account ||
        users_may_send_as(&s->account, s->from, s->tmp))
        return GATE_PASS;
    return gate_refuse(d, "553 5.7.1", STR(""), "You may not send with this sender address",
                       NULL);
}

/* --- recipients -------------------------------------------------------------------------- */

/* Does the custom domain's file hand mail on as it is (smtp, smtprelay), or stand for all
 * domains? Else what it does is the administrator's own business (specification 6, item 8). */
static bool custdomain_relays(struct str stem, struct arena *a)
{
    struct tab tab;
    struct str path = arena_printf(a, "custdomains/%.*s.tab", STR_ARG(stem));
    if (stem.n == 0 || tab_read(path.p, a, &tab, NULL) != RC_OK)
        return true;
    for (size_t i = 0; i < tab.row_count; i++)
        if (str_istarts(tab_value(&tab.rows[i], 0), STR("smtp")))
            return true;
    return false;
}

enum gate_action gate_relay(struct gate_subject *s, struct gate_decision *d)
{
    const struct recipient *to = s->recipient;
    if (to->kind != RECIPIENT_REMOTE &&
        !(to->kind == RECIPIENT_CUSTDOMAIN && custdomain_relays(to->target.domain, s->tmp)))
        return GATE_PASS;
    if (s->has_login)
        d->source = "SmtpPerms";
    if (s->has_login ? (s->rights & RIGHT_RELAY) != 0 : access_may_relay(&s->client, &d->line))
        return GATE_PASS;
    return gate_refuse(d, "550 5.7.1", STR(""), "We do not relay for you", "RCPT=ERELAY");
}

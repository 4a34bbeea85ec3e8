/*
 * cmd_rcpt.c - RCPT TO (RFC 5321 4.1.1.3): what the address means, and whether its mailbox
 * takes this message. Whatever can be known now is answered now, so that no bounce is needed
 * later.
 */
#include "smtpd/smtpd_int.h"

/* What XMail's log calls a reason. */
static const char *record_status(const char *reason)
{
    static const char *const names[][2] = {
        { "unknown", "RCPT=EAVAIL" },  { "relay", "RCPT=ERELAY" },
        { "disabled", "RCPT=EDSBL" },  { "full", "RCPT=EFULL" },
        { "too large", "RCPT=ESIZE" },
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(reason, names[i][0]) == 0)
            return names[i][1];
    return "RCPT=ETEMP";
}

static enum step refused(struct smtp *c, const struct address *to, const char *reason,
                         enum step step)
{
    smtp_record(c, to, record_status(reason), NULL);
    metric_add(METRIC_refused_rcpts, 1);
    log_info(EV("rcpt refused"), KS("session", session_id(&c->s)),
             KS("rcpt", address_print(to, &c->s.tmp)),
             KS("from", address_print(&c->tx->sender, &c->s.tmp)), KV("reason", reason));
    return step;
}

/* Kinds of recipients that aren't a plain mailbox. */
static enum step not_a_mailbox(struct smtp *c, const struct address *to,
                               enum recipient_kind kind)
{
    if (kind == RECIPIENT_UNKNOWN)
        return refused(c, to, "unknown", smtp_refuse(c, "550 5.1.1", "No such user here"));
    if (kind == RECIPIENT_REMOTE && !smtp_may_relay(c))
        return refused(c, to, "relay", smtp_refuse(c, "550 5.7.1", "We do not relay for you"));
    return refused(c, to, "not served",
                   smtp_refuse(c, "451 4.3.5", "Mail for this address can't be handled now"));
}

/* Does the mailbox take mail of this size? Notes its limits in r. */
static bool mailbox_takes(struct smtp *c, const struct address *to, struct rcpt *r,
                          enum step *out)
{
    struct user_options uo;
    struct err e = { .rc = RC_OK };
    uint64_t size = c->tx->size_octets;
    if (users_options(&r->account, &c->s.tmp, &uo, &e) != RC_OK) {
        *out = smtp_trouble(c, "user.tab", &e);
        return false;
    }
    if (!uo.receive_enable) {
        *out =
            refused(c, to, "disabled", smtp_refuse(c, "550 5.2.1", "This mailbox is disabled"));
        return false;
    }
    r->max_mailbox_kb = uo.max_mb_size;
    r->max_message_kb = uo.max_message_size;
    if (r->max_message_kb > 0 && size > r->max_message_kb * 1024) {
        *out = refused(c, to, "too large",
                       smtp_refuse(c, "552 5.3.4", "Message too large for this recipient"));
        return false;
    }
    enum rc rc = store_fits(&r->account, r->max_mailbox_kb, size, &e);
    if (rc == RC_OK)
        return true;
    if (rc == RC_PERM)
        *out = refused(c, to, "too large",
                       smtp_refuse(c, "552 5.2.3", "Message too large for this mailbox"));
    else if (strcmp(e.dsn, "4.2.2") == 0)
        *out = refused(c, to, "full", smtp_refuse(c, "452 4.2.2", "This mailbox is full"));
    else
        *out = smtp_trouble(c, "mailbox size", &e);
    return false;
}

/* A copy in the transaction's memory, without the password. */
static void keep(struct transaction *tx, const struct rcpt *r)
{
    struct rcpt *kept = transaction_add(tx);
    *kept = *r;
    kept->given.local = arena_str(&tx->mem, r->given.local);
    kept->given.domain = arena_str(&tx->mem, r->given.domain);
    kept->account.domain = arena_str(&tx->mem, r->account.domain);
    kept->account.name = arena_str(&tx->mem, r->account.name);
    kept->account.folder = arena_str(&tx->mem, r->account.folder);
    kept->account.password = STR("");
}

static enum step add_recipient(struct smtp *c, const struct address *to)
{
    struct recipient found;
    struct err e = { .rc = RC_OK };
    enum step step = STEP_NEXT;
    if (users_resolve(to, &c->s.tmp, &found, &e) != RC_OK)
        return smtp_trouble(c, "recipient", &e);
    if (found.kind != RECIPIENT_ACCOUNT)
        return not_a_mailbox(c, to, found.kind);
    if (users_needs_processing(&found.account, &c->s.tmp))
        return refused(
            c, to, "not served",
            smtp_refuse(c, "451 4.3.5", "Mail for this address can't be handled now"));
    if (!transaction_has(c->tx, &found.account)) {
        struct rcpt r = { .given = *to, .account = found.account };
        if (!mailbox_takes(c, to, &r, &step))
            return step;
        keep(c->tx, &r);
    }
    c->tx->accepted++;
    metric_add(METRIC_accepted_rcpts, 1);
    smtp_record(c, to, "RCPT=OK", NULL);
    if (c->s.state == SMTP_MAIL)
        session_enter(&c->s, SMTP_RCPT);
    return smtp_ok(c, "250 2.1.5", "Recipient ok");
}

enum step cmd_rcpt(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    struct address to;
    struct str rest, keyword, value;
    struct err e = { .rc = RC_OK };
    if (!smtp_skip_word(&args, STR("TO:")))
        return smtp_refuse(c, "501 5.5.4", "Syntax: RCPT TO:<address>");
    if (address_parse_path(args, smtp_address_rules(), &s->tmp, &to, &rest, &e) != RC_OK) {
        smtp_record(c, NULL, "RCPT=ESYNTAX", NULL);
        return smtp_refuse(c, "501 5.1.3", "Recipient address refused: %s", e.text);
    }
    if (to.is_null)
        return smtp_refuse(c, "501 5.1.3", "Recipient address refused: it is empty");
    if (smtp_next_param(&rest, &keyword, &value))
        return smtp_refuse(c, "555 5.5.4", "RCPT parameter not known");
    if (to.needs_utf8 && !c->tx->smtputf8)
        return smtp_refuse(c, "553 5.6.7", "This address needs SMTPUTF8");
    if (c->tx->accepted >= smtp_max_recipients())
        return smtp_refuse(c, "452 4.5.3", "Too many recipients");
    return add_recipient(c, &to);
}

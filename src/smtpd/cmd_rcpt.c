/*
 * cmd_rcpt.c - RCPT TO (RFC 5321 4.1.1.3): what the address means, and whether its mailbox
 * takes this message. Whatever can be known now is answered now, so that no bounce is needed
 * later.
 */
#include "lists/lists.h"
#include "smtpd/smtpd_int.h"

/* What XMail's log calls a reason. */
static const char *record_status(const char *reason)
{
    static const char *const names[][2] = {
        { "unknown", "RCPT=EAVAIL" },
        { "disabled", "RCPT=EDSBL" },
        { "full", "RCPT=EFULL" },
        { "too large", "RCPT=ESIZE" },
        { "closed list", "RCPT=EMLCLOSED" },
        { "filter", "RCPT=EFILTER" },
        { "report to a list", "RCPT=EMLCLOSED" },
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
    figure_add(to->domain, FIGURE_refused, 1);
    log_info(EV("rcpt refused"), KS("session", session_id(&c->s)),
             KS("rcpt", address_print(to, &c->s.tmp)),
             KS("from", address_print(&c->tx->sender, &c->s.tmp)), KV("reason", reason));
    return step;
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
    kept->remote.local = arena_str(&tx->mem, r->remote.local);
    kept->remote.domain = arena_str(&tx->mem, r->remote.domain);
    kept->account.domain = arena_str(&tx->mem, r->account.domain);
    kept->account.name = arena_str(&tx->mem, r->account.name);
    kept->account.folder = arena_str(&tx->mem, r->account.folder);
    kept->account.password = STR("");
    kept->decision = arena_str(&tx->mem, r->decision);
    kept->orcpt = arena_str(&tx->mem, r->orcpt);
}

/* Does the list take what this client sends? */
static bool list_takes(struct smtp *c, struct rcpt *r, enum step *out)
{
    struct list l;
    struct err e = { .rc = RC_OK };
    enum list_post may = LIST_POST_NO;
    enum rc rc = list_load(&r->account, &c->s.tmp, &l, &e);
    if (rc == RC_OK)
        rc = list_may_post(&l, &c->tx->sender, c->login == NULL ? STR("") : c->login->name,
                           &may, &e);
    if (rc != RC_OK) {
        *out = smtp_trouble(c, "mailing list", &e);
        return false;
    }
    uint64_t limit = l.options.max_message_size * 1024;
    r->max_message_kb = l.options.max_message_size;
    if (!l.options.receive_enable)
        *out = refused(c, &r->given, "disabled",
                       smtp_refuse(c, "550 5.2.1", "This list is disabled"));
    else if (limit > 0 && c->tx->size_octets > limit)
        *out = refused(c, &r->given, "too large",
                       smtp_refuse(c, "552 5.3.4", "Message too large for this list"));
    else if (may == LIST_POST_NO && c->tx->sender.is_null)
        *out = refused(c, &r->given, "report to a list",
                       smtp_refuse(c, "550 5.7.1", "Reports don't go to lists"));
    else if (may == LIST_POST_NO) /* 557: what XMail says */
        *out = refused(c, &r->given, "closed list",
                       smtp_refuse(c, "557 5.7.2", "You may not post to this list"));
    else
        return true;
    return false;
}

/* A moderator's answer: is there something it decides? */
static bool decision_is_good(struct smtp *c, struct rcpt *r, const struct list_decision *d,
                             enum step *out)
{
    struct err e = { .rc = RC_OK };
    enum rc rc = c->tx->sender.is_null ? err_perm(&e, "5.7.1", "reports decide nothing")
                                       : list_decision_check(d, &e);
    r->account = d->account;
    r->is_list = true;
    r->decision = r->given.local;
    if (rc == RC_OK)
        return true;
    *out = rc == RC_PERM ? refused(c, &r->given, "unknown",
                                   smtp_refuse(c, "550 5.1.1", "No message waits for this"))
                         : smtp_trouble(c, "moderation", &e);
    return false;
}

/* What the address means, into r. False: a reply has been written. */
static bool resolve(struct smtp *c, struct rcpt *r, enum step *out)
{
    struct recipient found;
    struct list_decision decision;
    struct err e = { .rc = RC_OK };
    const struct address *to = &r->given;
    bool decides = list_decision_parse(to, &c->s.tmp, &decision);
    if (decides)
        found = (struct recipient){ .kind = RECIPIENT_LIST, .account = decision.account };
    else if (users_resolve(to, &c->s.tmp, &found, &e) != RC_OK) {
        *out = smtp_trouble(c, "recipient", &e);
        return false;
    }
    r->account = found.account;
    r->is_list = found.kind == RECIPIENT_LIST;
    r->is_remote = found.kind != RECIPIENT_ACCOUNT && !r->is_list;
    r->remote = found.kind == RECIPIENT_EXTERNAL || found.kind == RECIPIENT_CMDALIAS
                    ? found.target
                    : *to;
    if (!policy_rcpt(c, to, &found, out))
        return false;
    if (decides)
        return decision_is_good(c, r, &decision, out);
    r->is_processed =
        found.kind == RECIPIENT_ACCOUNT && users_needs_processing(&found.account, &c->s.tmp);
    if (found.kind != RECIPIENT_UNKNOWN)
        return true;
    *out = refused(c, to, "unknown", smtp_refuse(c, "550 5.1.1", "No such user here"));
    return false;
}

static enum step accept_recipient(struct smtp *c, const struct rcpt *r)
{
    c->tx->accepted++;
    policy_count(c, LIMIT_RECIPIENTS);
    metric_add(METRIC_accepted_rcpts, 1);
    smtp_record(c, &r->given, "RCPT=OK", NULL);
    if (c->s.state == SMTP_MAIL)
        session_enter(&c->s, SMTP_RCPT);
    return smtp_ok(c, "250 2.1.5", "Recipient ok");
}

/* The filters have seen the last recipient. */
static enum step recipient_filtered(struct session *s)
{
    struct smtp *c = smtp_of(s);
    struct transaction *tx = c->tx;
    enum step step = STEP_NEXT;
    const struct rcpt r = tx->rcpts[tx->rcpt_count - 1];
    if (!filters_refused(c, &step))
        return accept_recipient(c, &r);
    tx->rcpt_count--;
    return refused(c, &r.given, "filter", step);
}

static enum step add_recipient(struct smtp *c, struct rcpt *r)
{
    enum step step = STEP_NEXT;
    if (!resolve(c, r, &step))
        return step;
    if (!transaction_has(c->tx, r)) {
        bool takes =
            r->is_remote || r->decision.n > 0 ||
            (r->is_list ? list_takes(c, r, &step) : mailbox_takes(c, &r->given, r, &step));
        if (!takes)
            return step;
        keep(c->tx, r);
        if (filters_begin(c, FILTER_POST_RCPT, recipient_filtered, &step))
            return step;
    }
    return accept_recipient(c, r);
}

/* NOTIFY (RFC 3461 4.1): NEVER alone, or any of the others. */
static bool parse_notify(struct str value, unsigned *out)
{
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = { { "NEVER", NOTIFY_NEVER },
                  { "SUCCESS", NOTIFY_SUCCESS },
                  { "FAILURE", NOTIFY_FAILURE },
                  { "DELAY", NOTIFY_DELAY } };
    struct str word;
    unsigned bits = 0;
    while (str_cut(&value, ',', &word)) {
        size_t i = 0;
        while (i < ARRAY_LEN(names) && !str_ieq(word, str_from_c(names[i].name)))
            i++;
        if (i == ARRAY_LEN(names))
            return false;
        bits |= names[i].bit;
    }
    *out = bits;
    return bits != 0 && ((bits & NOTIFY_NEVER) == 0 || bits == NOTIFY_NEVER);
}

/* ORCPT (RFC 3461 4.2): "type;xtext". */
static bool orcpt_is_good(struct str value)
{
    size_t semicolon = str_find(value, ';');
    return value.n <= 500 && semicolon != SIZE_MAX && semicolon > 0 &&
           smtp_is_xtext(str_skip(value, semicolon + 1)) &&
           smtp_is_xtext(str_head(value, semicolon));
}

static const char *take_params(struct smtp *c, struct str rest, struct rcpt *r)
{
    struct str keyword, value;
    while (smtp_next_param(&rest, &keyword, &value)) {
        bool good = false;
        if (!c->esmtp)
            return "555 5.5.4";
        if (str_ieq(keyword, STR("NOTIFY"))) {
            good = parse_notify(value, &r->notify);
        } else if (str_ieq(keyword, STR("ORCPT"))) {
            good = orcpt_is_good(value);
            r->orcpt = value;
        } else {
            return "555 5.5.4";
        }
        if (!good)
            return "501 5.5.4";
    }
    return NULL;
}

enum step cmd_rcpt(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    struct rcpt r = { .orcpt = STR(""), .decision = STR("") };
    struct str rest;
    struct err e = { .rc = RC_OK };
    if (!smtp_skip_word(&args, STR("TO:")))
        return smtp_refuse(c, "501 5.5.4", "Syntax: RCPT TO:<address>");
    if (address_parse_path(args, smtp_address_rules(), &s->tmp, &r.given, &rest, &e) != RC_OK) {
        smtp_record(c, NULL, "RCPT=ESYNTAX", NULL);
        return smtp_refuse(c, "501 5.1.3", "Recipient address refused: %s", e.text);
    }
    if (r.given.is_null)
        return smtp_refuse(c, "501 5.1.3", "Recipient address refused: it is empty");
    const char *code = take_params(c, rest, &r);
    if (code != NULL)
        return smtp_refuse(c, code, "RCPT parameter not known or its value not good");
    if (r.given.needs_utf8 && !c->tx->smtputf8)
        return smtp_refuse(c, "553 5.6.7", "This address needs SMTPUTF8");
    if (c->tx->accepted >= smtp_max_recipients())
        return smtp_refuse(c, "452 4.5.3", "Too many recipients");
    return add_recipient(c, &r);
}

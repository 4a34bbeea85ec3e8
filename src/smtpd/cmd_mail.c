/*
 * cmd_mail.c - MAIL FROM (RFC 5321 4.1.1.2) with SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8
 * (RFC 6531), RET and ENVID (RFC 3461) and AUTH (RFC 4954 5): who may begin a transaction, and
 * with which sender.
 */
#include "smtpd/smtpd_int.h"

/* One parameter into tx; NULL when it was good, else the code of the refusal. */
static const char *take_param(struct transaction *tx, struct str keyword, struct str value)
{
    if (str_ieq(keyword, STR("SIZE")))
        return value.n <= 20 && str_to_u64(value, &tx->size_octets) ? NULL : "501 5.5.4";
    if (str_ieq(keyword, STR("BODY"))) {
        tx->body_8bit = str_ieq(value, STR("8BITMIME"));
        return tx->body_8bit || str_ieq(value, STR("7BIT")) ? NULL : "501 5.5.4";
    }
    if (str_ieq(keyword, STR("SMTPUTF8"))) {
        tx->smtputf8 = true;
        return value.p == NULL ? NULL : "501 5.5.4";
    }
    if (str_ieq(keyword, STR("RET"))) { /* RFC 3461 4.3 */
        tx->ret = str_ieq(value, STR("FULL"))   ? RET_FULL
                  : str_ieq(value, STR("HDRS")) ? RET_HEADERS
                                                : RET_NOT_GIVEN;
        return tx->ret != RET_NOT_GIVEN ? NULL : "501 5.5.4";
    }
    if (str_ieq(keyword, STR("ENVID"))) { /* RFC 3461 4.4 */
        tx->envid = arena_str(&tx->mem, value);
        return value.n <= 100 && smtp_is_xtext(value) ? NULL : "501 5.5.4";
    }
    /* Whom another server believes to have authenticated isn't passed on: it counts as <>. */
    if (str_ieq(keyword, STR("AUTH")))
        return smtp_is_xtext(value) ? NULL : "501 5.5.4";
    return "555 5.5.4";
}

static bool take_params(struct smtp *c, struct str rest, enum step *out)
{
    struct str keyword, value;
    while (smtp_next_param(&rest, &keyword, &value)) {
        const char *code = c->esmtp ? take_param(c->tx, keyword, value) : "555 5.5.4";
        if (code == NULL)
            continue;
        *out = smtp_refuse(c, code, "MAIL parameter not known or its value not good");
        return false;
    }
    return true;
}

/* The path into tx->sender. */
static bool take_sender(struct smtp *c, struct str args, struct str *out_rest, enum step *out)
{
    struct err e = { .rc = RC_OK };
    struct transaction *tx = c->tx;
    if (!smtp_skip_word(&args, STR("FROM:"))) {
        *out = smtp_refuse(c, "501 5.5.4", "Syntax: MAIL FROM:<address> [parameters]");
        return false;
    }
    if (address_parse_path(args, smtp_address_rules(), &tx->mem, &tx->sender, out_rest, &e) !=
        RC_OK) {
        smtp_record(c, NULL, "SNDR=ESYNTAX", NULL);
        *out = smtp_refuse(c, "501 5.1.7", "Sender address refused: %s", e.text);
        return false;
    }
    return true;
}

static bool size_fits(struct smtp *c, enum step *out)
{
    uint64_t limit = smtp_size_limit(c);
    if (limit > 0 && c->tx->size_octets > limit) {
        *out = smtp_refuse(c, "552 5.3.4", "Message too large, the limit is %" PRIu64 " octets",
                           limit);
        return false;
    }
    if (!policy_disk_has_room(c->tx->size_octets)) {
        *out = smtp_refuse(c, "452 4.3.1", "Insufficient system storage, try again later");
        return false;
    }
    return true;
}

/* Everything that can speak against this MAIL; the first that does has replied. */
static bool mail_is_good(struct smtp *c, struct str args, enum step *out)
{
    struct str rest;
    if (!take_sender(c, args, &rest, out) || !take_params(c, rest, out))
        return false;
    if (c->tx->sender.needs_utf8 && !c->tx->smtputf8) {
        *out = smtp_refuse(c, "553 5.6.7", "This address needs SMTPUTF8");
        return false;
    }
    return true;
}

/* All that can be known of the sender is. */
static enum step decide(struct smtp *c)
{
    enum step step = STEP_NEXT;
    if (!policy_mail(c, &step) || !size_fits(c, &step)) {
        transaction_free(c);
        return step;
    }
    session_enter(&c->s, SMTP_MAIL);
    return smtp_ok(c, "250 2.1.0", "Sender ok");
}

static enum step sender_is_known(struct session *s)
{
    struct smtp *c = smtp_of(s);
    enum step step = STEP_NEXT;
    return policy_awaits(c, sender_is_known, &step) ? step : decide(c);
}

enum step cmd_mail(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    enum step step = STEP_NEXT;
    c->tx = transaction_new(c);
    if (!mail_is_good(c, args, &step)) {
        transaction_free(c);
        return step;
    }
    return policy_asks(c, GATE_MAIL, sender_is_known, &step) ? step : decide(c);
}

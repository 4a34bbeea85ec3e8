/*
 * cmd_vrfy.c - VRFY (RFC 5321 3.5): 252 for everything, unless AllowSmtpVRFY or the user's
 * right V lets the client know.
 */
#include "smtpd/smtpd_int.h"

static enum step answer(struct smtp *c, const struct address *asked)
{
    struct recipient found;
    struct err e = { .rc = RC_OK };
    if (users_resolve(asked, &c->s.tmp, &found, &e) != RC_OK)
        return smtp_trouble(c, "VRFY", &e);
    switch (found.kind) {
    case RECIPIENT_ACCOUNT:
    case RECIPIENT_LIST:
        return smtp_ok(c, "250 2.1.5", "<%.*s@%.*s>", STR_ARG(found.account.name),
                       STR_ARG(found.account.domain));
    case RECIPIENT_UNKNOWN:
        return smtp_refuse(c, "550 5.1.1", "No such user here");
    case RECIPIENT_REMOTE:
    case RECIPIENT_CMDALIAS:
    case RECIPIENT_CUSTDOMAIN:
    case RECIPIENT_EXTERNAL:
        break;
    }
    return smtp_ok(c, "252 2.1.5", "Can't verify, but send and see");
}

enum step cmd_vrfy(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    struct address asked;
    struct str rest;
    struct err e = { .rc = RC_OK };
    args = str_trim(args);
    if (args.n == 0)
        return smtp_refuse(c, "501 5.5.4", "Syntax: VRFY address");
    if (!smtp_vrfy_is_allowed(c)) {
        smtp_record(c, NULL, "VRFY=EACCESS", NULL);
        return smtp_ok(c, "252 2.1.5", "Can't verify, but send and see");
    }
    if (str_iends(args, STR(" SMTPUTF8"))) /* RFC 6531 3.7.4.2 */
        args = str_head(args, args.n - 9);
    if (address_parse_path(args, smtp_address_rules(), &s->tmp, &asked, &rest, &e) != RC_OK ||
        asked.is_null)
        return smtp_refuse(c, "550 5.1.3", "That is not an address");
    return answer(c, &asked);
}

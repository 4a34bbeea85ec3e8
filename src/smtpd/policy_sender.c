/*
 * policy_sender.c - where users hand in their mail, a user sends as himself only: the account,
 * its aliases, its alias domains, its external aliases (option SmtpSenderCheck). The empty
 * sender is free, as users.h says: read receipts have it. Lines of smtpauth.tab aren't bound to
 * an address.
 */
#include "smtpd/smtpd_int.h"

bool policy_sender(struct smtp *c, const struct address *from, enum step *out)
{
    if (!smtp_is_submission(c) || !conf()->smtp_sender_check || c->login == NULL ||
        !c->login->has_account || users_may_send_as(&c->login->account, from, &c->s.tmp))
        return true;
    log_info(EV("sender refused"), KS("session", session_id(&c->s)),
             KS("from", address_print(from, &c->s.tmp)), KS("auth", c->login->name));
    *out = smtp_refuse(c, "553 5.7.1", "You may not send with this sender address");
    return false;
}

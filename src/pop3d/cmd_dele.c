/* cmd_dele.c - DELE, RSET, LAST, NOOP and QUIT (RFC 1939 5 and 6): only QUIT removes anything.
 */
#include "pop3d/pop3d_int.h"

enum step pop3_dele(struct session *s, struct str args)
{
    size_t i = 0;
    struct mailbox_message *message = message_named(s, args, &i);
    if (message == NULL)
        return STEP_NEXT;
    message->deleted = true;
    pop3(s)->last = MAX(pop3(s)->last, i + 1);
    session_reply(s, "+OK message %zu marked deleted", i + 1);
    return STEP_NEXT;
}

enum step pop3_rset(struct session *s, struct str args)
{
    (void)args;
    struct mailbox *m = pop3(s)->mailbox;
    for (size_t i = 0; i < mailbox_count(m); i++)
        mailbox_message(m, i)->deleted = false;
    pop3(s)->last = 0;
    session_reply(s, "+OK %zu messages", mailbox_count(m));
    return STEP_NEXT;
}

enum step pop3_last(struct session *s, struct str args)
{
    (void)args;
    session_reply(s, "+OK %zu", pop3(s)->last);
    return STEP_NEXT;
}

enum step pop3_noop(struct session *s, struct str args)
{
    (void)args;
    session_reply(s, "+OK");
    return STEP_NEXT;
}

enum step pop3_quit(struct session *s, struct str args)
{
    (void)args;
    struct pop3_session *p = pop3(s);
    size_t removed = 0;
    struct err e;
    if (s->state == POP3_AUTHORIZATION) {
        session_reply(s, "+OK bye");
        return STEP_CLOSE;
    }
    session_enter(s, POP3_UPDATE);
    if (mailbox_expunge(p->mailbox, &removed, &e) == RC_OK) {
        metric_add(METRIC_deleted, removed);
        session_reply(s, "+OK bye, %zu messages removed", removed);
    } else {
        log_error(EV("messages not removed"), KS("session", session_id(s)), KE(&e));
        session_reply(s, "-ERR [SYS/TEMP] some deleted messages were not removed");
    }
    mailbox_close(&p->mailbox);
    return STEP_CLOSE;
}

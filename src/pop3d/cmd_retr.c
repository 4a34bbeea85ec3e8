/* cmd_retr.c - RETR and TOP (RFC 1939 5 and 7): a message is sent in pieces as the client takes
 * them. */
#include "pop3d/pop3d_int.h"

#define PIECE_BYTES ((size_t)64 * 1024)

static enum step send_more(struct session *s)
{
    struct pop3_session *p = pop3(s);
    bool done = false;
    struct err e;
    if (mailbox_reader_next(p->reader, PIECE_BYTES, &s->st.out, &done, &e) != RC_OK) {
        /* The reply has begun: cutting the connection is the only honest end. */
        log_error(EV("message can't be read"), KS("session", session_id(s)), KE(&e));
        mailbox_reader_close(&p->reader);
        return STEP_CLOSE;
    }
    if (!done)
        return STEP_OUTPUT;
    mailbox_reader_close(&p->reader);
    return STEP_NEXT;
}

static enum step send_message(struct session *s, struct str number, size_t body_lines)
{
    struct pop3_session *p = pop3(s);
    size_t i = 0;
    struct err e;
    const struct mailbox_message *message = message_named(s, number, &i);
    if (message == NULL)
        return STEP_NEXT;
    enum rc rc = mailbox_reader_open(p->mailbox, i, body_lines, &p->reader, &e);
    if (rc != RC_OK) {
        session_refuse(s, rc == RC_PERM ? "-ERR the message was removed by another program"
                                        : "-ERR [SYS/TEMP] the message can't be read now");
        return STEP_NEXT;
    }
    p->last = MAX(p->last, i + 1);
    if (body_lines == SIZE_MAX) {
        p->sent_messages++;
        p->sent_octets += message->wire_octets;
        metric_add(METRIC_retrieved, 1);
        metric_add(METRIC_retrieved_bytes, message->wire_octets);
        session_reply(s, "+OK %" PRIu64 " octets", message->wire_octets);
    } else {
        session_reply(s, "+OK top of message follows");
    }
    s->more = send_more;
    return send_more(s);
}

enum step pop3_retr(struct session *s, struct str args)
{
    return send_message(s, args, SIZE_MAX);
}

enum step pop3_top(struct session *s, struct str args)
{
    struct str lines = str_trim(args), number = { "", 0 };
    uint64_t n = 0;
    (void)str_cut(&lines, ' ', &number);
    if (lines.p == NULL || !str_to_u64(str_trim(lines), &n)) {
        session_refuse(s, "-ERR syntax: TOP msg n");
        return STEP_NEXT;
    }
    return send_message(s, number, (size_t)MIN(n, (uint64_t)SIZE_MAX - 1));
}

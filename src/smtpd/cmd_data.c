/* cmd_data.c - DATA (RFC 5321 4.1.1.4): the message up to CRLF.CRLF, then the verdict. */
#include "smtpd/smtpd_int.h"

static enum step data_more(struct session *s)
{
    struct smtp *c = smtp_of(s);
    while (stream_input(&s->st).n > 0 && !c->tx->data.complete) {
        size_t used = 0;
        if (receive_input(c, UINT64_MAX, &used) != RC_OK) {
            (void)smtp_refuse(c, "421 4.3.0", "Out of memory, closing the connection");
            return STEP_CLOSE; /* where the message ends can't be known any more */
        }
    }
    if (c->tx->data.complete)
        return receive_end(c);
    receive_set_deadline(c, c->tx->began, c->tx->octets);
    return STEP_INPUT;
}

static enum step begin_message(struct smtp *c)
{
    struct err e = { .rc = RC_OK };
    if (transaction_open(c, DATA_DOTS, &e) != RC_OK) {
        transaction_reset(c);
        return smtp_trouble(c, "message", &e);
    }
    session_reply(&c->s, "354 Send the message, end it with <CRLF>.<CRLF>");
    receive_set_deadline(c, c->tx->began, 0);
    c->s.more = data_more;
    return STEP_INPUT;
}

/* The filters have seen the envelope. */
static enum step data_filtered(struct session *s)
{
    struct smtp *c = smtp_of(s);
    enum step step = STEP_NEXT;
    if (!filters_refused(c, &step))
        return begin_message(c);
    transaction_reset(c);
    return step;
}

enum step cmd_data(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    enum step step = STEP_NEXT;
    if (str_trim(args).n > 0)
        return smtp_refuse(c, "501 5.5.4", "DATA takes no parameters");
    if (s->state == SMTP_MAIL)
        return smtp_refuse(c, "554 5.5.1", "No valid recipients");
    if (!policy_disk_has_room(c->tx->size_octets)) {
        transaction_reset(c);
        return smtp_refuse(c, "452 4.3.1", "Insufficient system storage, try again later");
    }
    return filters_begin(c, FILTER_PRE_DATA, data_filtered, &step) ? step : begin_message(c);
}

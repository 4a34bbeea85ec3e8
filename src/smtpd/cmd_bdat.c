/*
 * cmd_bdat.c - BDAT (RFC 3030 2): the message in counted chunks. The octets of a chunk come
 * whatever the answer is, so those of a refused one are read and dropped.
 */
#include "smtpd/smtpd_int.h"

static enum step swallow_more(struct session *s)
{
    struct smtp *c = smtp_of(s);
    size_t ready = stream_input(&s->st).n;
    size_t n = c->swallow < ready ? (size_t)c->swallow : ready;
    stream_consume(&s->st, n);
    c->swallow -= n;
    return c->swallow > 0 ? STEP_INPUT : smtp_next(c);
}

/* The reply is written; the chunk's octets are dropped as they come. */
static enum step swallow(struct smtp *c, uint64_t octets)
{
    c->swallow = octets;
    receive_set_deadline(c, clock_mono(), octets);
    c->s.more = swallow_more;
    return swallow_more(&c->s);
}

/* The chunk is in. */
static enum step chunk_end(struct smtp *c)
{
    enum step step = STEP_NEXT;
    if (c->tx->chunk_is_last)
        return receive_end(c);
    if (receive_refusal(c, &step)) {
        transaction_reset(c);
        return step;
    }
    return smtp_ok(c, "250 2.0.0", "%" PRIu64 " octets received", c->tx->octets);
}

static enum step bdat_more(struct session *s)
{
    struct smtp *c = smtp_of(s);
    struct transaction *tx = c->tx;
    enum rc rc = RC_OK;
    while (rc == RC_OK && tx->chunk_left > 0 && stream_input(&s->st).n > 0) {
        size_t used = 0;
        rc = receive_input(c, tx->chunk_left, &used);
        tx->chunk_left -= used;
    }
    if (rc == RC_OK && tx->chunk_left > 0) {
        receive_set_deadline(c, tx->began, tx->octets);
        return STEP_INPUT;
    }
    if (rc == RC_OK && tx->chunk_is_last)
        rc = receive_finish(c);
    if (rc == RC_OK)
        return chunk_end(c);
    (void)smtp_refuse(c, "421 4.3.0", "Out of memory, closing the connection");
    return STEP_CLOSE;
}

/* Opens the message with its first chunk. */
static bool bdat_begin(struct smtp *c, uint64_t size)
{
    struct err e = { .rc = RC_OK };
    if (policy_disk_has_room(MAX(size, c->tx->size_octets))) {
        if (transaction_open(c, DATA_BDAT, &e) == RC_OK) {
            session_enter(&c->s, SMTP_CHUNKS);
            return true;
        }
        (void)smtp_trouble(c, "message", &e);
    } else {
        (void)smtp_refuse(c, "452 4.3.1", "Insufficient system storage, try again later");
    }
    transaction_reset(c);
    return false;
}

static bool parse_args(struct str args, uint64_t *out_size, bool *out_last)
{
    struct str rest = str_trim(args), size = { "", 0 };
    (void)str_cut(&rest, ' ', &size);
    rest = rest.p == NULL ? STR("") : str_trim(rest);
    *out_last = str_ieq(rest, STR("LAST"));
    return str_to_u64(size, out_size) && (*out_last || rest.n == 0);
}

enum step cmd_bdat(struct session *s, struct str args)
{
    struct smtp *c = smtp_of(s);
    uint64_t size = 0;
    bool is_last = false;
    if (!parse_args(args, &size, &is_last)) {
        (void)smtp_refuse(c, "501 5.5.4", "Syntax: BDAT size [LAST]");
        return STEP_CLOSE; /* where the chunk ends can't be known */
    }
    if (s->state != SMTP_RCPT && s->state != SMTP_CHUNKS) {
        (void)smtp_refuse(c, s->state == SMTP_MAIL ? "554 5.5.1" : "503 5.5.1",
                          "No valid recipients");
        return swallow(c, size);
    }
    if (s->state == SMTP_RCPT && filters_are_there(FILTER_PRE_DATA)) {
        (void)smtp_refuse(c, "502 5.5.1", "BDAT is not offered here");
        return swallow(c, size);
    }
    if (s->state == SMTP_RCPT && !bdat_begin(c, size))
        return swallow(c, size);
    c->tx->chunk_left = size;
    c->tx->chunk_is_last = is_last;
    s->more = bdat_more;
    return bdat_more(s);
}

/*
 * receive.c - a message as it comes in, for DATA and BDAT: what is buffered goes through
 * mail/data.h to where the transaction put it, piece by piece; nothing is held between pieces.
 * A message that is refused is still read to its end, so that what follows it isn't taken for
 * commands.
 */
#include "mail/date.h"
#include "smtpd/smtpd_int.h"
#include "store/delivery_headers.h"

#define PIECE ((size_t)64 * 1024)
#define GRACE (60 * USEC_S) /* before the least rate is asked for */

static enum rc add_delivery_fields(struct smtp *c, struct buf *out)
{
    return c->tx->mailbox != NULL ? delivery_headers_end(&c->tx->sender, out) : RC_OK;
}

/* Fields at the end of the header: Date and Message-ID for mail of our own users only (RFC 6409
 * 8), and what a delivery adds there. */
static enum rc add_fields(void *ctx, struct data *d, struct buf *out)
{
    struct smtp *c = ctx;
    bool own = c->login != NULL && strcmp(c->s.listener->service, "smtp") != 0;
    char date[DATE_TEXT_BYTES];
    enum rc rc = RC_OK;
    if (c->tx->is_filtered)
        return add_delivery_fields(c, out);
    if (own && !d->has_date)
        rc = buf_printf(out, "Date: %s\n", date_print(clock_wall(), date));
    if (rc == RC_OK && own && !d->has_message_id) {
        struct str id = message_id_new(smtp_domain(), &c->tx->mem);
        (void)snprintf(d->message_id, sizeof(d->message_id), "%.*s", STR_ARG(id));
        rc = buf_printf(out, "Message-ID: %.*s\n", STR_ARG(id));
    }
    return rc == RC_OK && !filters_hold(c) ? add_delivery_fields(c, out) : rc;
}

/* What data.h made of a piece goes to its place, unless the message is lost already. */
static void write_piece(struct smtp *c, struct str octets, uint64_t wire_octets)
{
    struct transaction *tx = c->tx;
    struct data *d = &tx->data;
    struct err e = { .rc = RC_OK };
    if (octets.n == 0 || tx->failed || d->bad_bytes || d->bad_line || d->too_large)
        return;
    if (transaction_write(c, octets, wire_octets, &e) != RC_OK)
        transaction_fail(c, &e);
}

enum rc receive_input(struct smtp *c, uint64_t max, size_t *out_used)
{
    struct transaction *tx = c->tx;
    struct str in = str_head(stream_input(&c->s.st), max < PIECE ? (size_t)max : PIECE);
    struct buf out AUTO_RELEASE_BUF;
    size_t used = 0;
    uint64_t wire_before = tx->data.wire_octets;
    buf_init(&out, 4 * PIECE);
    enum rc rc = buf_reserve(&out, in.n + 512);
    if (rc == RC_OK)
        rc = data_feed(&tx->data, in, &out, add_fields, c, &used);
    if (rc != RC_OK)
        return RC_TEMP;
    stream_consume(&c->s.st, used);
    tx->octets += used;
    *out_used = used;
    write_piece(c, buf_str(&out), tx->data.wire_octets - wire_before);
    return RC_OK;
}

enum rc receive_finish(struct smtp *c)
{
    struct data *d = &c->tx->data;
    struct buf out AUTO_RELEASE_BUF;
    uint64_t wire_before = d->wire_octets;
    buf_init(&out, PIECE);
    if (data_finish(d, &out, add_fields, c) != RC_OK)
        return RC_TEMP;
    write_piece(c, buf_str(&out), d->wire_octets - wire_before);
    return RC_OK;
}

/* A failure of store or spool as a reply. */
static enum step put_failed(struct smtp *c, const struct err *e)
{
    if (e->rc == RC_PERM && strncmp(e->dsn, "5.2.", 4) == 0)
        return smtp_refuse(c, strcmp(e->dsn, "5.2.3") == 0 ? "552 5.2.3" : "552 5.2.2",
                           "The mailbox has no room for this message");
    if (strcmp(e->dsn, "4.2.2") == 0)
        return smtp_refuse(c, "452 4.2.2", "The mailbox is full");
    return smtp_trouble(c, "message", e);
}

static bool loops(const struct data *d)
{
    unsigned most = (unsigned)conf()->max_mta_ops;
    return d->has_delivered_to_loop || (most > 0 && d->received_count > most);
}

/* For the domains of the recipients; of accounts: bare <postmaster> has none else. */
static void count(const struct transaction *tx, enum figure f, uint64_t n)
{
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        const struct rcpt *r = &tx->rcpts[i];
        figure_add(r->account.domain.n > 0 ? r->account.domain : r->given.domain, f, n);
    }
}

bool receive_refusal(struct smtp *c, enum step *out)
{
    struct transaction *tx = c->tx;
    const struct data *d = &tx->data;
    if (d->bad_bytes)
        *out = smtp_refuse(c, "550 5.6.0", "Message has a bare CR, a bare LF or a NUL");
    else if (d->bad_line)
        *out = smtp_refuse(c, "554 5.6.0", "Message has a line longer than %zu octets",
                           DATA_LINE_MAX);
    else if (d->too_large)
        *out = smtp_refuse(c, "552 5.3.4", "Message too large, or its header is");
    else if (tx->failed)
        *out = put_failed(c, &tx->failure);
    else if (loops(d))
        *out = smtp_refuse(c, "554 5.4.6",
                           "Message loops: it was here, or passed too many "
                           "servers");
    else
        return false;
    metric_add(METRIC_refused_messages, 1);
    count(tx, FIGURE_refused, 1);
    smtp_record(c, &tx->rcpts[tx->rcpt_count - 1].given,
                d->too_large ? "RECV=EMAXSIZE" : "RECV=EREFUSED", NULL);
    log_info(EV("message refused"), KS("session", session_id(&c->s)), KS("id", tx->id),
             KS("from", address_print(&tx->sender, &c->s.tmp)), KU("size", d->wire_octets),
             KV("reason", d->bad_bytes   ? "bad bytes"
                          : d->bad_line  ? "long line"
                          : d->too_large ? "too large"
                          : tx->failed   ? tx->failure.text
                                         : "loop"));
    return true;
}

static void log_accepted(struct smtp *c, bool queued)
{
    const struct transaction *tx = c->tx;
    char client[IP_TEXT_BYTES];
    metric_add(queued ? METRIC_accepted_queue : METRIC_accepted_mailbox, 1);
    metric_add(METRIC_accepted_bytes, tx->data.wire_octets);
    count(tx, FIGURE_accepted, 1);
    if (!queued) {
        count(tx, FIGURE_delivered, 1);
        count(tx, FIGURE_octets_in, tx->data.wire_octets);
    }
    smtp_record(c, &tx->rcpts[tx->rcpt_count - 1].given, "RECV=OK", NULL);
    if (!queued)
        smtp_record_delivery(c);
    log_info(EV("message accepted"), KS("session", session_id(&c->s)), KS("id", tx->id),
             KS("from", address_print(&tx->sender, &c->s.tmp)), KU("rcpts", tx->rcpt_count),
             KS("rcpt", address_print(&tx->rcpts[0].given, &c->s.tmp)),
             KU("size", tx->data.wire_octets), KV("via", queued ? "queue" : "mailbox"),
             KV("message_id", tx->data.message_id),
             KV("client", ip_print(&c->s.client_ip, client)),
             KS("auth", c->login == NULL ? STR("") : c->login->name),
             KS("tls", str_from_c(stream_tls_version(&c->s.st))));
}

/* The message as filters left it, to where it goes. */
static enum rc write_filtered(struct smtp *c, struct err *e)
{
    struct data *d = &c->tx->data;
    struct buf out AUTO_RELEASE_BUF;
    char *piece AUTO_FREE = mem_new(PIECE);
    ssize_t n = 0;
    size_t used = 0;
    uint64_t at = 0;
    buf_init(&out, 4 * PIECE);
    enum rc rc = transaction_begin_filtered(c, e);
    do {
        n = rc == RC_OK ? filter_file_message(filters_file(c), piece, PIECE, at) : 0;
        if (n < 0)
            return err_sys(e, "read a message");
        uint64_t wire_before = d->wire_octets;
        buf_reset(&out);
        if (rc == RC_OK)
            rc = n > 0 ? data_feed(d, str_from(piece, (size_t)n), &out, add_fields, c, &used)
                       : data_finish(d, &out, add_fields, c);
        if (rc == RC_OK)
            rc = transaction_write(c, buf_str(&out), d->wire_octets - wire_before, e);
        at += (uint64_t)n;
    } while (n > 0);
    bool bad = d->bad_bytes || d->bad_line || d->too_large;
    return rc == RC_OK && bad ? err_temp(e, "4.3.0", "a filter left a message too large") : rc;
}

/* Durable, or not: the reply. */
static enum step deliver(struct smtp *c)
{
    struct transaction *tx = c->tx;
    struct err e = { .rc = RC_OK };
    enum step step = STEP_NEXT;
    bool queued = tx->queue != NULL;
    enum rc rc = filters_hold(c) ? write_filtered(c, &e) : RC_OK;
    if (rc != RC_OK || transaction_commit(c, &e) != RC_OK) {
        step = put_failed(c, &e);
    } else {
        log_accepted(c, queued);
        policy_count(c, LIMIT_MESSAGES);
        step = smtp_ok(c, "250 2.0.0", "Message accepted, id %.*s", STR_ARG(tx->id));
    }
    transaction_reset(c);
    return step;
}

/* Taken, and delivered to nobody: so the administrator's milter wants it. */
static enum step discard(struct smtp *c)
{
    struct transaction *tx = c->tx;
    log_info(EV("message discarded by a filter"), KS("session", session_id(&c->s)),
             KS("id", tx->id), KS("from", address_print(&tx->sender, &c->s.tmp)),
             KU("size", tx->data.wire_octets), KV("message_id", tx->data.message_id));
    enum step step = smtp_ok(c, "250 2.0.0", "Message accepted, id %.*s", STR_ARG(tx->id));
    transaction_reset(c);
    return step;
}

static enum step filtered(struct session *s)
{
    struct smtp *c = smtp_of(s);
    enum step step = STEP_NEXT;
    if (!filters_refused(c, &step))
        return filters_discarded(c) ? discard(c) : deliver(c);
    metric_add(METRIC_refused_messages, 1);
    count(c->tx, FIGURE_refused, 1);
    smtp_record(c, &c->tx->rcpts[c->tx->rcpt_count - 1].given, "RECV=EREFUSED", NULL);
    transaction_reset(c);
    return step;
}

enum step receive_end(struct smtp *c)
{
    enum step step = STEP_NEXT;
    if (!receive_refusal(c, &step))
        return filters_hold(c) ? filters_run(c, filtered) : deliver(c);
    transaction_reset(c);
    return step;
}

/* Three bounds: no octet for the idle time, slower than the least rate after a grace, longer
 * than the longest time. */
void receive_set_deadline(struct smtp *c, usec_t began, uint64_t octets)
{
    const struct options *o = conf();
    usec_t now = clock_mono(), deadline = now + o->smtp_timeout;
    if (o->smtp_min_rate > 0)
        deadline = MIN(deadline,
                       began + GRACE + (usec_t)(octets / (uint64_t)o->smtp_min_rate) * USEC_S);
    if (o->smtp_data_time > 0)
        deadline = MIN(deadline, began + o->smtp_data_time);
    session_set_deadline(&c->s, deadline);
}

/*
 * transaction.c - the envelope, and where its message goes: a transaction that ends in exactly
 * one mailbox without filters or commands is delivered in the session; everything else is one
 * queue entry. Either way the message is durable before the client hears 250; whatever ends the
 * transaction before that leaves nothing behind.
 */
#include "mail/trace.h"
#include "process/process.h"
#include "smtpd/smtpd_int.h"
#include "store/delivery_headers.h"

struct transaction *transaction_new(struct smtp *c)
{
    transaction_free(c);
    return mem_new(sizeof(struct transaction));
}

void transaction_free(struct smtp *c)
{
    if (c->tx == NULL)
        return;
    if (c->login != NULL && c->login->by_pop3)
        login_free(&c->login);
    filters_free(c);
    store_put_abort(&c->tx->mailbox);
    spool_put_abort(&c->tx->queue);
    arena_release(&c->tx->mem);
    mem_free(&c->tx);
}

void transaction_reset(struct smtp *c)
{
    transaction_free(c);
    if (c->s.state != SMTP_CONNECTED && c->s.state != SMTP_GREETED)
        session_enter(&c->s, SMTP_GREETED);
}

bool transaction_has(const struct transaction *tx, const struct rcpt *r)
{
    for (size_t i = 0; i < tx->rcpt_count; i++) {
        const struct rcpt *other = &tx->rcpts[i];
        if (r->is_remote != other->is_remote)
            continue;
        if (r->is_remote ? address_eq(&other->remote, &r->remote)
                         : str_ieq(other->account.name, r->account.name) &&
                               str_ieq(other->account.domain, r->account.domain) &&
                               str_ieq(other->decision, r->decision))
            return true;
    }
    return false;
}

struct rcpt *transaction_add(struct transaction *tx)
{
    if (tx->rcpt_count == tx->rcpt_room) {
        size_t room = tx->rcpt_room == 0 ? 1 : tx->rcpt_room * 4;
        struct rcpt *rcpts = arena_new_array(&tx->mem, struct rcpt, room);
        if (tx->rcpt_count > 0)
            memcpy(rcpts, tx->rcpts, tx->rcpt_count * sizeof(*rcpts));
        tx->rcpts = rcpts;
        tx->rcpt_room = room;
    }
    return &tx->rcpts[tx->rcpt_count++];
}

/* --- the fields in front ----------------------------------------------------------------- */

static enum rc print_received(struct smtp *c, struct buf *out)
{
    struct transaction *tx = c->tx;
    int bits = 0;
    struct trace t = {
        .helo = str_from_c(c->helo),
        .client_ip = c->s.client_ip,
        .server_ip = c->s.local_ip,
        .client_port = c->s.client_port,
        .server_port = c->s.local_port,
        .server_domain = smtp_domain(),
        .id = tx->id,
        .tls_version = str_from_c(stream_tls_version(&c->s.st)),
        .tls_cipher = str_from_c(stream_tls_cipher(&c->s.st, &bits)),
        .is_esmtp = c->esmtp,
        .is_authenticated = c->login != NULL && !c->login->by_pop3,
        .is_utf8 = tx->smtputf8,
        .shows = (enum trace_addresses)conf()->received_hdr_type,
        .rcpt = tx->accepted == 1 ? &tx->rcpts[0].given : NULL,
        .sender = &tx->sender,
        .when = clock_wall(),
    };
    enum rc rc = trace_print_received(&t, out);
    if (rc == RC_OK && c->login != NULL && !c->login->hide_name)
        rc = trace_print_auth_user(c->login->name, out);
    return rc;
}

/* What a delivery puts before all others, then ours: filters see those only. */
static enum rc write_front(struct smtp *c, bool delivery, bool ours, struct err *e)
{
    struct buf b AUTO_RELEASE_BUF;
    buf_init(&b, DATA_LINE_MAX);
    enum rc rc = RC_OK;
    if (delivery && c->tx->mailbox != NULL)
        rc = delivery_headers_front(&c->tx->sender, &c->tx->rcpts[0].account, &b);
    if (rc == RC_OK && ours)
        rc = print_received(c, &b);
    if (rc != RC_OK)
        return err_temp(e, "4.3.0", "trace fields are too long");
    return transaction_write(c, buf_str(&b), data_wire_octets(buf_str(&b)), e);
}

/* --- where it goes ----------------------------------------------------------------------- */

static struct address resolved(const struct rcpt *r)
{
    if (r->is_remote)
        return r->remote;
    return (struct address){ .local = r->decision.n > 0 ? r->decision : r->account.name,
                             .domain = r->account.domain };
}

static enum rc open_queue(struct smtp *c, struct err *e)
{
    struct transaction *tx = c->tx;
    char client[IP_PORT_TEXT_BYTES], server[IP_PORT_TEXT_BYTES];
    struct envelope env = {
        .reverse_path = tx->sender,
        .auth_user = c->login == NULL ? STR("") : c->login->name,
        .client = str_from_c(ip_port_print(&c->s.client_ip, c->s.client_port, client)),
        .server = str_from_c(ip_port_print(&c->s.local_ip, c->s.local_port, server)),
        .helo = str_from_c(c->helo),
        .received_at = clock_wall(),
        .smtputf8 = tx->smtputf8,
        .body_8bit = tx->body_8bit,
        .ret = tx->ret,
        .envid = tx->envid,
        .recipient_count = tx->rcpt_count,
        .recipients = arena_new_array(&tx->mem, struct envelope_recipient, tx->rcpt_count),
    };
    for (size_t i = 0; i < tx->rcpt_count; i++)
        env.recipients[i] = (struct envelope_recipient){
            .address = tx->rcpts[i].given,
            .resolved = resolved(&tx->rcpts[i]),
            .notify = tx->rcpts[i].notify,
            .orcpt = tx->rcpts[i].orcpt,
        };
    enum rc rc = spool_put_begin(&env, &tx->queue, e);
    if (rc == RC_OK)
        tx->id = arena_str(&tx->mem, spool_put_id(tx->queue));
    return rc;
}

static enum rc open_mailbox(struct smtp *c, struct err *e)
{
    struct transaction *tx = c->tx;
    const struct account *account = &tx->rcpts[0].account;
    enum rc rc = store_put_begin(account, STR(""), &tx->mailbox, e);
    tx->id =
        arena_printf(&tx->mem, "%" PRIx64 ".%" PRIx64, (uint64_t)clock_wall(), c->s.number);
    return rc;
}

/* The largest message that sender and recipients allow, in octets; 0: no limit. A queue entry
 * is refused only for what all its recipients refuse; the rest is the queue's to report. */
static uint64_t size_limit(const struct smtp *c)
{
    uint64_t limit = smtp_size_limit(c);
    if (c->tx->rcpt_count != 1 || c->tx->rcpts[0].max_message_kb == 0)
        return limit;
    uint64_t own = c->tx->rcpts[0].max_message_kb * 1024;
    return limit == 0 ? own : MIN(limit, own);
}

/* Does a filter of mail that comes in look at it? */
static bool is_filtered(struct smtp *c, const struct rcpt *r)
{
    struct arena *a = &c->tx->mem;
    struct filter_choice choice;
    char client[IP_PORT_TEXT_BYTES], server[IP_PORT_TEXT_BYTES];
    if (!filters_are_listed(FILTERS_IN))
        return false;
    const struct address from = users_meaning(&c->tx->sender, a), to = resolved(r);
    const struct filter_subject s = {
        address_print_bare(&from, a),
        address_print_bare(&to, a),
        str_from_c(ip_port_print(&c->s.client_ip, c->s.client_port, client)),
        str_from_c(ip_port_print(&c->s.local_ip, c->s.local_port, server)),
    };
    return filters_select(FILTERS_IN, &s, a, &choice);
}

enum rc transaction_open(struct smtp *c, enum data_mode mode, struct err *e)
{
    data_init(&c->tx->data, mode, size_limit(c));
    const struct rcpt *first = &c->tx->rcpts[0];
    /* A notice of success is the queue's to send. */
    bool plain = c->tx->rcpt_count == 1 && !first->is_remote && !first->is_list &&
                 !first->is_processed && (first->notify & NOTIFY_SUCCESS) == 0 &&
                 !is_filtered(c, first);
    enum rc rc = plain ? open_mailbox(c, e) : open_queue(c, e);
    if (c->tx->rcpt_count == 1 && !first->is_remote)
        c->tx->data.delivered_to =
            arena_printf(&c->tx->mem, "%.*s@%.*s", STR_ARG(first->account.name),
                         STR_ARG(first->account.domain));
    c->tx->began = clock_mono();
    if (rc == RC_OK)
        rc = filters_prepare(c, e);
    return rc == RC_OK ? write_front(c, !filters_hold(c), true, e) : rc;
}

enum rc transaction_write(struct smtp *c, struct str octets, uint64_t wire_octets,
                          struct err *e)
{
    struct transaction *tx = c->tx;
    if (filters_hold(c) && !tx->is_filtered)
        return filter_file_add(filters_file(c), octets, e);
    return tx->mailbox != NULL ? store_put_write(tx->mailbox, octets, wire_octets, e)
                               : spool_put_write(tx->queue, octets, wire_octets, e);
}

enum rc transaction_begin_filtered(struct smtp *c, struct err *e)
{
    c->tx->is_filtered = true;
    data_init(&c->tx->data, DATA_DOTS, 0);
    return write_front(c, true, false, e);
}

void transaction_fail(struct smtp *c, const struct err *e)
{
    c->tx->failed = true;
    c->tx->failure = *e;
    store_put_abort(&c->tx->mailbox);
    spool_put_abort(&c->tx->queue);
}

enum rc transaction_commit(struct smtp *c, struct err *e)
{
    struct transaction *tx = c->tx;
    if (tx->mailbox != NULL)
        return store_put_commit(&tx->mailbox, tx->rcpts[0].max_mailbox_kb, STR(""), e);
    struct str id;
    enum rc rc = spool_put_commit(&tx->queue, &tx->mem, &id, e);
    if (rc == RC_OK)
        smtp_notify_queue(id);
    return rc;
}

/*
 * message.c - one message over an open connection: MAIL, RCPT for each recipient, DATA (RFC
 * 5321 3.3), pipelined where the server takes it (RFC 2920), with SIZE, BODY, SMTPUTF8 and the
 * DSN parameters it knows. Each recipient gets a verdict of its own.
 */
#include "mail/stuffed.h"
#include "relay/relay_int.h"
#include "sys/io.h"

/* RFC 5321 4.5.3.2 */
#define COMMAND_TIME (300 * USEC_S)
#define DATA_TIME (120 * USEC_S)
#define BLOCK_TIME (180 * USEC_S)
#define FINAL_TIME (600 * USEC_S)
#define CHUNK_BYTES ((size_t)64 * 1024)
#define HEADER_LOOK_BYTES ((size_t)256 * 1024)

void message_settle(struct message *m, enum relay_state state, struct str status,
                    struct str host, struct str text)
{
    const struct reason r = { status, host, text };
    struct str line = reason_print(&r, m->mem);
    for (size_t i = 0; i < m->count; i++)
        if (!m->verdicts[i].known)
            m->verdicts[i] = (struct verdict){ state, true, line };
}

/* "mx.far.test[192.0.2.1]" */
static struct str host_of(const struct connection *c, struct arena *a)
{
    char ip[IP_TEXT_BYTES];
    return arena_printf(a, "%.*s[%s]", STR_ARG(c->target.name), ip_print(&c->target.ip, ip));
}

/* is_end: the reply behind the message. Only there 2xx means that the server has taken it;
 * elsewhere a reply that isn't the one wanted, and no refusal either, is a server's mistake. */
static struct verdict judge(const struct connection *c, const struct message *m,
                            const struct reply *r, bool is_end)
{
    bool sent = is_end && r->code < 300, odd = !sent && r->code < 400;
    const struct reason reason = { odd ? STR("4.5.0") : reason_status(r->code, r->text),
                                   host_of(c, m->mem), r->text };
    return (struct verdict){ sent            ? RELAY_SENT
                             : r->code < 500 ? RELAY_TEMP
                                             : RELAY_PERM,
                             true, reason_print(&reason, m->mem) };
}

static void settle_by(const struct connection *c, struct message *m, const struct reply *r)
{
    struct verdict v = judge(c, m, r, false);
    for (size_t i = 0; i < m->count; i++)
        if (!m->verdicts[i].known)
            m->verdicts[i] = v;
}

/* --- what the server must be able to do -------------------------------------------------- */

static bool address_needs_utf8(const struct address *a)
{
    return a->needs_utf8 || !str_is_ascii(a->local);
}

/* Does the header hold anything but ASCII? A header longer than what is looked at counts so. */
static bool header_needs_utf8(const struct message *m)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct spool_entry *entry = m->entry;
    size_t n = (size_t)MIN(entry->message_octets, (uint64_t)HEADER_LOOK_BYTES);
    char *p = arena_new(&a, n + 1);
    ssize_t got = io_pread(entry->message_fd, p, n, entry->message_offset);
    struct str text = str_from(p, got < 0 ? 0 : (size_t)got);
    size_t end = str_find_str(text, STR("\n\n"));
    if (end == SIZE_MAX && text.n < entry->message_octets)
        return true;
    return !str_is_ascii(str_head(text, MIN(end, text.n)));
}

/* Can the server take this message as it is? False: all recipients have their verdict. */
static bool server_can(const struct connection *c, struct message *m, bool *out_utf8)
{
    const struct envelope *env = &m->entry->env;
    bool addresses = address_needs_utf8(&env->reverse_path);
    for (size_t i = 0; i < m->count; i++)
        addresses = addresses || address_needs_utf8(&env->recipients[m->rcpts[i]].resolved);
    *out_utf8 = env->smtputf8 && (addresses || header_needs_utf8(m));
    const char *status = NULL, *text = NULL;
    if (*out_utf8 && !c->utf8) {
        status = "5.6.7";
        text = "the server doesn't take addresses or headers in UTF-8 (SMTPUTF8)";
    } else if (env->body_8bit && !c->eight_bit) {
        status = "5.6.3";
        text = "the server doesn't take messages with 8-bit octets (8BITMIME)";
    } else if (c->size_limit > 0 && m->entry->wire_octets > c->size_limit) {
        status = "5.3.4";
        text = "the message is larger than the server takes (SIZE)";
    }
    if (status == NULL)
        return true;
    message_settle(m, RELAY_PERM, str_from_c(status), host_of(c, m->mem), str_from_c(text));
    return false;
}

/* --- commands ---------------------------------------------------------------------------- */

static struct str mail_command(const struct connection *c, const struct message *m, bool utf8)
{
    static const char *const rets[] = { "", " RET=HDRS", " RET=FULL" };
    const struct envelope *env = &m->entry->env;
    struct arena *a = m->mem;
    struct str line =
        arena_printf(a, "MAIL FROM:<%.*s>", STR_ARG(address_print(&env->reverse_path, a)));
    if (c->size)
        line = arena_printf(a, "%.*s SIZE=%" PRIu64, STR_ARG(line), m->entry->wire_octets);
    if (c->eight_bit && env->body_8bit)
        line = arena_printf(a, "%.*s BODY=8BITMIME", STR_ARG(line));
    if (utf8)
        line = arena_printf(a, "%.*s SMTPUTF8", STR_ARG(line));
    if (c->dsn)
        line = arena_printf(a, "%.*s%s", STR_ARG(line), rets[env->ret]);
    if (c->dsn && env->envid.n > 0)
        line = arena_printf(a, "%.*s ENVID=%.*s", STR_ARG(line), STR_ARG(env->envid));
    return arena_printf(a, "%.*s\r\n", STR_ARG(line));
}

static struct str rcpt_command(const struct connection *c, const struct message *m, size_t i)
{
    static const struct {
        unsigned bit;
        const char *name;
    } notifies[] = { { NOTIFY_NEVER, "NEVER" },
                     { NOTIFY_SUCCESS, "SUCCESS" },
                     { NOTIFY_FAILURE, "FAILURE" },
                     { NOTIFY_DELAY, "DELAY" } };
    const struct envelope_recipient *r = &m->entry->env.recipients[m->rcpts[i]];
    struct arena *a = m->mem;
    struct str line = arena_printf(a, "RCPT TO:<%.*s%.*s>", STR_ARG(m->source_route),
                                   STR_ARG(address_print(&r->resolved, a)));
    const char *before = " NOTIFY=";
    for (size_t k = 0; c->dsn && k < ARRAY_LEN(notifies); k++) {
        if ((r->notify & notifies[k].bit) == 0)
            continue;
        line = arena_printf(a, "%.*s%s%s", STR_ARG(line), before, notifies[k].name);
        before = ",";
    }
    if (c->dsn && r->orcpt.n > 0)
        line = arena_printf(a, "%.*s ORCPT=%.*s", STR_ARG(line), STR_ARG(r->orcpt));
    return arena_printf(a, "%.*s\r\n", STR_ARG(line));
}

/* The dialogue up to the reply to DATA. */
struct dialogue {
    struct connection *c;
    struct message *m;
    size_t accepted;
    bool mail_ok;
    struct reply data;
};

static enum rc read_mail(struct dialogue *d, struct err *e)
{
    struct reply r;
    enum rc rc = connection_reply(d->c, d->m->mem, &r, e);
    if (rc != RC_OK)
        return rc;
    d->mail_ok = r.code == 250;
    /* A refusal on a connection that carried messages may mean just that (a server's limit of
     * messages, a state it is still in): a fresh one tells. */
    if (!d->mail_ok && d->c->messages > 1)
        return err_gone(e, "%.*s", STR_ARG(r.text));
    if (!d->mail_ok)
        settle_by(d->c, d->m, &r);
    return RC_OK;
}

static enum rc read_rcpt(struct dialogue *d, size_t i, bool *waiting, struct err *e)
{
    struct reply r;
    enum rc rc = connection_reply(d->c, d->m->mem, &r, e);
    if (rc != RC_OK || !d->mail_ok)
        return rc;
    *waiting = r.code == 250 || r.code == 251;
    d->accepted += *waiting;
    if (!*waiting)
        d->m->verdicts[i] = judge(d->c, d->m, &r, false);
    return RC_OK;
}

/* MAIL, RCPT..., DATA in one write, then the replies. */
static enum rc talk_pipelined(struct dialogue *d, struct str mail, bool *waiting, struct err *e)
{
    struct buf all AUTO_RELEASE_BUF;
    struct message *m = d->m;
    buf_init(&all, (size_t)4 << 20);
    enum rc rc = buf_add_str(&all, mail);
    for (size_t i = 0; i < m->count && rc == RC_OK; i++)
        if (!m->verdicts[i].known)
            rc = buf_add_str(&all, rcpt_command(d->c, m, i));
    if (rc == RC_OK)
        rc = buf_add_str(&all, STR("DATA\r\n"));
    if (rc == RC_OK)
        rc = client_write(d->c->client, buf_str(&all), e);
    bool *asked = arena_new_array(m->mem, bool, m->count);
    for (size_t i = 0; i < m->count; i++)
        asked[i] = !m->verdicts[i].known;
    if (rc == RC_OK)
        rc = read_mail(d, e);
    for (size_t i = 0; i < m->count && rc == RC_OK; i++)
        if (asked[i])
            rc = read_rcpt(d, i, &waiting[i], e);
    return rc == RC_OK ? connection_reply(d->c, m->mem, &d->data, e) : rc;
}

static enum rc talk_in_steps(struct dialogue *d, struct str mail, bool *waiting, struct err *e)
{
    struct message *m = d->m;
    enum rc rc = client_write(d->c->client, mail, e);
    if (rc == RC_OK)
        rc = read_mail(d, e);
    for (size_t i = 0; i < m->count && rc == RC_OK && d->mail_ok; i++) {
        if (m->verdicts[i].known)
            continue;
        rc = client_write(d->c->client, rcpt_command(d->c, m, i), e);
        if (rc == RC_OK)
            rc = read_rcpt(d, i, &waiting[i], e);
    }
    if (rc != RC_OK || d->accepted == 0)
        return rc;
    client_set_timeout(d->c->client, patience(DATA_TIME));
    rc = client_write(d->c->client, STR("DATA\r\n"), e);
    return rc == RC_OK ? connection_reply(d->c, m->mem, &d->data, e) : rc;
}

/* --- the message ------------------------------------------------------------------------- */

/* A reply that nobody asked for would be taken for that of the next command, at last for the
 * acceptance of a message that the server may refuse. */
static enum rc check_in_step(struct connection *c, struct err *e)
{
    return client_has_input(c->client) ? err_gone(e, "the server replies before it is asked")
                                       : RC_OK;
}

static enum rc send_body(struct connection *c, const struct message *m, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf out AUTO_RELEASE_BUF;
    const struct spool_entry *entry = m->entry;
    uint64_t at = entry->message_offset, left = entry->message_octets;
    char *p = arena_new(&a, CHUNK_BYTES);
    struct stuffing dots = { .in_line = false };
    buf_init(&out, 4 * CHUNK_BYTES);
    enum rc rc = RC_OK;
    while (left > 0 && rc == RC_OK) {
        ssize_t n =
            io_pread(entry->message_fd, p, (size_t)MIN(left, (uint64_t)CHUNK_BYTES), at);
        if (n <= 0)
            return err_gone(e, "the message can't be read"); /* never "." behind half of it */
        rc = stuff_feed(&dots, str_from(p, (size_t)n), &out);
        at += (uint64_t)n;
        left -= (uint64_t)n;
        if (rc == RC_OK && left > 0) {
            rc = client_write(c->client, buf_str(&out), e);
            buf_reset(&out);
        }
    }
    if (rc == RC_OK)
        rc = stuff_end(&dots, &out);
    if (rc == RC_OK)
        rc = buf_add_str(&out, STR(".\r\n"));
    if (rc == RC_OK)
        rc = check_in_step(c, e);
    return rc == RC_OK ? client_write(c->client, buf_str(&out), e) : rc;
}

/* After 354. */
static enum rc finish(struct dialogue *d, const bool *waiting, bool *out_sent, struct err *e)
{
    struct connection *c = d->c;
    struct message *m = d->m;
    struct reply r;
    if (d->accepted == 0) { /* the server goes on although nobody is left */
        enum rc rc = client_write(c->client, STR(".\r\n"), e);
        return rc == RC_OK ? connection_reply(c, m->mem, &r, e) : rc;
    }
    client_set_timeout(c->client, patience(BLOCK_TIME));
    client_set_deadline(c->client, clock_mono() + FINAL_TIME +
                                       (usec_t)(m->entry->wire_octets / 1000) * USEC_S);
    enum rc rc = send_body(c, m, e);
    *out_sent = rc == RC_OK;
    client_set_timeout(c->client, patience(FINAL_TIME));
    if (rc == RC_OK)
        rc = connection_reply(c, m->mem, &r, e);
    client_set_deadline(c->client, USEC_FOREVER);
    if (rc != RC_OK)
        return rc;
    struct verdict v = judge(c, m, &r, true);
    for (size_t i = 0; i < m->count; i++)
        if (waiting[i])
            m->verdicts[i] = v;
    m->remote_dsn = c->dsn;
    return RC_OK;
}

/* Without a message the server's transaction is still open (RFC 5321 4.1.1.5). False: the
 * connection is of no further use. */
static bool end_transaction(struct connection *c, struct arena *a)
{
    struct reply r;
    struct err e;
    return client_write(c->client, STR("RSET\r\n"), &e) == RC_OK &&
           connection_reply(c, a, &r, &e) == RC_OK && r.code == 250;
}

enum rc message_send(struct connection *c, struct message *m, bool *out_again, struct err *e)
{
    struct dialogue d = { .c = c, .m = m };
    bool utf8 = false, sent = false;
    *out_again = true;
    m->tls = arena_str(m->mem, str_from_c(client_tls_version(c->client)));
    if (!server_can(c, m, &utf8))
        return RC_OK;
    bool *waiting = arena_new_array(m->mem, bool, m->count);
    struct str mail = mail_command(c, m, utf8);
    client_set_timeout(c->client, patience(COMMAND_TIME));
    c->messages++;
    enum rc rc = check_in_step(c, e);
    if (rc == RC_OK)
        rc = c->pipelining ? talk_pipelined(&d, mail, waiting, e)
                           : talk_in_steps(&d, mail, waiting, e);
    if (rc == RC_OK && d.data.code == 354) {
        rc = finish(&d, waiting, &sent, e);
    } else if (rc == RC_OK) {
        if (d.accepted > 0)
            settle_by(c, m, &d.data); /* DATA refused: of all that were accepted */
        c->spent = !end_transaction(c, m->mem);
    }
    /* Behind the final dot without an answer nobody knows: another server would get it twice.
     */
    *out_again = !sent;
    return rc == RC_OK ? RC_OK : RC_GONE;
}

/*
 * keep.c - the messages of a batch become mail here: into the account's mailbox at once, or as
 * entries of the queue. Called by visit.c on a worker, one batch of a visit at a time.
 *
 * Order: what is already known is recognised by UIDL and content; "?" lines; messages, durable
 * by one sync; "=" lines; then the answer, after which the source may be told to delete.
 */
#include "fetch/fetch_int.h"
#include "mail/date.h"
#include "mail/header.h"
#include "spool/spool.h"
#include "store/delivery_headers.h"
#include "store/store.h"
#include "sys/io.h"
#include "sys/metrics.h"
#include "users/figures.h"

#define CHUNK_BYTES ((size_t)128 * 1024)
/* What goes through the commit log for certain (sys/commit.c): one message, and all of a batch.
 */
#define LOGGED_BYTES ((uint64_t)40 * 1024)
#define LOGGED_BATCH_BYTES ((uint64_t)1 << 20)
#define RULES (ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8)

/* One message of a batch. */
struct arrival {
    const struct listed *listed;
    int fd;
    uint64_t at, octets; /* where its octets are */
    struct str uidl;     /* what it is remembered under */
    char digest[DIGEST_TEXT_BYTES];
    struct str head;   /* its first octets, or all; in mem */
    struct str header; /* of these */
    struct fetched_header told;
    struct address *rcpts; /* where it goes */
    size_t rcpt_count;
    struct store_put *mailbox; /* on its way */
    struct spool_put *queue;
    struct str name, tag; /* in the memory; of the commit */
    enum fate fate;       /* 0: not known yet */
};

struct batch {
    struct arena mem;
    struct visit *v;
    fetch_queued_fn *queued;
    struct arrival *all;
    size_t count;
    char *chunk;     /* CHUNK_BYTES */
    uint64_t logged; /* octets for mailboxes */
};

static void not_taken(struct batch *b, struct arrival *m, enum fate fate, const char *why)
{
    struct visit *v = b->v;
    m->fate = fate;
    v->bad++;
    v->bad_octets += MAX(m->octets, m->listed->octets);
    (void)snprintf(v->trouble, sizeof(v->trouble), "%s", why);
    metric_add(METRIC_fetch_refused, 1);
    if (fate == FATE_BAD)
        visit_refuse(v, m->listed->uidl, why);
    log_warn(EV("fetched message not taken"), KS("domain", v->link.columns[LINK_DOMAIN]),
             KS("account", v->link.columns[LINK_ACCOUNT_NAME]), KS("server", v->link.host),
             KS("login", v->link.user), KS("uid", m->listed->uidl),
             KU("octets", MAX(m->octets, m->listed->octets)), KV("reason", why));
}

/* --- reading ----------------------------------------------------------------------------- */

/* The octets from `at` on, up to CHUNK_BYTES; they must be there. */
static enum rc read_chunk(struct batch *b, const struct arrival *m, uint64_t at,
                          struct str *out, struct err *e)
{
    size_t want = (size_t)MIN((uint64_t)CHUNK_BYTES, m->octets - at);
    ssize_t n = want == 0 ? 0 : io_pread(m->fd, b->chunk, want, m->at + at);
    if (n < 0)
        return err_sys(e, "read fetched mail");
    if ((size_t)n != want)
        return err_temp(e, "4.3.0", "fetched mail is cut off");
    *out = str_from(b->chunk, want);
    return RC_OK;
}

/* Its digest, and its head. Octets that the relay role should have made good stop it. */
static enum rc look_at(struct batch *b, struct arrival *m, struct err *e)
{
    struct digest *d = digest_new();
    enum rc rc = RC_OK;
    for (uint64_t at = 0; rc == RC_OK && at < m->octets;) {
        struct str text = STR("");
        rc = read_chunk(b, m, at, &text, e);
        if (rc == RC_OK &&
            (str_find(text, '\r') != SIZE_MAX || str_find(text, '\0') != SIZE_MAX))
            rc = err_perm(e, "5.6.0", "a message with CR or NUL");
        if (rc != RC_OK)
            break;
        digest_add(d, text);
        if (at == 0)
            m->head = arena_str(&b->mem, text);
        at += text.n;
    }
    digest_end(&d, m->digest);
    m->header = str_head(m->head, header_end(m->head));
    return rc;
}

static enum rc read_heads(struct batch *b, int fd, struct err *e)
{
    struct visit *v = b->v;
    struct batch_head h;
    struct stat st;
    uint64_t at = 0;
    if (io_fstat(fd, &st) < 0)
        return err_sys(e, "look at fetched mail");
    b->all = arena_new_array(&b->mem, struct arrival, BATCH_MESSAGES);
    while (at < (uint64_t)st.st_size) {
        if (b->count == BATCH_MESSAGES || io_pread(fd, &h, sizeof(h), at) != sizeof(h) ||
            h.index >= v->list_count || h.state > BATCH_REFUSED ||
            h.octets > (uint64_t)st.st_size - at - sizeof(h))
            return err_perm(e, "5.3.0", "a batch of fetched mail isn't whole");
        at += sizeof(h);
        struct arrival *m = &b->all[b->count++];
        *m = (struct arrival){ .listed = &v->list[h.index],
                               .fd = fd,
                               .at = at,
                               .octets = h.octets,
                               .head = STR(""),
                               .header = STR("") };
        at += h.octets;
        if (h.state == BATCH_TOO_LARGE)
            not_taken(b, m, FATE_BAD, "it is larger than messages may be");
        else if (h.state == BATCH_REFUSED)
            not_taken(b, m, FATE_BAD, "the server doesn't give it");
    }
    return RC_OK;
}

/* --- is it known? ------------------------------------------------------------------------ */

static void count(struct batch *b, const struct arrival *m)
{
    b->v->messages++;
    b->v->octets += m->octets;
    metric_add(METRIC_fetched, 1);
    metric_add(METRIC_fetched_bytes, m->octets);
}

static void recognise(struct batch *b, struct arrival *m)
{
    struct visit *v = b->v;
    struct str digest = str_from_c(m->digest);
    m->uidl = m->listed->has_uidl ? m->listed->uidl : arena_printf(&b->mem, "d-%s", m->digest);
    struct known *k = memory_find(v->memory, m->uidl);
    bool same = k != NULL && (str_eq(k->digest, digest) || str_eq(k->digest, STR("-")));
    if (k != NULL && k->state == KNOWN_INTENT && !(same && memory_was_put(k)))
        return;
    if (k == NULL && v->link.leave)
        same = memory_find_moved(v->memory, digest) != NULL; /* the server changed its ids */
    if (!same)
        return;
    m->fate = FATE_DONE;
    memory_note(v->memory, m->uidl, digest);
}

/* --- where it goes ----------------------------------------------------------------------- */

static bool add_rcpt(struct batch *b, struct arrival *m, struct str text)
{
    struct address to;
    struct err e;
    if (address_parse(text, RULES, &b->mem, &to, &e) != RC_OK)
        return false;
    for (size_t i = 0; i < m->rcpt_count; i++)
        if (address_eq(&m->rcpts[i], &to))
            return true;
    m->rcpts[m->rcpt_count++] = to;
    return true;
}

/* Is somebody there? "" yes; else why not. A table that can't tell counts as yes: the queue
 * waits for it. */
static const char *look_up(struct batch *b, const struct address *to)
{
    struct recipient r;
    struct err e;
    if (users_resolve(to, &b->mem, &r, &e) != RC_OK)
        return "";
    if (r.kind == RECIPIENT_UNKNOWN)
        return "nobody has the address it is for";
    return "";
}

static void drop_unknown(struct batch *b, struct arrival *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->rcpt_count; i++)
        if (look_up(b, &m->rcpts[i])[0] == '\0')
            m->rcpts[n++] = m->rcpts[i];
    m->rcpt_count = n;
}

/* What keeps it from being delivered as the link says; "": nothing. */
static const char *find_rcpts(struct batch *b, struct arrival *m)
{
    const struct fetch_link *l = &b->v->link;
    struct str text = STR("");
    m->rcpts = arena_new_array(&b->mem, struct address, FETCH_RCPTS_MAX + 1);
    if (m->told.is_loop)
        return "this link has fetched it before: the mail goes in a circle";
    if (m->told.received > (uint64_t)conf()->max_mta_ops)
        return "it has more Received fields than MaxMTAOps allows";
    if (l->form == LINK_ACCOUNT || l->form == LINK_ADDRESS) {
        text = arena_printf(&b->mem, "%.*s@%.*s", STR_ARG(l->columns[LINK_ACCOUNT_NAME]),
                            STR_ARG(l->target));
        if (!add_rcpt(b, m, text))
            return "the link has no good address";
        return b->v->into_mailbox ? "" : look_up(b, &m->rcpts[0]);
    }
    for (size_t i = 0; i < m->told.rcpt_count; i++)
        if (link_maps(l, m->told.rcpts[i], &b->mem, &text))
            (void)add_rcpt(b, m, text);
    drop_unknown(b, m);
    return m->rcpt_count > 0 ? "" : "its header names nobody here";
}

/* --- what is written --------------------------------------------------------------------- */

static uint64_t wire_octets(struct str text)
{
    uint64_t n = text.n;
    for (const char *p = text.p, *end = text.p + text.n; p < end; p++)
        n += *p == '\n';
    return n;
}

static enum rc put_text(struct arrival *m, struct str text, struct err *e)
{
    if (text.n == 0)
        return RC_OK;
    return m->mailbox != NULL ? store_put_write(m->mailbox, text, wire_octets(text), e)
                              : spool_put_write(m->queue, text, wire_octets(text), e);
}

static enum rc print_front(struct batch *b, struct arrival *m, struct str id, struct buf *out)
{
    const struct fetch_link *l = &b->v->link;
    char date[DATE_TEXT_BYTES];
    enum rc rc = RC_OK;
    if (m->mailbox != NULL)
        rc = delivery_headers_front(&m->told.sender, &b->v->account, out);
    struct str to = m->rcpt_count == 1 ? address_print(&m->rcpts[0], &b->mem) : STR("");
    if (rc == RC_OK)
        rc = buf_printf(
            out, "Received: from %.*s by %.*s\n\twith %s (%.*s)\n\tid %.*s%s%.*s%s;\n\t%s\n",
            STR_ARG(l->host), STR_ARG(options_server_name()),
            l->imap                       ? "IMAPS"
            : l->tls == LINK_IMPLICIT_TLS ? "POP3S"
                                          : "POP3",
            STR_ARG(b->v->mark), STR_ARG(id), to.n > 0 ? " for <" : "", STR_ARG(to),
            to.n > 0 ? ">" : "", date_print(clock_wall(), date));
    return rc;
}

/* The header without the Return-Path that we give it anew, what we add at its end, the rest. */
static enum rc write_message(struct batch *b, struct arrival *m, struct str id, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct str rest = m->header;
    buf_init(&text, 2 * CHUNK_BYTES + 65536);
    enum rc rc = print_front(b, m, id, &text);
    while (rc == RC_OK && rest.n > 0) {
        struct str name, field = header_next_field(&rest, &name);
        rc = str_ieq(name, STR("Return-Path")) ? RC_OK : buf_add_str(&text, field);
    }
    if (rc == RC_OK && m->mailbox != NULL && text.p[text.n - 1] == '\n')
        rc = delivery_headers_end(&m->told.sender, &text);
    if (rc != RC_OK)
        return err_temp(e, "4.3.1", "the header is too large");
    rc = put_text(m, buf_str(&text), e);
    if (rc == RC_OK)
        rc = put_text(m, str_skip(m->head, m->header.n), e);
    for (uint64_t at = m->head.n; rc == RC_OK && at < m->octets;) {
        struct str some = STR("");
        rc = read_chunk(b, m, at, &some, e);
        if (rc == RC_OK)
            rc = put_text(m, some, e);
        at += rc == RC_OK ? some.n : 0;
    }
    return rc;
}

static enum rc begin_queue(struct batch *b, struct arrival *m, struct err *e)
{
    struct envelope_recipient *rcpts =
        arena_new_array(&b->mem, struct envelope_recipient, m->rcpt_count);
    bool utf8 = m->told.sender.needs_utf8;
    for (size_t i = 0; i < m->rcpt_count; i++) {
        rcpts[i] =
            (struct envelope_recipient){ .address = m->rcpts[i],
                                         .resolved = users_meaning(&m->rcpts[i], &b->mem),
                                         .orcpt = STR("") };
        utf8 = utf8 || m->rcpts[i].needs_utf8;
    }
    const struct envelope env = {
        .reverse_path = m->told.sender,
        .auth_user = STR(""),
        .client = STR(""),
        .server = STR(""),
        .helo = STR(""),
        .received_at = clock_wall(),
        .smtputf8 = utf8,
        .body_8bit = true,
        .envid = STR(""),
        .recipient_count = m->rcpt_count,
        .recipients = rcpts,
    };
    enum rc rc = spool_put_begin(&env, &m->queue, e);
    if (rc != RC_OK)
        return rc;
    m->name = arena_str(&b->mem, spool_put_id(m->queue));
    spool_put_tag(m->queue, m->tag);
    return write_message(b, m, m->name, e);
}

static enum rc begin_mailbox(struct batch *b, struct arrival *m, struct err *e)
{
    /* Nobody else's, not even that of the same message when the source has it twice. */
    struct str base = arena_printf(&b->mem, "%" PRId64 ".F%.16sV%" PRIu64 "N%zu.hikyaku",
                                   clock_wall() / USEC_S, m->digest, b->v->number,
                                   (size_t)(m->listed - b->v->list));
    m->name = arena_printf(&b->mem, "%.*s/%.*s", STR_ARG(b->v->account.folder), STR_ARG(base));
    enum rc rc = store_put_begin(&b->v->account, base, &m->mailbox, e);
    return rc == RC_OK ? write_message(b, m, base, e) : rc;
}

/* In a mailbox a message can be seen and removed before it is remembered. The commit log tells
 * that it was there; what doesn't go through the log goes through the queue, which is ours
 * alone.
 */
static bool may_be_seen(struct batch *b, const struct arrival *m)
{
    if (m->octets > LOGGED_BYTES || b->logged + m->octets > LOGGED_BATCH_BYTES)
        return false;
    b->logged += m->octets;
    return true;
}

/* Pop3SyncErrorAccount gets what can't be delivered as the link says. */
static bool to_error_account(struct batch *b, struct arrival *m)
{
    struct str account = conf()->pop3_sync_error_account;
    m->rcpt_count = 0;
    return account.n > 0 && !m->told.is_loop && add_rcpt(b, m, account) &&
           look_up(b, &m->rcpts[0])[0] == '\0';
}

static void begin_put(struct batch *b, struct arrival *m)
{
    struct visit *v = b->v;
    struct err e = { .text = "" };
    enum rc rc = look_at(b, m, &e);
    if (rc == RC_OK)
        recognise(b, m);
    if (m->fate != 0)
        return;
    fetch_read_header(m->header, conf()->fetch_hdr_tags, v->mark, &b->mem, &m->told);
    const char *why = rc == RC_OK ? find_rcpts(b, m) : e.text;
    bool lost = rc == RC_OK && why[0] != '\0';
    if (lost && !to_error_account(b, m)) {
        not_taken(b, m, FATE_BAD, why);
        return;
    }
    m->tag = memory_tag(v->folder, v->link.user, m->uidl, str_from_c(m->digest), &b->mem);
    if (rc == RC_OK)
        rc = v->into_mailbox && !lost && may_be_seen(b, m) ? begin_mailbox(b, m, &e)
                                                           : begin_queue(b, m, &e);
    if (rc == RC_OK) {
        memory_intend(v->memory, m->uidl, str_from_c(m->digest), m->name);
        return;
    }
    store_put_abort(&m->mailbox);
    spool_put_abort(&m->queue);
    not_taken(b, m, rc == RC_PERM ? FATE_BAD : FATE_LATER, e.text);
}

/* --- durable ----------------------------------------------------------------------------- */

static void put_mailboxes(struct batch *b)
{
    struct store_put_one *ones = arena_new_array(&b->mem, struct store_put_one, b->count);
    size_t *of = arena_new_array(&b->mem, size_t, b->count);
    size_t n = 0;
    for (size_t i = 0; i < b->count; i++) {
        struct arrival *m = &b->all[i];
        if (m->mailbox == NULL)
            continue;
        ones[n] = (struct store_put_one){ .put = m->mailbox, .tag = m->tag };
        m->mailbox = NULL;
        of[n++] = i;
    }
    if (n > 0)
        store_put_commit_all(ones, n, b->v->user.max_mb_size);
    for (size_t i = 0; i < n; i++) {
        struct arrival *m = &b->all[of[i]];
        if (ones[i].rc == RC_OK) {
            m->fate = FATE_DONE;
            figure_add(b->v->account.domain, FIGURE_delivered, 1);
            figure_add(b->v->account.domain, FIGURE_octets_in, m->octets);
        } else {
            not_taken(b, m, ones[i].rc == RC_PERM ? FATE_BAD : FATE_LATER, ones[i].e.text);
        }
    }
}

static void put_entries(struct batch *b)
{
    struct spool_put_one *ones = arena_new_array(&b->mem, struct spool_put_one, b->count);
    size_t *of = arena_new_array(&b->mem, size_t, b->count);
    size_t n = 0;
    for (size_t i = 0; i < b->count; i++) {
        if (b->all[i].queue == NULL)
            continue;
        ones[n] = (struct spool_put_one){ .put = b->all[i].queue };
        b->all[i].queue = NULL;
        of[n++] = i;
    }
    if (n > 0)
        spool_put_commit_all(ones, n);
    for (size_t i = 0; i < n; i++) {
        if (ones[i].rc == RC_OK)
            b->all[of[i]].fate = FATE_DONE;
        else
            not_taken(b, &b->all[of[i]], FATE_LATER, ones[i].e.text);
    }
}

/* It is remembered: others may work on it. */
static void announce(struct batch *b, const struct arrival *m)
{
    struct visit *v = b->v;
    count(b, m);
    log_info(EV("message fetched"), KS("id", m->name), KS("server", v->link.host),
             KS("login", v->link.user), KS("uid", m->listed->uidl),
             KS("from", address_print(&m->told.sender, &b->mem)), KU("octets", m->octets));
    if (str_find(m->name, '/') == SIZE_MAX)
        b->queued(m->name);
}

/* What is durable is remembered. */
static enum rc settle(struct batch *b, const bool *fresh, struct err *e)
{
    for (size_t i = 0; i < b->count; i++)
        if (fresh[i] && b->all[i].fate == FATE_DONE)
            memory_note(b->v->memory, b->all[i].uidl, str_from_c(b->all[i].digest));
    enum rc rc = memory_write(b->v->memory, e);
    for (size_t i = 0; i < b->count; i++)
        if (fresh[i] && b->all[i].fate == FATE_DONE)
            announce(b, &b->all[i]);
    return rc;
}

enum rc visit_take_batch(struct visit *v, int fd, fetch_queued_fn *queued, struct buf *out,
                         struct err *e)
{
    struct batch b = { .v = v, .queued = queued };
    b.chunk = arena_new(&b.mem, CHUNK_BYTES);
    enum rc rc = read_heads(&b, fd, e);
    bool *fresh = arena_new_array(&b.mem, bool, BATCH_MESSAGES);
    bool large = false; /* may not go through the commit log */
    for (size_t i = 0; rc == RC_OK && i < b.count; i++) {
        if (b.all[i].fate == 0)
            begin_put(&b, &b.all[i]);
        fresh[i] = b.all[i].fate == 0;
        large = large || (fresh[i] && b.all[i].octets > LOGGED_BYTES);
    }
    if (rc == RC_OK)
        rc = large ? memory_sync(v->memory, e) : memory_write(v->memory, e);
    if (rc == RC_OK) {
        put_mailboxes(&b);
        put_entries(&b);
        rc = settle(&b, fresh, e);
    }
    for (size_t i = 0; rc == RC_OK && i < b.count; i++)
        rc = buf_add_char(out, (char)b.all[i].fate);
    for (size_t i = 0; i < b.count; i++) {
        store_put_abort(&b.all[i].mailbox);
        spool_put_abort(&b.all[i].queue);
    }
    arena_release(&b.mem);
    return rc;
}

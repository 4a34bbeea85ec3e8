/*
 * relay.c - attempts: an entry's recipients of one domain go to the first of the domain's
 * servers that can be talked to. One worker an attempt: it waits for the remote, so there are
 * as many workers as connections.
 */
#include "relay/relay_int.h"
#include "sys/dns.h"

#define RCPTS_MAX 1000u

static struct pool *the_pool;
static struct relay_hooks the_hooks;

struct attempt {
    struct arena mem;
    pool_ticket ticket;
    uint64_t job;
    struct str id, rcpts, via;
    struct spool_entry entry;
    struct message message;
    unsigned flags;
};

/* --- the end ----------------------------------------------------------------------------- */

/* Recipients whose fate is the most frequent one come with `done`; the others before it. */
static void report(struct attempt *a)
{
    const struct message *m = &a->message;
    const struct verdict *all = &m->verdicts[0];
    a->flags |= m->remote_dsn ? (unsigned)RELAY_REMOTE_DSN : 0;
    for (size_t i = 1; i < m->count; i++) {
        const struct verdict *v = &m->verdicts[i];
        if (v->state != all->state || !str_eq(v->reason, all->reason))
            the_hooks.result(a->job, m->rcpts[i], v->state, a->flags, v->reason, a->id);
    }
    /* Under their numbers alone the rest could not be told from those above. */
    struct buf same AUTO_RELEASE_BUF;
    buf_init(&same, 16384);
    for (size_t i = 0; i < m->count; i++)
        if (m->verdicts[i].state == all->state && str_eq(m->verdicts[i].reason, all->reason))
            buf_addf(&same, "%s%zu", same.n > 0 ? " " : "", m->rcpts[i]);
    the_hooks.done(a->job, all->state, a->flags, all->reason, a->id, buf_str(&same));
}

/* What became of each recipient is the queue role's to tell. */
static void log_attempt(const struct attempt *a, const struct target *t)
{
    unsigned counts[RELAY_PERM + 1] = { 0 };
    char ip[IP_PORT_TEXT_BYTES] = "-";
    if (t != NULL)
        (void)ip_port_show(&t->ip, t->port, ip);
    for (size_t i = 0; i < a->message.count; i++)
        counts[a->message.verdicts[i].state]++;
    log_info(EV("attempt"), KS("id", a->id), KV("server", ip), KS("tls", a->message.tls),
             KU("sent", counts[RELAY_SENT]), KU("deferred", counts[RELAY_TEMP]),
             KU("failed", counts[RELAY_PERM]));
}

/* --- one attempt ------------------------------------------------------------------------- */

static bool all_known(const struct message *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (!m->verdicts[i].known)
            return false;
    return true;
}

/* "the server refused the connection" in the words of whoever knows. */
static struct str failure(const struct target *t, const struct reply *r, const struct err *e,
                          struct arena *a)
{
    char ip[IP_TEXT_BYTES];
    struct str host = arena_printf(a, "%.*s[%s]", STR_ARG(t->name), ip_print(&t->ip, ip));
    bool remote = r->code >= 400;
    const struct reason reason = {
        remote
            ? reason_status(r->code, r->text)
            : str_from_c(e->dsn[0] != '\0' && strcmp(e->dsn, "4.3.0") != 0 ? e->dsn : "4.4.1"),
        host, remote ? r->text : str_from_c(e->text)
    };
    return reason_print(&reason, a);
}

/* Over one connection, an old one first. RC_OK: settled. RC_AGAIN: another server, please. */
static enum rc try_target(struct attempt *a, const struct target *t, bool *out_reached,
                          enum relay_state *out_state, struct str *out_reason, bool *out_busy)
{
    struct err e = { .text = "" };
    struct reply r = { .code = 0, .text = STR("") };
    bool again = true;
    for (struct connection *c = idle_take(t);; c = NULL) {
        bool fresh = c == NULL;
        enum rc rc = fresh ? connection_open(t, &c, &a->mem, &r, &e) : RC_OK;
        if (rc == RC_AGAIN) {
            *out_busy = true;
            return RC_AGAIN;
        }
        if (rc != RC_OK) {
            *out_reached = *out_reached || r.code != 0;
            *out_state = r.code >= 500 ? RELAY_PERM : RELAY_TEMP;
            *out_reason = failure(t, &r, &e, &a->mem);
            return RC_AGAIN;
        }
        rc = message_send(c, &a->message, &again, &e);
        if (rc == RC_OK) {
            *out_reached = true;
            idle_keep(&c);
            return RC_OK;
        }
        connection_close(&c, false);
        if (!fresh && again && !all_known(&a->message))
            continue; /* it was closed while it waited */
        *out_reached = true;
        (void)snprintf(e.dsn, sizeof(e.dsn), "4.4.2");
        *out_state = RELAY_TEMP;
        *out_reason = failure(t, &(struct reply){ .code = 0 }, &e, &a->mem);
        return again ? RC_AGAIN : RC_OK;
    }
}

static void settle_rest(struct message *m, enum relay_state state, struct str reason)
{
    for (size_t i = 0; i < m->count; i++)
        if (!m->verdicts[i].known)
            m->verdicts[i] = (struct verdict){ state, true, reason };
}

static void send_to_domain(struct attempt *a)
{
    struct err e = { .text = "", .dsn = "" };
    struct route route;
    struct message *m = &a->message;
    struct str domain = a->entry.env.recipients[m->rcpts[0]].resolved.domain;
    enum relay_state state = RELAY_TEMP;
    struct str reason = STR("4.4.1 - no server could be reached");
    bool reached = false, busy = false;
    const struct target *used = NULL;
    enum rc rc = route_find(domain, a->via, &route, &e);
    if (rc != RC_OK) {
        message_settle(m, rc == RC_PERM ? RELAY_PERM : RELAY_TEMP,
                       str_from_c(e.dsn[0] != '\0' ? e.dsn : "4.4.3"), STR(""),
                       str_from_c(e.text));
        a->flags |= rc == RC_PERM ? 0 : (unsigned)RELAY_UNREACHABLE;
        log_attempt(a, NULL);
        route_release(&route);
        return;
    }
    m->source_route = route.source_route;
    bool permanent = true; /* said by every server there is */
    for (size_t i = 0; i < route.count && !all_known(m); i++) {
        used = &route.targets[i];
        rc = try_target(a, used, &reached, &state, &reason, &busy);
        permanent = permanent && state == RELAY_PERM;
        if (rc == RC_OK)
            break;
    }
    if (busy && !all_known(m)) {
        a->flags |= (unsigned)RELAY_BUSY;
        route_release(&route);
        return;
    }
    settle_rest(m, permanent ? state : RELAY_TEMP, reason);
    a->flags |= reached ? 0 : (unsigned)RELAY_UNREACHABLE;
    log_attempt(a, used);
    route_release(&route);
}

/* The indexes of a request. False: not of this entry. */
static bool take_rcpts(struct attempt *a)
{
    struct str rest = a->rcpts, word;
    size_t *list = arena_new_array(&a->mem, size_t, RCPTS_MAX);
    struct message *m = &a->message;
    while (rest.n > 0 && m->count < RCPTS_MAX && str_cut(&rest, ' ', &word)) {
        uint64_t i = 0;
        if (!str_to_u64(word, &i) || i >= a->entry.env.recipient_count)
            return false;
        list[m->count++] = (size_t)i;
    }
    m->rcpts = list;
    m->verdicts = arena_new_array(&a->mem, struct verdict, m->count + 1);
    m->entry = &a->entry;
    m->mem = &a->mem;
    m->source_route = STR("");
    m->tls = STR("");
    return m->count > 0;
}

static void attempt_run(struct pool *pool, void *object, unsigned events)
{
    struct attempt *a = object;
    struct err e;
    (void)events;
    if (spool_open(a->id, &a->mem, &a->entry, &e) != RC_OK || !take_rcpts(a)) {
        the_hooks.done(a->job, RELAY_TEMP, 0, STR("4.3.0 - the entry can't be read"), a->id,
                       STR(""));
    } else {
        send_to_domain(a);
        if ((a->flags & RELAY_BUSY) != 0)
            the_hooks.done(a->job, RELAY_TEMP, a->flags, STR("4.3.2 - busy"), a->id, a->rcpts);
        else
            report(a);
        spool_close(&a->entry);
    }
    pool_forget(pool, a->ticket);
    arena_release(&a->mem);
    mem_free(&a);
}

/* --- the role's side --------------------------------------------------------------------- */

enum rc relay_init(struct pool *pool, const struct relay_hooks *hooks, struct err *e)
{
    the_pool = pool;
    the_hooks = *hooks;
    route_init();
    enum rc rc = dns_open(conf()->smart_dns_host, conf()->dnssec_anchor, e);
    return rc == RC_OK ? connection_init(e) : rc;
}

void relay_start(const struct relay_request *request)
{
    struct err e;
    struct attempt *a = mem_new(sizeof(*a));
    a->job = request->job;
    a->id = arena_str(&a->mem, request->id);
    a->rcpts = arena_str(&a->mem, request->rcpts);
    a->via = arena_str(&a->mem, request->via);
    a->entry.message_fd = -1;
    if (pool_add(the_pool, a, attempt_run, -1, &a->ticket, &e) == RC_OK)
        return;
    the_hooks.done(a->job, RELAY_TEMP, 0, STR("4.3.2 - too many attempts at a time"), a->id,
                   STR(""));
    arena_release(&a->mem);
    mem_free(&a);
}

void relay_tick(void)
{
    idle_tick();
    connection_refresh();
}

/*
 * engine.c - the sessions of one role: listeners, limits, TLS settings. A client above a limit
 * gets the protocol's busy words (or a TLS alert where the port speaks TLS from the start),
 * never a silent close.
 */
#include "sys/lock.h"
#include "sys/tls.h"
#include "wire/engine_int.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>

#define ACCEPT_AT_ONCE 64
#define ACCEPT_PAUSE (100 * USEC_MS)

struct engine {
    struct pool *pool;
    struct engine_limits limits;
    bool (*admit)(struct session *s);
    engine_behind_fn *behind;
    _Atomic size_t sessions;
    _Atomic size_t arriving; /* balancers that haven't said who their client is */

    struct lock limits_lock; /* protects per_address */
    struct map per_address;  /* struct address_count by its key */

    struct lock tls_lock; /* protects tls */
    struct tls_ctx *tls;

    struct answers answers;
};

/* Sessions of one client network. */
struct address_count {
    uint8_t key[16];
    size_t count;
};

/* One listener in the pool. */
struct door {
    struct engine *engine;
    struct listener *listener;
    pool_ticket ticket;
};

enum rc engine_new(const struct engine_limits *limits, struct engine **out, struct err *e)
{
    struct engine *en = mem_new(sizeof(*en));
    en->limits = *limits;
    lock_init(&en->limits_lock, LOCK_LIMITS);
    lock_init(&en->tls_lock, LOCK_TLS);
    lock_init(&en->answers.lock, LOCK_LEAF);
    /* Room for listeners, timers and note channels beside the sessions. */
    enum rc rc = pool_new(limits->max_workers, limits->max_sessions + 256, &en->pool, e);
    if (rc != RC_OK)
        mem_free(&en);
    else
        *out = en;
    return rc;
}

struct pool *engine_pool(struct engine *en)
{
    return en->pool;
}

struct answers *engine_answers(struct engine *en)
{
    return &en->answers;
}

void engine_set_tls(struct engine *en, struct tls_ctx *ctx)
{
    lock_take(&en->tls_lock);
    struct tls_ctx *before = en->tls;
    en->tls = ctx;
    lock_drop(&en->tls_lock);
    tls_ctx_put(&before);
}

struct tls_ctx *engine_tls(struct engine *en)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&en->tls_lock);
    (void)held;
    return en->tls == NULL ? NULL : tls_ctx_get(en->tls);
}

bool engine_has_tls(struct engine *en)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&en->tls_lock);
    (void)held;
    return en->tls != NULL;
}

void engine_set_admit(struct engine *en, bool (*admit)(struct session *s))
{
    en->admit = admit;
}

void engine_set_balancers(struct engine *en, engine_behind_fn *behind)
{
    en->behind = behind;
}

size_t engine_sessions(const struct engine *en)
{
    return en->sessions;
}

/* --- limits ------------------------------------------------------------------------------ */

/* An IPv6 /64 counts as one client. */
static void limit_key(const struct ip *ip, uint8_t key[16])
{
    memcpy(key, ip->b, 16);
    if (!ip_is_v4(ip))
        memset(key + 8, 0, 8);
}

/* Counts the session for its address; false when that address has enough. */
static bool count_address(struct engine *en, struct session *s)
{
    uint8_t key[16];
    limit_key(&s->client_ip, key);
    struct lock *held AUTO_UNLOCK = lock_hold(&en->limits_lock);
    (void)held;
    struct address_count *c = map_get(&en->per_address, str_from((const char *)key, 16));
    if (c != NULL && en->limits.max_per_address > 0 && c->count >= en->limits.max_per_address)
        return false;
    if (c == NULL) {
        c = mem_new(sizeof(*c));
        memcpy(c->key, key, 16);
        (void)map_put(&en->per_address, str_from((const char *)c->key, 16), c);
    }
    c->count++;
    s->counted = true;
    return true;
}

void engine_uncount(struct engine *en, struct session *s)
{
    if (!s->counted)
        return;
    uint8_t key[16];
    limit_key(&s->client_ip, key);
    en->sessions--;
    if (s->listener->count != NULL)
        s->listener->count->now--;
    struct lock *held AUTO_UNLOCK = lock_hold(&en->limits_lock);
    (void)held;
    struct address_count *c = map_get(&en->per_address, str_from((const char *)key, 16));
    if (c == NULL || --c->count > 0)
        return;
    (void)map_remove(&en->per_address, str_from((const char *)c->key, 16));
    mem_free(&c);
}

/* --- accepting --------------------------------------------------------------------------- */

/* Closes a connection that is no session yet. */
static void drop(struct session *s)
{
    stream_release(&s->st);
    arena_release(&s->tmp);
    if (s->counted)
        engine_uncount(s->engine, s);
    mem_free(&s);
}

/* Tells the client why before closing; nothing here waits. */
static void turn_away(struct session *s, const char *words)
{
    /* A TLS record: fatal alert, internal_error (RFC 8446 6.2), readable by every TLS client.
     */
    static const char alert[] = { 0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x50 };
    if (s->listener->implicit_tls)
        stream_write(&s->st, alert, sizeof(alert));
    else
        session_reply(s, "%s", words);
    (void)!stream_flush(&s->st);
    drop(s);
}

static void name_ends(struct session *s)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    if (s->listener->local) {
        (void)ip_parse(STR("127.0.0.1"), &s->client_ip);
        s->local_ip = s->client_ip;
        struct ucred who;
        socklen_t size = sizeof(who);
        s->client_uid = getsockopt(s->st.fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0
                            ? (uint32_t)who.uid
                            : UINT32_MAX;
        return;
    }
    if (getpeername(s->st.fd, (struct sockaddr *)&sa, &n) == 0)
        (void)ip_from_sockaddr((const struct sockaddr *)&sa, &s->client_ip, &s->client_port);
    n = sizeof(sa);
    if (getsockname(s->st.fd, (struct sockaddr *)&sa, &n) == 0)
        (void)ip_from_sockaddr((const struct sockaddr *)&sa, &s->local_ip, &s->local_port);
}

/* Who the client is is known: may it come in? */
static void let_in(struct session *s)
{
    struct engine *en = s->engine;
    const struct listener *l = s->listener;
    const struct protocol_words *words = &l->protocol->words;
    if (l->count != NULL && l->count->most > 0 && l->count->now >= l->count->most) {
        metric_add(METRIC_refused_service, 1);
        turn_away(s, words->busy);
        return;
    }
    if (!count_address(en, s)) {
        metric_add(METRIC_refused_address, 1);
        log_info(EV("connection refused"), KV("reason", "too many from this address"),
                 KV("client", ip_print(&s->client_ip, (char[IP_TEXT_BYTES]){ 0 })));
        turn_away(s, words->busy_address);
        return;
    }
    en->sessions++;
    if (l->count != NULL)
        l->count->now++;
    metric_add(l->opened, 1);
    if (l->implicit_tls && !engine_has_tls(en))
        turn_away(s, words->tls_unavailable);
    else if (en->admit == NULL || en->admit(s))
        session_start(s);
    else {
        metric_add(METRIC_refused_resources, 1);
        turn_away(s, words->busy);
    }
}

void engine_arrived(struct session *s, bool good)
{
    s->engine->arriving--;
    if (good)
        let_in(s);
    else
        drop(s);
}

void engine_serve(struct engine *en, struct listener *l, int fd)
{
    struct err e;
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct session *s = session_new(en, l, fd);
    name_ends(s);
    if (en->sessions + en->arriving >= en->limits.max_sessions) {
        metric_add(METRIC_refused_sessions, 1);
        turn_away(s, l->protocol->words.busy);
    } else if (l->local || en->behind == NULL || !en->behind(l, &s->client_ip)) {
        let_in(s);
    } else {
        en->arriving++;
        if (arrival_await(s, &e) != RC_OK)
            engine_arrived(s, false);
    }
}

/* A door opens: takes what waits there, in portions. */
static void door_run(struct pool *pool, void *object, unsigned events)
{
    struct door *door = object;
    if ((events & POOL_STOP) != 0) {
        pool_forget(pool, door->ticket);
        mem_free(&door);
        return;
    }
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = accept4(door->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            engine_serve(door->engine, door->listener, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN) {
            log_warn(EV("accept failed"), KV("service", door->listener->service),
                     KV("error", strerrordesc_np(errno)));
            pool_park(pool, door->ticket, 0, clock_mono() + ACCEPT_PAUSE);
            return;
        }
        break;
    }
    pool_park(pool, door->ticket, POOL_WANT_READ, USEC_FOREVER);
}

enum rc engine_listen(struct engine *en, struct listener *l, struct err *e)
{
    struct door *door = mem_new(sizeof(*door));
    door->engine = en;
    door->listener = l;
    enum rc rc = pool_add(en->pool, door, door_run, l->fd, &door->ticket, e);
    if (rc != RC_OK)
        mem_free(&door);
    return rc;
}

void engine_run(struct engine *en)
{
    pool_run(en->pool);
}

void engine_free(struct engine **en)
{
    struct engine *gone = *en;
    if (gone == NULL)
        return;
    pool_free(&gone->pool);
    tls_ctx_put(&gone->tls);
    map_release(&gone->per_address);
    map_release(&gone->answers.waiting);
    mem_free(en);
}

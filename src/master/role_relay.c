/*
 * role_relay.c - the main of the relay role: attempts come from the queue role, what became of
 * them goes back. A queue role that was started anew gets its first attempt taken when those of
 * the one before are over, so that no message is under way twice.
 */
#include "acme/acme.h"
#include "conf/options.h"
#include "fetch/fetch.h"
#include "master/roles.h"
#include "relay/relay.h"
#include "spool/spool.h"
#include "sys/dns.h"
#include "sys/lock.h"
#include "users/users.h"
#include <malloc.h>

static const struct role_env *my_env;
static struct lock state_lock = LOCK_INIT(LOCK_LEAF);
static size_t under_way;
static uint64_t master_queue; /* the process that attempts are taken from; 0: none */
static uint64_t asking_queue; /* one that wants to begin */

/* Waits while the channel is full: what became of a message must not get lost. */
static void tell_with(const struct note *n, int fd)
{
    int channel = my_env->channels[role_number(ROLE_QUEUE)];
    struct err e;
    for (unsigned i = 0; channel >= 0 && i < 1000; i++) {
        if (channel_send(channel, n, fd, &e) == RC_OK)
            return;
        thread_pause(10 * USEC_MS);
    }
    log_error(EV("queue not told"), KE(&e));
}

static void tell(const struct note *n)
{
    tell_with(n, -1);
}

/* Says that attempts are taken, when nothing is under way any more. */
static void begin_if_idle(void)
{
    lock_take(&state_lock);
    bool now = asking_queue != 0 && under_way == 0;
    if (now) {
        master_queue = asking_queue;
        asking_queue = 0;
    }
    uint64_t to = master_queue;
    lock_drop(&state_lock);
    struct note ready = { .type = NOTE_relay_ready,
                          .u.relay_ready = { (uint64_t)getpid(), 0 } };
    ready.u.relay_ready.queue = to;
    if (now)
        tell(&ready);
}

static void on_result(uint64_t job, uint64_t recipient, enum relay_state state, unsigned flags,
                      struct str reason, struct str id)
{
    struct note n = { .type = NOTE_relay_result,
                      .u.relay_result = { job, recipient, (uint64_t)state, flags, reason,
                                          id } };
    tell(&n);
}

static void on_done(uint64_t job, enum relay_state state, unsigned flags, struct str reason,
                    struct str id, struct str rcpts)
{
    struct note n = { .type = NOTE_relay_done,
                      .u.relay_done = { job, (uint64_t)state, flags, reason, id, rcpts } };
    tell(&n);
    lock_take(&state_lock);
    under_way--;
    lock_drop(&state_lock);
    begin_if_idle();
}

static struct pool *the_pool;

static void on_policy(struct str domain, enum relay_policy is)
{
    struct note n = { .type = NOTE_policy_told, .u.policy_told = { domain, (uint64_t)is } };
    tell(&n);
}

static void on_fetch(uint64_t home, uint64_t visit, enum fetch_word word,
                     const struct fetch_done *done, int fd)
{
    struct note list = { .type = NOTE_fetch_list, .u.fetch_list = { home, visit } };
    struct note batch = { .type = NOTE_fetch_batch, .u.fetch_batch = { home, visit } };
    struct note over = { .type = NOTE_fetch_done,
                         .u.fetch_done = { .queue = home, .visit = visit } };
    if (word == FETCH_DONE) {
        over.u.fetch_done.rc = (uint64_t)done->rc;
        over.u.fetch_done.text = done->text;
    }
    tell_with(word == FETCH_LIST ? &list : word == FETCH_BATCH ? &batch : &over, fd);
}

static void on_fact(const struct relay_fact *f, enum gate_answer is, struct str text)
{
    struct note n = { .type = NOTE_fact_told,
                      .u.fact_told = { f->process, f->session, f->number, (uint64_t)is,
                                       str_head(text, 255) } };
    int channel = my_env->channels[role_number(ROLE_SMTPD)];
    struct err e;
    if (channel >= 0 && channel_send(channel, &n, -1, &e) != RC_OK)
        log_debug(EV("answer to a gate lost"), KE(&e)); /* it goes on without */
}

static void on_smtpd_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (fd >= 0)
        (void)close(fd);
    if (n->type != NOTE_fact_ask || n->u.fact_ask.question > GATE_ASK_MAILER)
        return;
    const struct relay_fact fact = { n->u.fact_ask.process, n->u.fact_ask.session,
                                     n->u.fact_ask.number,
                                     (enum gate_question)n->u.fact_ask.question,
                                     n->u.fact_ask.name };
    relay_ask_fact(the_pool, &fact, on_fact);
}

static void on_lookup(const struct relay_lookup *l, unsigned state, struct str text)
{
    struct note n = { .type = NOTE_looked_up,
                      .u.looked_up = { l->process, l->number, state, text } };
    int channel = my_env->channels[role_number(ROLE_WEB)];
    struct err e;
    if (channel >= 0 && channel_send(channel, &n, -1, &e) != RC_OK)
        log_debug(EV("answer to the web lost"), KE(&e)); /* it goes on without */
}

static bool is_dns_type(uint64_t type)
{
    static const enum dns_type types[] = { DNS_A, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (type == types[i])
            return true;
    return false;
}

/* Is the port of "PORT ADDRESS" one that this server listens on? Others are nobody's business.
 */
static bool is_own_port(struct str name)
{
    const struct board *board = role_whole_board();
    struct str port, own;
    if (!str_cut(&name, ' ', &port))
        return false;
    for (uint32_t i = 0; i < MIN(board->listener_count, (uint32_t)BOARD_LISTENERS); i++) {
        own = str_from_c(board->listeners[i].address);
        size_t colon = str_rfind(own, ':');
        if (colon != SIZE_MAX && str_eq(str_skip(own, colon + 1), port))
            return true;
    }
    return false;
}

static bool is_asked_well(const struct relay_lookup *l)
{
    if (l->is_gate)
        return l->type <= GATE_ASK_MAILER;
    return l->type == LOOK_UP_CONNECT ? is_own_port(l->name) : is_dns_type(l->type);
}

/* --- certificates --------------------------------------------------------------------------
 */

static void tell_control(const struct note *n, struct str text)
{
    int channel = my_env->channels[role_number(ROLE_CONTROL)];
    int fd AUTO_CLOSE = -1;
    struct err e;
    enum rc rc = file_in_memory(text, &fd, &e);
    if (rc == RC_OK && channel >= 0)
        rc = channel_send(channel, n, fd, &e);
    if (rc != RC_OK)
        log_error(EV("control not told"), KE(&e)); /* it has a limit */
}

static void on_acme_prove(uint64_t home, uint64_t number, struct str proofs)
{
    struct note n = { .type = NOTE_acme_prove, .u.acme_prove = { home, number } };
    tell_control(&n, proofs);
}

static void on_acme_done(uint64_t home, uint64_t number, enum rc rc, struct str text,
                         struct str chain)
{
    struct note n = { .type = NOTE_acme_done,
                      .u.acme_done = { home, number, (uint64_t)rc, str_head(text, 400) } };
    tell_control(&n, chain);
}

static void on_control_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (n->type == NOTE_acme_order && fd >= 0) {
        acme_talk_order(n->u.acme_order.control, n->u.acme_order.number, fd);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    if (n->type == NOTE_acme_proved)
        acme_talk_proved(n->u.acme_proved.control, n->u.acme_proved.number,
                         n->u.acme_proved.why);
}

static void on_web_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (fd >= 0)
        (void)close(fd);
    if (n->type != NOTE_look_up)
        return;
    const struct relay_lookup l = { n->u.look_up.process, n->u.look_up.number,
                                    n->u.look_up.gate != 0, (unsigned)n->u.look_up.question,
                                    n->u.look_up.name };
    if (is_asked_well(&l))
        relay_look_up(the_pool, &l, on_lookup);
    else
        on_lookup(&l, 0, STR(""));
}

/* True: it was about fetching, and took fd. */
static bool take_fetch_note(const struct note *n, int fd)
{
    bool known = n->type == NOTE_fetch && n->u.fetch.relay == (uint64_t)getpid() && fd >= 0;
    if (known)
        fetch_remote_start(n->u.fetch.queue, n->u.fetch.visit, fd);
    else if (n->type == NOTE_fetch_want)
        fetch_remote_want(n->u.fetch_want.queue, n->u.fetch_want.visit, fd);
    else if (n->type == NOTE_fetch_stored)
        fetch_remote_stored(n->u.fetch_stored.queue, n->u.fetch_stored.visit,
                            n->u.fetch_stored.fates);
    return known || n->type == NOTE_fetch_want;
}

static void on_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (take_fetch_note(n, fd))
        return;
    if (fd >= 0)
        (void)close(fd);
    if (n->type == NOTE_relay_hello) {
        fetch_remote_abort(n->u.relay_hello.pid);
        lock_take(&state_lock);
        asking_queue = n->u.relay_hello.pid;
        lock_drop(&state_lock);
        begin_if_idle();
        return;
    }
    if (n->type == NOTE_policy_ask)
        relay_ask_policy(the_pool, n->u.policy_ask.domain, on_policy);
    if (n->type != NOTE_relay)
        return;
    lock_take(&state_lock);
    bool taken = n->u.relay.queue == master_queue && n->u.relay.relay == (uint64_t)getpid();
    under_way += taken;
    lock_drop(&state_lock);
    const struct relay_request request = { n->u.relay.job, n->u.relay.id, n->u.relay.rcpts,
                                           n->u.relay.via };
    if (taken)
        relay_start(&request);
}

static void every_second(void)
{
    (void)options_refresh();
    relay_tick();
    role_count_log();
}

static enum rc start(const struct role_env *env, struct pool **pool, struct err *e)
{
    static const struct relay_hooks hooks = { on_result, on_done };
    static const struct acme_talk_hooks acme = { relay_tls, on_acme_prove, on_acme_done };
    int channel = env->channels[role_number(ROLE_QUEUE)];
    struct note hello = { .type = NOTE_relay_ready, .u.relay_ready.pid = 0 };
    unsigned workers = (unsigned)(conf()->relay_threads + conf()->fetch_threads) + 8;
    enum rc rc = pool_new(workers, 8192, pool, e);
    the_pool = *pool;
    if (rc == RC_OK)
        rc = relay_init(*pool, &hooks, e);
    if (rc == RC_OK)
        fetch_remote_init(*pool, relay_tls, on_fetch);
    acme_talk_init(*pool, &acme);
    if (rc == RC_OK)
        rc = role_watch_signals(*pool, NULL, e);
    if (rc == RC_OK)
        rc = role_every(*pool, USEC_S, every_second, e);
    if (rc == RC_OK)
        rc = role_seal(env, e);
    if (rc == RC_OK && channel >= 0)
        rc = channel_listen(*pool, channel, ROLE_QUEUE, ROLE_RELAY, on_note, NULL, e);
    int smtpd = env->channels[role_number(ROLE_SMTPD)];
    if (rc == RC_OK && smtpd >= 0)
        rc = channel_listen(*pool, smtpd, ROLE_SMTPD, ROLE_RELAY, on_smtpd_note, NULL, e);
    int web = env->channels[role_number(ROLE_WEB)];
    if (rc == RC_OK && web >= 0)
        rc = channel_listen(*pool, web, ROLE_WEB, ROLE_RELAY, on_web_note, NULL, e);
    int control = env->channels[role_number(ROLE_CONTROL)];
    if (rc == RC_OK && control >= 0)
        rc = channel_listen(*pool, control, ROLE_CONTROL, ROLE_RELAY, on_control_note, NULL, e);
    if (rc == RC_OK) /* a queue role that runs already shall say hello */
        tell(&hello);
    return rc;
}

int role_relay(const struct role_env *env)
{
    struct err e;
    struct pool *pool = NULL;
    my_env = env;
    (void)mallopt(M_ARENA_MAX, 2);
    if (start(env, &pool, &e) != RC_OK) {
        log_error(EV("role can't start"), KE(&e));
        return 1;
    }
    pool_run(pool);
    return 0; /* attempts under way end with the process: the queue asks for them again */
}

/*
 * talk.c - a visit at the other side, on one worker: lists, fetches what home wants in bundles,
 * deletes what home has. While home works on one bundle the next one is fetched. A message is
 * deleted only after home's answer; whatever ends the conversation earlier leaves it there.
 */
#include "fetch/talk.h"
#include "sys/file.h"

#define WINDOW 64u /* commands under way, where the source takes them */
#define OFFERS_READ_MAX ((size_t)2000000)
#define SLOWEST ((uint64_t)1024) /* octets a second */

struct talk *talk_new(struct client_tls_ctx *tls)
{
    struct talk *t = mem_new(sizeof(*t));
    t->tls = tls;
    buf_init(&t->out, (size_t)1 << 20);
    bundle_init(&t->bundle);
    return t;
}

void talk_free(struct talk **at)
{
    struct talk *t = *at;
    client_close(&t->client);
    client_tls_ctx_put(&t->tls);
    bundle_release(&t->bundle);
    buf_release(&t->out);
    arena_wipe(&t->mem);
    mem_free(at);
}

/* --- what the protocols share ------------------------------------------------------------- */

enum rc talk_flush(struct talk *t, struct err *e)
{
    enum rc rc = t->out.n == 0 ? RC_OK : client_write(t->client, buf_str(&t->out), e);
    buf_reset(&t->out);
    return rc == RC_OK ? rc : RC_GONE;
}

void talk_patience(struct talk *t, usec_t began, uint64_t octets)
{
    client_set_deadline(t->client, began + 2 * conf()->fetch_timeout +
                                       (usec_t)(octets / SLOWEST) * USEC_S);
}

enum rc talk_line(struct talk *t, struct str *out, struct err *e)
{
    enum rc rc = talk_flush(t, e);
    if (rc == RC_OK && client_line(t->client, out, e) != RC_OK)
        rc = RC_GONE;
    return rc;
}

enum rc talk_start_tls(struct talk *t, struct err *e)
{
    const struct options *o = conf();
    return client_start_tls_with(t->client, t->tls, t->link.host, o->ssl_want_verify,
                                 o->ssl_allow_self_signed, e);
}

enum rc talk_offer(struct talk *t, uint64_t number, uint64_t octets, struct err *e)
{
    if (t->offer_count == OFFERS_READ_MAX)
        return err_gone(e, "it lists too many messages");
    if (t->offer_count == t->offer_room) {
        size_t room = MAX((size_t)256, 2 * t->offer_room);
        struct offer *offers = arena_new_array(&t->mem, struct offer, room);
        if (t->offer_count > 0)
            memcpy(offers, t->offers, t->offer_count * sizeof(*offers));
        t->offers = offers;
        t->offer_room = room;
    }
    t->offers[t->offer_count++] = (struct offer){ .number = number, .octets = octets };
    return RC_OK;
}

struct str talk_uidl(struct talk *t, struct str given)
{
    char text[DIGEST_TEXT_BYTES];
    bool plain = given.n > 0 && given.n <= UIDL_MAX;
    for (size_t i = 0; i < given.n && plain; i++)
        plain = given.p[i] > ' ' && given.p[i] < 0x7f;
    if (plain)
        return arena_str(&t->mem, given);
    struct digest *d = digest_new();
    digest_add(d, given);
    digest_end(&d, text);
    return arena_printf(&t->mem, "h-%s", text);
}

/* --- the conversation --------------------------------------------------------------------- */

/* Commands whose replies are awaited, in their order. */
struct awaited {
    const struct offer *offer; /* to be fetched */
    size_t deletes;            /* or so many to be deleted */
};

struct run {
    struct talk *t;
    const struct talk_home *home;
    struct str wants;
    size_t next; /* of the offers */
    struct awaited ring[WINDOW];
    size_t first, count;
    uint32_t sent[BATCH_MESSAGES]; /* what is in the bundle that home has */
    size_t sent_count;
    uint32_t held[BATCH_MESSAGES]; /* what is in ours */
    size_t held_count;
    uint32_t doomed[4 * BATCH_MESSAGES]; /* to be deleted: what home had, has, and will have
                                            before the window is half empty */
    size_t doomed_count;
    bool stops; /* home can't take more now */
    bool refuses_deletion;
};

static enum rc send_list(struct run *r, struct err *e)
{
    struct talk *t = r->t;
    struct buf text AUTO_RELEASE_BUF;
    int fd AUTO_CLOSE = -1;
    buf_init(&text, (size_t)1 << 30);
    t->offer_count = MIN(t->offer_count, LISTED_MAX);
    for (size_t i = 0; i < t->offer_count; i++) {
        const struct offer *o = &t->offers[i];
        bool has = o->uidl.p != NULL;
        if (buf_printf(&text, "%" PRIu64 "%s%.*s%s\n", o->octets, has ? " " : "",
                       (int)o->uidl.n, has ? o->uidl.p : "",
                       o->marked ? " marked" : "") != RC_OK)
            return err_temp(e, "4.3.1", "the list is too long");
    }
    enum rc rc = file_in_memory(buf_str(&text), &fd, e);
    if (rc == RC_OK)
        rc = r->home->list(t, fd, &r->wants, e);
    return rc == RC_OK && r->wants.n != t->offer_count
               ? err_temp(e, "4.3.0", "the queue role gave up the visit")
               : rc;
}

/* What became of the bundle that home has. */
static enum rc take_fates(struct run *r, struct err *e)
{
    struct str fates;
    if (r->sent_count == 0)
        return RC_OK;
    enum rc rc = r->home->fates(r->t, &fates, e);
    if (rc == RC_OK && fates.n != r->sent_count)
        rc = err_temp(e, "4.3.0", "the queue role gave up the visit");
    for (size_t i = 0; rc == RC_OK && i < fates.n; i++) {
        if (fates.p[i] == FATE_DONE && !r->t->link.leave)
            r->doomed[r->doomed_count++] = r->sent[i];
        r->stops = r->stops || fates.p[i] == FATE_LATER;
    }
    r->sent_count = 0;
    return rc;
}

static enum rc hand_over(struct run *r, struct err *e)
{
    int fd AUTO_CLOSE = -1;
    if (r->held_count == 0)
        return RC_OK;
    enum rc rc = take_fates(r, e);
    if (rc == RC_OK)
        rc = bundle_take(&r->t->bundle, &fd, e);
    if (rc == RC_OK)
        rc = r->home->send(r->t, fd, e);
    memcpy(r->sent, r->held, sizeof(r->held));
    r->sent_count = r->held_count;
    r->held_count = 0;
    return rc;
}

/* A message, or the word that there is none, goes into the bundle. */
static enum rc hold(struct run *r, const struct offer *o, enum batch_state state, struct err *e)
{
    uint32_t index = (uint32_t)(o - r->t->offers);
    enum rc rc = bundle_end(&r->t->bundle, index, state, e);
    if (rc == RC_OK)
        r->held[r->held_count++] = index;
    return rc;
}

static enum rc hold_nothing(struct run *r, const struct offer *o, enum batch_state state,
                            struct err *e)
{
    enum rc rc = bundle_begin(&r->t->bundle, e);
    return rc == RC_OK ? hold(r, o, state, e) : rc;
}

static void await(struct run *r, const struct offer *o, size_t deletes)
{
    r->ring[(r->first + r->count++) % WINDOW] = (struct awaited){ o, deletes };
}

/* Writes as many commands as may be under way, when half of those before are answered, so that
 * they go together: deletions first. */
static enum rc ask_more(struct run *r, struct err *e)
{
    struct talk *t = r->t;
    size_t window = t->pipelining ? WINDOW : 1;
    enum rc rc = RC_OK;
    if (r->count > window / 2)
        return RC_OK;
    while (r->count < window && r->doomed_count > 0) {
        size_t n = t->pipelining ? r->doomed_count : 1;
        r->doomed_count -= n;
        t->source->ask_delete(t, r->doomed + r->doomed_count, n);
        await(r, NULL, n);
    }
    while (rc == RC_OK && r->count < window && r->next < t->offer_count && r->wants.p != NULL &&
           !r->stops && r->held_count < BATCH_MESSAGES) {
        const struct offer *o = &t->offers[r->next++];
        if (r->wants.p[r->next - 1] != WANT_IT)
            continue;
        if (o->octets > t->limit) {
            rc = hold_nothing(r, o, BATCH_TOO_LARGE, e);
            continue;
        }
        t->source->ask(t, o);
        await(r, o, 0);
    }
    return rc;
}

static enum rc take_message(struct run *r, const struct offer *o, struct err *e)
{
    struct talk *t = r->t;
    enum rc rc = bundle_begin(&t->bundle, e);
    if (rc != RC_OK)
        return rc;
    rc = t->source->take(t, o, e);
    if (rc == RC_OK)
        return hold(r, o, BATCH_MESSAGE, e);
    if (rc == RC_PERM)
        return hold(r, o, BATCH_REFUSED, e);
    struct err unused; /* e says why already */
    if (!t->too_large) /* nothing is known of it */
        return bundle_cancel(&t->bundle, &unused) == RC_OK ? rc : RC_TEMP;
    return hold(r, o, BATCH_TOO_LARGE, &unused) == RC_OK ? RC_GONE : RC_TEMP;
}

static enum rc take_reply(struct run *r, struct err *e)
{
    const struct awaited w = r->ring[r->first];
    bool done = false;
    r->first = (r->first + 1) % WINDOW;
    r->count--;
    if (w.deletes == 0)
        return take_message(r, w.offer, e);
    enum rc rc = r->t->source->deleted(r->t, w.deletes, &done, e);
    r->refuses_deletion = r->refuses_deletion || !done;
    return rc;
}

static bool is_full(const struct run *r)
{
    const struct bundle *b = &r->t->bundle;
    return r->held_count == BATCH_MESSAGES || b->in_file + b->part.n >= BATCH_OCTETS;
}

static enum rc fetch(struct run *r, struct err *e)
{
    enum rc rc = RC_OK;
    bool over = false;
    while (rc == RC_OK && !over) {
        rc = ask_more(r, e);
        if (rc == RC_OK && r->count > 0)
            rc = take_reply(r, e);
        else if (rc == RC_OK && r->held_count > 0)
            rc = hand_over(r, e);
        else if (rc == RC_OK && r->sent_count > 0)
            rc = take_fates(r, e);
        else
            over = true;
        if (rc == RC_OK && is_full(r))
            rc = hand_over(r, e);
    }
    if (rc == RC_GONE) { /* what has come is kept, though nothing can be deleted now */
        struct err unused;
        if (hand_over(r, &unused) == RC_OK)
            (void)!take_fates(r, &unused);
    }
    return rc;
}

enum rc talk_run(struct talk *t, const struct talk_home *home, struct err *e)
{
    struct run r = { .t = t, .home = home };
    client_set_timeout(t->client, conf()->fetch_timeout);
    talk_patience(t, clock_mono(), 0);
    enum rc rc = t->source->open(t, e);
    if (rc == RC_OK)
        rc = t->source->list(t, e);
    if (rc == RC_OK)
        rc = send_list(&r, e);
    if (rc == RC_OK)
        rc = fetch(&r, e);
    talk_patience(t, clock_mono(), 0);
    if (rc == RC_OK)
        rc = t->source->close(t, e);
    return rc == RC_OK && r.refuses_deletion
               ? err_temp(e, "4.3.0", "it doesn't delete what was fetched")
               : rc;
}

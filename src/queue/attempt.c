/*
 * attempt.c - one attempt at one entry, on a worker: a look at it delivers to mailboxes here
 * and sorts the rest for the relay role; settling records what that role said. Nothing here is
 * lost when the process dies at any point: what isn't recorded is looked at again.
 */
#include "conf/logfiles.h"
#include "queue/processing.h"
#include "users/figures.h"

#define UNRECORDED_PAUSE (30 * USEC_S)
#define PART_PAUSE (2 * USEC_S)        /* until the entry it was made of says so */
#define MEMBERS_AT_ONCE ((size_t)1000) /* that one sync makes durable */

/* --- small things ------------------------------------------------------------------------ */

struct outcome *outcome_new(size_t rcpt, enum queue_outcome outcome, bool remote_dsn,
                            struct str reason, struct outcome *next)
{
    struct outcome *o = mem_new(sizeof(*o) + reason.n + 1);
    o->next = next;
    o->rcpt = rcpt;
    o->outcome = outcome;
    o->remote_dsn = remote_dsn;
    memcpy(o->reason, reason.p, reason.n);
    return o;
}

void outcomes_free(struct outcome **list)
{
    while (*list != NULL) {
        struct outcome *o = *list;
        *list = o->next;
        mem_free(&o);
    }
}

static size_t count_state(const struct spool_entry *entry, enum delivery_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < entry->env.recipient_count; i++)
        n += entry->states[i] == state;
    return n;
}

static void count_recipients(struct work *w)
{
    w->pending = count_state(w->entry, DELIVERY_PENDING);
    w->failed =
        count_state(w->entry, DELIVERY_FAILED) + count_state(w->entry, DELIVERY_REPORTED);
}

/* --- recording --------------------------------------------------------------------------- */

/* A line of XMail's smail log. */
void work_record(const struct spool_entry *entry, size_t i, const char *medium,
                 struct str reply)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct envelope_recipient *r = &entry->env.recipients[i];
    if (!logfile_is_on(LOGFILE_SMAIL))
        return;
    logfile_add_delivery(
        options_server_name(), entry->id, address_print(&entry->env.reverse_path, &a),
        address_print(&r->address, &a), medium, address_print(&r->resolved, &a), reply);
}

void work_journal_failed(const struct spool_entry *entry, const struct err *e)
{
    log_error(EV("journal not written"), KS("id", entry->id), KE(e));
}

static void tell(const struct spool_entry *entry, size_t i, enum queue_outcome outcome,
                 struct str reason)
{
    static const char *const events[] = { "delivered", "delivery deferred", "delivery failed",
                                          "processed", "dropped",           "refused" };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct envelope_recipient *r = &entry->env.recipients[i];
    struct str given = address_print(&r->address, &a), as = address_print(&r->resolved, &a);
    struct reason why = reason_parse(reason, "2.0.0");
    log_info(EV(events[outcome]), KS("id", entry->id), KS("rcpt", given),
             KS("as", str_eq(given, as) ? STR("") : as), KS("to", why.host),
             KS("status", why.status), KS("reason", why.text));
}

/* The entry goes on as another one, when the reason says so. */
static void follow(struct work *w, struct str reason)
{
    struct reason why = reason_parse(reason, "2.0.0");
    struct str mark = STR(QUEUE_GOES_ON_AS);
    if (str_starts(why.text, mark) && spool_id_is_valid(str_skip(why.text, mark.n)))
        work_made(w, str_skip(why.text, mark.n));
}

static enum rc record(struct work *w, size_t i, enum queue_outcome outcome, struct str reason,
                      struct err *e)
{
    if (outcome == OUTCOME_REFUSED)
        return spool_record_refused(w->entry, i, reason, e);
    return spool_record(w->entry, i, outcome == OUTCOME_PERM ? DELIVERY_FAILED : DELIVERY_DONE,
                        reason, e);
}

/* For the domain of ours that the recipient is of, or else the sender. */
static void count(const struct work *w, size_t i, enum figure f, uint64_t n)
{
    const struct envelope *env = &w->entry->env;
    const struct str domains[] = { env->recipients[i].resolved.domain,
                                   env->recipients[i].address.domain,
                                   env->reverse_path.domain };
    for (size_t k = 0; k < ARRAY_LEN(domains); k++)
        if (users_domain_is_local(domains[k])) {
            figure_add(domains[k], f, n);
            return;
        }
}

static void count_success(const struct work *w, size_t i, enum work_end end)
{
    uint64_t octets = w->entry->wire_octets;
    metric_add(METRIC_delivered, 1);
    if (end == WORK_PROCESSED)
        return;
    if (end == WORK_ELSEWHERE) {
        metric_add(METRIC_relayed, 1);
        metric_add(METRIC_relayed_bytes, octets);
    }
    count(w, i, end == WORK_ELSEWHERE ? FIGURE_sent : FIGURE_delivered, 1);
    count(w, i, end == WORK_ELSEWHERE ? FIGURE_octets_out : FIGURE_octets_in, octets);
}

void work_settle(struct work *w, size_t i, enum queue_outcome outcome, enum work_end end,
                 struct str reason)
{
    struct err e;
    struct spool_entry *entry = w->entry;
    w->tried[i] = true;
    w->succeeded[i] = outcome == OUTCOME_SENT;
    tell(entry, i, outcome, reason);
    if (outcome == OUTCOME_TEMP) {
        metric_add(METRIC_deferred, 1);
        count(w, i, FIGURE_deferred, 1);
        if (spool_record_deferred(entry, i, reason, &e) != RC_OK)
            work_journal_failed(entry, &e);
        return;
    }
    bool failed = outcome == OUTCOME_PERM || outcome == OUTCOME_REFUSED;
    if (!failed && w->pending == 1 && w->failed == 0) {
        entry->states[i] = DELIVERY_DONE; /* the entry is removed next: that is the record */
    } else if (record(w, i, outcome, reason, &e) != RC_OK) {
        work_journal_failed(entry, &e);
        w->out->unrecorded = true;
        return;
    }
    follow(w, reason);
    w->pending--;
    w->failed += failed;
    if (failed) {
        metric_add(METRIC_failed, 1);
        count(w, i, FIGURE_failed, 1);
    } else {
        count_success(w, i, outcome == OUTCOME_SENT ? end : WORK_PROCESSED);
    }
    w->out->delivered += !failed;
    w->out->failed += failed;
}

/* --- where an address belongs ------------------------------------------------------------ */

/* Does the address belong to this server? */
static bool is_here(const struct address *to)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct recipient r;
    struct err e;
    return users_resolve(to, &a, &r, &e) != RC_OK || r.kind != RECIPIENT_REMOTE;
}

/* --- the end of an attempt --------------------------------------------------------------- */

static void report(struct work *w, enum report_kind kind, const bool *which, usec_t give_up)
{
    struct err e;
    struct spool_entry *entry = w->entry;
    bool any = false;
    for (size_t i = 0; i < entry->env.recipient_count; i++)
        any = any || which[i];
    if (!any)
        return;
    if (report_send(entry, kind, which, w->relayed, give_up, w->notify, w->ctx, &e) != RC_OK) {
        log_error(EV("report not made"), KS("id", entry->id), KE(&e));
        return; /* failures stay unreported in the journal: tried again with the entry */
    }
    for (size_t i = 0; i < entry->env.recipient_count; i++)
        if (kind == REPORT_FAILURE && which[i] &&
            spool_record(entry, i, DELIVERY_REPORTED, STR("-"), &e) != RC_OK)
            work_journal_failed(entry, &e);
    if (kind == REPORT_DELAY && spool_record_mark(entry, SPOOL_DELAY_NOTICE, &e) != RC_OK)
        work_journal_failed(entry, &e);
}

static void report_all(struct work *w)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry *entry = w->entry;
    size_t n = entry->env.recipient_count;
    bool *which = arena_new_array(&a, bool, n + 1);
    for (size_t i = 0; i < n; i++)
        which[i] = entry->states[i] == DELIVERY_FAILED;
    report(w, REPORT_FAILURE, which, 0);
    for (size_t i = 0; i < n; i++)
        which[i] = w->tried[i] && w->succeeded[i] &&
                   (w->relayed[i] || is_here(&entry->env.recipients[i].resolved)) &&
                   (entry->env.recipients[i].notify & NOTIFY_SUCCESS) != 0;
    report(w, REPORT_SUCCESS, which, 0);
}

/* Is this number of tries one of NotifyTryPattern's? */
static bool delay_is_told(unsigned tries)
{
    struct str rest = conf()->notify_try_pattern, word;
    uint64_t n = 0;
    while (rest.n > 0 && str_cut(&rest, ',', &word))
        if (str_to_u64(str_trim(word), &n) && n == tries)
            return true;
    return false;
}

static void tell_delay(struct work *w, usec_t give_up)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct spool_entry *entry = w->entry;
    bool *which = arena_new_array(&a, bool, entry->env.recipient_count + 1);
    for (size_t i = 0; i < entry->env.recipient_count; i++) {
        unsigned notify = entry->env.recipients[i].notify;
        which[i] = entry->states[i] == DELIVERY_PENDING &&
                   (notify == 0 || (notify & NOTIFY_DELAY) != 0);
    }
    report(w, REPORT_DELAY, which, give_up);
}

/* Some recipients wait: plans the next try, or gives them up when the entry is too old. */
static void plan(struct work *w)
{
    struct err e;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry *entry = w->entry;
    struct attempt_result *out = w->out;
    usec_t due = 0;
    uint64_t seed = hash_text(entry->id, false, 0);
    if (retry_next(conf(), entry->env.received_at, entry->tries + 1, w->now, seed, &due) ==
        RC_OK) {
        out->again = true;
        out->due = due;
        if (spool_record_retry(entry, entry->tries + 1, due, &e) != RC_OK)
            work_journal_failed(entry, &e);
        if (delay_is_told(entry->tries))
            tell_delay(w, entry->env.received_at + conf()->queue_lifetime);
        return;
    }
    for (size_t i = 0; i < entry->env.recipient_count; i++) {
        if (entry->states[i] != DELIVERY_PENDING)
            continue;
        struct reason last = reason_parse(entry->reasons[i], "4.4.7");
        struct reason why = { STR("4.4.7"), last.host,
                              last.host.n > 0
                                  ? last.text
                                  : arena_printf(&a, "could not be delivered in time%s%.*s",
                                                 last.text.n > 0 ? "; last: " : "",
                                                 STR_ARG(last.text)) };
        work_settle(w, i, OUTCOME_PERM, WORK_ELSEWHERE, reason_print(&why, &a));
    }
    report_all(w);
}

/* Nobody is pending. What has failed and nobody was told of, or what the administrator wants to
 * keep, is frozen; the rest is removed. */
static void finish(struct work *w)
{
    struct err e;
    struct spool_entry *entry = w->entry;
    size_t unreported = count_state(entry, DELIVERY_FAILED),
           failed = unreported + count_state(entry, DELIVERY_REPORTED);
    enum envelope_along along = entry->env.goes_along;
    bool freeze = failed > 0 && along != ALONG_LETTER &&
                  (!conf()->remove_spool_errors || along == ALONG_COPY);
    if (unreported > 0) { /* the report could not be made: again, soon */
        w->out->again = true;
        w->out->due = w->now + 60 * USEC_S;
        return;
    }
    if (freeze)
        log_info(EV("entry frozen"), KS("id", entry->id), KU("failed", failed));
    if ((freeze ? spool_freeze(entry, &e) : spool_remove(entry, &e)) == RC_OK)
        return;
    log_error(EV("finished entry not removed"), KS("id", entry->id), KE(&e));
    for (size_t i = 0; i < entry->env.recipient_count;
         i++) /* which would have been the record */
        if (w->tried[i] && entry->states[i] == DELIVERY_DONE &&
            spool_record(entry, i, DELIVERY_DONE, STR("-"), &e) != RC_OK) {
            work_journal_failed(entry, &e);
            w->out->unrecorded = true;
        }
    w->out->again = true;
    w->out->due = clock_wall() + 60 * USEC_S;
}

static void end_attempt(struct work *w)
{
    report_all(w);
    if (count_state(w->entry, DELIVERY_PENDING) > 0)
        plan(w);
    if (count_state(w->entry, DELIVERY_PENDING) == 0)
        finish(w);
}

/* --- a look ------------------------------------------------------------------------------ */

/* To another server, or through programs first. */
static void try_elsewhere(struct work *w, size_t i, const struct recipient *r)
{
    bool via = false;
    struct str place = processing_place(w->entry, i, &via);
    group_add(&w->groups, w->entry, i, place, via, processing_is_needed(w->entry, i, r));
}

/* By what the address means now. False: a mailbox here, to be delivered to with others. */
static bool try_one(struct work *w, size_t i)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct recipient r = { .kind = RECIPIENT_UNKNOWN };
    struct list_decision decision;
    struct err e;
    const struct spool_entry *entry = w->entry;
    const struct address *to = &entry->env.recipients[i].resolved;
    if (entry->env.via.n > 0) {
        try_elsewhere(w, i, &r);
        return true;
    }
    if (list_decision_parse(to, &a, &decision))
        work_try_decision(w, i, &decision);
    else if (users_resolve(to, &a, &r, &e) == RC_OK && r.kind == RECIPIENT_REMOTE)
        try_elsewhere(w, i, &r);
    else if (processing_is_needed(entry, i, &r))
        group_add(&w->groups, entry, i, arena_printf(&a, "%zu", i), false, true);
    else if (r.kind == RECIPIENT_LIST)
        work_try_list(w, i, &r.account);
    else if (r.kind == RECIPIENT_ACCOUNT && list_is_part(entry))
        return false;
    else
        work_try_local(w, i);
    return true;
}

static void look(struct work *w)
{
    struct spool_entry *entry = w->entry;
    if (entry->held) {
        w->out->again = true;
        w->out->due = USEC_FOREVER;
        return;
    }
    if (!w->planned && !retry_is_due(conf(), entry->tries, entry->next_try, w->now) &&
        count_state(entry, DELIVERY_PENDING) > 0) {
        w->out->again = true;
        w->out->due = entry->next_try;
        return;
    }
    if (entry->tries == 0 && w->pending == entry->env.recipient_count &&
        spool_part_waits(entry)) {
        w->out->again = true;
        w->out->due = w->now + PART_PAUSE;
        return;
    }
    if (work_waits_for_moderator(w) || work_waits_for_policy(w))
        return;
    size_t *members = arena_new_array(&w->mem, size_t, w->pending + 1), member_count = 0;
    for (size_t i = 0; i < entry->env.recipient_count; i++)
        if (entry->states[i] == DELIVERY_PENDING && !try_one(w, i))
            members[member_count++] = i;
    for (size_t at = 0; at < member_count; at += MEMBERS_AT_ONCE)
        work_try_members(w, members + at, MIN(member_count - at, MEMBERS_AT_ONCE));
    w->out->groups = w->groups.list;
    if (w->out->groups == NULL)
        end_attempt(w);
}

static void settle_outcome(struct work *w, const struct outcome *o)
{
    struct spool_entry *entry = w->entry;
    if (o->rcpt >= entry->env.recipient_count || entry->states[o->rcpt] != DELIVERY_PENDING)
        return;
    w->relayed[o->rcpt] = !o->remote_dsn;
    if (!o->here)
        work_record(entry, o->rcpt, "SMTP", str_from_c(o->reason));
    work_settle(w, o->rcpt, o->outcome, o->here ? WORK_IN_MAILBOX : WORK_ELSEWHERE,
                str_from_c(o->reason));
}

/* But those whose success is to be reported: that is done when the attempt ends. */
static void note_outcomes(struct work *w, const struct outcome *outcomes)
{
    struct err e;
    const struct envelope *env = &w->entry->env;
    for (const struct outcome *o = outcomes; o != NULL && w->pending > 1; o = o->next)
        if (o->rcpt < env->recipient_count &&
            (env->recipients[o->rcpt].notify & NOTIFY_SUCCESS) == 0)
            settle_outcome(w, o);
    if (spool_record_sync(w->entry, &e) != RC_OK)
        work_journal_failed(w->entry, &e);
}

static void settle_outcomes(struct work *w, const struct outcome *outcomes)
{
    struct err e;
    struct spool_entry *entry = w->entry;
    for (const struct outcome *o = outcomes; o != NULL; o = o->next)
        settle_outcome(w, o);
    if (w->out->unrecorded) { /* not tried again before they are: it would be sent twice */
        w->out->again = true;
        w->out->due = w->now + UNRECORDED_PAUSE;
        return;
    }
    /* What other servers have taken must not be sent to them again after a power cut. */
    if (count_state(entry, DELIVERY_PENDING) > 0 && count_state(entry, DELIVERY_DONE) > 0 &&
        spool_record_sync(entry, &e) != RC_OK)
        work_journal_failed(entry, &e);
    end_attempt(w);
}

/* --- orders ------------------------------------------------------------------------------ */

static void obey(struct work *w, enum queue_order order, struct str argument)
{
    static const char *const names[] = { "tried now", "held",     "released", "deleted",
                                         "rerouted",  "approved", "rejected" };
    struct err e = { .text = "" };
    struct spool_entry *entry = w->entry;
    enum rc rc = RC_OK;
    log_info(EV(names[order]), KS("id", entry->id), KS("to", argument));
    switch (order) {
    case QUEUE_HOLD:
        rc = spool_record_mark(entry, SPOOL_HELD, &e);
        break;
    case QUEUE_RELEASE:
        rc = spool_record_mark(entry, SPOOL_RELEASED, &e);
        break;
    case QUEUE_REROUTE:
        rc = spool_record_via(entry, argument, &e);
        break;
    case QUEUE_DELETE: /* without a word to the sender */
        for (size_t i = 0; i < entry->env.recipient_count; i++)
            if (entry->states[i] == DELIVERY_PENDING || entry->states[i] == DELIVERY_FAILED)
                entry->states[i] = DELIVERY_REPORTED;
        rc = spool_remove(entry, &e);
        if (rc == RC_OK)
            return;
        break;
    case QUEUE_APPROVE:
        rc = list_decide_open(entry, NULL, &e);
        break;
    case QUEUE_REJECT:
        rc = list_decide_open(entry, &argument, &e);
        break;
    case QUEUE_TRY:
        break;
    }
    count_recipients(w);
    if (rc != RC_OK)
        log_error(EV("order not carried out"), KS("id", entry->id), KE(&e));
    entry->next_try = order == QUEUE_HOLD ? entry->next_try : 0;
    look(w);
}

/* --- the three jobs ---------------------------------------------------------------------- */

enum job_kind { JOB_LOOK, JOB_NOTE, JOB_SETTLE, JOB_ORDER };

static void with_entry(struct str id, enum job_kind kind, const struct outcome *outcomes,
                       enum queue_order order, struct str argument, struct work *w)
{
    struct err e;
    enum rc rc = spool_open(id, &w->mem, &w->opened, &e);
    if (rc == RC_OK) {
        size_t n = w->opened.env.recipient_count + 1;
        w->entry = &w->opened;
        w->groups.by_place.fold = true;
        count_recipients(w);
        w->tried = arena_new_array(&w->mem, bool, n);
        w->succeeded = arena_new_array(&w->mem, bool, n);
        w->relayed = arena_new_array(&w->mem, bool, n);
        if (kind == JOB_LOOK)
            look(w);
        else if (kind == JOB_NOTE)
            note_outcomes(w, outcomes);
        else if (kind == JOB_SETTLE)
            settle_outcomes(w, outcomes);
        else
            obey(w, order, argument);
        map_release(&w->groups.by_place);
        spool_close(&w->opened);
        for (const struct made *made = w->made; made != NULL; made = made->next)
            w->notify(w->ctx, made->id);
        arena_release(&w->mem);
        return;
    }
    arena_release(&w->mem);
    if (e.sys == ENOENT || kind == JOB_NOTE)
        return; /* finished meanwhile; or the settling will tell */
    if (rc == RC_PERM && spool_set_aside(id, str_from_c(e.text), &e) == RC_OK)
        return;
    log_error(EV("entry can't be opened"), KS("id", id), KE(&e));
    w->out->again = true;
    w->out->unrecorded = kind == JOB_SETTLE;
    w->out->due = w->now + (kind == JOB_SETTLE ? UNRECORDED_PAUSE : 300 * USEC_S);
}

void attempt_look(struct str id, bool planned, usec_t now, notify_fn *notify, void *ctx,
                  struct attempt_result *out)
{
    struct work w = {
        .planned = planned, .now = now, .notify = notify, .ctx = ctx, .out = out
    };
    *out = (struct attempt_result){ .again = false };
    with_entry(id, JOB_LOOK, NULL, QUEUE_TRY, STR(""), &w);
}

void attempt_note(struct str id, const struct outcome *outcomes)
{
    struct attempt_result ignored = { .again = false };
    struct work w = { .now = clock_wall(), .out = &ignored };
    with_entry(id, JOB_NOTE, outcomes, QUEUE_TRY, STR(""), &w);
}

void attempt_settle(struct str id, const struct outcome *outcomes, usec_t now,
                    notify_fn *notify, void *ctx, struct attempt_result *out)
{
    struct work w = { .now = now, .notify = notify, .ctx = ctx, .out = out };
    *out = (struct attempt_result){ .again = false };
    with_entry(id, JOB_SETTLE, outcomes, QUEUE_TRY, STR(""), &w);
}

void attempt_order(struct str id, enum queue_order order, struct str argument, usec_t now,
                   notify_fn *notify, void *ctx, struct attempt_result *out)
{
    struct work w = { .now = now, .notify = notify, .ctx = ctx, .out = out };
    *out = (struct attempt_result){ .again = false };
    with_entry(id, JOB_ORDER, NULL, order, argument, &w);
}

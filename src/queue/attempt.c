/*
 * attempt.c - one attempt at one entry, on a worker. Nothing here is lost when the process dies
 * at any point: what isn't recorded is looked at again.
 */
#include "conf/logfiles.h"
#include "conf/options.h"
#include "queue/queue_int.h"
#include "sys/metrics.h"

/* Settles recipient i as delivered or failed in the journal. False: it couldn't be written. */
static bool settle(struct spool_entry *entry, size_t i, enum delivery_state state,
                   const char *reason, struct attempt_result *out)
{
    struct err e;
    if (spool_record(entry, i, state, str_from_c(reason), &e) != RC_OK) {
        log_error(EV("journal not written"), KS("id", entry->id), KE(&e));
        return false;
    }
    metric_add(state == DELIVERY_DONE ? METRIC_delivered : METRIC_failed, 1);
    out->delivered += state == DELIVERY_DONE;
    out->failed += state == DELIVERY_FAILED;
    return true;
}

/* A line of XMail's smail log. */
static void record(const struct spool_entry *entry, size_t i)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct options *o = conf();
    const struct envelope_recipient *r = &entry->env.recipients[i];
    if (!logfile_is_on(LOGFILE_SMAIL))
        return;
    logfile_add_delivery(o->smtp_server_domain.n > 0 ? o->smtp_server_domain : o->root_domain,
                         entry->id, address_print(&entry->env.reverse_path, &a),
                         address_print(&r->address, &a), "LOCAL",
                         address_print(&r->resolved, &a), STR(""));
}

static void try_recipient(struct spool_entry *entry, size_t i, struct attempt_result *out)
{
    struct err e;
    enum rc rc = deliver_local(entry, i, &e);
    const struct address *to = &entry->env.recipients[i].resolved;
    if (rc == RC_OK) {
        record(entry, i);
        (void)settle(entry, i, DELIVERY_DONE, "-", out);
    } else if (rc == RC_PERM) {
        log_error(EV("delivery failed"), KS("id", entry->id), KS("user", to->local),
                  KS("domain", to->domain), KE(&e));
        (void)settle(entry, i, DELIVERY_FAILED, e.text, out);
    } else {
        metric_add(METRIC_deferred, 1);
        log_warn(EV("delivery deferred"), KS("id", entry->id), KS("user", to->local),
                 KS("domain", to->domain), KE(&e));
    }
}

static size_t count_state(const struct spool_entry *entry, enum delivery_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < entry->env.recipient_count; i++)
        n += entry->states[i] == state;
    return n;
}

/* Some recipients wait: plans the next try, or gives them up when the entry is too old. */
static void plan(struct spool_entry *entry, usec_t now, struct attempt_result *out)
{
    struct err e;
    usec_t due = 0;
    uint64_t seed = hash_text(entry->id, false, 0);
    if (retry_next(entry->env.received_at, entry->tries + 1, now, seed, &due) == RC_OK) {
        out->again = true;
        out->due = due;
        if (spool_record_retry(entry, entry->tries + 1, due, &e) != RC_OK)
            log_error(EV("journal not written"), KS("id", entry->id), KE(&e));
        return;
    }
    for (size_t i = 0; i < entry->env.recipient_count; i++)
        if (entry->states[i] == DELIVERY_PENDING)
            (void)settle(entry, i, DELIVERY_FAILED, "could not be delivered for 5 days", out);
}

/* Removes an entry that is delivered; one with failed recipients is kept for the administrator.
 */
static void finish(struct spool_entry *entry, struct attempt_result *out)
{
    struct err e;
    if (count_state(entry, DELIVERY_FAILED) > 0) {
        log_error(EV("entry kept"), KS("id", entry->id),
                  KV("reason", "some recipients failed for good"),
                  KU("failed", count_state(entry, DELIVERY_FAILED)));
        return;
    }
    if (spool_remove(entry, &e) == RC_OK)
        return;
    log_error(EV("finished entry not removed"), KS("id", entry->id), KE(&e));
    out->again = true;
    out->due = clock_wall() + 60 * USEC_S;
}

static void work_on(struct spool_entry *entry, usec_t now, struct attempt_result *out)
{
    if (count_state(entry, DELIVERY_PENDING) == 0 && count_state(entry, DELIVERY_FAILED) > 0)
        return; /* kept for the administrator since an earlier attempt */
    if (entry->next_try > now) {
        out->again = true;
        out->due = entry->next_try;
        return;
    }
    for (size_t i = 0; i < entry->env.recipient_count; i++)
        if (entry->states[i] == DELIVERY_PENDING)
            try_recipient(entry, i, out);
    if (count_state(entry, DELIVERY_PENDING) > 0)
        plan(entry, now, out);
    if (count_state(entry, DELIVERY_PENDING) == 0)
        finish(entry, out);
}

void attempt_entry(struct str id, usec_t now, struct attempt_result *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry;
    struct err e;
    *out = (struct attempt_result){ .again = false };
    enum rc rc = spool_open(id, &mem, &entry, &e);
    if (rc == RC_OK) {
        work_on(&entry, now, out);
        spool_close(&entry);
        return;
    }
    if (e.sys == ENOENT)
        return; /* finished meanwhile */
    if (rc == RC_PERM && spool_set_aside(id, str_from_c(e.text), &e) == RC_OK)
        return;
    log_error(EV("entry can't be opened"), KS("id", id), KE(&e));
    out->again = true;
    out->due = now + 300 * USEC_S;
}

/*
 * here.c - recipients of an attempt that end on this server: mailboxes, mailing lists, and
 * moderators' answers. Called by attempt.c.
 */
#include "queue/work.h"

#define NOTICE_PAUSE (60 * USEC_S)
#define POLICY_PAUSE (USEC_S / 2)
#define POLICY_WAIT (60 * USEC_S) /* then the list's name is taken: that is never wrong */

/* What came of it here, and where. */
static void settle_here(struct work *w, size_t i, bool is_list, enum rc rc, const struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    enum work_end end = is_list ? WORK_PROCESSED : WORK_IN_MAILBOX;
    if (rc == RC_OK) {
        work_record(w->entry, i, is_list ? "LIST" : "LOCAL", STR(""));
        work_settle(w, i, OUTCOME_SENT, end, STR("2.0.0 -"));
        return;
    }
    const struct reason why = { str_from_c(e->dsn), STR(""), str_from_c(e->text) };
    if (rc != RC_PERM)
        log_warn(EV("mailbox not written"), KS("entry", w->entry->id), KE(e));
    work_settle(w, i, rc == RC_PERM ? OUTCOME_PERM : OUTCOME_TEMP, end, reason_print(&why, &a));
}

void work_try_local(struct work *w, size_t i)
{
    struct err e = { .rc = RC_OK };
    enum rc rc = deliver_local(w->entry, i, true, &e);
    settle_here(w, i, false, rc, &e);
}

void work_try_members(struct work *w, const size_t *which, size_t count)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .rc = RC_OK };
    struct member *members = arena_new_array(&a, struct member, count + 1);
    for (size_t i = 0; i < count; i++)
        members[i] = (struct member){ .rcpt = which[i], .result = MEMBER_APART };
    if (count > 1 && deliver_members(w->entry, members, count, &e) != RC_OK)
        log_warn(EV("list members get copies of their own"), KS("id", w->entry->id), KE(&e));
    for (size_t i = 0; i < count; i++) {
        const struct member *m = &members[i];
        if (m->result == MEMBER_APART)
            work_try_local(w, m->rcpt);
        else
            settle_here(w, m->rcpt, false, m->result == MEMBER_DONE ? RC_OK : m->e.rc, &m->e);
    }
}

/* --- lists ------------------------------------------------------------------------------- */

void work_made(struct work *w, struct str id)
{
    struct made *made = arena_new(&w->mem, sizeof(*made));
    made->id = arena_str(&w->mem, id);
    made->next = w->made;
    w->made = made;
}

static void add_made(void *ctx, struct str id)
{
    work_made(ctx, id);
}

/* What was made of recipient i may be worked on when this entry's record of it is durable. */
static void sync_record(struct work *w)
{
    struct err e;
    if (w->pending + w->failed > 0 && spool_record_sync(w->entry, &e) != RC_OK)
        work_journal_failed(w->entry, &e);
}

void work_try_list(struct work *w, size_t i, const struct account *account)
{
    static const char *const events[] = { "list expanded", "post held for moderators",
                                          "post to a list loops", "list has no members" };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct list l = { .rewrites_from = false };
    struct err e = { .rc = RC_OK };
    enum list_outcome outcome = LIST_EMPTY;
    enum rc rc = list_load(account, &a, &l, &e);
    if (rc == RC_OK && !l.options.receive_enable)
        rc = err_perm(&e, "5.2.1", "the list doesn't take mail");
    l.rewrites_from = l.options.list_from_rewrite == FROM_IS_LIST ||
                      (l.options.list_from_rewrite == FROM_BY_POLICY && w->rewrites_from);
    if (rc == RC_OK)
        rc = list_expand(w->entry, i, &l, add_made, w, &outcome, &e);
    if (rc == RC_OK)
        log_info(EV(events[outcome]), KS("id", w->entry->id),
                 KS("list", address_print(&l.address, &a)));
    settle_here(w, i, true, rc, &e);
    sync_record(w);
}

void work_try_decision(struct work *w, size_t i, const struct list_decision *d)
{
    struct err e = { .rc = RC_OK };
    bool null = w->entry->env.reverse_path.is_null; /* something answered by itself */
    enum rc rc = null ? err_perm(&e, "5.7.1", "reports decide nothing") : list_decide(d, &e);
    if (rc == RC_OK)
        add_made(w, d->id);
    settle_here(w, i, true, rc, &e);
}

bool work_waits_for_moderator(struct work *w)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct list l;
    struct recipient r;
    struct err e = { .rc = RC_OK };
    struct spool_entry *entry = w->entry;
    if (!list_is_held(entry) || w->pending == 0)
        return false;
    w->out->again = true;
    w->out->due = USEC_FOREVER;
    if (entry->delay_notices > 0)
        return true;
    enum rc rc = users_resolve(&entry->env.recipients[0].resolved, &a, &r, &e);
    if (rc == RC_OK && r.kind != RECIPIENT_LIST)
        return false; /* which isn't one any more: fails as any such address does */
    if (rc == RC_OK)
        rc = list_load(&r.account, &a, &l, &e);
    if (rc == RC_OK)
        rc = list_tell_moderators(entry, &l, add_made, w, &e);
    if (rc == RC_OK)
        rc = spool_record_mark(entry, SPOOL_DELAY_NOTICE, &e);
    if (rc != RC_OK) {
        log_warn(EV("moderators not told"), KS("id", entry->id), KE(&e));
        w->out->due = w->now + NOTICE_PAUSE;
    }
    return true;
}

/* Is a list that wants to know among the recipients that wait? */
static bool wants_policy(const struct work *w)
{
    const struct envelope *env = &w->entry->env;
    for (size_t i = 0; i < env->recipient_count; i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct recipient r;
        struct user_options o;
        struct err e;
        if (w->entry->states[i] == DELIVERY_PENDING &&
            users_resolve(&env->recipients[i].resolved, &a, &r, &e) == RC_OK &&
            r.kind == RECIPIENT_LIST && users_options(&r.account, &a, &o, &e) == RC_OK &&
            o.list_from_rewrite == FROM_BY_POLICY)
            return true;
    }
    return false;
}

bool work_waits_for_policy(struct work *w)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str domain;
    struct err e;
    if (!wants_policy(w) || list_author_domain(w->entry, &a, &domain, &e) != RC_OK ||
        domain.n == 0)
        return false;
    enum queue_policy is = queue_policy_of(domain);
    bool patient = w->now - w->entry->env.received_at < POLICY_WAIT;
    w->rewrites_from = is != QUEUE_POLICY_OPEN;
    if (is != QUEUE_POLICY_UNKNOWN || !patient)
        return false;
    w->out->again = true;
    w->out->due = w->now + POLICY_PAUSE;
    return true;
}

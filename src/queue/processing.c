/*
 * processing.c - a recipient whose mail runs through filters or commands: filters.in, then
 * commands, for one here; filters.out before it is sent elsewhere. On a thread that waits for
 * the programs; the scheduler learns what came of it, and a settling job records that.
 */
#include "queue/processing.h"

/* Where its mail goes that goes to other servers; *out_via: hosts, not its domain. */
struct str processing_place(const struct spool_entry *entry, size_t i, bool *out_via)
{
    *out_via = entry->via.n > 0;
    return *out_via ? entry->via : entry->env.recipients[i].resolved.domain;
}

/* The address that the recipient really means. */
static struct address meaning(const struct spool_entry *entry, size_t i,
                              const struct recipient *r)
{
    if (r->kind == RECIPIENT_ACCOUNT)
        return (struct address){ .local = r->account.name, .domain = r->account.domain };
    return r->kind == RECIPIENT_CMDALIAS ? r->target : entry->env.recipients[i].resolved;
}

bool processing_is_needed(const struct spool_entry *entry, size_t i, const struct recipient *r)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct filter_choice choice;
    bool elsewhere = entry->env.via.n > 0 || r->kind == RECIPIENT_REMOTE;
    enum filter_way way = elsewhere ? FILTERS_OUT : FILTERS_IN;
    if (!elsewhere && (r->kind == RECIPIENT_CMDALIAS || r->kind == RECIPIENT_CUSTDOMAIN))
        return true;
    if (!elsewhere && r->kind != RECIPIENT_ACCOUNT)
        return false;
    if (!elsewhere && users_needs_processing(&r->account, &a))
        return true;
    if (!filters_are_listed(way))
        return false;
    const struct address from = users_meaning(&entry->env.reverse_path, &a),
                         to = meaning(entry, i, r);
    const struct filter_subject s = { address_print_bare(&from, &a),
                                      address_print_bare(&to, &a), entry->env.client,
                                      entry->env.server };
    return filters_select(way, &s, &a, &choice);
}

static void process(struct subject *s)
{
    struct str tables[USERS_COMMAND_TABLES];
    size_t count = users_command_tables(&s->who, &s->mem, tables);
    if (s->entry->env.via.n > 0 || s->who.kind == RECIPIENT_REMOTE) {
        subject_filter(s, FILTERS_OUT);
        if (s->fate == FATE_NONE)
            s->fate = FATE_RELAY;
    } else if (count > 0) {
        if (s->who.kind == RECIPIENT_ACCOUNT)
            subject_filter(s, FILTERS_IN);
        if (s->fate == FATE_NONE)
            subject_command(s, tables, count);
    } else { /* which isn't what it was a moment ago */
        subject_end(s, OUTCOME_TEMP, "4.3.0", STR("its address means something else now"));
    }
}

/* One recipient that is pending. */
static void process_one(struct subject *s)
{
    struct err e = { .rc = RC_OK };
    const struct envelope *env = &s->entry->env;
    s->reason = STR("");
    s->who = (struct recipient){ .kind = RECIPIENT_REMOTE };
    if (env->via.n == 0 &&
        users_resolve(&env->recipients[s->i].resolved, &s->mem, &s->who, &e) != RC_OK) {
        subject_end(s, OUTCOME_TEMP, e.dsn, str_from_c(e.text));
        return;
    }
    s->sender = users_meaning(&env->reverse_path, &s->mem);
    s->recipient = meaning(s->entry, s->i, &s->who);
    process(s);
    view_release(&s->view);
}

static void process_all(struct spool_entry *entry, const char *rcpts, notify_fn *notify,
                        void *ctx, struct outcome **out, struct groups *groups)
{
    struct str rest = str_from_c(rcpts), word;
    uint64_t i = 0;
    bool via = false;
    while (rest.n > 0 && str_cut(&rest, ' ', &word)) {
        if (!str_to_u64(word, &i) || i >= entry->env.recipient_count ||
            entry->states[i] != DELIVERY_PENDING)
            continue;
        struct subject s = { .entry = entry, .i = (size_t)i, .notify = notify, .ctx = ctx };
        process_one(&s);
        struct str place = processing_place(entry, (size_t)i, &via);
        if (s.fate == FATE_RELAY)
            group_add(groups, entry, (size_t)i, place, via, false);
        else if (s.fate == FATE_OUTCOME) {
            *out = outcome_new((size_t)i, s.outcome, true, s.reason, *out);
            (*out)->here = true;
        }
        arena_release(&s.mem);
    }
}

void attempt_process(struct str id, const char *rcpts, notify_fn *notify, void *ctx,
                     struct outcome **out, struct group **out_groups)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry;
    struct groups groups = { .by_place = { .fold = true } };
    struct err e = { .rc = RC_OK };
    *out = NULL;
    *out_groups = NULL;
    if (spool_open(id, &mem, &entry, &e) != RC_OK) {
        if (e.sys != ENOENT) /* what it is will be seen when the rest is settled */
            log_error(EV("entry can't be opened"), KS("id", id), KE(&e));
        return;
    }
    process_all(&entry, rcpts, notify, ctx, out, &groups);
    spool_close(&entry);
    map_release(&groups.by_place);
    *out_groups = groups.list;
}

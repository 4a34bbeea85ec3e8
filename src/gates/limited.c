/* limited.c - gates that ask who is over a limit of limits.tab (users/limits.h). Counting is
 * the session's: asking changes nothing. */
#include "gates/gates_int.h"
#include "users/limits.h"

/* Is the subject held for it? A client of the white list isn't; who logged in counts as an
 * account. */
static bool find(const struct gate_subject *s, enum limit_what what, struct limit_held *out)
{
    if (s->has_login && s->has_account)
        return limits_find_account(arena_printf(s->tmp, "%.*s@%.*s", STR_ARG(s->account.name),
                                                STR_ARG(s->account.domain)),
                                   what, out);
    if (s->has_login)
        return limits_find_account(s->login_name, what, out);
    return (s->memory->properties & PROPERTY_WHITE_LIST) == 0 &&
           limits_find_client(&s->client, what, out);
}

static enum gate_action decide(struct gate_subject *s, struct gate_decision *d,
                               const struct limit_held *h, const char *code)
{
    static const char *const statuses[] = { "SNDRIP=ELIMIT", "SNDR=ELIMIT", "RCPT=ELIMIT" };
    const char *status = statuses[d->gate->stage];
    d->line = h->line;
    d->detail = h->count == 0 ? STR("by an administrator")
                              : arena_printf(s->tmp, "%s, %u in %u seconds",
                                             limit_what_name((enum limit_what)h->what),
                                             h->count, h->window_s);
    if (h->action == LIMIT_DELAY) {
        d->delay_s = h->delay_s;
        return GATE_SLOW;
    }
    if (h->action == LIMIT_STOP)
        return gate_refuse(d, "550 5.7.1", STR(""),
                           "Your account has been stopped, ask the postmaster", status);
    return gate_refuse(d, code, STR(""), "Too much from you lately, try again later", status);
}

enum gate_action gate_limit_client(struct gate_subject *s, struct gate_decision *d)
{
    struct limit_held h;
    return find(s, LIMIT_CONNECTIONS, &h) ? decide(s, d, &h, "421") : GATE_PASS;
}

/* The account's logins count here too: who has logged in is known only now. */
enum gate_action gate_limit_sender(struct gate_subject *s, struct gate_decision *d)
{
    static const enum limit_what all[] = { LIMIT_CONNECTIONS, LIMIT_MESSAGES,
                                           LIMIT_RECIPIENTS };
    enum gate_action worst = GATE_PASS;
    struct limit_held h;
    for (size_t i = 0; i < ARRAY_LEN(all) && worst != GATE_REFUSE; i++)
        if (find(s, all[i], &h))
            worst = MAX(worst, decide(s, d, &h, "450 4.7.1"));
    return worst;
}

enum gate_action gate_limit_recipient(struct gate_subject *s, struct gate_decision *d)
{
    struct limit_held h;
    return find(s, LIMIT_RECIPIENTS, &h) ? decide(s, d, &h, "450 4.7.1") : GATE_PASS;
}

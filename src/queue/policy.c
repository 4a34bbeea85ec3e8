/* policy.c - what is known of the policies of authors' domains (DMARC), and the questions about
 * the others, which the relay role answers. Any thread. */
#include "queue/queue_int.h"

#define KEEP (3600 * USEC_S)
#define KEEP_UNKNOWN (30 * USEC_S)
#define ASK_AGAIN (5 * USEC_S)
#define DOMAINS_MAX 10000u

struct policy {
    enum queue_policy is;
    usec_t until;    /* clock_mono: believed so long */
    usec_t asked_at; /* clock_mono; 0: never */
    char domain[];
};

static struct lock policy_lock = LOCK_INIT(LOCK_LEAF);
static struct map policies = { .fold = true };
static queue_ask_policy_fn *asker;

void queue_set_policy_asker(queue_ask_policy_fn *ask)
{
    asker = ask;
}

static struct policy *find_or_make(struct str domain)
{
    struct policy *p = map_get(&policies, domain);
    if (p != NULL || policies.live >= DOMAINS_MAX)
        return p;
    p = mem_new(sizeof(*p) + domain.n + 1);
    memcpy(p->domain, domain.p, domain.n);
    (void)map_put(&policies, str_from_c(p->domain), p);
    return p;
}

enum queue_policy queue_policy_of(struct str domain)
{
    usec_t now = clock_mono();
    bool asks = false;
    enum queue_policy is = QUEUE_POLICY_STRICT; /* no room to remember: the safe side */
    lock_take(&policy_lock);
    struct policy *p = find_or_make(domain);
    if (p != NULL) {
        bool known = p->is != QUEUE_POLICY_UNKNOWN && now < p->until;
        is = known ? p->is : QUEUE_POLICY_UNKNOWN;
        asks = !known && (p->asked_at == 0 || now - p->asked_at > ASK_AGAIN);
        p->asked_at = asks ? now : p->asked_at;
    }
    lock_drop(&policy_lock);
    if (asks && asker != NULL)
        asker(domain);
    return is;
}

void queue_policy_told(struct str domain, enum queue_policy is)
{
    usec_t now = clock_mono();
    lock_take(&policy_lock);
    struct policy *p = map_get(&policies, domain);
    if (p != NULL) { /* nothing is learned that wasn't asked for */
        p->is = is;
        p->until = now + (is == QUEUE_POLICY_UNKNOWN ? KEEP_UNKNOWN : KEEP);
    }
    lock_drop(&policy_lock);
}

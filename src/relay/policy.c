/*
 * policy.c - what domains say of mail in their name that others pass on (DMARC). Asked for by
 * the queue role, for mailing lists; it has no network of its own.
 *
 * The record of the domain itself counts, else the nearest one above it, whose policy for
 * subdomains it is then (the walk up the tree of DMARC's successor, instead of a list of public
 * suffixes).
 */
#include "mail/dmarc.h"
#include "relay/relay_int.h"
#include "sys/dns.h"

#define LEVELS_MAX 8u

/* *out_found: there is a record. */
static enum rc ask(struct str domain, struct dmarc_record *out, bool *out_found)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct dns_answer answer = { .count = 0 };
    struct err e;
    struct str name = arena_printf(&a, "_dmarc.%.*s", STR_ARG(domain));
    enum rc rc = dns_ask(name, DNS_TXT, &a, &answer, &e);
    *out_found = false;
    for (size_t i = 0; rc == RC_OK && i < answer.count && !*out_found; i++)
        *out_found = dmarc_parse(answer.records[i].text, out);
    return rc;
}

enum relay_policy relay_find_policy(struct str domain)
{
    struct dmarc_record r = { .policy = DMARC_NONE };
    struct str at = domain;
    bool found = false;
    for (unsigned i = 0; i < LEVELS_MAX && str_find(at, '.') != SIZE_MAX && !found; i++) {
        if (ask(at, &r, &found) != RC_OK)
            return RELAY_POLICY_UNKNOWN;
        if (!found)
            at = str_skip(at, str_find(at, '.') + 1);
    }
    enum dmarc_policy p = str_eq(at, domain) ? r.policy : r.subdomain_policy;
    return found && p != DMARC_NONE ? RELAY_POLICY_STRICT : RELAY_POLICY_OPEN;
}

struct policy_job {
    pool_ticket ticket;
    relay_policy_fn *told;
    char domain[];
};

static void run(struct pool *pool, void *object, unsigned events)
{
    struct policy_job *job = object;
    (void)events;
    job->told(str_from_c(job->domain), relay_find_policy(str_from_c(job->domain)));
    pool_forget(pool, job->ticket);
    mem_free(&job);
}

void relay_ask_policy(struct pool *pool, struct str domain, relay_policy_fn *told)
{
    struct err e;
    struct policy_job *job = mem_new(sizeof(*job) + domain.n + 1);
    memcpy(job->domain, domain.p, domain.n);
    job->told = told;
    if (pool_add(pool, job, run, -1, &job->ticket, &e) == RC_OK)
        return;
    log_warn(EV("policy not asked for"), KS("domain", domain), KE(&e));
    mem_free(&job);
}

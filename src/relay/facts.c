/*
 * facts.c - questions of the gates (gates/gates.h) to the DNS, for the smtpd role, which has no
 * network outward: what strangers' servers answer is parsed here only. Any thread.
 */
#include "gates/gates.h"
#include "relay/relay_int.h"
#include "sys/dns.h"
#include <stdatomic.h>

#define NAMES_MAX 5u    /* of an address, that are looked up */
#define AT_ONCE_MAX 96u /* more are answered "unknown": mail outward needs workers too */

static _Atomic unsigned under_way;

static enum gate_answer has_record(struct str name, enum dns_type type, struct arena *a)
{
    struct dns_answer answer = { .count = 0 };
    struct err e;
    if (dns_ask(name, type, a, &answer, &e) != RC_OK)
        return GATE_UNKNOWN;
    /* One MX with the root as its name: takes no mail (RFC 7505). */
    bool null_mx = type == DNS_MX && answer.count == 1 && answer.records[0].name.n == 0;
    return answer.count > 0 && !null_mx ? GATE_YES : GATE_NO;
}

/* MX, or an address: RFC 5321 5.1. */
static enum gate_answer mailer(struct str domain, struct arena *a)
{
    static const enum dns_type types[] = { DNS_MX, DNS_A, DNS_AAAA };
    struct dns_answer mx = { .count = 0 };
    struct err e;
    if (dns_ask(domain, DNS_MX, a, &mx, &e) != RC_OK)
        return GATE_UNKNOWN;
    enum gate_answer is = mx.count > 0 ? has_record(domain, DNS_MX, a) : GATE_NO;
    for (size_t i = 1; mx.count == 0 && i < ARRAY_LEN(types) && is == GATE_NO; i++)
        is = has_record(domain, types[i], a);
    return is;
}

/* 127.0.0.0/8 means listed, but for 127.255.255.0/24: the list refuses to answer. RFC 5782 2.1
 */
static enum gate_answer listed(struct str name, struct arena *a)
{
    struct dns_answer answer = { .count = 0 };
    struct err e;
    if (dns_ask(name, DNS_A, a, &answer, &e) != RC_OK)
        return GATE_UNKNOWN;
    for (size_t i = 0; i < answer.count; i++) {
        const uint8_t *b = answer.records[i].ip.b + 12;
        if (b[0] == 127 && !(b[1] == 255 && b[2] == 255))
            return GATE_YES;
    }
    return answer.count > 0 ? GATE_UNKNOWN : GATE_NO;
}

/* Does the name have this address, written backwards in `reverse`? */
static bool leads_back(struct str name, const struct ip *ip, struct arena *a)
{
    struct dns_answer answer = { .count = 0 };
    struct err e;
    if (dns_ask(name, ip_is_v4(ip) ? DNS_A : DNS_AAAA, a, &answer, &e) != RC_OK)
        return false;
    for (size_t i = 0; i < answer.count; i++)
        if (ip_eq(&answer.records[i].ip, ip))
            return true;
    return false;
}

/* The address of a name below in-addr.arpa or ip6.arpa. */
static bool address_of(struct str name, struct arena *a, struct ip *out)
{
    struct str rest = name, word, text = STR("");
    bool v4 = str_ends(name, STR(".in-addr.arpa"));
    for (unsigned i = 0; i < (v4 ? 4u : 32u); i++) {
        if (rest.p == NULL || !str_cut(&rest, '.', &word))
            return false;
        const char *between = i == 0 ? "" : v4 ? "." : i % 4 == 0 ? ":" : "";
        text = arena_printf(a, "%.*s%s%.*s", STR_ARG(word), between, STR_ARG(text));
    }
    return ip_parse(text, out);
}

static enum gate_answer reverse(struct str name, struct arena *a, struct str *out_name)
{
    struct dns_answer answer = { .count = 0 };
    struct err e;
    struct ip ip;
    if (!address_of(name, a, &ip) || dns_ask(name, DNS_PTR, a, &answer, &e) != RC_OK)
        return GATE_UNKNOWN;
    for (size_t i = 0; i < MIN(answer.count, (size_t)NAMES_MAX); i++) {
        *out_name = answer.records[i].name;
        if (leads_back(*out_name, &ip, a))
            return GATE_CONFIRMED;
    }
    return answer.count > 0 ? GATE_YES : GATE_NO;
}

enum gate_answer relay_find_fact(enum gate_question question, struct str name, struct arena *a,
                                 struct str *out_text)
{
    *out_text = STR("");
    switch (question) {
    case GATE_ASK_REVERSE:
        return reverse(name, a, out_text);
    case GATE_ASK_LISTED:
        return listed(name, a);
    case GATE_ASK_MAILER:
        return mailer(name, a);
    }
    return GATE_UNKNOWN;
}

/* --- as jobs ----------------------------------------------------------------------------- */

struct fact_job {
    pool_ticket ticket;
    struct relay_fact fact;
    relay_fact_fn *told;
    char name[];
};

static void run(struct pool *pool, void *object, unsigned events)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct fact_job *job = object;
    struct str text;
    (void)events;
    enum gate_answer is = relay_find_fact(job->fact.question, job->fact.name, &a, &text);
    job->told(&job->fact, is, text);
    under_way--;
    pool_forget(pool, job->ticket);
    mem_free(&job);
}

void relay_ask_fact(struct pool *pool, const struct relay_fact *f, relay_fact_fn *told)
{
    struct err e;
    if (under_way >= AT_ONCE_MAX) {
        told(f, GATE_UNKNOWN, STR(""));
        return;
    }
    struct fact_job *job = mem_new(sizeof(*job) + f->name.n + 1);
    memcpy(job->name, f->name.p, f->name.n);
    job->fact = *f;
    job->fact.name = str_from(job->name, f->name.n);
    job->told = told;
    under_way++;
    if (pool_add(pool, job, run, -1, &job->ticket, &e) == RC_OK)
        return;
    under_way--;
    told(f, GATE_UNKNOWN, STR(""));
    mem_free(&job);
}

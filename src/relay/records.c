/* records.c - questions from the web role, which has no network outward: of gates and for
 * records that people publish, to the DNS; who answers at one of the server's ports. Any
 * thread. */
#include "relay/relay_int.h"
#include "sys/client.h"
#include "sys/dns.h"
#include "sys/notes.h"

#define CONNECT_TIME (4 * USEC_S)
#define GREETING_TIME (2 * USEC_S)
#define GREETING_MOST ((size_t)300)
#define TEXT_MOST ((size_t)900) /* of an answer: it travels in a note */

struct lookup_job {
    pool_ticket ticket;
    struct relay_lookup lookup;
    relay_lookup_fn *told;
    char name[];
};

/* One record as people write it. */
static struct str record_text(enum dns_type type, const struct dns_record *r, struct arena *a)
{
    char ip[IP_TEXT_BYTES];
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        return arena_str(a, str_from_c(ip_print(&r->ip, ip)));
    case DNS_MX:
        return arena_printf(a, "%u %.*s", r->preference, STR_ARG(r->name));
    case DNS_PTR:
        return r->name;
    case DNS_TXT:
        return r->text;
    }
    return STR("");
}

/* The records, one a line. False: no answer. */
static bool records(enum dns_type type, struct str name, struct arena *a, struct str *out)
{
    struct dns_answer answer = { .count = 0 };
    struct err e;
    struct buf b AUTO_RELEASE_BUF;
    buf_init(&b, TEXT_MOST);
    if (dns_ask(name, type, a, &answer, &e) != RC_OK)
        return false;
    for (size_t i = 0; i < answer.count; i++) {
        struct str text = record_text(type, &answer.records[i], a);
        if (str_has_control(text) || b.n + text.n + 1 > TEXT_MOST)
            continue;
        if (buf_add_str(&b, text) != RC_OK || buf_add_char(&b, '\n') != RC_OK)
            break;
    }
    *out = arena_str(a, buf_str(&b));
    return true;
}

/* Who answers at "PORT ADDRESS"? *out: the greeting; where the client speaks first, nothing; or
 * what went wrong. */
static bool connects(struct str name, struct arena *a, struct str *out)
{
    struct client *c = NULL;
    struct str port_text, line;
    struct ip ip;
    uint64_t port = 0;
    struct err e;
    if (!str_cut(&name, ' ', &port_text) || !str_to_u64(port_text, &port) ||
        port > UINT16_MAX || !ip_parse(name, &ip))
        return false;
    if (client_open_ip(&ip, (uint16_t)port, NULL, CONNECT_TIME, &c, &e) != RC_OK) {
        *out = arena_str(a, str_from_c(e.text));
        return false;
    }
    client_set_timeout(c, GREETING_TIME);
    if (client_line(c, &line, &e) == RC_OK && !str_has_control(line))
        *out = arena_str(a, str_head(line, GREETING_MOST));
    client_close(&c);
    return true;
}

static void run(struct pool *pool, void *object, unsigned events)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct lookup_job *job = object;
    const struct relay_lookup *l = &job->lookup;
    struct str text = STR("");
    (void)events;
    if (l->is_gate) {
        enum gate_answer is = relay_find_fact((enum gate_question)l->type, l->name, &a, &text);
        job->told(l, (unsigned)is, text);
    } else if (l->type == LOOK_UP_CONNECT) {
        bool there = connects(l->name, &a, &text);
        job->told(l, there ? 1 : 0, text);
    } else {
        bool known = records((enum dns_type)l->type, l->name, &a, &text);
        job->told(l, known ? 1 : 0, text);
    }
    pool_forget(pool, job->ticket);
    mem_free(&job);
}

void relay_look_up(struct pool *pool, const struct relay_lookup *l, relay_lookup_fn *told)
{
    struct err e;
    struct lookup_job *job = mem_new(sizeof(*job) + l->name.n + 1);
    memcpy(job->name, l->name.p, l->name.n);
    job->lookup = *l;
    job->lookup.name = str_from(job->name, l->name.n);
    job->told = told;
    if (pool_add(pool, job, run, -1, &job->ticket, &e) == RC_OK)
        return;
    told(l, 0, STR(""));
    mem_free(&job);
}

/* dns.c - see dns.h. */
#include "sys/dns.h"
#include "sys/file.h"
#include <arpa/inet.h>
#include <stdatomic.h>
#include <unbound.h>

#define TTL_LONGEST 3600u
#define SECOND_AFTER (600 * USEC_S) /* how long recursion that failed isn't tried */

static struct ub_ctx *first, *second; /* second: the system's resolvers, or NULL */
static _Atomic int64_t first_down_until;

/* --- setting up -------------------------------------------------------------------------- */

/* One "ip[@port][:tcp]" of SmartDNSHost. */
static enum rc add_forwarder(struct ub_ctx *ctx, struct str text, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str address = str_trim(text);
    struct ip ip;
    if (str_iends(address, STR(":tcp")) || str_iends(address, STR(":udp"))) {
        if (str_iends(address, STR("tcp")))
            (void)ub_ctx_set_option(ctx, "tcp-upstream:", "yes");
        address = str_head(address, address.n - 4);
    }
    struct str host = address;
    (void)str_cut(&host, '@', &host);
    host = str_head(address, MIN(str_find(address, '@'), address.n));
    if (!ip_parse(host, &ip))
        return err_perm(e, "5.3.0", "SmartDNSHost: \"%.*s\" is not an address", STR_ARG(text));
    if (ip_is_loopback(&ip))
        (void)ub_ctx_set_option(ctx, "do-not-query-localhost:", "no");
    return ub_ctx_set_fwd(ctx, arena_c(&mem, address)) == 0
               ? RC_OK
               : err_perm(e, "5.3.0", "SmartDNSHost: \"%.*s\" can't be used", STR_ARG(text));
}

static struct ub_ctx *new_ctx(struct str anchor)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct ub_ctx *ctx = ub_ctx_create();
    if (ctx == NULL)
        return NULL;
    (void)ub_ctx_debuglevel(ctx, 0);
    (void)ub_ctx_async(ctx, 1);
    (void)ub_ctx_set_option(ctx, "cache-max-negative-ttl:", "60");
    /* One name that a resolver is silent about must not make it count as dead for all others.
     */
    (void)ub_ctx_set_option(ctx, "infra-keep-probing:", "yes");
    (void)ub_ctx_set_option(ctx, "infra-cache-max-rtt:", "2000");
    if (anchor.n > 0)
        (void)ub_ctx_add_ta_file(ctx, arena_c(&mem, anchor));
    return ctx;
}

enum rc dns_open(struct str forwarders, struct str anchor, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str word;
    if (anchor.n > 0 && !file_exists(arena_c(&mem, anchor)))
        anchor = STR("");
    first = new_ctx(anchor);
    if (first == NULL)
        return err_temp(e, "4.3.0", "the resolver can't be set up");
    bool recursive = forwarders.n == 0;
    enum rc rc = RC_OK;
    while (forwarders.n > 0 && rc == RC_OK && str_cut(&forwarders, ',', &word))
        rc = add_forwarder(first, word, e);
    if (rc == RC_OK && recursive) {
        second = new_ctx(STR("")); /* the system's resolvers may not pass signatures on */
        if (second != NULL && ub_ctx_resolvconf(second, NULL) != 0) {
            ub_ctx_delete(second);
            second = NULL;
        }
    }
    return rc;
}

/* --- answers ----------------------------------------------------------------------------- */

/* A name in wire format (RFC 1035 3.1, not compressed) as text. */
static bool read_name(struct str wire, struct arena *a, struct str *out)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, 1024);
    while (wire.n > 0) {
        size_t n = (unsigned char)wire.p[0];
        if (n == 0) {
            *out = arena_str(a, buf_str(&text));
            return true;
        }
        if (n > 63 || n + 1 > wire.n)
            return false;
        if (text.n > 0 && buf_add_char(&text, '.') != RC_OK)
            return false;
        for (size_t i = 1; i <= n; i++) {
            char c = ascii_lower(wire.p[i]);
            if (c <= ' ' || c >= 0x7f || c == '.' || buf_add_char(&text, c) != RC_OK)
                return false; /* no name of a host */
        }
        wire = str_skip(wire, n + 1);
    }
    return false;
}

static bool read_text(struct str wire, struct arena *a, struct str *out)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, 65536);
    while (wire.n > 0) {
        size_t n = (unsigned char)wire.p[0];
        if (n + 1 > wire.n || buf_add(&text, wire.p + 1, n) != RC_OK)
            return false;
        wire = str_skip(wire, n + 1);
    }
    *out = arena_str(a, buf_str(&text));
    return true;
}

static bool read_ip(struct str wire, bool v6, struct ip *out)
{
    char text[INET6_ADDRSTRLEN];
    return wire.n == (v6 ? 16 : 4) &&
           inet_ntop(v6 ? AF_INET6 : AF_INET, wire.p, text, sizeof(text)) != NULL &&
           ip_parse(str_from_c(text), out);
}

static bool read_record(enum dns_type type, struct str wire, struct arena *a,
                        struct dns_record *out)
{
    *out = (struct dns_record){ .preference = 0, .name = STR("") };
    switch (type) {
    case DNS_A:
    case DNS_AAAA:
        return read_ip(wire, type == DNS_AAAA, &out->ip);
    case DNS_MX:
        if (wire.n < 3)
            return false;
        out->preference =
            (unsigned)(unsigned char)wire.p[0] << 8 | (unsigned)(unsigned char)wire.p[1];
        return read_name(str_skip(wire, 2), a, &out->name);
    case DNS_PTR:
        return read_name(wire, a, &out->name);
    case DNS_TXT:
        return read_text(wire, a, &out->text);
    }
    return false;
}

static void take_answer(const struct ub_result *r, enum dns_type type, struct arena *a,
                        struct dns_answer *out)
{
    size_t n = 0;
    while (r->havedata && r->data[n] != NULL)
        n++;
    *out = (struct dns_answer){
        .records = arena_new_array(a, struct dns_record, n + 1),
        .no_such_name = r->nxdomain != 0,
        .is_secure = r->secure != 0,
        .ttl_s = r->ttl < 0 ? 0 : MIN((unsigned)r->ttl, TTL_LONGEST),
    };
    for (size_t i = 0; i < n; i++)
        if (read_record(type, str_from(r->data[i], (size_t)r->len[i]), a,
                        &out->records[out->count]))
            out->count++;
}

/* RC_AGAIN: no answer from anybody. */
static enum rc ask(struct ub_ctx *ctx, const char *name, enum dns_type type, struct arena *a,
                   struct dns_answer *out, struct err *e)
{
    struct ub_result *r = NULL;
    int failed = ub_resolve(ctx, name, (int)type, 1, &r);
    if (failed != 0)
        return err_temp(e, "4.4.3", "DNS: %s", ub_strerror(failed));
    enum rc rc = RC_OK;
    if (r->bogus)
        rc = err_temp(e, "4.7.5", "DNS: the answer about %.100s is forged (DNSSEC)", name);
    else if (r->rcode != 0 && r->rcode != 3)
        rc = RC_AGAIN;
    else
        take_answer(r, type, a, out);
    ub_resolve_free(r);
    return rc;
}

enum rc dns_ask(struct str name, enum dns_type type, struct arena *a, struct dns_answer *out,
                struct err *e)
{
    const char *text = arena_c(a, name);
    enum rc rc = RC_AGAIN;
    if (second == NULL || clock_mono() >= first_down_until)
        rc = ask(first, text, type, a, out, e);
    if (rc == RC_AGAIN && second != NULL) {
        rc = ask(second, text, type, a, out, e);
        if (rc == RC_OK)
            first_down_until = clock_mono() + SECOND_AFTER;
    }
    return rc == RC_AGAIN ? err_temp(e, "4.4.3", "DNS: no answer about %.100s", text) : rc;
}

static enum rc add_family(struct str name, enum dns_type type, struct ip *out, size_t room,
                          size_t *count, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct dns_answer answer = { .count = 0 };
    enum rc rc = dns_ask(name, type, &a, &answer, e);
    for (size_t i = 0; rc == RC_OK && i < answer.count && *count < room; i++)
        out[(*count)++] = answer.records[i].ip;
    return rc;
}

enum rc dns_find_host(struct str name, const struct dns_families *families, struct ip *out,
                      size_t room, size_t *out_count, struct err *e)
{
    bool v6_first = families->v6 && families->v6_first;
    enum rc rc = RC_OK, other = RC_OK;
    *out_count = 0;
    if (v6_first)
        other = add_family(name, DNS_AAAA, out, room, out_count, e);
    if (families->v4)
        rc = add_family(name, DNS_A, out, room, out_count, e);
    if (families->v6 && !v6_first)
        other = add_family(name, DNS_AAAA, out, room, out_count, e);
    return *out_count > 0 ? RC_OK : rc != RC_OK ? rc : other;
}

/* api_dns.c - what the DNS must say for a domain to send and receive mail here, and what it
 * says. */
#include "conf/options.h"
#include "sys/dns.h"
#include "users/users.h"
#include "web/lookup.h"

#define RECORDS_MOST 16u
#define ADDRESSES_MOST 8u

/* One record to publish. */
struct wanted {
    struct lookup q;
    struct str want;
    bool needed;
    /* ok: one of the records is right; NULL: any will do. begin: how records that count begin.
     */
    bool (*is_good)(struct str record, struct str want);
    const char *begin;
};

static bool names_host(struct str record, struct str want)
{
    size_t blank = str_rfind(record, ' ');
    return str_ieq(blank == SIZE_MAX ? record : str_skip(record, blank + 1), want);
}

static const char *type_name(unsigned type)
{
    switch (type) {
    case DNS_MX:
        return "MX";
    case DNS_TXT:
        return "TXT";
    case DNS_AAAA:
        return "AAAA";
    case DNS_PTR:
        return "PTR";
    default:
        return "A";
    }
}

/* "ok", "missing", "differs", "unknown"; the records that count into found. */
static const char *judge(const struct wanted *r, json_t *found)
{
    struct str rest = str_from_c(r->q.text), line;
    bool good = false;
    while (rest.n > 0 && str_cut(&rest, '\n', &line)) {
        if (r->begin != NULL && !str_istarts(line, str_from_c(r->begin)))
            continue;
        (void)json_array_append_new(found, web_str(line));
        good = good || r->is_good == NULL || r->is_good(line, r->want);
    }
    size_t n = json_array_size(found);
    if (!r->q.known || r->q.state == 0)
        return "unknown";
    if (n == 0)
        return "missing";
    /* Two policies of one kind are none (RFC 7208 4.5, 7489 6.6.3). */
    return good && (r->begin == NULL || n == 1) ? "ok" : "differs";
}

static void add(json_t *list, const struct wanted *r)
{
    json_t *found = json_array();
    const char *state = judge(r, found);
    (void)json_array_append_new(
        list, json_pack("{s:o, s:s, s:o, s:o, s:s, s:b}", "name", web_str(r->q.name), "type",
                        type_name(r->q.type), "want", web_str(r->want), "found", found, "state",
                        state, "needed", (int)r->needed));
}

static struct str backwards(const struct ip *ip, struct arena *a)
{
    static const char hex[] = "0123456789abcdef";
    if (ip_is_v4(ip))
        return arena_printf(a, "%u.%u.%u.%u.in-addr.arpa", ip->b[15], ip->b[14], ip->b[13],
                            ip->b[12]);
    char text[65] = "";
    for (size_t i = 0; i < 16; i++) {
        unsigned octet = ip->b[15 - i];
        text[4 * i] = hex[octet & 15];
        text[4 * i + 1] = '.';
        text[4 * i + 2] = hex[octet >> 4];
        text[4 * i + 3] = '.';
    }
    return arena_printf(a, "%sip6.arpa", text);
}

/* The names of the host's addresses, from the answers for A and AAAA. */
static size_t want_names(const struct wanted *addresses, struct str host, struct wanted *out,
                         struct arena *a)
{
    size_t n = 0;
    for (size_t i = 0; i < 2; i++) {
        struct str rest = str_from_c(addresses[i].q.text), line;
        struct ip ip;
        while (n < ADDRESSES_MOST && rest.n > 0 && str_cut(&rest, '\n', &line))
            if (ip_parse(line, &ip))
                out[n++] = (struct wanted){
                    .q = { .type = DNS_PTR, .name = backwards(&ip, a) },
                    .want = host,
                    .needed = true,
                    .is_good = names_host,
                };
    }
    return n;
}

static void ask(struct wanted *rows, size_t count, struct arena *a)
{
    struct lookup *questions = arena_new_array(a, struct lookup, count + 1);
    for (size_t i = 0; i < count; i++)
        questions[i] = rows[i].q;
    lookup_all(questions, count);
    for (size_t i = 0; i < count; i++)
        rows[i].q = questions[i];
}

void api_domain_dns(struct web *w)
{
    struct arena *a = web_mem(w);
    struct str domain, host = conf()->helo_domain;
    struct str postmaster = conf()->post_master;
    if (!users_domain_find(w->params[0], a, &domain)) {
        web_fail(w, 404, "unknown", "there is no such domain");
        return;
    }
    if (host.n == 0) {
        web_fail(w, 409, "no-name", "HeloDomain isn't set: the server has no name yet");
        return;
    }
    struct wanted *rows = arena_new_array(a, struct wanted, RECORDS_MOST);
    const struct wanted first[] = {
        { { .type = DNS_A, .name = host }, STR(""), true, NULL, NULL },
        { { .type = DNS_AAAA, .name = host }, STR(""), false, NULL, NULL },
        { { .type = DNS_MX, .name = domain },
          arena_printf(a, "10 %.*s", STR_ARG(host)),
          true,
          NULL,
          NULL },
        { { .type = DNS_TXT, .name = domain }, STR("v=spf1 mx -all"), true, NULL, "v=spf1" },
        { { .type = DNS_TXT, .name = arena_printf(a, "_dmarc.%.*s", STR_ARG(domain)) },
          arena_printf(a, "v=DMARC1; p=none; rua=mailto:%.*s", STR_ARG(postmaster)),
          true,
          NULL,
          "v=DMARC1" },
    };
    size_t n = ARRAY_LEN(first);
    memcpy(rows, first, sizeof(first));
    ask(rows, n, a);
    rows[2].want = host;
    rows[2].is_good = names_host;
    size_t names = want_names(rows, host, rows + n, a);
    ask(rows + n, names, a);
    json_t *list = json_array();
    for (size_t i = 0; i < n + names; i++)
        add(list, &rows[i]);
    web_json(w, 200, json_pack("{s:o, s:o}", "host", web_str(host), "records", list));
}

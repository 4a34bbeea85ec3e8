/* api_reach.c - do the server's services answer? Tried from the server itself: on this machine,
 * and at the addresses that the DNS has for its name. What others reach may still differ. */
#include "conf/options.h"
#include "sys/board.h"
#include "sys/dns.h"
#include "sys/notes.h"
#include "web/lookup.h"

#define TRIES_MOST 48u
#define ADDRESSES_MOST 4u

struct place {
    struct ip ip;
    bool by_name; /* the DNS has it for HeloDomain */
};
struct
try {
    const char *service;
    struct place place;
    struct str port;
};

/* The addresses of the server's name. */
static size_t find_places(struct place *out)
{
    struct lookup q[2] = { { .type = DNS_A, .name = conf()->helo_domain },
                           { .type = DNS_AAAA, .name = conf()->helo_domain } };
    size_t n = 0;
    if (conf()->helo_domain.n == 0)
        return 0;
    lookup_all(q, ARRAY_LEN(q));
    for (size_t i = 0; i < ARRAY_LEN(q); i++) {
        struct str rest = str_from_c(q[i].text), line;
        while (n < ADDRESSES_MOST && rest.n > 0 && str_cut(&rest, '\n', &line)) {
            out[n].by_name = true;
            n += ip_parse(line, &out[n].ip);
        }
    }
    return n;
}

/* "127.0.0.1:25", "[::]:25" */
static bool read_listener(const char *text, struct ip *out, struct str *out_port)
{
    struct str address = str_from_c(text);
    size_t colon = str_rfind(address, ':');
    if (colon == SIZE_MAX)
        return false;
    *out_port = str_skip(address, colon + 1);
    address = str_head(address, colon);
    if (str_starts(address, STR("[")) && str_ends(address, STR("]")))
        address = str_head(str_skip(address, 1), address.n - 2);
    return ip_parse(address, out);
}

static bool is_everywhere(const struct ip *ip)
{
    struct ip v4, v6;
    return (ip_parse(STR("0.0.0.0"), &v4) && ip_eq(ip, &v4)) ||
           (ip_parse(STR("::"), &v6) && ip_eq(ip, &v6));
}

/* What to try of one listener. */
static size_t add_tries(const struct board_listener *l, const struct place *named,
                        size_t named_count, struct try *out, size_t room)
{
    struct ip ip;
    struct str port;
    size_t n = 0;
    if (!read_listener(l->address, &ip, &port) || room == 0)
        return 0;
    bool everywhere = is_everywhere(&ip), v4 = ip_is_v4(&ip);
    if (everywhere)
        (void)ip_parse(v4 ? STR("127.0.0.1") : STR("::1"), &ip);
    out[n++] = (struct try){ l->service, { ip, false }, port };
    for (size_t i = 0; i < named_count && n < room; i++)
        if (ip_is_v4(&named[i].ip) == v4 && (everywhere || ip_eq(&named[i].ip, &ip)))
            out[n++] = (struct try){ l->service, named[i], port };
    return n;
}

static json_t *try_json(const struct try *t, const struct lookup *q, struct arena *a)
{
    char ip[IP_TEXT_BYTES];
    bool v4 = ip_is_v4(&t->place.ip);
    struct str address =
        arena_printf(a, "%s%s%s:%.*s", v4 ? "" : "[", ip_print(&t->place.ip, ip), v4 ? "" : "]",
                     STR_ARG(t->port));
    return json_pack("{s:s, s:o, s:b, s:b, s:o}", "service", t->service, "address",
                     web_str(address), "by_name", (int)t->place.by_name, "answers",
                     (int)(q->known && q->state == 1), "text", web_str(str_from_c(q->text)));
}

void api_reachable(struct web *w)
{
    struct board *board AUTO_FREE = mem_new(sizeof(*board));
    struct place named[ADDRESSES_MOST];
    struct try tries[TRIES_MOST];
    struct arena *a = web_mem(w);
    struct err e;
    size_t n = 0;
    if (board_read(board, &e) != RC_OK) {
        web_trouble(w, &e);
        return;
    }
    size_t named_count = find_places(named);
    for (uint32_t i = 0; i < MIN(board->listener_count, (uint32_t)BOARD_LISTENERS); i++)
        n += add_tries(&board->listeners[i], named, named_count, tries + n, TRIES_MOST - n);
    struct lookup *questions = arena_new_array(a, struct lookup, n + 1);
    for (size_t i = 0; i < n; i++) {
        char ip[IP_TEXT_BYTES];
        questions[i].type = LOOK_UP_CONNECT;
        questions[i].name = arena_printf(a, "%.*s %s", STR_ARG(tries[i].port),
                                         ip_print(&tries[i].place.ip, ip));
    }
    lookup_all(questions, n);
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, try_json(&tries[i], &questions[i], a));
    web_json(w, 200,
             json_pack("{s:o, s:o}", "host", web_str(conf()->helo_domain), "tries", list));
}

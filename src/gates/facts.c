/*
 * facts.c - what gates want to know from the DNS, and the gates that decide by it: names of
 * clients (smtp.hnprop.tab, SMTP-RDNSCheck), block lists (CustMapsList), senders' domains
 * (CheckMailerDomain). Who runs the gates asks, and gives the answers back before; what isn't
 * known lets pass.
 */
#include "gates/gates_int.h"

/* One of CustMapsList. */
struct list {
    struct str root; /* without a final dot */
    int64_t code;    /* as of SMTP-IpMapDropCode */
};

/* "root.:code,root.:code"; without a code: 1. *rest is used up. False: no more. */
static bool next_list(struct str *rest, struct list *out)
{
    struct str word;
    while (rest->n > 0 && str_cut(rest, ',', &word)) {
        size_t colon = str_rfind(word, ':');
        struct str root = str_trim(str_head(word, colon));
        int64_t code = 1;
        while (str_ends(root, STR(".")))
            root = str_head(root, root.n - 1);
        if (colon != SIZE_MAX && !str_to_i64(str_trim(str_skip(word, colon + 1)), &code))
            code = 1;
        *out = (struct list){ root, code };
        if (root.n > 0)
            return true;
    }
    return false;
}

/* "4.3.2.1" or 32 nibbles: the address backwards (RFC 5782 2). */
static struct str backwards(const struct ip *ip, struct arena *a)
{
    char text[72];
    size_t n = 0;
    if (ip_is_v4(ip))
        return arena_printf(a, "%u.%u.%u.%u", ip->b[15], ip->b[14], ip->b[13], ip->b[12]);
    for (size_t i = 16; i-- > 0;)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%x.%x", i == 15 ? "" : ".",
                              ip->b[i] & 15u, ip->b[i] >> 4);
    return arena_str(a, str_from(text, n));
}

static size_t wants_of_client(const struct gate_subject *s, struct gate_wish *out)
{
    unsigned line = 0;
    size_t n = 0;
    bool white = (gate_ipprop_find(&s->client, &line) & PROPERTY_WHITE_LIST) != 0;
    if (gate_hnprop_has_rows() || (!white && conf()->smtp_rdns_check != 0)) {
        bool v4 = ip_is_v4(&s->client);
        out[n++] = (struct gate_wish){
            .question = GATE_ASK_REVERSE,
            .name = arena_printf(s->tmp, "%.*s.%s", STR_ARG(backwards(&s->client, s->tmp)),
                                 v4 ? "in-addr.arpa" : "ip6.arpa"),
        };
    }
    struct str rest = conf()->cust_maps_list;
    struct list list;
    for (unsigned i = 0; !white && i < GATE_LISTS_MAX && next_list(&rest, &list); i++)
        out[n++] = (struct gate_wish){
            .question = GATE_ASK_LISTED,
            .name = arena_printf(s->tmp, "%.*s.%.*s", STR_ARG(backwards(&s->client, s->tmp)),
                                 STR_ARG(list.root)),
            .list = i,
        };
    return n;
}

size_t gates_want(enum gate_stage stage, const struct gate_subject *s,
                  struct gate_wish out[GATE_WISHES_MAX])
{
    unsigned spared = PROPERTY_WHITE_LIST | PROPERTY_ANY_SENDER_DOMAIN;
    if (stage == GATE_CONNECT)
        return wants_of_client(s, out);
    if (stage != GATE_MAIL || !conf()->check_mailer_domain || s->from->is_null ||
        s->from->domain.n == 0 || s->from->domain.p[0] == '[' ||
        (s->memory->properties & spared) != 0 || users_domain_is_local(s->from->domain))
        return 0;
    out[0] = (struct gate_wish){ .question = GATE_ASK_MAILER, .name = s->from->domain };
    return 1;
}

void gates_learn(struct gate_memory *m, const struct gate_wish *w, enum gate_answer is,
                 struct str text)
{
    switch (w->question) {
    case GATE_ASK_REVERSE:
        m->reverse = (uint8_t)is;
        /* A name that doesn't lead back is anybody's claim. */
        if (is == GATE_CONFIRMED)
            m->name_properties = gate_hnprop_find(text, &m->name_line);
        break;
    case GATE_ASK_LISTED:
        if (is == GATE_YES)
            m->listed |= (uint16_t)(1u << w->list);
        break;
    case GATE_ASK_MAILER:
        m->mailer = (uint8_t)is;
        break;
    }
}

/* --- the gates --------------------------------------------------------------------------- */

enum gate_action gate_hnprop(struct gate_subject *s, struct gate_decision *d)
{
    d->line = s->memory->name_line;
    s->memory->properties |= s->memory->name_properties;
    d->detail = gate_properties_print(s->memory->name_properties, s->tmp);
    return d->line == 0 ? GATE_PASS : GATE_NOTE;
}

/* Of all lists that have the client, the strictest code counts. */
enum gate_action gate_maps(struct gate_subject *s, struct gate_decision *d)
{
    struct str rest = conf()->cust_maps_list;
    struct list list, by = { STR(""), 0 };
    bool any = false;
    for (unsigned i = 0; i < GATE_LISTS_MAX && next_list(&rest, &list); i++) {
        bool stricter = list.code > 0 || (list.code == 0 && by.code < 0) ||
                        (by.code < 0 && list.code < by.code);
        if ((s->memory->listed & (1u << i)) == 0 || (any && (by.code > 0 || !stricter)))
            continue;
        by = list;
        any = true;
    }
    if (!any)
        return GATE_PASS;
    d->detail = arena_str(s->tmp, by.root);
    const char *text =
        arena_printf(s->tmp, "Your address is listed by %.*s", STR_ARG(by.root)).p;
    (void)gate_refuse(d, "554", conf()->smtp_msg_ip_ban_maps, text, "SNDRIP=EIPMAP");
    return gate_by_code(d, by.code);
}

enum gate_action gate_rdns_delay(struct gate_subject *s, struct gate_decision *d)
{
    int64_t check = conf()->smtp_rdns_check;
    if (check >= 0 || s->memory->reverse != GATE_NO)
        return GATE_PASS;
    d->detail = STR("no reverse name");
    return gate_by_code(d, check);
}

/* RFC 7372 3.3: 5.7.25 */
enum gate_action gate_rdns(struct gate_subject *s, struct gate_decision *d)
{
    int64_t check = conf()->smtp_rdns_check;
    bool bad = s->memory->reverse == GATE_NO || (check == 2 && s->memory->reverse == GATE_YES);
    if (check <= 0 || s->has_login || !bad)
        return GATE_PASS;
    return gate_refuse(d, "550 5.7.25", STR(""),
                       s->memory->reverse == GATE_NO ? "Your address has no name in the DNS"
                                                     : "The name of your address doesn't lead "
                                                       "back to it",
                       "SNDRIP=ERDNS");
}

enum gate_action gate_mailer_domain(struct gate_subject *s, struct gate_decision *d)
{
    struct gate_wish wishes[GATE_WISHES_MAX];
    /* What is known is of this sender only if it is still asked for. */
    if (s->memory->mailer != GATE_NO || gates_want(GATE_MAIL, s, wishes) == 0)
        return GATE_PASS;
    return gate_refuse(d, "550 5.1.8", STR(""), "The domain of the sender takes no mail",
                       "SNDR=ENODNS");
}

/* api_tls.c - the server's certificate: whose it is, for which names, until when. */
#include "conf/options.h"
#include "sys/certificate.h"
#include "web/web_int.h"

#define SOON_S (21 * 86400)

static json_t *names_json(const struct certificate *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->name_count; i++)
        (void)json_array_append_new(list, web_str(c->names[i]));
    return list;
}

/* What is wrong with it, as words for programs. */
static json_t *troubles(const struct certificate *c)
{
    int64_t now = clock_wall() / USEC_S;
    json_t *list = json_array();
    if (now < c->begins)
        (void)json_array_append_new(list, json_string("not-yet"));
    if (now > c->ends)
        (void)json_array_append_new(list, json_string("over"));
    else if (now > c->ends - SOON_S)
        (void)json_array_append_new(list, json_string("ends-soon"));
    if (c->self_signed)
        (void)json_array_append_new(list, json_string("self-signed"));
    if (conf()->helo_domain.n > 0 && !c->is_for_host)
        (void)json_array_append_new(list, json_string("other-name"));
    return list;
}

void api_tls(struct web *w)
{
    struct certificate *c = arena_new(web_mem(w), sizeof(*c));
    struct err e;
    if (certificate_read("server.cert", conf()->helo_domain, web_mem(w), c, &e) != RC_OK) {
        web_json(w, 200,
                 json_pack("{s:n, s:o}", "certificate", "why", web_str(str_from_c(e.text))));
        return;
    }
    web_json(w, 200,
             json_pack("{s:{s:o, s:o, s:o, s:I, s:I, s:b, s:I, s:o}}", "certificate", "subject",
                       web_str(c->subject), "issuer", web_str(c->issuer), "names",
                       names_json(c), "begins", (json_int_t)c->begins, "ends",
                       (json_int_t)c->ends, "self_signed", (int)c->self_signed, "chain",
                       (json_int_t)c->chain, "troubles", troubles(c)));
}

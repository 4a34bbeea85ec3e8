/* api_tls.c - certificates: whose they are, for which names, until when; and changes of them.
 */
#include "conf/options.h"
#include "sys/certificate.h"
#include "sys/file.h"
#include "sys/tls.h"
#include "web/web_int.h"
#include <dirent.h>

#define SOON_S (21 * 86400)
#define CHAIN_MOST 20u
#define AUTHORITIES_MOST 500u
#define NAMES_MOST 60u
#define STATE_MAX ((size_t)65536)

/* --- what there is ------------------------------------------------------------------------ */

static json_t *list_json(const struct str *names, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(list, web_str(names[i]));
    return list;
}

/* What is wrong with it, as words for programs. */
static json_t *troubles(const struct certificate *c, struct str host)
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
    if (host.n > 0 && !c->is_for_host)
        (void)json_array_append_new(list, json_string("other-name"));
    return list;
}

static json_t *certificate_json(const struct certificate *c)
{
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:b, s:I, s:o, s:o, s:o}", "subject",
                     web_str(c->subject), "issuer", web_str(c->issuer), "names",
                     list_json(c->names, c->name_count), "begins", (json_int_t)c->begins,
                     "ends", (json_int_t)c->ends, "self_signed", (int)c->self_signed, "chain",
                     (json_int_t)c->chain, "key", web_str(c->key), "serial", web_str(c->serial),
                     "fingerprint", web_str(c->fingerprint));
}

/* A file with a chain: its first certificate, those above it in "above"; null: why. */
static json_t *chain_json(struct web *w, const char *path, struct str host, json_t **out_why)
{
    struct certificate *list = NULL;
    struct err e;
    size_t count = 0;
    if (certificate_read_all(path, host, web_mem(w), &list, CHAIN_MOST, &count, &e) != RC_OK) {
        *out_why = web_str(str_from_c(e.text));
        return json_null();
    }
    json_t *first = certificate_json(&list[0]), *above = json_array();
    for (size_t i = 1; i < count; i++)
        (void)json_array_append_new(above, certificate_json(&list[i]));
    (void)json_object_set_new(first, "above", above);
    (void)json_object_set_new(first, "troubles", troubles(&list[0], host));
    return first;
}

static json_t *with_certificate(struct web *w, const char *path, struct str host, json_t *o)
{
    json_t *why = NULL;
    (void)json_object_set_new(o, "certificate", chain_json(w, path, host, &why));
    if (why != NULL)
        (void)json_object_set_new(o, "why", why);
    return o;
}

static json_t *hosts_json(struct web *w)
{
    struct arena *a = web_mem(w);
    struct str *places = arena_new_array(a, struct str, CERTIFICATE_PLACES_MAX);
    size_t count = 0;
    struct err e;
    json_t *list = json_array();
    if (certificate_places(a, CERTIFICATE_PLACES_MAX, places, &count, &e) != RC_OK)
        return list;
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(
            list,
            with_certificate(w, arena_printf(a, "tls/%.*s/server.cert", STR_ARG(places[i])).p,
                             places[i], json_pack("{s:o}", "host", web_str(places[i]))));
    return list;
}

static void add_authorities(struct web *w, const char *path, json_t *list)
{
    struct certificate *all = NULL;
    size_t count = 0;
    struct err e;
    if (!file_exists(path) || certificate_read_all(path, STR(""), web_mem(w), &all,
                                                   AUTHORITIES_MOST, &count, &e) != RC_OK)
        return;
    for (size_t i = 0; i < count && json_array_size(list) < AUTHORITIES_MOST; i++) {
        json_t *one = certificate_json(&all[i]);
        (void)json_object_set_new(one, "file", json_string(path));
        (void)json_array_append_new(list, one);
    }
}

static json_t *authorities_json(struct web *w)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    struct err e;
    json_t *list = json_array();
    add_authorities(w, "certs.pem", list);
    if (folder_exists("certs") && folder_open("certs", &f, &e) == RC_OK)
        while (folder_next(f, &name, &type)) /* links are other names of files there */
            if (type == DT_REG)
                add_authorities(w, arena_printf(web_mem(w), "certs/%.*s", STR_ARG(name)).p,
                                list);
    folder_close(&f);
    return list;
}

/* Services with TLS, and how it begins there. */
static json_t *services_json(void)
{
    const struct options *o = conf();
    const struct {
        const char *name, *how;
        bool off;
    } rows[] = {
        { "smtp", "STARTTLS", o->smtp.off || !o->enable_smtp_tls },
        { "submission", "STARTTLS", o->submission.off || !o->enable_smtp_tls },
        { "smtps", "TLS", o->smtps.off },
        { "pop3", "STLS", o->pop3.off || !o->enable_pop3_tls },
        { "pop3s", "TLS", o->pop3s.off },
        { "ctrls", "TLS", o->ctrls.off },
        { "https", "TLS", o->https.off },
    };
    json_t *list = json_array();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!rows[i].off)
            (void)json_array_append_new(
                list, json_pack("{s:s, s:s}", "service", rows[i].name, "how", rows[i].how));
    return list;
}

/* What the control role knows of orders from the authority; null: nothing. */
static json_t *acme_json(struct web *w)
{
    struct str text;
    struct err e;
    json_t *state = NULL;
    if (file_read("hikyaku/acme/state", STATE_MAX, web_mem(w), &text, NULL, &e) == RC_OK)
        state = json_loadb(text.p, text.n, 0, NULL);
    if (state == NULL)
        state = json_object();
    (void)json_object_set_new(state, "wanted", web_str(conf()->acme_names));
    (void)json_object_set_new(state, "challenge", web_str(conf()->acme_challenge));
    (void)json_object_set_new(state, "directory", web_str(conf()->acme_directory));
    (void)json_object_set_new(state, "agreed", json_boolean(conf()->acme_agree));
    return state;
}

/* The answer to a challenge: a file that control put up. */
void api_challenge(struct web *w)
{
    struct str token = w->params[0], text;
    struct err e;
    bool good = token.n > 0 && token.n <= 256;
    for (size_t i = 0; i < token.n && good; i++)
        good = ascii_is_alnum(token.p[i]) || token.p[i] == '-' || token.p[i] == '_';
    if (!good || file_read(arena_printf(web_mem(w), "hikyaku/acme/http/%.*s", STR_ARG(token)).p,
                           STATE_MAX, web_mem(w), &text, NULL, &e) != RC_OK) {
        web_fail(w, 404, "unknown", "there is no such challenge");
        return;
    }
    struct http_response *r = &w->h.response;
    buf_init(&r->body, STATE_MAX);
    buf_must(buf_add_str(&r->body, text));
    r->status = 200;
    r->type = "application/octet-stream";
}

void api_tls(struct web *w)
{
    const struct options *o = conf();
    web_json(w, 200,
             with_certificate(w, "server.cert", o->helo_domain,
                              json_pack("{s:o, s:o, s:o, s:o, s:b, s:b}", "acme", acme_json(w),
                                        "hosts", hosts_json(w), "authorities",
                                        authorities_json(w), "services", services_json(),
                                        "trusts_certs_pem", (int)o->ssl_use_certs_file,
                                        "trusts_certs", (int)o->ssl_use_certs_dir)));
}

/* --- changes ------------------------------------------------------------------------------ */

/* A member with lines; it must be there and ASCII. */
static bool pem_member(struct web *w, const char *name, bool may_lack, struct str *out)
{
    const json_t *value = json_object_get(w->body, name);
    *out = str_from(json_string_value(value), json_string_length(value));
    if (value == NULL && may_lack)
        return true;
    if (out->n > 0 && str_is_ascii(*out) && str_find(*out, '\0') == SIZE_MAX)
        return true;
    web_fail(w, 422, "invalid", "%s must be text in PEM", name);
    return false;
}

void api_tls_set(struct web *w)
{
    struct control_answer answer;
    struct str certificate, key;
    if (!pem_member(w, "certificate", false, &certificate) || !pem_member(w, "key", true, &key))
        return;
    struct str both =
        arena_printf(web_mem(w), "%.*s\n%.*s\n", STR_ARG(certificate), STR_ARG(key));
    if (web_control(w, WEB_WORDS(STR("tlsset"), w->params[0]), both, &answer)) {
        w->h.response.status = 204;
        buf_release(&answer.lines);
    }
    mem_wipe((void *)(uintptr_t)both.p, both.n);
}

/* The command, a word, and the body's list of that member, which may be missing. */
static bool ask_with_list(struct web *w, struct str command, struct str word,
                          const char *member, struct control_answer *out)
{
    struct str words[2 + NAMES_MOST] = { command, word };
    const json_t *names = json_object_get(w->body, member);
    size_t n = json_array_size(names);
    bool good = (names == NULL || json_is_array(names)) && n <= NAMES_MOST;
    for (size_t i = 0; i < n && good; i++) {
        const json_t *name = json_array_get(names, i);
        words[2 + i] = str_from(json_string_value(name), json_string_length(name));
        good = words[2 + i].n > 0 && !str_has_control(words[2 + i]);
    }
    if (!good) {
        web_fail(w, 422, "invalid", "%s must be a list of at most %u", member, NAMES_MOST);
        return false;
    }
    return web_control(w, words, 2 + n, STR(""), out);
}

static bool ask_with_names(struct web *w, struct str command, struct control_answer *out)
{
    return ask_with_list(w, command, w->params[0], "names", out);
}

void api_tls_self(struct web *w)
{
    struct control_answer answer;
    if (!ask_with_names(w, STR("tlsself"), &answer))
        return;
    w->h.response.status = 204;
    buf_release(&answer.lines);
}

void api_tls_request(struct web *w)
{
    struct control_answer answer;
    struct str rest, value, pem = STR("");
    size_t count = 0;
    if (!ask_with_names(w, STR("tlsrequest"), &answer))
        return;
    rest = buf_str(&answer.lines);
    while (web_next_row(&rest, web_mem(w), &value, 1, &count))
        pem = arena_printf(web_mem(w), "%.*s%.*s\n", STR_ARG(pem), STR_ARG(value));
    web_json(w, 200, json_pack("{s:o}", "request", web_str(pem)));
    buf_release(&answer.lines);
}

void api_tls_trust(struct web *w)
{
    struct control_answer answer;
    struct str pem;
    if (!pem_member(w, "certificate", false, &pem) ||
        !web_control(w, WEB_WORDS(STR("tlscaadd")), pem, &answer))
        return;
    w->h.response.status = 204;
    buf_release(&answer.lines);
}

/* --- the authority of our own ------------------------------------------------------------- */

void api_tls_signed(struct web *w)
{
    struct control_answer answer;
    if (!ask_with_names(w, STR("casign"), &answer))
        return;
    w->h.response.status = 204;
    buf_release(&answer.lines);
}

static json_t *issued_json(struct web *w, struct str rows)
{
    enum { SERIAL, KIND, NAME, BEGUN, ENDS, REVOKED, COLUMNS };
    struct str v[COLUMNS];
    size_t count = 0;
    json_t *list = json_array();
    while (web_next_row(&rows, web_mem(w), v, COLUMNS, &count)) {
        uint64_t begun = 0, ends = 0, revoked = 0;
        if (count != COLUMNS || !str_to_u64(v[BEGUN], &begun) || !str_to_u64(v[ENDS], &ends) ||
            !str_to_u64(v[REVOKED], &revoked) || str_eq(v[KIND], STR("authority")))
            continue;
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:o, s:I, s:I, s:I}", "serial", web_str(v[SERIAL]), "kind",
                      web_str(v[KIND]), "name", web_str(v[NAME]), "begun", (json_int_t)begun,
                      "ends", (json_int_t)ends, "revoked", (json_int_t)revoked));
    }
    return list;
}

/* What a new authority may be limited to: our domains; this server's name, when it is in none
 * of them. */
static json_t *suggested_json(struct web *w)
{
    struct tab t;
    struct err e;
    json_t *list = json_array();
    struct str host = options_server_name();
    bool covered = host.n == 0 || str_find(host, '.') == SIZE_MAX;
    if (tab_read("domains.tab", web_mem(w), &t, &e) != RC_OK)
        return list;
    for (size_t i = 0; i < t.row_count && i < NAMES_MOST; i++) {
        struct str domain = tab_value(&t.rows[i], 0);
        bool ends = host.n >= domain.n && str_ieq(str_skip(host, host.n - domain.n), domain);
        covered =
            covered || (ends && (host.n == domain.n || host.p[host.n - domain.n - 1] == '.'));
        (void)json_array_append_new(list, web_str(domain));
    }
    if (!covered && json_array_size(list) < NAMES_MOST)
        (void)json_array_append_new(list, web_str(host));
    return list;
}

void api_authority(struct web *w)
{
    struct certificate *c = arena_new(web_mem(w), sizeof(*c));
    struct control_answer answer;
    struct str pem, own, unused;
    struct err e;
    if (!file_exists(OWN_AUTHORITY_CERT)) {
        web_json(w, 200,
                 json_pack("{s:n, s:s, s:[], s:[], s:o}", "certificate", "pem", "", "permitted",
                           "issued", "suggested", suggested_json(w)));
        return;
    }
    if (file_read(OWN_AUTHORITY_CERT, STATE_MAX, web_mem(w), &pem, NULL, &e) != RC_OK ||
        !certificate_first(pem, web_mem(w), &own, &unused) ||
        !certificate_read_text(own, web_mem(w), c)) {
        web_fail(w, 500, "failed", "the authority's certificate can't be read");
        return;
    }
    if (!web_control(w, WEB_WORDS(STR("calist")), STR(""), &answer))
        return;
    web_json(w, 200,
             json_pack("{s:o, s:o, s:o, s:o}", "certificate", certificate_json(c), "pem",
                       web_str(own), "permitted", list_json(c->permitted, c->permitted_count),
                       "issued", issued_json(w, buf_str(&answer.lines))));
    buf_release(&answer.lines);
}

void api_authority_make(struct web *w)
{
    struct control_answer answer;
    struct str name;
    if (!web_member(w, "name", &name) ||
        !ask_with_list(w, STR("camake"), name, "domains", &answer))
        return;
    w->h.response.status = 204;
    buf_release(&answer.lines);
}

void api_authority_issue(struct web *w)
{
    struct control_answer answer;
    const json_t *days = json_object_get(w->body, "days");
    struct str address, rest, line, file = STR(""), password = web_fresh_password(web_mem(w));
    size_t count = 0;
    if (!web_member(w, "address", &address))
        return;
    if (!json_is_integer(days)) {
        web_fail(w, 422, "invalid", "days must be a number");
        return;
    }
    struct str text =
        arena_printf(web_mem(w), "%" JSON_INTEGER_FORMAT, json_integer_value(days));
    if (!web_control(w, WEB_WORDS(STR("caissue"), address, text, password), STR(""), &answer))
        return;
    rest = buf_str(&answer.lines);
    while (web_next_row(&rest, web_mem(w), &line, 1, &count))
        file = arena_printf(web_mem(w), "%.*s%.*s", STR_ARG(file), STR_ARG(line));
    web_json(w, 200,
             json_pack("{s:o, s:o}", "file", web_str(file), "password", web_str(password)));
    mem_wipe(answer.lines.p, answer.lines.cap);
    buf_release(&answer.lines);
}

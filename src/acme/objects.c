/* objects.c - see objects.h. */
#include "acme/objects.h"
#include "process/process.h"
#include <jansson.h>

#define PROBLEM_MAX 180u

static json_t *parse(struct str text)
{
    json_t *o = json_loadb(text.p == NULL ? "" : text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(o))
        return o;
    json_decref(o);
    return NULL;
}

/* A text member, empty when there is none. */
static struct str member(const json_t *o, const char *name, struct arena *a)
{
    const json_t *value = json_object_get(o, name);
    return json_is_string(value)
               ? arena_str(a, str_from(json_string_value(value), json_string_length(value)))
               : STR("");
}

/* A URL of https; else empty. */
static struct str url_of(const json_t *value, struct arena *a)
{
    struct hook_url parts;
    struct str url = str_from(json_string_value(value), json_string_length(value));
    if (url.p == NULL || hook_url_parse(url, &parts) != NULL || !parts.tls)
        return STR("");
    return arena_str(a, url);
}

bool acme_is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n <= ACME_TOKEN_MAX;
}

/* --- problems ----------------------------------------------------------------------------- */

/* One line of text that can be shown. */
static struct str plain(struct str s, struct arena *a)
{
    char *p = arena_new(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = s.p[i] >= ' ' && s.p[i] < 0x7f ? s.p[i] : '?';
    return str_head(str_from(p, s.n), PROBLEM_MAX);
}

/* "urn:ietf:params:acme:error:dns" -> "dns" */
static struct str short_type(struct str type)
{
    struct str front = STR("urn:ietf:params:acme:error:");
    return str_starts(type, front) ? str_skip(type, front.n) : type;
}

static struct str problem_text(const json_t *o, struct arena *a)
{
    struct str type = short_type(member(o, "type", a)), detail = member(o, "detail", a);
    const json_t *subs = json_object_get(o, "subproblems");
    struct str text =
        arena_printf(a, "%.*s%s%.*s", STR_ARG(type), detail.n > 0 ? ": " : "", STR_ARG(detail));
    for (size_t i = 0; i < json_array_size(subs) && text.n < PROBLEM_MAX; i++) {
        const json_t *sub = json_array_get(subs, i);
        text = arena_printf(a, "%.*s; %.*s: %.*s", STR_ARG(text),
                            STR_ARG(member(json_object_get(sub, "identifier"), "value", a)),
                            STR_ARG(member(sub, "detail", a)));
    }
    return plain(text, a);
}

struct str acme_read_problem(struct str text, struct arena *a, struct str *out_type)
{
    json_t *o = parse(text);
    *out_type = short_type(member(o, "type", a));
    struct str line = o == NULL ? STR("") : problem_text(o, a);
    json_decref(o);
    return line;
}

/* --- objects ------------------------------------------------------------------------------ */

static enum acme_status status_of(const json_t *o)
{
    static const char *const names[] = { [ACME_PENDING] = "pending",
                                         [ACME_READY] = "ready",
                                         [ACME_PROCESSING] = "processing",
                                         [ACME_VALID] = "valid" };
    const char *status = json_string_value(json_object_get(o, "status"));
    for (size_t i = 0; i < ARRAY_LEN(names) && status != NULL; i++)
        if (strcmp(status, names[i]) == 0)
            return (enum acme_status)i;
    return ACME_INVALID;
}

const char *acme_read_directory(struct str text, struct arena *a, struct acme_directory *out)
{
    json_t *o = parse(text);
    const json_t *meta = json_object_get(o, "meta");
    *out = (struct acme_directory){
        .new_nonce = url_of(json_object_get(o, "newNonce"), a),
        .new_account = url_of(json_object_get(o, "newAccount"), a),
        .new_order = url_of(json_object_get(o, "newOrder"), a),
        .terms = plain(member(meta, "termsOfService", a), a),
        .wants_external_account =
            json_is_true(json_object_get(meta, "externalAccountRequired")),
    };
    json_decref(o);
    return out->new_nonce.n > 0 && out->new_account.n > 0 && out->new_order.n > 0
               ? NULL
               : "it is no directory of an ACME server";
}

const char *acme_read_order(struct str text, struct arena *a, struct acme_order *out)
{
    json_t *o = parse(text);
    const json_t *list = json_object_get(o, "authorizations");
    const json_t *error = json_object_get(o, "error");
    const char *why = NULL;
    *out = (struct acme_order){
        .status = status_of(o),
        .finalize = url_of(json_object_get(o, "finalize"), a),
        .certificate = url_of(json_object_get(o, "certificate"), a),
        .why = error == NULL ? STR("") : problem_text(error, a),
    };
    for (size_t i = 0; i < json_array_size(list) && why == NULL; i++) {
        struct str url = url_of(json_array_get(list, i), a);
        if (url.n == 0 || out->authorization_count == ACME_NAMES_MAX)
            why = "its order names authorizations that can't be";
        else
            out->authorizations[out->authorization_count++] = url;
    }
    if (why == NULL && (out->finalize.n == 0 || out->authorization_count == 0))
        why = "its order isn't whole";
    if (why == NULL && out->status == ACME_VALID && out->certificate.n == 0)
        why = "its order has no certificate";
    json_decref(o);
    return why;
}

static void read_challenges(const json_t *list, const char *type, struct arena *a,
                            struct acme_authorization *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i), *error = json_object_get(c, "error");
        const char *is = json_string_value(json_object_get(c, "type"));
        if (error != NULL && out->why.n == 0)
            out->why = problem_text(error, a);
        if (is == NULL || strcmp(is, type) != 0)
            continue;
        struct str token = member(c, "token", a);
        out->url = url_of(json_object_get(c, "url"), a);
        out->token = acme_is_token(token) ? token : STR("");
    }
}

const char *acme_read_authorization(struct str text, const char *type, struct arena *a,
                                    struct acme_authorization *out)
{
    json_t *o = parse(text);
    *out = (struct acme_authorization){
        .status = status_of(o),
        .name = plain(member(json_object_get(o, "identifier"), "value", a), a),
        .wildcard = json_is_true(json_object_get(o, "wildcard")),
    };
    read_challenges(json_object_get(o, "challenges"), type, a, out);
    bool good = o != NULL && out->name.n > 0;
    json_decref(o);
    return good ? NULL : "its authorization isn't whole";
}

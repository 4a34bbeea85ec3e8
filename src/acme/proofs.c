/* proofs.c - see proofs.h. */
#include "acme/proofs.h"
#include "acme/acme.h"
#include "acme/jose.h"
#include "sys/issue.h"
#include "sys/tls.h"
#include <jansson.h>

#define CERTIFICATE_DAYS 7u
#define PEM_MAX ((size_t)65536)

/* --- reading ------------------------------------------------------------------------------ */

static struct str member(const json_t *o, const char *name, struct arena *a)
{
    const json_t *value = json_object_get(o, name);
    return arena_str(a, str_from(json_string_value(value), json_string_length(value)));
}

/* "*.x" is proved for x. */
static bool is_ordered(struct str name, const struct str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_ieq(name, names[i]) ||
            (str_starts(names[i], STR("*.")) && str_ieq(name, str_skip(names[i], 2))))
            return true;
    return false;
}

/* token.thumbprint, and its digest */
static bool is_whole(const struct proof *p, struct arena *a)
{
    struct str thumb = str_skip(p->proof, p->token.n + 1);
    return acme_is_token(p->token) && str_starts(p->proof, p->token) &&
           p->proof.n > p->token.n && p->proof.p[p->token.n] == '.' && acme_is_token(thumb) &&
           str_eq(jose_base64(jose_digest(p->proof, a), a), p->value);
}

const char *proofs_read(struct str text, const struct str *names, size_t name_count,
                        struct arena *a, struct proof **out, size_t *out_count)
{
    json_t *list = json_loadb(text.p, text.n, 0, NULL);
    size_t n = json_array_size(list);
    const char *why = n == 0 || n > ACME_NAMES_MAX ? "no list of proofs" : NULL;
    *out = arena_new_array(a, struct proof, MIN(n, (size_t)ACME_NAMES_MAX) + 1);
    for (size_t i = 0; i < n && why == NULL; i++) {
        const json_t *o = json_array_get(list, i);
        struct proof *p = &(*out)[i];
        *p = (struct proof){ member(o, "name", a), member(o, "token", a), member(o, "proof", a),
                             member(o, "value", a) };
        if (!is_ordered(p->name, names, name_count))
            why = "a proof for a name that wasn't ordered";
        else if (!is_whole(p, a))
            why = "a proof that isn't whole";
    }
    json_decref(list);
    *out_count = n;
    return why;
}

/* --- files -------------------------------------------------------------------------------- */

static enum rc put_http(const struct proof *p, struct arena *a, struct err *e)
{
    return file_replace(arena_printf(a, "%s/%.*s", ACME_HTTP_FOLDER, STR_ARG(p->token)).p,
                        p->proof, 0644, e);
}

/* A certificate for the name alone, with the digest in it (RFC 8737 3). */
static enum rc put_alpn(const struct proof *p, struct arena *a, struct err *e)
{
    const struct issue what = { .kind = ISSUE_CHALLENGE,
                                .names = &p->name,
                                .name_count = 1,
                                .days = CERTIFICATE_DAYS,
                                .digest = jose_digest(p->proof, a) };
    struct buf key AUTO_RELEASE_BUF, cert AUTO_RELEASE_BUF;
    struct stat st;
    buf_init(&key, PEM_MAX);
    buf_init(&cert, PEM_MAX);
    mode_t mode = io_stat("server.key", &st) == 0 ? (mode_t)(0600 | (st.st_mode & 040)) : 0600;
    enum rc rc = issue_key(&key, e);
    if (rc == RC_OK)
        rc = issue_certificate(&what, buf_str(&key), &cert, e);
    if (rc == RC_OK)
        rc = buf_add_str(&key, buf_str(&cert));
    if (rc == RC_OK)
        rc = file_replace(arena_printf(a, "%s/%.*s", TLS_CHALLENGE_FOLDER, STR_ARG(p->name)).p,
                          buf_str(&key), mode, e);
    mem_wipe(key.p, key.cap);
    return rc;
}

enum rc proofs_put(const char *challenge, const struct proof *list, size_t count, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    bool http = strcmp(challenge, "http-01") == 0;
    enum rc rc = folder_make(http ? ACME_HTTP_FOLDER : TLS_CHALLENGE_FOLDER, 0755, e);
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        rc = http ? put_http(&list[i], &a, e) : put_alpn(&list[i], &a, e);
    return rc;
}

void proofs_clear(void)
{
    static const char *const folders[] = { ACME_HTTP_FOLDER, TLS_CHALLENGE_FOLDER };
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (folder_exists(folders[i]) && folder_remove(folders[i], &e) != RC_OK)
            log_warn(EV("proofs can't be removed"), KE(&e));
}

/* --- the DNS ------------------------------------------------------------------------------ */

enum rc proofs_dns_line(struct arena *a, struct program_line *out, struct err *e)
{
    struct tab tab;
    enum rc rc = tab_read("acmedns.tab", a, &tab, e);
    if (rc != RC_OK && e->sys != ENOENT)
        return rc;
    if (rc != RC_OK || tab.row_count == 0)
        return err_perm(e, "5.3.5", "acmedns.tab names no program that changes the DNS");
    const char *why = program_line_parse(&tab.rows[0], out);
    return why == NULL ? RC_OK : err_perm(e, "5.3.5", "acmedns.tab: %s", why);
}

enum rc proofs_dns_macros(const struct proof *p, bool add, struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    const struct macro macros[] = {
        { "ACTION", add ? STR("add") : STR("remove") },
        { "NAME", arena_printf(&a, "_acme-challenge.%.*s", STR_ARG(p->name)) },
        { "VALUE", p->value },
    };
    return macros_print(macros, ARRAY_LEN(macros), out);
}

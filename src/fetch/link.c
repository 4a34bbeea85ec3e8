/* link.c - rows of pop3links.tab. Called by home.c, and by `hikyaku check`. */
#include "fetch/link.h"
#include "mail/address.h"
#include "users/users.h"

#define POP3_PORT 110u
#define POP3S_PORT 995u
#define IMAPS_PORT 993u

static enum rc take_option(struct fetch_link *l, struct str word, struct err *e)
{
    static const struct {
        const char *name;
        int login, tls; /* -1: not that */
        bool imap, leave;
    } rows[] = {
        { "CLR", LOGIN_CLEAR, -1, false, false },
        { "APOP", LOGIN_TRY_APOP, -1, false, false },
        { "FAPOP", LOGIN_MUST_APOP, -1, false, false },
        { "STLS", -1, LINK_TRY_TLS, false, false },
        { "FSTLS", -1, LINK_MUST_TLS, false, false },
        { "POP3S", -1, LINK_IMPLICIT_TLS, false, false },
        { "IMAPS", -1, LINK_IMPLICIT_TLS, true, false },
        { "Leave", -1, -1, false, true },
    };
    struct str rest = word, name = word;
    (void)str_cut(&rest, '=', &name);
    struct str value = rest.p == NULL ? STR("") : str_trim(rest);
    if (str_ieq(str_trim(name), STR("OutBind")) && ip_parse(value, &l->source)) {
        l->has_source = true;
        return RC_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!str_ieq(word, str_from_c(rows[i].name)))
            continue;
        l->login = rows[i].login >= 0 ? (enum link_login)rows[i].login : l->login;
        l->tls = rows[i].tls >= 0 ? (enum link_tls)rows[i].tls : l->tls;
        l->imap = l->imap || rows[i].imap;
        l->leave = l->leave || rows[i].leave;
        return RC_OK;
    }
    return err_perm(e, "5.3.5", "\"%.*s\" is no option of a link", STR_ARG(word));
}

static enum rc take_options(struct fetch_link *l, struct str text, struct err *e)
{
    struct str word;
    enum rc rc = RC_OK;
    while (rc == RC_OK && text.n > 0 && str_cut(&text, ',', &word))
        if (str_trim(word).n > 0)
            rc = take_option(l, str_trim(word), e);
    if (rc == RC_OK && l->imap && l->login != LOGIN_CLEAR)
        rc = err_perm(e, "5.3.5", "APOP is not for IMAPS");
    return rc;
}

/* "host[:port]", "[ip6][:port]", or a bare IPv6 address. */
static enum rc take_server(struct fetch_link *l, struct str text, struct err *e)
{
    uint64_t port = l->imap ? IMAPS_PORT : l->tls == LINK_IMPLICIT_TLS ? POP3S_PORT : POP3_PORT;
    size_t colon = str_rfind(text, ':');
    bool bare_v6 = colon != SIZE_MAX && str_find(text, ':') != colon && text.p[0] != '[';
    if (colon != SIZE_MAX && !bare_v6 && !str_ends(text, STR("]"))) {
        if (!str_to_u64(str_skip(text, colon + 1), &port) || port == 0 || port > 65535)
            return err_perm(e, "5.3.5", "\"%.*s\" has no good port", STR_ARG(text));
        text = str_head(text, colon);
    }
    if (str_starts(text, STR("[")) && str_ends(text, STR("]")))
        text = str_head(str_skip(text, 1), text.n - 2);
    if (text.n == 0 || text.n > 255 || str_has_control(text) || str_has_any(text, "/\\ ") ||
        text.p[0] == '.')
        return err_perm(e, "5.3.5", "\"%.*s\" is no server", STR_ARG(text));
    l->host = text;
    l->port = (uint16_t)port;
    return RC_OK;
}

static struct str lowered(struct str s, struct arena *a)
{
    char *p = arena_c(a, s);
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(p[i]);
    return str_from(p, s.n);
}

/* The first column: who gets the mail. */
static enum rc take_form(struct fetch_link *l, struct str text, struct arena *a, struct err *e)
{
    struct str word, domain;
    char kind = text.n > 0 ? text.p[0] : '\0';
    l->form = kind == '@'   ? LINK_ADDRESS
              : kind == '?' ? LINK_MASK
              : kind == '&' ? LINK_SUFFIX
                            : LINK_ACCOUNT;
    struct str rest = l->form == LINK_ACCOUNT ? text : str_skip(text, 1);
    (void)str_cut(&rest, ',', &word);
    word = lowered(str_trim(word), a);
    if (l->form == LINK_SUFFIX && word.n > 1 && word.p[0] == '.')
        l->target = word;
    else if (l->form == LINK_SUFFIX || domain_parse(word, true, a, &domain, e) != RC_OK)
        return err_perm(e, "5.3.5", "\"%.*s\" is no domain for fetched mail", STR_ARG(text));
    else
        l->target = domain;
    l->matches = arena_new_array(a, struct str, LINK_MATCHES_MAX);
    while (rest.p != NULL && rest.n > 0 && str_cut(&rest, ',', &word)) {
        if (str_trim(word).n == 0)
            continue;
        if (l->form < LINK_MASK || l->match_count == LINK_MATCHES_MAX)
            return err_perm(e, "5.3.5", "\"%.*s\": too many domains", STR_ARG(text));
        l->matches[l->match_count++] = lowered(str_trim(word), a);
    }
    if (l->form == LINK_MASK && l->match_count == 0)
        l->matches[l->match_count++] = l->target;
    return l->form == LINK_SUFFIX && l->match_count == 0
               ? err_perm(e, "5.3.5", "\"%.*s\" matches no domain", STR_ARG(text))
               : RC_OK;
}

/* The login there becomes the name of a file. */
static enum rc take_user(struct fetch_link *l, struct str user, struct err *e)
{
    if (user.n == 0 || user.n > 200 || str_has_control(user) || str_has_any(user, "/\\") ||
        user.p[0] == '.')
        return err_perm(e, "5.3.5", "\"%.*s\" is no login", STR_ARG(user));
    l->user = user;
    return RC_OK;
}

enum rc link_parse(const struct str *values, size_t count, struct arena *a,
                   struct fetch_link *out, struct err *e)
{
    struct fetch_link l = { .login = LOGIN_CLEAR };
    if (count < LINK_COLUMNS - 1)
        return err_perm(e, "5.3.5", "a link has six values");
    for (size_t i = 0; i < LINK_COLUMNS; i++)
        l.columns[i] = i < count ? arena_str(a, values[i]) : STR("");
    if (l.columns[LINK_ACCOUNT_NAME].n == 0)
        return err_perm(e, "5.3.5", "a link without an account");
    if (!password_clear(l.columns[LINK_PASSWORD], a, &l.password) || l.password.n > 1000 ||
        str_has_control(l.password))
        return err_perm(e, "5.3.5", "the password isn't in XMail's form");
    enum rc rc = take_options(&l, l.columns[LINK_OPTIONS], e);
    if (rc == RC_OK)
        rc = take_server(&l, str_trim(l.columns[LINK_SERVER]), e);
    if (rc == RC_OK)
        rc = take_user(&l, l.columns[LINK_USER], e);
    if (rc == RC_OK)
        rc = take_form(&l, str_trim(l.columns[LINK_DOMAIN]), a, e);
    if (rc == RC_OK)
        *out = l;
    return rc;
}

struct str link_folder(const struct fetch_link *l, struct arena *a)
{
    return arena_printf(a, "msgsync/%.*s_%u", STR_ARG(l->host), l->port);
}

struct str link_source(const struct fetch_link *l, struct arena *a)
{
    return arena_printf(a, "%.*s %u %.*s", STR_ARG(lowered(l->host, a)), l->port,
                        STR_ARG(l->user));
}

bool link_maps(const struct fetch_link *l, struct str address, struct arena *a, struct str *out)
{
    size_t at = str_rfind(address, '@');
    if (at == SIZE_MAX || at == 0)
        return false;
    struct str name = str_head(address, at), domain = lowered(str_skip(address, at + 1), a);
    for (size_t i = 0; i < l->match_count; i++) {
        if (!str_matches(domain, l->matches[i]))
            continue;
        *out = l->form == LINK_SUFFIX
                   ? arena_printf(a, "%.*s@%.*s%.*s", STR_ARG(name), STR_ARG(domain),
                                  STR_ARG(l->target))
                   : arena_printf(a, "%.*s@%.*s", STR_ARG(name), STR_ARG(l->target));
        return true;
    }
    return false;
}

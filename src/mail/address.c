/*
 * address.c - mail addresses, SMTP paths and domain names. Cursor style: each take_x function
 * moves the cursor over what it understood. Control characters are refused everywhere first, so
 * an address can't carry a line end or a NUL into a header, a log or a file name.
 *
 * RFC 5321 4.1.2:
 *   Mailbox        = Local-part "@" ( Domain / address-literal )
 *   Local-part     = Dot-string / Quoted-string
 *   Dot-string     = Atom *("." Atom)
 *   Quoted-string  = DQUOTE *QcontentSMTP DQUOTE
 *   QcontentSMTP   = qtextSMTP / quoted-pairSMTP
 *   Domain         = sub-domain *("." sub-domain)
 * An empty quoted local part ("") is refused, though the grammar has it: no mailbox can be
 * named so, and elsewhere an empty local part means the null path.
 */
#include "mail/address.h"
#include <idn2.h>

#define LOCAL_MAX ((size_t)64)   /* RFC 5321 4.5.3.1.1 */
#define DOMAIN_MAX ((size_t)255) /* RFC 5321 4.5.3.1.2 */
#define LABEL_MAX ((size_t)63)
#define PATH_MAX_OCTETS ((size_t)256) /* RFC 5321 4.5.3.1.3, with its brackets */

static enum rc refuse(struct err *e, const char *why)
{
    return err_perm(e, "5.1.3", "%s", why);
}

/* --- characters -------------------------------------------------------------------------- */

static bool is_atext(char c)
{
    return ascii_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool is_high(char c)
{
    return (unsigned char)c >= 0x80;
}

/* True when s holds a C1 control (U+0080 to U+009F); s is UTF-8. */
static bool has_c1(struct str s)
{
    for (size_t i = 0; i + 1 < s.n; i++)
        if ((unsigned char)s.p[i] == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0)
            return true;
    return false;
}

static enum rc check_octets(struct str s, bool utf8_ok, struct err *e)
{
    if (str_has_control(s))
        return refuse(e, "control character in address");
    if (str_is_ascii(s))
        return RC_OK;
    if (!utf8_ok)
        return err_perm(e, "5.6.7", "address is not ASCII and SMTPUTF8 was not asked for");
    if (!str_is_utf8(s) || has_c1(s))
        return refuse(e, "address is not valid UTF-8");
    return RC_OK;
}

/* --- domains ----------------------------------------------------------------------------- */

static bool label_is_good(struct str label, bool underscore)
{
    if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        char c = label.p[i];
        if (!ascii_is_alnum(c) && c != '-' && !(c == '_' && underscore))
            return false;
    }
    return true;
}

/* An ASCII name, copied in lower case. */
static enum rc ascii_domain(struct str s, bool underscore, struct arena *a, struct str *out,
                            struct err *e)
{
    if (s.n == 0 || s.n > DOMAIN_MAX)
        return refuse(e, s.n == 0 ? "empty domain" : "domain is too long");
    struct str rest = s, label;
    while (str_cut(&rest, '.', &label))
        if (!label_is_good(label, underscore))
            return refuse(e, "bad domain name");
    char *p = arena_c(a, s);
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(p[i]);
    *out = str_from(p, s.n);
    return RC_OK;
}

/* A name with U-labels: to A-labels as IDNA2008 with UTS 46's mapping, non-transitional. */
static enum rc utf8_domain(struct str s, bool underscore, struct arena *a, struct str *out,
                           struct err *e)
{
    if (s.n > DOMAIN_MAX)
        return refuse(e, "domain is too long");
    uint8_t *ascii = NULL;
    int rc = idn2_lookup_u8((const uint8_t *)arena_c(a, s), &ascii,
                            IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc == IDN2_MALLOC)
        return err_temp(e, "4.3.0", "no memory for a domain name");
    if (rc != IDN2_OK)
        return err_perm(e, "5.1.3", "bad international domain name: %s", idn2_strerror(rc));
    enum rc result = ascii_domain(str_from_c((char *)ascii), underscore, a, out, e);
    idn2_free(ascii);
    return result;
}

static enum rc any_domain(struct str s, bool utf8_ok, bool underscore, struct arena *a,
                          struct str *out, struct err *e)
{
    enum rc rc = check_octets(s, utf8_ok, e);
    if (rc != RC_OK)
        return rc;
    return str_is_ascii(s) ? ascii_domain(s, underscore, a, out, e)
                           : utf8_domain(s, underscore, a, out, e);
}

enum rc domain_parse(struct str s, bool utf8_ok, struct arena *a, struct str *out,
                     struct err *e)
{
    return any_domain(s, utf8_ok, true, a, out, e);
}

/* "[1.2.3.4]" or "[IPv6:...]", RFC 5321 4.1.3; printed in one canonical form. */
static enum rc literal_domain(struct str s, struct arena *a, struct str *out, struct err *e)
{
    struct ip ip;
    char text[IP_TEXT_BYTES];
    if (s.n < 2 || s.p[s.n - 1] != ']')
        return refuse(e, "bad address literal");
    struct str inner = str_from(s.p + 1, s.n - 2);
    bool v6 = str_istarts(inner, STR("IPv6:"));
    if (v6)
        inner = str_skip(inner, 5);
    bool has_colon = str_find(inner, ':') != SIZE_MAX;
    if (str_find(inner, '[') != SIZE_MAX || has_colon != v6 || !ip_parse(inner, &ip))
        return refuse(e, "bad address literal");
    *out = arena_printf(a, "[%s%s]", ip_is_v4(&ip) ? "" : "IPv6:", ip_print(&ip, text));
    return RC_OK;
}

/* --- local parts ------------------------------------------------------------------------- */

/* Does s keep the rules of a dot-string: no dot at an end, no two together? */
static bool dots_are_good(struct str s)
{
    return s.n > 0 && s.p[0] != '.' && s.p[s.n - 1] != '.' &&
           str_find_str(s, STR("..")) == SIZE_MAX;
}

static bool is_dot_text(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_atext(s.p[i]) && s.p[i] != '.' && !is_high(s.p[i]))
            return false;
    return s.n > 0;
}

/* Takes the unquoted local part at the start of *c: everything before "@". */
static enum rc take_dot_string(struct str *c, unsigned rules, struct str *out, struct err *e)
{
    struct str local = str_head(*c, str_find(*c, '@'));
    if (local.n == 0)
        return refuse(e, "empty local part");
    if (!is_dot_text(local))
        return refuse(e, "character not allowed in local part");
    if ((rules & ADDRESS_LOOSE_DOTS) == 0 && !dots_are_good(local))
        return refuse(e, "misplaced dot in local part");
    *out = local;
    *c = str_skip(*c, local.n);
    return RC_OK;
}

/* Takes "..." at the start of *c; *out is its content without quotes and backslashes. */
static enum rc take_quoted(struct str *c, unsigned rules, struct arena *a, struct str *out,
                           struct err *e)
{
    char *text = arena_new(a, c->n);
    size_t n = 0, i = 1;
    while (i < c->n && c->p[i] != '"') {
        if (c->p[i] == '\\' && ++i >= c->n)
            break;
        text[n++] = c->p[i++];
    }
    if (i >= c->n)
        return refuse(e, "quoted local part has no end");
    struct str local = str_from(text, n);
    if (n == 0)
        return refuse(e, "empty local part");
    /* address_print quotes loose dots: what it prints is taken back under the same rules. */
    bool loose = (rules & ADDRESS_LOOSE_DOTS) != 0 && is_dot_text(local);
    if ((rules & ADDRESS_QUOTED) == 0 && !loose)
        return refuse(e, "quoted local parts are not taken");
    *out = local;
    *c = str_skip(*c, i + 1);
    return RC_OK;
}

/* --- addresses --------------------------------------------------------------------------- */

enum rc address_parse(struct str s, unsigned rules, struct arena *a, struct address *out,
                      struct err *e)
{
    struct str local = { "", 0 }, domain = { "", 0 };
    enum rc rc = check_octets(s, (rules & ADDRESS_UTF8) != 0, e);
    if (rc != RC_OK)
        return rc;
    if (s.n + 2 > PATH_MAX_OCTETS)
        return refuse(e, "address is too long");
    struct str c = s;
    rc = c.n > 0 && c.p[0] == '"' ? take_quoted(&c, rules, a, &local, e)
                                  : take_dot_string(&c, rules, &local, e);
    if (rc != RC_OK)
        return rc;
    if (local.n > LOCAL_MAX)
        return refuse(e, "local part is too long");
    if (c.n == 0 || c.p[0] != '@')
        return refuse(e, "address has no domain");
    c = str_skip(c, 1);
    rc = c.n > 0 && c.p[0] == '['
             ? literal_domain(c, a, &domain, e)
             : any_domain(c, true, (rules & ADDRESS_LOOSE_DOTS) != 0, a, &domain, e);
    if (rc != RC_OK)
        return rc;
    *out = (struct address){ .local = arena_str(a, local),
                             .domain = domain,
                             .needs_utf8 = !str_is_ascii(s) };
    return RC_OK;
}

/* Drops "@a,@b:" at the start of *c. Its domains must be well formed, for the rest isn't
 * trusted when they aren't. */
static enum rc drop_source_route(struct str *c, unsigned rules, struct arena *a, struct err *e)
{
    struct str host;
    while (c->n > 0 && c->p[0] == '@') {
        size_t end = 1;
        while (end < c->n && c->p[end] != ',' && c->p[end] != ':')
            end++;
        if (end == c->n)
            return refuse(e, "source route has no end");
        enum rc rc = any_domain(str_from(c->p + 1, end - 1), (rules & ADDRESS_UTF8) != 0, false,
                                a, &host, e);
        if (rc != RC_OK)
            return rc;
        bool last = c->p[end] == ':';
        *c = str_skip(*c, end + 1);
        if (last)
            return RC_OK;
        if (c->n == 0 || c->p[0] != '@')
            return refuse(e, "bad source route");
    }
    return RC_OK;
}

/* Octets of s before the first unquoted `end`, or a blank when end is ' '; SIZE_MAX: none. */
static size_t path_end(struct str s, char end)
{
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            quoted = !quoted;
        else if (!quoted && (s.p[i] == end || (end == ' ' && s.p[i] == '\t')))
            return i;
    }
    return SIZE_MAX;
}

/* What stands between the brackets. */
static enum rc parse_inner(struct str inner, unsigned rules, struct arena *a,
                           struct address *out, struct err *e)
{
    enum rc rc = drop_source_route(&inner, rules, a, e);
    if (rc != RC_OK)
        return rc;
    if (!str_ieq(inner, STR("postmaster")))
        return address_parse(inner, rules, a, out, e);
    *out = (struct address){ .local = arena_str(a, inner), .domain = str_from("", 0) };
    return RC_OK;
}

static struct str skip_blanks(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_skip(s, 1);
    return s;
}

enum rc address_parse_path(struct str s, unsigned rules, struct arena *a, struct address *out,
                           struct str *out_rest, struct err *e)
{
    struct address found = { .local = { "", 0 }, .domain = { "", 0 }, .is_null = true };
    struct str c = skip_blanks(s);
    bool bracket = c.n > 0 && c.p[0] == '<';
    if (bracket)
        c = str_skip(c, 1);
    size_t n = path_end(c, bracket ? '>' : ' ');
    if (bracket && n == SIZE_MAX)
        return refuse(e, "no > at the end of the path");
    struct str inner = str_head(c, n);
    c = str_skip(c, bracket ? n + 1 : inner.n);
    if (c.n > 0 && c.p[0] != ' ' && c.p[0] != '\t')
        return refuse(e, "no blank after the path");
    if (!bracket || inner.n > 0) {
        enum rc rc = parse_inner(inner, rules, a, &found, e);
        if (rc != RC_OK)
            return rc;
    }
    *out = found;
    *out_rest = skip_blanks(c);
    return RC_OK;
}

struct str address_print(const struct address *addr, struct arena *a)
{
    struct str local = addr->local;
    if (addr->is_null)
        return str_from("", 0);
    if (!is_dot_text(local) || !dots_are_good(local)) {
        char *p = arena_new(a, local.n * 2 + 3);
        size_t n = 0;
        p[n++] = '"';
        for (size_t i = 0; i < local.n; i++) {
            if (local.p[i] == '"' || local.p[i] == '\\')
                p[n++] = '\\';
            p[n++] = local.p[i];
        }
        p[n++] = '"';
        local = str_from(p, n);
    }
    if (addr->domain.n == 0)
        return arena_str(a, local);
    return arena_printf(a, "%.*s@%.*s", STR_ARG(local), STR_ARG(addr->domain));
}

struct str address_print_bare(const struct address *addr, struct arena *a)
{
    if (addr->is_null || addr->domain.n == 0 || addr->local.n == 0 ||
        str_has_any(addr->local, " \"(),:;<>@[]\\") || str_has_control(addr->local))
        return address_print(addr, a);
    return arena_printf(a, "%.*s@%.*s", STR_ARG(addr->local), STR_ARG(addr->domain));
}

bool address_eq(const struct address *x, const struct address *y)
{
    return x->is_null == y->is_null && str_ieq(x->local, y->local) &&
           str_ieq(x->domain, y->domain);
}

/*
 * trace.c - the header fields that a server adds.
 * A field is made of words; the folder puts a blank or a line end and TAB between two of them.
 * Foreign text reaches a field through clean_* only, which leave no control characters, and in
 * comments no bare parentheses.
 *
 * RFC 5321 4.4:
 *   Stamp    = From-domain By-domain Opt-info [CFWS] ";" FWS date-time
 *   Opt-info = [Via] [With] [ID] [For] [Additional-Registered-Clauses]
 */
#include "mail/trace.h"
#include "mail/date.h"

#define FOLD_COLUMN ((size_t)76) /* RFC 5322 2.1.1 */
#define NAME_SHOWN ((size_t)255) /* longest client name shown: a domain's maximum */

/* A field being written; rc as in buf_add, sticky. */
struct folder {
    struct buf *out;
    struct arena *a;
    size_t column;
    enum rc rc;
};

static void put(struct folder *f, struct str s)
{
    if (f->rc == RC_OK)
        f->rc = buf_add_str(f->out, s);
    f->column += s.n;
}

/* A word, and the blank or the fold before it. */
static void word(struct folder *f, struct str s)
{
    bool fold = f->column + 1 + s.n > FOLD_COLUMN;
    put(f, fold ? STR("\n\t") : STR(" "));
    if (fold)
        f->column = 8; /* a TAB's width */
    put(f, s);
}

#define words(f, ...) word(f, arena_printf((f)->a, __VA_ARGS__))

/* --- foreign text ------------------------------------------------------------------------ */

/* A client's or a server's name: letters, digits and what address literals have; the rest
 * becomes "?". */
static struct str clean_name(struct arena *a, struct str s)
{
    if (s.n == 0)
        return STR("unknown");
    s = str_head(s, NAME_SHOWN);
    char *p = arena_c(a, s);
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alnum(p[i]) && (p[i] == '\0' || strchr(".-_:[]", p[i]) == NULL))
            p[i] = '?';
    return str_from(p, s.n);
}

/* Text of a field's value: no control characters. */
static struct str clean_text(struct arena *a, struct str s)
{
    char *p = arena_c(a, s);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            p[i] = '?';
    return str_from(p, s.n);
}

/* Text within a comment: parentheses and backslashes are quoted (RFC 5322 3.2.2). */
static struct str clean_comment(struct arena *a, struct str s)
{
    char *p = arena_new(a, s.n * 2 + 1);
    size_t n = 0;
    s = clean_text(a, s);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '(' || s.p[i] == ')' || s.p[i] == '\\')
            p[n++] = '\\';
        p[n++] = s.p[i];
    }
    return str_from(p, n);
}

/* --- Received ---------------------------------------------------------------------------- */

const char *trace_protocol(const struct trace *t)
{
    static const char *const esmtp[2][4] = {
        { "ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA" },
        { "UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA" },
    };
    if (!t->is_esmtp)
        return "SMTP";
    unsigned bits = (t->is_authenticated ? 1u : 0) | (t->tls_version.n > 0 ? 2u : 0);
    return esmtp[t->is_utf8 ? 1 : 0][bits];
}

static bool shows_client(const struct trace *t)
{
    switch (t->shows) {
    case TRACE_NO_ADDRESS:
        return false;
    case TRACE_CLIENT_UNLESS_AUTH:
    case TRACE_CLIENT_AND_SERVER_UNLESS_AUTH:
        return !t->is_authenticated;
    case TRACE_CLIENT:
    case TRACE_CLIENT_AND_SERVER:
        break;
    }
    return true;
}

static bool shows_server(const struct trace *t)
{
    return t->shows == TRACE_CLIENT_AND_SERVER ||
           t->shows == TRACE_CLIENT_AND_SERVER_UNLESS_AUTH;
}

static void put_from(struct folder *f, const struct trace *t)
{
    char address[IP_PORT_TEXT_BYTES];
    struct str name = clean_name(f->a, t->client_name);
    bool named = t->client_name.n > 0;
    words(f, "from %.*s", STR_ARG(clean_name(f->a, t->helo)));
    if (shows_client(t))
        words(f, "(%.*s%s%s)", named ? (int)name.n : 0, name.p, named ? " " : "",
              ip_port_print(&t->client_ip, t->client_port, address));
    if (t->tls_version.n > 0)
        words(f, "(using %.*s with cipher %.*s)", STR_ARG(clean_comment(f->a, t->tls_version)),
              STR_ARG(clean_comment(f->a, t->tls_cipher)));
}

static void put_by(struct folder *f, const struct trace *t)
{
    char address[IP_PORT_TEXT_BYTES];
    words(f, "by %.*s", STR_ARG(clean_name(f->a, t->server_domain)));
    if (shows_server(t))
        words(f, "(%s)", ip_port_print(&t->server_ip, t->server_port, address));
    words(f, "with %s", trace_protocol(t));
    words(f, "(Hikyaku)");
    words(f, "id %.*s", STR_ARG(clean_name(f->a, t->id)));
}

enum rc trace_print_received(const struct trace *t, struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder f = { .out = out, .a = &a };
    char date[DATE_TEXT_BYTES];
    put(&f, STR("Received:"));
    put_from(&f, t);
    put_by(&f, t);
    if (t->rcpt != NULL)
        words(&f, "for <%.*s>", STR_ARG(clean_text(&a, address_print(t->rcpt, &a))));
    if (t->sender != NULL)
        words(&f, "(envelope-from <%.*s>)",
              STR_ARG(clean_comment(&a, address_print(t->sender, &a))));
    put(&f, STR(";"));
    words(&f, "%s", date_print(t->when, date));
    put(&f, STR("\n"));
    return f.rc;
}

/* --- the others -------------------------------------------------------------------------- */

enum rc trace_print_return_path(const struct address *sender, struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    return buf_printf(out, "Return-Path: <%.*s>\n",
                      STR_ARG(clean_text(&a, address_print(sender, &a))));
}

enum rc trace_print_delivered_to(struct str account, struct str domain, struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    return buf_printf(out, "Delivered-To: %.*s@%.*s\n", STR_ARG(clean_text(&a, account)),
                      STR_ARG(clean_text(&a, domain)));
}

enum rc trace_print_auth_user(struct str login, struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    return buf_printf(out, "X-AuthUser: %.*s\n", STR_ARG(clean_text(&a, login)));
}

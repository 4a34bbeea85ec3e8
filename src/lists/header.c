/*
 * header.c - the header of a post as the members get it. Pure: lines in, lines out; what isn't
 * ours to change stays octet for octet.
 */
#include "mail/header.h"
#include "lists/lists_int.h"
#include "mail/trace.h"

/* Fields that another list put there, or that this one replaces. */
static bool is_replaced(const struct list *l, struct str name)
{
    static const char *const of_lists[] = { "List-Id",          "List-Post",
                                            "List-Unsubscribe", "List-Help",
                                            "List-Owner",       "List-Subscribe",
                                            "List-Archive",     "List-Unsubscribe-Post" };
    for (size_t i = 0; i < ARRAY_LEN(of_lists); i++)
        if (str_ieq(name, str_from_c(of_lists[i])))
            return true;
    return l->options.use_reply_to && str_ieq(name, STR("Reply-To"));
}

static bool is_own_mark(const struct list *l, struct str field, struct arena *a)
{
    struct str value = str_trim(str_skip(field, str_find(field, ':') + 1));
    return str_ieq(value, arena_printf(a, "%.*s@%.*s", STR_ARG(l->address.local),
                                       STR_ARG(l->address.domain)));
}

/* RealName as a quoted string and a blank; nothing when it isn't plain text, or the "??" that
 * new lists have. */
static struct str phrase(const struct list *l, struct arena *a)
{
    struct str name = str_trim(l->options.real_name);
    if (name.n == 0 || name.n > 200 || str_eq(name, STR("??")) || !str_is_ascii(name) ||
        str_has_control(name) || str_has_any(name, "\"\\"))
        return STR("");
    return arena_printf(a, "\"%.*s\" ", STR_ARG(name));
}

/* Octets of an address that stand for something else in a URL are coded (RFC 6068 2). */
static struct str mailto(const struct list *l, struct arena *a)
{
    struct str text = address_print(&l->address, a);
    char *p = arena_new(a, 3 * text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (ascii_is_alnum((char)c) || strchr("@.-_+!$'*~", c) != NULL)
            p[n++] = (char)c;
        else
            n += (size_t)snprintf(p + n, 4, "%%%02X", c);
    }
    return str_from(p, n);
}

/* The list's name as the domain-like label of List-Id: dots for what isn't allowed there. */
static struct str label_of(struct str name, struct arena *a)
{
    char *p = arena_c(a, name);
    for (size_t i = 0; i < name.n; i++)
        p[i] = ascii_is_alnum(p[i]) || p[i] == '-' || p[i] == '_' || p[i] == '.'
                   ? ascii_lower(p[i])
                   : '-';
    return str_from(p, name.n);
}

static struct str label(const struct list *l, struct arena *a)
{
    return label_of(l->address.local, a);
}

/* --- From -------------------------------------------------------------------------------- */

/* The field's value on one line. */
static struct str unfolded(struct str field, struct arena *a)
{
    char *p = arena_c(a, str_trim(str_skip(field, str_find(field, ':') + 1)));
    for (char *c = p; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r' || *c == '\t')
            *c = ' ';
    return str_from_c(p);
}

/* The first address in a From's value, and the words before it. */
static bool author_of(struct str value, struct arena *a, struct str *out_phrase,
                      struct address *out)
{
    size_t open = SIZE_MAX;
    bool quoted = false;
    for (size_t i = 0; i < value.n && open == SIZE_MAX; i++) {
        i += quoted && value.p[i] == '\\';
        if (i < value.n && value.p[i] == '"')
            quoted = !quoted;
        else if (i < value.n && !quoted && value.p[i] == '<')
            open = i;
    }
    struct str address = value;
    *out_phrase = STR("");
    if (open != SIZE_MAX) {
        address = str_skip(value, open + 1);
        address = str_head(address, str_find(address, '>'));
        *out_phrase = str_trim(str_head(value, open));
    } else {
        address = str_head(value, str_find(value, ','));
        address = str_trim(str_head(address, str_find(address, '(')));
    }
    return list_address(address, a, out);
}

struct str list_author(struct str header, struct arena *a)
{
    struct str name, phrase;
    struct address author;
    while (header.n > 0) {
        struct str field = header_next_field(&header, &name);
        if (str_ieq(name, STR("From")) && author_of(unfolded(field, a), a, &phrase, &author))
            return author.domain;
    }
    return STR("");
}

/* From as the list's, with the author's name; and where he is answered, if not at the list. */
static enum rc rewrite_from(const struct list *l, struct str field, bool has_reply_to,
                            struct arena *a, struct buf *out)
{
    struct str value = unfolded(field, a), phrase;
    struct address author;
    if (!author_of(value, a, &phrase, &author))
        return buf_add_str(out, field);
    if (phrase.n == 0)
        phrase = arena_printf(a, "\"%.*s\"", STR_ARG(label_of(author.local, a)));
    enum rc rc = buf_printf(out, "From: %.*s via %.*s\n <%.*s>\nX-Original-From: %.*s\n",
                            STR_ARG(phrase), STR_ARG(label(l, a)),
                            STR_ARG(address_print(&l->address, a)), STR_ARG(value));
    return rc == RC_OK && !has_reply_to
               ? buf_printf(out, "Reply-To: %.*s\n", STR_ARG(address_print(&author, a)))
               : rc;
}

/* --- all of it --------------------------------------------------------------------------- */

static enum rc add_fields(const struct list *l, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    enum rc rc = RC_OK;
    if (l->options.use_reply_to)
        rc = buf_printf(out, "Reply-To: %.*s\n", STR_ARG(address_print(&l->address, &mem)));
    if (rc == RC_OK)
        rc = buf_printf(out, "List-Id: %.*s<%.*s.%.*s>\n", STR_ARG(phrase(l, &mem)),
                        STR_ARG(label(l, &mem)), STR_ARG(l->address.domain));
    return rc == RC_OK ? buf_printf(out, "List-Post: <mailto:%.*s>\n", STR_ARG(mailto(l, &mem)))
                       : rc;
}

bool list_header_loops(const struct list *l, struct str header)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str name;
    while (header.n > 0) {
        struct str field = header_next_field(&header, &name);
        if (str_ieq(name, STR("Delivered-To")) && is_own_mark(l, field, &mem))
            return true;
    }
    return false;
}

static bool has_field(struct str header, struct str wanted)
{
    struct str name = STR("");
    while (header.n > 0 && !str_ieq(name, wanted))
        (void)header_next_field(&header, &name);
    return str_ieq(name, wanted);
}

enum rc list_header(const struct list *l, struct str header, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str name;
    while (header.n > 0 && (header.p[0] == ' ' || header.p[0] == '\t'))
        header = str_skip(header, 1); /* or it would continue what comes before */
    bool has_reply_to = l->options.use_reply_to || has_field(header, STR("Reply-To"));
    bool tagged = l->tag.n == 0; /* or needn't be */
    enum rc rc = trace_print_delivered_to(l->address.local, l->address.domain, out);
    while (rc == RC_OK && header.n > 0) {
        struct str field = header_next_field(&header, &name);
        if (l->rewrites_from && str_ieq(name, STR("From"))) {
            rc = rewrite_from(l, field, has_reply_to, &mem, out);
        } else if (!tagged && str_ieq(name, STR("Subject"))) {
            rc = list_tag_print(l, field, out);
            tagged = true;
        } else if (!is_replaced(l, name)) {
            rc = buf_add_str(out, field);
        }
    }
    if (rc == RC_OK && out->p[out->n - 1] != '\n')
        rc = buf_add_char(out, '\n');
    if (rc == RC_OK && !tagged)
        rc = list_tag_print(l, STR(""), out);
    return rc == RC_OK ? add_fields(l, out) : rc;
}

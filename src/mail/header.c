/* header.c - fields and addresses of a header. Called by lists, fetch and tools. */
#include "mail/header.h"

size_t header_end(struct str message)
{
    if (str_starts(message, STR("\n")))
        return 0;
    size_t at = str_find_str(message, STR("\n\n"));
    return at == SIZE_MAX ? message.n : at + 1;
}

struct str header_next_field(struct str *rest, struct str *out_name)
{
    size_t end = 0;
    do {
        size_t lf = str_find(str_skip(*rest, end), '\n');
        end = lf == SIZE_MAX ? rest->n : end + lf + 1;
    } while (end < rest->n && (rest->p[end] == ' ' || rest->p[end] == '\t'));
    struct str field = str_head(*rest, end);
    size_t colon = str_find(field, ':'), lf = str_find(field, '\n');
    *out_name = colon == SIZE_MAX || colon > lf ? STR("") : str_trim(str_head(field, colon));
    *rest = str_skip(*rest, end);
    return field;
}

struct str header_value(struct str field)
{
    size_t colon = str_find(field, ':');
    return colon == SIZE_MAX ? STR("") : str_trim(str_skip(field, colon + 1));
}

/* --- addresses --------------------------------------------------------------------------- */

/* More than any address has: a longer one is cut off here, and is none. */
#define ADDRESS_ROOM ((size_t)1024)

struct reading {
    char text[ADDRESS_ROOM]; /* of the address so far */
    size_t n;
    unsigned comment;
    bool quoted, angle;
};

static void add(struct reading *r, char c)
{
    if (r->n < ADDRESS_ROOM)
        r->text[r->n++] = c;
}

/* Takes one octet. True: it ends an address. */
static bool take(struct reading *r, char c)
{
    if (c == '"' && r->comment == 0) {
        r->quoted = !r->quoted;
        add(r, c);
    } else if (c == '(' && !r->quoted) {
        r->comment++;
    } else if (c == ')' && !r->quoted && r->comment > 0) {
        r->comment--;
    } else if (r->comment > 0) {
        return false;
    } else if (c == '<' && !r->quoted) {
        r->n = 0; /* what stood before is a name */
        r->angle = true;
    } else if (c == ':' && !r->quoted && !r->angle) {
        r->n = 0; /* the name of a group */
    } else if (!r->quoted && (c == '>' || ((c == ',' || c == ';') && !r->angle))) {
        return true;
    } else if (c != '\n' && c != '\r') {
        add(r, c);
    }
    return false;
}

/* Behind ">" nothing counts up to the comma. */
static struct str skip_to_comma(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] != ',' && s.p[n] != ';')
        n++;
    return str_skip(s, n + 1);
}

bool header_next_address(struct str *list, struct arena *a, struct str *out)
{
    struct reading r = { .n = 0 };
    struct str rest = *list;
    while (rest.n > 0) {
        char c = rest.p[0];
        rest = str_skip(rest, 1);
        if (c == '\\' && rest.n > 0 && (r.quoted || r.comment > 0)) {
            if (r.comment == 0) {
                add(&r, c);
                add(&r, rest.p[0]);
            }
            rest = str_skip(rest, 1);
            continue;
        }
        bool ends = take(&r, c);
        if (!ends && rest.n > 0)
            continue;
        struct str text = str_trim(str_from(r.text, r.n));
        if (ends && c == '>')
            rest = skip_to_comma(rest);
        if (text.n > 0) {
            *out = arena_str(a, text);
            *list = rest;
            return true;
        }
        r = (struct reading){ .n = 0 };
    }
    *list = rest;
    return false;
}

/* media.c - see media.h. */
#include "mail/media.h"
#include "mail/header.h"

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f || strchr("()<>@,;:\\\"/[]?=", s.p[i]) != NULL)
            return false;
    return s.n > 0;
}

/* A token or a quoted string at the start of *rest, which is trimmed. */
static bool read_value(struct str *rest, struct arena *a, struct str *out)
{
    *rest = str_trim(*rest);
    if (!str_starts(*rest, STR("\""))) {
        size_t end = str_find(*rest, ';');
        *out = str_trim(str_head(*rest, end));
        *rest = str_skip(*rest, out->n);
        return is_token(*out);
    }
    char *p = arena_new(a, rest->n);
    size_t n = 0, i = 1;
    for (; i < rest->n && rest->p[i] != '"'; i++) {
        i += rest->p[i] == '\\' && i + 1 < rest->n;
        p[n++] = rest->p[i];
    }
    bool closed = i < rest->n;
    *out = str_from(p, n);
    *rest = str_skip(*rest, i + 1);
    return closed && !str_has_control(*out);
}

static bool take_parameter(struct media *m, struct str name, struct str value)
{
    struct str *text = str_ieq(name, STR("charset"))    ? &m->charset
                       : str_ieq(name, STR("boundary")) ? &m->boundary
                                                        : NULL;
    if (str_ieq(name, STR("format")))
        m->is_flowed = str_ieq(value, STR("flowed"));
    if (str_has_any(name, "*"))
        return false;
    if (text == NULL)
        return true;
    bool first = text->n == 0;
    *text = value;
    return first && value.n > 0;
}

static bool read_type(struct str value, struct arena *a, struct media *out)
{
    struct str rest = value, name, text;
    size_t end = str_find(value, ';'), slash = str_find(value, '/');
    struct str type = str_trim(str_head(value, end));
    out->type = str_trim(str_head(type, slash));
    out->subtype = str_trim(str_skip(type, slash == SIZE_MAX ? type.n : slash + 1));
    rest = str_skip(value, end);
    while (rest.n > 0) {
        if (rest.p[0] != ';')
            return false;
        rest = str_trim(str_skip(rest, 1));
        if (rest.n == 0)
            break; /* "text/plain;", as mail programs write it */
        size_t equals = str_find(rest, '=');
        name = str_trim(str_head(rest, equals));
        rest = str_skip(rest, equals == SIZE_MAX ? rest.n : equals + 1);
        if (!is_token(name) || !read_value(&rest, a, &text) || !take_parameter(out, name, text))
            return false;
        rest = str_trim(rest);
    }
    return is_token(out->type) && is_token(out->subtype);
}

static bool read_encoding(struct str value, enum media_encoding *out)
{
    static const char *const names[] = { "7bit", "8bit", "binary", "quoted-printable",
                                         "base64" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(value, str_from_c(names[i]))) {
            *out = (enum media_encoding)i;
            return true;
        }
    return false;
}

bool media_is_field(struct str name)
{
    return str_istarts(name, STR("Content-"));
}

bool media_read(struct str header, struct arena *a, struct media *out)
{
    struct str name;
    bool has_type = false, has_encoding = false, good = true;
    *out = (struct media){
        .type = STR("text"), .subtype = STR("plain"), .charset = STR(""), .boundary = STR("")
    };
    while (header.n > 0 && good) {
        struct str value = header_value(header_next_field(&header, &name));
        if (str_ieq(name, STR("Content-Type"))) {
            good = !has_type && read_type(value, a, out);
            has_type = true;
        } else if (str_ieq(name, STR("Content-Transfer-Encoding"))) {
            good = !has_encoding && read_encoding(value, &out->encoding);
            has_encoding = true;
        } else if (str_ieq(name, STR("Content-Disposition"))) {
            out->is_attached = !str_istarts(value, STR("inline"));
        }
    }
    return good;
}

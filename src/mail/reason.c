/* reason.c - see reason.h. */
#include "mail/reason.h"

/* RFC 3463 2: class "." subject "." detail. */
static bool is_status(struct str s)
{
    unsigned dots = 0;
    if (s.n < 5 || s.n > 9 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5') ||
        s.p[1] != '.')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        dots += s.p[i] == '.';
        if (!ascii_is_digit(s.p[i]) && (s.p[i] != '.' || s.p[i - 1] == '.'))
            return false;
    }
    return dots == 2 && s.p[s.n - 1] != '.';
}

struct str reason_print(const struct reason *r, struct arena *a)
{
    struct str line =
        arena_printf(a, "%.*s %.*s %.*s", STR_ARG(r->status),
                     STR_ARG(r->host.n == 0 ? STR("-") : r->host), STR_ARG(r->text));
    char *clean = arena_c(a, str_head(line, REASON_MAX));
    for (char *p = clean; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return str_trim(str_from_c(clean));
}

struct reason reason_parse(struct str s, const char *otherwise)
{
    struct reason r = { .text = s, .host = STR("") };
    if (!str_cut(&r.text, ' ', &r.status) || !is_status(r.status) || r.text.p == NULL)
        return (struct reason){ .status = str_from_c(otherwise), .host = STR(""), .text = s };
    (void)str_cut(&r.text, ' ', &r.host);
    if (str_eq(r.host, STR("-")))
        r.host = STR("");
    if (r.text.p == NULL)
        r.text = STR("");
    return r;
}

struct str reason_status(unsigned code, struct str text)
{
    struct str rest = text, word = { "", 0 };
    uint64_t number = 0;
    while (rest.n > 0 && str_cut(&rest, ' ', &word)) {
        if (is_status(word) && (unsigned)(word.p[0] - '0') == code / 100)
            return word;
        if (!str_to_u64(word, &number)) /* the status stands behind the code, if anywhere */
            break;
    }
    return code / 100 == 2 ? STR("2.0.0") : code / 100 == 5 ? STR("5.0.0") : STR("4.0.0");
}

/* login_line.c - lines of userauth/pop3 and smtpextauth.tab. */
#include "process/process.h"

static const char *finish(const struct tab_row *row, size_t at, struct program_line *l,
                          struct program_line *out)
{
    if (row->count <= at || tab_value(row, at).n == 0)
        return "no command";
    l->is_login = true;
    l->line = row->line;
    l->sum = program_line_sum(row);
    l->words = row->values + at;
    l->count = row->count - at;
    *out = *l;
    return NULL;
}

const char *userauth_line_parse(const struct tab_row *row, struct program_line *out)
{
    static const char *const actions[] = { "userauth", "useradd", "useredit", "userdel",
                                           "domaindrop" };
    struct program_line l = { .name = tab_value(row, 0) };
    size_t i = 0;
    while (i < ARRAY_LEN(actions) && !str_ieq(l.name, str_from_c(actions[i])))
        i++;
    return i == ARRAY_LEN(actions)
               ? "an action other than userauth, useradd, useredit, userdel, domaindrop"
               : finish(row, 1, &l, out);
}

/* RFC 4422 3.1: names of methods. */
static bool is_method(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n <= 20;
}

const char *extauth_line_parse(const struct tab_row *row, struct program_line *out)
{
    bool has_challenge = row->count > 2 && !str_has_any(tab_value(row, 1), "/\\") &&
                         str_has_any(tab_value(row, 2), "/\\");
    struct program_line l = { .name = tab_value(row, 0),
                              .challenge = has_challenge ? tab_value(row, 1) : STR("") };
    return is_method(l.name) ? finish(row, has_challenge ? 2 : 1, &l, out)
                             : "not the name of a method for AUTH";
}

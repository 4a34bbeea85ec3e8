/* rfile.c - what a program of smtpextauth.tab tells about the user, in the file RFILE: lines
 * VAR=VALUE. */
#include "auth/auth.h"

void rfile_parse(struct str text, struct rfile *out)
{
    struct str line, name;
    *out = (struct rfile){ .has_perms = false, .perms = STR("") };
    while (str_cut(&text, '\n', &line)) {
        struct str value = str_trim(line);
        if (!str_cut(&value, '=', &name) || value.p == NULL ||
            !str_ieq(str_trim(name), STR("Perms")))
            continue;
        value = str_trim(value);
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_from(value.p + 1, value.n - 2);
        out->has_perms = true;
        out->perms = value;
    }
}

/* names.c - what may be stored: values without what would break a line, names that are safe as
 * files' names. */
#include "admin/admin_int.h"

#define NAME_OCTETS_MAX ((size_t)128)

bool value_is_good(struct str s)
{
    return !str_has_control(s);
}

bool file_name_is_good(struct str s)
{
    return s.n > 0 && s.n <= NAME_OCTETS_MAX && s.p[0] != '.' && !str_has_control(s) &&
           !str_has_any(s, "/\\");
}

bool name_is_good(struct str s)
{
    return file_name_is_good(s) && !str_has_any(s, " \"@*?<>()[]:;,|") && s.p[0] != '#' &&
           s.p[s.n - 1] != '.';
}

/* admins.c - see admins.h. The table is read at each request: it is short, and a change counts
 * at once. */
#include "web/admins.h"
#include "conf/tab.h"

static const char *const names[] = { "none", "viewer", "admin", "owner" };

const char *admin_right_name(enum right right)
{
    return names[right];
}

enum right admin_right_parse(struct str text)
{
    for (size_t i = 1; i < ARRAY_LEN(names); i++)
        if (str_ieq(text, str_from_c(names[i])))
            return (enum right)i;
    return RIGHT_NONE;
}

bool admin_find(struct str name, struct arena *a, struct admin *out)
{
    struct tab tab;
    struct err e;
    if (name.n == 0 || name.n > ADMIN_NAME_MAX)
        return false;
    if (tab_read(ADMINS_TABLE, a, &tab, &e) != RC_OK) {
        log_error(EV("administrators can't be read"), KE(&e));
        return false;
    }
    for (size_t i = 0; i < tab.row_count; i++) {
        const struct tab_row *row = &tab.rows[i];
        if (!str_ieq(tab_value(row, 0), name))
            continue;
        *out = (struct admin){ .name = tab_value(row, 0),
                               .password = tab_value(row, 1),
                               .right = admin_right_parse(tab_value(row, 2)) };
        return out->password.n > 0 && out->right != RIGHT_NONE;
    }
    return false;
}

/* user_options.c - user.tab: the variables of one account. Names match without regard to case.
 */
#include "conf/options.h"

#define MEMBER(member) offsetof(struct user_options, member)
#define NONE SIZE_MAX /* kept, read by nobody here */

static const struct {
    struct user_row row;
    size_t offset;
} rows[] = {
#define USER_VAR(name, kind, offset, whose, fresh, en, ja)                                     \
    { { #name, USER_VAR_##kind, whose, fresh, en, ja }, offset },
#include "conf/user_options.def"
#undef USER_VAR
};

const struct user_row *user_options_row(size_t i)
{
    return i < ARRAY_LEN(rows) ? &rows[i].row : NULL;
}

static size_t find(struct str name)
{
    size_t i = 0;
    while (i < ARRAY_LEN(rows) && !str_ieq(name, str_from_c(rows[i].row.name)))
        i++;
    return i;
}

static void apply(struct user_options *out, size_t i, struct str text)
{
    void *m = (char *)out + rows[i].offset;
    uint64_t n = 0;
    if (rows[i].row.kind == USER_VAR_TEXT || rows[i].row.kind == USER_VAR_RIGHTS)
        *(struct str *)m = text;
    else if (!str_to_u64(str_trim(text), &n))
        return;
    else if (rows[i].row.kind == USER_VAR_THREE) /* 0, 1, 2; more is most */
        *(uint64_t *)m = MIN(n, UINT64_C(2));
    else if (rows[i].row.kind == USER_VAR_KB)
        *(uint64_t *)m = n;
    else
        *(bool *)m = n != 0;
    out->smtp_perms_set |= m == &out->smtp_perms;
    out->max_message_size_set |= m == &out->max_message_size;
}

void user_options_parse(const struct tab *tab, struct user_options *out)
{
    *out = (struct user_options){ .smtp_perms = STR(""),
                                  .receive_enable = true,
                                  .pop_enable = true,
                                  .use_reply_to = true,
                                  .real_name = STR(""),
                                  .list_sender = STR(""),
                                  .list_moderators = STR(""),
                                  .list_tag = STR("") };
    for (size_t k = 0; k < tab->row_count; k++) {
        size_t i = find(tab_value(&tab->rows[k], 0));
        if (i < ARRAY_LEN(rows) && rows[i].offset != SIZE_MAX && tab->rows[k].count >= 2)
            apply(out, i, tab_value(&tab->rows[k], 1));
    }
}

enum rc user_options_check(struct str name, struct str value, struct err *e)
{
    size_t i = find(name);
    uint64_t n = 0;
    if (i == ARRAY_LEN(rows))
        return err_perm(e, "5.3.0", "unknown variable %.*s", STR_ARG(name));
    enum user_var_kind kind = rows[i].row.kind;
    if (kind == USER_VAR_TEXT)
        return RC_OK;
    if (kind == USER_VAR_RIGHTS) {
        for (size_t k = 0; k < value.n; k++)
            if (str_find(STR("MRVSTZ"), ascii_upper(value.p[k])) == SIZE_MAX)
                return err_perm(e, "5.3.0", "%.*s has letters of MRVSTZ", STR_ARG(name));
        return RC_OK;
    }
    static const char *const wanted[] = { "0 or 1", "a number of kilobytes", "0, 1 or 2" };
    static const uint64_t most[] = { 1, UINT64_MAX, 2 };
    if (!str_to_u64(str_trim(value), &n) || n > most[kind])
        return err_perm(e, "5.3.0", "%.*s must be %s", STR_ARG(name), wanted[kind]);
    return RC_OK;
}

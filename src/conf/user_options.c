/* user_options.c - user.tab: the variables of one account. Names match without regard to case.
 */
#include "conf/options.h"

enum user_kind { USER_BOOL, USER_KB, USER_TEXT, USER_THREE };

/* clang-format off */
static const struct {
    const char *name;
    enum user_kind kind;
    size_t offset; /* SIZE_MAX: kept, read by nobody here */
} rows[] = {
    { "MaxMBSize",           USER_KB,   offsetof(struct user_options, max_mb_size) },
    { "MaxMessageSize",      USER_KB,   offsetof(struct user_options, max_message_size) },
    { "SmtpPerms",           USER_TEXT, offsetof(struct user_options, smtp_perms) },
    { "ReceiveEnable",       USER_BOOL, offsetof(struct user_options, receive_enable) },
    { "PopEnable",           USER_BOOL, offsetof(struct user_options, pop_enable) },
    { "DisableEmitAuthUser", USER_BOOL, offsetof(struct user_options, disable_emit_auth_user) },
    { "Pop3ScanCur",         USER_BOOL, offsetof(struct user_options, pop3_scan_cur) },
    { "RealName",            USER_TEXT, offsetof(struct user_options, real_name) },
    { "HomePage",            USER_TEXT, SIZE_MAX },
    { "Address",             USER_TEXT, SIZE_MAX },
    { "Telephone",           USER_TEXT, SIZE_MAX },
    { "ClosedML",            USER_BOOL, offsetof(struct user_options, closed_ml) },
    { "ListSender",          USER_TEXT, offsetof(struct user_options, list_sender) },
    { "UseReplyTo",          USER_BOOL, offsetof(struct user_options, use_reply_to) },
    { "ListModeration",      USER_THREE, offsetof(struct user_options, list_moderation) },
    { "ListFromRewrite",     USER_THREE, offsetof(struct user_options, list_from_rewrite) },
    { "ListModerators",      USER_TEXT, offsetof(struct user_options, list_moderators) },
};
/* clang-format on */

static size_t find(struct str name)
{
    size_t i = 0;
    while (i < ARRAY_LEN(rows) && !str_ieq(name, str_from_c(rows[i].name)))
        i++;
    return i;
}

static void apply(struct user_options *out, size_t i, struct str text)
{
    void *m = (char *)out + rows[i].offset;
    uint64_t n = 0;
    if (rows[i].kind == USER_TEXT)
        *(struct str *)m = text;
    else if (!str_to_u64(str_trim(text), &n))
        return;
    else if (rows[i].kind == USER_THREE) /* 0, 1, 2; more is most */
        *(uint64_t *)m = MIN(n, UINT64_C(2));
    else if (rows[i].kind == USER_KB)
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
                                  .list_moderators = STR("") };
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
    if (rows[i].kind == USER_TEXT)
        return RC_OK;
    static const char *const wanted[] = { "0 or 1", "a number of kilobytes", "", "0, 1 or 2" };
    static const uint64_t most[] = { 1, UINT64_MAX, 0, 2 };
    if (!str_to_u64(str_trim(value), &n) || n > most[rows[i].kind])
        return err_perm(e, "5.3.0", "%.*s must be %s", STR_ARG(name), wanted[rows[i].kind]);
    return RC_OK;
}

/* cmd_authority.c - ca*: the authority of our own. */
#include "control/control_int.h"
#include <limits.h>

enum admin_result ctrl_camake(struct ctrl *c, struct err *e)
{
    return admin_authority_make(ctrl_param(c, 1), c->parameters + 2, c->count - 2, e);
}

enum admin_result ctrl_calist(struct ctrl *c, struct err *e)
{
    struct arena *a = &c->line_mem;
    struct admin_issued *list = NULL;
    size_t count = 0;
    enum admin_result result = admin_authority_list(a, &list, &count, e);
    if (result != ADMIN_OK)
        return result;
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    for (size_t i = 0; i < count; i++) {
        const struct str row[] = { list[i].serial,
                                   list[i].kind,
                                   list[i].name,
                                   arena_printf(a, "%" PRId64, list[i].begun),
                                   arena_printf(a, "%" PRId64, list[i].ends),
                                   arena_printf(a, "%" PRId64, list[i].revoked) };
        ctrl_text_row(c, row, ARRAY_LEN(row));
    }
    return ADMIN_OK;
}

enum admin_result ctrl_caissue(struct ctrl *c, struct err *e)
{
    struct str file, line;
    uint64_t days = 0;
    if (!str_to_u64(ctrl_param(c, 2), &days) || days > UINT_MAX)
        return ADMIN_BAD_PARAMETER;
    enum admin_result result = admin_authority_issue(ctrl_param(c, 1), ctrl_param(c, 3),
                                                     (unsigned)days, &c->line_mem, &file, e);
    if (result != ADMIN_OK)
        return result;
    buf_init(&c->text, TAB_FILE_MAX);
    while (file.n > 0 && str_cut(&file, '\n', &line))
        ctrl_text_row(c, &line, 1);
    return ADMIN_OK;
}

enum admin_result ctrl_casign(struct ctrl *c, struct err *e)
{
    return admin_authority_sign(ctrl_param(c, 1), c->parameters + 2, c->count - 2, e);
}

enum admin_result ctrl_carevoke(struct ctrl *c, struct err *e)
{
    return admin_authority_revoke(ctrl_param(c, 1), e);
}

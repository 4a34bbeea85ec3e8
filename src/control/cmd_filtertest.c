/* cmd_filtertest.c - filtertest: a message through the filters, in a process of its own. */
#include "control/control_int.h"
#include "process/process.h"
#include "sys/file.h"
#include <jansson.h>

/* "" where a value isn't UTF-8. */
static json_t *text(struct str s)
{
    json_t *value = json_stringn(s.n == 0 ? "" : s.p, s.n);
    return value == NULL ? json_string("") : value;
}

static enum rc put_order(struct ctrl *c, struct err *e)
{
    json_t *to = json_array();
    for (size_t i = 5; i < c->count; i++)
        (void)json_array_append_new(to, text(ctrl_param(c, i)));
    json_t *order = json_pack("{s:o, s:o, s:o, s:o, s:o}", "from", text(ctrl_param(c, 1)),
                              "client", text(ctrl_param(c, 2)), "helo", text(ctrl_param(c, 3)),
                              "auth", text(ctrl_param(c, 4)), "to", to);
    char *content = json_dumps(order, JSON_COMPACT);
    json_decref(order);
    if (content == NULL)
        return err_temp(e, "4.3.1", "no memory for the order");
    enum rc rc = file_replace(FILTER_TEST_ORDER, str_from_c(content), 0640, e);
    free(content);
    return rc;
}

static enum admin_result take(struct ctrl *c, struct str content, struct err *e)
{
    if (file_exists(FILTER_TEST_ORDER))
        return ADMIN_TEST_BUSY;
    enum rc rc = folder_make(FILTER_TEST_FOLDER, 0770, e);
    if (rc == RC_OK)
        rc = file_remove(FILTER_TEST_RESULT, e);
    if (rc == RC_OK)
        rc = file_replace(FILTER_TEST_MESSAGE, content, 0640, e);
    if (rc == RC_OK)
        rc = put_order(c, e);
    return rc == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}

enum admin_result ctrl_filtertest(struct ctrl *c, struct err *e)
{
    (void)e;
    return file_exists(FILTER_TEST_ORDER) ? ADMIN_TEST_BUSY : ctrl_upload(c, STR(""), take);
}

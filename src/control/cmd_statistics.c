/* cmd_statistics.c - statistics: what the server counted, by hour or day. */
#include "control/control_int.h"
#include "history/history.h"

#define COUNT_EVERY (60 * USEC_S)
#define SPAN_HOURS ((int64_t)7 * 86400)
#define SPAN_DAYS ((int64_t)60 * 86400)

static const struct board *the_board; /* NULL: no server runs */

void control_settle_counts(const struct board *b)
{
    static usec_t next_at;
    the_board = b;
    if (clock_mono() < next_at)
        return;
    next_at = clock_mono() + COUNT_EVERY;
    history_count(b);
}

static void tell(void *ctx, int64_t begins, struct str name, int64_t n)
{
    struct ctrl *c = ctx;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    const struct str row[] = { arena_printf(&a, "%" PRId64, begins), name,
                               arena_printf(&a, "%" PRId64, n) };
    ctrl_text_row(c, row, ARRAY_LEN(row));
}

static bool time_of(const struct ctrl *c, size_t i, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    return ctrl_param(c, i).n == 0 || (str_to_i64(ctrl_param(c, i), out) && *out >= 0);
}

enum admin_result ctrl_statistics(struct ctrl *c, struct err *e)
{
    int64_t since = 0, until = 0;
    struct str step = ctrl_param(c, 1);
    bool days = str_eq(step, STR("day"));
    if ((!days && step.n > 0 && !str_eq(step, STR("hour"))) ||
        !time_of(c, 3, clock_wall() / USEC_S + 1, &until) ||
        !time_of(c, 2, MAX(until - (days ? SPAN_DAYS : SPAN_HOURS), 0), &since))
        return ADMIN_BAD_PARAMETER;
    if (the_board != NULL)
        history_count(the_board);
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    return history_counts(days, since, until, tell, c, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_OPEN;
}

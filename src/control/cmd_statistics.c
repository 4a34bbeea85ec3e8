/* cmd_statistics.c - statistics, figures, figurelist: what the server counted, by hour or day.
 */
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

void ctrl_count_now(void)
{
    if (the_board != NULL)
        history_count(the_board);
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

/* A piece of time as a command's parameters from `at` on say; what was counted until now is
 * known then. False: they are wrong. */
struct span {
    bool days;
    int64_t since, until;
};
static bool begin(struct ctrl *c, size_t at, struct span *out)
{
    struct str step = ctrl_param(c, at);
    out->days = str_eq(step, STR("day"));
    if ((!out->days && step.n > 0 && !str_eq(step, STR("hour"))) ||
        !time_of(c, at + 2, clock_wall() / USEC_S + 1, &out->until) ||
        !time_of(c, at + 1, MAX(out->until - (out->days ? SPAN_DAYS : SPAN_HOURS), 0),
                 &out->since))
        return false;
    ctrl_count_now();
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    return true;
}

enum admin_result ctrl_statistics(struct ctrl *c, struct err *e)
{
    struct span s;
    if (!begin(c, 1, &s))
        return ADMIN_BAD_PARAMETER;
    return history_counts(s.days, s.since, s.until, tell, c, e) == RC_OK ? ADMIN_OK
                                                                         : ADMIN_CANT_OPEN;
}

/* --- of domains --------------------------------------------------------------------------- */

static void tell_figures(void *ctx, int64_t begins, struct str domain, const int64_t n[FIGURES])
{
    (void)domain;
    for (size_t f = 0; f < FIGURES; f++)
        if (n[f] > 0)
            tell(ctx, begins, str_from_c(figure_names[f]), n[f]);
}

enum admin_result ctrl_figures(struct ctrl *c, struct err *e)
{
    struct span s;
    struct str domain;
    if (!users_domain_find(ctrl_param(c, 1), &c->line_mem, &domain))
        return ADMIN_NO_DOMAIN;
    if (!begin(c, 2, &s))
        return ADMIN_BAD_PARAMETER;
    return history_figures(domain, s.days, s.since, s.until, tell_figures, c, e) == RC_OK
               ? ADMIN_OK
               : ADMIN_CANT_OPEN;
}

static void tell_domain(void *ctx, int64_t begins, struct str domain, const int64_t n[FIGURES])
{
    struct ctrl *c = ctx;
    (void)begins;
    for (size_t f = 0; f < FIGURES && ctrl_delegate_sees(c, &domain, 1); f++) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        const struct str row[] = { domain, str_from_c(figure_names[f]),
                                   arena_printf(&a, "%" PRId64, n[f]) };
        if (n[f] > 0)
            ctrl_text_row(c, row, ARRAY_LEN(row));
    }
}

enum admin_result ctrl_figurelist(struct ctrl *c, struct err *e)
{
    struct span s;
    if (!begin(c, 1, &s))
        return ADMIN_BAD_PARAMETER;
    return history_figures(STR(""), s.days, s.since, s.until, tell_domain, c, e) == RC_OK
               ? ADMIN_OK
               : ADMIN_CANT_OPEN;
}

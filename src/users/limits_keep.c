/*
 * limits_keep.c - who is held, as text: one row each. Stopped accounts are kept so in a file,
 * that they are stopped when the server starts again.
 */
#include "conf/tab.h"
#include "sys/file.h"
#include "users/limits.h"

static const char kept_in[] = "hikyaku/stopped";

enum column { WHOM, WHO, WHAT, ACTION, DELAY, SINCE, UNTIL, COUNT, WINDOW, LINE, COLUMNS };

enum rc limits_print(const struct limit_held *h, const char *end, struct buf *out,
                     struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct str values[COLUMNS] = {
        [WHOM] = h->is_account ? STR("account") : STR("address"),
        [WHO] = str_from_c(h->who),
        [WHAT] = str_from_c(limit_what_name((enum limit_what)h->what)),
        [ACTION] = str_from_c(limit_action_name((enum limit_action)h->action)),
        [DELAY] = arena_printf(&a, "%u", h->delay_s),
        [SINCE] = arena_printf(&a, "%" PRId64, h->since / USEC_S),
        [UNTIL] = arena_printf(&a, "%" PRId64, h->until / USEC_S),
        [COUNT] = arena_printf(&a, "%u", h->count),
        [WINDOW] = arena_printf(&a, "%u", h->window_s),
        [LINE] = arena_printf(&a, "%u", h->line),
    };
    return tab_print_row(out, values, COLUMNS, end, e);
}

static bool name_of(struct str text, const char *(*name)(unsigned), unsigned count,
                    uint8_t *out)
{
    for (unsigned i = 0; i < count; i++)
        if (str_eq(text, str_from_c(name(i)))) {
            *out = (uint8_t)i;
            return true;
        }
    return false;
}

static const char *what_name(unsigned i)
{
    return limit_what_name((enum limit_what)i);
}

static const char *action_name(unsigned i)
{
    return limit_action_name((enum limit_action)i);
}

bool limits_parse(struct str line, struct limit_held *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str values[COLUMNS];
    struct err e;
    uint64_t numbers[COLUMNS] = { 0 };
    size_t count = 0;
    *out = (struct limit_held){ .settled = true };
    if (tab_parse_line(line, &a, values, COLUMNS, &count, &e) != RC_OK || count != COLUMNS)
        return false;
    for (unsigned i = DELAY; i < COLUMNS; i++)
        if (!str_to_u64(values[i], &numbers[i]) || numbers[i] > UINT32_MAX)
            return false;
    if (values[WHO].n == 0 || values[WHO].n >= LIMIT_WHO_BYTES ||
        !name_of(values[WHAT], what_name, LIMIT_BAD_LOGINS + 1, &out->what) ||
        !name_of(values[ACTION], action_name, LIMIT_STOP + 1, &out->action))
        return false;
    memcpy(out->who, values[WHO].p, values[WHO].n);
    out->is_account = str_eq(values[WHOM], STR("account"));
    out->delay_s = (uint16_t)numbers[DELAY];
    out->since = (usec_t)numbers[SINCE] * USEC_S;
    out->until = (usec_t)numbers[UNTIL] * USEC_S;
    out->count = (uint32_t)numbers[COUNT];
    out->window_s = (uint32_t)numbers[WINDOW];
    out->line = (uint32_t)numbers[LINE];
    return true;
}

static void add_stopped(void *ctx, const struct limit_held *held)
{
    struct err e;
    if (held->action == LIMIT_STOP && limits_print(held, "\n", ctx, &e) != RC_OK)
        log_error(EV("stopped account not kept"), KV("login", held->who), KE(&e));
}

enum rc limits_keep(struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, (size_t)1 << 20);
    limits_each(add_stopped, &text);
    return file_replace(kept_in, buf_str(&text), 0600, e);
}

void limits_recall(void)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str rest, line;
    struct limit_held held, known;
    struct err e;
    if (!file_exists(kept_in))
        return;
    if (file_read(kept_in, (size_t)1 << 20, &a, &rest, NULL, &e) != RC_OK) {
        log_error(EV("stopped accounts not known"), KE(&e));
        return;
    }
    while (rest.n > 0 && str_cut(&rest, '\n', &line)) {
        if (line.n == 0)
            continue;
        if (!limits_parse(line, &held) || held.action != LIMIT_STOP || !held.is_account)
            log_warn(EV("table line skipped"), KV("file", kept_in),
                     KV("reason", "not a stopped account"));
        else if (!limits_find_account(str_from_c(held.who), LIMIT_MESSAGES, &known) ||
                 known.action != LIMIT_STOP)
            (void)limits_hold(&held);
    }
}

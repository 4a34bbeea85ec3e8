/*
 * limits.c - who is over a limit (users/limits.h), for administrators: listed, let go, kept
 * over a restart when stopped, told to the postmaster where a line of limits.tab says "notify".
 */
#include "users/limits.h"
#include "conf/options.h"
#include "control/control_int.h"

#define LETTERS_MAX                                                                            \
    20u /* at once; then one in LETTER_EVERY: an attacker has many addresses                   \
         */
#define LETTER_EVERY (180 * USEC_S)

static void list_one(void *ctx, const struct limit_held *held)
{
    struct ctrl *c = ctx;
    struct err e;
    (void)!limits_print(held, "\r\n", &c->text, &e); /* it fits: there are 1024 at most */
}

enum admin_result ctrl_limitlist(struct ctrl *c, struct err *e)
{
    (void)e;
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    limits_each(list_one, c);
    return ADMIN_OK;
}

enum admin_result ctrl_limitrelease(struct ctrl *c, struct err *e)
{
    struct str who = ctrl_param(c, 1);
    if (limits_release(who) == 0)
        return ADMIN_NOT_HELD;
    log_info(EV("limit released"), KS("who", who));
    return limits_keep(e) == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}

/* Ours: an administrator stops an account, as a limit with "stop" would. */
enum admin_result ctrl_limitstop(struct ctrl *c, struct err *e)
{
    struct str who = ctrl_param(c, 1);
    struct limit_held held = { .since = clock_wall(),
                               .what = LIMIT_MESSAGES,
                               .action = LIMIT_STOP,
                               .is_account = true,
                               .settled = true };
    if (who.n == 0 || who.n >= LIMIT_WHO_BYTES || str_has_control(who))
        return ADMIN_BAD_PARAMETER;
    for (size_t i = 0; i < who.n; i++)
        held.who[i] = ascii_lower(who.p[i]);
    if (!limits_hold(&held))
        return ADMIN_CANT_WRITE;
    log_warn(EV("account stopped"), KS("login", who), KS("by", c->user));
    return limits_keep(e) == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}

/* --- letters ----------------------------------------------------------------------------- */

static bool may_write(usec_t now)
{
    static usec_t spent_until; /* the end of what has been written, at one in LETTER_EVERY */
    spent_until = MAX(spent_until, now - LETTERS_MAX * LETTER_EVERY) + LETTER_EVERY;
    if (spent_until <= now)
        return true;
    spent_until -= LETTER_EVERY;
    return false;
}

static enum rc print_text(const struct limit_held *h, struct buf *out)
{
    char since[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES];
    const char *what = limit_what_name((enum limit_what)h->what);
    const char *action = limit_action_name((enum limit_action)h->action);
    const char *from = clock_print(h->since, since);
    const char *to_time = h->until == 0 ? "-" : clock_print(h->until, until);
    if (options_report_in_japanese(conf()->root_domain))
        return buf_printf(
            out,
            "%s は %s の上限 (%u 秒に %u) に達しました (limits.tab の %u 行目)。\n"
            "処置: %s。期間: %s から %s まで (- は解除まで)。\n\n"
            "一覧: hikyaku limits\n解除: hikyaku limits release %s\n",
            h->who, what, h->window_s, h->count, h->line, action, from, to_time, h->who);
    return buf_printf(
        out,
        "%s has reached its limit of %s (in %u seconds: %u; line %u of limits.tab).\n"
        "What is done: %s, from %s until %s (-: until it is released).\n\n"
        "All of them: hikyaku limits\nTo let go: hikyaku limits release %s\n",
        h->who, what, h->window_s, h->count, h->line, action, from, to_time, h->who);
}

static void write_letter(const struct limit_held *h)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf text AUTO_RELEASE_BUF;
    struct err e = { .text = "" };
    struct str subject = arena_printf(&a, "Limit reached: %s", h->who);
    buf_init(&text, 8192);
    enum rc rc = print_text(h, &text);
    if (rc == RC_OK)
        rc = letter_write(letter_postmaster(&a), subject, buf_str(&text), &e);
    if (rc != RC_OK)
        log_error(EV("postmaster not told"), KV("about", h->who), KE(&e));
}

/* --- every second ------------------------------------------------------------------------ */

static void find_stopped(void *ctx, const struct limit_held *held)
{
    bool *any = ctx;
    *any = *any || (!held->settled && held->action == LIMIT_STOP);
}

static void settle(void *ctx, const struct limit_held *held)
{
    struct limit_held now = *held;
    (void)ctx;
    if (held->settled)
        return;
    if (held->notify && may_write(clock_mono()))
        write_letter(held);
    now.settled = true;
    (void)limits_hold(&now);
}

void control_settle_limits(void)
{
    static uint64_t seen;
    uint64_t changes = limits_changes();
    bool stopped = false;
    struct err e;
    if (changes == seen)
        return;
    limits_each(find_stopped, &stopped);
    if (stopped && limits_keep(&e) != RC_OK) {
        log_error(EV("stopped account not kept"), KE(&e));
        return; /* once more in a second */
    }
    seen = changes;
    limits_each(settle, NULL);
}

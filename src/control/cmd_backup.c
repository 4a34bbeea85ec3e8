/* cmd_backup.c - backuporder: backups and restores as a process of their own (backup/work.h),
 * and the one of each day. */
#include "backup/backup.h"
#include "backup/work.h"
#include "conf/options.h"
#include "control/control_int.h"
#include "sys/file.h"
#include <time.h>

#define DAILY_PATH "hikyaku/backup/daily" /* the day of the last one, "2026-11-27" */
#define LOOK_EVERY (2 * USEC_S)

static enum admin_result put_order(const struct str values[BACKUP_ORDER_VALUES], struct err *e)
{
    struct buf line AUTO_RELEASE_BUF;
    buf_init(&line, TAB_LINE_MAX);
    if (conf()->backup_folder.n == 0)
        return ADMIN_NO_BACKUP_FOLDER;
    if (file_exists(BACKUP_ORDER_PATH))
        return ADMIN_BACKUP_BUSY;
    if (tab_print_row(&line, values, BACKUP_ORDER_VALUES, "\n", e) != RC_OK)
        return ADMIN_BAD_PARAMETER;
    /* What is told about the work before isn't about this one. */
    if (!str_eq(values[0], STR("look")) && file_remove(BACKUP_STATE_PATH, e) != RC_OK)
        return ADMIN_CANT_WRITE;
    if (file_remove(BACKUP_STOP_PATH, e) != RC_OK)
        return ADMIN_CANT_WRITE;
    return file_replace(BACKUP_ORDER_PATH, buf_str(&line), 0600, e) == RC_OK ? ADMIN_OK
                                                                             : ADMIN_CANT_WRITE;
}

static enum admin_result order_stop(struct err *e)
{
    if (!file_exists(BACKUP_ORDER_PATH))
        return ADMIN_OK;
    enum rc rc = folder_make("hikyaku/backup", 0750, e);
    if (rc == RC_OK)
        rc = file_replace(BACKUP_STOP_PATH, STR(""), 0640, e);
    return rc == RC_OK ? ADMIN_OK : ADMIN_CANT_WRITE;
}

enum admin_result ctrl_backuporder(struct ctrl *c, struct err *e)
{
    static const struct {
        const char *act;
        size_t count; /* of parameters, with the command and this */
    } acts[] = { { "look", 2 }, { "make", 2 }, { "verify", 3 }, { "restore", 5 } };
    struct str act = ctrl_param(c, 1), place = ctrl_param(c, 4);
    struct backup_choice choice;
    const struct str values[BACKUP_ORDER_VALUES] = { act, ctrl_param(c, 2), ctrl_param(c, 3),
                                                     place, c->user };
    if (str_eq(act, STR("stop")) && c->count == 2)
        return order_stop(e);
    if (c->count == 5 && (!backup_choice_parse(values[2], &choice) ||
                          (!str_eq(place, STR("back")) && !str_eq(place, STR("aside")))))
        return ADMIN_BAD_PARAMETER;
    for (size_t i = 0; i < ARRAY_LEN(acts); i++)
        if (str_eq(act, str_from_c(acts[i].act)) && c->count == acts[i].count)
            return put_order(values, e);
    return ADMIN_BAD_PARAMETER;
}

/* --- each day ---------------------------------------------------------------------------- */

/* Today's is due: its time has come, and it wasn't begun yet. *day: today's date. */
static bool is_due(struct arena *a, struct str *day)
{
    unsigned minutes = 0;
    char text[16];
    struct tm tm;
    struct str done = STR("");
    time_t now = (time_t)(clock_wall() / USEC_S);
    if (conf()->backup_folder.n == 0 || !backup_time_parse(conf()->backup_time, &minutes))
        return false;
    (void)localtime_r(&now, &tm);
    (void)strftime(text, sizeof(text), "%Y-%m-%d", &tm);
    *day = arena_printf(a, "%s", text);
    return (unsigned)(tm.tm_hour * 60 + tm.tm_min) >= minutes &&
           (file_read(DAILY_PATH, 64, a, &done, NULL, NULL) != RC_OK || !str_eq(done, *day));
}

static enum rc print_failure(struct str state, struct str why, struct buf *out)
{
    if (options_report_in_japanese(conf()->root_domain))
        return buf_printf(out,
                          "今日のバックアップは完了しませんでした。\n状態: %.*s\n理由: %.*s\n\n"
                          "保存先: %.*s\n原因を取り除き、もう一度実行してください。\n",
                          STR_ARG(state), STR_ARG(why), STR_ARG(conf()->backup_folder));
    return buf_printf(out,
                      "The backup of today was not completed.\nState: %.*s\nReason: %.*s\n\n"
                      "Folder: %.*s\nMend the cause, and make one again.\n",
                      STR_ARG(state), STR_ARG(why), STR_ARG(conf()->backup_folder));
}

/* The postmaster hears when the backup of the day ended without being made. */
static void tell_end(void)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct buf text AUTO_RELEASE_BUF;
    struct tab tab = { .row_count = 0 };
    struct err e = { .text = "" };
    buf_init(&text, 8192);
    enum rc rc = tab_read(BACKUP_STATE_PATH, &a, &tab, &e);
    struct str state = backup_told(&tab, "state");
    if (rc == RC_OK && (str_eq(state, STR("done")) || str_eq(state, STR("stopped"))))
        return;
    if (rc == RC_OK)
        rc = print_failure(str_eq(state, STR("failed")) ? state : STR("interrupted"),
                           backup_told(&tab, "why"), &text);
    if (rc == RC_OK)
        rc = letter_write(letter_postmaster(&a), STR("Backup failed"), buf_str(&text), &e);
    if (rc != RC_OK)
        log_error(EV("postmaster not told"), KV("about", "backup"), KE(&e));
}

void control_settle_backup(void)
{
    static usec_t next_at;
    static bool awaited; /* the backup of the day is under way */
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str day;
    struct err e = { .text = "" };
    const struct str values[BACKUP_ORDER_VALUES] = { STR("make"), STR(""), STR(""), STR(""),
                                                     STR("") };
    if (clock_mono() < next_at)
        return;
    next_at = clock_mono() + LOOK_EVERY;
    if (file_exists(BACKUP_ORDER_PATH))
        return;
    if (awaited)
        tell_end();
    awaited = false;
    if (!is_due(&a, &day))
        return;
    /* Noted first: one that fails isn't tried again and again. */
    enum rc rc = folder_make("hikyaku/backup", 0750, &e);
    if (rc == RC_OK)
        rc = file_replace(DAILY_PATH, day, 0640, &e);
    awaited = rc == RC_OK && put_order(values, &e) == ADMIN_OK;
    if (!awaited)
        log_error(EV("backup of the day not ordered"), KE(&e));
}

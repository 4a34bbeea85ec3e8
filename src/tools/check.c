/*
 * check.c - `hikyaku check`: reads a whole MailRoot and says what is wrong, where, and what to
 * do. Reads only. It may run beside the server and on a MailRoot that no server has seen.
 */
#include "admin/admin.h"
#include "sys/file.h"
#include "tools/check_int.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include <stdarg.h>

static const char usage[] =
    "usage: hikyaku check [--mailroot DIR] [--json] [--repair]\n"
    "Reads the MailRoot (default: MAIL_ROOT, else /var/MailRoot) and reports every problem.\n"
    "--repair first completes what a crash interrupted and makes missing folders of accounts;\n"
    "no server may run then. Nothing is deleted.\n"
    "Ends with 0: nothing wrong, 1: warnings, 2: errors, 3: can't be read.\n";

static const char *const level_names[] = { "note", "warning", "error" };

/* --- findings ---------------------------------------------------------------------------- */

static void print_json(enum check_level level, const char *path, unsigned line,
                       const char *what, const char *advice)
{
    (void)printf("{\"level\":\"%s\",\"file\":\"", level_names[level]);
    tool_print_text(str_from_c(path), true);
    (void)printf("\",\"line\":%u,\"what\":\"", line);
    tool_print_text(str_from_c(what), true);
    (void)fputs("\",\"advice\":\"", stdout);
    tool_print_text(str_from_c(advice), true);
    (void)fputs("\"}\n", stdout);
}

static void print_plain(enum check_level level, const char *path, unsigned line,
                        const char *what, const char *advice)
{
    tool_print_text(str_from_c(path), false);
    if (line > 0)
        (void)printf(":%u", line);
    (void)printf(": %s: ", level_names[level]);
    tool_print_text(str_from_c(what), false);
    if (advice[0] != '\0') {
        (void)fputs("\n    ", stdout);
        tool_print_text(str_from_c(advice), false);
    }
    (void)putchar('\n');
}

void check_say(struct check *c, enum check_level level, const char *path, unsigned line,
               const char *advice, const char *fmt, ...)
{
    char what[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    c->counts[level]++;
    if (c->say != NULL)
        c->say(c->ctx, level, path, line, what, advice);
    else
        (c->json ? print_json : print_plain)(level, path, line, what, advice);
}

/* --- the command ------------------------------------------------------------------------- */

static bool read_arguments(int argc, char **argv, const char **mailroot, bool *json,
                           bool *repairs)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            *json = true;
        else if (strcmp(argv[i], "--repair") == 0)
            *repairs = true;
        else if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < argc)
            *mailroot = argv[++i];
        else
            return false;
    }
    return true;
}

/* The settings as a server would read them; the log would say twice what we report. */
bool check_enter(const char *mailroot)
{
    struct err e;
    log_set_level(LOG_LEVEL_ERROR);
    if (mailroot == NULL)
        mailroot = options_mailroot();
    if (chdir(mailroot) < 0) {
        (void)err_sys(&e, "enter %s", mailroot);
        (void)fprintf(stderr, "hikyaku check: %s\n", e.text);
        return false;
    }
    if (!file_exists("server.tab") && !file_exists("mailusers.tab") &&
        !folder_exists("domains")) {
        (void)fprintf(stderr, "hikyaku check: %s is no MailRoot: it has no server.tab\n",
                      mailroot);
        return false;
    }
    if (options_load(&e) == RC_OK)
        return true;
    (void)fprintf(stderr, "hikyaku check: %s\n", e.text);
    return false;
}

enum rc check_repair(bool json, struct err *e)
{
    struct users_report report;
    size_t made = 0;
    int lock = -1, index = -1;
    enum rc rc = tool_become_owner(e);
    if (rc == RC_OK)
        rc = folder_make("hikyaku", 0750, e);
    if (rc == RC_OK)
        rc = file_lock("hikyaku/lock", false, &lock, e);
    if (rc == RC_TEMP && strcmp(e->dsn, "4.2.0") == 0)
        return err_temp(e, "4.2.0", "a server runs on this MailRoot; stop it first");
    log_set_level(LOG_LEVEL_ERROR); /* the check names the problems */
    if (rc == RC_OK)
        rc = admin_build_index(&index, &report, e);
    if (rc == RC_OK)
        rc = admin_mend(e);
    if (rc == RC_OK)
        rc = admin_make_missing_folders(&made, e);
    if (rc == RC_OK)
        admin_settle();
    if (rc == RC_OK && !json)
        (void)printf("repaired: folders of %zu accounts made\n", made);
    io_close_at(&index);
    io_close_at(&lock);
    return rc;
}

void check_all(struct check *c)
{
    check_tables(c);
    check_accounts(c);
    check_programs(c);
    check_settings(c);
    check_access(c);
    check_files(c);
}

void check_release(struct check *c)
{
    map_release(&c->domains);
    map_release(&c->alias_domains);
    map_release(&c->accounts);
    map_release(&c->aliases);
    arena_release(&c->mem);
}

int check_finish(struct check *c)
{
    size_t notes = c->counts[CHECK_NOTE], warnings = c->counts[CHECK_WARNING],
           errors = c->counts[CHECK_ERROR];
    if (!c->json && notes + warnings + errors == 0)
        (void)printf("nothing wrong: %zu accounts in %zu domains\n", c->accounts.live,
                     c->domains.live);
    else if (!c->json)
        (void)printf("%zu errors, %zu warnings, %zu notes\n", errors, warnings, notes);
    check_release(c);
    return errors > 0 ? 2 : warnings > 0 ? 1 : 0;
}

int tool_check(int argc, char **argv)
{
    struct check c = { .json = false };
    const char *mailroot = NULL;
    bool repairs = false;
    struct err e;
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (!read_arguments(argc, argv, &mailroot, &c.json, &repairs)) {
        (void)fputs(usage, stderr);
        return 3;
    }
    if (!check_enter(mailroot))
        return 3;
    if (repairs && check_repair(c.json, &e) != RC_OK) {
        (void)fprintf(stderr, "hikyaku check: %s\n", e.text);
        return 3;
    }
    check_all(&c);
    return check_finish(&c);
}

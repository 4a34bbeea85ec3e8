/*
 * check.c - `hikyaku check`: reads a whole MailRoot and says what is wrong, where, and what to
 * do. Reads only. It may run beside the server and on a MailRoot that no server has seen.
 */
#include "sys/file.h"
#include "tools/check_int.h"
#include "tools/tools.h"
#include <stdarg.h>

static const char usage[] =
    "usage: hikyaku check [--mailroot DIR] [--json]\n"
    "Reads the MailRoot (default: MAIL_ROOT, else /var/MailRoot) and reports every problem.\n"
    "Ends with 0: nothing wrong, 1: warnings, 2: errors, 3: can't be read.\n";

static const char *const level_names[] = { "note", "warning", "error" };

/* --- findings -------------------------------------------------------------------------------
 */

/* Foreign text on one line: control characters and, for JSON, quotes are escaped. */
static void print_text(const char *text, bool json)
{
    bool utf8 = str_is_utf8(str_from_c(text));
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (json && (c == '"' || c == '\\'))
            (void)printf("\\%c", c);
        else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8))
            (void)printf(json ? "\\u%04x" : "\\x%02x", c);
        else
            (void)putchar(c);
    }
}

static void print_json(enum check_level level, const char *path, unsigned line,
                       const char *what, const char *advice)
{
    (void)printf("{\"level\":\"%s\",\"file\":\"", level_names[level]);
    print_text(path, true);
    (void)printf("\",\"line\":%u,\"what\":\"", line);
    print_text(what, true);
    (void)fputs("\",\"advice\":\"", stdout);
    print_text(advice, true);
    (void)fputs("\"}\n", stdout);
}

static void print_plain(enum check_level level, const char *path, unsigned line,
                        const char *what, const char *advice)
{
    print_text(path, false);
    if (line > 0)
        (void)printf(":%u", line);
    (void)printf(": %s: ", level_names[level]);
    print_text(what, false);
    if (advice[0] != '\0') {
        (void)fputs("\n    ", stdout);
        print_text(advice, false);
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
    (c->json ? print_json : print_plain)(level, path, line, what, advice);
}

/* --- the command ----------------------------------------------------------------------------
 */

static bool read_arguments(int argc, char **argv, const char **mailroot, bool *json)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            *json = true;
        else if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < argc)
            *mailroot = argv[++i];
        else
            return false;
    }
    return true;
}

/* The settings as a server would read them; the log would say twice what we report. */
static bool enter(const char *mailroot)
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

static int finish(struct check *c)
{
    size_t notes = c->counts[CHECK_NOTE], warnings = c->counts[CHECK_WARNING],
           errors = c->counts[CHECK_ERROR];
    if (!c->json && notes + warnings + errors == 0)
        (void)printf("nothing wrong: %zu accounts in %zu domains\n", c->accounts.live,
                     c->domains.live);
    else if (!c->json)
        (void)printf("%zu errors, %zu warnings, %zu notes\n", errors, warnings, notes);
    map_release(&c->domains);
    map_release(&c->alias_domains);
    map_release(&c->accounts);
    map_release(&c->aliases);
    arena_release(&c->mem);
    return errors > 0 ? 2 : warnings > 0 ? 1 : 0;
}

int tool_check(int argc, char **argv)
{
    struct check c = { .json = false };
    const char *mailroot = NULL;
    if (!read_arguments(argc, argv, &mailroot, &c.json)) {
        (void)fputs(usage, stderr);
        return 3;
    }
    if (!enter(mailroot))
        return 3;
    check_tables(&c);
    check_accounts(&c);
    check_settings(&c);
    check_access(&c);
    check_files(&c);
    return finish(&c);
}

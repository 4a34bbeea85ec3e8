/* check_programs.c - who runs what: filter tables, the files that they name, and the commands
 * of mailproc.tab, custdomains and cmdaliases. Part of `hikyaku check`. */
#include "process/process.h"
#include "tools/check_int.h"

static const char skipped[] = "the line is skipped; correct it";
static const char waits[] = "mail waits until it can be run";
static const char held[] = "mail that comes to this line waits; correct it";

/* A program that is named by its whole path. */
static void check_program(struct check *c, const char *path, const struct program_line *l,
                          const char *hint)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    if (l->words[0].n > 0 && l->words[0].p[0] == '/' &&
        str_find_str(l->words[0], STR("$(")) == SIZE_MAX &&
        !file_exists(arena_c(&a, l->words[0])))
        check_say(c, CHECK_ERROR, path, l->line, hint, "%.*s isn't there",
                  STR_ARG(l->words[0]));
}

static void check_filter_lines(struct check *c, const char *path)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    if (tab_read(path, &a, &tab, NULL) != RC_OK)
        return; /* check_tables says it; one below filters/ holds its mail up */
    for (size_t i = 0; i < tab.row_count; i++) {
        struct program_line l;
        const char *why = program_line_parse(&tab.rows[i], &l);
        if (why != NULL)
            check_say(c, CHECK_ERROR, path, tab.rows[i].line, skipped, "%s", why);
        else
            check_program(c, path, &l, waits);
    }
}

/* filters.in.tab, filters.out.tab; files: those that were looked at. */
static void check_selection(struct check *c, const char *path, struct map *files)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    if (tab_read(path, &a, &tab, NULL) != RC_OK)
        return;
    for (size_t i = 0; i < tab.row_count; i++) {
        struct str file =
            arena_printf(&c->mem, "filters/%.*s", STR_ARG(tab_value(&tab.rows[i], 4)));
        const char *why = filter_row_problem(&tab.rows[i]);
        if (why != NULL)
            check_say(c, CHECK_ERROR, path, tab.rows[i].line, skipped, "%s", why);
        else if (!file_exists(file.p))
            check_say(c, CHECK_ERROR, path, tab.rows[i].line, "mail for it waits",
                      "%.*s isn't there", STR_ARG(file));
        else if (map_put(files, file, c) == NULL)
            check_filter_lines(c, file.p);
    }
}

static void check_commands(void *ctx, const char *path)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct check *c = ctx;
    struct tab tab;
    if (tab_read(path, &a, &tab, NULL) != RC_OK)
        return;
    bool has_mailbox = proc_command_misfit(COMMAND_COPY, str_from_c(path)) == NULL;
    if (tab.row_count == 0)
        check_say(c, CHECK_NOTE, path, 0, "put lines into it, or remove it",
                  has_mailbox ? "it has no command, so mail goes into the mailbox"
                              : "it has no command, so mail is dropped");
    for (size_t i = 0; i < tab.row_count; i++) {
        struct proc_command command;
        const char *why = proc_command_parse(&tab.rows[i], &command);
        if (why == NULL)
            why = proc_command_misfit(command.kind, str_from_c(path));
        if (why != NULL)
            check_say(c, CHECK_ERROR, path, tab.rows[i].line, held, "%s", why);
        else if (command.kind == COMMAND_EXTERNAL || command.kind == COMMAND_FILTER)
            check_program(c, path, &command.program, waits);
    }
}

/* smtpextauth.tab, userauth/pop3. */
static void check_logins(void *ctx, const char *path)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct check *c = ctx;
    struct tab tab;
    program_parse_fn *parse = program_parser(str_from_c(path));
    if (parse == NULL || tab_read(path, &a, &tab, NULL) != RC_OK)
        return;
    for (size_t i = 0; i < tab.row_count; i++) {
        struct program_line l;
        const char *why = parse(&tab.rows[i], &l);
        if (why != NULL)
            check_say(c, CHECK_ERROR, path, tab.rows[i].line, skipped, "%s", why);
        else
            check_program(c, path, &l, "nobody can log in until it can be run");
    }
}

void check_programs(struct check *c)
{
    static const char *const sessions[] = { "filters.post-rcpt.tab", "filters.pre-data.tab",
                                            "filters.post-data.tab" };
    static const char *const commands[] = { "domains/x/mailproc.tab",
                                            "domains/x/x/mailproc.tab", "custdomains/x.tab",
                                            "cmdaliases/x/x.tab", "groups/x.tab" };
    static const char *const logins[] = { "smtpextauth.tab", "userauth/pop3/x.tab" };
    struct map files = { .fold = false };
    for (size_t i = 0; i < ARRAY_LEN(sessions); i++)
        check_filter_lines(c, sessions[i]);
    check_selection(c, "filters.in.tab", &files);
    check_selection(c, "filters.out.tab", &files);
    map_release(&files);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        tables_each_file(tables_row(str_from_c(commands[i])), check_commands, c);
    for (size_t i = 0; i < ARRAY_LEN(logins); i++)
        tables_each_file(tables_row(str_from_c(logins[i])), check_logins, c);
}

/* line.c - lines of tables that name programs and commands, and the tables they lie in. */
#include "mail/milter.h"
#include "process/process.h"

#define PERSIST_USUAL 4u
#define PERSIST_MOST 64u

static const char *parse_flag(struct str word, struct program_line *out)
{
    uint64_t n = 0;
    if (str_ieq(word, STR("aex")))
        out->not_for_logged_in = true;
    else if (str_ieq(word, STR("wlex")))
        out->not_for_white_listed = true;
    else if (str_istarts(word, STR("timeo=")) && str_to_u64(str_skip(word, 6), &n) && n > 0 &&
             n <= 86400)
        out->limit_s = (unsigned)n;
    else if (str_ieq(word, STR("persist")))
        out->kind = PROGRAM_STAYS;
    else if (str_istarts(word, STR("persist=")) && str_to_u64(str_skip(word, 8), &n) && n > 0 &&
             n <= PERSIST_MOST) {
        out->kind = PROGRAM_STAYS;
        out->most = (unsigned)n;
    } else if (str_ieq(word, STR("milter")))
        out->kind = PROGRAM_MILTER;
    else if (str_ieq(word, STR("http")))
        out->kind = PROGRAM_HOOK;
    else if (word.n > 0)
        return "a flag other than aex, wlex, timeo=SECONDS, persist, persist=PROCESSES, "
               "milter, "
               "http";
    return NULL;
}

uint64_t program_line_sum(const struct tab_row *row)
{
    uint64_t sum = 1;
    for (size_t i = 0; i < row->count; i++)
        sum = hash_text(row->values[i], false, sum + i);
    return sum;
}

uint64_t program_step(struct str table, uint64_t sum, unsigned nth)
{
    return hash_text(table, false, sum + nth) | 1;
}

static const char *check_place(const struct tab_row *row, size_t at, enum program_kind kind)
{
    struct milter_place place;
    struct hook_url url;
    if (kind == PROGRAM_MILTER)
        return milter_place_parse(tab_value(row, at), &place);
    if (kind != PROGRAM_HOOK)
        return NULL;
    const char *why = hook_url_parse(tab_value(row, at), &url);
    return why == NULL && tab_value(row, at + 1).n == 0 ? "no file of a secret" : why;
}

const char *program_line_parse(const struct tab_row *row, struct program_line *out)
{
    struct program_line l = { .line = row->line,
                              .sum = program_line_sum(row),
                              .most = PERSIST_USUAL };
    size_t from = 0;
    struct str first = tab_value(row, 0), word;
    if (str_starts(first, STR("!"))) {
        from = 1;
        for (struct str rest = str_skip(first, 1);
             rest.p != NULL && str_cut(&rest, ',', &word);) {
            const char *why = parse_flag(str_trim(word), &l);
            if (why != NULL)
                return why;
        }
    }
    if (row->count <= from || tab_value(row, from).n == 0)
        return "no command";
    const char *wrong = check_place(row, from, l.kind);
    if (wrong != NULL)
        return wrong;
    l.words = row->values + from;
    l.count = row->count - from;
    *out = l;
    return NULL;
}

/* --- commands ---------------------------------------------------------------------------- */

#define NO_WAIT_LIMIT_S 3600u /* of a program that nobody waits for */

static const struct {
    const char *name;
    enum command_kind kind;
    bool is_program, has_arguments;
} commands[] = {
    { "external", COMMAND_EXTERNAL, true, true },
    { "filter", COMMAND_FILTER, true, true },
    { "mailbox", COMMAND_MAILBOX, false, false },
    { "redirect", COMMAND_REDIRECT, false, true },
    { "lredirect", COMMAND_LREDIRECT, false, true },
    { "smtprelay", COMMAND_SMTPRELAY, false, true },
    { "smtp", COMMAND_SMTP, false, false },
    { "messageid", COMMAND_MESSAGEID, false, false },
    { "copy", COMMAND_COPY, false, true },
    { "notice", COMMAND_NOTICE, false, true },
    { "autoreply", COMMAND_AUTOREPLY, false, false },
};

static const char *parse_program(const struct tab_row *row, struct proc_command *c)
{
    int64_t priority = 0;
    uint64_t wait = 0;
    struct str sign = tab_value(row, 1);
    if (str_starts(sign, STR("+")))
        sign = str_skip(sign, 1);
    if (!str_to_i64(sign, &priority) || priority < -1 || priority > 1)
        return "priority isn't -1, 0 or 1";
    if (!str_to_u64(tab_value(row, 2), &wait) || wait > 86400)
        return "seconds to wait aren't 0 to 86400";
    if (tab_value(row, 3).n == 0)
        return "no program";
    if (str_starts(tab_value(row, 3), STR("!")))
        return "flags are for lines of filter tables";
    c->program.priority = (int)priority;
    c->program.limit_s = wait == 0 ? NO_WAIT_LIMIT_S : (unsigned)wait;
    c->waits = wait > 0 || c->kind == COMMAND_FILTER;
    if (wait == 0 && c->kind == COMMAND_FILTER)
        c->program.limit_s = 0;
    c->program.words = row->values + 3;
    c->program.count = row->count - 3;
    return NULL;
}

const char *proc_command_parse(const struct tab_row *row, struct proc_command *out)
{
    struct str name = tab_value(row, 0);
    struct proc_command c = { .program = { .line = row->line, .sum = program_line_sum(row) } };
    size_t i = 0;
    while (i < ARRAY_LEN(commands) && !str_ieq(name, str_from_c(commands[i].name)))
        i++;
    if (i == ARRAY_LEN(commands))
        return "not a command";
    c.kind = commands[i].kind;
    c.program.words = row->values + 1;
    c.program.count = row->count - 1;
    if (commands[i].has_arguments && tab_value(row, 1).n == 0)
        return "no argument";
    struct autoreply ignored;
    const char *why = commands[i].is_program        ? parse_program(row, &c)
                      : c.kind == COMMAND_AUTOREPLY ? autoreply_parse(&c.program, &ignored)
                                                    : NULL;
    if (why == NULL)
        *out = c;
    return why;
}

bool proc_command_goes_along(enum command_kind kind)
{
    return kind >= COMMAND_MESSAGEID;
}

const char *proc_command_misfit(enum command_kind kind, struct str table)
{
    bool is_group = str_starts(table, STR("groups/"));
    bool is_mailproc = str_starts(table, STR("domains/"));
    if (is_group)
        return proc_command_goes_along(kind) ? NULL : "not a command for a group";
    if ((kind == COMMAND_MAILBOX || proc_command_goes_along(kind)) && !is_mailproc)
        return "there is no mailbox here";
    if (kind == COMMAND_SMTP && is_mailproc)
        return "smtp is for custom domains and command aliases";
    return NULL;
}

/* --- tables ------------------------------------------------------------------------------ */

static const char *parse_proc_program(const struct tab_row *row, struct program_line *out)
{
    struct proc_command c;
    const char *why = proc_command_parse(row, &c);
    if (why == NULL && c.kind != COMMAND_EXTERNAL && c.kind != COMMAND_FILTER)
        return "not a program";
    if (why == NULL)
        *out = c.program;
    return why;
}

/* `*` is one name; `**` one or more. */
static const struct {
    const char *path;
    program_parse_fn *parse;
} tables[] = {
    { "filters.post-rcpt.tab", program_line_parse },
    { "filters.pre-data.tab", program_line_parse },
    { "filters.post-data.tab", program_line_parse },
    { "acmedns.tab", program_line_parse },
    { "filters/**", program_line_parse },
    { "domains/*/mailproc.tab", parse_proc_program },
    { "domains/*/*/mailproc.tab", parse_proc_program },
    { "custdomains/*", parse_proc_program },
    { "cmdaliases/*/*", parse_proc_program },
    { "userauth/pop3/*", userauth_line_parse },
    { "smtpextauth.tab", extauth_line_parse },
};

static bool path_matches(struct str path, struct str pattern)
{
    struct str name, word;
    while (str_cut(&pattern, '/', &word)) {
        if (path.p == NULL || !str_cut(&path, '/', &name) || name.n == 0 ||
            str_eq(name, STR(".")) || str_eq(name, STR("..")))
            return false;
        if (!str_eq(word, STR("*")) && !str_eq(word, STR("**")) && !str_eq(word, name))
            return false;
        while (str_eq(word, STR("**")) && path.p != NULL && str_cut(&path, '/', &name))
            if (name.n == 0 || str_eq(name, STR(".")) || str_eq(name, STR("..")))
                return false;
        if (pattern.p == NULL)
            break;
    }
    return path.p == NULL;
}

static program_parse_fn *form_of(struct str path)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        if (path_matches(path, str_from_c(tables[i].path)))
            return tables[i].parse;
    return NULL;
}

bool program_table_is_good(struct str path)
{
    return form_of(path) != NULL;
}

program_parse_fn *program_parser(struct str table)
{
    program_parse_fn *parse = form_of(table);
    return parse == parse_proc_program ? NULL : parse;
}

enum rc program_find(struct str table, uint64_t line, uint64_t sum, struct arena *a,
                     struct program_line *out, struct err *e)
{
    struct tab tab;
    program_parse_fn *parse = form_of(table);
    if (parse == NULL)
        return err_perm(e, "5.3.0", "%.*s holds no programs", STR_ARG(table));
    enum rc rc = tab_read(arena_c(a, table), a, &tab, e);
    for (size_t i = 0; rc == RC_OK && i < tab.row_count; i++) {
        struct program_line l;
        if (tab.rows[i].line != line || parse(&tab.rows[i], &l) != NULL || l.sum != sum)
            continue;
        *out = l;
        return RC_OK;
    }
    return rc == RC_OK ? err_temp(e, "4.3.0", "the line isn't there any more") : rc;
}

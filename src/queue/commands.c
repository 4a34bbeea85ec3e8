/*
 * commands.c - mailproc.tab, custdomains/NAME.tab and cmdaliases/DOMAIN/USER.tab: their
 * commands for one recipient, one after the other (specification 3, section 4). What is done is
 * recorded before the next one begins, so neither a retry nor a crash repeats it.
 */
#include "queue/processing.h"

#define EXIT_STOP 16u /* of an external program: what is behind it isn't done */

struct plan {
    struct step *steps;
    size_t count, room;
    uint64_t stop_step;
};

/* Adds the lines of one table. What can't be understood holds the message up. */
static void read_table(struct subject *s, struct str table, struct plan *p)
{
    struct tab tab = { .row_count = 0 };
    struct err e = { .rc = RC_OK };
    size_t first = p->count;
    if (tab_read(table.p, &s->mem, &tab, &e) != RC_OK) {
        subject_failed(s, table, str_from_c(e.text));
        return;
    }
    struct step *steps = arena_new_array(&s->mem, struct step, first + tab.row_count + 1);
    if (first > 0)
        memcpy(steps, p->steps, first * sizeof(*steps));
    p->steps = steps;
    if (tab.problem_count > 0)
        subject_failed(s, table, STR("it has lines that can't be read"));
    for (size_t i = 0; i < tab.row_count && s->fate == FATE_NONE; i++) {
        struct step *step = &steps[p->count];
        const char *why = proc_command_parse(&tab.rows[i], &step->command);
        unsigned nth = 0;
        if (why == NULL)
            why = proc_command_misfit(step->command.kind, table);
        if (why != NULL) {
            subject_failed(
                s, arena_printf(&s->mem, "%.*s line %u", STR_ARG(table), tab.rows[i].line),
                str_from_c(why));
            continue;
        }
        for (size_t k = first; k < p->count; k++)
            nth += steps[k].command.program.sum == step->command.program.sum;
        step->table = table;
        step->number = program_step(table, step->command.program.sum, nth);
        p->count++;
    }
}

/* --- commands ------------------------------------------------------------------------------
 */

static void into_mailbox(struct subject *s, uint64_t step, bool last)
{
    struct err e = { .rc = RC_OK };
    enum rc rc = deliver_local(s->entry, s->i, last, &e);
    if (rc != RC_OK) {
        subject_end(s, rc == RC_PERM ? OUTCOME_PERM : OUTCOME_TEMP, e.dsn, str_from_c(e.text));
        return;
    }
    s->delivered = true;
    work_record(s->entry, s->i, "LOCAL", STR(""));
    if (!last)
        (void)subject_note(s, step, false);
}

/* True: stop here. */
static bool run_external(struct subject *s, const struct step *step, uint64_t stop_step)
{
    const struct proc_command *c = &step->command;
    const struct program_order o = { .table = step->table,
                                     .line = &c->program,
                                     .type = STR("external") };
    struct str text;
    uint64_t code = subject_run(s, &o, c->waits, &text);
    if (code == PROGRAM_STOPPED) {
        s->fate = FATE_STOPPED;
        return true;
    }
    if (code > PROGRAM_CODE_MAX) {
        subject_failed(
            s, arena_printf(&s->mem, "%.*s line %u", STR_ARG(step->table), c->program.line),
            text);
        return false;
    }
    work_record(s->entry, s->i, "EXTRN", STR(""));
    bool stop = code == EXIT_STOP;
    return subject_note(s, stop ? stop_step : step->number, true) && stop;
}

/* "user@domain", or a domain alone, where the user stays the same. */
static bool parse_target(const struct subject *s, struct str word, struct arena *a,
                         struct address *out)
{
    unsigned rules = ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8;
    if (str_find(word, '@') != SIZE_MAX)
        return address_parse(word, rules, a, out, NULL) == RC_OK;
    const struct address here = { .local = s->recipient.local, .domain = word };
    return address_parse(address_print(&here, a), rules, a, out, NULL) == RC_OK;
}

bool step_addresses(struct subject *s, const struct step *step, struct address **out,
                    size_t *out_count)
{
    const struct program_line *line = &step->command.program;
    struct address *to = arena_new_array(&s->mem, struct address, line->count + 1);
    size_t count = 0;
    for (size_t i = 0; i < line->count; i++) {
        if (line->words[i].n == 0 || parse_target(s, line->words[i], &s->mem, &to[count])) {
            count += line->words[i].n > 0;
            continue;
        }
        subject_failed(s,
                       arena_printf(&s->mem, "%.*s line %u", STR_ARG(step->table), line->line),
                       STR("not an address"));
        return false;
    }
    *out = to;
    *out_count = count;
    return true;
}

void step_made(struct subject *s, const struct step *step, const char *medium, enum rc rc,
               const struct err *e)
{
    if (rc != RC_OK) {
        subject_end(s, rc == RC_PERM ? OUTCOME_PERM : OUTCOME_TEMP, e->dsn,
                    str_from_c(e->text));
        return;
    }
    work_record(s->entry, s->i, medium, STR(""));
    if (subject_note(s, step->number, true))
        s->notify(s->ctx, part_id(s, step->number, &s->mem));
}

static void redirect(struct subject *s, const struct step *step)
{
    bool as_local = step->command.kind == COMMAND_LREDIRECT;
    struct err e = { .rc = RC_OK };
    struct address *to = NULL;
    size_t count = 0;
    if (!step_addresses(s, step, &to, &count))
        return;
    enum rc rc = part_redirect(s, step->number, to, count,
                               as_local ? PART_OF_RECIPIENT : PART_OF_SENDER, &e);
    step_made(s, step, as_local ? "LREDIR" : "REDIR", rc, &e);
}

static void relay(struct subject *s, const struct step *step)
{
    const struct program_line *line = &step->command.program;
    bool plain = step->command.kind == COMMAND_SMTP;
    struct err e = { .rc = RC_OK };
    struct str via = STR(SPOOL_VIA_DOMAIN);
    for (size_t i = 0; i < line->count && !plain; i++)
        via = i == 0
                  ? line->words[i]
                  : arena_printf(&s->mem, "%.*s;%.*s", STR_ARG(via), STR_ARG(line->words[i]));
    enum rc rc = part_relay(s, step->number, via, &e);
    step_made(s, step, plain ? "SMTP" : "RLYS", rc, &e);
}

/* True: stop here. */
static bool run_step(struct subject *s, const struct step *step, uint64_t stop_step, bool last)
{
    switch (step->command.kind) {
    case COMMAND_EXTERNAL:
        return run_external(s, step, stop_step);
    case COMMAND_FILTER: {
        const struct program_order o = { .table = step->table,
                                         .line = &step->command.program,
                                         .type = STR("filter") };
        return subject_run_filter(s, &o, step->number, stop_step);
    }
    case COMMAND_MAILBOX:
        into_mailbox(s, step->number, last);
        return false;
    case COMMAND_REDIRECT:
    case COMMAND_LREDIRECT:
        redirect(s, step);
        return false;
    case COMMAND_SMTPRELAY:
    case COMMAND_SMTP:
        relay(s, step);
        return false;
    case COMMAND_MESSAGEID:
    case COMMAND_COPY:
    case COMMAND_NOTICE:
    case COMMAND_AUTOREPLY:
        step_go_along(s, step);
        return false;
    }
    BUG("kind of command");
}

/* Before what becomes of the mail: what changes it; after that: what goes along. */
static int rank(const struct step *step)
{
    if (step->command.kind == COMMAND_MESSAGEID)
        return 0;
    return proc_command_goes_along(step->command.kind) ? 2 : 1;
}

/* Puts the steps in their order. Where none says what becomes of the mail, its mailbox does. */
static void arrange(struct subject *s, struct plan *p)
{
    struct step *sorted = arena_new_array(&s->mem, struct step, p->count + 1);
    size_t n = 0, of_rank = 0;
    for (int r = 0; r <= 2; r++) {
        for (size_t i = of_rank = 0; i < p->count; i++) {
            if (rank(&p->steps[i]) != r)
                continue;
            sorted[n++] = p->steps[i];
            of_rank++;
        }
        if (r == 1 && of_rank == 0)
            sorted[n++] = (struct step){ .command = { .kind = COMMAND_MAILBOX },
                                         .number = program_step(STR("mailbox"), 0, 0) };
    }
    p->steps = sorted;
    p->count = n;
}

void subject_command(struct subject *s, const struct str *tables, size_t count)
{
    struct plan p = { .stop_step = program_step(STR("commands"), 0, 0) };
    bool is_account = s->who.kind == RECIPIENT_ACCOUNT;
    for (size_t i = 0; i < count && s->fate == FATE_NONE; i++)
        read_table(s, tables[i], &p);
    if (s->fate == FATE_NONE && is_account)
        arrange(s, &p);
    if (s->fate == FATE_NONE && p.count == 0 && !is_account)
        subject_end(s, OUTCOME_DROPPED, "2.0.0", STR("there are no commands for it"));
    bool stop = spool_step_is_done(s->entry, s->i, p.stop_step);
    for (size_t i = 0; i < p.count; i++)
        if (p.steps[i].command.kind == COMMAND_MAILBOX &&
            spool_step_is_done(s->entry, s->i, p.steps[i].number))
            s->delivered = true;
    for (size_t i = 0; i < p.count && s->fate == FATE_NONE && !stop; i++)
        if (!spool_step_is_done(s->entry, s->i, p.steps[i].number))
            stop = run_step(s, &p.steps[i], p.stop_step, i + 1 == p.count);
    if (s->fate != FATE_NONE)
        return;
    if (s->delivered)
        subject_end(s, OUTCOME_SENT, "2.0.0", STR(""));
    else
        subject_end(s, OUTCOME_PASSED, "2.0.0", STR("processed"));
}

/*
 * filter.c - programs that decide about a message for one recipient: those that filters.in.tab
 * and filters.out.tab name, and the filters among commands (specification 3, section 2).
 */
#include "queue/processing.h"
#include "sys/file.h"

/* --- verdicts ------------------------------------------------------------------------------
 */

void subject_end(struct subject *s, enum queue_outcome outcome, const char *status,
                 struct str text)
{
    const struct reason why = { str_from_c(status), STR(""), text };
    s->fate = FATE_OUTCOME;
    s->outcome = outcome;
    s->reason = reason_print(&why, &s->mem);
}

void subject_failed(struct subject *s, struct str what, struct str why)
{
    bool passes = str_ieq(conf()->filter_failure, STR("pass"));
    log_warn(EV(passes ? "program passed over" : "program holds the message up"),
             KS("id", s->entry->id),
             KS("rcpt", address_print(&s->entry->env.recipients[s->i].address, &s->mem)),
             KS("program", what), KS("reason", why));
    if (!passes)
        subject_end(s, OUTCOME_TEMP, "4.3.0",
                    arena_printf(&s->mem, "%.*s: %.*s", STR_ARG(what), STR_ARG(why)));
}

bool subject_note(struct subject *s, uint64_t step, bool sync)
{
    struct err e = { .rc = RC_OK };
    enum rc rc = spool_record_step(s->entry, s->i, step, &e);
    if (rc == RC_OK && sync)
        rc = spool_record_sync(s->entry, &e);
    if (rc == RC_OK)
        return true;
    work_journal_failed(s->entry, &e);
    subject_end(s, OUTCOME_TEMP, "4.3.0", STR("what was done can't be recorded"));
    return false;
}

/* --- running -------------------------------------------------------------------------------
 */

/* What the program gets to see; the files that it is given. */
static enum rc prepare(struct subject *s, struct program_order *o, bool waits,
                       struct str files[2], struct err *e)
{
    enum rc rc = RC_OK;
    files[0] = files[1] = STR("");
    if (o->line->kind != PROGRAM_RUNS || macros_are_used(o->line, STR("FILE")))
        rc = waits ? view_write(s, e) : view_copy(s, &files[0], e);
    if (rc == RC_OK && macros_are_used(o->line, STR("TMPFILE")))
        rc = view_copy(s, &files[1], e);
    return rc == RC_OK
               ? view_macros(s, waits ? s->view.path : files[0], files[1], &o->macros, e)
               : rc;
}

uint64_t subject_run(struct subject *s, const struct program_order *order, bool waits,
                     struct str *out_text)
{
    struct program_order o = *order;
    struct str files[2];
    struct err e = { .rc = RC_OK };
    uint64_t code = PROGRAM_FAILED;
    bool kept = false;
    o.about = s->entry->id;
    *out_text = STR("the runner role takes nothing now");
    if (prepare(s, &o, waits, files, &e) != RC_OK) {
        *out_text = arena_str(&s->mem, str_from_c(e.text));
    } else if (waits) {
        code = program_run(&o, &s->mem, out_text);
    } else if (program_leave(&o, files, ARRAY_LEN(files))) {
        code = 0;
        kept = true;
    }
    for (size_t i = 0; i < ARRAY_LEN(files) && !kept; i++)
        if (files[i].n > 0)
            (void)io_unlink(files[i].p);
    return code;
}

/* --- filters -------------------------------------------------------------------------------
 */

static struct str name_of(struct subject *s, const struct program_order *o)
{
    return arena_printf(&s->mem, "%.*s line %u", STR_ARG(o->table), o->line->line);
}

void subject_go_on_as(struct subject *s, struct str id)
{
    subject_end(s, OUTCOME_PASSED, "2.0.0",
                arena_printf(&s->mem, "%s%.*s", QUEUE_GOES_ON_AS, STR_ARG(id)));
}

static void take_change(struct subject *s, const struct program_order *o, uint64_t step,
                        uint64_t stop_step, bool last)
{
    struct err e = { .rc = RC_OK };
    struct str id = STR("");
    if (part_changed(s, step, &stop_step, last ? 1 : 0, &id, &e) == RC_OK)
        subject_go_on_as(s, id);
    else
        subject_failed(s, name_of(s, o), str_from_c(e.text));
}

static void refuse(struct subject *s, enum queue_outcome outcome)
{
    struct str text = view_rejection(s);
    subject_end(s, outcome, "5.7.1", text.n > 0 ? text : STR("refused by a filter"));
    work_record(s->entry, s->i, "FILTER", s->reason);
}

bool subject_run_filter(struct subject *s, const struct program_order *o, uint64_t step,
                        uint64_t stop_step)
{
    struct str text, id = part_id(s, step, &s->mem);
    if (spool_exists(id)) { /* a crash came before this entry said so */
        subject_go_on_as(s, id);
        return true;
    }
    uint64_t code = subject_run(s, o, true, &text);
    bool last = false;
    if (code == PROGRAM_STOPPED) {
        s->fate = FATE_STOPPED;
        return true;
    }
    switch (filter_verdict(code, true, &last)) {
    case VERDICT_DISCARD:
    case VERDICT_DROP:
        refuse(s, OUTCOME_DROPPED);
        break;
    case VERDICT_REFUSE_SILENTLY:
        refuse(s, OUTCOME_REFUSED);
        break;
    case VERDICT_REFUSE:
        refuse(s, OUTCOME_PERM);
        break;
    case VERDICT_CHANGED:
        take_change(s, o, step, stop_step, last);
        break;
    case VERDICT_DEFER:
        subject_end(s, OUTCOME_TEMP, "4.7.1", text);
        break;
    case VERDICT_NONE:
        subject_failed(s, name_of(s, o), text);
        break;
    case VERDICT_GO_ON:
        last = subject_note(s, last ? stop_step : step, false) && last;
        break;
    }
    return last;
}

/* How often the same line stands before row `at`. */
static unsigned same_before(const uint64_t *sums, size_t at)
{
    unsigned n = 0;
    for (size_t i = 0; i < at; i++)
        n += sums[i] == sums[at];
    return n;
}

/* The lines of one file. False: the others don't count. */
static bool run_file(struct subject *s, struct str file, const char *type, uint64_t stop_step)
{
    struct tab tab;
    struct err e = { .rc = RC_OK };
    bool logged_in = s->entry->env.auth_user.n > 0, last = false;
    if (!file_exists(file.p)) {
        subject_failed(s, file, STR("it isn't there"));
        return true;
    }
    if (tab_read(file.p, &s->mem, &tab, &e) != RC_OK) {
        subject_failed(s, file, str_from_c(e.text));
        return true;
    }
    uint64_t *sums = arena_new_array(&s->mem, uint64_t, tab.row_count + 1);
    for (size_t i = 0; i < tab.row_count && s->fate == FATE_NONE && !last; i++) {
        struct program_line line = { .sum = 0 };
        const char *why = program_line_parse(&tab.rows[i], &line);
        if (why != NULL)
            tab_say_skipped(file.p, tab.rows[i].line, str_from_c(why));
        sums[i] = line.sum;
        uint64_t step = program_step(file, line.sum, same_before(sums, i));
        if (why != NULL || (line.not_for_logged_in && logged_in) ||
            spool_step_is_done(s->entry, s->i, step))
            continue;
        const struct program_order o = { .table = file,
                                         .line = &line,
                                         .type = str_from_c(type) };
        last = subject_run_filter(s, &o, step, stop_step);
    }
    return !last;
}

void subject_filter(struct subject *s, enum filter_way way)
{
    static const struct {
        const char *table, *type;
    } ways[FILTER_WAYS] = { { "filters.in.tab", "in" }, { "filters.out.tab", "out" } };
    struct filter_choice choice;
    const struct envelope *env = &s->entry->env;
    const struct filter_subject about = { address_print_bare(&s->sender, &s->mem),
                                          address_print_bare(&s->recipient, &s->mem),
                                          env->client, env->server };
    uint64_t stop_step = program_step(str_from_c(ways[way].table), 0, 0);
    if (!filters_are_listed(way) || !filters_select(way, &about, &s->mem, &choice))
        return;
    if (choice.uncertain)
        subject_failed(s, str_from_c(ways[way].table), STR("it can't be read now"));
    bool more = !spool_step_is_done(s->entry, s->i, stop_step);
    for (size_t i = 0; i < choice.count && more && s->fate == FATE_NONE; i++)
        more = run_file(s, choice.files[i], ways[way].type, stop_step);
}

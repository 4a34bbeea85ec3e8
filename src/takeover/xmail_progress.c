/*
 * xmail_progress.c - how far the commands for a recipient got: mprc and cust hold the lines
 * that are left of mailproc.tab, or of a custom domain's file; an entry of ours knows the steps
 * that are done. Called by spool_take.c and spool_give.c.
 */
#include "process/process.h"
#include "takeover/xmail_int.h"
#include "users/users.h"

/* The commands for a recipient, as the queue would carry them out. */
struct commands {
    struct recipient who;
    const struct tab_row **rows;
    uint64_t *steps;
    size_t *tables; /* which table each is from */
    size_t count, table_count;
};

static bool find_commands(const struct address *to, struct arena *a, struct commands *out)
{
    struct str paths[USERS_COMMAND_TABLES];
    struct tab tabs[USERS_COMMAND_TABLES];
    struct commands c = { .count = 0 };
    size_t rows = 0;
    if (users_resolve(to, a, &c.who, NULL) != RC_OK)
        return false;
    c.table_count = users_command_tables(&c.who, a, paths);
    for (size_t t = 0; t < c.table_count; t++) {
        if (tab_read(paths[t].p, a, &tabs[t], NULL) != RC_OK || tabs[t].problem_count > 0)
            return false;
        rows += tabs[t].row_count;
    }
    c.rows = arena_new_array(a, const struct tab_row *, rows + 1);
    c.steps = arena_new_array(a, uint64_t, rows + 1);
    c.tables = arena_new_array(a, size_t, rows + 1);
    for (size_t t = 0; t < c.table_count; t++) {
        for (size_t i = 0; i < tabs[t].row_count; i++) {
            const struct tab_row *row = &tabs[t].rows[i];
            unsigned nth = 0;
            for (size_t k = 0; k < i; k++)
                nth += program_line_sum(&tabs[t].rows[k]) == program_line_sum(row);
            c.rows[c.count] = row;
            c.tables[c.count] = t;
            c.steps[c.count++] = program_step(paths[t], program_line_sum(row), nth);
        }
    }
    *out = c;
    return true;
}

/* --- XMail's, here ----------------------------------------------------------------------- */

/* Can the lines all be of the first of two tables? Then it isn't known whether those of the
 * second were to follow. */
static bool is_ambiguous(const struct commands *c, const struct tab *left)
{
    size_t found = 0;
    for (size_t i = 0; i < c->count && c->tables[i] == 0; i++)
        found += found < left->row_count &&
                 program_line_sum(c->rows[i]) == program_line_sum(&left->rows[found]);
    return found == left->row_count && c->tables[c->count - 1] > 0;
}

enum xmail_progress xmail_progress_read(struct str left, const struct address *to,
                                        struct arena *a, const uint64_t **out_steps,
                                        size_t *out_count)
{
    struct commands c;
    struct tab tab;
    if (tab_read_str("mprc", left, a, &tab, NULL) != RC_OK || tab.problem_count > 0 ||
        !find_commands(to, a, &c))
        return XMAIL_PROGRESS_UNKNOWN;
    if (tab.row_count == c.count) {
        bool same = true;
        for (size_t i = 0; i < c.count; i++)
            same = same && program_line_sum(c.rows[i]) == program_line_sum(&tab.rows[i]);
        if (same)
            return XMAIL_PROGRESS_NONE;
    }
    /* What is missing was done. From the end: of two lines alike the first is done first. */
    size_t rest = tab.row_count, n = 0;
    uint64_t *steps = arena_new_array(a, uint64_t, c.count + 1);
    steps[n++] = program_step(STR("filters.in.tab"), 0, 0);
    for (size_t i = c.count; i > 0; i--) {
        bool is_left = rest > 0 &&
                       program_line_sum(c.rows[i - 1]) == program_line_sum(&tab.rows[rest - 1]);
        rest -= is_left;
        if (!is_left)
            steps[n++] = c.steps[i - 1];
    }
    if (rest > 0 || tab.row_count == 0 || is_ambiguous(&c, &tab))
        return XMAIL_PROGRESS_UNKNOWN;
    *out_steps = steps;
    *out_count = n;
    return XMAIL_PROGRESS_WITHIN;
}

/* --- ours, there ------------------------------------------------------------------------- */

static enum rc print_left(const struct spool_entry *entry, size_t i, const struct commands *c,
                          struct buf *out)
{
    struct err e;
    enum rc rc = RC_OK;
    for (size_t k = 0; k < c->count && rc == RC_OK; k++)
        if (!spool_step_is_done(entry, i, c->steps[k]))
            rc = tab_print_row(out, c->rows[k]->values, c->rows[k]->count, "\r\n", &e);
    return rc;
}

const char *xmail_progress_print(const struct spool_entry *entry, size_t i, struct arena *a,
                                 const char **out_part, struct buf *out)
{
    struct commands c;
    struct str via = entry->via.n > 0 ? entry->via : entry->env.via;
    bool begun = false, to_domain = str_eq(via, STR(SPOOL_VIA_DOMAIN));
    if (via.n > 0 && !to_domain)
        return arena_printf(a, "it was to be handed to %.*s", STR_ARG(via)).p;
    if (entry->steps[i] == NULL && via.n == 0)
        return NULL;
    if (!find_commands(&entry->env.recipients[i].resolved, a, &c))
        return "what its commands are can't be told now";
    bool is_custom = c.who.kind == RECIPIENT_CUSTDOMAIN;
    if (to_domain && !is_custom)
        return c.who.kind == RECIPIENT_REMOTE ? NULL
                                              : "it was to be sent to its domain's servers";
    for (size_t k = 0; k < c.count; k++)
        begun = begun || spool_step_is_done(entry, i, c.steps[k]);
    if (!begun && !to_domain)
        return NULL;
    if (!is_custom && c.who.kind != RECIPIENT_ACCOUNT)
        return "some of its commands have been carried out";
    *out_part = is_custom ? "cust" : "mprc";
    if (to_domain)
        return buf_add_str(out, STR("\"smtp\"\r\n")) == RC_OK ? NULL : "no memory";
    if (print_left(entry, i, &c, out) != RC_OK)
        return "its commands can't be written down";
    return out->n == 0 ? "all of its commands have been carried out" : NULL;
}

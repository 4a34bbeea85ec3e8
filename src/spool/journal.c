/*
 * journal.c - what became of an entry's recipients, one line an event, appended:
 *     checksum done RECIPIENT TIME -      (TIME: wall clock in microseconds; 0: not known)
 *     checksum failed RECIPIENT TIME reason
 *     checksum refused RECIPIENT TIME reason      (failed, and nobody is told)
 *     checksum deferred RECIPIENT TIME reason
 *     checksum step RECIPIENT STEP -      (of its processing: it is done)
 *     checksum retry TRIES NEXT-TRY -
 *     checksum reported RECIPIENT 0 -      (the sender knows of its failure)
 *     checksum via 0 0 hosts
 *     checksum held|released|notice|approved 0 0 -
 *     checksum thawed 0 0 -      (failed recipients are pending again)
 *     checksum history 4294967295 0 line      (what a server before this one noted)
 * A line that a crash cut short has a wrong checksum and doesn't count, which at worst repeats
 * a try; a delivery itself is recognised by its file name. What is recorded later begins a new
 * line.
 */
#include "spool/spool_int.h"

enum rc journal_print(struct buf *out, const char *kind, uint64_t a, int64_t b,
                      struct str reason)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    char *clean = arena_c(&mem, reason.n > 0 ? str_head(reason, 1000) : STR("-"));
    for (char *p = clean; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    struct str line = arena_printf(&mem, "%s %" PRIu64 " %" PRId64 " %s", kind, a, b, clean);
    return buf_printf(out, "%016" PRIx64 " %.*s\n", hash_text(line, false, 1), STR_ARG(line));
}

static bool checksum_holds(struct str sum, struct str line)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    return str_eq(sum, arena_printf(&mem, "%016" PRIx64, hash_text(line, false, 1)));
}

static void add_history(struct spool_entry *entry, struct str text)
{
    struct spool_line *line = arena_new(entry->mem, sizeof(*line));
    line->text = arena_str(entry->mem, text);
    if (entry->history_end == NULL)
        entry->history_end = &entry->history;
    *entry->history_end = line;
    entry->history_end = &line->next;
}

void journal_event(struct spool_entry *entry, usec_t at, struct str kind, size_t i,
                   struct str reason)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    char when[CLOCK_TEXT_BYTES];
    if (at > 0)
        add_history(
            entry, arena_printf(&mem, "%s %.*s %.*s: %.*s", clock_print(at, when),
                                STR_ARG(address_print(&entry->env.recipients[i].address, &mem)),
                                STR_ARG(kind), STR_ARG(reason)));
}

void journal_add_step(struct spool_entry *entry, size_t i, uint64_t step)
{
    if (spool_step_is_done(entry, i, step))
        return;
    struct spool_step *s = arena_new(entry->mem, sizeof(*s));
    *s = (struct spool_step){ .next = entry->steps[i], .step = step };
    entry->steps[i] = s;
}

/* A line about the whole entry. */
static bool apply_mark(struct str kind, struct spool_entry *entry)
{
    if (str_eq(kind, STR("held")) || str_eq(kind, STR("released"))) {
        entry->held = str_eq(kind, STR("held"));
    } else if (str_eq(kind, STR("notice"))) {
        entry->delay_notices++;
    } else if (str_eq(kind, STR("approved"))) {
        entry->approved = true;
    } else if (str_eq(kind, STR("thawed"))) {
        entry->held = false;
        entry->tries = 0;
        entry->next_try = 0;
        for (size_t i = 0; i < entry->env.recipient_count; i++)
            if (entry->states[i] != DELIVERY_DONE)
                entry->states[i] = DELIVERY_PENDING;
    } else {
        return false;
    }
    return true;
}

static bool apply_line(struct str line, struct spool_entry *entry)
{
    struct str rest = line, sum = { "", 0 }, kind = { "", 0 }, first = { "", 0 },
               second = { "", 0 };
    uint64_t a = 0;
    int64_t b = 0;
    if (!str_cut(&rest, ' ', &sum) || rest.p == NULL || !checksum_holds(sum, rest))
        return false;
    if (!str_cut(&rest, ' ', &kind) || !str_cut(&rest, ' ', &first) ||
        !str_cut(&rest, ' ', &second) || !str_to_u64(first, &a) || !str_to_i64(second, &b))
        return false;
    if (str_eq(kind, STR("retry"))) {
        entry->tries = (unsigned)MIN(a, (uint64_t)UINT32_MAX);
        entry->next_try = b;
    } else if (str_eq(kind, STR("history"))) {
        add_history(entry, rest);
    } else if (str_eq(kind, STR("via"))) {
        entry->via =
            rest.p == NULL || str_eq(rest, STR("-")) ? STR("") : arena_str(entry->mem, rest);
    } else if (!apply_mark(kind, entry) && a < entry->env.recipient_count) {
        if (str_eq(kind, STR("step"))) {
            journal_add_step(entry, (size_t)a, (uint64_t)b);
            return true;
        }
        if (str_eq(kind, STR("reported"))) {
            entry->states[a] = DELIVERY_REPORTED;
            return true;
        }
        journal_event(entry, b, kind, (size_t)a, rest.p == NULL ? STR("") : rest);
        if (str_eq(kind, STR("refused")))
            entry->states[a] = DELIVERY_REPORTED;
        else if (!str_eq(kind, STR("deferred")))
            entry->states[a] = str_eq(kind, STR("done")) ? DELIVERY_DONE : DELIVERY_FAILED;
        entry->reasons[a] = arena_str(entry->mem, rest.p == NULL ? STR("") : rest);
    }
    return true;
}

void journal_apply(struct str text, struct spool_entry *entry)
{
    struct str line;
    while (text.n > 0 && str_cut(&text, '\n', &line) && text.p != NULL)
        (void)apply_line(line, entry);
}

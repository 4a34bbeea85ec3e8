/* cmd_history.c - history*: what was changed in tables, by whom; and taking it back. */
#include "conf/options.h"
#include "conf/tables.h"
#include "control/control_int.h"
#include "history/history.h"

#define LIST_MOST 1000u
#define LIST_USUAL 100u
#define LINES_MOST 2000u /* of one change; the rest is counted */
#define VALUES_MAX 62u
#define TEXT_MOST ((size_t)4096) /* of a line that isn't a row */
#define LOOK_EVERY (60 * USEC_S)
#define LOOK_LEAST (1 * USEC_S)
#define PRUNE_EVERY (3600 * USEC_S)
#define RETRY_AFTER (10 * USEC_S)

static usec_t looked_at;

static void look(usec_t least)
{
    usec_t now = clock_mono();
    if (looked_at != 0 && now - looked_at < least)
        return;
    history_look();
    looked_at = now;
}

void ctrl_look(const struct ctrl *c)
{
    if (c->command->told > 0)
        look(LOOK_LEAST);
}

/* --- lists -------------------------------------------------------------------------------- */

static struct str number_text(struct arena *a, int64_t n)
{
    return arena_printf(a, "%" PRId64, n);
}

/* Foreign text as a value of a line. */
static struct str as_value(struct str s, struct arena *a)
{
    s = str_head(s, TEXT_MOST);
    char *text = arena_c(a, s);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)text[i] < ' ')
            text[i] = ' ';
    return str_from(text, s.n);
}

static void list_change(void *ctx, const struct history_change *h)
{
    struct ctrl *c = ctx;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str row[11 + HISTORY_FILES_TOLD] = {
        number_text(&a, (int64_t)h->id),
        number_text(&a, h->time),
        as_value(h->who.by, &a),
        as_value(h->who.from, &a),
        as_value(h->who.via, &a),
        as_value(h->who.act, &a),
        as_value(h->who.what, &a),
        number_text(&a, (int64_t)h->who.undoes),
        number_text(&a, (int64_t)h->undone),
        number_text(&a, h->until),
        number_text(&a, (int64_t)h->file_count),
    };
    size_t count = 11;
    for (size_t i = 0; i < MIN(h->file_count, (uint64_t)HISTORY_FILES_TOLD); i++)
        row[count++] = as_value(h->files[i], &a);
    ctrl_text_row(c, row, count);
}

static bool number_of(const struct ctrl *c, size_t i, uint64_t *out)
{
    return ctrl_param(c, i).n == 0 || str_to_u64(ctrl_param(c, i), out);
}

enum admin_result ctrl_historylist(struct ctrl *c, struct err *e)
{
    struct history_filter f = { .limit = LIST_USUAL,
                                .file = ctrl_param(c, 3),
                                .by = ctrl_param(c, 4) };
    uint64_t since = 0, until = 0;
    if (!number_of(c, 1, &f.limit) || !number_of(c, 2, &f.before) || !number_of(c, 5, &since) ||
        !number_of(c, 6, &until) || !number_of(c, 7, &f.id) || since > INT64_MAX ||
        until > INT64_MAX || f.before > INT64_MAX || f.id > INT64_MAX)
        return ADMIN_BAD_PARAMETER;
    f.waiting = str_eq(ctrl_param(c, 8), STR("1"));
    f.since = (int64_t)since;
    f.until = (int64_t)until;
    f.limit = MIN(f.limit, LIST_MOST);
    if (tables_row(f.file) != NULL)
        history_look_at(arena_c(&c->line_mem, f.file));
    look(LOOK_LEAST);
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    return history_list(&f, list_change, c, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_OPEN;
}

/* --- one change --------------------------------------------------------------------------- */

struct telling {
    struct ctrl *c;
    const struct table_row *row;
    unsigned lines;
    uint64_t more;
};

/* "+" or "-" and the line's values, secrets as stars; "+#" and the text of a line that isn't a
 * row, nothing of it when the table holds secrets and it isn't a comment either. */
static void tell_line(struct telling *t, const char *sign, struct str line)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str row[VALUES_MAX + 2], text = str_trim(line);
    size_t count = 0;
    if (text.n == 0)
        return;
    if (t->lines++ >= LINES_MOST) {
        t->more++;
        return;
    }
    bool whole = tab_parse_line(text, &a, row + 1, VALUES_MAX, &count, NULL) == RC_OK;
    row[0] = str_from_c(sign);
    for (size_t i = 0; i < count; i++)
        if (t->row != NULL && tables_is_secret(t->row, i) && row[1 + i].n > 0)
            row[1 + i] = STR("********");
    if (whole && count > 0) {
        ctrl_text_row(t->c, row, count + 1);
        return;
    }
    bool secrets = t->row == NULL;
    for (size_t i = 0; t->row != NULL && i < VALUES_MAX; i++)
        secrets = secrets || tables_is_secret(t->row, i);
    row[0] = arena_printf(&a, "%s#", sign);
    row[1] = whole || !secrets ? as_value(text, &a) : STR("********");
    ctrl_text_row(t->c, row, 2);
}

static void tell_part(void *ctx, const char *path, bool known, struct str hunks)
{
    struct telling *t = ctx;
    struct hunk h;
    struct str line;
    const struct str head[] = { STR("file"), str_from_c(path),
                                known ? STR("known") : STR("unknown") };
    ctrl_text_row(t->c, head, ARRAY_LEN(head));
    t->row = tables_row(str_from_c(path));
    while (history_hunk_next(&hunks, &h)) {
        char at[24];
        (void)snprintf(at, sizeof(at), "%" PRIu64, h.line);
        const struct str place[] = { STR("at"), str_from_c(at) };
        ctrl_text_row(t->c, place, ARRAY_LEN(place));
        while (h.removed.n > 0 && str_cut(&h.removed, '\n', &line))
            tell_line(t, "-", line);
        while (h.added.n > 0 && str_cut(&h.added, '\n', &line))
            tell_line(t, "+", line);
    }
}

static void count_change(void *ctx, const struct history_change *h)
{
    struct history_change *out = ctx;
    *out = (struct history_change){ .id = h->id, .file_count = h->file_count };
}

/* The change of the command's parameter. */
static enum admin_result find(const struct ctrl *c, uint64_t *out_id, struct err *e)
{
    struct history_filter f = { .limit = 1 };
    struct history_change h = { .id = 0 };
    if (!str_to_u64(ctrl_param(c, 1), &f.id) || f.id == 0 || f.id > INT64_MAX)
        return ADMIN_BAD_PARAMETER;
    if (history_list(&f, count_change, &h, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    *out_id = h.id;
    return h.id == 0 ? ADMIN_NO_CHANGE : ADMIN_OK;
}

enum admin_result ctrl_historyget(struct ctrl *c, struct err *e)
{
    struct telling t = { .c = c };
    uint64_t id = 0;
    enum admin_result result = find(c, &id, e);
    if (result != ADMIN_OK)
        return result;
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    if (history_parts(id, tell_part, &t, e) != RC_OK)
        return ADMIN_CANT_OPEN;
    if (t.more > 0) {
        char text[24];
        (void)snprintf(text, sizeof(text), "%" PRIu64, t.more);
        const struct str more[] = { STR("more"), str_from_c(text) };
        ctrl_text_row(c, more, ARRAY_LEN(more));
    }
    return ADMIN_OK;
}

/* --- taking back -------------------------------------------------------------------------- */

/* Accounts and domains are folders, too; administrators have pages of their own. */
static void look_at_act(void *ctx, const struct history_change *h)
{
    static const char *const acts[] = { "useradd", "userdel", "domainadd", "domaindel",
                                        "undelete" };
    bool *elsewhere = ctx;
    for (size_t i = 0; i < ARRAY_LEN(acts); i++)
        *elsewhere = *elsewhere || str_eq(h->who.act, str_from_c(acts[i]));
    for (size_t i = 0; i < MIN(h->file_count, (uint64_t)HISTORY_FILES_TOLD); i++)
        *elsewhere = *elsewhere || str_starts(h->files[i], STR("web"));
}

static enum admin_result take_back(uint64_t id, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct history_filter f = { .id = id, .limit = 1 };
    struct history_text *t = NULL;
    bool elsewhere = false;
    enum rc rc = history_list(&f, look_at_act, &elsewhere, e);
    if (rc == RC_OK && elsewhere)
        return ADMIN_UNDO_ELSEWHERE;
    if (rc == RC_OK)
        rc = history_without(id, &a, &t, e);
    if (rc != RC_OK)
        return rc == RC_PERM ? ADMIN_CONFLICT : ADMIN_CANT_OPEN;
    enum admin_result result = ADMIN_OK;
    for (; t != NULL && result == ADMIN_OK; t = t->next) {
        char version[ADMIN_VERSION_BYTES] = "none";
        if (t->now.n > 0 || file_exists(t->path))
            admin_file_version(t->now, version);
        if (!str_eq(t->now, t->text))
            result = admin_file_set(str_from_c(t->path), t->text, str_from_c(version), e);
    }
    return result;
}

/* The command's own change is begun anew: it says which one it takes back. */
enum admin_result ctrl_historyundo(struct ctrl *c, struct err *e)
{
    uint64_t id = 0;
    enum admin_result result = find(c, &id, e);
    if (result != ADMIN_OK)
        return result;
    audit_undoes(c, id);
    result = take_back(id, e);
    if (result == ADMIN_OK)
        (void)history_keep(id);
    return result;
}

enum admin_result ctrl_historykeep(struct ctrl *c, struct err *e)
{
    uint64_t id = 0;
    enum admin_result result = find(c, &id, e);
    return result != ADMIN_OK ? result : history_keep(id) ? ADMIN_OK : ADMIN_NO_CHANGE;
}

/* Changes that nobody confirmed in time. */
static void end_trials(void)
{
    static usec_t again_at;
    struct err e = { .text = "" };
    uint64_t id = clock_mono() < again_at ? 0 : history_due(clock_wall() / USEC_S);
    if (id == 0)
        return;
    const struct history_author who = { .by = STR(""),
                                        .from = STR(""),
                                        .via = STR("server"),
                                        .act = STR("not confirmed"),
                                        .what = STR(""),
                                        .undoes = id };
    history_begin(&who);
    enum admin_result result = take_back(id, &e);
    (void)history_end();
    if (result == ADMIN_OK)
        log_info(EV("change taken back, nobody confirmed it"), KU("change", id));
    else
        log_error(EV("change not taken back"), KU("change", id),
                  KV("why", admin_result_text(result)), KE(&e));
    if (result == ADMIN_OK || result == ADMIN_CONFLICT || result == ADMIN_UNDO_ELSEWHERE)
        (void)history_keep(id);
    else
        again_at = clock_mono() + RETRY_AFTER;
}

void control_settle_history(void)
{
    static usec_t prune_at, next_at;
    if (clock_mono() < next_at)
        return;
    next_at = clock_mono() + USEC_S;
    end_trials();
    look(LOOK_EVERY);
    if (clock_mono() < prune_at)
        return;
    prune_at = clock_mono() + PRUNE_EVERY;
    history_prune((unsigned)conf()->history_days, (uint64_t)conf()->history_size_kb * 1024);
}

/*
 * filters.c - filters.post-rcpt.tab, filters.pre-data.tab and filters.post-data.tab: programs
 * that see envelope, and message, in a file and say no by exit code 3 (specification 3, section
 * 3). The runner role runs them, one after the other, while the session is parked.
 */
#include "smtpd/smtpd_int.h"
#include <stdatomic.h>

#define WAIT_IN_LINE (600 * USEC_S) /* for other programs, before it has its turn */

/* What is kept of a table. */
struct filter_table {
    struct arena mem;
    struct program_line *lines; /* without their words */
    size_t count;
};

/* Filters of one stage, on their way. */
struct filtering {
    struct arena mem;
    struct filter_table table; /* lines that count for this session; in mem */
    size_t at;
    const char *name; /* of the table */
    enum filter_stage stage;
    struct filter_file file;
    bool is_shown;     /* FILE is there as the next filter shall see it */
    struct str macros; /* as macros_print gives them */
    uint64_t number;   /* of the question */
    session_fn *then;
    bool refused, discarded;
    struct str code, text;
};

static smtpd_run_program_fn *runner;
static struct tab_cache *tables[FILTER_STAGES];
static const char *const names[FILTER_STAGES] = { "filters.post-rcpt.tab",
                                                  "filters.pre-data.tab",
                                                  "filters.post-data.tab" };

void smtpd_set_program_runner(smtpd_run_program_fn *run)
{
    runner = run;
}

/* --- tables ------------------------------------------------------------------------------ */

static void *parse(const struct tab *tab, void *ctx)
{
    struct filter_table *t = mem_new(sizeof(*t));
    (void)ctx;
    t->lines = arena_new_array(&t->mem, struct program_line, tab->row_count + 1);
    for (size_t i = 0; i < tab->row_count; i++) {
        const char *why = program_line_parse(&tab->rows[i], &t->lines[t->count]);
        t->lines[t->count].words = NULL; /* the runner reads them itself */
        t->count += why == NULL;
        if (why != NULL)
            tab_say_skipped(tab->path, tab->rows[i].line, str_from_c(why));
    }
    return t;
}

static void release(void *value)
{
    struct filter_table *t = value;
    arena_release(&t->mem);
    mem_free(&t);
}

enum rc filters_init(struct err *e)
{
    for (size_t i = 0; i < FILTER_STAGES; i++)
        if (tables[i] == NULL)
            tables[i] = tab_cache_new(names[i], parse, release, NULL);
    return filter_files_init(e);
}

bool filters_are_there(enum filter_stage stage)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct filter_table *t = tab_cache_get(tables[stage], &ref, &suspect);
    bool any = t == NULL ? suspect : t->count > 0;
    tab_cache_put(tables[stage], &ref);
    return any;
}

/* The lines that count for this session. RC_TEMP: the table can't tell now. */
static enum rc choose(const struct smtp *c, enum filter_stage stage, struct filtering *f)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct filter_table *t = tab_cache_get(tables[stage], &ref, &suspect);
    bool white = (c->gates.properties & PROPERTY_WHITE_LIST) != 0;
    size_t count = t == NULL ? 0 : t->count;
    f->table.lines = arena_new_array(&f->mem, struct program_line, count + 1);
    for (size_t i = 0; i < count; i++) {
        const struct program_line *l = &t->lines[i];
        if (!(l->not_for_logged_in && c->login != NULL) && !(l->not_for_white_listed && white))
            f->table.lines[f->table.count++] = *l;
    }
    tab_cache_put(tables[stage], &ref);
    return t == NULL && suspect ? RC_TEMP : RC_OK;
}

/* --- running ----------------------------------------------------------------------------- */

void filters_free(struct smtp *c)
{
    struct filtering *f = c->filtering;
    if (f == NULL)
        return;
    filter_file_end(&f->file, &f->mem);
    arena_release(&f->mem);
    mem_free(&c->filtering);
}

/* FilterFailure: what can't be decided. */
static void failed(struct smtp *c, struct filtering *f, struct str why)
{
    log_warn(EV("filter failed"), KS("session", session_id(&c->s)), KV("table", f->name),
             KU("line", f->at < f->table.count ? f->table.lines[f->at].line : 0),
             KS("reason", why));
    f->is_shown = false;
    if (str_ieq(conf()->filter_failure, STR("pass")))
        return;
    f->refused = true;
    f->code = STR("451 4.3.0");
    f->text = STR("Can't be decided now, try again later");
}

/* It lets the message go on, maybe changed. */
static void take_back(struct smtp *c, struct filtering *f)
{
    struct err e = { .rc = RC_OK };
    if (f->stage != FILTER_POST_DATA || !filter_file_changed(&f->file))
        return;
    f->is_shown = false;
    if (filter_file_take(&f->file, &f->mem, &e) != RC_OK)
        failed(c, f, str_from_c(e.text));
    else
        log_info(EV("changed by a filter"), KS("session", session_id(&c->s)),
                 KS("id", c->tx->id), KV("table", f->name),
                 KU("line", f->table.lines[f->at].line));
}

static enum step ask(struct smtp *c);

static enum step finish(struct smtp *c)
{
    return c->filtering->then(&c->s);
}

static enum step answered(struct session *s)
{
    struct smtp *c = smtp_of(s);
    struct filtering *f = c->filtering;
    struct answer answer = { .code = PROGRAM_FAILED, .text = STR("no answer in time") };
    bool last = false;
    (void)session_answer(s, f->number, &answer);
    switch (filter_verdict(answer.code, false, &last)) {
    case VERDICT_DISCARD:
        f->discarded = true;
        break;
    case VERDICT_REFUSE:
        f->refused = true;
        filter_reply(f->file.path, &f->mem, &f->code, &f->text);
        break;
    case VERDICT_GO_ON:
        take_back(c, f);
        break;
    case VERDICT_NONE:
    case VERDICT_REFUSE_SILENTLY: /* the rest isn't for sessions */
    case VERDICT_DROP:
    case VERDICT_CHANGED:
    case VERDICT_DEFER:
        failed(c, f, answer.text);
        break;
    }
    f->at++;
    return f->refused || f->discarded || last ? finish(c) : ask(c);
}

/* This filter can't be asked. */
static enum step give_up(struct smtp *c, struct filtering *f, struct str why)
{
    failed(c, f, why);
    f->at++;
    return f->refused ? finish(c) : ask(c);
}

static enum step ask(struct smtp *c)
{
    struct filtering *f = c->filtering;
    if (f->at == f->table.count)
        return finish(c);
    const struct program_line *l = &f->table.lines[f->at];
    struct err e = { .rc = RC_OK };
    if (!f->is_shown && filter_file_show(&f->file, &e) != RC_OK)
        return give_up(c, f, str_from_c(e.text));
    f->is_shown = true;
    struct question q = session_ask(&c->s);
    usec_t limit = l->limit_s > 0 ? (usec_t)l->limit_s * USEC_S : conf()->filter_timeout;
    f->number = q.number;
    if (q.number == 0 || runner == NULL || !runner(q, f->name, l, f->macros, session_id(&c->s)))
        return give_up(c, f, STR("the runner role takes nothing now"));
    return session_await(&c->s, q.number, clock_mono() + limit + WAIT_IN_LINE, answered);
}

/* Line 3 of FILE, where the message has no id yet. */
static struct str new_id(struct smtp *c, struct arena *a)
{
    static _Atomic uint64_t last;
    return arena_printf(a, "S%" PRIx64 "-%" PRIx64, c->s.number, (uint64_t)++last);
}

/* c->filtering is there when filters are to run, or the table can't tell. */
static enum rc prepare(struct smtp *c, enum filter_stage stage, struct err *e)
{
    size_t rcpts = c->tx->rcpt_count;
    const struct rcpt *current = NULL;
    filters_free(c);
    if (!filters_are_there(stage))
        return RC_OK;
    struct filtering *f = c->filtering = mem_new(sizeof(*f));
    f->stage = stage;
    f->name = names[stage];
    f->file = (struct filter_file){ .original = -1 };
    if (stage == FILTER_POST_RCPT)
        current = &c->tx->rcpts[--rcpts];
    if (choose(c, stage, f) != RC_OK)
        return err_temp(e, "4.3.0", "%s can't be read", f->name);
    if (f->table.count == 0) {
        filters_free(c);
        return RC_OK;
    }
    bool message = stage == FILTER_POST_DATA;
    const struct filter_scene scene =
        filter_scene_of(c, message ? c->tx->id : new_id(c, &f->mem), &f->mem);
    struct filter_rcpt rcpt;
    if (current != NULL)
        rcpt = filter_rcpt_of(current, &f->mem);
    enum rc rc = filter_file_begin(c, &scene, rcpts, message, &f->mem, &f->file, e);
    return rc == RC_OK
               ? scene_macros_session(&scene, str_from_c(f->file.path),
                                      current == NULL ? NULL : &rcpt, &f->mem, &f->macros, e)
               : rc;
}

bool filters_begin(struct smtp *c, enum filter_stage stage, session_fn *then, enum step *out)
{
    struct err e = { .rc = RC_OK };
    enum rc rc = prepare(c, stage, &e);
    if (c->filtering == NULL)
        return false;
    if (rc != RC_OK) {
        failed(c, c->filtering, str_from_c(e.text));
        c->filtering->at = c->filtering->table.count;
    }
    *out = filters_run(c, then);
    return true;
}

enum rc filters_prepare(struct smtp *c, struct err *e)
{
    enum rc rc = prepare(c, FILTER_POST_DATA, e);
    if (rc == RC_OK)
        return RC_OK;
    failed(c, c->filtering, str_from_c(e->text));
    if (c->filtering->refused)
        return err_temp(e, "4.3.0", "%s", c->filtering->text.p);
    filters_free(c);
    return RC_OK;
}

bool filters_hold(const struct smtp *c)
{
    return c->filtering != NULL && c->filtering->stage == FILTER_POST_DATA;
}

bool filters_discarded(const struct smtp *c)
{
    return filters_hold(c) && c->filtering->discarded;
}

struct filter_file *filters_file(struct smtp *c)
{
    return &c->filtering->file;
}

enum step filters_run(struct smtp *c, session_fn *then)
{
    c->filtering->then = then;
    return ask(c);
}

bool filters_refused(struct smtp *c, enum step *out)
{
    struct filtering *f = c->filtering;
    bool refused = f != NULL && f->refused;
    if (refused) {
        log_info(EV("refused by a filter"), KS("session", session_id(&c->s)),
                 KV("table", f->name),
                 KU("line",
                    f->at > 0 && f->at <= f->table.count ? f->table.lines[f->at - 1].line : 0),
                 KS("from", address_print(&c->tx->sender, &c->s.tmp)), KS("reply", f->text));
        *out = smtp_refuse(c, arena_c(&c->s.tmp, f->code), "%.*s", STR_ARG(f->text));
    }
    if (refused || !filters_hold(c)) /* else the message is still there */
        filters_free(c);
    return refused;
}

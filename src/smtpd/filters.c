/*
 * filters.c - filters.post-rcpt.tab and filters.pre-data.tab: programs that see the envelope in
 * a file and say no by exit code 3 (specification 3, section 3). The runner role runs them, one
 * after the other, while the session is parked.
 */
#include "mail/date.h"
#include "process/process.h"
#include "smtpd/smtpd_int.h"
#include "sys/file.h"
#include <stdatomic.h>

#define FOLDER "hikyaku/filter"
#define WAIT_IN_LINE (600 * USEC_S) /* for other programs, before it has its turn */
#define REJ_MAX ((size_t)2000)
#define EXIT_REFUSE 3u
#define EXIT_LAST 16u /* added to another: the lines behind it don't count */

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
    const char *name;  /* of the table */
    struct str path;   /* of FILE, relative */
    struct str macros; /* as macros_print gives them */
    uint64_t number;   /* of the question */
    session_fn *then;
    bool refused;
    struct str code, text;
};

static smtpd_run_program_fn *runner;
static struct tab_cache *tables[FILTER_STAGES];
static const char *const names[FILTER_STAGES] = { "filters.post-rcpt.tab",
                                                  "filters.pre-data.tab" };

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
            log_warn(EV("table line skipped"), KV("file", tab->path),
                     KU("line", tab->rows[i].line), KV("reason", why));
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
    return folder_make(FOLDER, 0700, e);
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

/* --- FILE -------------------------------------------------------------------------------- */

static void add_rcpt(const struct rcpt *r, struct arena *a, struct buf *out)
{
    struct address real = r->is_remote ? r->remote
                                       : (struct address){ .local = r->account.name,
                                                           .domain = r->account.domain };
    buf_addf(out, "RCPT TO:<%.*s> {ra=%.*s}\r\n", STR_ARG(address_print(&r->given, a)),
             STR_ARG(address_print(&real, a)));
}

/* Specification 3, section 3: who, where, when; the message's id; the envelope so far. */
static enum rc write_file(struct smtp *c, struct filtering *f, size_t rcpts, struct err *e)
{
    struct buf out AUTO_RELEASE_BUF;
    char client[IP_PORT_TEXT_BYTES], server[IP_PORT_TEXT_BYTES], date[DATE_TEXT_BYTES];
    struct arena *a = &f->mem;
    struct str domain = smtp_domain();
    static _Atomic uint64_t last;
    buf_init(&out, (size_t)8 << 20);
    struct str id = arena_printf(a, "S%" PRIx64 "-%" PRIx64, c->s.number, (uint64_t)++last);
    buf_addf(&out, "%s;%s;%.*s;%s;%s;Hikyaku\r\n%.*s\r\n%.*s\r\nMAIL FROM:<%.*s>\r\n",
             c->helo == NULL ? "" : c->helo,
             ip_port_print(&c->s.client_ip, c->s.client_port, client), STR_ARG(domain),
             ip_port_print(&c->s.local_ip, c->s.local_port, server),
             date_print(clock_wall(), date), STR_ARG(domain), STR_ARG(id),
             STR_ARG(address_print(&c->tx->sender, a)));
    for (size_t i = 0; i < rcpts; i++)
        add_rcpt(&c->tx->rcpts[i], a, &out);
    f->path = arena_printf(a, FOLDER "/%d-%.*s", (int)getpid(), STR_ARG(id));
    int fd AUTO_CLOSE = io_open(f->path.p, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    struct iovec part = { out.p, out.n };
    if (fd < 0)
        return err_sys(e, "make %s", f->path.p);
    return io_write_all(fd, &part, 1, e);
}

static enum rc print_macros(struct smtp *c, struct filtering *f, const struct rcpt *current,
                            struct err *e)
{
    struct buf out AUTO_RELEASE_BUF;
    char client[IP_PORT_TEXT_BYTES], server[IP_PORT_TEXT_BYTES], here[4096];
    struct arena *a = &f->mem;
    buf_init(&out, MACROS_MAX);
    struct address real = { .local = STR("") };
    if (getcwd(here, sizeof(here)) == NULL)
        return err_sys(e, "find the MailRoot");
    if (current != NULL)
        real = current->is_remote ? current->remote
                                  : (struct address){ .local = current->account.name,
                                                      .domain = current->account.domain };
    const struct macro macros[] = {
        { "FILE", arena_printf(a, "%s/%s", here, f->path.p) },
        { "USERAUTH", c->login == NULL ? STR("-") : c->login->name },
        { "REMOTEADDR", str_from_c(ip_port_print(&c->s.client_ip, c->s.client_port, client)) },
        { "LOCALADDR", str_from_c(ip_port_print(&c->s.local_ip, c->s.local_port, server)) },
        { "FROM", address_print(&c->tx->sender, a) },
        { "CRCPT", current == NULL ? STR("") : address_print(&current->given, a) },
        { "RRCPT", current == NULL ? STR("") : address_print(&real, a) },
    };
    if (macros_print(macros, ARRAY_LEN(macros), &out) != RC_OK)
        return err_temp(e, "4.3.0", "the values of the macros are too long");
    f->macros = arena_str(a, buf_str(&out));
    return RC_OK;
}

/* --- running ----------------------------------------------------------------------------- */

void filters_free(struct smtp *c)
{
    struct filtering *f = c->filtering;
    if (f == NULL)
        return;
    if (f->path.n > 0) {
        (void)io_unlink(f->path.p);
        (void)io_unlink(arena_printf(&f->mem, "%s.rej", f->path.p).p);
    }
    arena_release(&f->mem);
    mem_free(&c->filtering);
}

/* FilterFailure: what can't be decided. */
static void failed(struct smtp *c, struct filtering *f, struct str why)
{
    log_warn(EV("filter failed"), KS("session", session_id(&c->s)), KV("table", f->name),
             KS("reason", why));
    if (str_ieq(conf()->filter_failure, STR("pass")))
        return;
    f->refused = true;
    f->code = STR("451 4.3.0");
    f->text = STR("Can't be decided now, try again later");
}

/* The first line of FILE.rej, "550 no" or text alone; else our own words. */
static void refuse(struct filtering *f)
{
    struct str text = STR(""), line = STR("");
    struct err e;
    f->refused = true;
    f->code = STR("550 5.7.1");
    f->text = STR("Refused by this server's rules");
    if (file_read(arena_printf(&f->mem, "%s.rej", f->path.p).p, REJ_MAX, &f->mem, &text, NULL,
                  &e) != RC_OK)
        return;
    (void)str_cut(&text, '\n', &line);
    line = str_trim(line);
    if (line.n == 0 || str_has_control(line))
        return;
    bool coded = line.n > 4 && (line.p[0] == '4' || line.p[0] == '5') &&
                 ascii_is_digit(line.p[1]) && ascii_is_digit(line.p[2]) &&
                 (line.p[3] == ' ' || line.p[3] == '-');
    f->code = coded ? str_head(line, 3) : f->code;
    f->text = coded ? str_trim(str_skip(line, 4)) : line;
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
    (void)session_answer(s, f->number, &answer);
    if (answer.code > PROGRAM_CODE_MAX) {
        failed(c, f, answer.text);
    } else if ((answer.code & ~(uint64_t)EXIT_LAST) == EXIT_REFUSE) {
        refuse(f);
    }
    bool last = answer.code <= PROGRAM_CODE_MAX && (answer.code & EXIT_LAST) != 0;
    f->at++;
    return f->refused || last ? finish(c) : ask(c);
}

static enum step ask(struct smtp *c)
{
    struct filtering *f = c->filtering;
    if (f->at == f->table.count)
        return finish(c);
    const struct program_line *l = &f->table.lines[f->at];
    struct question q = session_ask(&c->s);
    usec_t limit = l->limit_s > 0 ? (usec_t)l->limit_s * USEC_S : conf()->filter_timeout;
    f->number = q.number;
    if (q.number == 0 || runner == NULL ||
        !runner(q, f->name, l, f->macros, session_id(&c->s))) {
        failed(c, f, STR("the runner role takes nothing now"));
        f->at++;
        return f->refused ? finish(c) : ask(c);
    }
    return session_await(&c->s, q.number, clock_mono() + limit + WAIT_IN_LINE, answered);
}

bool filters_begin(struct smtp *c, enum filter_stage stage, session_fn *then, enum step *out)
{
    struct err e = { .rc = RC_OK };
    size_t rcpts = c->tx->rcpt_count;
    const struct rcpt *current = NULL;
    if (!filters_are_there(stage))
        return false;
    filters_free(c);
    struct filtering *f = c->filtering = mem_new(sizeof(*f));
    f->name = names[stage];
    f->then = then;
    f->path = STR("");
    if (stage == FILTER_POST_RCPT)
        current = &c->tx->rcpts[--rcpts];
    enum rc rc = choose(c, stage, f);
    if (rc == RC_OK && f->table.count == 0) {
        filters_free(c);
        return false;
    }
    if (rc == RC_OK)
        rc = write_file(c, f, rcpts, &e);
    if (rc == RC_OK)
        rc = print_macros(c, f, current, &e);
    if (rc != RC_OK) {
        failed(c, f, str_from_c(e.text));
        f->at = f->table.count;
    }
    *out = ask(c);
    return true;
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
    filters_free(c);
    return refused;
}

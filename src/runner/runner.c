/*
 * runner.c - each run is an object of the pool: it waits for its turn, then for output or the
 * end of its program, then says what came of it. A program that is over its time gets TERM, and
 * KILL two seconds later, with all of its group; what it leaves running in the group when it
 * ends by itself is killed, too.
 */
#include "runner/runner.h"
#include "conf/logfiles.h"
#include "conf/options.h"
#include "runner/persist.h"
#include "runner/talk.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "sys/spawn.h"
#include <signal.h>
#include <stdlib.h>

#define WAITING_MAX 10000u
#define OUTPUT_MAX ((size_t)16 * 1024)
#define FILE_BYTES_MAX ((uint64_t)256 << 20)
#define TERM_WAIT (2 * USEC_S)
#define TOLD_MAX 400u                       /* of the output, in logs */
static const int nice_of[] = { 10, 0, -5 }; /* priorities -1, 0, 1 */

struct run {
    struct run *next; /* waiting */
    struct runner_request request;
    struct arena mem;
    pool_ticket ticket;
    struct spawned program;
    struct buf output;
    struct macro *macros;
    size_t macro_count;
    struct str command;            /* the line with its macros, for logs */
    struct str place, hook_secret; /* of a conversation */
    talk_fn *talk;
    uint64_t output_octets;
    usec_t deadline, asked, began;
    bool too_long, killed;
    bool secret; /* a login's: neither its output nor its values are ever logged */
};

static struct pool *the_pool;
static runner_done_fn *the_done;
static struct lock queue_lock = LOCK_INIT(LOCK_LEAF);
static struct run *first_waiting, **last_waiting = &first_waiting;
static unsigned running, waiting;

static persist_done_fn on_verdict;

void runner_init(struct pool *pool, runner_done_fn *done)
{
    the_pool = pool;
    the_done = done;
    persist_init(pool, on_verdict);
}

static void run_free(struct run **r)
{
    if ((*r)->request.macros_fd >= 0)
        io_close((*r)->request.macros_fd);
    buf_release(&(*r)->output);
    arena_wipe(&(*r)->mem);
    mem_free(r);
}

static struct str macro_of(const struct run *r, const char *name)
{
    for (size_t i = 0; i < r->macro_count; i++)
        if (strcmp(r->macros[i].name, name) == 0)
            return r->macros[i].value;
    return STR("");
}

/* A line of the filter log (specification 2, section 4), the output behind it. */
static void record(const struct run *r, uint64_t code, struct str to, struct str output)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    char time[CLOCK_TEXT_BYTES];
    bool ended = code <= PROGRAM_CODE_MAX;
    const struct str values[] = {
        macro_of(r, "FROM"),
        to,
        macro_of(r, "LOCALADDR"),
        macro_of(r, "REMOTEADDR"),
        str_from_c(clock_print(clock_wall(), time)),
        r->request.type,
        r->request.about,
        ended ? STR("0") : STR("-1"),
        ended ? arena_printf(&a, "%" PRIu64, code) : STR("-1"),
        r->command,
        output,
    };
    logfile_add(LOGFILE_FILTERS, values, ARRAY_LEN(values));
}

static void tell(struct run *r, uint64_t code, struct str text)
{
    struct str to = macro_of(r, "RCPT"), output = str_trim(buf_str(&r->output));
    struct str about = r->request.about, nobody = STR("");
    if (to.n == 0)
        to = macro_of(r, "CRCPT");
    r->request.output = output;
    output = str_head(output, TOLD_MAX);
    log_info(EV(code == PROGRAM_FAILED ? "program failed" : "program ended"),
             KS("id", r->request.is_message ? about : nobody),
             KS("session", r->request.is_message ? nobody : about), KS("type", r->request.type),
             KS("rcpt", to), KS("table", r->request.table), KU("line", r->request.line),
             KU("code", code), KS("reason", text),
             KU("ms", (uint64_t)((clock_mono() - r->began) / USEC_MS)),
             KU("octets", r->output_octets), KS("output", output));
    record(r, code, to, output);
    the_done(&r->request, code, text);
}

/* --- the line ---------------------------------------------------------------------------- */

static enum rc read_macros(struct run *r, struct err *e)
{
    struct str text;
    enum rc rc =
        file_read_open(r->request.macros_fd, "macros", MACROS_MAX, &r->mem, &text, NULL, e);
    return rc == RC_OK ? macros_parse(text, &r->mem, &r->macros, &r->macro_count, e) : rc;
}

/* The line as it will be run, for the log; secrets aren't shown. */
static void keep_command(struct run *r, const struct program_line *line)
{
    static const char *const secrets[] = { "PASS", "PASSWD", "DGEST" };
    struct buf text AUTO_RELEASE_BUF;
    struct macro *shown = arena_new_array(&r->mem, struct macro, r->macro_count + 1);
    buf_init(&text, MACROS_MAX);
    for (size_t i = 0; i < r->macro_count; i++) {
        shown[i] = r->macros[i];
        for (size_t k = 0; k < ARRAY_LEN(secrets); k++)
            if (strcmp(shown[i].name, secrets[k]) == 0)
                shown[i].value = STR("***");
    }
    for (size_t i = 0; i < line->count; i++) {
        struct str word = macros_fill(line->words[i], shown, r->macro_count, &r->mem);
        if (buf_printf(&text, "%s%.*s", i == 0 ? "" : " ", STR_ARG(word)) != RC_OK)
            break;
    }
    r->command = arena_str(&r->mem, buf_str(&text));
}

/* The values of a login's macros are there too, for programs that take no secrets from their
 * arguments, which others on this machine can see. */
static const char *const *environment(struct run *r)
{
    static const char *const kept[] = { "LANG", "TZ", "HOME" };
    const char **env =
        arena_new_array(&r->mem, const char *, ARRAY_LEN(kept) + r->macro_count + 3);
    char here[4096];
    size_t n = 0;
    env[n++] = "PATH=/usr/local/bin:/usr/bin:/bin";
    env[n++] =
        arena_printf(&r->mem, "MAIL_ROOT=%s", getcwd(here, sizeof(here)) == NULL ? "." : here)
            .p;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        const char *value = getenv(kept[i]);
        if (value != NULL)
            env[n++] = arena_printf(&r->mem, "%s=%s", kept[i], value).p;
    }
    for (size_t i = 0; r->secret && i < r->macro_count; i++)
        env[n++] = arena_printf(&r->mem, "HIKYAKU_%s=%.*s", r->macros[i].name,
                                STR_ARG(r->macros[i].value))
                       .p;
    return env;
}

static usec_t limit_of(const struct program_line *l)
{
    usec_t usual = l->is_login ? conf()->auth_program_timeout : conf()->filter_timeout;
    return l->limit_s > 0 ? (usec_t)l->limit_s * USEC_S : usual;
}

/* The program and its arguments. One that stays is started without macros: they are in its
 * jobs. */
static struct spawn fill(struct run *r, const struct program_line *l)
{
    size_t macros = l->kind == PROGRAM_STAYS ? 0 : r->macro_count;
    const char **argv = arena_new_array(&r->mem, const char *, l->count + 1);
    for (size_t i = 0; i < l->count; i++) /* nobody's value becomes a command */
        argv[i] = i == 0 ? arena_c(&r->mem, l->words[i])
                         : macros_fill(l->words[i], r->macros, macros, &r->mem).p;
    return (struct spawn){ .argv = argv,
                           .env = environment(r),
                           .file_bytes = FILE_BYTES_MAX,
                           .nice = nice_of[l->priority + 1] };
}

static enum rc look_up(struct run *r, struct program_line *out, struct err *e)
{
    enum rc rc = read_macros(r, e);
    if (rc == RC_OK)
        rc = program_find(r->request.table, r->request.line, r->request.sum, &r->mem, out, e);
    r->secret = rc == RC_OK && out->is_login;
    if (r->secret && r->began - r->asked > PROGRAM_LOGIN_WAIT)
        return err_temp(e, "4.3.2", "it had to wait too long for its turn");
    if (rc == RC_OK && logfile_is_on(LOGFILE_FILTERS))
        keep_command(r, out);
    return rc;
}

/* --- a run ------------------------------------------------------------------------------- */

static void start_next(void);

/* Its reply goes where a program would have written it. */
static void tell_with_reply(struct run *r, uint64_t code, struct str text, struct str reply)
{
    struct err e = { .rc = RC_OK };
    struct str file = macro_of(r, "FILE");
    if (reply.n > 0 && file.n > 0 && filter_rej_write(file, reply, &e) != RC_OK)
        log_warn(EV("a filter's reply is lost"), KE(&e));
    tell(r, code, text);
}

/* A program that stays has answered. */
static void on_verdict(void *owner, uint64_t code, struct str text, struct str reply,
                       struct str output)
{
    struct run *r = owner;
    buf_must(buf_add_str(&r->output, str_head(output, OUTPUT_MAX)));
    tell_with_reply(r, code, text, reply);
    run_free(&r);
}

static void hand_over(struct run *r, const struct program_line *line)
{
    const struct persist_job job = {
        .table = r->request.table,
        .line = line->line,
        .sum = line->sum,
        .most = line->most,
        .spawn = fill(r, line),
        .limit = limit_of(line),
        .macros = r->macros,
        .macro_count = r->macro_count,
        .owner = r,
    };
    persist_start(&job);
}

/* Keeps the beginning of what it writes; the rest is read all the same. */
static void read_output(struct run *r)
{
    char piece[4096];
    ssize_t n = 0;
    for (unsigned i = 0; i < 64 && (n = spawn_read(&r->program, piece, sizeof(piece))) > 0;
         i++) {
        r->output_octets += (uint64_t)n;
        if (!r->secret && r->output.n < OUTPUT_MAX)
            buf_must(buf_add(&r->output, piece, MIN((size_t)n, OUTPUT_MAX - r->output.n)));
    }
}

static void give_back_turn(void)
{
    lock_take(&queue_lock);
    running--;
    lock_drop(&queue_lock);
}

static void end(struct run *r, int code)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    read_output(r);
    pool_forget(the_pool, r->ticket);
    spawn_release(&r->program);
    if (r->too_long)
        tell(r, PROGRAM_FAILED, STR("it was over its time limit"));
    else if (code < 0)
        tell(r, PROGRAM_FAILED, arena_printf(&a, "it was ended by signal %d", -code));
    else if (code == 127)
        tell(r, PROGRAM_FAILED, STR("it can't be run"));
    else
        tell(r, (uint64_t)code, STR(""));
    run_free(&r);
    give_back_turn();
    start_next();
}

static void watch(struct pool *pool, void *object, unsigned events)
{
    struct run *r = object;
    int code = 0;
    read_output(r);
    if (spawn_ended(&r->program, &code)) {
        end(r, code);
        return;
    }
    if ((events & POOL_STOP) != 0 || (r->too_long && clock_mono() >= r->deadline)) {
        r->too_long = r->killed = true;
        spawn_signal(&r->program, SIGKILL);
        r->deadline = clock_mono() + TERM_WAIT;
    } else if (clock_mono() >= r->deadline) {
        r->too_long = true;
        spawn_signal(&r->program, SIGTERM);
        r->deadline = clock_mono() + TERM_WAIT;
    }
    pool_park(pool, r->ticket, POOL_WANT_READ, r->deadline);
}

/* --- milters and hooks ------------------------------------------------------------------- */

/* A conversation and its thread: it waits for the other side. */
static void *converse(void *arg)
{
    struct run *r = arg;
    struct talk_outcome out = { .code = 0 };
    const struct talk_job job = {
        .where = r->place,
        .secret = r->hook_secret,
        .table = r->request.table,
        .macros = r->macros,
        .macro_count = r->macro_count,
        .queued = r->request.is_message,
        .deadline = r->deadline,
        .mem = &r->mem,
    };
    r->talk(&job, &out);
    tell_with_reply(r, out.code, out.text, out.reply);
    run_free(&r);
    give_back_turn();
    start_next();
    return NULL;
}

static enum rc begin_conversation(struct run *r, const struct program_line *line, struct err *e)
{
    r->place = line->words[0];
    r->hook_secret = line->count > 1 ? line->words[1] : STR("");
    r->talk = line->kind == PROGRAM_MILTER ? milter_talk : hook_talk;
    r->deadline = clock_mono() + limit_of(line);
    return thread_start(converse, r, "talk", NULL, e);
}

/* It has its turn. */
static void begin(struct run *r)
{
    struct err e = { .rc = RC_OK };
    struct program_line line = { .count = 0 };
    r->began = clock_mono();
    enum rc rc = look_up(r, &line, &e);
    if (rc == RC_OK && line.kind == PROGRAM_STAYS) {
        give_back_turn(); /* its processes have a bound of their own */
        hand_over(r, &line);
        return;
    }
    if (rc == RC_OK && (line.kind == PROGRAM_MILTER || line.kind == PROGRAM_HOOK)) {
        rc = begin_conversation(r, &line, &e);
        if (rc == RC_OK)
            return;
    } else if (rc == RC_OK) {
        const struct spawn s = fill(r, &line);
        r->deadline = clock_mono() + limit_of(&line);
        rc = spawn_start(&s, &r->program, &e);
    }
    if (rc == RC_OK &&
        pool_add(the_pool, r, watch, r->program.watch_fd, &r->ticket, &e) == RC_OK)
        return;
    if (r->program.pid > 0)
        spawn_release(&r->program);
    tell(r, PROGRAM_FAILED, str_from_c(e.text));
    run_free(&r);
    give_back_turn();
}

static struct run *take_waiting(void)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&queue_lock);
    (void)held;
    struct run *r = first_waiting;
    if (r == NULL || pool_is_stopping(the_pool) || running >= (unsigned)conf()->max_programs)
        return NULL;
    first_waiting = r->next;
    if (first_waiting == NULL)
        last_waiting = &first_waiting;
    running++;
    waiting--;
    return r;
}

static void start_next(void)
{
    struct run *r = NULL;
    while ((r = take_waiting()) != NULL)
        begin(r);
}

void runner_start(const struct runner_request *request)
{
    struct run *r = mem_new(sizeof(*r));
    r->request = *request;
    r->request.table = arena_str(&r->mem, request->table);
    r->request.type = arena_str(&r->mem, request->type);
    r->request.about = arena_str(&r->mem, request->about);
    r->command = STR("");
    r->program = SPAWNED_NONE;
    r->asked = r->began = clock_mono();
    buf_init(&r->output, OUTPUT_MAX);
    lock_take(&queue_lock);
    bool room = waiting < WAITING_MAX;
    if (room) {
        *last_waiting = r;
        last_waiting = &r->next;
        waiting++;
    }
    lock_drop(&queue_lock);
    if (room) {
        start_next();
        return;
    }
    tell(r, PROGRAM_FAILED, STR("too many programs wait"));
    run_free(&r);
}

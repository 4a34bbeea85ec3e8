/*
 * runner.c - each run is an object of the pool: it waits for its turn, then for output or the
 * end of its program, then says what came of it. A program that is over its time gets TERM, and
 * KILL two seconds later, with all of its group; what it leaves running in the group when it
 * ends by itself is killed, too.
 */
#include "runner/runner.h"
#include "conf/options.h"
#include "process/process.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "sys/spawn.h"
#include <signal.h>
#include <stdlib.h>

#define WAITING_MAX 10000u
#define OUTPUT_MAX ((size_t)16 * 1024)
#define FILE_BYTES_MAX ((uint64_t)256 << 20)
#define TERM_WAIT (2 * USEC_S)

struct run {
    struct run *next; /* waiting */
    struct runner_request request;
    struct arena mem;
    pool_ticket ticket;
    struct spawned program;
    struct buf output;
    usec_t deadline, began;
    bool too_long, killed;
};

static struct pool *the_pool;
static runner_done_fn *the_done;
static struct lock queue_lock = LOCK_INIT(LOCK_LEAF);
static struct run *first_waiting, **last_waiting = &first_waiting;
static unsigned running, waiting;

void runner_init(struct pool *pool, runner_done_fn *done)
{
    the_pool = pool;
    the_done = done;
}

static void run_free(struct run **r)
{
    if ((*r)->request.macros_fd >= 0)
        io_close((*r)->request.macros_fd);
    buf_release(&(*r)->output);
    arena_release(&(*r)->mem);
    mem_free(r);
}

static void tell(struct run *r, uint64_t code, struct str text)
{
    log_info(EV(code <= PROGRAM_CODE_MAX ? "program ended" : "program failed"),
             KS("table", r->request.table), KU("line", r->request.line), KU("code", code),
             KS("reason", text), KU("ms", (uint64_t)((clock_mono() - r->began) / USEC_MS)),
             KS("output", str_trim(buf_str(&r->output))));
    the_done(&r->request, code, text);
}

/* --- the line ---------------------------------------------------------------------------- */

/* The line that was named, if it is still there. */
static enum rc find_line(struct run *r, struct program_line *out, struct err *e)
{
    struct tab tab;
    enum rc rc = tab_read(arena_c(&r->mem, r->request.table), &r->mem, &tab, e);
    for (size_t i = 0; rc == RC_OK && i < tab.row_count; i++) {
        struct program_line l;
        if (tab.rows[i].line != r->request.line ||
            program_line_parse(&tab.rows[i], &l) != NULL || l.sum != r->request.sum)
            continue;
        *out = l;
        return RC_OK;
    }
    return rc == RC_OK ? err_temp(e, "4.3.0", "the line isn't there any more") : rc;
}

static enum rc read_macros(struct run *r, struct macro **out, size_t *count, struct err *e)
{
    struct str text;
    enum rc rc =
        file_read_open(r->request.macros_fd, "macros", MACROS_MAX, &r->mem, &text, NULL, e);
    return rc == RC_OK ? macros_parse(text, &r->mem, out, count, e) : rc;
}

static const char *const *environment(struct run *r)
{
    static const char *const kept[] = { "LANG", "TZ", "HOME" };
    const char **env = arena_new_array(&r->mem, const char *, ARRAY_LEN(kept) + 3);
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
    return env;
}

static enum rc start(struct run *r, struct err *e)
{
    struct program_line line = { .count = 0 };
    struct macro *macros = NULL;
    size_t count = 0;
    enum rc rc = find_line(r, &line, e);
    if (rc == RC_OK)
        rc = read_macros(r, &macros, &count, e);
    if (rc != RC_OK)
        return rc;
    const char **argv = arena_new_array(&r->mem, const char *, line.count + 1);
    for (size_t i = 0; i < line.count; i++)
        argv[i] = macros_fill(line.words[i], macros, count, &r->mem).p;
    r->deadline = clock_mono() +
                  (line.limit_s > 0 ? (usec_t)line.limit_s * USEC_S : conf()->filter_timeout);
    const struct spawn s = { argv, environment(r), FILE_BYTES_MAX };
    return spawn_start(&s, &r->program, e);
}

/* --- a run ------------------------------------------------------------------------------- */

static void start_next(void);

/* Keeps the beginning of what it writes; the rest is read all the same. */
static void read_output(struct run *r)
{
    char piece[4096];
    ssize_t n = 0;
    for (unsigned i = 0; i < 64 && (n = spawn_read(&r->program, piece, sizeof(piece))) > 0; i++)
        if (r->output.n < OUTPUT_MAX)
            buf_must(buf_add(&r->output, piece, MIN((size_t)n, OUTPUT_MAX - r->output.n)));
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
    lock_take(&queue_lock);
    running--;
    lock_drop(&queue_lock);
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

/* It has its turn. */
static void begin(struct run *r)
{
    struct err e = { .rc = RC_OK };
    r->began = clock_mono();
    if (start(r, &e) == RC_OK &&
        pool_add(the_pool, r, watch, r->program.watch_fd, &r->ticket, &e) == RC_OK)
        return;
    if (r->program.pid > 0)
        spawn_release(&r->program);
    tell(r, PROGRAM_FAILED, str_from_c(e.text));
    run_free(&r);
    lock_take(&queue_lock);
    running--;
    lock_drop(&queue_lock);
}

static struct run *take_waiting(void)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&queue_lock);
    (void)held;
    struct run *r = first_waiting;
    if (r == NULL || running >= (unsigned)conf()->max_programs)
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
    r->program = (struct spawned){ .watch_fd = -1, .output_fd = -1, .pid_fd = -1 };
    r->began = clock_mono();
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

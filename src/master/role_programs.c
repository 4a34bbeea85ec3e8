/*
 * role_programs.c - programs that the runner role runs for the sessions of this role: what was
 * asked, and the answers.
 */
#include "master/roles.h"
#include "process/process.h"
#include "sys/lock.h"
#include "users/users.h"
#include "wire/session.h"

static struct engine *my_engine;
static role_ran_fn *on_ran; /* of programs that no session waits for */
static int runner_channel = -1;

/* Questions that the runner was asked and hasn't answered: they fail when it dies. What it
 * hasn't read yet, the next one reads. */
struct asked {
    struct question question;
    uint32_t runner; /* the process asked; 0: there was none */
};
static struct lock asked_lock = LOCK_INIT(LOCK_LEAF);
static struct map all_asked; /* struct asked by the octets of its question */

static struct str key_of(const struct question *q)
{
    return str_from((const char *)q, sizeof(*q));
}

static void remember(struct question q)
{
    struct asked *a = mem_new(sizeof(*a));
    a->question = q;
    a->runner = role_whole_board()->roles[role_number(ROLE_RUNNER)].pid;
    lock_take(&asked_lock);
    (void)map_put(&all_asked, key_of(&a->question), a);
    lock_drop(&asked_lock);
}

static void forget(struct question q)
{
    lock_take(&asked_lock);
    struct asked *a = map_remove(&all_asked, key_of(&q));
    lock_drop(&asked_lock);
    mem_free(&a);
}

static void told(struct question q, const struct answer *a)
{
    if (q.session != 0)
        (void)engine_answer(my_engine, q, a);
    else if (on_ran != NULL)
        on_ran(q.number, a->code, a->text);
}

void role_when_ran(role_ran_fn *fn)
{
    on_ran = fn;
}

/* A runner has started: what others were asked is lost. */
static void fail_lost(uint32_t started)
{
    const struct answer lost = { PROGRAM_FAILED, STR("the runner role ended") };
    struct str key;
    void *value = NULL;
    struct map kept = { .fold = false };
    lock_take(&asked_lock);
    struct map all = all_asked;
    for (size_t at = 0; map_next(&all, &at, &key, &value);) {
        struct asked *a = value;
        if (a->runner != 0 && a->runner != started)
            continue;
        (void)map_put(&kept, key_of(&a->question), a);
    }
    all_asked = kept;
    lock_drop(&asked_lock);
    for (size_t at = 0; map_next(&all, &at, &key, &value);) {
        struct asked *a = value;
        if (a->runner == 0 || a->runner == started)
            continue;
        told(a->question, &lost);
        mem_free(&a);
    }
    map_release(&all);
}

/* What the filter log calls it: "pre-data" of filters.pre-data.tab; "userauth", "smtpextauth".
 */
static struct str type_of(const char *table)
{
    struct str s = str_from_c(table), filters = STR("filters.");
    if (str_starts(s, filters))
        s = str_skip(s, filters.n);
    return str_head(s, MIN(str_find(s, '.'), str_find(s, '/')));
}

bool role_run_program(struct question q, const char *table, const struct program_line *line,
                      struct str macros, struct str about)
{
    struct note n = { .type = NOTE_run,
                      .u.run = { 0, (uint64_t)getpid(), q.session, q.number, str_from_c(table),
                                 line->line, line->sum, type_of(table), about } };
    int fd AUTO_CLOSE = -1;
    struct err e;
    if (runner_channel < 0 || file_in_memory(macros, &fd, &e) != RC_OK)
        return false;
    remember(q);
    if (channel_send(runner_channel, &n, fd, &e) == RC_OK)
        return true;
    forget(q);
    return false;
}

static void on_runner_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (fd >= 0)
        (void)close(fd);
    if (n->type == NOTE_runner_ready)
        fail_lost((uint32_t)n->u.runner_ready.pid);
    if (n->type != NOTE_ran || n->u.ran.process != (uint64_t)getpid())
        return;
    const struct answer a = { n->u.ran.code, n->u.ran.text };
    const struct question q = { n->u.ran.session, n->u.ran.number };
    forget(q);
    told(q, &a);
}

enum rc role_hear_runner(const struct role_env *env, struct engine *engine, struct err *e)
{
    my_engine = engine;
    runner_channel = env->channels[role_number(ROLE_RUNNER)];
    if (runner_channel < 0)
        return RC_OK;
    return channel_listen(engine_pool(engine), runner_channel, ROLE_RUNNER, this_role->id,
                          on_runner_note, NULL, e);
}

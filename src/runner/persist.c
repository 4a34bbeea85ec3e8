/*
 * persist.c - see persist.h. A crew is what belongs to one line of a table: its processes and
 * the jobs that wait for one. Both sides of a queue, and who is idle, are under one lock; what
 * a process says is read by the worker of the pool that has it.
 */
#include "runner/persist.h"
#include "base/map.h"
#include "sys/lock.h"

#define JOBS_MAX 10000u
#define JOB_LINE_MAX ((size_t)60 * 1024) /* fits a pipe that is empty */
#define ANSWER_MAX ((size_t)64 * 1024)
#define TOLD_MAX ((size_t)16 * 1024)
#define IDLE_TIME (300 * USEC_S)

struct job {
    struct job *next;
    uint64_t id;
    usec_t limit;
    void *owner;
    struct buf line;
};

struct crew {
    struct arena mem;
    struct str key;
    struct spawn spawn; /* texts in mem */
    unsigned most, count;
    struct job *first, **last;
    struct member *idle;
};

/* A process. */
struct member {
    struct crew *crew;
    struct member *next_idle;
    bool is_idle, has_served;
    pool_ticket ticket;
    struct spawned program;
    struct buf answer, told;
    struct job *job; /* it works on */
    usec_t deadline;
};

static struct pool *the_pool;
static persist_done_fn *the_done;
static struct lock crews_lock = LOCK_INIT(LOCK_LEAF);
static struct map crews;
static unsigned jobs;
static uint64_t last_id;

void persist_init(struct pool *pool, persist_done_fn *done)
{
    the_pool = pool;
    the_done = done;
}

/* --- jobs -------------------------------------------------------------------------------- */

static void job_end(struct job *j, uint64_t code, const char *why, struct str reply,
                    struct str told)
{
    the_done(j->owner, code, str_from_c(why), reply, told);
    buf_release(&j->line);
    mem_free(&j);
    lock_take(&crews_lock);
    jobs--;
    lock_drop(&crews_lock);
}

static const char *const *copy_words(const char *const *words, struct arena *a)
{
    size_t n = 0;
    while (words[n] != NULL)
        n++;
    const char **out = arena_new_array(a, const char *, n + 1);
    for (size_t i = 0; i < n; i++)
        out[i] = arena_c(a, str_from_c(words[i]));
    out[n] = NULL;
    return out;
}

/* Under the lock. */
static struct crew *crew_of(const struct persist_job *p)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str key =
        arena_printf(&a, "%.*s %" PRIu64 " %" PRIu64, STR_ARG(p->table), p->line, p->sum);
    struct crew *crew = map_get(&crews, key);
    if (crew != NULL)
        return crew;
    crew = mem_new(sizeof(*crew));
    crew->key = arena_str(&crew->mem, key);
    crew->spawn = p->spawn;
    crew->spawn.argv = copy_words(p->spawn.argv, &crew->mem);
    crew->spawn.env = copy_words(p->spawn.env, &crew->mem);
    crew->spawn.talks = true;
    crew->most = p->most;
    crew->last = &crew->first;
    (void)map_put(&crews, crew->key, crew);
    return crew;
}

/* Under the lock: nobody uses it any more. */
static void crew_free_if_unused(struct crew *crew)
{
    if (crew->count > 0 || crew->first != NULL)
        return;
    (void)map_remove(&crews, crew->key);
    arena_release(&crew->mem);
    mem_free(&crew);
}

static struct job *take_job(struct crew *crew)
{
    struct job *j = crew->first;
    if (j == NULL)
        return NULL;
    crew->first = j->next;
    if (crew->first == NULL)
        crew->last = &crew->first;
    return j;
}

/* --- processes --------------------------------------------------------------------------- */

static void start_member(struct crew *crew);

/* It is gone, or shall be: its job has failed. */
static void member_end(struct member *m, const char *why)
{
    struct crew *crew = m->crew;
    struct job *j = m->job;
    pool_forget(the_pool, m->ticket);
    spawn_release(&m->program);
    if (j == NULL)
        log_info(EV("persistent program ended"), KS("line", crew->key), KV("reason", why),
                 KS("output", str_trim(buf_str(&m->told))));
    else
        job_end(j, PROGRAM_FAILED, why, STR(""), buf_str(&m->told));
    lock_take(&crews_lock);
    for (struct member **at = &crew->idle; *at != NULL; at = &(*at)->next_idle)
        if (*at == m) {
            *at = m->next_idle;
            break;
        }
    bool again = crew->first != NULL && !pool_is_stopping(the_pool);
    if (!again)
        crew->count--;
    crew_free_if_unused(crew);
    lock_drop(&crews_lock);
    buf_release(&m->answer);
    buf_release(&m->told);
    mem_free(&m);
    if (again)
        start_member(crew);
}

static void read_told(struct member *m)
{
    char piece[4096];
    ssize_t n = 0;
    for (unsigned i = 0;
         i < 16 && (n = spawn_read_errors(&m->program, piece, sizeof(piece))) > 0; i++)
        if (m->told.n < TOLD_MAX)
            buf_must(buf_add(&m->told, piece, MIN((size_t)n, TOLD_MAX - m->told.n)));
}

/* What it says. NULL, or why it must go. */
static const char *read_answer(struct member *m)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct verdict v = { .id = 0 };
    char piece[4096];
    ssize_t n = 0;
    size_t lf = SIZE_MAX;
    while (lf == SIZE_MAX && (n = spawn_read(&m->program, piece, sizeof(piece))) > 0) {
        if (buf_add(&m->answer, piece, (size_t)n) != RC_OK)
            return "its answer is too long";
        lf = str_find(buf_str(&m->answer), '\n');
    }
    if (m->answer.n > 0 && m->job == NULL)
        return "it answers what it wasn't asked";
    if (lf == SIZE_MAX)
        return n < 0 ? "it has closed its output" : NULL;
    if (lf + 1 != m->answer.n)
        return "it answers more than it was asked";
    const char *why = verdict_parse(str_head(buf_str(&m->answer), lf), &a, &v);
    if (why == NULL && v.id != m->job->id)
        why = "its answer has the id of another job";
    if (why != NULL)
        return why;
    struct job *j = m->job;
    m->job = NULL;
    m->has_served = true;
    buf_reset(&m->answer);
    read_told(m);
    job_end(j, v.code, "", v.reply, buf_str(&m->told));
    buf_reset(&m->told);
    return NULL;
}

/* Gives it the next job, or lets it wait for one. */
static const char *give_job(struct member *m)
{
    lock_take(&crews_lock);
    m->job = take_job(m->crew);
    if (m->job == NULL && !m->is_idle) {
        m->next_idle = m->crew->idle;
        m->crew->idle = m;
        m->is_idle = true;
        m->deadline = clock_mono() + IDLE_TIME;
    }
    lock_drop(&crews_lock);
    if (m->job == NULL)
        return NULL;
    m->deadline = clock_mono() + m->job->limit;
    return spawn_write(&m->program, buf_str(&m->job->line)) ? NULL : "it doesn't read its jobs";
}

/* One that ends before it takes a job fails one all the same: not to be started for ever. */
static void blame(struct member *m)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&crews_lock);
    (void)held;
    if (m->job == NULL && !m->has_served)
        m->job = take_job(m->crew);
}

/* Has it waited in vain, with nobody who has chosen it meanwhile? Then it is idle no more. */
static bool leaves(struct member *m)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&crews_lock);
    (void)held;
    return m->is_idle && clock_mono() >= m->deadline;
}

static void watch(struct pool *pool, void *object, unsigned events)
{
    struct member *m = object;
    int code = 0;
    read_told(m);
    const char *why = read_answer(m);
    bool ended = spawn_ended(&m->program, &code);
    if (why == NULL && ended)
        why = code == 127 ? "it can't be run" : "its process ended";
    if (why != NULL)
        blame(m);
    if (why == NULL && (events & POOL_STOP) != 0)
        why = "the server stops";
    if (why == NULL && m->job != NULL && clock_mono() >= m->deadline)
        why = "it was over its time limit";
    if (why == NULL && m->job == NULL)
        why = leaves(m) ? "nobody needs it" : give_job(m);
    if (why != NULL)
        member_end(m, why);
    else
        pool_park(pool, m->ticket, POOL_WANT_READ, m->deadline);
}

/* One more; it is counted already. */
static void start_member(struct crew *crew)
{
    struct member *m = mem_new(sizeof(*m));
    struct err e = { .rc = RC_OK };
    m->crew = crew;
    buf_init(&m->answer, ANSWER_MAX);
    buf_init(&m->told, TOLD_MAX);
    enum rc rc = spawn_start(&crew->spawn, &m->program, &e);
    if (rc == RC_OK) {
        rc = pool_add(the_pool, m, watch, m->program.watch_fd, &m->ticket, &e);
        if (rc == RC_OK)
            return;
        spawn_release(&m->program);
    }
    mem_free(&m);
    lock_take(&crews_lock);
    struct job *failed = crew->first; /* all that wait: who else should take them? */
    bool others = crew->count > 1;
    failed = others ? NULL : failed;
    if (!others) {
        crew->first = NULL;
        crew->last = &crew->first;
    }
    crew->count--;
    crew_free_if_unused(crew);
    lock_drop(&crews_lock);
    while (failed != NULL) {
        struct job *next = failed->next;
        job_end(failed, PROGRAM_FAILED, e.text, STR(""), STR(""));
        failed = next;
    }
}

void persist_start(const struct persist_job *p)
{
    struct job *j = mem_new(sizeof(*j));
    struct member *chosen = NULL;
    bool start = false;
    buf_init(&j->line, JOB_LINE_MAX);
    j->limit = p->limit;
    j->owner = p->owner;
    lock_take(&crews_lock);
    j->id = ++last_id;
    bool room = jobs++ < JOBS_MAX;
    lock_drop(&crews_lock);
    if (!room || job_print(j->id, p->table, p->macros, p->macro_count, &j->line) != RC_OK) {
        job_end(j, PROGRAM_FAILED, room ? "the job is too long" : "too many jobs wait", STR(""),
                STR(""));
        return;
    }
    lock_take(&crews_lock);
    struct crew *crew = crew_of(p);
    *crew->last = j;
    crew->last = &j->next;
    if (crew->idle != NULL) {
        chosen = crew->idle;
        crew->idle = chosen->next_idle;
        chosen->is_idle = false;
    } else if (crew->count < crew->most) {
        crew->count++;
        start = true;
    }
    pool_ticket ticket = chosen == NULL ? 0 : chosen->ticket;
    lock_drop(&crews_lock);
    if (chosen != NULL)
        pool_wake(the_pool, ticket);
    else if (start)
        start_member(crew);
}

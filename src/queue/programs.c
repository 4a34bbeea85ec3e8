/*
 * programs.c - programs that the runner role runs for the queue. Whoever asks waits, on a
 * thread that does nothing else, or leaves files behind that go when the program has ended.
 * What a runner process that died was asked for is asked again of the next one.
 */
#include "process/process.h"
#include "queue/processing.h"
#include "sys/io.h"

#define ASK_AGAIN (20 * USEC_MS)
#define ASK_MOST (30 * USEC_S)       /* the channel may be full */
#define WAIT_IN_LINE (3600 * USEC_S) /* for other programs, before it has its turn */
#define RUNS_MOST 3u                 /* of one program that ends the runner */

enum { PROGRAM_LOST = PROGRAM_STOPPED + 1 };

/* A run that was asked for. */
struct asked {
    uint64_t number;
    pthread_cond_t told;
    bool is_told, left; /* left: nobody waits */
    uint64_t code;
    char text[400];
    char *files; /* left: to be removed; NUL behind each, one more at the end */
};

static queue_run_fn *runner;
static struct lock runs_lock = LOCK_INIT(LOCK_LEAF);
static struct map all_runs; /* struct asked by the octets of its number */
static uint64_t last_number;
static bool stopping;

void queue_set_runner(queue_run_fn *run)
{
    runner = run;
}

static struct str key_of(const uint64_t *number)
{
    return str_from((const char *)number, sizeof(*number));
}

static void asked_free(struct asked **a)
{
    for (const char *file = (*a)->files; file != NULL && *file != '\0';
         file += strlen(file) + 1)
        (void)io_unlink(file);
    lock_cond_release(&(*a)->told);
    mem_free(&(*a)->files);
    mem_free(a);
}

static struct asked *asked_new(void)
{
    struct asked *a = mem_new(sizeof(*a));
    lock_cond_init(&a->told);
    lock_take(&runs_lock);
    a->number = ++last_number;
    (void)map_put(&all_runs, key_of(&a->number), a);
    lock_drop(&runs_lock);
    return a;
}

/* It isn't awaited any more. */
static void forget(struct asked *a)
{
    lock_take(&runs_lock);
    (void)map_remove(&all_runs, key_of(&a->number));
    lock_drop(&runs_lock);
    asked_free(&a);
}

static bool is_stopping(void)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&runs_lock);
    (void)held;
    return stopping;
}

/* Hands it to the runner, whose channel may be full for a moment. */
static bool hand_over(const struct program_order *o, uint64_t number)
{
    const struct queue_run request = { .number = number,
                                       .table = o->table,
                                       .line = o->line->line,
                                       .sum = o->line->sum,
                                       .type = o->type,
                                       .about = o->about,
                                       .macros = o->macros };
    usec_t most = clock_mono() + ASK_MOST;
    while (runner != NULL && !is_stopping() && clock_mono() < most) {
        if (runner(&request))
            return true;
        thread_pause(ASK_AGAIN);
    }
    return false;
}

static uint64_t run_once(const struct program_order *o, struct arena *mem, struct str *out_text)
{
    struct asked *a = asked_new();
    usec_t limit =
        o->line->limit_s > 0 ? (usec_t)o->line->limit_s * USEC_S : conf()->filter_timeout;
    usec_t deadline = clock_mono() + limit + WAIT_IN_LINE;
    uint64_t code = PROGRAM_FAILED;
    *out_text = STR("the runner role takes nothing now");
    if (hand_over(o, a->number)) {
        lock_take(&runs_lock);
        bool in_time = true;
        while (!a->is_told && !stopping && in_time)
            in_time = lock_wait(&runs_lock, &a->told, deadline);
        code = a->is_told ? a->code : PROGRAM_FAILED;
        *out_text = a->is_told ? arena_str(mem, str_from_c(a->text)) : STR("no answer in time");
        lock_drop(&runs_lock);
    }
    forget(a);
    return code;
}

uint64_t program_run(const struct program_order *o, struct arena *mem, struct str *out_text)
{
    uint64_t code = PROGRAM_LOST;
    for (unsigned i = 0; i < RUNS_MOST && code == PROGRAM_LOST; i++)
        code = run_once(o, mem, out_text);
    return is_stopping() && code > PROGRAM_CODE_MAX ? PROGRAM_STOPPED : code;
}

bool program_leave(const struct program_order *o, const struct str *files, size_t count)
{
    struct asked *a = asked_new();
    size_t n = 1;
    for (size_t i = 0; i < count; i++)
        n += files[i].n + 1;
    a->files = mem_new(n);
    n = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(a->files + n, files[i].p, files[i].n);
        n += files[i].n + 1;
    }
    a->left = true;
    if (hand_over(o, a->number))
        return true; /* and perhaps gone already */
    forget(a);
    return false;
}

/* --- what the runner says ----------------------------------------------------------------- */

/* With the lock held. True: nobody waits for it; it is the caller's to free. */
static bool tell(struct asked *a, uint64_t code, struct str text)
{
    if (a->left)
        return true;
    a->code = code;
    memcpy(a->text, text.p, MIN(text.n, sizeof(a->text) - 1));
    a->is_told = true;
    lock_cond_signal(&a->told);
    return false;
}

void queue_ran(uint64_t number, uint64_t code, struct str text)
{
    lock_take(&runs_lock);
    struct asked *a = map_get(&all_runs, key_of(&number));
    bool free_it = a != NULL && tell(a, code, text);
    if (free_it)
        (void)map_remove(&all_runs, key_of(&number));
    lock_drop(&runs_lock);
    if (free_it)
        asked_free(&a);
}

void programs_lost(void)
{
    struct str key;
    void *value = NULL;
    lock_take(&runs_lock);
    struct map all = all_runs;
    all_runs = (struct map){ .fold = false };
    for (size_t at = 0; map_next(&all, &at, &key, &value);) {
        struct asked *a = value;
        if (!tell(a, PROGRAM_LOST, STR("the runner role ended")))
            (void)map_remove(&all, key);
    }
    lock_drop(&runs_lock);
    for (size_t at = 0; map_next(&all, &at, &key, &value);) {
        struct asked *a = value;
        asked_free(&a);
    }
    map_release(&all);
}

void programs_stop(void)
{
    struct str key;
    void *value = NULL;
    lock_take(&runs_lock);
    stopping = true;
    for (size_t at = 0; map_next(&all_runs, &at, &key, &value);)
        lock_cond_signal(&((struct asked *)value)->told);
    lock_drop(&runs_lock);
}

/* jobs.c - see jobs.h. */
#include "web/jobs.h"
#include "sys/lock.h"
#include "web/admins.h"

#define JOBS_MAX 16u
#define RUNNING_MAX 6u /* with those that wait for their time */
#define ABOUT_MAX 200u
#define REST_TIME (100 * USEC_MS)
#define RESULT_TIME (3600 * USEC_S)

enum job_state { JOB_NONE, JOB_RUNNING, JOB_DONE, JOB_STOPPED };

struct job {
    enum job_state state;
    uint64_t id;
    struct job_work work;
    char name[ADMIN_NAME_MAX + 1], about[ABOUT_MAX + 1];
    struct ip client;
    usec_t began_wall, ended; /* ended: clock_mono */
    _Atomic uint64_t done;
    _Atomic bool stop;
    json_t *result;
    pthread_t thread;
    bool has_thread;
};

static struct lock jobs_lock = LOCK_INIT(LOCK_LEAF);
static struct job jobs[JOBS_MAX];
static uint64_t last_id;
static _Atomic uint64_t steps;

void jobs_init(void)
{
    memset(jobs, 0, sizeof(jobs));
}

uint64_t jobs_steps(void)
{
    return atomic_load(&steps);
}

bool job_step(struct job *job)
{
    (void)atomic_fetch_add(&job->done, 1);
    (void)atomic_fetch_add(&steps, 1);
    return !atomic_load(&job->stop);
}

struct link_by job_by(const struct job *job, struct arena *a)
{
    return (struct link_by){ str_from_c(job->name), &job->client, a };
}

/* --- their threads ------------------------------------------------------------------------ */

static void *run_job(void *arg)
{
    struct job *job = arg;
    usec_t begins = clock_mono() + job->work.after_s * USEC_S;
    while (clock_mono() < begins && !atomic_load(&job->stop))
        thread_pause(REST_TIME);
    json_t *result = atomic_load(&job->stop) ? NULL : job->work.run(job, job->work.ctx);
    job->work.release(job->work.ctx);
    lock_take(&jobs_lock);
    job->result = result;
    job->ended = clock_mono();
    job->state = atomic_load(&job->stop) ? JOB_STOPPED : JOB_DONE;
    lock_drop(&jobs_lock);
    (void)atomic_fetch_add(&steps, 1);
    return NULL;
}

/* With the lock held, of one that has ended. */
static void forget(struct job *job)
{
    if (job->has_thread)
        thread_join(job->thread);
    json_decref(job->result);
    job->result = NULL;
    job->has_thread = false;
    job->state = JOB_NONE;
}

static bool has_ended(const struct job *job)
{
    return job->state == JOB_DONE || job->state == JOB_STOPPED;
}

void jobs_tick(void)
{
    usec_t now = clock_mono();
    lock_take(&jobs_lock);
    for (size_t i = 0; i < JOBS_MAX; i++)
        if (has_ended(&jobs[i]) && now - jobs[i].ended > RESULT_TIME)
            forget(&jobs[i]);
    lock_drop(&jobs_lock);
}

void jobs_free(void)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        atomic_store(&jobs[i].stop, true);
        if (jobs[i].has_thread)
            thread_join(jobs[i].thread);
        jobs[i].has_thread = false;
        forget(&jobs[i]);
    }
}

/* A place, with the lock held: a free one, else that which ended first. NULL: too many run. */
static struct job *place(void)
{
    struct job *best = NULL;
    size_t running = 0;
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *job = &jobs[i];
        running += job->state == JOB_RUNNING ? 1 : 0;
        if (job->state != JOB_RUNNING &&
            (best == NULL || job->state == JOB_NONE ||
             (best->state != JOB_NONE && job->ended < best->ended)))
            best = job;
    }
    if (running >= RUNNING_MAX || best == NULL)
        return NULL;
    forget(best);
    return best;
}

static enum rc begin(struct job *job, const struct web *w, const struct job_work *work,
                     struct err *e)
{
    size_t n = MIN(w->who.name.n, sizeof(job->name) - 1),
           about_n = MIN(work->about.n, ABOUT_MAX);
    *job = (struct job){ .state = JOB_RUNNING,
                         .id = ++last_id,
                         .work = *work,
                         .client = w->client,
                         .began_wall = clock_wall() };
    memcpy(job->name, w->who.name.p, n);
    if (about_n > 0)
        memcpy(job->about, work->about.p, about_n);
    job->work.about = STR("");
    enum rc rc = thread_start(run_job, job, "job", &job->thread, e);
    job->has_thread = rc == RC_OK;
    if (rc != RC_OK)
        job->state = JOB_NONE;
    return rc;
}

bool job_start(struct web *w, const struct job_work *work)
{
    struct err e = { .text = "too much is under way; try again later" };
    lock_take(&jobs_lock);
    struct job *job = place();
    enum rc rc = job == NULL ? RC_TEMP : begin(job, w, work, &e);
    uint64_t id = last_id;
    lock_drop(&jobs_lock);
    if (rc != RC_OK) {
        work->release(work->ctx);
        web_fail(w, 503, "busy", "%s", e.text);
        return false;
    }
    web_json(w, 202, json_pack("{s:I}", "job", (json_int_t)id));
    return true;
}

/* --- the API ------------------------------------------------------------------------------ */

static json_t *job_json(const struct job *job)
{
    static const char *const states[] = { "none", "running", "done", "stopped" };
    return json_pack("{s:I, s:s, s:o, s:I, s:o, s:I, s:s, s:I, s:I}", "id", (json_int_t)job->id,
                     "kind", job->work.kind, "about", web_str(str_from_c(job->about)), "begins",
                     (json_int_t)(job->began_wall / USEC_S + job->work.after_s), "by",
                     web_str(str_from_c(job->name)), "began",
                     (json_int_t)(job->began_wall / USEC_S), "state", states[job->state],
                     "done", (json_int_t)atomic_load(&job->done), "total",
                     (json_int_t)job->work.total);
}

json_t *jobs_json(void)
{
    json_t *list = json_array();
    lock_take(&jobs_lock);
    for (size_t i = 0; i < JOBS_MAX; i++)
        if (jobs[i].state != JOB_NONE)
            (void)json_array_append_new(list, job_json(&jobs[i]));
    lock_drop(&jobs_lock);
    return list;
}

void api_jobs(struct web *w)
{
    web_json(w, 200, jobs_json());
}

/* The job of the path, with the lock held. */
static struct job *find(const struct web *w)
{
    uint64_t id = 0;
    if (!str_to_u64(w->params[0], &id))
        return NULL;
    for (size_t i = 0; i < JOBS_MAX; i++)
        if (jobs[i].state != JOB_NONE && jobs[i].id == id)
            return &jobs[i];
    return NULL;
}

/* The result only for who began it: it may hold passwords that were made. */
void api_job(struct web *w)
{
    lock_take(&jobs_lock);
    const struct job *job = find(w);
    json_t *o = job == NULL ? NULL : job_json(job);
    if (job != NULL && job->result != NULL && str_ieq(str_from_c(job->name), w->who.name))
        (void)json_object_set(o, "result", job->result);
    /* Made into text under the lock: the result's parts are shared. */
    if (o != NULL)
        web_json(w, 200, o);
    lock_drop(&jobs_lock);
    if (o == NULL)
        web_fail(w, 404, "unknown", "there is no such job");
}

void api_job_end(struct web *w)
{
    lock_take(&jobs_lock);
    struct job *job = find(w);
    bool found = job != NULL;
    if (found && has_ended(job))
        forget(job);
    else if (found)
        atomic_store(&job->stop, true);
    lock_drop(&jobs_lock);
    if (found)
        w->h.response.status = 204;
    else
        web_fail(w, 404, "unknown", "there is no such job");
}

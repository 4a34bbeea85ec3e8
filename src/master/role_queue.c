/* role_queue.c - the main of the queue role. */
#include "conf/options.h"
#include "master/roles.h"
#include "queue/queue.h"
#include "spool/spool.h"
#include "store/store.h"
#include "sys/commit.h"
#include "users/users.h"
#include <malloc.h>

static struct queue *queue;

static void on_note(void *ctx, const struct note *n, int fd)
{
    (void)ctx;
    if (n->type == NOTE_queued)
        queue_notify(queue, n->u.queued.id);
    if (fd >= 0)
        (void)close(fd);
}

static void every_second(void)
{
    static unsigned seconds;
    struct queue_stats stats;
    (void)options_refresh();
    /* Notes about new entries may have been lost (a full channel, a crash). */
    if (++seconds % 60 == 0)
        queue_rescan(queue);
    queue_stats_get(queue, &stats);
    metric_set(METRIC_queue_waiting, stats.waiting);
    metric_set(METRIC_queue_active, stats.active);
    role_count_log();
}

static enum rc start(const struct role_env *env, struct pool **pool, struct commit **commit,
                     struct err *e)
{
    int channel = env->channels[role_number(ROLE_SMTPD)];
    enum rc rc = role_get_users(env, e);
    if (rc == RC_OK) /* what this role's process before may have left: deliveries to note */
        rc = commit_recover_log(this_role->name, spool_recover_tag, NULL, NULL, e);
    if (rc == RC_OK)
        rc = commit_open(this_role->name, commit, e);
    if (rc == RC_OK)
        rc = pool_new(16, 1024, pool, e);
    if (rc == RC_OK) {
        store_init(*commit);
        rc = spool_init(*commit, e);
    }
    if (rc == RC_OK)
        rc = role_watch_signals(*pool, NULL, e);
    if (rc == RC_OK)
        rc = role_hear_control(*pool, env, e);
    if (rc == RC_OK)
        rc = queue_start(*pool, &queue, e);
    if (rc == RC_OK && channel >= 0)
        rc = channel_listen(*pool, channel, ROLE_SMTPD, ROLE_QUEUE, on_note, NULL, e);
    if (rc == RC_OK)
        rc = role_every(*pool, USEC_S, every_second, e);
    return rc == RC_OK ? role_seal(env, e) : rc;
}

int role_queue(const struct role_env *env)
{
    struct err e;
    struct pool *pool = NULL;
    struct commit *commit = NULL;
    (void)mallopt(M_ARENA_MAX, 2);
    if (start(env, &pool, &commit, &e) != RC_OK) {
        log_error(EV("role can't start"), KE(&e));
        return 1;
    }
    pool_run(pool);
    commit_close(&commit);
    queue_free(&queue);
    pool_free(&pool);
    users_close();
    return 0;
}

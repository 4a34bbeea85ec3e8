/* queue_test.c - when to try again, and what one attempt does: to each recipient once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/queue_int.h"
#include "spool/scratch.h"
#include <poll.h>
#include <pthread.h>

static const char *const amy_and_ben[] = { "amy", "ben", NULL };
static const char *const amy_alone[] = { "amy", NULL };

static void empty_mailboxes(void)
{
    static const char *const names[] = { "amy", "ben", "cat" };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *path = arena_printf(&a, "domains/x.test/%s/Maildir/new", names[i]).p;
        struct folder *f = NULL;
        struct str name;
        unsigned char type = 0;
        assert_int_equal(folder_open(path, &f, NULL), RC_OK);
        while (folder_next(f, &name, &type))
            (void)io_unlink(arena_printf(&a, "%s/%.*s", path, STR_ARG(name)).p);
        folder_close(&f);
    }
}

static int each_setup(void **state)
{
    (void)state;
    empty_mailboxes();
    write_file("domains/x.test/ben/user.tab", "");
    return 0;
}

static size_t reports;

static void count_report(void *ctx, struct str id)
{
    (void)ctx, (void)id;
    reports++;
}

static void try_entry(struct str id, usec_t now, struct attempt_result *out)
{
    attempt_look(id, false, now, count_report, NULL, out);
    while (out->groups != NULL) {
        struct group *g = out->groups;
        out->groups = g->next;
        group_free(&g);
    }
}

static void retry_times(void **state)
{
    (void)state;
    static const struct {
        unsigned tries;
        int64_t seconds;
    } rows[] = { { 1, 300 },  { 2, 600 },   { 3, 1200 },
                 { 6, 9600 }, { 7, 14400 }, { 4000000000u, 14400 } };
    usec_t now = 1000000 * USEC_S, at = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (uint64_t seed = 0; seed < 50; seed++) {
            assert_int_equal(retry_next(conf(), now, rows[i].tries, now, seed, &at), RC_OK);
            assert_true(at >= now + rows[i].seconds * USEC_S);
            assert_true(at <= now + rows[i].seconds * USEC_S * 11 / 10);
        }
    assert_int_equal(retry_next(conf(), now - 5 * 86400 * USEC_S, 9, now, 1, &at), RC_OK);
    assert_int_equal(retry_next(conf(), now - 5 * 86400 * USEC_S - 1, 9, now, 1, &at), RC_PERM);
    /* Nor one that jumped ahead, at once. */
    assert_int_equal(retry_next(conf(), 0, 2, now, 1, &at), RC_OK);
    assert_true(retry_is_due(conf(), 1, now, now));
    assert_false(retry_is_due(conf(), 1, now + 300 * USEC_S, now));
    assert_true(retry_is_due(conf(), 1, now + 86400 * USEC_S, now));
    /* A clock that was set back is no reason to give up. */
    assert_int_equal(retry_next(conf(), now + 86400 * USEC_S, 1, now, 1, &at), RC_OK);
}

static void delivers_to_all_and_is_gone(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct attempt_result result;
    struct str id = queue_for(amy_and_ben, clock_wall(), MESSAGE, &a);
    try_entry(id, clock_wall(), &result);
    assert_int_equal(result.delivered, 2);
    assert_false(result.again);
    assert_int_equal(messages_of("amy"), 1);
    assert_int_equal(messages_of("ben"), 1);
    assert_false(file_exists(spool_path(id, &a).p));
    assert_false(file_exists(spool_journal_path(id, &a).p));
    try_entry(id, clock_wall(), &result); /* a late notice */
    assert_false(result.again);
    assert_int_equal(messages_of("amy"), 1);
}

/* As after a crash between "in the mailbox" and "recorded". */
static void a_lost_record_doesnt_deliver_twice(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .text = "" };
    struct spool_entry entry;
    struct attempt_result result;
    struct str id = queue_for(amy_and_ben, clock_wall(), MESSAGE, &a);
    must(spool_open(id, &a, &entry, &e), &e);
    must(deliver_local(&entry, 0, true, &e), &e);
    spool_close(&entry);
    assert_int_equal(messages_of("amy"), 1);
    try_entry(id, clock_wall(), &result);
    assert_int_equal(messages_of("amy"), 1);
    assert_int_equal(messages_of("ben"), 1);
    assert_false(file_exists(spool_path(id, &a).p));
}

static void a_full_mailbox_keeps_only_its_recipient(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct attempt_result result;
    char large[4096];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    memcpy(large, "A: b\n\n", 6);
    write_file("domains/x.test/ben/user.tab", "\"MaxMBSize\"\t\"5\"\n");
    struct str one = queue_for(amy_and_ben, clock_wall(), large, &a);
    struct str two = queue_for(amy_and_ben, clock_wall(), large, &a);
    try_entry(one, clock_wall(), &result);
    assert_int_equal(result.delivered, 2);
    usec_t now = clock_wall();
    try_entry(two, now, &result);
    assert_int_equal(result.delivered, 1);
    assert_true(result.again && result.due >= now + 300 * USEC_S);
    assert_int_equal(messages_of("amy"), 2);
    assert_int_equal(messages_of("ben"), 1);
    /* Too early: nothing happens. */
    try_entry(two, now, &result);
    assert_true(result.again && result.delivered == 0);
    write_file("domains/x.test/ben/user.tab", "");
    try_entry(two, now + 3600 * USEC_S, &result);
    assert_int_equal(result.delivered, 1);
    assert_int_equal(messages_of("amy"), 2);
    assert_int_equal(messages_of("ben"), 2);
    assert_false(file_exists(spool_path(two, &a).p));
}

static void too_old_fails_and_is_kept(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct attempt_result result;
    size_t before = reports;
    write_file("domains/x.test/ben/user.tab", "\"MaxMBSize\"\t\"5\"\n");
    char large[1024];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    struct str id = queue_for(amy_and_ben, clock_wall() - 6 * 86400 * USEC_S, large, &a);
    write_file("domains/x.test/ben/Maildir/new/1.1.x,S=5000,W=5000", "x");
    try_entry(id, clock_wall(), &result);
    assert_int_equal(result.delivered, 1);
    assert_true(result.again); /* not at once, however old */
    try_entry(id, result.due, &result);
    try_entry(id, result.due, &result);
    assert_int_equal(result.failed, 1);
    assert_false(result.again);
    assert_false(file_exists(spool_path(id, &a).p));
    assert_true(file_exists(arena_printf(&a, "queue/frozen/%.*s", STR_ARG(id)).p));
    assert_int_equal(reports, before + 1);
}

static void an_account_that_is_gone_fails(void **state)
{
    (void)state;
    static const char *const nobody[] = { "nobody", "cat", NULL };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct attempt_result result;
    struct str id = queue_for(nobody, clock_wall(), MESSAGE, &a);
    try_entry(id, clock_wall(), &result);
    assert_int_equal(result.delivered, 1);
    assert_int_equal(result.failed, 1);
    assert_int_equal(messages_of("cat"), 1);
}

/* Each change of the file system fails once: the message is in the mailbox once in the end. */
static void every_failure_is_made_good(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 30; n++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct attempt_result result;
        empty_mailboxes();
        struct str id = queue_for(amy_alone, clock_wall(), MESSAGE, &a);
        io_fail_nth(n, ENOSPC);
        try_entry(id, clock_wall(), &result);
        io_fail_nth(0, 0);
        /* A log that failed takes nothing until its checkpoint thread has mended it. */
        for (int again = 1; again < 100 && result.again; again++) {
            (void)poll(NULL, 0, again < 3 ? 0 : 20);
            try_entry(id, clock_wall() + 8 * 3600 * USEC_S * again, &result);
        }
        if (messages_of("amy") != 1 || file_exists(spool_path(id, &a).p))
            fail_msg("failure %u: %zu messages", n, messages_of("amy"));
    }
}

/* A disk that fails while an outcome is recorded: what another server has taken isn't sent to
 * it again. */
static void what_was_sent_is_not_sent_again(void **state)
{
    (void)state;
    for (unsigned n = 1; n < 20; n++) {
        static const char *const far[] = { "x@far", "y@far", NULL };
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct attempt_result result;
        struct str id = queue_for(far, clock_wall(), MESSAGE, &a);
        struct outcome *list =
            outcome_new(0, OUTCOME_SENT, false, STR("2.0.0 mx 250 ok"), NULL);
        list = outcome_new(1, OUTCOME_SENT, false, STR("2.0.0 mx 250 ok"), list);
        io_fail_nth(n, ENOSPC);
        attempt_settle(id, list, clock_wall(), count_report, NULL, &result);
        io_fail_nth(0, 0);
        for (int again = 1; again < 100 && result.again; again++) {
            (void)poll(NULL, 0, again < 3 ? 0 : 20);
            if (result.unrecorded)
                attempt_settle(id, list, clock_wall(), count_report, NULL, &result);
            else
                try_entry(id, clock_wall() + 8 * 3600 * USEC_S * again, &result);
            assert_int_equal(result.failed, 0); /* nobody x@far here: a try would end so */
        }
        outcomes_free(&list);
        assert_false(file_exists(spool_path(id, &a).p));
    }
}

static void damaged_entry_is_set_aside(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct attempt_result result;
    struct str id = queue_for(amy_alone, clock_wall(), MESSAGE, &a);
    write_file(spool_path(id, &a).p, "hikyaku-entry 1\nsize nonsense\n\n");
    try_entry(id, clock_wall(), &result);
    assert_false(result.again);
    assert_true(file_exists(arena_printf(&a, "queue/damaged/%.*s", STR_ARG(id)).p));
    assert_int_equal(messages_of("amy"), 0);
}

/* Every order of look, outcome and order that the scheduler can make leads to an end. */
static void outcomes_settle(void **state)
{
    (void)state;
    static const char *const three[] = { "amy", "ben", "cat", NULL };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct attempt_result result;
    struct err e = { .text = "" };
    struct spool_entry entry;
    struct str id = queue_for(three, clock_wall(), MESSAGE, &a);
    struct outcome *list = outcome_new(0, OUTCOME_SENT, false, STR("2.0.0 mx 250 ok"), NULL);
    list = outcome_new(1, OUTCOME_TEMP, false, STR("4.2.1 mx 450 later"), list);
    list = outcome_new(2, OUTCOME_PERM, false, STR("5.1.1 mx 550 no"), list);
    list = outcome_new(99, OUTCOME_PERM, false, STR("5.1.1 mx 550 no"), list);
    size_t before = reports;
    attempt_settle(id, list, clock_wall(), count_report, NULL, &result);
    outcomes_free(&list);
    assert_true(result.again);
    assert_int_equal(reports, before + 1);
    must(spool_open(id, &a, &entry, &e), &e);
    assert_int_equal(entry.states[0], DELIVERY_DONE);
    assert_int_equal(entry.states[1], DELIVERY_PENDING);
    assert_int_equal(entry.states[2], DELIVERY_REPORTED);
    assert_true(str_eq(entry.reasons[1], STR("4.2.1 mx 450 later")));
    spool_close(&entry);
    attempt_order(id, QUEUE_HOLD, STR(""), clock_wall(), count_report, NULL, &result);
    assert_true(result.again && result.due == USEC_FOREVER);
    attempt_order(id, QUEUE_RELEASE, STR(""), clock_wall(), count_report, NULL, &result);
    assert_false(result.again);
    assert_int_equal(messages_of("ben"), 1);
    assert_int_equal(messages_of("amy"), 0);
    assert_true(file_exists(arena_printf(&a, "queue/frozen/%.*s", STR_ARG(id)).p));
    must(spool_thaw(id, &e), &e);
    try_entry(id, clock_wall(), &result);
    assert_int_equal(messages_of("cat"), 1);
    assert_int_equal(messages_of("ben"), 1);
    assert_false(file_exists(spool_path(id, &a).p));
    id = queue_for(amy_alone, clock_wall(), MESSAGE, &a);
    attempt_order(id, QUEUE_DELETE, STR(""), clock_wall(), count_report, NULL, &result);
    assert_false(result.again || file_exists(spool_path(id, &a).p));
    assert_int_equal(messages_of("amy"), 0);
}

static struct task *task_for(const char *place, uint64_t sender, bool again)
{
    struct task *t = mem_new(sizeof(*t));
    t->group = mem_new(sizeof(*t->group));
    t->group->sender = sender;
    t->group->again = again;
    t->group->place = mem_new(strlen(place) + 1);
    memcpy(t->group->place, place, strlen(place));
    return t;
}

static void task_end(struct task *t)
{
    group_free(&t->group);
    mem_free(&t);
}

static void destinations_rest(void **state)
{
    (void)state;
    struct destinations all = { .waiting = 0 };
    struct task *t = NULL;
    /* Down while one waits that could start: the counts stay right when it is taken away. */
    for (unsigned i = 0; i < 3; i++) {
        struct destination *d = NULL;
        destination_add(&all, task_for("far.test", 1, false));
        t = destination_next(&all);
        if (i == 2)
            destination_add(&all, task_for("far.test", 2, false));
        d = t->destination;
        task_end(t);
        destination_done(&all, d, false, STR("4.4.1 - no"), clock_mono());
        if (i == 2)
            task_end(destination_drain(&all, d));
    }
    assert_null(destination_next(&all));
    assert_int_equal(all.waiting + all.active, 0);
    destinations_forget_old(&all, clock_mono());
    assert_int_equal(all.by_place.live, 1);
    destinations_forget_old(&all, clock_mono() + 7200 * USEC_S);
    assert_int_equal(all.by_place.live, 0);
    /* Servers that have connections enough: a moment later, and others meanwhile. */
    destination_add(&all, task_for("far.test", 1, false));
    destination_add(&all, task_for("other.test", 1, false));
    t = destination_next(&all);
    destination_pause(&all, t, clock_mono());
    struct task *other = destination_next(&all);
    assert_string_equal(other->group->place, "other.test");
    assert_null(destination_next(&all));
    destinations_resume(&all, clock_mono());
    assert_null(destination_next(&all));
    destinations_resume(&all, clock_mono() + USEC_S);
    assert_ptr_equal(destination_next(&all), t);
    assert_int_equal(all.active, 2);
    destination_done(&all, other->destination, true, STR(""), clock_mono());
    destination_done(&all, t->destination, true, STR(""), clock_mono());
    task_end(t);
    task_end(other);
    assert_int_equal(all.by_place.live, 0);
    destinations_free(&all);
}

/* A flood of one sender doesn't keep another's message waiting, nor one place another. */
static void destinations_are_fair(void **state)
{
    (void)state;
    struct destinations all = { .waiting = 0 };
    for (unsigned i = 0; i < 100; i++)
        destination_add(&all, task_for("far.test", 1, false));
    destination_add(&all, task_for("far.test", 2, false));
    destination_add(&all, task_for("other.test", 1, false));
    bool second = false, other = false;
    unsigned n = 0;
    struct task *started[32], *t = NULL;
    for (; n < 32 && (t = destination_next(&all)) != NULL; n++) {
        second = second || t->group->sender == 2;
        other = other || strcmp(t->group->place, "other.test") == 0;
        started[n] = t;
    }
    assert_int_equal(n, 5 + 1); /* the first window of each */
    assert_true(second && other);
    for (unsigned i = 0; i < n; i++) {
        struct destination *d = started[i]->destination;
        task_end(started[i]);
        destination_done(&all, d, true, STR(""), clock_mono());
    }
    n = 0;
    for (; n < 32 && (t = destination_next(&all)) != NULL; n++)
        started[n] = t;
    assert_int_equal(n, 10); /* one more with each success */
    /* Three failures in a row: down, and what waits is given back. */
    struct str reason = STR("");
    for (unsigned i = 0; i < n; i++) {
        struct destination *d = started[i]->destination;
        task_end(started[i]);
        destination_done(&all, d, false, STR("4.4.1 - no"), clock_mono());
        assert_true(destination_is_down(&all, STR("far.test"), clock_mono(), &reason) ==
                    (i >= 2));
        if (i == n - 1)
            for (t = destination_drain(&all, d); t != NULL;) {
                struct task *next = t->next;
                task_end(t);
                t = next;
            }
    }
    assert_true(str_eq(reason, STR("4.4.1 - no")));
    assert_int_equal(all.waiting + all.active, 0);
    assert_false(
        destination_is_down(&all, STR("far.test"), clock_mono() + 61 * USEC_S, &reason));
    destinations_free(&all);
}

/* --- the scheduler ----------------------------------------------------------------------- */

static struct queue *the_queue;
static _Atomic unsigned asked;

/* The relay role: every server is busy. */
static bool busy(const struct queue_relay *r)
{
    asked++;
    queue_relay_done(the_queue, r->job, OUTCOME_TEMP, 0, STR("4.3.2 - busy"), STR(""), STR(""));
    return true;
}

static void pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

static void *run_pool(void *pool)
{
    pool_run(pool);
    return NULL;
}

static bool was_asked(unsigned times)
{
    for (unsigned i = 0; i < 1000 && asked < times; i++)
        pause_ms(10);
    return asked == times;
}

static bool remove_entry(void *ctx, struct str id)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    (void)ctx;
    (void)io_unlink(spool_path(id, &a).p);
    (void)io_unlink(spool_journal_path(id, &a).p);
    return true;
}

/* The only entry: to x and y at far.test. */
static struct str queue_far(size_t recipients, struct arena *a)
{
    struct envelope_recipient far[] = {
        { .address = address_of("x", "far.test"), .resolved = address_of("x", "far.test") },
        { .address = address_of("y", "far.test"), .resolved = address_of("y", "far.test") },
    };
    struct envelope env = { .reverse_path = address_of("amy", "x.test"),
                            .received_at = clock_wall(),
                            .recipient_count = recipients,
                            .recipients = far };
    struct spool_put *put = NULL;
    struct err e = { .text = "" };
    struct str id;
    must(spool_scan(remove_entry, NULL, &e), &e);
    must(spool_put_begin(&env, &put, &e), &e);
    must(spool_put_write(put, STR(MESSAGE), strlen(MESSAGE) + 3, &e), &e);
    must(spool_put_commit(&put, a, &id, &e), &e);
    return id;
}

static struct pool *the_pool;
static pthread_t pool_thread;

static void scheduler_start(queue_relay_fn *relay)
{
    struct err e = { .text = "" };
    asked = 0;
    must(pool_new(4, 100, &the_pool, &e), &e);
    must(queue_start(the_pool, relay, &the_queue, &e), &e);
}

static void scheduler_go(void)
{
    queue_relay_ready(the_queue);
    assert_int_equal(pthread_create(&pool_thread, NULL, run_pool, the_pool), 0);
}

static void scheduler_stop(void)
{
    pool_stop(the_pool, USEC_S);
    (void)pthread_join(pool_thread, NULL);
    queue_free(&the_queue);
    pool_free(&the_pool);
}

static bool is_gone(struct str path)
{
    for (unsigned i = 0; i < 1000 && file_exists(path.p); i++)
        pause_ms(10);
    return !file_exists(path.p);
}

static char asked_for[2][16];

static void note_asked(const struct queue_relay *r)
{
    if (asked < ARRAY_LEN(asked_for))
        (void)snprintf(asked_for[asked], sizeof(asked_for[0]), "%.*s", STR_ARG(r->rcpts));
    asked++;
}

/* A relay role that dies when it has told of one recipient; its successor does the rest. */
static bool dies_once(const struct queue_relay *r)
{
    note_asked(r);
    if (asked == 1) {
        queue_relay_result(the_queue, r->job, 0, OUTCOME_SENT, 0, STR("2.0.0 - yes"), r->id);
        queue_relay_ready(the_queue);
    } else {
        queue_relay_done(the_queue, r->job, OUTCOME_SENT, 0, STR("2.0.0 - yes"), r->id,
                         r->rcpts);
    }
    return true;
}

static void what_a_dead_relay_told_counts(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str id = queue_far(2, &a);
    (void)state;
    scheduler_start(dies_once);
    scheduler_go();
    assert_true(is_gone(spool_path(id, &a)));
    assert_int_equal(asked, 2);
    assert_string_equal(asked_for[0], "0 1");
    assert_string_equal(asked_for[1], "1");
    scheduler_stop();
}

/* An answer to the queue process before this one. */
static void what_a_dead_queue_asked_counts(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str id = queue_far(2, &a);
    (void)state;
    scheduler_start(dies_once);
    asked = 1;
    queue_relay_result(the_queue, 4711, 1, OUTCOME_SENT, 0, STR("2.0.0 - yes"), id);
    scheduler_go();
    for (unsigned i = 0; i < 1000 && !file_exists(spool_journal_path(id, &a).p); i++)
        pause_ms(10);
    queue_order(the_queue, QUEUE_TRY, id, STR("")); /* the rest would wait its turn */
    assert_true(is_gone(spool_path(id, &a)));
    assert_int_equal(asked, 2);
    assert_string_equal(asked_for[1], "0");
    scheduler_stop();
}

static void a_clock_that_is_set_changes_no_pause(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str id = queue_far(1, &a);
    (void)state;
    scheduler_start(busy);
    scheduler_go();
    assert_true(was_asked(1));
    pause_ms(100); /* settled, and due in 300 s */
    clock_shift_wall(-7200 * USEC_S);
    queue_rescan(the_queue);
    pause_ms(200);
    assert_int_equal(asked, 1);
    clock_shift(340 * USEC_S);
    queue_rescan(the_queue);
    assert_true(was_asked(2));
    pause_ms(100);
    clock_shift_wall(30 * 86400 * USEC_S); /* far beyond QueueLifetime */
    queue_rescan(the_queue);
    pause_ms(200);
    assert_int_equal(asked, 2);
    assert_true(file_exists(spool_path(id, &a).p));
    scheduler_stop();
    clock_shift(-340 * USEC_S);
    clock_shift_wall(7200 * USEC_S - 30 * 86400 * USEC_S);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_times),
        cmocka_unit_test(destinations_are_fair),
        cmocka_unit_test(destinations_rest),
        cmocka_unit_test_setup(outcomes_settle, each_setup),
        cmocka_unit_test_setup(delivers_to_all_and_is_gone, each_setup),
        cmocka_unit_test_setup(a_lost_record_doesnt_deliver_twice, each_setup),
        cmocka_unit_test_setup(a_full_mailbox_keeps_only_its_recipient, each_setup),
        cmocka_unit_test_setup(too_old_fails_and_is_kept, each_setup),
        cmocka_unit_test_setup(an_account_that_is_gone_fails, each_setup),
        cmocka_unit_test_setup(every_failure_is_made_good, each_setup),
        cmocka_unit_test_setup(what_was_sent_is_not_sent_again, each_setup),
        cmocka_unit_test_setup(damaged_entry_is_set_aside, each_setup),
        cmocka_unit_test_setup(what_a_dead_relay_told_counts, each_setup),
        cmocka_unit_test_setup(what_a_dead_queue_asked_counts, each_setup),
        cmocka_unit_test_setup(a_clock_that_is_set_changes_no_pause, each_setup),
    };
    return cmocka_run_group_tests_name("queue", tests, group_setup, group_teardown);
}

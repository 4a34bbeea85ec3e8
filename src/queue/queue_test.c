/* queue_test.c - when to try again, and what one attempt does: to each recipient once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/queue_int.h"
#include "spool/scratch.h"
#include <poll.h>

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
            assert_int_equal(retry_next(now, rows[i].tries, now, seed, &at), RC_OK);
            assert_true(at >= now + rows[i].seconds * USEC_S);
            assert_true(at <= now + rows[i].seconds * USEC_S * 11 / 10);
        }
    assert_int_equal(retry_next(now - 5 * 86400 * USEC_S, 9, now, 1, &at), RC_OK);
    assert_int_equal(retry_next(now - 5 * 86400 * USEC_S - 1, 9, now, 1, &at), RC_PERM);
    /* A clock that was set back is no reason to give up. */
    assert_int_equal(retry_next(now + 86400 * USEC_S, 1, now, 1, &at), RC_OK);
}

static void delivers_to_all_and_is_gone(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct attempt_result result;
    struct str id = queue_for(amy_and_ben, clock_wall(), MESSAGE, &a);
    attempt_entry(id, clock_wall(), &result);
    assert_int_equal(result.delivered, 2);
    assert_false(result.again);
    assert_int_equal(messages_of("amy"), 1);
    assert_int_equal(messages_of("ben"), 1);
    assert_false(file_exists(spool_path(id, &a).p));
    assert_false(file_exists(spool_journal_path(id, &a).p));
    attempt_entry(id, clock_wall(), &result); /* a late notice */
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
    must(deliver_local(&entry, 0, &e), &e);
    spool_close(&entry);
    assert_int_equal(messages_of("amy"), 1);
    attempt_entry(id, clock_wall(), &result);
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
    attempt_entry(one, clock_wall(), &result);
    assert_int_equal(result.delivered, 2);
    usec_t now = clock_wall();
    attempt_entry(two, now, &result);
    assert_int_equal(result.delivered, 1);
    assert_true(result.again && result.due >= now + 300 * USEC_S);
    assert_int_equal(messages_of("amy"), 2);
    assert_int_equal(messages_of("ben"), 1);
    /* Too early: nothing happens. */
    attempt_entry(two, now, &result);
    assert_true(result.again && result.delivered == 0);
    write_file("domains/x.test/ben/user.tab", "");
    attempt_entry(two, now + 3600 * USEC_S, &result);
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
    write_file("domains/x.test/ben/user.tab", "\"MaxMBSize\"\t\"5\"\n");
    char large[1024];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    struct str id = queue_for(amy_and_ben, clock_wall() - 6 * 86400 * USEC_S, large, &a);
    write_file("domains/x.test/ben/Maildir/new/1.1.x,S=5000,W=5000", "x");
    attempt_entry(id, clock_wall(), &result);
    assert_int_equal(result.delivered, 1);
    assert_int_equal(result.failed, 1);
    assert_false(result.again);
    assert_true(file_exists(spool_path(id, &a).p));
}

static void an_account_that_is_gone_fails(void **state)
{
    (void)state;
    static const char *const nobody[] = { "nobody", "cat", NULL };
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct attempt_result result;
    struct str id = queue_for(nobody, clock_wall(), MESSAGE, &a);
    attempt_entry(id, clock_wall(), &result);
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
        attempt_entry(id, clock_wall(), &result);
        io_fail_nth(0, 0);
        /* A log that failed takes nothing until its checkpoint thread has mended it. */
        for (int again = 1; again < 100 && result.again; again++) {
            (void)poll(NULL, 0, again < 3 ? 0 : 20);
            attempt_entry(id, clock_wall() + 8 * 3600 * USEC_S * again, &result);
        }
        if (messages_of("amy") != 1 || file_exists(spool_path(id, &a).p))
            fail_msg("failure %u: %zu messages", n, messages_of("amy"));
    }
}

static void damaged_entry_is_set_aside(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct attempt_result result;
    struct str id = queue_for(amy_alone, clock_wall(), MESSAGE, &a);
    write_file(spool_path(id, &a).p, "hikyaku-entry 1\nsize nonsense\n\n");
    attempt_entry(id, clock_wall(), &result);
    assert_false(result.again);
    assert_true(file_exists(arena_printf(&a, "queue/damaged/%.*s", STR_ARG(id)).p));
    assert_int_equal(messages_of("amy"), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_times),
        cmocka_unit_test_setup(delivers_to_all_and_is_gone, each_setup),
        cmocka_unit_test_setup(a_lost_record_doesnt_deliver_twice, each_setup),
        cmocka_unit_test_setup(a_full_mailbox_keeps_only_its_recipient, each_setup),
        cmocka_unit_test_setup(too_old_fails_and_is_kept, each_setup),
        cmocka_unit_test_setup(an_account_that_is_gone_fails, each_setup),
        cmocka_unit_test_setup(every_failure_is_made_good, each_setup),
        cmocka_unit_test_setup(damaged_entry_is_set_aside, each_setup),
    };
    return cmocka_run_group_tests_name("queue", tests, group_setup, group_teardown);
}

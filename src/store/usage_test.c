/* usage_test.c - limits and counters: right, shared by threads, and counted only when needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/scratch.h"

static void test_quota(void **state)
{
    struct err e;
    static char text[900];
    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(store_fits(&amy, 0, 1 << 30, &e), RC_OK);
    assert_int_equal(store_fits(&amy, 1, 2000, &e), RC_PERM);
    assert_string_equal(e.dsn, "5.2.3");
    assert_int_equal(deliver(str_from(text, 900), 1, NULL, &e), RC_OK);
    assert_int_equal(store_fits(&amy, 1, 124, &e), RC_OK);
    assert_int_equal(store_fits(&amy, 1, 0, &e), RC_OK);
    assert_int_equal(store_fits(&amy, 1, 125, &e), RC_TEMP);
    assert_string_equal(e.dsn, "4.2.2");
    assert_int_equal(deliver(str_from(text, 125), 1, NULL, &e), RC_TEMP);
    assert_string_equal(e.dsn, "4.2.2");
    assert_int_equal(deliver(str_from(text, 124), 1, NULL, &e), RC_OK);
    assert_int_equal(store_fits(&amy, 1, 0, &e), RC_TEMP);
    assert_int_equal(files_in(AMY "/Maildir/tmp"), 0);
    check_usage(1024, 2);
    struct mailbox *m = open_mailbox(false);
    size_t removed = 0;
    mailbox_message(m, 0)->deleted = true;
    assert_int_equal(mailbox_expunge(m, &removed, &e), RC_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(mailbox_expunge(m, &removed, &e), RC_OK);
    assert_int_equal(removed, 0);
    mailbox_close(&m);
    check_usage(124, 1);
}

/* Reads how often the mailbox was counted in full. */
static uint64_t generation(void)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str record;
    uint64_t value = 0;
    assert_int_equal(
        file_read("hikyaku/mailbox/x.test/amy/count", 4096, &mem, &record, NULL, NULL), RC_OK);
    memcpy(&value, record.p + 64, sizeof(value));
    return value;
}

static void test_counts_again_only_when_needed(void **state)
{
    (void)state;
    assert_int_equal(deliver(STR("1\n"), 100, NULL, NULL), RC_OK);
    uint64_t first = generation();
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(deliver(STR("1\n"), 100, NULL, NULL), RC_OK);
    deliver_ok("no limit\n");
    check_usage(21 * 3 + 10, 22);
    assert_int_equal(generation(), first);
    /* Another program puts a message in. */
    struct timespec tick = { .tv_nsec = 20000000 };
    (void)nanosleep(&tick, NULL);
    write_file(AMY "/Maildir/cur/1700000000.foreign.h:2,S", "a: b\n\nx\n", 1700000000);
    check_usage(21 * 3 + 10 + 11, 23);
    assert_int_equal(generation(), first + 1);
    (void)nanosleep(&tick, NULL);
    write_file(AMY "/Maildir/new/1700000000.foreign2.h", "x\n", 1700000000);
    check_usage(21 * 3 + 10 + 11 + 3, 24);
    assert_int_equal(generation(), first + 2);
    assert_int_equal(io_unlink(AMY "/Maildir/new/1700000000.foreign2.h"), 0);
    /* The server stopped uncleanly. */
    write_file("hikyaku/run", "run-2\n", 0);
    store_init(commit);
    check_usage(21 * 3 + 10 + 11, 23);
    assert_true(generation() > first + 3);
    /* A day has passed. */
    uint64_t before = generation();
    clock_shift(25 * 3600 * USEC_S);
    check_usage(21 * 3 + 10 + 11, 23);
    clock_shift(-25 * 3600 * USEC_S);
    assert_int_equal(generation(), before + 1);
    /* The record is damaged. */
    write_file("hikyaku/mailbox/x.test/amy/count", "rubbish", 0);
    check_usage(21 * 3 + 10 + 11, 23);
}

/* A role died between announcing and settling: believed for ten minutes, then counted. */
static void test_pending(void **state)
{
    struct place place;
    struct usage_change change;
    (void)state;
    assert_int_equal(deliver(STR("1\n"), 100, NULL, NULL), RC_OK);
    place = place_find(&amy);
    assert_int_equal(usage_begin(&amy, &place, 100, 1000, 1, &change, NULL), RC_OK);
    assert_true(change.counted);
    check_usage(1003, 2);
    clock_shift(11 * 60 * USEC_S);
    check_usage(3, 1);
    /* It wasn't dead: what it settles now is of an earlier count. */
    usage_end(&amy, &place, &change, false, 0, 0);
    check_usage(3, 1);
    clock_shift(-11 * 60 * USEC_S);
}

#define THREADS 4
#define EACH 100

static void *deliver_many(void *arg)
{
    for (unsigned i = 0; i < EACH; i++)
        if (deliver(STR("12345678\n"), 1000, NULL, NULL) != RC_OK)
            *(unsigned *)arg += 1;
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    unsigned failures[THREADS] = { 0 };
    (void)state;
    assert_int_equal(deliver(STR("12345678\n"), 1000, NULL, NULL), RC_OK);
    uint64_t first = generation();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(deliver_many, &failures[i], "deliver", &threads[i], NULL),
                         RC_OK);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(failures[i], 0);
    }
    check_usage((THREADS * EACH + 1) * 10, THREADS * EACH + 1);
    assert_int_equal(generation(), first);
    assert_int_equal(files_in(AMY "/Maildir/new"), THREADS * EACH + 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, test_setup)
    const struct CMUnitTest tests[] = {
        T(test_quota),
        T(test_counts_again_only_when_needed),
        T(test_pending),
        T(test_threads),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/* guard_test.c - delays, limits, forgiving, full tables, two processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/io.h"
#include "sys/lock.h"
#include "users/guard.h"
#include <sys/wait.h>

#define NOW ((usec_t)1000000 * USEC_S)

static struct ip address(const char *text)
{
    struct ip ip = { { 0 } };
    if (!ip_parse(str_from_c(text), &ip))
        BUG("address");
    return ip;
}

static int fresh(void **state)
{
    (void)state;
    int fd = -1;
    struct err e;
    return guard_make(&fd, &e) == RC_OK && guard_use(fd, &e) == RC_OK ? 0 : -1;
}

static void delays_double(void **state)
{
    (void)state;
    static const int seconds[] = { 2, 4, 8, 16, 32, 60, 60, 60 };
    struct ip client = address("192.0.2.1");
    assert_int_equal(guard_delay(&client, STR("amy@x.test"), NOW), 0);
    for (size_t i = 0; i < ARRAY_LEN(seconds); i++) {
        usec_t delay = guard_bad(&client, STR("amy@x.test"), true, 2 * USEC_S, NOW);
        print_message("bad login %zu\n", i + 1);
        assert_int_equal(delay, seconds[i] * USEC_S);
        assert_int_equal(guard_delay(&client, STR("amy@x.test"), NOW), delay);
        assert_int_equal(guard_delay(&client, STR("amy@x.test"), NOW + delay), 0);
    }
    /* Others go on: another account from there, the account from elsewhere. */
    struct ip other = address("192.0.2.2");
    assert_int_equal(guard_delay(&client, STR("bob@x.test"), NOW), 0);
    assert_int_equal(guard_delay(&other, STR("amy@x.test"), NOW), 0);
    guard_good(&client, STR("amy@x.test"));
    assert_int_equal(guard_delay(&client, STR("amy@x.test"), NOW), 0);
}

static void spellings_of_a_login_count_together(void **state)
{
    (void)state;
    static const char *const logins[] = { "amy@x.test", "AMY@X.TEST", "amy:x.test",
                                          "Amy:X.test" };
    struct ip client = address("192.0.2.1");
    for (size_t i = 0; i < ARRAY_LEN(logins); i++) {
        print_message("%s\n", logins[i]);
        assert_int_equal(guard_bad(&client, str_from_c(logins[i]), true, USEC_S, NOW),
                         USEC_S << i);
    }
}

static void a_pair_is_refused_and_forgiven(void **state)
{
    (void)state;
    struct ip client = address("2001:db8:1:2::1"), same = address("2001:db8:1:2:ffff::9");
    struct ip other = address("2001:db8:1:3::1");
    for (int i = 0; i < 20; i++)
        (void)guard_bad(i % 2 == 0 ? &client : &same, STR("amy@x.test"), true, 0, NOW);
    assert_int_equal(guard_delay(&client, STR("amy@x.test"), NOW), USEC_FOREVER);
    assert_int_equal(guard_delay(&same, STR("amy@x.test"), NOW), USEC_FOREVER);
    assert_int_equal(guard_delay(&other, STR("amy@x.test"), NOW), 0);
    assert_int_equal(guard_delay(&client, STR("bob@x.test"), NOW), 0);
    assert_int_equal(guard_delay(&client, STR("amy@x.test"), NOW + 60 * USEC_S), 0);
    for (int i = 0; i < 3; i++)
        (void)guard_bad(&client, STR("amy@x.test"), true, 0, NOW + 60 * USEC_S);
    assert_int_equal(guard_delay(&client, STR("amy@x.test"), NOW + 60 * USEC_S), USEC_FOREVER);
    /* After the full time nothing is left but the count of one. */
    (void)guard_bad(&client, STR("amy@x.test"), true, 0, NOW + 900 * USEC_S);
    assert_int_equal(guard_bad(&client, STR("amy@x.test"), true, USEC_S, NOW + 900 * USEC_S),
                     2 * USEC_S);
}

static void bad_names(const struct ip *client, unsigned from, unsigned count, usec_t now)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    for (unsigned i = 0; i < count; i++)
        (void)guard_bad(client, arena_printf(&a, "name%u@x.test", from + i), true, 0, now);
}

static void an_address_is_refused_but_not_its_good_users(void **state)
{
    (void)state;
    usec_t now = clock_mono();
    struct ip client = address("192.0.2.7"), other = address("192.0.2.8");
    guard_good(&client, STR("regular@x.test"));
    bad_names(&client, 0, 100, now);
    assert_int_equal(guard_delay(&client, STR("fresh@x.test"), now), USEC_FOREVER);
    assert_int_equal(guard_delay(&client, STR("regular@x.test"), now), 0);
    assert_int_equal(guard_delay(&other, STR("fresh@x.test"), now), 0);
    /* A good login forgives its pair, not the address. */
    guard_good(&client, STR("regular@x.test"));
    assert_int_equal(guard_delay(&client, STR("fresh@x.test"), now), USEC_FOREVER);
    /* The regular user's own bad logins count against that user. */
    for (int i = 0; i < 20; i++)
        (void)guard_bad(&client, STR("regular@x.test"), true, 0, now);
    assert_int_equal(guard_delay(&client, STR("regular@x.test"), now), USEC_FOREVER);
    assert_int_equal(guard_delay(&client, STR("fresh@x.test"), now + 600 * USEC_S), 0);
}

static void spraying_slows_down_too(void **state)
{
    (void)state;
    struct ip client = address("198.51.100.1");
    bad_names(&client, 0, 20, NOW);
    assert_true(guard_bad(&client, STR("never@seen.test"), true, USEC_S, NOW) >= 32 * USEC_S);
}

static void a_full_table_still_counts(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    for (unsigned i = 0; i < 200000; i++) {
        struct ip client = { { 0x20, 1, 0xd, 0xb8, (uint8_t)(i >> 16), (uint8_t)(i >> 8),
                               (uint8_t)i } };
        (void)guard_bad(&client, arena_printf(&a, "u%u", i), true, 0, NOW + i);
        if (i % 1000 == 0)
            arena_reset(&a);
    }
    usec_t later = NOW + 2 * USEC_S;
    struct ip client = address("192.0.2.9");
    for (int i = 0; i < 20; i++)
        (void)guard_bad(&client, STR("amy@x.test"), true, 0, later);
    assert_int_equal(guard_delay(&client, STR("amy@x.test"), later), USEC_FOREVER);
    /* Innocent strangers aren't held up by the crowd. */
    unsigned held = 0;
    for (unsigned i = 0; i < 10000; i++) {
        struct ip stranger = { { 0x20, 2, (uint8_t)(i >> 8), (uint8_t)i } };
        held += guard_delay(&stranger, STR("somebody@x.test"), later) != 0;
    }
    assert_true(held <= 2);
}

static void other_processes_see_it(void **state)
{
    (void)state;
    struct ip client = address("192.0.2.3");
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 20; i++)
            (void)guard_bad(&client, STR("amy@x.test"), true, 0, NOW);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(guard_delay(&client, STR("amy@x.test"), NOW), USEC_FOREVER);
}

static void *hammer(void *arg)
{
    const struct ip *client = arg;
    for (int i = 0; i < 10; i++)
        (void)guard_bad(client, STR("amy@x.test"), true, 0, NOW);
    return NULL;
}

static void threads_lose_no_count(void **state)
{
    (void)state;
    struct ip client = address("192.0.2.4");
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(thread_start(hammer, &client, "hammer", &threads[i], NULL), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    bad_names(&client, 0, 59, NOW);
    assert_int_equal(guard_delay(&client, STR("fresh"), NOW), 0);
    bad_names(&client, 59, 1, NOW);
    assert_int_equal(guard_delay(&client, STR("fresh"), NOW), USEC_FOREVER);
}

static void only_a_guard_table_is_used(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(guard_use(io_open("/dev/zero", O_RDWR, 0), &e), RC_TEMP);
    assert_int_equal(guard_use(-1, &e), RC_TEMP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(delays_double, fresh),
        cmocka_unit_test_setup(spellings_of_a_login_count_together, fresh),
        cmocka_unit_test_setup(a_pair_is_refused_and_forgiven, fresh),
        cmocka_unit_test_setup(an_address_is_refused_but_not_its_good_users, fresh),
        cmocka_unit_test_setup(spraying_slows_down_too, fresh),
        cmocka_unit_test_setup(a_full_table_still_counts, fresh),
        cmocka_unit_test_setup(other_processes_see_it, fresh),
        cmocka_unit_test_setup(threads_lose_no_count, fresh),
        cmocka_unit_test_setup(only_a_guard_table_is_used, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

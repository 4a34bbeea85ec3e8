/* limits_test.c - counting by limits.tab, who is held, and letting go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/file.h"
#include "users/limits.h"
#include "users/test_root.h"

static const char lines[] = "\"address\"\t\"connections\"\t\"3\"\t\"60\"\t\"refuse\"\n"
                            "\"account\"\t\"messages\"\t\"2\"\t\"60\"\t\"stop,notify\"\n"
                            "\"account\"\t\"recipients\"\t\"100000\"\t\"604800\"\t\"delay=7\"\n"
                            "\"account\"\t\"bad-logins\"\t\"1\"\t\"60\"\t\"refuse\"\n"
                            "\"address\"\t\"connections\"\t\"9\"\t\"60\"\t\"stop\"\n"
                            "\"address\"\t\"connections\"\t\"1\"\t\"0\"\t\"refuse\"\n"
                            "\"address\"\t\"connections\"\t\"1\"\t\"60\"\t\"refuse,refuse\"\n"
                            "\"address\"\t\"connections\"\t\"1\"\t\"60\"\t\"notify\"\n"
                            "\"address\"\t\"connections\"\t\"1\"\t\"60\"\t\"delay=301\"\n";

static struct ip ip_of(const char *text)
{
    struct ip ip;
    if (!ip_parse(str_from_c(text), &ip))
        fail_msg("%s", text);
    return ip;
}

static bool client_is_held(const char *text)
{
    struct limit_held held;
    struct ip ip = ip_of(text);
    return limits_find_client(&ip, LIMIT_CONNECTIONS, &held);
}

static void connect_from(const char *text, unsigned times)
{
    struct ip ip = ip_of(text);
    while (times-- > 0)
        limits_count_client(&ip, LIMIT_CONNECTIONS);
}

/* Exactly as many as the line says; broken lines count for nothing. */
static void clients(void **state)
{
    (void)state;
    connect_from("192.0.2.1", 2);
    assert_false(client_is_held("192.0.2.1"));
    connect_from("192.0.2.1", 1);
    assert_true(client_is_held("192.0.2.1"));
    assert_false(client_is_held("192.0.2.2"));
    connect_from("2001:db8::1", 2);
    connect_from("2001:db8::2", 1);
    assert_true(client_is_held("2001:db8::ffff"));
    assert_false(client_is_held("2001:db8:0:1::1"));
    assert_int_equal(limits_release(STR("2001:db8::9")), 1);
    assert_false(client_is_held("2001:db8::1"));
    connect_from("2001:db8::1", 2);
    assert_false(client_is_held("2001:db8::1"));
    assert_int_equal(limits_release(STR("2001:db8::9")), 0);
}

static void accounts(void **state)
{
    (void)state;
    struct limit_held held;
    struct str ann = STR("Ann@X.test");
    limits_count_account(ann, LIMIT_MESSAGES);
    limits_count_account(STR("ann:x.test"), LIMIT_MESSAGES);
    assert_true(limits_find_account(STR("ann@x.test"), LIMIT_CONNECTIONS, &held));
    assert_int_equal(held.action, LIMIT_STOP);
    assert_int_equal(held.until, 0);
    assert_int_equal(held.line, 2);
    assert_true(held.notify);
    assert_string_equal(held.who, "ann@x.test");
    limits_count_account(STR("bob"), LIMIT_BAD_LOGINS);
    assert_true(limits_find_account(STR("BOB"), LIMIT_BAD_LOGINS, &held));
    assert_false(limits_find_account(STR("bob"), LIMIT_MESSAGES, &held));
    assert_true(held.until > held.since);
    assert_int_equal(limits_release(STR("ANN@x.test")), 1);
    assert_false(limits_find_account(ann, LIMIT_MESSAGES, &held));
    for (unsigned i = 0; i < 99000; i++)
        limits_count_account(STR("many"), LIMIT_RECIPIENTS);
    assert_false(limits_find_account(STR("many"), LIMIT_RECIPIENTS, &held));
    for (unsigned i = 0; i < 1100; i++)
        limits_count_account(STR("many"), LIMIT_RECIPIENTS);
    assert_true(limits_find_account(STR("many"), LIMIT_RECIPIENTS, &held));
    assert_int_equal(held.delay_s, 7);
}

static void count_one(void *ctx, const struct limit_held *held)
{
    size_t *stopped = ctx;
    stopped[held->action == LIMIT_STOP]++;
}

/* However many are held, there is an end, and who was stopped stays so. */
static void bounded(void **state)
{
    (void)state;
    struct limit_held held;
    char text[64];
    size_t counts[2] = { 0, 0 };
    for (unsigned i = 0; i < 3; i++)
        limits_count_account(STR("eve@x.test"), LIMIT_MESSAGES);
    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(text, sizeof(text), "10.%u.%u.7", i / 250, i % 250);
        connect_from(text, 3);
    }
    assert_true(limits_find_account(STR("eve@x.test"), LIMIT_MESSAGES, &held));
    assert_true(client_is_held("10.79.249.7"));
    limits_each(count_one, counts);
    assert_int_equal(counts[1], 1);
    assert_true(counts[0] > 900 && counts[0] < 1024);
}

static void kept(void **state)
{
    (void)state;
    struct buf text AUTO_RELEASE_BUF;
    struct limit_held held = { .who = "a \"b\"@x.test",
                               .line = 3,
                               .since = 5 * USEC_S,
                               .count = 9,
                               .window_s = 60,
                               .is_account = true,
                               .what = LIMIT_RECIPIENTS,
                               .action = LIMIT_STOP };
    struct limit_held back;
    struct err e;
    buf_init(&text, 4096);
    assert_int_equal(limits_print(&held, "", &text, &e), RC_OK);
    assert_true(limits_parse(buf_str(&text), &back));
    held.settled = true;
    assert_memory_equal(&held, &back, sizeof(held));
    assert_false(limits_parse(STR("\"account\"\t\"x\""), &back));
    assert_int_equal(limits_keep(&e), RC_OK);
    assert_int_equal(limits_release(STR("eve@x.test")), 1);
    limits_recall();
    assert_true(limits_find_account(STR("eve@x.test"), LIMIT_MESSAGES, &back));
    struct str broken = STR("nonsense\n\"account\"\t\"x\"\n");
    assert_int_equal(file_replace("hikyaku/stopped", broken, 0600, &e), RC_OK);
    limits_recall();
}

static int make(void **state)
{
    (void)state;
    root_enter();
    root_folder("hikyaku");
    root_put("limits.tab", lines);
    limits_init();
    return 0;
}

static int leave(void **state)
{
    (void)state;
    root_leave();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients),
        cmocka_unit_test(accounts),
        cmocka_unit_test(bounded),
        cmocka_unit_test(kept),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, make, leave);
}

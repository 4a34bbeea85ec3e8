/* figures_test.c - whose figures grow, sampling that dies at each point, two processes, a full
 * table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "users/figures.h"
#include "users/test_root.h"
#include <sys/wait.h>

#define DOMAIN STR("one.example")

static int fresh(void **state)
{
    (void)state;
    int fd = -1;
    struct err e;
    root_enter();
    root_put("domains.tab", "\"one.example\"\n\"Two.example\"\n");
    root_put("aliasdomain.tab", "\"alias.example\"\t\"one.example\"\n");
    root_put("mailusers.tab", "");
    root_put("aliases.tab", "");
    (void)root_index();
    return figures_make(&fd, &e) == RC_OK && figures_use(fd, &e) == RC_OK ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    root_leave();
    return 0;
}

/* What `accepted` of the domain grew by. */
static uint64_t grown(struct str domain, uint64_t sample, uint64_t kept)
{
    uint64_t n[FIGURES];
    return figures_grown(domain, sample, kept, n) ? n[FIGURE_accepted] : 0;
}

static void only_our_domains(void **state)
{
    (void)state;
    static const char *const mine[] = { "one.example", "ONE.example", "alias.example" };
    static const char *const foreign[] = { "",          "far.example",   "*",
                                           "*.example", "a.one.example", "one.example." };
    for (size_t i = 0; i < ARRAY_LEN(mine); i++)
        figure_add(str_from_c(mine[i]), FIGURE_accepted, 1);
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        figure_add(str_from_c(foreign[i]), FIGURE_accepted, 100);
    figure_add(STR("two.example"), FIGURE_failed, 7);
    uint64_t n[FIGURES], sample = figures_begin(0);
    assert_int_equal(sample, 1);
    assert_int_equal(grown(DOMAIN, sample, 0), 3);
    assert_true(figures_grown(STR("Two.example"), sample, 0, n));
    assert_int_equal(n[FIGURE_failed], 7);
    assert_int_equal(n[FIGURE_accepted], 0);
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        assert_false(figures_grown(str_from_c(foreign[i]), sample, 0, n));
}

static void samplers_that_die(void **state)
{
    (void)state;
    figure_add(DOMAIN, FIGURE_accepted, 5);
    uint64_t first = figures_begin(0);
    assert_int_equal(grown(DOMAIN, first, 0), 5);
    /* It wasn't recorded: told again, with what came since. */
    figure_add(DOMAIN, FIGURE_accepted, 1);
    uint64_t second = figures_begin(0);
    assert_int_equal(grown(DOMAIN, second, 0), 6);
    /* It was, although its sampler died then: not told again. */
    figure_add(DOMAIN, FIGURE_accepted, 2);
    uint64_t third = figures_begin(second);
    assert_int_equal(grown(DOMAIN, third, second), 2);
    /* Dies between two samples of the same kept one, having begun only. */
    (void)figures_begin(second);
    uint64_t fifth = figures_begin(second);
    assert_int_equal(grown(DOMAIN, fifth, second), 2);
    uint64_t sixth = figures_begin(fifth);
    assert_int_equal(grown(DOMAIN, sixth, fifth), 0);
}

static void processes_and_a_killed_one(void **state)
{
    (void)state;
    pid_t pids[4];
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            for (int k = 0; k < 10000; k++)
                figure_add(DOMAIN, FIGURE_accepted, 1);
            (void)raise(SIGKILL);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFSIGNALED(status));
    }
    assert_int_equal(grown(DOMAIN, figures_begin(0), 0), 40000);
}

static void many_domains(void **state)
{
    (void)state;
    enum { MANY = 40000, PROMISED = 20000 };
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, 4 << 20);
    for (int i = 0; i < MANY; i++)
        buf_must(buf_add_str(&text, arena_printf(&a, "\"d%d.example\"\n", i)));
    root_put("domains.tab", arena_str(&a, buf_str(&text)).p);
    (void)root_index();
    uint64_t counted = 0;
    for (int i = 0; i < MANY; i++)
        figure_add(arena_printf(&a, "d%d.example", i), FIGURE_accepted, 1);
    uint64_t sample = figures_begin(0);
    for (int i = 0; i < MANY; i++) {
        uint64_t n = grown(arena_printf(&a, "d%d.example", i), sample, 0);
        assert_true(n == 1 || (n == 0 && i >= PROMISED));
        counted += n;
    }
    assert_true(counted < MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_our_domains, fresh, leave),
        cmocka_unit_test_setup_teardown(samplers_that_die, fresh, leave),
        cmocka_unit_test_setup_teardown(processes_and_a_killed_one, fresh, leave),
        cmocka_unit_test_setup_teardown(many_domains, fresh, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

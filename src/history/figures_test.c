/* figures_test.c - figures of domains in the database: added up, kept over a new process, for
 * one domain and all, dropped when they are old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "history/history_int.h"
#include "sys/board.h"
#include "users/test_root.h"

#define DAY_S INT64_C(86400)

static struct board board;

static int fresh(void **state)
{
    (void)state;
    struct err e;
    int fd = -1;
    root_enter();
    root_folder("hikyaku");
    root_put("domains.tab", "\"one.example\"\n\"two.example\"\n");
    root_put("aliasdomain.tab", "");
    root_put("mailusers.tab", "");
    root_put("aliases.tab", "");
    (void)root_index();
    board.started = clock_wall();
    return figures_make(&fd, &e) == RC_OK && figures_use(fd, &e) == RC_OK &&
                   history_open(&e) == RC_OK
               ? 0
               : -1;
}

static int leave(void **state)
{
    (void)state;
    history_close();
    root_leave();
    return 0;
}

struct sums {
    size_t rows;
    int64_t accepted, octets_in, last;
    bool ordered;
};

static void add(void *ctx, int64_t begins, struct str domain, const int64_t n[FIGURES])
{
    struct sums *s = ctx;
    assert_true(domain.n > 0);
    s->ordered = s->rows == 0 || (s->ordered && begins > s->last);
    s->last = begins;
    s->rows++;
    s->accepted += n[FIGURE_accepted];
    s->octets_in += n[FIGURE_octets_in];
}

static struct sums sums_of(const char *domain, bool days)
{
    struct sums s = { .rows = 0 };
    struct err e;
    assert_int_equal(history_figures(str_from_c(domain), days, 0, INT64_MAX, add, &s, &e),
                     RC_OK);
    return s;
}

static void added_up_and_kept(void **state)
{
    (void)state;
    struct err e;
    for (int i = 0; i < 3; i++) {
        figure_add(STR("one.example"), FIGURE_accepted, 2);
        figure_add(STR("one.example"), FIGURE_octets_in, INT64_C(5000000000));
        history_count(&board);
        history_count(&board);
        history_close(); /* as a new process of the role */
        assert_int_equal(history_open(&e), RC_OK);
    }
    figure_add(STR("two.example"), FIGURE_accepted, 1);
    history_count(&board);
    for (int days = 0; days <= 1; days++) {
        assert_int_equal(sums_of("one.example", days == 1).accepted, 6);
        assert_int_equal(sums_of("one.example", days == 1).octets_in, INT64_C(15000000000));
        assert_int_equal(sums_of("", days == 1).rows, 2);
        assert_int_equal(sums_of("", days == 1).accepted, 7);
        assert_int_equal(sums_of("far.example", days == 1).rows, 0);
    }
}

static void a_new_server(void **state)
{
    (void)state;
    struct err e;
    int fd = -1;
    figure_add(STR("one.example"), FIGURE_accepted, 3);
    history_count(&board);
    board.started++;
    assert_int_equal(figures_make(&fd, &e), RC_OK);
    assert_int_equal(figures_use(fd, &e), RC_OK);
    history_count(&board);
    figure_add(STR("one.example"), FIGURE_accepted, 4);
    history_count(&board);
    assert_int_equal(sums_of("one.example", true).accepted, 7);
}

static void old_ones_go(void **state)
{
    (void)state;
    for (int i = 0; i < 410; i++) {
        figure_add(STR("one.example"), FIGURE_accepted, 1);
        figure_add(STR("two.example"), FIGURE_accepted, 1);
        history_count(&board);
        clock_shift_wall(DAY_S * USEC_S);
    }
    struct sums hours = sums_of("one.example", false), days = sums_of("one.example", true);
    assert_in_range(hours.rows, 7, 9);
    assert_in_range(days.rows, 399, 401);
    assert_true(hours.ordered && days.ordered);
    assert_int_equal(days.accepted, days.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(added_up_and_kept, fresh, leave),
        cmocka_unit_test_setup_teardown(a_new_server, fresh, leave),
        cmocka_unit_test_setup_teardown(old_ones_go, fresh, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

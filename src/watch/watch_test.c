/* watch_test.c - when the weekly letter is due, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "watch/watch.h"
#include <time.h>

/* A local time. */
static int64_t at(int month, int day, int hour, int minute)
{
    struct tm tm = { .tm_year = 2026 - 1900,
                     .tm_mon = month - 1,
                     .tm_mday = day,
                     .tm_hour = hour,
                     .tm_min = minute,
                     .tm_isdst = -1 };
    return (int64_t)mktime(&tm);
}

static void zone(const char *name)
{
    if (setenv("TZ", name, 1) != 0)
        fail();
    tzset();
}

/* 2026-11-30 is a Monday. */
static void due(void **state)
{
    static const struct {
        const char *name, *mark;
        int month, day, hour, minute;
        unsigned weekday, at_hour;
        enum letter_due due;
        const char *kept;
    } rows[] = {
        { "the first one waits", "", 12, 2, 9, 0, 1, 7, LETTER_PASSED, "2026-11-30 1 07" },
        { "just before", "2026-11-23 1 07", 11, 30, 6, 59, 1, 7, LETTER_WAITS,
          "2026-11-23 1 07" },
        { "its hour", "2026-11-23 1 07", 11, 30, 7, 0, 1, 7, LETTER_DUE, "2026-11-30 1 07" },
        { "sent", "2026-11-30 1 07", 11, 30, 7, 0, 1, 7, LETTER_WAITS, "2026-11-30 1 07" },
        { "sent days ago", "2026-11-30 1 07", 12, 6, 23, 59, 1, 7, LETTER_WAITS,
          "2026-11-30 1 07" },
        { "late", "2026-11-23 1 07", 12, 3, 6, 59, 1, 7, LETTER_DUE, "2026-11-30 1 07" },
        { "too late", "2026-11-23 1 07", 12, 3, 7, 1, 1, 7, LETTER_PASSED, "2026-11-30 1 07" },
        { "weeks late", "2026-01-05 1 07", 12, 1, 7, 0, 1, 7, LETTER_DUE, "2026-11-30 1 07" },
        { "the clock went back", "2026-11-30 1 07", 11, 29, 12, 0, 1, 7, LETTER_WAITS,
          "2026-11-23 1 07" },
        { "the clock was far ahead", "2036-01-07 1 07", 11, 30, 8, 0, 1, 7, LETTER_WAITS,
          "2026-11-30 1 07" },
        { "another day", "2026-11-30 1 07", 12, 2, 9, 0, 2, 7, LETTER_PASSED,
          "2026-12-01 2 07" },
        { "another hour", "2026-11-30 1 07", 11, 30, 9, 0, 1, 8, LETTER_PASSED,
          "2026-11-30 1 08" },
        { "Sunday", "2026-11-22 7 23", 11, 29, 23, 5, 7, 23, LETTER_DUE, "2026-11-29 7 23" },
        { "midnight", "2026-11-22 7 00", 11, 29, 0, 0, 7, 0, LETTER_DUE, "2026-11-29 7 00" },
        { "no mark of ours", "yesterday", 11, 30, 8, 0, 1, 7, LETTER_PASSED,
          "2026-11-30 1 07" },
        { "a year begins", "2025-12-29 4 07", 1, 1, 8, 0, 4, 7, LETTER_DUE, "2026-01-01 4 07" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char mark[LETTER_MARK_BYTES];
        int64_t now = at(rows[i].month, rows[i].day, rows[i].hour, rows[i].minute);
        enum letter_due got =
            letter_due(now, rows[i].weekday, rows[i].at_hour, str_from_c(rows[i].mark), mark);
        if (got != rows[i].due || strcmp(mark, rows[i].kept) != 0)
            fail_msg("%s: %d, %s", rows[i].name, (int)got, mark);
    }
}

/* The hour that comes twice, and the one that is left out, have one letter each. */
static void changes_of_the_hour(void **state)
{
    char mark[LETTER_MARK_BYTES] = "2026-10-18 7 02";
    unsigned letters = 0;
    (void)state;
    zone("Europe/Berlin");
    for (int64_t now = at(10, 18, 3, 0); now < at(11, 1, 1, 0); now += 60) {
        char next[LETTER_MARK_BYTES];
        if (letter_due(now, 7, 2, str_from_c(mark), next) != LETTER_DUE)
            continue;
        memcpy(mark, next, sizeof(mark));
        letters++;
    }
    assert_int_equal(letters, 1);
    (void)snprintf(mark, sizeof(mark), "2026-03-22 7 02");
    for (int64_t now = at(3, 22, 3, 0); now < at(4, 5, 1, 0); now += 60) {
        char next[LETTER_MARK_BYTES];
        if (letter_due(now, 7, 2, str_from_c(mark), next) != LETTER_DUE)
            continue;
        memcpy(mark, next, sizeof(mark));
        letters++;
    }
    assert_int_equal(letters, 2);
    zone("UTC");
}

static void weeks(void **state)
{
    int64_t ends[3];
    (void)state;
    zone("Europe/Berlin");
    watch_week_ends(at(10, 26, 7, 0), ends); /* the day after an hour came twice */
    assert_int_equal(ends[0], at(10, 12, 0, 0));
    assert_int_equal(ends[1], at(10, 19, 0, 0));
    assert_int_equal(ends[2], at(10, 26, 0, 0));
    zone("UTC");
}

static void holds(const struct buf *text, const char *part)
{
    if (str_find_str(buf_str(text), str_from_c(part)) == SIZE_MAX)
        fail_msg("\"%s\" isn't in:\n%.*s", part, (int)text->n, text->p);
}

static void letter(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct watch_week last = { .n = { 0 } }, before = { .n = { 0 } };
    struct warning list[] = {
        { WARNING_frozen, false, STR(""), 3, 0, 0 },
        { WARNING_mailbox_full, true, STR("a@example.org"), 1024, 1024, 0 },
        { WARNING_mailbox_full, true, STR("b@example.org"), 2048, 1024, 0 },
        { WARNING_backup, true, STR("bad \x01 {n} \xff"), 0, 0, 0 },
    };
    struct watch_letter l = { .now = at(11, 30, 7, 0),
                              .server = STR("mail.example.org"),
                              .page = STR("https://mail.example.org"),
                              .list = list,
                              .count = ARRAY_LEN(list),
                              .before = &before,
                              .last = &last };
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, 65536);
    (void)state;
    watch_count(&last, STR("accepted_queue"), 1234567);
    watch_count(&before, STR("accepted_mailbox"), 12);
    watch_count(&last, STR("refused_rcpts"), 7);
    watch_count(&last, STR("accepted_bytes"), 1536);
    watch_count(&last, STR("no such"), 7);
    struct str subject = watch_letter_print(&l, &a, &text);
    assert_true(str_eq(subject, STR("Weekly report of mail.example.org: 4 to look at")));
    holds(&text, "[act now] The last backup, verification or restore went wrong bad ? {n} ?");
    holds(&text, "b@example.org is full (2.0 KB of 1.0 KB)\n  It gets no mail.");
    holds(&text, "[look at it] 3 messages are frozen\n");
    holds(&text, "\n  Messages accepted: 1,234,567 (12)\n");
    holds(&text, "\n  Their size: 1.5 KB (0 B)\n");
    holds(&text, "\n    of them recipients (unknown, not allowed): 7 (0)\n");
    holds(&text, "from 2026-11-23 to 2026-11-29");
    holds(&text, "  https://mail.example.org/warnings\n");
    size_t b = str_find_str(buf_str(&text), STR("b@example.org"));
    assert_true(b < str_find_str(buf_str(&text), STR("a@example.org")));
    assert_true(b < str_find_str(buf_str(&text), STR("[look at it]")));
    buf_reset(&text);
    l.japanese = true;
    l.count = 0;
    subject = watch_letter_print(&l, &a, &text);
    assert_true(str_eq(subject, STR("mail.example.org の週間レポート: 問題はありません")));
    holds(&text, "問題はありません。");
    holds(&text, "受け付けたメール");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(due),
        cmocka_unit_test(changes_of_the_hour),
        cmocka_unit_test(weeks),
        cmocka_unit_test(letter),
    };
    zone("UTC");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

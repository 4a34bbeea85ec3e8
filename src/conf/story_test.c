/* story_test.c - what is found in trace files, with and without their index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "conf/story.h"
#include "sys/file.h"

#define OLD "logs/trace-202611290000"
#define NEW "logs/trace-202611300000"
#define MESSAGES 3000u

static char folder[] = "/tmp/hikyaku-story-XXXXXX";

static void put(const char *path, struct str text)
{
    struct err e;
    assert_int_equal(file_replace(path, text, 0600, &e), RC_OK);
}

/* MESSAGES messages of three lines each; the 7th is refused, and its report tells. */
static void write_file(const char *path, const char *day, unsigned first)
{
    struct buf b AUTO_RELEASE_BUF;
    buf_init(&b, (size_t)64 << 20);
    for (unsigned i = first; i < first + MESSAGES; i++) {
        buf_addf(
            &b,
            "\"%s 10:%02u:%02u.000 +0900\"\t\"smtpd\"\t\"message accepted\"\t"
            "\"id=66%012u\"\t\"session=smtp-%u\"\t\"from=u%u@here.example\"\t"
            "\"rcpt=Who%u@there%u.example\"\t\"message_id=<m%u@x>\"\t\"client=192.0.2.%u\"\n",
            day, i / 60 % 60, i % 60, i, i, i % 50, i, i % 10, i, i % 200);
        buf_addf(&b, "\"%s 11:00:00.000 +0900\"\t\"queue\"\t\"delivered\"\t\"id=66%012u\"\n",
                 day, i);
        if (i == first + 7) {
            buf_addf(&b,
                     "\"%s 11:00:00.000 +0900\"\t\"queue\"\t\"report made\"\t\"id=77%012u\"\t"
                     "\"about=66%012u\"\n",
                     day, i, i);
            buf_addf(&b,
                     "\"%s 11:00:01.000 +0900\"\t\"queue\"\t\"delivered\"\t\"id=77%012u\"\n",
                     day, i);
        }
    }
    put(path, buf_str(&b));
}

static int make(void **state)
{
    struct err e;
    (void)state;
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    assert_int_equal(folder_make("logs", 0700, &e), RC_OK);
    write_file(OLD, "2026-11-29", 0);
    write_file(NEW, "2026-11-30", MESSAGES);
    return 0;
}

static int drop(void **state)
{
    struct err e;
    (void)state;
    return chdir("/") == 0 && folder_remove(folder, &e) == RC_OK ? 0 : -1;
}

static void find(const char *wanted, size_t most, struct story_search *s)
{
    struct err e;
    *s = (struct story_search){ .wanted = str_from_c(wanted), .most = most };
    assert_int_equal(story_find(s, &e), RC_OK);
    assert_false(s->unreadable);
}

static size_t events(const struct story *story)
{
    size_t n = 0;
    for (const struct story_event *ev = story->first; ev != NULL; ev = ev->next)
        n++;
    return n;
}

static const struct {
    const char *wanted;
    size_t count, events; /* of the first */
} rows[] = {
    { "66000000000100", 1, 2 },
    { "66000000003100", 1, 2 },
    { "<m100@x>", 1, 2 },
    { "M100@x", 0, 0 },
    { "who100@THERE0.example", 1, 2 },
    { "smtp-5999", 1, 2 },
    { "u3@here.example", 120, 2 },
    { "192.0.2.7", 32, 3 },
    { "*@there3.example", 600, 2 },
    { "who59??@there*", 100, 2 },
    { "nobody@here.example", 0, 0 },
    { "66000000000007", 2, 3 },
    { "77000000003007", 2, 3 },
    { "66000000009999", 0, 0 },
};

static void check_rows(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct story_search s;
        find(rows[i].wanted, 10000, &s);
        print_message("%s\n", rows[i].wanted);
        assert_int_equal(s.count, rows[i].count);
        assert_int_equal(s.first == NULL ? 0 : events(s.first), rows[i].events);
        for (const struct story *story = s.first; story != NULL && story->next != NULL;
             story = story->next)
            assert_true(str_cmp(story->first->values[0], story->next->first->values[0]) <= 0);
        story_release(&s);
    }
}

static void index_all(void)
{
    while (story_index_step(3)) {
    }
}

static void test_without_index(void **state)
{
    (void)state;
    assert_false(file_exists(NEW ".index"));
    check_rows();
}

static void test_with_index(void **state)
{
    (void)state;
    index_all();
    assert_true(file_exists(OLD ".index"));
    check_rows();
}

/* What was appended since is found too; so is all when the index is damaged. */
static void test_behind_and_damaged(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str text, index;
    struct err e;
    (void)state;
    index_all();
    assert_int_equal(file_read(NEW, (size_t)64 << 20, &a, &text, NULL, &e), RC_OK);
    assert_int_equal(file_read(NEW ".index", (size_t)64 << 20, &a, &index, NULL, &e), RC_OK);
    put(NEW ".index", str_head(index, index.n - 1000)); /* the last record is torn */
    check_rows();
    index_all();
    struct str again;
    assert_int_equal(file_read(NEW ".index", (size_t)64 << 20, &a, &again, NULL, &e), RC_OK);
    assert_true(str_eq(index, again));
    put(NEW ".index", STR("something else"));
    check_rows();
    index_all();
    check_rows();
    put(NEW, str_head(text, 1000)); /* the index is of a longer file: it doesn't count */
    struct story_search s;
    find("66000000003001", 10, &s);
    assert_int_equal(s.count, 1);
    story_release(&s);
    put(NEW, text);
}

static void test_bounds(void **state)
{
    struct story_search s = { .wanted = STR("who*"), .most = 5 };
    struct err e;
    (void)state;
    assert_int_equal(story_find(&s, &e), RC_OK);
    assert_true(s.too_many);
    assert_true(s.count >= 5 && s.count < MESSAGES);
    assert_true(str_cmp(s.first->name, STR("66000000003000")) > 0); /* the newest */
    story_release(&s);
    s = (struct story_search){ .wanted = STR("who1@*"), .most = 5, .budget = STORY_BLOCK };
    assert_int_equal(story_find(&s, &e), RC_OK);
    assert_true(s.incomplete);
    story_release(&s);
}

static void test_hostile_lines(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct buf b AUTO_RELEASE_BUF;
    (void)state;
    buf_init(&b, (size_t)8 << 20);
    for (size_t i = 0; i < 300000; i++)
        buf_must(buf_add_char(&b, i % 997 == 0 ? '"' : 'x'));
    buf_addf(&b, "\n\"2026-11-30 12:00:00.000 +0900\"\t\"smtpd\"\t\"message "
                 "accepted\"\t\"id=88000000000001\"\n");
    for (size_t i = 0; i < 300000; i++)
        buf_must(buf_add_char(&b, '\0'));
    put("logs/trace-202612010000", buf_str(&b));
    index_all();
    struct story_search s;
    find("88000000000001", 10, &s);
    assert_int_equal(s.count, 1);
    story_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_index),      cmocka_unit_test(test_with_index),
        cmocka_unit_test(test_behind_and_damaged), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_hostile_lines),
    };
    return cmocka_run_group_tests(tests, make, drop);
}

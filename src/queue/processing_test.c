/* processing_test.c - filters and commands of one recipient: each done once, whatever is cut
 * off. The runner is this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/processing.h"
#include "spool/scratch.h"

#define LINE_MAX_TESTED 10u

static unsigned runs[LINE_MAX_TESTED]; /* by line of mailproc.tab */
static uint64_t codes[LINE_MAX_TESTED];
static const char *written; /* into FILE, by the filters */
static unsigned notified;

/* FILE among the macros. */
static struct str file_of(struct str macros)
{
    struct str word;
    while (macros.n > 0 && str_cut(&macros, '\0', &word))
        if (str_starts(word, STR("FILE=")))
            return str_skip(word, 5);
    return STR("");
}

static bool run(const struct queue_run *r)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    size_t line = (size_t)MIN(r->line, (uint64_t)LINE_MAX_TESTED - 1);
    runs[line]++;
    if (written != NULL)
        write_file(arena_c(&a, file_of(r->macros)), written);
    queue_ran(r->number, codes[line], STR("by the test"));
    return true;
}

static void note(void *ctx, struct str id)
{
    (void)ctx, (void)id;
    notified++;
}

static int each_setup(void **state)
{
    (void)state;
    memset(runs, 0, sizeof(runs));
    memset(codes, 0, sizeof(codes));
    written = NULL;
    notified = 0;
    write_file("domains/x.test/ben/mailproc.tab", "");
    (void)io_unlink("filters.in.tab");
    queue_set_runner(run);
    return folder_make("hikyaku/filter", 0700, NULL) == RC_OK ? 0 : -1;
}

/* One pass over recipient 0; what was decided, or -1. */
static int process(struct str id, struct str *reason, struct arena *a)
{
    struct outcome *list = NULL;
    struct group *groups = NULL;
    attempt_process(id, "0", note, NULL, &list, &groups);
    int outcome = list == NULL ? -1 : (int)list->outcome;
    *reason = list == NULL ? STR("") : arena_str(a, str_from_c(list->reason));
    assert_null(groups);
    outcomes_free(&list);
    return outcome;
}

static struct str entry_for_ben(struct arena *a)
{
    static const char *const ben[] = { "ben", NULL };
    return queue_for(ben, clock_wall(), MESSAGE, a);
}

/* Program 3 can't be run at first; those before it, the mailbox and what is sent on happen
 * once all the same. */
static void commands_are_done_once(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str reason;
    write_file("domains/x.test/ben/mailproc.tab",
               "\"external\"\t\"0\"\t\"5\"\t\"a\"\n\"redirect\"\t\"amy@x.test\"\n"
               "\"external\"\t\"0\"\t\"5\"\t\"b\"\n\"mailbox\"\n"
               "\"external\"\t\"0\"\t\"5\"\t\"a\"\n");
    struct str id = entry_for_ben(&a);
    codes[3] = PROGRAM_FAILED;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(process(id, &reason, &a), OUTCOME_TEMP);
    assert_int_equal(runs[1], 1);
    assert_int_equal(runs[3], 3);
    assert_int_equal(notified, 1);
    assert_int_equal(messages_of("ben"), 0);
    codes[3] = 0;
    codes[5] = PROGRAM_FAILED;
    assert_int_equal(process(id, &reason, &a), OUTCOME_TEMP);
    assert_int_equal(messages_of("ben"), 1);
    codes[5] = 16;
    assert_int_equal(process(id, &reason, &a), OUTCOME_SENT);
    assert_int_equal(process(id, &reason, &a), OUTCOME_SENT);
    assert_int_equal(runs[1], 1);
    assert_int_equal(runs[3], 4);
    assert_int_equal(runs[5], 2);
    assert_int_equal(messages_of("ben"), 1);
    assert_int_equal(notified, 1);
}

/* The part of a redirect waits until the entry it came from says so. */
static void parts_wait(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry, part;
    struct str reason;
    struct err e;
    write_file("domains/x.test/ben/mailproc.tab",
               "\"redirect\"\t\"amy@x.test\"\n\"external\"\t\"0\"\t\"5\"\t\"b\"\n");
    struct str id = entry_for_ben(&a);
    codes[2] = PROGRAM_FAILED;
    assert_int_equal(process(id, &reason, &a), OUTCOME_TEMP);
    must(spool_open(id, &a, &entry, &e), &e);
    struct tab tab;
    struct proc_command c;
    must(tab_read("domains/x.test/ben/mailproc.tab", &a, &tab, &e), &e);
    assert_null(proc_command_parse(&tab.rows[0], &c));
    uint64_t step = program_step(STR("domains/x.test/ben/mailproc.tab"), c.program.sum, 0);
    assert_true(spool_step_is_done(&entry, 0, step));
    must(spool_open(spool_part_id(id, 0, (size_t)step, &a), &a, &part, &e), &e);
    assert_false(spool_part_waits(&part));
    assert_int_equal(part.env.part_step, step);
    spool_close(&entry);
    write_file(spool_journal_path(id, &a).p, ""); /* as if it had been cut off before */
    assert_true(spool_part_waits(&part));
    spool_close(&part);
    /* A repetition finds it. */
    assert_int_equal(process(id, &reason, &a), OUTCOME_TEMP);
    assert_int_equal(notified, 2);
}

static void filters_decide(void **state)
{
    (void)state;
    static const struct {
        uint64_t code;
        int outcome;
        const char *file;
    } rows[] = {
        { 0, OUTCOME_SENT, NULL },     { 4, OUTCOME_DROPPED, NULL },
        { 5, OUTCOME_REFUSED, NULL },  { 6, OUTCOME_PERM, NULL },
        { 20, OUTCOME_DROPPED, NULL }, { 22, OUTCOME_PERM, NULL },
        { 16, OUTCOME_SENT, NULL },    { 7, OUTCOME_PASSED, NULL },
        { 23, OUTCOME_PASSED, NULL },  { 7, OUTCOME_TEMP, "" },
        { 0, OUTCOME_SENT, "x" },      { 7, OUTCOME_TEMP, "x\r\n<<MAIL-DATA>>\r\nx\r\n" },
        { 255, OUTCOME_SENT, NULL },   { PROGRAM_FAILED, OUTCOME_TEMP, NULL },
    };
    must(folder_make("filters", 0700, NULL), NULL);
    write_file("filters/f.tab", "\"f\"\t\"@@FILE\"\n");
    write_file("filters.in.tab",
               "\"*\"\t\"ben@x.test\"\t\"0.0.0.0/0\"\t\"0.0.0.0/0\"\t\"f.tab\"\n");
    usec_t most = clock_mono() + 20 * USEC_S;
    while (!filters_are_listed(FILTERS_IN) && clock_mono() < most) /* until it has settled */
        thread_pause(50 * USEC_MS);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str reason;
        struct str id = entry_for_ben(&a);
        codes[1] = rows[i].code;
        written = rows[i].file;
        runs[1] = 0;
        if (process(id, &reason, &a) != rows[i].outcome)
            fail_msg("row %zu: %.*s", i, STR_ARG(reason));
        bool done = rows[i].outcome == OUTCOME_SENT || rows[i].outcome == OUTCOME_PASSED;
        (void)process(id, &reason, &a);
        assert_int_equal(runs[1], done ? 1 : 2);
    }
}

#define ADDRESSED "To: ben@x.test\nSubject: x\n\nhello\n"

/* What goes along with a delivery: the mailbox follows by itself, each is done once, and a
 * sender isn't answered again. */
static void all_goes_along(void **state)
{
    (void)state;
    static const char *const ben[] = { "ben", NULL };
    write_file("domains/x.test/ben/mailproc.tab",
               "\"autoreply\"\t\"\"\t\"\"\t\"7\"\t\"away\"\t\"until May\"\n"
               "\"notice\"\t\"phone@far.test\"\n\"copy\"\t\"amy@x.test\"\n"
               "\"messageid\"\n");
    for (unsigned i = 0; i < 2; i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str reason;
        struct str id = queue_for(ben, clock_wall(), ADDRESSED, &a);
        size_t before = messages_of("ben");
        notified = 0;
        assert_int_equal(process(id, &reason, &a), OUTCOME_PASSED);
        size_t at = str_find_str(reason, STR(QUEUE_GOES_ON_AS));
        assert_int_not_equal(at, SIZE_MAX);
        struct str next = str_skip(reason, at + sizeof(QUEUE_GOES_ON_AS) - 1);
        assert_int_equal(messages_of("ben"), before);
        assert_int_equal(notified, 0);
        for (unsigned k = 0; k < 2; k++) {
            assert_int_equal(process(next, &reason, &a), OUTCOME_SENT);
            assert_int_equal(messages_of("ben"), before + 1);
            assert_int_equal(notified, i == 0 ? 3 : 2);
        }
    }
}

/* Only what decides keeps mail out of the mailbox. */
static void mailboxes_follow(void **state)
{
    (void)state;
    static const struct {
        const char *mailproc;
        size_t delivered;
    } rows[] = {
        { "\"copy\"\t\"amy@x.test\"\n", 1 },
        { "\"mailbox\"\n\"copy\"\t\"amy@x.test\"\n", 1 },
        { "\"redirect\"\t\"amy@x.test\"\n\"copy\"\t\"amy@x.test\"\n", 0 },
        { "\"copy\"\t\"ben@x.test\"\n", 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str reason;
        write_file("domains/x.test/ben/mailproc.tab", rows[i].mailproc);
        size_t before = messages_of("ben");
        (void)process(entry_for_ben(&a), &reason, &a);
        assert_int_equal(messages_of("ben") - before, rows[i].delivered);
        assert_true(notified >= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(commands_are_done_once, each_setup),
        cmocka_unit_test_setup(parts_wait, each_setup),
        cmocka_unit_test_setup(all_goes_along, each_setup),
        cmocka_unit_test_setup(mailboxes_follow, each_setup),
        cmocka_unit_test_setup(filters_decide, each_setup),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

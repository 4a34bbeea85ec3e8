/* spool_test.c - each change of the file system fails once, for taking over and for giving
 * back: whatever failed, a repetition ends with each message there once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool/scratch.h"
#include "takeover/xmail_int.h"

#define HEAD                                                                                   \
    "[192.0.2.1]:1;[192.0.2.2]:25;Thu, 26 Nov 2026 09:00:00 +0900\r\nx.test\r\nS1\r\n"         \
    "MAIL FROM:<s@far.test>\r\nRCPT TO:<amy@x.test>\r\nRCPT "                                  \
    "TO:<r@far.test>\r\n<<MAIL-DATA>>\r\n"
#define MESSAGES 4u

static void fill(void)
{
    static const char *const files[] = { "spool/0/0/mess/1764000000001.1.1.h",
                                         "spool/0/1/mess/1764000000002.1.1.h",
                                         "spool/1/0/rsnd/1764000000003.1.1.h",
                                         "spool/0/0/froz/1764000000004.1.1.h" };
    struct err e = { .text = "" };
    must(folder_remove("spool", &e), &e);
    for (unsigned a = 0; a < 2; a++) {
        for (unsigned b = 0; b < 2; b++) {
            for (size_t k = 0; k < ARRAY_LEN(xmail_kinds); k++) {
                struct arena mem AUTO_RELEASE_ARENA = { 0 };
                must(folder_make(arena_printf(&mem, "spool/%u/%u/%s", a, b, xmail_kinds[k]).p,
                                 0700, &e),
                     &e);
            }
        }
    }
    must(folder_make("spool/1/0/slog", 0700, &e), &e);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        write_file(files[i], HEAD "Subject: x\r\n\r\n..dot\r\n");
    write_file("spool/1/0/slog/1764000000003.1.1.h",
               "[PeekTime] 1764000100\nSMTP-Error = 450\n");
    write_file("spool/0/0/mess/damaged", "nothing");
}

static bool count_one(void *ctx, struct str id)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry;
    struct err e = { .text = "" };
    must(spool_open(id, &a, &entry, &e), &e);
    spool_close(&entry);
    ++*(size_t *)ctx;
    return true;
}

static bool count_frozen(void *ctx, struct str id)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry;
    struct err e = { .text = "" };
    must(spool_open_frozen(id, &a, &entry, &e), &e);
    spool_close(&entry);
    ++*(size_t *)ctx;
    return true;
}

static size_t waiting(void)
{
    size_t n = 0;
    must(spool_scan(count_one, &n, NULL), NULL);
    return n;
}

static size_t frozen(void)
{
    size_t n = 0;
    must(spool_scan_frozen(count_frozen, &n, NULL), NULL);
    return n;
}

static void empty_queue(void)
{
    struct err e = { .text = "" };
    must(folder_remove("queue", &e), &e);
    must(spool_init(commit, &e), &e);
}

static void test_take_with_faults(void **state)
{
    static const int errors[] = { ENOSPC, EIO };
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(errors); k++) {
        bool failed = true;
        for (unsigned n = 1; failed; n++) {
            struct takeover_spool found;
            struct err e = { .text = "" };
            empty_queue();
            fill();
            io_fail_nth(n, errors[k]);
            failed = takeover_spool_do(NULL, &found, &e) != RC_OK;
            io_fail_nth(0, 0);
            must(spool_clear_tmp(&e), &e);
            must(takeover_spool_do(NULL, &found, &e), &e);
            if (waiting() != 3 || frozen() != 1 || xmail_count("spool", "mess") != 0)
                fail_msg("fault %u: %zu wait, %zu frozen", n, waiting(), frozen());
            assert_true(file_exists("queue/damaged/xmail/0/0/mess/damaged"));
            assert_true(n < 1000);
        }
    }
}

static void test_give_with_faults(void **state)
{
    bool failed = true;
    (void)state;
    for (unsigned n = 1; failed; n++) {
        struct takeover_spool found;
        struct takeover_given given;
        struct err e = { .text = "" };
        empty_queue();
        fill();
        must(takeover_spool_do(NULL, &found, &e), &e);
        io_fail_nth(n, ENOSPC);
        failed = takeover_give(NULL, &given, &e) != RC_OK;
        io_fail_nth(0, 0);
        if (n % 2 == 0) /* we start instead: all is ours again */
            must(takeover_give_finish(&e), &e);
        else
            must(takeover_give(NULL, &given, &e), &e);
        size_t files = xmail_count("spool", "mess") + xmail_count("spool", "froz");
        size_t kept = waiting() + frozen();
        if (files + 2 * kept != 2 * (size_t)MESSAGES || (n % 2 == 1 && kept > 0))
            fail_msg("fault %u: %zu files, %zu entries", n, files, kept);
        must(takeover_spool_do(NULL, &found, &e), &e);
        assert_int_equal(waiting() + frozen(), files + kept);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_with_faults),
        cmocka_unit_test(test_give_with_faults),
    };
    return cmocka_run_group_tests_name("takeover/spool", tests, group_setup, group_teardown);
}

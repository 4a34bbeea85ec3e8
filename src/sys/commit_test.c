/* commit_test.c - puts, removals, checkpoints and recovery, in a scratch MailRoot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/commit_int.h"
#include "sys/file.h"
#include "sys/lock.h"

static char scratch[] = "/tmp/hikyaku-commit-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    struct err e;
    memcpy(scratch + sizeof(scratch) - 7, "XXXXXX", 6);
    if (mkdtemp(scratch) == NULL || chdir(scratch) != 0)
        return -1;
    return folder_make("box/tmp", 0700, &e) == RC_OK &&
                   folder_make("box/new", 0700, &e) == RC_OK &&
                   folder_make("box/cur", 0700, &e) == RC_OK
               ? 0
               : -1;
}

static void remove_tree(const char *path)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    if (folder_open(path, &f, NULL) == RC_OK) {
        while (folder_next(f, &name, &type)) {
            const char *p = arena_printf(&a, "%s/%.*s", path, STR_ARG(name)).p;
            if (folder_exists(p))
                remove_tree(p);
            else
                (void)io_unlink(p);
        }
        folder_close(&f);
    }
    (void)io_rmdir(path);
}

static int tear_down(void **state)
{
    (void)state;
    io_fail_nth(0, 0);
    if (chdir("/") != 0)
        return -1;
    remove_tree(scratch);
    return 0;
}

static void put_with(struct commit *c, const char *name, struct str bytes, const char *tag,
                     enum rc want)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    const char *tmp = arena_printf(&a, "box/tmp/%s", name).p;
    const char *final = arena_printf(&a, "box/new/%s", name).p;
    int fd AUTO_CLOSE = io_open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    struct iovec part = { arena_c(&a, bytes), bytes.n }, out = part;
    assert_int_equal(io_write_all(fd, &out, 1, &e), RC_OK);
    struct commit_put put = {
        .tmp_path = tmp,
        .final_path = final,
        .parts = &part,
        .part_count = 1,
        .size_bytes = bytes.n,
        .tag = str_from_c(tag),
    };
    assert_int_equal(commit_put(c, &put, 1, &e), want);
    assert_int_equal(file_exists(final), want == RC_OK);
}

static void put(struct commit *c, const char *name, const char *bytes)
{
    put_with(c, name, str_from_c(bytes), "", RC_OK);
}

static bool holds(const char *path, const char *want)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str text;
    return file_read(path, 1000000, &a, &text, NULL, NULL) == RC_OK &&
           str_eq(text, str_from_c(want));
}

static struct commit *open_log(const char *name)
{
    struct commit *c = NULL;
    struct err e;
    assert_int_equal(commit_open(name, &c, &e), RC_OK);
    return c;
}

/* Keeps a copy of the logs as they are now: what a power cut would leave of them. */
static void save_logs(const char *to)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name, text;
    unsigned char type = 0;
    struct err e;
    assert_int_equal(folder_make(to, 0700, &e), RC_OK);
    assert_int_equal(folder_open(COMMIT_FOLDER, &f, &e), RC_OK);
    while (folder_next(f, &name, &type)) {
        const char *from = arena_printf(&a, COMMIT_FOLDER "/%.*s", STR_ARG(name)).p;
        assert_int_equal(file_read(from, (size_t)64 << 20, &a, &text, NULL, &e), RC_OK);
        assert_int_equal(
            file_replace(arena_printf(&a, "%s/%.*s", to, STR_ARG(name)).p, text, 0600, &e),
            RC_OK);
    }
    folder_close(&f);
}

static void restore_logs(const char *from)
{
    remove_tree(COMMIT_FOLDER);
    assert_int_equal(io_rename(from, COMMIT_FOLDER), 0);
}

static size_t tags_seen;

static enum rc on_tag(void *ctx, struct str tag, const char *path, struct err *e)
{
    (void)ctx;
    (void)path;
    (void)e;
    tags_seen += str_eq(tag, STR("id 1"));
    return RC_OK;
}

static struct commit_report recover_as(const char *boot)
{
    struct commit_report report = { .logs = 0 };
    struct err e;
    tags_seen = 0;
    assert_int_equal(commit_recover_as(boot, on_tag, NULL, &report, &e), RC_OK);
    return report;
}

static void test_put_and_clean_stop(void **state)
{
    (void)state;
    struct commit *c = open_log("t");
    put(c, "a", "one\n");
    put(c, "b", "two\n");
    commit_close(&c);
    assert_true(holds("box/new/a", "one\n"));
    assert_int_equal(recover_as("other").restored, 0); /* a clean stop empties the log */
}

static void test_power_cut(void **state)
{
    (void)state;
    struct commit *c = open_log("t");
    put(c, "kept", "kept\n");
    put(c, "lost", "lost\n");
    put(c, "short", "a longer text\n");
    put(c, "read", "read\n");
    put_with(c, "tagged", STR("tagged\n"), "id 1", RC_OK);
    save_logs("saved");
    commit_close(&c);
    restore_logs("saved");
    struct err e;
    assert_int_equal(io_unlink("box/new/lost"), 0);
    assert_int_equal(file_replace("box/new/short", STR("a lo"), 0600, &e), RC_OK);
    assert_int_equal(io_rename("box/new/read", "box/cur/read:2,S"), 0);
    assert_int_equal(recover_as("other").restored, 2);
    assert_int_equal(tags_seen, 1);
    assert_true(holds("box/new/kept", "kept\n"));
    assert_true(holds("box/new/lost", "lost\n"));
    assert_true(holds("box/new/short", "a longer text\n"));
    assert_true(holds("box/cur/read:2,S", "read\n"));
    assert_false(file_exists("box/new/read"));
    assert_int_equal(recover_as("other").records, 0); /* once */
}

static void test_same_boot_restores_nothing(void **state)
{
    (void)state;
    char boot[BOOT_ID_BYTES];
    boot_id_read(boot);
    struct commit *c = open_log("t");
    put(c, "taken", "a reader took it\n");
    save_logs("saved");
    commit_close(&c);
    restore_logs("saved");
    assert_int_equal(io_unlink("box/new/taken"), 0);
    assert_int_equal(recover_as(boot).restored, 0);
    assert_false(file_exists("box/new/taken"));
}

/* A message put through one log and removed through another never comes back. */
static void test_removed_stays_removed(void **state)
{
    (void)state;
    struct commit *in = open_log("smtpd"), *out = open_log("access");
    struct err e;
    put(in, "gone", "gone\n");
    put_with(in, "gone-tagged", STR("x\n"), "id 1", RC_OK);
    const char *paths[] = { "box/new/gone", "box/new/gone-tagged", "box/new/never-was" };
    assert_int_equal(commit_remove(out, paths, 3, &e), RC_OK);
    assert_false(file_exists("box/new/gone"));
    /* The remover's log must keep the removal while the other holds the put. */
    clock_shift(20 * USEC_S);
    struct timespec pause = { .tv_sec = 3 };
    (void)nanosleep(&pause, NULL);
    save_logs("saved");
    commit_close(&out);
    commit_close(&in);
    restore_logs("saved");
    assert_int_equal(recover_as("other").restored, 0);
    assert_false(file_exists("box/new/gone"));
    assert_false(file_exists("box/new/gone-tagged"));
}

/* Removal logged, but the power went before the unlink was durable. */
static void test_removal_is_finished(void **state)
{
    (void)state;
    struct commit *c = open_log("access");
    struct err e;
    const char *path = "box/new/back";
    assert_int_equal(commit_remove(c, &path, 1, &e), RC_OK);
    save_logs("saved");
    commit_close(&c);
    restore_logs("saved");
    assert_int_equal(file_replace(path, STR("back again\n"), 0600, &e), RC_OK);
    assert_int_equal(recover_as("other").removed, 1);
    assert_false(file_exists(path));
}

/* The n-th call that changes the file system fails: the put fails as a whole, or stands. */
static void test_torture(void **state)
{
    (void)state;
    struct commit *c = open_log("t");
    for (unsigned n = 1; n < 12; n++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct err e;
        const char *tmp = arena_printf(&a, "box/tmp/%u", n).p,
                   *final = arena_printf(&a, "box/new/%u", n).p;
        assert_int_equal(file_replace(tmp, STR("text\n"), 0600, &e), RC_OK);
        struct iovec part = { arena_c(&a, STR("text\n")), 5 };
        struct commit_put item = { tmp, final, &part, 1, 5, STR("") };
        io_fail_nth(n, ENOSPC);
        enum rc rc = commit_put(c, &item, 1, &e);
        io_fail_nth(0, 0);
        assert_int_equal(file_exists(final), rc == RC_OK);
        if (rc != RC_OK)
            assert_int_equal(rc, RC_TEMP);
    }
    put(c, "after", "still works\n");
    commit_close(&c);
}

/* A log whose tail is torn gives its whole records. */
static void test_torn_tail(void **state)
{
    (void)state;
    struct commit *c = open_log("t");
    put(c, "first", "first\n");
    put(c, "second", "second\n");
    save_logs("saved");
    commit_close(&c);
    restore_logs("saved");
    const char *path =
        file_exists(COMMIT_FOLDER "/t.0") ? COMMIT_FOLDER "/t.0" : COMMIT_FOLDER "/t.1";
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str text;
    struct err e;
    bool found = false;
    for (int i = 0; i < 2 && !found; i++) {
        path = i == 0 ? COMMIT_FOLDER "/t.0" : COMMIT_FOLDER "/t.1";
        assert_int_equal(file_read(path, (size_t)64 << 20, &a, &text, NULL, &e), RC_OK);
        size_t at = str_find_str(text, STR("second\n"));
        found = at != SIZE_MAX;
        if (found) {
            char *bytes = arena_c(&a, text);
            memset(bytes + at + 3, 0, 4);
            assert_int_equal(file_replace(path, str_from(bytes, text.n), 0600, &e), RC_OK);
        }
    }
    assert_true(found);
    assert_int_equal(io_unlink("box/new/first"), 0);
    assert_int_equal(io_unlink("box/new/second"), 0);
    assert_int_equal(recover_as("other").restored, 1);
    assert_true(holds("box/new/first", "first\n"));
    assert_false(file_exists("box/new/second"));
}

struct writer {
    struct commit *c;
    unsigned number;
};

static void *write_many(void *arg)
{
    struct writer *w = arg;
    struct arena a = { 0 };
    for (unsigned i = 0; i < 200; i++) {
        put(w->c, arena_printf(&a, "w%u-%u", w->number, i).p, "concurrent\n");
        arena_reset(&a);
    }
    arena_release(&a);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct commit *c = open_log("t");
    struct writer writers[8];
    pthread_t threads[8];
    struct err e;
    for (unsigned i = 0; i < 8; i++) {
        writers[i] = (struct writer){ c, i };
        assert_int_equal(thread_start(write_many, &writers[i], "writer", &threads[i], &e),
                         RC_OK);
    }
    for (unsigned i = 0; i < 8; i++)
        (void)pthread_join(threads[i], NULL);
    save_logs("saved");
    commit_close(&c);
    restore_logs("saved");
    remove_tree("box/new");
    assert_int_equal(folder_make("box/new", 0700, &e), RC_OK);
    assert_int_equal(recover_as("other").restored, 1600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_and_clean_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_power_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_same_boot_restores_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removed_stays_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_removal_is_finished, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_torture, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_torn_tail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* commit_test.c - puts, removals, checkpoints and recovery, in a scratch MailRoot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/commit_int.h"
#include "sys/file.h"
#include "sys/lock.h"
#include <sys/wait.h>

#define NEVER (3600 * USEC_S)
#define SMALL_SEGMENT ((uint64_t)256 << 10)

static char scratch[] = "/tmp/hikyaku-commit-XXXXXX";
static char life[COMMIT_LIFE_BYTES];

/* --- helpers ----------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    struct err e;
    memcpy(scratch + sizeof(scratch) - 7, "XXXXXX", 6);
    if (mkdtemp(scratch) == NULL || chdir(scratch) != 0)
        return -1;
    commit_life(life);
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

static struct commit *open_small(const char *name, usec_t seal_after)
{
    const struct log_sizes sizes = { SMALL_SEGMENT / 2, SMALL_SEGMENT };
    struct commit *c = NULL;
    struct err e;
    if (commit_open_as(name, &sizes, seal_after, &c, &e) != RC_OK)
        fail_msg("%s", e.text);
    return c;
}

static void write_tmp(const char *tmp, struct str bytes)
{
    struct err e;
    int fd AUTO_CLOSE = io_open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    struct iovec part = { .iov_len = bytes.n };
    memcpy(&part.iov_base, &bytes.p, sizeof(bytes.p));
    assert_int_equal(io_write_all(fd, &part, 1, &e), RC_OK);
}

static enum rc try_put(struct commit *c, const char *name, struct str bytes, const char *tag)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    struct iovec part = { arena_c(&a, bytes), bytes.n };
    struct commit_put put = {
        .tmp_path = arena_printf(&a, "box/tmp/%s", name).p,
        .final_path = arena_printf(&a, "box/new/%s", name).p,
        .parts = &part,
        .part_count = 1,
        .size_bytes = bytes.n,
        .tag = str_from_c(tag),
    };
    write_tmp(put.tmp_path, bytes);
    enum rc rc = commit_put(c, &put, 1, &e);
    (void)io_unlink(put.tmp_path);
    return rc;
}

static void put(struct commit *c, const char *name, const char *bytes)
{
    assert_int_equal(try_put(c, name, str_from_c(bytes), ""), RC_OK);
}

static void take(struct commit *c, const char *path)
{
    struct err e;
    assert_int_equal(commit_remove(c, &path, 1, &e), RC_OK);
    assert_false(file_exists(path));
}

static bool holds(const char *path, const char *want)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str text;
    return file_read(path, 1000000, &a, &text, NULL, NULL) == RC_OK &&
           str_eq(text, str_from_c(want));
}

/* Keeps a copy of the logs as they are now: what a power cut would leave of them. */
static uint64_t epoch_of(const char *path)
{
    struct segment_header slots[2];
    int fd AUTO_CLOSE = io_open(path, O_RDONLY, 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(io_pread(fd, &slots[i], sizeof(slots[i]), i * COMMIT_PAGE),
                         sizeof(slots[i]));
    return MAX(slots[0].epoch, slots[1].epoch);
}

/* False: a segment was emptied meanwhile, so that the copies are of no one moment. */
static bool copy_logs(void)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name, text;
    unsigned char type = 0;
    struct err e;
    assert_int_equal(folder_make("saved", 0700, &e), RC_OK);
    assert_int_equal(folder_open(COMMIT_FOLDER, &f, &e), RC_OK);
    while (folder_next(f, &name, &type)) {
        const char *from = arena_printf(&a, COMMIT_FOLDER "/%.*s", STR_ARG(name)).p;
        const char *to = arena_printf(&a, "saved/%.*s", STR_ARG(name)).p;
        assert_int_equal(file_read(from, (size_t)64 << 20, &a, &text, NULL, &e), RC_OK);
        assert_int_equal(file_replace(to, text, 0600, &e), RC_OK);
    }
    folder_close(&f);
    bool same = true;
    assert_int_equal(folder_open("saved", &f, &e), RC_OK);
    while (folder_next(f, &name, &type))
        same = same && epoch_of(arena_printf(&a, "saved/%.*s", STR_ARG(name)).p) ==
                           epoch_of(arena_printf(&a, COMMIT_FOLDER "/%.*s", STR_ARG(name)).p);
    folder_close(&f);
    return same;
}

static void save_logs(void)
{
    while (!copy_logs())
        continue;
}

/* The logs are what they were when saved. */
static void crash(struct commit **c)
{
    save_logs();
    commit_close(c);
    remove_tree(COMMIT_FOLDER);
    assert_int_equal(io_rename("saved", COMMIT_FOLDER), 0);
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

static struct commit_report recover_as(const char *in_life)
{
    struct commit_report report = { .logs = 0 };
    struct err e;
    tags_seen = 0;
    if (commit_recover_as(in_life, on_tag, NULL, &report, &e) != RC_OK)
        fail_msg("%s", e.text);
    return report;
}

static size_t count_files(const char *path)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    struct err e;
    size_t n = 0;
    assert_int_equal(folder_open(path, &f, &e), RC_OK);
    while (folder_next(f, &name, &type))
        n++;
    folder_close(&f);
    return n;
}

/* --- recovery ---------------------------------------------------------------------------- */

static void test_put_and_clean_stop(void **state)
{
    (void)state;
    struct commit *c = open_small("t", NEVER);
    put(c, "a", "one\n");
    put(c, "b", "");
    commit_close(&c);
    assert_true(holds("box/new/a", "one\n"));
    assert_true(holds("box/new/b", ""));
    assert_int_equal(recover_as("other").records, 0); /* a clean stop empties the log */
}

static void test_power_cut(void **state)
{
    (void)state;
    struct err e;
    struct commit *c = open_small("t", NEVER);
    put(c, "kept", "kept\n");
    put(c, "lost", "lost\n");
    put(c, "short", "a longer text\n");
    put(c, "zeroed", "same length\n");
    put(c, "read", "read\n");
    assert_int_equal(try_put(c, "tagged", STR("tagged\n"), "id 1"), RC_OK);
    crash(&c);
    assert_int_equal(io_unlink("box/new/lost"), 0);
    assert_int_equal(file_replace("box/new/short", STR("a lo"), 0600, &e), RC_OK);
    assert_int_equal(file_replace("box/new/zeroed", STR("\0\0\0\0\0\0\0\0\0\0\0\0"), 0600, &e),
                     RC_OK);
    assert_int_equal(io_rename("box/new/read", "box/cur/read:2,S"), 0);
    struct commit_report report = recover_as("other");
    assert_int_equal(report.restored, 3);
    assert_int_equal(report.already_there, 3);
    assert_int_equal(tags_seen, 1);
    assert_true(holds("box/new/kept", "kept\n"));
    assert_true(holds("box/new/lost", "lost\n"));
    assert_true(holds("box/new/short", "a longer text\n"));
    assert_true(holds("box/new/zeroed", "same length\n"));
    assert_true(holds("box/cur/read:2,S", "read\n"));
    assert_false(file_exists("box/new/read"));
    assert_int_equal(count_files("box/tmp"), 0);
    assert_int_equal(recover_as("other").records, 0); /* once */
}

/* In the same life: who takes a message away keeps it; a rename that is missing is done. */
static void test_same_life(void **state)
{
    (void)state;
    struct commit *c = open_small("t", NEVER);
    put(c, "taken", "a reader took it\n");
    put(c, "unnamed", "between record and rename\n");
    put(c, "half", "a tmp file of another try\n");
    crash(&c);
    assert_int_equal(io_unlink("box/new/taken"), 0);
    assert_int_equal(io_rename("box/new/unnamed", "box/tmp/unnamed"), 0);
    assert_int_equal(io_unlink("box/new/half"), 0);
    write_tmp("box/tmp/half", STR("a tmp"));
    struct commit_report report = recover_as(life);
    assert_int_equal(report.taken, 2);
    assert_int_equal(report.restored, 1);
    assert_false(file_exists("box/new/taken"));
    assert_false(file_exists("box/new/half"));
    assert_true(holds("box/new/unnamed", "between record and rename\n"));
}

/* A message put through one log and removed through another never comes back, however often
 * the remover's log is emptied meanwhile. */
static void test_removed_stays_removed(void **state)
{
    (void)state;
    struct commit *in = open_small("smtpd", NEVER), *out = open_small("access", 5 * USEC_MS);
    struct timespec pause = { .tv_nsec = 60000000 };
    put(in, "gone", "gone\n");
    put(in, "gone-read", "gone\n");
    assert_int_equal(try_put(in, "gone-tagged", STR("x\n"), "id 1"), RC_OK);
    assert_int_equal(io_rename("box/new/gone-read", "box/cur/gone-read:2,S"), 0);
    take(out, "box/new/gone");
    take(out, "box/new/gone-tagged");
    take(out, "box/cur/gone-read:2,S");
    take(out, "box/new/never-was");
    save_logs();
    for (unsigned i = 0; i < 500 && epoch_of("saved/access.0") <= 3; i++) {
        (void)nanosleep(&pause, NULL);
        save_logs();
    }
    assert_true(epoch_of("saved/access.0") > 3); /* it was emptied, and more than once */
    commit_close(&out);
    crash(&in);
    assert_int_equal(recover_as("other").restored, 0);
    assert_int_equal(tags_seen, 1); /* it was delivered, after all */
    assert_int_equal(count_files("box/new"), 0);
    assert_int_equal(count_files("box/cur"), 0);
}

static void test_carried_removals_end(void **state)
{
    (void)state;
    struct commit *in = open_small("smtpd", NEVER), *out = open_small("access", 5 * USEC_MS);
    struct timespec pause = { .tv_nsec = 600000000 };
    put(in, "gone", "gone\n");
    take(out, "box/new/gone");
    commit_close(&in);
    (void)nanosleep(&pause, NULL);
    save_logs();
    commit_close(&out);
    remove_tree(COMMIT_FOLDER);
    assert_int_equal(io_rename("saved", COMMIT_FOLDER), 0);
    assert_int_equal(recover_as("other").records, 0);
}

/* The removal is in the log, but the unlink was lost; a name put again later is kept. */
static void test_removal_is_finished(void **state)
{
    (void)state;
    struct commit *c = open_small("access", NEVER), *in = open_small("queue", NEVER);
    struct timespec pause = { .tv_nsec = 20000000 }; /* change times are coarse */
    write_tmp("box/new/back", STR("back again\n"));
    assert_int_equal(io_link("box/new/back", "box/tmp/keep"), 0);
    assert_int_equal(io_link("box/new/back", "box/tmp/keep2"), 0);
    take(c, "box/new/back");
    take(c, "box/cur/back2:2,S");
    take(c, "box/new/again");
    (void)nanosleep(&pause, NULL);
    put(in, "again", "a second delivery\n");
    save_logs();
    commit_close(&in);
    crash(&c);
    (void)nanosleep(&pause, NULL);
    assert_int_equal(io_rename("box/tmp/keep", "box/new/back"), 0);
    assert_int_equal(io_rename("box/tmp/keep2", "box/cur/back2:2,"), 0);
    /* Their change times are younger than the removal: as if they had been put again. */
    assert_int_equal(recover_as("other").removed, 0);
    assert_true(file_exists("box/new/back"));
    assert_true(holds("box/new/again", "a second delivery\n"));
}

static void test_leftover_is_removed(void **state)
{
    (void)state;
    struct segment s;
    struct err e;
    struct record_list list;
    const struct record_list *lists[] = { &list };
    const struct log_sizes sizes = { SMALL_SEGMENT, SMALL_SEGMENT };
    const char *paths[] = { "box/new/one", "box/new/two", "box/cur/three:2,S", "../out" };
    assert_int_equal(folder_make(COMMIT_FOLDER, 0700, &e), RC_OK);
    write_tmp("box/new/one", STR("1\n"));
    write_tmp("box/cur/two:2,S", STR("2\n"));
    write_tmp("box/cur/three:2,", STR("3\n"));
    write_tmp("box/cur/four:2,", STR("4\n"));
    struct timespec pause = { .tv_nsec = 20000000 }; /* change times are coarse */
    (void)nanosleep(&pause, NULL);
    assert_int_equal(segment_open("t", 0, &sizes, &s, &e), RC_OK);
    record_list_init(&list, 1, 0);
    record_add_names(&list, RECORD_REMOVE, paths, ARRAY_LEN(paths));
    assert_int_equal(segment_append(&s, lists, 1, &e), RC_OK);
    record_list_release(&list);
    segment_close(&s);
    assert_int_equal(recover_as("other").removed, 3);
    assert_int_equal(count_files("box/new"), 0);
    assert_int_equal(count_files("box/cur"), 1);
}

static void test_failed_checkpoint_rewrites(void **state)
{
    (void)state;
    struct segment s;
    struct err e;
    struct stat before, after;
    struct commit *c = open_small("t", NEVER);
    put(c, "a", "one\n");
    crash(&c);
    assert_int_equal(segment_open("t", 0, NULL, &s, &e), RC_OK);
    s.head.flags |= SEGMENT_SUSPECT;
    assert_int_equal(segment_write_header(&s, &e), RC_OK);
    segment_close(&s);
    assert_int_equal(io_stat("box/new/a", &before), 0);
    int fd AUTO_CLOSE = io_open("box/new/a", O_RDONLY, 0); /* keeps the inode's number */
    assert_true(fd >= 0);
    assert_int_equal(recover_as(life).restored, 1);
    assert_int_equal(io_stat("box/new/a", &after), 0);
    assert_true(before.st_ino != after.st_ino);
    assert_true(holds("box/new/a", "one\n"));
}

static void test_folders_come_back(void **state)
{
    (void)state;
    struct commit *c = open_small("t", NEVER);
    put(c, "a", "one\n");
    crash(&c);
    assert_int_equal(io_unlink("box/new/a"), 0);
    remove_tree("box/new");
    remove_tree("box/tmp");
    assert_int_equal(recover_as("other").restored, 1);
    assert_true(holds("box/new/a", "one\n"));
}

static void test_account_is_gone(void **state)
{
    (void)state;
    struct err e;
    struct commit *c = open_small("t", NEVER);
    assert_int_equal(folder_make("d/u/Maildir/new", 0700, &e), RC_OK);
    assert_int_equal(folder_make("d/u/Maildir/tmp", 0700, &e), RC_OK);
    struct iovec part = { scratch, 4 };
    struct commit_put one = { "d/u/Maildir/tmp/a", "d/u/Maildir/new/a", &part, 1, 4, STR("") };
    write_tmp(one.tmp_path, str_from(scratch, 4));
    assert_int_equal(commit_put(c, &one, 1, &e), RC_OK);
    crash(&c);
    remove_tree("d");
    struct commit_report report = recover_as("other");
    assert_int_equal(report.restored, 0);
    assert_int_equal(report.taken, 1);
    assert_false(folder_exists("d"));
}

/* --- the log itself ---------------------------------------------------------------------- */

/* What stands in the segment from `at` on is spoiled by `change`. */
static void spoil(const char *path, uint64_t at)
{
    int fd AUTO_CLOSE = io_open(path, O_RDWR, 0);
    unsigned char octet = 0;
    assert_int_equal(io_pread(fd, &octet, 1, at), 1);
    octet = (unsigned char)~octet;
    assert_int_equal(io_pwrite(fd, &octet, 1, at), 1);
}

static void test_torn_batches(void **state)
{
    (void)state;
    /* Two batches of one page each, the second torn at different places. */
    static const struct {
        const char *name;
        uint64_t at;
        size_t restored;
    } rows[] = {
        { "head of the second", COMMIT_DATA_AT + COMMIT_PAGE + 20, 1 },
        { "record of the second", COMMIT_DATA_AT + COMMIT_PAGE + 70, 1 },
        { "path in the second", COMMIT_DATA_AT + COMMIT_PAGE + 135, 1 },
        { "padding of the second", COMMIT_DATA_AT + COMMIT_PAGE + 4000, 2 },
        { "record of the first", COMMIT_DATA_AT + 70, 0 },
        { "the header in force", 0, 2 }, /* the other slot's epoch is older: see below */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct commit *c = open_small("t", NEVER);
        put(c, "first", "first\n");
        put(c, "second", "second\n");
        uint64_t slot = (c->segments[0].head.generation & 1) * COMMIT_PAGE;
        bool header = rows[i].at == 0;
        crash(&c);
        spoil(COMMIT_FOLDER "/t.0", header ? slot + 40 : rows[i].at);
        assert_int_equal(io_unlink("box/new/first"), 0);
        assert_int_equal(io_unlink("box/new/second"), 0);
        size_t restored = recover_as("other").restored;
        /* A header is only ever torn while it is written, and then the batches of the epoch
         * before are what counts: here there are none. */
        if (restored != (header ? 0 : rows[i].restored))
            fail_msg("%s: %zu restored", rows[i].name, restored);
        remove_tree(COMMIT_FOLDER);
    }
}

static void test_old_epochs_do_not_count(void **state)
{
    (void)state;
    struct commit *c = open_small("t", 2 * USEC_MS);
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    char *text = arena_c(&a, STR("x"));
    text = arena_new(&a, 40001);
    memset(text, 'x', 40000);
    for (int i = 0; i < 60; i++)
        put(c, arena_printf(&a, "m%d", i).p, text);
    crash(&c);
    assert_true(recover_as("other").records <= 12);
    assert_int_equal(count_files("box/new"), 60);
}

static void test_multi_put_is_whole(void **state)
{
    (void)state;
    struct err e;
    struct commit *c = open_small("t", NEVER);
    struct iovec part = { scratch, 5 };
    struct commit_put puts[] = {
        { "box/tmp/1", "box/new/1", &part, 1, 5, STR("id 1") },
        { "box/tmp/2", "box/none/2", &part, 1, 5, STR("id 1") },
        { "box/tmp/3", "box/new/3", NULL, 0, 5, STR("id 1") },
    };
    for (size_t i = 0; i < ARRAY_LEN(puts); i++)
        write_tmp(puts[i].tmp_path, str_from(scratch, 5));
    assert_int_equal(commit_put(c, puts, 3, &e), RC_TEMP);
    assert_int_equal(count_files("box/new"), 0);
    crash(&c);
    assert_int_equal(recover_as("other").restored, 0);
    assert_int_equal(tags_seen, 0);
    assert_int_equal(count_files("box/new"), 0);
}

static void test_large_files(void **state)
{
    (void)state;
    struct commit *c = open_small("t", NEVER);
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str big = { arena_new(&a, 300000), 300000 };
    assert_int_equal(try_put(c, "big", big, "id 1"), RC_OK);
    assert_int_equal(try_put(c, "taken", big, "id 1"), RC_OK);
    assert_int_equal(try_put(c, "removed", big, "id 1"), RC_OK);
    take(c, "box/new/removed");
    crash(&c);
    assert_int_equal(io_unlink("box/new/taken"), 0);
    struct commit_report report = recover_as("other");
    assert_int_equal(report.restored, 0);
    assert_int_equal(tags_seen, 2);
    assert_int_equal(count_files("box/new"), 1);
}

static void test_open_rules(void **state)
{
    (void)state;
    struct err e;
    struct commit *c = open_small("t", NEVER), *again = NULL;
    assert_int_equal(commit_open("t", &again, &e), RC_TEMP);         /* one process a name */
    assert_int_equal(commit_recover(NULL, NULL, NULL, &e), RC_TEMP); /* and not while it runs */
    put(c, "a", "one\n");
    crash(&c);
    c = open_small("t", NEVER); /* a process died: its log is recovered */
    put(c, "b", "two\n");
    assert_int_equal(try_put(c, "tagged", STR("x\n"), "id 1"), RC_OK);
    crash(&c);
    assert_int_equal(commit_open("t", &again, &e), RC_TEMP); /* who takes the tag? */
    tags_seen = 0;
    assert_int_equal(commit_recover_log("t", on_tag, NULL, NULL, &e), RC_OK);
    assert_int_equal(tags_seen, 1);
    assert_int_equal(commit_open("t", &again, &e), RC_OK);
    put(again, "c", "three\n");
    crash(&again);
    struct segment s;
    assert_int_equal(segment_open("t", 0, NULL, &s, &e), RC_OK);
    (void)snprintf(s.head.life, sizeof(s.head.life), "other");
    assert_int_equal(segment_write_header(&s, &e), RC_OK);
    segment_close(&s);
    assert_int_equal(commit_open("t", &again, &e), RC_TEMP); /* all logs first */
    assert_int_equal(commit_recover_log("t", on_tag, NULL, NULL, &e), RC_TEMP);
    assert_int_equal(commit_recover(on_tag, NULL, NULL, &e), RC_OK);
    assert_int_equal(commit_open("t", &again, &e), RC_OK);
    commit_close(&again);
    assert_int_equal(count_files("box/new"), 4);
}

/* A role that starts again doesn't forget removals that others' puts need. */
static void test_recover_log_keeps_removals(void **state)
{
    (void)state;
    struct err e;
    struct commit *in = open_small("smtpd", NEVER), *out = open_small("access", NEVER);
    put(in, "gone", "gone\n");
    take(out, "box/new/gone");
    save_logs();
    commit_close(&out);
    commit_close(&in);
    remove_tree(COMMIT_FOLDER);
    assert_int_equal(io_rename("saved", COMMIT_FOLDER), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(commit_recover_log("access", NULL, NULL, NULL, &e), RC_OK);
        out = open_small("access", NEVER);
        crash(&out);
    }
    assert_int_equal(recover_as("other").restored, 0);
    assert_int_equal(count_files("box/new"), 0);
}

static void test_names_that_lead_out(void **state)
{
    (void)state;
    static const char *const paths[] = { "../box-out", "/tmp/box-out", "box/../../x", "" };
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct segment s;
        struct record_list list;
        const struct record_list *lists[] = { &list };
        const struct log_sizes sizes = { SMALL_SEGMENT, SMALL_SEGMENT };
        struct iovec part = { scratch, 4 };
        struct commit_put one = { "box/tmp/a", paths[i], &part, 1, 4, STR("") };
        assert_int_equal(folder_make(COMMIT_FOLDER, 0700, &e), RC_OK);
        assert_int_equal(segment_open("t", 0, &sizes, &s, &e), RC_OK);
        record_list_init(&list, 1, 1);
        record_add_put(&list, RECORD_PUT, &one);
        assert_int_equal(segment_append(&s, lists, 1, &e), RC_OK);
        record_list_release(&list);
        segment_close(&s);
        assert_int_equal(recover_as("other").restored, 0);
        assert_int_equal(count_files("box/tmp"), 0);
    }
}

/* --- faults ------------------------------------------------------------------------------ */

/* A put of size octets whose tmp file is made without the calls that fail. */
static enum rc put_directly(struct commit *c, const char *tmp, const char *path, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct iovec part = { arena_new(&a, size), size };
    struct commit_put one = { tmp, path, &part, 1, size, STR("") };
    struct err e;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, part.iov_base, size, 0), (ssize_t)size);
    assert_int_equal(close(fd), 0);
    return commit_put(c, &one, 1, &e);
}

/* The n-th call that changes the file system fails: each put fails as a whole or stands, also
 * after a power cut, and what was removed stays so. */
static void torture(unsigned n, int error)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct commit *c = open_small("t", 1 * USEC_MS);
    enum { STANDS, FAILED, REMOVED, UNSURE } fates[24];
    for (unsigned i = 0; i < ARRAY_LEN(fates); i++) {
        struct err e;
        const char *tmp = arena_printf(&a, "box/tmp/m%u", i).p;
        const char *path = arena_printf(&a, "box/new/m%u", i).p;
        if (i == 2)
            io_fail_nth(n, error);
        enum rc rc = put_directly(c, tmp, path, i % 5 == 4 ? 60000 : 20000);
        assert_true(rc == RC_OK || rc == RC_TEMP);
        assert_int_equal(file_exists(path), rc == RC_OK);
        fates[i] = rc == RC_OK ? STANDS : FAILED;
        if (rc == RC_OK && i % 3 == 0)
            fates[i] = commit_remove(c, &path, 1, &e) == RC_OK ? REMOVED : UNSURE;
    }
    io_fail_nth(0, 0);
    crash(&c);
    (void)recover_as("other");
    for (unsigned i = 0; i < ARRAY_LEN(fates); i++) {
        bool stands = file_exists(arena_printf(&a, "box/new/m%u", i).p);
        if (fates[i] != UNSURE && stands != (fates[i] == STANDS))
            fail_msg("call %u failed with %d: m%u stands %d", n, error, i, stands);
    }
    remove_tree("box/new");
    remove_tree("box/tmp");
    remove_tree(COMMIT_FOLDER);
    assert_int_equal(io_mkdir("box/new", 0700) | io_mkdir("box/tmp", 0700), 0);
}

static void test_torture(void **state)
{
    (void)state;
    log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1)); /* none */
    for (unsigned n = 1; n < 60; n++)
        torture(n, n % 2 == 0 ? ENOSPC : EIO);
    log_set_level(LOG_LEVEL_INFO);
}

/* --- many at once ------------------------------------------------------------------------ */

struct writer {
    struct commit *c, *remover;
    unsigned number, failures;
};

static void *write_many(void *arg)
{
    struct writer *w = arg;
    struct arena a = { 0 };
    for (unsigned i = 0; i < 150; i++) {
        char path[64];
        size_t n = (i * 397 + w->number * 61) % 9000;
        struct str bytes = { arena_new(&a, n + 1), n };
        const char *name = arena_printf(&a, "w%u-%u", w->number, i).p;
        const char *removed = path;
        struct err e;
        (void)snprintf(path, sizeof(path), "box/new/%s", name);
        w->failures += try_put(w->c, name, bytes, i % 10 == 0 ? "id 1" : "") != RC_OK;
        if (i % 2 == 0)
            w->failures += commit_remove(w->remover, &removed, 1, &e) != RC_OK;
        arena_reset(&a);
    }
    arena_release(&a);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct commit *c = open_small("smtpd", 3 * USEC_MS);
    struct commit *out = open_small("access", 2 * USEC_MS);
    struct writer writers[8];
    pthread_t threads[8];
    struct err e;
    for (unsigned i = 0; i < 8; i++) {
        writers[i] = (struct writer){ .c = c, .remover = out, .number = i };
        assert_int_equal(thread_start(write_many, &writers[i], "writer", &threads[i], &e),
                         RC_OK);
    }
    for (unsigned i = 0; i < 8; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(writers[i].failures, 0);
    }
    save_logs();
    commit_close(&out);
    crash(&c);
    (void)recover_as("other");
    assert_int_equal(count_files("box/new"), 600);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_put_and_clean_stop),
        TEST(test_power_cut),
        TEST(test_same_life),
        TEST(test_removed_stays_removed),
        TEST(test_carried_removals_end),
        TEST(test_removal_is_finished),
        TEST(test_leftover_is_removed),
        TEST(test_failed_checkpoint_rewrites),
        TEST(test_folders_come_back),
        TEST(test_account_is_gone),
        TEST(test_torn_batches),
        TEST(test_old_epochs_do_not_count),
        TEST(test_multi_put_is_whole),
        TEST(test_large_files),
        TEST(test_open_rules),
        TEST(test_recover_log_keeps_removals),
        TEST(test_names_that_lead_out),
        TEST(test_torture),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

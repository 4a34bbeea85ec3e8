/* store_test.c - mailboxes as smtpd, queue and pop3d use them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/scratch.h"

/* --- delivery ---------------------------------------------------------------------------- */

static void test_round_trip(void **state)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    (void)state;
    uint32_t notice = store_notice(&amy);
    deliver_ok("a: b\n\n.first\n");
    deliver_ok("a: b\n\nsecond\n");
    assert_int_not_equal(store_notice(&amy), notice);
    assert_int_equal(files_in(AMY "/Maildir/new"), 2);
    assert_int_equal(files_in(AMY "/Maildir/tmp"), 0);
    assert_true(folder_exists(AMY "/Maildir/cur"));
    struct mailbox *m = open_mailbox(false);
    assert_int_equal(mailbox_count(m), 2);
    assert_int_equal(mailbox_message(m, 0)->wire_octets, 16);
    assert_true(str_eq(fetch(m, 0, &mem), STR("a: b\r\n\r\n..first\r\n.\r\n")));
    assert_true(str_eq(fetch(m, 1, &mem), STR("a: b\r\n\r\nsecond\r\n.\r\n")));
    assert_true(str_find_str(mailbox_message(m, 0)->uid, STR(",S=13,W=16")) != SIZE_MAX);
    mailbox_close(&m);
    assert_false(file_exists(AMY "/Maildir/sizes"));
    assert_false(folder_exists("hikyaku/mailbox"));
}

static void test_large(void **state)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    static char text[400000];
    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 50 == 49 ? '\n' : 'x';
    for (unsigned windows = 0; windows < 2; windows++) {
        (void)test_setup(state);
        make_folder(windows ? AMY "/mailbox" : AMY "/Maildir");
        if (windows)
            write_file(AMY "/mailbox/1.eml", "a: b\r\n\r\nx\r\n", TAKEOVER - 10);
        assert_int_equal(deliver(str_from(text, sizeof(text)), 0, NULL, NULL), RC_OK);
        struct mailbox *m = open_mailbox(false);
        assert_int_equal(mailbox_count(m), 1 + windows);
        struct str sent = fetch(m, windows, &mem);
        assert_int_equal(mailbox_message(m, windows)->wire_octets, 408000);
        assert_int_equal(sent.n, 408003);
        if (windows)
            assert_true(str_find_str(mailbox_message(m, 1)->uid, STR("S=408000,W=408000")) !=
                        SIZE_MAX);
        mailbox_close(&m);
        assert_int_equal(files_in(AMY), 1);
    }
}

static void test_mailbox_kind(void **state)
{
    static const struct {
        const char *name, *existing;
        bool crlf;
    } rows[] = {
        { "empty", NULL, false },
        { "unix", "a: b\n\nx\r\n", false },
        { "windows", "a: b\r\n\r\nx\r\n", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        /* Another account each: the kind of line end is looked at once. */
        struct arena mem AUTO_RELEASE_ARENA = { 0 };
        (void)test_setup(state);
        struct account bob = amy;
        bob.folder = arena_printf(&mem, "domains/x.test/bob%zu", i);
        make_folder(arena_printf(&mem, "%s/mailbox", bob.folder.p).p);
        if (rows[i].existing != NULL)
            write_file(arena_printf(&mem, "%s/mailbox/1500000000123.1.1.h", bob.folder.p).p,
                       rows[i].existing, 1500000000);
        struct store_put *put = NULL;
        assert_int_equal(store_put_begin(&bob, STR("fixed"), &put, NULL), RC_OK);
        assert_int_equal(store_put_write(put, STR("q\n"), 3, NULL), RC_OK);
        assert_int_equal(store_put_commit(&put, 0, STR(""), NULL), RC_OK);
        bool crlf = file_exists(arena_printf(&mem, "%s/mailbox/fixed,S=3,W=3", bob.folder.p).p);
        bool lf = file_exists(arena_printf(&mem, "%s/mailbox/fixed,S=2,W=3", bob.folder.p).p);
        if (crlf != rows[i].crlf || lf == rows[i].crlf)
            fail_msg("%s", rows[i].name);
        assert_int_equal(files_in(bob.folder.p), 1);
        assert_true(store_has(&bob, STR("fixed")));
        assert_false(store_has(&bob, STR("fixe")));
    }
}

static void test_fixed_name(void **state)
{
    (void)state;
    deliver_ok("another\n");
    write_file(AMY "/Maildir/tmp/1700000000.R1.host", "half a mess", 1700000000);
    assert_false(store_has(&amy, STR("1700000000.R1.host")));
    assert_int_equal(deliver(STR("whole\n"), 0, "1700000000.R1.host", NULL), RC_OK);
    assert_true(store_has(&amy, STR("1700000000.R1.host")));
    assert_int_equal(io_rename(AMY "/Maildir/new/1700000000.R1.host,S=6,W=7",
                               AMY "/Maildir/cur/1700000000.R1.host,S=6,W=7:2,S"),
                     0);
    assert_true(store_has(&amy, STR("1700000000.R1.host")));
    assert_int_equal(deliver(STR("x"), 0, "../x", NULL), RC_PERM);
}

/* Empty folders get lost in copies: tmp/ is made at once, new/ at the latest for the next try.
 */
static void test_missing_folders(void **state)
{
    (void)state;
    make_folder(AMY "/Maildir/new");
    deliver_ok("1\n");
    assert_true(folder_exists(AMY "/Maildir/tmp") && folder_exists(AMY "/Maildir/cur"));
    remove_tree(AMY "/Maildir/new");
    assert_int_equal(deliver(STR("2\n"), 0, NULL, NULL), RC_TEMP);
    assert_int_equal(files_in(AMY "/Maildir/tmp"), 0);
    deliver_ok("2\n");
    remove_tree(AMY);
    deliver_ok("3\n");
    assert_int_equal(files_in(AMY "/Maildir/new"), 1);
}

static void test_abort(void **state)
{
    static char text[300000];
    struct store_put *put = NULL;
    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(store_put_begin(&amy, STR(""), &put, NULL), RC_OK);
    assert_int_equal(store_put_write(put, str_from(text, sizeof(text)), 0, NULL), RC_OK);
    assert_int_equal(files_in(AMY "/Maildir/tmp"), 1);
    store_put_abort(&put);
    assert_int_equal(files_in(AMY "/Maildir/tmp"), 0);
}

/* Every changing call fails once: nothing is left, and the counters still agree. */
static void test_faults(void **state)
{
    static char text[200000];
    (void)state;
    memset(text, 'x', sizeof(text));
    for (unsigned large = 0; large < 2; large++) {
        (void)test_setup(state);
        assert_int_equal(deliver(STR("first\n"), 1000, NULL, NULL), RC_OK);
        size_t there = 1;
        uint64_t octets = 7;
        for (unsigned n = 1; n < 40; n++) {
            struct err e = { .text = "" };
            struct str message = str_from(text, large ? sizeof(text) : 100);
            io_fail_nth(n, ENOSPC);
            enum rc rc = deliver(message, 1000, NULL, &e);
            io_fail_nth(0, 0);
            if (rc == RC_OK) {
                there++;
                octets += message.n;
            } else {
                assert_int_equal(rc, RC_TEMP);
            }
            assert_int_equal(files_in(AMY "/Maildir/new"), there);
            assert_int_equal(files_in(AMY "/Maildir/tmp"), 0);
            check_usage(octets, there);
            if (large && octets > 600000)
                break;
        }
        assert_true(there > 1);
    }
    /* A fault may have hit the log's checkpoint, which tries again later: the next tests don't
     * wait for that. */
    commit_close(&commit);
    assert_int_equal(commit_open("store-test", &commit, NULL), RC_OK);
    store_init(commit);
}

/* --- listing ----------------------------------------------------------------------------- */

static void test_order_and_kinds_of_file(void **state)
{
    static const struct {
        const char *file, *text;
        time_t mtime;
    } files[] = {
        { "new/1600000005.M000002P1.h,S=2,W=3", "5\n", 1 },
        { "new/1600000005.M000001P1.h,S=2,W=3", "4\n", 1 },
        { "new/1599999999123.1.1.h", "a\n..x\n.\n", 1599999999 },
        { "new/no time at all", "6\r\n.z", 1600000007 },
        { "cur/1600000001.1.h:2,S", "2\n", 1600000001 },
        { "new/.hidden", "x", 1 },
        { "new/1700000000.double.h", "7\n", 1700000000 },
        { "cur/1700000000.double.h:2,S", "7\n", 1700000000 },
    };
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    (void)state;
    assert_int_equal(place_make(&(struct place){ amy.folder, PLACE_MAILDIR, true }, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        write_file(arena_printf(&mem, AMY "/Maildir/%s", files[i].file).p, files[i].text,
                   files[i].mtime);
    make_folder(AMY "/Maildir/new/folder");
    assert_int_equal(symlink("/etc/passwd", AMY "/Maildir/new/1700000001.link.h"), 0);
    assert_int_equal(symlink("/etc/passwd", AMY "/Maildir/new/1700000001.link.h,S=1,W=1"), 0);
    assert_int_equal(mkfifo(AMY "/Maildir/new/1700000001.fifo.h", 0600), 0);

    struct mailbox *m = open_mailbox(true);
    assert_int_equal(mailbox_count(m), 6);
    assert_string_equal(mailbox_message(m, 0)->uid.p, "1599999999123.1.1.h");
    assert_true(str_eq(fetch(m, 0, &mem), STR("a\r\n..x\r\n..\r\n.\r\n")));
    assert_int_equal(mailbox_message(m, 0)->wire_octets, 3 + 4 + 3);
    assert_true(str_eq(mailbox_message(m, 1)->uid, STR("1600000001.1.h")));
    assert_true(str_eq(fetch(m, 2, &mem), STR("4\r\n.\r\n")));
    assert_true(str_eq(fetch(m, 3, &mem), STR("5\r\n.\r\n")));
    assert_true(str_eq(fetch(m, 4, &mem), STR("6\r\n..z\r\n.\r\n")));
    assert_int_equal(mailbox_message(m, 4)->uid.n, 42);
    assert_int_equal(mailbox_message(m, 4)->wire_octets, 7);
    mailbox_close(&m);

    m = open_mailbox(false);
    assert_int_equal(mailbox_count(m), 5);
    mailbox_close(&m);
}

/* Foreign sizes are read once: afterwards the file isn't opened. */
static void test_sizes_are_remembered(void **state)
{
    (void)state;
    make_folder(AMY "/Maildir/new");
    write_file(AMY "/Maildir/new/1700000000.a.h", "x\ny\n", 1700000000);
    write_file(AMY "/Maildir/new/1700000001.b.h", "x\ny\n", 1700000001);
    struct mailbox *m = open_mailbox(false);
    assert_int_equal(mailbox_message(m, 0)->wire_octets, 6);
    mailbox_close(&m);
    /* Same size, same time, other text: the remembered size is used. */
    write_file(AMY "/Maildir/new/1700000000.a.h", "xxxx", 1700000000);
    /* Another time: read again. */
    write_file(AMY "/Maildir/new/1700000001.b.h", "\n\n\n\n", 1700000002);
    m = open_mailbox(false);
    assert_int_equal(mailbox_message(m, 0)->wire_octets, 6);
    assert_int_equal(mailbox_message(m, 1)->wire_octets, 8);
    mailbox_close(&m);
    /* A damaged cache costs only time. */
    write_file("hikyaku/mailbox/x.test/amy/sizes",
               "1 4 1700000000000000000 0 6 1700000000.a.h\n\n\n7 8", 0);
    m = open_mailbox(false);
    assert_int_equal(mailbox_message(m, 0)->wire_octets, 6);
    assert_true(mailbox_count(m) == 2);
    mailbox_close(&m);
}

static void test_gone(void **state)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    struct mailbox_reader *r = NULL;
    size_t removed = 0;
    (void)state;
    deliver_ok("1\n");
    deliver_ok("2\n");
    struct mailbox *m = open_mailbox(false);
    assert_int_equal(io_unlink(mailbox_path(m, mailbox_entry(m, 0), &mem)), 0);
    assert_int_equal(mailbox_reader_open(m, 0, SIZE_MAX, &r, &e), RC_PERM);
    assert_int_equal(symlink("/etc/passwd", mailbox_path(m, mailbox_entry(m, 0), &mem)), 0);
    assert_int_equal(mailbox_reader_open(m, 0, SIZE_MAX, &r, &e), RC_PERM);
    assert_int_equal(mailbox_reader_open(m, 1, SIZE_MAX, &r, &e), RC_OK);
    mailbox_reader_close(&r);
    mailbox_message(m, 0)->deleted = true;
    mailbox_message(m, 1)->deleted = true;
    assert_int_equal(mailbox_expunge(m, &removed, &e), RC_OK);
    mailbox_close(&m);
    assert_int_equal(files_in(AMY "/Maildir/new"), 0);
}

/* Another program moves and flags messages: they are still fetched and removed. */
static void test_follows_moves(void **state)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct err e;
    size_t removed = 0;
    (void)state;
    deliver_ok("1\n");
    deliver_ok("2\n");
    struct timespec tick = { .tv_nsec = 20000000 };
    (void)nanosleep(&tick, NULL);
    struct mailbox *m = open_mailbox(false);
    for (size_t i = 0; i < 2; i++) {
        const struct mailbox_entry *entry = mailbox_entry(m, i);
        const char *to = arena_printf(&mem, AMY "/Maildir/cur/%s:2,S", entry->file.p).p;
        assert_int_equal(io_rename(mailbox_path(m, entry, &mem), to), 0);
        if (i == 0)
            assert_true(str_eq(fetch(m, 0, &mem), STR("1\r\n.\r\n")));
        (void)nanosleep(&tick, NULL);
    }
    mailbox_message(m, 0)->deleted = true;
    mailbox_message(m, 1)->deleted = true;
    assert_int_equal(mailbox_expunge(m, &removed, &e), RC_OK);
    mailbox_close(&m);
    assert_int_equal(files_in(AMY "/Maildir/cur"), 0);
}

static void test_lock(void **state)
{
    struct err e;
    struct mailbox *other = NULL;
    (void)state;
    write_file("pop3locks/amy@x.test", "", 0); /* left by a crash */
    struct mailbox *m = open_mailbox(false);
    assert_true(file_exists("pop3locks/amy@x.test"));
    assert_int_equal(mailbox_open(&amy, false, &other, &e), RC_TEMP);
    assert_string_equal(e.dsn, "4.2.0");
    assert_null(other);
    mailbox_close(&m);
    assert_false(file_exists("pop3locks/amy@x.test"));
    m = open_mailbox(false);
    mailbox_close(&m);
}

static void test_sweep(void **state)
{
    (void)state;
    make_folder(AMY "/Maildir/tmp");
    write_file(AMY "/Maildir/tmp/old", "x", clock_wall() / USEC_S - 40 * 3600);
    write_file(AMY "/Maildir/tmp/young", "x", clock_wall() / USEC_S - 30 * 3600);
    struct mailbox *m = open_mailbox(false);
    mailbox_close(&m);
    assert_false(file_exists(AMY "/Maildir/tmp/old"));
    assert_true(file_exists(AMY "/Maildir/tmp/young"));
}

static void test_notices(void **state)
{
    int fd = -1;
    (void)state;
    assert_int_equal(store_notices_make(&fd, NULL), RC_OK);
    assert_int_equal(store_notices_use(fd, NULL), RC_OK);
    assert_int_equal(store_notice(&amy), 0);
    deliver_ok("x\n");
    assert_int_equal(store_notice(&amy), 1);
    struct mailbox *m = open_mailbox(false);
    size_t removed = 0;
    mailbox_message(m, 0)->deleted = true;
    assert_int_equal(mailbox_expunge(m, &removed, NULL), RC_OK);
    mailbox_close(&m);
    assert_int_equal(store_notice(&amy), 2);
    assert_int_not_equal(store_notices_use(io_open("hikyaku/run", O_RDONLY, 0), NULL), RC_OK);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, test_setup)
    const struct CMUnitTest tests[] = {
        T(test_round_trip),
        T(test_large),
        T(test_mailbox_kind),
        T(test_fixed_name),
        T(test_missing_folders),
        T(test_abort),
        T(test_faults),
        T(test_order_and_kinds_of_file),
        T(test_sizes_are_remembered),
        T(test_gone),
        T(test_follows_moves),
        T(test_lock),
        T(test_sweep),
        T(test_notices),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

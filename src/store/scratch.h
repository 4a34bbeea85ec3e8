/* scratch.h - for the tests of this folder: a MailRoot of the test's own with one account,
 * whose mailbox is used through the real commit log. Included once, after cmocka.h. */
#ifndef HIKYAKU_STORE_SCRATCH_H
#define HIKYAKU_STORE_SCRATCH_H

#include "store/mailbox_int.h"
#include "sys/file.h"
#include "sys/lock.h"
#include <dirent.h>
#include <utime.h>

#define TAKEOVER 1600000000
#define AMY "domains/x.test/amy"

static struct commit *commit;
static char root[] = "/tmp/hikyaku-store-XXXXXX";
static const struct account amy = { .domain = { "x.test", 6 },
                                    .name = { "amy", 3 },
                                    .folder = { AMY, sizeof(AMY) - 1 } };

/* --- the scratch MailRoot ---------------------------------------------------------------- */

UNUSED static void remove_tree(const char *path)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    if (folder_open(path, &f, NULL) != RC_OK)
        return;
    while (folder_next(f, &name, &type)) {
        const char *child = arena_printf(&mem, "%s/%.*s", path, STR_ARG(name)).p;
        if (type == DT_DIR)
            remove_tree(child);
        else
            (void)io_unlink(child);
    }
    folder_close(&f);
    (void)io_rmdir(path);
}

UNUSED static void write_file(const char *path, const char *text, time_t mtime)
{
    int fd = io_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(io_write(fd, text, strlen(text)), strlen(text));
    io_close(fd);
    struct utimbuf times = { mtime, mtime };
    assert_int_equal(utime(path, &times), 0);
}

UNUSED static void make_folder(const char *path)
{
    assert_int_equal(folder_make(path, 0700, NULL), RC_OK);
}

UNUSED static int group_setup(void **state)
{
    struct err e;
    (void)state;
    if (mkdtemp(root) == NULL || chdir(root) != 0)
        return -1;
    make_folder("hikyaku/commit");
    write_file("hikyaku/marker", "origin taken-over\nformat 1\nmade 1600000000\n", 0);
    write_file("hikyaku/run", "run-1\n", 0);
    write_file("server.tab", "", 0);
    if (options_load(&e) != RC_OK || commit_open("store-test", &commit, &e) != RC_OK)
        return -1;
    store_init(commit);
    return 0;
}

UNUSED static int group_teardown(void **state)
{
    (void)state;
    commit_close(&commit);
    remove_tree(root);
    return 0;
}

/* Each test begins with an account folder and nothing in it. */
UNUSED static int test_setup(void **state)
{
    (void)state;
    remove_tree("domains");
    remove_tree("hikyaku/mailbox");
    make_folder(AMY);
    return 0;
}

/* --- helpers ----------------------------------------------------------------------------- */

UNUSED static enum rc deliver(struct str text, uint64_t max_kb, const char *fixed,
                              struct err *e)
{
    struct store_put *put = NULL;
    uint64_t wire = text.n;
    for (size_t i = 0; i < text.n; i++)
        wire += text.p[i] == '\n' ? 1 : 0;
    enum rc rc = store_put_begin(&amy, str_from_c(fixed), &put, e);
    if (rc == RC_OK)
        rc = store_put_write(put, text, wire, e);
    if (rc != RC_OK) {
        store_put_abort(&put);
        return rc;
    }
    rc = store_put_commit(&put, max_kb, STR(""), e);
    assert_null(put);
    return rc;
}

UNUSED static void deliver_ok(const char *text)
{
    struct err e = { .text = "" };
    if (deliver(str_from_c(text), 0, NULL, &e) != RC_OK)
        fail_msg("%s", e.text);
}

UNUSED static struct mailbox *open_mailbox(bool cur)
{
    struct mailbox *m = NULL;
    struct err e = { .text = "" };
    if (mailbox_open(&amy, cur, &m, &e) != RC_OK)
        fail_msg("%s", e.text);
    return m;
}

/* What POP3 would send for message i, with the last line. */
UNUSED static struct str fetch(struct mailbox *m, size_t i, struct arena *a)
{
    struct mailbox_reader *r = NULL;
    struct buf out AUTO_RELEASE_BUF;
    bool done = false;
    buf_init(&out, BUF_MAX_DEFAULT);
    assert_int_equal(mailbox_reader_open(m, i, SIZE_MAX, &r, NULL), RC_OK);
    while (!done)
        assert_int_equal(mailbox_reader_next(r, 100, &out, &done, NULL), RC_OK);
    mailbox_reader_close(&r);
    return arena_str(a, buf_str(&out));
}

UNUSED static size_t files_in(const char *path)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = DT_UNKNOWN;
    size_t n = 0;
    if (folder_open(path, &f, NULL) != RC_OK)
        return 0;
    while (folder_next(f, &name, &type))
        n++;
    folder_close(&f);
    return n;
}

UNUSED static void check_usage(uint64_t octets, uint64_t messages)
{
    uint64_t got_octets = 0, got_messages = 0;
    assert_int_equal(store_usage(&amy, &got_octets, &got_messages, NULL), RC_OK);
    assert_int_equal(got_octets, octets);
    assert_int_equal(got_messages, messages);
}

#endif

/* spool_test.c - queue entries on disk: what was put is what is read, whatever happened to the
 * files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool/scratch.h"

static const char *const amy_and_ben[] = { "amy", "ben", NULL };

static void round_trip(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .text = "" };
    struct spool_entry entry;
    char text[64] = { 0 };
    struct str id = queue_for(amy_and_ben, 1234567890123456, MESSAGE, &a);
    assert_true(spool_id_is_valid(id));
    must(spool_open(id, &a, &entry, &e), &e);
    assert_true(str_eq(entry.env.reverse_path.local, STR("s p\"a ce")));
    assert_true(str_eq(entry.env.reverse_path.domain, STR("far.test")));
    assert_true(str_eq(entry.env.auth_user, STR("who%20")));
    assert_true(str_eq(entry.env.client, STR("[192.0.2.1]:4321")));
    assert_int_equal(entry.env.received_at, 1234567890123456);
    assert_true(entry.env.body_8bit && !entry.env.smtputf8);
    assert_int_equal(entry.env.recipient_count, 2);
    assert_true(str_eq(entry.env.recipients[1].resolved.local, STR("ben")));
    assert_int_equal(entry.states[0], DELIVERY_PENDING);
    assert_int_equal(entry.message_octets, strlen(MESSAGE));
    assert_int_equal(entry.wire_octets, strlen(MESSAGE) + 3);
    assert_int_equal(io_pread(entry.message_fd, text, sizeof(text), entry.message_offset),
                     strlen(MESSAGE));
    assert_string_equal(text, MESSAGE);
    spool_close(&entry);
}

static void empty_message_and_null_sender(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .text = "" };
    struct spool_put *put = NULL;
    struct spool_entry entry;
    struct str id;
    struct envelope_recipient to = { .address = address_of("amy", "x.test"),
                                     .resolved = address_of("amy", "x.test") };
    struct envelope env = { .reverse_path = { .is_null = true },
                            .recipient_count = 1,
                            .recipients = &to };
    must(spool_put_begin(&env, &put, &e), &e);
    must(spool_put_commit(&put, &a, &id, &e), &e);
    must(spool_open(id, &a, &entry, &e), &e);
    assert_true(entry.env.reverse_path.is_null);
    assert_int_equal(entry.message_octets, 0);
    assert_int_equal(entry.env.auth_user.n, 0);
    spool_close(&entry);
}

static void journal_survives_reopening(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .text = "" };
    struct spool_entry entry;
    struct str id = queue_for(amy_and_ben, 1, MESSAGE, &a);
    must(spool_open(id, &a, &entry, &e), &e);
    must(spool_record(&entry, 1, DELIVERY_DONE, STR("-"), &e), &e);
    must(spool_record_retry(&entry, 3, 99, &e), &e);
    must(spool_record(&entry, 0, DELIVERY_FAILED, STR("bad\nreason"), &e), &e);
    spool_close(&entry);
    must(spool_open(id, &a, &entry, &e), &e);
    assert_int_equal(entry.states[0], DELIVERY_FAILED);
    assert_int_equal(entry.states[1], DELIVERY_DONE);
    assert_int_equal(entry.tries, 3);
    assert_int_equal(entry.next_try, 99);
    must(spool_remove(&entry, &e), &e);
    spool_close(&entry);
    assert_int_equal(spool_open(id, &a, &entry, &e), RC_TEMP);
    assert_int_equal(e.sys, ENOENT);
}

/* Cut anywhere and with any octet changed, the journal only ever says less. */
static void damaged_journal_says_less(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf whole AUTO_RELEASE_BUF;
    buf_init(&whole, 4096);
    must(journal_print(&whole, "done", 0, 0, STR("-")), NULL);
    must(journal_print(&whole, "retry", 2, 77, STR("-")), NULL);
    for (size_t i = 0; i < 2 * whole.n; i++) {
        enum delivery_state states[2] = { DELIVERY_PENDING, DELIVERY_PENDING };
        struct arena mem AUTO_RELEASE_ARENA = { 0 };
        struct str reasons[2] = { { "", 0 }, { "", 0 } };
        struct spool_entry entry = {
            .env.recipient_count = 2, .states = states, .reasons = reasons, .mem = &mem
        };
        struct str text = arena_str(&a, buf_str(&whole));
        char *p = arena_c(&a, text);
        if (i < whole.n)
            text = str_head(text, i);
        else
            p[i - whole.n] = (char)(p[i - whole.n] ^ 1);
        journal_apply(i < whole.n ? text : str_from(p, whole.n), &entry);
        assert_int_equal(states[1], DELIVERY_PENDING);
        assert_int_not_equal(states[0], DELIVERY_FAILED);
        assert_true(entry.tries == 0 || (entry.tries == 2 && entry.next_try == 77));
    }
}

/* What is recorded behind a line that a power cut left half (or as zeros) counts. */
static void records_behind_a_cut_line_count(void **state)
{
    (void)state;
    static const struct str rests[] = { { "0123456789abcdef do", 19 }, { "\0\0\0", 3 } };
    for (size_t i = 0; i < ARRAY_LEN(rests); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct err e = { .text = "" };
        struct spool_entry entry;
        struct str id = queue_for(amy_and_ben, 2, MESSAGE, &a);
        const char *path = spool_journal_path(id, &a).p;
        must(spool_open(id, &a, &entry, &e), &e);
        must(spool_record(&entry, 0, DELIVERY_DONE, STR("-"), &e), &e);
        int fd = io_open(path, O_WRONLY | O_APPEND, 0);
        struct iovec part = { (void *)(uintptr_t)rests[i].p, rests[i].n };
        must(io_write_all(fd, &part, 1, &e), &e);
        io_close(fd);
        must(spool_record(&entry, 1, DELIVERY_DONE, STR("-"), &e), &e);
        spool_close(&entry);
        must(spool_open(id, &a, &entry, &e), &e);
        assert_int_equal(entry.states[0], DELIVERY_DONE);
        assert_int_equal(entry.states[1], DELIVERY_DONE);
        spool_close(&entry);
    }
}

/* A file cut short or altered in its head is an error, never a shorter message. */
static void damaged_entries_are_refused(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .text = "" };
    struct spool_entry entry;
    struct stat st;
    struct str id = queue_for(amy_and_ben, 1, MESSAGE, &a);
    const char *path = spool_path(id, &a).p;
    assert_int_equal(io_stat(path, &st), 0);
    for (int64_t n = st.st_size - 1; n >= 0; n -= 7) {
        int fd = io_open(path, O_WRONLY, 0);
        assert_int_equal(io_ftruncate(fd, (uint64_t)n), 0);
        io_close(fd);
        assert_int_equal(spool_open(id, &a, &entry, &e), RC_PERM);
    }
    must(spool_set_aside(id, STR("test"), &e), &e);
    assert_int_equal(spool_open(id, &a, &entry, &e), RC_TEMP);
    assert_true(file_exists(arena_printf(&a, "queue/damaged/%.*s", STR_ARG(id)).p));
}

/* A head whose lines are not all there, in order and whole, was altered. */
static void altered_heads_are_refused(void **state)
{
    (void)state;
    static const char id[] = "65f2c81a3b2c100a3f";
#define HEAD_START "hikyaku-entry 1\nsize 1 wire 2\n"
#define HEAD_PEER "received 7\nclient -\nserver -\nhelo a.test\nauth -\nflags - -\n"
    static const struct {
        const char *name, *text;
        enum rc rc;
    } rows[] = {
        { "whole",
          HEAD_START "id 65f2c81a3b2c100a3f\n" HEAD_PEER
                     "from <b@y.test>\nto <a@x.test> <a@x.test>\n\n",
          RC_OK },
        { "another's id",
          HEAD_START "id 65f2c81a3b2c100a40\n" HEAD_PEER
                     "from <b@y.test>\nto <a@x.test> <a@x.test>\n\n",
          RC_PERM },
        { "no from",
          HEAD_START "id 65f2c81a3b2c100a3f\n" HEAD_PEER "to <a@x.test> <a@x.test>\n\n",
          RC_PERM },
        { "no recipient", HEAD_START "id 65f2c81a3b2c100a3f\n" HEAD_PEER "from <b@y.test>\n\n",
          RC_PERM },
        { "two froms",
          HEAD_START "id 65f2c81a3b2c100a3f\n" HEAD_PEER
                     "from <b@y.test>\nfrom <>\nto <a@x.test> <a@x.test>\n\n",
          RC_PERM },
        { "words behind a path",
          HEAD_START "id 65f2c81a3b2c100a3f\n" HEAD_PEER
                     "from <b@y.test>\nto <a@x.test> <a@x.test> <c@x.test>\n\n",
          RC_PERM },
        { "unknown line",
          HEAD_START "id 65f2c81a3b2c100a3f\n" HEAD_PEER
                     "from <b@y.test>\nto <a@x.test> <a@x.test>\nbcc <c@x.test>\n\n",
          RC_PERM },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct spool_entry entry = { .message_fd = -1, .id = str_from_c(id) };
        size_t header_n = 0;
        enum rc rc = envelope_parse(str_from_c(rows[i].text), &a, &entry, &header_n, NULL);
        if (rc != rows[i].rc)
            fail_msg("%s: %s", rows[i].name, rc_name(rc));
    }
}

static void put_fails_whole(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    unsigned failed = 0;
    for (unsigned n = 1; n < 40; n++) {
        struct err e;
        struct spool_put *put = NULL;
        struct str id;
        struct envelope_recipient to = { .address = address_of("amy", "x.test"),
                                         .resolved = address_of("amy", "x.test") };
        struct envelope env = { .recipient_count = 1, .recipients = &to };
        io_fail_nth(n, ENOSPC);
        enum rc rc = spool_put_begin(&env, &put, &e);
        if (rc == RC_OK)
            rc = spool_put_write(put, STR(MESSAGE), 30, &e);
        if (rc == RC_OK)
            rc = spool_put_commit(&put, &a, &id, &e);
        else
            spool_put_abort(&put);
        io_fail_nth(0, 0);
        assert_true(rc == RC_OK || rc == RC_TEMP);
        failed += rc != RC_OK;
        if (rc == RC_OK)
            break;
    }
    assert_true(failed > 0);
}

static bool collect(void *ctx, struct str id)
{
    struct buf *ids = ctx;
    must(buf_add_str(ids, id), NULL);
    must(buf_add_char(ids, ' '), NULL);
    return true;
}

static void scan_is_oldest_first(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .text = "" };
    struct buf ids AUTO_RELEASE_BUF;
    buf_init(&ids, 65536);
    struct str first = queue_for(amy_and_ben, 1, MESSAGE, &a);
    struct str second = queue_for(amy_and_ben, 1, MESSAGE, &a);
    write_file("queue/00/not-an-id", "x");
    must(spool_scan(collect, &ids, &e), &e);
    size_t one = str_find_str(buf_str(&ids), first), two = str_find_str(buf_str(&ids), second);
    assert_true(one != SIZE_MAX && two != SIZE_MAX && one < two);
    assert_int_equal(str_find_str(buf_str(&ids), STR("not")), SIZE_MAX);
}

static void count_orphan(void *ctx, const char *path)
{
    assert_true(str_ends(str_from_c(path), STR(".journal")));
    ++*(unsigned *)ctx;
}

static void only_journals_without_entry_are_orphans(void **state)
{
    (void)state;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .text = "" };
    unsigned count = 0;
    struct str stays = queue_for(amy_and_ben, 1, MESSAGE, &a);
    struct str moving = queue_for(amy_and_ben, 1, MESSAGE, &a);
    struct str gone = queue_for(amy_and_ben, 1, MESSAGE, &a);
    struct str ids[] = { stays, moving, gone };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        write_file(spool_journal_path(ids[i], &a).p, "");
    const char *frozen = arena_printf(&a, "queue/frozen/%.*s", STR_ARG(moving)).p;
    must(folder_make("queue/frozen", 0700, &e), &e);
    assert_int_equal(rename(spool_path(moving, &a).p, frozen),
                     0); /* its journal is on the way */
    assert_int_equal(unlink(spool_path(gone, &a).p), 0);
    must(spool_find_orphans(true, count_orphan, &count, &e), &e);
    assert_int_equal(count, 1);
    assert_true(file_exists(spool_journal_path(stays, &a).p));
    assert_true(file_exists(spool_journal_path(moving, &a).p));
    assert_false(file_exists(spool_journal_path(gone, &a).p));
}

static void ids(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        bool good;
    } rows[] = {
        { "65f2c81a3b2c100a3f", true },  { "", false },
        { "65f2c81a3b2c1", false },      { "65f2c81a3b2c100a3g", false },
        { "../../65f2c81a3b2c", false }, { "65F2C81A3B2C100A3F", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(spool_id_is_valid(str_from_c(rows[i].id)), rows[i].good);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(empty_message_and_null_sender),
        cmocka_unit_test(journal_survives_reopening),
        cmocka_unit_test(damaged_journal_says_less),
        cmocka_unit_test(records_behind_a_cut_line_count),
        cmocka_unit_test(damaged_entries_are_refused),
        cmocka_unit_test(altered_heads_are_refused),
        cmocka_unit_test(put_fails_whole),
        cmocka_unit_test(scan_is_oldest_first),
        cmocka_unit_test(only_journals_without_entry_are_orphans),
        cmocka_unit_test(ids),
    };
    return cmocka_run_group_tests_name("spool", tests, group_setup, group_teardown);
}

/* notes_test.c - every type of note there and back; frames that are not whole; channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sys/notes.h"
#include <fcntl.h>

/* A note whose every field is filled, by the rows. */
static struct note filled(enum note_type type, char *text)
{
    struct note n = { .type = type };
    switch (type) {
#define N_STR(field) row->field = str_from_c(text);
#define N_U64(field) row->field = 0x0102030405060708u;
#define NOTE(name, from, to, fields, words)                                                    \
    case NOTE_##name: {                                                                        \
        __typeof__(&n.u.name) row = &n.u.name;                                                 \
        fields break;                                                                          \
    }
#include "sys/notes.def"
#undef NOTE
#undef N_STR
#undef N_U64
    case NOTE_TYPES:
        break;
    }
    return n;
}

static void there_and_back(void **state)
{
    (void)state;
    char text[] = "h\xc3\xa9llo \x01 \x7f";
    for (unsigned t = 0; t < NOTE_TYPES; t++) {
        struct buf frame AUTO_RELEASE_BUF, again AUTO_RELEASE_BUF;
        struct note n = filled((enum note_type)t, text), back;
        buf_init(&frame, NOTE_FRAME_MAX);
        buf_init(&again, NOTE_FRAME_MAX);
        assert_int_equal(note_encode(&n, &frame, NULL), RC_OK);
        assert_int_equal(note_decode(buf_str(&frame), &back, NULL), RC_OK);
        assert_int_equal(back.type, t);
        assert_int_equal(note_encode(&back, &again, NULL), RC_OK);
        assert_true(str_eq(buf_str(&frame), buf_str(&again)));
        assert_true(strlen(note_name((enum note_type)t)) > 0);
        /* Cut short or with something behind it: refused. */
        for (size_t k = 0; k < frame.n; k++)
            assert_int_equal(note_decode(str_head(buf_str(&frame), k), &back, NULL), RC_PERM);
        assert_int_equal(buf_add_char(&frame, 'x'), RC_OK);
        assert_int_equal(note_decode(buf_str(&frame), &back, NULL), RC_PERM);
    }
}

static void long_texts_are_refused(void **state)
{
    (void)state;
    struct buf frame AUTO_RELEASE_BUF;
    char text[NOTE_TEXT_MAX + 2];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct note n = filled(NOTE_login_seen, text);
    buf_init(&frame, NOTE_FRAME_MAX);
    assert_int_equal(note_encode(&n, &frame, NULL), RC_PERM);
}

static void who_may_send(void **state)
{
    (void)state;
    assert_true(note_is_allowed(NOTE_index, ROLE_CONTROL, ROLE_SMTPD));
    assert_false(note_is_allowed(NOTE_index, ROLE_SMTPD, ROLE_ACCESS));
    assert_false(note_is_allowed(NOTE_index, ROLE_SMTPD, ROLE_CONTROL));
    assert_true(note_is_allowed(NOTE_queued, ROLE_SMTPD, ROLE_QUEUE));
    assert_false(note_is_allowed(NOTE_queued, ROLE_ACCESS, ROLE_QUEUE));
    assert_false(note_is_allowed(NOTE_login_seen, ROLE_SMTPD, ROLE_CONTROL));
}

static void channels_carry_descriptors(void **state)
{
    (void)state;
    int ends[2], pipe_ends[2], got = -1;
    char frame[NOTE_FRAME_MAX], octet = 0;
    struct note n = { .type = NOTE_index, .u.index.generation = 7 }, back;
    struct err e;
    assert_int_equal(channel_pair(ends, &e), RC_OK);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(channel_send(ends[0], &n, pipe_ends[1], &e), RC_OK);
    assert_int_equal(channel_wait(ends[1], clock_mono() + USEC_S, frame, &back, &got, &e),
                     RC_OK);
    assert_int_equal(back.u.index.generation, 7);
    assert_true(got >= 0 && (fcntl(got, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(write(got, "x", 1), 1);
    assert_int_equal(read(pipe_ends[0], &octet, 1), 1);
    assert_int_equal(channel_wait(ends[1], clock_mono(), frame, &back, &got, &e), RC_TEMP);
    /* A full channel says so at once. */
    enum rc rc = RC_OK;
    for (int i = 0; i < 100000 && rc == RC_OK; i++)
        rc = channel_send(ends[0], &n, -1, &e);
    assert_int_equal(rc, RC_TEMP);
    (void)close(ends[1]);
    assert_int_equal(channel_send(ends[0], &n, -1, &e), RC_TEMP);
    (void)close(ends[0]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(long_texts_are_refused),
        cmocka_unit_test(who_may_send),
        cmocka_unit_test(channels_carry_descriptors),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("notes", tests, NULL, NULL);
}

/*
 * dialogue.h - one client over a memory stream, for the tests of smtpd/. Include after
 * cmocka.h.
 */
#ifndef HIKYAKU_SMTPD_DIALOGUE_H
#define HIKYAKU_SMTPD_DIALOGUE_H

#include "smtpd/scratch.h"

static struct engine *engine;
static struct listener listeners[] = {
    { .protocol = &smtp_protocol, .service = "smtp", .fd = -1, .port = 25 },
    { .protocol = &smtp_protocol, .service = "smtps", .fd = -1, .port = 465 },
    { .protocol = &smtp_protocol, .service = "submission", .fd = -1, .port = 587 },
};
enum { SMTP, SMTPS, SUBMISSION };

/* PLAIN: \0alice@example.org\0secret, and with another password. */
#define ALICE "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\n"
#define ALICE_BAD "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHdyb25n\r\n"
#define NOBODY "AUTH PLAIN AG5vYm9keUBleGFtcGxlLm9yZwBzZWNyZXQ=\r\n"
#define ROBOT "AUTH PLAIN AHJvYm90AHNlY3JldA==\r\n"
#define GRACE "AUTH PLAIN AGdyYWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\n"
#define HEIDI "AUTH PLAIN AGhlaWRpQGV4YW1wbGUub3JnAHNlY3JldA==\r\n"

#define IVAN "AUTH PLAIN AGl2YW5AZXhhbXBsZS5vcmcAc2VjcmV0\r\n"
#define ERIN "AUTH PLAIN AGVyaW5AZXhhbXBsZS5vcmcAc2VjcmV0\r\n"
#define JUDY "AUTH PLAIN AGp1ZHlAZXhhbXBsZS5vcmcAc2VjcmV0\r\n"

#define EHLO "EHLO c.test\r\n"
#define FROM "MAIL FROM:<a@far.test>\r\n"
#define TO "RCPT TO:<alice@example.org>\r\n"
#define TO_BOB "RCPT TO:<bob@example.org>\r\n"
#define BODY "Subject: x\r\n\r\nhello\r\n.\r\n"
#define QUIT "QUIT\r\n"

static inline struct session *open_session(int door, const char *client)
{
    struct session *s = session_test_new(engine, &listeners[door]);
    if (client != NULL)
        assert_true(ip_parse(str_from_c(client), &s->client_ip));
    return s;
}

/* Sends text in pieces of at most n octets, however the client behaves otherwise. */
static inline struct str talk(struct session *s, struct str text, size_t n, struct arena *a)
{
    bool open = session_test_step(s);
    while (open && text.n > 0) {
        stream_mem_feed(&s->st, str_head(text, n));
        text = str_skip(text, n);
        open = session_test_step(s);
    }
    return stream_mem_sent(&s->st, a);
}

/* The only message in a folder; it is removed. */
static inline struct str only_message(const char *folder, struct arena *a)
{
    struct folder *f = NULL;
    struct err e;
    struct str name, text = STR("");
    unsigned char type = 0;
    assert_int_equal(folder_open(folder, &f, &e), RC_OK);
    assert_true(folder_next(f, &name, &type));
    const char *path = arena_printf(a, "%s/%.*s", folder, STR_ARG(name)).p;
    assert_int_equal(file_read(path, 1 << 20, a, &text, NULL, &e), RC_OK);
    assert_false(folder_next(f, &name, &type));
    folder_close(&f);
    assert_int_equal(io_unlink(path), 0);
    return text;
}

static inline void assert_has(struct str text, const char *part)
{
    if (str_find_str(text, str_from_c(part)) == SIZE_MAX)
        fail_msg("no \"%s\" in:\n%.*s", part, STR_ARG(text));
}

static inline void assert_hasnt(struct str text, const char *part)
{
    if (str_find_str(text, str_from_c(part)) != SIZE_MAX)
        fail_msg("\"%s\" in:\n%.*s", part, STR_ARG(text));
}

static inline int dialogue_run(const struct CMUnitTest *tests, size_t count, const char *marker)
{
    struct err e;
    log_set_level(LOG_LEVEL_ERROR);
    scratch_make(marker);
    scratch_must(engine_new(&(struct engine_limits){ 100, 0, 1 }, &engine, &e), &e);
    int failed = _cmocka_run_group_tests("smtpd", tests, count, NULL, NULL);
    engine_free(&engine);
    users_close();
    scratch_remove();
    return failed;
}

#endif

/* message_test.c - dialogues with a server whose replies are given: what each recipient's
 * verdict is, and what was said to the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/dialogue.h"
#include "relay/relay_int.h"
#include "sys/file.h"
#include <sys/mman.h>

#define TEXT "Subject: x\n\n.a\nb"
#define PIPE "220 s\r\n250-s\r\n250-PIPELINING\r\n250 SIZE 1000\r\n"
#define STEPS "220 s\r\n250 s\r\n"

#define S RELAY_SENT
#define T RELAY_TEMP
#define P RELAY_PERM

static const struct {
    const char *name, *replies;
    enum rc rc; /* of message_send */
    bool again; /* another server may be tried */
    enum relay_state states[2];
    const char *status; /* of the first recipient's reason */
} rows[] = {
    { "all well, pipelined",
      PIPE "250 m\r\n250 r\r\n250 r\r\n354 go\r\n250 2.6.0 ok\r\n",
      RC_OK,
      false,
      { S, S },
      "2.6.0" },
    { "all well, in steps",
      STEPS "250 m\r\n250 r\r\n251 r\r\n354 go\r\n250 ok\r\n",
      RC_OK,
      false,
      { S, S },
      "2.0.0" },
    { "one unknown",
      PIPE "250 m\r\n550 5.1.1 no\r\n250 r\r\n354 go\r\n250 ok\r\n",
      RC_OK,
      false,
      { P, S },
      "5.1.1" },
    { "one greylisted",
      STEPS "250 m\r\n451 4.7.1 grey\r\n250 r\r\n354 go\r\n250 ok\r\n",
      RC_OK,
      false,
      { T, S },
      "4.7.1" },
    { "nobody known, 354 all the same",
      PIPE "250 m\r\n550 a\r\n550 b\r\n354 go\r\n554 none\r\n",
      RC_OK,
      true,
      { P, P },
      "5.0.0" },
    { "nobody known, in steps",
      STEPS "250 m\r\n550 a\r\n550 b\r\n250 reset\r\n",
      RC_OK,
      true,
      { P, P },
      "5.0.0" },
    { "sender refused",
      PIPE "550 5.7.1 no\r\n503 r\r\n503 r\r\n503 d\r\n",
      RC_OK,
      true,
      { P, P },
      "5.7.1" },
    { "sender later", STEPS "452 4.3.1 full\r\n250 reset\r\n", RC_OK, true, { T, T }, "4.3.1" },
    { "DATA refused",
      PIPE "250 m\r\n250 r\r\n250 r\r\n554 5.6.0 no\r\n",
      RC_OK,
      true,
      { P, P },
      "5.6.0" },
    { "message refused",
      PIPE "250 m\r\n250 r\r\n250 r\r\n354 go\r\n552 5.2.2 big\r\n",
      RC_OK,
      false,
      { P, P },
      "5.2.2" },
    { "message later",
      PIPE "250 m\r\n250 r\r\n250 r\r\n354 go\r\n451 later\r\n",
      RC_OK,
      false,
      { T, T },
      "4.0.0" },
    /* A 2xx where none belongs is not the message's acceptance. */
    { "250 to DATA",
      PIPE "250 m\r\n250 r\r\n250 r\r\n250 ok\r\n",
      RC_OK,
      true,
      { T, T },
      "4.5.0" },
    { "252 to RCPT",
      PIPE "250 m\r\n252 r\r\n252 r\r\n554 d\r\n",
      RC_OK,
      true,
      { T, T },
      "4.5.0" },
    { "220 to MAIL",
      PIPE "220 m\r\n250 r\r\n250 r\r\n250 d\r\n",
      RC_OK,
      true,
      { T, T },
      "4.5.0" },
    { "354 to the end",
      PIPE "250 m\r\n250 r\r\n250 r\r\n354 go\r\n354 more\r\n",
      RC_OK,
      false,
      { T, T },
      "4.5.0" },
    { "closed at once", PIPE, RC_GONE, true, { T, T }, NULL },
    { "closed before the reply to DATA",
      PIPE "250 m\r\n250 r\r\n250 r\r\n",
      RC_GONE,
      true,
      { T, T },
      NULL },
    /* Nobody knows whether it was taken: no other server gets it now. */
    { "closed behind the dot",
      PIPE "250 m\r\n250 r\r\n250 r\r\n354 go\r\n",
      RC_GONE,
      false,
      { T, T },
      NULL },
    /* Replies that nobody asked for. */
    { "early acceptance",
      PIPE "250 m\r\n250 r\r\n250 r\r\n354 go\r\n&250 ok\r\n554 no\r\n",
      RC_GONE,
      true,
      { T, T },
      NULL },
    { "early acceptance, in steps",
      STEPS "250 m\r\n250 r\r\n250 r\r\n354 go\r\n&250 ok\r\n554 no\r\n",
      RC_GONE,
      true,
      { T, T },
      NULL },
    { "all replies at once",
      PIPE "&250 m\r\n&250 r\r\n&250 r\r\n&354 go\r\n&250 ok\r\n554 no\r\n",
      RC_GONE,
      true,
      { T, T },
      NULL },
    { "too large for SIZE",
      "220 s\r\n250-s\r\n250 SIZE 5\r\n",
      RC_OK,
      true,
      { P, P },
      "5.3.4" },
};

static int message_fd;

static enum rc run(size_t row, struct verdict verdicts[2], bool *again, struct arena *a,
                   char said[2000])
{
    static const size_t rcpts[2] = { 0, 1 };
    struct envelope_recipient recipients[2] = {
        { .resolved = { .local = STR("one"), .domain = STR("far.test") } },
        { .resolved = { .local = STR("two"), .domain = STR("far.test") } },
    };
    struct spool_entry entry = {
        .id = STR("abc"),
        .env = { .reverse_path = { .is_null = true },
                 .recipient_count = 2,
                 .recipients = recipients,
                 .envid = STR("") },
        .message_fd = message_fd,
        .message_octets = strlen(TEXT),
        .wire_octets = strlen(TEXT) + 5,
    };
    struct message m = { .entry = &entry,
                         .rcpts = rcpts,
                         .verdicts = verdicts,
                         .count = 2,
                         .source_route = STR(""),
                         .mem = a };
    struct reply r;
    struct err e;
    struct dialogue_server server;
    int fd = dialogue_start(&server, str_from_c(rows[row].replies), 0);
    struct connection *c = mem_new(sizeof(*c));
    c->client = client_take(fd, 10 * USEC_S);
    c->target = (struct target){ .name = STR("s"), .port = 25 };
    assert_int_equal(connection_greet(c, a, &r, &e), RC_OK);
    enum rc rc = message_send(c, &m, again, &e);
    connection_close(&c, false);
    dialogue_end(&server);
    memcpy(said, server.said, sizeof(server.said));
    return rc;
}

static void verdicts_by_reply(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct verdict v[2] = { { .known = false }, { .known = false } };
        char said[2000];
        bool again = false;
        enum rc rc = run(i, v, &again, &a, said);
        if (rc != rows[i].rc || again != rows[i].again)
            fail_msg("%s: %s, again %d", rows[i].name, rc_name(rc), again);
        for (size_t k = 0; k < 2; k++)
            if (rc == RC_OK ? !v[k].known || v[k].state != rows[i].states[k] : v[k].known)
                fail_msg("%s: recipient %zu has state %d", rows[i].name, k, (int)v[k].state);
        if (rows[i].status != NULL)
            assert_true(str_starts(v[0].reason, str_from_c(rows[i].status)));
    }
}

static void what_is_said(void **state)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct verdict v[2] = { { .known = false }, { .known = false } };
    char said[2000];
    bool again = false;
    (void)state;
    assert_int_equal(run(0, v, &again, &a, said), RC_OK);
    assert_string_equal(said,
                        "EHLO x.test\r\nMAIL FROM:<> SIZE=21\r\nRCPT TO:<one@far.test>\r\n"
                        "RCPT TO:<two@far.test>\r\nDATA\r\n"
                        "Subject: x\r\n\r\n..a\r\nb\r\n.\r\n");
}

static int set_up(void **state)
{
    char root[] = "/tmp/hikyaku-message-XXXXXX";
    struct err e;
    (void)state;
    if (mkdtemp(root) == NULL || chdir(root) != 0 ||
        file_replace("server.tab", STR("\"RootDomain\"\t\"x.test\"\n"), 0600, &e) != RC_OK ||
        options_load(&e) != RC_OK || unlink("server.tab") != 0 || chdir("/") != 0 ||
        rmdir(root) != 0)
        return -1;
    message_fd = memfd_create("message", MFD_CLOEXEC);
    return message_fd < 0 || write(message_fd, TEXT, strlen(TEXT)) < 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_by_reply),
        cmocka_unit_test(what_is_said),
    };
    return cmocka_run_group_tests_name("message", tests, set_up, NULL);
}

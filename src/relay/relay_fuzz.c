/*
 * relay_fuzz.c - what a hostile server may say, from its greeting to the reply behind the
 * message: octets from 0x80 on stand for whole lines, so that states are found soon. Checked:
 * every recipient has a verdict when message_send says so, nobody is "sent" without a 354 and
 * a later 2xx, and reasons are one line of a bounded length.
 */
#include "relay/dialogue.h"
#include "relay/relay_int.h"
#include "sys/file.h"
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RCPTS 3u

static const char message_text[] = "Subject: x\n\n.hello\nthere";
static int message_fd = -1;

/* All that a server says of a message. */
#define WHOLE                                                                                  \
    "220 far.test\r\n250-PIPELINING\r\n250 DSN\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 "          \
    "ok\r\n354 go\r\n250 ok\r\n"

static const char *const lines[] = {
    "220 far.test\r\n",
    "220-far.test\r\n",
    "250 ok\r\n",
    "250-PIPELINING\r\n",
    "250-SIZE 1000\r\n",
    "250-SIZE 1\r\n",
    "250-8BITMIME\r\n",
    "250-SMTPUTF8\r\n",
    "250-DSN\r\n",
    "250 STARTTLS\r\n",
    "250 AUTH PLAIN LOGIN\r\n",
    "354 go on\r\n",
    "251 will forward\r\n",
    "421 4.3.2 bye\r\n",
    "450 4.7.1 later\r\n",
    "452 4.5.3 too many\r\n",
    "502 5.5.1 what\r\n",
    "550 5.1.1 unknown\r\n",
    "552 5.2.2 full\r\n",
    "554 5.7.1 no\r\n",
    "250-ok\r\n",
    WHOLE,
};

static void start(void)
{
    char root[] = "/tmp/hikyaku-relay-fuzz-XXXXXX", home[4096];
    struct err e;
    log_set_level(LOG_LEVEL_ERROR);
    if (getcwd(home, sizeof(home)) == NULL || mkdtemp(root) == NULL || chdir(root) != 0 ||
        file_replace("server.tab", STR("\"RootDomain\"\t\"x.test\"\n"), 0600, &e) != RC_OK ||
        options_load(&e) != RC_OK || connection_init(&e) != RC_OK ||
        unlink("server.tab") != 0 || chdir(home) != 0 || rmdir(root) != 0)
        abort();
    message_fd = memfd_create("message", MFD_CLOEXEC);
    if (message_fd < 0 || write(message_fd, message_text, sizeof(message_text) - 1) < 0)
        abort();
}

static void spell(const uint8_t *data, size_t size, struct buf *out)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] < 0x80)
            buf_must(buf_add_char(out, (char)data[i]));
        else
            buf_must(buf_add_str(out, str_from_c(lines[(data[i] - 0x80u) % ARRAY_LEN(lines)])));
}

static void check(const struct message *m, enum rc rc, bool had_354)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct verdict *v = &m->verdicts[i];
        if (rc == RC_OK && !v->known)
            abort();
        if (v->known && (v->reason.n > REASON_MAX || str_has_control(v->reason)))
            abort();
        if (v->known && v->state == RELAY_SENT && (rc != RC_OK || !had_354))
            abort();
    }
}

static void converse(struct connection *c, struct arena *a, bool had_354)
{
    static const size_t rcpts[RCPTS] = { 0, 1, 2 };
    struct envelope_recipient recipients[RCPTS];
    struct verdict verdicts[RCPTS] = { { .known = false } };
    struct reply r;
    struct err e;
    bool again = false;
    for (size_t i = 0; i < RCPTS; i++) {
        recipients[i] = (struct envelope_recipient){
            .resolved = { .local = STR("who"), .domain = STR("far.test") },
            .notify = (unsigned)i,
            .orcpt = STR("rfc822;x+2By"),
        };
        recipients[i].address = recipients[i].resolved;
    }
    struct spool_entry entry = {
        .id = STR("abc"),
        .env = { .reverse_path = { .local = STR("me"), .domain = STR("x.test") },
                 .recipient_count = RCPTS,
                 .recipients = recipients,
                 .envid = STR("id") },
        .message_fd = message_fd,
        .message_octets = sizeof(message_text) - 1,
        .wire_octets = sizeof(message_text) + 3,
    };
    struct message m = { .entry = &entry,
                         .rcpts = rcpts,
                         .verdicts = verdicts,
                         .count = RCPTS,
                         .source_route = STR(""),
                         .mem = a };
    enum rc rc = connection_greet(c, a, &r, &e);
    if (rc != RC_OK)
        return;
    rc = message_send(c, &m, &again, &e);
    check(&m, rc, had_354);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct buf said AUTO_RELEASE_BUF;
    buf_init(&said, BUF_MAX_DEFAULT);
    struct dialogue_server server;
    if (size < 2)
        return 0;
    if (message_fd < 0)
        start();
    spell(data + 1, MIN(size - 1, (size_t)500), &said);
    bool had_354 = str_find_str(buf_str(&said), STR("354")) != SIZE_MAX;
    struct connection *c = mem_new(sizeof(*c));
    c->client = client_take(dialogue_start(&server, buf_str(&said), 20), 50 * USEC_MS);
    c->target = (struct target){ .name = STR("far.test"), .port = 25 };
    c->target.options.tls = (enum tls_policy)(data[0] % 3);
    converse(c, &a, had_354);
    connection_close(&c, (data[0] & 4) != 0);
    dialogue_end(&server);
    return 0;
}

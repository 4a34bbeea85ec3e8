/*
 * smtpd_fuzz.c - libFuzzer walks SMTP's states over a memory stream: octets from 0x80 on stand
 * for whole lines, so that states are found soon; 0xFE ends a piece of input; all others are
 * sent as they are. Checked: every reply has its form, a transaction exists where the state
 * says so, and nothing is left in tmp/.
 */
#include "smtpd/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct engine *engine;
static char home[4096]; /* where libFuzzer's own paths are relative to */
static struct listener listeners[] = {
    { .protocol = &smtp_protocol, .service = "smtp", .fd = -1 },
    { .protocol = &smtp_protocol, .service = "submission", .fd = -1 },
    { .protocol = &smtp_protocol, .service = "smtps", .fd = -1 },
};

static const char *const words[] = {
    "EHLO c.test\r\n",
    "HELO c.test\r\n",
    "MAIL FROM:<a@far.test>\r\n",
    "MAIL FROM:<alice@example.org> SIZE=100 BODY=8BITMIME SMTPUTF8\r\n",
    "MAIL FROM:<>\r\n",
    "RCPT TO:<alice@example.org>\r\n",
    "RCPT TO:<bob@example.net>\r\n",
    "RCPT TO:<nobody@example.org>\r\n",
    "RCPT TO:<x@far.test>\r\n",
    "DATA\r\n",
    "\r\n.\r\n",
    "BDAT 5\r\nab\r\nc",
    "BDAT 7 LAST\r\nx: y\r\nz",
    "BDAT 300\r\n",
    "BDAT 0 LAST\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "VRFY alice@example.org\r\n",
    "HELP\r\n",
    "QUIT\r\n",
    "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\n",
    "AUTH PLAIN\r\n",
    "AUTH LOGIN\r\n",
    "AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLm9yZyxyPXh5eg==\r\n",
    "AUTH CRAM-MD5\r\n",
    "YWxpY2VAZXhhbXBsZS5vcmc=\r\n",
    "*\r\n",
    "STARTTLS\r\n",
    "Received: x\r\n",
    "Subject: y\r\n",
    "Delivered-To: alice@example.org\r\n",
    "\r\n",
};

static void start(void)
{
    struct err e;
    log_set_level(LOG_LEVEL_ERROR);
    if (getcwd(home, sizeof(home)) == NULL)
        abort();
    scratch_make("");
    if (atexit(scratch_remove) != 0)
        abort();
    scratch_options("\"MaxMessageSize\"\t\"1\"\n\"SMTP-MaxErrors\"\t\"50\"\n");
    scratch_must(engine_new(&(struct engine_limits){ 100, 0, 1 }, &engine, &e), &e);
}

/* "ddd" and a blank or a dash, at most 512 octets with CRLF, no other control characters. */
static void check_replies(struct str sent)
{
    struct str line;
    while (sent.n > 0 && str_cut(&sent, '\n', &line)) {
        bool scram = str_starts(line, STR("334 ")); /* challenges may be longer */
        if (line.n < 5 || (line.n > 511 && !scram) || line.p[line.n - 1] != '\r' ||
            line.p[0] < '2' || line.p[0] > '5' || !ascii_is_digit(line.p[1]) ||
            !ascii_is_digit(line.p[2]) || (line.p[3] != ' ' && line.p[3] != '-') ||
            str_has_control(str_head(line, line.n - 1)))
            abort();
    }
}

static void check_state(struct session *s)
{
    const struct smtp *c = smtp_of(s);
    bool in_transaction =
        s->state == SMTP_MAIL || s->state == SMTP_RCPT || s->state == SMTP_CHUNKS;
    if (s->waiting == STEP_NEXT && in_transaction != (c->tx != NULL))
        abort();
    if (s->waiting == STEP_NEXT && c->auth != NULL)
        abort();
    if (c->tx != NULL && c->tx->mailbox != NULL && c->tx->queue != NULL)
        abort();
}

static bool feed(struct session *s, struct str text)
{
    stream_mem_feed(&s->st, text);
    bool open = session_test_step(s);
    check_state(s);
    return open;
}

static bool feed_octet(struct session *s, const uint8_t *p)
{
    if (*p == 0xFE)
        return session_test_step(s);
    if (*p >= 0x80)
        return feed(s, str_from_c(words[(*p - 0x80u) % ARRAY_LEN(words)]));
    stream_mem_feed(&s->st, str_from((const char *)p, 1));
    return true;
}

static void run(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct session *s = session_test_new(engine, &listeners[data[0] % ARRAY_LEN(listeners)]);
    bool open = session_test_step(s);
    for (size_t i = 1; open && i < size; i++)
        open = feed_octet(s, &data[i]);
    if (open)
        (void)session_test_step(s);
    check_state(s);
    check_replies(stream_mem_sent(&s->st, &a));
    session_test_free(&s);
}

/* What was delivered goes; nothing may stand in tmp. */
static void clean(void)
{
    (void)scratch_count("domains/example.org/alice/Maildir/new");
    (void)scratch_count("domains/example.org/bob/Maildir/new");
    for (unsigned i = 0; i < 256; i++) {
        char path[16];
        (void)snprintf(path, sizeof(path), "queue/%02x", i);
        (void)scratch_count(path);
    }
    if (scratch_count("domains/example.org/alice/Maildir/tmp") > 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned runs;
    if (size < 1)
        return 0;
    if (engine == NULL)
        start();
    if (chdir(scratch_root) != 0)
        abort();
    run(data, size);
    if (++runs % 200 == 0)
        clean();
    if (chdir(home) != 0)
        abort();
    return 0;
}

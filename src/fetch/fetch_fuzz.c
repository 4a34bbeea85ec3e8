/*
 * fetch_fuzz.c - what a hostile POP3 or IMAP server may say, all at once; octets from 0x80 on
 * stand for whole lines, so that states are found soon. Checked: bundles are whole, hold no CR
 * or NUL, and no message twice.
 */
#include "fetch/talk.h"
#include "sys/file.h"
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 4096u

static const char *const lines[] = {
    "+OK\r\n",
    "-ERR no\r\n",
    "+OK <1.2@far.test>\r\n",
    "+OK\r\nPIPELINING\r\nUIDL\r\n.\r\n",
    "+OK\r\n1 20\r\n2 30\r\n.\r\n",
    "+OK\r\n1 u1\r\n2 u2\r\n.\r\n",
    "+OK\r\nSubject: x\r\n\r\n..\r\nx\r\n.\r\n",
    ".\r\n",
    "* OK ready\r\n",
    "a1 OK\r\n",
    "a2 OK\r\n",
    "* CAPABILITY UIDPLUS\r\n",
    "* 2 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n",
    "a3 OK\r\n",
    "* 1 FETCH (UID 3 RFC822.SIZE 20 FLAGS ())\r\n* 2 FETCH (UID 4 RFC822.SIZE 9)\r\n",
    "a4 OK\r\n",
    "* 1 FETCH (UID 3 BODY[] {9}\r\n",
    "Sub: x\r\n\r\n",
    ")\r\n",
    "a5 OK\r\n",
    "* 2 FETCH (UID 4 BODY[] {9}\r\nSub: y\r\n\r\n)\r\n",
    "a6 OK\r\n",
    "a5 NO\r\n",
    "{99999999999}\r\n",
    /* What leads to messages at once. */
    "+OK\r\n+OK\r\n+OK\r\n+OK\r\nPIPELINING\r\n.\r\n+OK\r\n1 20\r\n2 30\r\n.\r\n+OK\r\n1 "
    "u1\r\n2 u2\r\n.\r\n",
    "* OK\r\na1 OK\r\na2 OK\r\n* 2 EXISTS\r\n* OK [UIDVALIDITY 7]\r\na3 OK\r\n"
    "* 1 FETCH (UID 3 RFC822.SIZE 20)\r\n* 2 FETCH (UID 4 RFC822.SIZE 9)\r\na4 OK\r\n",
};

static void start(void)
{
    char root[] = "/tmp/hikyaku-fetch-fuzz-XXXXXX", home[4096];
    struct err e;
    log_set_level(LOG_LEVEL_ERROR);
    if (getcwd(home, sizeof(home)) == NULL || mkdtemp(root) == NULL || chdir(root) != 0 ||
        file_replace("server.tab", STR("\"RootDomain\"\t\"x.test\"\n"), 0600, &e) != RC_OK ||
        options_load(&e) != RC_OK || unlink("server.tab") != 0 || chdir(home) != 0 ||
        rmdir(root) != 0)
        abort();
}

/* --- a home that wants all and takes all -------------------------------------------------- */

static bool seen[INPUT_MAX];
static size_t last_count;

static enum rc take_list(struct talk *t, int fd, struct str *out_wants, struct err *e)
{
    struct str text;
    if (file_read_open(fd, "list", (size_t)1 << 24, &t->mem, &text, NULL, e) != RC_OK)
        abort();
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    if (n != t->offer_count || n > INPUT_MAX)
        abort();
    char *wants = arena_new(&t->mem, n + 1);
    memset(wants, WANT_IT, n);
    *out_wants = str_from(wants, n);
    return RC_OK;
}

static enum rc take_batch(struct talk *t, int fd, struct err *e)
{
    struct str text;
    struct batch_head h;
    if (file_read_open(fd, "batch", (size_t)1 << 28, &t->mem, &text, NULL, e) != RC_OK)
        abort();
    for (last_count = 0; text.n > 0; last_count++) {
        if (text.n < sizeof(h))
            abort();
        memcpy(&h, text.p, sizeof(h));
        text = str_skip(text, sizeof(h));
        struct str message = str_head(text, (size_t)h.octets);
        if (message.n != h.octets || h.index >= t->offer_count || seen[h.index] ||
            str_find(message, '\r') != SIZE_MAX || str_find(message, '\0') != SIZE_MAX ||
            (h.state != BATCH_MESSAGE && h.octets > 0))
            abort();
        seen[h.index] = true;
        text = str_skip(text, (size_t)h.octets);
    }
    if (last_count == 0 || last_count > BATCH_MESSAGES)
        abort();
    return RC_OK;
}

static enum rc give_fates(struct talk *t, struct str *out, struct err *e)
{
    static char fates[BATCH_MESSAGES];
    (void)t, (void)e;
    memset(fates, FATE_DONE, sizeof(fates));
    *out = str_from(fates, last_count);
    return RC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct talk_home home = { take_list, take_batch, give_fates };
    static bool started;
    struct buf said AUTO_RELEASE_BUF;
    struct err e;
    int fds[2];
    buf_init(&said, BUF_MAX_DEFAULT);
    if (!started)
        start();
    started = true;
    if (size < 1 || size > INPUT_MAX || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        return 0;
    for (size_t i = 1; i < size; i++)
        if (data[i] < 0x80)
            buf_must(buf_add_char(&said, (char)data[i]));
        else
            buf_must(
                buf_add_str(&said, str_from_c(lines[(data[i] - 0x80u) % ARRAY_LEN(lines)])));
    memset(seen, 0, sizeof(seen));
    (void)!send(fds[1], said.p, said.n, MSG_DONTWAIT);
    (void)shutdown(fds[1], SHUT_WR);
    struct talk *t = talk_new(NULL);
    t->client = client_take(fds[0], USEC_S);
    t->limit = 1000;
    t->link.host = t->link.user = t->link.password = STR("far");
    t->link.leave = (data[0] & 2) != 0;
    t->link.login = (data[0] & 4) != 0 ? LOGIN_TRY_APOP : LOGIN_CLEAR;
    t->source = (data[0] & 1) != 0 ? &source_imap : &source_pop3;
    (void)!talk_run(t, &home, &e);
    talk_free(&t);
    (void)close(fds[1]);
    return 0;
}

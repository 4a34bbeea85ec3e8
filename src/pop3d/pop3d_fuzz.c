/*
 * pop3d_fuzz.c - libFuzzer walks POP3's states over a memory stream: octets from 0x80 on stand
 * for whole lines; all others are sent as they are. Checked: every answer has its form, and
 * only QUIT removes messages.
 */
#include "pop3d/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char home[4096]; /* where libFuzzer's own paths are relative to */

static const char *const words[] = {
    "USER amy\r\n",
    "PASS secret\r\n",
    "PASS no\r\n",
    "USER ben\r\n",
    "STAT\r\n",
    "LIST\r\n",
    "LIST 1\r\n",
    "UIDL\r\n",
    "UIDL 3\r\n",
    "RETR 1\r\n",
    "RETR 2\r\n",
    "TOP 3 1\r\n",
    "DELE 1\r\n",
    "DELE 2\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "LAST\r\n",
    "CAPA\r\n",
    "STLS\r\n",
    "UTF8\r\n",
    "AUTH\r\n",
    "AUTH PLAIN\r\n",
    "AUTH LOGIN\r\n",
    "AGFteQBzZWNyZXQ=\r\n",
    "YW15\r\n",
    "c2VjcmV0\r\n",
    "*\r\n",
    "AUTH CRAM-MD5\r\n",
    "APOP amy 00000000000000000000000000000000\r\n",
    "\r\n",
};

static void start(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    if (getcwd(home, sizeof(home)) == NULL)
        abort();
    scratch_make();
    if (atexit(scratch_remove) != 0)
        abort();
}

static bool feed(struct session *s, const uint8_t *p)
{
    struct str text = *p >= 0x80 ? str_from_c(words[(*p - 0x80u) % ARRAY_LEN(words)])
                                 : str_from((const char *)p, 1);
    stream_mem_feed(&s->st, text);
    return session_test_step(s);
}

/* Every line ends in CRLF and holds no other control character. */
static void check_answers(struct str sent)
{
    struct str line;
    while (sent.n > 0 && str_cut(&sent, '\n', &line))
        if (line.n == 0 || line.p[line.n - 1] != '\r' ||
            str_has_control(str_head(line, line.n - 1)))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    if (engine == NULL)
        start();
    if (chdir(scratch_root) != 0)
        abort();
    scratch_mail();
    struct session *s = scratch_session("127.0.0.1");
    bool open = session_test_step(s);
    for (size_t i = 0; open && i < size; i++)
        open = feed(s, &data[i]);
    struct str sent = stream_mem_sent(&s->st, &a);
    check_answers(sent);
    bool removed = str_find_str(sent, STR("messages removed")) != SIZE_MAX;
    session_test_free(&s);
    if (!removed && !file_exists(MAILDIR "/1000.1.h,S=20,W=23"))
        abort();
    if (chdir(home) != 0)
        abort();
    return 0;
}

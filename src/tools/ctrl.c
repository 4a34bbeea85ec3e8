/*
 * ctrl.c - `hikyaku ctrl`, also installed as CtrlClnt: one command of the control protocol,
 * with XMail's options, output and exit codes (specification 2, section 5; 6, item 24).
 */
#include "conf/tab.h"
#include "sys/client.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include <getopt.h>
#include <openssl/evp.h>

#define USAGE_CODE 3
#define REFUSED_CODE 4
#define FAILED_CODE 2

static const char usage[] =
    "usage: CtrlClnt [options] command [parameter ...]\n"
    "  -s server    (127.0.0.1)        -n port     (6017; 6018 with -L)\n"
    "  -u user                         -p password (better: --password-file, or the\n"
    "  --password-file FILE                         environment's CTRL_PASSWORD)\n"
    "  -t seconds   longest wait (60)  -f file     what to send or to write lists to\n"
    "  -S  TLS by #!TLS                -L  TLS from the start\n"
    "  -K key  -C certificate  -X file of authorities  -H folder of authorities\n"
    "  -c  plain login, not MD5        -D  show the dialogue (no passwords)\n";

struct options_given {
    const char *server, *port, *user, *password, *password_file, *file;
    struct client_tls tls;
    unsigned timeout_s;
    bool upgrade, implicit, plain, debug;
    char **words;
    size_t count;
};

struct talk {
    const struct options_given *o;
    struct client *c;
    struct arena mem; /* holds the password: wiped */
    struct str challenge;
};

/* Puts one option where it belongs. */
static bool take_option(struct options_given *o, int c, const char *value)
{
    const struct {
        int letter;
        const char **to;
    } texts[] = { { 's', &o->server },        { 'n', &o->port },
                  { 'u', &o->user },          { 'p', &o->password },
                  { 'P', &o->password_file }, { 'f', &o->file },
                  { 'K', &o->tls.key },       { 'C', &o->tls.cert },
                  { 'X', &o->tls.ca_file },   { 'H', &o->tls.ca_folder } };
    const struct {
        int letter;
        bool *to;
    } flags[] = {
        { 'S', &o->upgrade }, { 'L', &o->implicit }, { 'c', &o->plain }, { 'D', &o->debug }
    };
    uint64_t seconds = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].letter == c) {
            *texts[i].to = value;
            return true;
        }
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (flags[i].letter == c) {
            *flags[i].to = true;
            return true;
        }
    if (c != 't' || !str_to_u64(str_from_c(value), &seconds) || seconds == 0 || seconds > 86400)
        return false;
    o->timeout_s = (unsigned)seconds;
    return true;
}

static bool read_arguments(struct options_given *o, int argc, char **argv)
{
    static const struct option longs[] = { { "password-file", required_argument, NULL, 'P' },
                                           { NULL, 0, NULL, 0 } };
    int c = 0;
    argc++; /* getopt expects the command's name first, and there it is */
    argv--;
    while ((c = getopt_long(argc, argv, "+s:n:u:p:t:f:SLK:C:X:H:cD", longs, NULL)) != -1)
        if (!take_option(o, c, optarg))
            return false;
    o->words = argv + optind;
    o->count = (size_t)(argc - optind);
    return o->count > 0 && !(o->upgrade && o->implicit);
}

/* --- the dialogue ------------------------------------------------------------------------ */

/* The next line; its number, -1 when there is none. */
static enum rc reply(struct talk *t, struct str *out, int64_t *out_number, struct err *e)
{
    enum rc rc = client_line(t->c, out, e);
    if (rc != RC_OK)
        return rc;
    if (t->o->debug)
        (void)fprintf(stderr, "< %.*s\n", STR_ARG(*out));
    if (!str_to_i64(str_head(*out, 6), out_number))
        return err_perm(e, "5.5.0", "not the control protocol: %.*s", (int)MIN(out->n, 80u),
                        out->p);
    return RC_OK;
}

static enum rc send_row(struct talk *t, const struct str *values, size_t count, bool secret,
                        struct err *e)
{
    struct buf line AUTO_RELEASE_BUF;
    buf_init(&line, TAB_LINE_MAX);
    enum rc rc = tab_print_row(&line, values, count, "\r\n", e);
    if (rc == RC_OK && t->o->debug)
        (void)fprintf(stderr, "> %.*s\n",
                      STR_ARG(secret ? values[0] : str_trim(buf_str(&line))));
    return rc == RC_OK ? client_write(t->c, buf_str(&line), e) : rc;
}

/* "#" and the MD5 of the challenge and the password, in hex. */
static struct str md5_answer(struct talk *t, struct str password)
{
    unsigned char sum[16] = { 0 };
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, t->challenge.p, t->challenge.n) == 1 &&
              EVP_DigestUpdate(ctx, password.p, password.n) == 1 &&
              EVP_DigestFinal_ex(ctx, sum, &n) == 1;
    EVP_MD_CTX_free(ctx);
    struct str hex = STR("#");
    for (size_t i = 0; ok && i < sizeof(sum); i++)
        hex = arena_printf(&t->mem, "%.*s%02x", STR_ARG(hex), sum[i]);
    return ok ? hex : password;
}

static enum rc find_password(struct talk *t, struct str *out, struct err *e)
{
    const struct options_given *o = t->o;
    const char *given = o->password != NULL ? o->password : getenv("CTRL_PASSWORD");
    if (o->password == NULL && o->password_file != NULL) {
        struct str text = STR("");
        enum rc rc = file_read(o->password_file, 4096, &t->mem, &text, NULL, e);
        *out = tool_first_line(text);
        return rc;
    }
    *out = str_from_c(given);
    return given != NULL ? RC_OK : err_perm(e, "5.7.0", "no password given");
}

/* Greeting, TLS, login. *out_number: of the last reply. */
static enum rc begin(struct talk *t, int64_t *out_number, struct str *out, struct err *e)
{
    const struct options_given *o = t->o;
    struct str password;
    enum rc rc = find_password(t, &password, e);
    if (rc == RC_OK && o->implicit)
        rc = client_start_tls(t->c, o->server, &o->tls, e);
    if (rc == RC_OK)
        rc = reply(t, out, out_number, e);
    if (rc != RC_OK || *out_number != 0)
        return rc;
    size_t from = str_find(*out, '<'), to = str_find(*out, '>');
    if (from != SIZE_MAX && to != SIZE_MAX && to > from)
        t->challenge = arena_str(&t->mem, str_head(str_skip(*out, from), to - from + 1));
    if (o->upgrade) {
        rc = client_write(t->c, STR("#!TLS\r\n"), e);
        if (rc == RC_OK)
            rc = reply(t, out, out_number, e);
        if (rc != RC_OK || *out_number != 0)
            return rc;
        rc = client_start_tls(t->c, o->server, &o->tls, e);
    }
    bool md5 = !o->plain && t->challenge.n > 0;
    const struct str login[] = { str_from_c(o->user),
                                 md5 ? md5_answer(t, password) : password };
    if (rc == RC_OK)
        rc = send_row(t, login, 2, true, e);
    return rc == RC_OK ? reply(t, out, out_number, e) : rc;
}

/* A file of the person who called us; NULL is not one that can be opened. */
static FILE *open_file(const char *path, bool to_write)
{
    int fd = io_open(path, to_write ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY, 0600);
    return fd < 0 ? NULL : fdopen(fd, to_write ? "w" : "r");
}

/* The lines of a list to the file or standard output. */
static enum rc take_list(struct talk *t, struct err *e)
{
    FILE *to = t->o->file == NULL ? stdout : open_file(t->o->file, true);
    struct str line;
    enum rc rc = to == NULL ? err_sys(e, "open %s", t->o->file) : RC_OK;
    while (rc == RC_OK && (rc = client_line(t->c, &line, e)) == RC_OK &&
           !str_eq(line, STR("."))) {
        line = str_starts(line, STR("..")) ? str_skip(line, 1) : line;
        (void)fprintf(to, "%.*s\n", STR_ARG(line));
    }
    if (to != NULL && (fflush(to) != 0 || (to != stdout && fclose(to) != 0)) && rc == RC_OK)
        rc = err_sys(e, "write %s", t->o->file == NULL ? "the list" : t->o->file);
    return rc;
}

/* The lines of the file or of standard input as an upload. */
static enum rc give_lines(struct talk *t, struct err *e)
{
    FILE *from = t->o->file == NULL ? stdin : open_file(t->o->file, false);
    char *line = NULL;
    size_t size = 0;
    enum rc rc = from == NULL ? err_sys(e, "open %s", t->o->file) : RC_OK;
    ssize_t n = 0;
    while (rc == RC_OK && (n = getline(&line, &size, from)) >= 0) {
        struct str text = str_from(line, (size_t)n);
        while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
            text.n--;
        if (str_starts(text, STR(".")))
            rc = client_write(t->c, STR("."), e);
        if (rc == RC_OK)
            rc = client_write(t->c, text, e);
        if (rc == RC_OK)
            rc = client_write(t->c, STR("\r\n"), e);
    }
    mem_free(&line);
    if (from != NULL && from != stdin)
        (void)fclose(from);
    return rc == RC_OK ? client_write(t->c, STR(".\r\n"), e) : rc;
}

static enum rc run(struct talk *t, int64_t *out_number, struct str *out, struct err *e)
{
    const struct options_given *o = t->o;
    struct str *words = arena_new_array(&t->mem, struct str, o->count);
    for (size_t i = 0; i < o->count; i++)
        words[i] = str_from_c(o->words[i]);
    enum rc rc = begin(t, out_number, out, e);
    if (rc != RC_OK || *out_number != 0)
        return rc;
    /* userpasswd and useradd carry passwords. */
    bool secret = str_find_str(words[0], STR("user")) != SIZE_MAX ||
                  str_find_str(words[0], STR("poplnk")) != SIZE_MAX;
    rc = send_row(t, words, o->count, secret, e);
    if (rc == RC_OK)
        rc = reply(t, out, out_number, e);
    if (rc == RC_OK && *out_number == 100)
        return take_list(t, e);
    if (rc == RC_OK && *out_number == 101) {
        rc = give_lines(t, e);
        if (rc == RC_OK)
            rc = reply(t, out, out_number, e);
    }
    return rc;
}

int tool_ctrl(int argc, char **argv)
{
    struct options_given o = { .server = "127.0.0.1", .user = "", .timeout_s = 60 };
    struct talk t = { .o = &o };
    struct err e = { .text = "" };
    struct str line = STR("");
    int64_t number = -1;
    if (!read_arguments(&o, argc, argv)) {
        (void)fputs(usage, stderr);
        return USAGE_CODE;
    }
    if (o.port == NULL)
        o.port = o.implicit ? "6018" : "6017";
    enum rc rc = client_open(o.server, o.port, o.timeout_s * USEC_S, &t.c, &e);
    if (rc == RC_OK)
        rc = run(&t, &number, &line, &e);
    if (rc == RC_OK && number < 0)
        (void)fprintf(stderr, "%.*s\n", STR_ARG(line));
    else if (rc != RC_OK)
        (void)fprintf(stderr, "CtrlClnt: %s\n", e.text);
    client_close(&t.c);
    arena_wipe(&t.mem);
    return rc != RC_OK ? FAILED_CODE : number < 0 ? REFUSED_CODE : 0;
}

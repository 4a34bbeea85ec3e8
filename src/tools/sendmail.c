/*
 * sendmail.c - `hikyaku sendmail`, also installed as sendmail: takes a message from standard
 * input or a file as programs on this machine send it. It goes to the server over a local
 * socket that knows who calls, else into a file of spool/local where the caller may write.
 */
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"
#include "sys/client.h"
#include "sys/file.h"
#include "sys/user.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include <stdlib.h>
#include <unistd.h>

/* sysexits.h */
#define EX_DONE 0
#define EX_WRONG_USAGE 64
#define EX_BAD_DATA 65
#define EX_NO_USER 67
#define EX_TRY_LATER 75

#define MESSAGE_MAX ((size_t)256 << 20)
#define RCPTS_MAX 10000u
#define RULES (ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8)

struct letter {
    struct arena mem;
    const char *from, *name, *file, *rcpt_file;
    const char *notify, *ret, *envid;              /* -N, -R, -V: RFC 3461 */
    bool from_header, dots_are_text, has_envelope; /* -t, -i, --xinput-file */
    struct address rcpts[RCPTS_MAX];
    size_t count;
    struct address sender;
    struct str message; /* LF, with From and Date */
};

/* --- the command line -------------------------------------------------------------------- */

static enum rc add_rcpt(struct letter *l, struct str text, struct err *e)
{
    struct address address;
    char host[256] = "localhost";
    (void)gethostname(host, sizeof(host) - 1);
    text = str_trim(text);
    if (text.n > 0 && str_find(text, '@') == SIZE_MAX)
        text = arena_printf(&l->mem, "%.*s@%s", STR_ARG(text), host);
    enum rc rc = address_parse(text, RULES, &l->mem, &address, e);
    if (rc != RC_OK)
        return err_wrap(e, "%.*s", (int)MIN(text.n, 100u), text.p);
    for (size_t i = 0; i < l->count; i++)
        if (address_eq(&l->rcpts[i], &address))
            return RC_OK;
    if (l->count == RCPTS_MAX)
        return err_perm(e, "5.5.3", "more than %u recipients", RCPTS_MAX);
    l->rcpts[l->count++] = address;
    return RC_OK;
}

/* One word of short flags: "-ti", "-oi", "-f", "-fname". */
static bool take_flags(struct letter *l, const char *word, const char *next, bool *used_next)
{
    static const char with_value[] = "BCDFNORVXdfhopqr"; /* sendmail's own */
    for (const char *c = word + 1; *c != '\0'; c++) {
        const char *value = c[1] != '\0' ? c + 1 : next;
        if (*c == 't') {
            l->from_header = true;
        } else if (*c == 'i') {
            l->dots_are_text = true;
        } else if (strchr("bo", *c) != NULL) { /* -bm, -oi, -oem ...: a letter and its value */
            l->dots_are_text = l->dots_are_text || strcmp(c, "oi") == 0;
            return *c != 'b' || c[1] == 'm' || c[1] == '\0';
        } else if (*c == 'e' || *c == 'q' || *c == 'd') {
            return *c != 'q';
        } else if (strchr(with_value, *c) != NULL) {
            if (value == NULL)
                return false;
            if (*c == 'f' || *c == 'r')
                l->from = value;
            if (*c == 'F')
                l->name = value;
            if (*c == 'N')
                l->notify = value;
            if (*c == 'R')
                l->ret = value;
            if (*c == 'V')
                l->envid = value;
            *used_next = c[1] == '\0';
            return true;
        } else if (strchr("AGILMUmnsvx", *c) == NULL) {
            return false;
        }
    }
    return true;
}

static enum rc read_arguments(struct letter *l, int argc, char **argv, struct err *e)
{
    bool words_only = false;
    enum rc rc = RC_OK;
    for (int i = 0; i < argc && rc == RC_OK; i++) {
        const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool used_next = false;
        if (word == NULL)
            break;
        if (!words_only && strcmp(word, "--") == 0) {
            words_only = true;
        } else if (!words_only && next != NULL &&
                   (strcmp(word, "--input-file") == 0 || strcmp(word, "--xinput-file") == 0)) {
            l->has_envelope = word[2] == 'x';
            l->file = next;
            used_next = true;
        } else if (!words_only && next != NULL && strcmp(word, "--rcpt-file") == 0) {
            l->rcpt_file = next;
            used_next = true;
        } else if (!words_only && word[0] == '-' && word[1] != '\0') {
            if (word[1] == '-' || !take_flags(l, word, next, &used_next))
                return err_perm(e, "5.5.4", "option %s is not known here", word);
        } else {
            rc = add_rcpt(l, str_from_c(word), e);
        }
        i += used_next;
    }
    return rc;
}

/* --- reading ----------------------------------------------------------------------------- */

static enum rc read_input(struct letter *l, struct buf *text, struct err *e)
{
    int fd AUTO_CLOSE = l->file == NULL ? STDIN_FILENO : io_open(l->file, O_RDONLY, 0);
    if (fd < 0)
        return err_sys(e, "open %s", l->file);
    for (;;) {
        if (buf_reserve(text, 65536) != RC_OK)
            return err_perm(e, "5.3.4", "the message is too large");
        ssize_t n = io_read(fd, text->p + text->n, 65536);
        if (n < 0)
            return err_sys(e, "read the message");
        if (n == 0)
            break;
        text->n += (size_t)n;
    }
    if (fd == STDIN_FILENO)
        fd = -1;
    return RC_OK;
}

/* Lines with LF; a single dot ends the message unless -i was given. */
static struct str clean(const struct letter *l, struct str text, struct arena *a)
{
    char *p = arena_new(a, text.n + 2);
    struct str line;
    size_t n = 0;
    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (!l->dots_are_text && l->file == NULL && str_eq(line, STR(".")))
            break;
        for (size_t i = 0; i < line.n; i++)
            if (line.p[i] != '\0' && line.p[i] != '\r')
                p[n++] = line.p[i];
        p[n++] = '\n';
    }
    return str_from(p, n);
}

static enum rc take_header_rcpts(struct letter *l, struct str header, struct err *e)
{
    enum rc rc = RC_OK;
    while (rc == RC_OK && header.n > 0) {
        struct str name, text, list = header_value(header_next_field(&header, &name));
        if (!str_ieq(name, STR("To")) && !str_ieq(name, STR("Cc")) &&
            !str_ieq(name, STR("Bcc")))
            continue;
        while (rc == RC_OK && header_next_address(&list, &l->mem, &text))
            rc = add_rcpt(l, text, e);
    }
    return rc;
}

/* --- the message ------------------------------------------------------------------------- */

static enum rc find_sender(struct letter *l, struct err *e)
{
    char host[256] = "localhost";
    (void)gethostname(host, sizeof(host) - 1);
    struct str from = str_from_c(l->from);
    if (l->from != NULL && (from.n == 0 || str_eq(from, STR("<>")))) {
        l->sender = (struct address){ .is_null = true };
        return RC_OK;
    }
    if (l->from == NULL)
        from = user_name((uint32_t)getuid(), &l->mem);
    if (str_starts(from, STR("<")) && str_ends(from, STR(">")))
        from = str_head(str_skip(from, 1), from.n - 2);
    if (str_find(from, '@') == SIZE_MAX)
        from = arena_printf(&l->mem, "%.*s@%s", STR_ARG(from), host);
    return address_parse(from, RULES, &l->mem, &l->sender, e);
}

static bool has_field(struct str header, struct str wanted)
{
    struct str name = STR("");
    while (header.n > 0 && !str_ieq(name, wanted))
        (void)header_next_field(&header, &name);
    return str_ieq(name, wanted);
}

/* Bcc goes; From, Date and Message-ID are added where they are missing. */
static enum rc complete(struct letter *l, struct str text, struct buf *out, struct err *e)
{
    char date[DATE_TEXT_BYTES], host[256] = "localhost";
    size_t end = str_starts(text, STR("\n")) ? 0 : str_find_str(text, STR("\n\n"));
    struct str header = end == SIZE_MAX ? text : str_head(text, end + (end > 0));
    struct str body = end == SIZE_MAX ? STR("\n") : str_skip(text, header.n);
    (void)gethostname(host, sizeof(host) - 1);
    enum rc rc = RC_OK;
    if (l->from_header)
        rc = take_header_rcpts(l, header, e);
    if (rc != RC_OK)
        return rc;
    if (!has_field(header, STR("From"))) {
        struct str address =
            l->sender.is_null ? STR("MAILER-DAEMON") : address_print(&l->sender, &l->mem);
        rc = l->name != NULL
                 ? buf_printf(out, "From: \"%s\" <%.*s>\n", l->name, STR_ARG(address))
                 : buf_printf(out, "From: %.*s\n", STR_ARG(address));
    }
    if (rc == RC_OK && !has_field(header, STR("Date")))
        rc = buf_printf(out, "Date: %s\n", date_print(clock_wall(), date));
    if (rc == RC_OK && !has_field(header, STR("Message-ID")))
        rc = buf_printf(out, "Message-ID: %.*s\n",
                        STR_ARG(message_id_new(str_from_c(host), &l->mem)));
    while (rc == RC_OK && header.n > 0) {
        struct str name, field = header_next_field(&header, &name);
        rc = str_ieq(name, STR("Bcc")) ? RC_OK : buf_add_str(out, field);
    }
    return rc == RC_OK ? buf_add_str(out, body)
                       : err_perm(e, "5.3.4", "the message is too large");
}

/* --- sending ----------------------------------------------------------------------------- */

struct talk {
    struct client *c;
    struct str reply;
    unsigned code;
};

static enum rc say(struct talk *t, struct str line, struct arena *a, struct err *e)
{
    enum rc rc = line.n == 0 ? RC_OK : client_write(t->c, line, e);
    struct str text = STR("");
    uint64_t code = 0;
    do
        rc = rc == RC_OK ? client_line(t->c, &text, e) : rc;
    while (rc == RC_OK && text.n > 3 && text.p[3] == '-');
    if (rc == RC_OK && !str_to_u64(str_head(text, 3), &code))
        rc = err_temp(e, "4.3.0", "the server doesn't speak SMTP");
    t->code = (unsigned)code;
    t->reply = arena_str(a, text);
    return rc;
}

static enum rc send_body(struct talk *t, struct str message, struct err *e)
{
    struct buf out AUTO_RELEASE_BUF;
    struct str line;
    enum rc rc = RC_OK;
    buf_init(&out, (size_t)1 << 20);
    while (message.n > 0 && rc == RC_OK && str_cut(&message, '\n', &line)) {
        if (str_starts(line, STR(".")))
            rc = buf_add_char(&out, '.');
        if (rc == RC_OK)
            rc = buf_add_str(&out, line);
        if (rc == RC_OK)
            rc = buf_add_str(&out, STR("\r\n"));
        if (rc == RC_OK && out.n > 65536) {
            rc = client_write(t->c, buf_str(&out), e);
            buf_reset(&out);
        }
    }
    if (rc == RC_OK)
        rc = buf_add_str(&out, STR(".\r\n"));
    return rc == RC_OK ? client_write(t->c, buf_str(&out), e) : rc;
}

static int refused(const struct talk *t, struct str what)
{
    (void)fprintf(stderr, "sendmail: %.*s: %.*s\n", STR_ARG(what), STR_ARG(t->reply));
    return t->code >= 500 ? EX_NO_USER : EX_TRY_LATER;
}

/* A parameter of MAIL or RCPT, as given; the server judges it. Empty without a value. */
static struct str dsn_word(const char *name, const char *value, struct arena *a)
{
    if (value == NULL)
        return STR("");
    struct str text = str_from_c(value);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ')                    /* it would be another parameter */
            return arena_printf(a, "%s=", name); /* refused */
    return arena_printf(a, "%s%s", name, value);
}

/* The dialogue over the server's socket. -1: it broke. */
static int submit(struct letter *l, struct client *c, struct err *e)
{
    struct talk t = { .c = c };
    struct arena *a = &l->mem;
    bool utf8 = l->sender.needs_utf8;
    for (size_t i = 0; i < l->count; i++)
        utf8 = utf8 || l->rcpts[i].needs_utf8;
    bool eight = !str_is_ascii(l->message);
    if (say(&t, STR(""), a, e) != RC_OK || say(&t, STR("EHLO localhost\r\n"), a, e) != RC_OK)
        return -1;
    struct str mail = arena_printf(
        a, "MAIL FROM:<%.*s>%s%s%.*s%.*s\r\n", STR_ARG(address_print(&l->sender, a)),
        eight ? " BODY=8BITMIME" : "", utf8 ? " SMTPUTF8" : "",
        STR_ARG(dsn_word(" RET=", l->ret, a)), STR_ARG(dsn_word(" ENVID=", l->envid, a)));
    if (say(&t, mail, a, e) != RC_OK)
        return -1;
    if (t.code != 250)
        return refused(&t, STR("sender"));
    for (size_t i = 0; i < l->count; i++) {
        struct str to = address_print(&l->rcpts[i], a);
        struct str rcpt = arena_printf(a, "RCPT TO:<%.*s>%.*s\r\n", STR_ARG(to),
                                       STR_ARG(dsn_word(" NOTIFY=", l->notify, a)));
        if (say(&t, rcpt, a, e) != RC_OK)
            return -1;
        if (t.code != 250)
            return refused(&t, to);
    }
    if (say(&t, STR("DATA\r\n"), a, e) != RC_OK)
        return -1;
    if (t.code != 354)
        return refused(&t, STR("message"));
    if (send_body(&t, l->message, e) != RC_OK || say(&t, STR(""), a, e) != RC_OK)
        return -1;
    return t.code == 250 ? EX_DONE : refused(&t, STR("message"));
}

/* A file of spool/local: written in spool/temp, then renamed. */
static enum rc leave_file(struct letter *l, const char *root, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct arena *a = &l->mem;
    char host[256] = "localhost";
    buf_init(&text, MESSAGE_MAX);
    (void)gethostname(host, sizeof(host) - 1);
    enum rc rc =
        buf_printf(&text, "mail from:<%.*s>\r\n", STR_ARG(address_print(&l->sender, a)));
    for (size_t i = 0; i < l->count && rc == RC_OK; i++)
        rc = buf_printf(&text, "rcpt to:<%.*s>\r\n", STR_ARG(address_print(&l->rcpts[i], a)));
    if (rc == RC_OK)
        rc = buf_add_str(&text, STR("\r\n"));
    if (rc == RC_OK)
        rc = buf_add_str(&text, l->message);
    if (rc != RC_OK)
        return err_perm(e, "5.3.4", "the message is too large");
    struct str name = arena_printf(a, "%" PRId64 "-1.%d.%s", clock_wall(), (int)getpid(), host);
    struct str temp = arena_printf(a, "%s/spool/temp/%.*s", root, STR_ARG(name));
    struct str final = arena_printf(a, "%s/spool/local/%.*s", root, STR_ARG(name));
    rc = file_replace(temp.p, buf_str(&text), 0600, e);
    if (rc == RC_OK && io_rename(temp.p, final.p) < 0)
        rc = err_sys(e, "leave %s", final.p);
    return rc;
}

static int send_letter(struct letter *l)
{
    struct err e = { .text = "" };
    const char *root = getenv("MAIL_ROOT"), *given = getenv("HIKYAKU_SUBMIT");
    root = root == NULL || root[0] == '\0' ? "/var/MailRoot" : root;
    const char *const places[] = { given, "/run/hikyaku/submit.sock",
                                   arena_printf(&l->mem, "%s/hikyaku/submit.sock", root).p };
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct client *c = NULL;
        if (places[i] == NULL || client_open_local(places[i], 300 * USEC_S, &c, &e) != RC_OK)
            continue;
        int code = submit(l, c, &e);
        client_close(&c);
        if (code >= 0)
            return code;
        (void)fprintf(stderr, "sendmail: %s\n", e.text);
        return EX_TRY_LATER;
    }
    if (leave_file(l, root, &e) == RC_OK)
        return EX_DONE;
    (void)fprintf(stderr, "sendmail: no server takes the message (%s)\n", e.text);
    return EX_TRY_LATER;
}

/* --- all of it --------------------------------------------------------------------------- */

/* --xinput-file: the envelope stands before the message, as in spool/local. */
static enum rc take_envelope(struct letter *l, struct str *text, struct err *e)
{
    struct str line;
    enum rc rc = RC_OK;
    while (rc == RC_OK && text->n > 0 && str_cut(text, '\n', &line) && line.n > 0) {
        size_t from = str_find(line, '<'), to = str_rfind(line, '>');
        if (from == SIZE_MAX || to == SIZE_MAX || to < from)
            return err_perm(e, "5.5.2", "not a line of an envelope");
        struct str path = str_head(str_skip(line, from + 1), to - from - 1);
        if (str_istarts(line, STR("mail from:")))
            l->from = arena_c(&l->mem, path);
        else
            rc = add_rcpt(l, path, e);
    }
    return rc;
}

static enum rc prepare(struct letter *l, struct buf *input, struct buf *whole, struct err *e)
{
    struct str list = STR(""), line;
    enum rc rc = read_input(l, input, e);
    struct str text = rc == RC_OK ? clean(l, buf_str(input), &l->mem) : STR("");
    if (rc == RC_OK && l->has_envelope)
        rc = take_envelope(l, &text, e);
    if (rc == RC_OK && l->rcpt_file != NULL)
        rc = file_read(l->rcpt_file, (size_t)16 << 20, &l->mem, &list, NULL, e);
    while (rc == RC_OK && list.n > 0 && str_cut(&list, '\n', &line))
        rc = str_trim(line).n > 0 ? add_rcpt(l, line, e) : RC_OK;
    if (rc == RC_OK)
        rc = find_sender(l, e);
    if (rc == RC_OK)
        rc = complete(l, text, whole, e);
    l->message = buf_str(whole);
    return rc;
}

int tool_sendmail(int argc, char **argv)
{
    static struct letter l; /* large */
    struct buf input AUTO_RELEASE_BUF, whole AUTO_RELEASE_BUF;
    struct err e = { .text = "" };
    buf_init(&input, MESSAGE_MAX);
    buf_init(&whole, MESSAGE_MAX + 65536);
    if (read_arguments(&l, argc, argv, &e) != RC_OK) {
        (void)fprintf(stderr, "sendmail: %s\n", e.text);
        return EX_WRONG_USAGE;
    }
    enum rc rc = prepare(&l, &input, &whole, &e);
    int code = EX_BAD_DATA;
    if (rc != RC_OK)
        (void)fprintf(stderr, "sendmail: %s\n", e.text);
    else if (l.count == 0)
        (void)fprintf(stderr, "sendmail: no recipients\n");
    else
        code = send_letter(&l);
    if (rc == RC_OK && l.count == 0)
        code = 2; /* XMail's */
    arena_release(&l.mem);
    return code;
}

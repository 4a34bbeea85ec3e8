/*
 * link.c - the web role's connections to the control role: its local socket's protocol over a
 * pair of sockets, one end of which went there by note. A worker that asks waits for the
 * answer, with a limit: the control role is ours, and its commands are short.
 */
#include "conf/tab.h"
#include "sys/client.h"
#include "sys/lock.h"
#include "web/web_int.h"

#define LINKS_KEPT 8u
#define ANSWER_TIME (60 * USEC_S)
#define ANSWER_MAX ((size_t)64 << 20)

static enum rc (*connect_control)(int *out_fd, struct err *e);
static struct lock links_lock = LOCK_INIT(LOCK_LEAF);
static struct client *links[LINKS_KEPT];
static size_t link_count;

void link_init(const struct web_hooks *hooks)
{
    connect_control = hooks->connect_control;
}

void link_free(void)
{
    while (link_count > 0)
        client_close(&links[--link_count]);
}

static struct client *take_kept(void)
{
    lock_take(&links_lock);
    struct client *c = link_count > 0 ? links[--link_count] : NULL;
    lock_drop(&links_lock);
    return c;
}

static void keep(struct client **c)
{
    lock_take(&links_lock);
    if (link_count < LINKS_KEPT) {
        links[link_count++] = *c;
        *c = NULL;
    }
    lock_drop(&links_lock);
    client_close(c);
}

/* A fresh one, its greeting read. */
static enum rc open_link(struct client **out, struct err *e)
{
    struct str line;
    int fd = -1;
    enum rc rc = connect_control(&fd, e);
    if (rc != RC_OK)
        return rc;
    *out = client_take(fd, ANSWER_TIME);
    rc = client_line(*out, &line, e);
    if (rc == RC_OK && !str_starts(line, STR("+00000")))
        rc = err_temp(e, "4.3.0", "the control role is busy");
    if (rc != RC_OK)
        client_close(out);
    return rc;
}

/* "+00100 text" */
static enum rc read_reply(struct client *c, struct arena *a, struct control_answer *out,
                          struct err *e)
{
    struct str line;
    uint64_t code = 0;
    enum rc rc = client_line(c, &line, e);
    if (rc != RC_OK)
        return rc;
    if (line.n < 6 || !str_to_u64(str_head(str_skip(line, 1), 5), &code))
        return err_temp(e, "4.3.0", "the control role's answer isn't one");
    out->ok = line.p[0] == '+';
    out->code = (unsigned)code;
    out->text = arena_str(a, str_skip(line, 7));
    return RC_OK;
}

static enum rc read_lines(struct client *c, struct buf *out, struct err *e)
{
    struct str line;
    enum rc rc = RC_OK;
    while ((rc = client_line(c, &line, e)) == RC_OK && !str_eq(line, STR("."))) {
        line = str_starts(line, STR("..")) ? str_skip(line, 1) : line;
        if (buf_add_str(out, line) != RC_OK || buf_add_char(out, '\n') != RC_OK)
            return err_temp(e, "4.3.1", "the control role's answer is too long");
    }
    return rc;
}

/* Line ends are the control role's: it keeps the file's own kind. */
static enum rc send_lines(struct client *c, struct str text, struct err *e)
{
    struct buf b AUTO_RELEASE_BUF;
    struct str line;
    buf_init(&b, ANSWER_MAX);
    enum rc rc = RC_OK;
    while (rc == RC_OK && text.n > 0 && str_cut(&text, '\n', &line)) {
        line = str_ends(line, STR("\r")) ? str_head(line, line.n - 1) : line;
        if (str_starts(line, STR(".")))
            rc = buf_add_char(&b, '.');
        if (rc == RC_OK)
            rc = buf_add_str(&b, line);
        if (rc == RC_OK)
            rc = buf_add_str(&b, STR("\r\n"));
    }
    if (rc == RC_OK)
        rc = buf_add_str(&b, STR(".\r\n"));
    return rc == RC_OK ? client_write(c, buf_str(&b), e)
                       : err_perm(e, "5.3.4", "the file is too large");
}

static enum rc send_words(struct client *c, const struct str *words, size_t count,
                          struct err *e)
{
    struct buf row AUTO_RELEASE_BUF;
    buf_init(&row, TAB_LINE_MAX);
    enum rc rc = tab_print_row(&row, words, count, "\r\n", e);
    return rc == RC_OK ? client_write(c, buf_str(&row), e) : rc;
}

static enum rc talk(struct client *c, const struct link_by *by, const struct str *words,
                    size_t count, struct str upload, struct control_answer *out, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct control_answer as = { 0 };
    char ip[IP_TEXT_BYTES];
    const struct str who[] = { STR("as"), by->name.n > 0 ? by->name : STR("web"),
                               str_from_c(ip_print(by->client, ip)) };
    if (send_words(c, who, ARRAY_LEN(who), e) != RC_OK)
        return err_gone(e, "the control role ended the session");
    enum rc rc = send_words(c, words, count, e);
    if (rc == RC_OK)
        rc = read_reply(c, &a, &as, e);
    if (rc == RC_OK && !as.ok) /* its farewell, said before the question came */
        return err_gone(e, "the control role ended the session: %.*s", STR_ARG(as.text));
    if (rc == RC_OK)
        rc = read_reply(c, by->mem, out, e);
    if (rc == RC_OK && out->ok && out->code == 101) {
        rc = send_lines(c, upload, e);
        if (rc == RC_OK)
            rc = read_reply(c, by->mem, out, e);
    }
    return rc == RC_OK && out->ok && out->code == 100 ? read_lines(c, &out->lines, e) : rc;
}

enum rc link_ask_by(const struct link_by *by, const struct str *words, size_t count,
                    struct str upload, struct control_answer *out, struct err *e)
{
    struct client *c = take_kept();
    bool kept = c != NULL;
    *out = (struct control_answer){ .ok = false };
    buf_init(&out->lines, ANSWER_MAX);
    enum rc rc = kept ? RC_OK : open_link(&c, e);
    if (rc == RC_OK)
        rc = talk(c, by, words, count, upload, out, e);
    if (rc == RC_GONE && kept && out->code == 0) {
        /* The kept one had ended meanwhile; nothing was done yet. */
        client_close(&c);
        rc = open_link(&c, e);
        if (rc == RC_OK)
            rc = talk(c, by, words, count, upload, out, e);
    }
    if (rc == RC_OK)
        keep(&c);
    else
        client_close(&c);
    return rc;
}

enum rc link_ask(struct web *w, const struct str *words, size_t count, struct str upload,
                 struct control_answer *out, struct err *e)
{
    const struct link_by by = { w->who.name, &w->client, web_mem(w) };
    return link_ask_by(&by, words, count, upload, out, e);
}

/* What the control protocol's numbers are in HTTP. */
static unsigned status_of(unsigned code)
{
    static const struct {
        unsigned code, status;
    } rows[] = {
        { 12, 404 },  { 28, 404 },  { 46, 404 },  { 53, 404 },  { 59, 404 },  { 61, 404 },
        { 69, 404 },  { 116, 404 }, { 120, 404 }, { 157, 404 }, { 164, 404 }, { 206, 404 },
        { 211, 404 }, { 261, 404 }, { 262, 404 }, { 263, 409 }, { 264, 409 }, { 13, 409 },
        { 26, 409 },  { 44, 409 },  { 52, 409 },  { 67, 409 },  { 104, 409 }, { 205, 409 },
        { 231, 409 }, { 260, 412 }, { 270, 403 }, { 271, 409 }, { 281, 404 }, { 282, 404 },
        { 290, 409 }, { 291, 409 }, { 292, 409 }, { 293, 503 }, { 1, 503 },   { 72, 503 },
        { 129, 503 }, { 10, 500 },  { 17, 500 },  { 21, 500 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].code == code)
            return rows[i].status;
    return 422;
}

bool web_control(struct web *w, const struct str *words, size_t count, struct str upload,
                 struct control_answer *out)
{
    struct err e;
    if (link_ask(w, words, count, upload, out, &e) != RC_OK) {
        log_error(EV("control role not reached"), KE(&e));
        web_fail(w, 503, "unavailable", "%s", e.text);
    } else if (!out->ok) {
        web_fail(w, status_of(out->code), "refused", "%.*s", STR_ARG(out->text));
        json_t *body = json_loadb(w->h.response.body.p, w->h.response.body.n, 0, NULL);
        (void)json_object_set_new(body, "number", json_integer((json_int_t)out->code));
        web_json(w, status_of(out->code), body);
    } else {
        return true;
    }
    buf_release(&out->lines);
    return false;
}

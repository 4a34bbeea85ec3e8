/*
 * xmail_file.c - the forms of XMail's spool files (specification 2, section 3). Pure. Old forms
 * are taken too: without the line about client and server, with blanks or more behind an
 * address, with LF only.
 */
#include "takeover/xmail_int.h"
#include <time.h>

#define RCPTS_MAX ((size_t)100000)
#define PATH_RULES (ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8)

/* --- the head ---------------------------------------------------------------------------- */

static struct str without_cr(struct str line)
{
    return line.n > 0 && line.p[line.n - 1] == '\r' ? str_head(line, line.n - 1) : line;
}

/* "Thu, 26 Nov 2026 12:54:28 +0900"; 0: another form. */
static usec_t parse_date(struct str text)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct tm tm = { .tm_mday = 0 };
    const char *end = strptime(arena_c(&mem, text), "%a, %d %b %Y %H:%M:%S", &tm);
    if (end == NULL)
        return 0;
    int64_t zone = 0;
    if (str_to_i64(str_trim(str_from_c(end)), &zone) && (zone > 2400 || zone < -2400))
        return 0;
    int64_t seconds = (int64_t)timegm(&tm) - (zone / 100 * 3600 + zone % 100 * 60);
    return seconds > 0 ? seconds * USEC_S : 0;
}

/* "[ClientIP]:port;[ServerIP]:port;date"; what isn't there stays empty. */
static void parse_info(struct str line, struct arena *a, struct xmail_head *h)
{
    struct str rest = line, part;
    while (str_cut(&rest, ';', &part)) {
        part = str_trim(part);
        if (str_starts(part, STR("[")) && !str_has_control(part) && part.n < 80) {
            struct str *to = h->client.n == 0 ? &h->client : &h->server;
            if (to->n == 0)
                *to = arena_str(a, part);
        } else if (h->written_at == 0) {
            h->written_at = parse_date(part);
        }
    }
}

static bool take_path(struct str line, struct str word, struct arena *a, struct address *out)
{
    struct str rest;
    struct err e;
    return str_istarts(line, word) &&
           address_parse_path(str_trim(str_skip(line, word.n)), PATH_RULES, a, out, &rest,
                              &e) == RC_OK;
}

/* The lines before MAIL FROM: two or three of them. */
static void take_front(const struct str *front, size_t count, struct arena *a,
                       struct xmail_head *h)
{
    if (count > 2)
        parse_info(front[count - 3], a, h);
    if (count > 1)
        h->domain = arena_str(a, front[count - 2]);
    if (count > 0)
        h->id = arena_str(a, front[count - 1]);
}

static enum rc take_rcpt(struct str line, struct arena *a, struct xmail_head *h, size_t room,
                         struct err *e)
{
    struct address to;
    if (h->count == room || !take_path(line, STR("RCPT TO:"), a, &to) || to.is_null)
        return err_perm(e, "5.5.2", "not a recipient: %.*s", (int)MIN(line.n, 80u), line.p);
    h->rcpts[h->count++] =
        (struct envelope_recipient){ .address = to, .resolved = to, .orcpt = STR("") };
    return RC_OK;
}

enum rc xmail_head_parse(struct str text, struct arena *a, struct xmail_head *out,
                         struct err *e)
{
    struct xmail_head h = {
        .client = STR(""), .server = STR(""), .domain = STR(""), .id = STR("")
    };
    struct str front[3] = { { "", 0 } }, rest = text, line;
    size_t front_n = 0, room = 1;
    bool has_sender = false;
    for (size_t i = 0; i < text.n && room < RCPTS_MAX; i++)
        room += text.p[i] == '\n';
    room = MIN(room, XMAIL_HEAD_MAX / 12);
    h.rcpts = arena_new_array(a, struct envelope_recipient, room);
    while (rest.n > 0 && str_cut(&rest, '\n', &line) && rest.p != NULL) {
        line = without_cr(line);
        if (str_eq(line, STR(XMAIL_DATA_TAG))) {
            h.head_n = (size_t)(rest.p - text.p);
            break;
        }
        if (!has_sender && take_path(line, STR("MAIL FROM:"), a, &h.sender)) {
            has_sender = true;
            take_front(front, front_n, a, &h);
        } else if (has_sender) {
            enum rc rc = take_rcpt(line, a, &h, room, e);
            if (rc != RC_OK)
                return rc;
        } else if (front_n == ARRAY_LEN(front)) {
            return err_perm(e, "5.5.2", "not a sender: %.*s", (int)MIN(line.n, 80u), line.p);
        } else {
            front[front_n++] = line;
        }
    }
    if (h.head_n == 0)
        return err_perm(e, "5.5.2", "it has no line " XMAIL_DATA_TAG);
    if (!has_sender || h.count == 0)
        return err_perm(e, "5.5.2", "it has no sender, or no recipient");
    *out = h;
    return RC_OK;
}

usec_t xmail_name_time(struct str name)
{
    struct str rest = name, word;
    uint64_t ms = 0;
    /* 1990 to 2100 */
    if (!str_cut(&rest, '.', &word) || rest.p == NULL || !str_to_u64(word, &ms) ||
        ms < UINT64_C(631152000000) || ms > UINT64_C(4102444800000))
        return 0;
    return (usec_t)ms * USEC_MS;
}

/* --- the log of tries -------------------------------------------------------------------- */

/* The first number of nine digits or more in the line, as a time. */
static usec_t time_in(struct str line)
{
    size_t i = 0;
    while (i < line.n) {
        size_t n = 0;
        uint64_t seconds = 0;
        while (i + n < line.n && ascii_is_digit(line.p[i + n]))
            n++;
        if (n >= 9 && n <= 10 && str_to_u64(str_from(line.p + i, n), &seconds))
            return (usec_t)seconds * USEC_S;
        i += n + 1;
    }
    return 0;
}

/* What is said of the failure in the line: an answer before other words. 0: nothing. */
static unsigned tells(struct str line)
{
    static const char *const words[] = { "ErrCode", "ErrString", "SMTP-Error" };
    unsigned weight = 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_istarts(line, str_from_c(words[i])))
            weight = (unsigned)i + 2;
    return weight;
}

void xmail_log_parse(struct str text, struct xmail_log *out)
{
    struct str rest = text, line;
    unsigned blocks = 0, codes = 0, weight = 0;
    *out = (struct xmail_log){ .reason = STR("") };
    while (rest.n > 0 && str_cut(&rest, '\n', &line)) {
        line = str_trim(line);
        bool begins = str_istarts(line, STR("[PeekTime]"));
        codes += str_istarts(line, STR("ErrCode"));
        blocks += begins;
        if (begins) {
            usec_t at = time_in(line);
            out->last_try = at > 0 ? at : out->last_try;
            weight = 0;
        }
        bool framed = str_eq(line, STR("<<")) || str_eq(line, STR(">>"));
        unsigned now = line.n == 0 || begins || framed ? 0 : MAX(tells(line), 1u);
        if (now > 0 && now >= weight) {
            out->reason = line;
            weight = now;
        }
    }
    out->tries = blocks > 0 ? blocks : codes;
    if (out->tries == 0 && str_trim(text).n > 0)
        out->tries = 1;
}

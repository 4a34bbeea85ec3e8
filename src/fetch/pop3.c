/* pop3.c - the client's side of POP3 (RFC 1939, 2449, 2595). Hostile input: lines, their number
 * and the time for them have limits. */
#include "fetch/talk.h"
#include <openssl/evp.h>

/* --- messages ---------------------------------------------------------------------------- */

enum body_state { AT_START, AT_DOT, AT_DOT_CR, IN_LINE, AT_CR };

static size_t plain_span(struct str in)
{
    size_t n = 0;
    while (n < in.n && in.p[n] != '\r' && in.p[n] != '\n' && in.p[n] != '\0')
        n++;
    return n;
}

/* The state behind one octet of a line; what it adds. */
static enum body_state step(enum body_state state, char c, struct buf *out, enum rc *rc)
{
    if (state == AT_DOT && c == '\r')
        return AT_DOT_CR;
    if (state == AT_DOT && c == '\n') /* not CRLF: a line of the message, with its dot */
        *rc = buf_add_char(out, '.');
    if (state == AT_DOT_CR || (state == AT_CR && c != '\n'))
        *rc = buf_add_char(out, '\n'); /* a bare CR */
    if (*rc != RC_OK)
        return state;
    if (state == AT_START && c == '.')
        return AT_DOT;
    if (c == '\r')
        return AT_CR;
    if (c != '\0')
        *rc = buf_add_char(out, c);
    return state == AT_CR && c == '\n' ? AT_START : IN_LINE;
}

enum rc pop3_body_feed(struct pop3_body *b, struct str in, struct buf *out, size_t *out_used)
{
    size_t i = 0;
    enum rc rc = RC_OK;
    while (rc == RC_OK && i < in.n && !b->done) {
        if (b->state == IN_LINE) {
            size_t n = plain_span(str_skip(in, i));
            rc = buf_add(out, in.p + i, n);
            i += n;
            if (rc != RC_OK || i == in.n)
                break;
        }
        char c = in.p[i++];
        if (b->state == AT_DOT_CR && c == '\n')
            b->done = true;
        else
            b->state = (uint8_t)step((enum body_state)b->state, c, out, &rc);
    }
    *out_used = i;
    return rc;
}

/* --- replies ----------------------------------------------------------------------------- */

/* "+OK ..." or "-ERR ...": *out_ok; *out_text: the line. */
static enum rc take_status(struct talk *t, bool *out_ok, struct str *out_text, struct err *e)
{
    talk_patience(t, clock_mono(), 0);
    enum rc rc = talk_line(t, out_text, e);
    if (rc != RC_OK)
        return rc;
    *out_ok = str_istarts(*out_text, STR("+OK"));
    if (!*out_ok && !str_istarts(*out_text, STR("-ERR")))
        return err_gone(e, "it doesn't speak POP3: %.*s", (int)MIN(out_text->n, 80u),
                        out_text->p);
    return RC_OK;
}

static enum rc command(struct talk *t, bool *out_ok, struct str *out_text, struct err *e,
                       const char *fmt, ...) PRINTF(5, 6);

static enum rc command(struct talk *t, bool *out_ok, struct str *out_text, struct err *e,
                       const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_must(buf_vprintf(&t->out, fmt, ap));
    va_end(ap);
    return take_status(t, out_ok, out_text, e);
}

/* A line of a reply of many; *out_end: the dot. */
static enum rc take_listed(struct talk *t, struct str *out, bool *out_end, struct err *e)
{
    enum rc rc = talk_line(t, out, e);
    *out_end = rc == RC_OK && str_eq(*out, STR("."));
    return rc;
}

/* --- opening ----------------------------------------------------------------------------- */

static enum rc take_capabilities(struct talk *t, struct err *e)
{
    struct str line, word;
    bool ok = false, end = false;
    enum rc rc = command(t, &ok, &line, e, "CAPA\r\n");
    t->has_stls = t->pipelining = false;
    for (unsigned i = 0; rc == RC_OK && ok && !end; i++) {
        rc = i < 1000 ? take_listed(t, &line, &end, e)
                      : err_gone(e, "its capabilities have no end");
        if (rc != RC_OK || end || !str_cut(&line, ' ', &word))
            continue;
        t->has_stls = t->has_stls || str_ieq(word, STR("STLS"));
        t->pipelining = t->pipelining || str_ieq(word, STR("PIPELINING"));
    }
    return rc;
}

static enum rc go_to_tls(struct talk *t, struct err *e)
{
    struct str line;
    bool ok = false;
    enum rc rc = take_capabilities(t, e);
    if (rc != RC_OK || (!t->has_stls && t->link.tls == LINK_TRY_TLS))
        return rc;
    rc = command(t, &ok, &line, e, "STLS\r\n");
    if (rc == RC_OK && !ok)
        return t->link.tls == LINK_TRY_TLS
                   ? RC_OK
                   : err_temp(e, "4.7.4", "it offers no TLS, which FSTLS demands");
    return rc == RC_OK ? talk_start_tls(t, e) : rc;
}

/* The greeting's "<...>" is what APOP hashes (RFC 1939 7). */
static void take_challenge(struct talk *t, struct str line)
{
    size_t open = str_find(line, '<'), close = str_rfind(line, '>');
    bool has = open != SIZE_MAX && close != SIZE_MAX && close > open &&
               str_find(str_skip(line, open), '@') < close - open;
    t->challenge =
        has ? arena_str(&t->mem, str_head(str_skip(line, open), close - open + 1)) : STR("");
}

/* A login that was refused. */
static enum rc refused(struct str line, struct err *e)
{
    static const char *const for_now[] = { "[IN-USE]", "[SYS/TEMP]", "[LOGIN-DELAY]" };
    for (size_t i = 0; i < ARRAY_LEN(for_now); i++)
        if (str_ifind_str(line, str_from_c(for_now[i])) != SIZE_MAX)
            return err_temp(e, "4.7.0", "login not possible now: %.*s", (int)MIN(line.n, 120u),
                            line.p);
    return err_perm(e, "5.7.8", "login refused: %.*s", (int)MIN(line.n, 120u), line.p);
}

static enum rc log_in_apop(struct talk *t, bool *out_ok, struct str *out_line, struct err *e)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    struct str text =
        arena_printf(&t->mem, "%.*s%.*s", STR_ARG(t->challenge), STR_ARG(t->link.password));
    if (EVP_Digest(text.p, text.n, sum, &n, EVP_md5(), NULL) != 1)
        return err_temp(e, "4.7.0", "MD5, which APOP needs, isn't there");
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(hex + 2 * (size_t)i, 3, "%02x", sum[i]);
    return command(t, out_ok, out_line, e, "APOP %.*s %s\r\n", STR_ARG(t->link.user), hex);
}

static enum rc log_in(struct talk *t, struct err *e)
{
    struct str line = STR("");
    bool ok = false;
    enum rc rc = RC_OK;
    if (t->link.login != LOGIN_CLEAR && t->challenge.n > 0)
        rc = log_in_apop(t, &ok, &line, e);
    if (rc == RC_OK && !ok && t->link.login == LOGIN_MUST_APOP)
        return t->challenge.n > 0
                   ? refused(line, e)
                   : err_perm(e, "5.7.4", "it offers no APOP, which FAPOP demands");
    if (rc != RC_OK || ok)
        return rc;
    rc = command(t, &ok, &line, e, "USER %.*s\r\n", STR_ARG(t->link.user));
    if (rc == RC_OK && ok)
        rc = command(t, &ok, &line, e, "PASS %.*s\r\n", STR_ARG(t->link.password));
    return rc == RC_OK && !ok ? refused(line, e) : rc;
}

static enum rc open_source(struct talk *t, struct err *e)
{
    struct str line;
    bool ok = false;
    enum rc rc = t->link.tls == LINK_IMPLICIT_TLS ? talk_start_tls(t, e) : RC_OK;
    if (rc == RC_OK)
        rc = take_status(t, &ok, &line, e);
    if (rc == RC_OK && !ok)
        return err_temp(e, "4.4.1", "%.*s", (int)MIN(line.n, 160u), line.p);
    if (rc != RC_OK)
        return rc;
    take_challenge(t, line);
    if (t->link.tls == LINK_TRY_TLS || t->link.tls == LINK_MUST_TLS)
        rc = go_to_tls(t, e);
    if (rc == RC_OK)
        rc = log_in(t, e);
    return rc == RC_OK ? take_capabilities(t, e) : rc;
}

/* --- the list ---------------------------------------------------------------------------- */

/* "3 1200": numbers that don't rise aren't a list's. */
static enum rc take_size(struct talk *t, struct str line, struct err *e)
{
    uint64_t number = 0, octets = 0, before = 0;
    struct str word;
    if (t->offer_count > 0)
        before = t->offers[t->offer_count - 1].number;
    if (!str_cut(&line, ' ', &word) || !str_to_u64(word, &number) || number <= before ||
        !str_cut(&line, ' ', &word) || !str_to_u64(word, &octets))
        return err_gone(e, "its list of messages makes no sense");
    return talk_offer(t, number, octets, e);
}

static struct offer *find_offer(struct talk *t, uint64_t number)
{
    size_t low = 0, high = t->offer_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->offers[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->offer_count && t->offers[low].number == number ? &t->offers[low] : NULL;
}

static enum rc take_id(struct talk *t, struct str line, struct err *e)
{
    uint64_t number = 0;
    struct str word;
    struct offer *o = NULL;
    (void)e;
    if (str_cut(&line, ' ', &word) && str_to_u64(word, &number) && line.n > 0)
        o = find_offer(t, number);
    if (o != NULL && o->uidl.p == NULL)
        o->uidl = talk_uidl(t, line);
    return RC_OK;
}

static enum rc take_lines(struct talk *t, const char *verb, bool *out_ok,
                          enum rc (*fn)(struct talk *t, struct str line, struct err *e),
                          struct err *e)
{
    struct str line;
    bool end = false;
    usec_t began = clock_mono();
    uint64_t octets = 0;
    enum rc rc = command(t, out_ok, &line, e, "%s\r\n", verb);
    while (rc == RC_OK && *out_ok && !end) {
        rc = take_listed(t, &line, &end, e);
        if (rc == RC_OK && !end)
            rc = fn(t, line, e);
        octets += line.n;
        talk_patience(t, began, octets);
        if (octets > (uint64_t)512 << 20)
            rc = err_gone(e, "its list has no end");
    }
    return rc;
}

static enum rc list(struct talk *t, struct err *e)
{
    bool ok = false;
    enum rc rc = take_lines(t, "LIST", &ok, take_size, e);
    if (rc == RC_OK && !ok)
        return err_temp(e, "4.3.0", "it gives no list of messages");
    if (rc == RC_OK)
        rc = take_lines(t, "UIDL", &ok, take_id, e);
    return rc; /* messages without an id are known by what they hold */
}

/* --- messages ---------------------------------------------------------------------------- */

static void ask(struct talk *t, const struct offer *o)
{
    buf_addf(&t->out, "RETR %" PRIu64 "\r\n", o->number);
}

static enum rc take(struct talk *t, const struct offer *o, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct pop3_body body = { .state = AT_START };
    struct str line;
    bool ok = false;
    usec_t began = clock_mono();
    (void)o;
    buf_init(&text, (size_t)8 << 20);
    enum rc rc = take_status(t, &ok, &line, e);
    if (rc == RC_OK && !ok)
        return err_perm(e, "5.3.0", "%.*s", (int)MIN(line.n, 160u), line.p);
    while (rc == RC_OK && !body.done) {
        struct str in;
        size_t used = 0;
        if (client_octets(t->client, &in, e) != RC_OK)
            return RC_GONE;
        buf_reset(&text);
        rc = pop3_body_feed(&body, in, &text, &used);
        client_use(t->client, used);
        if (rc == RC_OK)
            rc = bundle_add(&t->bundle, buf_str(&text), e);
        t->too_large = bundle_message_octets(&t->bundle) > t->limit;
        if (rc == RC_OK && t->too_large)
            return err_gone(e, "it sends a message larger than may be, and than it said");
        talk_patience(t, began, bundle_message_octets(&t->bundle));
    }
    return rc;
}

static void ask_delete(struct talk *t, const uint32_t *offers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_addf(&t->out, "DELE %" PRIu64 "\r\n", t->offers[offers[i]].number);
}

static enum rc deleted(struct talk *t, size_t count, bool *out_done, struct err *e)
{
    enum rc rc = RC_OK;
    *out_done = true;
    for (size_t i = 0; rc == RC_OK && i < count; i++) {
        struct str line;
        bool done = false;
        rc = take_status(t, &done, &line, e);
        *out_done = *out_done && done;
    }
    return rc;
}

static enum rc close_source(struct talk *t, struct err *e)
{
    struct str line;
    bool ok = false;
    enum rc rc = command(t, &ok, &line, e, "QUIT\r\n");
    return rc == RC_OK && !ok
               ? err_temp(e, "4.3.0", "at QUIT it says: %.*s", (int)MIN(line.n, 120u), line.p)
               : rc;
}

const struct source source_pop3 = { open_source, list,    ask,         take,
                                    ask_delete,  deleted, close_source };

/*
 * imap.c - as much of the client's side of IMAP (RFC 3501, 4315) as fetching needs: INBOX, by
 * UIDs, over TLS. A message's id is its UIDVALIDITY and UID. Hostile input: lines, literals,
 * their number and the time for them have limits.
 */
#include "fetch/talk.h"
#include "mail/stuffed.h"

#define LINES_MAX 4000000u              /* of one reply */
#define LITERAL_MAX ((uint64_t)1 << 20) /* one that nobody asked for */
#define SET_MAX 4000u                   /* octets of a set of UIDs */

/* --- words ------------------------------------------------------------------------------- */

/* The number behind `name` ("UID "), which stands at the start of a word. */
static bool number_after(struct str line, const char *name, uint64_t *out)
{
    struct str word = str_from_c(name);
    for (size_t at = 0; at < line.n;) {
        size_t next = str_ifind_str(str_skip(line, at), word);
        if (next == SIZE_MAX)
            return false;
        at += next;
        size_t n = 0;
        struct str rest = str_skip(line, at + word.n);
        while (n < rest.n && ascii_is_digit(rest.p[n]))
            n++;
        bool starts = at == 0 || str_has_any(str_from(line.p + at - 1, 1), " ([");
        if (starts && str_to_u64(str_head(rest, n), out))
            return true;
        at += word.n;
    }
    return false;
}

/* "... {123}": octets follow. */
static bool literal_of(struct str line, uint64_t *out)
{
    size_t open = str_rfind(line, '{');
    return open != SIZE_MAX && str_ends(line, STR("}")) &&
           str_to_u64(str_head(str_skip(line, open + 1), line.n - open - 2), out);
}

/* A quoted string, or a literal where that isn't enough. */
static void add_string(struct talk *t, struct str text)
{
    if (!str_is_ascii(text)) {
        buf_addf(&t->out, "{%zu+}\r\n%.*s", text.n, STR_ARG(text));
        return;
    }
    buf_addf(&t->out, "\"");
    for (size_t i = 0; i < text.n; i++)
        buf_addf(&t->out, "%s%c", text.p[i] == '"' || text.p[i] == '\\' ? "\\" : "", text.p[i]);
    buf_addf(&t->out, "\"");
}

/* --- replies ----------------------------------------------------------------------------- */

static enum rc skip_octets(struct talk *t, uint64_t n, struct err *e)
{
    if (n > LITERAL_MAX)
        return err_gone(e, "it sends what nobody asked for");
    while (n > 0) {
        struct str in;
        if (client_octets(t->client, &in, e) != RC_OK)
            return RC_GONE;
        size_t some = (size_t)MIN((uint64_t)in.n, n);
        client_use(t->client, some);
        n -= some;
    }
    return RC_OK;
}

/* A line of a reply; may itself read the literal that it announces (*out_read). */
typedef enum rc line_fn(struct talk *t, struct str line, bool *out_read, struct err *e);

/* Reads up to the reply's last line. RC_PERM: NO or BAD, with its words. */
static enum rc take_reply(struct talk *t, line_fn *fn, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str tag = arena_printf(&a, "a%u ", ++t->answered), line;
    talk_patience(t, clock_mono(), 0);
    usec_t began = clock_mono();
    uint64_t octets = 0;
    for (unsigned i = 0; i < LINES_MAX; i++) {
        uint64_t literal = 0;
        bool read = false;
        enum rc rc = talk_line(t, &line, e);
        octets += rc == RC_OK ? line.n : 0;
        talk_patience(t, began, octets);
        if (rc == RC_OK && str_starts(line, tag)) {
            line = str_skip(line, tag.n);
            return str_istarts(line, STR("OK"))
                       ? RC_OK
                       : err_perm(e, "5.3.0", "%.*s", (int)MIN(line.n, 120u), line.p);
        }
        if (rc == RC_OK && !str_starts(line, STR("* ")) && !str_starts(line, STR("+")))
            return err_gone(e, "it doesn't speak IMAP: %.*s", (int)MIN(line.n, 80u), line.p);
        bool follows = rc == RC_OK && literal_of(line, &literal);
        if (rc == RC_OK && fn != NULL)
            rc = fn(t, line, &read, e);
        while (rc == RC_OK && follows && !read) {
            rc = skip_octets(t, literal, e);
            if (rc == RC_OK)
                rc = talk_line(t, &line, e);
            follows = rc == RC_OK && literal_of(line, &literal);
        }
        if (rc != RC_OK)
            return rc;
    }
    return err_gone(e, "its reply has no end");
}

static void begin_command(struct talk *t)
{
    buf_addf(&t->out, "a%u ", ++t->asked);
}

/* --- opening ----------------------------------------------------------------------------- */

static enum rc take_capability(struct talk *t, struct str line, bool *out_read, struct err *e)
{
    struct str word;
    (void)out_read, (void)e;
    if (!str_istarts(line, STR("* CAPABILITY ")))
        return RC_OK;
    while (line.n > 0 && str_cut(&line, ' ', &word))
        t->has_uidplus = t->has_uidplus || str_ieq(word, STR("UIDPLUS"));
    return RC_OK;
}

static enum rc log_in(struct talk *t, struct err *e)
{
    begin_command(t);
    buf_addf(&t->out, "LOGIN ");
    add_string(t, t->link.user);
    buf_addf(&t->out, " ");
    add_string(t, t->link.password);
    buf_addf(&t->out, "\r\n");
    struct err said = { .text = "" };
    enum rc rc = take_reply(t, NULL, &said);
    struct str text = str_from_c(said.text);
    if (rc != RC_PERM) {
        *e = said;
        return rc;
    }
    return str_ifind_str(text, STR("[UNAVAILABLE]")) != SIZE_MAX ||
                   str_ifind_str(text, STR("[INUSE]")) != SIZE_MAX
               ? err_temp(e, "4.7.0", "login not possible now: %s", said.text)
               : err_perm(e, "5.7.8", "login refused: %s", said.text);
}

static enum rc open_source(struct talk *t, struct err *e)
{
    struct str line;
    enum rc rc = t->link.tls == LINK_IMPLICIT_TLS ? talk_start_tls(t, e) : RC_OK;
    if (rc == RC_OK)
        rc = talk_line(t, &line, e);
    if (rc != RC_OK)
        return rc;
    bool known = str_istarts(line, STR("* PREAUTH"));
    if (!known && !str_istarts(line, STR("* OK")))
        return err_temp(e, "4.4.1", "%.*s", (int)MIN(line.n, 120u), line.p);
    t->pipelining = false; /* replies to commands sent together may be mixed (RFC 3501 5.5) */
    rc = known ? RC_OK : log_in(t, e);
    if (rc != RC_OK)
        return rc;
    begin_command(t);
    buf_addf(&t->out, "CAPABILITY\r\n");
    return take_reply(t, take_capability, e);
}

/* --- the list ---------------------------------------------------------------------------- */

static enum rc take_selected(struct talk *t, struct str line, bool *out_read, struct err *e)
{
    struct str rest = str_skip(line, 2), word;
    uint64_t n = 0;
    (void)out_read, (void)e;
    (void)number_after(line, "UIDVALIDITY ", &t->uid_validity);
    if (str_cut(&rest, ' ', &word) && str_to_u64(word, &n) && str_ieq(rest, STR("EXISTS")))
        t->exists = n;
    return RC_OK;
}

/* "* 3 FETCH (UID 7 RFC822.SIZE 1200 FLAGS (\Seen))". */
static enum rc take_listed(struct talk *t, struct str line, bool *out_read, struct err *e)
{
    uint64_t uid = 0, octets = 0;
    (void)out_read;
    if (str_ifind_str(line, STR(" FETCH (")) == SIZE_MAX || !number_after(line, "UID ", &uid) ||
        uid == 0 || !number_after(line, "RFC822.SIZE ", &octets))
        return RC_OK;
    enum rc rc = talk_offer(t, uid, octets, e);
    if (rc != RC_OK)
        return rc;
    struct offer *o = &t->offers[t->offer_count - 1];
    o->uidl = arena_printf(&t->mem, "%" PRIu64 ".%" PRIu64, t->uid_validity, uid);
    o->marked = str_ifind_str(line, STR("\\Deleted")) != SIZE_MAX;
    return RC_OK;
}

static enum rc list(struct talk *t, struct err *e)
{
    begin_command(t);
    buf_addf(&t->out, "SELECT INBOX\r\n");
    enum rc rc = take_reply(t, take_selected, e);
    if (rc != RC_OK || t->exists == 0)
        return rc == RC_PERM ? err_temp(e, "4.3.0", "it doesn't open INBOX") : rc;
    begin_command(t);
    buf_addf(&t->out, "UID FETCH 1:* (UID RFC822.SIZE FLAGS)\r\n");
    rc = take_reply(t, take_listed, e);
    return rc == RC_PERM ? err_temp(e, "4.3.0", "it gives no list of messages") : rc;
}

/* --- messages ---------------------------------------------------------------------------- */

static void ask(struct talk *t, const struct offer *o)
{
    begin_command(t);
    buf_addf(&t->out, "UID FETCH %" PRIu64 " (UID BODY.PEEK[])\r\n", o->number);
}

/* The literal, as a message of ours. */
static enum rc take_literal(struct talk *t, uint64_t octets, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct unstuffing m = { .dotted = false };
    usec_t began = clock_mono();
    enum rc rc = RC_OK;
    buf_init(&text, (size_t)8 << 20);
    t->too_large = octets > t->limit + t->limit / 8; /* CRLF counts there */
    if (t->too_large)
        return err_gone(e, "it sends a message larger than may be, and than it said");
    while (rc == RC_OK && octets > 0) {
        struct str in;
        if (client_octets(t->client, &in, e) != RC_OK)
            return RC_GONE;
        in = str_head(in, (size_t)MIN((uint64_t)in.n, octets));
        buf_reset(&text);
        rc = unstuff_feed(&m, in, &text);
        client_use(t->client, in.n);
        octets -= in.n;
        if (rc == RC_OK)
            rc = bundle_add(&t->bundle, buf_str(&text), e);
        talk_patience(t, began, bundle_message_octets(&t->bundle));
    }
    buf_reset(&text);
    if (rc == RC_OK)
        rc = unstuff_end(&m, &text);
    return rc == RC_OK ? bundle_add(&t->bundle, buf_str(&text), e) : rc;
}

/* "* 3 FETCH (UID 7 BODY[] {1200}", the octets, ")"; the UID may stand behind them. */
static enum rc take_body(struct talk *t, struct str line, bool *out_read, struct err *e)
{
    uint64_t octets = 0, uid = 0;
    if (t->has_body || str_ifind_str(line, STR(" FETCH (")) == SIZE_MAX ||
        str_ifind_str(line, STR("BODY[] {")) == SIZE_MAX || !literal_of(line, &octets))
        return RC_OK;
    bool has_uid = number_after(line, "UID ", &uid);
    *out_read = true;
    enum rc rc = take_literal(t, octets, e);
    if (rc == RC_OK)
        rc = talk_line(t, &line, e);
    if (rc == RC_OK && !has_uid)
        has_uid = number_after(line, "UID ", &uid);
    if (rc == RC_OK && (!has_uid || uid != t->wanted_uid))
        return err_gone(e, "it sends another message than it was asked for");
    t->has_body = rc == RC_OK;
    return rc;
}

static enum rc take(struct talk *t, const struct offer *o, struct err *e)
{
    t->has_body = false;
    t->wanted_uid = o->number;
    enum rc rc = take_reply(t, take_body, e);
    return rc == RC_OK && !t->has_body ? err_perm(e, "5.3.0", "it has no such message") : rc;
}

/* --- deleting ---------------------------------------------------------------------------- */

static void ask_delete(struct talk *t, const uint32_t *offers, size_t count)
{
    if (t->doomed == NULL)
        t->doomed = arena_new_array(&t->mem, uint64_t, t->offer_count);
    begin_command(t);
    buf_addf(&t->out, "UID STORE ");
    for (size_t i = 0; i < count; i++) {
        uint64_t uid = t->offers[offers[i]].number;
        buf_addf(&t->out, "%s%" PRIu64, i == 0 ? "" : ",", uid);
        t->doomed[t->doomed_count++] = uid;
    }
    buf_addf(&t->out, " +FLAGS.SILENT (\\Deleted)\r\n");
}

static enum rc deleted(struct talk *t, size_t count, bool *out_done, struct err *e)
{
    (void)count;
    enum rc rc = take_reply(t, NULL, e);
    *out_done = rc == RC_OK;
    return rc == RC_PERM ? RC_OK : rc;
}

static int compare_uids(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

/* Only what was fetched: other clients may have marked more. *at moves on. */
static enum rc expunge_some(struct talk *t, size_t *at, struct err *e)
{
    begin_command(t);
    buf_addf(&t->out, "UID EXPUNGE ");
    size_t limit = t->out.n + SET_MAX;
    for (bool first = true; *at < t->doomed_count && t->out.n < limit; first = false) {
        uint64_t from = t->doomed[*at], to = from;
        while (++*at < t->doomed_count && t->doomed[*at] == to + 1)
            to++;
        buf_addf(&t->out, "%s%" PRIu64 ":%" PRIu64, first ? "" : ",", from, to);
    }
    buf_addf(&t->out, "\r\n");
    return take_reply(t, NULL, e);
}

static enum rc close_source(struct talk *t, struct err *e)
{
    enum rc rc = RC_OK;
    if (t->doomed_count > 1)
        qsort(t->doomed, t->doomed_count, sizeof(*t->doomed), compare_uids);
    for (size_t at = 0; rc == RC_OK && t->has_uidplus && at < t->doomed_count;)
        rc = expunge_some(t, &at, e);
    if (rc == RC_OK && !t->has_uidplus && t->doomed_count > 0) {
        begin_command(t);
        buf_addf(&t->out, "EXPUNGE\r\n");
        rc = take_reply(t, NULL, e);
    }
    if (rc == RC_PERM)
        return err_temp(e, "4.3.0", "it doesn't delete what was fetched");
    begin_command(t);
    buf_addf(&t->out, "LOGOUT\r\n");
    return rc == RC_OK ? take_reply(t, NULL, e) : rc;
}

const struct source source_imap = { open_source, list,    ask,         take,
                                    ask_delete,  deleted, close_source };

/*
 * milter.c - see milter.h. One thread a conversation, as relay has it: there are as many as
 * programs may run. A milter that answers out of turn, dies, or is over its time has failed,
 * and FILE stays as it was.
 */
#include "runner/talk_int.h"

/* --- packets ----------------------------------------------------------------------------- */

static enum rc send_packet(struct talk *t, char kind, struct str data, struct err *e)
{
    struct buf out AUTO_RELEASE_BUF;
    buf_init(&out, MILTER_PACKET_MAX + 16);
    if (data.n >= MILTER_PACKET_MAX)
        return err_temp(e, "4.3.0", "a field is too long for a milter");
    milter_put(&out, kind, data);
    return client_write(t->client, buf_str(&out), e);
}

static enum rc receive(struct talk *t, struct milter_reply *out, struct err *e)
{
    unsigned char size[4];
    enum rc rc = client_read(t->client, (char *)size, sizeof(size), e);
    if (rc != RC_OK)
        return rc;
    size_t n = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
    if (n == 0 || n > MILTER_PACKET_MAX)
        return err_perm(e, "5.5.0", "the milter sends a packet of %zu octets", n);
    buf_reset(&t->packet);
    if (buf_reserve(&t->packet, n) != RC_OK)
        return err_temp(e, "4.3.0", "no memory for a packet");
    rc = client_read(t->client, t->packet.p, n, e);
    if (rc != RC_OK)
        return rc;
    const char *why = milter_reply_parse(str_from(t->packet.p, n), out);
    return why == NULL ? RC_OK : err_perm(e, "5.5.0", "a packet of the milter: %s", why);
}

/* Waits for a verdict; those that end the conversation stay in t->verdict. */
static enum rc hear(struct talk *t, struct milter_reply *out, struct err *e)
{
    enum rc rc = RC_OK;
    do
        rc = receive(t, out, e);
    while (rc == RC_OK && out->kind == 'p');
    if (rc == RC_OK && strchr("artdy", out->kind) != NULL)
        t->verdict =
            (struct milter_reply){ .kind = out->kind, .text = arena_str(t->mem, out->text) };
    return rc;
}

static bool is_decided(const struct talk *t)
{
    return t->verdict.kind != '\0';
}

/* Sends, and hears the answer unless the milter said that it gives none. */
static enum rc tell(struct talk *t, char kind, struct str data, uint32_t quiet, bool *out_skip,
                    struct err *e)
{
    struct milter_reply r = { .kind = '\0' };
    enum rc rc = send_packet(t, kind, data, e);
    if (rc != RC_OK || (t->protocol & quiet) != 0)
        return rc;
    rc = hear(t, &r, e);
    bool skips = rc == RC_OK && r.kind == 's' && out_skip != NULL;
    if (skips)
        *out_skip = true;
    if (rc == RC_OK && r.kind != 'c' && !skips && !is_decided(t))
        return err_perm(e, "5.5.0", "the milter answers '%c' out of turn", r.kind);
    return rc;
}

/* --- what it is told --------------------------------------------------------------------- */

static void add_text(struct buf *b, struct str text)
{
    buf_must(buf_add_str(b, text));
    buf_must(buf_add_char(b, '\0'));
}

/* Macros for the packet of that kind: name, value, name, value... */
static enum rc send_macros(struct talk *t, char kind, const struct str *pairs, size_t count,
                           struct err *e)
{
    struct buf b AUTO_RELEASE_BUF;
    buf_init(&b, MILTER_PACKET_MAX);
    buf_must(buf_add_char(&b, kind));
    for (size_t i = 0; i + 1 < count; i += 2) {
        if (pairs[i + 1].n == 0)
            continue;
        add_text(&b, pairs[i]);
        add_text(&b, pairs[i + 1]);
    }
    return send_packet(t, 'D', buf_str(&b), e);
}

static enum rc offer(struct talk *t, struct err *e)
{
    struct buf b AUTO_RELEASE_BUF;
    struct milter_reply r = { .kind = '\0' };
    /* Some don't begin where quarantine isn't offered, though they are set to something else.
     */
    uint32_t actions =
        MILTER_ADD_HEADERS | MILTER_CHANGE_BODY | MILTER_CHANGE_HEADERS | MILTER_QUARANTINE;
    uint32_t protocol = 0xff7ff; /* all of version 6 but refused recipients being shown */
    buf_init(&b, 64);
    milter_put_offer(&b, actions, protocol);
    enum rc rc = client_write(t->client, buf_str(&b), e);
    if (rc == RC_OK)
        rc = receive(t, &r, e);
    if (rc != RC_OK)
        return rc;
    if (r.kind != 'O')
        return err_perm(e, "5.5.0", "the milter answers the offer with '%c'", r.kind);
    /* Some ask for more than they were offered: that counts when they do it. */
    t->version = r.version;
    t->actions = r.actions & actions;
    t->protocol = r.protocol & protocol;
    return RC_OK;
}

static enum rc tell_client(struct talk *t, struct err *e)
{
    struct buf b AUTO_RELEASE_BUF;
    char ip[IP_TEXT_BYTES];
    (void)ip_print(&t->client_ip, ip);
    bool known = t->client_port != 0;
    const struct str pairs[] = {
        STR("j"), t->host,        STR("{daemon_name}"), STR("hikyaku"),
        STR("v"), STR("Hikyaku"), STR("{client_addr}"), known ? str_from_c(ip) : STR(""),
    };
    buf_init(&b, 4096);
    enum rc rc = send_macros(t, 'C', pairs, ARRAY_LEN(pairs), e);
    add_text(&b, known ? arena_printf(t->mem, "[%s]", ip) : STR("localhost"));
    buf_must(buf_add_char(&b, !known ? 'U' : ip_is_v4(&t->client_ip) ? '4' : '6'));
    if (known) {
        const char port[2] = { (char)(t->client_port >> 8), (char)t->client_port };
        buf_must(buf_add(&b, port, sizeof(port)));
        add_text(&b, str_from_c(ip));
    }
    if (rc == RC_OK && (t->protocol & MILTER_NO_CONNECT) == 0)
        rc = tell(t, 'C', buf_str(&b), MILTER_QUIET_CONNECT, NULL, e);
    if (rc != RC_OK || is_decided(t) || t->helo.n == 0 || (t->protocol & MILTER_NO_HELO) != 0)
        return rc;
    buf_reset(&b);
    add_text(&b, t->helo);
    return tell(t, 'H', buf_str(&b), MILTER_QUIET_HELO, NULL, e);
}

static enum rc tell_path(struct talk *t, char kind, struct str path, uint32_t quiet,
                         struct err *e)
{
    struct buf b AUTO_RELEASE_BUF;
    buf_init(&b, MILTER_PACKET_MAX);
    add_text(&b, path);
    return tell(t, kind, buf_str(&b), quiet, NULL, e);
}

static enum rc tell_envelope(struct talk *t, struct err *e)
{
    struct str login = talk_macro(t, "USERAUTH");
    bool known = login.n > 0 && !str_eq(login, STR("-"));
    const struct str pairs[] = {
        STR("i"),
        t->id,
        STR("{mail_addr}"),
        talk_bare(t->sender),
        STR("{auth_authen}"),
        known ? login : STR(""),
        STR("{auth_type}"),
        known ? STR("PLAIN") : STR(""),
    };
    enum rc rc = send_macros(t, 'M', pairs, ARRAY_LEN(pairs), e);
    if (rc == RC_OK && (t->protocol & MILTER_NO_MAIL) == 0)
        rc = tell_path(t, 'M', t->sender, MILTER_QUIET_MAIL, e);
    bool wants = (t->protocol & MILTER_NO_RCPT) == 0;
    for (size_t i = 0; i < t->rcpt_count && rc == RC_OK && wants && !is_decided(t); i++) {
        const struct str more[] = { STR("i"), t->id, STR("{rcpt_addr}"),
                                    talk_bare(t->rcpts[i]) };
        rc = send_macros(t, 'R', more, ARRAY_LEN(more), e);
        if (rc == RC_OK)
            rc = tell_path(t, 'R', t->rcpts[i], MILTER_QUIET_RCPT, e);
        /* Accepted is this one; and those before the last were decided when they were it. */
        if (t->verdict.kind == 'a' || (t->message == 0 && i + 1 < t->rcpt_count))
            t->verdict.kind = '\0';
    }
    return rc;
}

static enum rc tell_header(struct talk *t, struct err *e)
{
    struct buf b AUTO_RELEASE_BUF;
    enum rc rc = RC_OK;
    buf_init(&b, MILTER_PACKET_MAX);
    const struct milter_field *f = t->header.first;
    if ((t->protocol & MILTER_NO_HEADERS) != 0)
        f = NULL;
    for (; f != NULL && rc == RC_OK && !is_decided(t); f = f->next) {
        if (f->is_ours)
            continue;
        buf_reset(&b);
        if (f->name.n + f->value.n + 16 > MILTER_PACKET_MAX)
            return err_temp(e, "4.3.0", "a field is too long for a milter");
        add_text(&b, f->name);
        add_text(&b, f->value);
        rc = tell(t, 'L', buf_str(&b), MILTER_QUIET_HEADER, NULL, e);
    }
    if (rc == RC_OK && !is_decided(t) && (t->protocol & MILTER_NO_EOH) == 0)
        rc = tell(t, 'N', STR(""), MILTER_QUIET_EOH, NULL, e);
    return rc;
}

static enum rc tell_body(struct talk *t, struct err *e)
{
    struct unstuffing u = { .dotted = true };
    struct buf lines AUTO_RELEASE_BUF, out AUTO_RELEASE_BUF;
    char *piece AUTO_FREE = mem_new(MILTER_PIECE_BYTES);
    bool skips = (t->protocol & MILTER_NO_BODY) != 0, first = true;
    enum rc rc = RC_OK;
    ssize_t n = 0;
    buf_init(&lines, 2 * MILTER_PIECE_BYTES);
    buf_init(&out, 4 * MILTER_PIECE_BYTES);
    for (uint64_t at = t->body; rc == RC_OK && !skips && !is_decided(t); at += (uint64_t)n) {
        n = io_pread(t->file, piece, MILTER_PIECE_BYTES, at);
        if (n <= 0)
            break;
        buf_reset(&lines);
        buf_reset(&out);
        buf_must(unstuff_feed(&u, str_from(piece, (size_t)n), &lines));
        /* The blank line behind the header isn't the body's. */
        struct str text = buf_str(&lines);
        talk_add_crlf(&out, str_skip(text, first && str_starts(text, STR("\n"))));
        first = false;
        for (struct str rest = buf_str(&out);
             rc == RC_OK && rest.n > 0 && !skips && !is_decided(t);
             rest = str_skip(rest, MILTER_BODY_MAX))
            rc = tell(t, 'B', str_head(rest, MILTER_BODY_MAX), MILTER_QUIET_BODY, &skips, e);
    }
    return n < 0 ? err_sys(e, "read FILE") : rc;
}

/* --- what it changes --------------------------------------------------------------------- */

static enum rc take_edit(struct talk *t, const struct milter_reply *r, struct str *hold,
                         struct err *e)
{
    uint32_t needed = r->kind == 'b'                     ? MILTER_CHANGE_BODY
                      : r->kind == 'h' || r->kind == 'i' ? MILTER_ADD_HEADERS
                      : r->kind == 'm'                   ? MILTER_CHANGE_HEADERS
                      : r->kind == 'q'                   ? MILTER_QUARANTINE
                                                         : 0;
    if ((t->actions & needed) == 0)
        return err_perm(e, "5.5.0", "the milter answers '%c', which it didn't ask for",
                        r->kind);
    if (r->kind == 'q' && !t->job->queued)
        return err_perm(e, "5.5.0", "the milter wants quarantine, which sessions don't have");
    if (r->kind == 'b')
        return talk_take_body(t, r->text, false, e);
    if (r->kind == 'q')
        *hold = r->text.n > 0 ? arena_str(t->mem, r->text) : STR("Quarantined by a milter");
    else
        milter_header_edit(&t->header, r, t->mem);
    return RC_OK;
}

/* The message is whole: what it does with it. *hold: the reason to put it aside. */
static enum rc tell_end(struct talk *t, struct str *hold, struct err *e)
{
    const struct str pairs[] = { STR("i"), t->id };
    struct milter_reply r = { .kind = '\0' };
    enum rc rc = send_macros(t, 'E', pairs, ARRAY_LEN(pairs), e);
    if (rc == RC_OK)
        rc = send_packet(t, 'E', STR(""), e);
    while (rc == RC_OK && !is_decided(t) && r.kind != 'c') {
        rc = hear(t, &r, e);
        if (rc == RC_OK && !is_decided(t) && r.kind != 'c')
            rc = take_edit(t, &r, hold, e);
    }
    bool goes_on = t->verdict.kind == '\0' || t->verdict.kind == 'a';
    if (rc == RC_OK && goes_on && t->new_body >= 0)
        rc = talk_take_body(t, STR(""), true, e);
    t->has_changed = goes_on && (t->header.changed || t->new_body >= 0);
    return rc == RC_OK && t->has_changed ? talk_write_file(t, e) : rc;
}

/* --- the conversation -------------------------------------------------------------------- */

static enum rc open_client(struct talk *t, struct err *e)
{
    struct milter_place place = { .port = 0 };
    usec_t limit = MAX(t->job->deadline - clock_mono(), USEC_S);
    const char *why = milter_place_parse(t->job->where, &place);
    if (why != NULL)
        return err_perm(e, "5.3.5", "%.*s: %s", STR_ARG(t->job->where), why);
    enum rc rc = place.path.n > 0
                     ? client_open_local(arena_c(t->mem, place.path), limit, &t->client, e)
                     : client_open_ip(&place.ip, place.port, NULL, limit, &t->client, e);
    if (rc == RC_OK)
        client_set_deadline(t->client, t->job->deadline);
    return rc;
}

static enum rc converse(struct talk *t, struct str *hold, struct err *e)
{
    enum rc rc = talk_read_file(t, e);
    if (rc == RC_OK)
        rc = open_client(t, e);
    if (rc == RC_OK)
        rc = offer(t, e);
    if (rc == RC_OK)
        rc = tell_client(t, e);
    if (rc == RC_OK && !is_decided(t))
        rc = tell_envelope(t, e);
    bool whole = t->message > 0;
    if (rc == RC_OK && whole && !is_decided(t) && t->version > 3 &&
        (t->protocol & MILTER_NO_DATA) == 0)
        rc = tell(t, 'T', STR(""), MILTER_QUIET_DATA, NULL, e);
    if (rc == RC_OK && whole && !is_decided(t))
        rc = tell_header(t, e);
    if (rc == RC_OK && whole && !is_decided(t))
        rc = tell_body(t, e);
    if (rc == RC_OK && whole && !is_decided(t))
        rc = tell_end(t, hold, e);
    if (rc == RC_OK)
        (void)send_packet(t, 'Q', STR(""), NULL);
    return rc;
}

/* The verdict as the code of a program: that of a session, or of the queue. */
static void decide(const struct talk *t, struct str hold, struct talk_outcome *out)
{
    bool queued = t->job->queued;
    switch (t->verdict.kind) {
    case 'r':
        out->reply = STR("550 5.7.1 Refused by this server's rules");
        break;
    case 't':
        out->reply = STR("451 4.7.1 Refused for now, try again later");
        break;
    case 'y':
        out->reply = t->verdict.text;
        break;
    case 'd': /* without a message there is nothing to drop yet */
        out->code = queued ? 4 : t->message > 0 ? PROGRAM_DISCARD : 0;
        return;
    default:
        out->code = hold.n > 0 ? 5 : queued && t->has_changed ? 7 : 0;
        out->reply = hold;
        return;
    }
    out->code = queued ? 6 : 3;
    if (queued && str_starts(out->reply, STR("4"))) {
        out->code = PROGRAM_DEFER;
        out->text = out->reply;
        out->reply = STR("");
    }
}

void milter_talk(const struct talk_job *job, struct talk_outcome *out)
{
    struct talk t = talk_begin(job);
    struct err e = { .rc = RC_OK };
    struct str hold = STR("");
    *out = (struct talk_outcome){ .text = STR(""), .reply = STR("") };
    if (converse(&t, &hold, &e) == RC_OK) {
        decide(&t, hold, out);
    } else {
        out->code = PROGRAM_FAILED;
        out->text = arena_str(job->mem, str_from_c(e.text));
    }
    talk_end(&t);
}

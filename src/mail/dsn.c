/* dsn.c - see dsn.h. */
#include "mail/dsn.h"
#include "mail/date.h"
#include "mail/encoded.h"

/* What is said to people, in a language. */
struct words {
    const char *subject[4]; /* by enum dsn_action */
    const char *intro[4];
    const char *why, *log, *until, *more, *link;
};

static const struct words english = {
    .subject = { "Undelivered mail", "Delayed mail", "Mail delivered", "Mail relayed" },
    .intro = { "Your message could not be delivered to the recipients below.\n"
               "It has been given up; nobody tries again.\n",
               "Your message could not be delivered to the recipients below yet.\n"
               "You need not send it again: this server keeps trying.\n",
               "Your message was delivered to the recipients below, as you asked to be told.\n",
               "Your message was handed to a server that doesn't tell whether it delivers "
               "it.\n" },
    .why = "Reason",
    .log = "What happened:",
    .until = "It will be tried until",
    .more = "The original message, or its header, is attached.\n",
    .link = "For the server's administrator",
};
static const struct words in_japanese = {
    .subject = { "メールを配送できませんでした", "メールの配送が遅れています",
                 "メールを配送しました", "メールを中継しました" },
    .intro = { "あなたのメールを次の宛先に配送できませんでした。\n再送は行いません。\n",
               "あなたのメールを次の宛先にまだ配送できていません。\n"
               "このサーバーが配送を続けますので、送り直す必要はありません。\n",
               "あなたのメールを次の宛先に配送しました (配送通知の依頼による)。\n",
               "あなたのメールを、配送通知に対応していないサーバーに渡しました。\n" },
    .why = "理由",
    .log = "経過:",
    .until = "配送を試みる期限",
    .more = "元のメール、またはそのヘッダーを添付しました。\n",
    .link = "サーバー管理者用",
};

static const char *const actions[] = { "failed", "delayed", "delivered", "relayed" };

/* xtext's octets (RFC 3461 4). */
static struct str xtext_value(struct str s, struct arena *a)
{
    static const char hex[] = "0123456789ABCDEF";
    char *p = arena_new(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char *high = i + 2 < s.n && s.p[i] == '+' ? memchr(hex, s.p[i + 1], 16) : NULL;
        const char *low = high == NULL ? NULL : memchr(hex, s.p[i + 2], 16);
        p[n++] = low == NULL ? s.p[i] : (char)((high - hex) * 16 + (low - hex));
        i += low == NULL ? 0 : 2;
    }
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            p[i] = '?';
    return str_from(p, n);
}

/* Text of others for a line of a field: no octet that would end it. */
static struct str one_line(struct str s, struct arena *a)
{
    char *p = arena_c(a, s);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            p[i] = ' ';
    return str_from(p, s.n);
}

static bool is_ascii_report(const struct dsn *d)
{
    bool ascii = !d->japanese && !d->is_utf8 && str_is_ascii(d->log);
    for (size_t i = 0; i < d->recipient_count; i++)
        ascii = ascii && str_is_ascii(d->recipients[i].reason.text) &&
                str_is_ascii(d->recipients[i].address);
    return ascii;
}

static enum rc print_header(const struct dsn *d, const struct words *w, struct str boundary,
                            bool ascii, struct buf *out)
{
    char date[DATE_TEXT_BYTES];
    enum rc rc = buf_printf(
        out,
        "Date: %s\nFrom: Mail Delivery System <%.*s>\nTo: <%.*s>\nMessage-ID: %.*s\n"
        "Auto-Submitted: auto-replied\nMIME-Version: 1.0\n",
        date_print(d->now, date), STR_ARG(d->from), STR_ARG(d->to), STR_ARG(d->message_id));
    if (rc == RC_OK)
        rc = buf_add_str(out, STR("Subject:"));
    if (rc == RC_OK)
        rc = encoded_print(str_from_c(w->subject[d->recipients[0].action]), out);
    if (rc == RC_OK)
        rc = buf_printf(out,
                        "\nContent-Type: multipart/report; report-type=%sdelivery-status;\n"
                        "\tboundary=\"%.*s\"\n%s\n",
                        d->is_utf8 ? "global-" : "", STR_ARG(boundary),
                        ascii ? "" : "Content-Transfer-Encoding: 8bit\n");
    return rc;
}

/* For people; the line in brackets is one that tools for XMail's lists look for. */
static enum rc print_people(const struct dsn *d, const struct words *w, struct str boundary,
                            bool ascii, struct arena *a, struct buf *out)
{
    enum dsn_action action = d->recipients[0].action;
    char date[DATE_TEXT_BYTES];
    enum rc rc = buf_printf(out, "--%.*s\nContent-Type: text/plain; charset=%s\n%s\n%s\n",
                            STR_ARG(boundary), ascii ? "us-ascii" : "utf-8",
                            ascii ? "" : "Content-Transfer-Encoding: 8bit\n", w->intro[action]);
    for (size_t i = 0; i < d->recipient_count && rc == RC_OK; i++) {
        const struct dsn_recipient *r = &d->recipients[i];
        struct str text = one_line(r->reason.text, a), host = one_line(r->reason.host, a);
        rc = buf_printf(out, "  %.*s\n    %s: %.*s%s%.*s%s\n", STR_ARG(one_line(r->address, a)),
                        w->why, STR_ARG(text), host.n > 0 ? " (" : "", STR_ARG(host),
                        host.n > 0 ? ")" : "");
        if (rc == RC_OK && r->action == DSN_FAILED)
            rc = buf_printf(out, "\n[<00>] XMail bounce: Rcpt=[%.*s];Error=[%.*s]\n\n",
                            STR_ARG(one_line(r->address, a)), STR_ARG(text));
    }
    if (rc == RC_OK && action == DSN_DELAYED)
        rc = buf_printf(out, "\n%s: %s\n", w->until, date_print(d->give_up, date));
    if (rc == RC_OK && d->log.n > 0)
        rc = buf_printf(out, "\n%s\n%.*s\n", w->log, STR_ARG(d->log));
    if (rc == RC_OK)
        rc = buf_printf(out, "\n%s\n", w->more);
    return rc == RC_OK && d->link.n > 0
               ? buf_printf(out, "%s: %.*s\n\n", w->link, STR_ARG(one_line(d->link, a)))
               : rc;
}

static enum rc print_recipient(const struct dsn *d, const struct dsn_recipient *r,
                               struct arena *a, struct buf *out)
{
    const char *type = d->is_utf8 && !str_is_ascii(r->final) ? "utf-8" : "rfc822";
    char date[DATE_TEXT_BYTES];
    enum rc rc = buf_add_str(out, STR("\n"));
    size_t semicolon = str_find(r->orcpt, ';');
    if (rc == RC_OK && semicolon != SIZE_MAX)
        rc = buf_printf(out, "Original-Recipient: %.*s; %.*s\n",
                        STR_ARG(one_line(str_head(r->orcpt, semicolon), a)),
                        STR_ARG(xtext_value(str_skip(r->orcpt, semicolon + 1), a)));
    if (rc == RC_OK)
        rc = buf_printf(out, "Final-Recipient: %s; %.*s\nAction: %s\nStatus: %.*s\n", type,
                        STR_ARG(one_line(r->final, a)), actions[r->action],
                        STR_ARG(r->reason.status));
    if (rc == RC_OK && r->reason.host.n > 0)
        rc = buf_printf(
            out, "Remote-MTA: dns; %.*s\nDiagnostic-Code: smtp; %.*s\n",
            STR_ARG(one_line(
                str_head(r->reason.host, MIN(str_find(r->reason.host, '['), r->reason.host.n)),
                a)),
            STR_ARG(one_line(r->reason.text, a)));
    else if (rc == RC_OK && r->reason.text.n > 0)
        rc = buf_printf(out, "Diagnostic-Code: x-hikyaku; %.*s\n",
                        STR_ARG(one_line(r->reason.text, a)));
    if (rc == RC_OK)
        rc = buf_printf(out, "Last-Attempt-Date: %s\n", date_print(d->now, date));
    if (rc == RC_OK && r->action == DSN_DELAYED)
        rc = buf_printf(out, "Will-Retry-Until: %s\n", date_print(d->give_up, date));
    return rc;
}

static enum rc print_status(const struct dsn *d, struct str boundary, struct arena *a,
                            struct buf *out)
{
    char date[DATE_TEXT_BYTES];
    enum rc rc = buf_printf(out,
                            "--%.*s\nContent-Type: message/%sdelivery-status\n\n"
                            "Reporting-MTA: dns; %.*s\n",
                            STR_ARG(boundary), d->is_utf8 ? "global-" : "", STR_ARG(d->server));
    if (rc == RC_OK && d->envid.n > 0)
        rc = buf_printf(out, "Original-Envelope-Id: %.*s\n", STR_ARG(xtext_value(d->envid, a)));
    if (rc == RC_OK)
        rc = buf_printf(out, "X-Queue-Id: %.*s\nArrival-Date: %s\n", STR_ARG(d->queue_id),
                        date_print(d->arrived, date));
    for (size_t i = 0; i < d->recipient_count && rc == RC_OK; i++)
        rc = print_recipient(d, &d->recipients[i], a, out);
    return rc == RC_OK ? buf_add_str(out, STR("\n")) : rc;
}

static enum rc print_original(const struct dsn *d, struct str boundary, struct buf *out)
{
    bool eight = !str_is_ascii(d->original);
    const char *type = d->is_whole  ? d->is_utf8 ? "message/global" : "message/rfc822"
                       : d->is_utf8 ? "message/global-headers"
                                    : "text/rfc822-headers";
    enum rc rc = buf_printf(out, "--%.*s\nContent-Type: %s\n%s\n", STR_ARG(boundary), type,
                            eight ? "Content-Transfer-Encoding: 8bit\n" : "");
    if (rc == RC_OK)
        rc = buf_add_str(out, d->original);
    return rc == RC_OK ? buf_printf(out, "\n--%.*s--\n", STR_ARG(boundary)) : rc;
}

enum rc dsn_print(const struct dsn *d, struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct words *w = d->japanese ? &in_japanese : &english;
    bool ascii = is_ascii_report(d) && str_is_ascii(d->original);
    /* No line of the original can be this: it holds a number drawn for the report. */
    struct str boundary =
        arena_printf(&a, "=_report_%016" PRIx64 "_%.*s",
                     hash_text(d->message_id, false, hash_seed()), STR_ARG(d->queue_id));
    enum rc rc = print_header(d, w, boundary, ascii, out);
    if (rc == RC_OK)
        rc = print_people(d, w, boundary, ascii, &a, out);
    if (rc == RC_OK)
        rc = print_status(d, boundary, &a, out);
    return rc == RC_OK ? print_original(d, boundary, out) : rc;
}

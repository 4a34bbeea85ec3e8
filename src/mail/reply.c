/* reply.c - see reply.h. */
#include "mail/reply.h"
#include "mail/encoded.h"
#include "mail/header.h"

#define SUBJECT_MAX ((size_t)900)
#define MESSAGE_ID_MAX ((size_t)250)
#define TEXT_MAX ((size_t)512 << 10)

/* --- whom not to answer ------------------------------------------------------------------- */

static struct str value_of(struct str header, struct str name)
{
    struct str found;
    while (header.n > 0) {
        struct str field = header_next_field(&header, &found);
        if (str_ieq(found, name))
            return header_value(field);
    }
    return STR("");
}

/* A word of the field's value, up to a blank, `;` or `,`. */
static bool has_word(struct str value, struct str word)
{
    while (value.n > 0) {
        size_t n = 0;
        while (n < value.n && strchr(" \t\n;,", value.p[n]) == NULL)
            n++;
        if (str_ieq(str_head(value, n), word))
            return true;
        value = str_skip(value, MIN(n + 1, value.n));
    }
    return false;
}

static bool is_automatic(struct str header)
{
    struct str value = value_of(header, STR("Auto-Submitted"));
    return value.n > 0 && !has_word(str_head(value, MIN(value.n, (size_t)3)), STR("no"));
}

/* A field of mailing lists (RFC 2369, RFC 2919). */
static bool is_of_list(struct str header)
{
    struct str name;
    while (header.n > 0) {
        (void)header_next_field(&header, &name);
        if (str_istarts(name, STR("List-")) || str_ieq(name, STR("Mailing-List")))
            return true;
    }
    return false;
}

static bool is_bulk(struct str header)
{
    static const char *const words[] = { "bulk", "junk", "list" };
    struct str value = value_of(header, STR("Precedence"));
    bool any = has_word(value_of(header, STR("X-Spam-Flag")), STR("YES"));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        any = any || has_word(value, str_from_c(words[i]));
    return any;
}

static bool wants_none(struct str header)
{
    static const char *const words[] = { "All", "OOF", "AutoReply" };
    struct str value = value_of(header, STR("X-Auto-Response-Suppress"));
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        any = any || has_word(value, str_from_c(words[i]));
    return any;
}

/* A name that programs have. */
static bool is_program(struct str local)
{
    static const char *const starts[] = { "owner-",   "noreply",    "no-reply",
                                          "no_reply", "donotreply", "do-not-reply",
                                          "bounce",   "listserv",   "majordomo" };
    static const char *const ends[] = { "-request", "-owner", "-bounces", "-noreply",
                                        "-no-reply" };
    bool any = str_ieq(local, STR("mailer-daemon"));
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        any = any || str_istarts(local, str_from_c(starts[i]));
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        any = any || str_iends(local, str_from_c(ends[i]));
    return any;
}

static bool is_own(const struct address *a, const struct address *own, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (address_eq(a, &own[i]))
            return true;
    return false;
}

static bool names_own(struct str header, const struct address *own, size_t count)
{
    static const char *const names[] = { "To", "Cc", "Resent-To", "Resent-Cc" };
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str name, text;
    struct address a;
    while (header.n > 0) {
        struct str field = header_next_field(&header, &name), list = header_value(field);
        bool fits = false;
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            fits = fits || str_ieq(name, str_from_c(names[i]));
        while (fits && header_next_address(&list, &mem, &text))
            if (address_parse(text, ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8, &mem,
                              &a, NULL) == RC_OK &&
                is_own(&a, own, count))
                return true;
    }
    return false;
}

const char *reply_why_not(struct str header, const struct address *sender,
                          const struct address *own, size_t count)
{
    if (sender->is_null)
        return "it has no sender";
    if (is_program(sender->local))
        return "its sender is a program";
    if (is_own(sender, own, count))
        return "it is the account's own";
    if (is_automatic(header))
        return "a program sent it";
    if (is_of_list(header))
        return "it came by a mailing list";
    if (is_bulk(header))
        return "it is bulk mail";
    if (wants_none(header))
        return "its sender wants no automatic answer";
    return names_own(header, own, count) ? NULL : "it isn't addressed to the account";
}

const char *notice_why_not(struct str header, const struct address *sender)
{
    return sender->is_null && is_automatic(header) ? "a program sent it" : NULL;
}

/* --- printing ----------------------------------------------------------------------------- */

/* The message's own subject, as it is written there, if that can stand in a header of ours. */
static struct str subject_of(struct str header)
{
    struct str value = value_of(header, STR("Subject"));
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool folds =
            c == '\n' && i + 1 < value.n && (value.p[i + 1] == ' ' || value.p[i + 1] == '\t');
        if ((c < 0x20 && c != '\t' && !folds) || c >= 0x7f)
            return STR("");
    }
    return value.n > SUBJECT_MAX ? STR("") : value;
}

static enum rc print_subject(const struct reply *r, const char *before, struct buf *out)
{
    enum rc rc = buf_add_str(out, STR("Subject:"));
    if (rc == RC_OK && r->subject.n > 0)
        rc = encoded_print(r->subject, out);
    else if (rc == RC_OK)
        rc = buf_printf(out, " %s%.*s", before, STR_ARG(subject_of(r->header)));
    return rc == RC_OK ? buf_add(out, "\n", 1) : rc;
}

/* In-Reply-To and References (RFC 5322 3.6.4). */
static enum rc print_reference(struct str header, struct buf *out)
{
    struct str id = value_of(header, STR("Message-ID"));
    bool good = id.n > 2 && id.n <= MESSAGE_ID_MAX && id.p[0] == '<' && id.p[id.n - 1] == '>' &&
                str_is_ascii(id) && !str_has_control(id) && str_find(id, ' ') == SIZE_MAX;
    return good ? buf_printf(out, "In-Reply-To: %.*s\nReferences: %.*s\n", STR_ARG(id),
                             STR_ARG(id))
                : RC_OK;
}

/* ASCII as it is; other text as base64, which every server carries. */
static enum rc print_body(const struct str *lines, size_t count, struct buf *out)
{
    struct buf text AUTO_RELEASE_BUF;
    bool ascii = true;
    enum rc rc = RC_OK;
    buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < count; i++)
        ascii = ascii && str_is_ascii(lines[i]);
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        rc = buf_printf(&text, "%.*s%s", STR_ARG(lines[i]), ascii ? "\n" : "\r\n");
    if (rc == RC_OK)
        rc = buf_printf(out,
                        "MIME-Version: 1.0\nContent-Type: text/plain; charset=%s\n"
                        "Content-Transfer-Encoding: %s\n\n",
                        ascii ? "us-ascii" : "utf-8", ascii ? "7bit" : "base64");
    if (rc != RC_OK)
        return rc;
    return ascii ? buf_add_str(out, buf_str(&text)) : base64_print_lines(buf_str(&text), out);
}

static enum rc print_head(const struct reply *r, const char *submitted, struct buf *out)
{
    return buf_printf(out,
                      "Date: %.*s\nFrom: <%.*s>\nTo: %.*s\nMessage-ID: %.*s\n"
                      "Auto-Submitted: %s\nX-Auto-Response-Suppress: All\n",
                      STR_ARG(r->date), STR_ARG(r->from), STR_ARG(r->to),
                      STR_ARG(r->message_id), submitted);
}

enum rc reply_print(const struct reply *r, struct buf *out)
{
    enum rc rc = print_head(r, "auto-replied", out);
    if (rc == RC_OK)
        rc = print_subject(r, "Auto: ", out);
    if (rc == RC_OK)
        rc = print_reference(r->header, out);
    return rc == RC_OK ? print_body(r->lines, r->count, out) : rc;
}

enum rc notice_print(const struct reply *r, struct str sender, bool japanese, struct buf *out)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct str lines[] = {
        arena_printf(&a, "%s%.*s%s", japanese ? "" : "A message for ", STR_ARG(r->from),
                     japanese ? " 宛てにメールが届きました。" : " has come."),
        STR(""),
        arena_printf(&a, "%s: %.*s", japanese ? "差出人" : "From", STR_ARG(sender)),
        arena_printf(&a, "%s: %.*s", japanese ? "日時" : "Date", STR_ARG(r->date)),
    };
    enum rc rc = print_head(r, "auto-generated", out);
    if (rc == RC_OK)
        rc = print_subject(r, "", out);
    return rc == RC_OK ? print_body(lines, ARRAY_LEN(lines), out) : rc;
}

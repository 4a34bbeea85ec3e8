/*
 * moderate.c - posts that wait for a moderator: the notice to him, the addresses that his
 * answers go to, and what his decision leaves in the entry's journal. Called by smtpd (is there
 * anything behind such an address?) and by the queue.
 *
 * An answer's address is LIST-ok-IDWORD@DOMAIN or LIST-no-IDWORD@DOMAIN. The word is 48 random
 * bits that only the notice tells; whoever knows it may decide, once.
 */
#include "lists/lists_int.h"
#include "mail/data.h"
#include "mail/date.h"

#define ID_OCTETS 21u
#define WORD_OCTETS 12u
#define LOCAL_MAX 64u /* RFC 5321 4.5.3.1.1 */
#define WHOLE_MAX ((uint64_t)256 * 1024)

bool list_is_held(const struct spool_entry *entry)
{
    return entry->env.approval.n > 0 && !entry->approved;
}

/* --- the notice -------------------------------------------------------------------------- */

static struct str host_name(void)
{
    const struct options *o = conf();
    return o->smtp_server_domain.n > 0 ? o->smtp_server_domain : o->root_domain;
}

static struct str postmaster(struct arena *a)
{
    const struct options *o = conf();
    return o->post_master.n > 0 ? o->post_master
                                : arena_printf(a, "postmaster@%.*s", STR_ARG(o->root_domain));
}

static size_t moderators(const struct list *l, struct arena *a, struct envelope_recipient **out)
{
    struct str all = l->options.list_moderators, rest, word;
    size_t most = 1, count = 0;
    if (str_trim(all).n == 0)
        all = l->sender.is_null ? postmaster(a) : address_print(&l->sender, a);
    for (size_t i = 0; i < all.n; i++)
        most += all.p[i] == ',';
    struct envelope_recipient *list = arena_new_array(a, struct envelope_recipient, most);
    for (rest = all; rest.n > 0 && str_cut(&rest, ',', &word);) {
        struct envelope_recipient r = { .notify = NOTIFY_NEVER, .orcpt = STR("") };
        if (!list_address(word, a, &r.address))
            continue;
        r.resolved = users_meaning(&r.address, a);
        list[count++] = r;
    }
    *out = list;
    return count;
}

/* The value of a field as it stands, unfolded; empty: not there. */
static struct str field_value(struct str header, struct str name, struct arena *a)
{
    while (header.n > 0) {
        size_t lf = str_find(header, '\n'), end = lf == SIZE_MAX ? header.n : lf + 1;
        while (end < header.n && (header.p[end] == ' ' || header.p[end] == '\t')) {
            lf = str_find(str_skip(header, end), '\n');
            end = lf == SIZE_MAX ? header.n : end + lf + 1;
        }
        struct str field = str_head(header, end);
        size_t colon = str_find(field, ':');
        header = str_skip(header, end);
        if (colon == SIZE_MAX || !str_ieq(str_trim(str_head(field, colon)), name))
            continue;
        char *text = arena_c(a, str_trim(str_skip(field, colon + 1)));
        for (char *p = text; *p != '\0'; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7f)
                *p = ' ';
        return str_head(str_from_c(text), 400);
    }
    return STR("");
}

/* The address for an answer; empty: the list's name leaves no room for one. */
static struct str answer_address(const struct spool_entry *entry, const struct list *l,
                                 const char *verdict, struct arena *a)
{
    struct str local = arena_printf(a, "%.*s-%s-%.*s%.*s", STR_ARG(l->address.local), verdict,
                                    STR_ARG(entry->id), STR_ARG(entry->env.approval));
    return local.n > LOCAL_MAX
               ? STR("")
               : arena_printf(a, "%.*s@%.*s", STR_ARG(local), STR_ARG(l->address.domain));
}

static enum rc print_text(const struct spool_entry *entry, const struct list *l,
                          struct str header, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    bool ja = options_report_in_japanese(l->address.domain);
    struct str ok = answer_address(entry, l, "ok", &mem),
               no = answer_address(entry, l, "no", &mem);
    enum rc rc = buf_printf(
        out,
        ja ? "メーリングリスト %.*s への投稿が、承認を待っています。\n\n"
           : "A message to the list %.*s waits for a moderator. Nobody gets it before.\n\n",
        STR_ARG(address_print(&l->address, &mem)));
    if (rc == RC_OK)
        rc = buf_printf(
            out,
            ja ? "  差出人: <%.*s>\n  件名:   %.*s\n  大きさ: %" PRIu64 " オクテット\n\n"
               : "  From:    <%.*s>\n  Subject: %.*s\n  Size:    %" PRIu64 " octets\n\n",
            STR_ARG(address_print(&entry->env.reverse_path, &mem)),
            STR_ARG(field_value(header, STR("Subject"), &mem)), entry->wire_octets);
    if (rc == RC_OK && ok.n > 0)
        rc = buf_printf(out,
                        ja ? "配信するには、次の宛先に空のメールを送ってください。\n  %.*s\n"
                             "配信せず断るには、次の宛先に送ってください。\n  %.*s\n\n"
                           : "To let it through, send an empty mail to\n  %.*s\n"
                             "To refuse it, send an empty mail to\n  %.*s\n\n",
                        STR_ARG(ok), STR_ARG(no));
    if (rc == RC_OK)
        rc = buf_printf(out,
                        ja ? "サーバー上では:\n  hikyaku lists approve %.*s\n"
                             "  hikyaku lists reject %.*s\n"
                           : "On the server:\n  hikyaku lists approve %.*s\n"
                             "  hikyaku lists reject %.*s\n",
                        STR_ARG(entry->id), STR_ARG(entry->id));
    return rc;
}

/* The whole notice, with the message, or its header where that is large. */
static enum rc print_notice(const struct spool_entry *entry, const struct list *l,
                            const struct envelope_recipient *to, size_t to_count,
                            struct str message, bool whole, struct str header, struct buf *out)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    char date[DATE_TEXT_BYTES];
    struct str id = message_id_new(host_name(), &mem), master = postmaster(&mem),
               list = address_print(&l->address, &mem);
    struct str mark = arena_printf(&mem, "hikyaku-%.*s-%.*s", STR_ARG(entry->id),
                                   STR_ARG(entry->env.approval));
    enum rc rc = buf_printf(out, "From: %.*s\nTo: ", STR_ARG(master));
    for (size_t i = 0; i < to_count && rc == RC_OK; i++)
        rc = buf_printf(out, "%s%.*s", i == 0 ? "" : ",\n ",
                        STR_ARG(address_print(&to[i].address, &mem)));
    if (rc == RC_OK)
        rc = buf_printf(out,
                        "\nSubject: %.*s: a message waits for approval\nDate: %s\n"
                        "Message-ID: %.*s\nAuto-Submitted: auto-generated\n"
                        "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n"
                        "\tboundary=\"%.*s\"\n\n--%.*s\n"
                        "Content-Type: text/plain; charset=utf-8\n"
                        "Content-Transfer-Encoding: 8bit\n\n",
                        STR_ARG(list), date_print(clock_wall(), date), STR_ARG(id),
                        STR_ARG(mark), STR_ARG(mark));
    if (rc == RC_OK)
        rc = print_text(entry, l, header, out);
    if (rc == RC_OK)
        rc = buf_printf(out, "\n--%.*s\nContent-Type: %s\n%s\n", STR_ARG(mark),
                        whole ? "message/rfc822" : "text/rfc822-headers",
                        str_is_ascii(message) ? "" : "Content-Transfer-Encoding: 8bit\n");
    if (rc == RC_OK)
        rc = buf_add_str(out, message);
    return rc == RC_OK ? buf_printf(out, "\n--%.*s--\n", STR_ARG(mark)) : rc;
}

static struct str read_message(const struct spool_entry *entry, struct arena *a)
{
    char *p = arena_new(a, (size_t)entry->message_octets + 1);
    ssize_t n =
        io_pread(entry->message_fd, p, (size_t)entry->message_octets, entry->message_offset);
    return str_from(p, n < 0 ? 0 : (size_t)n);
}

static enum rc put_notice(const struct envelope *env, struct str text, struct arena *a,
                          struct str *out_id, struct err *e)
{
    struct spool_put *put = NULL;
    enum rc rc = spool_put_begin(env, &put, e);
    if (rc == RC_OK)
        rc = spool_put_write(put, text, data_wire_octets(text), e);
    if (rc == RC_OK)
        return spool_put_commit(&put, a, out_id, e);
    spool_put_abort(&put);
    return rc;
}

enum rc list_tell_moderators(const struct spool_entry *entry, const struct list *l,
                             list_made_fn *made, void *ctx, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct buf text AUTO_RELEASE_BUF;
    struct envelope_recipient *to = NULL;
    struct str header, id;
    uint64_t end = 0;
    bool whole = entry->message_octets <= WHOLE_MAX;
    size_t count = moderators(l, &mem, &to);
    enum rc rc = spool_read_header(entry, &mem, &header, &end, e);
    buf_init(&text, 2 * LIST_HEADER_MAX);
    if (rc != RC_OK)
        return rc;
    struct envelope env = { .reverse_path = { .is_null = true },
                            .received_at = clock_wall(),
                            .body_8bit = true,
                            .recipient_count = count,
                            .recipients = to };
    for (size_t i = 0; i < count; i++)
        env.smtputf8 = env.smtputf8 || to[i].resolved.needs_utf8;
    if (count == 0)
        return err_temp(e, "4.3.5", "the list has no moderator");
    if (print_notice(entry, l, to, count, whole ? read_message(entry, &mem) : header, whole,
                     header, &text) != RC_OK)
        return err_temp(e, "4.3.1", "the notice is too large");
    rc = put_notice(&env, buf_str(&text), &mem, &id, e);
    if (rc == RC_OK)
        made(ctx, id);
    return rc;
}

/* --- the answer -------------------------------------------------------------------------- */

static bool is_hex(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
            return false;
    return true;
}

bool list_decision_parse(const struct address *to, struct arena *a, struct list_decision *out)
{
    size_t code = ID_OCTETS + WORD_OCTETS, dash = str_rfind(to->local, '-');
    if (dash == SIZE_MAX || dash < 4 || to->local.n - dash - 1 != code)
        return false;
    struct str tail = str_skip(to->local, dash + 1), verdict = str_skip(to->local, dash - 3);
    bool approve = str_istarts(verdict, STR("-ok-"));
    char *lower = arena_c(a, tail);
    for (size_t i = 0; i < tail.n; i++)
        lower[i] = ascii_lower(lower[i]);
    tail = str_from(lower, tail.n);
    if ((!approve && !str_istarts(verdict, STR("-no-"))) || !is_hex(tail))
        return false;
    struct recipient r;
    struct err e;
    struct address list = { .local = str_head(to->local, dash - 3), .domain = to->domain };
    if (users_resolve(&list, a, &r, &e) != RC_OK || r.kind != RECIPIENT_LIST)
        return false;
    *out = (struct list_decision){ .approve = approve,
                                   .id = str_head(tail, ID_OCTETS),
                                   .word = str_skip(tail, ID_OCTETS),
                                   .account = r.account };
    return true;
}

/* The entry that waits for this word. */
static enum rc open_held(const struct list_decision *d, struct arena *a,
                         struct spool_entry *out, struct err *e)
{
    enum rc rc = spool_open(d->id, a, out, e);
    if (rc != RC_OK)
        return e->sys == ENOENT ? err_perm(e, "5.1.1", "no message waits for this") : rc;
    const struct envelope *env = &out->env;
    if (list_is_held(out) && str_eq(env->approval, d->word) &&
        out->states[0] == DELIVERY_PENDING &&
        str_ieq(env->recipients[0].resolved.local, d->account.name) &&
        str_ieq(env->recipients[0].resolved.domain, d->account.domain))
        return RC_OK;
    spool_close(out);
    return err_perm(e, "5.1.1", "no message waits for this");
}

enum rc list_decision_check(const struct list_decision *d, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry;
    enum rc rc = open_held(d, &mem, &entry, e);
    if (rc == RC_OK)
        spool_close(&entry);
    return rc;
}

enum rc list_decide(const struct list_decision *d, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry;
    struct str refusal = STR("the moderator refused it");
    enum rc rc = open_held(d, &mem, &entry, e);
    if (rc != RC_OK)
        return rc;
    rc = list_decide_open(&entry, d->approve ? NULL : &refusal, e);
    spool_close(&entry);
    return rc;
}

enum rc list_decide_open(struct spool_entry *entry, const struct str *reason, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    if (!list_is_held(entry) || entry->states[0] != DELIVERY_PENDING)
        return err_perm(e, "5.5.1", "it doesn't wait for a moderator");
    log_info(EV(reason == NULL ? "post approved" : "post refused"), KS("id", entry->id));
    enum rc rc = reason == NULL
                     ? spool_record_mark(entry, SPOOL_APPROVED, e)
                     : spool_record(entry, 0, DELIVERY_FAILED,
                                    arena_printf(&mem, "5.7.1 - %.*s", STR_ARG(*reason)), e);
    return rc == RC_OK ? spool_record_sync(entry, e) : rc;
}

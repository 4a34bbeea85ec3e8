/*
 * report.c - reports as queue entries of their own, with the null sender (or PostMaster's where
 * NoSenderBounce is 0), never about a report (RFC 3834, RFC 5321 6.1). A failed message without
 * a sender goes to PostMaster, where entries aren't kept.
 */
#include "mail/date.h"
#include "mail/dsn.h"
#include "queue/queue_int.h"
#include "sys/io.h"
#include "users/users.h"

#define HEADER_MAX ((size_t)256 * 1024)
#define WHOLE_MAX ((uint64_t)10 << 20) /* RET=FULL of larger ones gets the header */
#define STORY_BYTES ((size_t)64 * 1024)
#define REPORT_MAX ((size_t)32 << 20)

static struct str postmaster(struct arena *a)
{
    const struct options *o = conf();
    return o->post_master.n > 0 ? o->post_master
                                : arena_printf(a, "postmaster@%.*s", STR_ARG(o->root_domain));
}

/* What of the message comes along: its header, with a few lines of its body where
 * NotifyMsgLinesExtra asks for them, or all of it. */
static struct str read_original(const struct spool_entry *entry, bool whole, struct arena *a)
{
    size_t n = whole ? (size_t)entry->message_octets
                     : (size_t)MIN(entry->message_octets, (uint64_t)HEADER_MAX);
    char *p = arena_new(a, n + 1);
    ssize_t got = io_pread(entry->message_fd, p, n, entry->message_offset);
    struct str text = str_from(p, got < 0 ? 0 : (size_t)got);
    if (whole)
        return text;
    size_t end = str_find_str(text, STR("\n\n"));
    end = end == SIZE_MAX ? text.n : end + 1;
    if (conf()->notify_msg_lines_extra > 0 && end < text.n)
        end++;
    for (int64_t i = 0; i < conf()->notify_msg_lines_extra && end < text.n; i++) {
        size_t lf = str_find(str_skip(text, end), '\n');
        end = lf == SIZE_MAX ? text.n : end + lf + 1;
    }
    return str_head(text, end);
}

/* For NotifySendLogToSender: what happened when. Not more than a person reads. */
static struct str story(const struct spool_entry *entry, struct arena *a)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, STORY_BYTES);
    for (const struct spool_line *l = entry->history; l != NULL; l = l->next)
        if (buf_printf(&text, "%.*s\n", STR_ARG(l->text)) != RC_OK)
            break;
    return arena_str(a, buf_str(&text));
}

/* The page of the message, where the administrator said how the pages are reached. */
static struct str link_to(struct str id, struct arena *a)
{
    struct str base = conf()->web_address;
    if (!str_istarts(base, STR("https://")) && !str_istarts(base, STR("http://")))
        return STR("");
    return arena_printf(a, "%.*s%smessages/%.*s", STR_ARG(base),
                        str_ends(base, STR("/")) ? "" : "/", STR_ARG(id));
}

/* Is the recipient's fate one that the sender wants to hear of (RFC 3461 4.1)? */
static bool is_wanted(const struct envelope_recipient *r, enum report_kind kind)
{
    if (kind == REPORT_SUCCESS)
        return (r->notify & NOTIFY_SUCCESS) != 0;
    unsigned bit = kind == REPORT_FAILURE ? NOTIFY_FAILURE : NOTIFY_DELAY;
    return r->notify == 0 || (r->notify & bit) != 0;
}

static void fill(const struct spool_entry *entry, size_t i, enum report_kind kind, bool relayed,
                 struct arena *a, struct dsn_recipient *out)
{
    static const char *const statuses[] = { "5.0.0", "4.0.0", "2.0.0" };
    const struct envelope_recipient *r = &entry->env.recipients[i];
    *out = (struct dsn_recipient){
        .address = address_print(&r->address, a),
        .final = address_print(&r->resolved, a),
        .orcpt = r->orcpt,
        .action = kind == REPORT_FAILURE ? DSN_FAILED
                  : kind == REPORT_DELAY ? DSN_DELAYED
                  : relayed              ? DSN_RELAYED
                                         : DSN_DELIVERED,
        .reason = reason_parse(entry->reasons[i], statuses[kind]),
    };
    if (kind == REPORT_FAILURE && str_starts(out->reason.status, STR("4.")))
        out->reason.status = arena_printf(a, "5%.*s", STR_ARG(str_skip(out->reason.status, 1)));
    if (kind == REPORT_SUCCESS)
        out->reason = (struct reason){ STR("2.0.0"), STR(""), STR("") };
}

static enum rc put(const struct dsn *d, const struct address *from, const struct address *to,
                   struct arena *a, notify_fn *notify, void *ctx, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct spool_put *spool = NULL;
    struct str id;
    buf_init(&text, REPORT_MAX);
    struct envelope_recipient recipient = { .address = *to,
                                            .resolved = users_meaning(to, a),
                                            .notify = NOTIFY_NEVER,
                                            .orcpt = STR("") };
    struct envelope env = {
        .reverse_path = *from,
        .auth_user = STR(""),
        .client = STR(""),
        .server = STR(""),
        .helo = STR(""),
        .received_at = d->now,
        .smtputf8 = d->is_utf8,
        .envid = STR(""),
        .recipient_count = 1,
        .recipients = &recipient,
    };
    if (dsn_print(d, &text) != RC_OK)
        return err_temp(e, "4.3.1", "the report is too large");
    enum rc rc = spool_put_begin(&env, &spool, e);
    uint64_t lines = 0;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    if (rc == RC_OK)
        rc = spool_put_write(spool, buf_str(&text), text.n + lines, e);
    if (rc == RC_OK)
        rc = spool_put_commit(&spool, a, &id, e);
    else
        spool_put_abort(&spool);
    if (rc == RC_OK) {
        log_info(EV("report made"), KS("id", id), KS("about", d->queue_id), KS("rcpt", d->to),
                 KS("message_id", d->message_id));
        notify(ctx, id);
    }
    return rc;
}

/* Also to ErrorsAdmin, TempErrorsAdmin. */
static enum rc put_to_all(struct dsn *d, const struct address *from, const struct address *to,
                          struct str admin, struct arena *a, notify_fn *notify, void *ctx,
                          struct err *e)
{
    struct address extra;
    enum rc rc = put(d, from, to, a, notify, ctx, e);
    if (rc != RC_OK || admin.n == 0)
        return rc;
    if (address_parse(admin, ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED, a, &extra, e) != RC_OK) {
        log_warn(EV("setting not used"), KS("value", admin), KE(e));
        return RC_OK;
    }
    d->to = admin;
    const struct address null = { .is_null = true };
    return put(d, &null, &extra, a, notify, ctx, e);
}

enum rc report_send(const struct spool_entry *entry, enum report_kind kind, const bool *which,
                    const bool *relayed, usec_t give_up, notify_fn *notify, void *ctx,
                    struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    const struct envelope *env = &entry->env;
    struct dsn_recipient *list =
        arena_new_array(&a, struct dsn_recipient, env->recipient_count + 1);
    bool double_bounce = env->reverse_path.is_null;
    size_t n = 0;
    for (size_t i = 0; i < env->recipient_count; i++)
        if (which[i] && (double_bounce || is_wanted(&env->recipients[i], kind)))
            fill(entry, i, kind, relayed[i], &a, &list[n++]);
    if (n == 0 || env->goes_along != ALONG_NOT ||
        (double_bounce && (kind != REPORT_FAILURE || !conf()->remove_spool_errors)))
        return RC_OK;
    struct address to = env->reverse_path, from = { .is_null = true };
    struct str master = postmaster(&a);
    if (double_bounce && address_parse(master, ADDRESS_LOOSE_DOTS, &a, &to, e) != RC_OK)
        return RC_OK;
    for (size_t i = 0; double_bounce && i < env->recipient_count; i++)
        if (address_eq(&env->recipients[i].address, &to))
            return RC_OK; /* a report to PostMaster that failed: there is nobody left */
    if (!conf()->no_sender_bounce && !double_bounce &&
        address_parse(master, ADDRESS_LOOSE_DOTS, &a, &from, e) != RC_OK)
        from = (struct address){ .is_null = true };
    bool whole =
        kind == REPORT_FAILURE && env->ret == RET_FULL && entry->message_octets <= WHOLE_MAX;
    struct dsn d = {
        .server = options_server_name(),
        .from = master,
        .to = address_print(&to, &a),
        .envid = env->envid,
        .message_id = message_id_new(options_server_name(), &a),
        .queue_id = entry->id,
        .arrived = env->received_at,
        .now = clock_wall(),
        .give_up = give_up,
        .japanese = options_report_in_japanese(to.domain),
        .is_utf8 = env->smtputf8,
        .recipients = list,
        .recipient_count = n,
        .log = STR(""),
        .link = link_to(entry->id, &a),
        .original = read_original(entry, whole, &a),
        .is_whole = whole,
    };
    if (conf()->notify_send_log_to_sender)
        d.log = story(entry, &a);
    struct str admin = kind == REPORT_FAILURE ? conf()->errors_admin
                       : kind == REPORT_DELAY ? conf()->temp_errors_admin
                                              : STR("");
    return put_to_all(&d, &from, &to, admin, &a, notify, ctx, e);
}

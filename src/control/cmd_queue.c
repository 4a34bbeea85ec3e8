/*
 * cmd_queue.c - froz*, etrn, queueorder: entries that were given up, and words to the queue.
 * XMail's spool has two levels of folders; ours are shown as "0" "0", and taken as anything.
 */
#include "control/control_int.h"
#include "mail/date.h"
#include "spool/spool.h"
#include "sys/file.h"

#define MESSAGE_MAX (TAB_FILE_MAX - ((uint64_t)16 << 20)) /* room for the envelope */

static struct str path_text(const struct address *address, struct arena *a)
{
    return arena_printf(a, "<%.*s>", STR_ARG(address_print(address, a)));
}

static struct str time_text(usec_t wall, struct arena *a)
{
    char text[CLOCK_TEXT_BYTES];
    return arena_str(a, str_from_c(clock_print(wall, text)));
}

/* The first recipient that failed; the first of all when there is none. */
static size_t failed_one(const struct spool_entry *entry)
{
    for (size_t i = 0; i < entry->env.recipient_count; i++)
        if (entry->states[i] == DELIVERY_FAILED || entry->states[i] == DELIVERY_REPORTED)
            return i;
    return 0;
}

static bool list_one(void *ctx, struct str id)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct ctrl *c = ctx;
    struct spool_entry entry;
    struct err e;
    if (spool_open_frozen(id, &a, &entry, &e) != RC_OK)
        return true;
    const struct str row[] = {
        id,
        STR("0"),
        STR("0"),
        path_text(&entry.env.reverse_path, &a),
        path_text(&entry.env.recipients[failed_one(&entry)].address, &a),
        time_text(entry.env.received_at, &a),
        arena_printf(&a, "%" PRIu64, entry.wire_octets),
        arena_printf(&a, "%u", entry.tries + 1),
        STR("froz"),
    };
    ctrl_text_row(c, row, ARRAY_LEN(row));
    spool_close(&entry);
    return true;
}

enum admin_result ctrl_frozlist(struct ctrl *c, struct err *e)
{
    buf_init(&c->text, TAB_FILE_MAX);
    c->has_text = true;
    return spool_scan_frozen(list_one, c, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_OPEN;
}

/* The id of the command's third parameter; false: no name of an entry. */
static bool take_id(struct ctrl *c, struct str *out)
{
    *out = ctrl_param(c, 3);
    return spool_id_is_valid(*out);
}

enum admin_result ctrl_frozsubmit(struct ctrl *c, struct err *e)
{
    struct str id;
    if (!take_id(c, &id))
        return str_has_any(ctrl_param(c, 3), "/\\") ? ADMIN_BAD_PATH : ADMIN_NO_SPOOL_FILE;
    if (spool_thaw(id, e) != RC_OK)
        return e->sys == ENOENT ? ADMIN_NO_SPOOL_FILE : ADMIN_CANT_WRITE;
    if (ctrl_hooks()->queued != NULL)
        (void)ctrl_hooks()->queued(id); /* a queue role that doesn't run finds it */
    return ADMIN_OK;
}

enum admin_result ctrl_frozdel(struct ctrl *c, struct err *e)
{
    struct str id;
    if (!take_id(c, &id))
        return str_has_any(ctrl_param(c, 3), "/\\") ? ADMIN_BAD_PATH : ADMIN_OK;
    if (spool_remove_frozen(id, e) == RC_OK || e->sys == ENOENT)
        return ADMIN_OK;
    return ADMIN_CANT_WRITE;
}

static enum admin_result open_frozen(struct ctrl *c, struct spool_entry *out, struct err *e)
{
    struct str id;
    if (!take_id(c, &id))
        return str_has_any(ctrl_param(c, 3), "/\\") ? ADMIN_BAD_PATH : ADMIN_CANT_OPEN;
    buf_init(&c->text, TAB_FILE_MAX);
    return spool_open_frozen(id, &c->line_mem, out, e) == RC_OK ? ADMIN_OK : ADMIN_CANT_OPEN;
}

/* What happened, then what became of each recipient. */
enum admin_result ctrl_frozgetlog(struct ctrl *c, struct err *e)
{
    static const char *const states[] = { "waits", "delivered", "failed",
                                          "failed, sender told" };
    struct spool_entry entry;
    struct arena *a = &c->line_mem;
    enum admin_result result = open_frozen(c, &entry, e);
    if (result != ADMIN_OK)
        return result;
    c->has_text = true;
    enum rc rc = RC_OK;
    for (const struct spool_line *l = entry.history; l != NULL && rc == RC_OK; l = l->next)
        rc = buf_printf(&c->text, "%.*s\n", STR_ARG(l->text));
    for (size_t i = 0; i < entry.env.recipient_count && rc == RC_OK; i++)
        rc = buf_printf(&c->text, "%.*s %s: %.*s\n",
                        STR_ARG(path_text(&entry.env.recipients[i].address, a)),
                        states[entry.states[i]], STR_ARG(entry.reasons[i]));
    spool_close(&entry);
    return rc == RC_OK ? ADMIN_OK : ADMIN_CANT_OPEN;
}

/* The whole message behind what is in the answer. */
static enum rc add_message(struct ctrl *c, const struct spool_entry *entry, struct err *e)
{
    size_t n = (size_t)entry->message_octets, at = 0;
    ssize_t got = 1;
    if (entry->message_octets > MESSAGE_MAX || buf_reserve(&c->text, n) != RC_OK)
        return err_perm(e, "5.3.4", "the message is too large to be shown");
    for (; at < n && got > 0; at += (size_t)MAX(got, (ssize_t)0))
        got = io_pread(entry->message_fd, c->text.p + c->text.n + at, n - at,
                       entry->message_offset + at);
    c->text.n += at;
    return at == n ? RC_OK : err_temp(e, "4.3.0", "the message can't be read");
}

/* In the form of XMail's spool (specification 2, section 3). */
enum admin_result ctrl_frozgetmsg(struct ctrl *c, struct err *e)
{
    struct spool_entry entry;
    struct arena *a = &c->line_mem;
    enum admin_result result = open_frozen(c, &entry, e);
    if (result != ADMIN_OK)
        return result;
    char date[DATE_TEXT_BYTES];
    c->has_text = true;
    enum rc rc = buf_printf(
        &c->text, "%.*s;%.*s;%s\n%.*s\n%.*s\nMAIL FROM:%.*s\nRCPT TO:%.*s\n<<MAIL-DATA>>\n",
        STR_ARG(entry.env.client), STR_ARG(entry.env.server),
        date_print(entry.env.received_at, date), STR_ARG(options_server_name()),
        STR_ARG(entry.id), STR_ARG(path_text(&entry.env.reverse_path, a)),
        STR_ARG(path_text(&entry.env.recipients[failed_one(&entry)].resolved, a)));
    if (rc == RC_OK)
        rc = add_message(c, &entry, e);
    spool_close(&entry);
    return rc == RC_OK ? ADMIN_OK : ADMIN_CANT_OPEN;
}

enum admin_result ctrl_etrn(struct ctrl *c, struct err *e)
{
    (void)e;
    for (size_t i = 1; i < c->count; i++)
        if (ctrl_hooks()->order == NULL || !ctrl_hooks()->order(0, STR(""), c->parameters[i]))
            return ADMIN_LOCKED;
    return ADMIN_OK;
}

/* Ours: "try|hold|release|delete|reroute" "id" ["hosts"]. */
enum admin_result ctrl_queueorder(struct ctrl *c, struct err *e)
{
    static const char *const names[] = { "try",     "hold",    "release", "delete",
                                         "reroute", "approve", "reject" };
    (void)e;
    if (!spool_id_is_valid(ctrl_param(c, 2)))
        return ADMIN_NO_SPOOL_FILE;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(ctrl_param(c, 1), str_from_c(names[i])))
            return ctrl_hooks()->order != NULL &&
                           ctrl_hooks()->order(i, ctrl_param(c, 2), ctrl_param(c, 3))
                       ? ADMIN_OK
                       : ADMIN_LOCKED;
    return ADMIN_BAD_PARAMETER;
}

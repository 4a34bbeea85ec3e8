/*
 * along.c - commands of mailproc.tab and of groups that go along with a delivery: a Message-ID
 * where there is none, copies, notices, automatic answers (RFC 3834). Each is a step that is
 * done once, as those of commands.c.
 */
#include "base/day.h"
#include "mail/date.h"
#include "mail/header.h"
#include "mail/reply.h"
#include "queue/processing.h"

#define LETTER_MAX ((size_t)1 << 20)

/* The header; false: it can't be read now, and the recipient waits. One that is too long is
 * empty: nothing is known of such a message. */
static bool read_header(struct subject *s, struct str *out)
{
    struct err e = { .rc = RC_OK };
    uint64_t end = 0;
    enum rc rc = spool_read_header(s->entry, &s->mem, out, &end, &e);
    if (rc == RC_PERM)
        *out = STR("");
    else if (rc != RC_OK)
        subject_end(s, OUTCOME_TEMP, e.dsn, str_from_c(e.text));
    return rc == RC_OK || rc == RC_PERM;
}

static bool has_message_id(struct str header)
{
    struct str name;
    while (header.n > 0) {
        (void)header_next_field(&header, &name);
        if (str_ieq(name, STR("Message-ID")))
            return true;
    }
    return false;
}

static void add_message_id(struct subject *s, const struct step *step)
{
    struct str header, id = part_id(s, step->number, &s->mem);
    struct err e = { .rc = RC_OK };
    if (!read_header(s, &header))
        return;
    if (header.n == 0 || has_message_id(header)) {
        (void)subject_note(s, step->number, false);
        return;
    }
    struct str field = message_id_new(options_server_name(), &s->mem);
    field = arena_printf(&s->mem, "Message-ID: %.*s\n", STR_ARG(field));
    if (spool_exists(id) || part_with_field(s, step->number, field, &id, &e) == RC_OK)
        subject_go_on_as(s, id);
    else
        subject_end(s, OUTCOME_TEMP, e.dsn, str_from_c(e.text));
}

static void copy(struct subject *s, const struct step *step)
{
    struct address *to = NULL;
    size_t count = 0;
    struct err e = { .rc = RC_OK };
    if (!step_addresses(s, step, &to, &count))
        return;
    enum rc rc = part_redirect(s, step->number, to, count, PART_COPY, &e);
    if (rc == RC_PERM) { /* a copy that loops isn't the sender's matter */
        log_warn(EV("no copy"), KS("id", s->entry->id), KE(&e));
        (void)subject_note(s, step->number, false);
        return;
    }
    step_made(s, step, "COPY", rc, &e);
}

/* --- letters ------------------------------------------------------------------------------ */

static struct reply letter(struct subject *s, struct str to, struct str header)
{
    char date[DATE_TEXT_BYTES];
    return (struct reply){
        .from = address_print_bare(&s->recipient, &s->mem),
        .to = to,
        .message_id = message_id_new(options_server_name(), &s->mem),
        .date = arena_str(&s->mem, str_from_c(date_print(clock_wall(), date))),
        .header = header,
    };
}

static void leave_out(struct subject *s, const struct step *step, const char *why)
{
    bool is_answer = step->command.kind == COMMAND_AUTOREPLY;
    log_info(EV(is_answer ? "no automatic answer" : "no notice"), KS("id", s->entry->id),
             KS("rcpt", address_print(&s->recipient, &s->mem)), KS("reason", str_from_c(why)));
    (void)subject_note(s, step->number, false);
}

static void notify(struct subject *s, const struct step *step)
{
    struct address *to = NULL;
    size_t count = 0;
    struct str header, list = STR("");
    struct err e = { .rc = RC_OK };
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, LETTER_MAX);
    if (!read_header(s, &header) || !step_addresses(s, step, &to, &count))
        return;
    const char *why = notice_why_not(header, &s->entry->env.reverse_path);
    if (why != NULL) {
        leave_out(s, step, why);
        return;
    }
    for (size_t i = 0; i < count; i++)
        list = arena_printf(&s->mem, "%.*s%s<%.*s>", STR_ARG(list), i > 0 ? ",\n " : "",
                            STR_ARG(address_print_bare(&to[i], &s->mem)));
    const struct reply r = letter(s, list, header);
    enum rc rc = notice_print(&r, address_print(&s->entry->env.reverse_path, &s->mem),
                              options_report_in_japanese(s->recipient.domain), &text);
    if (rc == RC_OK)
        rc = part_letter(s, step->number, to, count, buf_str(&text), &e);
    step_made(s, step, "NOTICE", rc, &e);
}

static void answer(struct subject *s, const struct step *step)
{
    const struct address *sender = &s->entry->env.reverse_path;
    const struct address own[] = { s->recipient, s->entry->env.recipients[s->i].address };
    struct autoreply set;
    struct str header;
    struct err e = { .rc = RC_OK };
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, LETTER_MAX);
    if (!read_header(s, &header) || autoreply_parse(&step->command.program, &set) != NULL)
        return;
    const char *why = reply_why_not(header, sender, own, ARRAY_LEN(own));
    struct str to = address_print_bare(sender, &s->mem);
    if (!day_is_within(day_of(clock_wall(), &s->mem), set.first, set.last))
        why = "not today";
    if (why == NULL && !spool_exists(part_id(s, step->number, &s->mem)) &&
        !replied_may(&s->who.account, to, set.days, clock_wall()))
        why = "answered lately";
    if (why != NULL) {
        leave_out(s, step, why);
        return;
    }
    struct reply r = letter(s, arena_printf(&s->mem, "<%.*s>", STR_ARG(to)), header);
    r.subject = set.subject;
    r.lines = set.lines;
    r.count = set.count;
    enum rc rc = reply_print(&r, &text);
    if (rc == RC_OK)
        rc = part_letter(s, step->number, sender, 1, buf_str(&text), &e);
    step_made(s, step, "REPLY", rc, &e);
}

void step_go_along(struct subject *s, const struct step *step)
{
    if (step->command.kind == COMMAND_MESSAGEID)
        add_message_id(s, step);
    else if (step->command.kind == COMMAND_COPY)
        copy(s, step);
    else if (step->command.kind == COMMAND_NOTICE)
        notify(s, step);
    else
        answer(s, step);
}

/* cmd_list.c - STAT, LIST, UIDL (RFC 1939 5 and 7). Long lists are written in pieces. */
#include "pop3d/pop3d_int.h"

#define LIST_PIECE 500u

struct mailbox_message *message_named(struct session *s, struct str number, size_t *out_index)
{
    struct mailbox *m = pop3(s)->mailbox;
    uint64_t n = 0;
    if (!str_to_u64(str_trim(number), &n) || n == 0 || n > mailbox_count(m)) {
        session_refuse(s, "-ERR no such message");
        return NULL;
    }
    struct mailbox_message *message = mailbox_message(m, (size_t)n - 1);
    if (message->deleted) {
        session_refuse(s, "-ERR message %" PRIu64 " is marked deleted", n);
        return NULL;
    }
    *out_index = (size_t)n - 1;
    return message;
}

static void count_live(struct mailbox *m, size_t *out_count, uint64_t *out_octets)
{
    *out_count = 0;
    *out_octets = 0;
    for (size_t i = 0; i < mailbox_count(m); i++) {
        const struct mailbox_message *message = mailbox_message(m, i);
        if (message->deleted)
            continue;
        (*out_count)++;
        *out_octets += message->wire_octets;
    }
}

enum step pop3_stat(struct session *s, struct str args)
{
    (void)args;
    size_t count = 0;
    uint64_t octets = 0;
    count_live(pop3(s)->mailbox, &count, &octets);
    session_reply(s, "+OK %zu %" PRIu64, count, octets);
    return STEP_NEXT;
}

static void list_one(struct session *s, const char *prefix, size_t i)
{
    const struct mailbox_message *message = mailbox_message(pop3(s)->mailbox, i);
    if (pop3(s)->list_uids)
        stream_printf(&s->st, "%s%zu %.*s\r\n", prefix, i + 1, STR_ARG(message->uid));
    else
        stream_printf(&s->st, "%s%zu %" PRIu64 "\r\n", prefix, i + 1, message->wire_octets);
}

static enum step list_more(struct session *s)
{
    struct pop3_session *p = pop3(s);
    size_t to = MIN(p->next + LIST_PIECE, mailbox_count(p->mailbox));
    for (; p->next < to; p->next++)
        if (!mailbox_message(p->mailbox, p->next)->deleted)
            list_one(s, "", p->next);
    if (p->next < mailbox_count(p->mailbox))
        return STEP_OUTPUT;
    session_reply(s, ".");
    return STEP_NEXT;
}

static enum step list(struct session *s, struct str args, bool uids)
{
    struct pop3_session *p = pop3(s);
    size_t i = 0;
    p->list_uids = uids;
    if (str_trim(args).n > 0) {
        if (message_named(s, args, &i) != NULL)
            list_one(s, "+OK ", i);
        return STEP_NEXT;
    }
    session_reply(s, "+OK list follows");
    p->next = 0;
    s->more = list_more;
    return list_more(s);
}

enum step pop3_list(struct session *s, struct str args)
{
    return list(s, args, false);
}

enum step pop3_uidl(struct session *s, struct str args)
{
    return list(s, args, true);
}

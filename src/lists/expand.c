/*
 * expand.c - from a post to the entries that go to the members. Called by the queue role.
 *
 * INVARIANTS
 * 1. The ids of the parts come from the entry and the recipient's number, so a repetition after
 * a crash finds those that stand.
 * 2. No part is worked on before the entry it was made from says, durably, that the list has
 * its post; so none can be finished and then made a second time.
 * 3. A list never sends a message that was through it before.
 */
#include "lists/lists_int.h"
#include "mail/data.h"
#include "sys/io.h"
#include <sys/random.h>

#define MEMBERS_IN_PART ((size_t)20000)

enum rc list_author_domain(const struct spool_entry *entry, struct arena *a, struct str *out,
                           struct err *e)
{
    struct str header = STR("");
    uint64_t end = 0;
    enum rc rc = spool_read_header(entry, a, &header, &end, e);
    *out = rc == RC_OK ? list_author(header, a) : STR("");
    return rc == RC_PERM ? RC_OK : rc;
}

/* --- members ----------------------------------------------------------------------------- */

/* Those who receive, each place once whatever addresses lead there. */
static enum rc collect(const struct list *l, struct arena *a, struct envelope_recipient **out,
                       size_t *out_count, struct err *e)
{
    struct list_members m;
    struct map seen = { .fold = true };
    enum rc rc = list_members_read(l, a, &m, e);
    size_t count = 0;
    if (rc != RC_OK)
        return rc;
    struct envelope_recipient *list =
        arena_new_array(a, struct envelope_recipient, m.count + 1);
    for (size_t i = 0; i < m.count; i++) {
        const struct address *to = &m.members[i].address;
        if (!m.members[i].receives)
            continue;
        struct address resolved = users_meaning(to, a);
        if (map_put(&seen, address_print(&resolved, a), list) == NULL)
            list[count++] = (struct envelope_recipient){ .address = *to,
                                                         .resolved = resolved,
                                                         .orcpt = STR("") };
    }
    map_release(&seen);
    *out = list;
    *out_count = count;
    return RC_OK;
}

/* --- parts ------------------------------------------------------------------------------- */

/* The envelope of a part, but for its recipients. */
static struct envelope part_envelope(const struct spool_entry *entry, size_t i)
{
    struct envelope env = entry->env;
    env.part_of = entry->id;
    env.part_number = i;
    env.approval = env.via = env.steps = STR("");
    env.is_processed = false;
    env.part_step = 0;
    env.envid = STR("");
    env.ret = RET_NOT_GIVEN;
    return env;
}

/* What a part is, but for its envelope: the header, and the entry's octets from `from` on, with
 * a change that counts from where the body is. */
struct post {
    struct str header;
    uint64_t from, body;
    struct body_change change;
};

static enum rc put_body(const struct spool_entry *entry, const struct post *p,
                        struct spool_put *put, struct err *e)
{
    uint64_t at = p->from;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < p->change.count && rc == RC_OK; i++) {
        const struct body_splice *s = &p->change.splices[i];
        rc = spool_copy_range(entry, at, p->body + s->at, put, e);
        if (rc == RC_OK)
            rc = spool_put_write(put, s->text, data_wire_octets(s->text), e);
        at = p->body + s->end;
    }
    return rc == RC_OK ? spool_copy(entry, at, put, e) : rc;
}

static enum rc put_part(const struct spool_entry *entry, struct str id,
                        const struct envelope *env, const struct post *p, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct spool_put *put = NULL;
    struct str ignored;
    enum rc rc = spool_adopt_begin(id, env, &put, e);
    if (rc == RC_OK)
        rc = spool_put_write(put, p->header, data_wire_octets(p->header), e);
    if (rc == RC_OK)
        rc = put_body(entry, p, put, e);
    if (rc == RC_OK)
        return spool_put_commit(&put, &mem, &ignored, e);
    spool_put_abort(&put);
    return rc;
}

/* --- posts ------------------------------------------------------------------------------- */

struct body_of {
    const struct spool_entry *entry;
    uint64_t at;
};

static bool read_body(void *ctx, uint64_t at, char *p, size_t n)
{
    const struct body_of *b = ctx;
    for (size_t got = 0; got < n;) {
        ssize_t more = io_pread(b->entry->message_fd, p + got, n - got,
                                b->entry->message_offset + b->at + at + got);
        if (more <= 0)
            return false;
        got += (size_t)more;
    }
    return true;
}

/* Header and footer of the list around the body. */
static enum rc add_texts(const struct spool_entry *entry, size_t i, const struct list *l,
                         struct arena *a, struct post *p, struct err *e)
{
    struct list_texts texts;
    struct body_of of = { entry, p->body };
    const struct list_body body = { entry->message_octets - p->body, read_body, &of };
    struct str mark = arena_printf(a, "hikyaku-%.*s-%zu", STR_ARG(entry->id), i);
    enum rc rc = list_texts_read(l, a, &texts, e);
    if (rc != RC_OK || !list_body_plan(&texts, p->header, &body, mark, a, &p->change)) {
        p->change.count = 0;
        return rc;
    }
    p->header = p->change.header;
    if (p->body == p->from) /* the header was all there was */
        p->header = arena_printf(a, "%.*s\n", STR_ARG(p->header));
    return RC_OK;
}

/* What the members get, whose number may be taken here. */
static enum rc make_post(const struct spool_entry *entry, size_t i, const struct list *l,
                         struct str old, uint64_t end, struct arena *a, struct post *out,
                         struct err *e)
{
    struct buf header AUTO_RELEASE_BUF;
    struct list numbered = *l;
    buf_init(&header, 2 * LIST_HEADER_MAX);
    enum rc rc =
        list_tag_counts(l->tag) ? list_number(l, entry->id, i, &numbered.number, e) : RC_OK;
    if (rc == RC_OK && list_header(&numbered, old, &header) != RC_OK)
        return err_perm(e, "5.6.0", "the header is too large for a list");
    if (rc != RC_OK)
        return rc;
    *out = (struct post){ .header = arena_str(a, buf_str(&header)),
                          .from = end,
                          .body = MIN(end + 1, entry->message_octets) };
    return add_texts(entry, i, l, a, out, e);
}

static enum rc make_parts(const struct spool_entry *entry, size_t i, const struct list *l,
                          list_made_fn *made, void *ctx, enum list_outcome *out, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct envelope_recipient *members = NULL;
    struct str old = STR("");
    struct post post;
    uint64_t end = 0;
    size_t count = 0;
    enum rc rc = spool_read_header(entry, &mem, &old, &end, e);
    bool loop = rc == RC_OK && list_header_loops(l, old);
    if (rc == RC_OK && !loop)
        rc = collect(l, &mem, &members, &count, e);
    if (rc == RC_OK && count > 0)
        rc = make_post(entry, i, l, old, end, &mem, &post, e);
    *out = loop ? LIST_LOOPS : count == 0 ? LIST_EMPTY : LIST_SENT;
    struct envelope env = part_envelope(entry, i);
    if (!l->sender.is_null)
        env.reverse_path = l->sender;
    for (size_t at = 0, part = 0; rc == RC_OK && at < count; at += MEMBERS_IN_PART, part++) {
        struct str id = spool_part_id(entry->id, i, part, &mem);
        env.recipients = members + at;
        env.recipient_count = MIN(count - at, MEMBERS_IN_PART);
        env.body_8bit = env.body_8bit || post.change.has_8bit;
        for (size_t k = at; k < at + env.recipient_count; k++)
            env.smtputf8 = env.smtputf8 || members[k].resolved.needs_utf8;
        if (!spool_exists(id))
            rc = put_part(entry, id, &env, &post, e);
        if (rc == RC_OK)
            made(ctx, id);
    }
    return rc;
}

enum rc list_hold(const struct spool_entry *entry, size_t i, const struct list *l,
                  list_made_fn *made, void *ctx, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    unsigned char octets[6];
    struct envelope_recipient to = entry->env.recipients[i];
    struct envelope env = part_envelope(entry, i);
    struct str id = spool_part_id(entry->id, i, 0, &mem);
    const struct post whole = { .header = STR("") };
    to.resolved = l->address;
    env.recipients = &to;
    env.recipient_count = 1;
    if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
        return err_temp(e, "4.3.0", "no random octets");
    env.approval = arena_printf(&mem, "%02x%02x%02x%02x%02x%02x", octets[0], octets[1],
                                octets[2], octets[3], octets[4], octets[5]);
    enum rc rc = spool_exists(id) ? RC_OK : put_part(entry, id, &env, &whole, e);
    if (rc == RC_OK)
        made(ctx, id);
    return rc;
}

/* Entries that came in by SMTP were checked there; so were posts of other lists. */
static enum rc check_right(const struct spool_entry *entry, const struct list *l,
                           enum list_post *out, struct err *e)
{
    const struct envelope *env = &entry->env;
    *out = LIST_POST_YES;
    if (list_is_part(entry) || entry->approved)
        return RC_OK;
    enum rc rc = list_may_post(l, &env->reverse_path, env->auth_user, out, e);
    if (rc == RC_OK && *out == LIST_POST_NO && env->client.n > 0 && !env->reverse_path.is_null)
        *out = LIST_POST_YES;
    return rc;
}

enum rc list_expand(const struct spool_entry *entry, size_t i, const struct list *l,
                    list_made_fn *made, void *ctx, enum list_outcome *out, struct err *e)
{
    enum list_post may = LIST_POST_NO;
    enum rc rc = check_right(entry, l, &may, e);
    if (rc != RC_OK)
        return rc;
    if (may == LIST_POST_NO)
        return err_perm(e, "5.7.2", "the sender may not post to this list");
    if (may == LIST_POST_YES)
        return make_parts(entry, i, l, made, ctx, out, e);
    *out = LIST_HELD;
    return list_hold(entry, i, l, made, ctx, e);
}

bool list_is_part(const struct spool_entry *entry)
{
    return entry->env.part_of.n > 0 && entry->env.approval.n == 0 && !entry->env.is_processed;
}

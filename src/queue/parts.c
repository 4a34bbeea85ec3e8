/*
 * parts.c - entries that processing makes of a recipient: their ids come from entry, recipient
 * and step, so that a repetition finds them; none is worked on before the first entry says,
 * durably, that the step is done (spool_part_waits).
 */
#include "mail/trace.h"
#include "queue/processing.h"

struct str part_id(const struct subject *s, uint64_t step, struct arena *a)
{
    return spool_part_id(s->entry->id, s->i, (size_t)step, a);
}

/* The envelope, but for what is special. */
static struct envelope part_envelope(const struct subject *s)
{
    struct envelope env = s->entry->env;
    env.part_of = s->entry->id;
    env.part_number = s->i;
    env.part_step = 0;
    env.approval = env.via = env.steps = STR("");
    env.is_processed = true;
    env.goes_along = ALONG_NOT;
    env.recipients = &s->entry->env.recipients[s->i];
    env.recipient_count = 1;
    return env;
}

/* The put of an entry that goes on behind the step, and behind `more`. */
static enum rc begin_changed(struct subject *s, uint64_t step, const uint64_t *more,
                             size_t more_count, struct spool_put **out, struct err *e)
{
    struct envelope env = part_envelope(s);
    struct str done = spool_steps_print(s->entry, s->i, &s->mem);
    env.steps =
        arena_printf(&s->mem, "%.*s%s%" PRIx64, STR_ARG(done), done.n > 0 ? "," : "", step);
    for (size_t i = 0; i < more_count; i++)
        env.steps = arena_printf(&s->mem, "%.*s,%" PRIx64, STR_ARG(env.steps), more[i]);
    env.via = s->entry->via.n > 0 ? s->entry->via : s->entry->env.via;
    return spool_adopt_begin(part_id(s, step, &s->mem), &env, out, e);
}

/* rc: of writing into it. */
static enum rc end_changed(struct subject *s, uint64_t step, struct spool_put *put, enum rc rc,
                           struct str *out_id, struct err *e)
{
    struct str id = part_id(s, step, &s->mem), ignored;
    if (rc != RC_OK) {
        spool_put_abort(&put);
        return rc;
    }
    rc = spool_put_commit(&put, &s->mem, &ignored, e);
    if (rc != RC_OK)
        return rc;
    log_info(EV("changed by a filter"), KS("id", id), KS("about", s->entry->id),
             KS("rcpt", address_print(&s->entry->env.recipients[s->i].address, &s->mem)));
    *out_id = id;
    return RC_OK;
}

enum rc part_changed(struct subject *s, uint64_t step, const uint64_t *more, size_t more_count,
                     struct str *out_id, struct err *e)
{
    struct spool_put *put = NULL;
    enum rc rc = begin_changed(s, step, more, more_count, &put, e);
    if (rc == RC_OK)
        rc = view_read(s, put, e);
    return end_changed(s, step, put, rc, out_id, e);
}

static enum rc put_text(struct spool_put *put, struct str text, struct err *e)
{
    uint64_t wire = text.n;
    for (size_t i = 0; i < text.n; i++)
        wire += text.p[i] == '\n';
    return spool_put_write(put, text, wire, e);
}

enum rc part_with_field(struct subject *s, uint64_t step, struct str field, struct str *out_id,
                        struct err *e)
{
    struct spool_put *put = NULL;
    enum rc rc = begin_changed(s, step, NULL, 0, &put, e);
    if (rc == RC_OK)
        rc = put_text(put, field, e);
    if (rc == RC_OK)
        rc = spool_copy(s->entry, 0, put, e);
    return end_changed(s, step, put, rc, out_id, e);
}

/* --- sent on ------------------------------------------------------------------------------ */

/* Fields of that name; of those with `value` *out_same. */
static unsigned count_fields(struct str header, struct str name, struct str value,
                             unsigned *out_same)
{
    struct str line;
    unsigned n = 0;
    *out_same = 0;
    while (header.n > 0 && str_cut(&header, '\n', &line)) {
        if (!str_istarts(line, name))
            continue;
        n++;
        *out_same += value.n > 0 && str_ieq(str_trim(str_skip(line, name.n)), value);
    }
    return n;
}

/* Was it here before, or in too many places? */
static enum rc check_loop(struct str header, struct str own, struct err *e)
{
    unsigned same = 0, ignored = 0;
    unsigned hops = count_fields(header, STR("Received:"), STR(""), &ignored);
    hops += count_fields(header, STR("Delivered-To:"), own, &same);
    if (same > 0)
        return err_perm(e, "5.4.6", "it was sent on by %.*s before: a loop", STR_ARG(own));
    if (hops > (unsigned)conf()->max_mta_ops)
        return err_perm(e, "5.4.6", "it went through too many servers: a loop");
    return RC_OK;
}

/* The entry; with `own` it says in front that it went through here. */
static enum rc put_part(struct subject *s, struct str id, const struct envelope *env,
                        struct str own, struct err *e)
{
    struct spool_put *put = NULL;
    struct str ignored;
    struct str front =
        own.n > 0 ? arena_printf(&s->mem, "Delivered-To: %.*s\n", STR_ARG(own)) : STR("");
    enum rc rc = spool_adopt_begin(id, env, &put, e);
    if (rc == RC_OK && front.n > 0)
        rc = put_text(put, front, e);
    if (rc == RC_OK)
        rc = spool_copy(s->entry, 0, put, e);
    if (rc == RC_OK)
        return spool_put_commit(&put, &s->mem, &ignored, e);
    spool_put_abort(&put);
    return rc;
}

static enum rc send_on(struct subject *s, uint64_t step, struct envelope *env, struct str own,
                       struct err *e)
{
    struct str id = part_id(s, step, &s->mem), header = STR("");
    uint64_t end = 0;
    env->part_step = step;
    if (spool_exists(id))
        return RC_OK;
    enum rc rc = spool_read_header(s->entry, &s->mem, &header, &end, e);
    if (rc == RC_OK)
        rc = check_loop(header, own, e);
    if (rc == RC_OK)
        rc = put_part(s, id, env, own, e);
    if (rc == RC_OK)
        log_info(EV("sent on"), KS("id", id), KS("about", s->entry->id),
                 KS("rcpt", address_print(&env->recipients[0].address, &s->mem)),
                 KS("via", env->via));
    return rc;
}

/* As its recipients, these addresses; notify, orcpt: of all of them. */
static void set_recipients(struct subject *s, struct envelope *env, const struct address *to,
                           size_t count, unsigned notify, struct str orcpt)
{
    struct envelope_recipient *rcpts =
        arena_new_array(&s->mem, struct envelope_recipient, count);
    for (size_t i = 0; i < count; i++) {
        rcpts[i] = (struct envelope_recipient){ .address = to[i],
                                                .resolved = users_meaning(&to[i], &s->mem),
                                                .notify = notify,
                                                .orcpt = orcpt };
        env->smtputf8 = env->smtputf8 || rcpts[i].resolved.needs_utf8;
    }
    env->recipients = rcpts;
    env->recipient_count = count;
}

enum rc part_redirect(struct subject *s, uint64_t step, const struct address *to, size_t count,
                      enum part_sender from, struct err *e)
{
    struct envelope env = part_envelope(s);
    const struct envelope_recipient *old = env.recipients;
    bool kept = from != PART_OF_RECIPIENT;
    set_recipients(s, &env, to, count, kept ? old->notify : 0, kept ? old->orcpt : STR(""));
    if (from == PART_COPY)
        env.goes_along = ALONG_COPY;
    if (!kept && !env.reverse_path.is_null) { /* reports stay reports */
        env.reverse_path = s->recipient;
        env.envid = STR("");
        env.ret = RET_NOT_GIVEN;
    }
    return send_on(s, step, &env, address_print(&s->recipient, &s->mem), e);
}

enum rc part_letter(struct subject *s, uint64_t step, const struct address *to, size_t count,
                    struct str text, struct err *e)
{
    struct envelope env = part_envelope(s);
    struct spool_put *put = NULL;
    struct str id = part_id(s, step, &s->mem), ignored;
    env.part_step = step;
    env.goes_along = ALONG_LETTER;
    env.reverse_path = (struct address){ .is_null = true };
    env.auth_user = env.envid = STR("");
    env.smtputf8 = env.body_8bit = false;
    set_recipients(s, &env, to, count, NOTIFY_NEVER, STR(""));
    if (spool_exists(id))
        return RC_OK;
    enum rc rc = spool_adopt_begin(id, &env, &put, e);
    if (rc == RC_OK)
        rc = put_text(put, text, e);
    if (rc == RC_OK)
        return spool_put_commit(&put, &s->mem, &ignored, e);
    spool_put_abort(&put);
    return rc;
}

enum rc part_relay(struct subject *s, uint64_t step, struct str via, struct err *e)
{
    struct envelope env = part_envelope(s);
    env.via = via;
    return send_on(s, step, &env, STR(""), e);
}

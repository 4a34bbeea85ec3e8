/*
 * api_warnings.c - what an administrator should look at (watch/), all together; mailboxes as a
 * job, because each is asked for; and the weekly letter that tells it.
 */
#include "watch/watch.h"
#include "web/jobs.h"
#include "web/web_int.h"

#define MAILBOXES_MOST 1000u

static json_t *pair(const char *en, const char *ja)
{
    return json_pack("{s:s, s:s}", "en", en, "ja", ja);
}

static void add(json_t *list, const struct warning *w)
{
    const struct warning_row *row = &warning_rows[w->kind];
    (void)json_array_append_new(
        list, json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:b, s:o, s:o}", "kind", row->name,
                        "level", w->bad ? "bad" : "warn", "about", web_str(w->about), "n",
                        (json_int_t)w->n, "of", (json_int_t)w->of, "when", (json_int_t)w->when,
                        "octets", row->octets, "text", pair(row->en, row->ja), "advice",
                        pair(row->advice_en, row->advice_ja)));
}

static void add_to_list(void *ctx, const struct warning *w)
{
    add(ctx, w);
}

void api_warnings(struct web *w)
{
    json_t *list = json_array();
    watch_server(add_to_list, list);
    web_json(w, 200, list);
}

/* --- mailboxes ---------------------------------------------------------------------------- */

struct look {
    struct job *job;
    json_t *list;
};

/* Asks the control role, which may keep what it counts. */
static int64_t octets_of(void *ctx, struct str domain, struct str name)
{
    struct look *look = ctx;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct link_by by = job_by(look->job, &a);
    struct control_answer answer;
    struct err e;
    int64_t octets = -1;
    const struct str words[] = { STR("userstat"), domain, name };
    if (link_ask_by(&by, words, ARRAY_LEN(words), STR(""), &answer, &e) == RC_OK && answer.ok) {
        json_t *pairs = web_pairs(buf_str(&answer.lines));
        struct str text = str_from_c(json_string_value(json_object_get(pairs, "MailboxSize")));
        if (!str_to_i64(text, &octets))
            octets = -1;
        json_decref(pairs);
    }
    buf_release(&answer.lines);
    return octets;
}

static void add_mailbox(void *ctx, const struct warning *w)
{
    const struct look *look = ctx;
    add(look->list, w);
}

static json_t *look_at_mailboxes(struct job *job, void *ctx)
{
    struct look look = { job, json_array() };
    size_t count = watch_accounts_count(ctx);
    for (size_t i = 0; i < count && json_array_size(look.list) < MAILBOXES_MOST; i++) {
        watch_mailbox(ctx, i, octets_of, add_mailbox, &look);
        if (!job_step(job))
            break;
    }
    return look.list;
}

static void free_accounts(void *ctx)
{
    struct watch_accounts *accounts = ctx;
    watch_accounts_free(&accounts);
}

void api_warnings_mailboxes(struct web *w)
{
    struct watch_accounts *accounts = watch_accounts_new();
    (void)job_start(w,
                    &(struct job_work){ "mailboxes", look_at_mailboxes, free_accounts, accounts,
                                        watch_accounts_count(accounts), STR(""), 0 });
}

/* --- the weekly letter -------------------------------------------------------------------- */

static void answer_letter(struct web *w, struct str command)
{
    struct control_answer answer;
    struct str head[2], rest;
    size_t count = 0;
    if (!web_control(w, &command, 1, STR(""), &answer))
        return;
    rest = buf_str(&answer.lines);
    if (web_next_row(&rest, web_mem(w), head, ARRAY_LEN(head), &count) &&
        count == ARRAY_LEN(head))
        web_json(w, 200,
                 json_pack("{s:o, s:o, s:o}", "to", web_str(head[0]), "subject",
                           web_str(head[1]), "text", web_str(rest)));
    else
        web_fail(w, 500, "failed", "the letter isn't one");
    buf_release(&answer.lines);
}

void api_weekly(struct web *w)
{
    answer_letter(w, STR("weeklyletter"));
}

void api_weekly_send(struct web *w)
{
    answer_letter(w, STR("weeklysend"));
}

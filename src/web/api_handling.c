/* api_handling.c - what goes along with the mail of an account, a domain, or a group: automatic
 * answers, notices, copies, Message-IDs (mailproc.tab, groups/ID.tab), as a form. */
#include "users/users.h"
#include "web/proclines.h"

static const char *const copies[] = { "copy", NULL };
static const char *const notices[] = { "notice", NULL };
static const char *const message_ids[] = { "messageid", NULL };
static const char *const replies[] = { "autoreply", NULL };

static bool is_about(const struct web *w, const char *parameter)
{
    return strstr(w->route->pattern, parameter) != NULL;
}

/* The table that the path means. NULL: answered. */
static const char *table_of(struct web *w)
{
    struct account account;
    struct str domain;
    if (is_about(w, "{group}"))
        return web_find_group(w, w->params[0])
                   ? arena_printf(web_mem(w), "groups/%.*s.tab", STR_ARG(w->params[0])).p
                   : NULL;
    if (is_about(w, "{user}"))
        return web_find_account(w, &account) ? web_account_file(w, &account, "mailproc.tab")
                                             : NULL;
    if (users_domain_find(w->params[0], web_mem(w), &domain))
        return arena_printf(web_mem(w), "domains/%.*s/mailproc.tab", STR_ARG(domain)).p;
    web_fail(w, 404, "unknown", "there is no such domain");
    return NULL;
}

static bool open_table(struct web *w, struct table_text *t)
{
    const char *path = table_of(w);
    if (path == NULL || !tabtext_open(w, path, t))
        return false;
    t->may_vanish = true;
    return true;
}

/* --- as JSON ------------------------------------------------------------------------------ */

static json_t *reply_json(const struct table_text *t)
{
    struct proc_command c;
    struct autoreply r;
    for (size_t i = 0; i < t->line_count; i++) {
        const struct table_line *line = &t->lines[i];
        const struct tab_row row = { .count = line->count, .values = line->values };
        if (!proclines_is(line, replies) || proc_command_parse(&row, &c) != NULL ||
            autoreply_parse(&c.program, &r) != NULL)
            continue;
        struct str text = STR("");
        for (size_t k = 0; k < r.count; k++)
            text = arena_printf(t->mem, "%.*s%s%.*s", STR_ARG(text), k > 0 ? "\n" : "",
                                STR_ARG(r.lines[k]));
        return json_pack("{s:o, s:o, s:i, s:o, s:o}", "first", web_str(r.first), "last",
                         web_str(r.last), "days", (int)r.days, "subject", web_str(r.subject),
                         "text", web_str(text));
    }
    return json_null();
}

void api_handling(struct web *w)
{
    struct table_text t;
    bool message_id = false;
    if (!open_table(w, &t))
        return;
    for (size_t i = 0; i < t.line_count; i++)
        message_id = message_id || proclines_is(&t.lines[i], message_ids);
    web_json(w, 200,
             json_pack("{s:s, s:o, s:o, s:o, s:b}", "version", t.version, "reply",
                       reply_json(&t), "notices", proclines_words(&t, notices), "copies",
                       proclines_words(&t, copies), "message_id", (int)message_id));
}

/* --- as lines ----------------------------------------------------------------------------- */

static struct str text_of(const json_t *o, const char *member)
{
    const json_t *value = json_object_get(o, member);
    return str_from(json_string_value(value), json_string_length(value));
}

/* The lines of the text as words; blanks instead of TABs. How many; SIZE_MAX: too many. */
static size_t read_text(struct str text, struct arena *a, struct str *out)
{
    struct str line;
    size_t n = 0, last = 0;
    while (text.n > 0 && str_cut(&text, '\n', &line)) {
        if (n == AUTOREPLY_LINES_MAX)
            return SIZE_MAX;
        char *p = arena_c(a, str_ends(line, STR("\r")) ? str_head(line, line.n - 1) : line);
        for (char *tab = strchr(p, '\t'); tab != NULL; tab = strchr(tab, '\t'))
            *tab = ' ';
        out[n++] = str_from_c(p);
        last = *p == '\0' ? last : n;
    }
    return last;
}

static bool refuse_reply(struct web *w, const char *kind, const char *why)
{
    web_refuse(w, "bad-reply", json_pack("{s:s}", "kind", kind), "the answer: %s", why);
    return false;
}

/* *out_count: 0 without an answer. False: answered. */
static bool read_reply(struct web *w, const struct table_text *t,
                       struct str values[PROCLINES_WORDS_MAX], size_t *out_count)
{
    const json_t *reply = json_object_get(w->body, "reply");
    struct program_line line = { .words = values + 1 };
    struct autoreply parsed;
    *out_count = 0;
    if (reply == NULL || json_is_null(reply))
        return true;
    json_int_t days = json_integer_value(json_object_get(reply, "days"));
    values[0] = STR("autoreply");
    values[1] = text_of(reply, "first");
    values[2] = text_of(reply, "last");
    values[3] = arena_printf(web_mem(w), "%" JSON_INTEGER_FORMAT, days);
    values[4] = text_of(reply, "subject");
    size_t lines = read_text(text_of(reply, "text"), web_mem(w), values + 5);
    if (lines == 0 || lines == SIZE_MAX)
        return refuse_reply(w, "text", "its text has no line, or more than 200");
    line.count = 4 + lines;
    for (size_t i = 1; i <= line.count; i++) {
        if (values[i].p == NULL)
            values[i] = STR("");
        if (str_has_control(values[i]) || strcmp(t->charset, "UTF-8") != 0)
            return refuse_reply(w, "text", "characters that can't be stored");
    }
    const char *why = autoreply_parse(&line, &parsed);
    if (why == NULL && parsed.last.n > 0 && str_cmp(parsed.last, parsed.first) < 0)
        return refuse_reply(w, "days", "it ends before it begins");
    if (why != NULL)
        return refuse_reply(w, str_starts(str_from_c(why), STR("its text")) ? "text" : "days",
                            why);
    *out_count = line.count + 1;
    return true;
}

void api_handling_set(struct web *w)
{
    struct table_text t;
    struct str reply[PROCLINES_WORDS_MAX], told[PROCLINES_WORDS_MAX],
        copied[PROCLINES_WORDS_MAX];
    const struct str message_id = STR("messageid");
    size_t reply_n = 0, told_n = 0, copied_n = 0;
    bool adds_id = json_is_true(json_object_get(w->body, "message_id"));
    if (!open_table(w, &t) || !read_reply(w, &t, reply, &reply_n) ||
        !proclines_read(w, &t, "notices", notices[0], told, &told_n) ||
        !proclines_read(w, &t, "copies", copies[0], copied, &copied_n))
        return;
    bool decided = proclines_decide(&t);
    proclines_put(&t, message_ids, &message_id, adds_id ? 1 : 0);
    proclines_put(&t, copies, copied, copied_n);
    proclines_put(&t, notices, told, told_n);
    proclines_put(&t, replies, reply, reply_n);
    /* XMail, which doesn't know these commands, needs to be told of the mailbox. */
    if (is_about(w, "{user}") && !decided)
        proclines_keep(&t, true);
    if (tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

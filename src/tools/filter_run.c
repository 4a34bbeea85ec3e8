/*
 * filter_run.c - see filter_run.h. Programs are run by the code of the runner role, in this
 * process; main waits for each.
 */
#include "tools/filter_run.h"
#include "conf/options.h"
#include "mail/stuffed.h"
#include "runner/runner.h"
#include "sys/io.h"
#include "sys/lock.h"
#include "tools/tools_int.h"

#define FOLDER "hikyaku/filter"
#define LINES_SHOWN 20u

/* The run under way, and what came of it. */
static struct {
    struct lock lock;
    pthread_cond_t ended;
    bool is_ended;
    uint64_t code;
    struct buf text, output;
    struct pool *pool;
    pthread_t workers;
} run = { .lock = LOCK_INIT(LOCK_FETCH) };

/* --- programs ---------------------------------------------------------------------------- */

static void on_done(const struct runner_request *r, uint64_t code, struct str text)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&run.lock);
    (void)held;
    run.code = code;
    buf_must(buf_add_str(&run.text, text));
    buf_must(buf_add_str(&run.output, r->output));
    run.is_ended = true;
    lock_cond_signal(&run.ended);
}

static void *work(void *arg)
{
    (void)arg;
    pool_run(run.pool);
    return NULL;
}

enum rc filter_run_init(struct arena *a, struct str *out_path, struct err *e)
{
    enum rc rc = folder_make(FOLDER, 0700, e);
    if (rc == RC_OK)
        rc = pool_new(4, 256, &run.pool, e);
    if (rc != RC_OK)
        return rc;
    *out_path = file_absolute(arena_printf(a, FOLDER "/test-%d", (int)getpid()), a);
    buf_init(&run.text, BUF_MAX_DEFAULT);
    buf_init(&run.output, BUF_MAX_DEFAULT);
    lock_cond_init(&run.ended);
    runner_init(run.pool, on_done);
    return thread_start(work, NULL, "filters", &run.workers, e);
}

void filter_run_end(void)
{
    if (run.workers == 0)
        return;
    pool_stop(run.pool, 5 * USEC_S);
    thread_join(run.workers);
}

static void run_program(const struct runner_request *request)
{
    run.is_ended = false;
    buf_reset(&run.text);
    buf_reset(&run.output);
    runner_start(request);
    struct lock *held AUTO_UNLOCK = lock_hold(&run.lock);
    (void)held;
    while (!run.is_ended)
        (void)lock_wait(&run.lock, &run.ended, USEC_FOREVER);
}

/* --- FILE -------------------------------------------------------------------------------- */

static struct str print_head(struct testing *t, const struct tested_line *at)
{
    struct buf out AUTO_RELEASE_BUF;
    struct filter_rcpt *list = arena_new_array(&t->mem, struct filter_rcpt, t->rcpt_count + 1);
    size_t n = 0;
    buf_init(&out, MACROS_MAX);
    /* At post-rcpt those before the current one are there. */
    size_t count = at->rcpt == NULL ? t->rcpt_count : (size_t)(at->rcpt - t->rcpts);
    for (size_t i = 0; i < count; i++)
        if (!t->rcpts[i].refused)
            list[n++] = (struct filter_rcpt){ t->rcpts[i].given, t->rcpts[i].real };
    if (at->queued) {
        const struct filter_rcpt one = { at->rcpt->given, at->rcpt->real };
        return scene_head_queue(&t->scene, &one, &t->mem);
    }
    scene_head_session(&t->scene, list, n, t->message.p != NULL, &out);
    return arena_str(&t->mem, buf_str(&out));
}

static enum rc write_file(const struct testing *t, struct str head, struct file_id *out,
                          struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct stuffing s = { .in_line = false };
    buf_init(&text, 3 * FILTER_MESSAGE_MAX);
    (void)io_unlink(t->path.p);
    int fd AUTO_CLOSE = io_open(t->path.p, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, "make %s", t->path.p);
    if (buf_add_str(&text, head) != RC_OK || stuff_feed(&s, t->message, &text) != RC_OK)
        return err_temp(e, "4.3.0", "no memory for the message");
    struct iovec part = { text.p, text.n };
    enum rc rc = io_write_all(fd, &part, 1, e);
    return rc == RC_OK ? filter_file_written(t->path.p, fd, out, e) : rc;
}

static enum rc collect(void *ctx, struct str lines, uint64_t wire_octets, struct err *e)
{
    (void)wire_octets;
    return buf_add_str(ctx, lines) == RC_OK ? RC_OK : err_temp(e, "4.3.0", "no memory");
}

static enum rc print_macros(struct testing *t, const struct tested_line *at, int *out_fd,
                            struct err *e)
{
    struct str text;
    const struct filter_rcpt one = {
        .given = at->rcpt == NULL ? STR("") : at->rcpt->given,
        .real = at->rcpt == NULL ? STR("") : at->rcpt->real,
    };
    enum rc rc = at->queued
                     ? scene_macros_queue(&t->scene, &one, t->path, STR(""), &t->mem, &text, e)
                     : scene_macros_session(&t->scene, t->path, at->rcpt == NULL ? NULL : &one,
                                            &t->mem, &text, e);
    return rc == RC_OK ? file_in_memory(text, out_fd, e) : rc;
}

/* --- what is told ------------------------------------------------------------------------ */

/* Would the line be run? */
static bool is_reached(const struct testing *t, const struct tested_line *at)
{
    bool any = false;
    for (size_t i = 0; i < t->rcpt_count; i++)
        any = any || !t->rcpts[i].refused;
    return !t->refused && !t->stopped && (at->rcpt == NULL ? any : !at->rcpt->refused);
}

json_t *filter_told(struct str text)
{
    struct buf plain AUTO_RELEASE_BUF;
    buf_init(&plain, BUF_MAX_DEFAULT);
    if (str_is_utf8(text))
        return json_stringn(text.p, text.n);
    for (size_t i = 0; i < text.n; i++)
        buf_must(buf_add_char(&plain, (unsigned char)text.p[i] < 0x80 ? text.p[i] : '?'));
    return json_stringn(plain.p, plain.n);
}

static void tell(struct testing *t, const char *name, json_t *value)
{
    (void)json_object_set_new(t->now, name, value);
}

static void tell_line(struct testing *t, const struct tested_line *at)
{
    json_t *words = json_array();
    for (size_t i = 0; i < at->row->count; i++)
        (void)json_array_append_new(words, filter_told(tab_value(at->row, i)));
    t->any_line = true;
    t->now =
        json_pack("{s:o, s:I, s:b, s:o}", "table", filter_told(at->table), "line",
                  (json_int_t)at->row->line, "reached", (int)is_reached(t, at), "words", words);
    if (at->rcpt != NULL)
        tell(t, "for", filter_told(at->rcpt->given));
    (void)json_array_append_new(t->told, t->now);
}

void filter_line_skip(struct testing *t, const struct tested_line *at, const char *why)
{
    tell_line(t, at);
    tell(t, "skipped", json_string(why));
}

/* The first lines of a text. */
static void tell_lines(struct testing *t, const char *name, struct str text)
{
    json_t *list = json_array();
    struct str line;
    for (unsigned n = 0; text.n > 0 && n <= LINES_SHOWN && str_cut(&text, '\n', &line); n++)
        (void)json_array_append_new(
            list, n == LINES_SHOWN ? json_string("...") : filter_told(tool_first_line(line)));
    tell(t, name, list);
}

/* The lines between the first and the last that differ. */
static void tell_changes(struct testing *t, struct str before, struct str after)
{
    size_t from = 0, tail = 0, most = MIN(before.n, after.n);
    for (size_t i = 0; i < most && before.p[i] == after.p[i]; i++)
        if (before.p[i] == '\n')
            from = i + 1;
    for (size_t i = 1; i <= most - from && before.p[before.n - i] == after.p[after.n - i]; i++)
        if (i + from == most || before.p[before.n - i - 1] == '\n')
            tail = i;
    tell(t, "before", json_integer((json_int_t)before.n));
    tell(t, "after", json_integer((json_int_t)after.n));
    tell_lines(t, "removed", str_head(str_skip(before, from), before.n - from - tail));
    tell_lines(t, "added", str_head(str_skip(after, from), after.n - from - tail));
}

/* FilterFailure. */
static void tell_failure(struct testing *t, const struct tested_line *at, struct str why)
{
    bool passes = str_ieq(conf()->filter_failure, STR("pass"));
    tell(t, "fails", filter_told(why));
    tell(t, "then", json_string(passes ? "pass" : at->queued ? "wait" : "451"));
    t->any_refused = t->any_refused || !passes;
}

/* What the filter says of its refusal. */
static struct str reply_of(struct testing *t, bool queued)
{
    struct str code = STR(""), text = STR("refused by a filter");
    if (!queued) {
        filter_reply(t->path.p, &t->mem, &code, &text);
        return arena_printf(&t->mem, "%.*s %.*s", STR_ARG(code), STR_ARG(text));
    }
    (void)filter_rej_read(t->path.p, &t->mem, &code, &text);
    return text;
}

static const char *const verdicts[] = {
    [VERDICT_GO_ON] = "goes-on",
    [VERDICT_REFUSE] = "refused",
    [VERDICT_REFUSE_SILENTLY] = "refused-silently",
    [VERDICT_DROP] = "dropped",
    [VERDICT_CHANGED] = "changed",
    [VERDICT_DISCARD] = "discarded",
    [VERDICT_DEFER] = "deferred",
};

static void tell_verdict(struct testing *t, const struct tested_line *at,
                         enum filter_verdict verdict, bool last)
{
    struct str reply = STR("");
    if (run.code <= PROGRAM_CODE_MAX)
        tell(t, "code", json_integer((json_int_t)run.code));
    tell(t, "verdict", json_string(verdicts[verdict]));
    tell(t, "sender_told", json_boolean(verdict == VERDICT_REFUSE && at->queued));
    if (verdict == VERDICT_REFUSE || verdict == VERDICT_REFUSE_SILENTLY)
        reply = reply_of(t, at->queued);
    else if (verdict == VERDICT_DEFER)
        reply = buf_str(&run.text);
    tell(t, "reply", filter_told(reply));
    tell(t, "last", json_boolean(last));
}

/* --- as text ------------------------------------------------------------------------------ */

static struct str text_of(const json_t *o, const char *name)
{
    const json_t *value = json_object_get(o, name);
    return str_from(json_string_value(value), json_string_length(value));
}

static void print_lines(char sign, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *line = json_array_get(list, i);
        (void)printf("  %c ", sign);
        tool_print_text(str_from(json_string_value(line), json_string_length(line)), false);
        (void)printf("\n");
    }
}

static void print_head_of(const json_t *o)
{
    const json_t *words = json_object_get(o, "words");
    struct str rcpt = text_of(o, "for");
    (void)printf("%s:%" JSON_INTEGER_FORMAT, json_string_value(json_object_get(o, "table")),
                 json_integer_value(json_object_get(o, "line")));
    if (rcpt.n > 0) {
        (void)printf(" for ");
        tool_print_text(rcpt, false);
    }
    (void)printf("%s\n ", json_is_true(json_object_get(o, "reached")) ? "" : ", not reached");
    for (size_t i = 0; i < json_array_size(words); i++) {
        const json_t *word = json_array_get(words, i);
        (void)printf(" \"");
        tool_print_text(str_from(json_string_value(word), json_string_length(word)), false);
        (void)printf("\"");
    }
    (void)printf("\n");
}

static void print_failure(const json_t *o)
{
    struct str then = text_of(o, "then");
    (void)printf("  fails: ");
    tool_print_text(text_of(o, "fails"), false);
    (void)printf("; %s\n", str_eq(then, STR("pass")) ? "the message goes on as it was"
                           : str_eq(then, STR("wait"))
                               ? "the message waits and is tried again"
                               : "the client is told 451, to try again later");
}

static void print_verdict(const json_t *o)
{
    static const char *const means[] = {
        [VERDICT_GO_ON] = "goes on",
        [VERDICT_REFUSE] = "refused",
        [VERDICT_REFUSE_SILENTLY] = "refused, nobody is told",
        [VERDICT_DROP] = "dropped, nobody is told",
        [VERDICT_CHANGED] = "goes on, changed",
        [VERDICT_DISCARD] = "taken, and delivered to nobody",
        [VERDICT_DEFER] = "tried again later",
    };
    struct str verdict = text_of(o, "verdict"), reply = text_of(o, "reply");
    const json_t *code = json_object_get(o, "code");
    (void)printf("  ");
    if (code != NULL)
        (void)printf("code %" JSON_INTEGER_FORMAT ": ", json_integer_value(code));
    for (size_t i = 0; i < ARRAY_LEN(means); i++)
        if (verdicts[i] != NULL && str_eq(verdict, str_from_c(verdicts[i])))
            (void)printf("%s", means[i]);
    if (json_is_true(json_object_get(o, "sender_told")))
        (void)printf(", the sender is told");
    if (reply.n > 0) {
        (void)printf(": ");
        tool_print_text(reply, false);
    }
    (void)printf("%s\n",
                 json_is_true(json_object_get(o, "last")) ? "; nothing behind it counts" : "");
}

void filter_line_print(const json_t *o)
{
    print_head_of(o);
    if (json_object_get(o, "skipped") != NULL)
        (void)printf("  not run: %.*s\n", STR_ARG(text_of(o, "skipped")));
    if (json_object_get(o, "verdict") != NULL)
        print_verdict(o);
    if (json_object_get(o, "fails") != NULL)
        print_failure(o);
    print_lines('|', json_object_get(o, "output"));
    if (json_object_get(o, "before") != NULL)
        (void)printf("  changes the message, %" JSON_INTEGER_FORMAT
                     " octets to %" JSON_INTEGER_FORMAT "\n",
                     json_integer_value(json_object_get(o, "before")),
                     json_integer_value(json_object_get(o, "after")));
    print_lines('-', json_object_get(o, "removed"));
    print_lines('+', json_object_get(o, "added"));
}

/* --- a line ------------------------------------------------------------------------------ */

/* What the filter made of FILE goes on. */
static void take_change(struct testing *t, const struct tested_line *at, struct str head)
{
    struct buf after AUTO_RELEASE_BUF;
    struct err e = { .rc = RC_OK };
    buf_init(&after, FILTER_MESSAGE_MAX);
    if (filter_file_read(t->path.p, head, collect, &after, &e) != RC_OK) {
        tell_failure(t, at, str_from_c(e.text));
        return;
    }
    tell_changes(t, t->message, buf_str(&after));
    t->message = arena_str(&t->mem, buf_str(&after));
}

static void conclude(struct testing *t, const struct tested_line *at, struct str head,
                     const struct file_id *id)
{
    bool last = false;
    enum filter_verdict verdict = filter_verdict(run.code, at->queued, &last);
    bool goes_on = verdict == VERDICT_GO_ON || verdict == VERDICT_CHANGED;
    if (verdict == VERDICT_NONE)
        tell_failure(t, at, buf_str(&run.text));
    else
        tell_verdict(t, at, verdict, last);
    tell_lines(t, "output", buf_str(&run.output));
    if (t->message.p != NULL &&
        (verdict == VERDICT_CHANGED ||
         (verdict == VERDICT_GO_ON && !at->queued && filter_file_is_changed(t->path.p, id))))
        take_change(t, at, head);
    t->stopped = t->stopped || last;
    if (goes_on || verdict == VERDICT_NONE)
        return;
    t->any_refused = true;
    if (at->rcpt != NULL)
        at->rcpt->refused = true;
    else
        t->refused = true;
}

enum rc filter_line_run(struct testing *t, const struct tested_line *at,
                        const struct program_line *line, struct err *e)
{
    struct file_id id;
    struct runner_request request = { .table = at->table,
                                      .line = line->line,
                                      .sum = line->sum,
                                      .type = STR("test"),
                                      .about = t->scene.id,
                                      .is_message = at->queued,
                                      .macros_fd = -1 };
    struct str head = print_head(t, at);
    tell_line(t, at);
    enum rc rc = write_file(t, head, &id, e);
    if (rc == RC_OK)
        rc = print_macros(t, at, &request.macros_fd, e);
    if (rc == RC_OK) {
        run_program(&request);
        conclude(t, at, head, &id);
    }
    (void)io_unlink(t->path.p);
    (void)io_unlink(arena_printf(&t->mem, "%s.rej", t->path.p).p);
    return rc;
}

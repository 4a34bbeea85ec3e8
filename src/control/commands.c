/*
 * commands.c - how a line of the control protocol becomes a command (rows.c).
 * The protocol isn't of verbs and CRLF replies like the others, so its sessions read their
 * lines here: a TAB line in, "+DDDDD text" or "-DDDDD text" out.
 */
#include "control/control_int.h"
#include "spool/queued.h"

#define LINE_MAX_BYTES ((size_t)65536)
#define UPLOAD_MAX ((size_t)64 << 20)
#define LIST_PIECE_BYTES ((size_t)64 * 1024)
#define INDEX_WAIT (3 * USEC_S)
#define INDEX_LOOK (2 * USEC_MS)
#define WORK_LOOK (20 * USEC_MS)
#define LINES_AT_ONCE 100u /* then other sessions get their turn */

enum { CTRL_LOGIN, CTRL_READY };

static struct control_hooks hooks;

const struct control_hooks *ctrl_hooks(void)
{
    return &hooks;
}

void control_init(const struct control_hooks *given)
{
    hooks = *given;
    audit_init();
    queued_init();
}

/* --- answers ----------------------------------------------------------------------------- */

void ctrl_reply(struct ctrl *c, enum admin_result result, const struct err *e)
{
    if (result == ADMIN_OK) {
        session_reply(&c->s, "+00000 OK");
        return;
    }
    const char *why = e == NULL ? "" : e->text;
    session_reply(&c->s, "-%05u %s%s%s", (unsigned)result, admin_result_text(result),
                  why[0] == '\0' ? "" : ": ", why);
}

void ctrl_text_row(struct ctrl *c, const struct str *values, size_t count)
{
    c->has_text = true;
    if (tab_print_row(&c->text, values, count, "\r\n", NULL) != RC_OK)
        log_warn(EV("line left out of an answer"), KS("session", session_id(&c->s)));
}

/* A line that begins with a dot gets another one. */
static void write_line(struct ctrl *c, struct str line)
{
    if (str_starts(line, STR(".")))
        stream_write_str(&c->s.st, STR("."));
    stream_write_str(&c->s.st, line);
    stream_write_str(&c->s.st, STR("\r\n"));
}

static void end_command(struct ctrl *c)
{
    if (c->list.fd >= 0)
        io_close(c->list.fd);
    c->list = (struct listing){ .fd = -1, .rest = c->list.rest };
    buf_release(&c->list.rest);
    buf_release(&c->text);
    buf_release(&c->upload);
    c->listing = c->has_text = c->uploading = c->too_large = false;
    c->text_at = 0;
    c->trial_s = 0;
    c->work_done = NULL;
    c->agreed = false;
    auth_forget(&c->question);
    c->command = NULL;
    c->delegate = NULL;
    c->own_column = 0;
    c->count = 0;
    arena_wipe(&c->line_mem);
}

/* Handlers return STEP_INPUT for "go on with the next line". Called by the engine, which would
 * wait for more input first, they go on themselves. */
static enum step go_on(struct session *s, enum step step)
{
    return step == STEP_INPUT ? ctrl_next(s) : step;
}

static enum step more_text(struct session *s);

/* The next piece of an answer that was made at once. */
static enum step send_text(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    size_t upto = c->text_at + LIST_PIECE_BYTES;
    while (c->text_at < c->text.n && c->text_at < upto) {
        struct str rest = str_skip(buf_str(&c->text), c->text_at), line;
        size_t lf = str_find(rest, '\n');
        size_t whole = lf == SIZE_MAX ? rest.n : lf + 1;
        line = str_head(rest, lf);
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        write_line(c, line);
        c->text_at += whole;
    }
    if (c->text_at < c->text.n) {
        s->more = more_text;
        return STEP_OUTPUT;
    }
    session_reply(s, ".");
    end_command(c);
    return STEP_INPUT;
}

static enum step more_text(struct session *s)
{
    return go_on(s, send_text(s));
}

/* --- lists of tables --------------------------------------------------------------------- */

enum admin_result ctrl_list(struct ctrl *c, const char *path, size_t columns,
                            size_t first_pattern, struct err *e)
{
    struct stat st = { .st_size = 0 };
    struct listing *l = &c->list;
    l->fd = io_open(path, O_RDONLY, 0);
    if (l->fd < 0 && errno != ENOENT) {
        (void)err_sys(e, "open %s", path);
        return ADMIN_CANT_OPEN;
    }
    if (l->fd >= 0 && io_fstat(l->fd, &st) < 0)
        return ADMIN_CANT_OPEN;
    l->at = 0;
    l->size = (uint64_t)st.st_size;
    l->columns = columns;
    l->pattern_count = 0;
    for (size_t i = first_pattern; i < c->count && l->pattern_count < ARRAY_LEN(l->patterns);
         i++)
        l->patterns[l->pattern_count++] = c->parameters[i];
    buf_init(&l->rest, 2 * TAB_LINE_MAX);
    c->listing = true;
    return ADMIN_OK;
}

static void list_line(struct ctrl *c, struct str line)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct listing *l = &c->list;
    struct str values[32], out[16];
    size_t count = 0, out_count = 0;
    if (tab_parse_line(line, &a, values, ARRAY_LEN(values), &count, NULL) != RC_OK ||
        count < l->columns)
        return;
    struct tab_row row = { 0, count, values };
    for (size_t i = 0; i < l->pattern_count && i < l->columns; i++)
        if (!str_matches(values[i], l->patterns[i]))
            return;
    if (!ctrl_delegate_sees(c, values, count))
        return;
    if (l->format != NULL) {
        if (!l->format(c, &row, &a, out, &out_count))
            return;
    } else {
        out_count = MIN(l->columns, ARRAY_LEN(out));
        memcpy(out, values, out_count * sizeof(*out));
    }
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, 2 * TAB_LINE_MAX);
    if (tab_print_row(&text, out, out_count, "", NULL) == RC_OK)
        write_line(c, buf_str(&text));
}

/* Reads a block of the table and writes its whole lines. False: it is read to its end. */
static bool list_block(struct ctrl *c)
{
    struct listing *l = &c->list;
    size_t want = (size_t)MIN((uint64_t)LIST_PIECE_BYTES, l->size - l->at);
    if (l->fd < 0 || want == 0 || buf_reserve(&l->rest, want) != RC_OK)
        return false;
    ssize_t n = io_pread(l->fd, l->rest.p + l->rest.n, want, l->at);
    if (n <= 0)
        return false;
    l->rest.n += (size_t)n;
    l->at += (uint64_t)n;
    size_t used = 0, lf = 0;
    while ((lf = str_find(str_skip(buf_str(&l->rest), used), '\n')) != SIZE_MAX) {
        list_line(c, str_head(str_skip(buf_str(&l->rest), used), lf));
        used += lf + 1;
    }
    buf_consume(&l->rest, used);
    return l->at < l->size;
}

static enum step more_list(struct session *s);

static enum step send_list(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    if (list_block(c)) {
        s->more = more_list;
        return STEP_OUTPUT;
    }
    if (c->list.rest.n > 0)
        list_line(c, buf_str(&c->list.rest));
    session_reply(s, ".");
    end_command(c);
    return STEP_INPUT;
}

static enum step more_list(struct session *s)
{
    return go_on(s, send_list(s));
}

/* --- uploads ----------------------------------------------------------------------------- */

enum admin_result ctrl_upload(struct ctrl *c, struct str path,
                              enum admin_result (*done)(struct ctrl *c, struct str content,
                                                        struct err *e))
{
    c->upload_path = path;
    c->upload_done = done;
    c->uploading = true;
    buf_init(&c->upload, UPLOAD_MAX);
    return ADMIN_OK;
}

static void upload_line(struct ctrl *c, struct str line)
{
    if (str_starts(line, STR("..")))
        line = str_skip(line, 1);
    if (c->too_large || buf_add_str(&c->upload, line) != RC_OK ||
        buf_add_char(&c->upload, '\n') != RC_OK)
        c->too_large = true;
}

static enum admin_result upload_done(struct ctrl *c, struct err *e)
{
    return c->upload_done(c, buf_str(&c->upload), e);
}

static enum step finish_upload(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    struct err e = { .text = "" };
    enum admin_result result = ADMIN_BAD_PARAMETER;
    if (c->too_large)
        (void)err_perm(&e, "5.3.4", "it is too large");
    else
        result = ctrl_delegate_upload(c, buf_str(&c->upload), &e);
    if (result == ADMIN_OK)
        result = audit_act(c, upload_done, &e);
    if (result != ADMIN_OK)
        log_info(EV("control command refused"), KS("session", session_id(s)),
                 KV("command", c->command->name), KU("result", result), KE(&e));
    ctrl_reply(c, result, &e);
    end_command(c);
    return STEP_INPUT;
}

/* --- commands ---------------------------------------------------------------------------- */

static const struct ctrl_command *find_command(struct str name)
{
    for (size_t i = 0; i < ctrl_command_count; i++)
        if (str_ieq(name, str_from_c(ctrl_commands[i].name)))
            return &ctrl_commands[i];
    return NULL;
}

static bool parameters_are_good(const struct ctrl *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (str_has_control(c->parameters[i]))
            return false;
    return true;
}

static enum step answer(struct ctrl *c, enum admin_result result, const struct err *e);
static enum step more_work(struct session *s);

/* The command's answer is made elsewhere. */
static enum step wait_for_work(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    struct err e = { .text = "" };
    enum admin_result result = ADMIN_OK;
    bool done = c->work_done(c, &result, &e);
    if (!done && clock_mono() < c->wait_until && !s->stopping) {
        s->more = more_work;
        s->wake_at = clock_mono() + WORK_LOOK;
        return STEP_DELAY;
    }
    c->work_done = NULL;
    return answer(c, done ? result : ADMIN_TOO_LONG, &e);
}

static enum step more_work(struct session *s)
{
    return go_on(s, wait_for_work(s));
}

/* What the command asked for beyond its answer. */
static enum step answer(struct ctrl *c, enum admin_result result, const struct err *e)
{
    struct session *s = &c->s;
    if (result == ADMIN_OK && c->work_done != NULL)
        return wait_for_work(s);
    metric_add(result == ADMIN_OK ? METRIC_ctrl_done : METRIC_ctrl_refused, 1);
    if (result != ADMIN_OK)
        log_info(EV("control command refused"), KS("session", session_id(s)),
                 KS("user", c->user), KV("command", c->command->name), KU("result", result),
                 KE(e));
    if (result == ADMIN_OK && c->uploading) {
        session_reply(s, "+00101 OK, send lines and a single dot");
        return STEP_INPUT;
    }
    if (result == ADMIN_OK && (c->listing || c->has_text)) {
        session_reply(s, "+00100 OK, lines follow");
        return c->listing ? send_list(s) : send_text(s);
    }
    if (result != ADMIN_OK && c->agreed)
        log_error(EV("a program followed a change that failed here"),
                  KS("session", session_id(s)), KV("command", c->command->name),
                  KS("object", ctrl_param(c, 1)), KS("name", ctrl_param(c, 2)), KE(e));
    if (result == ADMIN_OK && c->command->changes)
        log_info(EV("control command"), KS("session", session_id(s)), KS("user", c->user),
                 KV("command", c->command->name), KS("object", ctrl_param(c, 1)),
                 KS("name", ctrl_param(c, 2)));
    ctrl_reply(c, result, e);
    end_command(c);
    return STEP_INPUT;
}

static enum step more_waiting(struct session *s);
static enum step more_seen(struct session *s);
static enum step program_answered(struct session *s);

/* The reply to a change that needed a new index: when all roles use it. */
static enum step wait_to_be_seen(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    if (!hooks.visible() && clock_mono() < c->wait_until && !s->stopping) {
        s->more = more_seen;
        s->wake_at = clock_mono() + INDEX_LOOK;
        return STEP_DELAY;
    }
    struct err none = { .text = "" };
    return answer(c, ADMIN_OK, &none);
}

static enum step more_seen(struct session *s)
{
    return go_on(s, wait_to_be_seen(s));
}

/* A change waits while another program's change isn't in the index yet, and is answered when
 * the roles have the index it needs. */
static enum step wait_for_index(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    struct err e = { .text = "" };
    bool ready = admin_is_ready(&e);
    if (!ready && clock_mono() < c->wait_until && !s->stopping) {
        s->more = more_waiting;
        s->wake_at = clock_mono() + INDEX_LOOK;
        return STEP_DELAY;
    }
    if (!ready)
        return answer(c, ADMIN_LOCKED, &e);
    bool asked = false;
    enum step step = STEP_INPUT;
    enum admin_result result = ctrl_program_begin(c, program_answered, &asked, &step, &e);
    if (asked)
        return step;
    if (result == ADMIN_OK)
        result = audit_act(c, c->command->run, &e);
    if (result != ADMIN_OK || !admin_index_due() || hooks.refresh == NULL)
        return answer(c, result, &e);
    hooks.refresh();
    c->wait_until = clock_mono() + INDEX_WAIT;
    return wait_to_be_seen(s);
}

static enum step more_waiting(struct session *s)
{
    return go_on(s, wait_for_index(s));
}

/* The program has ended. Meanwhile the tables may have changed: all is looked at again. */
static enum step program_answered(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    struct err e = { .text = "" };
    bool waits = false;
    enum step step = STEP_INPUT;
    enum admin_result result = ctrl_program_end(c, &waits, &step, &e);
    if (waits)
        return step;
    if (result != ADMIN_OK || !c->command->changes)
        return go_on(s, answer(c, result, &e));
    c->wait_until = clock_mono() + INDEX_WAIT;
    return go_on(s, wait_for_index(s));
}

static enum step run(struct ctrl *c, struct str line)
{
    struct session *s = &c->s;
    struct err e = { .text = "" };
    if (line.n == 0)
        return STEP_INPUT;
    /* The parameters outlive the buffer that the line came in. */
    enum rc rc = tab_parse_line(arena_str(&c->line_mem, line), &c->line_mem, c->parameters,
                                PARAMETERS_MAX, &c->count, &e);
    struct str name = rc == RC_OK ? ctrl_param(c, 0) : str_from("", 0);
    if (str_ieq(name, STR("quit"))) {
        session_reply(s, "+00000 OK");
        return STEP_CLOSE;
    }
    c->command = find_command(name);
    bool has_nul = memchr(line.p, '\0', line.n) != NULL;
    enum admin_result wrong = has_nul                   ? ADMIN_BAD_CHARACTERS
                              : rc != RC_OK             ? ADMIN_BAD_PARAMETER
                              : !parameters_are_good(c) ? ADMIN_BAD_CHARACTERS
                              : c->command == NULL      ? ADMIN_BAD_COMMAND
                              : c->count < c->command->least || c->count > c->command->most
                                  ? ADMIN_BAD_PARAMETER
                                  : ctrl_delegate_check(c, &e);
    if (wrong != ADMIN_OK) {
        if (wrong == ADMIN_BAD_PARAMETER && c->command != NULL)
            (void)err_perm(&e, "5.5.4", "%s %s", c->command->name, c->command->syntax);
        ctrl_reply(c, wrong, &e);
        end_command(c);
        return STEP_INPUT;
    }
    if (!c->command->changes) {
        bool asked = false;
        enum step step = STEP_INPUT;
        enum admin_result result = ctrl_program_begin(c, program_answered, &asked, &step, &e);
        if (asked)
            return step;
        if (result == ADMIN_OK)
            result = audit_act(c, c->command->run, &e);
        return answer(c, result, &e);
    }
    c->wait_until = clock_mono() + INDEX_WAIT;
    return wait_for_index(s);
}

/* --- lines ------------------------------------------------------------------------------- */

static enum step take_line(struct session *s, struct str line)
{
    struct ctrl *c = ctrl_of(s);
    if (c->uploading) {
        if (str_eq(line, STR(".")))
            return finish_upload(s);
        upload_line(c, line);
        return STEP_INPUT;
    }
    return s->state == CTRL_LOGIN ? ctrl_login(s, line) : run(c, line);
}

enum step ctrl_next(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    struct str line;
    s->more = ctrl_next;
    if (!c->uploading && s->stopping) {
        ctrl_reply(c, ADMIN_STOPPING, NULL);
        return STEP_CLOSE;
    }
    for (unsigned lines = 0;; lines++) {
        enum rc rc = stream_line(&s->st, LINE_MAX_BYTES, true, &line);
        if (rc == RC_AGAIN)
            return STEP_INPUT;
        if (rc != RC_OK) {
            ctrl_reply(c, ADMIN_LINE_TOO_LONG, NULL);
            return STEP_CLOSE;
        }
        enum step step = take_line(s, line);
        if (step != STEP_INPUT)
            return step;
        s->more = ctrl_next;
        if (lines == LINES_AT_ONCE)
            return STEP_OUTPUT;
        session_set_deadline(s, clock_mono() + s->listener->protocol->idle(s));
    }
}

/* --- the protocol ------------------------------------------------------------------------ */

static enum step greet(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    unsigned line = 0;
    c->list.fd = -1;
    if (!s->listener->local && !access_is_allowed("ctrl.ipmap.tab", &s->client_ip, &line)) {
        log_info(EV("client refused"), KS("session", session_id(s)),
                 KV("client", ip_print(&s->client_ip, (char[IP_TEXT_BYTES]){ 0 })),
                 KU("ctrl.ipmap.tab line", line));
        ctrl_reply(c, ADMIN_IP_REFUSED, NULL);
        return STEP_CLOSE;
    }
    ctrl_greet(c);
    if (s->listener->local) {
        c->user = STR("local");
        session_enter(s, CTRL_READY);
    }
    s->more = ctrl_next;
    return STEP_INPUT;
}

static void end(struct session *s)
{
    struct ctrl *c = ctrl_of(s);
    end_command(c);
    arena_release(&c->line_mem);
}

static usec_t idle(struct session *s)
{
    const struct options *o = conf();
    unsigned own = s->listener->implicit_tls ? o->ctrls.timeout_s : o->ctrl.timeout_s;
    return (own > 0 ? own : 120) * USEC_S;
}

static unsigned max_errors(struct session *s)
{
    (void)s;
    return 0;
}

static const char *const state_names[] = { "LOGIN", "READY" };

const struct protocol control_protocol = {
    .name = "ctrl",
    .session_bytes = sizeof(struct ctrl),
    .commands = NULL,
    .command_count = 0,
    .state_names = state_names,
    .line_max = LINE_MAX_BYTES,
    .greet = greet,
    .end = end,
    .idle = idle,
    .hears_stop = true,
    .max_errors = max_errors,
    .words = {
        .unknown = "-00103 not a command",
        .bad_sequence = "-00099 not now",
        .line_too_long = "-00162 the line is too long",
        .pipelined = "-00099 nothing may follow this line before its reply",
        .timeout = "-00005 too long without a command, closing",
        .busy = "-00129 the server is busy, try again later",
        .busy_address = "-00129 too many connections from your address",
        .stopping = "-00001 the server is stopping",
        .too_many_errors = "-00099 too many errors",
        .tls_unavailable = "-00249 TLS is not available now",
    },
};

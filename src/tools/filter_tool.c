/*
 * filter_tool.c - `hikyaku filter-test`: messages through all filters that are meant for them,
 * as sessions and the queue would show them. Nothing is delivered.
 */
#include "conf/options.h"
#include "gates/gates.h"
#include "mail/header.h"
#include "mail/stuffed.h"
#include "smtpd/smtpd.h"
#include "tools/filter_run.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include <getopt.h>

#define RCPTS_MAX ((size_t)100)

static const char usage[] =
    "usage: hikyaku filter-test [--from ADDRESS] [--to ADDRESS]... [--client IP] [--helo "
    "NAME]\n"
    "         [--auth USER] [--json] [--mailroot DIR] FILE...\n"
    "What each line of the filters' tables would do to the message in FILE: those of "
    "sessions,\n"
    "those that filters.in.tab and filters.out.tab choose, and filters among commands.\n"
    "Programs run, milters and hooks are asked; nothing is delivered. Without --from and "
    "--to:\n"
    "the addresses of the message's Return-Path or From, of its To and Cc. Lines behind one\n"
    "that refuses are shown too. Ends with 4 when a message wouldn't get through.\n";

struct asked {
    struct arena mem;
    const char *from, *client, *helo, *auth, *mailroot;
    const char *to[RCPTS_MAX];
    size_t to_count;
    struct str path; /* of FILE */
    bool white_listed, any_refused;
    json_t *told; /* of each message; NULL: as text */
    usec_t until; /* lines aren't run behind this moment; 0: there is none */
};

/* --- lines ------------------------------------------------------------------------------- */

static enum rc run_in_time(struct testing *t, const struct tested_line *at,
                           const struct program_line *line, struct err *e)
{
    if (t->until == 0 || clock_mono() < t->until)
        return filter_line_run(t, at, line, e);
    filter_line_skip(t, at, "the test takes too long");
    return RC_OK;
}

static enum rc test_filters(struct testing *t, struct str table, struct tested_rcpt *rcpt,
                            bool queued, struct err *e)
{
    struct tab tab;
    enum rc rc = tab_read(arena_c(&t->mem, table), &t->mem, &tab, e);
    for (size_t i = 0; rc == RC_OK && i < tab.row_count; i++) {
        const struct tested_line at = { table, &tab.rows[i], rcpt, queued };
        struct program_line line;
        const char *why = program_line_parse(&tab.rows[i], &line);
        if (why != NULL)
            filter_line_skip(t, &at, why);
        else if (line.not_for_logged_in && t->scene.login.n > 0)
            filter_line_skip(t, &at, "not for clients that logged in");
        else if (line.not_for_white_listed && t->white_listed && !queued)
            filter_line_skip(t, &at, "not for clients with WhiteList=1");
        else
            rc = run_in_time(t, &at, &line, e);
    }
    return rc;
}

/* Filters among the commands of the recipient. */
static enum rc test_commands(struct testing *t, struct tested_rcpt *rcpt, struct err *e)
{
    struct str tables[USERS_COMMAND_TABLES];
    size_t count = users_command_tables(&rcpt->who, &t->mem, tables);
    enum rc rc = RC_OK;
    t->stopped = false;
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        struct tab tab = { .row_count = 0 };
        rc = tab_read(tables[i].p, &t->mem, &tab, e);
        for (size_t k = 0; rc == RC_OK && k < tab.row_count; k++) {
            const struct tested_line at = { tables[i], &tab.rows[k], rcpt, true };
            struct proc_command command;
            const char *why = proc_command_parse(&tab.rows[k], &command);
            if (why != NULL)
                filter_line_skip(t, &at, why);
            else if (command.kind == COMMAND_FILTER)
                rc = run_in_time(t, &at, &command.program, e);
            else
                filter_line_skip(t, &at, "not a filter");
        }
    }
    return rc;
}

/* Filters of the message for one recipient, as the queue runs them. */
static enum rc test_queued(struct testing *t, struct tested_rcpt *rcpt, struct err *e)
{
    bool elsewhere = rcpt->who.kind == RECIPIENT_REMOTE;
    const struct filter_subject about = { t->scene.real_sender, rcpt->real, t->scene.client,
                                          t->scene.server };
    struct filter_choice choice = { .count = 0 };
    enum rc rc = RC_OK;
    t->stopped = false;
    if (elsewhere || rcpt->who.kind == RECIPIENT_ACCOUNT)
        (void)filters_select(elsewhere ? FILTERS_OUT : FILTERS_IN, &about, &t->mem, &choice);
    for (size_t i = 0; i < choice.count && rc == RC_OK; i++) {
        if (!file_exists(choice.files[i].p))
            return err_perm(e, "5.3.0", "%s isn't there", choice.files[i].p);
        rc = test_filters(t, choice.files[i], rcpt, true, e);
    }
    return rc == RC_OK ? test_commands(t, rcpt, e) : rc;
}

/* --- a message --------------------------------------------------------------------------- */

static enum rc test_message(struct testing *t, struct err *e)
{
    const struct str message = t->message;
    enum rc rc = RC_OK;
    t->message = (struct str){ .p = NULL };
    for (size_t i = 0; i < t->rcpt_count && rc == RC_OK; i++) {
        t->stopped = false;
        rc = test_filters(t, STR("filters.post-rcpt.tab"), &t->rcpts[i], false, e);
    }
    t->stopped = false;
    if (rc == RC_OK)
        rc = test_filters(t, STR("filters.pre-data.tab"), NULL, false, e);
    t->message = message;
    t->stopped = false;
    if (rc == RC_OK)
        rc = test_filters(t, STR("filters.post-data.tab"), NULL, false, e);
    const struct str accepted = t->message;
    for (size_t i = 0; i < t->rcpt_count && rc == RC_OK; i++) {
        t->message = accepted;
        rc = test_queued(t, &t->rcpts[i], e);
    }
    return rc;
}

/* --- whose it is ------------------------------------------------------------------------- */

/* The addresses in its fields of that name. How many. */
static size_t find_addresses(struct testing *t, struct str name, struct address *out,
                             size_t most)
{
    struct str rest = str_head(t->message, header_end(t->message)), found, text;
    size_t n = 0;
    while (rest.n > 0) {
        struct str list = header_value(header_next_field(&rest, &found));
        while (str_ieq(found, name) && n < most && header_next_address(&list, &t->mem, &text))
            n += tool_parse_address(text, &t->mem, &out[n], NULL) == RC_OK;
    }
    return n;
}

static enum rc find_sender(struct testing *t, const struct asked *q, struct err *e)
{
    struct address from;
    enum rc rc = RC_OK;
    if (q->from != NULL)
        rc = tool_parse_address(str_from_c(q->from), &t->mem, &from, e);
    else if (find_addresses(t, STR("Return-Path"), &from, 1) == 0 &&
             find_addresses(t, STR("From"), &from, 1) == 0)
        rc = err_perm(e, "5.1.7", "it names no sender; give one by --from");
    if (rc != RC_OK)
        return rc;
    const struct address real = users_meaning(&from, &t->mem);
    t->scene.sender = address_print_bare(&from, &t->mem);
    t->scene.real_sender = address_print_bare(&real, &t->mem);
    return RC_OK;
}

static void add_recipient(struct testing *t, const struct address *given)
{
    struct tested_rcpt *r = &t->rcpts[t->rcpt_count++];
    struct address real = users_meaning(given, &t->mem);
    if (users_resolve(&real, &t->mem, &r->who, NULL) != RC_OK)
        r->who = (struct recipient){ .kind = RECIPIENT_UNKNOWN };
    if (r->who.kind == RECIPIENT_CMDALIAS)
        real = r->who.target;
    r->refused = r->who.kind == RECIPIENT_UNKNOWN;
    t->any_refused = t->any_refused || r->refused;
    r->given = address_print_bare(given, &t->mem);
    r->real = address_print_bare(&real, &t->mem);
}

/* What was found about a message. */
static json_t *told_json(const struct testing *t, const char *name)
{
    json_t *rcpts = json_array();
    for (size_t i = 0; i < t->rcpt_count; i++)
        (void)json_array_append_new(
            rcpts, json_pack("{s:o, s:s}", "address", filter_told(t->rcpts[i].given), "kind",
                             tool_recipient_kind(t->rcpts[i].who.kind)));
    return json_pack("{s:o, s:o, s:o, s:O, s:b}", "file", filter_told(str_from_c(name)),
                     "sender", filter_told(t->scene.sender), "recipients", rcpts, "lines",
                     t->told, "passes", (int)!t->any_refused);
}

static void print_told(const struct testing *t, const char *name)
{
    (void)printf("%s from ", name);
    tool_print_text(t->scene.sender.n > 0 ? t->scene.sender : STR("<>"), false);
    (void)printf("\n");
    for (size_t i = 0; i < t->rcpt_count; i++) {
        (void)printf("  to ");
        tool_print_text(t->rcpts[i].given, false);
        (void)printf(": %s\n", tool_recipient_kind(t->rcpts[i].who.kind));
    }
    for (size_t i = 0; i < json_array_size(t->told); i++)
        filter_line_print(json_array_get(t->told, i));
    if (!t->any_line)
        (void)printf("no filter is meant for it\n");
}

static enum rc find_recipients(struct testing *t, const struct asked *q, struct err *e)
{
    struct address found[RCPTS_MAX];
    size_t n = 0;
    for (; n < q->to_count; n++)
        if (tool_parse_address(str_from_c(q->to[n]), &t->mem, &found[n], e) != RC_OK)
            return e->rc;
    if (n == 0) {
        n = find_addresses(t, STR("To"), found, RCPTS_MAX);
        n += find_addresses(t, STR("Cc"), found + n, RCPTS_MAX - n);
    }
    if (n == 0)
        return err_perm(e, "5.1.3", "it names no recipient; give one by --to");
    t->rcpts = arena_new_array(&t->mem, struct tested_rcpt, n);
    for (size_t i = 0; i < n; i++)
        add_recipient(t, &found[i]);
    return RC_OK;
}

static enum rc read_message(struct testing *t, struct str text, struct err *e)
{
    struct unstuffing u = { .dotted = false };
    struct buf lines AUTO_RELEASE_BUF;
    buf_init(&lines, 2 * FILTER_MESSAGE_MAX);
    if (unstuff_feed(&u, text, &lines) != RC_OK || unstuff_end(&u, &lines) != RC_OK)
        return err_temp(e, "4.3.0", "no memory for the message");
    t->message = arena_str(&t->mem, buf_str(&lines));
    return RC_OK;
}

static enum rc test_file(struct asked *q, const char *name, struct str text, struct err *e)
{
    struct testing t = { .path = q->path, .white_listed = q->white_listed, .until = q->until };
    t.scene = (struct filter_scene){
        .helo = str_from_c(q->helo),
        .client = arena_printf(&t.mem, "[%s]:1025", q->client),
        .server = STR("[127.0.0.1]:25"),
        .domain =
            conf()->smtp_server_domain.n > 0 ? conf()->smtp_server_domain : conf()->root_domain,
        .id = arena_printf(&t.mem, "%013" PRIx64 "%05x", (uint64_t)clock_wall(),
                           (unsigned)getpid() & 0xfffff),
        .login = str_from_c(q->auth == NULL ? "" : q->auth),
        .time = clock_wall(),
    };
    t.told = json_array();
    enum rc rc = read_message(&t, text, e);
    if (rc == RC_OK)
        rc = find_sender(&t, q, e);
    if (rc == RC_OK)
        rc = find_recipients(&t, q, e);
    if (rc == RC_OK)
        rc = test_message(&t, e);
    if (rc == RC_OK && q->told != NULL)
        (void)json_array_append_new(q->told, told_json(&t, name));
    else if (rc == RC_OK)
        print_told(&t, name);
    json_decref(t.told);
    q->any_refused = q->any_refused || t.any_refused;
    arena_release(&t.mem);
    return rc == RC_OK ? rc : err_wrap(e, "%s", name);
}

/* --- the command ------------------------------------------------------------------------- */

/* Is the client white-listed, by its address? */
static enum rc look_at_client(struct asked *q, struct err *e)
{
    struct gate_memory memory = { .properties = 0 };
    struct gate_subject s = { .memory = &memory, .tmp = &q->mem };
    struct gate_decision d;
    if (!ip_parse(str_from_c(q->client), &s.client))
        return err_perm(e, "5.3.0", "%s is not an address", q->client);
    smtpd_prepare();
    (void)gates_run(GATE_CONNECT, &s, NULL, NULL, &d);
    q->white_listed = (memory.properties & PROPERTY_WHITE_LIST) != 0;
    return RC_OK;
}

/* In the MailRoot. */
static enum rc prepare(struct asked *q, struct err *e)
{
    enum rc rc = options_load(e);
    log_set_level(LOG_LEVEL_WARN); /* what programs do is told */
    if (rc == RC_OK)
        rc = tool_use_accounts(e);
    if (rc == RC_OK)
        rc = look_at_client(q, e);
    return rc == RC_OK ? filter_run_init(&q->mem, &q->path, e) : rc;
}

static enum rc set_up(struct asked *q, struct err *e)
{
    enum rc rc = tool_enter_mailroot(q->mailroot, e);
    if (rc == RC_OK)
        rc = tool_become_owner(e);
    return rc == RC_OK ? prepare(q, e) : rc;
}

static int run(struct asked *q, char **names, size_t count)
{
    struct err e = { .text = "" };
    struct str *texts = arena_new_array(&q->mem, struct str, count + 1);
    enum rc rc = RC_OK;
    /* Before the MailRoot is entered: the paths are the caller's. */
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        rc = file_read(names[i], FILTER_MESSAGE_MAX, &q->mem, &texts[i], NULL, &e);
    if (rc == RC_OK)
        rc = set_up(q, &e);
    for (size_t i = 0; i < count && rc == RC_OK; i++)
        rc = test_file(q, names[i], texts[i], &e);
    filter_run_end();
    if (rc == RC_OK && q->told != NULL) {
        (void)json_dumpf(q->told, stdout, JSON_INDENT(1));
        (void)printf("\n");
    }
    (void)fflush(stdout);
    if (rc != RC_OK)
        (void)fprintf(stderr, "hikyaku filter-test: %s\n", e.text);
    return rc != RC_OK ? 1 : q->any_refused ? 4 : 0;
}

int tool_filter_test(int argc, char **argv)
{
    static const struct option options[] = {
        { "from", required_argument, NULL, 'f' },
        { "to", required_argument, NULL, 't' },
        { "client", required_argument, NULL, 'c' },
        { "helo", required_argument, NULL, 'h' },
        { "auth", required_argument, NULL, 'a' },
        { "mailroot", required_argument, NULL, 'm' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 },
    };
    struct asked q = { .client = "127.0.0.1", .helo = "localhost" };
    const struct {
        int option;
        const char **value;
    } texts[] = { { 'f', &q.from },
                  { 'c', &q.client },
                  { 'h', &q.helo },
                  { 'a', &q.auth },
                  { 'm', &q.mailroot } };
    int c = 0;
    argc++;
    argv--;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1 && c != '?') {
        if (c == 'j' && q.told == NULL)
            q.told = json_array();
        if (c == 't' && q.to_count < RCPTS_MAX)
            q.to[q.to_count++] = optarg;
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            if (texts[i].option == c)
                *texts[i].value = optarg;
    }
    if (c != -1 || optind >= argc) {
        (void)fputs(usage, stderr);
        return 3;
    }
    int code = run(&q, argv + optind, (size_t)(argc - optind));
    json_decref(q.told);
    arena_release(&q.mem);
    return code;
}

/* --- by order ----------------------------------------------------------------------------- */

/* A text of the order; NULL: empty or not there. */
static const char *ordered_text(const json_t *order, const char *name)
{
    const char *text = json_string_value(json_object_get(order, name));
    return text == NULL || text[0] == '\0' ? NULL : text;
}

static enum rc read_order(struct asked *q, json_t **out_order, struct str *out_message,
                          struct err *e)
{
    struct str text;
    enum rc rc = file_read(FILTER_TEST_ORDER, FILTER_MESSAGE_MAX, &q->mem, &text, NULL, e);
    if (rc == RC_OK)
        rc = file_read(FILTER_TEST_MESSAGE, FILTER_MESSAGE_MAX, &q->mem, out_message, NULL, e);
    json_t *order = rc == RC_OK ? json_loadb(text.p, text.n, 0, NULL) : NULL;
    if (rc == RC_OK && order == NULL)
        rc = err_perm(e, "5.3.0", "the order isn't whole");
    *out_order = order;
    if (rc != RC_OK)
        return rc;
    const json_t *to = json_object_get(order, "to");
    q->from = ordered_text(order, "from");
    q->auth = ordered_text(order, "auth");
    if (ordered_text(order, "client") != NULL)
        q->client = ordered_text(order, "client");
    if (ordered_text(order, "helo") != NULL)
        q->helo = ordered_text(order, "helo");
    for (size_t i = 0; i < json_array_size(to) && q->to_count < RCPTS_MAX; i++)
        q->to[q->to_count++] = json_string_value(json_array_get(to, i));
    return RC_OK;
}

static enum rc write_result(json_t *result, struct err *e)
{
    char *text = json_dumps(result, JSON_COMPACT);
    enum rc rc = text == NULL ? err_temp(e, "4.3.1", "no memory for the result")
                              : file_replace(FILTER_TEST_RESULT, str_from_c(text), 0640, e);
    free(text);
    return rc;
}

int tool_filter_test_ordered(void)
{
    struct asked q = { .client = "127.0.0.1", .helo = "localhost", .told = json_array() };
    struct err e = { .text = "" }, unwritten;
    struct str message = STR("");
    json_t *order = NULL;
    q.until = clock_mono() + FILTER_TEST_TIME;
    enum rc rc = read_order(&q, &order, &message, &e);
    if (rc == RC_OK)
        rc = prepare(&q, &e);
    if (rc == RC_OK)
        rc = test_file(&q, "message", message, &e);
    filter_run_end();
    if (file_remove(FILTER_TEST_MESSAGE, &unwritten) != RC_OK)
        log_warn(EV("message of a filter test not removed"), KE(&unwritten));
    json_t *result = rc == RC_OK ? json_incref(json_array_get(q.told, 0))
                                 : json_pack("{s:o}", "error", filter_told(str_from_c(e.text)));
    rc = write_result(result, &unwritten);
    if (rc != RC_OK)
        log_error(EV("result of a filter test not written"), KE(&unwritten));
    json_decref(result);
    json_decref(order);
    json_decref(q.told);
    arena_release(&q.mem);
    return rc == RC_OK ? 0 : 1;
}

/*
 * filter_tool.c - `hikyaku filter-test`: messages through the filters of the SMTP session, as
 * the runner role would run them, in this process; nothing is delivered.
 */
#include "conf/options.h"
#include "mail/date.h"
#include "mail/stuffed.h"
#include "process/process.h"
#include "runner/runner.h"
#include "sys/lock.h"
#include "tools/tools.h"
#include "tools/tools_int.h"

static const char usage[] =
    "usage: hikyaku filter-test [--mailroot DIR] [--from ADDRESS] [--to ADDRESS] [--client "
    "IP]\n"
    "                           [--auth NAME] FILE...\n"
    "Shows what each line of filters.post-rcpt.tab, filters.pre-data.tab and\n"
    "filters.post-data.tab does to the message in FILE: code, reply, output, changes. "
    "Programs\n"
    "run, milters and hooks are asked; nothing is delivered. Every line is shown, also behind\n"
    "one that refuses.\n";

#define MESSAGE_MAX ((size_t)256 << 20)
#define FOLDER "hikyaku/filter"
#define LINES_SHOWN 20u

struct testing {
    struct arena mem;
    const char *from, *to, *client, *auth;
    struct str head, path; /* of FILE; absolute */
    struct str message;    /* with LF, as it goes on */
};

/* What came of the run under way. */
static struct lock lock = LOCK_INIT(LOCK_STORE);
static pthread_cond_t ended;
static bool is_ended;
static uint64_t code_now;
static struct buf text_now, output_now;
static struct pool *pool;

static void on_done(const struct runner_request *r, uint64_t code, struct str text)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&lock);
    (void)held;
    code_now = code;
    buf_reset(&text_now);
    buf_reset(&output_now);
    buf_must(buf_add_str(&text_now, text));
    buf_must(buf_add_str(&output_now, r->output));
    is_ended = true;
    (void)pthread_cond_signal(&ended);
}

static void *run_pool(void *arg)
{
    (void)arg;
    pool_run(pool);
    return NULL;
}

static void wait_for_end(void)
{
    struct lock *held AUTO_UNLOCK = lock_hold(&lock);
    (void)held;
    while (!is_ended)
        (void)lock_wait(&lock, &ended, clock_mono() + USEC_S);
}

/* --- FILE -------------------------------------------------------------------------------- */

static void print_head(struct testing *t, bool has_rcpt, bool has_message)
{
    struct buf out AUTO_RELEASE_BUF;
    char date[DATE_TEXT_BYTES];
    buf_init(&out, MACROS_MAX);
    buf_addf(&out, "filter.test;[%s]:25;%.*s;[127.0.0.1]:25;%s;Hikyaku\r\n%.*s\r\nStest\r\n",
             t->client, STR_ARG(conf()->root_domain), date_print(clock_wall(), date),
             STR_ARG(conf()->root_domain));
    buf_addf(&out, "MAIL FROM:<%s>\r\n", t->from);
    if (has_rcpt)
        buf_addf(&out, "RCPT TO:<%s> {ra=%s}\r\n", t->to, t->to);
    if (has_message)
        buf_addf(&out, XMAIL_DATA_TAG "\r\n");
    t->head = arena_str(&t->mem, buf_str(&out));
}

static enum rc write_file(struct testing *t, bool has_message, struct file_id *out,
                          struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct stuffing s = { .in_line = false };
    buf_init(&text, 4 * MESSAGE_MAX);
    (void)io_unlink(t->path.p);
    int fd AUTO_CLOSE = io_open(t->path.p, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, "make %s", t->path.p);
    if (buf_add_str(&text, t->head) != RC_OK ||
        (has_message && stuff_feed(&s, t->message, &text) != RC_OK))
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

/* --- what is shown ----------------------------------------------------------------------- */

static void print_lines(char sign, struct str text)
{
    struct str line;
    for (unsigned n = 0; text.n > 0 && str_cut(&text, '\n', &line); n++) {
        if (n == LINES_SHOWN) {
            (void)printf("    %c ...\n", sign);
            return;
        }
        (void)printf("    %c ", sign);
        tool_print_text(line, false);
        (void)printf("\n");
    }
}

/* Lines between the first and the last that differ. */
static void print_changes(struct str before, struct str after)
{
    size_t from = 0, most = MIN(before.n, after.n), tail = 0;
    for (size_t i = 0; i < most && before.p[i] == after.p[i]; i++)
        if (before.p[i] == '\n')
            from = i + 1;
    for (size_t i = 1; i <= most - from && before.p[before.n - i] == after.p[after.n - i]; i++)
        if (i == before.n - from || i == after.n - from || before.p[before.n - i - 1] == '\n')
            tail = i;
    (void)printf("  changes the message, %zu octets to %zu:\n", before.n, after.n);
    print_lines('-', str_head(str_skip(before, from), before.n - from - tail));
    print_lines('+', str_head(str_skip(after, from), after.n - from - tail));
}

static void print_verdict(struct testing *t)
{
    struct str code = STR(""), text = STR("");
    uint64_t base = code_now & ~UINT64_C(16);
    if (code_now == PROGRAM_DISCARD) {
        (void)printf("  the message is taken and delivered to nobody\n");
    } else if (code_now > PROGRAM_CODE_MAX) {
        (void)printf("  fails: %.*s\n", STR_ARG(buf_str(&text_now)));
    } else {
        (void)printf("  code %" PRIu64 ": %s%s\n", code_now, base == 3 ? "refuses" : "goes on",
                     (code_now & 16) != 0 ? ", nothing behind it counts" : "");
        if (base == 3 && filter_rej_read(t->path.p, &t->mem, &code, &text)) {
            (void)printf("  reply: %.*s%s", STR_ARG(code), code.n > 0 ? " " : "");
            tool_print_text(text, false);
            (void)printf("\n");
        }
    }
    if (output_now.n > 0) {
        (void)printf("  output:\n");
        print_lines('|', buf_str(&output_now));
    }
}

/* --- a line ------------------------------------------------------------------------------ */

static enum rc print_macros(const struct testing *t, bool has_rcpt, int *out_fd, struct err *e)
{
    struct buf out AUTO_RELEASE_BUF;
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    buf_init(&out, MACROS_MAX);
    struct str to = has_rcpt ? str_from_c(t->to) : STR("");
    const struct macro macros[] = {
        { "FILE", t->path },
        { "USERAUTH", str_from_c(t->auth) },
        { "REMOTEADDR", arena_printf(&a, "[%s]:25", t->client) },
        { "LOCALADDR", STR("[127.0.0.1]:25") },
        { "FROM", str_from_c(t->from) },
        { "CRCPT", to },
        { "RRCPT", to },
    };
    if (macros_print(macros, ARRAY_LEN(macros), &out) != RC_OK)
        return err_perm(e, "5.3.0", "the addresses are too long");
    return file_in_memory(buf_str(&out), out_fd, e);
}

static enum rc run_line(struct testing *t, const char *table, const struct program_line *l,
                        bool has_rcpt, bool has_message, struct err *e)
{
    struct file_id id;
    struct buf after AUTO_RELEASE_BUF;
    struct runner_request r = { .table = str_from_c(table),
                                .line = l->line,
                                .sum = l->sum,
                                .type = STR("test"),
                                .about = STR("") };
    enum rc rc = write_file(t, has_message, &id, e);
    if (rc == RC_OK)
        rc = print_macros(t, has_rcpt, &r.macros_fd, e);
    if (rc != RC_OK)
        return rc;
    is_ended = false;
    runner_start(&r);
    wait_for_end();
    print_verdict(t);
    buf_init(&after, MESSAGE_MAX);
    if (has_message && code_now <= PROGRAM_CODE_MAX && (code_now & ~UINT64_C(16)) != 3 &&
        filter_file_is_changed(t->path.p, &id)) {
        if (filter_file_read(t->path.p, t->head, collect, &after, e) == RC_OK) {
            print_changes(t->message, buf_str(&after));
            t->message = arena_str(&t->mem, buf_str(&after));
        } else {
            (void)printf("  fails: %s\n", e->text);
        }
    }
    (void)io_unlink(arena_printf(&t->mem, "%s.rej", t->path.p).p);
    return RC_OK;
}

static enum rc run_table(struct testing *t, const char *table, bool has_rcpt, bool has_message,
                         struct err *e)
{
    struct tab tab = { .row_count = 0 };
    enum rc rc = file_exists(table) ? tab_read(table, &t->mem, &tab, e) : RC_OK;
    print_head(t, !has_rcpt, has_message);
    for (size_t i = 0; i < tab.row_count && rc == RC_OK; i++) {
        struct program_line l;
        const char *why = program_line_parse(&tab.rows[i], &l);
        (void)printf("%s:%u", table, tab.rows[i].line);
        for (size_t k = 0; k < tab.rows[i].count; k++) {
            (void)printf(" ");
            tool_print_text(tab_value(&tab.rows[i], k), false);
        }
        (void)printf("\n");
        if (why != NULL)
            (void)printf("  skipped: %s\n", why);
        else if (l.not_for_logged_in && strcmp(t->auth, "-") != 0)
            (void)printf("  not for clients that logged in\n");
        else
            rc = run_line(t, table, &l, has_rcpt, has_message, e);
    }
    return rc;
}

/* --- the command ------------------------------------------------------------------------- */

static enum rc test_message(struct testing *t, struct str text, struct err *e)
{
    struct unstuffing u = { .dotted = false };
    struct buf lines AUTO_RELEASE_BUF;
    buf_init(&lines, 2 * MESSAGE_MAX);
    if (unstuff_feed(&u, text, &lines) != RC_OK || unstuff_end(&u, &lines) != RC_OK)
        return err_temp(e, "4.3.0", "no memory for the message");
    t->message = arena_str(&t->mem, buf_str(&lines));
    enum rc rc = run_table(t, "filters.post-rcpt.tab", true, false, e);
    if (rc == RC_OK)
        rc = run_table(t, "filters.pre-data.tab", false, false, e);
    if (rc == RC_OK)
        rc = run_table(t, "filters.post-data.tab", false, true, e);
    (void)io_unlink(t->path.p);
    return rc;
}

static enum rc set_up(struct testing *t, const char *mailroot, struct err *e)
{
    char here[4096];
    enum rc rc = tool_enter_mailroot(mailroot, e);
    if (rc == RC_OK)
        rc = tool_become_owner(e);
    if (rc == RC_OK)
        rc = options_load(e);
    if (rc == RC_OK)
        rc = folder_make(FOLDER, 0700, e);
    if (rc == RC_OK && getcwd(here, sizeof(here)) == NULL)
        rc = err_sys(e, "find the MailRoot");
    if (rc == RC_OK)
        rc = pool_new(4, 256, &pool, e);
    if (rc != RC_OK)
        return rc;
    t->path = arena_printf(&t->mem, "%s/" FOLDER "/test-%d", here, (int)getpid());
    buf_init(&text_now, BUF_MAX_DEFAULT);
    buf_init(&output_now, BUF_MAX_DEFAULT);
    lock_cond_init(&ended);
    log_set_level(LOG_LEVEL_WARN);
    runner_init(pool, on_done);
    return thread_start(run_pool, NULL, "filters", NULL, e);
}

/* The index of the first word that is no option, or -1. */
static int read_arguments(struct testing *t, int argc, char **argv, const char **mailroot)
{
    const struct {
        const char *name;
        const char **to;
    } options[] = { { "--mailroot", mailroot },
                    { "--from", &t->from },
                    { "--to", &t->to },
                    { "--client", &t->client },
                    { "--auth", &t->auth } };
    int i = 1;
    while (i < argc && strncmp(argv[i], "--", 2) == 0) {
        size_t k = 0;
        while (k < ARRAY_LEN(options) && strcmp(argv[i], options[k].name) != 0)
            k++;
        if (k == ARRAY_LEN(options) || i + 1 >= argc)
            return -1;
        *options[k].to = argv[i + 1];
        i += 2;
    }
    return i < argc ? i : -1;
}

int tool_filter_test(int argc, char **argv)
{
    struct testing t = { .from = "sender@example.com",
                         .to = "recipient@example.com",
                         .client = "127.0.0.1",
                         .auth = "-" };
    const char *mailroot = NULL;
    struct err e = { .text = "" };
    int first = read_arguments(&t, argc, argv, &mailroot);
    if (first < 0) {
        (void)fputs(usage, stderr);
        return 2;
    }
    /* Messages are read before the MailRoot is entered: their paths are the caller's. */
    struct str *texts = arena_new_array(&t.mem, struct str, (size_t)argc);
    enum rc rc = RC_OK;
    for (int i = first; i < argc && rc == RC_OK; i++)
        rc = file_read(argv[i], MESSAGE_MAX, &t.mem, &texts[i], NULL, &e);
    if (rc == RC_OK)
        rc = set_up(&t, mailroot, &e);
    for (int i = first; i < argc && rc == RC_OK; i++) {
        (void)printf("%s\n", argv[i]);
        rc = test_message(&t, texts[i], &e);
    }
    if (rc != RC_OK)
        (void)fprintf(stderr, "hikyaku filter-test: %s\n", e.text);
    if (pool != NULL)
        pool_stop(pool, USEC_S);
    arena_release(&t.mem);
    return rc == RC_OK ? 0 : 1;
}

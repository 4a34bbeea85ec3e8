/* status.c - `hikyaku status` and `hikyaku metrics`: what the board says, for people, as JSON,
 * for Prometheus. */
#include "master/master.h"
#include "sys/board.h"
#include "sys/file.h"

static const char *const state_names[] = { "off", "starting", "running", "restarting soon",
                                           "stopping" };

static const char *state_of(const struct board_role *r)
{
    uint32_t state = r->state;
    return state < ARRAY_LEN(state_names) ? state_names[state] : "?";
}

static const char *seal_text(uint32_t bits, char *text, size_t n)
{
    static const struct {
        unsigned bit;
        const char *name;
    } parts[] = {
        { SEAL_NO_NEW_PRIVS, "no-new-privileges" },
        { SEAL_NO_CAPABILITIES, "no-capabilities" },
        { SEAL_SECCOMP, "seccomp" },
        { SEAL_LANDLOCK, "landlock" },
    };
    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        size_t used = strlen(text);
        if ((bits & parts[i].bit) != 0)
            (void)snprintf(text + used, n - used, "%s%s", used > 0 ? " " : "", parts[i].name);
    }
    return text[0] == '\0' ? "nothing" : text;
}

static const char *time_text(usec_t wall, char text[32])
{
    struct tm tm;
    time_t t = (time_t)(wall / USEC_S);
    (void)localtime_r(&t, &tm);
    (void)strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm);
    return text;
}

/* Of one role. */
static uint64_t count_of(const struct board_role *r, enum metric first, enum metric last)
{
    uint64_t n = 0;
    for (unsigned m = first; m <= (unsigned)last; m++)
        n += r->metrics[m];
    return n;
}

/* Of all roles. */
static uint64_t total(const struct board *b, enum metric m)
{
    uint64_t n = 0;
    for (size_t i = 0; i < BOARD_ROLES; i++)
        n += b->roles[i].metrics[m];
    return n;
}

static void print_role(const struct board_role *r)
{
    char text[128];
    (void)printf("  %-8s %-16s pid %-8u restarts %-3u", r->name, state_of(r), r->pid,
                 r->restarts);
    if (strcmp(r->name, "queue") == 0)
        (void)printf(" waiting %" PRIu64 ", active %" PRIu64 ", delivered %" PRIu64
                     ", failed %" PRIu64,
                     count_of(r, METRIC_queue_waiting, METRIC_queue_waiting),
                     count_of(r, METRIC_queue_active, METRIC_queue_active),
                     count_of(r, METRIC_delivered, METRIC_delivered),
                     count_of(r, METRIC_failed, METRIC_failed));
    else
        (void)printf(" sessions %" PRIu64 " now, %" PRIu64 " in all", r->sessions,
                     count_of(r, METRIC_sessions_smtp, METRIC_sessions_finger));
    (void)printf("\n  %-8s runs as uid %u, sealed by: %s\n", "", r->uid,
                 seal_text(r->seal, text, sizeof(text)));
}

/* What was turned away, and what went wrong. */
static void print_limits(const struct board *b)
{
    static const struct {
        enum metric metric;
        const char *what;
    } rows[] = {
        { METRIC_refused_sessions, "connections refused: MaxSessions" },
        { METRIC_refused_service, "connections refused: -?X of the service" },
        { METRIC_refused_address, "connections refused: MaxSessionsPerAddress" },
        { METRIC_refused_resources, "connections refused: disk or memory is short" },
        { METRIC_timeouts, "sessions that took too long" },
        { METRIC_tls_failed, "TLS handshakes that failed" },
        { METRIC_log_errors, "errors logged" },
        { METRIC_log_lost, "log lines lost" },
    };
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t n = total(b, rows[i].metric);
        if (n == 0)
            continue;
        (void)printf("%s  %-8" PRIu64 " %s\n", any ? "" : "\nsince the start:\n", n,
                     rows[i].what);
        any = true;
    }
}

static void print_people(const struct board *b)
{
    char text[32];
    (void)printf("Hikyaku %s, running since %s (pid %u)\n\nroles:\n", b->version,
                 time_text(b->started, text), b->master_pid);
    for (size_t i = 0; i < BOARD_ROLES; i++)
        if (b->roles[i].name[0] != '\0')
            print_role(&b->roles[i]);
    (void)printf("\nlistening:\n");
    for (uint32_t i = 0; i < b->listener_count && i < BOARD_LISTENERS; i++)
        (void)printf("  %-12s %s\n", b->listeners[i].service, b->listeners[i].address);
    (void)printf("\naccounts: %" PRIu64 " in %" PRIu64 " domains, %" PRIu64 " aliases, %" PRIu64
                 " problems in the tables (hikyaku check)\n",
                 b->accounts, b->domains, b->aliases, b->problems);
    if (b->certificate_expires > 0)
        (void)printf("certificate: valid until %s\n", time_text(b->certificate_expires, text));
    else
        (void)printf("certificate: none, TLS is not offered\n");
    print_limits(b);
}

static void print_json_roles(const struct board *b)
{
    char text[128];
    bool first = true;
    for (size_t i = 0; i < BOARD_ROLES; i++) {
        const struct board_role *r = &b->roles[i];
        if (r->name[0] == '\0')
            continue;
        (void)printf("%s{\"name\":\"%s\",\"state\":\"%s\",\"pid\":%u,\"uid\":%u,"
                     "\"restarts\":%u,\"sessions\":%" PRIu64 ",\"sealed\":\"%s\"}",
                     first ? "" : ",", r->name, state_of(r), r->pid, r->uid, r->restarts,
                     r->sessions, seal_text(r->seal, text, sizeof(text)));
        first = false;
    }
}

/* "metrics":{"logins_total":[{"service":"smtp","result":"good","value":3},...],...}; a name
 * without labels has its value alone. */
static void print_json_metrics(const struct board *b)
{
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = &metric_rows[m];
        bool labelled = row->labels[0] != '\0';
        bool first = m == 0 || strcmp(row->name, metric_rows[m - 1].name) != 0;
        bool last = m + 1 == METRIC_COUNT || strcmp(row->name, metric_rows[m + 1].name) != 0;
        if (first)
            (void)printf("%s\"%s\":%s", m == 0 ? "" : ",", row->name, labelled ? "[" : "");
        else
            (void)printf(",");
        if (labelled)
            (void)printf("{");
        for (const char *c = row->labels; *c != '\0';) { /* key="value",... as JSON */
            size_t key = strcspn(c, "="), value = strcspn(c + key, ",");
            (void)printf("\"%.*s\":%.*s,", (int)key, c, (int)value - 1, c + key + 1);
            c += key + value + (c[key + value] == ',');
        }
        (void)printf("%s%" PRIu64 "%s", labelled ? "\"value\":" : "", total(b, (enum metric)m),
                     labelled ? "}" : "");
        if (last && labelled)
            (void)printf("]");
    }
}

static void print_json(const struct board *b, bool running)
{
    (void)printf("{\"running\":%s,\"version\":\"%s\",\"pid\":%u,\"since\":%" PRId64
                 ",\"roles\":[",
                 running ? "true" : "false", b->version, b->master_pid, b->started / USEC_S);
    print_json_roles(b);
    (void)printf("],\"listening\":[");
    for (uint32_t i = 0; i < b->listener_count && i < BOARD_LISTENERS; i++)
        (void)printf("%s{\"service\":\"%s\",\"address\":\"%s\"}", i > 0 ? "," : "",
                     b->listeners[i].service, b->listeners[i].address);
    (void)printf("],\"domains\":%" PRIu64 ",\"accounts\":%" PRIu64 ",\"aliases\":%" PRIu64
                 ",\"problems\":%" PRIu64 ",\"certificate_expires\":%" PRId64 ",\"metrics\":{",
                 b->domains, b->accounts, b->aliases, b->problems,
                 b->certificate_expires / USEC_S);
    print_json_metrics(b);
    (void)printf("}}\n");
}

/* --- Prometheus (text format 0.0.4) ------------------------------------------------------ */

static void print_gauge(const char *name, const char *help, int64_t value)
{
    (void)printf("# HELP hikyaku_%s %s\n# TYPE hikyaku_%s gauge\nhikyaku_%s %" PRId64 "\n",
                 name, help, name, name, value);
}

static void print_per_role(const struct board *b, const char *name, const char *kind,
                           const char *help, uint64_t (*value)(const struct board_role *r))
{
    (void)printf("# HELP hikyaku_%s %s\n# TYPE hikyaku_%s %s\n", name, help, name, kind);
    for (size_t i = 0; i < BOARD_ROLES; i++)
        if (b->roles[i].name[0] != '\0')
            (void)printf("hikyaku_%s{role=\"%s\"} %" PRIu64 "\n", name, b->roles[i].name,
                         value(&b->roles[i]));
}

static uint64_t is_up(const struct board_role *r)
{
    return r->state == BOARD_RUNNING;
}
static uint64_t restarts_of(const struct board_role *r)
{
    return r->restarts;
}
static uint64_t sessions_of(const struct board_role *r)
{
    return r->sessions;
}

static void print_prometheus(const struct board *b, bool running)
{
    print_gauge("up", "Does the server run?", running);
    (void)printf("# HELP hikyaku_info The version.\n# TYPE hikyaku_info gauge\n"
                 "hikyaku_info{version=\"%s\"} 1\n",
                 b->version);
    print_gauge("start_time_seconds", "Start of the server, seconds since 1970.",
                b->started / USEC_S);
    print_gauge("certificate_expires_seconds",
                "End of the certificate, seconds since 1970; 0: none.",
                b->certificate_expires / USEC_S);
    print_gauge("domains", "Domains in the tables.", (int64_t)b->domains);
    print_gauge("accounts", "Accounts in the tables.", (int64_t)b->accounts);
    print_gauge("aliases", "Aliases in the tables.", (int64_t)b->aliases);
    print_gauge("table_problems", "Lines of tables that can't be used.", (int64_t)b->problems);
    print_per_role(b, "role_up", "gauge", "Does the role run?", is_up);
    print_per_role(b, "role_restarts_total", "counter", "Times the role died.", restarts_of);
    print_per_role(b, "sessions", "gauge", "Connections now.", sessions_of);
    for (size_t m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = &metric_rows[m];
        if (row->help != NULL)
            (void)printf("# HELP hikyaku_%s %s\n# TYPE hikyaku_%s %s\n", row->name, row->help,
                         row->name, row->kind == METRIC_GAUGE ? "gauge" : "counter");
        (void)printf("hikyaku_%s%s%s%s %" PRIu64 "\n", row->name,
                     row->labels[0] == '\0' ? "" : "{", row->labels,
                     row->labels[0] == '\0' ? "" : "}", total(b, (enum metric)m));
    }
}

/* --- the commands ------------------------------------------------------------------------ */

/* Goes to the MailRoot and reads the board. 0, or the exit code. */
static int read_board(const char *command, const char *mailroot, struct board *out,
                      bool *out_running)
{
    struct err e;
    int lock = -1;
    if (mailroot == NULL || mailroot[0] == '\0')
        mailroot = "/var/MailRoot";
    if (chdir(mailroot) < 0) {
        (void)fprintf(stderr, "hikyaku %s: %s: %s\n", command, mailroot,
                      strerrordesc_np(errno));
        return 1;
    }
    bool have = board_read(out, &e) == RC_OK;
    if (!have && e.sys != ENOENT) {
        (void)fprintf(stderr, "hikyaku %s: %s\n", command, e.text);
        return 1;
    }
    /* A running server holds the lock; the test is undone at once. */
    *out_running = have && file_exists("hikyaku/lock") &&
                   file_lock("hikyaku/lock", false, &lock, &e) != RC_OK;
    io_close_at(&lock);
    return 0;
}

int master_metrics(int argc, char **argv)
{
    static struct board board;
    const char *mailroot = getenv("MAIL_ROOT");
    bool running = false;
    if (argc == 2 && strcmp(argv[0], "--mailroot") == 0)
        mailroot = argv[1];
    if (argc != 0 && (argc != 2 || strcmp(argv[0], "--mailroot") != 0)) {
        (void)fprintf(stderr, "usage: hikyaku metrics [--mailroot DIR]\n");
        return 2;
    }
    int code = read_board("metrics", mailroot, &board, &running);
    if (code == 0)
        print_prometheus(&board, running);
    return code;
}

int master_status(int argc, char **argv)
{
    static struct board board;
    const char *mailroot = getenv("MAIL_ROOT");
    bool json = false, running = false;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < argc) {
            mailroot = argv[++i];
        } else {
            (void)fprintf(stderr, "usage: hikyaku status [--mailroot DIR] [--json]\n");
            return 2;
        }
    }
    int code = read_board("status", mailroot, &board, &running);
    if (code != 0)
        return code;
    if (json)
        print_json(&board, running);
    else if (running)
        print_people(&board);
    else
        (void)printf("no server is running on this MailRoot\n");
    return running ? 0 : 3;
}

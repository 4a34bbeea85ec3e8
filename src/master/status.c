/* status.c - `hikyaku status` and `hikyaku metrics`: what the board says, for people, as JSON,
 * for Prometheus. */
#include "master/master.h"
#include "sys/board.h"
#include "sys/file.h"

/* Of one role. */
static uint64_t count_of(const struct board_role *r, enum metric first, enum metric last)
{
    uint64_t n = 0;
    for (unsigned m = first; m <= (unsigned)last; m++)
        n += r->metrics[m];
    return n;
}

static void print_role(const struct board_role *r)
{
    char text[128];
    (void)printf("  %-8s %-16s pid %-8u restarts %-3u", r->name, board_state_of(r), r->pid,
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
                 board_seal_text(r->seal, text, sizeof(text)));
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
        { METRIC_refused_proxy, "connections of balancers without a good PROXY header" },
        { METRIC_refused_resources, "connections refused: disk or memory is short" },
        { METRIC_limits_reached, "limits of limits.tab reached" },
        { METRIC_timeouts, "sessions that took too long" },
        { METRIC_tls_failed, "TLS handshakes that failed" },
        { METRIC_log_errors, "errors logged" },
        { METRIC_log_lost, "log lines lost" },
    };
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t n = board_total(b, rows[i].metric);
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
                 clock_print(b->started, text), b->master_pid);
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
        (void)printf("certificate: valid until %s\n",
                     clock_print(b->certificate_expires, text));
    else
        (void)printf("certificate: none, TLS is not offered\n");
    print_limits(b);
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

static void print(void (*fn)(struct buf *, const struct board *, bool), const struct board *b,
                  bool running)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, BUF_MAX_DEFAULT);
    fn(&text, b, running);
    (void)fwrite(text.p, 1, text.n, stdout);
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
        print(board_print_prometheus, &board, running);
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
        print(board_print_json, &board, running);
    else if (running)
        print_people(&board);
    else
        (void)printf("no server is running on this MailRoot\n");
    return running ? 0 : 3;
}

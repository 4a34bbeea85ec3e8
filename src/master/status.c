/* status.c - `hikyaku status`: what the board says, for people or as JSON. */
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

static void print_role(const struct board_role *r)
{
    char text[128];
    (void)printf("  %-8s %-16s pid %-8u restarts %-3u", r->name, state_of(r), r->pid,
                 r->restarts);
    if (strcmp(r->name, "smtpd") == 0 || strcmp(r->name, "access") == 0)
        (void)printf(" sessions %" PRIu64 " now, %" PRIu64 " in all", r->sessions,
                     r->sessions_total);
    if (strcmp(r->name, "queue") == 0)
        (void)printf(" waiting %" PRIu64 ", active %" PRIu64 ", delivered %" PRIu64
                     ", failed %" PRIu64,
                     r->waiting, r->active, r->delivered, r->failed);
    (void)printf("\n  %-8s runs as uid %u, sealed by: %s\n", "", r->uid,
                 seal_text(r->seal, text, sizeof(text)));
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
}

static void print_json(const struct board *b, bool running)
{
    char text[128];
    (void)printf("{\"running\":%s,\"version\":\"%s\",\"pid\":%u,\"since\":%" PRId64
                 ",\"roles\":[",
                 running ? "true" : "false", b->version, b->master_pid, b->started / USEC_S);
    bool first = true;
    for (size_t i = 0; i < BOARD_ROLES; i++) {
        const struct board_role *r = &b->roles[i];
        if (r->name[0] == '\0')
            continue;
        (void)printf("%s{\"name\":\"%s\",\"state\":\"%s\",\"pid\":%u,\"uid\":%u,\"restarts\":%"
                     "u,\"sessions\":%" PRIu64 ",\"sessions_total\":%" PRIu64
                     ",\"waiting\":%" PRIu64 ",\"active\":%" PRIu64 ",\"delivered\":%" PRIu64
                     ",\"failed\":%" PRIu64 ",\"sealed\":\"%s\"}",
                     first ? "" : ",", r->name, state_of(r), r->pid, r->uid, r->restarts,
                     r->sessions, r->sessions_total, r->waiting, r->active, r->delivered,
                     r->failed, seal_text(r->seal, text, sizeof(text)));
        first = false;
    }
    (void)printf("],\"listening\":[");
    for (uint32_t i = 0; i < b->listener_count && i < BOARD_LISTENERS; i++)
        (void)printf("%s{\"service\":\"%s\",\"address\":\"%s\"}", i > 0 ? "," : "",
                     b->listeners[i].service, b->listeners[i].address);
    (void)printf("],\"domains\":%" PRIu64 ",\"accounts\":%" PRIu64 ",\"aliases\":%" PRIu64
                 ",\"problems\":%" PRIu64 ",\"certificate_expires\":%" PRId64 "}\n",
                 b->domains, b->accounts, b->aliases, b->problems,
                 b->certificate_expires / USEC_S);
}

int master_status(int argc, char **argv)
{
    static struct board board;
    const char *mailroot = getenv("MAIL_ROOT");
    bool json = false;
    struct err e;
    int lock = -1;
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
    if (mailroot == NULL || mailroot[0] == '\0')
        mailroot = "/var/MailRoot";
    if (chdir(mailroot) < 0) {
        (void)fprintf(stderr, "hikyaku status: %s: %s\n", mailroot, strerrordesc_np(errno));
        return 1;
    }
    bool have = board_read(&board, &e) == RC_OK;
    if (!have && e.sys != ENOENT) {
        (void)fprintf(stderr, "hikyaku status: %s\n", e.text);
        return 1;
    }
    /* A running server holds the lock; the test is undone at once. */
    bool running = have && file_exists("hikyaku/lock") &&
                   file_lock("hikyaku/lock", false, &lock, &e) != RC_OK;
    io_close_at(&lock);
    if (json)
        print_json(&board, running);
    else if (running)
        print_people(&board);
    else
        (void)printf("no server is running on %s\n", mailroot);
    return running ? 0 : 3;
}

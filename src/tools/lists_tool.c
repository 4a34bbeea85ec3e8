/*
 * lists_tool.c - `hikyaku lists held`, `show`, `approve` and `reject`: posts that wait for a
 * moderator. Entries are read from disk; decisions go to the running server. The other verbs
 * are people.c's.
 */
#include "lists/lists.h"
#include "sys/io.h"
#include "tools/tools_int.h"
#include <getopt.h>

const char tool_list_posts_usage[] =
    "  held      [LIST@DOMAIN]                    posts that wait for a moderator\n"
    "  show      ID                               one of them, as it came\n"
    "  approve   ID ...                           to the members\n"
    "  reject    ID ... [--reason TEXT]           the poster is told\n";

#define CHUNK_BYTES ((size_t)64 * 1024)

struct run {
    const char *mailroot, *reason;
    bool json;
    struct str only; /* held: of this list; empty: of all */
    size_t printed;
    struct orders orders;
};

static void begin_row(struct run *r)
{
    if (r->json)
        (void)printf("%s\n ", r->printed > 0 ? "," : "[");
    r->printed++;
}

static void end_rows(const struct run *r, const char *what)
{
    if (r->json)
        (void)printf("%s\n]\n", r->printed > 0 ? "" : "[");
    else
        (void)printf("%zu %s\n", r->printed, what);
}

/* --- what waits -------------------------------------------------------------------------- */

static bool print_held(void *ctx, struct str id)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct run *r = ctx;
    struct spool_entry entry;
    struct err e;
    char time[CLOCK_TEXT_BYTES];
    if (spool_open(id, &a, &entry, &e) != RC_OK)
        return true;
    struct str list = address_print(&entry.env.recipients[0].resolved, &a);
    bool meant = list_is_held(&entry) && entry.states[0] == DELIVERY_PENDING &&
                 (r->only.n == 0 || str_ieq(list, r->only));
    spool_close(&entry);
    if (!meant)
        return true;
    begin_row(r);
    struct str from = address_print(&entry.env.reverse_path, &a);
    if (r->json) {
        (void)printf("{\"id\":\"%.*s\",\"list\":", STR_ARG(id));
        tool_print_json(list);
        (void)printf(",\"from\":");
        tool_print_json(from);
        (void)printf(",\"received\":%" PRId64 ",\"size\":%" PRIu64 "}",
                     entry.env.received_at / USEC_S, entry.wire_octets);
        return true;
    }
    (void)printf("%.*s  %s  %8" PRIu64 "  ", STR_ARG(id),
                 clock_print(entry.env.received_at, time), entry.wire_octets);
    tool_print_text(list, false);
    (void)printf("  from ");
    tool_print_text(from, false);
    (void)putchar('\n');
    return true;
}

static int show_held(struct run *r)
{
    struct err e;
    enum rc rc = spool_scan(print_held, r, &e);
    if (rc != RC_OK)
        (void)fprintf(stderr, "hikyaku lists: %s\n", e.text);
    end_rows(r, "waiting");
    return rc == RC_OK ? 0 : 1;
}

/* The octets as they are: for a pager or a file; a terminal gets no control characters. */
static int show_one(const char *id)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct spool_entry entry;
    struct err e;
    bool terminal = isatty(STDOUT_FILENO) != 0;
    if (spool_open(str_from_c(id), &a, &entry, &e) != RC_OK || !list_is_held(&entry)) {
        (void)fprintf(stderr, "hikyaku lists: no post waits with the id %s\n", id);
        return 1;
    }
    char *chunk = arena_new(&a, CHUNK_BYTES);
    for (uint64_t at = 0; at < entry.message_octets;) {
        size_t want = (size_t)MIN((uint64_t)CHUNK_BYTES, entry.message_octets - at);
        ssize_t n = io_pread(entry.message_fd, chunk, want, entry.message_offset + at);
        if (n <= 0)
            break;
        for (ssize_t i = 0; terminal && i < n; i++)
            if (((unsigned char)chunk[i] < 0x20 && chunk[i] != '\n' && chunk[i] != '\t') ||
                chunk[i] == 0x7f)
                chunk[i] = '?';
        (void)fwrite(chunk, 1, (size_t)n, stdout);
        at += (uint64_t)n;
    }
    spool_close(&entry);
    return 0;
}

static int decide(struct run *r, const char *verb, char **ids, int count)
{
    for (int i = 0; i < count; i++) {
        struct str reason =
            r->reason != NULL ? str_from_c(r->reason) : STR("the moderator refused it");
        const struct str words[] = { STR("queueorder"), str_from_c(verb), str_from_c(ids[i]),
                                     reason };
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct spool_entry entry;
        struct err e;
        bool waits = spool_open(words[2], &a, &entry, &e) == RC_OK;
        if (waits)
            spool_close(&entry);
        if (!waits || !list_is_held(&entry)) {
            (void)fprintf(stderr, "hikyaku lists: no post waits with the id %s\n", ids[i]);
            r->orders.failed = true;
        } else if (!orders_send(&r->orders, words, strcmp(verb, "reject") == 0 ? 4 : 3) &&
                   r->orders.server == NULL) {
            return 1;
        }
    }
    return r->orders.failed ? 1 : 0;
}

/* --- the command line -------------------------------------------------------------------- */

static bool read_options(struct run *r, int argc, char **argv)
{
    static const struct option options[] = {
        { "mailroot", required_argument, NULL, 'm' },
        { "reason", required_argument, NULL, 'r' },
        { "json", no_argument, NULL, 'j' },
        { NULL, 0, NULL, 0 },
    };
    int c = 0;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'm')
            r->mailroot = optarg;
        else if (c == 'r')
            r->reason = optarg;
        else if (c == 'j')
            r->json = true;
        else
            return false;
    }
    return r->reason == NULL || !str_has_control(str_from_c(r->reason));
}

static int run(struct run *r, int argc, char **argv)
{
    const char *verb = argv[0];
    if (strcmp(verb, "held") == 0 && argc <= 2) {
        r->only = argc == 2 ? str_from_c(argv[1]) : STR("");
        return show_held(r);
    }
    if (strcmp(verb, "show") == 0 && argc == 2)
        return show_one(argv[1]);
    if ((strcmp(verb, "approve") == 0 || strcmp(verb, "reject") == 0) && argc > 1)
        return decide(r, verb, argv + 1, argc - 1);
    (void)fprintf(stderr, "usage: hikyaku lists VERB ... [--mailroot DIR] [--json]\n%s",
                  tool_list_posts_usage);
    return 3;
}

bool tool_list_posts_takes(const char *verb)
{
    static const char *const verbs[] = { "held", "show", "approve", "reject" };
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verb, verbs[i]) == 0)
            return true;
    return false;
}

int tool_list_posts(int argc, char **argv)
{
    struct run r = { .orders = { .tool = "lists" } };
    struct err e = { .text = "" };
    argc++; /* getopt expects the command's name first, and there it is */
    argv--;
    if (!read_options(&r, argc, argv)) {
        (void)fprintf(stderr, "usage: hikyaku lists VERB ... [--mailroot DIR] [--json]\n%s",
                      tool_list_posts_usage);
        return 3;
    }
    enum rc rc = tool_enter_mailroot(r.mailroot, &e);
    if (rc == RC_OK)
        rc = tool_become_owner(&e);
    if (rc != RC_OK) {
        (void)fprintf(stderr, "hikyaku lists: %s\n", e.text);
        return 1;
    }
    int code = run(&r, argc - optind, argv + optind);
    orders_close(&r.orders);
    return code;
}

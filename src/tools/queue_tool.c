/*
 * queue_tool.c - `hikyaku queue`: what waits and why, and orders to the queue. The entries are
 * read from disk; orders go to the running server over its local socket.
 */
#include "conf/options.h"
#include "mail/reason.h"
#include "spool/spool.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include <getopt.h>

static const char usage[] =
    "usage: hikyaku queue list [filters] [--frozen] [--json]\n"
    "       hikyaku queue show ID\n"
    "       hikyaku queue try|hold|release|delete [filters] [--dry-run] [ID ...]\n"
    "       hikyaku queue reroute HOSTS [filters] [--dry-run] [ID ...]\n"
    "       hikyaku queue submit|drop ID ...      frozen ones: try again; delete\n"
    "filters: --from PATTERN --to PATTERN --auth PATTERN --client PATTERN --reason TEXT\n"
    "         --older SECONDS --all; wildcards * and ?; --mailroot DIR\n"
    "HOSTS as in smtpfwd.tab; \"\" takes a reroute back.\n";

struct filters {
    struct str from, to, auth, client, reason;
    uint64_t older_s;
    bool any; /* one was given */
};

struct run {
    struct filters filters;
    const char *mailroot, *verb, *hosts;
    char **ids;
    size_t id_count;
    bool json, frozen, dry_run;
    bool first;
    size_t matched;
    struct orders orders;
};

/* --- one entry --------------------------------------------------------------------------- */

static struct str print_path(const struct address *address, struct arena *a)
{
    return address->is_null ? STR("<>") : address_print(address, a);
}

static bool matches(struct str value, struct str pattern)
{
    return pattern.n == 0 || str_matches(value, pattern);
}

static bool is_meant(const struct filters *f, const struct spool_entry *entry, struct arena *a)
{
    const struct envelope *env = &entry->env;
    bool to = f->to.n == 0, reason = f->reason.n == 0;
    for (size_t i = 0; i < env->recipient_count; i++) {
        to = to || str_matches(address_print(&env->recipients[i].address, a), f->to);
        reason = reason || str_ifind_str(entry->reasons[i], f->reason) != SIZE_MAX;
    }
    usec_t age = clock_wall() - env->received_at;
    return to && reason && matches(print_path(&env->reverse_path, a), f->from) &&
           matches(env->auth_user, f->auth) &&
           matches(ip_port_reshow(env->client, a), f->client) &&
           age >= (usec_t)f->older_s * USEC_S;
}

static const char *const states[] = { "waiting", "delivered", "failed", "failed, sender told" };

static void print_entry(struct run *r, const struct spool_entry *entry, struct arena *a)
{
    char received[32], next[32];
    const struct envelope *env = &entry->env;
    (void)printf("%.*s  %s  %8" PRIu64 "  ", STR_ARG(entry->id),
                 clock_print(env->received_at, received), entry->wire_octets);
    tool_print_text(print_path(&env->reverse_path, a), false);
    (void)printf("  %s\n", r->frozen             ? "frozen"
                           : entry->held         ? "held"
                           : entry->next_try > 0 ? clock_print(entry->next_try, next)
                                                 : "new");
    for (size_t i = 0; i < env->recipient_count; i++) {
        if (entry->states[i] == DELIVERY_DONE)
            continue;
        (void)printf("    ");
        tool_print_text(address_print(&env->recipients[i].address, a), false);
        if (entry->reasons[i].n > 0) {
            (void)printf("  ");
            tool_print_text(entry->reasons[i], false);
        }
        (void)putchar('\n');
    }
}

static void print_json(struct run *r, const struct spool_entry *entry, struct arena *a)
{
    const struct envelope *env = &entry->env;
    (void)printf("%s{\"id\":\"%.*s\",\"received\":%" PRId64 ",\"size\":%" PRIu64
                 ",\"tries\":%u,\"next_try\":%" PRId64 ",\"held\":%s,\"frozen\":%s,\"from\":",
                 r->first ? "\n " : ",\n ", STR_ARG(entry->id), env->received_at / USEC_S,
                 entry->wire_octets, entry->tries, entry->next_try / USEC_S,
                 entry->held ? "true" : "false", r->frozen ? "true" : "false");
    tool_print_json(address_print(&env->reverse_path, a));
    (void)printf(",\"auth\":");
    tool_print_json(env->auth_user);
    (void)printf(",\"client\":");
    tool_print_json(ip_port_reshow(env->client, a));
    (void)printf(",\"recipients\":[");
    for (size_t i = 0; i < env->recipient_count; i++) {
        (void)printf("%s{\"address\":", i > 0 ? "," : "");
        tool_print_json(address_print(&env->recipients[i].address, a));
        (void)printf(",\"state\":\"%s\",\"reason\":", states[entry->states[i]]);
        tool_print_json(entry->reasons[i]);
        (void)printf("}");
    }
    (void)printf("]}");
    r->first = false;
}

static void show(const struct spool_entry *entry, bool frozen, struct arena *a)
{
    char text[32];
    const struct envelope *env = &entry->env;
    (void)printf("id        %.*s%s\n", STR_ARG(entry->id), frozen ? " (frozen)" : "");
    (void)printf("received  %s\n", clock_print(env->received_at, text));
    (void)printf("size      %" PRIu64 "\nclient    ", entry->wire_octets);
    tool_print_text(ip_port_reshow(env->client, a), false);
    (void)printf("  ");
    tool_print_text(env->helo, false);
    (void)printf("\nlogin     ");
    tool_print_text(env->auth_user, false);
    (void)printf("\nfrom      ");
    tool_print_text(print_path(&env->reverse_path, a), false);
    if (entry->via.n > 0)
        (void)printf("\nvia       %.*s", STR_ARG(entry->via));
    (void)printf("\ntries     %u", entry->tries);
    if (entry->next_try > 0)
        (void)printf("\nnext try  %s", clock_print(entry->next_try, text));
    (void)printf("%s\n", entry->held ? "\nheld" : "");
    for (size_t i = 0; i < env->recipient_count; i++) {
        (void)printf("to        ");
        tool_print_text(address_print(&env->recipients[i].address, a), false);
        if (!address_eq(&env->recipients[i].address, &env->recipients[i].resolved)) {
            (void)printf(" -> ");
            tool_print_text(address_print(&env->recipients[i].resolved, a), false);
        }
        (void)printf("  %s  ", states[entry->states[i]]);
        tool_print_text(entry->reasons[i], false);
        (void)putchar('\n');
    }
    if (entry->history != NULL)
        (void)printf("history\n");
    for (const struct spool_line *line = entry->history; line != NULL; line = line->next) {
        (void)printf("    ");
        tool_print_text(line->text, false);
        (void)putchar('\n');
    }
}

/* --- all of them ------------------------------------------------------------------------- */

static bool each(void *ctx, struct str id)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct run *r = ctx;
    struct spool_entry entry;
    struct err e;
    enum rc rc =
        r->frozen ? spool_open_frozen(id, &a, &entry, &e) : spool_open(id, &a, &entry, &e);
    if (rc != RC_OK) {
        if (e.sys != ENOENT)
            (void)fprintf(stderr, "hikyaku queue: %s\n", e.text);
        return true;
    }
    bool meant = is_meant(&r->filters, &entry, &a), go_on = true;
    bool lists = strcmp(r->verb, "list") == 0;
    r->matched += meant;
    if (meant && r->json)
        print_json(r, &entry, &a);
    else if (meant && (lists || r->dry_run))
        print_entry(r, &entry, &a);
    if (meant && !lists && !r->dry_run) {
        const struct str words[] = { STR("queueorder"), str_from_c(r->verb), id,
                                     str_from_c(r->hosts) };
        go_on = orders_send(&r->orders, words, r->hosts == NULL ? 3 : 4) ||
                r->orders.server != NULL;
    }
    spool_close(&entry);
    return go_on;
}

static int with_filters(struct run *r)
{
    struct err e = { .text = "" };
    bool lists = strcmp(r->verb, "list") == 0;
    if (!lists && r->id_count == 0 && !r->filters.any) {
        (void)fputs(usage, stderr);
        return 3;
    }
    r->first = true;
    if (r->json)
        (void)printf("[");
    enum rc rc = RC_OK;
    for (size_t i = 0; i < r->id_count; i++)
        (void)each(r, str_from_c(r->ids[i]));
    if (r->id_count == 0)
        rc = r->frozen ? spool_scan_frozen(each, r, &e) : spool_scan(each, r, &e);
    if (r->json)
        (void)printf("\n]\n");
    if (rc != RC_OK)
        (void)fprintf(stderr, "hikyaku queue: %s\n", e.text);
    else if (!r->json)
        (void)printf("%zu %s%s\n", r->matched, r->frozen ? "frozen" : "messages",
                     r->dry_run ? " would be meant; nothing was done" : "");
    return rc != RC_OK || r->orders.failed ? 1 : 0;
}

static int show_one(const char *id)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct spool_entry entry;
    struct err e;
    bool frozen = false;
    enum rc rc = spool_open(str_from_c(id), &a, &entry, &e);
    if (rc != RC_OK) {
        frozen = true;
        rc = spool_open_frozen(str_from_c(id), &a, &entry, &e);
    }
    if (rc != RC_OK) {
        (void)fprintf(stderr, "hikyaku queue: there is no message %s\n", id);
        return 1;
    }
    show(&entry, frozen, &a);
    spool_close(&entry);
    return 0;
}

static int frozen_orders(struct run *r)
{
    const char *command = strcmp(r->verb, "submit") == 0 ? "frozsubmit" : "frozdel";
    for (size_t i = 0; i < r->id_count; i++) {
        const struct str words[] = { str_from_c(command), STR("0"), STR("0"),
                                     str_from_c(r->ids[i]) };
        if (!orders_send(&r->orders, words, ARRAY_LEN(words)) && r->orders.server == NULL)
            return 1;
    }
    return r->orders.failed ? 1 : 0;
}

/* --- the command line -------------------------------------------------------------------- */

static bool take_option(struct run *r, int c, const char *value)
{
    struct filters *f = &r->filters;
    struct str text = str_from_c(value);
    f->any = f->any || strchr("ftacrox", c) != NULL;
    switch (c) {
    case 'f':
        f->from = text;
        return true;
    case 't':
        f->to = text;
        return true;
    case 'a':
        f->auth = text;
        return true;
    case 'c':
        f->client = text;
        return true;
    case 'r':
        f->reason = text;
        return true;
    case 'o':
        return str_to_u64(text, &f->older_s);
    case 'x':
        return true;
    case 'm':
        r->mailroot = value;
        return true;
    case 'j':
        r->json = true;
        return true;
    case 'z':
        r->frozen = true;
        return true;
    case 'n':
        r->dry_run = true;
        return true;
    default:
        return false;
    }
}

static bool read_arguments(struct run *r, int argc, char **argv)
{
    static const struct option options[] = {
        { "from", required_argument, NULL, 'f' },
        { "to", required_argument, NULL, 't' },
        { "auth", required_argument, NULL, 'a' },
        { "client", required_argument, NULL, 'c' },
        { "reason", required_argument, NULL, 'r' },
        { "older", required_argument, NULL, 'o' },
        { "all", no_argument, NULL, 'x' },
        { "mailroot", required_argument, NULL, 'm' },
        { "json", no_argument, NULL, 'j' },
        { "frozen", no_argument, NULL, 'z' },
        { "dry-run", no_argument, NULL, 'n' },
        { NULL, 0, NULL, 0 },
    };
    int c = 0;
    argc++; /* getopt expects the command's name first, and there it is */
    argv--;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!take_option(r, c, optarg))
            return false;
    if (optind == argc)
        return false;
    r->verb = argv[optind++];
    if (strcmp(r->verb, "reroute") == 0 && optind == argc)
        return false;
    if (strcmp(r->verb, "reroute") == 0)
        r->hosts = argv[optind++];
    r->ids = argv + optind;
    r->id_count = (size_t)(argc - optind);
    return true;
}

int tool_queue(int argc, char **argv)
{
    static const char *const orders[] = {
        "list", "try", "hold", "release", "delete", "reroute"
    };
    struct run r = { .orders = { .tool = "queue" } };
    struct err e = { .text = "" };
    int code = 3;
    if (!read_arguments(&r, argc, argv)) {
        (void)fputs(usage, stderr);
        return 3;
    }
    enum rc rc = tool_enter_mailroot(r.mailroot, &e);
    if (rc == RC_OK)
        rc = tool_become_owner(&e);
    if (rc != RC_OK) {
        (void)fprintf(stderr, "hikyaku queue: %s\n", e.text);
        return 1;
    }
    for (size_t i = 0; i < ARRAY_LEN(orders) && code == 3; i++)
        if (strcmp(r.verb, orders[i]) == 0)
            code = with_filters(&r);
    if (strcmp(r.verb, "show") == 0 && r.id_count == 1)
        code = show_one(r.ids[0]);
    else if ((strcmp(r.verb, "submit") == 0 || strcmp(r.verb, "drop") == 0) && r.id_count > 0)
        code = frozen_orders(&r);
    else if (code == 3)
        (void)fputs(usage, stderr);
    orders_close(&r.orders);
    return code;
}

/* fetch_tool.c - `hikyaku fetch`: the mailboxes elsewhere, how their last visits went, when the
 * next are; and visits now. States are read from disk; orders go to the running server. */
#include "fetch/fetch.h"
#include "tools/tools.h"
#include "tools/tools_int.h"

static const char usage[] =
    "usage: hikyaku fetch [list] [--json] [--mailroot DIR]\n"
    "       hikyaku fetch now [DOMAIN [ACCOUNT [SERVER [LOGIN]]]] [--mailroot DIR]\n"
    "list: the links of pop3links.tab, their state, last and next visit, what went wrong\n"
    "now: visit them (all, those of a domain, of an account) without waiting for their time\n"
    "Ends with 0: done, 1: failed, 2: list shows a link that fails, 3: wrong usage.\n";

struct run {
    const char *mailroot;
    bool json, now;
    struct str words[5]; /* of the order */
    size_t word_count;
    size_t printed, failing;
};

static const char *time_or_dash(usec_t wall, char text[CLOCK_TEXT_BYTES])
{
    return wall == 0 ? "-" : clock_print(wall, text);
}

static void print_json(struct run *r, const struct str *link, const struct fetch_report *f)
{
    static const char *const names[] = { "domain", "account", "server", "login" };
    (void)printf("%s\n {", r->printed > 0 ? "," : "[");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)printf("\"%s\":", names[i]);
        tool_print_json(link[i]);
        (void)printf(",");
    }
    (void)printf("\"state\":");
    tool_print_json(f->state);
    (void)printf(",\"last\":%" PRId64 ",\"next\":%" PRId64 ",\"failures\":%" PRIu64
                 ",\"messages\":%" PRIu64 ",\"left\":%" PRIu64 ",\"error\":",
                 f->last_at / USEC_S, f->next_at / USEC_S, f->failures, f->messages, f->bad);
    tool_print_json(f->error);
    (void)printf("}");
}

static void print_text(const struct str *link, const struct fetch_report *f)
{
    char last[CLOCK_TEXT_BYTES], next[CLOCK_TEXT_BYTES];
    tool_print_text(link[1], false);
    (void)printf(" in ");
    tool_print_text(link[0], false);
    (void)printf(", from ");
    tool_print_text(link[3], false);
    (void)printf(" at ");
    tool_print_text(link[2], false);
    (void)printf(": %.*s\n  last %s: %" PRIu64 " fetched, %" PRIu64 " left there; next %s",
                 STR_ARG(f->state), time_or_dash(f->last_at, last), f->messages, f->bad,
                 time_or_dash(f->next_at, next));
    if (f->failures > 0)
        (void)printf("; failed %" PRIu64 " times in a row", f->failures);
    (void)putchar('\n');
    if (f->error.n > 0) {
        (void)printf("  ");
        tool_print_text(f->error, false);
        (void)putchar('\n');
    }
}

static void print_one(void *ctx, const struct str *link, const struct fetch_report *f)
{
    struct run *r = ctx;
    if (r->json)
        print_json(r, link, f);
    else
        print_text(link, f);
    r->printed++;
    r->failing += f->failures > 0 || str_eq(f->state, STR("broken"));
}

static int list(struct run *r)
{
    struct err e;
    if (fetch_each(print_one, r, &e) != RC_OK) {
        (void)fprintf(stderr, "hikyaku fetch: %s\n", e.text);
        return 1;
    }
    if (r->json)
        (void)printf("%s\n]\n", r->printed > 0 ? "" : "[");
    else
        (void)printf("%zu links\n", r->printed);
    return r->failing > 0 ? 2 : 0;
}

static int visit_now(struct run *r)
{
    struct orders orders = { .tool = "fetch" };
    bool sent = orders_send(&orders, r->words, r->word_count);
    orders_close(&orders);
    return sent ? 0 : 1;
}

static bool read_arguments(struct run *r, int argc, char **argv)
{
    r->words[r->word_count++] = STR("poplnkfetch");
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < argc)
            r->mailroot = argv[++i];
        else if (strcmp(argv[i], "--json") == 0)
            r->json = true;
        else if (i == 0 && strcmp(argv[i], "now") == 0)
            r->now = true;
        else if (r->now && argv[i][0] != '-' && r->word_count < ARRAY_LEN(r->words))
            r->words[r->word_count++] = str_from_c(argv[i]);
        else if (i != 0 || strcmp(argv[i], "list") != 0)
            return false;
    }
    return !(r->now && r->json);
}

int tool_fetch(int argc, char **argv)
{
    struct run r = { .mailroot = NULL };
    struct err e;
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (!read_arguments(&r, argc, argv)) {
        (void)fputs(usage, stderr);
        return 3;
    }
    log_set_level(LOG_LEVEL_ERROR);
    if (tool_enter_mailroot(r.mailroot, &e) != RC_OK) {
        (void)fprintf(stderr, "hikyaku fetch: %s\n", e.text);
        return 1;
    }
    return r.now ? visit_now(&r) : list(&r);
}

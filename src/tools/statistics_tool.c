/* statistics_tool.c - `hikyaku statistics`: what the server counted, in all or for domains, by
 * hour or day; and the weekly letter. */
#include "conf/tab.h"
#include "tools/tools.h"
#include "tools/tools_int.h"

static const char usage[] =
    "usage: hikyaku statistics [--step hour|day] [--days N] [--domain NAME | --domains]\n"
    "           [--json] [--mailroot DIR]\n"
    "       hikyaku statistics --letter [--send] [--mailroot DIR]\n"
    "What the server counted, by hour (the last 7 days) or day (60); hours are kept 40 days,\n"
    "days ten years. --domain: what it counted for one domain, --domains: for each, in all of\n"
    "that time; kept by hour for 8 days, by day for 400. --letter: the weekly letter to the\n"
    "postmaster as it would be now; with --send it goes there, too.\n";

#define COLUMNS 3u
#define DAYS_MOST 36500u

struct wish {
    const char *step, *days, *domain, *mailroot;
    bool domains, json, letter, send;
};

/* One count; *last: what the one before was of (a time, or a domain), empty: there was none. */
static void print(const struct str *v, const struct wish *w, struct buf *last)
{
    char when[CLOCK_TEXT_BYTES];
    const char *quote = w->domains ? "\"" : "";
    int64_t now = 0;
    bool fresh = !str_eq(v[0], buf_str(last)), json = w->json;
    if (!w->domains && !str_to_i64(v[0], &now))
        return;
    if (json && fresh)
        (void)printf("%s{\"%s\":%s%.*s%s,\"counts\":{", last->n == 0 ? "" : "}},\n ",
                     w->domains ? "domain" : "begins", quote, STR_ARG(v[0]), quote);
    else if (fresh && w->domains)
        (void)printf("%.*s\n", STR_ARG(v[0]));
    else if (fresh)
        (void)printf("%s\n", clock_print(now * USEC_S, when));
    if (json)
        (void)printf("%s\"%.*s\":%.*s", fresh ? "" : ",", STR_ARG(v[1]), STR_ARG(v[2]));
    else
        (void)printf("    %-20.*s %15.*s\n", STR_ARG(v[1]), STR_ARG(v[2]));
    buf_reset(last);
    buf_must(buf_add_str(last, v[0]));
}

static int list(struct orders *o, const struct wish *w, struct str since)
{
    const struct str all[] = { w->domains ? STR("figurelist") : STR("statistics"),
                               str_from_c(w->step), since };
    const struct str one[] = { STR("figures"), str_from_c(w->domain == NULL ? "" : w->domain),
                               str_from_c(w->step), since };
    struct buf last AUTO_RELEASE_BUF;
    struct str line, values[COLUMNS];
    struct err e = { .text = "" };
    size_t n = 0;
    bool is_one = w->domain != NULL;
    buf_init(&last, TAB_FILE_MAX);
    if (!orders_ask(o, is_one ? one : all, is_one ? ARRAY_LEN(one) : ARRAY_LEN(all), &line))
        return 1;
    if (!str_starts(line, STR("+"))) {
        (void)fprintf(stderr, "hikyaku statistics: %.*s\n", STR_ARG(line));
        return 1;
    }
    (void)fputs(w->json ? "[" : "", stdout);
    while (client_line(o->server, &line, &e) == RC_OK) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (str_eq(line, STR("."))) {
            (void)fputs(!w->json ? "" : last.n == 0 ? "]\n" : "}}]\n", stdout);
            return 0;
        }
        if (tab_parse_line(line, &a, values, COLUMNS, &n, NULL) == RC_OK && n == COLUMNS)
            print(values, w, &last);
    }
    (void)fprintf(stderr, "hikyaku statistics: %s\n", e.text);
    return 1;
}

static int show_letter(struct orders *o, bool send)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    const struct str command = send ? STR("weeklysend") : STR("weeklyletter");
    struct str line, head[2];
    struct err e = { .text = "" };
    size_t n = 0;
    if (!orders_ask(o, &command, 1, &line))
        return 1;
    if (!str_starts(line, STR("+"))) {
        (void)fprintf(stderr, "hikyaku statistics: %.*s\n", STR_ARG(line));
        return 1;
    }
    if (client_line(o->server, &line, &e) == RC_OK &&
        tab_parse_line(line, &a, head, ARRAY_LEN(head), &n, NULL) == RC_OK &&
        n == ARRAY_LEN(head)) {
        (void)printf("To: %.*s\nSubject: ", STR_ARG(head[0]));
        tool_print_text(head[1], false);
        (void)fputs("\n\n", stdout);
    }
    while (client_line(o->server, &line, &e) == RC_OK) {
        if (str_eq(line, STR(".")))
            return 0;
        line = str_starts(line, STR("..")) ? str_skip(line, 1) : line;
        tool_print_text(line, false);
        (void)fputc('\n', stdout);
    }
    (void)fprintf(stderr, "hikyaku statistics: %s\n", e.text);
    return 1;
}

static bool parse(int argc, char **argv, struct wish *w, uint64_t *out_days)
{
    for (int i = 0; i < argc; i++) {
        const char **value = strcmp(argv[i], "--step") == 0       ? &w->step
                             : strcmp(argv[i], "--days") == 0     ? &w->days
                             : strcmp(argv[i], "--domain") == 0   ? &w->domain
                             : strcmp(argv[i], "--mailroot") == 0 ? &w->mailroot
                                                                  : NULL;
        if (strcmp(argv[i], "--json") == 0)
            w->json = true;
        else if (strcmp(argv[i], "--domains") == 0)
            w->domains = true;
        else if (strcmp(argv[i], "--letter") == 0)
            w->letter = true;
        else if (strcmp(argv[i], "--send") == 0)
            w->send = true;
        else if (value != NULL && i + 1 < argc)
            *value = argv[++i];
        else
            return false;
    }
    bool counts = w->domains || w->domain != NULL || w->days != NULL || w->json;
    return !(w->domains && w->domain != NULL) && (w->letter ? !counts : !w->send) &&
           (strcmp(w->step, "hour") == 0 || strcmp(w->step, "day") == 0) &&
           (w->days == NULL ||
            (str_to_u64(str_from_c(w->days), out_days) && *out_days <= DAYS_MOST));
}

int tool_statistics(int argc, char **argv)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct orders o = { .tool = "statistics", .ourselves = true };
    struct wish w = { .step = "hour" };
    struct err e = { .text = "" };
    uint64_t days = 0;
    if (!parse(argc, argv, &w, &days)) {
        (void)fputs(usage, stderr);
        return 3;
    }
    if (tool_enter_mailroot(w.mailroot, &e) != RC_OK) {
        (void)fprintf(stderr, "hikyaku statistics: %s\n", e.text);
        return 1;
    }
    int64_t now = clock_wall() / USEC_S;
    struct str since = w.days == NULL
                           ? STR("")
                           : arena_printf(&a, "%" PRId64, MAX(now - (int64_t)days * 86400, 0));
    int code = w.letter ? show_letter(&o, w.send) : list(&o, &w, since);
    orders_close(&o);
    return code;
}

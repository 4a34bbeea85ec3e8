/* statistics_tool.c - `hikyaku statistics`: what the server counted, by hour or day. */
#include "conf/tab.h"
#include "tools/tools.h"
#include "tools/tools_int.h"

static const char usage[] =
    "usage: hikyaku statistics [--step hour|day] [--days N] [--json] [--mailroot DIR]\n"
    "What the server counted, by hour (the last 7 days) or day (60); hours are kept 40 days,\n"
    "days ten years.\n";

#define COLUMNS 3u
#define DAYS_MOST 36500u

struct wish {
    const char *step, *days, *mailroot;
    bool json;
};

/* One count; *begins is of the one before, -1: there was none. */
static void print(const struct str *v, bool json, int64_t *begins)
{
    char when[CLOCK_TEXT_BYTES];
    int64_t now = 0;
    if (!str_to_i64(v[0], &now))
        return;
    bool fresh = now != *begins;
    if (json && fresh)
        (void)printf("%s{\"begins\":%" PRId64 ",\"counts\":{", *begins < 0 ? "" : "}},\n ",
                     now);
    else if (fresh)
        (void)printf("%s\n", clock_print(now * USEC_S, when));
    if (json)
        (void)printf("%s\"%.*s\":%.*s", fresh ? "" : ",", STR_ARG(v[1]), STR_ARG(v[2]));
    else
        (void)printf("    %-20.*s %15.*s\n", STR_ARG(v[1]), STR_ARG(v[2]));
    *begins = now;
}

static int list(struct orders *o, const struct wish *w, struct str since)
{
    const struct str words[] = { STR("statistics"), str_from_c(w->step), since };
    struct str line, values[COLUMNS];
    struct err e = { .text = "" };
    int64_t begins = -1;
    size_t n = 0;
    if (!orders_ask(o, words, ARRAY_LEN(words), &line))
        return 1;
    if (!str_starts(line, STR("+"))) {
        (void)fprintf(stderr, "hikyaku statistics: %.*s\n", STR_ARG(line));
        return 1;
    }
    (void)fputs(w->json ? "[" : "", stdout);
    while (client_line(o->server, &line, &e) == RC_OK) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (str_eq(line, STR("."))) {
            (void)fputs(!w->json ? "" : begins < 0 ? "]\n" : "}}]\n", stdout);
            return 0;
        }
        if (tab_parse_line(line, &a, values, COLUMNS, &n, NULL) == RC_OK && n == COLUMNS)
            print(values, w->json, &begins);
    }
    (void)fprintf(stderr, "hikyaku statistics: %s\n", e.text);
    return 1;
}

static bool parse(int argc, char **argv, struct wish *w, uint64_t *out_days)
{
    for (int i = 0; i < argc; i++) {
        const char **value = strcmp(argv[i], "--step") == 0       ? &w->step
                             : strcmp(argv[i], "--days") == 0     ? &w->days
                             : strcmp(argv[i], "--mailroot") == 0 ? &w->mailroot
                                                                  : NULL;
        if (strcmp(argv[i], "--json") == 0)
            w->json = true;
        else if (value != NULL && i + 1 < argc)
            *value = argv[++i];
        else
            return false;
    }
    return (strcmp(w->step, "hour") == 0 || strcmp(w->step, "day") == 0) &&
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
    int code = list(&o, &w, since);
    orders_close(&o);
    return code;
}

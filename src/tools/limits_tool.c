/* limits_tool.c - `hikyaku limits`: who is over a limit, why, until when; and letting go. */
#include "tools/tools.h"
#include "tools/tools_int.h"
#include "users/limits.h"

static const char usage[] = "usage: hikyaku limits [list] [--json] [--mailroot DIR]\n"
                            "       hikyaku limits release ACCOUNT|ADDRESS [--mailroot DIR]\n"
                            "       hikyaku limits stop ACCOUNT [--mailroot DIR]\n"
                            "Who is over a limit of limits.tab, why, and until when; lets go "
                            "of one; stops an account.\n";

bool tool_each_held(struct orders *o, void (*fn)(void *ctx, const struct limit_held *held),
                    void *ctx)
{
    static const struct str words[] = { { "limitlist", 9 } };
    struct str line;
    struct err e;
    struct limit_held held;
    if (!orders_ask(o, words, 1, &line) || !str_starts(line, STR("+")))
        return false;
    while (client_line(o->server, &line, &e) == RC_OK) {
        if (str_eq(line, STR(".")))
            return true;
        if (limits_parse(line, &held))
            fn(ctx, &held);
    }
    return false;
}

struct list {
    bool json, any;
};

static void print_json(const struct limit_held *h, bool first)
{
    (void)printf("%s{\"who\":", first ? "" : ",\n ");
    tool_print_json(str_from_c(h->who));
    (void)printf(
        ",\"account\":%s,\"what\":\"%s\",\"action\":\"%s\",\"count\":%u,\"seconds\":%u,"
        "\"line\":%u,\"since\":%" PRId64 ",\"until\":%" PRId64 "}",
        h->is_account ? "true" : "false", limit_what_name((enum limit_what)h->what),
        limit_action_name((enum limit_action)h->action), h->count, h->window_s, h->line,
        h->since / USEC_S, h->until / USEC_S);
}

static void print_one(void *ctx, const struct limit_held *h)
{
    static const char *const done[] = { "slowed down", "refused", "stopped" };
    struct list *l = ctx;
    char since[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES];
    if (l->json) {
        print_json(h, !l->any);
    } else {
        (void)printf("%s ", h->is_account ? "account" : "address");
        tool_print_text(str_from_c(h->who), false);
        (void)printf("  %s since %s until %s\n", done[h->action], clock_print(h->since, since),
                     h->until == 0 ? "it is released" : clock_print(h->until, until));
        if (h->count == 0)
            (void)puts("    by an administrator");
        else
            (void)printf("    %u %s in %u seconds, limits.tab:%u\n", h->count,
                         limit_what_name((enum limit_what)h->what), h->window_s, h->line);
    }
    l->any = true;
}

static int list(struct orders *o, bool json)
{
    struct list l = { .json = json };
    if (json)
        (void)putchar('[');
    bool good = tool_each_held(o, print_one, &l);
    if (json)
        (void)puts("]");
    else if (good && !l.any)
        (void)puts("nobody is over a limit");
    return good ? 0 : 1;
}

static int order(struct orders *o, struct str command, const char *who)
{
    const struct str words[] = { command, str_from_c(who) };
    struct str line;
    if (!orders_ask(o, words, ARRAY_LEN(words), &line))
        return 1;
    if (str_starts(line, STR("+")))
        return 0;
    (void)fprintf(stderr, "hikyaku limits: %s: %.*s\n", who, STR_ARG(line));
    return 4;
}

int tool_limits(int argc, char **argv)
{
    struct orders o = { .tool = "limits", .ourselves = true };
    const char *words[2] = { "list", NULL }, *mailroot = NULL;
    struct err e = { .text = "" };
    bool json = false, bad = false;
    size_t count = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < argc)
            mailroot = argv[++i];
        else if (argv[i][0] == '-' || count == ARRAY_LEN(words))
            bad = true;
        else
            words[count++] = argv[i];
    }
    bool releases = strcmp(words[0], "release") == 0, stops = strcmp(words[0], "stop") == 0;
    if (bad ||
        (releases || stops ? count != 2 || json : strcmp(words[0], "list") != 0 || count > 1)) {
        (void)fputs(usage, stderr);
        return 3;
    }
    if (tool_enter_mailroot(mailroot, &e) != RC_OK) {
        (void)fprintf(stderr, "hikyaku limits: %s\n", e.text);
        return 1;
    }
    int code = releases ? order(&o, STR("limitrelease"), words[1])
               : stops  ? order(&o, STR("limitstop"), words[1])
                        : list(&o, json);
    orders_close(&o);
    return code;
}

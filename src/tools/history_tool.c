/* history_tool.c - `hikyaku history`: who changed which table, how; and taking it back. */
#include "conf/tab.h"
#include "tools/tools.h"
#include "tools/tools_int.h"

static const char usage[] =
    "usage: hikyaku history [list] [--file TEXT] [--by NAME] [--days N] [--limit N]\n"
    "       hikyaku history show|undo|confirm NUMBER\n"
    "       [--mailroot DIR]\n"
    "Changes of tables, newest first; one with its lines; takes one back, or confirms one "
    "that\n"
    "would go back by itself.\n";

#define VALUES_MAX 80u

struct wish {
    const char *words[2];
    size_t count;
    const char *file, *by, *days, *limit, *mailroot;
};

typedef void row_fn(const struct str *values, size_t count);

/* The command's answer, row by row. */
static int ask(struct orders *o, const struct str *words, size_t count, row_fn *fn)
{
    struct str line, values[VALUES_MAX];
    struct err e;
    size_t n = 0;
    if (!orders_ask(o, words, count, &line))
        return 1;
    if (!str_starts(line, STR("+"))) {
        (void)fprintf(stderr, "hikyaku history: %.*s\n", STR_ARG(line));
        return 4;
    }
    while (fn != NULL && client_line(o->server, &line, &e) == RC_OK) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        if (str_eq(line, STR(".")))
            return 0;
        if (str_starts(line, STR("..")))
            line = str_skip(line, 1);
        if (tab_parse_line(line, &a, values, VALUES_MAX, &n, NULL) == RC_OK && n > 0)
            fn(values, n);
    }
    return fn == NULL ? 0 : 1;
}

static void print(const char *before, struct str text)
{
    if (text.n == 0 || str_eq(text, STR("0")))
        return;
    (void)fputs(before, stdout);
    tool_print_text(text, false);
}

/* number time by from via act what undoes undone until count files... */
static void print_change(const struct str *v, size_t count)
{
    char when[CLOCK_TEXT_BYTES];
    int64_t time = 0, until = 0;
    if (count < 11 || !str_to_i64(v[1], &time) || !str_to_i64(v[9], &until))
        return;
    (void)printf("%.*s  %s", STR_ARG(v[0]), clock_print(time * USEC_S, when));
    print("  by ", v[2]);
    print(" from ", v[3]);
    print("  ", v[4]);
    print("  ", v[5]);
    print(" ", v[6]);
    print("  takes back ", v[7]);
    print("  taken back by ", v[8]);
    if (until > 0)
        (void)printf("  goes back at %s unless confirmed", clock_print(until * USEC_S, when));
    (void)putchar('\n');
    for (size_t i = 11; i < count; i++) {
        (void)fputs("    ", stdout);
        tool_print_text(v[i], false);
        (void)putchar('\n');
    }
}

static void print_line(const struct str *v, size_t count)
{
    if (str_eq(v[0], STR("file")) && count == 3) {
        tool_print_text(v[1], false);
        (void)puts(str_eq(v[2], STR("known")) ? "" : ": what was changed isn't known");
    } else if (str_eq(v[0], STR("at"))) {
        (void)printf("@ line %.*s\n", STR_ARG(v[1]));
    } else if (str_eq(v[0], STR("more"))) {
        (void)printf("... and %.*s more lines\n", STR_ARG(v[1]));
    } else {
        (void)putchar(v[0].p[0]);
        for (size_t i = 1; i < count; i++) {
            (void)putchar(i == 1 ? ' ' : '\t');
            tool_print_text(v[i], false);
        }
        (void)putchar('\n');
    }
}

static int list(struct orders *o, const struct wish *w, struct arena *a)
{
    uint64_t days = 0;
    if (w->days != NULL && (!str_to_u64(str_from_c(w->days), &days) || days > 36500))
        return 3;
    struct str since =
        days == 0 ? STR("")
                  : arena_printf(a, "%" PRId64, clock_wall() / USEC_S - (int64_t)days * 86400);
    const struct str words[] = { STR("historylist"),  str_from_c(w->limit), STR(""),
                                 str_from_c(w->file), str_from_c(w->by),    since };
    return ask(o, words, ARRAY_LEN(words), print_change);
}

static int one(struct orders *o, const struct wish *w)
{
    static const struct {
        const char *word, *command;
        row_fn *fn;
    } rows[] = { { "show", "historyget", print_line },
                 { "undo", "historyundo", NULL },
                 { "confirm", "historykeep", NULL } };
    for (size_t i = 0; i < ARRAY_LEN(rows) && w->count == 2; i++) {
        const struct str words[] = { str_from_c(rows[i].command), str_from_c(w->words[1]) };
        if (strcmp(w->words[0], rows[i].word) == 0)
            return ask(o, words, ARRAY_LEN(words), rows[i].fn);
    }
    return 3;
}

static bool parse(int argc, char **argv, struct wish *w)
{
    struct {
        const char *name, **value;
    } values[] = { { "--file", &w->file },
                   { "--by", &w->by },
                   { "--days", &w->days },
                   { "--limit", &w->limit },
                   { "--mailroot", &w->mailroot } };
    for (int i = 0; i < argc; i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(values) && strcmp(argv[i], values[k].name) != 0)
            k++;
        if (k < ARRAY_LEN(values) && i + 1 < argc)
            *values[k].value = argv[++i];
        else if (argv[i][0] == '-' || w->count == ARRAY_LEN(w->words))
            return false;
        else
            w->words[w->count++] = argv[i];
    }
    return true;
}

int tool_history(int argc, char **argv)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct orders o = { .tool = "history", .ourselves = true };
    struct wish w = { .words = { "list", NULL } };
    struct err e = { .text = "" };
    int code = 3;
    if (parse(argc, argv, &w)) {
        if (tool_enter_mailroot(w.mailroot, &e) != RC_OK) {
            (void)fprintf(stderr, "hikyaku history: %s\n", e.text);
            return 1;
        }
        bool lists = w.count == 0 || (w.count == 1 && strcmp(w.words[0], "list") == 0);
        code = lists ? list(&o, &w, &a) : one(&o, &w);
        orders_close(&o);
    }
    if (code == 3)
        (void)fputs(usage, stderr);
    return code;
}

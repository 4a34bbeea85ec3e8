/* trace.c - `hikyaku trace`: the story of messages (conf/story.h), for people and programs. */
#include "conf/story.h"
#include "spool/spool.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include <getopt.h>

#define STORIES_MAX ((size_t)10000)

static const char usage[] =
    "usage: hikyaku trace [--json] [--mailroot DIR] ID|ADDRESS|MESSAGE-ID\n"
    "ID: of a message or a session, as in logs, Received fields and replies. ADDRESS: of a\n"
    "sender or a recipient, wildcards * and ?; or of a client (192.0.2.7). MESSAGE-ID: of the\n"
    "field, with or without <>.\n";

struct telling {
    struct story_search search;
    bool json, printed;
};

/* --- telling ----------------------------------------------------------------------------- */

static void print_event(const struct story_event *ev)
{
    struct str event = ev->values[2];
    (void)printf("  %.*s  ", (int)MIN(ev->values[0].n, 23u), ev->values[0].p);
    tool_print_text(event, false);
    for (size_t i = 3; i < ev->count; i++) {
        struct str text = ev->values[i], key = { "", 0 };
        (void)str_cut(&text, '=', &key);
        if (str_eq(key, STR("id")) || str_eq(key, STR("session")) || text.p == NULL)
            continue;
        if (str_eq(key, STR("reason")))
            (void)printf("\n      ");
        else
            (void)printf(" %.*s=", STR_ARG(key));
        tool_print_text(text, false);
    }
    (void)putchar('\n');
}

static void print_now(struct str id)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct spool_entry entry;
    struct err e;
    char text[CLOCK_TEXT_BYTES];
    if (!spool_id_is_valid(id))
        return;
    if (spool_open(id, &a, &entry, &e) == RC_OK) {
        (void)printf("  now: in the queue, tried %u times, %s%s\n", entry.tries,
                     entry.held           ? "held"
                     : entry.next_try > 0 ? "next try at "
                                          : "due",
                     !entry.held && entry.next_try > 0 ? clock_print(entry.next_try, text)
                                                       : "");
        spool_close(&entry);
    } else if (spool_open_frozen(id, &a, &entry, &e) == RC_OK) {
        (void)printf("  now: frozen\n");
        spool_close(&entry);
    }
}

static void print_json(struct telling *s, const struct story *story)
{
    for (const struct story_event *ev = story->first; ev != NULL; ev = ev->next) {
        (void)printf("{\"time\":");
        tool_print_json(ev->values[0]);
        (void)printf(",\"role\":");
        tool_print_json(ev->values[1]);
        (void)printf(",\"event\":");
        tool_print_json(ev->values[2]);
        for (size_t i = 3; i < ev->count; i++) {
            struct str text = ev->values[i], key = { "", 0 };
            (void)str_cut(&text, '=', &key);
            (void)putchar(',');
            tool_print_json(key);
            (void)putchar(':');
            tool_print_json(text.p == NULL ? STR("") : text);
        }
        (void)printf("}\n");
    }
    s->printed = true;
}

static void print_story(struct telling *s, const struct story *story)
{
    if (story->first == NULL)
        return;
    if (s->json) {
        print_json(s, story);
        return;
    }
    (void)printf("%s%s %.*s\n", s->printed ? "\n" : "",
                 story->is_message ? "message" : "session", STR_ARG(story->name));
    for (const struct story_event *ev = story->first; ev != NULL; ev = ev->next)
        print_event(ev);
    if (story->is_message)
        print_now(story->name);
    s->printed = true;
}

/* --- the command line -------------------------------------------------------------------- */

static int tell(struct telling *t)
{
    struct story_search *s = &t->search;
    struct err e = { .text = "" };
    if (story_find(s, &e) != RC_OK || s->files == 0) {
        (void)fprintf(stderr, "hikyaku trace: there is no trace here (setting TraceDays)\n");
        return 1;
    }
    for (const struct story *story = s->first; story != NULL; story = story->next)
        print_story(t, story);
    if (!t->printed)
        (void)fprintf(stderr, "hikyaku trace: nothing is known of %.*s\n", STR_ARG(s->wanted));
    if (s->too_many)
        (void)fprintf(stderr, "hikyaku trace: only the newest %zu are shown\n", s->count);
    if (s->unreadable)
        (void)fprintf(stderr, "hikyaku trace: not all of logs/trace-* could be read\n");
    return t->printed && !s->unreadable ? 0 : 1;
}

int tool_trace(int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "mailroot", required_argument, NULL, 'm' },
                                             { NULL, 0, NULL, 0 } };
    struct telling t = { .search = { .most = STORIES_MAX } };
    struct err e = { .text = "" };
    const char *mailroot = NULL;
    int c = 0;
    argc++;
    argv--;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        t.json = t.json || c == 'j';
        mailroot = c == 'm' ? optarg : mailroot;
        if (c == '?')
            break;
    }
    if (c != -1 || argc - optind != 1 || argv[optind][0] == '\0') {
        (void)fputs(usage, stderr);
        return 3;
    }
    t.search.wanted = str_from_c(argv[optind]);
    enum rc rc = tool_enter_mailroot(mailroot, &e);
    if (rc == RC_OK)
        rc = tool_become_owner(&e);
    if (rc != RC_OK) {
        (void)fprintf(stderr, "hikyaku trace: %s\n", e.text);
        return 1;
    }
    int code = tell(&t);
    story_release(&t.search);
    return code;
}

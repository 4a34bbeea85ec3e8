/*
 * trace.c - `hikyaku trace`: the story of messages from logs/trace-*, which all roles append
 * to. A first pass over the files finds the messages meant, a second one collects their events
 * and those of the reports about them.
 */
#include "conf/tab.h"
#include "spool/spool.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include <getopt.h>
#include <stdlib.h>
#include <time.h>

#define FOLDER "logs"
#define VALUES_MAX 32u
#define FILE_BYTES_MAX ((size_t)4 << 30)
#define STORIES_MAX ((size_t)10000)

static const char usage[] =
    "usage: hikyaku trace [--json] [--mailroot DIR] ID|ADDRESS|MESSAGE-ID\n"
    "ID: of a message or a session, as in logs, Received fields and replies. ADDRESS: of a\n"
    "sender or a recipient, wildcards * and ?; or of a client (192.0.2.7). MESSAGE-ID: of the\n"
    "field, with or without <>.\n";

/* One event, in the order of the files. */
struct event {
    struct event *next;
    size_t count;
    struct str *values; /* time, role, event, "key=value"... */
};
/* What is told together: a message; or a session's refusals. */
struct story {
    struct story *next;
    struct str name;
    struct event *first, *last;
    bool is_message;
};

struct search {
    struct arena mem;
    struct str wanted;
    struct map stories; /* by id, or session */
    struct story *first, *last;
    struct str *files;
    size_t file_count;
    bool json, printed, too_many;
};

/* --- the files --------------------------------------------------------------------------- */

static int compare(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static enum rc list_files(struct search *s, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    size_t room = 64;
    s->files = arena_new_array(&s->mem, struct str, room);
    enum rc rc = folder_open(FOLDER, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type)) {
        if (!str_starts(name, STR("trace-")))
            continue;
        if (s->file_count == room) {
            struct str *more = arena_new_array(&s->mem, struct str, 2 * room);
            memcpy(more, s->files, room * sizeof(*more));
            s->files = more;
            room *= 2;
        }
        s->files[s->file_count++] = arena_printf(&s->mem, FOLDER "/%.*s", STR_ARG(name));
    }
    folder_close(&f);
    qsort(s->files, s->file_count, sizeof(*s->files), compare);
    return rc;
}

/* Calls fn for each line of all files; false: one couldn't be read. */
static bool each_line(struct search *s, void (*fn)(struct search *s, struct str line))
{
    bool ok = true;
    for (size_t i = 0; i < s->file_count; i++) {
        struct arena a AUTO_RELEASE_ARENA = { 0 };
        struct str rest, line;
        struct err e;
        if (file_read(s->files[i].p, FILE_BYTES_MAX, &a, &rest, NULL, &e) != RC_OK) {
            ok = false;
            continue;
        }
        while (rest.n > 0 && str_cut(&rest, '\n', &line))
            fn(s, line);
    }
    return ok;
}

/* --- one line ---------------------------------------------------------------------------- */

static bool parse(struct str line, struct arena *a, struct event *out)
{
    struct err e;
    out->values = arena_new_array(a, struct str, VALUES_MAX);
    return tab_parse_line(line, a, out->values, VALUES_MAX, &out->count, &e) == RC_OK &&
           out->count > 3;
}

static struct str value_of(const struct event *ev, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 3; i < ev->count; i++)
        if (str_starts(ev->values[i], str_from_c(key)) && ev->values[i].n > n &&
            ev->values[i].p[n] == '=')
            return str_skip(ev->values[i], n + 1);
    return STR("");
}

static struct str without_brackets(struct str s)
{
    return s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>' ? str_from(s.p + 1, s.n - 2) : s;
}

static bool is_wanted(const struct search *s, const struct event *ev)
{
    static const char *const addresses[] = { "from", "rcpt", "as" };
    if (str_eq(value_of(ev, "id"), s->wanted) || str_eq(value_of(ev, "about"), s->wanted))
        return true;
    if (str_eq(without_brackets(value_of(ev, "message_id")), s->wanted) ||
        str_eq(value_of(ev, "session"), s->wanted) || str_eq(value_of(ev, "client"), s->wanted))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct str value = value_of(ev, addresses[i]);
        if (value.n > 0 && str_matches(value, s->wanted))
            return true;
    }
    return false;
}

/* --- the two passes ---------------------------------------------------------------------- */

static struct story *story_of(struct search *s, struct str name, bool is_message, bool add)
{
    struct story *story = map_get(&s->stories, name);
    if (story != NULL || !add)
        return story;
    if (s->stories.live >= STORIES_MAX) {
        s->too_many = true;
        return NULL;
    }
    story = arena_new(&s->mem, sizeof(*story));
    *story = (struct story){ .name = arena_str(&s->mem, name), .is_message = is_message };
    (void)map_put(&s->stories, story->name, story);
    if (s->last != NULL)
        s->last->next = story;
    else
        s->first = story;
    s->last = story;
    return story;
}

static bool has_wildcards(struct str s)
{
    return str_find(s, '*') != SIZE_MAX || str_find(s, '?') != SIZE_MAX;
}

static void find_stories(struct search *s, struct str line)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct event ev = { .next = NULL };
    if (!has_wildcards(s->wanted) && str_ifind_str(line, s->wanted) == SIZE_MAX)
        return;
    if (!parse(line, &a, &ev) || !is_wanted(s, &ev))
        return;
    struct str id = value_of(&ev, "id"), session = value_of(&ev, "session");
    struct str about = value_of(&ev, "about");
    if (about.n > 0)
        (void)story_of(s, about, true, true);
    if (id.n > 0)
        (void)story_of(s, id, true, true);
    else if (session.n > 0)
        (void)story_of(s, session, false, true);
}

static void add_event(struct search *s, struct story *story, const struct event *ev)
{
    struct event *copy = arena_new(&s->mem, sizeof(*copy));
    *copy = (struct event){ .count = ev->count };
    copy->values = arena_new_array(&s->mem, struct str, ev->count);
    for (size_t i = 0; i < ev->count; i++)
        copy->values[i] = arena_str(&s->mem, ev->values[i]);
    if (story->last != NULL)
        story->last->next = copy;
    else
        story->first = copy;
    story->last = copy;
}

static void collect(struct search *s, struct str line)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct event ev = { .next = NULL };
    if (!parse(line, &a, &ev))
        return;
    struct str id = value_of(&ev, "id"), about = value_of(&ev, "about");
    struct story *subject = about.n > 0 ? story_of(s, about, true, false) : NULL;
    struct story *story = story_of(s, id.n > 0 ? id : value_of(&ev, "session"), id.n > 0,
                                   subject != NULL && id.n > 0);
    if (subject != NULL)
        add_event(s, subject, &ev);
    if (story != NULL && (story->is_message || is_wanted(s, &ev)))
        add_event(s, story, &ev);
}

/* --- telling ----------------------------------------------------------------------------- */

static void print_event(const struct event *ev)
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

static void print_json(struct search *s, const struct story *story)
{
    for (const struct event *ev = story->first; ev != NULL; ev = ev->next) {
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

static void print_story(struct search *s, const struct story *story)
{
    if (story->first == NULL)
        return;
    if (s->json) {
        print_json(s, story);
        return;
    }
    (void)printf("%s%s %.*s\n", s->printed ? "\n" : "",
                 story->is_message ? "message" : "session", STR_ARG(story->name));
    for (const struct event *ev = story->first; ev != NULL; ev = ev->next)
        print_event(ev);
    if (story->is_message)
        print_now(story->name);
    s->printed = true;
}

/* --- the command line -------------------------------------------------------------------- */

static int search(struct search *s)
{
    struct err e = { .text = "" };
    if (list_files(s, &e) != RC_OK || s->file_count == 0) {
        (void)fprintf(stderr, "hikyaku trace: there is no trace here (setting TraceDays)\n");
        return 1;
    }
    bool ok = each_line(s, find_stories);
    ok = each_line(s, collect) && ok;
    for (const struct story *story = s->first; story != NULL; story = story->next)
        print_story(s, story);
    if (!s->printed)
        (void)fprintf(stderr, "hikyaku trace: nothing is known of %.*s\n", STR_ARG(s->wanted));
    if (s->too_many)
        (void)fprintf(stderr, "hikyaku trace: only the first %zu are shown\n", STORIES_MAX);
    if (!ok)
        (void)fprintf(stderr, "hikyaku trace: not all of logs/trace-* could be read\n");
    return s->printed && ok ? 0 : 1;
}

int tool_trace(int argc, char **argv)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "mailroot", required_argument, NULL, 'm' },
                                             { NULL, 0, NULL, 0 } };
    struct search s = { .json = false };
    struct err e = { .text = "" };
    const char *mailroot = NULL;
    int c = 0;
    argc++;
    argv--;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        s.json = s.json || c == 'j';
        mailroot = c == 'm' ? optarg : mailroot;
        if (c == '?')
            break;
    }
    if (c != -1 || argc - optind != 1 || argv[optind][0] == '\0') {
        (void)fputs(usage, stderr);
        return 3;
    }
    s.wanted = without_brackets(str_from_c(argv[optind]));
    enum rc rc = tool_enter_mailroot(mailroot, &e);
    if (rc == RC_OK)
        rc = tool_become_owner(&e);
    if (rc != RC_OK) {
        (void)fprintf(stderr, "hikyaku trace: %s\n", e.text);
        return 1;
    }
    int code = search(&s);
    map_release(&s.stories);
    arena_release(&s.mem);
    return code;
}

/*
 * story.c - see story.h. A first pass over the blocks that may hold what is wanted, the newest
 * first, finds the messages meant; a second one over those that may hold their ids, in order,
 * collects their events and those of the reports about them.
 */
#include "conf/story_int.h"

/* The words that the second pass looks for. */
struct words {
    uint64_t *hashes;
    size_t count, room;
};

struct walk {
    struct story_search *s;
    struct buf room; /* of a block */
    uint64_t read;   /* octets that no index named */
    struct words words;
    bool is_pattern;
};

/* --- stories ------------------------------------------------------------------------------ */

static bool is_wanted(const struct story_search *s, const struct story_event *ev)
{
    static const char *const addresses[] = { "from", "rcpt", "as" };
    if (str_eq(story_value(ev, "id"), s->wanted) ||
        str_eq(story_without_brackets(story_value(ev, "message_id")), s->wanted) ||
        str_eq(story_value(ev, "session"), s->wanted) ||
        str_eq(story_value(ev, "client"), s->wanted))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct str value = story_value(ev, addresses[i]);
        if (value.n > 0 && str_matches(value, s->wanted))
            return true;
    }
    return false;
}

static struct story *story_of(struct story_search *s, struct str name, bool is_message)
{
    struct story *story = map_get(&s->by_name, name);
    if (story != NULL)
        return story;
    story = arena_new(&s->mem, sizeof(*story));
    *story = (struct story){ .name = arena_str(&s->mem, name), .is_message = is_message };
    (void)map_put(&s->by_name, story->name, story);
    story->next = s->first; /* sorted at the end */
    s->first = story;
    s->count++;
    return story;
}

static void find_in_line(struct walk *k, struct str line)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct story_search *s = k->s;
    struct story_event ev = { .next = NULL };
    if (!k->is_pattern && str_ifind_str(line, s->wanted) == SIZE_MAX)
        return;
    if (!story_parse(line, &a, &ev) || !is_wanted(s, &ev))
        return;
    struct str id = story_value(&ev, "id"), session = story_value(&ev, "session");
    struct str about = story_value(&ev, "about");
    if (about.n > 0)
        (void)story_of(s, about, true);
    if (id.n > 0)
        (void)story_of(s, id, true);
    else if (session.n > 0)
        (void)story_of(s, session, false);
}

static void add_word(struct walk *k, struct str word)
{
    struct words *w = &k->words;
    if (w->count == w->room) {
        size_t room = MAX(w->room * 2, (size_t)64);
        uint64_t *more = arena_new_array(&k->s->mem, uint64_t, room);
        if (w->count > 0)
            memcpy(more, w->hashes, w->count * sizeof(*more));
        w->hashes = more;
        w->room = room;
    }
    w->hashes[w->count++] = story_word(word);
}

static void add_event(struct story_search *s, struct story *story, const struct story_event *ev)
{
    struct story_event *copy = arena_new(&s->mem, sizeof(*copy));
    *copy = (struct story_event){ .count = ev->count };
    copy->values = arena_new_array(&s->mem, struct str, ev->count);
    for (size_t i = 0; i < ev->count; i++)
        copy->values[i] = arena_str(&s->mem, ev->values[i]);
    if (story->last != NULL)
        story->last->next = copy;
    else
        story->first = copy;
    story->last = copy;
}

static void collect(struct walk *k, struct str line)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct story_search *s = k->s;
    struct story_event ev = { .next = NULL };
    if (!story_parse(line, &a, &ev))
        return;
    struct str id = story_value(&ev, "id"), about = story_value(&ev, "about");
    struct story *subject = about.n > 0 ? map_get(&s->by_name, about) : NULL;
    struct str name = id.n > 0 ? id : story_value(&ev, "session");
    struct story *story = map_get(&s->by_name, name);
    if (story == NULL && subject != NULL && id.n > 0) {
        story = story_of(s, id, true); /* a report about it, or what was made of it */
        add_word(k, id);
    }
    if (subject != NULL)
        add_event(s, subject, &ev);
    if (story != NULL && story != subject && (story->is_message || is_wanted(s, &ev)))
        add_event(s, story, &ev);
}

/* --- blocks ------------------------------------------------------------------------------- */

static void each_line(struct walk *k, const struct story_file *f, uint64_t block,
                      void (*fn)(struct walk *k, struct str line))
{
    struct str lines, line;
    if (!story_block_read(f, block, &k->room, &lines)) {
        k->s->unreadable = true;
        return;
    }
    while (lines.n > 0 && str_cut(&lines, '\n', &line))
        fn(k, line);
}

/* Is there budget for one more block that no index speaks of? */
static bool may_read(struct walk *k)
{
    if (k->s->budget > 0 && k->read >= k->s->budget) {
        k->s->incomplete = true;
        return false;
    }
    k->read += STORY_BLOCK;
    return true;
}

/* What the index knows the wanted by; false: nothing, every block is read. */
static bool wanted_word(const struct walk *k, uint64_t *out)
{
    struct str w = k->s->wanted;
    if (!k->is_pattern) {
        *out = story_word(w);
        return true;
    }
    struct str domain = str_skip(w, 1);
    if (!str_starts(w, STR("*@")) || str_has_any(domain, "*?"))
        return false;
    *out = story_word(domain);
    return true;
}

/* Finds the file's stories, from its end. */
static void find_in_file(struct walk *k, const struct story_file *f)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    uint64_t word = 0;
    bool has_word = wanted_word(k, &word);
    const unsigned char *marks = has_word ? story_marks_read(f, &a) : NULL;
    for (uint64_t i = f->blocks; i > 0; i--) {
        uint64_t block = i - 1;
        bool known = marks != NULL && block < f->indexed;
        if (k->s->count >= k->s->most) {
            k->s->too_many = true;
            return;
        }
        if (known ? !story_marks_hold(marks + block * STORY_MARKS, word) : !may_read(k))
            continue;
        each_line(k, f, block, find_in_line);
    }
}

static bool may_hold(const struct walk *k, const unsigned char *marks)
{
    for (size_t i = 0; i < k->words.count; i++)
        if (story_marks_hold(marks, k->words.hashes[i]))
            return true;
    return false;
}

static void collect_in_file(struct walk *k, const struct story_file *f)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    const unsigned char *marks = story_marks_read(f, &a);
    for (uint64_t block = 0; block < f->blocks; block++) {
        bool known = marks != NULL && block < f->indexed;
        if (known ? may_hold(k, marks + block * STORY_MARKS) : may_read(k))
            each_line(k, f, block, collect);
    }
}

/* --- all ---------------------------------------------------------------------------------- */

static bool is_before(const struct story *x, const struct story *y)
{
    if (x->first == NULL || y->first == NULL)
        return x->first == NULL && y->first != NULL;
    return str_cmp(x->first->values[0], y->first->values[0]) <= 0;
}

/* Oldest first. */
static struct story *sorted(struct story *list)
{
    struct story *halves[2] = { NULL, NULL }, *out = NULL, **end = &out;
    if (list == NULL || list->next == NULL)
        return list;
    for (size_t i = 0; list != NULL; i++) {
        struct story *next = list->next;
        list->next = halves[i % 2];
        halves[i % 2] = list;
        list = next;
    }
    halves[0] = sorted(halves[0]);
    halves[1] = sorted(halves[1]);
    while (halves[0] != NULL || halves[1] != NULL) {
        bool second =
            halves[0] == NULL || (halves[1] != NULL && !is_before(halves[0], halves[1]));
        *end = halves[second];
        halves[second] = (*end)->next;
        end = &(*end)->next;
    }
    *end = NULL;
    return out;
}

static void walk_files(struct walk *k, const struct str *files, bool collects)
{
    for (size_t i = 0; i < k->s->files; i++) {
        struct story_file f;
        if (!story_file_open(&f, files[collects ? i : k->s->files - 1 - i])) {
            k->s->unreadable = true;
            continue;
        }
        if (collects)
            collect_in_file(k, &f);
        else
            find_in_file(k, &f);
        story_file_close(&f);
    }
}

enum rc story_find(struct story_search *s, struct err *e)
{
    struct walk k = { .s = s };
    struct str *files = NULL;
    s->wanted = story_without_brackets(s->wanted);
    k.is_pattern = str_has_any(s->wanted, "*?");
    enum rc rc = story_list(&s->mem, &files, &s->files, e);
    if (rc != RC_OK)
        return rc;
    buf_init(&k.room, (size_t)1 << 20);
    walk_files(&k, files, false);
    for (const struct story *story = s->first; story != NULL; story = story->next)
        add_word(&k, story->name);
    k.read = 0;
    if (s->count > 0)
        walk_files(&k, files, true);
    s->first = sorted(s->first);
    buf_release(&k.room);
    return RC_OK;
}

void story_release(struct story_search *s)
{
    map_release(&s->by_name);
    arena_release(&s->mem);
}

/* api_story.c - what became of messages, from the trace; and the thread that keeps the trace's
 * index up to date. */
#include "conf/options.h"
#include "conf/story.h"
#include "spool/spool.h"
#include "sys/lock.h"
#include "web/web_int.h"

#define BUDGET ((uint64_t)256 << 20)
#define EVENTS_MOST 500u
#define INDEX_PIECE 64u
#define REST_TIME (200 * USEC_MS)
#define RESTS 5u

/* --- the API ------------------------------------------------------------------------------ */

static json_t *event_json(const struct story_event *ev)
{
    json_t *values = json_object();
    for (size_t i = 3; i < ev->count; i++) {
        struct str text = ev->values[i], key = { "", 0 };
        (void)str_cut(&text, '=', &key);
        if (text.p != NULL)
            (void)json_object_setn_new(values, key.p, key.n, web_str(text));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "time", web_str(ev->values[0]), "role",
                     web_str(ev->values[1]), "event", web_str(ev->values[2]), "values", values);
}

/* Where it is now. */
static const char *state_of(const struct story *story)
{
    return !story->is_message             ? "session"
           : spool_exists(story->name)    ? "queue"
           : spool_is_frozen(story->name) ? "frozen"
                                          : "gone";
}

static json_t *story_json(const struct story *story)
{
    json_t *events = json_array();
    json_int_t more = 0;
    for (const struct story_event *ev = story->first; ev != NULL; ev = ev->next)
        if (json_array_size(events) < EVENTS_MOST)
            (void)json_array_append_new(events, event_json(ev));
        else
            more++;
    return json_pack("{s:o, s:s, s:o, s:I}", "id", web_str(story->name), "state",
                     state_of(story), "events", events, "more_events", more);
}

void api_trace(struct web *w)
{
    struct story_search s = { .wanted = str_trim(web_query(w, "about")),
                              .most = (size_t)MAX(web_query_number(w, "limit", 20, 200), 1u),
                              .budget = BUDGET };
    struct err e;
    if (s.wanted.n == 0) {
        web_fail(w, 422, "invalid", "about is an id, an address or a Message-ID");
        return;
    }
    if (story_find(&s, &e) != RC_OK && e.sys != ENOENT) {
        web_trouble(w, &e);
        story_release(&s);
        return;
    }
    json_t *list = json_array();
    for (const struct story *story = s.first; story != NULL; story = story->next)
        if (story->first != NULL)
            (void)json_array_insert_new(list, 0, story_json(story));
    web_json(w, 200,
             json_pack("{s:o, s:b, s:b, s:I}", "stories", list, "more", (int)s.too_many,
                       "incomplete", (int)(s.incomplete || s.unreadable), "days",
                       (json_int_t)conf()->trace_days));
    story_release(&s);
}

/* --- the index ---------------------------------------------------------------------------- */

static pthread_t indexer;
static bool has_indexer;
static _Atomic bool ends;

static void *keep_index(void *arg)
{
    (void)arg;
    while (!atomic_load(&ends)) {
        if (story_index_step(INDEX_PIECE))
            continue;
        for (unsigned i = 0; i < RESTS && !atomic_load(&ends); i++)
            thread_pause(REST_TIME);
    }
    return NULL;
}

void indexer_tick(void)
{
    struct err e;
    if (has_indexer || conf()->trace_days == 0)
        return;
    has_indexer = thread_start(keep_index, NULL, "index", &indexer, &e) == RC_OK;
    if (!has_indexer)
        log_warn(EV("index of the trace isn't kept"), KE(&e));
}

void indexer_end(void)
{
    atomic_store(&ends, true);
    if (has_indexer)
        thread_join(indexer);
    has_indexer = false;
}

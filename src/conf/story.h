/*
 * story.h - the stories of messages, from logs/trace-* (conf/logfiles.h). An index beside each
 * file, logs/trace-*.index, says which of its blocks can hold a word, so that a search reads
 * little. The index may be behind, or missing: what it doesn't cover is read.
 */
#ifndef HIKYAKU_CONF_STORY_H
#define HIKYAKU_CONF_STORY_H

#include "base/base.h"

/* One event, in the order of the files. */
struct story_event {
    struct story_event *next;
    size_t count;
    struct str *values; /* time, role, event, "key=value"... */
};
/* What is told together: a message; or a session's refusals. */
struct story {
    struct story *next;
    struct str name; /* id of the message, or the session's */
    struct story_event *first, *last;
    bool is_message;
};

struct story_search {
    /* Asked for: an id of a message or session, a Message-ID (with or without <>), an address
     * of sender, recipient or client; wildcards * and ?. */
    struct str wanted;
    size_t most;     /* stories; the newest ones are found */
    uint64_t budget; /* octets read of what no index helps with; 0: all */
    /* Found, oldest first. */
    struct story *first;
    size_t count, files;
    bool too_many;   /* there are older ones */
    bool incomplete; /* the budget was too small */
    bool unreadable; /* a file couldn't be read */
    struct arena mem;
    struct map by_name;
};

/* Searches; RC_OK also when nothing was found. */
enum rc story_find(struct story_search *s, struct err *e) CHECK_RESULT;
void story_release(struct story_search *s);
/* The value of "key=value" in the event, or empty. */
struct str story_value(const struct story_event *ev, const char *key);

/*
 * Brings the indexes up to date; one process does so, the web role. False: nothing is left to
 * do now. At most `blocks` blocks (STORY_BLOCK octets) at a time.
 */
#define STORY_BLOCK ((size_t)64 << 10)
bool story_index_step(size_t blocks);

#endif

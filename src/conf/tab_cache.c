/*
 * tab_cache.c - tables kept in memory and looked at again when their file changed. A reader
 * takes a reference to the present version under a short lock; the file is looked at by one
 * thread at a time, at most every 100 ms, and parsed without holding the lock.
 */
#include "conf/tab.h"
#include "sys/lock.h"
#include <stdatomic.h>

#define LOOK_EVERY (100 * USEC_MS)
#define STILL_FOR (200 * USEC_MS)
#define OPEN_FOR (60 * USEC_S)      /* without a line end at its end, before it counts */
#define DOUBT_SHORTER (2 * USEC_S)  /* how long a table that shrank by half is doubted */
#define DOUBT_MISSING (60 * USEC_S) /* how long one that went away or can't be read is */

struct tab_cached {
    struct file_id id;
    unsigned refs; /* protected by the cache's lock; the cache itself holds one */
    void *value;
};

struct tab_cache {
    char *path;
    tab_parse_fn *parse;
    tab_release_fn *release;
    void *ctx;
    struct lock lock; /* protects current and the refs of all versions */
    struct tab_cached *current;
    _Atomic bool looking;    /* a thread looks at the file */
    _Atomic int64_t look_at; /* not before this time */
    _Atomic bool suspect;
    usec_t doubt_since;     /* the looking thread's; 0: no doubt */
    struct tab_watch watch; /* the looking thread's */
};

/* Gives one reference back; the caller holds the lock. Returns the version when nobody has it
 * left. */
static struct tab_cached *drop(struct tab_cached *version)
{
    if (version == NULL || --version->refs > 0)
        return NULL;
    return version;
}

static void destroy(struct tab_cache *c, struct tab_cached *version)
{
    if (version == NULL)
        return;
    if (c->release != NULL && version->value != NULL)
        c->release(version->value);
    mem_free(&version);
}

static void report(const struct tab *tab)
{
    for (size_t i = 0; i < tab->problem_count; i++)
        tab_say_skipped(tab->path, tab->problems[i].line, tab->problems[i].text);
}

/* Reads the table and makes it the present version. */
static enum rc load(struct tab_cache *c, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    enum rc rc = tab_read(c->path, &mem, &tab, e);
    if (rc != RC_OK)
        return rc;
    report(&tab);
    struct tab_cached *fresh = mem_new(sizeof(*fresh));
    fresh->id = tab.id;
    fresh->refs = 1;
    fresh->value = c->parse(&tab, c->ctx);
    lock_take(&c->lock);
    struct tab_cached *old = c->current;
    c->current = fresh;
    old = drop(old);
    lock_drop(&c->lock);
    destroy(c, old);
    return RC_OK;
}

/* Has the file been still long enough to be read? */
static bool is_still(const struct file_id *id)
{
    usec_t changed = MAX(id->mtime_ns, id->ctime_ns) / 1000;
    usec_t age = clock_wall() - changed;
    return age >= STILL_FOR || age < -STILL_FOR; /* a time in the future says nothing */
}

bool tab_ends_open(const char *path, const struct file_id *now)
{
    char last = 0;
    if (now->size == 0)
        return false;
    int fd AUTO_CLOSE = io_open(path, O_RDONLY, 0);
    return fd < 0 || io_pread(fd, &last, 1, now->size - 1) != 1 || last != '\n';
}

bool tab_is_settled(struct tab_watch *w, const char *path, const struct file_id *now)
{
    if (!is_still(now))
        return false;
    if (!tab_ends_open(path, now)) {
        *w = (struct tab_watch){ .since = 0 };
        return true;
    }
    if (!file_id_eq(&w->open, now)) {
        *w = (struct tab_watch){ *now, clock_mono() };
        log_warn(EV("last line of a table has no line end; it counts in a minute"),
                 KV("file", path));
    }
    return clock_mono() - w->since >= OPEN_FOR;
}

/* How long a doubt about the new state lasts; 0: no doubt. */
static usec_t doubt_for(bool readable, const struct file_id *now, const struct file_id *before)
{
    bool was_there = before->ino != 0;
    if (!readable || (was_there && now->ino == 0))
        return DOUBT_MISSING;
    return was_there && now->size < before->size / 2 ? DOUBT_SHORTER : 0;
}

/* Looks at the file once; takes over a new version if it counts. */
static void look(struct tab_cache *c)
{
    struct err e;
    struct file_id now = { .dev = 0 };
    bool readable = file_id_get(c->path, &now, &e) == RC_OK;
    if (c->current == NULL) {
        if (!readable || load(c, &e) != RC_OK) {
            log_error(EV("table can't be read"), KV("file", c->path), KE(&e));
            c->suspect = true;
        }
        return;
    }
    if (readable && file_id_eq(&now, &c->current->id)) {
        c->suspect = false;
        c->doubt_since = 0;
        return;
    }
    usec_t doubt = doubt_for(readable, &now, &c->current->id);
    if (doubt > 0) {
        usec_t t = clock_mono();
        c->doubt_since = c->doubt_since == 0 ? t : c->doubt_since;
        c->suspect = true;
        if (t - c->doubt_since < doubt)
            return;
    }
    if (now.ino != 0 && !tab_is_settled(&c->watch, c->path, &now))
        return;
    if (load(c, &e) == RC_OK) {
        c->suspect = false;
        c->doubt_since = 0;
        return;
    }
    log_error(EV("table can't be read"), KV("file", c->path), KE(&e));
    c->suspect = true;
}

struct tab_cache *tab_cache_new(const char *path, tab_parse_fn *parse, tab_release_fn *release,
                                void *ctx)
{
    struct tab_cache *c = mem_new(sizeof(*c));
    size_t n = strlen(path) + 1;
    c->path = mem_new(n);
    memcpy(c->path, path, n);
    c->parse = parse;
    c->release = release;
    c->ctx = ctx;
    lock_init(&c->lock, LOCK_TABLES);
    look(c);
    return c;
}

void *tab_cache_get(struct tab_cache *c, struct tab_cached **out_ref, bool *out_suspect)
{
    bool idle = false;
    if (clock_mono() >= c->look_at &&
        atomic_compare_exchange_strong(&c->looking, &idle, true)) {
        look(c);
        c->look_at = clock_mono() + LOOK_EVERY;
        c->looking = false;
    }
    struct lock *held AUTO_UNLOCK = lock_hold(&c->lock);
    (void)held;
    *out_suspect = c->suspect || c->current == NULL;
    *out_ref = c->current;
    if (c->current == NULL)
        return NULL;
    c->current->refs++;
    return c->current->value;
}

void tab_cache_put(struct tab_cache *c, struct tab_cached **ref)
{
    if (*ref == NULL)
        return;
    lock_take(&c->lock);
    struct tab_cached *gone = drop(*ref);
    lock_drop(&c->lock);
    *ref = NULL;
    destroy(c, gone);
}

void tab_cache_free(struct tab_cache **cache)
{
    struct tab_cache *c = *cache;
    if (c == NULL)
        return;
    destroy(c, drop(c->current));
    mem_free(&c->path);
    mem_free(cache);
}

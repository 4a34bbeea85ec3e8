/*
 * home.c - which link is visited when: every FetchInterval seconds, later after failures; at
 * most FetchThreads at a time, one at a time for a login at a server. Called by the queue role.
 *
 * A visit is an object of the pool: what remote tells it waits in its letters, and one worker
 * at a time works on it. The table of links, the visits under way and their letters are under
 * one lock; nothing is done under it that waits, but for files of the MailRoot by the tick.
 */
#include "fetch/home.h"
#include "conf/logfiles.h"
#include "sys/file.h"
#include "sys/lock.h"
#include "sys/metrics.h"

#define VISIT_MAX (3 * 3600 * USEC_S)
#define LONGEST_PAUSE (3600 * USEC_S)
#define REFUSED_FOR (6 * 3600 * USEC_S)
#define REFUSED_MAX 10000u

/* What was told of a visit. */
struct letter {
    struct letter *next;
    enum fetch_word word;
    struct fetch_done done;
    int fd;
    bool lost; /* the relay role has died */
    char text[];
};

static struct {
    struct lock lock;
    struct pool *pool;
    fetch_ask_fn *ask;
    fetch_queued_fn *queued;
    struct links links;
    struct map visits;  /* by number, under way */
    struct map refused; /* by source and UIDL: until when (a usec_t) */
    uint64_t last_number;
    bool has_relay;
} home = { .lock = LOCK_INIT(LOCK_FETCH) };

/* --- letters ----------------------------------------------------------------------------- */

static void letter_free(struct letter **l)
{
    if ((*l)->fd >= 0)
        (void)close((*l)->fd);
    mem_free(l);
}

/* Under the lock. */
static void post(struct visit *v, enum fetch_word word, const struct fetch_done *done, int fd,
                 bool lost)
{
    struct str text = done == NULL ? STR("") : done->text;
    struct letter *l = mem_new(sizeof(*l) + text.n + 1);
    l->word = word;
    l->fd = fd;
    l->lost = lost;
    memcpy(l->text, text.p, text.n);
    if (done != NULL)
        l->done = *done;
    l->done.text = str_from(l->text, text.n);
    if (v->last == NULL)
        v->first = l;
    else
        v->last->next = l;
    v->last = l;
    pool_wake(home.pool, v->ticket);
}

static struct letter *take_letter(struct visit *v)
{
    AUTO_UNLOCK struct lock *held = lock_hold(&home.lock);
    (void)held;
    struct letter *l = v->first;
    if (l != NULL)
        v->first = l->next;
    if (v->first == NULL)
        v->last = NULL;
    return l;
}

static struct str number_key(uint64_t number, struct arena *a)
{
    return arena_printf(a, "%" PRIu64, number);
}

void fetch_home_told(uint64_t visit, enum fetch_word word, const struct fetch_done *done,
                     int fd)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    lock_take(&home.lock);
    struct visit *v = map_get(&home.visits, number_key(visit, &a));
    if (v != NULL)
        post(v, word, done, fd, false);
    lock_drop(&home.lock);
    if (v == NULL && fd >= 0)
        (void)close(fd);
}

void fetch_home_relay_ready(void)
{
    size_t at = 0;
    struct str key;
    void *v = NULL;
    AUTO_UNLOCK struct lock *held = lock_hold(&home.lock);
    (void)held;
    home.has_relay = true;
    while (map_next(&home.visits, &at, &key, &v))
        post(v, FETCH_DONE, NULL, -1, true);
}

/* --- refused ----------------------------------------------------------------------------- */

static struct str refused_key(const struct visit *v, struct str uidl, struct arena *a)
{
    return arena_printf(a, "%.*s/%.*s %.*s", STR_ARG(v->folder), STR_ARG(v->link.user),
                        STR_ARG(uidl));
}

bool visit_is_refused(struct visit *v, const struct listed *m)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    AUTO_UNLOCK struct lock *held = lock_hold(&home.lock);
    (void)held;
    const struct refused *r = map_get(&home.refused, refused_key(v, m->uidl, &a));
    if (r == NULL || r->until <= clock_mono())
        return false;
    v->bad++;
    v->bad_octets += m->octets;
    (void)snprintf(v->trouble, sizeof(v->trouble), "%s", r->why);
    return true;
}

/* Under the lock; all, or only those whose time is over. */
static void forget_refused(bool all)
{
    struct str key;
    void *value = NULL;
    size_t at = 0, n = 0;
    struct refused **old = mem_new((home.refused.live + 1) * sizeof(struct refused *));
    while (map_next(&home.refused, &at, &key, &value)) {
        struct refused *r = value;
        if (all || r->until <= clock_mono())
            old[n++] = r;
    }
    for (size_t i = 0; i < n; i++) {
        (void)map_remove(&home.refused, str_from_c(old[i]->key));
        mem_free(&old[i]);
    }
    mem_free(&old);
}

void visit_refuse(const struct visit *v, struct str uidl, const char *why)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str key = refused_key(v, uidl, &a);
    AUTO_UNLOCK struct lock *held = lock_hold(&home.lock);
    (void)held;
    struct refused *r = map_get(&home.refused, key);
    if (r == NULL && home.refused.live >= REFUSED_MAX)
        forget_refused(true);
    if (r == NULL) {
        r = mem_new(sizeof(*r) + key.n + 1);
        memcpy(r->key, key.p, key.n);
        (void)map_put(&home.refused, str_from_c(r->key), r);
    }
    r->until = clock_mono() + REFUSED_FOR;
    (void)snprintf(r->why, sizeof(r->why), "%s", why);
}

/* --- the end of a visit ------------------------------------------------------------------ */

static void record(const struct visit *v, const struct visit_end *end)
{
    static const char *const logins[] = { "CLR", "APOP", "FAPOP" };
    char time[CLOCK_TEXT_BYTES], numbers[4][24];
    const uint64_t counts[] = { v->messages, v->octets, v->bad, v->bad_octets };
    const struct fetch_link *l = &v->link;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        (void)snprintf(numbers[i], sizeof(numbers[i]), "%" PRIu64, counts[i]);
    const struct str values[] = {
        str_from_c(clock_print(clock_wall(), time)),
        l->columns[LINK_DOMAIN],
        l->columns[LINK_ACCOUNT_NAME],
        l->columns[LINK_SERVER],
        l->user,
        l->columns[LINK_OPTIONS].n > 0 ? l->columns[LINK_OPTIONS]
                                       : str_from_c(logins[l->login]),
        end->rc == RC_OK ? STR("OK") : STR("FAIL"),
        str_from_c(numbers[0]),
        str_from_c(numbers[1]),
        str_from_c(numbers[2]),
        str_from_c(numbers[3]),
    };
    logfile_add(LOGFILE_PSYNC, values, ARRAY_LEN(values));
}

/* When the link's next turn is. Under the lock. */
static void plan(struct link_state *s, const struct visit *v, const struct visit_end *end)
{
    usec_t interval = conf()->fetch_interval, pause = interval;
    s->failures = end->rc == RC_OK ? 0 : s->failures + 1;
    for (unsigned i = 0; i < s->failures && pause < LONGEST_PAUSE; i++)
        pause *= 2;
    pause = MIN(pause, MAX(interval, LONGEST_PAUSE));
    s->running = false;
    s->next_at = interval == 0 ? USEC_FOREVER : clock_mono() + pause;
    s->last_at = clock_wall();
    s->messages = v->messages;
    s->bad = v->bad;
    struct str said = end->text.n > 0 ? end->text : str_from_c(v->trouble);
    (void)snprintf(s->error, sizeof(s->error), "%.*s", (int)MIN(said.n, sizeof(s->error) - 1),
                   said.p);
}

static void visit_over(struct visit *v, const struct visit_end *end)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct err e = { .text = "" };
    const struct fetch_link *l = &v->link;
    if (memory_close(&v->memory, &e) != RC_OK)
        log_error(EV("memory of fetched mail not written"), KS("server", l->host),
                  KS("login", l->user), KE(&e));
    metric_add(end->rc == RC_OK ? METRIC_fetch_good : METRIC_fetch_bad, 1);
    record(v, end);
    if (end->rc != RC_OK)
        log_warn(EV("fetching failed"), KS("domain", l->columns[LINK_DOMAIN]),
                 KS("account", l->columns[LINK_ACCOUNT_NAME]), KS("server", l->host),
                 KS("login", l->user), KS("reason", end->text), KU("messages", v->messages));
    else if (v->messages > 0)
        log_info(EV("fetched"), KS("domain", l->columns[LINK_DOMAIN]),
                 KS("account", l->columns[LINK_ACCOUNT_NAME]), KS("server", l->host),
                 KS("login", l->user), KU("messages", v->messages), KU("octets", v->octets),
                 KU("not_taken", v->bad),
                 KU("ms", (uint64_t)((clock_mono() - v->began) / USEC_MS)));
    lock_take(&home.lock);
    (void)map_remove(&home.visits, number_key(v->number, &a));
    links_end(&home.links, v->source);
    struct link_state *s = links_find(&home.links, l->columns);
    if (s != NULL)
        plan(s, v, end);
    lock_drop(&home.lock);
    for (struct letter *letter; (letter = take_letter(v)) != NULL;)
        letter_free(&letter);
    pool_forget(home.pool, v->ticket);
    arena_wipe(&v->mem);
    mem_free(&v);
}

/* --- a visit ----------------------------------------------------------------------------- */

static uint64_t message_limit(const struct visit *v)
{
    uint64_t limit = conf()->max_message_size * 1024;
    uint64_t own = v->into_mailbox ? v->user.max_message_size * 1024 : 0;
    limit = limit == 0 ? MESSAGE_OCTETS_MAX : MIN(limit, MESSAGE_OCTETS_MAX);
    return own == 0 ? limit : MIN(limit, own);
}

/* The link as remote needs it: a row of the table with the limit behind. */
static enum rc send_link(struct visit *v, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    struct str values[LINK_COLUMNS + 1];
    int fd AUTO_CLOSE = -1;
    memcpy(values, v->link.columns, sizeof(v->link.columns));
    values[LINK_COLUMNS] = arena_printf(&v->mem, "%" PRIu64, message_limit(v));
    buf_init(&text, TAB_LINE_MAX);
    enum rc rc = tab_print_row(&text, values, ARRAY_LEN(values), "\n", e);
    if (rc == RC_OK)
        rc = file_in_memory(buf_str(&text), &fd, e);
    if (rc == RC_OK && !home.ask(FETCH_START, v->number, STR(""), fd))
        rc = err_temp(e, "4.3.0", "the relay role doesn't take it");
    return rc;
}

static enum rc begin(struct visit *v, struct err *e)
{
    v->folder = link_folder(&v->link, &v->mem);
    v->mark = fetch_mark(&v->link, &v->mem);
    v->began = clock_mono();
    enum rc rc = visit_check_target(v, e);
    if (rc == RC_OK)
        rc = memory_open(v->folder, v->link.user, &v->memory, e);
    return rc == RC_OK ? send_link(v, e) : rc;
}

static enum rc answer(struct visit *v, const struct letter *l, struct err *e)
{
    struct buf fates AUTO_RELEASE_BUF;
    int wants AUTO_CLOSE = -1;
    bool lists = l->word == FETCH_LIST;
    buf_init(&fates, BATCH_MESSAGES);
    enum rc rc = l->fd < 0 ? err_perm(e, "5.3.0", "a note of the relay role isn't whole")
                 : lists   ? visit_take_list(v, l->fd, &wants, e)
                           : visit_take_batch(v, l->fd, home.queued, &fates, e);
    /* After a failure too: it says that the visit is over. */
    struct str text = rc == RC_OK ? buf_str(&fates) : STR("");
    bool told = home.ask(lists ? FETCH_WANT : FETCH_STORED, v->number, text, wants);
    return rc == RC_OK && !told ? err_temp(e, "4.3.0", "the relay role doesn't listen") : rc;
}

/* True: the visit is over, and gone. */
static bool take(struct visit *v, struct letter *l)
{
    struct err e = { .text = "" };
    struct visit_end end = { l->done.rc, l->done.text };
    bool over = l->word == FETCH_DONE;
    if (l->lost)
        end = (struct visit_end){ RC_TEMP, STR("the relay role was started anew") };
    if (!over) {
        end.rc = answer(v, l, &e);
        end.text = str_from_c(e.text);
        over = end.rc != RC_OK;
    }
    if (over)
        visit_over(v, &end);
    letter_free(&l);
    return over;
}

static void visit_run(struct pool *pool, void *object, unsigned events)
{
    struct visit *v = object;
    struct err e = { .text = "" };
    enum rc rc = RC_OK;
    if ((events & POOL_QUEUED) != 0)
        rc = begin(v, &e);
    else if ((events & POOL_STOP) != 0)
        rc = err_temp(&e, "4.3.2", "the server stops");
    else if (clock_mono() > v->began + VISIT_MAX)
        rc = err_temp(&e, "4.4.2", "the visit takes too long");
    if (rc != RC_OK) {
        const struct visit_end end = { rc, str_from_c(e.text) };
        visit_over(v, &end);
        return;
    }
    for (struct letter *l; (l = take_letter(v)) != NULL;)
        if (take(v, l))
            return;
    pool_park(pool, v->ticket, 0, v->began + VISIT_MAX + USEC_S);
}

/* --- starting ---------------------------------------------------------------------------- */

/* Under the lock. */
static void start(struct link_state *s)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct visit *v = mem_new(sizeof(*v));
    struct err e;
    v->number = ++home.last_number;
    if (link_parse(s->values, s->count, &v->mem, &v->link, &e) != RC_OK ||
        pool_add(home.pool, v, visit_run, -1, &v->ticket, &e) != RC_OK) {
        s->next_at = clock_mono() + USEC_S;
        arena_release(&v->mem);
        mem_free(&v);
        return;
    }
    (void)map_put(&home.visits, arena_str(&v->mem, number_key(v->number, &a)), v);
    v->source = link_source(&v->link, &v->mem);
    links_begin(&home.links, s, v->source);
}

void fetch_home_tick(void)
{
    size_t most = (size_t)conf()->fetch_threads;
    AUTO_UNLOCK struct lock *held = lock_hold(&home.lock);
    (void)held;
    links_refresh(&home.links);
    usec_t now = clock_mono();
    bool may = home.has_relay && !conf()->fetch_off;
    for (size_t i = 0; may && i < home.links.count && home.visits.live < most; i++) {
        /* Each tick begins where the last one ended. */
        home.links.turn = (home.links.turn + 1) % home.links.count;
        struct link_state *s = home.links.all[home.links.turn];
        if (links_may_start(&home.links, s, now))
            start(s);
    }
    forget_refused(false);
    links_write(&home.links);
    metric_set(METRIC_fetch_active, home.visits.live);
}

void fetch_home_now(struct str domain, struct str user, struct str server, struct str remote)
{
    const struct str wanted[] = { domain, user, server, remote };
    AUTO_UNLOCK struct lock *held = lock_hold(&home.lock);
    (void)held;
    forget_refused(true);
    for (size_t i = 0; i < home.links.count; i++) {
        struct link_state *s = home.links.all[i];
        bool meant = true;
        for (size_t c = 0; c < ARRAY_LEN(wanted); c++)
            meant = meant && (wanted[c].n == 0 || str_ieq(wanted[c], s->values[c]));
        if (meant)
            s->asked = true;
    }
}

enum rc fetch_home_init(struct pool *pool, fetch_ask_fn *ask, fetch_queued_fn *queued,
                        struct err *e)
{
    enum rc rc = folder_make("msgsync", 0700, e);
    if (rc == RC_OK)
        memory_settle();
    home.pool = pool;
    home.ask = ask;
    home.queued = queued;
    home.links.stale = true;
    home.links.by_key.fold = true;
    return rc;
}

bool fetch_recover_tag(struct str tag, enum rc *out_rc, struct err *e)
{
    return memory_take_tag(tag, out_rc, e);
}

void fetch_give_back(void)
{
    memory_export();
}

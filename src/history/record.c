/* record.c - what is written down: changes as they are made, and those that others made. */
#include "conf/tables.h"
#include "history/history_int.h"
#include "sys/file.h"

#define PART_MAX ((size_t)16 << 20)  /* a larger difference is only mentioned */
#define SURE_MAX ((size_t)256 << 10) /* texts up to this are compared at each change */
#define EDITS_MAX 200                /* until the text is kept anew */
#define OCTETS_MIN ((uint64_t)64 << 10)
#define SETTLED (1 * USEC_S) /* an editor may still be writing */

static const struct history_author *author;
static uint64_t current; /* the change under way; 0: nothing was changed yet */

void history_begin(const struct history_author *a)
{
    author = a;
    current = 0;
}

uint64_t history_end(void)
{
    uint64_t id = current;
    author = NULL;
    current = 0;
    return id;
}

/* --- what is known of a file -------------------------------------------------------------- */

struct state {
    bool known;
    int64_t ino, size, mtime_ns;
    int64_t edits, octets; /* since its text was kept */
};

static void state_get(struct str path, struct state *out)
{
    sqlite3_stmt *s AUTO_END =
        db_query("SELECT ino, size, mtime, edits, octets FROM file WHERE path = ?1", "s", path);
    *out = (struct state){ .known = db_row(s) };
    if (!out->known)
        return;
    out->ino = sqlite3_column_int64(s, 0);
    out->size = sqlite3_column_int64(s, 1);
    out->mtime_ns = sqlite3_column_int64(s, 2);
    out->edits = sqlite3_column_int64(s, 3);
    out->octets = sqlite3_column_int64(s, 4);
}

static void state_put(struct str path, const struct file_id *id, const struct state *st)
{
    (void)db_run("INSERT OR REPLACE INTO file(path, ino, size, mtime, edits, octets)"
                 " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                 "siiiii", path, (int64_t)id->ino, (int64_t)id->size, id->mtime_ns, st->edits,
                 st->octets);
}

static bool is_same(const struct state *st, const struct file_id *id)
{
    return st->ino == (int64_t)id->ino && st->size == (int64_t)id->size &&
           st->mtime_ns == id->mtime_ns;
}

static void keep_text(struct str path, struct str text)
{
    (void)db_run("INSERT OR REPLACE INTO base(path, part, text)"
                 " VALUES(?1, (SELECT coalesce(max(id), 0) FROM part WHERE path = ?1), ?2)",
                 "sb", path, text);
}

/* A file's text, which isn't held in memory. */
static void keep_file(const char *path, uint64_t size)
{
    int fd AUTO_CLOSE = size > 0 ? io_open(path, O_RDONLY, 0) : -1;
    bool good = db_run("INSERT OR REPLACE INTO base(path, part, text)"
                       " VALUES(?1, (SELECT coalesce(max(id), 0) FROM part WHERE path = ?1),"
                       " zeroblob(?2))",
                       "si", str_from_c(path), fd < 0 ? (int64_t)0 : (int64_t)size);
    if (good && fd >= 0 && !db_fill("base", "text", db_last_id(), fd, size))
        (void)db_run("DELETE FROM base WHERE path = ?1", "s", str_from_c(path));
}

bool recorded_text(struct str path, struct buf *out)
{
    sqlite3_stmt *b AUTO_END =
        db_query("SELECT part, text FROM base WHERE path = ?1", "s", path);
    if (!db_row(b))
        return false;
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    sqlite3_stmt *s AUTO_END =
        db_query("SELECT known, hunks FROM part WHERE path = ?1 AND id > ?2 ORDER BY id", "si",
                 path, sqlite3_column_int64(b, 0));
    bool good = s != NULL && buf_add_str(out, db_text(b, 1, &a)) == RC_OK;
    while (good && db_row(s)) {
        struct arena one AUTO_RELEASE_ARENA = { .head = NULL };
        good = sqlite3_column_int64(s, 0) != 0 && hunks_apply(db_text(s, 1, &one), out);
    }
    return good;
}

static struct str read_whole(const char *path, struct arena *a)
{
    struct str text = STR("");
    struct err e = { .sys = 0 };
    if (file_read(path, HISTORY_TEXT_MAX, a, &text, NULL, &e) != RC_OK && e.sys != ENOENT)
        log_error(EV("history of tables"), KE(&e));
    return text;
}

/* --- one change --------------------------------------------------------------------------- */

static uint64_t add_change(const struct history_author *a, int64_t time)
{
    if (!db_run("INSERT INTO change(time, author, address, via, act, what, undoes, undone)"
                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
                "isssssi", time, a->by, a->from, a->via, a->act, a->what, (int64_t)a->undoes))
        return 0;
    uint64_t id = (uint64_t)db_last_id();
    if (a->undoes > 0)
        (void)db_run("UPDATE change SET undone = ?1 WHERE id = ?2", "ii", (int64_t)id,
                     (int64_t)a->undoes);
    if (a->trial_s > 0)
        (void)db_run("INSERT INTO trial(change, until) VALUES(?1, ?2)", "ii", (int64_t)id,
                     time + (int64_t)a->trial_s);
    return id;
}

static void add_part(uint64_t change, struct str path, bool known, struct str hunks,
                     struct state *st)
{
    (void)db_run("INSERT INTO part(change, path, known, hunks) VALUES(?1, ?2, ?3, ?4)", "isib",
                 (int64_t)change, path, (int64_t)known, known ? hunks : STR(""));
    st->octets += (int64_t)hunks.n;
    if (!known)
        st->edits = EDITS_MAX;
}

/* What others did since the last version recorded, until the text was this. */
static void record_by_hand(struct str path, struct str text, int64_t time, struct state *st)
{
    static const struct history_author nobody = { { "", 0 }, { "", 0 }, { "hand", 4 },
                                                  { "", 0 }, { "", 0 }, 0,
                                                  0 };
    struct buf old AUTO_RELEASE_BUF, hunks AUTO_RELEASE_BUF;
    buf_init(&old, HISTORY_TEXT_MAX);
    buf_init(&hunks, PART_MAX);
    bool known = recorded_text(path, &old);
    if (known && str_eq(buf_str(&old), text))
        return;
    known = known && diff_texts(buf_str(&old), text, &hunks) == RC_OK;
    uint64_t change = add_change(&nobody, time);
    if (change > 0)
        add_part(change, path, known, buf_str(&hunks), st);
    st->edits++;
}

/* The text before a line came to the end of the file. */
static struct str text_before(const char *path, const struct file_id *now, struct str added,
                              struct arena *a)
{
    return str_head(read_whole(path, a), (size_t)now->size - MIN(added.n, (size_t)now->size));
}

static void find_by_hand(const char *path, const struct file_id *now, struct str before,
                         struct str after, struct state *st)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    bool at_end = before.n == 0;
    size_t size = at_end ? (size_t)now->size - MIN(after.n, (size_t)now->size) : before.n;
    if ((int64_t)size == st->size && (at_end || size > SURE_MAX))
        return;
    if (at_end)
        before = text_before(path, now, after, &a);
    record_by_hand(str_from_c(path), before, clock_wall() / USEC_S, st);
}

static void record(const char *path, const struct file_id *now, struct str before,
                   struct str after, struct state *st)
{
    struct buf hunks AUTO_RELEASE_BUF;
    struct hunk end = { .at = now->size - MIN(after.n, (size_t)now->size), .added = after };
    buf_init(&hunks, PART_MAX);
    enum rc rc = before.n == 0 ? hunk_print(&end, &hunks) : diff_texts(before, after, &hunks);
    if (rc == RC_OK && hunks.n == 0)
        return;
    static const struct history_author server = { { "", 0 }, { "", 0 }, { "server", 6 },
                                                  { "", 0 }, { "", 0 }, 0,
                                                  0 };
    if (current == 0 || author == NULL)
        current = add_change(author == NULL ? &server : author, clock_wall() / USEC_S);
    st->edits += before.n > 0 ? 1 : 0;
    if (current > 0)
        add_part(current, str_from_c(path), rc == RC_OK, buf_str(&hunks), st);
}

/* The text is kept anew now and then, so that the last version is soon told. */
static void settle(const char *path, const struct file_id *now, struct state *st)
{
    if (!st->known || st->edits >= EDITS_MAX ||
        (uint64_t)st->octets > OCTETS_MIN + now->size / 2) {
        keep_file(path, now->size);
        st->edits = st->octets = 0;
    }
    state_put(str_from_c(path), now, st);
}

void history_changed(const char *path, struct str before, struct str after)
{
    struct file_id now;
    struct state st;
    struct err e;
    if (!db_is_open() || tables_row(str_from_c(path)) == NULL ||
        file_id_get(path, &now, &e) != RC_OK || !db_run("BEGIN", ""))
        return;
    state_get(str_from_c(path), &st);
    if (st.known)
        find_by_hand(path, &now, before, after, &st);
    record(path, &now, before, after, &st);
    settle(path, &now, &st);
    (void)db_run("COMMIT", "");
}

/* --- looking ------------------------------------------------------------------------------ */

static void look(const char *path, bool wait)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct file_id now;
    struct state st;
    struct err e;
    if (!db_is_open() || file_id_get(path, &now, &e) != RC_OK)
        return;
    state_get(str_from_c(path), &st);
    bool fresh = clock_wall() - now.mtime_ns / 1000 < SETTLED && clock_wall() > 0;
    if ((st.known && is_same(&st, &now)) || (!st.known && now.ino == 0) || (wait && fresh) ||
        !db_run("BEGIN", ""))
        return;
    int64_t time = now.ino == 0 ? clock_wall() / USEC_S : now.mtime_ns / 1000000000;
    if (st.known)
        record_by_hand(str_from_c(path), read_whole(path, &a), time, &st);
    settle(path, &now, &st);
    (void)db_run("COMMIT", "");
}

void history_look_at(const char *path)
{
    if (tables_row(str_from_c(path)) != NULL)
        look(path, false);
}

static void look_waiting(void *ctx, const char *path)
{
    (void)ctx;
    look(path, true);
}

void history_look(void)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    size_t count = 0;
    if (!db_is_open())
        return;
    const struct table_row *row = tables_rows(&count);
    for (; count > 0; count--, row++)
        if (!str_starts(str_from_c(row->path), STR("domains/")))
            tables_each_file(row, look_waiting, NULL);
    struct names {
        struct names *next;
        const char *path;
    } *known = NULL;
    sqlite3_stmt *s AUTO_END =
        db_query("SELECT path FROM file WHERE path < 'domains/' OR path >= 'domains0'", "");
    while (db_row(s)) {
        struct names *one = arena_new(&a, sizeof(*one));
        *one = (struct names){ known, db_text(s, 0, &a).p };
        known = one;
    }
    db_end(&s);
    for (; known != NULL; known = known->next)
        look(known->path, true);
}

/* --- bounds ------------------------------------------------------------------------------- */

/* Changes up to this number have to go. */
static int64_t last_to_go(unsigned days, uint64_t octets)
{
    int64_t id = days == 0 ? 0
                           : db_number("SELECT max(id) FROM change WHERE time < ?1", "i",
                                       clock_wall() / USEC_S - (int64_t)days * 86400);
    uint64_t sum = 0;
    sqlite3_stmt *s AUTO_END =
        db_query("SELECT change, length(hunks) + 200 FROM part ORDER BY id DESC", "");
    while (db_row(s) && sum <= octets) {
        sum += (uint64_t)sqlite3_column_int64(s, 1);
        if (sum > octets)
            id = MAX(id, sqlite3_column_int64(s, 0));
    }
    int64_t trial = db_number("SELECT min(change) FROM trial", "");
    return trial > 0 ? MIN(id, trial - 1) : id;
}

/* Texts that need parts which go are kept as they are now. */
static void free_from(int64_t change)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    sqlite3_stmt *s AUTO_END =
        db_query("SELECT DISTINCT p.path FROM part p JOIN base b ON b.path = p.path"
                 " WHERE p.change <= ?1 AND p.id > b.part",
                 "i", change);
    while (db_row(s)) {
        struct buf text AUTO_RELEASE_BUF;
        struct str path = db_text(s, 0, &a);
        buf_init(&text, HISTORY_TEXT_MAX);
        if (recorded_text(path, &text))
            keep_text(path, buf_str(&text));
        else
            (void)db_run("DELETE FROM file WHERE path = ?1", "s", path);
    }
}

void history_prune(unsigned days, uint64_t octets)
{
    if (!db_is_open() || !db_run("BEGIN", ""))
        return;
    int64_t id = last_to_go(days, octets);
    if (id > 0) {
        free_from(id);
        (void)db_run("DELETE FROM part WHERE change <= ?1", "i", id);
        (void)db_run("DELETE FROM change WHERE id <= ?1", "i", id);
        /* Accounts' tables are followed only while there is something to tell of them. */
        (void)db_run("DELETE FROM file WHERE path >= 'domains/' AND path < 'domains0' AND NOT"
                     " EXISTS(SELECT 1 FROM part WHERE part.path = file.path)",
                     "");
        (void)db_run("DELETE FROM base WHERE NOT EXISTS(SELECT 1 FROM file WHERE"
                     " file.path = base.path)",
                     "");
    }
    (void)db_run("COMMIT", "");
}

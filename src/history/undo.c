/*
 * undo.c - a change taken back: where its lines are now follows from all that was recorded
 * after it. When something touched them since, they must stand in the text as they were, once;
 * else it is a conflict.
 */
#include "history/history_int.h"
#include "sys/file.h"

/* A piece of a file's text, and what is to be there instead. */
struct piece {
    uint64_t at;
    struct str is, was;
    bool lost;          /* something touched it since */
    struct piece *next; /* behind it in the text */
};

struct undoing {
    struct arena *mem;
    struct history_text *texts;
};

/* Where the piece is after another change of its file; false: that changed it. */
static bool move_over(struct piece *p, struct str hunks)
{
    struct hunk h;
    int64_t shift = 0;
    uint64_t end = p->at + p->is.n;
    while (hunks.n > 0) {
        if (!history_hunk_next(&hunks, &h))
            return false;
        uint64_t upto = h.at + h.removed.n;
        bool before = upto <= p->at, behind = h.at >= end;
        if (!before && !behind)
            return false;
        if (before)
            shift += (int64_t)h.added.n - (int64_t)h.removed.n;
    }
    p->at = (uint64_t)((int64_t)p->at + shift);
    return true;
}

static bool follow(struct piece *pieces, struct str path, int64_t part)
{
    sqlite3_stmt *s AUTO_END =
        db_query("SELECT known, hunks FROM part WHERE path = ?1 AND id > ?2 ORDER BY id", "si",
                 path, part);
    while (db_row(s)) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct str hunks = db_text(s, 1, &a);
        bool good = sqlite3_column_int64(s, 0) != 0;
        for (struct piece *p = pieces; p != NULL; p = p->next)
            p->lost = p->lost || !good || !move_over(p, hunks);
    }
    return s != NULL;
}

/* The place of whole lines that are in the text once; SIZE_MAX: there is none. */
static size_t only_place(struct str text, struct str lines)
{
    size_t found = SIZE_MAX;
    for (size_t at = 0; lines.n > 0 && at < text.n;) {
        if (str_starts(str_skip(text, at), lines)) {
            if (found != SIZE_MAX)
                return SIZE_MAX;
            found = at;
        }
        size_t lf = str_find(str_skip(text, at), '\n');
        at = lf == SIZE_MAX ? text.n : at + lf + 1;
    }
    return lines.n > 0 && lines.p[lines.n - 1] == '\n' ? found : SIZE_MAX;
}

/* The pieces that a part's hunks became. */
static struct piece *pieces_of(struct str hunks, struct arena *a)
{
    struct piece *first = NULL, **last = &first;
    struct hunk h;
    int64_t shift = 0;
    while (history_hunk_next(&hunks, &h)) {
        struct piece *p = arena_new(a, sizeof(*p));
        *p = (struct piece){ .at = (uint64_t)((int64_t)h.at + shift),
                             .is = h.added,
                             .was = h.removed };
        shift += (int64_t)h.added.n - (int64_t)h.removed.n;
        *last = p;
        last = &p->next;
    }
    return first;
}

static bool put_back(struct history_text *t, const struct piece *p, struct arena *a)
{
    struct buf out AUTO_RELEASE_BUF;
    size_t done = 0;
    buf_init(&out, HISTORY_TEXT_MAX);
    for (; p != NULL; p = p->next) {
        size_t at = p->lost ? only_place(t->text, p->is) : (size_t)p->at;
        bool whole = at == 0 || str_starts(p->is, STR("\n")) ||
                     (at <= t->text.n && t->text.p[at - 1] == '\n');
        if (!whole || at < done || at > t->text.n ||
            !str_starts(str_skip(t->text, at), p->is) ||
            buf_add_str(&out, str_head(str_skip(t->text, done), at - done)) != RC_OK ||
            buf_add_str(&out, p->was) != RC_OK)
            return false;
        done = at + p->is.n;
    }
    if (buf_add_str(&out, str_skip(t->text, done)) != RC_OK)
        return false;
    t->text = arena_str(a, buf_str(&out));
    return true;
}

static struct history_text *text_of(struct undoing *u, const char *path, struct err *e)
{
    struct err why = { .sys = 0 };
    struct history_text *t = u->texts;
    while (t != NULL && strcmp(t->path, path) != 0)
        t = t->next;
    if (t != NULL)
        return t;
    t = arena_new(u->mem, sizeof(*t));
    *t = (struct history_text){ arena_c(u->mem, str_from_c(path)), STR(""), STR(""), u->texts };
    if (file_read(path, HISTORY_TEXT_MAX, u->mem, &t->text, NULL, &why) != RC_OK &&
        why.sys != ENOENT) {
        *e = why;
        return NULL;
    }
    t->now = t->text;
    u->texts = t;
    return t;
}

enum rc history_without(uint64_t id, struct arena *a, struct history_text **out, struct err *e)
{
    struct undoing u = { .mem = a };
    enum rc rc = RC_OK;
    if (!db_is_open())
        return err_temp(e, "4.3.0", "the history can't be read");
    sqlite3_stmt *all AUTO_END =
        db_query("SELECT DISTINCT path FROM part WHERE change = ?1", "i", (int64_t)id);
    for (struct arena one = { .head = NULL }; db_row(all); arena_release(&one))
        history_look_at(db_text(all, 0, &one).p);
    sqlite3_stmt *s AUTO_END =
        db_query("SELECT id, path, known, hunks FROM part WHERE change = ?1 ORDER BY id DESC",
                 "i", (int64_t)id);
    while (rc == RC_OK && db_row(s)) {
        struct str path = db_text(s, 1, a);
        struct piece *pieces = pieces_of(db_text(s, 3, a), a);
        struct history_text *t = text_of(&u, path.p, e);
        if (t == NULL)
            rc = RC_TEMP;
        else if (sqlite3_column_int64(s, 2) == 0)
            rc = err_perm(e, "5.5.4", "what was changed in %s isn't known", path.p);
        else if (!follow(pieces, path, sqlite3_column_int64(s, 0)) || !put_back(t, pieces, a))
            rc = err_perm(e, "5.5.4", "these lines of %s were changed since", path.p);
    }
    *out = u.texts;
    return rc;
}

bool history_keep(uint64_t id)
{
    bool has = db_is_open() &&
               db_number("SELECT count(*) FROM trial WHERE change = ?1", "i", (int64_t)id) > 0;
    return has && db_run("DELETE FROM trial WHERE change = ?1", "i", (int64_t)id);
}

uint64_t history_due(int64_t now)
{
    return !db_is_open() ? 0
                         : (uint64_t)db_number("SELECT change FROM trial WHERE until <= ?1"
                                               " ORDER BY change DESC LIMIT 1",
                                               "i", now);
}

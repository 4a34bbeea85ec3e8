/* work.c - see work.h. It has one thread; how far it is, is told on the way. */
#include "backup/work.h"
#include "backup/backup_int.h"
#include "conf/options.h"
#include <dirent.h>
#include <unistd.h>

#define TELL_EVERY (400 * USEC_MS)
#define NOTES_MAX 100u
#define ORDER_MAX ((size_t)64 << 10)

struct work {
    struct str act, snapshot, what, place, by; /* the order */
    struct arena mem;
    const char *dir; /* BackupFolder */
    usec_t began, told;
    uint64_t files, octets;    /* so far */
    struct buf notes, results; /* lines */
    unsigned note_count, left_out;
};

/* --- what is told ------------------------------------------------------------------------ */

/* A value that a line can hold. */
static struct str plain(struct str s, struct arena *a)
{
    char *p = arena_new_array(a, char, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F ? '?' : s.p[i];
    return str_from(p, s.n);
}

static void add_line(struct buf *out, const char *name, struct str a, struct str b)
{
    struct arena mem AUTO_RELEASE_ARENA = { .head = NULL };
    const struct str row[] = { str_from_c(name), plain(a, &mem), plain(b, &mem) };
    if (tab_print_row(out, row, ARRAY_LEN(row), "\n", NULL) != RC_OK)
        log_warn(EV("backup line not told"), KV("name", name));
}

static void add_number(struct buf *out, const char *name, uint64_t n)
{
    struct arena mem AUTO_RELEASE_ARENA = { .head = NULL };
    add_line(out, name, arena_printf(&mem, "%" PRIu64, n), STR(""));
}

static void tell(struct work *w, const char *state, const struct err *why)
{
    struct buf text AUTO_RELEASE_BUF;
    struct err e;
    buf_init(&text, BUF_MAX_DEFAULT);
    w->told = clock_mono();
    if (str_eq(w->act, STR("look")))
        return;
    add_line(&text, "state", str_from_c(state), STR(""));
    add_line(&text, "act", w->act, STR(""));
    add_line(&text, "snapshot", w->snapshot, STR(""));
    add_line(&text, "what", w->what, STR(""));
    add_line(&text, "place", w->place, STR(""));
    add_line(&text, "by", w->by, STR(""));
    add_number(&text, "began", (uint64_t)(w->began / USEC_S));
    add_number(&text, "seen", (uint64_t)(clock_wall() / USEC_S));
    add_number(&text, "files", w->files);
    add_number(&text, "octets", w->octets);
    add_number(&text, "left_out", w->left_out);
    if (why != NULL)
        add_line(&text, "why", str_from_c(why->text), STR(""));
    buf_must(buf_add_str(&text, buf_str(&w->results)));
    buf_must(buf_add_str(&text, buf_str(&w->notes)));
    if (file_replace(BACKUP_STATE_PATH, buf_str(&text), 0640, &e) != RC_OK)
        log_warn(EV("state of the backup not told"), KE(&e));
}

static void say(void *ctx, struct str file, struct str what)
{
    struct work *w = ctx;
    if (w->note_count++ >= NOTES_MAX) {
        w->left_out++;
        return;
    }
    log_warn(EV("backup"), KS("file", file), KS("what", what));
    add_line(&w->notes, "note", file, what);
}

static void tell_list(struct work *w)
{
    struct buf text AUTO_RELEASE_BUF;
    struct str *names = NULL, name;
    struct folder *f = NULL;
    unsigned char type = 0;
    size_t count = 0;
    struct err e;
    buf_init(&text, BUF_MAX_DEFAULT);
    if (backup_list(w->dir, &w->mem, &names, &count, &e) != RC_OK && e.sys != ENOENT)
        add_line(&text, "trouble", str_from_c(e.text), STR(""));
    for (size_t i = 0; i < count; i++) {
        uint64_t files = 0;
        const char *path = arena_printf(&w->mem, "%s/%.*s", w->dir, STR_ARG(names[i])).p;
        if (manifest_count(path, &files, &e) == RC_OK)
            add_line(&text, "snapshot", names[i], arena_printf(&w->mem, "%" PRIu64, files));
        else
            add_line(&text, "trouble", str_from_c(e.text), STR(""));
    }
    const char *aside = arena_printf(&w->mem, "%s/" BACKUP_ASIDE, w->dir).p;
    if (folder_open(aside, &f, NULL) == RC_OK)
        while (folder_next(f, &name, &type))
            if (type == DT_DIR)
                add_line(&text, "aside", arena_printf(&w->mem, "%s/%.*s", aside, STR_ARG(name)),
                         STR(""));
    folder_close(&f);
    if (file_replace(BACKUP_LIST_PATH, buf_str(&text), 0640, &e) != RC_OK)
        log_warn(EV("list of backups not told"), KE(&e));
}

/* Ends the process where it is. */
static void stop(struct work *w)
{
    if (str_eq(w->act, STR("make")))
        (void)!folder_remove(arena_printf(&w->mem, "%s/.partial", w->dir).p, NULL);
    log_info(EV("backup stopped"), KS("what", w->act));
    tell_list(w);
    tell(w, "stopped", NULL);
    _exit(0);
}

static void progress(void *ctx, uint64_t files, uint64_t octets)
{
    struct work *w = ctx;
    w->files = files;
    w->octets = octets;
    if (file_exists(BACKUP_STOP_PATH))
        stop(w);
    if (clock_mono() - w->told > TELL_EVERY)
        tell(w, "running", NULL);
}

struct str backup_told(const struct tab *state, const char *name)
{
    for (size_t i = 0; i < state->row_count; i++)
        if (str_eq(tab_value(&state->rows[i], 0), str_from_c(name)))
            return tab_value(&state->rows[i], 1);
    return STR("");
}

/* --- what is done ------------------------------------------------------------------------ */

static enum rc make(struct work *w, const struct backup_sink *sink, struct err *e)
{
    struct backup_request r = { .dir = w->dir, .keep = (unsigned)conf()->backup_keep };
    struct backup_report got = { .files = 0 };
    enum rc rc = backup_make(&r, sink, &w->mem, &got, e);
    if (rc != RC_OK)
        return rc;
    w->snapshot = got.snapshot;
    w->files = got.files;
    w->octets = got.octets;
    add_number(&w->results, "read_files", got.read_files);
    add_number(&w->results, "read_octets", got.read_octets);
    add_number(&w->results, "skipped", got.skipped);
    add_number(&w->results, "pruned", got.pruned);
    return RC_OK;
}

static enum rc verify(struct work *w, const char *snapshot, const struct backup_sink *sink,
                      uint64_t *out_bad, struct err *e)
{
    struct backup_proof got = { .files = 0 };
    enum rc rc = backup_prove(snapshot, sink, &got, e);
    w->files = got.files;
    w->octets = got.octets;
    *out_bad = got.bad;
    return rc;
}

static void add(struct backup_restored *sum, const struct backup_restored *more)
{
    sum->files += more->files;
    sum->octets += more->octets;
    sum->messages += more->messages;
    sum->present += more->present;
    sum->kept += more->kept;
    sum->rows += more->rows;
    sum->bad += more->bad;
}

/* Each domain of the snapshot; what is wrong with one doesn't hinder the others. */
static enum rc all_back(struct work *w, const char *snapshot, const struct backup_sink *sink,
                        struct backup_restored *sum, struct err *e)
{
    struct tab tab;
    const char *path = arena_printf(&w->mem, "%s/MailRoot/domains.tab", snapshot).p;
    enum rc rc = tab_read(path, &w->mem, &tab, e);
    for (size_t i = 0; rc == RC_OK && i < tab.row_count; i++) {
        struct backup_choice choice = { tab_value(&tab.rows[i], 0), STR(""), STR(""), false };
        struct backup_restored one = { .files = 0 };
        rc = backup_restore_back(snapshot, &choice, sink, &one, e);
        add(sum, &one);
        if (rc != RC_PERM)
            continue;
        say(w, choice.domain, str_from_c(e->text));
        rc = RC_OK;
    }
    return rc;
}

/* A folder of its own for each: "2026-11-27T022300Z ann@example.org". */
static enum rc aside(struct work *w, const char *snapshot, const struct backup_choice *c,
                     const struct backup_sink *sink, struct backup_restored *sum, struct err *e)
{
    char *what = arena_c(&w->mem, plain(w->what, &w->mem));
    for (char *p = what; *p != '\0'; p++)
        *p = *p == '/' ? ' ' : *p; /* a folder's name, not a path */
    struct str to = arena_printf(&w->mem, "%s/" BACKUP_ASIDE "/%.*s %s", w->dir,
                                 STR_ARG(w->snapshot), what);
    struct str fresh = to;
    for (unsigned i = 2; folder_exists(fresh.p); i++)
        fresh = arena_printf(&w->mem, "%.*s-%u", STR_ARG(to), i);
    enum rc rc = folder_make(fresh.p, 0700, e);
    if (rc == RC_OK)
        rc = backup_check_outside(fresh.p, e);
    if (rc == RC_OK)
        rc = backup_restore_aside(snapshot, c, fresh.p, sink, sum, e);
    add_line(&w->results, "folder", fresh, STR(""));
    return rc;
}

static enum rc restore(struct work *w, const char *snapshot, const struct backup_sink *sink,
                       uint64_t *out_bad, struct err *e)
{
    struct backup_choice choice;
    struct backup_restored got = { .files = 0 };
    if (!backup_choice_parse(w->what, &choice))
        return err_perm(e, "5.3.0", "not understood what to restore");
    enum rc rc = str_eq(w->place, STR("aside")) ? aside(w, snapshot, &choice, sink, &got, e)
                 : choice.domain.n == 0         ? all_back(w, snapshot, sink, &got, e)
                                        : backup_restore_back(snapshot, &choice, sink, &got, e);
    w->files = got.files;
    w->octets = got.octets;
    add_number(&w->results, "messages", got.messages);
    add_number(&w->results, "present", got.present);
    add_number(&w->results, "kept", got.kept);
    add_number(&w->results, "rows", got.rows);
    *out_bad = got.bad;
    return rc;
}

/* The snapshot named must be one of the folder's: no path comes from elsewhere. */
static enum rc find_snapshot(struct work *w, const char **out, struct err *e)
{
    struct str *names = NULL;
    size_t count = 0;
    enum rc rc = backup_list(w->dir, &w->mem, &names, &count, e);
    for (size_t i = 0; rc == RC_OK && i < count; i++)
        if (str_eq(names[i], w->snapshot)) {
            *out = arena_printf(&w->mem, "%s/%.*s", w->dir, STR_ARG(names[i])).p;
            return RC_OK;
        }
    return rc == RC_OK ? err_perm(e, "5.3.0", "there is no such backup") : rc;
}

static enum rc carry_out(struct work *w, uint64_t *out_bad, struct err *e)
{
    const struct backup_sink sink = { say, progress, w };
    const char *snapshot = NULL;
    if (w->dir[0] != '/')
        return err_perm(e, "5.3.0", "BackupFolder isn't set, or isn't a path from the root");
    if (str_eq(w->act, STR("look")))
        return RC_OK;
    if (str_eq(w->act, STR("make")))
        return make(w, &sink, e);
    enum rc rc = find_snapshot(w, &snapshot, e);
    if (rc != RC_OK)
        return rc;
    return str_eq(w->act, STR("verify")) ? verify(w, snapshot, &sink, out_bad, e)
                                         : restore(w, snapshot, &sink, out_bad, e);
}

/* --- the process ------------------------------------------------------------------------- */

static enum rc read_order(struct work *w, struct err *e)
{
    struct str values[BACKUP_ORDER_VALUES], text = STR(""), line = STR("");
    size_t count = 0;
    enum rc rc = file_read(BACKUP_ORDER_PATH, ORDER_MAX, &w->mem, &text, NULL, e);
    if (rc == RC_OK && str_cut(&text, '\n', &line))
        rc = tab_parse_line(line, &w->mem, values, BACKUP_ORDER_VALUES, &count, e);
    if (rc == RC_OK && count != BACKUP_ORDER_VALUES)
        rc = err_perm(e, "5.3.0", "the order isn't understood");
    if (rc != RC_OK)
        return rc;
    w->act = values[0];
    w->snapshot = values[1];
    w->what = values[2];
    w->place = values[3];
    w->by = values[4];
    return RC_OK;
}

int backup_work_main(void)
{
    struct work w = { .began = clock_wall() };
    struct err e = { .text = "" };
    uint64_t bad = 0;
    buf_init(&w.notes, BUF_MAX_DEFAULT);
    buf_init(&w.results, BUF_MAX_DEFAULT);
    enum rc rc = folder_make("hikyaku/backup", 0750, &e);
    if (rc == RC_OK)
        rc = options_load(&e);
    if (rc == RC_OK)
        rc = read_order(&w, &e);
    if (rc == RC_OK) {
        w.dir = arena_c(&w.mem, conf()->backup_folder);
        tell(&w, "running", NULL);
        rc = carry_out(&w, &bad, &e);
        tell_list(&w);
        tell(&w,
             rc != RC_OK ? "failed"
             : bad > 0   ? "damaged"
                         : "done",
             rc != RC_OK ? &e : NULL);
    }
    if (rc != RC_OK)
        log_error(EV("backup failed"), KS("what", w.act), KE(&e));
    else if (!str_eq(w.act, STR("look")))
        log_info(EV("backup ended"), KS("what", w.act), KS("snapshot", w.snapshot),
                 KS("of", w.what), KU("files", w.files), KU("damaged", bad), KS("by", w.by));
    buf_release(&w.notes);
    buf_release(&w.results);
    arena_release(&w.mem);
    return rc == RC_OK ? 0 : 1;
}

bool backup_time_parse(struct str text, unsigned *out_minutes)
{
    uint64_t hour = 0, minute = 0;
    size_t colon = str_find(text, ':');
    if (colon == SIZE_MAX || colon > 2 || text.n - colon != 3 ||
        !str_to_u64(str_head(text, colon), &hour) ||
        !str_to_u64(str_skip(text, colon + 1), &minute) || hour > 23 || minute > 59)
        return false;
    *out_minutes = (unsigned)(hour * 60 + minute);
    return true;
}

/*
 * inventory.c - what a MailRoot of XMail holds: accounts, mailboxes, state, encodings, what
 * this version doesn't obey. Each account costs the reading of its folders' entries; no message
 * is opened or looked at.
 */
#include "conf/tab.h"
#include "conf/tables.h"
#include "sys/file.h"
#include "takeover/xmail_int.h"
#include <dirent.h>

struct inventory {
    const struct takeover_sink *sink;
    struct takeover_inventory *report;
    size_t crlf, foreign_text, tables;
    uid_t owner;
};

/* --- mailboxes --------------------------------------------------------------------------- */

/* Files in a folder; hidden ones are no messages. */
static size_t count_messages(const char *path)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    size_t n = 0;
    if (folder_open(path, &f, NULL) != RC_OK)
        return 0;
    while (folder_next(f, &name, &type))
        n += (type == DT_REG || type == DT_UNKNOWN) && name.p[0] != '.';
    folder_close(&f);
    return n;
}

static size_t count_maildir(const char *path, bool with_folders)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    size_t n = 0;
    if (folder_open(path, &f, NULL) != RC_OK)
        return 0;
    while (folder_next(f, &name, &type)) {
        const char *child = arena_printf(&a, "%s/%.*s", path, STR_ARG(name)).p;
        if (str_eq(name, STR("new")) || str_eq(name, STR("cur")))
            n += count_messages(child);
        else if (with_folders && type == DT_DIR && name.p[0] == '.')
            n += count_maildir(child, false);
    }
    folder_close(&f);
    return n;
}

/* What lies in an account's folder, by one reading of it. */
static void look_at_folder(struct inventory *v, const char *path, bool list)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct takeover_inventory *r = v->report;
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    bool maildir = false, mailbox = false;
    if (folder_open(path, &f, NULL) != RC_OK) {
        r->without += !list;
        return;
    }
    while (folder_next(f, &name, &type)) {
        maildir = maildir || str_eq(name, STR("Maildir"));
        mailbox = mailbox || str_eq(name, STR("mailbox"));
        r->last_logins += str_eq(name, STR(".ipconn"));
        r->disabled_links += str_ends(name, STR(".disabled"));
        r->mailprocs += str_ieq(name, STR("mailproc.tab"));
    }
    folder_close(&f);
    r->maildirs += maildir;
    r->mailboxes += mailbox && !maildir;
    r->without += !maildir && !mailbox && !list;
    if (maildir)
        r->messages += count_maildir(arena_printf(&a, "%s/Maildir", path).p, true);
    if (mailbox)
        r->messages += count_messages(arena_printf(&a, "%s/mailbox", path).p);
    if (maildir && mailbox)
        takeover_say(v->sink, TAKEOVER_HAND, str_from_c(path),
                     "has both Maildir and mailbox: Maildir counts; move the messages of "
                     "mailbox/ into Maildir/new");
}

static void look_at_account(struct inventory *v, const struct tab_row *row)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str dir = tab_value(row, 4), domain = tab_value(row, 0);
    bool list = str_ieq(tab_value(row, 5), STR("M"));
    struct stat st;
    *(list ? &v->report->lists : &v->report->accounts) += 1;
    if (row->count < 6)
        return; /* hikyaku check says so */
    struct str where = arena_printf(&a, "mailusers.tab, line %u", row->line);
    if (str_has_any(dir, "\\/") || dir.n == 0 || dir.p[0] == '.' || str_has_any(domain, "/")) {
        takeover_say(v->sink, TAKEOVER_HAND, where,
                     "the folder \"%.*s\" is no name of a folder here", STR_ARG(dir));
        return;
    }
    struct str path = arena_printf(&a, "domains/%.*s/%.*s", STR_ARG(domain), STR_ARG(dir));
    if (io_lstat(path.p, &st) == 0 && st.st_uid != v->owner)
        v->report->foreign++;
    look_at_folder(v, path.p, list);
}

/* --- tables ------------------------------------------------------------------------------ */

static void look_at_text(struct inventory *v, const char *path)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct str text;
    if (!file_exists(path) || file_read(path, TAB_FILE_MAX, &a, &text, NULL, NULL) != RC_OK)
        return;
    v->tables++;
    v->crlf += str_find_str(text, STR("\r\n")) != SIZE_MAX;
    if (str_is_utf8(text))
        return;
    v->foreign_text++;
    takeover_say(v->sink, TAKEOVER_DIFFERS, str_from_c(path),
                 "holds text in another encoding than UTF-8 (Shift_JIS or EUC-JP): it stays as "
                 "it is, and new text is written in UTF-8");
}

static void look_at_tables(struct inventory *v)
{
    size_t count = 0;
    const struct table_row *rows = tables_rows(&count);
    for (size_t i = 0; i < count; i++)
        if (strchr(rows[i].path, '*') == NULL)
            look_at_text(v, rows[i].path);
    if (v->crlf > 0)
        takeover_say(v->sink, TAKEOVER_FINE, STR(""),
                     "%zu of %zu tables have CRLF line ends: they are read, and kept", v->crlf,
                     v->tables);
}

static enum rc look_at_users(struct inventory *v, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    enum rc rc = tab_read("mailusers.tab", &a, &tab, e);
    for (size_t i = 0; i < tab.row_count && rc == RC_OK; i++)
        look_at_account(v, &tab.rows[i]);
    static const char *const counted[] = { "domains.tab", "aliases.tab" };
    size_t *to[] = { &v->report->domains, &v->report->aliases };
    for (size_t i = 0; i < ARRAY_LEN(counted) && rc == RC_OK; i++) {
        struct arena mem AUTO_RELEASE_ARENA = { 0 };
        rc = tab_read(counted[i], &mem, &tab, e);
        *to[i] = rc == RC_OK ? tab.row_count : 0;
    }
    return rc;
}

/* --- all of it --------------------------------------------------------------------------- */

/* Files below tabindex/ and dnscache/. */
static size_t each_index(const char *path, bool removes, unsigned depth, struct err *e,
                         enum rc *rc)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    struct stat st;
    unsigned char type = 0;
    size_t n = 0;
    if (depth > 4 || io_lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) ||
        folder_open(path, &f, NULL) != RC_OK)
        return 0;
    while (folder_next(f, &name, &type) && *rc == RC_OK) {
        const char *child = arena_printf(&a, "%s/%.*s", path, STR_ARG(name)).p;
        if (type == DT_DIR) {
            n += each_index(child, removes, depth + 1, e, rc);
            continue;
        }
        n++;
        if (removes && io_unlink(child) < 0 && errno != ENOENT)
            *rc = err_sys(e, "remove %s", child);
    }
    folder_close(&f);
    return n;
}

enum rc takeover_clear_indexes(size_t *out_removed, struct err *e)
{
    enum rc rc = RC_OK;
    *out_removed = each_index("tabindex", true, 0, e, &rc);
    *out_removed += each_index("dnscache", true, 0, e, &rc);
    return rc;
}

enum rc takeover_inventory(const struct takeover_sink *sink, struct takeover_inventory *out,
                           struct err *e)
{
    struct inventory v = { .sink = sink, .report = out };
    struct stat st;
    enum rc rc = RC_OK;
    *out = (struct takeover_inventory){ .domains = 0 };
    if (io_stat(".", &st) < 0)
        return err_sys(e, "look at the MailRoot");
    v.owner = st.st_uid;
    enum rc users = look_at_users(&v, e);
    if (users != RC_OK)
        return users;
    look_at_tables(&v);
    out->locks = count_messages("pop3locks");
    out->index_files = each_index("tabindex", false, 0, e, &rc);
    out->index_files += each_index("dnscache", false, 0, e, &rc);
    if (!file_exists("server.cert") || !file_exists("server.key"))
        takeover_say(
            sink, TAKEOVER_HAND, STR("server.cert"),
            "there is no certificate with its key: nothing is encrypted, and SMTPS and "
            "POP3S stay closed");
    takeover_programs(sink, out);
    return RC_OK;
}

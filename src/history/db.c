/*
 * db.c - the database: SQLite with a write-ahead log, which is not synced at each commit, so
 * that recording costs next to nothing; what is lost with the power is found by looking.
 */
#include "history/history_int.h"
#include "sys/file.h"
#include <limits.h>
#include <stdarg.h>

#define FOLDER "hikyaku/history"
#define BUSY_MS 5000
#define PLACE FOLDER "/changes.db"

static sqlite3 *db;

#define X(name) ", " #name " INTEGER"
static const char schema[] =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA journal_size_limit = 4194304;"
    "CREATE TABLE IF NOT EXISTS change(id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER,"
    " author TEXT, address TEXT, via TEXT, act TEXT, what TEXT, undoes INTEGER,"
    " undone INTEGER);"
    "CREATE TABLE IF NOT EXISTS part(id INTEGER PRIMARY KEY AUTOINCREMENT, change INTEGER,"
    " path TEXT, known INTEGER, hunks BLOB);"
    "CREATE INDEX IF NOT EXISTS part_path ON part(path, id);"
    "CREATE INDEX IF NOT EXISTS part_change ON part(change);"
    "CREATE INDEX IF NOT EXISTS change_time ON change(time);"
    "CREATE TABLE IF NOT EXISTS file(path TEXT PRIMARY KEY, ino INTEGER, size INTEGER,"
    " mtime INTEGER, edits INTEGER, octets INTEGER);"
    "CREATE TABLE IF NOT EXISTS base(path TEXT PRIMARY KEY, part INTEGER, text BLOB);"
    "CREATE TABLE IF NOT EXISTS trial(change INTEGER PRIMARY KEY, until INTEGER);"
    "CREATE TABLE IF NOT EXISTS counts(unit TEXT, time INTEGER, name TEXT, n INTEGER,"
    " PRIMARY KEY(unit, time, name)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS counted(name TEXT PRIMARY KEY, start INTEGER, n INTEGER);"
    "CREATE TABLE IF NOT EXISTS figures(unit TEXT, time INTEGER, domain TEXT" FIGURES_EACH(
        X) ", PRIMARY KEY(unit, time, domain)) WITHOUT ROWID;";
#undef X

static bool try_open(bool *out_damaged, struct err *e)
{
    /* Tables hold passwords. */
    int fd AUTO_CLOSE = io_open(PLACE, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)err_sys(e, "open %s", PLACE);
        return false;
    }
    int rc = sqlite3_open_v2(PLACE, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK) /* the process before this one may be ending */
        rc = sqlite3_busy_timeout(db, BUSY_MS);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return true;
    *out_damaged = rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB;
    (void)err_temp(e, "4.3.0", "%s: %s", PLACE, sqlite3_errstr(rc));
    history_close();
    return false;
}

enum rc history_open(struct err *e)
{
    struct err ignored;
    bool damaged = false;
    enum rc rc = folder_make(FOLDER, 0700, e);
    if (rc != RC_OK)
        return rc;
    if (try_open(&damaged, e))
        return RC_OK;
    if (!damaged)
        return RC_TEMP;
    log_error(EV("history of tables is damaged, a new one is begun"), KE(e));
    if (file_remove(PLACE "-wal", &ignored) != RC_OK || io_rename(PLACE, PLACE ".damaged") < 0)
        return err_sys(e, "put %s aside", PLACE);
    return try_open(&damaged, e) ? RC_OK : RC_TEMP;
}

void history_close(void)
{
    (void)sqlite3_close(db);
    db = NULL;
}

bool db_is_open(void)
{
    return db != NULL;
}

static void say(const char *sql)
{
    log_error(EV("history of tables"), KV("trouble", sqlite3_errmsg(db)), KV("statement", sql));
}

static int bind_value(sqlite3_stmt *s, int i, char kind, va_list *values)
{
    if (kind == 'i')
        return sqlite3_bind_int64(s, i, va_arg(*values, int64_t));
    struct str text = va_arg(*values, struct str);
    const char *p = text.p == NULL ? "" : text.p;
    return kind == 's' ? sqlite3_bind_text64(s, i, p, text.n, SQLITE_STATIC, SQLITE_UTF8)
                       : sqlite3_bind_blob64(s, i, p, text.n, SQLITE_STATIC);
}

static sqlite3_stmt *query(const char *sql, const char *kinds, va_list *values)
{
    sqlite3_stmt *s = NULL;
    int rc = db == NULL ? SQLITE_MISUSE : sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    for (int i = 1; rc == SQLITE_OK && *kinds != '\0'; i++, kinds++)
        rc = bind_value(s, i, *kinds, values);
    if (rc == SQLITE_OK)
        return s;
    say(sql);
    db_end(&s);
    return NULL;
}

sqlite3_stmt *db_query(const char *sql, const char *kinds, ...)
{
    va_list values;
    va_start(values, kinds);
    sqlite3_stmt *s = query(sql, kinds, &values);
    va_end(values);
    return s;
}

bool db_row(sqlite3_stmt *s)
{
    int rc = s == NULL ? SQLITE_DONE : sqlite3_step(s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        say(sqlite3_sql(s));
    return rc == SQLITE_ROW;
}

bool db_run(const char *sql, const char *kinds, ...)
{
    va_list values;
    va_start(values, kinds);
    sqlite3_stmt *s AUTO_END = query(sql, kinds, &values);
    va_end(values);
    int rc = s == NULL ? SQLITE_MISUSE : sqlite3_step(s);
    if (s != NULL && rc != SQLITE_DONE)
        say(sql);
    return rc == SQLITE_DONE;
}

int64_t db_number(const char *sql, const char *kinds, ...)
{
    va_list values;
    va_start(values, kinds);
    sqlite3_stmt *s AUTO_END = query(sql, kinds, &values);
    va_end(values);
    return db_row(s) ? sqlite3_column_int64(s, 0) : 0;
}

struct str db_text(sqlite3_stmt *s, int column, struct arena *a)
{
    const char *p = sqlite3_column_blob(s, column);
    size_t n = (size_t)sqlite3_column_bytes(s, column);
    return arena_str(a, p == NULL ? STR("") : str_from(p, n));
}

int64_t db_last_id(void)
{
    return sqlite3_last_insert_rowid(db);
}

bool db_fill(const char *table, const char *column, int64_t row, int fd, uint64_t size)
{
    char piece[32768];
    sqlite3_blob *blob = NULL;
    bool good = size <= INT_MAX &&
                sqlite3_blob_open(db, "main", table, column, row, 1, &blob) == SQLITE_OK;
    for (uint64_t at = 0; good && at < size;) {
        size_t want = (size_t)MIN(sizeof(piece), size - at);
        ssize_t n = io_pread(fd, piece, want, at);
        good = n == (ssize_t)want &&
               sqlite3_blob_write(blob, piece, (int)want, (int)at) == SQLITE_OK;
        at += want;
    }
    (void)sqlite3_blob_close(blob);
    (void)sqlite3_db_release_memory(db);
    return good;
}

/*
 * sql.c - as much of SQL as dumps are made of: CREATE TABLE (for the order of columns), INSERT
 * with and without names, several rows in one, and PostgreSQL's COPY. A statement that isn't
 * understood is passed over up to its semicolon.
 */
#include "import/sql.h"

#define VALUES_MAX 64u

struct scan {
    struct str rest;
    struct arena *a;
    bool backslash; /* escapes in strings: MySQL */
    struct sql_table *tables;
    size_t count;
};

/* --- words ------------------------------------------------------------------------------- */

static void skip_blanks(struct scan *s)
{
    for (;;) {
        while (s->rest.n > 0 && ascii_is_space(s->rest.p[0]))
            s->rest = str_skip(s->rest, 1);
        bool line = str_starts(s->rest, STR("--")) || str_starts(s->rest, STR("#"));
        if (!line && !str_starts(s->rest, STR("/*")))
            return;
        size_t end = line ? str_find(s->rest, '\n') : str_find_str(s->rest, STR("*/"));
        s->rest = str_skip(s->rest, end == SIZE_MAX ? s->rest.n : end + (line ? 1 : 2));
    }
}

static bool take_char(struct scan *s, char c)
{
    skip_blanks(s);
    if (s->rest.n == 0 || s->rest.p[0] != c)
        return false;
    s->rest = str_skip(s->rest, 1);
    return true;
}

static bool is_word(char c)
{
    return ascii_is_alnum(c) || c == '_';
}

/* A bare word; empty: none. */
static struct str take_word(struct scan *s)
{
    size_t n = 0;
    skip_blanks(s);
    while (n < s->rest.n && is_word(s->rest.p[n]))
        n++;
    struct str word = str_head(s->rest, n);
    s->rest = str_skip(s->rest, n);
    return word;
}

static bool take_keyword(struct scan *s, struct str keyword)
{
    struct str before = s->rest;
    if (str_ieq(take_word(s), keyword))
        return true;
    s->rest = before;
    return false;
}

/* A name, bare or quoted, the last part of a dotted one; empty: none. */
static struct str take_name(struct scan *s)
{
    struct str name = STR("");
    do {
        skip_blanks(s);
        char open = s->rest.n > 0 ? s->rest.p[0] : ' ';
        if (open != '`' && open != '"' && open != '[') {
            name = take_word(s);
            continue;
        }
        size_t end = str_find(str_skip(s->rest, 1), open == '[' ? ']' : open);
        if (end == SIZE_MAX)
            return STR("");
        name = str_head(str_skip(s->rest, 1), end);
        s->rest = str_skip(s->rest, end + 2);
    } while (name.n > 0 && take_char(s, '.'));
    return name;
}

/* --- values ------------------------------------------------------------------------------ */

static char escaped(char c)
{
    return c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c == '0' ? '\0' : c;
}

/* 'text' with '' and, in MySQL's, backslashes. */
static bool take_string(struct scan *s, struct str *out)
{
    const char *p = s->rest.p;
    size_t i = 1, n = 0, end = s->rest.n;
    char *text = NULL;
    while (i < end && (p[i] != '\'' || (i + 1 < end && p[i + 1] == '\'')))
        i += p[i] == '\'' || (s->backslash && p[i] == '\\') ? 2 : 1;
    if (i >= end)
        return false;
    text = arena_new(s->a, i + 1);
    for (size_t k = 1; k < i; k++) {
        bool escape = s->backslash && p[k] == '\\' && k + 1 < i;
        k += p[k] == '\'' || escape;
        text[n++] = escape ? escaped(p[k]) : p[k];
    }
    *out = str_from(text, n);
    s->rest = str_skip(s->rest, i + 1);
    return true;
}

/* A string, a number, NULL. */
static bool take_plain(struct scan *s, struct str *out)
{
    *out = STR("");
    skip_blanks(s);
    if (s->rest.n > 1 && strchr("NEn_", s->rest.p[0]) != NULL && s->rest.p[1] == '\'')
        s->rest = str_skip(s->rest, 1);
    if (s->rest.n > 0 && s->rest.p[0] == '\'')
        return take_string(s, out);
    size_t n = 0;
    while (n < s->rest.n && (is_word(s->rest.p[n]) || strchr("+-.", s->rest.p[n]) != NULL))
        n++;
    struct str word = str_head(s->rest, n);
    s->rest = str_skip(s->rest, n);
    *out = str_ieq(word, STR("NULL")) ? STR("") : word;
    return n > 0;
}

/* The same, or CAST(it AS ...). */
static bool take_value(struct scan *s, struct str *out)
{
    if (!take_keyword(s, STR("CAST")))
        return take_plain(s, out);
    if (!take_char(s, '(') || !take_plain(s, out))
        return false;
    size_t end = str_find(s->rest, ')');
    s->rest = str_skip(s->rest, end == SIZE_MAX ? s->rest.n : end + 1);
    return end != SIZE_MAX;
}

/* --- tables ------------------------------------------------------------------------------ */

static struct sql_table *find_table(const struct scan *s, struct str name)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_ieq(name, str_from_c(s->tables[i].name)))
            return &s->tables[i];
    return NULL;
}

static void set_column(struct sql_table *t, struct str name, unsigned position)
{
    for (size_t i = 0; i < SQL_COLUMNS_MAX && t->columns[i] != NULL; i++)
        if (str_ieq(name, str_from_c(t->columns[i])))
            t->at[i] = position;
}

static void add_row(struct scan *s, struct sql_table *t, const struct str *values,
                    unsigned count)
{
    if (t->count == t->room) {
        size_t room = t->room == 0 ? 64 : 2 * t->room;
        struct str *rows = arena_new_array(s->a, struct str, room * SQL_COLUMNS_MAX);
        if (t->count > 0)
            memcpy(rows, t->rows, t->count * SQL_COLUMNS_MAX * sizeof(*rows));
        t->rows = rows;
        t->room = room;
    }
    for (size_t i = 0; i < SQL_COLUMNS_MAX; i++)
        t->rows[t->count * SQL_COLUMNS_MAX + i] =
            t->at[i] > 0 && t->at[i] <= count ? values[t->at[i] - 1] : STR("");
    t->count++;
}

/* name, name, ...) */
static bool take_columns(struct scan *s, struct sql_table *t)
{
    unsigned position = 0;
    memset(t->at, 0, sizeof(t->at));
    do {
        struct str name = take_name(s);
        if (name.n == 0)
            return false;
        set_column(t, name, ++position);
    } while (take_char(s, ','));
    return take_char(s, ')');
}

/* (value, value, ...), ... */
static void take_rows(struct scan *s, struct sql_table *t)
{
    do {
        struct str values[VALUES_MAX];
        unsigned count = 0;
        bool good = take_char(s, '(');
        while (good && count < VALUES_MAX) {
            good = take_value(s, &values[count++]);
            if (!good || !take_char(s, ','))
                break;
        }
        if (!good || !take_char(s, ')')) {
            t->broken++;
            return;
        }
        add_row(s, t, values, count);
    } while (take_char(s, ','));
}

/* Is it a key or a constraint, and no column? */
static bool is_no_column(struct scan *s)
{
    static const char *const others[] = { "PRIMARY", "UNIQUE", "KEY", "CONSTRAINT", "INDEX" };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (take_keyword(s, str_from_c(others[i])))
            return true;
    return false;
}

/* The rest of a definition, up to its comma (true) or the end of all of them. */
static bool skip_definition(struct scan *s)
{
    struct str ignored;
    unsigned depth = 0;
    while (s->rest.n > 0) {
        char c = s->rest.p[0];
        if (c == '\'') {
            if (!take_string(s, &ignored))
                return false;
            continue;
        }
        s->rest = str_skip(s->rest, 1);
        if ((c == ')' || c == ',') && depth == 0)
            return c == ',';
        depth += c == '(';
        depth -= c == ')';
    }
    return false;
}

/* The columns of CREATE TABLE, in their order. */
static void take_definitions(struct scan *s, struct sql_table *t)
{
    unsigned position = 0;
    memset(t->at, 0, sizeof(t->at));
    do {
        struct str name = is_no_column(s) ? STR("") : take_name(s);
        if (name.n > 0)
            set_column(t, name, ++position);
    } while (skip_definition(s));
}

/* --- COPY -------------------------------------------------------------------------------- */

/* A column of PostgreSQL's text form. */
static struct str copy_value(struct scan *s, struct str text)
{
    if (str_eq(text, STR("\\N")))
        return STR("");
    if (str_find(text, '\\') == SIZE_MAX)
        return text;
    char *p = arena_new(s->a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        bool escape = text.p[i] == '\\' && i + 1 < text.n;
        i += escape;
        p[n++] = escape ? escaped(text.p[i]) : text.p[i];
    }
    return str_from(p, n);
}

/* Lines up to "\."; t NULL: passed over. */
static void take_copy(struct scan *s, struct sql_table *t)
{
    struct str line;
    size_t lf = str_find(s->rest, '\n');
    s->rest = str_skip(s->rest, lf == SIZE_MAX ? s->rest.n : lf + 1);
    while (s->rest.n > 0 && str_cut(&s->rest, '\n', &line) && !str_starts(line, STR("\\."))) {
        struct str values[VALUES_MAX], word;
        unsigned count = 0;
        line = str_ends(line, STR("\r")) ? str_head(line, line.n - 1) : line;
        while (t != NULL && count < VALUES_MAX && line.p != NULL && str_cut(&line, '\t', &word))
            values[count++] = copy_value(s, word);
        if (t != NULL)
            add_row(s, t, values, count);
    }
    if (s->rest.p == NULL)
        s->rest = STR("");
}

/* --- statements -------------------------------------------------------------------------- */

/* Up to the end of the statement, or of the line where dumps have none (SQL Server's GO). */
static void skip_statement(struct scan *s)
{
    struct str ignored;
    while (s->rest.n > 0 && s->rest.p[0] != ';' && s->rest.p[0] != '\n')
        if (s->rest.p[0] != '\'' || !take_string(s, &ignored))
            s->rest = str_skip(s->rest, 1);
    s->rest = str_skip(s->rest, 1);
}

static void take_insert(struct scan *s)
{
    (void)take_keyword(s, STR("IGNORE"));
    (void)take_keyword(s, STR("INTO"));
    struct sql_table *t = find_table(s, take_name(s));
    bool good = t != NULL && (!take_char(s, '(') || take_columns(s, t));
    if (good && take_keyword(s, STR("VALUES")))
        take_rows(s, t);
    else if (t != NULL)
        t->broken++;
}

static void take_create(struct scan *s)
{
    if (!take_keyword(s, STR("TABLE")))
        return;
    if (take_keyword(s, STR("IF")))
        (void)(take_keyword(s, STR("NOT")) && take_keyword(s, STR("EXISTS")));
    struct sql_table *t = find_table(s, take_name(s));
    if (t != NULL && take_char(s, '('))
        take_definitions(s, t);
}

static void take_copy_statement(struct scan *s)
{
    struct sql_table *t = find_table(s, take_name(s));
    bool columns = take_char(s, '(');
    if (t != NULL && columns && !take_columns(s, t))
        t = NULL;
    struct str line = str_head(s->rest, str_find(s->rest, '\n'));
    if (str_ifind_str(line, STR("FROM stdin")) != SIZE_MAX)
        take_copy(s, t);
}

static void take_statement(struct scan *s)
{
    if (take_keyword(s, STR("INSERT")))
        take_insert(s);
    else if (take_keyword(s, STR("CREATE")))
        take_create(s);
    else if (take_keyword(s, STR("COPY")))
        take_copy_statement(s);
    else
        skip_statement(s);
    if (s->rest.n > 0 && s->rest.p[0] == ';')
        s->rest = str_skip(s->rest, 1);
}

enum rc sql_read(struct str text, struct sql_table *tables, size_t count, struct arena *a,
                 struct err *e)
{
    struct scan s = { .rest = text, .a = a, .tables = tables, .count = count };
    size_t rows = 0;
    if (str_starts(text, STR("\xff\xfe")) || str_starts(text, STR("\xfe\xff")))
        return err_perm(e, "5.3.0",
                        "it is UTF-16; make it UTF-8 first: iconv -f UTF-16 -t UTF-8");
    if (str_starts(text, STR("\xef\xbb\xbf")))
        s.rest = str_skip(text, 3);
    s.backslash = str_find(str_head(text, (size_t)1 << 20), '`') != SIZE_MAX;
    for (skip_blanks(&s); s.rest.n > 0; skip_blanks(&s))
        take_statement(&s);
    for (size_t i = 0; i < count; i++)
        rows += tables[i].count;
    return rows > 0 ? RC_OK : err_perm(e, "5.3.0", "no rows of its tables are in it");
}

struct str sql_value(const struct sql_table *t, size_t row, const char *column)
{
    for (size_t i = 0; i < SQL_COLUMNS_MAX && t->columns[i] != NULL; i++)
        if (strcmp(t->columns[i], column) == 0)
            return t->rows[row * SQL_COLUMNS_MAX + i];
    return STR("");
}

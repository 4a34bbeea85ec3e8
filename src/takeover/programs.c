/*
 * programs.c - programs that tables name (specification 3): filters, mailproc, cmdaliases,
 * custdomains, external authentication. A MailRoot that comes from Windows names programs that
 * can't run here; that is for a person.
 */
#include "conf/tab.h"
#include "conf/tables.h"
#include "process/process.h"
#include "sys/file.h"
#include "takeover/xmail_int.h"

#define PROGRAM_HEAD 256u

struct programs {
    const struct takeover_sink *sink;
    struct takeover_inventory *report;
    struct arena mem;
    struct map known; /* programs looked at -> whether good */
};

/* --- one program ------------------------------------------------------------------------- */

static bool is_windows_path(struct str s)
{
    bool drive =
        s.n > 2 && ascii_is_alpha(s.p[0]) && s.p[1] == ':' && (s.p[2] == '\\' || s.p[2] == '/');
    return drive || str_starts(s, STR("\\\\")) ||
           (str_find(s, '\\') != SIZE_MAX && str_find(s, '/') == SIZE_MAX);
}

static bool is_windows_name(struct str s)
{
    static const char *const ends[] = { ".exe", ".bat", ".cmd", ".com", ".vbs", ".ps1" };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_iends(s, str_from_c(ends[i])))
            return true;
    return false;
}

/* The first line of a script: does its interpreter stand there? */
static const char *script_trouble(struct str head, struct arena *a)
{
    struct str line = head, word;
    (void)str_cut(&line, '\n', &word);
    bool cr = word.n > 0 && word.p[word.n - 1] == '\r';
    struct str rest = str_trim(str_skip(word, 2));
    (void)str_cut(&rest, ' ', &word);
    if (cr)
        return "its first line ends in CRLF, so its interpreter isn't found (convert it with "
               "dos2unix)";
    if (!file_exists(arena_c(a, word)))
        return arena_printf(a, "its interpreter %.*s isn't there", STR_ARG(word)).p;
    return NULL;
}

/* Why the program at the path can't run; NULL: it can. */
static const char *path_trouble(struct str path, struct arena *a)
{
    char head[PROGRAM_HEAD];
    struct stat st;
    const char *p = arena_c(a, path);
    if (io_stat(p, &st) < 0 || !S_ISREG(st.st_mode))
        return "isn't there";
    if ((st.st_mode & 0111) == 0)
        return "isn't executable (chmod +x)";
    int fd AUTO_CLOSE = io_open(p, O_RDONLY | O_NONBLOCK, 0);
    ssize_t n = fd < 0 ? -1 : io_read(fd, head, sizeof(head));
    struct str text = str_from(head, n < 0 ? 0 : (size_t)n);
    if (str_starts(text, STR("MZ")))
        return "is a program for Windows";
    return str_starts(text, STR("#!")) ? script_trouble(text, a) : NULL;
}

static const char *trouble(struct str program, struct arena *a)
{
    if (is_windows_path(program))
        return "is a path of Windows";
    if (is_windows_name(program))
        return "is a program or script for Windows";
    if (program.n == 0)
        return "is empty";
    if (str_starts(program, STR("@@")) || str_starts(program, STR("$(")))
        return NULL;
    if (program.p[0] == '/')
        return path_trouble(program, a);
    const char *const folders[] = { "/usr/local/bin", "/usr/bin", "/bin", "bin", "." };
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (file_exists(arena_printf(a, "%s/%.*s", folders[i], STR_ARG(program)).p))
            return NULL;
    return "isn't found (give its whole path)";
}

static void look_at(struct programs *p, const char *path, unsigned line, struct str program)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    static char good[] = "";
    const char *why = map_get(&p->known, program);
    if (why == NULL) {
        why = trouble(program, &p->mem);
        struct str key = arena_str(&p->mem, program);
        char *kept = why == NULL ? good : arena_c(&p->mem, str_from_c(why));
        (void)map_put(&p->known, key, kept);
        p->report->programs++;
        p->report->bad_programs += why != NULL;
        why = kept;
    }
    if (why[0] != '\0')
        takeover_say(p->sink, TAKEOVER_HAND, arena_printf(&a, "%s, line %u", path, line),
                     "%.*s %s", STR_ARG(program), why);
}

static void look_at_arguments(const struct programs *p, const char *path,
                              const struct tab_row *row, size_t from)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    for (size_t i = from; i < row->count; i++)
        if (is_windows_path(tab_value(row, i)))
            takeover_say(p->sink, TAKEOVER_HAND,
                         arena_printf(&a, "%s, line %u", path, row->line),
                         "the argument %.*s is a path of Windows", STR_ARG(tab_value(row, i)));
}

/* --- tables ------------------------------------------------------------------------------ */

/* Where the program stands in the row; SIZE_MAX: it names none. */
typedef size_t column_fn(const struct tab_row *row);

/* mailproc, cmdaliases, custdomains: "external|filter" priority wait program ... */
static size_t of_command(const struct tab_row *row)
{
    struct str word = tab_value(row, 0);
    return str_ieq(word, STR("external")) || str_ieq(word, STR("filter")) ? 3 : SIZE_MAX;
}

/* A filter's line: ["!flags"] program ... */
static size_t of_filter(const struct tab_row *row)
{
    return str_starts(tab_value(row, 0), STR("!")) ? 1 : 0;
}

static size_t of_auth(const struct tab_row *row)
{
    struct program_line l;
    return extauth_line_parse(row, &l) == NULL ? row->count - l.count : SIZE_MAX;
}

static size_t of_login(const struct tab_row *row)
{
    struct program_line l;
    return userauth_line_parse(row, &l) == NULL ? row->count - l.count : SIZE_MAX;
}

static void look_at_table(struct programs *p, const char *path, column_fn *column)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    if (tab_read(path, &a, &tab, NULL) != RC_OK)
        return;
    for (size_t i = 0; i < tab.row_count; i++) {
        size_t at = column(&tab.rows[i]);
        if (at == SIZE_MAX || at >= tab.rows[i].count)
            continue;
        look_at(p, path, tab.rows[i].line, tab_value(&tab.rows[i], at));
        look_at_arguments(p, path, &tab.rows[i], at + 1);
    }
}

/* filters.in.tab and filters.out.tab name files below filters/. */
static void look_at_selection(struct programs *p, const char *path)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    struct tab tab;
    if (tab_read(path, &a, &tab, NULL) != RC_OK)
        return;
    for (size_t i = 0; i < tab.row_count; i++) {
        struct str name = tab_value(&tab.rows[i], 4);
        const char *file = arena_printf(&a, "filters/%.*s", STR_ARG(name)).p;
        bool good = name.n > 0 && !str_has_any(name, "/\\") && file_exists(file);
        if (good)
            look_at_table(p, file, of_filter);
        else
            takeover_say(p->sink, TAKEOVER_HAND,
                         arena_printf(&a, "%s, line %u", path, tab.rows[i].line),
                         "there is no file %s", file);
    }
}

static void each_command(void *ctx, const char *path)
{
    look_at_table(ctx, path, of_command);
}

static void each_login(void *ctx, const char *path)
{
    look_at_table(ctx, path, of_login);
}

static void each_filter(void *ctx, const char *path)
{
    look_at_table(ctx, path, of_filter);
}

static void each_auth(void *ctx, const char *path)
{
    look_at_table(ctx, path, of_auth);
}

static void each_selection(void *ctx, const char *path)
{
    look_at_selection(ctx, path);
}

void takeover_programs(const struct takeover_sink *sink, struct takeover_inventory *out)
{
    static const struct {
        const char *table;
        void (*fn)(void *ctx, const char *path);
    } rows[] = {
        { "filters.in.tab", each_selection },
        { "filters.out.tab", each_selection },
        { "filters.post-rcpt.tab", each_filter },
        { "filters.pre-data.tab", each_filter },
        { "filters.post-data.tab", each_filter },
        { "domains/*/mailproc.tab", each_command },
        { "domains/*/*/mailproc.tab", each_command },
        { "custdomains/*.tab", each_command },
        { "cmdaliases/*/*.tab", each_command },
        { "smtpextauth.tab", each_auth },
        { "userauth/pop3/*.tab", each_login },
    };
    struct programs p = { .sink = sink, .report = out };
    size_t count = 0;
    const struct table_row *all = tables_rows(&count);
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            if (strcmp(all[k].path, rows[i].table) == 0)
                tables_each_file(&all[k], rows[i].fn, &p);
    map_release(&p.known);
    arena_release(&p.mem);
}

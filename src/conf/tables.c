/* tables.c - see tables.h. */
#include "conf/tables.h"
#include "mail/address.h"

static const struct table_row rows[] = {
#define TABLE(path, least, most, kinds, en, ja) { path, least, most, kinds, en, ja },
#include "conf/tables.def"
#undef TABLE
};

const struct table_row *tables_rows(size_t *out_count)
{
    *out_count = ARRAY_LEN(rows);
    return rows;
}

/* `*` stands for one part of the path. */
static bool path_matches(struct str path, struct str pattern)
{
    struct str part, want;
    while (str_cut(&pattern, '/', &want))
        if (!str_cut(&path, '/', &part) || !str_matches(part, want))
            return false;
    return path.p == NULL;
}

const struct table_row *tables_row(struct str path)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (path_matches(path, str_from_c(rows[i].path)))
            return &rows[i];
    return NULL;
}

/* --- files ------------------------------------------------------------------------------- */

struct walk {
    void (*fn)(void *ctx, const char *path);
    void *ctx;
};

/* Goes down the parts of a pattern; depth is bounded by tables.def. */
static void walk_parts(const struct walk *w, struct str before, struct str rest)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct folder *folder = NULL;
    struct str part, name;
    unsigned char type = 0;
    if (!str_cut(&rest, '/', &part))
        return;
    bool last = rest.p == NULL;
    const char *slash = before.n > 0 ? "/" : "";
    if (str_find(part, '*') == SIZE_MAX) {
        struct str path = arena_printf(&a, "%.*s%s%.*s", STR_ARG(before), slash, STR_ARG(part));
        if (!last)
            walk_parts(w, path, rest);
        else if (file_exists(path.p))
            w->fn(w->ctx, path.p);
        return;
    }
    if (folder_open(before.n > 0 ? arena_c(&a, before) : ".", &folder, NULL) != RC_OK)
        return;
    while (folder_next(folder, &name, &type)) {
        struct str path = arena_printf(&a, "%.*s%s%.*s", STR_ARG(before), slash, STR_ARG(name));
        if (!str_matches(name, part))
            continue;
        if (!last)
            walk_parts(w, path, rest);
        else if (file_exists(path.p))
            w->fn(w->ctx, path.p);
    }
    folder_close(&folder);
}

void tables_each_file(const struct table_row *row, void (*fn)(void *ctx, const char *path),
                      void *ctx)
{
    struct walk w = { fn, ctx };
    walk_parts(&w, str_from("", 0), str_from_c(row->path));
}

bool tables_is_secret(const struct table_row *row, size_t column)
{
    size_t n = strlen(row->kinds);
    return row->kinds[MIN(column, n - 1)] == 'S' ||
           (strcmp(row->path, "smtpauth.tab") == 0 && column == 1);
}

/* --- values ------------------------------------------------------------------------------ */

static bool is_domain(struct str s, bool pattern)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str key;
    if (pattern && str_has_any(s, "*?"))
        return !str_has_control(s) && !str_has_any(s, " @/\\");
    return domain_parse(s, true, &a, &key, NULL) == RC_OK;
}

static bool is_address(struct str s)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct address address;
    return address_parse(s, ADDRESS_LOOSE_DOTS | ADDRESS_QUOTED | ADDRESS_UTF8, &a, &address,
                         NULL) == RC_OK;
}

static bool is_folder(struct str s)
{
    struct str rest = s, part;
    while (str_cut(&rest, '/', &part))
        if (part.n == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return false;
    return s.n > 0 && !str_has_control(s);
}

static bool is_one_of(struct str s, const char *const *words)
{
    while (*words != NULL && !str_ieq(s, str_from_c(*words)))
        words++;
    return *words != NULL;
}

bool tables_value_is_good(char kind, struct str value, const char **out_why)
{
    static const char *const types[] = { "U", "M", NULL };
    static const char *const perms[] = { "R", "RW", "RA", "", NULL };
    static const char *const verdicts[] = { "ALLOW", "DENY", NULL };
    struct ip_net net;
    struct ip ip;
    int64_t number = 0;
    switch (kind) {
    case 'D':
    case 'd':
        *out_why = "a domain name";
        return is_domain(value, kind == 'd');
    case 'N':
    case 'n':
        *out_why = "a name";
        return value.n > 0 && !str_has_control(value) && !str_has_any(value, " @/\\");
    case 'A':
        *out_why = "a mail address";
        return is_address(value);
    case 'I':
        *out_why = "an IP address, or address/bits";
        return ip_parse(value, &ip) || ip_net_parse(value, str_from("", 0), &net);
    case 'M':
        *out_why = "a netmask";
        return value.n == 0 || ip_parse(value, &ip);
    case 'V':
        *out_why = "ALLOW or DENY";
        return is_one_of(value, verdicts);
    case '#':
        *out_why = "a whole number";
        return str_to_i64(value, &number);
    case 'F':
        *out_why = "a folder below the domain's";
        return is_folder(value);
    case 'Y':
        *out_why = "U or M";
        return is_one_of(value, types);
    case 'R':
        *out_why = "R, RW or RA";
        return is_one_of(value, perms);
    default:
        *out_why = "text without control characters";
        return !str_has_control(value);
    }
}

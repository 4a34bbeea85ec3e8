/* import.c - see import.h. */
#include "web/import.h"
#include "conf/options.h"
#include "mail/address.h"
#include "users/users.h"

#define ROWS_MOST ((size_t)200000)
#define CELLS_MOST 48u

enum column {
    COLUMN_NONE,
    COLUMN_DOMAIN,
    COLUMN_NAME,
    COLUMN_ADDRESS,
    COLUMN_PASSWORD,
    COLUMN_VARIABLE
};

struct columns {
    enum column kinds[CELLS_MOST];
    size_t variables[CELLS_MOST]; /* of VARIABLE */
    size_t count;
};

const char *import_action_name(enum import_action action)
{
    static const char *const names[] = { "create", "change", "keep", "remove", "bad" };
    return names[action];
}

/* --- text --------------------------------------------------------------------------------- */

/* A value in quotes; *rest is behind the closing one. */
static struct str quoted(struct str *rest, struct arena *a)
{
    size_t end = 1, n = 0;
    while (end < rest->n &&
           (rest->p[end] != '"' || (end + 1 < rest->n && rest->p[end + 1] == '"')))
        end += rest->p[end] == '"' ? 2 : 1;
    end = MIN(end, rest->n);
    char *text = arena_new(a, end + 1);
    for (size_t i = 1; i < end; i++) {
        text[n++] = rest->p[i];
        i += rest->p[i] == '"' ? 1 : 0;
    }
    *rest = str_skip(*rest, MIN(end + 1, rest->n));
    return str_from(text, n);
}

bool import_cell(struct str *rest, char separator, struct arena *a, struct str *out)
{
    size_t end = 0;
    bool is_quoted = str_starts(*rest, STR("\""));
    if (is_quoted)
        *out = quoted(rest, a);
    while (end < rest->n && rest->p[end] != separator && rest->p[end] != '\n')
        end++;
    if (!is_quoted)
        *out = str_trim(str_head(*rest, end));
    bool more = end < rest->n && rest->p[end] == separator;
    *rest = str_skip(*rest, MIN(end + 1, rest->n));
    return more;
}

/* The cells of a record; false: too many, or one that can't be in a table. */
static bool read_record(struct str *rest, char separator, struct arena *a,
                        struct str cells[CELLS_MOST], size_t *out_count)
{
    bool more = true, good = true;
    size_t n = 0;
    while (more) {
        struct str cell;
        more = import_cell(rest, separator, a, &cell);
        good = good && n < CELLS_MOST && !str_has_control(cell) && str_is_utf8(cell);
        if (n < CELLS_MOST)
            cells[n++] = cell;
    }
    *out_count = n;
    return good;
}

/* --- columns ------------------------------------------------------------------------------ */

/* IMPORT_VARS_MAX: none. */
static size_t variable_named(struct str name)
{
    for (size_t i = 0; user_options_row(i) != NULL && i < IMPORT_VARS_MAX; i++)
        if (str_ieq(name, str_from_c(user_options_row(i)->name)))
            return i;
    return IMPORT_VARS_MAX;
}

static bool column_named(struct str name, enum column *out, size_t *out_variable)
{
    static const struct {
        const char *name;
        enum column kind;
    } rows[] = { { "domain", COLUMN_DOMAIN },
                 { "name", COLUMN_NAME },
                 { "user", COLUMN_NAME },
                 { "address", COLUMN_ADDRESS },
                 { "password", COLUMN_PASSWORD } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_ieq(name, str_from_c(rows[i].name))) {
            *out = rows[i].kind;
            return true;
        }
    *out = COLUMN_VARIABLE;
    *out_variable = variable_named(name);
    return *out_variable < IMPORT_VARS_MAX;
}

/* user.tab has an Address too: beside a name, or a second time, it is that. */
static enum rc name_columns(const struct str *cells, size_t count, struct columns *out,
                            struct err *e)
{
    bool named = false;
    for (size_t i = 0; i < count; i++) {
        if (!column_named(cells[i], &out->kinds[i], &out->variables[i]))
            return err_perm(e, "5.3.0", "\"%.*s\" is no column",
                            STR_ARG(str_head(cells[i], 60)));
        named = named || out->kinds[i] == COLUMN_NAME;
    }
    for (size_t i = 0; i < count; i++) {
        if (out->kinds[i] != COLUMN_ADDRESS)
            continue;
        if (named) {
            out->kinds[i] = COLUMN_VARIABLE;
            out->variables[i] = variable_named(STR("Address"));
        }
        named = true;
    }
    out->count = count;
    return RC_OK;
}

static void usual_columns(struct columns *out)
{
    static const char *const variables[] = { "RealName", "MaxMBSize" };
    *out = (struct columns){ .kinds = { COLUMN_ADDRESS, COLUMN_PASSWORD }, .count = 4 };
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        (void)column_named(str_from_c(variables[i]), &out->kinds[2 + i],
                           &out->variables[2 + i]);
}

/* --- rows --------------------------------------------------------------------------------- */

static struct import_row *add_row(struct import *im)
{
    if (im->count == im->room) {
        size_t room = im->room == 0 ? 256 : im->room * 2;
        struct import_row **rows = arena_new_array(&im->mem, struct import_row *, room);
        if (im->count > 0)
            memcpy(rows, im->rows, im->count * sizeof(struct import_row *));
        im->rows = rows;
        im->room = room;
    }
    im->rows[im->count] = arena_new(&im->mem, sizeof(**im->rows));
    return im->rows[im->count++];
}

static void take_address(struct import_row *row, struct str text, struct str default_domain)
{
    size_t at = str_rfind(text, '@');
    row->name = str_head(text, at);
    if (at != SIZE_MAX)
        row->domain = str_skip(text, at + 1);
    else if (row->domain.n == 0)
        row->domain = default_domain;
}

static void take_cells(struct import_row *row, const struct columns *c, const struct str *cells,
                       size_t count, struct str default_domain)
{
    row->domain = default_domain;
    for (size_t i = 0; i < count; i++) {
        enum column kind = i < c->count ? c->kinds[i] : COLUMN_NONE;
        if (kind == COLUMN_DOMAIN && cells[i].n > 0)
            row->domain = cells[i];
        else if (kind == COLUMN_NAME)
            row->name = cells[i];
        else if (kind == COLUMN_ADDRESS)
            take_address(row, cells[i], default_domain);
        else if (kind == COLUMN_PASSWORD)
            row->password = cells[i];
        else if (kind == COLUMN_VARIABLE)
            row->values[c->variables[i]] = cells[i];
        else if (cells[i].n > 0)
            row->why = "it has too many columns";
    }
}

static unsigned lines_between(const char *from, const char *to)
{
    unsigned n = 0;
    for (; from < to; from++)
        n += *from == '\n' ? 1 : 0;
    return n;
}

enum rc import_read(struct str text, struct str default_domain, struct import *out,
                    struct err *e)
{
    struct columns columns;
    struct str cells[CELLS_MOST];
    unsigned line = 1;
    bool first = true;
    *out = (struct import){ .count = 0 };
    struct str rest = arena_str(&out->mem, text);
    default_domain = arena_str(&out->mem, default_domain);
    if (str_starts(rest, STR("\xef\xbb\xbf")))
        rest = str_skip(rest, 3);
    char separator =
        str_find(str_head(rest, str_find(rest, '\n')), '\t') != SIZE_MAX ? '\t' : ',';
    usual_columns(&columns);
    while (rest.n > 0) {
        const char *begin = rest.p;
        size_t count = 0;
        unsigned own = line;
        bool good = read_record(&rest, separator, &out->mem, cells, &count);
        line += lines_between(begin, rest.p);
        if (count == 1 && cells[0].n == 0)
            continue;
        enum column kind = COLUMN_NONE;
        size_t variable = 0;
        if (first && good && column_named(cells[0], &kind, &variable)) {
            first = false;
            enum rc rc = name_columns(cells, count, &columns, e);
            if (rc != RC_OK)
                return rc;
            continue;
        }
        first = false;
        if (out->count == ROWS_MOST)
            return err_perm(e, "5.3.4", "more than %zu lines", ROWS_MOST);
        struct import_row *row = add_row(out);
        row->line = own;
        take_cells(row, &columns, cells, count, default_domain);
        if (!good)
            row->why = "a value holds characters that can't be stored";
    }
    return RC_OK;
}

void import_release(struct import *im)
{
    arena_wipe(&im->mem);
}

/* --- plan --------------------------------------------------------------------------------- */

static const char *wrong_with(const struct import_row *row, bool exists, struct arena *a)
{
    struct str domain;
    struct address address;
    struct err e;
    if (row->why != NULL)
        return row->why;
    if (row->name.n == 0)
        return "the name is missing";
    if (!users_domain_find(row->domain, a, &domain))
        return "its domain isn't one of this server";
    struct str text = arena_printf(a, "%.*s@%.*s", STR_ARG(row->name), STR_ARG(domain));
    if (row->name.p[0] == '.' || str_has_any(row->name, "/\\ \"*?@") ||
        address_parse(text, ADDRESS_LOOSE_DOTS | ADDRESS_UTF8, a, &address, NULL) != RC_OK)
        return "not a name for an account";
    if (!exists && users_alias_find(row->domain, row->name, a))
        return "there is an alias of this name";
    if (row->password.n > 0 && row->password.n < (size_t)conf()->password_min_length)
        return "the password is too short";
    for (size_t i = 0; user_options_row(i) != NULL && i < IMPORT_VARS_MAX; i++)
        if (row->values[i].n > 0 && user_options_check(str_from_c(user_options_row(i)->name),
                                                       row->values[i], &e) != RC_OK)
            return "a setting has a value that it can't have";
    return NULL;
}

static bool has_values(const struct import_row *row)
{
    for (size_t i = 0; i < IMPORT_VARS_MAX; i++)
        if (row->values[i].n > 0)
            return true;
    return row->password.n > 0;
}

static struct str key_of(struct import *im, struct str domain, struct str name)
{
    return arena_printf(&im->mem, "%.*s@%.*s", STR_ARG(name), STR_ARG(domain));
}

struct missing {
    struct import *im;
    struct map *named, *domains;
};

static bool add_missing(void *ctx, struct str domain, struct str name, enum account_type type)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct missing *m = ctx;
    struct str key = arena_printf(&a, "%.*s@%.*s", STR_ARG(name), STR_ARG(domain));
    if (type != ACCOUNT_USER || map_get(m->domains, domain) == NULL ||
        map_get(m->named, key) != NULL)
        return true;
    struct import_row *row = add_row(m->im);
    row->domain = arena_str(&m->im->mem, domain);
    row->name = arena_str(&m->im->mem, name);
    row->action = IMPORT_REMOVE;
    return true;
}

void import_plan(struct import *im, enum import_mode mode)
{
    struct map named = { .fold = true }, domains = { .fold = true };
    for (size_t i = 0; i < im->count; i++) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct import_row *row = im->rows[i];
        struct account account;
        struct str key = key_of(im, row->domain, row->name);
        bool exists = users_account_find(row->domain, row->name, &a, &account);
        row->why = wrong_with(row, exists, &a);
        if (row->why == NULL && exists && account.type != ACCOUNT_USER)
            row->why = "there is a mailing list of this name";
        if (row->why == NULL && map_get(&named, key) != NULL)
            row->why = "the account is in the text twice";
        row->action = row->why != NULL  ? IMPORT_BAD
                      : !exists         ? IMPORT_CREATE
                      : has_values(row) ? IMPORT_CHANGE
                                        : IMPORT_KEEP;
        (void)map_put(&named, key, row);
        (void)map_put(&domains, row->domain, row);
    }
    struct missing m = { im, &named, &domains };
    if (mode == IMPORT_REPLACE)
        users_walk(add_missing, &m);
    map_release(&named);
    map_release(&domains);
}

/*
 * tokens.c - tokens for programs that use the API: lines of webtokens.tab, "id" "name"
 * "administrator" "right" "areas" "hash" "created" "expires". A token never may more than its
 * administrator, and only what its areas (the first word of a path behind /api/v1/; none: all)
 * allow; only its hash is stored.
 */
#include "web/admins.h"
#include "web/secret.h"
#include "web/tables.h"

#define TOKENS_TABLE "webtokens.tab"
#define TOKEN_BEGIN "hik_"
#define TOKEN_OCTETS 32u
#define NAME_MOST 100u
#define DAYS_MOST 3660

enum { ID, NAME, OWNER, RIGHT, AREAS, HASH, CREATED, EXPIRES, COLUMNS };

static bool is_over(const struct table_line *line)
{
    int64_t expires = 0;
    return line->count < COLUMNS || !str_to_i64(line->values[EXPIRES], &expires) ||
           (expires > 0 && expires < clock_wall() / USEC_S);
}

static struct table_line *find_by(const struct table_text *t, size_t column, struct str value)
{
    for (size_t i = 0; i < t->line_count; i++)
        if (t->lines[i].count == COLUMNS && str_eq(t->lines[i].values[column], value))
            return &t->lines[i];
    return NULL;
}

/* The text of "Authorization: Bearer ..."; p NULL: none. */
static struct str bearer(const struct web *w)
{
    struct str field = http_field(&w->h.request, "Authorization");
    return field.p != NULL && str_istarts(field, STR("Bearer ")) ? str_trim(str_skip(field, 7))
                                                                 : (struct str){ NULL, 0 };
}

bool token_identify(struct web *w)
{
    struct table_text t;
    struct admin admin;
    struct err e;
    char hash[SECRET_HASH_CHARS + 1];
    struct str token = bearer(w);
    if (token.p == NULL)
        return false;
    w->who.by_token = true;
    if (!str_starts(token, STR(TOKEN_BEGIN)) ||
        tabtext_load(TOKENS_TABLE, web_mem(w), &t, &e) != RC_OK)
        return true;
    secret_hash(token, hash);
    const struct table_line *line = find_by(&t, HASH, str_from_c(hash));
    if (line == NULL || is_over(line) || !admin_find(line->values[OWNER], web_mem(w), &admin) ||
        admin_refusal(w, &admin, 0) != NULL)
        return true;
    w->who.name = admin.name;
    w->who.right = MIN(admin_right_parse(line->values[RIGHT]), admin.right);
    w->who.delegate = admin.delegate;
    w->who.areas = line->values[AREAS];
    w->who.token = line->values[ID];
    return true;
}

bool token_is_valid(struct web *w)
{
    struct table_text t;
    struct err e;
    if (tabtext_load(TOKENS_TABLE, web_mem(w), &t, &e) != RC_OK)
        return false;
    const struct table_line *line = find_by(&t, ID, w->who.token);
    return line != NULL && !is_over(line);
}

/* "/api/v1/users/{domain}" is of "users", "/metrics" of "metrics". */
static struct str area_of(const char *pattern)
{
    struct str p = str_from_c(pattern);
    p = str_skip(p, str_starts(p, STR("/api/v1/")) ? strlen("/api/v1/") : 1);
    return str_head(p, str_find(p, '/'));
}

bool token_allows(const struct web *w)
{
    struct str rest = w->who.areas, one;
    while (rest.n > 0 && str_cut(&rest, ' ', &one))
        if (str_eq(one, area_of(w->route->pattern)))
            return true;
    return w->who.areas.n == 0;
}

/* --- the API ------------------------------------------------------------------------------ */

static bool is_own(const struct web *w, const struct table_line *line)
{
    return str_ieq(line->values[OWNER], w->who.name) || w->who.right >= RIGHT_OWNER;
}

void api_tokens(struct web *w)
{
    struct table_text t;
    static const char *const members[] = { "id",    "name", "by",      "right",
                                           "areas", NULL,   "created", "expires" };
    if (!tabtext_open(w, TOKENS_TABLE, &t))
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < t.line_count; i++) {
        const struct table_line *line = &t.lines[i];
        if (line->count != COLUMNS || !is_own(w, line))
            continue;
        json_t *o = json_object();
        for (size_t k = 0; k < COLUMNS; k++) {
            int64_t n = 0;
            if (members[k] == NULL)
                continue;
            bool number = k >= CREATED && str_to_i64(line->values[k], &n);
            (void)json_object_set_new(
                o, members[k], number ? json_integer(n) : web_text(line->values[k], t.charset));
        }
        (void)json_array_append_new(list, o);
    }
    web_json(w, 200, list);
}

static bool is_area(struct str name)
{
    for (size_t i = 0; i < web_route_count; i++)
        if (str_eq(area_of(web_routes[i].pattern), name))
            return true;
    return false;
}

/* The list of areas as words with blanks between; false: answered. */
static bool read_areas(struct web *w, struct str *out)
{
    const json_t *areas = json_object_get(w->body, "areas");
    struct buf b AUTO_RELEASE_BUF;
    size_t i = 0;
    json_t *one = NULL;
    buf_init(&b, 4096);
    json_array_foreach(areas, i, one)
    {
        struct str text = str_from(json_string_value(one), json_string_length(one));
        if (text.p == NULL || !is_area(text) || (i > 0 && buf_add_char(&b, ' ') != RC_OK) ||
            buf_add_str(&b, text) != RC_OK) {
            web_refuse(w, "bad-line", json_pack("{s:I}", "n", (json_int_t)i + 1),
                       "area %zu isn't one", i + 1);
            return false;
        }
    }
    *out = arena_str(web_mem(w), buf_str(&b));
    return true;
}

/* {"name", "right", "areas": [...], "days": 0 (no end)} */
void api_token_add(struct web *w)
{
    struct table_text t;
    struct arena *a = web_mem(w);
    struct str cells[COLUMNS];
    char hash[SECRET_HASH_CHARS + 1];
    int64_t now = clock_wall() / USEC_S;
    json_int_t days = json_integer_value(json_object_get(w->body, "days"));
    if (!web_member(w, "name", &cells[NAME]) || !web_member(w, "right", &cells[RIGHT]) ||
        !read_areas(w, &cells[AREAS]) || !tabtext_open(w, TOKENS_TABLE, &t))
        return;
    enum right right = admin_right_parse(cells[RIGHT]);
    if (right == RIGHT_NONE || right > w->who.right || cells[NAME].n > NAME_MOST || days < 0 ||
        days > DAYS_MOST) {
        web_refuse(w, "bad-token", json_pack("{s:i}", "most", DAYS_MOST),
                   "right must be one that you have, days 0 to %d", DAYS_MOST);
        return;
    }
    struct str token =
        arena_printf(a, TOKEN_BEGIN "%.*s", STR_ARG(secret_hex(TOKEN_OCTETS, a)));
    secret_hash(token, hash);
    cells[ID] = secret_letters(8, a);
    cells[OWNER] = w->who.name;
    cells[HASH] = str_from_c(hash);
    cells[CREATED] = arena_printf(a, "%" PRId64, now);
    cells[EXPIRES] =
        arena_printf(a, "%" PRId64, days == 0 ? INT64_C(0) : now + (int64_t)days * 86400);
    tabtext_put(&t, NULL, cells, COLUMNS);
    if (tabtext_store(w, &t))
        web_json(w, 201,
                 json_pack("{s:o, s:o}", "id", web_str(cells[ID]), "token", web_str(token)));
}

void api_token_delete(struct web *w)
{
    struct table_text t;
    if (!tabtext_open(w, TOKENS_TABLE, &t))
        return;
    struct table_line *line = find_by(&t, ID, w->params[0]);
    if (line == NULL || !is_own(w, line)) {
        web_fail(w, 404, "unknown", "there is no such token");
        return;
    }
    tabtext_remove(&t, line);
    if (tabtext_store(w, &t))
        w->h.response.status = 204;
}

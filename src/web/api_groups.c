/* api_groups.c - groups of accounts: groups.tab, groupmembers.tab, and the files of their
 * mail's handling (api_handling.c). */
#include "base/clock.h"
#include "base/day.h"
#include "conf/options.h"
#include "mail/address.h"
#include "users/users.h"
#include "web/jobs.h"
#include "web/tables.h"

#define GROUPS_TABLE "groups.tab"
#define MEMBERS_TABLE "groupmembers.tab"
#define ADDED_MAX 20000u /* accounts of one request */

/* The columns of groups.tab behind the id. */
static const char *const columns[] = {
    "name", "first", "last", "list", "person", "mail", "memo"
};
#define COLUMNS (ARRAY_LEN(columns) + 1)

bool web_find_group(struct web *w, struct str id)
{
    struct table_text t;
    struct err e;
    if (!users_group_id_is_good(id) ||
        tabtext_load(GROUPS_TABLE, web_mem(w), &t, &e) != RC_OK ||
        tabtext_find(&t, id) == NULL) {
        web_fail(w, 404, "unknown", "there is no such group");
        return false;
    }
    return true;
}

static struct str value_of(const struct table_line *line, size_t i)
{
    return i < line->count ? line->values[i] : STR("");
}

/* --- members ------------------------------------------------------------------------------ */

static bool is_member_line(const struct table_line *line, struct str group)
{
    return line->count == 3 && str_eq(line->values[0], group);
}

static size_t count_members(const struct table_text *members, struct str group)
{
    size_t n = 0;
    for (size_t i = 0; i < members->line_count; i++)
        n += is_member_line(&members->lines[i], group);
    return n;
}

static struct table_line *find_member(const struct table_text *members, struct str group,
                                      struct str domain, struct str name)
{
    for (size_t i = 0; i < members->line_count; i++) {
        struct table_line *line = &members->lines[i];
        if (is_member_line(line, group) && str_ieq(line->values[1], domain) &&
            str_ieq(line->values[2], name))
            return line;
    }
    return NULL;
}

void api_group_members(struct web *w)
{
    struct table_text t;
    struct err e;
    struct str group = w->params[0], search = web_query(w, "search");
    uint64_t offset = web_query_number(w, "offset", 0, UINT32_MAX), total = 0;
    uint64_t limit = web_query_number(w, "limit", 100, 1000);
    if (!web_find_group(w, group))
        return;
    if (tabtext_load(MEMBERS_TABLE, web_mem(w), &t, &e) != RC_OK) {
        web_trouble(w, &e);
        return;
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < t.line_count; i++) {
        struct account account;
        const struct table_line *line = &t.lines[i];
        if (!is_member_line(line, group))
            continue;
        struct str address = arena_printf(web_mem(w), "%.*s@%.*s", STR_ARG(line->values[2]),
                                          STR_ARG(line->values[1]));
        if (str_ifind_str(address, search) == SIZE_MAX)
            continue;
        if (total >= offset && total < offset + limit)
            (void)json_array_append_new(
                rows, json_pack("{s:o, s:o, s:b}", "domain", web_str(line->values[1]), "name",
                                web_str(line->values[2]), "exists",
                                (int)users_account_find(line->values[1], line->values[2],
                                                        web_mem(w), &account)));
        total++;
    }
    web_json(w, 200, json_pack("{s:I, s:o}", "total", (json_int_t)total, "rows", rows));
}

/* A group's members so far, by "name@domain". */
struct known {
    struct map by_address;
    struct arena *mem;
};

static struct str key_of(struct known *k, struct str domain, struct str name)
{
    return arena_printf(k->mem, "%.*s@%.*s", STR_ARG(name), STR_ARG(domain));
}

/* {"addresses": [...]}: those that are accounts and no members yet are added. */
void api_group_members_add(struct web *w)
{
    struct table_text t;
    const json_t *addresses = json_object_get(w->body, "addresses");
    struct known k = { .by_address = { .fold = true }, .mem = web_mem(w) };
    struct str group = w->params[0];
    json_int_t added = 0, already = 0;
    size_t i = 0;
    json_t *one = NULL;
    if (!json_is_array(addresses) || json_array_size(addresses) > ADDED_MAX) {
        web_fail(w, 422, "invalid", "addresses must be a list of at most %u", ADDED_MAX);
        return;
    }
    if (!web_find_group(w, group) || !tabtext_open(w, MEMBERS_TABLE, &t))
        return;
    for (i = 0; i < t.line_count; i++)
        if (is_member_line(&t.lines[i], group))
            (void)map_put(&k.by_address, key_of(&k, t.lines[i].values[1], t.lines[i].values[2]),
                          &k);
    json_t *unknown = json_array();
    json_array_foreach(addresses, i, one)
    {
        struct account a;
        struct str text = str_from(json_string_value(one), json_string_length(one));
        size_t at = text.p == NULL ? SIZE_MAX : str_rfind(text, '@');
        if (at == SIZE_MAX ||
            !users_account_find(str_skip(text, at + 1), str_head(text, at), k.mem, &a) ||
            a.type != ACCOUNT_USER) {
            (void)json_array_append(unknown, one);
        } else if (map_put(&k.by_address, key_of(&k, a.domain, a.name), &k) != NULL) {
            already++;
        } else {
            const struct str row[] = { group, a.domain, a.name };
            tabtext_put(&t, NULL, row, ARRAY_LEN(row));
            added++;
        }
    }
    map_release(&k.by_address);
    if (added > 0 && !tabtext_store(w, &t))
        json_decref(unknown);
    else
        web_json(w, 200,
                 json_pack("{s:I, s:I, s:o}", "added", added, "already", already, "unknown",
                           unknown));
}

void api_group_member_delete(struct web *w)
{
    struct table_text t;
    if (!web_find_group(w, w->params[0]) || !tabtext_open(w, MEMBERS_TABLE, &t))
        return;
    struct table_line *line = find_member(&t, w->params[0], w->params[1], w->params[2]);
    if (line == NULL) {
        web_fail(w, 404, "unknown", "there is no such member");
        return;
    }
    tabtext_remove(&t, line);
    if (tabtext_store(w, &t))
        web_json(w, 200, json_object());
}

/* --- groups ------------------------------------------------------------------------------- */

static json_t *group_json(const struct table_text *t, const struct table_line *line,
                          const struct table_text *members)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str today = day_of(clock_wall(), &a), first = value_of(line, 2),
               last = value_of(line, 3);
    bool ended = last.n > 0 && str_cmp(today, last) > 0;
    json_t *o = json_pack("{s:o, s:I, s:s}", "id", web_str(line->values[0]), "members",
                          (json_int_t)count_members(members, line->values[0]), "state",
                          day_is_within(today, first, last) ? "now"
                          : ended                           ? "over"
                                                            : "later");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        (void)json_object_set_new(o, columns[i], web_text(value_of(line, i + 1), t->charset));
    return o;
}

static bool load_both(struct web *w, struct table_text *groups, struct table_text *members)
{
    struct err e;
    if (tabtext_load(GROUPS_TABLE, web_mem(w), groups, &e) == RC_OK &&
        tabtext_load(MEMBERS_TABLE, web_mem(w), members, &e) == RC_OK)
        return true;
    web_trouble(w, &e);
    return false;
}

static bool is_group(const struct table_line *line)
{
    return line->count >= 2 && users_group_id_is_good(line->values[0]);
}

/* All of them, or those that an account is in. */
void api_groups(struct web *w)
{
    struct table_text t, members;
    struct str member = web_query(w, "member");
    size_t at = str_rfind(member, '@');
    if (!load_both(w, &t, &members))
        return;
    json_t *rows = json_array();
    for (size_t i = 0; i < t.line_count; i++) {
        const struct table_line *line = &t.lines[i];
        bool meant =
            is_group(line) &&
            (member.n == 0 ||
             (at != SIZE_MAX && find_member(&members, line->values[0], str_skip(member, at + 1),
                                            str_head(member, at)) != NULL));
        if (meant)
            (void)json_array_append_new(rows, group_json(&t, line, &members));
    }
    web_json(w, 200, rows);
}

void api_group(struct web *w)
{
    struct table_text t, members;
    if (!web_find_group(w, w->params[0]) || !load_both(w, &t, &members))
        return;
    json_t *o = group_json(&t, tabtext_find(&t, w->params[0]), &members);
    (void)json_object_set_new(o, "version", json_string(t.version));
    web_json(w, 200, o);
}

/* An address, or nothing. */
static bool is_address(struct str text, struct arena *a)
{
    struct address ignored;
    return text.n == 0 ||
           address_parse(text, ADDRESS_LOOSE_DOTS | ADDRESS_UTF8, a, &ignored, NULL) == RC_OK;
}

/* Members of the body over what the line has; values[0] is the id. False: answered. */
static bool read_group(struct web *w, const struct table_text *t, const struct table_line *line,
                       struct str values[COLUMNS])
{
    for (size_t i = 1; i < COLUMNS; i++) {
        const char *name = columns[i - 1];
        struct str text;
        values[i] = line == NULL ? STR("") : value_of(line, i);
        if (json_object_get(w->body, name) == NULL)
            continue;
        if (!web_member_or_empty(w, name, &text))
            return false;
        bool is_day = i == 2 || i == 3, is_mail = i == 4 || i == 6;
        if ((is_day && text.n > 0 && !day_is_good(text)) ||
            (is_mail && !is_address(text, web_mem(w)))) {
            web_refuse(w, is_day ? "bad-day" : "bad-address",
                       json_pack("{s:o}", "value", web_str(text)), "%s: not %s", name,
                       is_day ? "a day" : "an address");
            return false;
        }
        if (!tabtext_encode(t, text, &values[i])) {
            web_refuse(w, "charset", NULL, "%s can't be written as the table is", name);
            return false;
        }
    }
    if (values[1].n == 0) {
        web_refuse(w, "missing", json_pack("{s:s, s:s}", "name", "name", "kind", "name"),
                   "name is missing");
        return false;
    }
    if (values[2].n > 0 && values[3].n > 0 && str_cmp(values[3], values[2]) < 0) {
        web_refuse(w, "bad-days", NULL, "it ends before it begins");
        return false;
    }
    return true;
}

/* An id that no group has. */
static struct str fresh_id(const struct table_text *t)
{
    struct str id = STR("");
    unsigned n = 1;
    do {
        id = arena_printf(t->mem, "g%u", n++);
    } while (tabtext_find(t, id) != NULL);
    return id;
}

void api_group_add(struct web *w)
{
    struct table_text t;
    struct str values[COLUMNS];
    if (!web_member_or_empty(w, "id", &values[0]) || !tabtext_open(w, GROUPS_TABLE, &t) ||
        !read_group(w, &t, NULL, values))
        return;
    if (values[0].n == 0)
        values[0] = fresh_id(&t);
    if (!users_group_id_is_good(values[0])) {
        web_refuse(w, "bad-id", NULL, "an id has lower case letters, digits and hyphens");
        return;
    }
    if (tabtext_find(&t, values[0]) != NULL) {
        web_fail(w, 409, "exists", "there is such a group");
        return;
    }
    tabtext_put(&t, NULL, values, COLUMNS);
    if (tabtext_store(w, &t))
        web_json(w, 201, json_pack("{s:o}", "id", web_str(values[0])));
}

void api_group_set(struct web *w)
{
    struct table_text t;
    struct str values[COLUMNS];
    if (!web_find_group(w, w->params[0]) || !tabtext_open(w, GROUPS_TABLE, &t))
        return;
    struct table_line *line = tabtext_find(&t, w->params[0]);
    if (line == NULL || !read_group(w, &t, line, values))
        return;
    values[0] = line->values[0];
    tabtext_put(&t, line, values, COLUMNS);
    if (tabtext_store(w, &t))
        web_json(w, 200, json_pack("{s:s}", "version", t.version));
}

/* The group itself goes last, so that nothing is left which another one of that id would get.
 * Its accounts stay. */
void api_group_delete(struct web *w)
{
    struct table_text t, members, commands;
    struct str group = w->params[0];
    const char *file = arena_printf(web_mem(w), "groups/%.*s.tab", STR_ARG(group)).p;
    if (!web_find_group(w, group) || !tabtext_open(w, GROUPS_TABLE, &t) ||
        !tabtext_open(w, MEMBERS_TABLE, &members) || !tabtext_open(w, file, &commands))
        return;
    bool any = count_members(&members, group) > 0;
    for (size_t i = members.line_count; i-- > 0;)
        if (is_member_line(&members.lines[i], group))
            tabtext_remove(&members, &members.lines[i]);
    if (any && !tabtext_store(w, &members))
        return;
    commands.may_vanish = true;
    bool has_file = strcmp(commands.version, "none") != 0;
    commands.line_count = 0;
    if (has_file && !tabtext_store(w, &commands))
        return;
    tabtext_remove(&t, tabtext_find(&t, group));
    if (tabtext_store(w, &t))
        web_json(w, 200, json_object());
}

/* --- all its accounts --------------------------------------------------------------------- */

struct group_work {
    struct arena mem;
    struct str *words; /* uservarsset, room for domain and name, names and values */
    size_t word_count;
    struct str (*members)[2]; /* domain, name */
    size_t member_count;
};

static void free_work(void *ctx)
{
    struct group_work *g = ctx;
    arena_release(&g->mem);
    mem_free(&g);
}

static json_t *run_work(struct job *job, void *ctx)
{
    struct group_work *g = ctx;
    json_int_t done = 0;
    json_t *failed = json_array();
    for (size_t i = 0; i < g->member_count; i++) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct link_by by = job_by(job, &a);
        struct control_answer answer;
        struct err e;
        g->words[1] = g->members[i][0];
        g->words[2] = g->members[i][1];
        if (link_ask_by(&by, g->words, g->word_count, STR(""), &answer, &e) == RC_OK) {
            buf_release(&answer.lines);
            done += answer.ok;
        } else {
            answer.ok = false;
        }
        if (!answer.ok)
            (void)json_array_append_new(
                failed, web_str(arena_printf(&a, "%.*s@%.*s", STR_ARG(g->words[2]),
                                             STR_ARG(g->words[1]))));
        if (!job_step(job))
            break;
    }
    return json_pack("{s:I, s:o}", "done", done, "failed", failed);
}

/* {"variables": {...}}: of all its accounts. */
void api_group_variables(struct web *w)
{
    json_t *variables = json_object_get(w->body, "variables"), *value = NULL;
    const char *name = NULL;
    struct table_text t;
    struct err e;
    size_t n = 3;
    if (!json_is_object(variables) || json_object_size(variables) == 0) {
        web_fail(w, 422, "invalid", "variables must be an object with some members");
        return;
    }
    if (!web_find_group(w, w->params[0]) || !web_check_variables(w, variables))
        return;
    if (tabtext_load(MEMBERS_TABLE, web_mem(w), &t, &e) != RC_OK) {
        web_trouble(w, &e);
        return;
    }
    struct group_work *g = mem_new(sizeof(*g));
    g->words = arena_new_array(&g->mem, struct str, 3 + 2 * json_object_size(variables));
    g->words[0] = STR("uservarsset");
    json_object_foreach(variables, name, value)
    {
        g->words[n++] = arena_str(&g->mem, str_from_c(name));
        g->words[n++] = json_is_null(value)
                            ? STR(".|rm")
                            : arena_str(&g->mem, str_from(json_string_value(value),
                                                          json_string_length(value)));
    }
    g->word_count = n;
    g->members = arena_new(&g->mem, sizeof(*g->members) * (t.line_count + 1));
    for (size_t i = 0; i < t.line_count; i++) {
        if (!is_member_line(&t.lines[i], w->params[0]))
            continue;
        g->members[g->member_count][0] = arena_str(&g->mem, t.lines[i].values[1]);
        g->members[g->member_count++][1] = arena_str(&g->mem, t.lines[i].values[2]);
    }
    (void)job_start(w, &(struct job_work){ "group", run_work, free_work, g, g->member_count,
                                           w->params[0], 0 });
}

/* Members that its list doesn't have yet become members there, who read and post. */
void api_group_list(struct web *w)
{
    struct table_text t, members, list;
    struct account account;
    struct err e;
    json_int_t added = 0;
    if (!web_find_group(w, w->params[0]) || !load_both(w, &t, &members))
        return;
    struct str address = value_of(tabtext_find(&t, w->params[0]), 4);
    size_t at = str_rfind(address, '@');
    if (at == SIZE_MAX ||
        !users_account_find(str_skip(address, at + 1), str_head(address, at), web_mem(w),
                            &account) ||
        account.type != ACCOUNT_LIST) {
        web_refuse(w, "no-list", NULL, "the group's list isn't one of this server");
        return;
    }
    const char *path = web_account_file(w, &account, "mlusers.tab");
    if (tabtext_load(path, web_mem(w), &list, &e) != RC_OK) {
        web_trouble(w, &e);
        return;
    }
    struct map there = { .fold = true };
    for (size_t i = 0; i < list.line_count; i++)
        if (list.lines[i].count > 0)
            (void)map_put(&there, list.lines[i].values[0], &there);
    for (size_t i = 0; i < members.line_count; i++) {
        if (!is_member_line(&members.lines[i], w->params[0]))
            continue;
        const struct str row[] = { arena_printf(web_mem(w), "%.*s@%.*s",
                                                STR_ARG(members.lines[i].values[2]),
                                                STR_ARG(members.lines[i].values[1])),
                                   STR("RW") };
        if (map_put(&there, row[0], &there) != NULL)
            continue;
        tabtext_put(&list, NULL, row, ARRAY_LEN(row));
        added++;
    }
    map_release(&there);
    if (added == 0 || tabtext_store(w, &list))
        web_json(w, 200, json_pack("{s:I}", "added", added));
}

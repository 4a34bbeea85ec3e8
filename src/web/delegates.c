/*
 * delegates.c - administrators of some domains: what of the API is theirs, and the API by which
 * owners make them. What a command may do is checked by the control role again
 * (control/delegates.c).
 */
#include "web/admins.h"
#include "web/tables.h"

/* --- may he ------------------------------------------------------------------------------- */

bool web_has_domain(const struct web *w, struct str domain)
{
    return w->who.delegate == NULL || delegate_has_domain(w->who.delegate, domain);
}

static bool refuse(struct web *w)
{
    web_fail(w, 403, "right", "your account may not do this");
    return false;
}

bool web_delegate_may(struct web *w)
{
    unsigned flags = w->route->flags;
    if (w->who.delegate == NULL)
        return true;
    if ((flags & ROUTE_IN_PATH) != 0)
        return delegate_has_domain(w->who.delegate, web_path_value(w, STR("domain"))) ||
               refuse(w);
    return (flags & (ROUTE_OWN | ROUTE_IN_BODY | ROUTE_NARROWED)) != 0 || refuse(w);
}

bool web_delegate_may_body(struct web *w)
{
    const json_t *domain = json_object_get(w->body, "domain");
    if (w->who.delegate == NULL || (w->route->flags & ROUTE_IN_BODY) == 0)
        return true;
    return (json_is_string(domain) &&
            delegate_has_domain(w->who.delegate, str_from(json_string_value(domain),
                                                          json_string_length(domain)))) ||
           refuse(w);
}

/* --- as JSON ------------------------------------------------------------------------------ */

/* {"domains": "a.example b.example", "max-users": "20" ...}: what has a value. */
static json_t *values_json(const struct table_text *t, struct str name)
{
    json_t *o = json_object();
    for (size_t i = 0; i < t->line_count; i++) {
        const struct table_line *line = &t->lines[i];
        if (line->count == 3 && str_ieq(line->values[0], name))
            (void)json_object_setn_new(o, line->values[1].p, line->values[1].n,
                                       web_text(line->values[2], t->charset));
    }
    return o;
}

static json_t *counts_json(const struct delegate *d, struct arena *a)
{
    struct delegate_counts n;
    struct err e;
    if (delegate_count(d, a, &n, &e) != RC_OK)
        return json_null();
    return json_pack("{s:I, s:I, s:I}", "users", (json_int_t)n.users, "lists",
                     (json_int_t)n.lists, "aliases", (json_int_t)n.aliases);
}

static json_t *delegate_json(struct web *w, const struct table_text *t,
                             const struct delegate *d)
{
    return json_pack("{s:o, s:o, s:o}", "name", web_str(d->name), "values",
                     values_json(t, d->name), "counts", counts_json(d, web_mem(w)));
}

/* What one may oneself; the memo isn't for him. */
void api_delegation(struct web *w)
{
    struct table_text t;
    if (w->who.delegate == NULL) {
        web_fail(w, 404, "unknown", "you aren't an administrator of some domains");
        return;
    }
    if (!tabtext_open(w, DELEGATES_TABLE, &t))
        return;
    json_t *o = delegate_json(w, &t, w->who.delegate);
    (void)json_object_del(json_object_get(o, "values"), "memo");
    web_json(w, 200, o);
}

static void add_last_sign_ins(json_t *list)
{
    json_t *times = json_object();
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count; i++)
        (void)json_object_set_new(
            times, json_string_value(json_object_get(json_array_get(list, i), "name")),
            json_null());
    if (count > 0)
        web_last_sign_ins(times);
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        (void)json_object_set(one, "last_sign_in", json_object_get(times, name));
    }
    json_decref(times);
}

void api_delegates(struct web *w)
{
    struct table_text admins, t;
    if (!tabtext_open(w, ADMINS_TABLE, &admins) || !tabtext_open(w, DELEGATES_TABLE, &t))
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < admins.line_count; i++) {
        const struct table_line *line = &admins.lines[i];
        struct admin admin;
        if (line->count >= 3 && admin_find(line->values[0], web_mem(w), &admin) &&
            admin.delegate != NULL)
            (void)json_array_append_new(list, delegate_json(w, &t, admin.delegate));
    }
    add_last_sign_ins(list);
    web_json(w, 200, list);
}

/* --- changing them ------------------------------------------------------------------------ */

/* The body's values; false: answered. */
static bool check_values(struct web *w, json_t *values)
{
    const char *item = NULL;
    json_t *value = NULL;
    struct err e;
    if (!json_is_object(values)) {
        web_fail(w, 422, "invalid", "values must be an object");
        return false;
    }
    json_object_foreach(values, item, value)
    {
        struct str text = str_from(json_string_value(value), json_string_length(value));
        if (text.p == NULL || str_has_control(text)) {
            web_refuse(w, "characters", NULL, "the value of %s isn't text", item);
            return false;
        }
        if (delegate_item_check(str_from_c(item), text, &e) != RC_OK) {
            web_refuse(w, "bad-item", json_pack("{s:s}", "kind", item), "%s: %s", item, e.text);
            return false;
        }
    }
    return true;
}

static void remove_lines(struct table_text *t, struct str name)
{
    struct table_line *line = NULL;
    while ((line = tabtext_find(t, name)) != NULL)
        tabtext_remove(t, line);
}

/* These instead of what there was for the name. */
static bool store_values(struct web *w, struct str name, json_t *values)
{
    struct table_text t;
    if (!tabtext_open(w, DELEGATES_TABLE, &t))
        return false;
    remove_lines(&t, name);
    for (size_t i = 0; delegate_item(i) != NULL; i++) {
        const json_t *value = json_object_get(values, delegate_item(i));
        struct str cells[] = { name, str_from_c(delegate_item(i)),
                               str_from(json_string_value(value), json_string_length(value)) };
        if (cells[2].n == 0)
            continue;
        if (!tabtext_encode(&t, cells[2], &cells[2])) {
            web_refuse(w, "charset", NULL,
                       "a value can't be written in the table's characters");
            return false;
        }
        tabtext_put(&t, NULL, cells, ARRAY_LEN(cells));
    }
    t.may_vanish = true;
    return tabtext_store(w, &t);
}

/* He is made without a domain; what he may comes next. */
void api_delegate_add(struct web *w)
{
    struct str name, fresh;
    json_t *values = json_object_get(w->body, "values");
    if (!web_member(w, "name", &name) || !check_values(w, values) ||
        !admin_new(w, STR(DELEGATE_RIGHT), &fresh) || !store_values(w, name, values))
        return;
    web_json(w, 201,
             json_pack("{s:o}", "password", fresh.n > 0 ? web_str(fresh) : json_null()));
}

static bool is_delegate(struct web *w)
{
    struct admin admin;
    if (admin_find(w->params[0], web_mem(w), &admin) && admin.delegate != NULL)
        return true;
    web_fail(w, 404, "unknown", "there is no such administrator");
    return false;
}

void api_delegate_set(struct web *w)
{
    json_t *values = json_object_get(w->body, "values");
    if (check_values(w, values) && is_delegate(w) && store_values(w, w->params[0], values))
        w->h.response.status = 204;
}

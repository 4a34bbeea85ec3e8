/* admins.c - see admins.h. The table is read at each request: it is short, and a change counts
 * at once. */
#include "web/admins.h"
#include "conf/options.h"
#include "conf/tab.h"
#include "sys/lock.h"
#include "users/users.h"
#include "web/secret.h"
#include "web/tables.h"
#include "web/totp.h"

static const char *const names[] = { "none", "viewer", "admin", "owner" };

const char *admin_right_name(enum right right)
{
    return names[right];
}

enum right admin_right_parse(struct str text)
{
    for (size_t i = 1; i < ARRAY_LEN(names); i++)
        if (str_ieq(text, str_from_c(names[i])))
            return (enum right)i;
    return RIGHT_NONE;
}

static bool take_delegate(struct arena *a, struct admin *admin)
{
    enum administrator kind = ADMINISTRATOR_NONE;
    struct delegate *d = arena_new(a, sizeof(*d));
    struct err e;
    if (delegate_find(admin->name, a, &kind, d, &e) != RC_OK) {
        log_error(EV("administrators can't be read"), KE(&e));
        return false;
    }
    admin->delegate = d;
    admin->right = RIGHT_WRITE;
    return kind == ADMINISTRATOR_DELEGATE;
}

const char *admin_refusal(const struct web *w, const struct admin *admin, usec_t began)
{
    return admin->delegate == NULL ? NULL
                                   : delegate_refusal(admin->delegate, &w->client, began);
}

bool admin_find(struct str name, struct arena *a, struct admin *out)
{
    struct tab tab;
    struct err e;
    if (name.n == 0 || name.n > ADMIN_NAME_MAX)
        return false;
    if (tab_read(ADMINS_TABLE, a, &tab, &e) != RC_OK) {
        log_error(EV("administrators can't be read"), KE(&e));
        return false;
    }
    for (size_t i = 0; i < tab.row_count; i++) {
        const struct tab_row *row = &tab.rows[i];
        if (!str_ieq(tab_value(row, 0), name))
            continue;
        *out = (struct admin){ .name = tab_value(row, 0),
                               .password = tab_value(row, 1),
                               .right = admin_right_parse(tab_value(row, 2)),
                               .secret = tab_value(row, 3),
                               .recovery = tab_value(row, 4) };
        if (str_ieq(tab_value(row, 2), STR(DELEGATE_RIGHT)) && !take_delegate(a, out))
            return false;
        return out->password.n > 0 && out->right != RIGHT_NONE;
    }
    return false;
}

/* --- changing them ------------------------------------------------------------------------ */

#define COLUMNS 5u

bool admin_store(struct web *w, struct str name, const struct admin_value *values, size_t count)
{
    struct table_text t;
    struct str cells[COLUMNS];
    if (!tabtext_open(w, ADMINS_TABLE, &t))
        return false;
    struct table_line *line = tabtext_find(&t, name);
    if (line == NULL) {
        web_fail(w, 404, "unknown", "there is no such administrator");
        return false;
    }
    for (size_t i = 0; i < COLUMNS; i++)
        cells[i] = i < line->count ? line->values[i] : STR("");
    for (size_t i = 0; i < count; i++)
        cells[values[i].column] = values[i].value;
    size_t n = COLUMNS;
    while (n > 3 && cells[n - 1].n == 0)
        n--;
    tabtext_put(&t, line, cells, n);
    return tabtext_store(w, &t);
}

/* The last step whose code was taken, by administrator: a code counts once. */
static struct {
    struct lock lock;
    struct {
        char name[ADMIN_NAME_MAX + 1];
        uint64_t step;
    } rows[64];
    size_t next;
} used = { .lock = LOCK_INIT(LOCK_LEAF) };

static bool take_code(const struct admin *admin, struct str code)
{
    size_t i = 0;
    struct lock *held AUTO_UNLOCK = lock_hold(&used.lock);
    (void)held;
    while (i < ARRAY_LEN(used.rows) && !str_ieq(str_from_c(used.rows[i].name), admin->name))
        i++;
    bool known = i < ARRAY_LEN(used.rows);
    uint64_t last = known ? used.rows[i].step : 0;
    if (!totp_matches(admin->secret, code, clock_wall(), last, &last))
        return false;
    if (!known) {
        i = used.next;
        used.next = (used.next + 1) % ARRAY_LEN(used.rows);
    }
    (void)snprintf(used.rows[i].name, sizeof(used.rows[i].name), "%.*s", STR_ARG(admin->name));
    used.rows[i].step = last;
    return true;
}

bool admin_second_factor(struct web *w, const struct admin *admin, struct str code,
                         bool *out_trouble)
{
    struct str left;
    *out_trouble = false;
    if (take_code(admin, code))
        return true;
    if (!totp_recovery_use(admin->recovery, code, web_mem(w), &left))
        return false;
    const struct admin_value value = { ADMIN_COLUMN_RECOVERY, left };
    w->who.name = admin->name;
    *out_trouble = !admin_store(w, admin->name, &value, 1);
    return !*out_trouble;
}

/* --- the API ------------------------------------------------------------------------------ */

static size_t count_words(struct str text)
{
    size_t n = 0;
    struct str one;
    while (text.n > 0 && str_cut(&text, ' ', &one))
        n += one.n > 0 ? 1 : 0;
    return n;
}

void api_admins(struct web *w)
{
    struct table_text t;
    if (!tabtext_open(w, ADMINS_TABLE, &t))
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < t.line_count; i++) {
        const struct table_line *line = &t.lines[i];
        if (line->count < 3)
            continue;
        (void)json_array_append_new(
            list, json_pack("{s:o, s:s, s:b, s:I}", "name",
                            web_text(line->values[0], t.charset), "right",
                            str_ieq(line->values[2], STR(DELEGATE_RIGHT))
                                ? DELEGATE_RIGHT
                                : admin_right_name(admin_right_parse(line->values[2])),
                            "second_factor", (int)(line->count > 3 && line->values[3].n > 0),
                            "recovery_codes",
                            (json_int_t)(line->count > 4 ? count_words(line->values[4]) : 0)));
    }
    web_json(w, 200, list);
}

static bool read_right(struct web *w, enum right *out)
{
    struct str text;
    if (!web_member(w, "right", &text))
        return false;
    *out = admin_right_parse(text);
    if (*out == RIGHT_NONE)
        web_fail(w, 422, "invalid", "right must be viewer, admin or owner");
    return *out != RIGHT_NONE;
}

/* The password of the body, or a fresh one (*out_fresh), as it is stored. */
static bool read_password(struct web *w, struct str *out_stored, struct str *out_fresh)
{
    struct str password;
    struct err e;
    size_t least = (size_t)MAX(conf()->password_min_length, INT64_C(8));
    *out_fresh = STR("");
    if (!web_member_or_empty(w, "password", &password))
        return false;
    if (password.n == 0)
        password = *out_fresh = web_fresh_password(web_mem(w));
    if (password.n < least) {
        web_refuse(w, "short-password", json_pack("{s:I}", "least", (json_int_t)least),
                   "passwords of administrators have at least %zu characters", least);
        return false;
    }
    if (password_make(PASSWORD_YESCRYPT, password, web_mem(w), out_stored, &e) == RC_OK)
        return true;
    web_trouble(w, &e);
    return false;
}

static bool name_is_possible(struct str name)
{
    return name.n <= ADMIN_NAME_MAX && str_trim(name).n == name.n && name.p[0] != '#' &&
           !str_has_any(name, "\"\\") && str_is_utf8(name);
}

static json_t *told(struct str fresh)
{
    return json_pack("{s:o}", "password", fresh.n > 0 ? web_str(fresh) : json_null());
}

bool admin_new(struct web *w, struct str right, struct str *out_fresh)
{
    struct table_text t;
    struct str cells[3];
    if (!web_member(w, "name", &cells[0]) || !tabtext_open(w, ADMINS_TABLE, &t))
        return false;
    if (!name_is_possible(cells[0])) {
        web_refuse(w, "bad-name", NULL, "not a name for an administrator");
        return false;
    }
    if (tabtext_find(&t, cells[0]) != NULL) {
        web_fail(w, 409, "exists", "there is an administrator of this name");
        return false;
    }
    if (!read_password(w, &cells[1], out_fresh))
        return false;
    cells[2] = right;
    tabtext_put(&t, NULL, cells, ARRAY_LEN(cells));
    return tabtext_store(w, &t);
}

void api_admin_add(struct web *w)
{
    struct str fresh;
    enum right right = RIGHT_NONE;
    if (read_right(w, &right) && admin_new(w, str_from_c(admin_right_name(right)), &fresh))
        web_json(w, 201, told(fresh));
}

/* Is there another owner than this one? */
static bool has_other_owner(const struct table_text *t, struct str name)
{
    for (size_t i = 0; i < t->line_count; i++)
        if (t->lines[i].count >= 3 && !str_ieq(t->lines[i].values[0], name) &&
            admin_right_parse(t->lines[i].values[2]) == RIGHT_OWNER)
            return true;
    return false;
}

static bool may_lose(struct web *w, struct str name)
{
    struct table_text t;
    if (!tabtext_open(w, ADMINS_TABLE, &t))
        return false;
    if (!has_other_owner(&t, name))
        web_fail(w, 409, "last-owner", "there must be an owner");
    return has_other_owner(&t, name);
}

/* {"right", "password": true or text, "second_factor": false} */
void api_admin_set(struct web *w)
{
    struct admin_value values[4];
    struct str fresh = STR("");
    size_t n = 0;
    enum right right = RIGHT_NONE;
    bool new_password = json_object_get(w->body, "password") != NULL;
    if (json_object_get(w->body, "right") != NULL) {
        if (!read_right(w, &right) || (right != RIGHT_OWNER && !may_lose(w, w->params[0])))
            return;
        values[n++] =
            (struct admin_value){ ADMIN_COLUMN_RIGHT, str_from_c(admin_right_name(right)) };
    }
    if (new_password) {
        struct str stored;
        if (!read_password(w, &stored, &fresh))
            return;
        values[n++] = (struct admin_value){ ADMIN_COLUMN_PASSWORD, stored };
    }
    if (json_is_false(json_object_get(w->body, "second_factor"))) {
        values[n++] = (struct admin_value){ ADMIN_COLUMN_SECRET, STR("") };
        values[n++] = (struct admin_value){ ADMIN_COLUMN_RECOVERY, STR("") };
    }
    if (n == 0) {
        web_fail(w, 422, "invalid", "right, password or second_factor (false) is needed");
        return;
    }
    if (!admin_store(w, w->params[0], values, n))
        return;
    if (new_password)
        signins_end_of(w->params[0], w->who.sign_in);
    web_json(w, 200, told(fresh));
}

void api_admin_delete(struct web *w)
{
    struct table_text t;
    if (!tabtext_open(w, ADMINS_TABLE, &t))
        return;
    struct table_line *line = tabtext_find(&t, w->params[0]);
    if (line == NULL) {
        web_fail(w, 404, "unknown", "there is no such administrator");
        return;
    }
    if (!may_lose(w, w->params[0]))
        return;
    tabtext_remove(&t, line);
    if (tabtext_store(w, &t))
        w->h.response.status = 204;
}

/* One's own password. */
void api_own_password(struct web *w)
{
    struct admin_value value = { .column = ADMIN_COLUMN_PASSWORD };
    struct str fresh;
    if (!read_password(w, &value.value, &fresh) || !admin_store(w, w->who.name, &value, 1))
        return;
    signins_end_of(w->who.name, w->who.sign_in);
    web_json(w, 200, told(fresh));
}

/* --- the second factor -------------------------------------------------------------------- */

/* A secret, which counts when a code of it was given. */
void api_factor_begin(struct web *w)
{
    struct str secret = totp_secret(web_mem(w));
    struct str host = conf()->helo_domain.n > 0 ? conf()->helo_domain : STR("Hikyaku");
    signins_set_pending(w->who.sign_in, secret);
    web_json(w, 200,
             json_pack("{s:o, s:o}", "secret", web_str(secret), "uri",
                       web_str(totp_uri(secret, w->who.name, host, web_mem(w)))));
}

void api_factor_set(struct web *w)
{
    struct str code, secret, codes[TOTP_RECOVERY_CODES], stored;
    uint64_t step = 0;
    if (!web_member(w, "code", &code))
        return;
    secret = signins_pending(w->who.sign_in, web_mem(w));
    if (secret.n == 0 || !totp_matches(secret, code, clock_wall(), 0, &step)) {
        web_refuse(w, "wrong-code", NULL, "the code isn't right");
        return;
    }
    totp_recovery_make(web_mem(w), codes, &stored);
    const struct admin_value values[] = { { ADMIN_COLUMN_SECRET, secret },
                                          { ADMIN_COLUMN_RECOVERY, stored } };
    if (!admin_store(w, w->who.name, values, ARRAY_LEN(values)))
        return;
    signins_set_pending(w->who.sign_in, STR(""));
    json_t *list = json_array();
    for (size_t i = 0; i < TOTP_RECOVERY_CODES; i++)
        (void)json_array_append_new(list, web_str(codes[i]));
    web_json(w, 200, json_pack("{s:o}", "recovery_codes", list));
}

void api_factor_delete(struct web *w)
{
    const struct admin_value values[] = { { ADMIN_COLUMN_SECRET, STR("") },
                                          { ADMIN_COLUMN_RECOVERY, STR("") } };
    if (admin_store(w, w->who.name, values, ARRAY_LEN(values)))
        w->h.response.status = 204;
}

/*
 * userauth.c - userauth/pop3/DOMAIN.tab, else userauth/pop3/.tab: which program decides about
 * logins of a domain's users, and which ones follow changes of its accounts.
 */
#include "auth/auth.h"
#include "sys/lock.h"
#include <stdatomic.h>

#define FOLDER "userauth/pop3"
#define LOOK_EVERY USEC_S

/* What is kept of a table. */
struct userauth_table {
    bool missing, broken; /* broken: a line wasn't understood */
    bool has[USERAUTH_ACTIONS];
    struct program_line lines[USERAUTH_ACTIONS];
};

static const char *const names[USERAUTH_ACTIONS] = { "userauth", "useradd", "useredit",
                                                     "userdel", "domaindrop" };

static struct lock caches_lock = LOCK_INIT(LOCK_LEAF);
static struct map caches; /* struct cached by its path; they stay: one for each domain */
struct cached {
    struct tab_cache *table;
    char path[];
};

/* --- tables ------------------------------------------------------------------------------ */

static void *parse(const struct tab *tab, void *ctx)
{
    struct userauth_table *t = mem_new(sizeof(*t));
    (void)ctx;
    t->missing = tab->missing;
    t->broken = tab->problem_count > 0;
    for (size_t i = 0; i < tab->row_count; i++) {
        struct program_line line = { .count = 0 };
        const char *why = userauth_line_parse(&tab->rows[i], &line);
        if (why != NULL) {
            tab_say_skipped(tab->path, tab->rows[i].line, str_from_c(why));
            t->broken = true;
            continue;
        }
        unsigned action = 0;
        while (!str_ieq(line.name, str_from_c(names[action])))
            action++;
        line.name = line.challenge = STR("");
        line.words = NULL;
        if (!t->has[action]) /* the first line of an action counts */
            t->lines[action] = line;
        t->has[action] = true;
    }
    return t;
}

static void release(void *value)
{
    struct userauth_table *t = value;
    mem_free(&t);
}

static struct cached *cache_of(const char *path)
{
    lock_take(&caches_lock);
    struct cached *c = map_get(&caches, str_from_c(path));
    lock_drop(&caches_lock);
    if (c != NULL)
        return c;
    struct cached *fresh = mem_new(sizeof(*fresh) + strlen(path) + 1);
    memcpy(fresh->path, path, strlen(path) + 1);
    fresh->table = tab_cache_new(path, parse, release, NULL);
    lock_take(&caches_lock);
    c = map_get(&caches, str_from_c(path));
    if (c == NULL)
        (void)map_put(&caches, str_from_c(fresh->path), fresh);
    lock_drop(&caches_lock);
    if (c == NULL)
        return fresh;
    tab_cache_free(&fresh->table);
    mem_free(&fresh);
    return c;
}

/* RC_PERM: there is no such table. */
static enum rc find_in(const char *path, enum userauth_action action, struct auth_program *out,
                       struct err *e)
{
    struct cached *c = cache_of(path);
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct userauth_table *t = tab_cache_get(c->table, &ref, &suspect);
    enum rc rc = RC_GONE;
    if (t != NULL && t->has[action]) {
        *out = (struct auth_program){ c->path, t->lines[action] };
        rc = RC_OK;
    } else if (suspect || (t != NULL && t->broken)) {
        rc = err_temp(e, "4.3.0", "%s can't be read, or has a bad line", path);
    } else if (t != NULL && t->missing) {
        rc = RC_PERM;
    }
    tab_cache_put(c->table, &ref);
    return rc;
}

enum rc userauth_find(struct str domain, enum userauth_action action, struct auth_program *out,
                      struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    enum rc rc = RC_PERM;
    char *lower = arena_c(&a, domain);
    for (size_t i = 0; i < domain.n; i++)
        lower[i] = ascii_lower(lower[i]);
    const struct str tries[] = { domain, str_from(lower, domain.n), STR("") };
    bool is_name = domain.n > 0 && domain.p[0] != '.' && !str_has_any(domain, "/\\");
    for (size_t i = is_name ? 0 : 2; i < ARRAY_LEN(tries) && rc == RC_PERM; i++)
        if (i != 1 || !str_eq(tries[0], tries[1]))
            rc = find_in(arena_printf(&a, FOLDER "/%.*s.tab", STR_ARG(tries[i])).p, action, out,
                         e);
    return rc == RC_PERM ? RC_GONE : rc;
}

bool userauth_is_used(void)
{
    static _Atomic int64_t look_at;
    static _Atomic bool used;
    struct folder *folder = NULL;
    struct str name;
    unsigned char type = 0;
    if (clock_mono() < look_at)
        return used;
    look_at = clock_mono() + LOOK_EVERY;
    bool found = false;
    if (folder_open(FOLDER, &folder, NULL) == RC_OK) {
        while (!found && folder_next(folder, &name, &type))
            found = str_iends(name, STR(".tab"));
        folder_close(&folder);
    }
    used = found;
    return found;
}

/* --- asking ------------------------------------------------------------------------------ */

enum step userauth_ask(struct session *s, const struct auth_program *program,
                       const struct account *account, struct str password,
                       struct auth_question *q, session_fn *then)
{
    struct str folder = arena_printf(&s->tmp, "%.*s/", STR_ARG(account->folder));
    const struct macro macros[] = {
        { "USER", account->name },
        { "PASSWD", password },
        { "DOMAIN", account->domain },
        { "PATH", file_absolute(folder, &s->tmp) },
    };
    return auth_ask(s, program, macros, ARRAY_LEN(macros), q, then);
}

bool userauth_would_decide(struct str login, struct str default_domain)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct auth_program program;
    struct str domain;
    struct err e;
    return users_login_domain(login, default_domain, &a, &domain) &&
           userauth_find(domain, USERAUTH_LOGIN, &program, &e) == RC_OK;
}

/*
 * extauth.c - smtpextauth.tab: methods of AUTH that programs check, instead of ours
 * (specification 3, section 5).
 */
#include "auth/auth.h"

#define TABLE "smtpextauth.tab"

/* What is kept of a table. */
struct extauth_table {
    struct arena mem;
    bool broken; /* a line wasn't understood */
    size_t count;
    struct extauth_method *methods;
};

static struct tab_cache *cache;

static struct extauth_method *find(const struct extauth_table *t, struct str name)
{
    for (size_t i = 0; i < t->count; i++)
        if (str_ieq(t->methods[i].name, name))
            return &t->methods[i];
    return NULL;
}

static void take_line(struct extauth_table *t, const struct program_line *line)
{
    struct extauth_method *m = &t->methods[t->count];
    if (find(t, line->name) != NULL)
        return; /* the first line of a method counts */
    *m = (struct extauth_method){
        .name = arena_str(&t->mem, line->name),
        .challenge = arena_str(&t->mem, line->challenge),
        .program = { TABLE, *line },
    };
    m->shows_password = str_ieq(m->name, STR("PLAIN")) || str_ieq(m->name, STR("LOGIN"));
    m->wants_secrets = !m->shows_password && macros_are_used(line, STR("SECRT"));
    m->program.line.name = m->program.line.challenge = STR("");
    m->program.line.words = NULL;
    for (size_t i = 0; i < m->name.n; i++)
        ((char *)(uintptr_t)m->name.p)[i] = ascii_upper(m->name.p[i]);
    t->count++;
}

static void *parse(const struct tab *tab, void *ctx)
{
    struct extauth_table *t = mem_new(sizeof(*t));
    (void)ctx;
    t->methods = arena_new_array(&t->mem, struct extauth_method, tab->row_count + 1);
    t->broken = tab->problem_count > 0;
    for (size_t i = 0; i < tab->row_count; i++) {
        struct program_line line = { .count = 0 };
        const char *why = extauth_line_parse(&tab->rows[i], &line);
        t->broken = t->broken || why != NULL;
        if (why == NULL)
            take_line(t, &line);
        else
            tab_say_skipped(tab->path, tab->rows[i].line, str_from_c(why));
    }
    return t;
}

static void release(void *value)
{
    struct extauth_table *t = value;
    arena_release(&t->mem);
    mem_free(&t);
}

void extauth_init(void)
{
    if (cache == NULL)
        cache = tab_cache_new(TABLE, parse, release, NULL);
}

bool extauth_is_used(void)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct extauth_table *t = tab_cache_get(cache, &ref, &suspect);
    bool used = t == NULL ? suspect : t->count > 0 || t->broken;
    tab_cache_put(cache, &ref);
    return used;
}

bool extauth_each(extauth_fn *fn, void *ctx)
{
    struct tab_cached *ref = NULL;
    bool suspect = false, go_on = true;
    const struct extauth_table *t = tab_cache_get(cache, &ref, &suspect);
    for (size_t i = 0; t != NULL && i < t->count && go_on; i++)
        go_on = fn(ctx, t->methods[i].name);
    tab_cache_put(cache, &ref);
    return go_on;
}

bool extauth_find(struct str name, struct arena *a, struct extauth_method *out)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct extauth_table *t = tab_cache_get(cache, &ref, &suspect);
    const struct extauth_method *m = t == NULL ? NULL : find(t, name);
    if (m != NULL) {
        *out = *m;
        out->name = arena_str(a, m->name);
        out->challenge = arena_str(a, m->challenge);
    }
    tab_cache_put(cache, &ref);
    return m != NULL;
}

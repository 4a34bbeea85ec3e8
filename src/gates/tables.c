/*
 * tables.c - spammers.tab, spam-address.tab, smtp.ipprop.tab and smtp.hnprop.tab, in forms that
 * are asked quickly however long they are: networks as a prefix tree, sender patterns as maps
 * where they have no wildcard but a leading "*@". In all of them the first line that fits
 * counts.
 */
#include "gates/gates_int.h"

/* A network and what its line says. */
struct net_row {
    unsigned line;
    int64_t value; /* a code, or properties */
};

struct net_table {
    struct arena mem;
    struct net_row *rows;
    size_t count;
    struct nets nets; /* rank n: rows[n - 1] */
};

struct pattern {
    struct str text;
    unsigned line;
};

struct sender_table {
    struct arena mem;
    struct map whole;         /* "a@rude.net": line */
    struct map domains;       /* "rude.net" of "*@rude.net": line */
    struct pattern *patterns; /* all others */
    size_t count;
};

/* Names and ".domains", and what their lines say. */
struct name_table {
    struct arena mem;
    struct map names; /* struct net_row */
};

static struct tab_cache *spammers, *spam_addresses, *ipprops, *hnprops;

/* --- lines ------------------------------------------------------------------------------- */

/* Returns the reason for a bad line, or NULL. */
typedef const char *row_fn(const struct tab_row *row, struct ip_net *out_net, int64_t *out);

static const char bad_net[] = "not an address and a netmask";

/* "code=N" among words with commas between. */
static const char *parse_code(struct str text, int64_t *out)
{
    struct str word;
    while (str_cut(&text, ',', &word)) {
        word = str_trim(word);
        if (word.n == 0)
            continue;
        if (!str_istarts(word, STR("code=")))
            return "a parameter other than code=N";
        if (!str_to_i64(str_skip(word, 5), out))
            return "code= is not a number";
    }
    return NULL;
}

/* "ip" "netmask" ["params"], or "ip/bits" ["params"]. */
static const char *parse_spammer(const struct tab_row *row, struct ip_net *out_net,
                                 int64_t *out)
{
    struct str ip = tab_value(row, 0), mask = tab_value(row, 1), params = tab_value(row, 2);
    if (str_find(ip, '/') != SIZE_MAX) {
        params = mask.n > 0 ? mask : params;
        mask = STR("");
    }
    *out = 1;
    if (!ip_net_parse(ip, mask, out_net))
        return bad_net;
    return parse_code(params, out);
}

static const struct {
    const char *name;
    unsigned bit;
    bool counts; /* the value that sets the bit */
} properties[] = {
    { "WhiteList", PROPERTY_WHITE_LIST, true },
    { "EaseTLS", PROPERTY_EASE_TLS, true },
    { "SenderDomainCheck", PROPERTY_ANY_SENDER_DOMAIN, false },
    { "NoAuth", PROPERTY_NO_AUTH, true },
    { "EnableVRFY", PROPERTY_VRFY, true },
    { "EnableETRN", PROPERTY_ETRN, true },
};

struct str gate_properties_print(unsigned bits, struct arena *a)
{
    struct str text = STR("");
    for (size_t i = 0; i < ARRAY_LEN(properties); i++)
        if ((bits & properties[i].bit) != 0)
            text = arena_printf(a, "%.*s%s%s=%d", STR_ARG(text), text.n > 0 ? " " : "",
                                properties[i].name, properties[i].counts);
    return text;
}

static const char *parse_property(struct str text, unsigned *bits)
{
    struct str name = { "", 0 };
    (void)str_cut(&text, '=', &name);
    struct str value = text.p == NULL ? STR("1") : str_trim(text);
    bool on = str_eq(value, STR("1"));
    if (name.n == 0)
        return NULL;
    if (!on && !str_eq(value, STR("0")))
        return "a property is neither 0 nor 1";
    for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
        if (!str_ieq(str_trim(name), str_from_c(properties[i].name)))
            continue;
        *bits =
            on == properties[i].counts ? *bits | properties[i].bit : *bits & ~properties[i].bit;
        return NULL;
    }
    return "a property that isn't known";
}

/* "ip/bits" "Var=Value"...; several in one column too, with commas between. */
static const char *parse_properties(const struct tab_row *row, size_t from, int64_t *out)
{
    unsigned bits = 0;
    for (size_t i = from; i < row->count; i++) {
        struct str rest = tab_value(row, i), word;
        while (str_cut(&rest, ',', &word)) {
            const char *why = parse_property(str_trim(word), &bits);
            if (why != NULL)
                return why;
        }
    }
    *out = bits;
    return NULL;
}

static const char *parse_ipprop(const struct tab_row *row, struct ip_net *out_net, int64_t *out)
{
    struct str ip = tab_value(row, 0), mask = tab_value(row, 1);
    bool has_mask = str_find(ip, '/') == SIZE_MAX && str_find(mask, '=') == SIZE_MAX;
    if (!ip_net_parse(ip, has_mask ? mask : STR(""), out_net))
        return bad_net;
    return parse_properties(row, has_mask ? 2 : 1, out);
}

/* --- tables ------------------------------------------------------------------------------ */

static struct net_table *nets_of(const struct tab *tab, row_fn *parse)
{
    struct net_table *t = mem_new(sizeof(*t));
    t->rows = arena_new_array(&t->mem, struct net_row, tab->row_count + 1);
    for (size_t i = 0; i < tab->row_count; i++) {
        const struct tab_row *row = &tab->rows[i];
        struct ip_net net;
        int64_t value = 0;
        const char *why = parse(row, &net, &value);
        if (why != NULL) {
            tab_say_skipped(tab->path, row->line, str_from_c(why));
            continue;
        }
        t->rows[t->count++] = (struct net_row){ row->line, value };
        nets_add(&t->nets, &net, (uint32_t)t->count);
    }
    nets_finish(&t->nets);
    return t;
}

static void *spammers_parse(const struct tab *tab, void *ctx)
{
    (void)ctx;
    return nets_of(tab, parse_spammer);
}

static void *ipprops_parse(const struct tab *tab, void *ctx)
{
    (void)ctx;
    return nets_of(tab, parse_ipprop);
}

static void nets_free(void *value)
{
    struct net_table *t = value;
    nets_release(&t->nets);
    arena_release(&t->mem);
    mem_free(&t);
}

/* Keeps the first line of each text. Lines are kept as pointers to no object. */
static void put_first(struct map *m, struct str text, unsigned line)
{
    if (map_get(m, text) == NULL)
        (void)map_put(m, text, (void *)(uintptr_t)line);
}

static unsigned line_in(const struct map *m, struct str text)
{
    return (unsigned)(uintptr_t)map_get(m, text);
}

void *sender_table_parse(const struct tab *tab, void *ctx)
{
    struct sender_table *t = mem_new(sizeof(*t));
    (void)ctx;
    t->whole.fold = t->domains.fold = true;
    t->patterns = arena_new_array(&t->mem, struct pattern, tab->row_count + 1);
    for (size_t i = 0; i < tab->row_count; i++) {
        struct str text = arena_str(&t->mem, str_trim(tab_value(&tab->rows[i], 0)));
        struct str domain = str_skip(text, 2);
        if (text.n == 0)
            tab_say_skipped(tab->path, tab->rows[i].line, STR("an empty pattern"));
        else if (!str_has_any(text, "*?"))
            put_first(&t->whole, text, tab->rows[i].line);
        else if (str_starts(text, STR("*@")) && !str_has_any(domain, "*?@"))
            put_first(&t->domains, domain, tab->rows[i].line);
        else
            t->patterns[t->count++] = (struct pattern){ text, tab->rows[i].line };
    }
    return t;
}

void sender_table_free(void *value)
{
    struct sender_table *t = value;
    map_release(&t->whole);
    map_release(&t->domains);
    arena_release(&t->mem);
    mem_free(&t);
}

static void *hnprops_parse(const struct tab *tab, void *ctx)
{
    struct name_table *t = mem_new(sizeof(*t));
    (void)ctx;
    t->names.fold = true;
    for (size_t i = 0; i < tab->row_count; i++) {
        const struct tab_row *row = &tab->rows[i];
        struct net_row *kept = arena_new(&t->mem, sizeof(*kept));
        struct str name = arena_str(&t->mem, str_trim(tab_value(row, 0)));
        const char *why =
            name.n == 0 ? "an empty name" : parse_properties(row, 1, &kept->value);
        kept->line = row->line;
        if (why != NULL)
            tab_say_skipped(tab->path, row->line, str_from_c(why));
        else if (map_get(&t->names, name) == NULL)
            (void)map_put(&t->names, name, kept);
    }
    return t;
}

static void hnprops_free(void *value)
{
    struct name_table *t = value;
    map_release(&t->names);
    arena_release(&t->mem);
    mem_free(&t);
}

void gate_tables_init(void)
{
    if (spammers != NULL)
        return;
    spammers = tab_cache_new("spammers.tab", spammers_parse, nets_free, NULL);
    ipprops = tab_cache_new("smtp.ipprop.tab", ipprops_parse, nets_free, NULL);
    hnprops = tab_cache_new("smtp.hnprop.tab", hnprops_parse, hnprops_free, NULL);
    spam_addresses =
        tab_cache_new("spam-address.tab", sender_table_parse, sender_table_free, NULL);
}

/* --- look-ups ---------------------------------------------------------------------------- */

static enum rc find_net(struct tab_cache *cache, const struct ip *client, struct net_row *out)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct net_table *t = tab_cache_get(cache, &ref, &suspect);
    uint32_t rank = t == NULL ? 0 : nets_find(&t->nets, client);
    if (rank > 0)
        *out = t->rows[rank - 1];
    tab_cache_put(cache, &ref);
    /* While a table is in doubt its old version counts; only without one there's no answer. */
    return rank > 0 ? RC_OK : t != NULL || !suspect ? RC_PERM : RC_TEMP;
}

enum rc gate_spammers_find(const struct ip *client, int64_t *out_code, unsigned *out_line)
{
    struct net_row row;
    enum rc rc = find_net(spammers, client, &row);
    if (rc != RC_OK)
        return rc;
    *out_code = row.value;
    *out_line = row.line;
    return RC_OK;
}

unsigned gate_ipprop_find(const struct ip *client, unsigned *out_line)
{
    struct net_row row = { .line = 0 };
    *out_line = 0;
    if (find_net(ipprops, client, &row) != RC_OK)
        return 0; /* no property is the careful answer */
    *out_line = row.line;
    return (unsigned)row.value;
}

unsigned gate_hnprop_find(struct str name, unsigned *out_line)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    unsigned bits = 0;
    const struct name_table *t = tab_cache_get(hnprops, &ref, &suspect);
    const struct net_row *row = t == NULL ? NULL : map_get(&t->names, name);
    for (size_t at = 0; t != NULL && row == NULL && at < name.n; at++)
        if (name.p[at] == '.')
            row = map_get(&t->names, str_skip(name, at));
    *out_line = row == NULL ? 0 : row->line;
    bits = row == NULL ? 0 : (unsigned)row->value;
    tab_cache_put(hnprops, &ref);
    return bits;
}

bool gate_hnprop_has_rows(void)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct name_table *t = tab_cache_get(hnprops, &ref, &suspect);
    bool any = t != NULL && t->names.live > 0;
    tab_cache_put(hnprops, &ref);
    return any;
}

static unsigned earlier(unsigned a, unsigned b)
{
    if (a == 0 || b == 0)
        return a + b;
    return MIN(a, b);
}

unsigned sender_table_find(const struct sender_table *t, struct str address)
{
    unsigned line = line_in(&t->whole, address);
    size_t at = str_rfind(address, '@');
    if (at != SIZE_MAX)
        line = earlier(line, line_in(&t->domains, str_skip(address, at + 1)));
    for (size_t i = 0; i < t->count && (line == 0 || t->patterns[i].line < line); i++)
        if (str_matches(address, t->patterns[i].text))
            return t->patterns[i].line;
    return line;
}

enum rc gate_spam_address_find(struct str address, unsigned *out_line)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    const struct sender_table *t = tab_cache_get(spam_addresses, &ref, &suspect);
    unsigned line = t == NULL ? 0 : sender_table_find(t, address);
    tab_cache_put(spam_addresses, &ref);
    if (line == 0)
        return t != NULL || !suspect ? RC_PERM : RC_TEMP;
    *out_line = line;
    return RC_OK;
}

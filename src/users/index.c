/*
 * index.c - building the index from domains.tab, aliasdomain.tab, mailusers.tab and
 * aliases.tab. Called by the control role (and by tools) at the start and when a table changed.
 * A line that can't be used is skipped and reported; it never costs another line. Room for
 * growth is a hole in the memory file and takes no memory.
 */
#include "conf/tab.h"
#include "users/index_int.h"
#include "users/memfile.h"

#define PROBLEMS_LOGGED_MAX 100u
#define GROWTH_BYTES ((uint64_t)1 << 20)
#define GROWTH_ENTRIES 16384u          /* that fit into it, about */
#define TEXT_OCTETS_MAX ((size_t)4096) /* of one value of a line */

/* A wildcard alias until all are known and sorted. */
struct wild {
    uint32_t offset;
    size_t weight; /* octets of both patterns */
    unsigned line;
};

struct builder {
    struct arena *a;
    struct tab tabs[INDEX_TABLES];
    struct index_map ix; /* writable */
    struct users_report report;
    struct wild *wilds;
    size_t wild_count;
    uint32_t last_wild_domain;
};

/* --- problems ---------------------------------------------------------------------------- */

static void problem(struct builder *b, const char *path, unsigned line, struct str why)
{
    b->report.problems++;
    if (b->report.problems <= PROBLEMS_LOGGED_MAX)
        tab_say_skipped(path, line, why);
    if (b->report.problems == PROBLEMS_LOGGED_MAX)
        log_warn(EV("more table problems are not shown"), KV("advice", "run hikyaku check"));
}

static void row_problem(struct builder *b, enum index_table table, const struct tab_row *row,
                        const char *why)
{
    problem(b, index_table_paths[table], row->line, str_from_c(why));
}

/* --- domains ----------------------------------------------------------------------------- */

/* The entry of the domain, made without ENTRY_LOCAL when there is none; 0: no domain name. */
static uint32_t domain_intern(struct builder *b, struct str name)
{
    struct str key;
    uint32_t offset = 0;
    if (!index_domain_key(name, b->a, &key))
        return 0;
    if (index_find(&b->ix, ENTRY_DOMAIN, 0, key, &offset) != NULL)
        return offset;
    struct new_entry n = { .kind = ENTRY_DOMAIN, .text = { key, { "", 0 }, { "", 0 } } };
    if (!str_eq(key, name))
        n.text[1] = name;
    return entry_add(&b->ix, &n);
}

static void add_domain(struct builder *b, const struct tab_row *row)
{
    struct index_entry *entry = index_entry(&b->ix, domain_intern(b, tab_value(row, 0)));
    if (entry == NULL) {
        row_problem(b, INDEX_DOMAINS, row, "not a domain name");
    } else if (entry_has(entry, ENTRY_LOCAL)) {
        row_problem(b, INDEX_DOMAINS, row, "this domain stands in the table already");
    } else {
        (void)atomic_fetch_or(&entry->flags, (uint8_t)ENTRY_LOCAL);
        b->report.domains++;
    }
}

/* A domain pattern label by label in A-labels; a label with a wildcard must be ASCII. */
static bool pattern_key(struct str pattern, struct arena *a, struct str *out)
{
    if (str_is_ascii(pattern)) {
        *out = pattern;
        return !str_has_control(pattern);
    }
    struct str rest = pattern, label, key = { NULL, 0 };
    while (str_cut(&rest, '.', &label)) {
        struct str part = label;
        if (!str_is_ascii(label) &&
            (index_is_pattern(label) || !index_domain_key(label, a, &part)))
            return false;
        key = key.p == NULL ? part : arena_printf(a, "%.*s.%.*s", STR_ARG(key), STR_ARG(part));
    }
    *out = key;
    return true;
}

static void add_wild_domain(struct builder *b, struct str pattern, uint32_t real)
{
    struct new_entry n = { .kind = ENTRY_DOMAIN_WILD,
                           .domain = real,
                           .text = { pattern, { "", 0 }, { "", 0 } } };
    uint32_t offset = entry_write(&b->ix, &n);
    struct index_entry *last = index_entry(&b->ix, b->last_wild_domain);
    atomic_store_explicit(last == NULL ? &b->ix.head->wild_domains : &last->next, offset,
                          memory_order_release);
    b->last_wild_domain = offset;
    b->report.alias_domains++;
}

static void add_alias_domain(struct builder *b, const struct tab_row *row)
{
    struct str name = tab_value(row, 0), key;
    uint32_t real = index_local_domain(&b->ix, b->a, tab_value(row, 1));
    if (real == 0) {
        row_problem(b, INDEX_ALIAS_DOMAINS, row, "the real domain is not in domains.tab");
        return;
    }
    if (index_is_pattern(name)) {
        if (pattern_key(name, b->a, &key))
            add_wild_domain(b, key, real);
        else
            row_problem(b, INDEX_ALIAS_DOMAINS, row, "not a domain pattern");
        return;
    }
    if (!index_domain_key(name, b->a, &key)) {
        row_problem(b, INDEX_ALIAS_DOMAINS, row, "not a domain name");
        return;
    }
    if (index_find(&b->ix, ENTRY_DOMAIN_ALIAS, 0, key, NULL) != NULL) {
        row_problem(b, INDEX_ALIAS_DOMAINS, row, "this alias stands in the table already");
        return;
    }
    /* Look-ups compare the domain member, so the real domain is kept in extra. */
    (void)entry_add(&b->ix, &(struct new_entry){ .kind = ENTRY_DOMAIN_ALIAS,
                                                 .extra = real,
                                                 .text = { key, { "", 0 }, { "", 0 } } });
    b->report.alias_domains++;
}

/* --- accounts ---------------------------------------------------------------------------- */

static bool texts_fit(const struct tab_row *row)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->values[i].n > TEXT_OCTETS_MAX)
            return false;
    return true;
}

static void add_account(struct builder *b, const struct tab_row *row)
{
    struct str name = tab_value(row, 1), folder = tab_value(row, 4);
    uint64_t id = 0;
    uint32_t domain = index_local_domain(&b->ix, b->a, tab_value(row, 0));
    if (domain == 0) {
        /* One problem, not one a line, when the whole table of domains is lost. */
        if ((b->ix.head->lost & 1u << INDEX_DOMAINS) == 0)
            row_problem(b, INDEX_ACCOUNTS, row, "the domain is not in domains.tab");
        return;
    }
    if (name.n == 0 || !index_folder_is_good(folder)) {
        row_problem(b, INDEX_ACCOUNTS, row, "bad account name or folder");
        return;
    }
    if (index_find(&b->ix, ENTRY_ACCOUNT, domain, name, NULL) != NULL) {
        row_problem(b, INDEX_ACCOUNTS, row, "this account stands in the table already");
        return;
    }
    if (!str_to_u64(tab_value(row, 3), &id) || id == 0 || id > UINT32_MAX) {
        id = 0;
        row_problem(b, INDEX_ACCOUNTS, row, "the id is not a number; the account is used");
    }
    struct new_entry n = { .kind = ENTRY_ACCOUNT,
                           .flags = str_ieq(tab_value(row, 5), STR("M")) ? ENTRY_LIST : 0,
                           .domain = domain,
                           .extra = (uint32_t)id,
                           .text = { name, tab_value(row, 2), folder } };
    if (str_eq(folder, name))
        n.text[2].n = 0;
    (void)entry_add(&b->ix, &n);
    if (n.extra > b->ix.head->last_id)
        b->ix.head->last_id = n.extra;
    b->report.accounts++;
}

/* --- aliases ----------------------------------------------------------------------------- */

static void add_wild_alias(struct builder *b, const struct tab_row *row, struct new_entry *n)
{
    struct str domain = tab_value(row, 0), key;
    size_t weight = n->text[0].n;
    n->kind = ENTRY_ALIAS_WILD;
    n->extra = row->line;
    if (index_is_pattern(domain)) {
        if (!pattern_key(domain, b->a, &key)) {
            row_problem(b, INDEX_ALIASES, row, "not a domain pattern");
            return;
        }
        n->text[0] = arena_printf(b->a, "%.*s@%.*s", STR_ARG(n->text[0]), STR_ARG(key));
        weight += key.n;
    } else {
        n->domain = domain_intern(b, domain);
        const struct index_entry *entry = index_entry(&b->ix, n->domain);
        if (entry == NULL) {
            row_problem(b, INDEX_ALIASES, row, "not a domain name");
            return;
        }
        weight += entry->text_n[0];
    }
    b->wilds[b->wild_count++] = (struct wild){ entry_write(&b->ix, n), weight, row->line };
    b->report.aliases++;
}

static void add_alias(struct builder *b, const struct tab_row *row)
{
    struct new_entry n = { .kind = ENTRY_ALIAS, .text = { tab_value(row, 1) } };
    if (n.text[0].n == 0 ||
        !index_split_target(tab_value(row, 2), b->a, &n.text[1], &n.text[2])) {
        row_problem(b, INDEX_ALIASES, row, "bad alias or target");
        return;
    }
    if (index_is_pattern(tab_value(row, 0)) || index_is_pattern(n.text[0])) {
        add_wild_alias(b, row, &n);
        return;
    }
    n.domain = domain_intern(b, tab_value(row, 0));
    if (n.domain == 0) {
        row_problem(b, INDEX_ALIASES, row, "not a domain name");
        return;
    }
    if (index_find(&b->ix, ENTRY_ALIAS, n.domain, n.text[0], NULL) != NULL) {
        row_problem(b, INDEX_ALIASES, row, "this alias stands in the table already");
        return;
    }
    (void)entry_add(&b->ix, &n);
    b->report.aliases++;
}

/* Longest patterns first, then first in the file. */
static int wild_order(const void *x, const void *y)
{
    const struct wild *a = x, *b = y;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return a->line < b->line ? -1 : a->line > b->line;
}

static void chain_wild_aliases(struct builder *b)
{
    if (b->wild_count == 0)
        return;
    qsort(b->wilds, b->wild_count, sizeof(*b->wilds), wild_order);
    for (size_t i = b->wild_count; i-- > 0;) {
        const struct index_entry *entry = index_entry(&b->ix, b->wilds[i].offset);
        struct index_entry *domain = entry == NULL ? NULL : index_entry(&b->ix, entry->domain);
        chain_push(&b->ix, domain == NULL ? &b->ix.head->wild_aliases : &domain->extra,
                   b->wilds[i].offset);
    }
}

/* --- the whole --------------------------------------------------------------------------- */

struct table_rule {
    size_t columns;
    void (*add)(struct builder *b, const struct tab_row *row);
};

/* In the order of enum index_table: each needs those before it. */
static const struct table_rule rules[INDEX_TABLES] = {
    [INDEX_DOMAINS] = { 1, add_domain },
    [INDEX_ALIAS_DOMAINS] = { 2, add_alias_domain },
    [INDEX_ACCOUNTS] = { 6, add_account },
    [INDEX_ALIASES] = { 3, add_alias },
};

/* Reads the tables; what is missing or unreadable becomes a bit of *out_lost. */
static void read_tables(struct builder *b, uint32_t *out_lost)
{
    for (unsigned i = 0; i < INDEX_TABLES; i++) {
        struct err e;
        struct tab *tab = &b->tabs[i];
        const char *why = NULL;
        if (tab_read(index_table_paths[i], b->a, tab, &e) != RC_OK) {
            *tab = (struct tab){ .path = index_table_paths[i] };
            why = e.text;
        } else if (tab->missing && (INDEX_REQUIRED & 1u << i) != 0) {
            why = "the table is missing";
        }
        if (why != NULL) {
            *out_lost |= 1u << i;
            problem(b, index_table_paths[i], 0, str_from_c(why));
        }
        for (size_t k = 0; k < tab->problem_count; k++)
            problem(b, index_table_paths[i], tab->problems[k].line, tab->problems[k].text);
    }
}

/* Room for every line: its entry, a domain made on its behalf, and its text twice for the
 * A-labels. */
static uint64_t heap_size(const struct builder *b, size_t *out_rows)
{
    uint64_t n = GROWTH_BYTES;
    for (unsigned i = 0; i < INDEX_TABLES; i++) {
        const struct tab *tab = &b->tabs[i];
        *out_rows += tab->row_count;
        n += 3 * tab->id.size + tab->row_count * 2 * (sizeof(struct index_entry) + 4);
    }
    return n;
}

static enum rc make_file(struct builder *b, uint32_t lost, int *out_fd, struct err *e)
{
    size_t rows = 0;
    uint64_t heap = heap_size(b, &rows);
    uint32_t buckets = GROWTH_ENTRIES / 4;
    while (buckets < rows && buckets < 1u << 28)
        buckets *= 2;
    uint64_t heap_at = sizeof(struct index_head) + (uint64_t)buckets * sizeof(uint32_t);
    if (heap_at + heap > UINT32_MAX)
        return err_temp(e, "4.3.0", "the tables are too large for the index");
    void *base = NULL;
    enum rc rc = memfile_make("hikyaku-users", (size_t)(heap_at + heap), out_fd, &base, e);
    if (rc != RC_OK)
        return rc;
    struct index_head *head = base;
    *head = (struct index_head){ .magic = INDEX_MAGIC,
                                 .seed = hash_seed(),
                                 .size_bytes = heap_at + heap,
                                 .lost = lost,
                                 .bucket_count = buckets,
                                 .heap_at = (uint32_t)heap_at };
    atomic_init(&head->heap_end, (uint32_t)heap_at);
    for (unsigned i = 0; i < INDEX_TABLES; i++)
        head->tables[i] = b->tabs[i].id;
    b->ix = (struct index_map){ .head = head,
                                .size = (size_t)head->size_bytes,
                                .bucket_count = buckets,
                                .heap_at = (uint32_t)heap_at };
    return RC_OK;
}

static void fill(struct builder *b)
{
    b->wilds = arena_new_array(b->a, struct wild, b->tabs[INDEX_ALIASES].row_count + 1);
    for (unsigned i = 0; i < INDEX_TABLES; i++) {
        for (size_t k = 0; k < b->tabs[i].row_count; k++) {
            const struct tab_row *row = &b->tabs[i].rows[k];
            if (row->count < rules[i].columns)
                row_problem(b, (enum index_table)i, row, "too few columns");
            else if (!texts_fit(row))
                row_problem(b, (enum index_table)i, row, "a value is too long");
            else
                rules[i].add(b, row);
        }
    }
    chain_wild_aliases(b);
}

enum rc users_index_build(int *out_fd, struct users_report *out, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct builder b = { .a = &a };
    uint32_t lost = 0;
    int fd AUTO_CLOSE = -1;
    read_tables(&b, &lost);
    enum rc rc = make_file(&b, lost, &fd, e);
    if (rc != RC_OK)
        return rc;
    struct file_id tables[INDEX_TABLES];
    memcpy(tables, b.ix.head->tables, sizeof(tables));
    fill(&b);
    b.report.memory_bytes = atomic_load_explicit(&b.ix.head->heap_end, memory_order_relaxed);
    rc = memfile_seal_readers(fd, e);
    if (rc != RC_OK) {
        memfile_unmap(b.ix.head, b.ix.size);
        return rc;
    }
    index_keep_writable(&b.ix);
    index_note_built(tables);
    *out = b.report;
    *out_fd = fd;
    fd = -1;
    return RC_OK;
}

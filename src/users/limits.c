/*
 * limits.c - see limits.h. A count is a slot as those of guard.c: it drains evenly, a full
 * limit in the line's time, so that a limit of N means N at once and N in each such time. Who
 * is held stands with its name in another area, whose slots are read and written without locks:
 * a reader that meets a writer looks again, and a writer that meets another leaves the work to
 * it.
 */
#include "users/limits.h"
#include "conf/tab.h"
#include "sys/metrics.h"
#include "users/guard_int.h"

#define FULL ((uint32_t)1 << 21)
#define ROWS_MAX ((size_t)64)
#define COUNT_MAX 100000u
#define WINDOW_MAX_S 604800u
#define DELAY_MAX_S 300u
#define READS_MAX 4u

struct limit_row {
    bool is_account, notify;
    enum limit_what what;
    enum limit_action action;
    uint32_t count, window_s;
    uint16_t delay_s;
    unsigned line;
};

struct limit_table {
    size_t count;
    struct limit_row rows[ROWS_MAX];
};

static struct tab_cache *limits_tab;

static const char *const what_names[] = { "connections", "messages", "recipients",
                                          "bad-logins" };
static const char *const action_names[] = { "delay", "refuse", "stop" };

const char *limit_what_name(enum limit_what what)
{
    return what_names[what];
}

const char *limit_action_name(enum limit_action action)
{
    return action_names[action];
}

/* --- lines: "address" or "account", what, count, seconds, action[,notify] -------------------
 */

static bool find_name(struct str text, const char *const *names, size_t count, unsigned *out)
{
    for (size_t i = 0; i < count; i++)
        if (str_ieq(text, str_from_c(names[i]))) {
            *out = (unsigned)i;
            return true;
        }
    return false;
}

static bool parse_number(struct str text, uint64_t most, uint32_t *out)
{
    uint64_t n = 0;
    if (!str_to_u64(str_trim(text), &n) || n == 0 || n > most)
        return false;
    *out = (uint32_t)n;
    return true;
}

/* "refuse", "stop", "delay=S"; "notify" besides. */
static const char *parse_action(struct str text, struct limit_row *out)
{
    struct str word, name;
    unsigned action = LIMIT_REFUSE;
    uint32_t seconds = 0;
    bool any = false;
    while (text.n > 0 && str_cut(&text, ',', &word)) {
        struct str value = str_trim(word);
        (void)str_cut(&value, '=', &name);
        bool is_action =
            find_name(str_trim(name), action_names, ARRAY_LEN(action_names), &action);
        if (str_ieq(str_trim(word), STR("notify")))
            out->notify = true;
        else if (!is_action || any)
            return "the action is not one of delay=SECONDS, refuse, stop, with notify or "
                   "without";
        else if ((action == LIMIT_DELAY) != (value.p != NULL) ||
                 (value.p != NULL && !parse_number(value, DELAY_MAX_S, &seconds)))
            return "only delay has seconds, 1 to 300";
        any = any || is_action;
    }
    out->action = (enum limit_action)action;
    out->delay_s = (uint16_t)seconds;
    if (out->action == LIMIT_STOP && !out->is_account)
        return "only an account can be stopped";
    return any ? NULL : "there is no action";
}

static const char *parse_row(const struct tab_row *row, struct limit_row *out)
{
    static const char *const whom[] = { "address", "account" };
    unsigned who = 0, what = 0;
    *out = (struct limit_row){ .line = row->line };
    if (!find_name(str_trim(tab_value(row, 0)), whom, ARRAY_LEN(whom), &who))
        return "neither address nor account";
    if (!find_name(str_trim(tab_value(row, 1)), what_names, ARRAY_LEN(what_names), &what))
        return "not connections, messages, recipients or bad-logins";
    if (!parse_number(tab_value(row, 2), COUNT_MAX, &out->count))
        return "the count is not 1 to 100000";
    if (!parse_number(tab_value(row, 3), WINDOW_MAX_S, &out->window_s))
        return "the time is not 1 to 604800 seconds";
    out->is_account = who == 1;
    out->what = (enum limit_what)what;
    return parse_action(tab_value(row, 4), out);
}

static void *table_parse(const struct tab *tab, void *ctx)
{
    struct limit_table *t = mem_new(sizeof(*t));
    (void)ctx;
    for (size_t i = 0; i < tab->row_count; i++) {
        struct limit_row row;
        const char *why =
            t->count == ROWS_MAX ? "more than 64 lines" : parse_row(&tab->rows[i], &row);
        if (why == NULL)
            t->rows[t->count++] = row;
        else
            tab_say_skipped(tab->path, tab->rows[i].line, str_from_c(why));
    }
    return t;
}

static void table_free(void *value)
{
    struct limit_table *t = value;
    mem_free(&t);
}

void limits_init(void)
{
    if (limits_tab == NULL)
        limits_tab = tab_cache_new("limits.tab", table_parse, table_free, NULL);
}

/* --- names ------------------------------------------------------------------------------- */

/* An IPv6 client is its /64. */
static struct str name_of_client(const struct ip *client, char text[LIMIT_WHO_BYTES])
{
    struct ip net = *client;
    char print[IP_TEXT_BYTES];
    bool v4 = ip_is_v4(client);
    if (!v4)
        memset(net.b + 8, 0, 8);
    int n = snprintf(text, LIMIT_WHO_BYTES, "%s%s", ip_print(&net, print), v4 ? "" : "/64");
    return str_from(text, (size_t)n);
}

/* Logins write "user:domain" too. One that is too long is cut. */
static struct str name_of_account(struct str account, char text[LIMIT_WHO_BYTES])
{
    size_t n = MIN(account.n, (size_t)LIMIT_WHO_BYTES - 1);
    bool has_at = str_find(account, '@') != SIZE_MAX;
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(!has_at && account.p[i] == ':' ? '@' : ascii_lower(account.p[i]));
    text[n] = '\0';
    return str_from(text, n);
}

/* --- who is held ------------------------------------------------------------------------- */

/* A key for each name and what it is held for; a stopped account is held for one more thing. */
static uint64_t key_of_held(const struct guard_table *t, struct str who, bool is_account,
                            unsigned what)
{
    uint64_t key = hash_text(who, true, t->seed ^ (what * 2 + is_account + 1));
    return key == 0 ? 1 : key;
}

static unsigned place_of(const struct limit_held *held)
{
    return held->action == LIMIT_STOP ? ARRAY_LEN(what_names) : held->what;
}

static struct held_slot *bucket_of(struct guard_table *t, uint64_t key)
{
    return t->held + (key % (HELD_SLOTS / GUARD_WAYS)) * GUARD_WAYS;
}

static bool is_over(const struct limit_held *held)
{
    return held->until > 0 && held->until <= clock_wall();
}

/* A copy of what stands there; false: nothing that counts. */
static bool read_slot(struct held_slot *s, struct limit_held *out)
{
    uint64_t words[ARRAY_LEN(s->words)];
    for (unsigned i = 0; i < READS_MAX; i++) {
        uint64_t before = atomic_load(&s->version);
        if (atomic_load(&s->key) == 0 || (before & 1) != 0)
            continue;
        for (size_t k = 0; k < ARRAY_LEN(words); k++)
            words[k] = atomic_load_explicit(&s->words[k], memory_order_acquire);
        if (atomic_load(&s->version) != before)
            continue;
        memcpy(out, words, sizeof(*out));
        out->who[LIMIT_WHO_BYTES - 1] = '\0';
        return out->what < ARRAY_LEN(what_names) && out->action < ARRAY_LEN(action_names) &&
               !is_over(out);
    }
    return false;
}

static bool write_slot(struct held_slot *s, uint64_t key, const struct limit_held *held)
{
    uint64_t words[ARRAY_LEN(s->words)], version = atomic_load(&s->version);
    memcpy(words, held, sizeof(words));
    if ((version & 1) != 0 ||
        !atomic_compare_exchange_strong(&s->version, &version, version + 1))
        return false;
    for (size_t k = 0; k < ARRAY_LEN(words); k++)
        atomic_store_explicit(&s->words[k], words[k], memory_order_release);
    atomic_store(&s->key, key);
    atomic_store(&s->version, version + 2);
    atomic_fetch_add(&guard_table()->changes, 1);
    return true;
}

static struct held_slot *slot_of(struct guard_table *t, uint64_t key)
{
    struct held_slot *bucket = bucket_of(t, key);
    for (unsigned i = 0; i < GUARD_WAYS; i++)
        if (atomic_load(&bucket[i].key) == key)
            return &bucket[i];
    return NULL;
}

/* Its own place, a free one, or that of one who is held for the shortest time; never that of a
 * stopped account. */
static struct held_slot *place_for(struct guard_table *t, uint64_t key)
{
    struct held_slot *bucket = bucket_of(t, key), *best = slot_of(t, key);
    usec_t soonest = USEC_FOREVER;
    for (unsigned i = 0; best == NULL && i < GUARD_WAYS; i++) {
        struct limit_held held;
        if (!read_slot(&bucket[i], &held))
            return &bucket[i];
        if (held.until > 0 && held.until < soonest)
            soonest = held.until;
    }
    for (unsigned i = 0; best == NULL && i < GUARD_WAYS; i++) {
        struct limit_held held;
        if (read_slot(&bucket[i], &held) && held.until > 0 && held.until == soonest)
            best = &bucket[i];
    }
    return best;
}

bool limits_hold(const struct limit_held *held)
{
    struct guard_table *t = guard_table();
    uint64_t key = key_of_held(t, str_from_c(held->who), held->is_account, place_of(held));
    struct held_slot *s = place_for(t, key);
    return s != NULL && write_slot(s, key, held);
}

static bool find(struct str who, bool is_account, unsigned what, struct limit_held *out)
{
    struct guard_table *t = guard_table();
    struct held_slot *s = slot_of(t, key_of_held(t, who, is_account, what));
    return s != NULL && read_slot(s, out);
}

bool limits_find_client(const struct ip *client, enum limit_what what, struct limit_held *out)
{
    char text[LIMIT_WHO_BYTES];
    return find(name_of_client(client, text), false, what, out);
}

bool limits_find_account(struct str account, enum limit_what what, struct limit_held *out)
{
    char text[LIMIT_WHO_BYTES];
    struct str who = name_of_account(account, text);
    return find(who, true, ARRAY_LEN(what_names), out) || find(who, true, what, out);
}

void limits_each(limits_each_fn *fn, void *ctx)
{
    struct guard_table *t = guard_table();
    for (size_t i = 0; i < HELD_SLOTS; i++) {
        struct limit_held held;
        if (read_slot(&t->held[i], &held))
            fn(ctx, &held);
    }
}

uint64_t limits_changes(void)
{
    return atomic_load(&guard_table()->changes);
}

/* --- counting ---------------------------------------------------------------------------- */

static void add_score(struct slot *s, uint32_t value)
{
    s->score = MIN(s->score + value, 2 * FULL - 1);
}

static struct area area_of(struct guard_table *t, const struct limit_row *row)
{
    return (struct area){ .slots = t->counts,
                          .count = COUNT_SLOTS,
                          .full = FULL,
                          .drain_s = row->window_s,
                          .score_bits = 22,
                          .second_bits = 20 };
}

static uint64_t key_of_count(const struct guard_table *t, const struct limit_row *row,
                             struct str who)
{
    return hash_text(
        who, true, t->seed ^ ((uint64_t)row->window_s << 8 | row->what << 1 | row->is_account));
}

static void reached(const struct limit_row *row, struct str who)
{
    usec_t now = clock_wall();
    struct limit_held held = {
        .since = now,
        .until = row->action == LIMIT_STOP ? 0 : now + (usec_t)row->window_s * USEC_S,
        .count = row->count,
        .window_s = row->window_s,
        .line = row->line,
        .delay_s = row->delay_s,
        .what = (uint8_t)row->what,
        .action = (uint8_t)row->action,
        .is_account = row->is_account,
        .notify = row->notify,
    };
    memcpy(held.who, who.p, who.n);
    bool kept = limits_hold(&held);
    metric_add(METRIC_limits_reached, 1);
    log_warn(EV("limit reached"), KS(row->is_account ? "login" : "client", who),
             KV("what", limit_what_name(row->what)), KU("count", row->count),
             KU("seconds", row->window_s), KV("action", limit_action_name(row->action)),
             KU("line", row->line), KV("kept", kept ? "yes" : "no"));
}

static void count(struct str who, bool is_account, enum limit_what what)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    struct limit_held held;
    struct guard_table *t = guard_table();
    const struct limit_table *rows =
        limits_tab == NULL ? NULL : tab_cache_get(limits_tab, &ref, &suspect);
    for (size_t i = 0; rows != NULL && i < rows->count; i++) {
        const struct limit_row *row = &rows->rows[i];
        if (row->is_account != is_account || row->what != what)
            continue;
        /* Reached when one more wouldn't fit: what drains between the first and the last of
         * them doesn't make a limit of three one of four. */
        const uint32_t one = FULL / row->count;
        struct area a = area_of(t, row);
        struct slot s =
            slot_update(&a, key_of_count(t, row, who), clock_mono(), add_score, one);
        unsigned place = row->action == LIMIT_STOP ? ARRAY_LEN(what_names) : what;
        if (s.score > one * (row->count - 1) && !find(who, is_account, place, &held))
            reached(row, who);
    }
    if (limits_tab != NULL)
        tab_cache_put(limits_tab, &ref);
}

void limits_count_client(const struct ip *client, enum limit_what what)
{
    char text[LIMIT_WHO_BYTES];
    count(name_of_client(client, text), false, what);
}

void limits_count_account(struct str account, enum limit_what what)
{
    char text[LIMIT_WHO_BYTES];
    count(name_of_account(account, text), true, what);
}

static void forget_counts(struct str who, bool is_account)
{
    struct tab_cached *ref = NULL;
    bool suspect = false;
    struct guard_table *t = guard_table();
    const struct limit_table *rows = tab_cache_get(limits_tab, &ref, &suspect);
    for (size_t i = 0; rows != NULL && i < rows->count; i++) {
        struct area a = area_of(t, &rows->rows[i]);
        if (rows->rows[i].is_account == is_account)
            slot_drop(&a, key_of_count(t, &rows->rows[i], who));
    }
    tab_cache_put(limits_tab, &ref);
}

unsigned limits_release(struct str who)
{
    struct guard_table *t = guard_table();
    char text[LIMIT_WHO_BYTES];
    struct ip ip;
    unsigned released = 0;
    bool is_account = !ip_parse(str_head(who, str_find(who, '/')), &ip);
    struct str name = is_account ? name_of_account(who, text) : name_of_client(&ip, text);
    for (unsigned what = 0; what <= ARRAY_LEN(what_names); what++) {
        struct limit_held held;
        struct held_slot *s = slot_of(t, key_of_held(t, name, is_account, what));
        if (s == NULL || !read_slot(s, &held))
            continue;
        held.until = 1; /* long ago */
        released += write_slot(s, atomic_load(&s->key), &held);
    }
    forget_counts(name, is_account);
    return released;
}

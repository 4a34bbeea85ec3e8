/* delegate.c - see delegate.h. The tables are read at each question: they are short, and a
 * change counts at once. */
#include "users/delegate.h"
#include "conf/tab.h"
#include <time.h>

#define NUMBER_MOST INT64_C(1000000000)
#define DAY_MINUTES 1440u

enum item_kind { ITEM_DOMAINS, ITEM_NUMBER, ITEM_FLAG, ITEM_NETWORKS, ITEM_HOURS, ITEM_TEXT };

/* Items that aren't a member are what pages show: who he is, whom to ask. */
static const struct item {
    const char *name;
    enum item_kind kind;
    size_t member; /* offset; 0: none */
} items[] = {
    { "domains", ITEM_DOMAINS, offsetof(struct delegate, domains) },
    { "max-users", ITEM_NUMBER, offsetof(struct delegate, limits[LIMIT_USERS]) },
    { "max-lists", ITEM_NUMBER, offsetof(struct delegate, limits[LIMIT_LISTS]) },
    { "max-aliases", ITEM_NUMBER, offsetof(struct delegate, limits[LIMIT_ALIASES]) },
    { "max-members", ITEM_NUMBER, offsetof(struct delegate, limits[LIMIT_MEMBERS]) },
    { "max-mailbox-kb", ITEM_NUMBER, offsetof(struct delegate, limits[LIMIT_MAILBOX_KB]) },
    { "sign-in-minutes", ITEM_NUMBER,
      offsetof(struct delegate, limits[LIMIT_SIGN_IN_MINUTES]) },
    { "forwarding", ITEM_FLAG, offsetof(struct delegate, forwarding) },
    { "external", ITEM_FLAG, offsetof(struct delegate, external) },
    { "stopped", ITEM_FLAG, offsetof(struct delegate, stopped) },
    { "networks", ITEM_NETWORKS, offsetof(struct delegate, networks) },
    { "hours", ITEM_HOURS, offsetof(struct delegate, hours) },
    { "person", ITEM_TEXT, 0 },
    { "email", ITEM_TEXT, 0 },
    { "telephone", ITEM_TEXT, 0 },
    { "address", ITEM_TEXT, 0 },
    { "memo", ITEM_TEXT, 0 },
    { "support-person", ITEM_TEXT, 0 },
    { "support-email", ITEM_TEXT, 0 },
    { "support-telephone", ITEM_TEXT, 0 },
    { "receiving-server", ITEM_TEXT, 0 },
    { "sending-server", ITEM_TEXT, 0 },
};

const char *delegate_item(size_t n)
{
    return n < ARRAY_LEN(items) ? items[n].name : NULL;
}

static const struct item *find_item(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        if (str_ieq(name, str_from_c(items[i].name)))
            return &items[i];
    return NULL;
}

/* --- values ------------------------------------------------------------------------------- */

/* "08:30" in minutes. */
static bool parse_time(struct str text, unsigned *out)
{
    uint64_t hour = 0, minute = 0;
    struct str first;
    if (text.n != 5 || !str_cut(&text, ':', &first) || !str_to_u64(first, &hour) ||
        !str_to_u64(text, &minute) || hour > 24 || minute > 59)
        return false;
    *out = (unsigned)(hour * 60 + minute);
    return *out <= DAY_MINUTES;
}

static bool parse_hours(struct str text, unsigned *out_from, unsigned *out_until)
{
    struct str from;
    return str_cut(&text, '-', &from) && parse_time(str_trim(from), out_from) &&
           parse_time(str_trim(text), out_until) && *out_from != *out_until;
}

static bool are_networks(struct str list)
{
    struct str one;
    struct ip_net net;
    while (list.n > 0 && str_cut(&list, ',', &one))
        if (!ip_net_parse(str_trim(one), STR(""), &net))
            return false;
    return true;
}

static bool are_domains(struct str list)
{
    struct str one;
    while (list.n > 0 && str_cut(&list, ' ', &one))
        if (one.n > 0 && (str_has_any(one, "*?") || !users_domain_is_local(one)))
            return false;
    return true;
}

enum rc delegate_item_check(struct str name, struct str value, struct err *e)
{
    const struct item *item = find_item(name);
    unsigned from = 0, until = 0;
    int64_t n = 0;
    if (item == NULL)
        return err_perm(e, "5.5.4", "there is no such item");
    if (value.n == 0)
        return RC_OK;
    switch (item->kind) {
    case ITEM_DOMAINS:
        return are_domains(value) ? RC_OK : err_perm(e, "5.5.4", "not a domain of this server");
    case ITEM_NUMBER:
        return str_to_i64(value, &n) && n >= 0 && n <= NUMBER_MOST
                   ? RC_OK
                   : err_perm(e, "5.5.4", "not a number");
    case ITEM_FLAG:
        return str_eq(value, STR("1")) || str_eq(value, STR("0"))
                   ? RC_OK
                   : err_perm(e, "5.5.4", "neither 0 nor 1");
    case ITEM_NETWORKS:
        return are_networks(value) ? RC_OK : err_perm(e, "5.5.4", "not a list of networks");
    case ITEM_HOURS:
        return parse_hours(value, &from, &until) ? RC_OK
                                                 : err_perm(e, "5.5.4", "not like 08:00-18:00");
    case ITEM_TEXT:
        return RC_OK;
    }
    BUG("a kind of item");
}

/* A value that means nothing forbids. */
static void take(struct delegate *d, const struct item *item, struct str value)
{
    char *member = (char *)d + item->member;
    int64_t n = 0;
    if (item->member == 0 || value.n == 0)
        return;
    if (item->kind == ITEM_NUMBER)
        *(int64_t *)(void *)member = str_to_i64(value, &n) && n >= 0 ? n : 0;
    else if (item->kind == ITEM_FLAG)
        *(bool *)(void *)member = str_eq(value, STR("1"));
    else
        *(struct str *)(void *)member = value;
}

/* --- who he is ---------------------------------------------------------------------------- */

static enum administrator kind_of(const struct tab *admins, struct str name)
{
    for (size_t i = 0; i < admins->row_count; i++) {
        const struct tab_row *row = &admins->rows[i];
        if (str_ieq(tab_value(row, 0), name))
            return str_ieq(tab_value(row, 2), STR(DELEGATE_RIGHT)) ? ADMINISTRATOR_DELEGATE
                                                                   : ADMINISTRATOR_ALL;
    }
    return ADMINISTRATOR_NONE;
}

enum rc delegate_find(struct str name, struct arena *a, enum administrator *out_kind,
                      struct delegate *out, struct err *e)
{
    struct tab admins, rows;
    enum rc rc = tab_read(ADMINS_TABLE, a, &admins, e);
    if (rc != RC_OK)
        return rc;
    enum administrator kind = kind_of(&admins, name);
    if (kind != ADMINISTRATOR_DELEGATE) {
        *out_kind = kind;
        return RC_OK;
    }
    rc = tab_read(DELEGATES_TABLE, a, &rows, e);
    if (rc != RC_OK)
        return rc;
    *out = (struct delegate){ .name = arena_str(a, name) };
    for (size_t i = 0; i < DELEGATE_LIMITS; i++)
        out->limits[i] = NO_LIMIT;
    for (size_t i = 0; i < rows.row_count; i++) {
        const struct item *item = find_item(tab_value(&rows.rows[i], 1));
        if (item != NULL && str_ieq(tab_value(&rows.rows[i], 0), name))
            take(out, item, tab_value(&rows.rows[i], 2));
    }
    *out_kind = kind;
    return RC_OK;
}

bool delegate_has_domain(const struct delegate *d, struct str domain)
{
    struct str rest = d->domains, one;
    if (domain.n == 0 || str_has_any(domain, "*?"))
        return false;
    while (rest.n > 0 && str_cut(&rest, ' ', &one))
        if (str_ieq(one, domain))
            return true;
    return false;
}

static bool is_size(const struct delegate *d, struct str variable)
{
    return d->limits[LIMIT_MAILBOX_KB] != NO_LIMIT && str_ieq(variable, STR("MaxMBSize"));
}

bool delegate_keeps(const struct delegate *d, struct str variable)
{
    static const char *const rights[] = { "SmtpPerms", "MaxMessageSize",
                                          "DisableEmitAuthUser" };
    for (size_t i = 0; i < ARRAY_LEN(rights); i++)
        if (str_ieq(variable, str_from_c(rights[i])))
            return true;
    return is_size(d, variable);
}

bool delegate_may_set(const struct delegate *d, struct str variable, struct str value)
{
    int64_t kb = 0;
    if (!is_size(d, variable))
        return !delegate_keeps(d, variable);
    return str_to_i64(value, &kb) && kb > 0 && kb <= d->limits[LIMIT_MAILBOX_KB];
}

static bool is_hour(struct str hours)
{
    unsigned from = 0, until = 0;
    time_t now = (time_t)(clock_wall() / USEC_S);
    struct tm tm;
    if (hours.n == 0)
        return true;
    if (!parse_hours(hours, &from, &until) || localtime_r(&now, &tm) == NULL)
        return false;
    unsigned at = (unsigned)(tm.tm_hour * 60 + tm.tm_min);
    return from < until ? at >= from && at < until : at >= from || at < until;
}

const char *delegate_refusal(const struct delegate *d, const struct ip *client, usec_t began)
{
    int64_t minutes = d->limits[LIMIT_SIGN_IN_MINUTES];
    if (d->stopped)
        return "stopped";
    if (d->networks.n > 0 && !ip_in_list(client, d->networks))
        return "not-here";
    if (!is_hour(d->hours) || (began > 0 && minutes != NO_LIMIT &&
                               clock_wall() - began > (usec_t)minutes * 60 * USEC_S))
        return "not-now";
    return NULL;
}

enum rc delegate_count(const struct delegate *d, struct arena *a, struct delegate_counts *out,
                       struct err *e)
{
    struct tab users, aliases;
    enum rc rc = tab_read("mailusers.tab", a, &users, e);
    if (rc == RC_OK)
        rc = tab_read("aliases.tab", a, &aliases, e);
    if (rc != RC_OK)
        return rc;
    *out = (struct delegate_counts){ .users = 0 };
    for (size_t i = 0; i < users.row_count; i++) {
        if (!delegate_has_domain(d, tab_value(&users.rows[i], 0)))
            continue;
        bool list = str_ieq(tab_value(&users.rows[i], 5), STR("M"));
        out->lists += list ? 1 : 0;
        out->users += list ? 0 : 1;
    }
    for (size_t i = 0; i < aliases.row_count; i++)
        out->aliases += delegate_has_domain(d, tab_value(&aliases.rows[i], 0)) ? 1 : 0;
    return RC_OK;
}

/*
 * import_hmail.c - `hikyaku import hmailserver`: domains, accounts, aliases and lists by
 * commands of the control protocol, then their mail. What is there already stays, so it can be
 * repeated.
 */
#include "import/hmail.h"
#include "tools/import_int.h"

struct work {
    struct import *im;
    const char *data;
    struct hmail h;
    struct orders orders;
    struct import_hmail_counts *counts;
};

static struct str value(const struct work *w, enum hmail_table t, size_t row,
                        const char *column)
{
    return sql_value(&w->h.tables[t], row, column);
}

static void say(struct work *w, struct str of, const char *what)
{
    w->im->say(w->im->ctx, of, str_from_c(what));
}

static bool is_on(struct str text)
{
    return text.n > 0 && !str_eq(text, STR("0"));
}

/* "local@domain" in two; false: it isn't one. */
static bool split(struct str address, struct str *out_local, struct str *out_domain)
{
    size_t at = str_rfind(address, '@');
    *out_local = str_head(address, at);
    *out_domain = at == SIZE_MAX ? STR("") : str_skip(address, at + 1);
    return out_local->n > 0 && out_domain->n > 0;
}

/* --- commands ---------------------------------------------------------------------------- */

enum made { MADE, MADE_BEFORE, MADE_NOT };

/* A command that makes something; `exists` is the answer's start when it is there already.
 * Refusals are said. A rehearsal sends nothing. */
static enum made make(struct work *w, struct str what, const char *exists,
                      const struct str *words, size_t count)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str line = STR("");
    if (!w->im->really)
        return MADE;
    if (!orders_ask(&w->orders, words, count, &line))
        return MADE_NOT;
    if (str_starts(line, STR("+")))
        return MADE;
    if (str_starts(line, str_from_c(exists)))
        return MADE_BEFORE;
    w->counts->refused++;
    w->im->say(w->im->ctx, what, arena_printf(&a, "%.*s", STR_ARG(line)));
    return MADE_NOT;
}

static void set(struct work *w, struct str domain, struct str name, struct str variable,
                struct str text)
{
    const struct str words[] = { STR("uservarsset"), domain, name, variable, text };
    (void)make(w, name, "+", words, ARRAY_LEN(words));
}

/* --- what there is ----------------------------------------------------------------------- */

static void make_domains(struct work *w)
{
    for (size_t i = 0; i < w->h.tables[HMAIL_DOMAINS].count; i++) {
        struct str name = value(w, HMAIL_DOMAINS, i, "domainname");
        const struct str words[] = { STR("domainadd"), name };
        if (!is_on(value(w, HMAIL_DOMAINS, i, "domainactive")))
            say(w, name, "was switched off there; here it takes mail");
        w->counts->domains += make(w, name, "-00104", words, ARRAY_LEN(words)) == MADE;
    }
    for (size_t i = 0; i < w->h.tables[HMAIL_DOMAIN_ALIASES].count; i++) {
        size_t row = hmail_domain(&w->h, value(w, HMAIL_DOMAIN_ALIASES, i, "dadomainid"));
        struct str alias = value(w, HMAIL_DOMAIN_ALIASES, i, "daalias");
        if (row == SIZE_MAX || alias.n == 0)
            continue;
        const struct str words[] = { STR("aliasdomainadd"),
                                     value(w, HMAIL_DOMAINS, row, "domainname"), alias };
        w->counts->aliases += make(w, alias, "-00026", words, ARRAY_LEN(words)) == MADE;
    }
}

static void make_settings(struct work *w, size_t row, struct str domain, struct str name)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    uint64_t mb = 0;
    (void)str_to_u64(value(w, HMAIL_ACCOUNTS, row, "accountmaxsize"), &mb);
    set(w, domain, name, STR("MaxMBSize"), arena_printf(&a, "%" PRIu64, mb * 1024));
    if (is_on(value(w, HMAIL_ACCOUNTS, row, "accountactive")))
        return;
    set(w, domain, name, STR("ReceiveEnable"), STR("0"));
    set(w, domain, name, STR("PopEnable"), STR("0"));
}

static void make_account(struct work *w, size_t row)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str address = value(w, HMAIL_ACCOUNTS, row, "accountaddress"), name, domain;
    struct str password = value(w, HMAIL_ACCOUNTS, row, "accountpassword");
    bool clear = str_eq(value(w, HMAIL_ACCOUNTS, row, "accountpwencryption"), STR("0"));
    if (!split(address, &name, &domain)) {
        say(w, address, "is left out: not an address");
        w->counts->refused++;
        return;
    }
    if (!clear || password.n == 0)
        password = tool_fresh_password(&a);
    const struct str words[] = { STR("useradd"), domain, name, password, STR("U") };
    enum made made = make(w, address, "-00013", words, ARRAY_LEN(words));
    w->counts->accounts += made == MADE;
    if (made == MADE)
        make_settings(w, row, domain, name);
    if (made == MADE && !clear) {
        say(w, address, "its password can't be carried over: set one (hikyaku users passwd)");
        w->counts->without_password++;
    }
    if (is_on(value(w, HMAIL_ACCOUNTS, row, "accountforwardenabled")))
        say(w, address,
            arena_printf(&a, "forwarded its mail to %.*s there; here it doesn't",
                         STR_ARG(value(w, HMAIL_ACCOUNTS, row, "accountforwardaddress")))
                .p);
    if (is_on(value(w, HMAIL_ACCOUNTS, row, "accountvacationmessageon")))
        say(w, address, "had an automatic answer there; here it has none");
    arena_wipe(&a);
}

static void make_aliases(struct work *w)
{
    for (size_t i = 0; i < w->h.tables[HMAIL_ALIASES].count; i++) {
        struct str from = value(w, HMAIL_ALIASES, i, "aliasname"), name, domain;
        struct str to = value(w, HMAIL_ALIASES, i, "aliasvalue");
        if (!split(from, &name, &domain) || !is_on(value(w, HMAIL_ALIASES, i, "aliasactive"))) {
            say(w, from, "is left out: an alias that is switched off, or not an address");
            continue;
        }
        const struct str words[] = { STR("aliasadd"), domain, name, to };
        w->counts->aliases += make(w, from, "-00026", words, ARRAY_LEN(words)) == MADE;
    }
}

static void add_member(struct work *w, struct str domain, struct str list, struct str member,
                       const char *rights)
{
    const struct str words[] = { STR("mluseradd"), domain, list, member, str_from_c(rights) };
    w->counts->members += make(w, member, "-00052", words, ARRAY_LEN(words)) == MADE;
}

/* Modes there: 0 everybody may post, 1 members, 2 one address. */
static void make_list(struct work *w, size_t row)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct str address = value(w, HMAIL_LISTS, row, "distributionlistaddress"), name, domain;
    struct str mode = value(w, HMAIL_LISTS, row, "distributionlistmode");
    struct str id = value(w, HMAIL_LISTS, row, "distributionlistid");
    struct str only = value(w, HMAIL_LISTS, row, "distributionlistrequireaddress");
    bool closed = is_on(mode), members_post = str_eq(mode, STR("1"));
    if (!split(address, &name, &domain)) {
        say(w, address, "is left out: not an address");
        return;
    }
    const struct str words[] = { STR("useradd"), domain, name, tool_fresh_password(&a),
                                 STR("M") };
    enum made made = make(w, address, "-00013", words, ARRAY_LEN(words));
    w->counts->lists += made == MADE;
    if (made == MADE) {
        set(w, domain, name, STR("ClosedML"), closed ? STR("1") : STR("0"));
        set(w, domain, name, STR("UseReplyTo"), STR("0"));
    }
    if (made == MADE && !is_on(value(w, HMAIL_LISTS, row, "distributionlistenabled")))
        set(w, domain, name, STR("ReceiveEnable"), STR("0"));
    if (made != MADE_NOT && closed && !members_post && only.n > 0)
        add_member(w, domain, name, only, "RW");
    for (size_t i = 0; made != MADE_NOT && i < w->h.tables[HMAIL_MEMBERS].count; i++)
        if (str_eq(value(w, HMAIL_MEMBERS, i, "distributionlistrecipientlistid"), id))
            add_member(w, domain, name,
                       value(w, HMAIL_MEMBERS, i, "distributionlistrecipientaddress"),
                       members_post ? "RW" : "R");
}

static void make_all(struct work *w)
{
    make_domains(w);
    for (size_t i = 0; i < w->h.tables[HMAIL_ACCOUNTS].count; i++)
        make_account(w, i);
    for (size_t i = 0; i < w->h.tables[HMAIL_LISTS].count; i++)
        make_list(w, i);
    make_aliases(w);
    for (size_t i = 0; i < HMAIL_TABLES; i++)
        w->counts->broken_rows += w->h.tables[i].broken;
}

/* --- mail -------------------------------------------------------------------------------- */

static enum rc take_mail(struct work *w, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab users;
    enum rc rc = tab_read("mailusers.tab", &a, &users, e);
    for (size_t i = 0; rc == RC_OK && i < w->h.tables[HMAIL_ACCOUNTS].count; i++) {
        struct str address = value(w, HMAIL_ACCOUNTS, i, "accountaddress"), name, domain;
        struct account account = { .type = ACCOUNT_USER };
        if (!split(address, &name, &domain))
            continue;
        if (!tool_find_account(&users, name, domain, &a, &account) && w->im->really) {
            say(w, address, "has no account here: its mail is left out");
            w->im->report.bad++;
            continue;
        }
        rc = hmail_import(w->im, &w->h, i, w->data, &account, e);
    }
    return rc;
}

enum rc import_hmailserver(struct import *im, const char *data, const char *dump,
                           struct import_hmail_counts *out, struct err *e)
{
    struct work w = {
        .im = im, .data = data, .counts = out, .orders = { .tool = "import", .ourselves = true }
    };
    *out = (struct import_hmail_counts){ .domains = 0 };
    enum rc rc = hmail_read(dump, &w.h, e);
    if (rc == RC_OK && !folder_exists(data))
        rc = err_perm(e, "5.3.0", "there is no folder %s", data);
    if (rc == RC_OK)
        make_all(&w);
    if (rc == RC_OK && w.orders.failed)
        rc = err_temp(e, "4.3.0", "the control role doesn't answer");
    orders_close(&w.orders);
    if (rc == RC_OK)
        rc = take_mail(&w, e);
    hmail_release(&w.h);
    return rc;
}

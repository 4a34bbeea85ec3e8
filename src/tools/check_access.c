/* check_access.c - who gets in: relaying, the control protocol, weak passwords. */
#include "conf/tab.h"
#include "tools/check_int.h"
#include "users/users.h"

#define PASSWORD_SHORT 8u

/* How many addresses are in a net: its prefix, counted in the family's own bits. */
static unsigned prefix_of(const struct ip_net *net, unsigned *out_family_bits)
{
    unsigned bits = 0;
    for (size_t i = 0; i < sizeof(net->mask.b); i++)
        bits += (unsigned)__builtin_popcount(net->mask.b[i]);
    *out_family_bits = ip_is_v4(&net->ip) ? 32 : 128;
    return ip_is_v4(&net->ip) ? (bits >= 96 ? bits - 96 : 0) : bits;
}

static void check_relay(struct check *c)
{
    struct tab tab;
    struct err e;
    struct ip_net net;
    unsigned family = 0;
    if (tab_read("smtprelay.tab", &c->mem, &tab, &e) != RC_OK)
        return;
    for (size_t i = 0; i < tab.row_count; i++) {
        const struct tab_row *row = &tab.rows[i];
        if (!ip_net_parse(tab_value(row, 0), tab_value(row, 1), &net))
            continue;
        unsigned bits = prefix_of(&net, &family);
        bool most = bits < (family == 32 ? 8u : 16u);
        if (most)
            check_say(c, CHECK_ERROR, "smtprelay.tab", row->line,
                      "name only your own networks: spammers find an open relay within hours",
                      "this line lets %s send through this server to anywhere",
                      bits == 0 ? "everybody" : "a large part of the Internet");
    }
}

/* Addresses that belong to nobody we know: documentation networks of both families. */
static bool stranger_is_allowed(const char *path)
{
    static const char *const strangers[] = { "192.0.2.1", "198.51.100.7", "2001:db8::1" };
    struct ip ip;
    unsigned line = 0;
    for (size_t i = 0; i < ARRAY_LEN(strangers); i++)
        if (ip_parse(str_from_c(strangers[i]), &ip) && access_is_allowed(path, &ip, &line))
            return true;
    return false;
}

static void check_control(struct check *c)
{
    struct tab tab;
    struct err e;
    if (tab_read("ctrlaccounts.tab", &c->mem, &tab, &e) != RC_OK || tab.row_count == 0)
        return;
    if (stranger_is_allowed("ctrl.ipmap.tab"))
        check_say(c, CHECK_ERROR, "ctrl.ipmap.tab", 0,
                  "deny all (\"0.0.0.0\" \"0.0.0.0\" \"DENY\" \"1\"), then allow your own "
                  "addresses with a higher last number",
                  "anybody may try passwords of the control protocol");
    for (size_t i = 0; i < tab.row_count; i++) {
        struct str name = tab_value(&tab.rows[i], 0), clear;
        if (!password_clear(tab_value(&tab.rows[i], 1), &c->mem, &clear))
            continue;
        if (clear.n == 0 || str_ieq(clear, name))
            check_say(c, CHECK_ERROR, "ctrlaccounts.tab", tab.rows[i].line,
                      "give the account another password", "%.*s has no password of its own",
                      STR_ARG(name));
        else if (clear.n < PASSWORD_SHORT)
            check_say(c, CHECK_WARNING, "ctrlaccounts.tab", tab.rows[i].line,
                      "give the account a longer password",
                      "the password of %.*s has fewer than %u characters", STR_ARG(name),
                      PASSWORD_SHORT);
    }
}

/* Accounts whose password is empty or the user's name: found by every guesser. */
static void check_passwords(struct check *c)
{
    struct tab tab;
    struct err e;
    size_t reversible = 0;
    if (tab_read("mailusers.tab", &c->mem, &tab, &e) != RC_OK)
        return;
    for (size_t i = 0; i < tab.row_count; i++) {
        const struct tab_row *row = &tab.rows[i];
        struct str name = tab_value(row, 1), clear;
        if (str_ieq(tab_value(row, 5), STR("M")) ||
            !password_clear(tab_value(row, 2), &c->mem, &clear))
            continue;
        reversible++;
        if (clear.n == 0 || str_ieq(clear, name))
            check_say(c, CHECK_WARNING, "mailusers.tab", row->line,
                      "give the account another password",
                      "%.*s@%.*s has no password of its own", STR_ARG(name),
                      STR_ARG(tab_value(row, 0)));
    }
    if (reversible > 0 && conf()->password_scheme_set &&
        conf()->password_scheme != PASSWORD_XMCRYPT)
        check_say(c, CHECK_NOTE, "mailusers.tab", 0,
                  "they are replaced when their users get new ones",
                  "%zu passwords are stored in XMail's form, which can be read back",
                  reversible);
}

void check_access(struct check *c)
{
    check_relay(c);
    check_control(c);
    check_passwords(c);
}

/* check_settings.c - server.tab by the rows of options.def, and the addresses it names. */
#include "backup/work.h"
#include "conf/tab.h"
#include "mail/address.h"
#include "tools/check_int.h"

#define TABLE "server.tab"

/* "SmtpConfig-IP" and "SmtpConfig-IP,PORT" are settings of one listener. */
static bool is_listener_flags(struct str name)
{
    struct str rest, text;
    struct ip ip;
    uint64_t port = 0;
    if (!str_istarts(name, STR("SmtpConfig-")))
        return false;
    rest = str_skip(name, strlen("SmtpConfig-"));
    (void)str_cut(&rest, ',', &text);
    return ip_parse(text, &ip) && (rest.p == NULL || str_to_u64(rest, &port));
}

static void check_variable(struct check *c, const struct tab_row *line)
{
    struct err e;
    struct str name = tab_value(line, 0), value = tab_value(line, 1);
    const struct option_row *row = options_row(name);
    if (row == NULL && is_listener_flags(name))
        return;
    if (row == NULL) {
        check_say(c, CHECK_WARNING, TABLE, line->line,
                  "`hikyaku options` lists all; unknown ones are kept and do nothing",
                  "there is no setting %.*s", STR_ARG(name));
        return;
    }
    if (options_check_value(row, value, &e) != RC_OK)
        check_say(c, CHECK_ERROR, TABLE, line->line, "its default is used instead", "%s: %s",
                  row->name, e.text);
}

/* An address of ours must lead somewhere. */
static void check_address(struct check *c, const char *name, struct str value, bool needed)
{
    struct address address;
    struct err e;
    if (value.n == 0) {
        if (needed)
            check_say(c, CHECK_ERROR, TABLE, 0, "give it an account's address", "%s is not set",
                      name);
        return;
    }
    if (address_parse(value, ADDRESS_LOOSE_DOTS | ADDRESS_UTF8, &c->mem, &address, &e) !=
        RC_OK) {
        check_say(c, CHECK_ERROR, TABLE, 0, "give it an account's address", "%s: %s", name,
                  e.text);
        return;
    }
    struct str key = check_key(c, address.local, address.domain);
    if (map_get(&c->domains, check_domain_key(c, address.domain)) == NULL)
        check_say(c, CHECK_WARNING, TABLE, 0, "give it an account of this server",
                  "%s is %.*s, outside this server", name, STR_ARG(value));
    else if (map_get(&c->accounts, key) == NULL && map_get(&c->aliases, key) == NULL)
        check_say(c, CHECK_ERROR, TABLE, 0, "make the account, or name another",
                  "%s is %.*s, which is neither an account nor an alias", name, STR_ARG(value));
}

static void check_backup(struct check *c, const struct options *o)
{
    unsigned minutes = 0;
    if (o->backup_folder.n > 0 && !str_starts(o->backup_folder, STR("/")))
        check_say(c, CHECK_ERROR, TABLE, 0, "give it a path that begins with /",
                  "BackupFolder isn't a path from the root");
    if (o->backup_time.n > 0 && !backup_time_parse(o->backup_time, &minutes))
        check_say(c, CHECK_ERROR, TABLE, 0, "give it a time like 03:30",
                  "BackupTime is no time of a day");
    if (o->backup_time.n > 0 && o->backup_folder.n == 0)
        check_say(c, CHECK_WARNING, TABLE, 0, "set it, too",
                  "BackupTime is set, but BackupFolder isn't: no backups are made");
}

void check_settings(struct check *c)
{
    struct tab tab;
    struct err e;
    struct map seen = { .fold = true };
    const struct options *o = conf();
    if (tab_read(TABLE, &c->mem, &tab, &e) != RC_OK)
        return;
    for (size_t i = 0; i < tab.row_count; i++) {
        check_variable(c, &tab.rows[i]);
        if (map_put(&seen, tab_value(&tab.rows[i], 0), c) != NULL)
            check_say(c, CHECK_WARNING, TABLE, tab.rows[i].line, "remove one of the lines",
                      "%.*s stands here twice", STR_ARG(tab_value(&tab.rows[i], 0)));
    }
    map_release(&seen);
    if (o->root_domain.n == 0)
        check_say(c, CHECK_ERROR, TABLE, 0, "set it to the server's domain",
                  "RootDomain is not set");
    check_address(c, "PostMaster", o->post_master, true);
    check_address(c, "ErrorsAdmin", o->errors_admin, false);
    check_backup(c, o);
}

/*
 * passwords.c - `hikyaku passwords`: how passwords are stored, and a better form for those that
 * can be read back; `hikyaku admins`: accounts of the control protocol.
 */
#include "admin/admin.h"
#include "conf/tab.h"
#include "sys/file.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include "users/users.h"

#define ADMINS "ctrlaccounts.tab"

static const char *const scheme_names[] = { "xmcrypt", "scram", "yescrypt" };

/* --- counting ---------------------------------------------------------------------------- */

/* Passwords of a table by scheme, empty ones apart. */
struct census {
    size_t schemes[3], empty;
};

static enum rc count(const char *path, size_t column, struct census *out, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab tab;
    *out = (struct census){ .empty = 0 };
    enum rc rc = tab_read(path, &mem, &tab, e);
    for (size_t i = 0; rc == RC_OK && i < tab.row_count; i++) {
        struct str stored = tab_value(&tab.rows[i], column), clear;
        if (password_scheme_of(stored) == PASSWORD_XMCRYPT &&
            password_clear(stored, &mem, &clear) && clear.n == 0)
            out->empty++;
        else
            out->schemes[password_scheme_of(stored)]++;
    }
    return rc;
}

static void print_census(const char *what, const struct census *c)
{
    (void)printf("%-18s", what);
    for (size_t i = 0; i < ARRAY_LEN(scheme_names); i++)
        (void)printf(" %8zu %s", c->schemes[i], scheme_names[i]);
    (void)printf(" %8zu empty\n", c->empty);
}

static enum rc show(struct err *e)
{
    struct census users, admins;
    enum rc rc = count("mailusers.tab", 2, &users, e);
    if (rc == RC_OK)
        rc = count(ADMINS, 1, &admins, e);
    if (rc != RC_OK)
        return rc;
    print_census("mailusers.tab", &users);
    print_census(ADMINS, &admins);
    (void)printf("New passwords: %s (PasswordScheme); of control accounts: %s "
                 "(CtrlPasswordScheme).\n",
                 scheme_names[conf()->password_scheme],
                 scheme_names[conf()->ctrl_password_scheme]);
    return RC_OK;
}

/* --- upgrading --------------------------------------------------------------------------- */

/* New stored forms by the old ones: a row whose password somebody changes meanwhile keeps the
 * new password. */
struct upgrade {
    struct map made; /* stored form -> new one, in mem */
    struct arena mem;
    size_t column, done;
};

static enum tab_verdict upgrade_row(void *ctx, const struct tab_row *row, struct arena *a,
                                    const struct str **out_values, size_t *out_count)
{
    struct upgrade *u = ctx;
    const struct str *better = map_get(&u->made, tab_value(row, u->column));
    if (better == NULL)
        return TAB_KEEP;
    struct str *values = arena_new_array(a, struct str, row->count);
    for (size_t i = 0; i < row->count; i++)
        values[i] = i == u->column ? *better : tab_value(row, i);
    *out_values = values;
    *out_count = row->count;
    return TAB_REPLACE;
}

/* Computes the new form of each password that can be read back. */
static enum rc compute(struct upgrade *u, const char *path, enum password_scheme scheme,
                       struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab tab;
    enum rc rc = tab_read(path, &mem, &tab, e);
    for (size_t i = 0; rc == RC_OK && i < tab.row_count; i++) {
        struct str stored = tab_value(&tab.rows[i], u->column), clear;
        struct str *better = arena_new(&u->mem, sizeof(*better));
        if (!password_clear(stored, &mem, &clear) || clear.n == 0 ||
            map_get(&u->made, stored) != NULL)
            continue;
        rc = password_make(scheme, clear, &u->mem, better, e);
        if (rc == RC_OK)
            (void)map_put(&u->made, arena_str(&u->mem, stored), better);
        if (rc == RC_OK && ++u->done % 1000 == 0)
            (void)fprintf(stderr, "%zu computed\n", u->done);
    }
    arena_wipe(&mem);
    return rc;
}

/* Who logged in lately by a method that the better form ends. */
static void show_weak_logins(void)
{
    struct arena mem AUTO_RELEASE_ARENA = { .head = NULL };
    struct tab tab;
    struct err e;
    char day[16];
    if (tab_read(ADMIN_WEAK_LOGINS, &mem, &tab, &e) != RC_OK || tab.row_count == 0)
        return;
    (void)printf("These logged in by methods that would end:\n");
    for (size_t i = 0; i < tab.row_count; i++) {
        int64_t seconds = 0;
        struct tm tm;
        (void)str_to_i64(tab_value(&tab.rows[i], 2), &seconds);
        time_t t = (time_t)seconds;
        (void)strftime(day, sizeof(day), "%Y-%m-%d", localtime_r(&t, &tm));
        (void)printf("  %s  %-8.*s  ", day, STR_ARG(tab_value(&tab.rows[i], 1)));
        tool_print_text(tab_value(&tab.rows[i], 0), false);
        (void)putchar('\n');
    }
}

static enum rc upgrade(const char *path, size_t column, enum password_scheme scheme, bool apply,
                       struct err *e)
{
    struct census now;
    struct upgrade u = { .column = column };
    size_t changed = 0;
    enum rc rc = count(path, column, &now, e);
    if (rc != RC_OK)
        return rc;
    size_t old = now.schemes[PASSWORD_XMCRYPT];
    if (scheme == PASSWORD_XMCRYPT || old == 0) {
        (void)printf("%s: nothing to do\n", path);
        return RC_OK;
    }
    if (!apply) {
        (void)printf("%s: %zu passwords would become %s\n", path, old, scheme_names[scheme]);
        return RC_OK;
    }
    rc = compute(&u, path, scheme, e);
    if (rc == RC_OK)
        rc = tab_edit(path, upgrade_row, &u, &changed, e);
    if (rc == RC_OK)
        (void)printf("%s: %zu passwords are %s now\n", path, changed, scheme_names[scheme]);
    map_release(&u.made);
    arena_release(&u.mem);
    return rc;
}

static const char passwords_usage[] =
    "usage: hikyaku passwords [upgrade [--apply]] [--mailroot DIR]\n"
    "Shows how passwords are stored. upgrade says which of XMail's form, which can be read\n"
    "back, would be stored as PasswordScheme and CtrlPasswordScheme say; with --apply it does\n"
    "so. Their users notice nothing, but APOP and CRAM-MD5 (with yescrypt SCRAM too), and for\n"
    "control accounts the MD5 login, no longer work: mail programs must log in by PLAIN under\n"
    "TLS or by SCRAM-SHA-256.\n";

int tool_passwords(int argc, char **argv)
{
    const char *mailroot = NULL;
    bool change = false, apply = false, good = true;
    struct err e;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "upgrade") == 0)
            change = true;
        else if (strcmp(argv[i], "--apply") == 0)
            apply = true;
        else if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < argc)
            mailroot = argv[++i];
        else
            good = false;
    }
    if (!good || (apply && !change)) {
        (void)fputs(passwords_usage, stderr);
        return 3;
    }
    enum rc rc = tool_enter_mailroot(mailroot, &e);
    if (rc == RC_OK)
        rc = tool_become_owner(&e);
    if (rc == RC_OK)
        rc = options_load(&e);
    if (rc == RC_OK && !change)
        rc = show(&e);
    if (rc == RC_OK && change)
        rc = upgrade("mailusers.tab", 2, conf()->password_scheme, apply, &e);
    if (rc == RC_OK && change)
        rc = upgrade(ADMINS, 1, conf()->ctrl_password_scheme, apply, &e);
    if (rc == RC_OK && !apply)
        show_weak_logins();
    if (rc == RC_OK && change && !apply)
        (void)printf("Nothing was changed; --apply does it.\n");
    if (rc != RC_OK)
        (void)fprintf(stderr, "hikyaku passwords: %s\n", e.text);
    return rc == RC_OK ? 0 : 1;
}

/* --- control accounts -------------------------------------------------------------------- */

struct admin_call {
    struct arena mem;
    const char *mailroot, *password_file, *verb;
    struct str name, stored, made;
    bool generate;
};

static enum tab_verdict admin_row(void *ctx, const struct tab_row *row, struct arena *a,
                                  const struct str **out_values, size_t *out_count)
{
    const struct admin_call *c = ctx;
    if (!str_ieq(tab_value(row, 0), c->name))
        return TAB_KEEP;
    if (strcmp(c->verb, "remove") == 0)
        return TAB_DROP;
    struct str *values = arena_new_array(a, struct str, 2);
    values[0] = tab_value(row, 0);
    values[1] = c->stored;
    *out_values = values;
    *out_count = 2;
    return TAB_REPLACE;
}

static enum rc admin_password(struct admin_call *c, struct err *e)
{
    struct str password = tool_fresh_password(&c->mem);
    enum rc rc =
        c->generate ? RC_OK : tool_ask_password(c->password_file, &c->mem, &password, e);
    if (rc == RC_OK && (int64_t)password.n < conf()->password_min_length)
        return err_perm(e, "5.7.0", "passwords have at least %" PRId64 " characters here",
                        conf()->password_min_length);
    if (rc == RC_OK && c->generate)
        c->made = password;
    return rc == RC_OK
               ? password_make(conf()->ctrl_password_scheme, password, &c->mem, &c->stored, e)
               : rc;
}

static enum rc list_admins(struct admin_call *c, struct str wanted, bool *out_found,
                           struct err *e)
{
    struct tab tab;
    *out_found = false;
    enum rc rc = tab_read(ADMINS, &c->mem, &tab, e);
    for (size_t i = 0; rc == RC_OK && i < tab.row_count; i++) {
        struct str name = tab_value(&tab.rows[i], 0);
        *out_found = *out_found || str_ieq(name, wanted);
        if (wanted.n > 0)
            continue;
        tool_print_text(name, false);
        (void)printf("\t%s\n", scheme_names[password_scheme_of(tab_value(&tab.rows[i], 1))]);
    }
    return rc;
}

static enum rc run_admins(struct admin_call *c, struct err *e)
{
    bool found = false, adds = strcmp(c->verb, "add") == 0;
    size_t changed = 0;
    enum rc rc = list_admins(c, c->name, &found, e);
    if (rc != RC_OK || c->name.n == 0)
        return rc;
    if (adds && found)
        return err_perm(e, "5.3.0", "%.*s is there already", STR_ARG(c->name));
    if (!adds && !found)
        return err_perm(e, "5.3.0", "there is no control account %.*s", STR_ARG(c->name));
    if (strcmp(c->verb, "remove") != 0)
        rc = admin_password(c, e);
    const struct str row[] = { c->name, c->stored };
    if (rc == RC_OK)
        rc = adds ? tab_append(ADMINS, row, 2, e) : tab_edit(ADMINS, admin_row, c, &changed, e);
    if (rc == RC_OK && c->made.n > 0)
        (void)printf("%.*s has the password %.*s\n", STR_ARG(c->name), STR_ARG(c->made));
    return rc;
}

static bool take_admin_words(struct admin_call *c, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--generate") == 0)
            c->generate = true;
        else if (strcmp(argv[i], "--mailroot") == 0 && more)
            c->mailroot = argv[++i];
        else if (strcmp(argv[i], "--password-file") == 0 && more)
            c->password_file = argv[++i];
        else if (c->verb == NULL)
            c->verb = argv[i];
        else if (c->name.n == 0 && argv[i][0] != '-')
            c->name = str_from_c(argv[i]);
        else
            return false;
    }
    if (c->verb == NULL)
        return false;
    bool lists = strcmp(c->verb, "list") == 0;
    bool known = lists || strcmp(c->verb, "add") == 0 || strcmp(c->verb, "passwd") == 0 ||
                 strcmp(c->verb, "remove") == 0;
    return known && lists == (c->name.n == 0);
}

int tool_admins(int argc, char **argv)
{
    struct admin_call c = { .name = STR(""), .stored = STR("") };
    struct err e;
    if (!take_admin_words(&c, argc, argv)) {
        (void)fputs("usage: hikyaku admins list | add NAME | passwd NAME | remove NAME\n"
                    "           [--password-file FILE | --generate] [--mailroot DIR]\n"
                    "Accounts of the control protocol (ctrlaccounts.tab).\n",
                    stderr);
        return 3;
    }
    enum rc rc = tool_enter_mailroot(c.mailroot, &e);
    if (rc == RC_OK)
        rc = tool_become_owner(&e);
    if (rc == RC_OK)
        rc = options_load(&e);
    if (rc == RC_OK)
        rc = run_admins(&c, &e);
    if (rc != RC_OK)
        (void)fprintf(stderr, "hikyaku admins: %s\n", e.text);
    arena_wipe(&c.mem);
    return rc == RC_OK ? 0 : 1;
}

/*
 * init.c - `hikyaku init`: a MailRoot for a domain, with tables that are closed until opened.
 * It never touches a folder that holds tables already. Passwords that aren't given are made and
 * shown once. The marker file says that this MailRoot has the safe defaults.
 */
#include "conf/marker.h"
#include "conf/tab.h"
#include "mail/address.h"
#include "sys/file.h"
#include "sys/issue.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include "users/users.h"
#include <getopt.h>
#include <sys/random.h>

#define MOST_USERS 100

static const char usage[] =
    "usage: hikyaku init [--mailroot DIR] --domain DOMAIN [options]\n"
    "  --mailroot DIR      where (default: MAIL_ROOT, else /var/MailRoot); must be empty or "
    "missing\n"
    "  --domain DOMAIN     the mail domain: addresses are user@DOMAIN\n"
    "  --hostname NAME     the server's own name (default: mail.DOMAIN)\n"
    "  --user NAME[:PASS]  an account; may be repeated. The first one gets the postmaster's "
    "mail\n"
    "                      (default: postmaster)\n"
    "  --admin NAME[:PASS] the account of the control protocol (default: admin)\n"
    "  --high-ports        listen on 127.0.0.1 only, on ports above 1024, for trying things\n"
    "  --owner USER        (as root) give the MailRoot to this user of the system\n"
    "Passwords that aren't given are made and printed once.\n";

struct plan {
    struct arena mem;
    const char *mailroot;
    struct str domain, hostname, admin;
    struct str users[MOST_USERS];
    size_t user_count;
    bool high_ports;
    const char *owner;
};

/* --- small steps ------------------------------------------------------------------------- */

static enum rc write_file(const char *path, struct str text, mode_t mode, struct err *e)
{
    return file_replace(path, text, mode, e);
}

struct table_text {
    const char *path;
    const char *text;
    mode_t mode;
};

/* Tables that begin with explanations and rules for this machine only. */
static const struct table_text tables[] = {
    { "aliasdomain.tab", "# \"alias-domain\"\t\"real-domain\"\n", 0640 },
    { "extaliases.tab",
      "# \"external-domain\"\t\"external-name\"\t\"local-domain\"\t\"local-name\"\n", 0640 },
    { "smtp.ipmap.tab", "# \"address\"\t\"netmask\"\t\"ALLOW or DENY\"\t\"precedence\"\n",
      0640 },
    { "pop3.ipmap.tab", "# \"address\"\t\"netmask\"\t\"ALLOW or DENY\"\t\"precedence\"\n",
      0640 },
    { "ctrl.ipmap.tab",
      "# Who may reach the control protocol: this machine only.\n"
      "\"0.0.0.0\"\t\"0.0.0.0\"\t\"DENY\"\t\"1\"\n"
      "\"127.0.0.0\"\t\"255.0.0.0\"\t\"ALLOW\"\t\"2\"\n"
      "\"::1/128\"\t\"\"\t\"ALLOW\"\t\"2\"\n",
      0640 },
    { "http.ipmap.tab",
      "# Who may reach administration in the browser: this machine only.\n"
      "\"0.0.0.0\"\t\"0.0.0.0\"\t\"DENY\"\t\"1\"\n"
      "\"127.0.0.0\"\t\"255.0.0.0\"\t\"ALLOW\"\t\"2\"\n"
      "\"::1/128\"\t\"\"\t\"ALLOW\"\t\"2\"\n",
      0640 },
    { "finger.ipmap.tab",
      "\"0.0.0.0\"\t\"0.0.0.0\"\t\"DENY\"\t\"1\"\n"
      "\"127.0.0.0\"\t\"255.0.0.0\"\t\"ALLOW\"\t\"2\"\n",
      0640 },
    { "smtprelay.tab",
      "# Clients that may send to other servers without a password: none.\n"
      "# \"address\"\t\"netmask\"\n",
      0640 },
    { "smtpauth.tab", "# \"login\"\t\"password in plain text\"\t\"rights\"\n", 0600 },
    { "spammers.tab", "# \"address\"\t\"netmask\"\n", 0640 },
    { "limits.tab",
      "# What clients and accounts may do in a time (seconds), and what happens then.\n"
      "# "
      "\"address|account\"\t\"connections|messages|recipients|bad-"
      "logins\"\t\"count\"\t\"seconds\"\t"
      "\"refuse|delay=S|stop[,notify]\"\n"
      "\"account\"\t\"messages\"\t\"1000\"\t\"3600\"\t\"refuse,notify\"\n"
      "\"account\"\t\"recipients\"\t\"5000\"\t\"3600\"\t\"refuse,notify\"\n",
      0640 },
    { "spam-address.tab", "# \"sender pattern\"\n", 0640 },
    { "pop3links.tab", "", 0600 },
    { "smtpgw.tab", "", 0640 },
    { "smtpfwd.tab", "", 0640 },
    { "smtp.ipprop.tab", "", 0640 },
    { "smtp.hnprop.tab", "", 0640 },
    { "smtpextauth.tab", "", 0600 },
    { "userdef.tab",
      "\"RealName\"\t\"??\"\n\"HomePage\"\t\"??\"\n\"MaxMBSize\"\t\"1000000\"\n"
      "\"SmtpPerms\"\t\"MR\"\n\"ReceiveEnable\"\t\"1\"\n\"PopEnable\"\t\"1\"\n",
      0640 },
    { "message.id", "1\n", 0640 },
};

static const char *const folders[] = {
    "domains",    "cmdaliases",    "custdomains",   "filters",  "logs",
    "pop3locks",  "pop3links",     "pop3linklocks", "msgsync",  "spool/local",
    "spool/temp", "userauth/pop3", "userauth/smtp", "dnscache", "tabindex",
    "bin",        "queue",         "hikyaku",
};

/* "name:password" or "name"; a missing password is made, and shown. */
static void split_login(struct plan *plan, struct str given, const char *what,
                        struct str *out_name, struct str *out_password)
{
    struct str rest = given;
    (void)str_cut(&rest, ':', out_name);
    if (rest.p != NULL && rest.n > 0) {
        *out_password = rest;
        return;
    }
    *out_password = tool_fresh_password(&plan->mem);
    (void)printf("%s %.*s has the password %.*s\n", what, STR_ARG(*out_name),
                 STR_ARG(*out_password));
}

static enum rc add_row(struct buf *b, const struct str *values, size_t count, struct err *e)
{
    return tab_print_row(b, values, count, "\n", e);
}

/* --- accounts ---------------------------------------------------------------------------- */

/* One account: its row for mailusers.tab, its folder with user.tab and Maildir. */
static enum rc make_account(struct plan *plan, size_t i, struct buf *rows, struct err *e)
{
    struct str name, password, stored;
    split_login(plan, plan->users[i], "account", &name, &password);
    enum rc rc = password_make(PASSWORD_SCRAM, password, &plan->mem, &stored, e);
    if (rc != RC_OK)
        return rc;
    struct str id = arena_printf(&plan->mem, "%zu", i + 1);
    const struct str row[] = { plan->domain, name, stored, id, name, STR("U") };
    rc = add_row(rows, row, ARRAY_LEN(row), e);
    struct str folder =
        arena_printf(&plan->mem, "domains/%.*s/%.*s", STR_ARG(plan->domain), STR_ARG(name));
    static const char *const parts[] = { "Maildir/tmp", "Maildir/new", "Maildir/cur" };
    for (size_t k = 0; k < ARRAY_LEN(parts) && rc == RC_OK; k++)
        rc = folder_make(arena_printf(&plan->mem, "%s/%s", folder.p, parts[k]).p, 0700, e);
    struct str user_tab;
    if (rc == RC_OK)
        rc = file_read("userdef.tab", 65536, &plan->mem, &user_tab, NULL, e);
    if (rc == RC_OK)
        rc = write_file(arena_printf(&plan->mem, "%s/user.tab", folder.p).p, user_tab, 0640, e);
    return rc;
}

static enum rc make_accounts(struct plan *plan, struct err *e)
{
    struct buf rows AUTO_RELEASE_BUF;
    buf_init(&rows, (size_t)1 << 20);
    enum rc rc = RC_OK;
    for (size_t i = 0; i < plan->user_count && rc == RC_OK; i++)
        rc = make_account(plan, i, &rows, e);
    return rc == RC_OK ? write_file("mailusers.tab", buf_str(&rows), 0640, e) : rc;
}

static enum rc make_aliases(struct plan *plan, struct err *e)
{
    static const char *const names[] = { "postmaster", "abuse", "hostmaster", "webmaster" };
    struct buf rows AUTO_RELEASE_BUF;
    struct str first = plan->users[0], account;
    buf_init(&rows, 65536);
    (void)str_cut(&first, ':', &account);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct str row[] = { plan->domain, str_from_c(names[i]), account };
        if (str_ieq(row[1], account))
            continue;
        enum rc rc = add_row(&rows, row, ARRAY_LEN(row), e);
        if (rc != RC_OK)
            return rc;
    }
    return write_file("aliases.tab", buf_str(&rows), 0640, e);
}

/* The same account administers in the browser. */
static enum rc make_web_admin(struct plan *plan, struct str name, struct str password,
                              struct err *e)
{
    struct buf rows AUTO_RELEASE_BUF;
    struct str stored;
    buf_init(&rows, 65536);
    enum rc rc = password_make(PASSWORD_YESCRYPT, password, &plan->mem, &stored, e);
    const struct str row[] = { name, rc == RC_OK ? stored : STR(""), STR("owner") };
    if (rc == RC_OK)
        rc = add_row(&rows, row, ARRAY_LEN(row), e);
    return rc == RC_OK ? write_file("webadmins.tab", buf_str(&rows), 0600, e) : rc;
}

static enum rc make_admin(struct plan *plan, struct err *e)
{
    struct buf rows AUTO_RELEASE_BUF;
    struct str name, password, stored;
    buf_init(&rows, 65536);
    split_login(plan, plan->admin, "control account", &name, &password);
    /* The control protocol's MD5 login needs the reversible form (specification 1, section 3).
     */
    enum rc rc = password_make(PASSWORD_XMCRYPT, password, &plan->mem, &stored, e);
    const struct str row[] = { name, rc == RC_OK ? stored : STR("") };
    if (rc == RC_OK)
        rc = add_row(&rows, row, ARRAY_LEN(row), e);
    if (rc == RC_OK)
        rc = write_file("ctrlaccounts.tab", buf_str(&rows), 0600, e);
    return rc == RC_OK ? make_web_admin(plan, name, password, e) : rc;
}

/* --- server.tab, certificate, marker ----------------------------------------------------- */

static enum rc make_server_tab(struct plan *plan, struct err *e)
{
    struct buf b AUTO_RELEASE_BUF;
    struct str first = plan->users[0], account;
    buf_init(&b, 65536);
    (void)str_cut(&first, ':', &account);
    const struct str rows[][2] = {
        { STR("RootDomain"), plan->domain },
        { STR("SmtpServerDomain"), plan->hostname },
        { STR("POP3Domain"), plan->domain },
        { STR("PostMaster"),
          arena_printf(&plan->mem, "%.*s@%.*s", STR_ARG(account), STR_ARG(plan->domain)) },
        { STR("PasswordScheme"), STR("scram") },
    };
    static const char *const high[][2] = {
        { "Listen-smtp", "127.0.0.1:2525" },       { "Listen-smtps", "127.0.0.1:2465" },
        { "Listen-submission", "127.0.0.1:2587" }, { "Listen-pop3", "127.0.0.1:2110" },
        { "Listen-pop3s", "127.0.0.1:2995" },      { "Listen-http", "127.0.0.1:2080" },
    };
    buf_addf(
        &b,
        "# Settings of this server; `hikyaku options` lists all of them with their meaning.\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum rc rc = add_row(&b, rows[i], 2, e);
        if (rc != RC_OK)
            return rc;
    }
    for (size_t i = 0; i < ARRAY_LEN(high) && plan->high_ports; i++)
        buf_addf(&b, "\"%s\"\t\"%s\"\n", high[i][0], high[i][1]);
    return write_file("server.tab", buf_str(&b), 0640, e);
}

static enum rc make_certificate(const struct plan *plan, struct err *e)
{
    struct buf cert AUTO_RELEASE_BUF, key AUTO_RELEASE_BUF;
    buf_init(&cert, 65536);
    buf_init(&key, 65536);
    enum rc rc = issue_self_signed(plan->hostname, 3650, &cert, &key, e);
    if (rc == RC_OK)
        rc = write_file("server.key", buf_str(&key), 0600, e);
    mem_wipe(key.p, key.n);
    return rc == RC_OK ? write_file("server.cert", buf_str(&cert), 0644, e) : rc;
}

static enum rc make_tables(struct plan *plan, struct err *e)
{
    struct buf row AUTO_RELEASE_BUF;
    buf_init(&row, 65536);
    enum rc rc = RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(folders) && rc == RC_OK; i++)
        rc = folder_make(folders[i], 0750, e);
    for (size_t i = 0; i < ARRAY_LEN(tables) && rc == RC_OK; i++)
        rc = write_file(tables[i].path, str_from_c(tables[i].text), tables[i].mode, e);
    if (rc == RC_OK)
        rc = add_row(&row, &plan->domain, 1, e);
    if (rc == RC_OK)
        rc = write_file("domains.tab", buf_str(&row), 0640, e);
    if (rc == RC_OK)
        rc = folder_make(arena_printf(&plan->mem, "cmdaliases/%.*s", STR_ARG(plan->domain)).p,
                         0750, e);
    return rc;
}

static enum rc make_all(struct plan *plan, struct err *e)
{
    enum rc rc = make_tables(plan, e);
    if (rc == RC_OK)
        rc = make_accounts(plan, e);
    if (rc == RC_OK)
        rc = make_aliases(plan, e);
    if (rc == RC_OK)
        rc = make_admin(plan, e);
    if (rc == RC_OK)
        rc = make_server_tab(plan, e);
    if (rc == RC_OK)
        rc = make_certificate(plan, e);
    /* Last: a MailRoot without its marker was not finished. */
    return rc == RC_OK ? marker_write(CONF_NEW, e) : rc;
}

/* --- the command ------------------------------------------------------------------------- */

static bool read_arguments(struct plan *plan, int argc, char **argv)
{
    static const struct option options[] = {
        { "mailroot", required_argument, NULL, 'm' },
        { "domain", required_argument, NULL, 'd' },
        { "hostname", required_argument, NULL, 'h' },
        { "user", required_argument, NULL, 'u' },
        { "admin", required_argument, NULL, 'a' },
        { "owner", required_argument, NULL, 'o' },
        { "high-ports", no_argument, NULL, 'p' },
        { NULL, 0, NULL, 0 },
    };
    int c = 0;
    /* getopt expects the command's name first, and there it is. */
    argc++;
    argv--;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'm')
            plan->mailroot = optarg;
        else if (c == 'd')
            plan->domain = str_from_c(optarg);
        else if (c == 'h')
            plan->hostname = str_from_c(optarg);
        else if (c == 'u' && plan->user_count < MOST_USERS)
            plan->users[plan->user_count++] = str_from_c(optarg);
        else if (c == 'a')
            plan->admin = str_from_c(optarg);
        else if (c == 'o')
            plan->owner = optarg;
        else if (c == 'p')
            plan->high_ports = true;
        else
            return false;
    }
    return optind == argc && plan->domain.n > 0;
}

/* The domain in its canonical form, or what is wrong with which option. */
static enum rc take_domain(struct plan *plan, const char *option, struct str *domain,
                           struct err *e)
{
    struct str given = *domain;
    if (domain_parse(given, true, &plan->mem, domain, NULL) == RC_OK)
        return RC_OK;
    return err_perm(e, "5.1.3", "%s %.*s is not a domain name", option, STR_ARG(given));
}

static struct str user_name(const struct plan *plan, size_t i)
{
    struct str rest = plan->users[i], name;
    (void)str_cut(&rest, ':', &name);
    return name;
}

/* Can user i be an account of the domain? Asked before anything is made. */
static enum rc check_user(struct plan *plan, size_t i, struct err *e)
{
    struct address address;
    struct str name = user_name(plan, i);
    struct str whole =
        arena_printf(&plan->mem, "%.*s@%.*s", STR_ARG(name), STR_ARG(plan->domain));
    if (str_has_any(name, "@"))
        return err_perm(e, "5.1.3", "--user %.*s: give the name only, without @ and domain",
                        STR_ARG(name));
    if (name.n == 0 || name.p[0] == '.' || str_has_any(name, "/\\") ||
        address_parse(whole, ADDRESS_STRICT, &plan->mem, &address, NULL) != RC_OK)
        return err_perm(e, "5.1.3", "--user %.*s can't be the name of an account",
                        STR_ARG(name));
    for (size_t k = 0; k < i; k++)
        if (str_ieq(user_name(plan, k), name))
            return err_perm(e, "5.1.3", "--user %.*s is given twice", STR_ARG(name));
    return RC_OK;
}

static enum rc fill_in(struct plan *plan, struct err *e)
{
    enum rc rc = take_domain(plan, "--domain", &plan->domain, e);
    if (rc == RC_OK && plan->hostname.n == 0)
        plan->hostname = arena_printf(&plan->mem, "mail.%.*s", STR_ARG(plan->domain));
    if (rc == RC_OK)
        rc = take_domain(plan, "--hostname", &plan->hostname, e);
    if (plan->user_count == 0)
        plan->users[plan->user_count++] = STR("postmaster");
    for (size_t i = 0; i < plan->user_count && rc == RC_OK; i++)
        rc = check_user(plan, i, e);
    if (plan->admin.n == 0)
        plan->admin = STR("admin");
    return rc;
}

static enum rc enter_folder(const struct plan *plan, struct err *e)
{
    enum rc rc = folder_make(plan->mailroot, 0750, e);
    if (rc == RC_OK && chdir(plan->mailroot) < 0)
        rc = err_sys(e, "enter %s", plan->mailroot);
    if (rc == RC_OK &&
        (file_exists("server.tab") || file_exists("mailusers.tab") || folder_exists("domains")))
        rc = err_perm(e, "5.3.0", "%s holds a MailRoot already; nothing was changed",
                      plan->mailroot);
    return rc;
}

int tool_init(int argc, char **argv)
{
    const char *given = getenv("MAIL_ROOT");
    struct plan plan = { .mailroot =
                             given == NULL || given[0] == '\0' ? "/var/MailRoot" : given };
    struct err e;
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (!read_arguments(&plan, argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    enum rc rc = plan.owner == NULL ? RC_OK : tool_find_user(plan.owner, &e);
    if (rc == RC_OK)
        rc = fill_in(&plan, &e);
    if (rc == RC_OK)
        rc = enter_folder(&plan, &e);
    if (rc == RC_OK)
        rc = make_all(&plan, &e);
    if (rc == RC_OK && plan.owner != NULL)
        rc = tool_give_to(".", plan.owner, &e);
    if (rc == RC_OK)
        (void)printf("made %s for %.*s, with a self-signed certificate for %.*s\n",
                     plan.mailroot, STR_ARG(plan.domain), STR_ARG(plan.hostname));
    else
        (void)fprintf(stderr, "hikyaku init: %s\n", e.text);
    arena_release(&plan.mem);
    return rc == RC_OK ? 0 : 1;
}

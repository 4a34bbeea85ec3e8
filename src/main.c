/* main.c - the program's commands. Called as XMail, or with a switch as first word, it serves
 * as XMail did. */
#include "master/master.h"
#include "tools/tools.h"

struct command_row {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static int command_help(int argc, char **argv);
static int command_version(int argc, char **argv);

static const struct command_row commands[] = {
    { "serve", master_serve, "run the server on a MailRoot" },
    { "init", tool_init, "make a MailRoot for a domain" },
    { "check", tool_check, "read a whole MailRoot and report every problem" },
    { "verify", tool_verify, "check, and every mailbox, entry and counter; repairs" },
    { "takeover", tool_takeover, "an XMail MailRoot: what will happen to it; then do it" },
    { "backup", tool_backup, "a copy of the MailRoot, also while the server runs" },
    { "restore", tool_restore, "from a backup: all, a domain, a user, a folder" },
    { "import", tool_import, "mail from other systems: Maildir, mbox, hMailServer" },
    { "export-spool", tool_export_spool, "give the queue back to XMail" },
    { "status", master_status, "show what a running server does" },
    { "metrics", master_metrics, "the server's counters, for Prometheus" },
    { "queue", tool_queue, "what waits to be sent, and orders to the queue" },
    { "fetch", tool_fetch, "mailboxes elsewhere that mail is fetched from" },
    { "trace", tool_trace, "what became of a message, an address's mail or a Message-ID" },
    { "explain", tool_explain, "what SMTP would say to a client, and which line decides" },
    { "filter-test", tool_filter_test, "what each filter would do to a message" },
    { "history", tool_history, "who changed which table, how; and taking it back" },
    { "statistics", tool_statistics, "what the server counted, by hour or day" },
    { "limits", tool_limits, "who is over a limit of limits.tab, and letting go" },
    { "sendmail", tool_sendmail, "take a message from a program (also called sendmail)" },
    { "users", tool_users, "list, add, change and remove accounts" },
    { "lists", tool_lists, "mailing lists, their members, posts that wait for a moderator" },
    { "domains", tool_domains, "domains and their other names" },
    { "aliases", tool_aliases, "other names of accounts" },
    { "tls", tool_tls, "certificates and keys: see, request, install" },
    { "undelete", tool_undelete, "bring a removed account or domain back" },
    { "admins", tool_admins, "accounts of the control protocol" },
    { "passwords", tool_passwords, "how passwords are stored, and better forms for them" },
    { "mkusers", tool_mkusers, "a first mailusers.tab from a list (also called MkUsers)" },
    { "ctrl", tool_ctrl, "one command of the control protocol (also called CtrlClnt)" },
    { "crypt", tool_crypt, "the stored form of a password (also called XMCrypt)" },
    { "options", tool_options, "list all settings with their meaning and defaults" },
    { "role", master_role, "run one role (the master does; with -d alone, for debugging)" },
    { "version", command_version, "print the version" },
    { "help", command_help, "this text" },
};

static int command_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)printf("Hikyaku %s, a mail server\n\nusage: hikyaku COMMAND [...]\n\n",
                 HIKYAKU_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        (void)printf("  %-12s %s\n", commands[i].name, commands[i].help);
    (void)printf("\nXMail's own command line works too: hikyaku -Ms /var/MailRoot -Sp 25 ...\n"
                 "The manual: man hikyaku\n");
    return 0;
}

static int command_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)printf("Hikyaku %s\n", HIKYAKU_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    master_filter_test = tool_filter_test_ordered;
    struct str name = str_from_c(argc > 0 ? argv[0] : "");
    size_t slash = str_rfind(name, '/');
    name = slash == SIZE_MAX ? name : str_skip(name, slash + 1);
    if (str_ieq(name, STR("CtrlClnt")))
        return tool_ctrl(argc - 1, argv + 1);
    if (str_eq(name, STR("sendmail")))
        return tool_sendmail(argc - 1, argv + 1);
    if (str_ieq(name, STR("MkUsers")))
        return tool_mkusers(argc - 1, argv + 1);
    if (str_ieq(name, STR("XMCrypt")))
        return tool_crypt(argc - 1, argv + 1);
    if (str_ieq(name, STR("XMail")) || (argc > 1 && argv[1][0] == '-' && argv[1][1] != '-'))
        return master_serve(argc - 1, argv + 1);
    if (argc < 2 || strcmp(argv[1], "--help") == 0)
        return command_help(0, NULL);
    if (strcmp(argv[1], "--version") == 0)
        return command_version(0, NULL);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    (void)fprintf(stderr, "hikyaku: there is no command %s; hikyaku help lists them\n",
                  argv[1]);
    return 2;
}

/*
 * people.c - `hikyaku users`, `lists`, `domains`, `aliases`, `tls`, `undelete`: the control
 * protocol's
 * commands for people. They go to the running server over its local socket; when none runs, to
 * a process of our own that does what the control role does.
 */
#include "conf/tab.h"
#include "master/master.h"
#include "sys/child.h"
#include "sys/client.h"
#include "sys/file.h"
#include "tools/tools.h"
#include "tools/tools_int.h"

#define WORDS_MAX 8
#define UPLOAD_MAX ((size_t)1 << 20)

/*
 * How the words of a command line become parameters:
 *   A an address: its domain and its name    W a word    O a word that may be missing
 *   P a password (asked for)                 R a fresh password that nobody needs
 *   F a file whose text is sent behind the command, G one that may be missing; - is standard
 * input
 *   * all other words
 *   U, M, D the letter itself, X the mark that removes a variable
 */
struct verb {
    const char *noun, *name, *command, *words;
    const char *columns; /* of the answer, "-": not shown; NULL: "name" "value" pairs */
    const char *syntax, *help;
};

/* clang-format off */
static const struct verb verbs[] = {
    { "users",    "list",    "userlist",        "OO",  "domain user - type", "[DOMAIN [NAME]]",     "accounts; wildcards * and ?" },
    { "users",    "show",    "userstat",        "A",   NULL,                 "USER@DOMAIN",         "mailbox, last login" },
    { "users",    "add",     "useradd",         "APU", "",                   "USER@DOMAIN",         "a new account" },
    { "users",    "remove",  "userdel",         "A",   "",                   "USER@DOMAIN",         "remove an account; undelete brings it back" },
    { "users",    "passwd",  "userpasswd",      "AP",  "",                   "USER@DOMAIN",         "another password" },
    { "users",    "settings", "uservars",       "A",   NULL,                 "USER@DOMAIN",         "settings (user.tab)" },
    { "users",    "set",     "uservarsset",     "AWW", "",                   "USER@DOMAIN NAME VALUE", "set a setting" },
    { "users",    "unset",   "uservarsset",     "AWX", "",                   "USER@DOMAIN NAME",    "remove a setting" },
    { "lists",    "list",    "userlist",        "OO",  "domain list - type", "[DOMAIN [NAME]]",     "mailing lists" },
    { "lists",    "add",     "useradd",         "ARM", "",                   "LIST@DOMAIN",         "a new mailing list" },
    { "lists",    "remove",  "userdel",         "A",   "",                   "LIST@DOMAIN",         "remove a mailing list" },
    { "lists",    "members", "mluserlist",      "A",   "address rights",     "LIST@DOMAIN",         "its members" },
    { "lists",    "join",    "mluseradd",       "AWO", "",                   "LIST@DOMAIN ADDRESS [R|RW|RA]", "add a member" },
    { "lists",    "leave",   "mluserdel",       "AW",  "",                   "LIST@DOMAIN ADDRESS", "remove a member" },
    { "domains",  "list",    "domainlist",      "O",   "domain",             "[WILDCARD]",          "domains" },
    { "domains",  "add",     "domainadd",       "W",   "",                   "DOMAIN",              "a new domain" },
    { "domains",  "remove",  "domaindel",       "W",   "",                   "DOMAIN",              "remove a domain with all that is in it; undelete brings it back" },
    { "domains",  "aliases", "aliasdomainlist", "OO",  "domain alias",       "[DOMAIN [ALIAS]]",    "other names of domains" },
    { "domains",  "alias",   "aliasdomainadd",  "WW",  "",                   "DOMAIN ALIAS",        "give a domain another name" },
    { "domains",  "unalias", "aliasdomaindel",  "W",   "",                   "ALIAS",               "take it away" },
    { "aliases",  "list",    "aliaslist",       "OOO", "domain alias target", "[DOMAIN [ALIAS [TARGET]]]", "other names of accounts" },
    { "aliases",  "add",     "aliasadd",        "AW",  "",                   "ALIAS@DOMAIN TARGET", "a new one, for an account or an address" },
    { "aliases",  "remove",  "aliasdel",        "A",   "",                   "ALIAS@DOMAIN",        "remove it" },
    { "tls",      "list",    "tlslist",         "",    "place names issuer ends key fingerprint", "", "the certificates" },
    { "tls",      "install", "tlsset",          "WFG", "",                   "PLACE CERTIFICATE-FILE [KEY-FILE]", "for server, the server's own, or for a host" },
    { "tls",      "request", "tlsrequest",      "W*",  "line",               "PLACE [NAME...]",     "a new key and a request for a certificate" },
    { "tls",      "self-signed", "tlsself",     "W*",  "",                   "PLACE [NAME...]",     "a new key and a certificate that it signs itself" },
    { "tls",      "order",   "tlsorder",        "",    "",                   "",                    "order from the authority of the settings (ACME), now" },
    { "tls",      "remove",  "tlsdel",          "W",   "",                   "HOST",                "remove a host's certificate and key" },
    { "tls",      "trust",   "tlscaadd",        "F",   "",                   "CERTIFICATE-FILE",    "trust an authority (certs.pem)" },
    { "tls",      "distrust", "tlscadel",       "W",   "",                   "FINGERPRINT",         "trust it no more" },
    { "tls",      "authority", "camake",        "W*",  "",                   "NAME [DOMAIN...]",    "make an authority of our own, for these domains only" },
    { "tls",      "sign",    "casign",          "W*",  "",                   "PLACE [NAME...]",     "a new key and a certificate from it" },
    { "tls",      "issued",  "calist",          "",    "serial kind name begun ends revoked", "", "it, and what it issued" },
    { "tls",      "issue",   "caissue",         "WWP", "line",               "ADDRESS DAYS",        "a client's key and certificate (PKCS #12, base64), under a password" },
    { "tls",      "revoke",  "carevoke",        "W",   "",                   "SERIAL",              "a certificate of its counts no more" },
    { "undelete", "list",    "removedlist",     "",    "id what when",       "",                    "what can be brought back" },
    { "undelete", "back",    "undelete",        "W",   "",                   "ID",                  "bring it back" },
};
/* clang-format on */

struct call {
    const struct verb *verb;
    const char *mailroot, *password_file;
    bool json, generate;
    char *words[WORDS_MAX];
    size_t count;
    struct arena mem; /* holds passwords: wiped */
    struct str parameters[16];
    size_t parameter_count;
    struct str upload; /* lines that the command asks for */
    struct str made;   /* the password that --generate made */
    bool first;        /* no row of a list was printed yet */
};

static int usage(const char *noun)
{
    (void)fprintf(stderr, "usage: hikyaku %s %s[--mailroot DIR] [--json]\n", noun,
                  strcmp(noun, "undelete") == 0 ? "[ID] " : "VERB ... ");
    for (size_t i = 0; i < ARRAY_LEN(verbs) && strcmp(noun, "undelete") != 0; i++)
        if (strcmp(verbs[i].noun, noun) == 0)
            (void)fprintf(stderr, "  %-11s %-34s %s\n", verbs[i].name, verbs[i].syntax,
                          verbs[i].help);
    if (strcmp(noun, "lists") == 0)
        (void)fputs(tool_list_posts_usage, stderr);
    if (strcmp(noun, "users") == 0)
        (void)fputs("Passwords are asked for, or come from --password-file FILE (-: standard "
                    "input), or are made by --generate.\n",
                    stderr);
    return 3;
}

/* --- the command line -------------------------------------------------------------------- */

static bool take_words(struct call *c, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--json") == 0)
            c->json = true;
        else if (strcmp(argv[i], "--generate") == 0)
            c->generate = true;
        else if (strcmp(argv[i], "--mailroot") == 0 && more)
            c->mailroot = argv[++i];
        else if (strcmp(argv[i], "--password-file") == 0 && more)
            c->password_file = argv[++i];
        else if (strncmp(argv[i], "--", 2) == 0 || c->count == WORDS_MAX)
            return false;
        else
            c->words[c->count++] = argv[i];
    }
    return true;
}

static void add(struct call *c, struct str value)
{
    c->parameters[c->parameter_count++] = value;
}

static enum rc add_address(struct call *c, struct str text, struct err *e)
{
    size_t at = str_rfind(text, '@');
    if (at == SIZE_MAX || at == 0 || at + 1 == text.n)
        return err_perm(e, "5.1.3", "%.*s is not NAME@DOMAIN", STR_ARG(text));
    add(c, str_skip(text, at + 1));
    add(c, str_head(text, at));
    return RC_OK;
}

static enum rc add_password(struct call *c, struct err *e)
{
    struct str password = tool_fresh_password(&c->mem);
    enum rc rc =
        c->generate ? RC_OK : tool_ask_password(c->password_file, &c->mem, &password, e);
    add(c, password);
    if (rc == RC_OK && c->generate)
        c->made = password;
    return rc;
}

static enum rc read_input(struct arena *a, struct str *out, struct err *e)
{
    char *text = arena_new(a, UPLOAD_MAX);
    size_t n = fread(text, 1, UPLOAD_MAX, stdin);
    *out = str_from(text, n);
    return n < UPLOAD_MAX ? RC_OK : err_perm(e, "5.3.4", "standard input is too long");
}

/* The file's text behind what is to be sent already. */
static enum rc add_file(struct call *c, const char *path, struct err *e)
{
    struct str text;
    enum rc rc = strcmp(path, "-") == 0 ? read_input(&c->mem, &text, e)
                                        : file_read(path, UPLOAD_MAX, &c->mem, &text, NULL, e);
    if (rc == RC_OK)
        c->upload = arena_printf(&c->mem, "%.*s%.*s\n", STR_ARG(c->upload), STR_ARG(text));
    return rc;
}

/* The words as the verb wants them. *out_fit: there were as many as it needs. */
static enum rc make_parameters(struct call *c, bool *out_fit, struct err *e)
{
    size_t used = 0;
    enum rc rc = RC_OK;
    *out_fit = true;
    add(c, str_from_c(c->verb->command));
    for (const char *w = c->verb->words; *w != '\0' && rc == RC_OK; w++) {
        bool needs = strchr("AWF", *w) != NULL;
        if (needs && used == c->count) {
            *out_fit = false;
            return RC_OK;
        }
        if (*w == 'A')
            rc = add_address(c, str_from_c(c->words[used++]), e);
        else if (*w == 'W' || (*w == 'O' && used < c->count))
            add(c, str_from_c(c->words[used++]));
        else if (*w == 'F' || (*w == 'G' && used < c->count))
            rc = add_file(c, c->words[used++], e);
        else if (*w == '*')
            while (used < c->count)
                add(c, str_from_c(c->words[used++]));
        else if (*w == 'P' && used == c->count)
            rc = add_password(c, e);
        else if (*w == 'R')
            add(c, tool_fresh_password(&c->mem));
        else if (*w == 'X')
            add(c, STR(".|rm"));
        else if (*w == 'U' || *w == 'M')
            add(c, arena_str(&c->mem, str_from(w, 1)));
    }
    *out_fit = used == c->count;
    return rc;
}

/* --- answers ----------------------------------------------------------------------------- */

static struct str next_column(struct str *rest)
{
    struct str name = STR("");
    (void)str_cut(rest, ' ', &name);
    return name;
}

static bool is_shown(const struct call *c, const struct str *values, size_t count)
{
    bool list = count > 3 && str_ieq(values[3], STR("M"));
    if (strcmp(c->verb->command, "userlist") != 0)
        return true;
    return list == (strcmp(c->verb->noun, "lists") == 0);
}

/* Columns that are times. */
static struct str shown_value(struct call *c, struct str column, struct str value)
{
    int64_t seconds = 0;
    char text[CLOCK_TEXT_BYTES];
    bool is_time = str_eq(column, STR("when")) || str_eq(column, STR("ends"));
    if (!is_time || !str_to_i64(value, &seconds))
        return value;
    return arena_str(&c->mem, str_from_c(clock_print(seconds * USEC_S, text)));
}

static void print_row(struct call *c, const struct str *values, size_t count)
{
    struct str columns = str_from_c(c->verb->columns);
    const char *between = c->json ? (c->first ? "\n {" : ",\n {") : "";
    for (size_t i = 0; i < count && columns.n > 0; i++) {
        struct str column = next_column(&columns);
        if (str_eq(column, STR("-")) || str_eq(column, STR("type")))
            continue;
        (void)fputs(between, stdout);
        struct str value = shown_value(c, column, values[i]);
        if (c->json) {
            tool_print_json(column);
            (void)putchar(':');
            tool_print_json(value);
        } else {
            tool_print_text(value, false);
        }
        between = c->json ? "," : "\t";
    }
    (void)fputs(c->json ? "}" : "\n", stdout);
    c->first = false;
}

static void print_pair(struct call *c, const struct str *values)
{
    if (c->json) {
        (void)fputs(c->first ? "\n " : ",\n ", stdout);
        tool_print_json(values[0]);
        (void)putchar(':');
        tool_print_json(values[1]);
    } else {
        tool_print_text(values[0], false);
        (void)putchar('\t');
        tool_print_text(values[1], false);
        (void)putchar('\n');
    }
    c->first = false;
}

static enum rc print_lines(struct call *c, struct client *server, struct err *e)
{
    bool pairs = c->verb->columns == NULL;
    struct str line;
    enum rc rc = RC_OK;
    if (c->json)
        (void)fputs(pairs ? "{" : "[", stdout);
    while ((rc = client_line(server, &line, e)) == RC_OK && !str_eq(line, STR("."))) {
        struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
        struct str values[16];
        size_t count = 0;
        line = str_starts(line, STR("..")) ? str_skip(line, 1) : line;
        if (tab_parse_line(line, &a, values, ARRAY_LEN(values), &count, NULL) != RC_OK)
            continue;
        if (pairs && count >= 2)
            print_pair(c, values);
        else if (!pairs && count > 0 && is_shown(c, values, count))
            print_row(c, values, count);
    }
    if (c->json)
        (void)fputs(pairs ? "\n}\n" : "\n]\n", stdout);
    return rc;
}

/* --- the dialogue ------------------------------------------------------------------------ */

/* The lines that the command asked for, a dot before those that begin with one. */
static enum rc send_upload(struct call *c, struct client *server, struct err *e)
{
    struct str rest = c->upload, line;
    enum rc rc = RC_OK;
    while (rc == RC_OK && rest.n > 0 && str_cut(&rest, '\n', &line))
        rc = client_write(server,
                          arena_printf(&c->mem, "%s%.*s\r\n",
                                       str_starts(line, STR(".")) ? "." : "",
                                       STR_ARG(str_trim(line))),
                          e);
    return rc == RC_OK ? client_write(server, STR(".\r\n"), e) : rc;
}

static enum rc ask(struct call *c, struct client *server, bool *out_done, struct err *e)
{
    struct buf row AUTO_RELEASE_BUF;
    struct str line;
    buf_init(&row, TAB_LINE_MAX);
    enum rc rc = client_line(server, &line, e); /* the greeting */
    if (rc == RC_OK && !str_starts(line, STR("+00000")))
        return err_perm(e, "5.5.0", "%.*s", STR_ARG(line));
    if (rc == RC_OK)
        rc = tab_print_row(&row, c->parameters, c->parameter_count, "\r\n", e);
    if (rc == RC_OK)
        rc = client_write(server, buf_str(&row), e);
    if (rc == RC_OK)
        rc = client_line(server, &line, e);
    if (rc == RC_OK && str_starts(line, STR("+00101")))
        rc = send_upload(c, server, e);
    else
        c->upload = STR("");
    if (rc == RC_OK && c->upload.n > 0)
        rc = client_line(server, &line, e);
    if (rc != RC_OK)
        return rc;
    *out_done = str_starts(line, STR("+"));
    if (!*out_done)
        (void)fprintf(stderr, "hikyaku %s: %.*s\n", c->verb->noun, STR_ARG(str_skip(line, 7)));
    return str_starts(line, STR("+00100")) ? print_lines(c, server, e) : RC_OK;
}

static int run(struct call *c)
{
    struct client *server = NULL;
    struct err e = { .text = "" };
    pid_t child = -1;
    int status = 0;
    bool done = false, fits = false;
    enum rc rc = make_parameters(c, &fits, &e); /* files are named from here */
    if (rc == RC_OK && !fits)
        return usage(c->verb->noun);
    if (rc == RC_OK)
        rc = tool_enter_mailroot(c->mailroot, &e);
    c->first = true;
    if (rc == RC_OK)
        rc = orders_reach(&server, &child, &e);
    if (rc == RC_OK)
        rc = ask(c, server, &done, &e);
    if (rc != RC_OK)
        (void)fprintf(stderr, "hikyaku %s: %s\n", c->verb->noun, e.text);
    else if (done && c->made.n > 0)
        (void)fprintf(c->verb->columns != NULL && c->verb->columns[0] != '\0' ? stderr : stdout,
                      "%s has the password %.*s\n", c->words[0], STR_ARG(c->made));
    client_close(&server);
    if (child > 0)
        (void)child_wait_for(child, clock_mono() + 30 * USEC_S, &status);
    return rc != RC_OK ? 2 : done ? 0 : 4;
}

static int people(const char *noun, const char *verb, int argc, char **argv)
{
    struct call c = { .verb = NULL };
    for (size_t i = 0; i < ARRAY_LEN(verbs) && verb != NULL; i++)
        if (strcmp(verbs[i].noun, noun) == 0 && strcmp(verbs[i].name, verb) == 0)
            c.verb = &verbs[i];
    if (c.verb == NULL || !take_words(&c, argc, argv))
        return usage(noun);
    int code = run(&c);
    arena_wipe(&c.mem);
    return code;
}

/* The verb is the first word. */
static int with_verb(const char *noun, int argc, char **argv)
{
    return argc == 0 ? usage(noun) : people(noun, argv[0], argc - 1, argv + 1);
}

int tool_users(int argc, char **argv)
{
    return with_verb("users", argc, argv);
}

int tool_lists(int argc, char **argv)
{
    if (argc > 0 && tool_list_posts_takes(argv[0]))
        return tool_list_posts(argc, argv);
    return with_verb("lists", argc, argv);
}

int tool_domains(int argc, char **argv)
{
    return with_verb("domains", argc, argv);
}

int tool_aliases(int argc, char **argv)
{
    return with_verb("aliases", argc, argv);
}

int tool_tls(int argc, char **argv)
{
    return with_verb("tls", argc, argv);
}

int tool_undelete(int argc, char **argv)
{
    struct call probe = { .verb = NULL };
    if (!take_words(&probe, argc, argv))
        return usage("undelete");
    return people("undelete", probe.count == 0 ? "list" : "back", argc, argv);
}

/*
 * mkusers.c - `hikyaku mkusers`, also installed as MkUsers: a first mailusers.tab with account
 * folders, from lines "domain;user;password;real-name;homepage" (specification 2, section 5; 6,
 * item 24).
 */
#include "mail/address.h"
#include "sys/file.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include "users/users.h"
#include <getopt.h>

static const char usage[] =
    "usage: MkUsers [-r root] [-s KB] [-i first-id] [-m] [-f file]\n"
    "       MkUsers [-r root] [-s KB] [-i first-id] [-m] -a number -d domain [-u radix]\n"
    "Makes mailusers.tab and the folders of accounts in root (.), from lines\n"
    "    domain;user;password;real-name;homepage\n"
    "of the file or of standard input; or a number of accounts radix1, radix2 ... of a "
    "domain,\n"
    "whose passwords it prints.\n"
    "  -s KB  size of a mailbox (10000)   -i id  of the first account (1)   -m  Maildir\n";

struct maker {
    const char *root, *file, *domain, *radix;
    uint64_t number, size_kb, id;
    bool maildir;
    struct arena mem; /* holds passwords: wiped */
    struct map seen;
    struct buf rows;
    unsigned line;
};

struct new_account {
    struct str domain, user, password, real_name, home_page;
};

static bool take_number(const char *text, uint64_t *out)
{
    return str_to_u64(str_from_c(text), out) && *out > 0 && *out <= 10000000;
}

static bool read_arguments(struct maker *m, int argc, char **argv)
{
    int c = 0;
    bool good = true;
    argc++; /* getopt expects the command's name first, and there it is */
    argv--;
    while ((c = getopt(argc, argv, "a:d:f:u:r:s:i:m")) != -1) {
        if (c == 'a')
            good = good && take_number(optarg, &m->number);
        else if (c == 'd')
            m->domain = optarg;
        else if (c == 'f')
            m->file = optarg;
        else if (c == 'u')
            m->radix = optarg;
        else if (c == 'r')
            m->root = optarg;
        else if (c == 's')
            good = good && take_number(optarg, &m->size_kb);
        else if (c == 'i')
            good = good && take_number(optarg, &m->id);
        else if (c == 'm')
            m->maildir = true;
        else
            return false;
    }
    return good && optind == argc && (m->number == 0) == (m->domain == NULL) &&
           !(m->number > 0 && m->file != NULL);
}

/* --- one account ------------------------------------------------------------------------- */

static enum rc check(struct maker *m, struct new_account *n, struct err *e)
{
    struct address address;
    struct str whole = arena_printf(&m->mem, "%.*s@%.*s", STR_ARG(n->user), STR_ARG(n->domain));
    if (domain_parse(n->domain, true, &m->mem, &n->domain, NULL) != RC_OK)
        return err_perm(e, "5.1.3", "%.*s is not a domain name", STR_ARG(n->domain));
    if (n->user.n == 0 || n->user.p[0] == '.' || str_has_any(n->user, "/\\@") ||
        address_parse(whole, ADDRESS_STRICT, &m->mem, &address, NULL) != RC_OK)
        return err_perm(e, "5.1.3", "%.*s can't be the name of an account", STR_ARG(n->user));
    if (n->password.n == 0 || str_has_control(n->password))
        return err_perm(e, "5.7.0", "the password of %.*s can't be used", STR_ARG(n->user));
    char *key = arena_new(&m->mem, whole.n + 1);
    for (size_t i = 0; i < whole.n; i++)
        key[i] = ascii_lower(whole.p[i]);
    if (map_get(&m->seen, str_from(key, whole.n)) != NULL)
        return err_perm(e, "5.3.0", "%s is there twice", key);
    (void)map_put(&m->seen, str_from(key, whole.n), m);
    return RC_OK;
}

static enum rc write_user_tab(struct maker *m, const struct new_account *n, struct str folder,
                              struct err *e)
{
    struct buf b AUTO_RELEASE_BUF;
    buf_init(&b, 65536);
    const struct str rows[][2] = {
        { STR("RealName"), n->real_name },
        { STR("HomePage"), n->home_page },
        { STR("MaxMBSize"), arena_printf(&m->mem, "%" PRIu64, m->size_kb) },
        { STR("SmtpPerms"), STR("MR") },
        { STR("ReceiveEnable"), STR("1") },
        { STR("PopEnable"), STR("1") },
    };
    enum rc rc = RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(rows) && rc == RC_OK; i++)
        rc = tab_print_row(&b, rows[i], 2, "\n", e);
    if (rc == RC_OK)
        rc = file_replace(arena_printf(&m->mem, "%.*s/user.tab", STR_ARG(folder)).p,
                          buf_str(&b), 0640, e);
    return rc;
}

static enum rc make_folders(struct maker *m, const struct new_account *n, struct err *e)
{
    static const char *const maildir[] = { "Maildir/tmp", "Maildir/new", "Maildir/cur", NULL };
    static const char *const mailbox[] = { "mailbox", NULL };
    struct str folder =
        arena_printf(&m->mem, "domains/%.*s/%.*s", STR_ARG(n->domain), STR_ARG(n->user));
    enum rc rc = RC_OK;
    for (const char *const *p = m->maildir ? maildir : mailbox; *p != NULL && rc == RC_OK; p++)
        rc = folder_make(arena_printf(&m->mem, "%.*s/%s", STR_ARG(folder), *p).p, 0700, e);
    return rc == RC_OK ? write_user_tab(m, n, folder, e) : rc;
}

static enum rc make_account(struct maker *m, struct new_account *n, struct err *e)
{
    struct str stored;
    enum rc rc = check(m, n, e);
    if (rc == RC_OK)
        rc = password_make(conf()->password_scheme, n->password, &m->mem, &stored, e);
    if (rc == RC_OK)
        rc = make_folders(m, n, e);
    if (rc != RC_OK)
        return rc;
    const struct str row[] = { n->domain, n->user,
                               stored,    arena_printf(&m->mem, "%" PRIu64, m->id++),
                               n->user,   STR("U") };
    return tab_print_row(&m->rows, row, ARRAY_LEN(row), "\n", e);
}

/* --- where they come from ---------------------------------------------------------------- */

static enum rc make_line(struct maker *m, struct str line, struct err *e)
{
    struct str rest = str_trim(line);
    struct new_account n = { .user = STR("") };
    struct str *fields[] = { &n.domain, &n.user, &n.password, &n.real_name, &n.home_page };
    if (rest.n == 0 || rest.p[0] == '#')
        return RC_OK;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!str_cut(&rest, ';', fields[i]))
            *fields[i] = STR("");
    return make_account(m, &n, e);
}

static enum rc make_from_lines(struct maker *m, struct str text, struct err *e)
{
    struct str line;
    enum rc rc = RC_OK;
    while (rc == RC_OK && text.n > 0 && str_cut(&text, '\n', &line)) {
        m->line++;
        rc = make_line(m, arena_str(&m->mem, line), e);
    }
    return rc;
}

static enum rc make_by_number(struct maker *m, struct err *e)
{
    enum rc rc = RC_OK;
    for (uint64_t i = 1; i <= m->number && rc == RC_OK; i++) {
        struct new_account n = {
            .domain = str_from_c(m->domain),
            .user = arena_printf(&m->mem, "%s%" PRIu64, m->radix, i),
            .password = tool_fresh_password(&m->mem),
            .real_name = STR("??"),
            .home_page = STR("??"),
        };
        rc = make_account(m, &n, e);
        if (rc == RC_OK)
            (void)printf("%s;%.*s;%.*s\n", m->domain, STR_ARG(n.user), STR_ARG(n.password));
    }
    return rc;
}

static enum rc read_all(FILE *from, struct buf *out, struct err *e)
{
    char piece[4096];
    size_t n = 0;
    while ((n = fread(piece, 1, sizeof(piece), from)) > 0)
        if (buf_add(out, piece, n) != RC_OK)
            return err_perm(e, "5.3.0", "the list is too long");
    return RC_OK;
}

static enum rc make_all(struct maker *m, struct err *e)
{
    struct buf text AUTO_RELEASE_BUF;
    buf_init(&text, (size_t)256 << 20);
    enum rc rc = RC_OK;
    if (m->file == NULL && m->number == 0) {
        rc = read_all(stdin, &text, e);
    } else if (m->file != NULL) {
        struct str content;
        rc = file_read(m->file, (size_t)256 << 20, &m->mem, &content, NULL, e);
        if (rc == RC_OK)
            rc = buf_add_str(&text, content);
    }
    if (rc == RC_OK && chdir(m->root) < 0)
        rc = err_sys(e, "enter %s", m->root);
    if (rc == RC_OK && file_exists("mailusers.tab"))
        rc = err_perm(e, "5.3.0", "%s has a mailusers.tab already; nothing was changed",
                      m->root);
    if (rc == RC_OK) /* without a server.tab: XMail's defaults */
        rc = options_load(e);
    if (rc == RC_OK)
        rc = m->number > 0 ? make_by_number(m, e) : make_from_lines(m, buf_str(&text), e);
    return rc == RC_OK ? file_replace("mailusers.tab", buf_str(&m->rows), 0640, e) : rc;
}

int tool_mkusers(int argc, char **argv)
{
    struct maker m = { .root = ".", .radix = "xmuser", .size_kb = 10000, .id = 1 };
    struct err e;
    if (!read_arguments(&m, argc, argv)) {
        (void)fputs(usage, stderr);
        return 1;
    }
    buf_init(&m.rows, (size_t)256 << 20);
    enum rc rc = make_all(&m, &e);
    if (rc != RC_OK && m.line > 0)
        (void)fprintf(stderr, "MkUsers: line %u: %s\n", m.line, e.text);
    else if (rc != RC_OK)
        (void)fprintf(stderr, "MkUsers: %s\n", e.text);
    buf_release(&m.rows);
    map_release(&m.seen);
    arena_wipe(&m.mem);
    return rc == RC_OK ? 0 : 2;
}

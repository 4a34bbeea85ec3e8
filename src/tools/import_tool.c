/* import_tool.c - `hikyaku import`: mail from other systems, rehearsed first. */
#include "store/store.h"
#include "sys/file.h"
#include "sys/trace.h"
#include "tools/import_int.h"
#include "tools/tools.h"
#include <dirent.h>
#include <limits.h>
#include <unistd.h>

static const char usage[] =
    "usage: hikyaku import maildir DIR USER@DOMAIN         a Maildir with its folders\n"
    "       hikyaku import mbox FILE USER@DOMAIN[/FOLDER]  an mbox file\n"
    "       hikyaku import maildirs DIR DOMAIN             a tree: DIR/USER or "
    "DIR/USER/Maildir\n"
    "       hikyaku import mboxes DIR DOMAIN               a tree: a file a user\n"
    "       hikyaku import hmailserver DATA DUMP.sql       its data folder and database\n"
    "Says what would be imported, and changes nothing.\n"
    "  --do            do it; also beside a running server. Can be repeated: no message comes "
    "twice\n"
    "  --mailroot DIR  the MailRoot (else MAIL_ROOT, else /var/MailRoot)\n"
    "Ends with 0: done, 1: failed (it can be repeated), 2: some of it can't be read, 3: wrong "
    "usage.\n";

struct run {
    struct import im;
    const char *mailroot, *kind, *source, *to;
    struct arena mem;
    struct tab users;
    size_t without; /* sources without an account here */
    struct import_hmail_counts hmail;
    bool shown;
};

/* --- what people see --------------------------------------------------------------------- */

static void clear_line(struct run *r)
{
    if (r->shown)
        (void)fprintf(stderr, "\r\033[K");
    r->shown = false;
}

static void say(void *ctx, struct str source, struct str what)
{
    clear_line(ctx);
    tool_print_text(source, false);
    (void)printf(": ");
    tool_print_text(what, false);
    (void)putchar('\n');
}

static void progress(void *ctx, uint64_t messages, uint64_t octets)
{
    struct run *r = ctx;
    if (isatty(STDERR_FILENO) == 0)
        return;
    (void)fprintf(stderr, "\r%" PRIu64 " messages, %" PRIu64 " MB", messages, octets >> 20);
    r->shown = true;
}

static int report(struct run *r)
{
    const struct import_report *p = &r->im.report;
    const struct import_hmail_counts *h = &r->hmail;
    clear_line(r);
    if (strcmp(r->kind, "hmailserver") == 0)
        (void)printf("%zu domains, %zu accounts, %zu aliases, %zu lists with %zu members%s\n",
                     h->domains, h->accounts, h->aliases, h->lists, h->members,
                     r->im.really ? " made" : "");
    if (h->without_password > 0)
        (void)printf("%zu accounts have a password that nobody knows\n", h->without_password);
    if (h->refused + h->broken_rows > 0)
        (void)printf("%zu refused; %zu rows of the dump are broken\n", h->refused,
                     h->broken_rows);
    (void)printf("%" PRIu64 " messages, %" PRIu64 " MB", p->messages, p->octets >> 20);
    if (r->im.really)
        (void)printf(": %" PRIu64 " put into mailboxes, %" PRIu64 " were there already\n",
                     p->put, p->present);
    else
        (void)printf(" would be imported; --do does it\n");
    if (r->without > 0)
        (void)printf("%zu left out: no account here. Make them first (hikyaku users add), and "
                     "repeat\n",
                     r->without);
    if (p->bad > 0)
        (void)printf("%" PRIu64 " can't be read\n", p->bad);
    if (p->skipped > 0)
        (void)printf("%" PRIu64 " that are no files were left out\n", p->skipped);
    return p->bad + r->without + h->refused + h->broken_rows > 0 ? 2 : 0;
}

/* --- accounts ---------------------------------------------------------------------------- */

bool tool_find_account(const struct tab *users, struct str user, struct str domain,
                       struct arena *a, struct account *out)
{
    for (size_t i = 0; i < users->row_count; i++) {
        const struct tab_row *row = &users->rows[i];
        struct str dir = tab_value(row, 4);
        if (!str_ieq(tab_value(row, 0), domain) || !str_ieq(tab_value(row, 1), user) ||
            str_ieq(tab_value(row, 5), STR("M")))
            continue;
        *out = (struct account){
            .domain = tab_value(row, 0),
            .name = tab_value(row, 1),
            .folder = arena_printf(a, "domains/%.*s/%.*s", STR_ARG(tab_value(row, 0)),
                                   STR_ARG(dir.n > 0 ? dir : tab_value(row, 1))),
            .type = ACCOUNT_USER,
        };
        return true;
    }
    return false;
}

/* --- sources ----------------------------------------------------------------------------- */

static enum rc one(struct run *r, bool maildir, const char *source, struct str user,
                   struct str domain, struct str folder, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct account account;
    if (!tool_find_account(&r->users, user, domain, &a, &account)) {
        say(r, str_from_c(source),
            arena_printf(&a, "there is no account %.*s@%.*s", STR_ARG(user), STR_ARG(domain)));
        r->without++;
        return RC_OK;
    }
    return maildir ? import_maildir(&r->im, source, &account, e)
                   : import_mbox(&r->im, source, &account, folder, e);
}

/* USER@DOMAIN[/FOLDER] */
static enum rc single(struct run *r, struct err *e)
{
    struct str to = str_from_c(r->to), folder = STR("");
    size_t slash = str_find(to, '/'), at = str_rfind(str_head(to, slash), '@');
    bool maildir = strcmp(r->kind, "maildir") == 0;
    if (slash != SIZE_MAX) {
        folder = str_skip(to, slash + 1);
        to = str_head(to, slash);
    }
    if (at == SIZE_MAX || (maildir && folder.n > 0) || !store_folder_is_good(folder))
        return err_perm(e, "5.3.0", "%s isn't USER@DOMAIN%s", r->to,
                        maildir ? "" : "[/FOLDER]");
    folder = str_ieq(folder, STR("INBOX")) ? STR("") : folder;
    return one(r, maildir, r->source, str_head(to, at), str_skip(to, at + 1), folder, e);
}

/* One name of the folder is one user. What can't be read doesn't keep the others. */
static enum rc each_of_tree(struct run *r, struct str name, unsigned char type, struct err *e)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    bool maildirs = strcmp(r->kind, "maildirs") == 0;
    struct str path = arena_printf(&a, "%s/%.*s", r->source, STR_ARG(name));
    struct str below = arena_printf(&a, "%s/Maildir", path.p);
    if (type != (maildirs ? DT_DIR : DT_REG)) {
        r->im.report.skipped++;
        return RC_OK;
    }
    enum rc rc = one(r, maildirs, maildirs && folder_exists(below.p) ? below.p : path.p, name,
                     str_from_c(r->to), STR(""), e);
    if (rc != RC_PERM)
        return rc;
    say(r, path, str_from_c(e->text));
    r->im.report.bad++;
    return RC_OK;
}

static enum rc tree(struct run *r, struct err *e)
{
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    enum rc rc = folder_open(r->source, &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type))
        if (name.p[0] != '.')
            rc = each_of_tree(r, arena_str(&r->mem, name), type, e);
    folder_close(&f);
    return rc;
}

/* --- the command line -------------------------------------------------------------------- */

static bool read_arguments(struct run *r, int argc, char **argv)
{
    static const char *const kinds[] = { "maildir", "mbox", "maildirs", "mboxes",
                                         "hmailserver" };
    char here[PATH_MAX];
    const char **words[] = { &r->kind, &r->source, &r->to };
    size_t n = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < argc)
            r->mailroot = argv[++i];
        else if (strcmp(argv[i], "--do") == 0)
            r->im.really = true;
        else if (argv[i][0] == '-' || n == ARRAY_LEN(words))
            return false;
        else
            *words[n++] = argv[i];
    }
    if (n < ARRAY_LEN(words))
        return false;
    bool known_here = getcwd(here, sizeof(here)) != NULL;
    if (r->source[0] != '/' && known_here)
        r->source = arena_printf(&r->mem, "%s/%s", here, r->source).p;
    if (r->to[0] != '/' && known_here && strcmp(r->kind, "hmailserver") == 0)
        r->to = arena_printf(&r->mem, "%s/%s", here, r->to).p;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(r->kind, kinds[i]) == 0)
            return true;
    return false;
}

static enum rc run(struct run *r, struct err *e)
{
    bool is_tree = r->kind[strlen(r->kind) - 1] == 's';
    enum rc rc = tool_enter_mailroot(r->mailroot, e);
    if (rc == RC_OK)
        rc = tool_become_owner(e);
    if (rc == RC_OK)
        rc = options_load(e);
    if (rc == RC_OK)
        rc = tab_read("mailusers.tab", &r->mem, &r->users, e);
    if (rc != RC_OK)
        return rc;
    store_init(NULL);
    if (strcmp(r->kind, "hmailserver") == 0)
        return import_hmailserver(&r->im, r->source, r->to, &r->hmail, e);
    return is_tree ? tree(r, e) : single(r, e);
}

int tool_import(int argc, char **argv)
{
    struct run r = { .im = { .say = say, .progress = progress } };
    struct err e = { .text = "" };
    int code = 3;
    r.im.ctx = &r;
    log_set_level(LOG_LEVEL_WARN);
    trace_set_role("import");
    if (!read_arguments(&r, argc, argv)) {
        (void)fputs(usage, stderr);
    } else if (run(&r, &e) != RC_OK) {
        clear_line(&r);
        (void)fprintf(stderr, "hikyaku import: %s\n", e.text);
        code = 1;
    } else {
        code = report(&r);
    }
    arena_release(&r.mem);
    return code;
}

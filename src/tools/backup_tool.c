/* backup_tool.c - `hikyaku backup` and `hikyaku restore`. */
#include "backup/backup.h"
#include "sys/file.h"
#include "sys/trace.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRESS_EVERY 1000u /* files */

static const char backup_usage[] =
    "usage: hikyaku backup DIR [--keep N] [--logs] [--mailroot DIR]\n"
    "       hikyaku backup --list DIR\n"
    "       hikyaku backup --prove SNAPSHOT\n"
    "A snapshot of the MailRoot in DIR, also while the server runs. Files that are as they "
    "were\n"
    "in the snapshot before are links to it, and aren't read.\n"
    "  --keep N   then only the N newest snapshots stay\n"
    "  --logs     logs/ too\n"
    "  --prove    reads a snapshot and compares it with its checksums\n"
    "Ends with 0: done, 1: failed, 2: the snapshot is damaged, 3: wrong usage.\n";

static const char restore_usage[] =
    "usage: hikyaku restore SNAPSHOT all|DOMAIN|USER@DOMAIN[/FOLDER] [--to DIR] [--mailroot "
    "DIR]\n"
    "SNAPSHOT: one that `hikyaku backup` made, or the folder of them (then the newest).\n"
    "  all        to a MailRoot that is empty or missing; --without-queue leaves the queue "
    "out\n"
    "  DOMAIN ... back into the MailRoot, also while the server runs: what is missing is "
    "added,\n"
    "             what is there stays. FOLDER: INBOX, or a folder of the Maildir.\n"
    "  --to DIR   aside, as a tree of its own\n"
    "Ends with 0: done, 1: failed (it can be repeated), 2: some files are damaged, 3: wrong "
    "usage.\n";

struct run {
    const char *mailroot, *to, *what;
    char *place; /* DIR or SNAPSHOT, absolute */
    bool logs, list, prove, without_queue;
    unsigned keep;
    bool shown; /* progress, on the line at hand */
};

/* --- what people see --------------------------------------------------------------------- */

static void clear_line(struct run *r)
{
    if (r->shown)
        (void)fprintf(stderr, "\r\033[K");
    r->shown = false;
}

static void say(void *ctx, struct str file, struct str what)
{
    clear_line(ctx);
    tool_print_text(file, false);
    (void)printf(": ");
    tool_print_text(what, false);
    (void)putchar('\n');
}

static void progress(void *ctx, uint64_t files, uint64_t octets)
{
    struct run *r = ctx;
    if (files % PROGRESS_EVERY != 0 || isatty(STDERR_FILENO) == 0)
        return;
    (void)fprintf(stderr, "\r%" PRIu64 " files, %" PRIu64 " MB", files, octets >> 20);
    r->shown = true;
}

static struct backup_sink sink_of(struct run *r)
{
    return (struct backup_sink){ say, progress, r };
}

/* --- places ------------------------------------------------------------------------------ */

/* Absolute, because the MailRoot becomes the working directory. */
static char *absolute(const char *path, struct arena *a)
{
    char here[PATH_MAX];
    if (path[0] == '/' || getcwd(here, sizeof(here)) == NULL)
        return arena_c(a, str_from_c(path));
    return arena_c(a, arena_printf(a, "%s/%s", here, path));
}

/* Root becomes the owner where one user has it all; else it stays root and follows no links. */
static enum rc choose_user(bool *out_careful, struct err *e)
{
    struct stat root, queue;
    if (io_stat(".", &root) < 0)
        return err_sys(e, "look at the MailRoot");
    bool two = io_stat("queue", &queue) == 0 && queue.st_uid != root.st_uid;
    *out_careful = geteuid() == 0 && two;
    return two ? RC_OK : tool_become_owner(e);
}

/* The snapshot itself, or the newest in the folder. */
static enum rc find_snapshot(struct run *r, struct arena *a, struct err *e)
{
    struct str *names = NULL;
    size_t count = 0;
    if (file_exists(arena_printf(a, "%s/manifest", r->place).p))
        return RC_OK;
    enum rc rc = backup_list(r->place, a, &names, &count, e);
    if (rc == RC_OK && count == 0)
        rc = err_perm(e, "5.3.0", "%s is no snapshot, and has none in it", r->place);
    if (rc == RC_OK)
        r->place = arena_c(a, arena_printf(a, "%s/%.*s", r->place, STR_ARG(names[count - 1])));
    return rc;
}

/* --- backup ------------------------------------------------------------------------------ */

static enum rc list(const struct run *r, struct arena *a, struct err *e)
{
    struct str *names = NULL;
    size_t count = 0;
    enum rc rc = backup_list(r->place, a, &names, &count, e);
    for (size_t i = 0; rc == RC_OK && i < count; i++)
        (void)printf("%.*s\n", STR_ARG(names[i]));
    return rc;
}

static enum rc prove(struct run *r, bool *out_bad, struct arena *a, struct err *e)
{
    struct backup_sink sink = sink_of(r);
    struct backup_proof proof;
    enum rc rc = find_snapshot(r, a, e);
    if (rc == RC_OK)
        rc = backup_prove(r->place, &sink, &proof, e);
    clear_line(r);
    if (rc != RC_OK)
        return rc;
    (void)printf("%" PRIu64 " files, %" PRIu64 " MB read: ", proof.files, proof.octets >> 20);
    (void)printf(proof.bad == 0 ? "all as they were\n" : "%" PRIu64 " damaged\n", proof.bad);
    *out_bad = proof.bad > 0;
    return RC_OK;
}

static enum rc make(struct run *r, struct arena *a, struct err *e)
{
    struct backup_sink sink = sink_of(r);
    struct backup_request request = { .dir = r->place, .logs = r->logs, .keep = r->keep };
    struct backup_report report = { .files = 0 };
    enum rc rc = tool_enter_mailroot(r->mailroot, e);
    if (rc == RC_OK)
        rc = choose_user(&request.careful, e);
    if (rc == RC_OK)
        rc = backup_make(&request, &sink, a, &report, e);
    clear_line(r);
    if (rc != RC_OK)
        return rc;
    (void)printf("%s/%.*s: %" PRIu64 " files, %" PRIu64 " MB; %" PRIu64 " of them new or "
                 "changed, %" PRIu64 " MB\n",
                 r->place, STR_ARG(report.snapshot), report.files, report.octets >> 20,
                 report.read_files, report.read_octets >> 20);
    if (report.skipped > 0)
        (void)printf("%" PRIu64 " that are neither files nor folders were left out\n",
                     report.skipped);
    if (report.pruned > 0)
        (void)printf("%" PRIu64 " old snapshots removed\n", report.pruned);
    return RC_OK;
}

static bool read_arguments(struct run *r, int argc, char **argv, struct arena *a)
{
    uint64_t n = 0;
    for (int i = 0; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--mailroot") == 0 && more)
            r->mailroot = argv[++i];
        else if (strcmp(argv[i], "--to") == 0 && more)
            r->to = absolute(argv[++i], a);
        else if (strcmp(argv[i], "--keep") == 0 && more &&
                 str_to_u64(str_from_c(argv[i + 1]), &n) && n > 0 && n < 100000 && ++i > 0)
            r->keep = (unsigned)n;
        else if (strcmp(argv[i], "--logs") == 0)
            r->logs = true;
        else if (strcmp(argv[i], "--list") == 0)
            r->list = true;
        else if (strcmp(argv[i], "--prove") == 0)
            r->prove = true;
        else if (strcmp(argv[i], "--without-queue") == 0)
            r->without_queue = true;
        else if (argv[i][0] != '-' && r->place == NULL)
            r->place = absolute(argv[i], a);
        else if (argv[i][0] != '-' && r->what == NULL)
            r->what = argv[i];
        else
            return false;
    }
    return r->place != NULL;
}

int tool_backup(int argc, char **argv)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct run r = { .mailroot = NULL };
    struct err e = { .text = "" };
    bool bad = false;
    if (!read_arguments(&r, argc, argv, &a) || r.what != NULL || r.to != NULL ||
        r.without_queue || (r.list && r.prove)) {
        (void)fputs(backup_usage, stderr);
        return 3;
    }
    trace_set_role("backup");
    enum rc rc = r.list    ? list(&r, &a, &e)
                 : r.prove ? prove(&r, &bad, &a, &e)
                           : make(&r, &a, &e);
    if (rc != RC_OK)
        (void)fprintf(stderr, "hikyaku backup: %s\n", e.text);
    return rc != RC_OK ? 1 : bad ? 2 : 0;
}

/* --- restore ----------------------------------------------------------------------------- */

static bool parse_choice(const struct run *r, struct backup_choice *out)
{
    if (!backup_choice_parse(str_from_c(r->what), out))
        return false;
    out->leave_queue = r->without_queue;
    return !r->without_queue || out->domain.n == 0;
}

static enum rc restore(struct run *r, const struct backup_choice *c,
                       struct backup_restored *out, struct arena *a, struct err *e)
{
    struct backup_sink sink = sink_of(r);
    bool careful = false;
    const char *root = r->mailroot != NULL ? r->mailroot : getenv("MAIL_ROOT");
    enum rc rc = find_snapshot(r, a, e);
    if (rc != RC_OK)
        return rc;
    if (r->to != NULL)
        return backup_restore_aside(r->place, c, r->to, &sink, out, e);
    if (c->domain.n == 0)
        return backup_restore_aside(r->place, c,
                                    root == NULL || root[0] == '\0' ? "/var/MailRoot" : root,
                                    &sink, out, e);
    rc = tool_enter_mailroot(r->mailroot, e);
    if (rc == RC_OK)
        rc = choose_user(&careful, e);
    return rc == RC_OK ? backup_restore_back(r->place, c, &sink, out, e) : rc;
}

int tool_restore(int argc, char **argv)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct run r = { .mailroot = NULL };
    struct backup_choice choice;
    struct backup_restored got = { .files = 0 };
    struct err e = { .text = "" };
    if (!read_arguments(&r, argc, argv, &a) || r.what == NULL || r.list || r.prove || r.logs ||
        r.keep > 0 || !parse_choice(&r, &choice)) {
        (void)fputs(restore_usage, stderr);
        return 3;
    }
    trace_set_role("restore");
    enum rc rc = restore(&r, &choice, &got, &a, &e);
    clear_line(&r);
    if (rc != RC_OK) {
        (void)fprintf(stderr, "hikyaku restore: %s\n", e.text);
        return 1;
    }
    (void)printf("%" PRIu64 " files restored, %" PRIu64 " MB, %" PRIu64 " of them messages; "
                 "%" PRIu64 " lines of tables\n",
                 got.files, got.octets >> 20, got.messages, got.rows);
    if (got.present + got.kept > 0)
        (void)printf("%" PRIu64 " messages and %" PRIu64 " other files are there already, and "
                     "stay as they are\n",
                     got.present, got.kept);
    if (got.bad > 0)
        (void)printf("%" PRIu64 " files are damaged in the snapshot\n", got.bad);
    return got.bad > 0 ? 2 : 0;
}

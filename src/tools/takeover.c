/*
 * takeover.c - `hikyaku takeover`: says what becomes of a MailRoot of XMail, and with --do
 * makes it ours. Each step can be done again, so a run that was interrupted is simply repeated.
 * The report is printed; that of --do is kept below hikyaku/, too.
 */
#include "takeover/takeover.h"
#include "conf/logfiles.h"
#include "conf/marker.h"
#include "spool/spool.h"
#include "sys/file.h"
#include "sys/trace.h"
#include "tools/check_int.h"
#include "tools/tools.h"
#include "tools/tools_int.h"
#include <dirent.h>

static const char usage[] =
    "usage: hikyaku takeover [--mailroot DIR] [--do [--owner USER]]\n"
    "Reads a MailRoot of XMail (default: MAIL_ROOT, else /var/MailRoot) and reports what "
    "works\n"
    "as it is, what differs, what needs a hand, and what --do would do. Changes nothing.\n"
    "  --do            do it: owner, marker, spool, old index folders; keeps the report\n"
    "  --owner USER    (as root) give the MailRoot to this user of the system\n"
    "XMail must be stopped for --do. Ends with 0: done, 1: failed, 3: wrong usage.\n";

#define FINDINGS_MAX 2000u

struct run {
    const char *mailroot, *owner;
    bool really;
    int lock;
    struct buf sections[3]; /* by enum takeover_level */
    size_t findings[3];
    struct buf problems; /* of check */
    size_t problem_counts[3];
    struct buf text;
    struct takeover_inventory inventory;
    struct takeover_spool spool;
    size_t indexes_removed;
};

/* --- the report -------------------------------------------------------------------------- */

/* Foreign text on one line. */
static void add_text(struct buf *b, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x20 || c == 0x7f)
            buf_addf(b, "\\x%02x", c);
        else
            buf_must(buf_add_char(b, text.p[i]));
    }
}

static void say(void *ctx, enum takeover_level level, struct str file, struct str what)
{
    struct run *r = ctx;
    struct buf *b = &r->sections[level];
    if (++r->findings[level] > FINDINGS_MAX)
        return;
    buf_addf(b, "  - ");
    add_text(b, file);
    buf_addf(b, "%s", file.n > 0 ? ": " : "");
    add_text(b, what);
    buf_addf(b, "\n");
}

static void say_problem(void *ctx, enum check_level level, const char *path, unsigned line,
                        const char *what, const char *advice)
{
    struct run *r = ctx;
    if (++r->problem_counts[level] > FINDINGS_MAX || level == CHECK_NOTE)
        return;
    buf_addf(&r->problems, "  - ");
    add_text(&r->problems, str_from_c(path));
    if (line > 0)
        buf_addf(&r->problems, ":%u", line);
    buf_addf(&r->problems, ": %s", level == CHECK_ERROR ? "error: " : "");
    add_text(&r->problems, str_from_c(what));
    if (advice[0] != '\0') {
        buf_addf(&r->problems, " (");
        add_text(&r->problems, str_from_c(advice));
        buf_addf(&r->problems, ")");
    }
    buf_addf(&r->problems, "\n");
}

static void add_section(struct run *r, const char *title, const struct buf *lines, size_t count)
{
    if (count == 0)
        return;
    buf_addf(&r->text, "\n%s\n", title);
    buf_must(buf_add_str(&r->text, buf_str(lines)));
    if (count > FINDINGS_MAX)
        buf_addf(&r->text, "  - and %zu more\n", count - FINDINGS_MAX);
}

static void add_counts(struct run *r)
{
    const struct takeover_inventory *v = &r->inventory;
    const struct takeover_spool *s = &r->spool;
    struct buf *b = &r->text;
    buf_addf(b, "\nWhat is there\n");
    buf_addf(b, "  %zu domains, %zu accounts, %zu lists, %zu aliases\n", v->domains,
             v->accounts, v->lists, v->aliases);
    buf_addf(b,
             "  %zu accounts with Maildir, %zu with mailbox, %zu with neither; %zu messages\n",
             v->maildirs, v->mailboxes, v->without, v->messages);
    buf_addf(b, "  %zu last logins, %zu links that are switched off, %zu mailproc.tab\n",
             v->last_logins, v->disabled_links, v->mailprocs);
    buf_addf(b, "  %zu programs named by tables, %zu of them can't run here\n", v->programs,
             v->bad_programs);
    buf_addf(b, "Spool\n  %zu new, %zu tried before, %zu frozen: %" PRIu64 " KB\n", s->fresh,
             s->retried, s->frozen, s->octets / 1024);
    if (s->held > 0)
        buf_addf(b, "  %zu of them are held, because XMail had begun to process them\n",
                 s->held);
    if (s->damaged + s->odd > 0)
        buf_addf(b, "  %zu damaged files, %zu that are no files\n", s->damaged, s->odd);
    if (s->local > 0)
        buf_addf(b, "  %zu in spool/local, which the server takes when it runs\n", s->local);
    if (s->unfinished > 0)
        buf_addf(b,
                 "  %zu unfinished ones in temp, which no client believes to be sent: left\n",
                 s->unfinished);
}

static void add_plan(struct run *r)
{
    const struct takeover_inventory *v = &r->inventory;
    const struct takeover_spool *s = &r->spool;
    struct buf *b = &r->text;
    buf_addf(b, "\nWhat --do does\n");
    buf_addf(b, "  1. owner: %s\n",
             r->owner == NULL ? "stays as it is (--owner USER gives it to another)" : r->owner);
    buf_addf(b, "  2. marker: " MARKER_PATH ", from whose time on messages are ours\n");
    buf_addf(b, "  3. spool: %zu messages become entries of the queue; %zu stay frozen\n",
             s->fresh + s->retried + s->frozen, s->frozen);
    buf_addf(b, "  4. XMail's indexes: %zu files of tabindex/ and dnscache/ are removed\n",
             v->index_files);
    buf_addf(b, "  5. %zu locks in pop3locks/ are removed\n", v->locks);
    buf_addf(b, "Tables, mailboxes, last logins and switched-off links stay as they are; no "
                "message is opened.\nXMail must be stopped before --do; make a copy first.\n");
}

static void make_text(struct run *r)
{
    struct buf *b = &r->text;
    buf_addf(b, "Takeover of %s: %s\n", r->mailroot,
             r->really ? "done" : "a rehearsal; nothing was changed");
    add_counts(r);
    add_section(r, "Works as it is", &r->sections[TAKEOVER_FINE], r->findings[TAKEOVER_FINE]);
    add_section(r, "Differs (docs/xmail.md says more)", &r->sections[TAKEOVER_DIFFERS],
                r->findings[TAKEOVER_DIFFERS]);
    add_section(r, "Needs a hand", &r->sections[TAKEOVER_HAND], r->findings[TAKEOVER_HAND]);
    add_section(r, "Problems that hikyaku check finds", &r->problems,
                r->problem_counts[CHECK_WARNING] + r->problem_counts[CHECK_ERROR]);
    if (!r->really)
        add_plan(r);
    else
        buf_addf(b,
                 "\n%zu files of XMail's indexes were removed.\nStart the server: hikyaku "
                 "serve --mailroot %s\n",
                 r->indexes_removed, r->mailroot);
}

/* --- looking ----------------------------------------------------------------------------- */

static void note_facts(struct run *r)
{
    struct takeover_sink sink = { say, r };
    struct str none = STR("");
    struct marker marker;
    struct stat st;
    unsigned pid = 0;
    const struct takeover_inventory *v = &r->inventory;
    if (marker_read(&marker, NULL) == RC_OK && marker.exists)
        sink.say(r, TAKEOVER_FINE, STR(MARKER_PATH),
                 marker.origin == CONF_NEW ? STR("Hikyaku made this MailRoot itself")
                                           : STR("this MailRoot was taken over before"));
    if (v->mailboxes > 0)
        sink.say(r, TAKEOVER_FINE, none,
                 STR("mailbox folders are read and written as they are, with CRLF where they "
                     "have it"));
    if (!r->really && takeover_xmail_runs(&pid))
        sink.say(r, TAKEOVER_HAND, STR("XMail.pid"), STR("XMail runs: stop it before --do"));
    if (io_stat(".", &st) == 0 && st.st_uid == 0 && r->owner == NULL)
        sink.say(r, TAKEOVER_HAND, STR("."),
                 STR("the MailRoot belongs to root: give it to a user of its own (--owner)"));
    if (v->foreign > 0 && r->owner == NULL)
        sink.say(r, TAKEOVER_HAND, STR("domains"),
                 STR("folders of accounts belong to another user than the MailRoot (--owner)"));
}

static enum rc look(struct run *r, struct err *e)
{
    struct takeover_sink sink = { say, r };
    struct check c = { .say = say_problem, .ctx = r };
    enum rc rc = options_load(e);
    if (rc == RC_OK)
        rc = takeover_inventory(&sink, &r->inventory, e);
    if (rc == RC_OK && !r->really)
        rc = takeover_spool_look(&sink, &r->spool, e);
    if (rc != RC_OK)
        return rc;
    check_all(&c);
    check_release(&c);
    note_facts(r);
    return RC_OK;
}

/* --- doing ------------------------------------------------------------------------------- */

static enum rc mark(struct err *e)
{
    struct marker marker;
    enum rc rc = marker_read(&marker, e);
    return rc != RC_OK || marker.exists ? rc : marker_write(CONF_TAKEN_OVER, e);
}

static void clear_locks(void)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    if (folder_open("pop3locks", &f, NULL) != RC_OK)
        return;
    while (folder_next(f, &name, &type))
        if (type == DT_REG)
            (void)io_unlink(arena_printf(&mem, "pop3locks/%.*s", STR_ARG(name)).p);
    folder_close(&f);
}

static enum rc keep_report(struct run *r, struct err *e)
{
    char path[64];
    struct tm tm;
    time_t now = (time_t)(clock_wall() / USEC_S);
    (void)localtime_r(&now, &tm);
    (void)strftime(path, sizeof(path), "hikyaku/takeover-%Y%m%d-%H%M%S.txt", &tm);
    enum rc rc = file_replace(path, buf_str(&r->text), 0640, e);
    if (rc == RC_OK)
        buf_addf(&r->text, "This report is kept in %s\n", path);
    return rc;
}

/* The owner comes first: what follows is done as he. */
static enum rc begin(struct run *r, struct err *e)
{
    enum rc rc = RC_OK;
    if (r->owner == NULL)
        rc = tool_become_owner(e);
    if (rc == RC_OK)
        rc = tool_take_mailroot(&r->lock, e);
    if (rc == RC_OK && r->owner != NULL)
        rc = tool_give_to(".", r->owner, e);
    return rc == RC_OK ? tool_become_owner(e) : rc;
}

static enum rc take_over(struct run *r, struct err *e)
{
    struct takeover_sink sink = { say, r };
    enum rc rc = begin(r, e);
    if (rc == RC_OK)
        rc = look(r, e);
    if (rc == RC_OK)
        rc = mark(e);
    if (rc == RC_OK)
        rc = spool_init(NULL, e);
    if (rc == RC_OK)
        rc = spool_clear_tmp(e);
    if (rc == RC_OK)
        rc = takeover_give_finish(e);
    logfile_trace_start();
    if (rc == RC_OK)
        rc = takeover_spool_do(&sink, &r->spool, e);
    if (rc == RC_OK)
        rc = takeover_clear_indexes(&r->indexes_removed, e);
    if (rc != RC_OK)
        return rc;
    clear_locks();
    make_text(r);
    return keep_report(r, e);
}

/* --- the command ------------------------------------------------------------------------- */

static bool read_arguments(struct run *r, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--do") == 0)
            r->really = true;
        else if (strcmp(argv[i], "--owner") == 0 && i + 1 < argc)
            r->owner = argv[++i];
        else if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < argc)
            r->mailroot = argv[++i];
        else
            return false;
    }
    return true;
}

static int run(struct run *r)
{
    struct err e = { .text = "" };
    enum rc rc = tool_enter_mailroot(r->mailroot, &e);
    if (r->mailroot == NULL)
        r->mailroot = options_mailroot();
    if (rc == RC_OK && r->owner != NULL)
        rc = tool_find_user(r->owner, &e);
    if (rc == RC_OK && r->really)
        rc = take_over(r, &e);
    else if (rc == RC_OK)
        rc = look(r, &e);
    if (rc == RC_OK && !r->really)
        make_text(r);
    if (rc != RC_OK)
        (void)fprintf(stderr, "hikyaku takeover: %s\n%s", e.text,
                      r->really ? "It can be repeated: what is done already isn't done again.\n"
                                : "");
    (void)fputs(buf_str(&r->text).p, stdout);
    io_close_at(&r->lock);
    return rc == RC_OK ? 0 : 1;
}

int tool_takeover(int argc, char **argv)
{
    struct run r = { .lock = -1 };
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (!read_arguments(&r, argc, argv)) {
        (void)fputs(usage, stderr);
        return 3;
    }
    trace_set_role("takeover");
    log_set_level(LOG_LEVEL_ERROR); /* the report names all */
    for (size_t i = 0; i < ARRAY_LEN(r.sections); i++)
        buf_init(&r.sections[i], (size_t)64 << 20);
    buf_init(&r.problems, (size_t)64 << 20);
    buf_init(&r.text, (size_t)256 << 20);
    int code = run(&r);
    for (size_t i = 0; i < ARRAY_LEN(r.sections); i++)
        buf_release(&r.sections[i]);
    buf_release(&r.problems);
    buf_release(&r.text);
    return code;
}

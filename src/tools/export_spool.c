/* export_spool.c - `hikyaku export-spool`: before XMail starts again on a MailRoot of ours, it
 * gets the queue back. */
#include "conf/options.h"
#include "fetch/fetch.h"
#include "spool/spool.h"
#include "sys/file.h"
#include "sys/trace.h"
#include "takeover/takeover.h"
#include "tools/tools.h"
#include "tools/tools_int.h"

static const char usage[] =
    "usage: hikyaku export-spool [--mailroot DIR] [--owner USER]\n"
    "Moves the queue, waiting and frozen, into XMail's spool (spool/0/0), one file a "
    "recipient,\n"
    "and removes XMail's indexes, which it makes anew from the tables. No server may run.\n"
    "  --owner USER    (as root) give the MailRoot to this user of the system\n"
    "Ends with 0: done, 1: failed (it can be repeated), 3: wrong usage.\n";

static void say(void *ctx, enum takeover_level level, struct str file, struct str what)
{
    (void)ctx, (void)level;
    tool_print_text(file, false);
    (void)printf(": ");
    tool_print_text(what, false);
    (void)putchar('\n');
}

static enum rc run(const char *mailroot, const char *owner, struct err *e)
{
    struct takeover_sink sink = { say, NULL };
    struct takeover_given given;
    size_t removed = 0;
    int lock AUTO_CLOSE = -1;
    enum rc rc = tool_enter_mailroot(mailroot, e);
    if (rc == RC_OK && owner == NULL)
        rc = tool_become_owner(e);
    if (rc == RC_OK)
        rc = tool_take_mailroot(&lock, e);
    if (rc == RC_OK)
        rc = options_load(e);
    if (rc == RC_OK)
        rc = spool_init(NULL, e);
    if (rc == RC_OK)
        rc = tool_use_accounts(e);
    if (rc == RC_OK)
        fetch_give_back(); /* first: entries of the queue tell what was fetched */
    if (rc == RC_OK)
        rc = takeover_give(&sink, &given, e);
    if (rc == RC_OK)
        rc = takeover_clear_indexes(&removed, e);
    if (rc == RC_OK && owner != NULL)
        rc = tool_give_to(".", owner, e);
    if (rc != RC_OK)
        return rc;
    (void)printf("%zu entries became %zu files in spool/0/0, %zu of them frozen; %zu files of "
                 "indexes removed\n",
                 given.entries, given.files, given.frozen, removed);
    if (given.damaged > 0)
        (void)printf("%zu entries can't be read, and stay in the queue\n", given.damaged);
    return RC_OK;
}

int tool_export_spool(int argc, char **argv)
{
    const char *mailroot = NULL, *owner = NULL;
    struct err e = { .text = "" };
    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        (void)fputs(usage, stdout);
        return 0;
    }
    for (int i = 0; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--mailroot") == 0 && more) {
            mailroot = argv[++i];
        } else if (strcmp(argv[i], "--owner") == 0 && more) {
            owner = argv[++i];
        } else {
            (void)fputs(usage, stderr);
            return 3;
        }
    }
    trace_set_role("export");
    log_set_level(LOG_LEVEL_WARN);
    if (run(mailroot, owner, &e) == RC_OK)
        return 0;
    (void)fprintf(stderr,
                  "hikyaku export-spool: %s\nIt can be repeated: nothing is given twice.\n",
                  e.text);
    return 1;
}

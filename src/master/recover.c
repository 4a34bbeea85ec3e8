/*
 * recover.c - `hikyaku role recover`: runs alone before the other roles, after every start.
 * Makes the folders what the commit logs say, clears what only a running server has, and takes
 * what XMail left in its spool.
 */
#include "master/recover.h"
#include "conf/logfiles.h"
#include "conf/options.h"
#include "fetch/fetch.h"
#include "spool/spool.h"
#include "sys/commit.h"
#include "sys/file.h"
#include "takeover/takeover.h"
#include <dirent.h>

/* Locks of mailboxes that nobody has open any more. */
static enum rc clear_pop3_locks(struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct folder *f = NULL;
    struct str name;
    unsigned char type = 0;
    enum rc rc = folder_make("pop3locks", 0750, e);
    if (rc == RC_OK)
        rc = folder_open("pop3locks", &f, e);
    while (rc == RC_OK && folder_next(f, &name, &type))
        if (type == DT_REG)
            (void)io_unlink(arena_printf(&mem, "pop3locks/%.*s", STR_ARG(name)).p);
    folder_close(&f);
    return rc;
}

/* What XMail left in its spool, now and whenever it ran again in between. */
static enum rc take_spool(struct err *e)
{
    struct takeover_spool found = { 0 };
    enum rc rc = options_load(e);
    if (rc == RC_OK)
        rc = spool_init(NULL, e);
    if (rc != RC_OK)
        return rc;
    logfile_trace_start();
    rc = takeover_give_finish(e);
    if (rc == RC_OK)
        rc = takeover_spool_do(NULL, &found, e);
    size_t taken = found.fresh + found.retried + found.frozen;
    if (rc == RC_OK && taken + found.damaged > 0)
        log_info(EV("XMail's spool was taken over"), KU("messages", taken),
                 KU("of_them_frozen", found.frozen), KU("of_them_held", found.held),
                 KU("damaged", found.damaged));
    return rc;
}

static void say_orphan(void *ctx, const char *path)
{
    (void)ctx;
    log_info(EV("removed from the queue: its message is gone"), KS("file", str_from_c(path)));
}

enum rc recover_tag(void *ctx, struct str tag, const char *final_path, struct err *e)
{
    enum rc rc = RC_OK;
    return fetch_recover_tag(tag, &rc, e) ? rc : spool_recover_tag(ctx, tag, final_path, e);
}

int recover_main(void)
{
    struct commit_report report = { .logs = 0 };
    struct err e;
    enum rc rc = commit_recover(recover_tag, NULL, &report, &e);
    if (rc == RC_OK)
        rc = spool_clear_tmp(&e);
    if (rc == RC_OK)
        rc = clear_pop3_locks(&e);
    if (rc == RC_OK)
        rc = take_spool(&e);
    if (rc == RC_OK)
        rc = spool_find_orphans(true, say_orphan, NULL, &e);
    if (rc != RC_OK) {
        log_error(EV("recovery failed"), KE(&e));
        return 1;
    }
    if (report.records > 0)
        log_info(EV("recovered"), KU("records", report.records),
                 KU("restored", report.restored), KU("already_there", report.already_there),
                 KU("removed", report.removed));
    return 0;
}

/*
 * verify.c - `hikyaku verify`: what `hikyaku check` finds in tables, and then every mailbox,
 * every entry of the queue and every counter; with --repair what can be put right is. No
 * message is removed.
 */
#include "spool/spool.h"
#include "store/store.h"
#include "tools/check_int.h"
#include "tools/tools.h"
#include "tools/tools_int.h"

static const char usage[] =
    "usage: hikyaku verify [--mailroot DIR] [--json] [--repair]\n"
    "Reads the MailRoot as hikyaku check does, and looks at every mailbox, every message of "
    "the\n"
    "queue and every counter. No message is opened in a mailbox.\n"
    "--repair does what check --repair does, sets damaged entries of the queue aside, removes\n"
    "what interrupted work left behind, and has wrong counters made anew; no server may run\n"
    "then. No message is removed.\n"
    "Ends with 0: nothing wrong, 1: warnings, 2: errors, 3: can't be read.\n";

struct verify {
    struct check c;
    bool repair, frozen;
    uint64_t mailboxes, messages, octets, entries;
};

static const char *done(const struct verify *v, const char *repaired, const char *advice)
{
    return v->repair ? repaired : advice;
}

/* --- the queue --------------------------------------------------------------------------- */

static bool entry(void *ctx, struct str id)
{
    struct arena a AUTO_RELEASE_ARENA = { .head = NULL };
    struct verify *v = ctx;
    struct spool_entry opened;
    struct err e, later;
    enum rc rc =
        v->frozen ? spool_open_frozen(id, &a, &opened, &e) : spool_open(id, &a, &opened, &e);
    v->entries++;
    if (rc == RC_OK) {
        spool_close(&opened);
        return true;
    }
    if (e.sys == ENOENT)
        return true; /* finished meanwhile */
    bool damaged = rc == RC_PERM;
    check_say(&v->c, CHECK_ERROR, "queue", 0,
              !damaged    ? "look at the disk"
              : v->frozen ? "nothing tries it; hikyaku queue drop removes it"
                          : done(v, "it lies in queue/damaged now", "--repair sets it aside"),
              "%s", e.text);
    if (v->repair && damaged && !v->frozen &&
        spool_set_aside(id, str_from_c(e.text), &later) != RC_OK)
        check_say(&v->c, CHECK_ERROR, "queue", 0, "", "%s", later.text);
    return true;
}

static void orphan(void *ctx, const char *path)
{
    struct verify *v = ctx;
    check_say(&v->c, CHECK_WARNING, path, 0, done(v, "removed", "--repair removes it"),
              "its message is gone");
}

static void verify_queue(struct verify *v)
{
    struct err e;
    if (!folder_exists("queue"))
        return;
    enum rc rc = spool_scan(entry, v, &e);
    v->frozen = true;
    if (rc == RC_OK)
        rc = spool_scan_frozen(entry, v, &e);
    if (rc == RC_OK)
        rc = spool_find_orphans(v->repair, orphan, v, &e);
    if (rc == RC_OK && v->repair)
        rc = spool_clear_tmp(&e);
    if (rc != RC_OK)
        check_say(&v->c, CHECK_ERROR, "queue", 0, "", "%s", e.text);
}

/* --- mailboxes --------------------------------------------------------------------------- */

static void bad_file(void *ctx, const char *path, const char *what)
{
    struct verify *v = ctx;
    check_say(&v->c, CHECK_ERROR, path, 0, "hikyaku restore has it from a backup", "%s", what);
}

static void verify_mailbox(struct verify *v, const struct check_account *a)
{
    struct store_verified got;
    const struct account account = {
        .domain = a->domain, .name = a->name, .folder = a->folder, .type = ACCOUNT_USER
    };
    struct arena mem AUTO_RELEASE_ARENA = { .head = NULL };
    const char *folder = arena_c(&mem, a->folder);
    store_verify(&account, v->repair, bad_file, v, &got);
    v->mailboxes++;
    v->messages += got.messages;
    v->octets += got.octets;
    if (got.leftovers > 0)
        check_say(&v->c, CHECK_NOTE, folder, 0, done(v, "removed", "--repair removes them"),
                  "%" PRIu64 " files of deliveries that were interrupted", got.leftovers);
    if (got.counter_off)
        check_say(&v->c, CHECK_WARNING, folder, 0,
                  done(v, "it is counted anew", "--repair has it counted anew"),
                  "the counter of the mailbox is wrong");
}

static void verify_mailboxes(struct verify *v)
{
    size_t at = 0;
    void *found = NULL;
    struct str key;
    while (map_next(&v->c.accounts, &at, &key, &found)) {
        const struct check_account *account = found;
        if (!account->is_list)
            verify_mailbox(v, account);
    }
}

/* --- the command ------------------------------------------------------------------------- */

static bool read_arguments(struct verify *v, int argc, char **argv, const char **mailroot)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            v->c.json = true;
        else if (strcmp(argv[i], "--repair") == 0)
            v->repair = true;
        else if (strcmp(argv[i], "--mailroot") == 0 && i + 1 < argc)
            *mailroot = argv[++i];
        else
            return false;
    }
    return true;
}

/* The lock is kept while things are repaired. */
static enum rc prepare(struct verify *v, int *lock, struct err *e)
{
    enum rc rc = v->repair ? check_repair(v->c.json, e) : tool_become_owner(e);
    if (rc == RC_OK && v->repair)
        rc = tool_take_mailroot(lock, e);
    if (rc == RC_OK && v->repair)
        rc = spool_init(NULL, e);
    return rc;
}

int tool_verify(int argc, char **argv)
{
    struct verify v = { .repair = false };
    const char *mailroot = NULL;
    struct err e = { .text = "" };
    int lock AUTO_CLOSE = -1;
    if (!read_arguments(&v, argc, argv, &mailroot)) {
        (void)fputs(usage, stderr);
        return 3;
    }
    if (!check_enter(mailroot))
        return 3;
    if (prepare(&v, &lock, &e) != RC_OK) {
        (void)fprintf(stderr, "hikyaku verify: %s\n", e.text);
        return 3;
    }
    store_init(NULL);
    check_all(&v.c);
    verify_queue(&v);
    verify_mailboxes(&v);
    if (!v.c.json)
        (void)printf("%" PRIu64 " mailboxes with %" PRIu64 " messages, %" PRIu64 " MB; %" PRIu64
                     " messages in the queue\n",
                     v.mailboxes, v.messages, v.octets >> 20, v.entries);
    return check_finish(&v.c);
}

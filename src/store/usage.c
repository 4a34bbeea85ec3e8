/*
 * usage.c - how much is in a mailbox, without looking: a small record a mailbox
 * (hikyaku/mailbox/DOMAIN/USER/count) that every delivery and removal keeps up to date, in all
 * roles, under a lock on the file. Only mailboxes with a limit, or that were asked about, have
 * one.
 *
 * The record is believed when it was written in this run of the server (hikyaku/run changes
 * after an unclean stop), new/ and cur/ have the times they had after our last change, and the
 * last full count is younger than a day; else the mailbox is counted again. Names tell sizes,
 * so a count reads folders, not messages.
 *
 * The lock isn't held while a message is made durable: a change is announced (usage_begin:
 * added to the sum, `pending` goes up) and settled (usage_end). While changes are pending the
 * folder times move and say nothing, so the record is believed; announcements that were never
 * settled (a role died) end after PENDING_MAX.
 *
 * What another program changes in the folder is noticed by the folder's time. Not noticed is a
 * change while one of ours is pending or in the same tick of the kernel's clock (up to 10 ms)
 * after it; such an error is gone with the next change that is noticed, or the next day.
 */
#include "store/store_int.h"
#include "sys/file.h"

#define COUNT_MAGIC UINT64_C(0x31544e554f434b48) /* "HKCOUNT1" */
#define COUNT_AGE_MAX (24 * 3600 * USEC_S)
#define PENDING_MAX (600 * USEC_S)

struct folder_mark {
    int64_t mtime_ns;
    uint64_t ino;
};

/* INVARIANT: no padding; checksum covers all before it. */
struct count_record {
    uint64_t magic, run;
    uint64_t octets, messages;
    struct folder_mark folder_new, folder_cur; /* after our last change */
    uint64_t generation;                       /* one step for each full count */
    uint64_t pending;                          /* changes announced, not yet settled */
    usec_t counted_at, changed_at;             /* wall clock */
    uint64_t checksum;
};

static uint64_t checksum(const struct count_record *r)
{
    return hash_text(str_from((const char *)r, offsetof(struct count_record, checksum)), false,
                     1);
}

static bool record_read(int fd, struct count_record *out)
{
    struct count_record r;
    if (io_pread(fd, &r, sizeof(r), 0) != (ssize_t)sizeof(r))
        return false;
    if (r.magic != COUNT_MAGIC || r.run != store.run || r.checksum != checksum(&r))
        return false;
    *out = r;
    return true;
}

/* A record that can't be written is made invalid: the next look counts again. */
static void record_write(int fd, struct count_record *r)
{
    r->magic = COUNT_MAGIC;
    r->run = store.run;
    r->changed_at = clock_wall();
    r->checksum = checksum(r);
    if (io_pwrite(fd, r, sizeof(*r), 0) != (ssize_t)sizeof(*r))
        (void)io_ftruncate(fd, 0);
}

static struct folder_mark mark_of(const char *path)
{
    struct stat st;
    if (path == NULL || io_stat(path, &st) < 0)
        return (struct folder_mark){ 0, 0 };
    return (struct folder_mark){
        .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
        .ino = st.st_ino,
    };
}

static bool same_mark(struct folder_mark a, struct folder_mark b)
{
    return a.mtime_ns == b.mtime_ns && a.ino == b.ino;
}

static void take_marks(const struct place *place, struct folder_mark *out_new,
                       struct folder_mark *out_cur)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    *out_new = mark_of(place_new(place, &mem));
    *out_cur = mark_of(place_cur(place, &mem));
}

static bool is_recent(usec_t t, usec_t now, usec_t most)
{
    return t <= now + 60 * USEC_S && now - t < most;
}

static bool record_is_current(const struct count_record *r, const struct place *place)
{
    usec_t now = clock_wall();
    struct folder_mark in_new, in_cur;
    if (!is_recent(r->counted_at, now, COUNT_AGE_MAX))
        return false;
    if (r->pending > 0)
        return is_recent(r->changed_at, now, PENDING_MAX);
    take_marks(place, &in_new, &in_cur);
    return same_mark(r->folder_new, in_new) && same_mark(r->folder_cur, in_cur);
}

static enum rc add_found(void *ctx, const struct found *f, struct err *e)
{
    struct count_record *r = ctx;
    (void)e;
    if (!add_ok(r->octets, f->wire_octets, &r->octets))
        r->octets = UINT64_MAX;
    r->messages++;
    return RC_OK;
}

/* Counts the mailbox. The folders' times are taken first: a change meanwhile shows as another
 * time. */
static enum rc count_all(const struct account *account, const struct place *place,
                         struct count_record *r, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct count_record fresh = { .generation = r->generation + 1, .counted_at = clock_wall() };
    take_marks(place, &fresh.folder_new, &fresh.folder_cur);
    enum rc rc =
        place_scan(place, place_notes_folder(account, &mem), true, add_found, &fresh, e);
    if (rc != RC_OK)
        return rc;
    *r = fresh;
    log_debug(EV("mailbox counted"), KS("folder", place->folder), KU("octets", r->octets),
              KU("messages", r->messages));
    return RC_OK;
}

/* Opens and locks the record; *out_fd -1 (RC_OK): there is none and none is to be made. */
static enum rc record_hold(const struct account *account, bool make, int *out_fd, struct err *e)
{
    struct arena mem AUTO_RELEASE_ARENA = { 0 };
    struct str folder = place_notes_folder(account, &mem);
    const char *path = arena_printf(&mem, "%.*s/count", STR_ARG(folder)).p;
    struct err why = { .rc = RC_OK };
    *out_fd = -1;
    if (!make && !file_exists(path))
        return RC_OK;
    enum rc rc = file_lock(path, true, out_fd, &why);
    if (rc != RC_OK && why.sys == ENOENT && make) {
        rc = folder_make(arena_c(&mem, folder), 0700, &why);
        if (rc == RC_OK)
            rc = file_lock(path, true, out_fd, &why);
    }
    if (rc != RC_OK && e != NULL)
        *e = why;
    return rc;
}

/* The record as it is now, counted again where it can't be believed. */
static enum rc record_load(int fd, const struct account *account, const struct place *place,
                           struct count_record *out, struct err *e)
{
    struct count_record r = { .generation = (uint64_t)clock_wall() };
    if (!record_read(fd, &r) || !record_is_current(&r, place)) {
        enum rc rc = count_all(account, place, &r, e);
        if (rc != RC_OK)
            return rc;
        record_write(fd, &r);
    }
    *out = r;
    return RC_OK;
}

static enum rc check_fits(uint64_t used, uint64_t octets, uint64_t limit_kb, struct err *e)
{
    uint64_t limit = 0, sum = 0;
    if (limit_kb == 0 || !mul_ok(limit_kb, 1024, &limit))
        return RC_OK;
    if (octets > limit)
        return err_perm(e, "5.2.3", "message is larger than the mailbox may be");
    if (used >= limit || !add_ok(used, octets, &sum) || sum > limit)
        return err_temp(e, "4.2.2", "mailbox is full");
    return RC_OK;
}

enum rc usage_begin(const struct account *account, const struct place *place, uint64_t limit_kb,
                    uint64_t octets, uint64_t messages, struct usage_change *out, struct err *e)
{
    struct count_record r;
    int fd AUTO_CLOSE = -1;
    *out = (struct usage_change){ .counted = false };
    enum rc rc = check_fits(0, octets, limit_kb, e);
    if (rc == RC_OK)
        rc = record_hold(account, limit_kb != 0, &fd, e);
    if (rc != RC_OK || fd < 0)
        return rc;
    if (limit_kb == 0) {
        if (!record_read(fd, &r) || !record_is_current(&r, place))
            return RC_OK;
    } else {
        rc = record_load(fd, account, place, &r, e);
        if (rc == RC_OK)
            rc = check_fits(r.octets, octets, limit_kb, e);
        if (rc != RC_OK)
            return rc;
    }
    r.octets += MIN(octets, UINT64_MAX - r.octets);
    r.messages += messages;
    r.pending++;
    record_write(fd, &r);
    *out = (struct usage_change){ octets, messages, r.generation, true };
    return RC_OK;
}

void usage_end(const struct account *account, const struct place *place,
               const struct usage_change *change, bool kept, uint64_t octets_removed,
               uint64_t messages_removed)
{
    struct count_record r;
    int fd AUTO_CLOSE = -1;
    if (!change->counted || record_hold(account, false, &fd, NULL) != RC_OK || fd < 0)
        return;
    /* Counted anew since: the count saw the change or the folder's time will tell. */
    if (!record_read(fd, &r) || r.generation != change->generation)
        return;
    if (!kept) {
        octets_removed += change->octets;
        messages_removed += change->messages;
    }
    r.octets -= MIN(r.octets, octets_removed);
    r.messages -= MIN(r.messages, messages_removed);
    r.pending -= MIN(r.pending, 1u);
    take_marks(place, &r.folder_new, &r.folder_cur);
    record_write(fd, &r);
}

void usage_forget(const struct account *account)
{
    int fd AUTO_CLOSE = -1;
    if (record_hold(account, false, &fd, NULL) == RC_OK && fd >= 0)
        (void)io_ftruncate(fd, 0);
}

bool usage_is_off(const struct account *account, const struct place *place)
{
    struct count_record r, counted = { .generation = 0 };
    struct err e;
    int fd AUTO_CLOSE = -1;
    if (record_hold(account, false, &fd, &e) != RC_OK || fd < 0 || !record_read(fd, &r) ||
        r.pending > 0 || !record_is_current(&r, place) ||
        count_all(account, place, &counted, &e) != RC_OK)
        return false; /* it would be counted before it is believed */
    return r.octets != counted.octets || r.messages != counted.messages;
}

enum rc store_usage(const struct account *account, uint64_t *out_octets, uint64_t *out_messages,
                    struct err *e)
{
    struct count_record r;
    struct place place = place_find(account);
    int fd AUTO_CLOSE = -1;
    enum rc rc = record_hold(account, true, &fd, e);
    if (rc == RC_OK)
        rc = record_load(fd, account, &place, &r, e);
    if (rc != RC_OK)
        return err_wrap(e, "count mailbox");
    *out_octets = r.octets;
    *out_messages = r.messages;
    return RC_OK;
}

enum rc store_fits(const struct account *account, uint64_t max_mailbox_kb, uint64_t octets,
                   struct err *e)
{
    uint64_t used = 0, messages = 0;
    if (max_mailbox_kb == 0)
        return RC_OK;
    enum rc rc = check_fits(0, octets, max_mailbox_kb, e);
    if (rc == RC_OK)
        rc = store_usage(account, &used, &messages, e);
    if (rc == RC_OK)
        rc = check_fits(used, octets, max_mailbox_kb, e);
    return rc;
}

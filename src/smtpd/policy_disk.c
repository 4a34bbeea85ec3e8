/*
 * policy_disk.c - is there room for mail? Asks the file system of the MailRoot at most once a
 * second, whatever the number of clients. SmtpMinDiskSpace and MinFreeInodes are
 * kept free.
 */
#include "smtpd/smtpd_int.h"
#include <stdatomic.h>
#include <sys/statvfs.h>

#define ASK_EVERY USEC_S

static _Atomic int64_t asked_at;
static _Atomic uint64_t free_octets = UINT64_MAX;
static _Atomic uint64_t free_inodes = UINT64_MAX;

static void ask(void)
{
    struct statvfs v;
    int64_t now = clock_mono(), last = asked_at;
    if (last != 0 && now - last < ASK_EVERY && now >= last)
        return;
    /* Whoever moves the time asks; the others go on with what is known. */
    if (!atomic_compare_exchange_strong(&asked_at, &last, now) || statvfs(".", &v) != 0)
        return;
    free_octets = (uint64_t)v.f_bavail * (uint64_t)v.f_frsize;
    /* Some file systems count no inodes: f_files is 0 there. */
    free_inodes = v.f_files > 0 ? (uint64_t)v.f_favail : UINT64_MAX;
}

bool policy_disk_has_room(uint64_t octets)
{
    uint64_t need = 0;
    ask();
    if (!add_ok(octets, conf()->smtp_min_disk_space_kb * UINT64_C(1024), &need))
        return false;
    return free_octets >= need && free_inodes >= (uint64_t)conf()->min_free_inodes;
}

/*
 * notices.c - change notices: an array of counters in memory that all roles share, one step for
 * each change of a mailbox. Account folders hash onto the counters, so two mailboxes may share
 * one: a step says "look", not "something is new".
 */
#include "store/store_int.h"
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define COUNTERS 4096
#define NOTICE_BYTES (COUNTERS * sizeof(_Atomic uint32_t))

/* Without store_notices_use (tools, tests) the process has its own. */
static _Atomic uint32_t own[COUNTERS];
static _Atomic uint32_t *counters = own;

enum rc store_notices_make(int *out_fd, struct err *e)
{
    int fd = memfd_create("notices", MFD_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "make the notices");
    if (io_ftruncate(fd, NOTICE_BYTES) < 0) {
        enum rc rc = err_sys(e, "size the notices");
        (void)close(fd);
        return rc;
    }
    *out_fd = fd;
    return RC_OK;
}

enum rc store_notices_use(int fd, struct err *e)
{
    struct stat st;
    void *p = MAP_FAILED;
    enum rc rc = RC_OK;
    if (fstat(fd, &st) < 0 || st.st_size != (off_t)NOTICE_BYTES)
        rc = err_temp(e, "4.3.0", "the notices have a wrong size");
    else
        p = mmap(NULL, NOTICE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rc == RC_OK && p == MAP_FAILED)
        rc = err_sys(e, "map the notices");
    (void)close(fd);
    if (rc == RC_OK)
        counters = p;
    return rc;
}

/* The same in all processes: a fixed seed. */
static _Atomic uint32_t *counter_of(struct str account_folder)
{
    return &counters[hash_text(account_folder, false, 1) % COUNTERS];
}

void notice_step(struct str account_folder)
{
    (void)atomic_fetch_add(counter_of(account_folder), 1);
}

uint32_t store_notice(const struct account *account)
{
    return atomic_load(counter_of(account->folder));
}

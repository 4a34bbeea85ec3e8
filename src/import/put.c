/* put.c - messages into one mailbox, many made durable at a time. In a rehearsal nothing is
 * opened. */
#include "import/import_int.h"

#define SYNC_AT 2000u
#define CHUNK_BYTES ((size_t)128 * 1024)

static enum rc open_target(struct import_target *t, struct err *e)
{
    if (t->bulk != NULL || !t->im->really)
        return RC_OK;
    return store_bulk_open(t->account, t->folder, &t->bulk, e);
}

enum rc import_has(struct import_target *t, struct str base, bool *out, struct err *e)
{
    enum rc rc = open_target(t, e);
    *out = rc == RC_OK && t->bulk != NULL && store_bulk_has(t->bulk, base);
    return rc;
}

enum rc import_begin(struct import_target *t, struct err *e)
{
    enum rc rc = open_target(t, e);
    return rc == RC_OK && t->bulk != NULL ? store_bulk_begin(t->bulk, e) : rc;
}

enum rc import_write(struct import_target *t, struct str octets, struct err *e)
{
    enum rc rc = RC_OK;
    if (t->bulk == NULL)
        return RC_OK;
    while (rc == RC_OK && octets.n > 0) {
        size_t cr = str_find_str(octets, STR("\r\n"));
        rc = store_bulk_write(t->bulk, str_head(octets, cr), e);
        octets = str_skip(octets, cr == SIZE_MAX ? octets.n : cr + 1);
    }
    return rc;
}

enum rc import_copy(struct import_target *t, int fd, struct err *e)
{
    char *chunk AUTO_FREE = mem_try(CHUNK_BYTES);
    if (chunk == NULL)
        return err_temp(e, "4.3.1", "out of memory");
    for (uint64_t at = 0;;) {
        ssize_t n = io_pread(fd, chunk, CHUNK_BYTES, at);
        if (n < 0)
            return err_sys(e, "read a message");
        if (n == 0)
            return RC_OK;
        at += (uint64_t)n;
        /* A CR at the end waits for what follows. */
        if (chunk[n - 1] == '\r' && n > 1) {
            n--;
            at--;
        }
        enum rc rc = import_write(t, str_from(chunk, (size_t)n), e);
        if (rc != RC_OK)
            return rc;
    }
}

enum rc import_end(struct import_target *t, struct str base, struct str flags, usec_t arrived,
                   struct err *e)
{
    struct import_report *r = &t->im->report;
    if (t->im->progress != NULL && r->messages % 1000 == 0)
        t->im->progress(t->im->ctx, r->messages, r->octets);
    if (t->bulk == NULL)
        return RC_OK;
    if (store_bulk_has(t->bulk, base)) {
        store_bulk_drop(t->bulk);
        r->present++;
        return RC_OK;
    }
    enum rc rc = store_bulk_end(t->bulk, base, flags, arrived, e);
    r->put += rc == RC_OK;
    if (rc == RC_OK && ++t->unsynced >= SYNC_AT) {
        t->unsynced = 0;
        rc = store_bulk_sync(t->bulk, e);
    }
    return rc;
}

enum rc import_finish(struct import_target *t, struct err *e)
{
    enum rc rc = t->bulk == NULL || t->unsynced == 0 ? RC_OK : store_bulk_sync(t->bulk, e);
    store_bulk_close(&t->bulk);
    t->unsynced = 0;
    return rc;
}
